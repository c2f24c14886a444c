package ptrace

import (
	"unsafe"

	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// A Caller makes Stopped threads perform system calls on behalf of their process. A call changes the registers of its thread, and
// restores them before Call returns. A tracer that is killed in between leaves a thread with wrong registers, so a process that
// uses a Caller must not be killed.
type Caller struct {
	t      *Tracer
	before [maxCallRegs]byte
	work   [maxCallRegs]byte
	length int       // of the register set
	mask   [2]uint64 // of the thread
	all    [2]uint64
	word   uint64
	config [4]uint64
	info   [11]uint64 // struct ptrace_syscall_info
	layout *callLayout
	born   int32  // the last thread that Born was called for
	at     uint64 // what Eligible returned
	kept   uint32 // the word of the register set layout.kept
	again  bool   // the thread's own call continues by restart_syscall(2)
}

// maxCallRegs bounds the NT_PRSTATUS of every machine that has a callLayout, in bytes.
const maxCallRegs = 400

// A SystemCall is the call that a thread makes. Numbers and arguments are those of the thread's machine, which is a 32-bit one for
// a 32-bit process.
type SystemCall struct {
	At     uint64 // address of a system call instruction in the process (see Caller.Own and Caller.Find); bit 0 is set for a Thumb one
	Number uint64
	Args   [6]uint64
}

// Events and options of linux/ptrace.h.
const (
	ptraceEventClone  = 3
	ptraceEventFork   = 1
	ptraceEventVfork  = 2
	syscallStop       = int32(unix.SIGTRAP) | 0x80 // with PTRACE_O_TRACESYSGOOD
	interruptStop     = int32(unix.SIGTRAP) | PTRACE_EVENT_STOP<<8
	callOptions       = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK
	ptraceDispatch    = 0x4211 // PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
	ptraceGetRseq     = 0x420f // PTRACE_GET_RSEQ_CONFIGURATION
	rseqCriticalField = 8      // offsetof(struct rseq, rseq_cs) of linux/rseq.h
)

// NewCaller makes a Caller for the threads of t. It allocates.
func (t *Tracer) NewCaller() *Caller {
	return &Caller{t: t, all: [2]uint64{^uint64(0), ^uint64(0)}}
}

// Eligible reads the registers of a thread and reports whether Call may use the thread: Interrupt alone has stopped it, its
// NT_PRSTATUS has size bytes, as for the process, and it is not in a restartable sequence (rseq(2)), which the kernel would
// consider finished. at is the address, in the form of SystemCall.At, at which the instruction must be of the system call that the
// thread is in or about to make; Own reports whether a system call instruction is there. at is 0 if there can be none.
func (c *Caller) Eligible(th *Thread, size int) (at uint64, ok bool) {
	if th.State != Stopped || th.Event != PTRACE_EVENT_STOP || th.Signal != 0 || th.GroupStop || c.t.old {
		return 0, false
	}
	n, errno := c.t.Regset(th.TID, ntPRSTATUS, c.before[:])
	if errno != 0 || n != size {
		return 0, false
	}
	if c.layout = callLayoutOf(n); c.layout == nil {
		return 0, false
	}
	c.length = n
	if !c.readRestart(th.TID) {
		return 0, false
	}
	l := c.layout
	inCall := l.inCall(c.before[:], c.kept)
	switch c.at = l.get(c.before[:], l.pc); {
	case !l.after:
		c.at |= l.thumbBit(c.before[:])
	case inCall:
		c.at -= uint64(len(l.instruction))
	default:
		c.at = 0
	}
	return c.at, inCall || c.unhindered(th.TID)
}

// Own reports whether Call may use the instruction at the address that Eligible returned. b has the bytes there, and may be longer
// than the instruction.
func (c *Caller) Own(b []byte) bool { return c.layout.isCall(b, c.at&1 != 0) }

// Address returns the address of the instruction for at, a SystemCall.At.
func (c *Caller) Address(at uint64) uint64 {
	if c.layout.thumb != "" {
		at &^= 1
	}
	return at
}

// Find returns the offset of a system call instruction in a page of code; SystemCall.At is the page's address plus offset. Any
// thread for which EligibleElsewhere returns true may use the instruction.
func (c *Caller) Find(code []byte) (offset uint64, ok bool) { return c.layout.find(code) }

// EligibleElsewhere is Eligible for a Call by an instruction other than the thread's own. On some machines Linux does not preserve
// vector registers across a system call: a thread that uses them may use only its own instruction.
func (c *Caller) EligibleElsewhere(th *Thread, size int) bool {
	_, ok := c.Eligible(th, size)
	return ok && !c.losesVectors(th.TID)
}

// unhindered reports whether a thread outside of a system call may be used: it is not in a restartable sequence, and its system
// calls go to the kernel, not to its own handler (PR_SET_SYSCALL_USER_DISPATCH). Kernels without these requests lack both
// features, or run few programs that use them.
func (c *Caller) unhindered(tid int32) bool {
	if sys.Ptrace(ptraceDispatch, int(tid), unsafe.Sizeof(c.config), uintptr(unsafe.Pointer(&c.config))) == 0 && c.config[0] != 0 {
		return false
	}
	// struct ptrace_rseq_configuration: the address, two numbers of 32 bits, flags and padding.
	if sys.Ptrace(ptraceGetRseq, int(tid), 24, uintptr(unsafe.Pointer(&c.config))) == 0 && c.config[0] != 0 {
		word := unsafe.Slice((*byte)(unsafe.Pointer(&c.word)), 8)
		if n, _ := c.t.Peek(tid, c.config[0]+rseqCriticalField, word); n != 8 || c.word != 0 {
			return false
		}
	}
	return true
}

// Call makes th perform one system call, and returns the call's result, an error number as a negative value. Eligible must have
// returned true for th just before. born is the id, in the caller's PID namespace, of the thread that the call has created, if
// any, which is traced and about to stop. Until the call has returned no signal reaches th except SIGKILL; a stop signal makes the
// call fail with EINTR. The state of th becomes Gone if it has died.
//
// If the call was not made or its result is not known, errno is EINTR or another error, and ret has no meaning.
func (c *Caller) Call(th *Thread, s *SystemCall) (ret int64, born int32, errno sys.Errno) {
	tid := int(th.TID)
	if e := sys.Ptrace(unix.PTRACE_GETSIGMASK, tid, sys.SigsetSize(), uintptr(unsafe.Pointer(&c.mask))); e != 0 {
		return 0, 0, e
	}
	if e := sys.Ptrace(unix.PTRACE_SETOPTIONS, tid, 0, callOptions|c.options(th.TID)); e != 0 {
		return 0, 0, e
	}
	sys.Ptrace(unix.PTRACE_SETSIGMASK, tid, sys.SigsetSize(), uintptr(unsafe.Pointer(&c.all)))
	ret, born, errno = c.perform(th, s)
	c.restore(th)
	return ret, born, errno
}

// perform makes the call, and leaves the thread with the registers of that call.
func (c *Caller) perform(th *Thread, s *SystemCall) (ret int64, born int32, errno sys.Errno) {
	if errno = c.enter(th, s); errno != 0 {
		return 0, 0, errno
	}
	for {
		status, e := c.resume(th, unix.PTRACE_SYSCALL)
		if e != 0 {
			return 0, born, e
		}
		switch event := uint8(status >> 8); {
		case event == ptraceEventClone || event == ptraceEventFork || event == ptraceEventVfork:
			if e := sys.Ptrace(unix.PTRACE_GETEVENTMSG, int(th.TID), 0, uintptr(unsafe.Pointer(&c.t.word))); e != 0 {
				return 0, 0, e
			}
			born = int32(c.t.word)
		case status == syscallStop:
			n, e := c.t.Regset(th.TID, ntPRSTATUS, c.work[:])
			if e != 0 || n != c.length {
				return 0, born, unix.EIO
			}
			return c.layout.resultOf(c.work[:]), born, 0
		default:
			return 0, born, unix.EINTR
		}
	}
}

// enter brings the thread to the entry of the system call.
func (c *Caller) enter(th *Thread, s *SystemCall) sys.Errno {
	l := c.layout
	c.again = false
	copy(c.work[:], c.before[:c.length])
	l.goTo(c.work[:], s.At)
	l.put(c.work[:], s)
	if e := c.setRegs(th.TID, c.work[:c.length]); e != 0 {
		return e
	}
	if e := c.setRestart(th.TID, 0); e != 0 {
		return e
	}
	status, e := c.resume(th, unix.PTRACE_SYSCALL)
	for ; e == 0 && status == interruptStop; status, e = c.resume(th, unix.PTRACE_SYSCALL) {
		// The thread was interrupted more than once: see Collect.
	}
	if e != 0 {
		return e
	}
	if status != syscallStop {
		return unix.EINTR
	}
	// A thread at its own instruction may have restarted its own call, by that call's number or as restart_syscall, with the
	// arguments of s. The instruction may also contain a number.
	number, e := c.enteredNumber(th.TID, s.Number)
	if e != 0 {
		return e
	}
	if c.again = l.restart >= 0 && number == uint64(l.restart); number == s.Number {
		return 0
	}
	return c.setNumber(th.TID, s.Number)
}

// restore restores the thread's registers and signal mask, and brings it to a stop like the one that Eligible saw.
func (c *Caller) restore(th *Thread) {
	tid := int(th.TID)
	if c.again {
		c.layout.goOn(c.before[:])
	}
	e := c.setRegs(th.TID, c.before[:c.length])
	sys.Ptrace(unix.PTRACE_SETSIGMASK, tid, sys.SigsetSize(), uintptr(unsafe.Pointer(&c.mask)))
	sys.Ptrace(unix.PTRACE_SETOPTIONS, tid, 0, c.options(th.TID))
	if e == unix.ESRCH {
		th.State = Gone
		return
	}
	// The kernel restarts a system call when the thread leaves a stop like the one that Eligible saw, not when it returns from a
	// system call. So the thread must reach such a stop again, with the registers that it had there.
	sys.Ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0)
	status, e := c.resume(th, unix.PTRACE_CONT)
	if e != 0 {
		return
	}
	c.setRestart(th.TID, c.kept)
	th.Signal, th.Event, th.GroupStop = stopKind(status)
}

