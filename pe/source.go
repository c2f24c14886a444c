package pe

// Source is an image for a Reader: the memory of another process from the image's base address on, or a file.
type Source interface {
	// ReadAt reads at most len(p) bytes at off and returns the number of bytes read: fewer than len(p), or 0, at the end and on
	// any failure.
	ReadAt(p []byte, off uint64) int
}

// Bytes is a Source for bytes in this process: a mapped file, or an image of the calling process. Pass a pointer: converting the
// struct itself to an interface allocates.
type Bytes struct{ B []byte }

// ReadAt implements Source.
func (s *Bytes) ReadAt(p []byte, off uint64) int {
	if off >= uint64(len(s.B)) {
		return 0
	}
	return copy(p, s.B[off:])
}

// cache buffers a few pieces of a Source, so that adjacent entries are read at once, and tables that are read in parallel stay
// buffered.
type cache struct {
	windows [numWindows]window
	uses    uint64
}

const numWindows = 4

// window is one piece of a Source.
type window struct {
	buf  []byte
	off  uint64 // of buf[0] in the source
	n    int    // bytes of buf that are filled
	used uint64 // time of the last use
}

// init divides scratch among the windows.
func (c *cache) init(scratch []byte) {
	size := len(scratch) / numWindows
	for i := range c.windows {
		c.windows[i] = window{buf: scratch[i*size : (i+1)*size : (i+1)*size]}
	}
}

// forget empties the windows.
func (c *cache) forget() {
	for i := range c.windows {
		c.windows[i].n, c.windows[i].used = 0, 0
	}
}

// at returns size bytes at off, or nil if the source does not have them or they don't fit in a window. They are valid until the
// next call. It never reads the source beyond the offset end.
func (c *cache) at(src Source, off uint64, size int, end uint64) []byte {
	if b := c.upTo(src, off, size, end); len(b) == size {
		return b
	}
	return nil
}

// upTo is at, except that it returns as many of the size bytes as are available.
func (c *cache) upTo(src Source, off uint64, size int, end uint64) []byte {
	c.uses++
	oldest := &c.windows[0]
	size = min(size, len(oldest.buf))
	for i := range c.windows {
		w := &c.windows[i]
		if b := w.have(off, size); b != nil {
			w.used = c.uses
			return b
		}
		if w.used < oldest.used {
			oldest = w
		}
	}
	oldest.used = c.uses
	oldest.fill(src, off, end)
	return oldest.have(off, min(size, oldest.n))
}

// have returns the size bytes at off if they are in the window.
func (w *window) have(off uint64, size int) []byte {
	if size <= 0 || off < w.off {
		return nil
	}
	if rel := off - w.off; rel <= uint64(w.n) && uint64(size) <= uint64(w.n)-rel {
		return w.buf[rel : rel+uint64(size) : rel+uint64(size)]
	}
	return nil
}

// fill reads from off into buf. It does not trust the count that the source returns.
func (w *window) fill(src Source, off, end uint64) {
	w.off, w.n = off, 0
	if off < end {
		p := w.buf[:min(uint64(len(w.buf)), end-off)]
		w.n = max(0, min(src.ReadAt(p, off), len(p)))
	}
}
