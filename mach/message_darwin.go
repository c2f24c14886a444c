package mach

import "unsafe"

// Send sends the message msg, whose header states its length and destination. It waits for space in the port's queue for at most
// timeout milliseconds; 0 means no wait.
func Send(msg []byte, timeout uint32) KernReturn {
	h, ok := GetHeader(msg)
	if !ok {
		return MACH_SEND_MSG_TOO_SMALL
	}
	return message(msg, MACH_SEND_MSG|MACH_SEND_TIMEOUT, h.Size, 0, 0, timeout)
}

// Forever is a timeout that never expires.
const Forever = ^uint32(0)

// Receive waits for a message to port, a receive right or a port set, for at most timeout milliseconds. MACH_RCV_TIMED_OUT means
// that none arrived. msg needs space for a trailer too, of MaxTrailerSize bytes. options are added to MACH_RCV_MSG. The receiver
// owns the rights and memory in the message. Receive notifies the Go scheduler of the wait.
func Receive(port Port, msg []byte, options, timeout uint32) KernReturn {
	if timeout != Forever {
		options |= MACH_RCV_TIMEOUT
	} else {
		timeout = 0
	}
	return message(msg, MACH_RCV_MSG|options, 0, uint32(len(msg)), port, timeout)
}

func message(msg []byte, options, send, receive uint32, port Port, timeout uint32) KernReturn {
	if len(msg) < HeaderSize {
		return MACH_RCV_TOO_LARGE
	}
	r, _, _ := wait9(libc_mach_msg_addr, uintptr(unsafe.Pointer(&msg[0])), uintptr(options), uintptr(send),
		uintptr(receive),
		uintptr(port), uintptr(timeout), 0, 0, 0)
	return KernReturn(r)
}

// Destroy releases the rights and the memory in a received message of any form. It is all that a receiver need do with an
// unexpected message.
func Destroy(msg []byte) {
	if _, ok := GetHeader(msg); ok {
		call6(libc_mach_msg_destroy_addr, uintptr(unsafe.Pointer(&msg[0])), 0, 0, 0, 0, 0)
	}
}

// TaskSetExceptionPorts makes port receive exceptions of the types in mask. If port is MACH_PORT_NULL, only the next handler, the
// system's reporter, receives them. flavor is the kind of registers that a behavior with a state sends, THREAD_STATE_NONE for the
// others.
func TaskSetExceptionPorts(task Port, mask ExceptionMask, port Port, behavior ExceptionBehavior, flavor int) KernReturn {
	r, _, _ := call6(libc_task_set_exception_ports_addr, uintptr(task), uintptr(mask), uintptr(port), uintptr(behavior),
		uintptr(flavor), 0)
	return KernReturn(r)
}

// maxExceptionPorts is the largest number of entries that MIG's client code writes: task_get_exception_ports in
// osfmk/mach/task.defs.
const maxExceptionPorts = 32

// ExceptionPorts are handlers of a task's exceptions, each a right that the caller owns. They must be released.
type ExceptionPorts struct {
	N         uint32
	Masks     [maxExceptionPorts]ExceptionMask
	Ports     [maxExceptionPorts]Port
	Behaviors [maxExceptionPorts]ExceptionBehavior
	Flavors   [maxExceptionPorts]int32
}

// Read fills e with the handlers of the exceptions in mask. The previous content of e must have been released.
func (e *ExceptionPorts) Read(task Port, mask ExceptionMask) KernReturn {
	*e = ExceptionPorts{N: maxExceptionPorts}
	r, _, _ := call9(libc_task_get_exception_ports_addr, uintptr(task), uintptr(mask), uintptr(unsafe.Pointer(&e.Masks)),
		uintptr(unsafe.Pointer(&e.N)), uintptr(unsafe.Pointer(&e.Ports)), uintptr(unsafe.Pointer(&e.Behaviors)),
		uintptr(unsafe.Pointer(&e.Flavors)), 0, 0)
	kr := KernReturn(r)
	if kr != KERN_SUCCESS {
		e.N = 0
	}
	return kr
}

// Restore sets the handlers in e for task, and returns the first error. It does not release them.
func (e *ExceptionPorts) Restore(task Port) (kr KernReturn) {
	for i := range min(e.N, maxExceptionPorts) {
		if r := TaskSetExceptionPorts(task, e.Masks[i], e.Ports[i], e.Behaviors[i], int(e.Flavors[i])); kr == KERN_SUCCESS {
			kr = r
		}
	}
	return kr
}

// Release deallocates the rights in e.
func (e *ExceptionPorts) Release() {
	releaseThreads(e.Ports[:min(e.N, maxExceptionPorts)], PortDeallocate, func() {})
	e.N = 0
}

// BootstrapCheckIn returns the receive right of the service name, which only one process may have, from the bootstrap server.
// launchd no longer allows this for names that no property list declares (BOOTSTRAP_NOT_PRIVILEGED), except in a debugged or
// unsandboxed program.
func BootstrapCheckIn(name string) (Port, KernReturn) {
	return bootstrap(libc_bootstrap_check_in_addr, name)
}

// BootstrapLookUp returns a send right to the service name, which the caller must deallocate.
func BootstrapLookUp(name string) (Port, KernReturn) {
	return bootstrap(libc_bootstrap_look_up_addr, name)
}

func bootstrap(fn uintptr, name string) (Port, KernReturn) {
	var b [128]byte // BOOTSTRAP_MAX_NAME_LEN of servers/bootstrap.h, with the NUL
	if len(name) >= len(b) {
		return MACH_PORT_NULL, KERN_INVALID_ARGUMENT
	}
	copy(b[:], name)
	server, kr := TaskGetSpecialPort(TaskSelf(), TASK_BOOTSTRAP_PORT)
	if kr != KERN_SUCCESS {
		return MACH_PORT_NULL, kr
	}
	defer PortDeallocate(server)
	var p Port
	r, _, _ := call6(fn, uintptr(server), uintptr(unsafe.Pointer(&b)), uintptr(unsafe.Pointer(&p)), 0, 0, 0)
	return p, KernReturn(r)
}
