package context

// frame reads the registers in a signal frame's ucontext and converts them to the form of the kernel's register sets, so that
// Regsets makes the record.
type frame struct {
	big     bool
	uc      []byte
	fpstate []byte

	gp    [384]byte // as NT_PRSTATUS; the largest is that of PPC64
	fp    []byte    // as named by Arch.FPRegset
	extra []byte    // as Regsets.Extra

	// fpBuf is memory for a set that must be assembled, and fpLen the number of bytes in use. fp does not point to fpBuf: that
	// would move the frame to the heap.
	fpBuf [fpsimdSize]byte
	fpLen int

	// vmxBuf and vmxLen are the same for extra.
	vmxBuf [vmxSize]byte
	vmxLen int

	trapNo, errorCode, trapAddress uint64
	access                         Access // as the hardware reports it; stale if the signal was sent
}

// ucontextSize returns the minimum size in bytes of a ucontext that contains the integer registers.
func ucontextSize(a Arch) int {
	switch a {
	case X86:
		return ucX86Size
	case AMD64:
		return ucAMD64Size
	case ARM:
		return ucARMSize
	case ARM64:
		return ucARM64Size
	case MIPS:
		return ucMIPSSize
	case MIPS64:
		return ucMIPS64Size
	case PPC:
		return ucPPCSize
	case PPC64:
		return ucPPC64Size
	case RISCV64:
		return ucRISCV64Size
	case S390X:
		return ucS390XSize
	case LOONG64:
		return ucLOONG64Size
	}
	return 0
}

// read fills in the other fields from uc, which has at least ucontextSize bytes.
func (f *frame) read(a Arch) {
	switch a {
	case X86:
		f.readX86()
	case AMD64:
		f.readAMD64()
	case ARM:
		f.readARM()
	case ARM64:
		f.readARM64()
	case MIPS:
		f.readMIPS()
	case MIPS64:
		f.readMIPS64()
	case PPC:
		f.readPPC()
	case PPC64:
		f.readPPC64()
	case RISCV64:
		f.readRISCV64()
	case S390X:
		f.readS390X()
	case LOONG64:
		f.readLOONG64()
	}
	if f.fp == nil && f.fpLen == 0 && a != X86 && a != AMD64 && a != ARM64 { // readX86, readAMD64 and readARM64 have read it
		f.fp = f.fpstate
	}
}

// floats returns the floating-point set, nil if the frame has none.
func (f *frame) floats() []byte {
	if f.fpLen > 0 {
		return f.fpBuf[:f.fpLen]
	}
	return f.fp
}

// vectors returns the set of Regsets.Extra, nil if the frame has none.
func (f *frame) vectors() []byte {
	if f.vmxLen > 0 {
		return f.vmxBuf[:f.vmxLen]
	}
	return f.extra
}

// tail returns size bytes at off, nil if the ucontext does not reach that far.
func (f *frame) tail(off, size int) []byte {
	if off < 0 || off > len(f.uc) || size > len(f.uc)-off {
		return nil
	}
	return f.uc[off : off+size]
}

// record returns the record with the given magic number in a chain of records; each starts with its magic number and its size,
// both u32. The chain starts at off and ends at magic 0, at the end of the ucontext, or with the first invalid record.
func (f *frame) record(off int, magic uint32) []byte { return findRecord(f.big, f.uc, off, magic) }

// findRecord is frame.record without a frame value, which is too large for the stack of a search.
func findRecord(big bool, uc []byte, off int, magic uint32) []byte {
	for off >= 0 && off <= len(uc)-8 {
		m, size := get32(big, uc[off:]), int64(get32(big, uc[off+4:]))
		if m == 0 || size < 8 || size > int64(len(uc)-off) {
			break
		}
		if m == magic {
			return uc[off : off+int(size)]
		}
		off += int(size)
	}
	return nil
}
