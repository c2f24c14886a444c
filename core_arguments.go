package minidump

import "bytes"

// Bounds on what is believed of the arguments and the environment of a process: how many pointers, and bytes of text (the
// kernel allows 6 MiB, three quarters of _STK_LIM).
const (
	maxArgPointers = 1 << 20
	maxArgBytes    = 8 << 20
)

// readArguments finds the arguments and the environment where the kernel put them when it started the program
// (create_elf_tables in fs/binfmt_elf.c). Upwards from what was the stack pointer then: the number of arguments, pointers
// to them and a 0, pointers to the environment and a 0, the auxiliary vector, random bytes (AT_RANDOM), the arguments, the
// environment, and the program's path (AT_EXECFN). A program may have changed any of it; then the text of NT_PRPSINFO has
// to do.
func (c *core) readArguments(w *Writer) {
	s := &w.snap
	word := uint64(c.head.Class.WordSize())
	auxv := s.bytes.bytes(s.raw[rawAuxv])
	top := c.auxv.Execfn
	if c.auxv.Random == 0 || top <= c.auxv.Random || top-c.auxv.Random > maxArgBytes || len(auxv) == 0 {
		return
	}
	// The vector ends not far below the random bytes.
	const search = 4096
	low := c.auxv.Random - min(c.auxv.Random, uint64(len(auxv)+search))
	if i := c.mem.find(c.auxv.Random); i < c.mem.segments.n {
		low = max(low, min(c.mem.segments.at(i).start, c.auxv.Random))
	}
	b := c.buf[:c.auxv.Random-low]
	b = b[:c.mem.read(low, b)]
	at := bytes.LastIndex(b, auxv)
	if at < 0 {
		return
	}
	c.window.n = 0
	start, count, lowestArg, end := c.pointersBelow(low+uint64(at), word, c.auxv.Random, top)
	lowestEnv := uint64(0)
	if end == 0 && count > 0 { // that was the environment
		lowestEnv = lowestArg
		_, count, lowestArg, end = c.pointersBelow(start, word, c.auxv.Random, top)
	}
	if end == 0 || count == 0 || lowestArg == 0 {
		return
	}
	text, b := s.bytes.alloc(int(top - lowestArg))
	if b == nil {
		return
	}
	if c.mem.read(lowestArg, b) < len(b) {
		s.bytes.trim(text, 0)
		return
	}
	// Getopt changes the order of the pointers, unsetenv takes some away: so the texts are counted.
	split := 0
	for ; count > 0; count-- {
		n := bytes.IndexByte(b[split:], 0)
		if n < 0 {
			break
		}
		split += n + 1
	}
	if lowestEnv > lowestArg { // a longer title that the program gave itself may have NULs fewer
		split = min(split, int(lowestEnv-lowestArg))
	}
	if w.opts.Omit&OmitCmdline == 0 {
		s.raw[rawCmdline] = span{text.off, uint32(split)}
	}
	if w.opts.Omit&OmitEnviron == 0 {
		s.raw[rawEnviron] = span{text.off + uint32(split), text.len - uint32(split)}
	}
	if w.opts.Omit&(OmitCmdline|OmitEnviron) == OmitCmdline|OmitEnviron {
		s.bytes.trim(text, 0)
	}
}

// pointersBelow walks down a list of pointers that ends, at its upper end, with zeros just below p: one, or more if the
// program took variables out of its environment. The list of the environment starts behind another 0; that of the arguments
// behind their number, which the start-up code on arm overwrites with a pointer to the stack. It returns where the list
// starts, how long it is, the lowest of its pointers that are between low and high, where the texts are, and what stands
// before the list. A list without an end has length 0.
func (c *core) pointersBelow(p, word, low, high uint64) (start, count, lowest, before uint64) {
	v, ok := c.wordAt(p-word, word)
	if v != 0 {
		return 0, 0, 0, 0
	}
	for n := 0; ok && v == 0 && n < maxArgPointers; n++ {
		p -= word
		v, ok = c.wordAt(p-word, word)
	}
	for ; ok && count < maxArgPointers; count++ {
		inside := low < v && v < high
		switch {
		case v == 0, v == count && !inside, p-word <= v && v < low:
			return p, count, lowest, v
		case inside && (lowest == 0 || v < lowest):
			lowest = v
		}
		p -= word
		v, ok = c.wordAt(p-word, word)
	}
	return 0, 0, 0, 0
}

func (c *core) wordAt(addr, word uint64) (uint64, bool) {
	b := c.window.at(addr, int(word))
	if uint64(len(b)) < word {
		return 0, false
	}
	return c.word(b), true
}
