package mach

// A Port is the name of a port right in the task that uses it: mach_port_t.
type Port uint32

// Names that are not a port: osfmk/mach/port.h.
const (
	MACH_PORT_NULL Port = 0
	MACH_PORT_DEAD Port = 0xffffffff
)

// Valid reports whether p can be the name of a right; the right may be dead by now.
func (p Port) Valid() bool { return p != MACH_PORT_NULL && p != MACH_PORT_DEAD }

// A PortRight is a kind of right: mach_port_right_t of osfmk/mach/port.h.
type PortRight uint32

const (
	MACH_PORT_RIGHT_SEND      PortRight = 0
	MACH_PORT_RIGHT_RECEIVE   PortRight = 1
	MACH_PORT_RIGHT_SEND_ONCE PortRight = 2
	MACH_PORT_RIGHT_PORT_SET  PortRight = 3
	MACH_PORT_RIGHT_DEAD_NAME PortRight = 4
)

// Special ports of a task, for [TaskGetSpecialPort]: osfmk/mach/task_special_ports.h.
const (
	TASK_KERNEL_PORT    = 1
	TASK_HOST_PORT      = 2
	TASK_NAME_PORT      = 3
	TASK_BOOTSTRAP_PORT = 4
)

// releaseThreads releases what task_threads returned: a send right for each thread, and the memory of the list.
func releaseThreads(list []Port, deallocate func(Port) KernReturn, free func()) {
	for _, p := range list {
		if p.Valid() {
			deallocate(p)
		}
	}
	free()
}
