package minidump

import (
	"encoding/binary"
	"math"

	"minidump/context"
	"minidump/elf"
	"minidump/procfs"
)

// Types of the notes of a core file that are no register sets (include/uapi/linux/elf.h, name "CORE").
const (
	ntPRPSInfo = 3          // NT_PRPSINFO
	ntAuxv     = 6          // NT_AUXV
	ntSiginfo  = 0x53494749 // NT_SIGINFO
	ntFile     = 0x46494c45 // NT_FILE

	ntX86XSaveLayout = 0x205 // NT_X86_XSAVE_LAYOUT: of the process, not of a thread
)

// Bounds on notes, in bytes. The kernel writes at most 4 MiB of NT_FILE unless told otherwise, and gdb a description
// of the target.
const (
	maxCoreNotes = 1 << 30 // of one segment
	maxFileNote  = 64 << 20
	maxAuxvNote  = 4 << 10
)

// A coreNote says where the content of a note lies in the file.
type coreNote struct {
	off    uint64
	size   uint32
	typ    uint32
	thread int32 // which of the threads it is about, from 0 on: that of the last NT_PRSTATUS; -1: none
	linux  bool  // its name is LINUX, not CORE
}

// isThread tells whether a note is a struct elf_prstatus that begins the notes of a thread.
func (n *coreNote) isThread() bool { return n.typ == ntPRStatus && !n.linux && n.thread >= 0 }

// numberThreads tells of each note which thread it is about. What is too short for a thread, or names one again, is none.
func (c *core) numberThreads() {
	seen := make(map[int32]bool)
	thread := int32(-1)
	notes := c.notes.all()
	for i := range notes {
		n := &notes[i]
		if n.typ == ntPRStatus && !n.linux {
			p, ok := c.parsePRStatus(c.peekNote(n))
			if ok = ok && !seen[p.tid]; ok {
				thread = int32(len(seen))
				seen[p.tid] = true
			} else {
				thread = -1
				c.noThread = true
			}
		}
		n.thread = thread
	}
}

// indexNotes walks the notes, piece by piece, and notes where those lie that count.
func (c *core) indexNotes() {
	for _, seg := range c.noteSegments {
		align := seg.align
		if align != 8 {
			align = 4
		}
		at, end := seg.off, seg.off+min(seg.size, maxCoreNotes)
		have := coreRegion{} // what of the file c.buf holds
		for end-at >= 12 {
			// A note's head and name; the names that count are "CORE" and "LINUX".
			if at < have.off || at+20 > have.off+have.size {
				have = coreRegion{off: at}
				have.size = uint64(c.mem.readFile(at, c.buf[:min(uint64(len(c.buf)), end-at)]))
				if have.size < 12 {
					break
				}
			}
			b := c.buf[at-have.off : have.size]
			namesz, descsz := uint64(c.head.Order.Uint32(b)), uint64(c.head.Order.Uint32(b[4:]))
			n := coreNote{typ: c.head.Order.Uint32(b[8:])}
			if namesz == 0 && descsz == 0 && n.typ == 0 {
				break // nothing more was written
			}
			n.off = at + (12+namesz+align-1)&^(align-1)
			next := n.off + (descsz+align-1)&^(align-1)
			if n.off > end || descsz > end-n.off {
				c.truncated = true
				break
			}
			n.size = uint32(descsz)
			name := b[12:min(12+namesz, uint64(len(b)))]
			n.linux = string(name) == "LINUX\x00"
			at = min(next, end)
			if !n.linux && string(name) != "CORE\x00" {
				continue
			}
			e := c.notes.add()
			if e == nil {
				c.full = true
				return
			}
			*e = n
		}
	}
}

// noteBytes reads the content of a note into the snapshot.
func (c *core) noteBytes(s *snapshot, n *coreNote, most int) span {
	sp, b := s.bytes.alloc(min(int(n.size), most))
	if b == nil {
		if n.size > 0 {
			s.soft(opTruncated, 0, 0, 0)
		}
		return span{}
	}
	return s.bytes.trim(sp, c.mem.readFile(n.off, b))
}

