package corefile

import (
	"math"

	"minidump/context"
	"minidump/elf"

	"minidump/internal/snapshot"
)

// prstatus has those members of struct elf_prstatus (include/uapi/linux/elfcore.h) that are used, except the
// registers. The first member of the struct, elf_siginfo, is not a siginfo_t: it consists of the number, code and
// errno, and kernels leave all but the number empty.
type prstatus struct {
	tid, ppid    int32
	signal       int16 // pr_cursig
	utime, stime uint32
	blocked      uint64 // pr_sighold: a word of signals
}

// The offset of pr_reg, by word size. Before pr_reg are elf_siginfo, pr_cursig, two signal sets of a word each,
// four process ids and four times of two words each.
const (
	prRegs32 = 72
	prRegs64 = 112
)

func (c *Notes) regsOffset() int {
	if c.head.Class == elf.Class32 {
		return prRegs32
	}
	return prRegs64
}

func (c *Notes) parsePRStatus(b []byte) (p prstatus, ok bool) {
	o := c.head.Order
	if len(b) < c.regsOffset() {
		return p, false
	}
	p.signal = int16(o.Uint16(b[12:]))
	if c.head.Class == elf.Class32 {
		p.tid, p.ppid = int32(o.Uint32(b[24:])), int32(o.Uint32(b[28:]))
		p.utime, p.stime = o.Uint32(b[40:]), o.Uint32(b[48:])
		p.blocked = uint64(o.Uint32(b[20:]))
	} else {
		p.tid, p.ppid = int32(o.Uint32(b[32:])), int32(o.Uint32(b[36:]))
		p.utime, p.stime = uint32(o.Uint64(b[48:])), uint32(o.Uint64(b[64:]))
		p.blocked = o.Uint64(b[24:])
	}
	return p, true
}

