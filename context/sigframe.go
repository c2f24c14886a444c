package context

import "encoding/binary"

// Flags of SignalFrame.StackFlags (ss_flags of stack_t, include/uapi/linux/signal.h).
const (
	SS_ONSTACK    = 1
	SS_DISABLE    = 2
	SS_AUTODISARM = 1 << 31
)

// SignalFrame is what the kernel pushed on a stack before it entered a signal handler: the state of the thread that the signal
// interrupted. It contains no pointers. FindSignalFrame fills it in.
type SignalFrame struct {
	Arch      Arch
	BigEndian bool

	// Ucontext is the address of struct ucontext. A frame without one, of a handler that was installed without SA_SIGINFO (X86,
	// ARM, S390X), has its struct sigcontext at this address.
	Ucontext uint64

	// Siginfo is the address of siginfo_t. It is 0 in a frame of a handler that was installed without SA_SIGINFO on X86, AMD64,
	// ARM, ARM64 and S390X, whose kernels do not write a siginfo_t then.
	Siginfo uint64

	// Signo and Code are si_signo and si_code. In a frame without siginfo_t, Code is 0, and Signo is known on X86 and S390X and 0
	// on AMD64, ARM and ARM64: Crash.FromTrap derives it from what the hardware reported.
	Signo, Code int32

	PC, SP uint64 // of the interrupted code; SP may have any value if it caused the crash

	// uc_stack: the alternate signal stack of the thread at the time of the signal. All are 0 in a frame without uc_stack and for
	// a thread without an alternate stack, except StackFlags, which is SS_DISABLE for the latter.
	StackAddr, StackSize uint64
	StackFlags           uint32

	// OnAltStack reports whether the frame lies on the alternate stack: the handler runs there, and unless SP lies on that stack
	// too, the interrupted code ran on another.
	OnAltStack bool

	plain bool // there is no struct ucontext
}

// LR returns the link register of the interrupted code, 0 if the architecture has none. mem starts at addr and contains the
// frame.
func (f *SignalFrame) LR(mem []byte, addr uint64) uint64 {
	l := &sigLayouts[f.Arch]
	at := f.Ucontext - addr + uint64(l.lr)
	if l.lr == 0 || f.plain || f.Ucontext < addr || at >= uint64(len(mem)) || uint64(len(mem))-at < uint64(l.pcSize) {
		return 0
	}
	if l.pcSize == 4 {
		return uint64(get32(f.BigEndian, mem[at:]))
	}
	return get64(f.BigEndian, mem[at:])
}

// SetPC changes the program counter, the stack pointer and the link register of the interrupted code in f and in mem, which
// starts at addr and contains the frame. It ignores lr if the architecture has no link register. It is for frames that the
// handler has changed, as Go's does to turn a fault into a panic. It returns false and changes nothing if mem does not contain
// the frame.
func (f *SignalFrame) SetPC(mem []byte, addr, pc, sp, lr uint64) bool {
	l := &sigLayouts[f.Arch]
	off := f.Ucontext - addr
	end := off + uint64(max(l.pc, l.sp, l.lr)) + uint64(l.pcSize)
	if f.plain || f.Ucontext < addr || end < off || end > uint64(len(mem)) {
		return false
	}
	putN(f.BigEndian, mem, int(off)+l.pc, l.pcSize, pc)
	putN(f.BigEndian, mem, int(off)+l.sp, l.pcSize, sp)
	if l.lr != 0 {
		putN(f.BigEndian, mem, int(off)+l.lr, l.pcSize, lr)
	}
	f.PC, f.SP = pc, sp
	return true
}

// Same reports whether the interrupted code ran on the stack that the frame lies on.
func (f *SignalFrame) Same() bool {
	return !f.OnAltStack || f.SP >= f.StackAddr && f.SP-f.StackAddr < f.StackSize
}

// sigLayout states where a frame has the data that a search checks, as offsets from struct ucontext in bytes.
type sigLayout struct {
	align  uint64 // the address of struct ucontext, less off, is a multiple of it
	off    uint64
	info   int // of siginfo_t
	pc, sp int
	pcSize int // in bytes, of PC and of SP
	lr     int // of the link register; 0: there is none
}

