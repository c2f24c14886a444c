package ptrace

import (
	"runtime"
	"unsafe"

	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// Regset reads the register set note (NT_PRSTATUS, NT_PRFPREG, NT_X86_XSTATE, …) of a Stopped thread into buf, and returns how
// many bytes the kernel stored: fewer than len(buf) if the set is smaller. EINVAL means that this machine has no such set, ENODEV
// that the thread has not used it.
func (t *Tracer) Regset(tid int32, note uint32, buf []byte) (n int, errno sys.Errno) {
	t.iov.Base = unsafe.SliceData(buf)
	t.iov.SetLen(len(buf))
	e := sys.Ptrace(unix.PTRACE_GETREGSET, int(tid), uintptr(note), uintptr(unsafe.Pointer(&t.iov)))
	t.iov.Base = nil
	if e != 0 {
		return 0, e
	}
	return min(int(t.iov.Len), len(buf)), 0
}

// SigInfo reads the siginfo of a thread in a signal-delivery-stop into buf, in the layout of the target's machine.
func (t *Tracer) SigInfo(tid int32, buf *[128]byte) sys.Errno {
	return sys.Ptrace(unix.PTRACE_GETSIGINFO, int(tid), 0, uintptr(unsafe.Pointer(buf)))
}

// Peek reads memory of a Stopped thread's process word by word (PTRACE_PEEKDATA). It is slow, and meant for when process_vm_readv
// and /proc/PID/mem both fail. It returns the number of bytes before the first word that failed, and the error.
func (t *Tracer) Peek(tid int32, addr uint64, p []byte) (n int, errno sys.Errno) {
	const size = uint64(unsafe.Sizeof(t.word))
	for n < len(p) {
		at := addr + uint64(n)
		if at < addr || uint64(uintptr(at)) != at {
			return n, unix.EFAULT
		}
		if e := sys.Ptrace(unix.PTRACE_PEEKDATA, int(tid), uintptr(at&^(size-1)), uintptr(unsafe.Pointer(&t.word))); e != 0 {
			return n, e
		}
		word := unsafe.Slice((*byte)(unsafe.Pointer(&t.word)), size)
		n += copy(p[n:], word[at&(size-1):])
	}
	return n, 0
}

// Requests that are older than PTRACE_GETREGSET (Linux 2.6.34). Their numbers mean other things on some machines, and they store
// a struct of fixed size regardless of the buffer's size. So oldSizes returns the sizes for each machine, 0 if it lacks the
// request.
const (
	ptraceGetRegs    = 12
	ptraceGetFPRegs  = 14
	ptraceGetFPXRegs = 18
)

// oldSizes returns the sizes of PTRACE_GETREGS and PTRACE_GETFPREGS: user_regs_struct and user_i387_struct or
// user_fpregs_struct (sys/user.h) on x86, pt_regs and user_fp on arm, 38 and 33 registers of 8 bytes on mips,
// user_pt_regs and 33 registers of 8 bytes on ppc64.
func oldSizes() (regs, fpregs int) {
	switch runtime.GOARCH {
	case "amd64":
		return 216, 512
	case "386":
		return 68, 108
	case "arm":
		return 72, 116
	case "mips", "mipsle", "mips64", "mips64le":
		return 304, 264
	case "ppc64", "ppc64le":
		return 352, 264
	}
	return 0, 0
}

func (t *Tracer) oldRegs(request, size int, tid int32, buf []byte) (int, sys.Errno) {
	if size == 0 {
		return 0, unix.ENOSYS
	}
	if len(buf) < size {
		return 0, unix.EINVAL
	}
	if e := sys.Ptrace(request, int(tid), 0, uintptr(unsafe.Pointer(unsafe.SliceData(buf)))); e != 0 {
		return 0, e
	}
	return size, 0
}

// GetRegs reads the general registers of a Stopped thread with PTRACE_GETREGS, for when Regset fails. It returns the number of
// bytes stored. ENOSYS: the machine has no such request; EINVAL: buf is too small (304 bytes are always enough). On mips the
// layout is 38 registers of 8 bytes, not that of NT_PRSTATUS.
func (t *Tracer) GetRegs(tid int32, buf []byte) (n int, errno sys.Errno) {
	size, _ := oldSizes()
	return t.oldRegs(ptraceGetRegs, size, tid, buf)
}

// GetFPRegs is GetRegs for the floating-point registers (PTRACE_GETFPREGS; 512 bytes are always enough).
func (t *Tracer) GetFPRegs(tid int32, buf []byte) (n int, errno sys.Errno) {
	_, size := oldSizes()
	return t.oldRegs(ptraceGetFPRegs, size, tid, buf)
}

// GetFPXRegs reads the FXSAVE area (512 bytes) of a Stopped thread on 386; ENOSYS elsewhere.
func (t *Tracer) GetFPXRegs(tid int32, buf []byte) (n int, errno sys.Errno) {
	size := 0
	if runtime.GOARCH == "386" {
		size = 512
	}
	return t.oldRegs(ptraceGetFPXRegs, size, tid, buf)
}

// debugRegisterBase returns offsetof(struct user, u_debugreg) of sys/user.h, 0 on machines without debug registers.
func debugRegisterBase() uintptr {
	switch runtime.GOARCH {
	case "amd64":
		return 848
	case "386":
		return 252
	}
	return 0
}

// DebugRegister reads the x86 debug register i (0 to 7) of a Stopped thread; ENOSYS on other machines.
func (t *Tracer) DebugRegister(tid int32, i int) (uint64, sys.Errno) {
	base := debugRegisterBase()
	if base == 0 {
		return 0, unix.ENOSYS
	}
	if i < 0 || i > 7 {
		return 0, unix.EINVAL
	}
	t.word = 0
	e := sys.Ptrace(unix.PTRACE_PEEKUSR, int(tid), base+uintptr(i)*unsafe.Sizeof(t.word), uintptr(unsafe.Pointer(&t.word)))
	return uint64(t.word), e
}

// DebugRegisters reads the x86 debug registers of a Stopped thread. DR4 and DR5 do not exist and are 0. If DR7 enables no
// breakpoint, which is nearly always the case, the addresses in DR0 to DR3 are meaningless: they are not read and are 0.
func (t *Tracer) DebugRegisters(tid int32, out *[8]uint64) sys.Errno {
	*out = [8]uint64{}
	const armed = 0xff // L0, G0, … L3, G3
	for _, i := range [...]int{7, 6, 0, 1, 2, 3} {
		if i < 4 && out[7]&armed == 0 {
			break
		}
		v, e := t.DebugRegister(tid, i)
		if e != 0 {
			return e
		}
		out[i] = v
	}
	return 0
}
