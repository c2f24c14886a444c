package context

// ThreadPointerRegset returns the type of the register set that ThreadPointer needs besides the general registers, and its
// maximum size in bytes; 0 for an architecture whose thread pointer is a general register.
func (a Arch) ThreadPointerRegset() (note uint32, size int) {
	switch a {
	case X86:
		return NT_386_TLS, 3 * userDescSize
	case ARM64:
		return NT_ARM_TLS, 8
	}
	return 0, 0
}

// userDescSize is the size of struct user_desc (asm/ldt.h): u32 entry_number, base_addr, limit, flags.
const userDescSize = 16

// ThreadPointer returns the thread pointer, by which a thread finds its thread-local storage: the base of FS on AMD64, of the
// segment in GS on X86, TPIDR_EL0 on ARM64, r13 on PPC64, tp on RISCV64 and LOONG64, access registers 0 and 1 on S390X. set is
// the content of the register set that ThreadPointerRegset names. The result is 0 if the register sets do not contain it: on ARM,
// MIPS and MIPS64 it is in a register that is in no set. It does not allocate.
func (r *Regsets) ThreadPointer(set []byte) uint64 {
	l, big := r.Arch.info(), isBig(r.Order)
	if l.size == 0 || len(r.GP) < l.gpSize {
		return 0
	}
	const gpX86GS, gpS390XACRs = 40, 144
	name := ""
	switch r.Arch {
	case AMD64:
		return get64(big, r.GP[gpAMD64FsBase:])
	case X86:
		// The set has the thread's three entries of the descriptor table; GS selects one.
		entry := get32(big, r.GP[gpX86GS:]) & 0xffff >> 3
		for ; len(set) >= userDescSize && entry != 0; set = set[userDescSize:] {
			if get32(big, set) == entry {
				return uint64(get32(big, set[4:]))
			}
		}
		return 0
	case ARM64:
		if len(set) < 8 {
			return 0
		}
		return get64(big, set)
	case S390X:
		return uint64(get32(big, r.GP[gpS390XACRs:]))<<32 | uint64(get32(big, r.GP[gpS390XACRs+4:]))
	case PPC64:
		name = "r13"
	case RISCV64, LOONG64:
		name = "tp"
	}
	for i := range l.regs {
		if l.regs[i].name == name {
			return r.value(l, i)
		}
	}
	return 0
}