// sigLayouts are derived from struct rt_sigframe of each architecture (arch/*/kernel/signal*.c) and from the layouts that
// frame.go reads. That of PPC64 has no fixed place for siginfo_t: pinfo and puc point to it.
//
//	X86      pretcode, sig, pinfo, puc; info @16, uc @144          at 16n-4
//	AMD64    pretcode; uc @8, info @312                            at 16n-8
//	ARM      info, uc @128                                         at 8n
//	ARM64    info, uc @128                                         at 16n
//	MIPS     24 bytes; info, uc @152 (both ABIs)                   at 16n
//	PPC      info, uc @128                                         at 16n
//	PPC64    uc, 2 words, tramp, pinfo, puc, info                  at 16n
//	RISCV64  info, uc @128                                         at 16n
//	S390X    160 bytes, svc_insn; info @168, uc @296               at 8n
//	LOONG64  info, uc @128                                         at 16n
var sigLayouts = [archCount]sigLayout{
	X86:     {align: 16, off: 12, info: -128, pc: 76, sp: 48, pcSize: 4},
	AMD64:   {align: 16, off: 0, info: 304, pc: 168, sp: 160, pcSize: 8},
	ARM:     {align: 8, off: 0, info: -128, pc: 92, sp: 84, pcSize: 4, lr: 88},
	ARM64:   {align: 16, off: 0, info: -128, pc: 440, sp: 432, pcSize: 8, lr: 424},
	MIPS:    {align: 8, off: 0, info: -128, pc: 32, sp: 272, pcSize: 8, lr: 288},
	MIPS64:  {align: 8, off: 0, info: -128, pc: 616, sp: 272, pcSize: 8, lr: 288},
	PPC:     {align: 16, off: 0, info: -128, pc: 320, sp: 196, pcSize: 4, lr: 336},
	PPC64:   {align: 16, off: 0, info: 0, pc: 488, sp: 240, pcSize: 8, lr: 520},
	RISCV64: {align: 16, off: 0, info: -128, pc: 176, sp: 192, pcSize: 8, lr: 184},
	S390X:   {align: 8, off: 0, info: -128, pc: 48, sp: 176, pcSize: 8, lr: 168},
	LOONG64: {align: 16, off: 0, info: -128, pc: 176, sp: 208, pcSize: 8, lr: 192},
}

const (
	siginfoSize = 128 // SI_MAX_SIZE
	maxFlags    = 15  // all uc_flags that any kernel sets

	// maxFrame bounds the distance from a frame to the SP that it interrupted, if both are on one stack: the vector registers lie
	// between them, up to some 11 KiB on AMD64, and more with SVE and SME.
	maxFrame = 256 << 10

	// The plausible sizes of an alternate stack. The kernel rejects smaller ones (MINSIGSTKSZ).
	minAltStack = 2048
	maxAltStack = 64 << 20

	// maxUcontext bounds how much of the memory after the start of a ucontext counts as part of it.
	maxUcontext = 64 << 10
)

// FindSignalFrame searches mem, the memory of a thread's stack from the address addr on, for the signal frame with the lowest
// address not below sp, the stack pointer of the handler. If there is one, it fills in f and returns true. o is the byte order of
// the thread; nil is little-endian.
//
// It does not mistake similar data for a frame. All of this must be true, as far as it applies to the architecture: the alignment
// and the zeros that the kernel writes; a siginfo_t with a valid signal number and code; the addresses in the frame that point
// into the frame itself; the magic numbers of the register records; a processor status that only user code has; an alternate
// stack that does not wrap; and either the frame lies on that stack, or the interrupted SP lies above the frame, at most 256 KiB
// away.
//
// It reads each byte at most a few times, so the time is proportional to len(mem): pass only the plausible part of a stack. It
// does not allocate. It does not find MIPS frames of handlers without SA_SIGINFO (o32 only), because nothing in them can be
// checked, nor those of PPC.
func FindSignalFrame(a Arch, o binary.ByteOrder, mem []byte, addr, sp uint64, f *SignalFrame) bool {
	if a == ArchUnknown || a >= archCount || sp >= addr && sp-addr > uint64(len(mem)) || addr+uint64(len(mem)) < addr {
		return false
	}
	w := sigWindow{a: a, big: isBig(o), mem: mem, addr: addr}
	from := max(addr, sp)
	l := &sigLayouts[a]
	from += (l.off - from) & (l.align - 1)
	plain := a == X86 || a == ARM || a == S390X // some frames have no struct ucontext
	for off := from - addr; off < uint64(len(mem)); off += l.align {
		if !plain {
			if off = w.nextUcontext(off, l); off >= uint64(len(mem)) {
				return false
			}
		}
		if w.ucontext(off, f) || w.plain(off, f) {
			return true
		}
	}
	return false
}

