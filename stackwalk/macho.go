package stackwalk

import (
	"errors"
	"io"

	"minidump/macho"
)

// ErrNotMachO is what NewMachO returns for a file that is not a thin Mach-O image.
var ErrNotMachO = errors.New("stackwalk: not a Mach-O image")

// Protection of a segment (VM_PROT_… in <mach/vm_prot.h>).
const (
	protWrite   = 2
	protExecute = 4
)

// machFile is a Mach-O image as mapped in memory.
type machFile struct {
	r    io.ReaderAt
	text uint64 // link-time address of __TEXT
	im   macho.Image
}

// machSource adapts an io.ReaderAt to package macho.
type machSource struct{ r io.ReaderAt }

func (s machSource) ReadAt(p []byte, off uint64) int {
	if off > 1<<62 {
		return 0
	}
	n, _ := s.r.ReadAt(p, int64(off))
	return max(0, min(n, len(p)))
}

// NewMachO returns the Mach-O image in r, the file or the part of a fat file for one processor, as mapped in memory, for
// Module.Mapped: offset 0 is the start of __TEXT. r must stay readable. The error is ErrNotMachO.
func NewMachO(r io.ReaderAt) (mapped io.ReaderAt, err error) {
	reader := macho.NewReader(make([]byte, 64<<10))
	var head [macho.HeaderSize32]byte
	if n, _ := r.ReadAt(head[:], 0); n < len(head) {
		return nil, ErrNotMachO
	}
	if _, fat := macho.ParseFatHeader(head[:]); fat || !reader.OpenFile(machSource{r}, 0) {
		return nil, ErrNotMachO
	}
	text := reader.Image.Segment("__TEXT")
	if text == nil {
		return nil, ErrNotMachO
	}
	return &machFile{r: r, text: text.Addr, im: reader.Image}, nil
}

// ReadAt implements io.ReaderAt: off is an offset from the start of __TEXT. It does not read beyond the end of a segment, and
// reads no segment that the process can write to.
func (m *machFile) ReadAt(b []byte, off int64) (int, error) {
	s := m.im.Find(m.text + uint64(off))
	if off < 0 || s == nil || s.Prot&protWrite != 0 {
		return 0, io.EOF
	}
	in := m.text + uint64(off) - s.Addr
	if in >= s.Filesz || s.Off > 1<<62 {
		return 0, io.EOF
	}
	return m.r.ReadAt(b[:min(uint64(len(b)), s.Filesz-in)], int64(s.Off+in))
}

// machMemory adapts the memory of an image to package macho.
type machMemory struct{ im *image }

func (s machMemory) ReadAt(p []byte, addr uint64) int { return s.im.read(addr, p) }

// findMachO reads the load commands of a Mach-O image, and reports whether there are any.
func (im *image) findMachO() bool {
	const scratch = 16 << 10 // the load commands of the largest programs
	r := macho.NewReader(make([]byte, scratch))
	if !r.OpenMemory(machMemory{im}, im.m.Base) || r.Image.Segment("__TEXT") == nil {
		return false
	}
	im.bias = r.Image.Slide
	for i := range r.Image.NumSegments {
		s := &r.Image.Segments[i]
		if s.Prot == 0 || s.Addr+s.Size < s.Addr { // __PAGEZERO
			continue
		}
		im.loads = append(im.loads, load{vaddr: s.Addr, memsz: s.Size, exec: s.Prot&protExecute != 0, writable: s.Prot&protWrite != 0})
	}
	for name, at := range map[string]*segment{"__unwind_info": &im.compact, "__eh_frame": &im.ehFrameSection} {
		if s, ok := r.Section("__TEXT", name); ok {
			*at = segment{s.Addr, s.Size}
		}
	}
	return true
}
