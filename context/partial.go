package context

import "encoding/binary"

// EncodeControl writes a CPU context record into dst, in byte order o (nil is little-endian), for a thread whose only known
// registers are the program counter and the stack pointer. /proc/PID/task/TID/syscall reports these two for a thread that another
// debugger traces. EncodeControl returns the length of the record, Arch.ContextSize, or 0 if dst is too small or the architecture unknown.
// All other registers are 0. It does not allocate.
//
// context_flags states that only the control registers are valid. The records of ARM, MIPS, MIPS64, PPC, PPC64, RISCV64 and
// LOONG64 have no bit for the control registers alone: their flags state that the integer registers are valid.
func EncodeControl(dst []byte, a Arch, o binary.ByteOrder, pc, sp uint64) int {
	l := a.info()
	n := encodeFlags(dst, l, isBig(o), l.cpuFlag|l.controlFlags)
	if n == 0 {
		return 0
	}
	for _, r := range [...]struct {
		i int
		v uint64
	}{{l.pc, pc}, {l.sp, sp}} {
		e := &l.regs[r.i]
		putN(isBig(o), dst, int(e.rec), int(e.recSize), r.v)
	}
	return n
}

// EncodeCall is EncodeControl for a thread whose frame pointer and link register are also known, as found by unwinding; 0 if not
// known or the architecture has none. The records of most architectures have no flag for the two.
func EncodeCall(dst []byte, a Arch, o binary.ByteOrder, pc, sp, fp, lr uint64) int {
	n := EncodeControl(dst, a, o, pc, sp)
	if n == 0 {
		return 0
	}
	l := a.info()
	if l.fp >= 0 && fp != 0 {
		e := &l.regs[l.fp]
		putN(isBig(o), dst, int(e.rec), int(e.recSize), fp)
	}
	if l.lr >= 0 && lr != 0 {
		e := &l.regs[l.lr]
		putN(isBig(o), dst, int(e.rec), int(e.recSize), lr)
	}
	return n
}

// EncodeEmpty writes into dst the CPU context record of a thread about which nothing is known: all 0 except context_flags, which
// names the CPU and states that no register is valid, and the version in the records that have one. It is for readers that reject
// a dump with a thread without a record. One record serves for all such threads. EncodeEmpty returns the same length as
// EncodeControl, and does not allocate.
func EncodeEmpty(dst []byte, a Arch, o binary.ByteOrder) int {
	l := a.info()
	return encodeFlags(dst, l, isBig(o), l.cpuFlag)
}

// encodeFlags clears a record in dst, sets its flags and version, and returns its length.
func encodeFlags(dst []byte, l *archInfo, big bool, flags uint32) int {
	if l.size == 0 || len(dst) < l.size {
		return 0
	}
	rec := dst[:l.size]
	clear(rec)
	putN(big, rec, l.flagsAt, l.flagsSize, uint64(flags))
	if l.versionAt != 0 {
		put32(big, rec[l.versionAt:], 1)
	}
	return l.size
}