// peekNote reads the start of a note into scratch memory that the next call uses again.
func (c *core) peekNote(n *coreNote) []byte {
	b := c.buf[:min(uint64(n.size), 1024)]
	return b[:c.mem.readFile(n.off, b)]
}

// prstatus is what counts of a struct elf_prstatus (include/uapi/linux/elfcore.h) but for the registers. Its first
// member, elf_siginfo, is no siginfo_t: it has the number, code and errno only, and kernels leave it empty.
type prstatus struct {
	tid, ppid    int32
	signal       int16 // pr_cursig
	utime, stime uint32
}

// The offset of pr_reg: two signal sets of a word each, four process ids and four times of two words come before it.
const (
	prRegs32 = 72
	prRegs64 = 112
)

func (c *core) regsOffset() int {
	if c.head.Class == elf.Class32 {
		return prRegs32
	}
	return prRegs64
}

func (c *core) parsePRStatus(b []byte) (p prstatus, ok bool) {
	o := c.head.Order
	if len(b) < c.regsOffset() {
		return p, false
	}
	p.signal = int16(o.Uint16(b[12:]))
	if c.head.Class == elf.Class32 {
		p.tid, p.ppid = int32(o.Uint32(b[24:])), int32(o.Uint32(b[28:]))
		p.utime, p.stime = o.Uint32(b[40:]), o.Uint32(b[48:])
	} else {
		p.tid, p.ppid = int32(o.Uint32(b[32:])), int32(o.Uint32(b[36:]))
		p.utime, p.stime = uint32(o.Uint64(b[48:])), uint32(o.Uint64(b[64:]))
	}
	return p, true
}

// parsePRPSInfo takes a struct elf_prpsinfo apart: its three sizes come of the size of a word and of a user id. It ends
// with four process ids, the name (16 bytes) and the arguments (80 bytes).
func (c *core) parsePRPSInfo(b []byte) (pid, ppid int32, name, args []byte, ok bool) {
	switch {
	case len(b) == 124 || len(b) == 128:
	case len(b) >= 136:
		b = b[:136]
	default:
		return 0, 0, nil, nil, false
	}
	ids := b[len(b)-112:]
	pid, ppid = int32(c.head.Order.Uint32(ids)), int32(c.head.Order.Uint32(ids[4:]))
	return pid, ppid, untilNUL(b[len(b)-96 : len(b)-80]), untilNUL(b[len(b)-80:]), true
}

