package context

import (
	"encoding/binary"
	"errors"

	"minidump/internal/errtext"
)

// Access is the kind of memory access that an instruction attempted.
type Access uint8

// The kinds of access.
const (
	AccessUnknown Access = iota
	AccessRead
	AccessWrite
	AccessExecute
)

// String returns "unknown", "read", "write" or "execute".
func (a Access) String() string {
	switch a {
	case AccessRead:
		return "read"
	case AccessWrite:
		return "write"
	case AccessExecute:
		return "execute"
	}
	return "unknown"
}

// MaxParams is the number of parameters that fit in MINIDUMP_EXCEPTION (EXCEPTION_MAXIMUM_PARAMETERS).
const MaxParams = 15

// Crash is why a thread died, in terms that do not depend on the operating system. It contains no pointers, so it can be copied
// as bytes. Values that siginfo_t lacks are 0.
type Crash struct {
	Arch      Arch
	BigEndian bool

	PID, TID int32 // as passed by the caller

	Signo int32 // si_signo, in the architecture's own numbering (see SignalNameArch); ExceptionCode of the dump
	Code  int32 // si_code; ExceptionFlags of the dump
	Errno int32 // si_errno

	// Address is si_addr of a signal raised by a fault, or the address of the system call of SIGSYS; ExceptionAddress of the
	// dump. HasAddress distinguishes address 0 from no address: a signal that was sent has no address, and a general protection
	// fault of x86 has none until Refine finds it.
	Address    uint64
	HasAddress bool
	Access     Access // how the instruction accessed Address; of SIGSEGV and SIGBUS only

	LowerBound, UpperBound uint64 // SEGV_BNDERR
	ProtectionKey          uint32 // SEGV_PKUERR
	AddressLSB             int16  // BUS_MCEERR_AR and _AO: that many low bits of Address are unknown

	SenderPID int32  // the sender (SI_USER, SI_TKILL, SI_QUEUE), or the child of SIGCHLD
	SenderUID uint32 // its real user id
	Status    int32  // of SIGCHLD: exit status or signal
	Value     uint64 // si_value, of SI_QUEUE, SI_TIMER and the like
	TimerID   int32  // of SI_TIMER
	Overrun   int32  // of SI_TIMER
	Band      uint64 // of SIGIO: the poll events
	FD        int32  // of SIGIO

	Syscall     int32  // of SIGSYS: the number of the system call
	SyscallArch uint32 // of SIGSYS: AUDIT_ARCH_ value

	// What the hardware reported about the thread's last trap, as far as the signal frame contains it; stale if the signal was
	// sent. x86 and amd64: number of the vector, error code, CR2. arm: trap_no, fault status register, fault_address. arm64:
	// exception class, ESR_EL1, fault_address. ppc and ppc64: trap, DSISR, DAR. 0 on all others.
	TrapNo, ErrorCode, TrapAddress uint64

	// The CPU context record, in byte order BigEndian, with its program counter and stack pointer.
	HasContext bool
	PC, SP     uint64
	ContextLen uint32
	Context    [MaxContextSize]byte

	// ExceptionInformation of the dump, by the kind of signal:
	//
	//	SIGSEGV and SIGBUS with Access known  0 read, 1 write, 8 execute (as EXCEPTION_ACCESS_VIOLATION); the address
	//	SIGSYS                                number of the system call, AUDIT_ARCH_ value
	//	sent (also SI_KERNEL, with 0 and 0)   process id, user id; the value if there is one
	//	SI_TIMER                              timer id, overrun, value
	//	SIGIO                                 band, file descriptor
	NumParams uint32
	Params    [MaxParams]uint64
}

// Record returns the CPU context record, empty if there is none. It shares c's memory.
func (c *Crash) Record() []byte {
	if !c.HasContext || int(c.ContextLen) > len(c.Context) {
		return nil
	}
	return c.Context[:c.ContextLen]
}

