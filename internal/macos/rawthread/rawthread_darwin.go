// Package rawthread creates threads that do not belong to Go, in a program without cgo: tests let them crash.
package rawthread

import (
	"syscall"
	_ "unsafe" // for go:linkname
)

//go:cgo_import_dynamic libc_pthread_create pthread_create "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_sigaction sigaction "/usr/lib/libSystem.B.dylib"

var libc_pthread_create_addr, libc_sigaction_addr, fault_addr uintptr

//go:linkname call6 syscall.rawSyscall6
func call6(fn, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err syscall.Errno)

// Fault creates a thread that stores to address 0x88, after removing Go's handler of SIGSEGV and SIGBUS.
func Fault() {
	var act [16]byte // struct sigaction: the handler (0 is SIG_DFL), the mask, the flags
	for _, sig := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGBUS} {
		call6(libc_sigaction_addr, uintptr(sig), address(&act[0]), 0, 0, 0, 0)
	}
	var thread uintptr
	call6(libc_pthread_create_addr, address(&thread), 0, fault_addr, 0, 0, 0)
}
