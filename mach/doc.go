// Package mach calls the Mach part of XNU, the kernel of macOS and iOS, from Go without cgo: task and thread ports, the memory of
// another task, exception messages, and related functions of libproc and sysctl.
//
// On darwin and ios, amd64 and arm64, it makes two kinds of calls. Plain traps (the task's own port, task_for_pid, memory and
// port rights of the calling task) are made directly by the trap instruction. MIG routines (task_threads, thread_get_state,
// mach_vm_read_overwrite) are called through libSystem, because XNU denies the old message trap to current programs and does not
// publish the new one (osfmk/ipc/ipc_policy.c). On other systems the package has its types, its constants and the decoding of
// exception messages, but no calls.
//
// Calls do not allocate and do not notify the Go scheduler, so they also work while every other thread of the process is
// suspended. The exception is [Receive], which may wait long.
//
// A call returns a [KernReturn], which is KERN_SUCCESS or an error. A caller that receives a port right must release it with
// [PortDeallocate]; [Threads] releases a whole list.
//
// Numbers and layouts are those of XNU 11417.101.15 (macOS 15.4); each declaration names its header.
package mach
