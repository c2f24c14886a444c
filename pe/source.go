package pe

// Source is an image that a Reader reads from: the memory of another process from the image's base address on, or a
// file.
type Source interface {
	// ReadAt reads at most len(p) bytes at off and returns how many it has read; fewer, or 0, at the end and on any
	// failure.
	ReadAt(p []byte, off uint64) int
}

// Bytes is a Source over bytes at hand: a mapped file, or an image of the calling process. Pass a pointer, as the
// conversion of anything else to an interface allocates.
type Bytes struct{ B []byte }

// ReadAt implements Source.
func (s *Bytes) ReadAt(p []byte, off uint64) int {
	if off >= uint64(len(s.B)) {
		return 0
	}
	return copy(p, s.B[off:])
}

// cache keeps a few pieces of a Source, so that neighbouring entries are read at once and tables that are walked side by
// side stay.
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
	used uint64 // when it was last asked for
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

// at returns size bytes at off, or nil if the source does not have them or a window can't hold them. They are valid
// until the next call. A read goes no further than end, an offset past which the source must not be asked.
func (c *cache) at(src Source, off uint64, size int, end uint64) []byte {
	if b := c.upTo(src, off, size, end); len(b) == size {
		return b
	}
	return nil
}

// upTo is at, except that it returns what is there of the size bytes.
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

// have returns size bytes at off if they are in the window.
func (w *window) have(off uint64, size int) []byte {
	if size <= 0 || off < w.off {
		return nil
	}
	if rel := off - w.off; rel <= uint64(w.n) && uint64(size) <= uint64(w.n)-rel {
		return w.buf[rel : rel+uint64(size) : rel+uint64(size)]
	}
	return nil
}

// fill reads what lies at off into buf. It does not trust the count that the source returns.
func (w *window) fill(src Source, off, end uint64) {
	w.off, w.n = off, 0
	if off < end {
		p := w.buf[:min(uint64(len(w.buf)), end-off)]
		w.n = max(0, min(src.ReadAt(p, off), len(p)))
	}
}
