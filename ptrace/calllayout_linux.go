package ptrace

import (
	"encoding/binary"
	"runtime"
	"strings"
)

const ntPRSTATUS = 1 // of linux/elf.h

// Results inside the kernel that request the restart of a system call (linux/errno.h).
const (
	erestartSys          = 512
	erestartRestartblock = 516
)

// A callLayout describes how a machine makes system calls: the offsets of the registers in NT_PRSTATUS, in bytes, and the
// instruction.
type callLayout struct {
	size        int // of NT_PRSTATUS
	word        int // of a register
	pc          int
	number      int    // the register of the call's number
	original    int    // the field that the kernel checks before it restarts a call; 0: NT_PRSTATUS has none
	none        uint64 // the value of original for no call
	result      int
	failed      int // the register whose failedBit marks result as an error number; 0: result is negative then
	args        [6]int
	instruction string
	thumb       string // the instruction in Thumb state
	step        int    // the alignment of instructions, in bytes
	immediate   bool   // the last byte of the instruction is the number of the call, unless it is 0
	state       int    // the register of the processor's state
	clean       uint64 // the bits of state that must be 0 before a jump to an instruction
	after       bool   // the pc of a thread in a system call is after the instruction, and the kernel moves it back later if necessary
	numbered    bool   // original is the number of the call, negative outside of one
	kept        uint32 // the register set of the word that the kernel checks before it restarts a call, 0 outside of one; 0: there is none
	place       numberPlace
	entered     int      // the register of the number at the entry, if place is numberInRegister
	restart     int64    // the number of restart_syscall, by which the kernel itself restarts a call here; -1: not here
	returns     bool     // that number must not be in a register: the thread must return to the kernel's own restart
	vectors     []uint32 // register sets that a system call does not preserve
}

// The layouts are those of struct user_regs_struct: arch/x86/include/asm/user_64.h, user_32.h,
// arch/arm64/include/uapi/asm/ptrace.h (user_pt_regs) and arch/riscv/include/uapi/asm/ptrace.h, and of struct pt_regs with the
// indices of arch/powerpc/include/uapi/asm/ptrace.h and arch/arm/include/uapi/asm/ptrace.h, and of s390_regs of
// arch/s390/include/uapi/asm/ptrace.h; system calls as in syscall(2).
//
// For a call that must be restarted, the kernel moves the pc back to the instruction: on arm64, riscv64 and arm before the thread
// stops for its tracer (do_signal of arch/arm64/kernel/signal.c and arch/arm/kernel/signal.c, arch_do_signal_or_restart of
// arch/riscv/kernel/signal.c since Linux 6.6), on x86, s390x and powerpc afterwards (arch_do_signal_or_restart of
// arch/x86/kernel/signal.c and arch/s390/kernel/signal.c, check_syscall_restart of arch/powerpc/kernel/signal.c).
//
// arm differs from arm64: its kernel restarts a call without returning to the process, and changes no register for that
// (do_work_pending). So the Caller sets a result of its own call that makes the kernel restart the thread's call.
//
// On s390x the number is in the instruction, or in gpr1 if the instruction has 0. At the entry it is in gpr2 (do_syscall of
// arch/s390/kernel/syscall.c), where a tracer can change it.
var (
	amd64Layout = callLayout{size: 27 * 8, word: 8, pc: 16 * 8, number: 10 * 8, original: 15 * 8, none: ^uint64(0), result: 10 * 8, after: true, numbered: true,
		instruction: "\x0f\x05", step: 1, restart: -1, args: [6]int{14 * 8, 13 * 8, 12 * 8, 7 * 8, 9 * 8, 8 * 8}}
	x86Layout = callLayout{size: 17 * 4, word: 4, pc: 12 * 4, number: 6 * 4, original: 11 * 4, none: ^uint64(0), result: 6 * 4, after: true, numbered: true,
		instruction: "\xcd\x80", step: 1, restart: -1, args: [6]int{0, 4, 8, 12, 16, 20}}
	// pstate contains the kind of the last branch, BTYPE, after which some instructions must not follow.
	arm64Layout = callLayout{size: 34 * 8, word: 8, pc: 32 * 8, number: 8 * 8, result: 0, place: numberInSet, restart: 128,
		state: 33 * 8, clean: 0xc00, vectors: []uint32{ntARMSVE, ntARMSSVE},
		instruction: "\x01\x00\x00\xd4", step: 4, args: [6]int{0, 8, 16, 24, 32, 40}}
	// cpsr contains how many instructions a Thumb condition still applies to (IT), and Jazelle state.
	armLayout = callLayout{size: 18 * 4, word: 4, pc: 15 * 4, number: 7 * 4, result: 0, place: armPlace(), restart: 0, returns: true,
		state: 16 * 4, clean: 0x0700fc00 | thumbState,
		instruction: "\x00\x00\x00\xef", thumb: "\x00\xdf", step: 4, args: [6]int{0, 4, 8, 12, 16, 20}}
	riscv64Layout = callLayout{size: 32 * 8, word: 8, pc: 0, number: 17 * 8, result: 10 * 8, place: numberInRegister, entered: 17 * 8, restart: 128,
		vectors:     []uint32{ntRISCVVector},
		instruction: "\x73\x00\x00\x00", step: 2, args: [6]int{10 * 8, 11 * 8, 12 * 8, 13 * 8, 14 * 8, 15 * 8}}
	s390xLayout = callLayout{size: 27 * 8, word: 8, pc: 8, number: 3 * 8, result: 4 * 8, after: true, kept: ntS390SystemCall,
		place: numberInRegister, entered: 4 * 8, restart: -1,
		instruction: "\x0a\x00", immediate: true, step: 2, args: [6]int{4 * 8, 5 * 8, 6 * 8, 7 * 8, 8 * 8, 9 * 8}}
	// trap is 0xc00 or 0x3000 in a system call. The instruction is sc; glibc may use scv, which returns errors in another way.
	ppc64Layout = callLayout{size: 48 * 8, word: 8, pc: 32 * 8, number: 0, original: 40 * 8, none: 0, result: 3 * 8, failed: 38 * 8, after: true,
		step: 4, restart: -1, args: [6]int{3 * 8, 4 * 8, 5 * 8, 6 * 8, 7 * 8, 8 * 8}}
)