func untilNUL(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// settle works out, once, what no dump of this core changes: which process and thread it is about, and of what it died.
func (c *core) settle() {
	var first, fatal prstatus
	have, haveFatal := false, false
	fatalThread := int32(-1)
	var siginfo *coreNote
	notes := c.notes.all()
	for i := range notes {
		n := &notes[i]
		switch {
		case n.linux:
		case n.isThread():
			// n32, whose registers are 64 bits wide in a 32-bit file, shows by their size where e_flags do not tell.
			if c.target.arch == context.MIPS && int(n.size) >= prRegs32+context.MIPS64.GPSize() {
				c.target.arch = context.MIPS64
			}
			p, _ := c.parsePRStatus(c.peekNote(n))
			if !have {
				first, have = p, true
			}
			// The thread that a signal killed comes first in the kernel's files; gdb says by pr_cursig which it was.
			if !haveFatal && p.signal != 0 {
				fatal, haveFatal, fatalThread = p, true, n.thread
			}
		case n.typ == ntPRPSInfo && c.pid == 0:
			pid, ppid, name, _, _ := c.parsePRPSInfo(c.peekNote(n))
			c.pid, c.ppid, c.command = pid, ppid, string(name)
		}
	}
	if !haveFatal {
		fatal, fatalThread = first, 0
	}
	for i := range notes { // gdb writes one for each thread
		if n := &notes[i]; n.typ == ntSiginfo && !n.linux && n.thread == fatalThread {
			siginfo = n
			break
		}
	}
	if c.pid == 0 {
		c.pid, c.ppid = first.tid, first.ppid
	}
	c.blamed = fatal.tid
	if !have {
		c.blamed = c.pid
	}
	if haveFatal {
		c.settleCrash(&fatal, siginfo)
		for i := range notes {
			if n := &notes[i]; n.isThread() && n.thread == fatalThread {
				c.refine(n)
				break
			}
		}
	}
}

// settleCrash makes the crash of the signal that killed the process.
func (c *core) settleCrash(p *prstatus, siginfo *coreNote) {
	c.crash = &context.Crash{Arch: c.target.arch, PID: c.pid, TID: p.tid, Signo: int32(p.signal)}
	if siginfo == nil {
		return // a kernel before 3.7
	}
	layout := c.target.arch // n32 and x32 have the 32-bit siginfo_t
	if c.head.Class == elf.Class32 {
		layout = narrowArch(layout)
	}
	crash, err := context.CrashFromSiginfo(layout, c.head.Order, c.pid, p.tid, c.peekNote(siginfo))
	if err == nil && crash.Signo == int32(p.signal) {
		crash.Arch = c.target.arch
		c.crash = crash
	}
}

// refine lets the instruction at the fault, where the file holds it, tell what siginfo_t does not. n is the NT_PRSTATUS of
// the thread.
func (c *core) refine(n *coreNote) {
	gp := make([]byte, c.target.arch.GPSize())
	regs := context.Regsets{Arch: c.target.arch, Order: c.head.Order,
		GP: gp[:c.mem.readFile(n.off+uint64(c.regsOffset()), gp)]}
	crash := *c.crash
	crash.BigEndian = c.head.Order == binary.ByteOrder(binary.BigEndian)
	crash.SetContext(&regs)
	code := make([]byte, 16)
	if code = code[:c.mem.read(crash.PC, code)]; crash.HasContext && len(code) > 0 {
		crash.Refine(code)
	}
	// The dump reads the registers by itself, and more of them.
	crash.HasContext, crash.ContextLen = false, 0
	c.crash = &crash
}

// readThreads makes the thread list, with the registers.
func (c *core) readThreads(s *snapshot) {
	arch := c.target.arch
	size := uint64(arch.GPSize())
	regs := uint64(c.regsOffset())
	notes := c.notes.all()
	var t *thread // that the notes are about
	if c.noThread {
		if e := s.soft(opListThreads, 0, 0, 0); e != nil {
			e.text = s.bytes.put(textNoThread)
		}
	}
	for i := range notes {
		n := &notes[i]
		switch {
		case n.isThread():
			p, _ := c.parsePRStatus(c.peekNote(n))
			if t = s.threads.add(); t == nil {
				s.soft(opTruncated, 0, p.tid, 0)
				return
			}
			t.tid, t.state = p.tid, threadNoRegisters
			if p.tid == c.pid {
				s.proc.userTime, s.proc.kernelTime = p.utime, p.stime
			}
			if uint64(n.size) < regs+size {
				s.soft(opRegisters, 0, t.tid, 0)
				continue
			}
			gp, b := s.bytes.alloc(int(size))
			if b == nil {
				s.soft(opTruncated, 0, t.tid, 0)
				return
			}
			if t.gp = s.bytes.trim(gp, c.mem.readFile(n.off+regs, b)); uint64(t.gp.len) < size {
				s.soft(opRegisters, 0, t.tid, 0)
				continue
			}
			r := context.Regsets{Arch: arch, Order: c.head.Order, GP: s.bytes.bytes(t.gp)}
			t.sp, t.pc, t.hasSP, t.state = r.SP(), r.PC(), true, threadStopped
		case n.thread < 0:
		case n.typ == arch.FPRegset(), n.typ == ntPRFPReg && arch == context.X86 && t.fp.len == 0:
			t.fp, t.fpType = c.noteBytes(s, n, arch.FPSize()), n.typ
		case n.linux:
			c.readVector(s, t, n)
		}
	}
}

// readVector reads a note if it is a register set that the context record takes in besides the two that all have.
func (c *core) readVector(s *snapshot, t *thread, n *coreNote) {
	notes, sizes := vectorSets(c.target.arch)
	switch {
	case sizes[0] == 0:
	case n.typ == notes[0]:
		t.vector = c.noteBytes(s, n, sizes[0])
	case n.typ == notes[1] && int(t.vector.len) == sizes[0]:
		all, b := s.bytes.alloc(sizes[0] + min(int(n.size), sizes[1]))
		used := copy(b, s.bytes.bytes(t.vector))
		if used == sizes[0] {
			t.vector = s.bytes.trim(all, used+c.mem.readFile(n.off, b[used:]))
		}
	}
}

// readRegsets stores the threads' further register sets, as the live source does.
func (c *core) readRegsets(s *snapshot) {
	notes := c.notes.all()
	for i := 0; i < len(notes); {
		j, need := i, uint64(0)
		for ; j < len(notes) && notes[j].thread == notes[i].thread; j++ {
			if c.isRegset(&notes[j]) {
				need += 8 + (uint64(notes[j].size)+7)&^7
			}
		}
		if k := int(notes[i].thread); need > 0 && k >= 0 && k < s.threads.n {
			t := s.threads.at(k)
			all, b := s.bytes.alloc(int(min(need, math.MaxInt32)))
			if uint64(len(b)) < need {
				s.bytes.trim(all, 0)
				s.soft(opTruncated, 0, t.tid, 0)
				return
			}
			used := 0
			for ; i < j; i++ {
				if n := &notes[i]; c.isRegset(n) {
					if got := c.mem.readFile(n.off, b[used+8:used+8+int(n.size)]); got > 0 {
						used = s.endRegset(b, used, n.typ, got)
					}
				}
			}
			t.extra = s.bytes.trim(all, used)
		}
		i = j
	}
}

// isRegset tells whether a note is a register set that no context record takes in.
func (c *core) isRegset(n *coreNote) bool {
	return n.linux && n.typ != c.target.arch.FPRegset() && n.typ != ntX86XSaveLayout && n.size > 0 && n.size <= maxRegsets
}

// readProcess takes what the notes say of the process as a whole.
func (c *core) readProcess(w *Writer) {
	s := &w.snap
	var auxv procfs.Auxv
	haveAuxv := false
	notes := c.notes.all()
	for i := range notes {
		n := &notes[i]
		switch {
		case n.linux:
		case n.typ == ntAuxv && !haveAuxv:
			haveAuxv = true
			s.raw[rawAuxv] = c.noteBytes(s, n, maxAuxvNote)
			b := s.bytes.bytes(s.raw[rawAuxv])
			word := c.head.Class.WordSize()
			auxv = procfs.ParseAuxv(b, word, c.head.Order)
			s.raw[rawAuxv].len = uint32(auxvEnd(b, word))
		case n.typ == ntPRPSInfo && s.raw[rawCmdline].len == 0:
			_, _, name, args, ok := c.parsePRPSInfo(c.peekNote(n))
			if !ok {
				continue
			}
			c.comm = s.bytes.put(name)
			if w.opts.Omit&OmitCmdline == 0 {
				// The kernel has put blanks for the NULs between the arguments; core_arguments.go finds better ones.
				for len(args) > 0 && args[len(args)-1] == ' ' {
					args = args[:len(args)-1]
				}
				s.raw[rawCmdline] = s.bytes.put(args)
			}
		}
	}
	if !auxv.Complete {
		s.soft(opReadAuxv, 0, 0, 0)
	}
	s.adoptAuxv(&auxv)
	c.auxv = auxv
	for i := range s.threads.all() {
		if t := s.threads.at(i); t.tid == c.pid {
			t.name = c.comm // the only thread whose name is in a core file
		}
	}
}

// auxvEnd gives the length of an auxiliary vector with its AT_NULL, and without what follows: the kernel's note is as
// long as the longest possible.
func auxvEnd(b []byte, word int) int {
	for i := 0; i+2*word <= len(b); i += 2 * word {
		if elf.IsAllZero(b[i : i+word]) {
			return i + 2*word
		}
	}
	return len(b)
}