// nextUcontext returns the first place from off on where a ucontext may be, the length of the window if there is none. It rules
// out most places at little cost: a frame has an interrupted SP right above it or an alternate stack of a plausible size (place),
// uc_flags is small, and uc_link is 0.
func (w *sigWindow) nextUcontext(off uint64, l *sigLayout) uint64 {
	mem, end := w.mem, uint64(len(w.mem))
	size := uint64(l.sp + l.pcSize)
	if w.a.WordSize() == 4 {
		le := binary.LittleEndian // or any other order: all is compared with 0, and most words are 0
		for ; off < end && end-off >= size; off += l.align {
			b := mem[off:][:size]
			if le.Uint32(b[4:]) == 0 && le.Uint32(b[8:])|le.Uint32(b[l.sp:])|le.Uint32(b[size-4:]) != 0 {
				return off
			}
		}
		return end
	}
	alt := uint64(32) // offset of ss_size
	if w.a == MIPS64 {
		alt = 24
	}
	for ; off < end && end-off >= size; off += l.align {
		if off += w.unlikely(off, size-8, alt, l); off >= end || end-off < size {
			break
		}
		b := mem[off:][:size]
		if mayBe(get64(w.big, b[size-8:]), get64(w.big, b[alt:]), w.addr+off) && get64(w.big, b) <= maxFlags && get64(w.big, b[8:]) == 0 {
			return off
		}
	}
	return end
}

// mayBe reports whether sp is right above at, or size that of an alternate stack.
func mayBe(sp, size, at uint64) bool { return sp-at-1 < maxFrame || isAltStack(size) }

// unlikely returns how many bytes from off on have no place with mayBe, or fewer. sp and alt are the offsets of the two words in
// ucontext. A search spends most of its time in this loop, so it is only for the most frequent layouts, and works on arrays, whose
// bounds are checked once for four places.
func (w *sigWindow) unlikely(off, sp, alt uint64, l *sigLayout) (n uint64) {
	const step, block = 16, 4 * 16
	if w.big || l.align != step {
		return 0
	}
	sps, sizes, at := w.mem[off+sp:], w.mem[off+alt:], w.addr+off
	le := binary.LittleEndian
	for ; len(sps) >= block && len(sizes) >= block; sps, sizes, n = sps[block:], sizes[block:], n+block {
		p, q, at := (*[block]byte)(sps), (*[block]byte)(sizes), at+n
		switch {
		case mayBe(le.Uint64(p[:]), le.Uint64(q[:]), at):
			return n
		case mayBe(le.Uint64(p[step:]), le.Uint64(q[step:]), at+step):
			return n + step
		case mayBe(le.Uint64(p[2*step:]), le.Uint64(q[2*step:]), at+2*step):
			return n + 2*step
		case mayBe(le.Uint64(p[3*step:]), le.Uint64(q[3*step:]), at+3*step):
			return n + 3*step
		}
	}
	return n
}

// isAltStack reports whether a number is a plausible size of an alternate stack.
func isAltStack(size uint64) bool { return size-minAltStack <= maxAltStack-minAltStack }

