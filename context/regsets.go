package context

import "encoding/binary"

// MaxContextSize is the size in bytes of the largest CPU context record, that of AMD64.
const MaxContextSize = sizeAMD64

// MaxRegisters is the most that Registers gives for any architecture.
const MaxRegisters = 40

// Regsets are the raw register sets of one thread, as the kernel (ptrace or core notes) gives them. None of its methods
// allocates, and none keeps a reference to the slices.
type Regsets struct {
	Arch  Arch
	Order binary.ByteOrder // of the thread, and so of the record; nil is little-endian

	// GP is the NT_PRSTATUS set (elf_gregset_t, without the rest of a core file's prstatus).
	GP []byte

	// FP is the set that Arch.FPRegset names; for X86 the 108-byte NT_PRFPREG set does too. nil when it could not be read:
	// the record's flags then say that it has no floating-point registers.
	FP []byte

	// Extra has registers that no other set has, where the record has room for them; nil if there are none.
	//
	//   - MIPS: NT_MIPS_DSP, 7 words of 4 bytes (hi1 lo1 hi2 lo2 hi3 lo3 dspcontrol); MIPS64: 7 words of 8 bytes.
	//   - PPC64: NT_PPC_VMX, 34 entries of 16 bytes (vr0-31, vscr, vrsave).
	//   - S390X: NT_S390_VXRS_LOW (16×8 bytes) followed by NT_S390_VXRS_HIGH (16×16 bytes).
	Extra []byte

	// Debug are dr0 to dr7 (X86 and AMD64), nil when DR7 is 0 and so none is in use.
	Debug *[8]uint64
}

// probe tells a big-endian ByteOrder from a little-endian one, binary.NativeEndian included.
var probe = [2]byte{0, 1}

// isBig says whether o is big-endian. The reads and writes of this package are then made through the two concrete types:
// a call through the interface would force what is read or written onto the heap.
func isBig(o binary.ByteOrder) bool {
	return o != nil && o.Uint16(probe[:]) == 1
}

// order is the inverse of isBig.
func order(big bool) binary.ByteOrder {
	if big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Numbers of either byte order. None is inlined: that made Encode twice as large and hardly faster.

//go:noinline
func get16(big bool, b []byte) uint16 {
	if big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

//go:noinline
func get32(big bool, b []byte) uint32 {
	if big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

//go:noinline
func get64(big bool, b []byte) uint64 {
	if big {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

//go:noinline
func put32(big bool, b []byte, v uint32) {
	if big {
		binary.BigEndian.PutUint32(b, v)
	} else {
		binary.LittleEndian.PutUint32(b, v)
	}
}

//go:noinline
func put64(big bool, b []byte, v uint64) {
	if big {
		binary.BigEndian.PutUint64(b, v)
	} else {
		binary.LittleEndian.PutUint64(b, v)
	}
}

// getN reads a value of size 2, 4 or 8 at off. The caller has checked the bounds.
func getN(big bool, b []byte, off, size int) uint64 {
	switch size {
	case 2:
		return uint64(get16(big, b[off:]))
	case 4:
		return uint64(get32(big, b[off:]))
	}
	return get64(big, b[off:])
}

// putN writes the low size bytes of v at off.
func putN(big bool, b []byte, off, size int, v uint64) {
	switch size {
	case 2:
		if big {
			binary.BigEndian.PutUint16(b[off:], uint16(v))
		} else {
			binary.LittleEndian.PutUint16(b[off:], uint16(v))
		}
	case 4:
		put32(big, b[off:], uint32(v))
	default:
		put64(big, b[off:], v)
	}
}

// value is the register with index i in the layout, 0 if there is none or GP is too short.
func (r *Regsets) value(l *layout, i int) uint64 {
	if i < 0 || i >= len(l.regs) || len(r.GP) < l.gpSize {
		return 0
	}
	e := &l.regs[i]
	if e.gp == noGP {
		return 0
	}
	return getN(isBig(r.Order), r.GP, int(e.gp), int(e.gpSize))
}

// PC is the program counter, 0 when GP is too short to tell.
func (r *Regsets) PC() uint64 {
	l := r.Arch.layout()
	return r.value(l, l.pc)
}

// SP is the stack pointer, 0 when GP is too short to tell.
func (r *Regsets) SP() uint64 {
	l := r.Arch.layout()
	return r.value(l, l.sp)
}

// GoG says where the g of the goroutine is that a Go program runs on this thread. With fsBase false, g is the address
// of the g itself, out of the register that Go's ABI sets aside: R10 on arm, R28 on arm64, R22 on loong64, R30 on mips,
// mips64 and ppc64, X27 on riscv64, R13 on s390x. With fsBase true (amd64) it is the address of the word that holds that
// address, which is 8 below the base of FS. 0 means that it can't be told from the registers: on x86 the word lies in
// thread-local storage, of which the register set has only the selector; and a thread that has no FS base runs no Go.
//
// In a thread that runs C code the register may hold anything: check what it points to before use.
func (r *Regsets) GoG() (g uint64, fsBase bool) {
	l := r.Arch.layout()
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

// Registers puts the integer registers that may hold an address into out and returns how many there were: as many as fit.
// The order is that of the architecture's own numbering, the stack pointer in its place, then the program counter, then
// link and count registers that have no number; it is the order of Decode's Registers with the status words left out.
func (r *Regsets) Registers(out []uint64) int {
	l := r.Arch.layout()
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

// Encode writes the CPU context record into dst, in r.Order, and returns its length, Arch.ContextSize. It returns 0 and
// writes nothing when dst is too small, GP is too short or the architecture unknown. A set that is too short for what the
// record takes from it (FP, Extra) counts as absent.
func (r *Regsets) Encode(dst []byte) int {
	l := r.Arch.layout()
	if l.size == 0 || len(dst) < l.size || len(r.GP) < l.gpSize {
		return 0
	}
	rec := dst[:l.size]
	clear(rec)
	big := isBig(r.Order)
	for i := range l.regs {
		e := &l.regs[i]
		if e.gp != noGP {
			putN(big, rec, int(e.rec), int(e.recSize), getN(big, r.GP, int(e.gp), int(e.gpSize)))
		}
	}
	flags := l.cpuFlag | l.gpFlags
	switch r.Arch {
	case X86:
		flags |= encodeX86(rec, r.FP, r.Debug, big)
	case AMD64:
		flags |= encodeAMD64(rec, r.FP, r.Debug, big)
	case ARM:
		flags |= encodeARM(rec, r.FP, big)
	case ARM64:
		flags |= encodeARM64(rec, r.FP, big)
	case MIPS, MIPS64:
		flags |= encodeMIPS(rec, r.FP, r.Extra, l.wordSize, big)
	case PPC64:
		flags |= encodePPC64(rec, r.FP, r.Extra, big)
	case RISCV64:
		flags |= encodeRISCV64(rec, r.FP)
	case S390X:
		flags |= encodeS390X(rec, r.FP, r.Extra)
	case LOONG64:
		flags |= encodeLOONG64(rec, r.FP)
	}
	putN(big, rec, l.flagsAt, l.flagsSize, uint64(flags))
	return l.size
}
