package context

import (
	"encoding/binary"
	"errors"

	"minidump/internal/errtext"
)

// Register is one named register of a decoded CPU context.
type Register struct {
	Name  string
	Value uint64
}

// CPU is a decoded CPU context record. Registers are the integer and status registers, in the order of Regsets.Registers with the
// status words last. FP is the frame pointer by the platform's convention and LR the return address register; each is 0 if the
// architecture has none (FP: ppc, ppc64; LR: x86, amd64).
type CPU struct {
	Arch           Arch
	Flags          uint32 // context_flags
	PC, SP, FP, LR uint64
	Registers      []Register
}

// ErrContext is wrapped by the errors of Decode.
var ErrContext = errors.New("bad CPU context record")

// Decode reads the CPU context record at the start of rec. It ignores bytes beyond the record (the XSAVE area of Windows). For
// ARM64 it also reads Breakpad's old record, which it recognizes by its length of 796 bytes and its flags. The error wraps
// ErrContext: the record is too short, its flags name another CPU, or a is unknown.
func Decode(a Arch, rec []byte, o binary.ByteOrder) (*CPU, error) {
	l := a.info()
	if l.size == 0 {
		return nil, errtext.Explain(ErrContext, "unknown architecture ", int(a))
	}
	big := isBig(o)
	if a == ARM64 && len(rec) >= sizeOldARM64 && len(rec) < sizeARM64 && uint32(get64(big, rec))&flagOldARM64 != 0 {
		return decodeOldARM64(rec, big), nil
	}
	if len(rec) < l.size {
		return nil, errtext.Explain(ErrContext, len(rec), " bytes, but ", l.name, " needs ", l.size)
	}
	flags := uint32(getN(big, rec, l.flagsAt, l.flagsSize))
	if flags&l.cpuFlag == 0 {
		return nil, errtext.Explain(ErrContext, "flags ", errtext.Hex(flags), " are not those of ", l.name)
	}
	c := &CPU{Arch: a, Flags: flags, Registers: make([]Register, len(l.regs))}
	for i := range l.regs {
		e := &l.regs[i]
		c.Registers[i] = Register{e.name, getN(big, rec, int(e.rec), int(e.recSize))}
	}
	c.PC, c.SP, c.FP, c.LR = c.at(l.pc), c.at(l.sp), c.at(l.fp), c.at(l.lr)
	return c, nil
}

// Known returns those of c.Registers that context_flags states to be valid: usually all. For a record made by EncodeControl it
// returns the program counter and the stack pointer, for one made by EncodeCall also the frame pointer and the link register as
// far as they are set, and for one made by EncodeEmpty none.
func (c *CPU) Known() []Register {
	l := c.Arch.info()
	switch flags := c.Flags &^ l.cpuFlag; {
	case l.size == 0 || flags&l.gpFlags == 0 && c.Flags&flagOldARM64 == 0:
		return nil
	case flags&l.gpFlags == l.controlFlags && l.gpFlags != l.controlFlags:
		var known []Register
		for i, r := range c.Registers {
			if i == l.pc || i == l.sp || (i == l.fp || i == l.lr) && r.Value != 0 {
				known = append(known, r)
			}
		}
		return known
	}
	return c.Registers
}

// at returns the value of the register with index i, 0 for none.
func (c *CPU) at(i int) uint64 {
	if i < 0 {
		return 0
	}
	return c.Registers[i].Value
}

func decodeOldARM64(rec []byte, big bool) *CPU {
	l := ARM64.info()
	c := &CPU{Arch: ARM64, Flags: uint32(get64(big, rec)), Registers: make([]Register, len(l.regs))}
	for i := range 33 { // x0-x30 sp pc, in the order of the table
		c.Registers[i] = Register{l.regs[i].name, get64(big, rec[8+8*i:])}
	}
	c.Registers[33] = Register{l.regs[33].name, uint64(get32(big, rec[272:]))}
	c.PC, c.SP, c.FP, c.LR = c.at(l.pc), c.at(l.sp), c.at(l.fp), c.at(l.lr)
	return c
}

// IntegerRegisters is Regsets.Registers for a finished CPU context record. It does not allocate.
func IntegerRegisters(a Arch, rec []byte, o binary.ByteOrder, out []uint64) int {
	l := a.info()
	if l.size == 0 || len(rec) < l.size {
		return 0
	}
	big, n := isBig(o), 0
	for i := range l.regs {
		if e := &l.regs[i]; e.general && n < len(out) {
			out[n] = getN(big, rec, int(e.rec), int(e.recSize))
			n++
		}
	}
	return n
}
