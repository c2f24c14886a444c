package mach

import (
	"sync/atomic"
	"unsafe"
)

// trap makes Mach trap number n. Trap numbers are in trap.go.
//
//go:noescape
func trap(n, a1, a2, a3, a4, a5, a6 uintptr) uintptr

// The kernel adds a reference each time that it returns the task's own port, so the port is requested once.
var taskSelf, hostSelf atomic.Uint32

// TaskSelf returns the port of the calling task. It must not be deallocated.
func TaskSelf() Port { return once(&taskSelf, trapTaskSelf) }

// HostSelf returns the port of the host. It must not be deallocated.
func HostSelf() Port { return once(&hostSelf, trapHostSelf) }

func once(port *atomic.Uint32, number uintptr) Port {
	if p := port.Load(); p != 0 {
		return Port(p)
	}
	p := trap(number, 0, 0, 0, 0, 0, 0)
	if !port.CompareAndSwap(0, uint32(p)) {
		PortDeallocate(Port(p)) // another thread was faster
	}
	return Port(port.Load())
}

// ThreadSelf returns the port of the calling thread, a right that the caller must deallocate.
func ThreadSelf() Port { return Port(trap(trapThreadSelf, 0, 0, 0, 0, 0, 0)) }

// ReplyPort creates a port with a receive right, for replies. The caller must release it with [PortModRefs] and -1.
func ReplyPort() Port { return Port(trap(trapReplyPort, 0, 0, 0, 0, 0, 0)) }

// TaskForPID returns the task port of process pid, a right that the caller must deallocate. KERN_FAILURE means that there is no
// such process, or that the caller lacks permission: it must be root or have the same user, and have the entitlement
// com.apple.security.cs.debugger unless the target has get-task-allow. System Integrity Protection denies everyone access to
// Apple's own programs. On iOS it always fails.
func TaskForPID(pid int) (Port, KernReturn) {
	var p Port
	r := trap(trapTaskForPID, uintptr(TaskSelf()), uintptr(pid), uintptr(unsafe.Pointer(&p)), 0, 0, 0)
	return p, KernReturn(r)
}

// PIDForTask returns the process of a task port.
func PIDForTask(task Port) (int, KernReturn) {
	var pid int32
	r := trap(trapPIDForTask, uintptr(task), uintptr(unsafe.Pointer(&pid)), 0, 0, 0, 0)
	return int(pid), KernReturn(r)
}

const vmFlagsAnywhere = 1 // VM_FLAGS_ANYWHERE of osfmk/mach/vm_statistics.h

// VMAllocate maps size bytes of zeros into the calling task, readable and writable, and returns their address. size is
// rounded up to pages.
func VMAllocate(size uint64) (uint64, KernReturn) {
	var addr uint64
	r := trap(trapVMAllocate, uintptr(TaskSelf()), uintptr(unsafe.Pointer(&addr)), uintptr(size), vmFlagsAnywhere, 0, 0)
	return addr, KernReturn(r)
}

// VMDeallocate unmaps size bytes at addr of the calling task.
func VMDeallocate(addr, size uint64) KernReturn {
	return KernReturn(trap(trapVMDeallocate, uintptr(TaskSelf()), uintptr(addr), uintptr(size), 0, 0, 0))
}

// VMProtect sets the protection (VM_PROT_*) of size bytes at addr of the calling task.
func VMProtect(addr, size uint64, protection int32) KernReturn {
	return KernReturn(trap(trapVMProtect, uintptr(TaskSelf()), uintptr(addr), uintptr(size), 0, uintptr(protection), 0))
}

// PortAllocate creates a right in the calling task: MACH_PORT_RIGHT_RECEIVE, for a new port, or MACH_PORT_RIGHT_PORT_SET.
func PortAllocate(right PortRight) (Port, KernReturn) {
	var p Port
	r := trap(trapPortAllocate, uintptr(TaskSelf()), uintptr(right), uintptr(unsafe.Pointer(&p)), 0, 0, 0)
	return p, KernReturn(r)
}

// PortDeallocate releases one send, send-once or dead-name right of the calling task.
func PortDeallocate(p Port) KernReturn {
	return KernReturn(trap(trapPortDeallocate, uintptr(TaskSelf()), uintptr(p), 0, 0, 0, 0))
}

// PortModRefs adds delta to the number of references to p that the calling task holds. At 0, a receive right destroys the port.
func PortModRefs(p Port, right PortRight, delta int32) KernReturn {
	return KernReturn(trap(trapPortModRefs, uintptr(TaskSelf()), uintptr(p), uintptr(right), uintptr(delta), 0, 0))
}

// PortInsertRight creates a right to port, whose receive right the calling task has, under the name name. disposition is
// MACH_MSG_TYPE_*; a send right (MACH_MSG_TYPE_MAKE_SEND) has the same name as the receive right.
func PortInsertRight(name, port Port, disposition uint32) KernReturn {
	return KernReturn(trap(trapPortInsertRight, uintptr(TaskSelf()), uintptr(name), uintptr(port), uintptr(disposition),
		0, 0))
}
