package mach

import "unsafe"

// Threads is a list of a task's threads, each a right that the caller owns. It must be released.
type Threads struct {
	addr uintptr
	n    uint32
}

// TaskThreads lists the threads of a task.
func TaskThreads(task Port) (Threads, KernReturn) {
	var t Threads
	r, _, _ := call6(libc_task_threads_addr, uintptr(task), uintptr(unsafe.Pointer(&t.addr)),
		uintptr(unsafe.Pointer(&t.n)), 0, 0, 0)
	return t, KernReturn(r)
}

// Ports returns the list, which is valid until Release.
func (t *Threads) Ports() []Port {
	if t.n == 0 {
		return nil
	}
	// The kernel has mapped the list: it is not in Go's memory.
	return unsafe.Slice(*(**Port)(unsafe.Pointer(&t.addr)), t.n)
}

// Release deallocates the right to each thread, and the list. A second call does nothing.
func (t *Threads) Release() {
	addr, size := uint64(t.addr), 4*uint64(t.n)
	releaseThreads(t.Ports(), PortDeallocate, func() {
		if size != 0 {
			VMDeallocate(addr, size)
		}
	})
	*t = Threads{}
}

// TaskSuspend increments the suspend count of a task, which stops all its threads. If the caller ends before it resumes the task,
// the kernel resumes it (osfmk/kern/task.c, task_suspend: the suspension lasts as long as the right that the calling task
// received with it).
func TaskSuspend(task Port) KernReturn { return call1(libc_task_suspend_addr, task) }

// TaskResume undoes one TaskSuspend.
func TaskResume(task Port) KernReturn { return call1(libc_task_resume_addr, task) }

// ThreadSuspend increments the suspend count of a thread, which stops it. The kernel does not resume the thread when the caller
// ends.
func ThreadSuspend(thread Port) KernReturn { return call1(libc_thread_suspend_addr, thread) }

// ThreadResume undoes one ThreadSuspend.
func ThreadResume(thread Port) KernReturn { return call1(libc_thread_resume_addr, thread) }

func call1(fn uintptr, port Port) KernReturn {
	r, _, _ := call6(fn, uintptr(port), 0, 0, 0, 0, 0)
	return KernReturn(r)
}

// flavor calls a function of the form f(port, flavor, out, count), where count is the size of out in words on entry, and the
// number of words written on return. That number must be at least words.
func flavor(fn uintptr, port Port, flavor int, out unsafe.Pointer, room, words uint32) KernReturn {
	r, _, _ := call6(fn, uintptr(port), uintptr(flavor), uintptr(out), uintptr(unsafe.Pointer(&room)), 0, 0)
	if kr := KernReturn(r); kr != KERN_SUCCESS {
		return kr
	}
	if room < words {
		return MIG_TYPE_ERROR
	}
	return KERN_SUCCESS
}

// Read fills i for a task.
func (i *TaskDyldInfo) Read(task Port) KernReturn {
	return flavor(libc_task_info_addr, task, TASK_DYLD_INFO, unsafe.Pointer(i), uint32(unsafe.Sizeof(*i)/4), 5)
}

// Read fills i for a task.
func (i *MachTaskBasicInfo) Read(task Port) KernReturn {
	return flavor(libc_task_info_addr, task, MACH_TASK_BASIC_INFO, unsafe.Pointer(i), uint32(unsafe.Sizeof(*i)/4), 12)
}

// Read fills i for a task.
func (i *TaskThreadTimesInfo) Read(task Port) KernReturn {
	return flavor(libc_task_info_addr, task, TASK_THREAD_TIMES_INFO, unsafe.Pointer(i), uint32(unsafe.Sizeof(*i)/4), 4)
}

// Read fills t for a task.
func (t *AuditToken) Read(task Port) KernReturn {
	return flavor(libc_task_info_addr, task, TASK_AUDIT_TOKEN, unsafe.Pointer(t), uint32(unsafe.Sizeof(*t)/4), 8)
}

// ReadPeer fills t for the process at the other end of fd, a connected socket of the Unix domain: LOCAL_PEERTOKEN of
// bsd/sys/un.h, since macOS 11.
func (t *AuditToken) ReadPeer(fd int) error {
	const (
		solLocal       = 0
		localPeerToken = 6
	)
	size := uint32(unsafe.Sizeof(*t))
	r, _, err := call6(libc_getsockopt_addr, uintptr(fd), solLocal, localPeerToken, uintptr(unsafe.Pointer(t)),
		uintptr(unsafe.Pointer(&size)), 0)
	if int32(r) != 0 {
		return err
	}
	if size != uint32(unsafe.Sizeof(*t)) {
		return ErrProc
	}
	return nil
}

// Read fills i for a thread.
func (i *ThreadBasicInfo) Read(thread Port) KernReturn {
	return flavor(libc_thread_info_addr, thread, THREAD_BASIC_INFO, unsafe.Pointer(i), uint32(unsafe.Sizeof(*i)/4), 10)
}

// Read fills i for a thread.
func (i *ThreadIdentifierInfo) Read(thread Port) KernReturn {
	return flavor(libc_thread_info_addr, thread, THREAD_IDENTIFIER_INFO, unsafe.Pointer(i), uint32(unsafe.Sizeof(*i)/4), 6)
}