const (
	failedBit    = 0x10000000 // the summary overflow bit of field 0 of the condition register
	thumbState   = 0x20       // PSR_T_BIT of cpsr
	s390xRestart = 7          // restart_syscall: its instruction is in the vDSO, and the kernel returns from it to the interrupted call
)

// armPlace returns where a tracer on this machine finds the number of a call of a 32-bit arm process.
func armPlace() numberPlace {
	if runtime.GOARCH == "arm64" {
		return numberInSet
	}
	return numberByRequest
}

// callLayoutOf returns the layout of a register set of size bytes on this machine; nil if no Caller works with it.
func callLayoutOf(size int) *callLayout {
	var l *callLayout
	switch runtime.GOARCH {
	case "amd64":
		if l = &amd64Layout; size == x86Layout.size {
			l = &x86Layout
		}
	case "386":
		l = &x86Layout
	case "arm64":
		if l = &arm64Layout; size == armLayout.size {
			l = &armLayout
		}
	case "arm":
		l = &armLayout
	case "ppc64", "ppc64le":
		l = &ppc64Layout
		if l.instruction = "\x02\x00\x00\x44"; runtime.GOARCH == "ppc64" {
			l.instruction = "\x44\x00\x00\x02"
		}
	case "riscv64":
		l = &riscv64Layout
	case "s390x":
		l = &s390xLayout
	}
	if l == nil || l.size != size {
		return nil
	}
	return l
}

// CanCall reports whether a Caller works with threads whose NT_PRSTATUS has size bytes.
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

// inCall reports whether a thread is in a system call, as far as its registers show that. kept is the word of register set l.kept.
func (l *callLayout) inCall(regs []byte, kept uint32) bool {
	return l.numbered && l.signed(regs, l.original) >= 0 || l.kept != 0 && kept != 0
}

// thumbBit returns 1 for a thread in Thumb state, else 0.
func (l *callLayout) thumbBit(regs []byte) uint64 {
	if l.thumb != "" && l.get(regs, l.state)&thumbState != 0 {
		return 1
	}
	return 0
}

// isCall reports whether b begins with a system call instruction, one of Thumb state if thumb is true.
func (l *callLayout) isCall(b []byte, thumb bool) bool {
	switch {
	case l.immediate:
		return len(b) >= 2 && b[0] == l.instruction[0] && b[1] != s390xRestart
	case l.thumb != "" && thumb:
		return strings.HasPrefix(string(b), l.thumb)
	}
	return strings.HasPrefix(string(b), l.instruction)
}

// find returns the offset of a system call instruction in a page of code. Bit 0 is set for one of Thumb state.
func (l *callLayout) find(code []byte) (offset uint64, ok bool) {
	for k := 0; k+len(l.instruction) <= len(code); k += l.step {
		if string(code[k:k+len(l.instruction)]) == l.instruction {
			return uint64(k), true
		}
	}
	for k := 0; l.thumb != "" && k+len(l.thumb) <= len(code); k += len(l.thumb) {
		if string(code[k:k+len(l.thumb)]) == l.thumb {
			return uint64(k) | 1, true
		}
	}
	return 0, false
}

// goTo changes the registers of a thread so that it is at the instruction at, in no system call.
func (l *callLayout) goTo(regs []byte, at uint64) {
	if l.original != 0 {
		l.set(regs, l.original, l.none)
	}
	if l.state != 0 {
		l.set(regs, l.state, l.get(regs, l.state)&^l.clean)
	}
	if l.thumb != "" && at&1 != 0 {
		l.set(regs, l.state, l.get(regs, l.state)|thumbState)
		at--
	}
	l.set(regs, l.pc, at)
}

// goOn changes the registers of a thread at its own system call so that the call continues by restart_syscall.
func (l *callLayout) goOn(regs []byte) {
	if !l.returns {
		l.set(regs, l.number, uint64(l.restart))
		return
	}
	length := len(l.instruction)
	if l.thumbBit(regs) != 0 {
		length = len(l.thumb)
	}
	l.set(regs, l.pc, l.get(regs, l.pc)+uint64(length))
	l.set(regs, l.result, ^uint64(erestartRestartblock-1))
}

// resultOf returns the result of a call, an error number as a negative value.
func (l *callLayout) resultOf(regs []byte) int64 {
	r := l.signed(regs, l.result)
	if l.failed != 0 && l.get(regs, l.failed)&failedBit != 0 {
		r = -r
	}
	return r
}

// put sets the number and the arguments of the call s.
func (l *callLayout) put(regs []byte, s *SystemCall) {
	for i, off := range l.args {
		l.set(regs, off, s.Args[i])
	}
	l.set(regs, l.number, s.Number)
}
