package ptrace

import (
	"encoding/binary"
	"unsafe"

	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// Requests and register sets by which a tracer learns and sets the number of a system call, and what the kernel restarts: of
// linux/ptrace.h, arch/arm/include/uapi/asm/ptrace.h and linux/elf.h.
const (
	ptraceSyscallInfo      = 0x420e // PTRACE_GET_SYSCALL_INFO, since Linux 5.3
	ptraceSyscallInfoEntry = 1
	ptraceSetSyscall       = 23 // PTRACE_SET_SYSCALL, of arm
	ntARMSystemCall        = 0x404
	ntARMSVE               = 0x405
	ntARMSSVE              = 0x40b
	ntS390SystemCall       = 0x307
	ntRISCVVector          = 0x901
)

// A numberPlace says where the number of a system call is, for a tracer that has stopped the thread at the call's entry.
type numberPlace int

const (
	numberAsSet      numberPlace = iota // nowhere else than before the instruction
	numberInRegister                    // in NT_PRSTATUS
	numberInSet                         // in NT_ARM_SYSTEM_CALL
	numberByRequest                     // in the kernel: PTRACE_GET_SYSCALL_INFO, PTRACE_SET_SYSCALL
)

// enteredNumber returns the number of the system call that a thread is entering, which is set if the machine has no other.
func (c *Caller) enteredNumber(tid int32, set uint64) (number uint64, errno sys.Errno) {
	switch c.layout.place {
	case numberInRegister:
		if n, e := c.t.Regset(tid, ntPRSTATUS, c.work[:]); e != 0 || n != c.length {
			return 0, unix.EIO
		}
		return c.layout.get(c.work[:], c.layout.entered), 0
	case numberInSet:
		word, e := c.word32(tid, ntARMSystemCall)
		return uint64(word), e
	case numberByRequest:
		if e := c.readSyscallInfo(tid); e != 0 {
			return 0, e
		}
		if *(*uint8)(unsafe.Pointer(&c.info)) != ptraceSyscallInfoEntry {
			return 0, unix.EIO
		}
		return c.info[3], 0 // entry.nr
	}
	return set, 0
}

// setNumber sets the number of the system call that a thread is entering, of which enteredNumber was asked.
func (c *Caller) setNumber(tid int32, number uint64) sys.Errno {
	switch c.layout.place {
	case numberInRegister:
		c.layout.set(c.work[:], c.layout.entered, number)
		return c.setRegs(tid, c.work[:c.length])
	case numberInSet:
		return c.setWord32(tid, ntARMSystemCall, uint32(number))
	}
	return sys.Ptrace(ptraceSetSyscall, int(tid), 0, uintptr(number))
}

// readSyscallInfo reads struct ptrace_syscall_info of a thread.
func (c *Caller) readSyscallInfo(tid int32) sys.Errno {
	return sys.Ptrace(ptraceSyscallInfo, int(tid), unsafe.Sizeof(c.info), uintptr(unsafe.Pointer(&c.info)))
}

// readRestart reads what the kernel will look at to restart the system call of a thread, as far as that is not in its
// registers. It reports whether the thread can be given that back after another call.
func (c *Caller) readRestart(tid int32) bool {
	l := c.layout
	if l.kept != 0 {
		var e sys.Errno
		c.kept, e = c.word32(tid, l.kept)
		return e == 0
	}
	if l.place == numberByRequest && c.readSyscallInfo(tid) != 0 {
		return false
	}
	// Where the kernel moves a call back before the stop, a thread that comes out of a call with one of these results is taken
	// for one to move back. It has the value by chance, or, on riscv64 before Linux 6.6, is to be moved back by what a tracer
	// can't see.
	r := l.signed(c.before[:], l.result)
	return l.after || r > -erestartSys || r < -erestartRestartblock
}

// setRestart sets what readRestart has read.
func (c *Caller) setRestart(tid int32, word uint32) sys.Errno {
	if c.layout.kept == 0 {
		return 0
	}
	return c.setWord32(tid, c.layout.kept, word)
}

// losesVectors reports whether a system call takes vector registers from a thread that does not stand in or before one: those of
// SVE and SME on arm64, which are in use as the flag SVE_PT_REGS_SVE says (arch/arm64/include/uapi/asm/ptrace.h), and those of
// extension V on riscv64, where only a thread that uses it has the set.
func (c *Caller) losesVectors(tid int32) bool {
	for _, note := range c.layout.vectors {
		head := unsafe.Slice((*byte)(unsafe.Pointer(&c.config)), 16) // struct user_sve_header
		n, e := c.t.Regset(tid, note, head)
		if e == 0 && (note == ntRISCVVector || n == 16 && binary.NativeEndian.Uint16(head[12:])&1 != 0) {
			return true
		}
	}
	return false
}

// word32 reads a register set of 32 bits.
func (c *Caller) word32(tid int32, note uint32) (uint32, sys.Errno) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(&c.word)), 4)
	n, e := c.t.Regset(tid, note, b)
	if e == 0 && n != len(b) {
		e = unix.EIO
	}
	return binary.NativeEndian.Uint32(b), e
}

func (c *Caller) setWord32(tid int32, note, word uint32) sys.Errno {
	b := unsafe.Slice((*byte)(unsafe.Pointer(&c.word)), 4)
	binary.NativeEndian.PutUint32(b, word)
	return c.setRegset(tid, note, b)
}
