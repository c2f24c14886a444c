package stackwalk

import (
	"strconv"
	"strings"

	"minidump/context"
)

// Slots of Registers: the DWARF numbers of the general registers, which are below 32 on every architecture, and additional ones.
const (
	slotPC   = 32
	slotLR   = 33 // of PPC and PPC64, where it is not a general register
	numSlots = 34
	none     = -1
)

// archFacts holds what differs between architectures.
type archFacts struct {
	arch     context.Arch
	word     int // size of an address and of a register on the stack, in bytes
	mask     uint64
	names    [numSlots]string // as package context spells them
	sp, fp   int              // slots; fp is none if there is no convention
	lr       int              // slot of the link register, none if a call pushes the return address
	saved    uint64           // bit i: a call preserves slot i
	bias     uint64           // the CFA minus SP of the caller
	align    uint64           // of instructions, in bytes
	column   map[uint64]int   // slots of other DWARF numbers
	original int              // the DWARF number that is PC rather than a general register, none if there is none
}

// bits returns a mask with bits first to last set.
func bits(first, last int) uint64 { return 1<<(last+1) - 1<<first }

// numbers returns the names prefix+first to prefix+last, each followed by a space.
func numbers(prefix string, first, last int) string {
	var b strings.Builder
	for i := first; i <= last; i++ {
		b.WriteString(prefix + strconv.Itoa(i) + " ")
	}
	return b.String()
}

// facts has the architectures, with the register numbers of their psABI supplements. A name "-" means none.
var facts = map[context.Arch]*archFacts{
	context.AMD64: {names: named("rax rdx rcx rbx rsi rdi rbp rsp "+numbers("r", 8, 15), "rip", ""),
		sp: 7, fp: 6, lr: none, saved: 1<<3 | 1<<6 | bits(12, 15), align: 1, original: 16},
	context.X86: {names: named("eax ecx edx ebx esp ebp esi edi", "eip", ""),
		sp: 4, fp: 5, lr: none, saved: 1<<3 | bits(5, 7), align: 1, original: 8},
	context.ARM64: {names: named(numbers("x", 0, 28)+"fp lr sp", "pc", ""),
		sp: 31, fp: 29, lr: 30, saved: bits(19, 29), align: 4, original: 32},
	context.ARM: {names: named(numbers("r", 0, 10)+"fp ip sp lr", "pc", ""),
		sp: 13, fp: 11, lr: 14, saved: bits(4, 11), align: 2, original: 15},
	context.RISCV64: {names: named(riscvNames, "pc", ""),
		sp: 2, fp: 8, lr: 1, saved: 1 | bits(3, 4) | bits(8, 9) | bits(18, 27), align: 2, original: none},
	// The CFA is above the caller's SP by 160 bytes, the size of the register save area.
	context.S390X: {names: named(numbers("r", 0, 15)+"f0 f2 f4 f6 f1 f3 f5 f7 f8 f10 f12 f14 f9 f11 f13 f15", "pc", ""),
		sp: 15, fp: none, lr: 14, saved: bits(6, 13) | bits(24, 31), bias: 160, align: 2, original: 65},
	context.PPC64: {names: named(numbers("r", 0, 31), "pc", "lr"),
		sp: 1, fp: none, lr: slotLR, saved: 1<<2 | bits(13, 31), align: 4, original: none, column: columnsPPC},
	context.PPC: {names: named(numbers("r", 0, 31), "pc", "lr"),
		sp: 1, fp: none, lr: slotLR, saved: 1<<2 | bits(13, 31), align: 4, original: none, column: columnsPPC},
	context.MIPS: {names: named(mipsNames, "pc", ""),
		sp: 29, fp: none, lr: 31, saved: 1 | bits(16, 23) | 1<<28 | 1<<30, align: 4, original: none},
	context.MIPS64: {names: named(mipsNames, "pc", ""),
		sp: 29, fp: none, lr: 31, saved: 1 | bits(16, 23) | 1<<28 | 1<<30, align: 4, original: none},
	context.LOONG64: {names: named(loongNames, "pc", ""),
		sp: 3, fp: 22, lr: 1, saved: 1 | 1<<2 | bits(21, 31), align: 4, original: none},
}

// columnsPPC maps the numbers of the link register: 65 in .eh_frame, 108 in the old 32-bit ABI.
var columnsPPC = map[uint64]int{65: slotLR, 108: slotLR}

const riscvNames = "- ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6"

const loongNames = "zero ra tp sp a0 a1 a2 a3 a4 a5 a6 a7 t0 t1 t2 t3 t4 t5 t6 t7 t8 r21 fp s0 s1 s2 s3 s4 s5 s6 s7 s8"

const mipsNames = "zero at v0 v1 a0 a1 a2 a3 t0 t1 t2 t3 t4 t5 t6 t7 s0 s1 s2 s3 s4 s5 s6 s7 t8 t9 k0 k1 gp sp fp ra"

func named(general, pc, lr string) (names [numSlots]string) {
	for i, n := range strings.Fields(general) {
		if n != "-" {
			names[i] = n
		}
	}
	names[slotPC], names[slotLR] = pc, lr
	return names
}

func init() {
	for a, f := range facts {
		f.arch, f.word, f.mask = a, a.WordSize(), 1<<32-1
		if f.word == 8 {
			f.mask = 1<<64 - 1
		}
	}
}

func factsOf(a context.Arch) *archFacts { return facts[a] }

// slot returns the slot of a DWARF register number, or none if the register is not needed here.
func (a *archFacts) slot(number uint64) int {
	if a.original != none && number == uint64(a.original) {
		return slotPC
	}
	if number < 32 && (a.names[number] != "" || number == 0) {
		return int(number)
	}
	if s, ok := a.column[number]; ok {
		return s
	}
	return none
}

// start returns the registers of a thread.
func (a *archFacts) start(cpu *context.CPU) Registers {
	r := Registers{facts: a}
	for _, reg := range cpu.Known() {
		for i, n := range a.names {
			if n == reg.Name {
				r.put(i, reg.Value)
			}
		}
	}
	r.put(slotPC, cpu.PC)
	r.put(a.sp, cpu.SP)
	switch a.arch {
	case context.RISCV64:
		r.put(0, 0)
	case context.ARM: // the Thumb bit is in cpsr
		r.put(slotPC, cpu.PC&^1)
	}
	return r
}