// resume runs the thread to its next stop, and returns the status of that stop. It waits without a time limit: a thread in the
// middle of a call can't be left.
func (c *Caller) resume(th *Thread, request int) (status int32, errno sys.Errno) {
	if e := sys.Ptrace(request, int(th.TID), 0, 0); e != 0 {
		return 0, e
	}
	return c.await(th)
}

// await waits for the next stop of a traced thread.
func (c *Caller) await(th *Thread) (status int32, errno sys.Errno) {
	const options = unix.WSTOPPED | unix.WEXITED | unix.WNOWAIT | unix.WALL
	for {
		code, status, e := c.t.childInfo(sys.Waitid(int(th.TID), &c.t.info, options))
		switch {
		case e == unix.EINTR:
		case e != 0:
			th.State, th.Errno = Gone, e
			return 0, e
		case code == cldExited || code == cldKilled || code == cldDumped:
			th.State = Gone
			if !c.t.reap(th.TID) {
				c.t.keep(th.TID)
			}
			return 0, unix.ESRCH
		default:
			return status, 0
		}
	}
}

// options returns the ptrace options of a thread while it makes no call.
func (c *Caller) options(tid int32) uintptr {
	if tid == c.born {
		return unix.PTRACE_O_EXITKILL
	}
	return 0
}

