package mach

// The functions of libSystem that this package calls: their names for the linker, and variables with the addresses of jumps to
// them (libsystem_darwin.s). Package syscall and golang.org/x/sys call libSystem in the same way.

import (
	"syscall"
	_ "unsafe" // for go:linkname
)

//go:cgo_import_dynamic libc_bootstrap_check_in bootstrap_check_in "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_bootstrap_look_up bootstrap_look_up "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_getsockopt getsockopt "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_host_info host_info "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_mach_msg mach_msg "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_mach_msg_destroy mach_msg_destroy "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_mach_port_get_refs mach_port_get_refs "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_mach_vm_read_overwrite mach_vm_read_overwrite "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_mach_vm_region_recurse mach_vm_region_recurse "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_proc_pidfdinfo proc_pidfdinfo "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_proc_pidinfo proc_pidinfo "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_proc_pidpath proc_pidpath "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_pthread_threadid_np pthread_threadid_np "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_sysctl sysctl "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_sysctlbyname sysctlbyname "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_task_get_exception_ports task_get_exception_ports "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_task_get_special_port task_get_special_port "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_task_identity_token_get_task_port task_identity_token_get_task_port "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_task_info task_info "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_task_resume task_resume "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_task_set_exception_ports task_set_exception_ports "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_task_suspend task_suspend "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_task_threads task_threads "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_thread_get_state thread_get_state "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_thread_info thread_info "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_thread_resume thread_resume "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_thread_suspend thread_suspend "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic libc_write write "/usr/lib/libSystem.B.dylib"

var (
	libc_bootstrap_check_in_addr                uintptr
	libc_bootstrap_look_up_addr                 uintptr
	libc_getsockopt_addr                        uintptr
	libc_host_info_addr                         uintptr
	libc_mach_msg_addr                          uintptr
	libc_mach_msg_destroy_addr                  uintptr
	libc_mach_port_get_refs_addr                uintptr
	libc_mach_vm_read_overwrite_addr            uintptr
	libc_mach_vm_region_recurse_addr            uintptr
	libc_proc_pidfdinfo_addr                    uintptr
	libc_proc_pidinfo_addr                      uintptr
	libc_proc_pidpath_addr                      uintptr
	libc_pthread_threadid_np_addr               uintptr
	libc_sysctl_addr                            uintptr
	libc_sysctlbyname_addr                      uintptr
	libc_task_get_exception_ports_addr          uintptr
	libc_task_get_special_port_addr             uintptr
	libc_task_identity_token_get_task_port_addr uintptr
	libc_task_info_addr                         uintptr
	libc_task_resume_addr                       uintptr
	libc_task_set_exception_ports_addr          uintptr
	libc_task_suspend_addr                      uintptr
	libc_task_threads_addr                      uintptr
	libc_thread_get_state_addr                  uintptr
	libc_thread_info_addr                       uintptr
	libc_thread_resume_addr                     uintptr
	libc_thread_suspend_addr                    uintptr
)

// call6 and call9 call a function of libSystem on the thread's own stack, without notifying the scheduler.
//
//go:linkname call6 syscall.rawSyscall6
func call6(fn, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err syscall.Errno)

//go:linkname call9 syscall.rawSyscall9
func call9(fn, a1, a2, a3, a4, a5, a6, a7, a8, a9 uintptr) (r1, r2 uintptr, err syscall.Errno)

// wait9 is call9 for a call that may take long: the scheduler can use the processor for other goroutines in the meantime.
//
//go:linkname wait9 syscall.syscall9
func wait9(fn, a1, a2, a3, a4, a5, a6, a7, a8, a9 uintptr) (r1, r2 uintptr, err syscall.Errno)