// SignalFrames finds the signal frames on one stack, innermost first, and returns how many it has put into out. It goes from each
// frame to the SP that it interrupted, and ends if that SP lies on another stack: call it again with the memory of that stack to
// find further frames. See FindSignalFrame.
//
// A frame stays in memory after its handler has returned, and a function may later reserve that memory without writing to it. So
// a frame of a handler that ran on the stack of the interrupted code (Same) may be stale. A frame on an alternate stack whose
// interrupted SP lies elsewhere belongs to a handler that is still running: all such handlers have their frame in the same place,
// at the top of that stack.
func SignalFrames(a Arch, o binary.ByteOrder, mem []byte, addr, sp uint64, out []SignalFrame) int {
	n := 0
	for n < len(out) && FindSignalFrame(a, o, mem, addr, sp, &out[n]) {
		f := &out[n]
		n++
		if !f.Same() || f.SP <= f.Ucontext {
			break
		}
		sp = f.SP
	}
	return n
}

// sigWindow is the memory to search.
type sigWindow struct {
	a    Arch
	big  bool
	mem  []byte
	addr uint64
}

func (w *sigWindow) u32(off uint64) uint32 { return get32(w.big, w.mem[off:]) }

func (w *sigWindow) u64(off uint64) uint64 { return get64(w.big, w.mem[off:]) }

func (w *sigWindow) word(off uint64) uint64 { return getN(w.big, w.mem, int(off), w.a.WordSize()) }

// has reports whether the window has size bytes at off.
func (w *sigWindow) has(off, size uint64) bool {
	return off <= uint64(len(w.mem)) && size <= uint64(len(w.mem))-off
}

// ucontext reports whether a struct ucontext of a signal frame lies at off.
func (w *sigWindow) ucontext(off uint64, f *SignalFrame) bool {
	ws := uint64(w.a.WordSize())
	if !w.has(off, uint64(ucontextSize(w.a))) || w.word(off) > maxFlags || w.word(off+ws) != 0 { // uc_flags, uc_link
		return false
	}
	l := &sigLayouts[w.a]
	*f = SignalFrame{Arch: w.a, BigEndian: w.big, Ucontext: w.addr + off,
		PC: getN(w.big, w.mem, int(off)+l.pc, l.pcSize), SP: getN(w.big, w.mem, int(off)+l.sp, l.pcSize)}
	if w.a == MIPS {
		f.PC, f.SP = f.PC&0xffffffff, f.SP&0xffffffff
	}
	info, ok := w.infoOf(off, l)
	if !ok || !w.stack(off, ws, f) {
		return false
	}
	f.Siginfo = w.addr + info
	if !w.siginfo(info, f) {
		// Without SA_SIGINFO these two kernels leave a siginfo_t unwritten that others always write. Then the magic numbers
		// decide.
		if w.a != AMD64 && w.a != ARM64 {
			return false
		}
		f.Siginfo, f.Signo, f.Code = 0, 0, 0
	}
	if !w.registers(off, f) {
		return false
	}
	return w.place(f) && f.believable()
}

// infoOf returns the offset of the siginfo_t that belongs to the ucontext at off.
func (w *sigWindow) infoOf(off uint64, l *sigLayout) (uint64, bool) {
	if w.a != PPC64 {
		info := off + uint64(int64(l.info)) // wraps to a large number below the window
		return info, w.has(info, siginfoSize)
	}
	// pinfo and puc are right before siginfo_t, after ucontext. There may be two ucontexts (transactional memory).
	for at := off + ucPPC64Reserve; at < off+8<<10 && w.has(at, 16+siginfoSize); at += 8 {
		if w.u64(at+8) == w.addr+off && w.u64(at) == w.addr+at+16 {
			return at + 16, true
		}
	}
	return 0, false
}

// siginfo checks the siginfo_t at off.
func (w *sigWindow) siginfo(off uint64, f *SignalFrame) bool {
	signo, errno, code := int32(w.u32(off)), int32(w.u32(off+4)), int32(w.u32(off+8))
	most := int32(64) // _NSIG
	if w.a == MIPS || w.a == MIPS64 {
		errno, code = code, errno
		most = 128
	}
	f.Signo, f.Code = signo, code
	if signo <= 0 || signo > most || errno < 0 || errno >= 4096 || code < -64 || code > SI_KERNEL {
		return false
	}
	switch w.a {
	case MIPS, MIPS64, RISCV64, LOONG64:
		// Little else in these frames can be checked. Since Linux 4.20 the kernel clears the bytes after its own siginfo_t, which
		// has at most 48 bytes (copy_siginfo_to_user in kernel/signal.c). Older kernels, which do not, matter only on MIPS.
		for i := uint64(48); i < siginfoSize; i += 8 {
			if w.u64(off+i) != 0 {
				return false
			}
		}
	}
	return true
}

