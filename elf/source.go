package elf

// Source is an image (or an archive) that Reader and ZipReader read from: the memory of another process or a file.
type Source interface {
	// ReadAt reads at most len(p) bytes at off and returns how many it has read; fewer, or 0, at the end and on any
	// failure.
	ReadAt(p []byte, off uint64) int
}

// Bytes is a Source over bytes at hand: a mapped file, the writer's own vDSO, a test. Pass a pointer, as the
// conversion of anything else to an interface allocates.
type Bytes struct{ B []byte }

// ReadAt implements Source.
func (s *Bytes) ReadAt(p []byte, off uint64) int {
	if off >= uint64(len(s.B)) {
		return 0
	}
	return copy(p, s.B[off:])
}

// View is a Source that shows Size bytes of another one from Off on, such as a library stored in an archive.
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

// window keeps one piece of a Source, so that tables are read in few reads.
type window struct {
	buf []byte
	off uint64 // of buf[0] in the source
	n   int    // bytes of buf that are filled
}

// at returns size bytes at off, or nil if the source does not have them or buf is too small for them. They are valid
// until the next call.
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

// have returns size bytes at off if they are in the window.
func (w *window) have(off uint64, size int) []byte {
	if size < 0 || off < w.off {
		return nil
	}
	if rel := off - w.off; rel <= uint64(w.n) && uint64(size) <= uint64(w.n)-rel {
		return w.buf[rel : rel+uint64(size)]
	}
	return nil
}

// fill reads into buf and returns how many bytes it got, whatever the source says.
func (w *window) fill(src Source, off uint64) int {
	return max(0, min(src.ReadAt(w.buf, off), len(w.buf)))
}
