package stream

import (
	"errors"
	"io"
	"math"

	"minidump/internal/errtext"
)

// ErrTooLarge is wrapped by the error of Append if the stream would lie beyond the 32-bit offsets of the format.
var ErrTooLarge = errors.New("the file has more than 4 GiB")

// Append adds a stream to the finished minidump in rw, which is size bytes long. It also adds annotations to the process
// annotations of the CrashpadInfo stream, except for keys that exist already. It writes the stream, the new list of annotations
// and a new directory at the end of the file. Last, one write of eight bytes sets the stream count and the directory offset in
// the header. Until then, and if anything fails, the old content is unchanged, followed by bytes that nothing refers to.
func Append(rw interface {
	io.ReaderAt
	io.WriterAt
}, size int64, t Type, data []byte, annotations ...Annotation) error {
	f, err := Open(rw, size)
	if err != nil {
		return err
	}
	at := (f.size + 7) &^ 7
	b := padded(append([]byte(nil), data...))
	entries := append(f.Directory[:len(f.Directory):len(f.Directory)], Directory{Type: t, Location: Location{DataSize: uint32(len(data)), RVA: uint32(at)}})
	if record := f.annotated(annotations, at+uint64(len(b))); record != nil {
		entries = replaced(entries, Directory{Type: CrashpadInfoStream, Location: Location{DataSize: record.size, RVA: uint32(at) + uint32(len(b))}})
		b = padded(append(b, record.b...))
	}
	directory := len(b)
	if at+uint64(directory)+uint64(len(entries))*DirectorySize > math.MaxUint32 {
		return errtext.Wrap(ErrTooLarge, "append ", t)
	}
	b = append(b, make([]byte, len(entries)*DirectorySize)...)
	for i := range entries {
		entries[i].Put(b[directory+i*DirectorySize:], f.Order)
	}
	if _, err := rw.WriteAt(b, int64(at)); err != nil {
		return errtext.Wrap(err, "append ", t)
	}
	var head [HeaderSize]byte
	f.Header.NumberOfStreams, f.Header.StreamDirectoryRVA = uint32(len(entries)), uint32(at)+uint32(directory)
	f.Header.Put(head[:], f.Order)
	if _, err := rw.WriteAt(head[8:16], 8); err != nil {
		return errtext.Wrap(err, "append ", t)
	}
	return nil
}

// padded appends zeros up to a multiple of eight bytes.
func padded(b []byte) []byte { return append(b, make([]byte, -len(b)&7)...) }

// replaced returns entries with d in place of the entry of the same type, or with d appended if there is none.
func replaced(entries []Directory, d Directory) []Directory {
	for i := range entries {
		if entries[i].Type == d.Type {
			entries[i] = d
			return entries
		}
	}
	return append(entries, d)
}

// annotatedRecord is a CrashpadInfo of size bytes, followed by its list of annotations and the texts of the new ones.
type annotatedRecord struct {
	b    []byte
	size uint32
}

// annotated returns the CrashpadInfo of the file with annotations added to those of the process, laid out for file offset at. It
// returns nil if there is nothing to add or the existing annotations can't be read. Existing texts are not copied.
func (f *File) annotated(annotations []Annotation, at uint64) *annotatedRecord {
	info, err := f.CrashpadInfo()
	record, _ := f.Stream(CrashpadInfoStream)
	if errors.Is(err, ErrNoStream) {
		info.Version, err, record = CrashpadInfoVersion, nil, make([]byte, CrashpadInfoSize)
	}
	if err != nil || len(record) < CrashpadInfoSize {
		return nil
	}
	var added []Annotation
	for _, a := range annotations {
		if !hasKey(info.Annotations, a.Key) && !hasKey(added, a.Key) {
			added = append(added, a)
		}
	}
	p := f.pieces(nil)
	old, n := p.array(info.SimpleAnnotations, SimpleStringDictionaryEntrySize)
	if p.err != nil || len(added) == 0 {
		return nil
	}
	u32 := func(b []byte, v int) []byte {
		b = append(b, 0, 0, 0, 0)
		f.Order.PutUint32(b[len(b)-4:], uint32(v))
		return b
	}
	list := u32(nil, n+len(added))
	list = append(list, old[:n*SimpleStringDictionaryEntrySize]...)
	start := at + uint64(len(record))
	texts := start + uint64(len(list)+len(added)*SimpleStringDictionaryEntrySize)
	var text []byte
	put := func(s string) {
		list = u32(list, int(texts)+len(text))
		b := cut([]byte(s))
		text = append(append(u32(text, len(b)), b...), 0)
		text = append(text, make([]byte, -len(text)&3)...)
	}
	for _, a := range added {
		put(a.Key)
		put(a.Value)
	}
	r := &annotatedRecord{b: append([]byte(nil), record...), size: uint32(len(record))}
	info.SimpleAnnotations = Location{DataSize: uint32(len(list)), RVA: uint32(start)}
	info.CrashpadInfo.Put(r.b, f.Order)
	r.b = append(append(r.b, list...), text...)
	return r
}

// hasKey reports whether list has an annotation with this key.
func hasKey(list []Annotation, key string) bool {
	for i := range list {
		if list[i].Key == key {
			return true
		}
	}
	return false
}
