package context

import "encoding/binary"

// MaxContextSize is the size in bytes of the largest CPU context record, that of AMD64.
const MaxContextSize = sizeAMD64

// MaxRegisters is the largest number of registers that Registers returns for any architecture.
const MaxRegisters = 40

// Regsets are the raw register sets of one thread, as the kernel provides them (ptrace or core notes). None of its methods
// allocates or keeps a reference to the slices.
type Regsets struct {
	Arch  Arch
	Order binary.ByteOrder // of the thread, and so of the record; nil is little-endian

	// GP is the NT_PRSTATUS set (elf_gregset_t, without the rest of a core file's prstatus).
	GP []byte

	// FP is the set that Arch.FPRegset names; for X86 the 108-byte NT_PRFPREG set is accepted too. nil if it could not be read:
	// the flags of the record then state that it has no floating-point registers.
	FP []byte

	// Extra contains registers that no other set has, if the record has fields for them; nil if there are none.
	//
	//   - MIPS: NT_MIPS_DSP, 7 words of 4 bytes (hi1 lo1 hi2 lo2 hi3 lo3 dspcontrol); MIPS64: 7 words of 8 bytes.
	//   - PPC and PPC64: NT_PPC_VMX, 34 entries of 16 bytes (vr0-31, vscr, vrsave).
	//   - S390X: NT_S390_VXRS_LOW (16×8 bytes) followed by NT_S390_VXRS_HIGH (16×16 bytes).
	Extra []byte

	// Debug are dr0 to dr7 (X86 and AMD64), nil if DR7 is 0, that is, if none is in use.
	Debug *[8]uint64
}

// valueOf returns the register with index i in a general register set, 0 if there is none or gp is too short.
func (l *archInfo) valueOf(big bool, gp []byte, i int) uint64 {
	if i < 0 || i >= len(l.regs) || len(gp) < l.gpSize {
		return 0
	}
	e := &l.regs[i]
	if e.gp == noGP {
		return 0
	}
	return getN(big, gp, int(e.gp), int(e.gpSize))
}

// value returns the register with index i, 0 if there is none or GP is too short.
func (r *Regsets) value(l *archInfo, i int) uint64 { return l.valueOf(isBig(r.Order), r.GP, i) }

// PC returns the program counter, 0 if GP is too short.
func (r *Regsets) PC() uint64 {
	l := r.Arch.info()
	return r.value(l, l.pc)
}

// SP returns the stack pointer, 0 if GP is too short.
func (r *Regsets) SP() uint64 {
	l := r.Arch.info()
	return r.value(l, l.sp)
}

// LR returns the link register, 0 if the architecture has none or GP is too short.
func (r *Regsets) LR() uint64 {
	l := r.Arch.info()
	return r.value(l, l.lr)
}

// GoG returns where the g of the goroutine is that a Go program runs on this thread. If fsBase is false, the result is the
// address of the g itself, from the register that Go's ABI reserves: R10 on arm, R28 on arm64, R22 on loong64, R30 on mips,
// mips64 and ppc64, X27 on riscv64, R13 on s390x. If fsBase is true (amd64), it is the address of the word that contains the
// address of the g, 8 below the base of FS. 0 means that the registers do not reveal it: on x86 the word is in thread-local
// storage, and the register set has only its selector; and a thread without an FS base runs no Go.
//
// In a thread that runs C code the register may contain anything: check what it points to before use.
func (r *Regsets) GoG() (g uint64, fsBase bool) {
	l := r.Arch.info()
	if r.Arch == AMD64 {
		if len(r.GP) < l.gpSize {
			return 0, false
		}
		base := get64(isBig(r.Order), r.GP[gpAMD64FsBase:])
		if base < 8 {
			return 0, false
		}
		return base - 8, true
	}
	return r.value(l, l.g), false
}

// Registers puts the integer registers that may be an address into out, as many as fit, and returns their number. The order is
// that of the architecture's own numbering, with the stack pointer in its place, then the program counter, then link and count
// registers that have no number. It is the order of Decode's Registers without the status words.
func (r *Regsets) Registers(out []uint64) int {
	l := r.Arch.info()
	if l.size == 0 || len(r.GP) < l.gpSize {
		return 0
	}
	big := isBig(r.Order)
	n := 0
	for i := range l.regs {
		e := &l.regs[i]
		if !e.general || e.gp == noGP {
			continue
		}
		if n == len(out) {
			break
		}
		out[n] = getN(big, r.GP, int(e.gp), int(e.gpSize))
		n++
	}
	return n
}

// Encode writes the CPU context record into dst, in r.Order, and returns its length, Arch.ContextSize. It returns 0 and writes
// nothing if dst is too small, GP is too short or the architecture is unknown. A set that is shorter than the record requires
// (FP, Extra) counts as absent.
func (r *Regsets) Encode(dst []byte) int {
	return encode(dst, r.Arch, isBig(r.Order), r.GP, r.FP, r.Extra, r.Debug)
}

// encode is Regsets.Encode with the fields as separate parameters: Order, an interface, would force the memory that the other
// fields refer to onto the heap.
func encode(dst []byte, a Arch, big bool, gp, fp, extra []byte, debug *[8]uint64) int {
	l := a.info()
	if l.size == 0 || len(dst) < l.size || len(gp) < l.gpSize {
		return 0
	}
	rec := dst[:l.size]
	clear(rec)
	for i := range l.regs {
		e := &l.regs[i]
		if e.gp != noGP {
			putN(big, rec, int(e.rec), int(e.recSize), getN(big, gp, int(e.gp), int(e.gpSize)))
		}
	}
	flags := l.cpuFlag | l.gpFlags
	switch a {
	case X86:
		flags |= encodeX86(rec, fp, debug, big)
	case AMD64:
		flags |= encodeAMD64(rec, fp, debug, big)
	case ARM:
		flags |= encodeARM(rec, fp, big)
	case ARM64:
		flags |= encodeARM64(rec, fp, big)
	case MIPS, MIPS64:
		flags |= encodeMIPS(rec, fp, extra, l.wordSize, big)
	case PPC:
		flags |= encodePPC(rec, fp, extra, big)
	case PPC64:
		flags |= encodePPC64(rec, fp, extra, big)
	case RISCV64:
		flags |= encodeRISCV64(rec, fp)
	case S390X:
		flags |= encodeS390X(rec, fp, extra)
	case LOONG64:
		flags |= encodeLOONG64(rec, fp)
	}
	putN(big, rec, l.flagsAt, l.flagsSize, uint64(flags))
	return l.size
}
