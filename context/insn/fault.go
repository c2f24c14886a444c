package insn

import (
	"encoding/binary"

	"minidump/context"
)

func init() { context.RegisterRefiner(Refine) }

// Operand is the memory operand of an instruction.
type Operand struct {
	Address    uint64 // the effective address; the target of an indirect branch through a register
	HasAddress bool   // false if the address is unknown: relative to the base of FS or GS, or the target of a return
	Size       int    // in bytes, 0 if the instruction does not state it

	Access context.Access // read-modify-write is a write, as the hardware reports it
	Text   string         // the instruction in GNU syntax; "" if there is no disassembler (MIPS, Thumb)

	// NonCanonical is set on amd64 for an address whose bits 47 to 63 are not all the same. Such an address raises a
	// general protection fault, and Linux does not report its address.
	NonCanonical bool
}

// Short names for the tables of instructions.
const (
	read  = context.AccessRead
	write = context.AccessWrite
)

// memOp is one access that an instruction makes.
type memOp struct {
	addr   uint64
	known  bool
	size   int
	access context.Access
}

// instruction is the result of the decoder of an architecture: first the accesses of operands that the instruction names, then
// those that it implies (the stack), then the target of an indirect branch as AccessExecute.
type instruction struct {
	text string
	ops  []memOp
}

func (i *instruction) add(addr uint64, size int, access context.Access) {
	i.ops = append(i.ops, memOp{addr, true, size, access})
}

func (i *instruction) addUnknown(size int, access context.Access) {
	i.ops = append(i.ops, memOp{0, false, size, access})
}

// nonCanonical reports whether no AMD64 process with 48-bit addresses can use addr. (A processor with 57-bit addresses may use
// it, but then it raises no general protection fault.)
func nonCanonical(a context.Arch, addr uint64) bool {
	return a == context.AMD64 && uint64(int64(addr<<16)>>16) != addr
}

// unreachableMIPS reports whether addr raises an address error in a program: it is outside of the user segment, which has at
// least 40 bits on every CPU with 64-bit registers (MIPS64 PRA, SEGBITS).
func unreachableMIPS(a context.Arch, addr uint64) bool {
	return a == context.MIPS && addr>>31 != 0 || a == context.MIPS64 && addr>>40 != 0
}

// Decode decodes the instruction at pc and computes its memory operand from the registers in rec, a CPU context record in byte
// order o (nil is little-endian). code has the bytes from pc on: 16 are enough for any architecture, and fewer if the instruction
// is shorter.
//
// If there are several operands, Decode returns the invalid one: a non-canonical address on amd64, then one that is not aligned
// to its size of 16 bytes or more. Otherwise it returns the first operand that the instruction names, or else the one that it
// implies. It returns false for an instruction without operands in memory, for bytes that are no instruction, and for a rec that
// context.Decode rejects. If pc itself is not canonical the operand is pc, and the access is to execute.
//
// It allocates, and is not for use in the hot path. It never panics, whatever the bytes.
func Decode(a context.Arch, o binary.ByteOrder, code []byte, pc uint64, rec []byte) (Operand, bool) {
	if nonCanonical(a, pc) {
		return Operand{Address: pc, HasAddress: true, Access: context.AccessExecute, NonCanonical: true}, true
	}
	inst := decodeInstruction(a, o, code, pc, rec)
	best := inst.suspect(a)
	if best < 0 {
		if len(inst.ops) == 0 {
			return Operand{}, false
		}
		best = 0
	}
	op := inst.ops[best]
	return Operand{op.addr, op.known, op.size, op.access, inst.text, op.known && nonCanonical(a, op.addr)}, true
}

// suspect returns the index of the operand that is invalid, -1 if there is none.
func (i *instruction) suspect(a context.Arch) int {
	if a == context.AMD64 {
		for n, op := range i.ops {
			if op.known && nonCanonical(a, op.addr) {
				return n
			}
		}
	}
	if a == context.MIPS || a == context.MIPS64 {
		for n, op := range i.ops {
			if op.known && (unreachableMIPS(a, op.addr) || op.size > 1 && op.addr&uint64(op.size-1) != 0) {
				return n
			}
		}
	}
	if a == context.AMD64 || a == context.X86 {
		for n, op := range i.ops {
			if op.known && op.size >= 16 && op.size&(op.size-1) == 0 && op.addr%uint64(op.size) != 0 {
				return n
			}
		}
	}
	return -1
}

// decodeInstruction calls the decoder of the architecture. It recovers from panics: the disassemblers of x/arch panic on some
// bytes.
func decodeInstruction(a context.Arch, o binary.ByteOrder, code []byte, pc uint64, rec []byte) (inst instruction) {
	cpu, err := context.Decode(a, rec, o)
	if err != nil || len(code) < 2 && a != context.X86 && a != context.AMD64 || len(code) == 0 {
		return instruction{}
	}
	code = code[:min(len(code), 16)]
	defer func() {
		if recover() != nil {
			inst = instruction{}
		}
	}()
	regs := make([]uint64, len(cpu.Registers))
	for i, r := range cpu.Registers {
		regs[i] = r.Value
	}
	if o == nil {
		o = binary.LittleEndian
	}
	switch a {
	case context.X86:
		inst = decodeX86(code, pc, regs, 32)
	case context.AMD64:
		inst = decodeX86(code, pc, regs, 64)
	case context.ARM:
		if regs[16]&psrT != 0 {
			inst = decodeThumb(code, pc, regs)
		} else {
			inst = decodeARM(code, pc, regs)
		}
	case context.ARM64:
		inst = decodeARM64(code, pc, regs)
	case context.MIPS, context.MIPS64:
		inst = decodeMIPS(code, regs, o)
	case context.PPC, context.PPC64:
		inst = decodePPC64(code, pc, regs, o)
	case context.RISCV64:
		inst = decodeRISCV64(code, pc, regs)
	case context.S390X:
		inst = decodeS390X(code, pc, regs)
	case context.LOONG64:
		inst = decodeLOONG64(code, regs)
	}
	if a.WordSize() == 4 {
		for i := range inst.ops {
			inst.ops[i].addr &= 0xffffffff
		}
	}
	return inst
}

