package ptrace

import (
	"encoding/binary"
	"unsafe"

	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// Requests and register sets by which a tracer reads and sets the number of a system call, and which call the kernel restarts:
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

// A numberPlace is the place of a system call's number for a tracer that has stopped the thread at the call's entry.
type numberPlace int

const (
	numberAsSet      numberPlace = iota // the same as before the instruction
	numberInRegister                    // in NT_PRSTATUS
	numberInSet                         // in NT_ARM_SYSTEM_CALL
	numberByRequest                     // in the kernel: PTRACE_GET_SYSCALL_INFO, PTRACE_SET_SYSCALL
)

// enteredNumber returns the number of the system call that a thread is entering: set, if the machine has no other place for it.
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

// setNumber sets the number of the system call that a thread is entering, after enteredNumber has read it.
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

// readRestart reads the state that the kernel checks to restart a thread's system call and that is not in the thread's registers.
// It reports whether this state can be restored after another call.
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
	// Where the kernel moves the pc back before the stop, it would also do so for a thread that returns from the Caller's call with
	// one of these results restored. The thread has that value by chance, or, on riscv64 before Linux 6.6, because the kernel will
	// restart its call, by state that a tracer can't see.
	r := l.signed(c.before[:], l.result)
	return l.after || r > -erestartSys || r < -erestartRestartblock
}

// setRestart sets the word that readRestart reads.
func (c *Caller) setRestart(tid int32, word uint32) sys.Errno {
	if c.layout.kept == 0 {
		return 0
	}
	return c.setWord32(tid, c.layout.kept, word)
}

// losesVectors reports whether a system call would destroy vector registers of a thread that is not in or before one: those of SVE
// and SME on arm64, which are in use if SVE_PT_REGS_SVE is set (arch/arm64/include/uapi/asm/ptrace.h), and those of extension V
// on riscv64, where only a thread that uses V has the register set.
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