// Order returns the byte order of the record.
func (c *Crash) Order() binary.ByteOrder { return order(c.BigEndian) }

// Errors of the functions that make a Crash. Their errors wrap one of these.
var (
	ErrSiginfo      = errors.New("bad siginfo")
	ErrUcontext     = errors.New("bad ucontext")
	ErrCrashContext = errors.New("bad crash context")
)

// CrashFromSiginfo makes a Crash without registers from a raw siginfo_t: of a signal handler, PTRACE_GETSIGINFO or a core file's
// NT_SIGINFO. siginfo has up to 128 bytes in the layout of the thread's own word size. A 64-bit debugger gets the 64-bit form
// even for a 32-bit thread: then pass the 64-bit architecture. MIPS64 means the 64-bit ABI; a siginfo of n32 has the layout of
// MIPS. The error wraps ErrSiginfo if siginfo is too short or a is unknown.
func CrashFromSiginfo(a Arch, o binary.ByteOrder, pid, tid int32, siginfo []byte) (*Crash, error) {
	if a.ContextSize() == 0 {
		return nil, errtext.Explain(ErrSiginfo, "unknown architecture ", int(a))
	}
	if len(siginfo) < siginfoMin(a) {
		return nil, errtext.Explain(ErrSiginfo, len(siginfo), " bytes, but at least ", siginfoMin(a), " are required")
	}
	c := &Crash{Arch: a, BigEndian: isBig(o), PID: pid, TID: tid}
	c.parseSiginfo(siginfo)
	c.SetParams()
	return c, nil
}

// CrashFromLinux makes a Crash from the arguments of a signal handler with SA_SIGINFO: the raw siginfo_t (see CrashFromSiginfo)
// and the raw ucontext_t as the kernel lays it out in the signal frame. Pass all of the ucontext_t that can be read: on most
// architectures floating-point registers and the fault's syndrome are at its end. The ucontext_t of a C library starts the same
// way.
//
// fpstate is the memory that uc_mcontext's fpstate (glibc: fpregs) points to: 512 bytes or more on amd64, 624 or more on x86 (112
// for a CPU without FXSAVE). On arm64 it is a struct fpsimd_context, for a ucontext that was cut short; on the others a set as
// named by Arch.FPRegset. It is nil if not known.
//
// If ucontext is too short, the Crash is returned without registers, along with an error that wraps ErrUcontext. If siginfo is
// invalid there is no Crash, and the error wraps ErrSiginfo. A nil ucontext is no error.
func CrashFromLinux(a Arch, o binary.ByteOrder, pid, tid int32, siginfo, ucontext, fpstate []byte) (*Crash, error) {
	c, err := CrashFromSiginfo(a, o, pid, tid, siginfo)
	if err != nil || ucontext == nil {
		return c, err
	}
	f := frame{big: c.BigEndian, uc: ucontext, fpstate: fpstate}
	if need := ucontextSize(a); len(ucontext) < need {
		return c, errtext.Explain(ErrUcontext, len(ucontext), " bytes, but ", a, " needs ", need)
	}
	c.setFrame(&f)
	return c, nil
}

// setFrame adds the registers of a signal frame to a crash that already has its siginfo_t. f.uc has at least ucontextSize bytes.
func (c *Crash) setFrame(f *frame) {
	a := c.Arch
	f.read(a)
	c.setRegisters(f.gp[:a.GPSize()], f.floats(), f.vectors(), nil)
	if a == AMD64 {
		// The frame has no ds and es, and nothing contains the segment bases.
		put32(c.BigEndian, c.Context[48:], get32(c.BigEndian, c.Context[48:])&^flagAMD64Segments)
	}
	c.TrapNo, c.ErrorCode, c.TrapAddress = f.trapNo, f.errorCode, f.trapAddress
	if c.IsMemoryFault() && c.Code != SI_KERNEL {
		c.Access = f.access
		if c.HasAddress && c.Address == c.PC && c.Access != AccessWrite {
			// The instruction itself can't be read. For a 32-bit program, arm64 reports this as a read; others report nothing.
			c.Access = AccessExecute
		}
	}
	c.SetParams()
}