// believable checks PC and SP. No code runs at an address, or with a stack pointer, that no user program can have, so only a
// fault, which such an address raises, can have interrupted it.
func (f *SignalFrame) believable() bool {
	switch genericSignal(f.Arch, f.Signo) {
	case SIGSEGV, SIGBUS, SIGILL:
		return true
	case 0: // not in the frame
		return true
	}
	const lowest, highest = 4096, 1 << 57
	return f.PC >= lowest && f.PC < highest && f.SP >= lowest && f.SP < highest && f.SP&3 == 0
}

// stack reads uc_stack of the ucontext at off. It follows flags and link: the address, then flags and size, on MIPS size and
// flags (stack_t).
func (w *sigWindow) stack(off, ws uint64, f *SignalFrame) bool {
	flags, size := off+3*ws, off+4*ws
	if w.a == MIPS || w.a == MIPS64 {
		flags, size = size, flags
	}
	f.StackAddr, f.StackFlags, f.StackSize = w.word(off+2*ws), w.u32(flags), w.word(size)
	if f.StackFlags&^(SS_ONSTACK|SS_DISABLE|SS_AUTODISARM) != 0 || f.StackAddr+f.StackSize < f.StackAddr {
		return false
	}
	if f.StackSize == 0 {
		return f.StackAddr == 0
	}
	if !isAltStack(f.StackSize) || f.StackAddr == 0 {
		return false
	}
	f.OnAltStack = f.Ucontext >= f.StackAddr && f.Ucontext-f.StackAddr < f.StackSize
	return true
}

// place checks that the frame lies where the kernel puts it: at the top of the alternate stack, or right below the interrupted
// SP.
func (w *sigWindow) place(f *SignalFrame) bool {
	if !f.Same() {
		return f.StackAddr+f.StackSize-f.Ucontext <= maxFrame
	}
	return f.SP > f.Ucontext && f.SP-f.Ucontext <= maxFrame
}

// registers checks the parts of the sigcontext of the ucontext at off that can't have arbitrary values.
func (w *sigWindow) registers(off uint64, f *SignalFrame) bool {
	switch w.a {
	case X86:
		// pinfo and puc; before them the number of the signal.
		frame := off - 144
		return w.has(frame, 16) && w.u32(frame+4) == uint32(f.Signo) && uint64(w.u32(frame+8)) == f.Ucontext-siginfoSize &&
			uint64(w.u32(frame+12)) == f.Ucontext && w.statusX86(off+20)
	case AMD64:
		// cs and ss are __USER_CS and __USER_DS (under Xen with other high bits), ss is 0 in frames of old kernels; eflags has
		// bit 1 set and nothing above bit 21.
		cs, ss, flags := w.u64(off+184)&0xffff, w.u64(off+184)>>48, w.u64(off+176)
		return cs&0xfff == 0x33 && (ss == 0 || ss&0xfff == 0x2b) && flags&2 != 0 && flags>>22 == 0 &&
			w.fpstate(w.u64(off+224), f, 464, w.word(off)&1 != 0)
	case ARM:
		return w.registersARM(off)
	case ARM64:
		// pstate: EL0 with SP_EL0, of 64-bit code; the first record has the floating-point registers.
		pstate := w.u64(off + 448)
		uc := w.mem[off:min(uint64(len(w.mem)), off+maxUcontext)]
		return pstate&0x1f == 0 && pstate>>32 == 0 && len(findRecord(w.big, uc, ucARM64Records, fpsimdMagic)) >= fpsimdSize
	case MIPS:
		// Registers are stored in 64 bits, zero-extended or sign-extended; r0 is 0. Then sc_used_math.
		for i := uint64(32); i < 40+32*8; i += 8 { // epc, r0-r31
			if v := w.u64(off + i); v>>32 != 0 && v>>31 != 1<<33-1 {
				return false
			}
		}
		return w.u64(off+40) == 0 && w.u32(off+564) < 16
	case MIPS64:
		return w.u64(off+40) == 0 && w.u32(off+628) < 16
	case PPC: // the only address in the frame that points into the frame
		return w.u32(off+ucPPCRegs) == uint32(f.Ucontext)+ucPPCGPRegs
	case PPC64:
		return w.u64(off+ucPPC64Regs) == f.Ucontext+ucPPC64GPRegs && w.u32(off+200) == uint32(f.Signo)
	case RISCV64:
		// The reserved word and the start of the extensions: the end, or the vector registers (RISCV_V_MAGIC).
		const reserved, vMagic = 948, 0x53465457
		return w.has(off, reserved+12) && w.u32(off+reserved) == 0 && (w.u64(off+reserved+4) == 0 || w.u32(off+reserved+4) == vMagic)
	case S390X:
		return statusS390X(w.u64(off + 40))
	case LOONG64:
		// r0, and the first record of the extensions.
		if !w.has(off, ucLOONG64Records+8) {
			return false
		}
		switch magic, size := w.u32(off+ucLOONG64Records), w.u32(off+ucLOONG64Records+4); magic {
		case 0:
			return w.u64(off+184) == 0 && size == 0
		case fpuMagic, lsxMagic, lasxMagic:
			return w.u64(off+184) == 0 && size >= 272 && size < maxUcontext
		}
	}
	return false
}

