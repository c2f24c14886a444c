package corefile

import (
	"bytes"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// Bounds on the arguments and the environment of a process: the number of pointers, and the bytes of text (the kernel
// allows 6 MiB, three quarters of _STK_LIM).
const (
	maxArgPointers = 1 << 20
	maxArgBytes    = 8 << 20
)

// readArguments finds the arguments and the environment where the kernel put them when it started the program
// (create_elf_tables in fs/binfmt_elf.c). From the initial stack pointer upwards: the number of arguments, pointers to them and
// a 0, pointers to the environment and a 0, the auxiliary vector, random bytes (AT_RANDOM), the arguments, the environment, and
// the program's path (AT_EXECFN). A program may have changed any of this; then the text of NT_PRPSINFO is used.
func (c *Source) readArguments(s *snapshot.Snapshot) {
	random, execfn := c.auxv.Random, c.auxv.Execfn
	if random == 0 || execfn <= random || execfn-random > maxArgBytes {
		return
	}
	// If arguments and environment can't be told apart below, the whole text area is left out.
	texts := snapshot.Range{Lo: random, Hi: execfn}
	leaveOut(s, texts, texts)
	at, ok := c.findVector(s.Bytes.Get(s.Raw[snapshot.RawAuxv]))
	if !ok {
		return
	}
	args, env, ok := c.findPointers(at)
	if !ok {
		return
	}
	text, b := s.Bytes.Alloc(int(execfn - args.lowest))
	if b == nil {
		return
	}
	if c.mem.Read(args.lowest, b) < len(b) {
		s.Bytes.Trim(text, 0)
		return
	}
	split := endOfTexts(b, args.count)
	if env.lowest > args.lowest { // a program that gave itself a longer title may have fewer NULs than arguments
		split = min(split, int(env.lowest-args.lowest))
	}
	middle := args.lowest + uint64(split)
	leaveOut(s, snapshot.Range{Lo: random, Hi: middle}, snapshot.Range{Lo: middle, Hi: execfn})
	if s.Want.Omit&snapshot.OmitCmdline == 0 {
		s.Raw[snapshot.RawCmdline] = arena.Span{Off: text.Off, Len: uint32(split)}
	}
	if s.Want.Omit&snapshot.OmitEnviron == 0 {
		s.Raw[snapshot.RawEnviron] = arena.Span{Off: text.Off + uint32(split), Len: text.Len - uint32(split)}
	}
	if s.Want.Omit&(snapshot.OmitCmdline|snapshot.OmitEnviron) == snapshot.OmitCmdline|snapshot.OmitEnviron {
		s.Bytes.Trim(text, 0)
	}
}

// leaveOut keeps the memory of the arguments and of the environment out of the dump, as far as the options require it.
func leaveOut(s *snapshot.Snapshot, args, env snapshot.Range) {
	if s.Want.Omit&snapshot.OmitCmdline != 0 {
		s.Proc.Omitted[0] = args
	}
	if s.Want.Omit&snapshot.OmitEnviron != 0 {
		s.Proc.Omitted[1] = env
	}
}

// findVector returns the address of the auxiliary vector on the stack: the bytes of NT_AUXV, a little below the random bytes.
func (c *Source) findVector(auxv []byte) (addr uint64, ok bool) {
	const search = 4096
	if len(auxv) == 0 {
		return 0, false
	}
	low := c.auxv.Random - min(c.auxv.Random, uint64(len(auxv)+search))
	if i := c.mem.firstAbove(c.auxv.Random); i < c.mem.segments.N {
		low = max(low, min(c.mem.segments.At(i).start, c.auxv.Random))
	}
	b := c.buf[:c.auxv.Random-low]
	b = b[:c.mem.Read(low, b)]
	at := bytes.LastIndex(b, auxv)
	return low + uint64(at), at >= 0
}

// A pointerList is a list of pointers to arguments or to environment variables.
type pointerList struct {
	start  uint64 // its address
	count  uint64 // pointers in it
	lowest uint64 // the lowest of its pointers to text; 0: no pointers
	before uint64 // the word before the list
}

// findPointers returns the lists of pointers below the auxiliary vector at addr. env is empty if the process has no
// environment.
func (c *Source) findPointers(addr uint64) (args, env pointerList, ok bool) {
	c.window.N = 0 // the window may hold memory of an earlier dump
	args = c.pointersBelow(addr)
	if args.before == 0 && args.count > 0 { // only a list of arguments is preceded by its length
		env = args
		args = c.pointersBelow(env.start)
	}
	return args, env, args.before != 0 && args.count != 0 && args.lowest != 0
}

// endOfTexts returns the offset after the first count texts in b, each of which ends with a NUL. The texts are counted
// because the pointers are less reliable: getopt changes their order, and unsetenv removes some.
func endOfTexts(b []byte, count uint64) (end int) {
	for ; count > 0; count-- {
		n := bytes.IndexByte(b[end:], 0)
		if n < 0 {
			break
		}
		end += n + 1
	}
	return end
}

// pointersBelow walks down a list of pointers whose upper end is marked by zeros just below addr: one, or more if the
// program removed environment variables. The list of the environment starts after another 0, the list of arguments
// after its length, which the start-up code on arm overwrites with a pointer to the stack. The texts lie between
// AT_RANDOM and AT_EXECFN. A list whose start is not found has count 0.
func (c *Source) pointersBelow(addr uint64) pointerList {
	p, word := addr, uint64(c.head.Class.WordSize())
	v, ok := c.wordAt(p-word, word)
	if v != 0 {
		return pointerList{}
	}
	for n := 0; ok && v == 0 && n < maxArgPointers; n++ {
		p -= word
		v, ok = c.wordAt(p-word, word)
	}
	lowest := uint64(0)
	for count := uint64(0); ok && count < maxArgPointers; count++ {
		isText := c.auxv.Random < v && v < c.auxv.Execfn
		switch {
		case v == 0, v == count && !isText, p-word <= v && v < c.auxv.Random:
			return pointerList{start: p, count: count, lowest: lowest, before: v}
		case isText && (lowest == 0 || v < lowest):
			lowest = v
		}
		p -= word
		v, ok = c.wordAt(p-word, word)
	}
	return pointerList{}
}

func (c *Source) wordAt(addr, word uint64) (uint64, bool) {
	b := c.window.At(addr, int(word))
	if uint64(len(b)) < word {
		return 0, false
	}
	return c.word(b), true
}
