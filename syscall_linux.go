package minidump

import (
	"unsafe"

	"minidump/internal/sys"
)

// The assembly stubs of each architecture: system calls that use nothing of the Go runtime (no stack check, no
// scheduler, no lock), so that they can run in a forked child of a Go program or in a signal handler; and the capture of
// the CPU's registers.

// rawSyscall6 performs system call nr. On success errno is 0; otherwise r1 is all ones. It never grows the stack.
//
//go:noescape
func rawSyscall6(nr, a1, a2, a3, a4, a5, a6 uintptr) (r1, errno uintptr)

// captureAddress returns the entry of the assembly function that captureCaller calls.
func captureAddress() uintptr

// captureCaller stores the registers of its caller, as CaptureRegisters does.
//
// Go calls a declared assembly function through a wrapper, which has its own frame. A call of a function value that
// points to the assembly itself has no wrapper: the return address is in the caller, and the stack pointer is that of
// the caller's frame, which still exists after the capture. In return, the assembly must read its arguments where Go's
// register calling convention (cmd/compile/abi-internal.md) puts them.
var captureCaller = captureFunc()

var captureEntry = captureAddress()

func captureFunc() func(gp, fp []byte) (ngp, nfp int) {
	entry := unsafe.Pointer(&captureEntry)
	return *(*func(gp, fp []byte) (ngp, nfp int))(unsafe.Pointer(&entry))
}

// CaptureRegisters stores the calling thread's CPU registers as they are right after this call, as getcontext(3) does:
// the program counter is the return address, and the stack pointer is the calling function's. It allocates nothing.
//
// gp receives the general registers in the layout of the kernel's NT_PRSTATUS register set of this architecture, and fp
// the floating point registers in that of NT_PRFPREG; the results are the numbers of bytes stored. A set that does not
// fit is not stored, and its result is 0: 384 and 528 bytes suffice everywhere. The registers that carried the
// arguments have no useful values. Registers that a program cannot read are 0.
//
//	                 gp   fp
//	386              68   108: x87 only, no SSE
//	amd64            216  512: FXSAVE, no AVX; 0 unless fp lies on a 16-byte boundary
//	arm              72   0: that set is of the FPA, a coprocessor that no current machine has
//	arm64            272  528
//	loong64          360  272
//	mips, mipsle     180  264: the even registers, as pairs; 0 if built for softfloat
//	mips64, mips64le 360  264; 0 if built for softfloat
//	ppc64, ppc64le   384  264: no VMX, VSX
//	riscv64          256  264
//	s390x            216  136
//
// The function is inlined into its caller. In a build without inlining, the registers are those of CaptureRegisters
// itself, whose frame is gone afterwards.
func CaptureRegisters(gp, fp []byte) (ngp, nfp int) {
	return captureCaller(gp, fp)
}

// init makes rawSyscall6 perform all system calls of a dump.
func init() {
	sys.Install(func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
		r, e := rawSyscall6(nr, a1, a2, a3, a4, a5, a6)
		return r, sys.Errno(e)
	}, nil)
}
