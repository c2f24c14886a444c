package encode

import (
	"errors"
	"io"
	"math"
	"syscall"

	"minidump/internal/errtext"
	"minidump/stream"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// A File writes minidump files of one snapshot, one after another.
//
// The same code runs twice. The first pass, without a writer, records the offset of everything that a record refers to,
// and the size of the file. The second pass writes the file.
type File struct {
	snap *snapshot.Snapshot
	mem  snapshot.Memory // valid during Write
	enc  stream.Encoder

	dirs     []stream.Directory // capacity for all streams
	Size     uint64             // of the latest file, in bytes
	writing  bool               // this is the pass that writes
	overflow bool               // an offset that must fit in 32 bits did not
	full     bool               // there was no space for the offsets
	at       offsets

	json       arena.Span // the soft errors, except those that occur while memory is streamed, which are only in the Result
	unreadable uint64     // bytes that could not be read while memory was streamed

	chunk []byte    // buffer for streaming memory in mode full
	debug [8]uint64 // scratch of PutContext

	standard [standardStreams]stream.Directory
}

// standardStreams limits the number of streams other than the user's.
const standardStreams = 32

// rva converts an offset to the 32 bits that most records have for it. If it does not fit, the dump fails later.
func (f *File) rva(off uint64) uint32 {
	if off > math.MaxUint32 {
		f.overflow = true
		return 0
	}
	return uint32(off)
}

// location returns the Location with the given offset and size.
func (f *File) location(off, size uint64) stream.Location {
	if size > math.MaxUint32 {
		f.overflow = true
		return stream.Location{}
	}
	return stream.Location{DataSize: uint32(size), RVA: f.rva(off)}
}

// Errors of Write, for errors.Is.
var (
	ErrLimit    = errors.New("size limit is too small")
	ErrTooLarge = errors.New("dump does not fit the format: more than 4 GiB before the memory")
)

// errPlan reports a bug of this package: the two passes differ.
var errPlan = errors.New("its length differs from the planned one")

// BufferSize is the size of the encoder's buffer in bytes. Longer runs of memory are written directly.
const BufferSize = snapshot.BufferSize

// Init allocates the memory for all dumps of s, as s.Want requires. Each dump overwrites buf, which has BufferSize bytes.
func (f *File) Init(s *snapshot.Snapshot, buf []byte) error {
	f.snap = s
	f.enc.Init(buf)
	if s.Want.Mode == snapshot.ModeFull {
		f.chunk = make([]byte, 1<<20)
	}
	f.MakeRoom()
	if err := f.at.words.Reserve(32 * arena.Unit); err != nil {
		return err
	}
	f.at.words.Ensure(arena.Step) // enough for a small dump
	return nil
}

// MakeRoom allocates the memory for the user streams and annotations in the snapshot's Want. It allocates from the Go heap.
func (f *File) MakeRoom() {
	want := &f.snap.Want
	if f.dirs = f.standard[:0]; len(want.UserStreams) > 0 {
		f.dirs = make([]stream.Directory, 0, standardStreams+len(want.UserStreams))
	}
	if n := len(want.Annotations) + 1; n > len(f.at.annotations) {
		f.at.annotations = make([]annotationOffsets, n)
	}
}

// Release releases the memory that Init allocated.
func (f *File) Release() { f.at.words.Release() }

// Write lays the dump out, drops parts of it until it fits the limit, and writes it. In mode full it reads memory from
// mem. An error wraps ErrLimit, ErrTooLarge or the error of dst.
func (f *File) Write(dst io.Writer, mem snapshot.Memory) error {
	s := f.snap
	f.mem, f.unreadable = mem, 0
	defer func() { f.mem = nil }()
	if err := f.fit(); err != nil {
		return err
	}
	switch {
	case f.full:
		return errtext.Wrap(syscall.ENOMEM, "minidump: take memory for the dump of pid ", s.Proc.PID)
	case f.overflow:
		return errtext.Wrap(ErrTooLarge, "minidump: dump of pid ", s.Proc.PID)
	}
	f.writing = true
	f.enc.Reset(dst, s.Target.Order)
	f.encode()
	f.writing = false
	err := f.enc.Flush()
	switch {
	case err != nil:
	case f.overflow:
		err = ErrTooLarge
	case f.enc.Offset() != f.Size:
		err = errPlan
	}
	if err != nil {
		return errtext.Wrap(err, "minidump: write dump of pid ", s.Proc.PID)
	}
	return nil
}

// measure lays the dump out and returns its size.
func (f *File) measure() uint64 {
	f.writing, f.overflow = false, false
	if f.full = !f.at.fit(f.snap); f.full {
		return 0
	}
	f.enc.Reset(nil, f.snap.Target.Order)
	f.encode()
	f.Size = f.enc.Offset()
	return f.Size
}

// encode puts the file: header, directory, streams, and the memory last.
func (f *File) encode() {
	s, e := f.snap, &f.enc
	h := stream.Header{
		Signature: stream.Signature, Version: stream.Version, NumberOfStreams: uint32(len(f.dirs)),
		StreamDirectoryRVA: stream.HeaderSize, TimeDateStamp: s.Proc.Time, Flags: f.contentFlags(),
	}
	h.Put(e.Next(stream.HeaderSize), e.Order())
	if f.writing {
		for i := range f.dirs {
			f.dirs[i].Put(e.Next(stream.DirectorySize), e.Order())
		}
	} else {
		// The entries are known only after this pass; their number is known now.
		f.dirs = f.dirs[:0]
		e.Zero(uint64(f.streamCount()) * stream.DirectorySize)
	}
	f.putSystemInfo()
	f.putMiscInfo()
	f.putException()
	f.putThreads()
	f.putThreadNames()
	f.putModules()
	f.putMemoryInfo()
	f.putHandles()
	f.putRaw()
	f.putDSO()
	f.putCrashpad()
	f.putRegisterSets()
	f.putUserStreams()
	f.putStreams()
	f.putSoftErrors()
	f.putMemory()
}

// contentFlags returns the MINIDUMP_TYPE flags of the content.
func (f *File) contentFlags() uint64 {
	flags := uint64(stream.MiniDumpNormal)
	switch f.snap.Want.Mode {
	case snapshot.ModeIndirect:
		flags |= stream.MiniDumpWithIndirectlyReferencedMemory
	case snapshot.ModeFull:
		flags |= stream.MiniDumpWithFullMemory
	}
	if f.snap.Handles.N > 0 {
		flags |= stream.MiniDumpWithHandleData
	}
	if f.snap.Mappings.N > 0 || f.snap.Regions.N > 0 {
		flags |= stream.MiniDumpWithFullMemoryInfo
	}
	if f.snap.Want.SanitizeStacks || f.snap.Want.SanitizeAll {
		flags |= stream.MiniDumpFilterMemory
	}
	return flags
}

// begin aligns the encoder for a stream and returns the offset of the stream.
func (f *File) begin() uint64 {
	f.enc.Align(8)
	return f.enc.Offset()
}

// end adds the stream that started at off and ends here to the directory.
func (f *File) end(t stream.Type, off uint64) {
	f.enter(t, off, f.enc.Offset()-off)
}

// enter adds a stream to the directory.
func (f *File) enter(t stream.Type, off, size uint64) {
	if !f.writing {
		f.dirs = append(f.dirs, stream.Directory{Type: t, Location: f.location(off, size)})
	}
}

// streamCount returns the number of streams before any is put. A put function writes a stream exactly if it is counted here.
func (f *File) streamCount() int {
	s := f.snap
	n := 6 // system info, misc info, threads, modules, memory, Crashpad info
	if !s.Crash.Absent {
		n++
	}
	if namedThreads(s) > 0 {
		n++
	}
	if s.Mappings.N > 0 || s.Regions.N > 0 {
		n++
	}
	if s.Handles.N > 0 {
		n++
	}
	for i := range s.Raw {
		if s.Raw[i].Len > 0 {
			n++
		}
	}
	if s.DSO.Have {
		n++
	}
	if registerSets(s) > 0 {
		n++
	}
	return n + s.Streams.N + len(f.snap.Want.UserStreams) + 1 // soft errors
}
