package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/arch/arm/armasm"
	"golang.org/x/arch/arm64/arm64asm"
	"golang.org/x/arch/loong64/loong64asm"
	"golang.org/x/arch/ppc64/ppc64asm"
	"golang.org/x/arch/riscv64/riscv64asm"
	"golang.org/x/arch/s390x/s390xasm"
	"golang.org/x/arch/x86/x86asm"

	"minidump/context"
	"minidump/context/insn"
	"minidump/stream"
)

// maxInstruction is the longest instruction in bytes, of x86.
const maxInstruction = 15

// readInstruction reads the instruction that faulted. The instruction and the registers in rec supply what the system
// did not report: the kind of access, and a non-canonical address.
func (d *dumpInfo) readInstruction(f *stream.File, rec []byte) {
	r := d.Reason
	if r.cpu == nil || rec == nil {
		return
	}
	pc := uint64(d.hex(r.cpu.PC))
	var b [maxInstruction + 1]byte
	code := b[:d.memory(f, pc, b[:])]
	arch := d.System.arch
	if arch == context.ARM && thumb(r.cpu) {
		code = nil // the disassembler does not support Thumb
	}
	r.Instruction = disassemble(arch, f.Order, code, pc)
	// Without code, Decode still recognises a pc that is not canonical.
	if op, ok := insn.Decode(arch, f.Order, code, pc, rec); ok {
		r.refine(&op)
	}
	r.explainAddress(uint32(d.System.PlatformID), arch)
}

// thumb reports whether an ARM processor was in Thumb state (bit T of the CPSR).
func thumb(cpu *context.CPU) bool {
	for _, r := range cpu.Registers {
		if r.Name == "cpsr" {
			return r.Value&0x20 != 0
		}
	}
	return false
}

// refine completes the reason of a memory fault by the operand of the instruction.
func (r *reason) refine(op *insn.Operand) {
	access := map[context.Access]string{context.AccessRead: "read", context.AccessWrite: "write",
		context.AccessExecute: "execute"}[op.Access]
	switch {
	case r.protection && op.NonCanonical && access != "":
		r.Access, r.note = access, ""
		r.fault(op.Address)
	case r.noCode && op.HasAddress && op.Address == uint64(r.Address):
		r.Access, r.note = access, ""
		r.fault(op.Address)
	case r.memory && r.Fault != nil && r.Access == "" && op.HasAddress:
		// Assume the longest size for instructions of unknown size (vectors, several registers).
		size := uint64(op.Size)
		if size == 0 {
			size = 256
		}
		if uint64(*r.Fault)-op.Address < size {
			r.Access = access
		}
	}
}

// explainAddress records what is special about the address of a memory fault.
func (r *reason) explainAddress(platform uint32, arch context.Arch) {
	if !r.memory || r.Fault == nil {
		return
	}
	address := uint64(*r.Fault)
	// No system maps the first page; Windows maps nothing in the first 64 KiB.
	first := uint64(4 << 10)
	if platform == stream.MD_OS_WIN32_NT {
		first = 64 << 10
	}
	switch {
	case address < first:
		r.AddressKind = "null pointer"
	case arch == context.AMD64 && uint64(int64(address<<16)>>16) != address:
		r.AddressKind = "non-canonical address"
	}
}

// disassemble returns the instruction in code, which was read at pc, in GNU syntax, or "" if that is not possible.
func disassemble(arch context.Arch, o binary.ByteOrder, code []byte, pc uint64) (text string) {
	defer func() {
		if recover() != nil { // the disassemblers panic on some bytes
			text = ""
		}
	}()
	text, err := disassembleWith(arch, o, code, pc)
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(text), " ")
}

func disassembleWith(arch context.Arch, o binary.ByteOrder, code []byte, pc uint64) (string, error) {
	switch arch {
	case context.AMD64, context.X86:
		i, err := x86asm.Decode(code, 8*arch.WordSize())
		return absoluteZero(x86asm.GNUSyntax(i, pc, nil)), err
	case context.ARM:
		i, err := armasm.Decode(code, armasm.ModeARM)
		return armasm.GNUSyntax(i), err
	case context.ARM64:
		i, err := arm64asm.Decode(code)
		return arm64asm.GNUSyntax(i), err
	case context.PPC64:
		i, err := ppc64asm.Decode(code, o)
		return ppc64asm.GNUSyntax(i, pc), err
	case context.S390X:
		i, err := s390xasm.Decode(code)
		return s390xasm.GNUSyntax(i, pc), err
	case context.RISCV64:
		i, err := riscv64asm.Decode(code)
		return riscv64asm.GNUSyntax(i), err
	case context.LOONG64:
		i, err := loong64asm.Decode(code)
		return loong64asm.GNUSyntax(i), err
	}
	return "", fmt.Errorf("no disassembler for %v", arch)
}

// absoluteZero inserts the operand that x86asm omits from "mov 0x0,%eax": a memory operand that is only a
// displacement of 0.
func absoluteZero(text string) string {
	text = strings.Replace(text, " ,", " 0x0,", 1)
	if strings.HasSuffix(text, ",") {
		text += "0x0"
	}
	return text
}