// registersARM checks the sigcontext of the ucontext at off and the start of its uc_regspace.
func (w *sigWindow) registersARM(off uint64) bool {
	// cpsr: mode USR with interrupts on. The records of coprocessors start with a known magic number, or are empty.
	if w.u32(off+96)&0xdf != 0x10 || !w.has(off, ucARMRegspace+8) {
		return false
	}
	size := w.u32(off + ucARMRegspace + 4)
	switch w.u32(off + ucARMRegspace) {
	case 0: // the end
		return true
	case vfpMagic, 0x5065cf03, 0x12ef842a, 0xb0d9ed01: // VFP_MAGIC, CRUNCH_MAGIC, IWMMXT_MAGIC, DUMMY_MAGIC
		return size >= 8 && size <= 512 && size&7 == 0
	}
	return false
}

// statusX86 checks the struct sigcontext_32 at off. The selectors must be those of user code and data, under a 64-bit kernel
// (__USER32_CS, __USER_DS) or a 32-bit one, or of the local descriptor table; eflags has bit 1 set and nothing above bit 21.
func (w *sigWindow) statusX86(off uint64) bool {
	for _, seg := range [...]uint64{2, 3, 15, 18} { // es ds cs ss
		v := w.u32(off+4*seg) & 0xffff // the upper halves may be anything in frames of old kernels
		code := seg == 15
		switch {
		case v&7 == 7, !code && (v == 0x2b || v == 0x7b), code && (v == 0x23 || v == 0x73), v == 0 && seg < 15:
		default:
			return false
		}
	}
	flags := w.u32(off + 16*4)
	return flags&2 != 0 && flags>>22 == 0
}

// fpstate checks the address of the floating-point registers: 0, or a short distance above the frame. If the flags of the
// ucontext announce an XSAVE area (UC_FP_XSTATE), FP_XSTATE_MAGIC1 must be at magic; a frame without siginfo_t must have that
// area.
func (w *sigWindow) fpstate(addr uint64, f *SignalFrame, magic uint64, xsave bool) bool {
	if addr == 0 {
		return !xsave
	}
	if addr < f.Ucontext || addr-f.Ucontext > maxFrame {
		return false
	}
	at := addr - w.addr + magic
	switch {
	case !xsave:
		return f.Siginfo != 0 || f.plain
	case !w.has(at, 4): // the memory ends before it
		return f.Siginfo != 0
	}
	return w.u32(at) == 0x46505853
}

