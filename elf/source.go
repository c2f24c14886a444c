package elf

// Source is an image (or an archive) that Reader and ZipReader read from: the memory of another process or a file.
type Source interface {
	// ReadAt reads at most len(p) bytes at off and returns the number of bytes read: fewer than len(p), or 0, at the end and on
	// any failure.
	ReadAt(p []byte, off uint64) int
}

// Bytes is a Source for bytes in this process: a mapped file, the writer's own vDSO, a test. Pass a pointer: converting the
// struct itself to an interface allocates.
type Bytes struct{ B []byte }

// ReadAt implements Source.
func (s *Bytes) ReadAt(p []byte, off uint64) int {
	if off >= uint64(len(s.B)) {
		return 0
	}
	return copy(p, s.B[off:])
}

// View is a Source with Size bytes of another Source from Off on, such as a library stored in an archive.
type View struct {
	Source    Source
	Off, Size uint64
}

// ReadAt implements Source.
func (s *View) ReadAt(p []byte, off uint64) int {
	if off >= s.Size || s.Off+off < off {
		return 0
	}
	return s.Source.ReadAt(p[:min(uint64(len(p)), s.Size-off)], s.Off+off)
}

// window buffers one piece of a Source, so that a table is read with few reads.
type window struct {
	buf []byte
	off uint64 // of buf[0] in the source
	n   int    // bytes of buf that are filled
}

// at returns size bytes at off, or nil if the source does not have them or buf is too small for them. They are valid until the
// next call.
func (w *window) at(src Source, off uint64, size int) []byte {
	if b := w.have(off, size); b != nil {
		return b
	}
	if size > len(w.buf) {
		return nil
	}
	w.off, w.n = off, w.fill(src, off)
	return w.have(off, size)
}

// have returns the size bytes at off if they are in the window.
func (w *window) have(off uint64, size int) []byte {
	if size < 0 || off < w.off {
		return nil
	}
	if rel := off - w.off; rel <= uint64(w.n) && uint64(size) <= uint64(w.n)-rel {
		return w.buf[rel : rel+uint64(size)]
	}
	return nil
}

// fill reads into buf and returns the number of bytes, which it checks because a Source may return anything.
func (w *window) fill(src Source, off uint64) int {
	return max(0, min(src.ReadAt(w.buf, off), len(w.buf)))
}
