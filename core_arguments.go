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
	b := c.buf[:c.auxv.Random-low]
	b = b[:c.mem.read(low, b)]
	at := bytes.LastIndex(b, auxv)
	if at < 0 {
		return
	}
	c.window.n = 0
	p, _, lowestEnv, ok := c.pointersBelow(low+uint64(at), word, c.auxv.Random, top, false)
	if !ok {
		return
	}
	_, count, lowestArg, ok := c.pointersBelow(p, word, c.auxv.Random, top, true)
	if !ok || count == 0 {
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

// pointersBelow walks down a list of pointers that ends, at its upper end, with a 0 just below p. That of the environment
// starts behind another 0; that of the arguments behind their number, which the start-up code on arm overwrites, so that
// whatever is no pointer between low and high ends it. It returns where the list starts, how long it is, and the lowest of
// the pointers between low and high.
func (c *core) pointersBelow(p, word, low, high uint64, arguments bool) (start, count, lowest uint64, ok bool) {
	if v, ok := c.wordAt(p-word, word); !ok || v != 0 {
		return 0, 0, 0, false
	}
	p -= word
	for ; count < maxArgPointers; count++ {
		v, ok := c.wordAt(p-word, word)
		if !ok {
			return 0, 0, 0, false
		}
		inside := low < v && v < high
		if v == 0 || arguments && !inside {
			return p, count, lowest, true
		}
		if inside && (lowest == 0 || v < lowest) {
			lowest = v
		}
		p -= word
	}
	return 0, 0, 0, false
}

func (c *core) wordAt(addr, word uint64) (uint64, bool) {
	b := c.window.at(addr, int(word))
	if uint64(len(b)) < word {
		return 0, false
	}
	return c.word(b), true
}