// Read fills i for a thread.
func (i *ThreadExtendedInfo) Read(thread Port) KernReturn {
	return flavor(libc_thread_info_addr, thread, THREAD_EXTENDED_INFO, unsafe.Pointer(i), uint32(unsafe.Sizeof(*i)/4), 28)
}

// Read fills s for a thread of an x86_64 program.
func (s *X86ThreadState64) Read(thread Port) KernReturn {
	return flavor(libc_thread_get_state_addr, thread, X86_THREAD_STATE64, unsafe.Pointer(s),
		uint32(unsafe.Sizeof(*s)/4), 42)
}

// Read fills s for a thread of an x86_64 program.
func (s *X86FloatState64) Read(thread Port) KernReturn {
	return flavor(libc_thread_get_state_addr, thread, X86_FLOAT_STATE64, unsafe.Pointer(s), uint32(unsafe.Sizeof(*s)/4),
		131)
}

// Read fills s for a thread of an x86_64 program.
func (s *X86ExceptionState64) Read(thread Port) KernReturn {
	return flavor(libc_thread_get_state_addr, thread, X86_EXCEPTION_STATE64, unsafe.Pointer(s),
		uint32(unsafe.Sizeof(*s)/4), 4)
}

// Read fills s for a thread of an arm64 program.
func (s *ARMThreadState64) Read(thread Port) KernReturn {
	return flavor(libc_thread_get_state_addr, thread, ARM_THREAD_STATE64, unsafe.Pointer(s),
		uint32(unsafe.Sizeof(*s)/4), 68)
}

// Read fills s for a thread of an arm64 program.
func (s *ARMNeonState64) Read(thread Port) KernReturn {
	return flavor(libc_thread_get_state_addr, thread, ARM_NEON_STATE64, unsafe.Pointer(s), uint32(unsafe.Sizeof(*s)/4), 130)
}

// Read fills s for a thread of an arm64 program.
func (s *ARMExceptionState64) Read(thread Port) KernReturn {
	return flavor(libc_thread_get_state_addr, thread, ARM_EXCEPTION_STATE64, unsafe.Pointer(s),
		uint32(unsafe.Sizeof(*s)/4), 4)
}

// VMReadOverwrite reads memory of a task at addr into p and returns the number of bytes read: all of p, or none if one of the
// pages can't be read.
func VMReadOverwrite(task Port, addr uint64, p []byte) (int, KernReturn) {
	if len(p) == 0 {
		return 0, KERN_SUCCESS
	}
	var n uint64
	r, _, _ := call6(libc_mach_vm_read_overwrite_addr, uintptr(task), uintptr(addr), uintptr(len(p)),
		uintptr(unsafe.Pointer(&p[0])),
		uintptr(unsafe.Pointer(&n)), 0)
	if kr := KernReturn(r); kr != KERN_SUCCESS {
		return 0, kr
	}
	return int(min(n, uint64(len(p)))), KERN_SUCCESS
}

// VMRegionRecurse finds the first region of a task that ends above addr. It fills info, and returns the region's start and its
// size in bytes. depth is how many levels of nested maps it may descend; at is the depth of the region found. After the last
// region it returns KERN_INVALID_ADDRESS.
func VMRegionRecurse(task Port, addr uint64, depth uint32, info *VMRegionSubmapInfo64) (start, size uint64, at uint32,
	kr KernReturn) {
	start, at = addr, depth
	const words = uint32(unsafe.Sizeof(*info) / 4)
	n := words
	r, _, _ := call6(libc_mach_vm_region_recurse_addr, uintptr(task), uintptr(unsafe.Pointer(&start)),
		uintptr(unsafe.Pointer(&size)),
		uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(info)), uintptr(unsafe.Pointer(&n)))
	return start, size, at, KernReturn(r)
}

// TaskGetSpecialPort returns a special port of a task (TASK_*_PORT), a right that the caller must deallocate.
func TaskGetSpecialPort(task Port, which int) (Port, KernReturn) {
	var p Port
	r, _, _ := call6(libc_task_get_special_port_addr, uintptr(task), uintptr(which), uintptr(unsafe.Pointer(&p)), 0, 0, 0)
	return p, KernReturn(r)
}

// TaskIdentityTokenGetTaskPort returns the task port for the token of an exception message of a protected behavior, a right that
// the caller must deallocate. XNU sends such tokens since macOS 15 and iOS 18.
func TaskIdentityTokenGetTaskPort(token Port) (Port, KernReturn) {
	const taskFlavorControl = 0 // TASK_FLAVOR_CONTROL of osfmk/mach/task_special_ports.h
	var p Port
	r, _, _ := call6(libc_task_identity_token_get_task_port_addr, uintptr(token), taskFlavorControl,
		uintptr(unsafe.Pointer(&p)), 0, 0, 0)
	return p, KernReturn(r)
}

// PortGetRefs returns the number of references to p that the calling task holds.
func PortGetRefs(p Port, right PortRight) (uint32, KernReturn) {
	var n uint32
	r, _, _ := call6(libc_mach_port_get_refs_addr, uintptr(TaskSelf()), uintptr(p), uintptr(right),
		uintptr(unsafe.Pointer(&n)), 0, 0)
	return n, KernReturn(r)
}

// Read fills i for the host.
func (i *HostBasicInfo) Read(host Port) KernReturn {
	return flavor(libc_host_info_addr, host, HOST_BASIC_INFO, unsafe.Pointer(i), uint32(unsafe.Sizeof(*i)/4), 12)
}
