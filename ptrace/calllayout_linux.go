package ptrace

import (
	"encoding/binary"
	"runtime"
)

// Note types of linux/elf.h.
const (
	ntPRSTATUS      = 1
	ntARMSystemCall = 0x404
)

// A callLayout says how a machine makes system calls: where in NT_PRSTATUS the registers are, by their offset in bytes, and what
// the instruction is.
type callLayout struct {
	size        int // of NT_PRSTATUS
	word        int // of a register
	pc          int
	number      int    // the register that has the number of the call
	original    int    // what the kernel looks at before it restarts a call; -1: NT_PRSTATUS has none
	none        uint64 // its value for no call
	result      int
	failed      int // the register that says that result is an error number, by failedBit; 0: result is negative then
	args        [6]int
	instruction string
	after       bool // a thread in a system call stands after the instruction, and the kernel moves it back later if need be
	numbered    bool // original is the number of the call, negative outside of one
	separate    bool // the kernel has the number in a register set of its own, NT_ARM_SYSTEM_CALL
}

// The layouts are those of struct user_regs_struct: arch/x86/include/asm/user_64.h, user_32.h, and
// arch/arm64/include/uapi/asm/ptrace.h (user_pt_regs), and of struct pt_regs with the indices of
// arch/powerpc/include/uapi/asm/ptrace.h; system calls as in syscall(2).
//
// On arm64 a call that is to be restarted is moved back before the thread stops for its tracer (do_signal of
// arch/arm64/kernel/signal.c), on x86 and
// powerpc afterwards (arch_do_signal_or_restart of arch/x86/kernel/signal.c, check_syscall_restart of arch/powerpc/kernel/signal.c).
var (
	amd64Layout = callLayout{size: 27 * 8, word: 8, pc: 16 * 8, number: 10 * 8, original: 15 * 8, none: ^uint64(0), result: 10 * 8, after: true, numbered: true,
		instruction: "\x0f\x05", args: [6]int{14 * 8, 13 * 8, 12 * 8, 7 * 8, 9 * 8, 8 * 8}}
	x86Layout = callLayout{size: 17 * 4, word: 4, pc: 12 * 4, number: 6 * 4, original: 11 * 4, none: ^uint64(0), result: 6 * 4, after: true, numbered: true,
		instruction: "\xcd\x80", args: [6]int{0, 4, 8, 12, 16, 20}}
	arm64Layout = callLayout{size: 34 * 8, word: 8, pc: 32 * 8, number: 8 * 8, original: -1, result: 0, separate: true,
		instruction: "\x01\x00\x00\xd4", args: [6]int{0, 8, 16, 24, 32, 40}}
	// trap is 0xc00 or 0x3000 in a system call. The instruction is sc; glibc may use scv, whose results are others.
	ppc64Layout = callLayout{size: 48 * 8, word: 8, pc: 32 * 8, number: 0, original: 40 * 8, none: 0, result: 3 * 8, failed: 38 * 8, after: true,
		args: [6]int{3 * 8, 4 * 8, 5 * 8, 6 * 8, 7 * 8, 8 * 8}}
)

// failedBit is the summary overflow bit of field 0 of the condition register.
const failedBit = 0x10000000

// callLayoutOf returns the layout of a register set of size bytes on this machine; nil: no Caller works with it.
func callLayoutOf(size int) *callLayout {
	switch {
	case runtime.GOARCH == "amd64" && size == amd64Layout.size:
		return &amd64Layout
	case (runtime.GOARCH == "amd64" || runtime.GOARCH == "386") && size == x86Layout.size:
		return &x86Layout
	case runtime.GOARCH == "arm64" && size == arm64Layout.size:
		return &arm64Layout
	case (runtime.GOARCH == "ppc64" || runtime.GOARCH == "ppc64le") && size == ppc64Layout.size:
		if ppc64Layout.instruction = "\x02\x00\x00\x44"; runtime.GOARCH == "ppc64" {
			ppc64Layout.instruction = "\x44\x00\x00\x02"
		}
		return &ppc64Layout
	}
	return nil
}

// CanCall reports whether a Caller can be used with threads whose NT_PRSTATUS has size bytes.
func CanCall(size int) bool { return callLayoutOf(size) != nil }

func (l *callLayout) get(regs []byte, off int) uint64 {
	if l.word == 4 {
		return uint64(binary.NativeEndian.Uint32(regs[off:]))
	}
	return binary.NativeEndian.Uint64(regs[off:])
}

func (l *callLayout) signed(regs []byte, off int) int64 {
	if l.word == 4 {
		return int64(int32(binary.NativeEndian.Uint32(regs[off:])))
	}
	return int64(binary.NativeEndian.Uint64(regs[off:]))
}

func (l *callLayout) set(regs []byte, off int, v uint64) {
	if l.word == 4 {
		binary.NativeEndian.PutUint32(regs[off:], uint32(v))
		return
	}
	binary.NativeEndian.PutUint64(regs[off:], v)
}

// resultOf returns the result of a call, an error number as a negative value.
func (l *callLayout) resultOf(regs []byte) int64 {
	r := l.signed(regs, l.result)
	if l.failed != 0 && l.get(regs, l.failed)&failedBit != 0 {
		r = -r
	}
	return r
}

// put sets the number and the arguments.
func (l *callLayout) put(regs []byte, s *SystemCall) {
	for i, off := range l.args {
		l.set(regs, off, s.Args[i])
	}
	l.set(regs, l.number, s.Number)
}
