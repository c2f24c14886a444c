package goruntime

// readLabels reads the label sets of package runtime/pprof. Since Go 1.23 g.labels points to a structure that begins with a
// slice of pairs of strings; before that to a map, which is not mistaken for such a slice.
func (k *capturer) readLabels() {
	if n := k.findLabelSets(); n == 0 {
		return
	}
	total := k.readLabelLists()
	if total == 0 {
		return
	}
	c := k.Capture
	pairs := k.space.Piece(total * 4 * int(k.Program.word))
	c.labels = alloc[label](k.space, total)
	if pairs == nil || c.labels == nil {
		c.labels = nil
		return
	}
	k.readLabelPairs(pairs)
	k.readLabelTexts(pairs)
}

// findLabelSets records each distinct label set of the goroutines once, and returns their number.
func (k *capturer) findLabelSets() (n int) {
	c := k.Capture
	sets := alloc[labelSet](k.space, maxLabelSets)
	index := alloc[int32](k.space, 2*maxLabelSets) // a hash table of 1 + an index in sets
	if sets == nil || index == nil {
		return 0
	}
	clear(index)
	for i := range c.Goroutines {
		g := &c.Goroutines[i]
		if g.labels == 0 || g.flags&flagSecret != 0 {
			continue
		}
		for h := hash(g.labels); ; h++ {
			e := &index[h&(2*maxLabelSets-1)]
			if *e == 0 {
				if n == maxLabelSets {
					break
				}
				sets[n] = labelSet{addr: g.labels, first: -1}
				n++
				*e = int32(n)
			}
			if sets[*e-1].addr == g.labels {
				g.labelSet = *e - 1
				break
			}
		}
	}
	c.labelSets = sets[:n]
	return n
}

// readLabelLists reads where the pairs of each set are, and returns the total number of pairs.
func (k *capturer) readLabelLists() (total int) {
	c, w := k.Capture, k.Program.word
	n := len(c.labelSets)
	for i := range c.labelSets {
		k.reqs[i] = Request{Addr: c.labelSets[i].addr, Dst: k.buf[uint64(i)*3*w:][:3*w]}
	}
	k.mem.ReadV(k.reqs[:n])
	for i := range c.labelSets {
		s, q := &c.labelSets[i], &k.reqs[i]
		if !whole(q) {
			continue
		}
		list, num, room := k.ptr(q.Dst), k.ptr(q.Dst[w:]), k.ptr(q.Dst[2*w:])
		if list == 0 || list&(w-1) != 0 || num == 0 || num > room || room > 1<<16 {
			continue
		}
		s.list, s.n = list, min(num, maxLabels)
		total += int(s.n)
	}
	return total
}

// readLabelPairs reads the pairs of all sets, four words each: the addresses and lengths of a key and a value. A set
// whose pairs can't be read becomes empty.
func (k *capturer) readLabelPairs(pairs []byte) {
	c, w := k.Capture, k.Program.word
	m, at := 0, uint64(0)
	for i := range c.labelSets {
		if s := &c.labelSets[i]; s.n > 0 {
			size := s.n * 4 * w
			k.reqs[m] = Request{Addr: s.list, Dst: pairs[at : at+size]}
			m++
			at += size
		}
	}
	k.mem.ReadV(k.reqs[:m])
	m = 0
	for i := range c.labelSets {
		if s := &c.labelSets[i]; s.n > 0 {
			if !whole(&k.reqs[m]) {
				s.list = 0
			}
			m++
		}
	}
}

// readLabelTexts reads the keys and values, in batches.
func (k *capturer) readLabelTexts(pairs []byte) {
	c, w := k.Capture, k.Program.word
	used, waiting, at := 0, 0, uint64(0)
	for i := range c.labelSets {
		s := &c.labelSets[i]
		if s.list == 0 {
			at += s.n * 4 * w
			continue
		}
		s.first, s.num = int32(used), int32(s.n)
		for range s.n {
			l := &c.labels[used]
			used++
			for _, to := range [2]*textSpan{&l.key, &l.value} {
				ptr, size := k.ptr(pairs[at:]), k.ptr(pairs[at+w:])
				at += 2 * w
				*to = k.textSpace(min(size, maxLabelText))
				if to.len == 0 {
					continue
				}
				if waiting == batch {
					k.readTexts(waiting)
					waiting = 0
				}
				k.reqs[waiting] = Request{Addr: ptr, Dst: k.textOf(*to)}
				waiting++
			}
		}
	}
	k.readTexts(waiting)
}

// readTexts serves the first n requests. What can't be read becomes zeros.
func (k *capturer) readTexts(n int) {
	k.mem.ReadV(k.reqs[:n])
	for i := range n {
		q := &k.reqs[i]
		clear(q.Dst[max(0, min(q.Got, len(q.Dst))):])
	}
}

// maxText is the maximum size in bytes of the texts of all labels and panics.
const maxText = 512 << 10

// textSpace allocates n bytes for a text; it returns an empty span if there is no space.
func (c *capturer) textSpace(n uint64) textSpan {
	if c.text == nil {
		c.text = alloc[byte](c.space, maxText)
	}
	if n == 0 || n > uint64(len(c.text)-c.used) {
		return textSpan{}
	}
	s := textSpan{uint32(c.used), uint32(n)}
	c.used += int(n)
	return s
}

func (c *Capture) textOf(s textSpan) []byte { return c.text[s.off : s.off+s.len] }
