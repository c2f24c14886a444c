package minidump

import (
	"encoding/binary"
	"syscall"

	"minidump/internal/errtext"
	"minidump/internal/newfile"
	"minidump/internal/windows"
	"minidump/stream"
)

// SystemOptions specify what DumpBySystem puts into a dump.
type SystemOptions struct {
	Flags       uint32        // MINIDUMP_TYPE; see the constants MiniDump… of package stream
	Crash       *CrashContext // with exception pointers; nil: there was no crash
	Annotations []Annotation  // as in Options
	UserStreams []UserStream  // as in Options
}

// DumpBySystem dumps the process pid, which may be the calling one, by the writer of Windows: MiniDumpWriteDump of dbghelp.dll.
// The dump is written to path, completely or not at all. DumpBySystem returns the size of the dump in bytes.
//
// This writer does not support limits, sanitising, soft errors, or output to anything other than a file.
func DumpBySystem(pid int, path string, o SystemOptions) (size int64, err error) {
	p := new(windows.Process)
	if err := p.Open(pid); err != nil {
		return 0, errtext.Wrap(windows.KindOf(err), "minidump: open process ", pid)
	}
	defer p.Close()
	var (
		exception *windows.ClientException
		streams   []windows.UserStream
	)
	if c := o.Crash; c != nil {
		exception = &windows.ClientException{Pointers: c.ExceptionPointers, Thread: uint32(c.ThreadID)}
		b := make([]byte, stream.BreakpadInfoSize)
		r := stream.BreakpadInfo{Validity: stream.MD_BREAKPAD_INFO_VALID_REQUESTING_THREAD_ID, RequestingThreadID: uint32(c.ThreadID)}
		r.Put(b, binary.LittleEndian)
		streams = append(streams, windows.UserStream{Type: uint32(stream.BreakpadInfoStream), Data: b})
	}
	tags, places := crashpadInfo(o.Annotations)
	if len(tags) > 0 {
		streams = append(streams, windows.UserStream{Type: uint32(stream.CrashpadInfoStream), Data: tags})
	}
	for _, u := range o.UserStreams {
		streams = append(streams, windows.UserStream{Type: uint32(u.Type), Data: u.Data})
	}
	f, err := newfile.Create(path)
	if err != nil {
		return 0, errtext.Wrap(err, "minidump: create ", path)
	}
	defer f.Abort()
	if err := p.WriteDump(syscall.Handle(f.Fd()), o.Flags, exception, streams); err != nil {
		return 0, errtext.Wrap(err, "minidump: dump process ", pid)
	}
	info, err := f.Stat()
	if err == nil {
		size = info.Size()
		err = relocateTags(f, size, tags, places)
	}
	if err == nil {
		if err = f.Sync(); err == nil {
			err = f.Commit()
		}
	}
	if err != nil {
		return 0, errtext.Wrap(err, "minidump: write ", path)
	}
	return size, nil
}

// crashpadInfo makes a CrashpadInfo stream of annotations. Its offsets count from the start of the stream, and places lists
// the positions of these offsets: the position of the stream in the file is known only after the file is written.
func crashpadInfo(tags []Annotation) (b []byte, places []int) {
	if len(tags) == 0 {
		return nil, nil
	}
	o := binary.LittleEndian
	list := 4 + len(tags)*stream.SimpleStringDictionaryEntrySize
	b = make([]byte, stream.CrashpadInfoSize+list)
	r := stream.CrashpadInfo{
		Version: stream.CrashpadInfoVersion, SimpleAnnotations: stream.Location{DataSize: uint32(list), RVA: stream.CrashpadInfoSize},
	}
	r.Put(b, o)
	places = append(places, 40) // SimpleAnnotations.RVA
	o.PutUint32(b[stream.CrashpadInfoSize:], uint32(len(tags)))
	text := func(at int, s string) {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		o.PutUint32(b[at:], uint32(len(b)))
		places = append(places, at)
		b = o.AppendUint32(b, uint32(len(s)))
		b = append(append(b, s...), 0)
	}
	for i, t := range tags {
		at := stream.CrashpadInfoSize + 4 + i*stream.SimpleStringDictionaryEntrySize
		text(at, t.Key)
		text(at+4, t.Value)
	}
	return b, places
}

// relocateTags makes the offsets of a CrashpadInfo stream count from the start of the file.
func relocateTags(f *newfile.File, size int64, tags []byte, places []int) error {
	if len(tags) == 0 {
		return nil
	}
	d, err := stream.Open(f, size)
	if err != nil {
		return err
	}
	o := binary.LittleEndian
	for _, e := range d.Directory {
		if e.Type != stream.CrashpadInfoStream || int(e.Location.DataSize) != len(tags) {
			continue
		}
		for _, at := range places {
			o.PutUint32(tags[at:], o.Uint32(tags[at:])+e.Location.RVA)
		}
		_, err := f.WriteAt(tags, int64(e.Location.RVA))
		return err
	}
	return errtext.Wrap(ErrUnsupported, "CrashpadInfo of this dbghelp.dll")
}