// Born waits for the first stop of a thread that Call has created, and sets the option by which the kernel kills the thread when
// this tracer ends.
func (c *Caller) Born(tid int32) (th Thread, errno sys.Errno) {
	th = Thread{TID: tid, State: Stopped}
	status, e := c.await(&th)
	if e != 0 {
		return th, e
	}
	th.Signal, th.Event, th.GroupStop = stopKind(status)
	c.born = tid
	return th, sys.Ptrace(unix.PTRACE_SETOPTIONS, int(tid), 0, c.options(tid))
}

// Kill kills a process that Call has created, and waits for its end. Its parent must still wait for it.
func (c *Caller) Kill(tid int32) {
	_ = unix.Kill(int(tid), unix.SIGKILL)
	for {
		switch e := sys.Waitid(int(tid), &c.t.info, unix.WEXITED|unix.WALL); e {
		case unix.EINTR:
		default:
			return
		}
	}
}

func (c *Caller) setRegs(tid int32, regs []byte) sys.Errno {
	return c.setRegset(tid, ntPRSTATUS, regs)
}

func (c *Caller) setRegset(tid int32, note uint32, b []byte) sys.Errno {
	c.t.iov.Base = unsafe.SliceData(b)
	c.t.iov.SetLen(len(b))
	e := sys.Ptrace(unix.PTRACE_SETREGSET, int(tid), uintptr(note), uintptr(unsafe.Pointer(&c.t.iov)))
	c.t.iov.Base = nil
	return e
}