// Refine adds what the instruction at c.PC reveals about a memory fault. code must start with the instruction at c.PC (see
// Decode). c must have its registers. context.Crash.Refine calls it.
//
//   - A general protection fault of x86 and amd64 (SI_KERNEL, no address): Address and Access of the invalid operand. If all
//     operands are valid, but the instruction branches to an address from a register, memory or the stack, Access is to execute,
//     and Address is set if the target is known to be non-canonical. Otherwise the fault has another reason (a privileged
//     instruction, a selector) and c is not changed.
//   - An address error of MIPS (SIGBUS with SI_KERNEL and no address): likewise, for the operand that is outside of the user
//     segment or not aligned.
//   - Any other fault whose Access is not known: the Access of the operand that contains Address. On s390x, where the hardware
//     reports only the page, Address is made exact too.
//
// It updates Params. Refine allocates.
func Refine(c *context.Crash, code []byte) {
	if !c.HasContext || !c.IsMemoryFault() {
		return
	}
	defer c.SetParams()
	if c.Code == context.SI_KERNEL {
		switch c.Arch {
		case context.X86, context.AMD64, context.MIPS, context.MIPS64:
			refineProtection(c, code)
		}
		return
	}
	if !c.HasAddress || (c.Access != context.AccessUnknown && c.Arch != context.S390X) {
		return
	}
	if c.Address == c.PC {
		c.Access = context.AccessExecute
		return
	}
	inst := decodeInstruction(c.Arch, c.Order(), code, c.PC, c.Record())
	for _, op := range inst.ops {
		if op.known && sameAddress(c, op) {
			if c.Access == context.AccessUnknown {
				c.Access = op.access
			}
			if c.Arch == context.S390X {
				c.Address = max(op.addr, c.Address&^0xfff)
			}
			return
		}
	}
}

// sameAddress reports whether the fault address lies in the operand.
func sameAddress(c *context.Crash, op memOp) bool {
	addr, start := c.Address, op.addr
	switch c.Arch {
	case context.S390X:
		// The kernel reports the page, with flags of its own in the low bits. An operand may extend into the next page.
		page := addr &^ 0xfff
		return page == start&^0xfff || page == (start+uint64(max(op.size, 1))-1)&^0xfff
	case context.ARM64:
		// The kernel removes the tag from the address that it reports.
		addr, start = addr<<8>>8, start<<8>>8
	}
	// Instructions of unknown size (vectors, multiple registers) may have the largest size.
	size := uint64(op.size)
	if size == 0 {
		size = 256
	}
	return addr-start < size
}

// refineProtection is Refine for a fault about which the kernel reports nothing more.
func refineProtection(c *context.Crash, code []byte) {
	if nonCanonical(c.Arch, c.PC) || unreachableMIPS(c.Arch, c.PC) {
		c.Address, c.HasAddress, c.Access = c.PC, true, context.AccessExecute
		return
	}
	inst := decodeInstruction(c.Arch, c.Order(), code, c.PC, c.Record())
	if n := inst.suspect(c.Arch); n >= 0 {
		c.Address, c.HasAddress, c.Access = inst.ops[n].addr, true, inst.ops[n].access
		return
	}
	for _, op := range inst.ops {
		if !op.known {
			c.Access = op.access
			return
		}
	}
}

// IsCall reports whether before, the bytes of code right before an address, end in a call, so that the address may be a return
// address; 16 bytes are enough for any architecture. It is a check, not a proof: on x86 and amd64 the end of another instruction
// may look like a call. On ARM a call in either A32 or T32 counts; on MIPS the call is the instruction before the delay slot. It
// never panics.
func IsCall(a context.Arch, o binary.ByteOrder, before []byte) (call bool) {
	defer func() {
		if recover() != nil {
			call = false
		}
	}()
	if o == nil {
		o = binary.LittleEndian
	}
	switch a {
	case context.X86:
		return isCallX86(before, 32)
	case context.AMD64:
		return isCallX86(before, 64)
	case context.ARM:
		return isCallARM(before)
	case context.ARM64:
		return isCallARM64(before)
	case context.MIPS, context.MIPS64:
		return isCallMIPS(before, o)
	case context.PPC, context.PPC64:
		return isCallPPC64(before, o)
	case context.RISCV64:
		return isCallRISCV64(before)
	case context.S390X:
		return isCallS390X(before)
	case context.LOONG64:
		return isCallLOONG64(before)
	}
	return false
}
