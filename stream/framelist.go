package stream

import (
	"encoding/binary"
	"strings"

	"minidump/internal/errtext"
)

// FrameList is the contents of a FrameListStream.
type FrameList struct {
	Signature string // identifies crashes of the same kind; empty if there was no crash
	Threads   []ThreadFrames
}

// ThreadFrames are the frames of a thread, innermost first.
type ThreadFrames struct {
	ThreadID uint32
	Cut      bool // the stack has more frames
	Frames   []NamedFrame
}

// NamedFrame is a FrameRecord with its strings.
type NamedFrame struct {
	FrameRecord
	Function string // empty if it is not known
	File     string
}

// maxNamedFrames bounds the total number of frames read: threads of a hostile list may share the same ones.
const maxNamedFrames = 1 << 20

// Frames returns the FrameListStream.
func (f *File) Frames() (*FrameList, error) {
	b, err := f.Stream(FrameListStream)
	if err != nil {
		return nil, err
	}
	return ParseFrameList(b, f.Order)
}

// ParseFrameList reads the bytes of a FrameListStream. Invalid offsets count as absent. A table that is not entirely within b
// counts as empty; the error is that of the first such table, and wraps ErrFormat or ErrTruncated.
func ParseFrameList(b []byte, o binary.ByteOrder) (*FrameList, error) {
	r := tableReader{t: FrameListStream, b: b, o: o}
	if len(b) < FrameListHeaderSize {
		return nil, errtext.Wrap(ErrTruncated, FrameListStream, " has ", len(b), " bytes, not ", FrameListHeaderSize)
	}
	var h FrameListHeader
	h.Get(b, o)
	r.strings(h.Strings)
	frames, n := r.table("frames", h.Frames, h.SizeOfFrame, FrameRecordSize)
	threads, m := r.table("threads", h.Threads, h.SizeOfThread, FrameThreadSize)
	l := &FrameList{Signature: r.string(h.Signature), Threads: make([]ThreadFrames, m)}
	list := l.Threads
	left := uint64(maxNamedFrames)
	for i := range list {
		var t FrameThread
		t.Get(threads[i*int(h.SizeOfThread):], o)
		list[i] = ThreadFrames{ThreadID: t.ThreadID, Cut: t.Flags&FramesCut != 0}
		if t.Count == 0 || uint64(t.First)+uint64(t.Count) > uint64(n) || uint64(t.Count) > left {
			continue
		}
		left -= uint64(t.Count)
		list[i].Frames = make([]NamedFrame, t.Count)
		for k := range list[i].Frames {
			x := &list[i].Frames[k]
			x.FrameRecord.Get(frames[(int(t.First)+k)*int(h.SizeOfFrame):], o)
			x.Function, x.File = r.string(x.FrameRecord.Function), r.string(x.FrameRecord.File)
		}
	}
	return l, r.err
}

// maxFrameText is the largest number of bytes of a function's or file's name that AppendFrameList writes. It leaves out the rest.
const maxFrameText = 4096

// AppendFrameList appends the bytes of a FrameListStream to b. It computes the offsets of strings, and ignores those in the
// records of l. It allocates.
func AppendFrameList(b []byte, o binary.ByteOrder, l *FrameList) []byte {
	list := l.Threads
	text, known := make([]byte, 4), map[string]uint32{"": 0}
	put := func(s string) uint32 {
		s = strings.ToValidUTF8(s[:min(len(s), maxFrameText)], "\ufffd")
		at, ok := known[s]
		if !ok {
			at = uint32(len(text))
			known[s] = at
			text = append(text, 0, 0, 0, 0)
			o.PutUint32(text[at:], uint32(len(s)))
			text = append(text, s...)
		}
		return at
	}
	var threads, frames []byte
	n := 0
	for i := range list {
		t := FrameThread{ThreadID: list[i].ThreadID, First: uint32(n), Count: uint32(len(list[i].Frames))}
		if list[i].Cut {
			t.Flags = FramesCut
		}
		threads = append(threads, make([]byte, FrameThreadSize)...)
		t.Put(threads[len(threads)-FrameThreadSize:], o)
		for k := range list[i].Frames {
			x := list[i].Frames[k].FrameRecord
			x.Function, x.File = put(list[i].Frames[k].Function), put(list[i].Frames[k].File)
			frames = append(frames, make([]byte, FrameRecordSize)...)
			x.Put(frames[len(frames)-FrameRecordSize:], o)
		}
		n += len(list[i].Frames)
	}
	h := FrameListHeader{Signature: put(l.Signature), SizeOfHeader: FrameListHeaderSize, SizeOfThread: FrameThreadSize, SizeOfFrame: FrameRecordSize}
	at := FrameListHeaderSize
	for _, t := range []struct {
		to      *GoTable
		n, size int
	}{{&h.Threads, len(list), len(threads)}, {&h.Frames, n, len(frames)}, {&h.Strings, len(text), len(text)}} {
		*t.to = GoTable{Offset: uint32(at), Count: uint32(t.n)}
		at += t.size
	}
	start := len(b)
	b = append(b, make([]byte, FrameListHeaderSize)...)
	h.Put(b[start:], o)
	return append(append(append(b, threads...), frames...), text...)
}