// statusS390X checks a program status word: the kernel sets the problem state and 64-bit addresses (PSW_MASK_PSTATE, PSW_MASK_EA,
// PSW_MASK_BA of asm/ptrace.h) in every frame.
func statusS390X(mask uint64) bool {
	const user = 0x0001000000000000 | 0x0000000180000000
	return mask&user == user
}

// plain reports whether a frame of a handler without SA_SIGINFO lies at off, where a ucontext would be.
func (w *sigWindow) plain(off uint64, f *SignalFrame) bool {
	*f = SignalFrame{Arch: w.a, BigEndian: w.big, Ucontext: w.addr + off, plain: true}
	switch w.a {
	case X86:
		// struct sigframe: pretcode, sig, struct sigcontext_32 @8 (fpstate at its word 19), … retcode @724. The frame lies at
		// 16n-4 like a frame with siginfo_t, so the sigcontext lies at 16n+4; off counts in steps of 16 from 16n-4.
		sc := off + 8
		if !w.has(off, 8+88) {
			return false
		}
		f.Ucontext += 8
		f.Signo = int32(w.u32(off + 4))
		f.SP, f.PC = uint64(w.u32(sc+7*4)), uint64(w.u32(sc+14*4))
		fpstate := w.u32(sc + 19*4)
		return f.Signo > 0 && f.Signo <= 64 && w.statusX86(sc) && w.u32(sc+12*4) < 32 && // trapno
			w.u32(off) != 0 && fpstate != 0 && w.fpstate(uint64(fpstate), f, 0, false) && f.believable()
	case ARM:
		// The same struct ucontext, marked by uc_flags (setup_frame in arch/arm/kernel/signal.c); uc_link and uc_stack are not
		// written.
		if !w.has(off, uint64(ucARMSize)) || w.u32(off) != 0x5ac3c35a {
			return false
		}
		f.SP, f.PC = uint64(w.u32(off+84)), uint64(w.u32(off+92))
		return w.registers(off, f) && f.believable()
	case S390X:
		// struct sigframe: 160 bytes, oldmask, the address of sregs, sregs: psw, r0-r15 and so on, signo @344. The address points
		// to the bytes right after it.
		if !w.has(off, 16+348) || w.u64(off+8) != w.addr+off+16 {
			return false
		}
		f.Signo = int32(w.u32(off + 16 + 344))
		f.PC, f.SP = w.u64(off+24), w.u64(off+32+15*8)
		return f.Signo > 0 && f.Signo <= 64 && statusS390X(w.u64(off+16)) && f.believable()
	}
	return false
}

// ReadFrame fills in c from a signal frame in mem, the memory that FindSignalFrame found it in: the siginfo_t, the registers as a
// CPU context record, what the hardware reported, and Params. The caller passes pid and tid. If mem does not contain the frame,
// ReadFrame returns false and leaves c without registers. It does not allocate.
//
// If the frame has no siginfo_t, c has at most the signal number, and no Access: see FromTrap.
func (c *Crash) ReadFrame(sf *SignalFrame, mem []byte, addr uint64, pid, tid int32) bool {
	*c = Crash{Arch: sf.Arch, BigEndian: sf.BigEndian, PID: pid, TID: tid, Signo: sf.Signo}
	w := sigWindow{a: sf.Arch, big: sf.BigEndian, mem: mem, addr: addr}
	off := sf.Ucontext - addr
	if sf.Siginfo != 0 {
		if !w.has(sf.Siginfo-addr, siginfoSize) {
			return false
		}
		c.parseSiginfo(mem[sf.Siginfo-addr:][:siginfoSize])
	}
	if sf.Ucontext < addr || !w.has(off, 0) {
		return false
	}
	end := min(uint64(len(mem)), off+maxUcontext)
	f := frame{big: sf.BigEndian}
	switch {
	case sf.plain && sf.Arch == X86: // a ucontext would have 20 bytes before its sigcontext
		if off < 20 {
			return false
		}
		f.uc = mem[off-20 : end]
	case sf.plain && sf.Arch == S390X: // sregs at 16 instead of 40; the data after the floating-point registers differs
		if off < 24 || !w.has(off, 16+344) {
			return false
		}
		f.uc = mem[off-24 : off+16+344]
	default:
		f.uc = mem[off:end]
	}
	if len(f.uc) < ucontextSize(sf.Arch) {
		return false
	}
	f.fpstate = w.fpstateOf(f.uc)
	c.setFrame(&f)
	if sf.Siginfo == 0 {
		c.Access = AccessUnknown
	}
	return c.HasContext
}

