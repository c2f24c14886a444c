// Package mach calls the Mach half of XNU, the kernel of macOS and iOS, from Go without cgo: task and thread ports,
// the memory of another task, exception messages, and the functions of libproc and sysctl that go with them.
//
// On darwin and ios, amd64 and arm64, it makes two kinds of calls. What is a plain trap (the task's own port,
// task_for_pid, memory and port rights of the own task) is made by the instruction itself. What is a MIG routine
// (task_threads, thread_get_state, mach_vm_read_overwrite) goes through libSystem, because XNU refuses the old message
// trap to current programs and keeps the new one private (osfmk/ipc/ipc_policy.c). On other systems the package has its
// types, constants, and the decoding of exception messages, but no calls.
//
// Calls allocate nothing and do not tell the Go scheduler that they run, so they also work while every other thread of
// the process is suspended. The exception is [Receive], which may wait long.
//
// A call reports a [KernReturn], which is KERN_SUCCESS or an error. Whoever is given a port right must give it back
// with [PortDeallocate]; [Threads] gives back a whole list.
//
// Numbers and layouts are those of XNU 11417.101.15 (macOS 15.4); each declaration names its header.
package mach