// SetContext adds the registers of the thread that died to c, if they come from ptrace or a core file rather than from a signal
// frame. r must have c's architecture and byte order and complete general registers; otherwise c is left without registers.
func (c *Crash) SetContext(r *Regsets) {
	if r.Arch != c.Arch || isBig(r.Order) != c.BigEndian {
		c.HasContext, c.ContextLen, c.PC, c.SP = false, 0, 0, 0
		return
	}
	c.setRegisters(r.GP, r.FP, r.Extra, r.Debug)
}

// setRegisters makes the CPU context record from raw register sets.
func (c *Crash) setRegisters(gp, fp, extra []byte, debug *[8]uint64) {
	l := c.Arch.info()
	c.ContextLen = uint32(encode(c.Context[:], c.Arch, c.BigEndian, gp, fp, extra, debug))
	c.HasContext = c.ContextLen != 0
	c.PC, c.SP = l.valueOf(c.BigEndian, gp, l.pc), l.valueOf(c.BigEndian, gp, l.sp)
}

// IsMemoryFault reports whether the hardware refused an access: SIGSEGV or SIGBUS that was not sent.
func (c *Crash) IsMemoryFault() bool {
	signo, code := genericSignal(c.Arch, c.Signo), genericCode(c.Arch, c.Code)
	return (signo == SIGSEGV || signo == SIGBUS) && code > SI_USER && code <= SI_KERNEL
}

// SetParams fills in Params and NumParams from the other fields. Code that changes those fields must call it.
func (c *Crash) SetParams() {
	c.NumParams, c.Params = 0, [MaxParams]uint64{}
	add := func(vs ...uint64) {
		c.NumParams += uint32(copy(c.Params[c.NumParams:], vs))
	}
	switch kindOf(genericSignal(c.Arch, c.Signo), genericCode(c.Arch, c.Code)) {
	case sigSys:
		add(uint64(c.Syscall), uint64(c.SyscallArch))
	case sigRT:
		add(uint64(c.SenderPID), uint64(c.SenderUID), c.Value)
	case sigChild:
		add(uint64(c.SenderPID), uint64(c.SenderUID), uint64(c.Status))
	case sigTimer:
		add(uint64(c.TimerID), uint64(c.Overrun), c.Value)
	case sigPoll:
		add(c.Band, uint64(c.FD))
	case sigKill:
		if !c.HasAddress { // else Refine has found the access of a general protection fault
			add(uint64(c.SenderPID), uint64(c.SenderUID))
			return
		}
		fallthrough
	case sigFault:
		if !c.HasAddress || !c.IsMemoryFault() {
			return
		}
		switch c.Access {
		case AccessRead:
			add(0, c.Address)
		case AccessWrite:
			add(1, c.Address)
		case AccessExecute:
			add(8, c.Address)
		}
	}
}

// refiner is the implementation of Refine; nil until RegisterRefiner is called.
var refiner func(c *Crash, code []byte)

// RegisterRefiner sets f as the implementation of Refine. Package minidump/context/insn calls it when it is initialized. It is
// meant for init functions: it must not be called while Refine may run.
func RegisterRefiner(f func(c *Crash, code []byte)) { refiner = f }

// Refine adds what the instruction at c.PC reveals about a memory fault: an Address that the kernel did not report, and the
// Access. It updates Params. code must start with the instruction at c.PC; 16 bytes suffice for every architecture. c must have
// its registers. Refine allocates.
//
// The implementation is package insn, which is large and therefore linked in only if a program imports it:
//
//	import _ "minidump/context/insn"
//
// Without that import Refine leaves c as it is.
func (c *Crash) Refine(code []byte) {
	if refiner != nil {
		refiner(c, code)
	}
}