// parsePRPSInfo parses a struct elf_prpsinfo. It has one of three sizes, which depend on the sizes of a word and of a
// user id. It ends with four process ids, the name (16 bytes) and the arguments (80 bytes).
func (c *Notes) parsePRPSInfo(b []byte) (pid, ppid int32, name, args []byte, ok bool) {
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

// findCrash determines the facts shared by all dumps of this core: the process, the thread that crashed, and what
// killed it.
func (c *Notes) findCrash() {
	var first, fatal prstatus
	have, haveFatal := false, false
	fatalThread := int32(-1)
	var siginfo *note
	notes := c.notes.All()
	for i := range notes {
		n := &notes[i]
		switch {
		case n.linux:
		case n.isThread():
			// A 32-bit file with 64-bit registers is n32, even if e_flags lacks EF_MIPS_ABI2.
			if c.Target.Arch == context.MIPS && n.size >= uint32(prRegs32+context.MIPS64.GPSize()) {
				c.Target.Arch, c.Target.ILP32 = context.MIPS64, true
			}
			p, _ := c.parsePRStatus(c.peekNote(n))
			if !have {
				first, have = p, true
			}
			// The kernel writes the thread that a signal killed first; gdb marks that thread by pr_cursig.
			if !haveFatal && p.signal != 0 {
				fatal, haveFatal, fatalThread, c.fatalNote = p, true, n.thread, i
			}
		case n.typ == context.NT_PRPSINFO && c.pid == 0:
			pid, ppid, name, _, _ := c.parsePRPSInfo(c.peekNote(n))
			c.pid, c.ppid, c.command = pid, ppid, string(name)
		}
	}
	if !haveFatal {
		fatal, fatalThread = first, 0
	}
	for i := range notes { // gdb writes an NT_SIGINFO for each thread
		if n := &notes[i]; n.typ == context.NT_SIGINFO && !n.linux && n.thread == fatalThread {
			siginfo = n
			break
		}
	}
	if c.pid == 0 {
		c.pid, c.ppid = first.tid, first.ppid
	}
	c.fatal = fatal.tid
	if !have {
		c.fatal = c.pid
	}
	if haveFatal {
		c.crash = c.crashOf(&fatal, siginfo)
		c.crash = c.Cause(&c.mem)
	}
}

// crashOf describes the signal that killed thread p. It has no details if there is no siginfo, or if the siginfo is about another signal.
func (c *Notes) crashOf(p *prstatus, siginfo *note) *context.Crash {
	none := &context.Crash{Arch: c.Target.Arch, PID: c.pid, TID: p.tid, Signo: int32(p.signal)}
	if siginfo == nil {
		return none // a kernel before 3.7
	}
	layout := c.Target.Arch // n32 and x32 have the 32-bit siginfo_t
	if narrow := layout.Compat(); c.head.Class == elf.Class32 && narrow != context.ArchUnknown {
		layout = narrow
	}
	crash, err := context.CrashFromSiginfo(layout, c.head.Order, c.pid, p.tid, c.peekNote(siginfo))
	if err != nil || crash.Signo != int32(p.signal) {
		return none
	}
	crash.Arch = c.Target.Arch
	return crash
}

// Cause returns what killed the process, or nil if no signal did. Details that siginfo_t lacks are derived from the
// instruction at the fault, if mem has it. Cause allocates.
func (c *Notes) Cause(mem snapshot.Memory) *context.Crash {
	if c.crash == nil {
		return nil
	}
	gp := make([]byte, c.Target.Arch.GPSize())
	n := &c.notes.All()[c.fatalNote]
	gp = gp[:c.mem.readFile(n.off+uint64(c.regsOffset()), gp)]
	return snapshot.RefineBy(c.crash, &context.Regsets{Arch: c.Target.Arch, Order: c.head.Order, GP: gp}, mem)
}

// ThreadIDs returns the thread ids in the order of the notes, in the pid namespace of the process. It allocates.
func (c *Notes) ThreadIDs() (tids []int32) {
	notes := c.notes.All()
	for i := range notes {
		if n := &notes[i]; n.isThread() {
			p, _ := c.parsePRStatus(c.peekNote(n))
			tids = append(tids, p.tid)
		}
	}
	return tids
}

// ReadThreads fills the thread list of s, including registers.
func (c *Notes) ReadThreads(s *snapshot.Snapshot) {
	arch := c.Target.Arch
	size := uint64(arch.GPSize())
	regs := uint64(c.regsOffset())
	notes := c.notes.All()
	var t *snapshot.Thread // the thread that the notes belong to
	if c.badStatus {
		if e := s.Soft(snapshot.OpListThreads, 0, 0, 0); e != nil {
			e.Text = s.Bytes.Put(textBadStatus)
		}
	}
	for i := range notes {
		n := &notes[i]
		switch {
		case n.isThread():
			p, _ := c.parsePRStatus(c.peekNote(n))
			if t = s.Threads.Add(); t == nil {
				s.Soft(snapshot.OpTruncated, 0, p.tid, 0)
				return
			}
			t.TID, t.State = p.tid, snapshot.ThreadNoRegisters
			if p.tid == c.pid {
				s.Proc.UserTime, s.Proc.KernelTime = p.utime, p.stime
			}
			if uint64(n.size) < regs+size {
				s.Soft(snapshot.OpRegisters, 0, t.TID, 0)
				continue
			}
			gp, b := s.Bytes.Alloc(int(size))
			if b == nil {
				s.Soft(snapshot.OpTruncated, 0, t.TID, 0)
				return
			}
			if t.GP = s.Bytes.Trim(gp, c.mem.readFile(n.off+regs, b)); uint64(t.GP.Len) < size {
				s.Soft(snapshot.OpRegisters, 0, t.TID, 0)
				continue
			}
			r := context.Regsets{Arch: arch, Order: c.head.Order, GP: s.Bytes.Get(t.GP)}
			t.SP, t.PC, t.HasSP, t.State = r.SP(), r.PC(), true, snapshot.ThreadStopped
			t.Teb = r.ThreadPointer(nil)
			t.Blocked = p.blocked
		case n.thread < 0:
		case n.typ == arch.FPRegset(), n.typ == context.NT_PRFPREG && arch == context.X86 && t.FP.Len == 0:
			t.FP, t.FPType = c.noteBytes(s, n, arch.FPSize()), n.typ
		case n.linux:
			if tls, _ := arch.ThreadPointerRegset(); n.typ == tls && tls != 0 {
				r := context.Regsets{Arch: arch, Order: c.head.Order, GP: s.Bytes.Get(t.GP)}
				t.Teb = r.ThreadPointer(c.peekNote(n))
			}
			c.readVector(s, t, n)
		}
	}
}

// readVector reads a note if it is a register set, besides the general and floating-point registers, that the
// context record of this architecture holds.
func (c *Notes) readVector(s *snapshot.Snapshot, t *snapshot.Thread, n *note) {
	notes, sizes := snapshot.VectorSets(c.Target.Arch)
	switch {
	case sizes[0] == 0:
	case n.typ == notes[0]:
		t.Vector = c.noteBytes(s, n, sizes[0])
	case n.typ == notes[1] && int(t.Vector.Len) == sizes[0]:
		all, b := s.Bytes.Alloc(sizes[0] + int(min(n.size, uint32(sizes[1]))))
		used := copy(b, s.Bytes.Get(t.Vector))
		if used == sizes[0] {
			t.Vector = s.Bytes.Trim(all, used+c.mem.readFile(n.off, b[used:]))
		}
	}
}

// ReadRegsets stores the threads' register sets that their context records do not hold, as package linux does.
func (c *Notes) ReadRegsets(s *snapshot.Snapshot) {
	notes := c.notes.All()
	for i := 0; i < len(notes); {
		j, need := i, uint64(0)
		for ; j < len(notes) && notes[j].thread == notes[i].thread; j++ {
			if c.isRegset(&notes[j]) {
				need += 8 + (uint64(notes[j].size)+7)&^7
			}
		}
		if k := int(notes[i].thread); need > 0 && k >= 0 && k < s.Threads.N {
			t := s.Threads.At(k)
			all, b := s.Bytes.Alloc(int(min(need, math.MaxInt32)))
			if uint64(len(b)) < need {
				s.Bytes.Trim(all, 0)
				s.Soft(snapshot.OpTruncated, 0, t.TID, 0)
				return
			}
			used := 0
			for ; i < j; i++ {
				if n := &notes[i]; c.isRegset(n) {
					if got := c.mem.readFile(n.off, b[used+8:used+8+int(n.size)]); got > 0 {
						used = s.EndRegset(b, used, n.typ, got)
					}
				}
			}
			t.Extra = s.Bytes.Trim(all, used)
		}
		i = j
	}
}

// isRegset reports whether a note is a register set that no context record holds.
func (c *Notes) isRegset(n *note) bool {
	return n.linux && n.typ != c.Target.Arch.FPRegset() && n.typ != context.NT_X86_XSAVE_LAYOUT && n.size > 0 && n.size <= snapshot.MaxRegsets
}