// fpstateOf returns the floating-point registers that uc, a ucontext of x86, points to, as far as they lie in the window.
func (w *sigWindow) fpstateOf(uc []byte) []byte {
	var addr, size uint64
	switch w.a {
	case X86:
		addr, size = uint64(get32(w.big, uc[96:])), 112+fxsaveSize
	case AMD64:
		addr, size = get64(w.big, uc[224:]), fxsaveSize
	}
	if addr == 0 || addr < w.addr || !w.has(addr-w.addr, size) {
		return nil
	}
	return w.mem[addr-w.addr:][:size]
}

// FromTrap derives Signo, Code, Address and Access of a crash from TrapNo, ErrorCode and TrapAddress, for a signal frame without
// siginfo_t, and sets Params. It returns false and changes nothing if the hardware reported no fault, or if Signo is already
// known and differs. Architectures: X86, AMD64, ARM and ARM64, the only ones with such frames and these fields.
//
// When a signal is sent, the kernel does not change these fields, so they may describe an older fault. The caller must know that
// this signal was a fault: for instance that the instruction at PC accesses TrapAddress.
//
// Sources: Intel SDM volume 3, 6.15 and 4.7; arch/x86/kernel/traps.c; ARM ARM, "ISS encoding for an exception from a Data
// Abort" (DFSC), and fsr-3level.c, fsr-2level.c of arch/arm/mm for the fault status of arm.
func (c *Crash) FromTrap() bool {
	const ( // si_code
		segvMapErr, segvAccErr = 1, 2
		busAdrAln              = 1
		fpeIntDiv              = 1
	)
	signo, code, access, has := int32(0), int32(0), AccessUnknown, true
	switch c.Arch {
	case X86, AMD64:
		switch c.TrapNo {
		case 0: // divide error; 0 also if there was no trap
			if c.Signo != SIGFPE {
				return false
			}
			signo, code, has = SIGFPE, fpeIntDiv, false
		case 6: // invalid opcode: ILL_ILLOPN
			signo, code, has = SIGILL, 2, false
		case 13: // general protection
			signo, code, has = SIGSEGV, SI_KERNEL, false
		case 14: // page fault; bit 0 of the error code: the page is present
			signo, code, access = SIGSEGV, segvMapErr+int32(c.ErrorCode&1), accessOfX86(c.TrapNo, c.ErrorCode)
		}
	case ARM64:
		access = accessOfESR(c.ErrorCode)
		switch status := c.ErrorCode & 0x3f; {
		case access == AccessUnknown:
		case status>>2 == 1, status>>2 == 0: // translation, address size
			signo, code = SIGSEGV, segvMapErr
		case status>>2 == 2, status>>2 == 3: // access flag, permission
			signo, code = SIGSEGV, segvAccErr
		case status == 0x21: // alignment
			signo, code = SIGBUS, busAdrAln
		}
	case ARM:
		access = AccessRead
		switch {
		case c.ErrorCode&(1<<31) != 0:
			access = AccessExecute
		case c.ErrorCode&(1<<11) != 0:
			access = AccessWrite
		}
		switch c.ErrorCode & 0x40f {
		case 0x5, 0x7: // translation of a section, of a page
			signo, code = SIGSEGV, segvMapErr
		case 0xd, 0xf: // permission
			signo, code = SIGSEGV, segvAccErr
		case 0x1: // alignment
			signo, code = SIGBUS, busAdrAln
		}
	}
	if signo == 0 || c.Signo != 0 && c.Signo != signo {
		return false
	}
	c.Signo, c.Code, c.Access, c.HasAddress, c.Address = signo, code, access, has, 0
	if has {
		c.Address = c.TrapAddress
	}
	c.SetParams()
	return true
}
