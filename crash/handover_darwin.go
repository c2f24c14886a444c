//go:build !ios

package crash

import (
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"minidump/mach"
)

// How the monitor gets the program's task port. A task inherits the exception ports of its parent (ipc_task_init of XNU's
// osfmk/kern/ipc_tt.c), as Crashpad relies on. So while it starts the monitor, the program has a port of its own as the handler of
// EXC_RPC_ALERT, which XNU never raises. The monitor finds it there, and sends its exception port. The program looks whether it is
// the monitor that has sent it, sets the port as its handler, and answers with its task port.
//
// The ports of mach_ports_register are no way: libxpc sets them itself in each fork (xpc_atfork_prepare). Nor is a name of the
// bootstrap server in a sandbox. task_for_pid needs an entitlement.
//
// A task may send its task port unless it is Apple's, or has asked for enhanced security (ipc_control_port_options and
// task_set_ctrl_port_default of XNU 11417).
const carrier = mach.EXC_RPC_ALERT

// exceptions are what the monitor handles. The exceptions of instructions are not among them, because Go's runtime makes panics of the
// signals that they become. EXC_CRASH is what remains in the end.
var exceptions = mach.EXC_CRASH.Mask() | mach.EXC_RESOURCE.Mask() | mach.EXC_GUARD.Mask()

// patience is how long program and monitor wait for one another.
const patience = 30 * time.Second

// Identifiers of the two messages.
const (
	helloID = 0x6d640001
	taskID  = 0x6d640002
)

// messageSize is the size of a message with one port.
const messageSize = mach.HeaderSize + 4 + mach.PortDescriptorSize

func check(what string, kr mach.KernReturn) error {
	if kr == mach.KERN_SUCCESS {
		return nil
	}
	return fmt.Errorf("%s: %w", what, kr)
}

// newPort allocates a port. This task gets its receive right and a send right.
func newPort() (mach.Port, error) {
	p, kr := mach.PortAllocate(mach.MACH_PORT_RIGHT_RECEIVE)
	if err := check("mach_port_allocate", kr); err != nil {
		return 0, err
	}
	if err := check("mach_port_insert_right", mach.PortInsertRight(p, p, mach.MACH_MSG_TYPE_MAKE_SEND)); err != nil {
		closePort(p)
		return 0, err
	}
	return p, nil
}

// closePort releases the receive right of a port, which destroys the port.
func closePort(p mach.Port) { mach.PortModRefs(p, mach.MACH_PORT_RIGHT_RECEIVE, -1) }

// putMessage makes a message with one port.
func putMessage(m *[messageSize]byte, h mach.Header, port mach.Port, disposition uint8) {
	h.Bits |= mach.MACH_MSGH_BITS_COMPLEX
	h.Size = messageSize
	h.Put(m[:])
	m[mach.HeaderSize] = 1 // of a count of 4 bytes, in the byte order of both architectures
	mach.PutPortDescriptor(m[mach.HeaderSize+4:], port, disposition)
}

// getMessage takes the port from a message of id. A message of another form is given back.
func getMessage(m []byte, id int32) (h mach.Header, port mach.Port, ok bool) {
	h, ok = mach.GetHeader(m)
	if !ok {
		return h, 0, false
	}
	if h.ID == id && h.Complex() && h.Size == messageSize && m[mach.HeaderSize] == 1 {
		if port, _, ok = mach.GetPortDescriptor(m[mach.HeaderSize+4:]); ok && port.Valid() {
			return h, port, true
		}
	}
	mach.Destroy(m)
	return h, 0, false
}

// handover is the program's side.
type handover struct {
	port     mach.Port           // that the monitor says hello to
	carrier  mach.ExceptionPorts // what carrier had before
	handlers mach.ExceptionPorts // of exceptions, before
	set      bool                // handlers are replaced
}

// open has children of this process find the port.
func (o *handover) open() (err error) {
	self := mach.TaskSelf()
	if err := check("task_get_exception_ports", o.carrier.Read(self, carrier.Mask())); err != nil {
		return err
	}
	if err := check("task_get_exception_ports", o.handlers.Read(self, exceptions)); err != nil {
		return err
	}
	if o.port, err = newPort(); err != nil {
		return err
	}
	return check("task_set_exception_ports", setHandler(carrier.Mask(), o.port))
}

func setHandler(mask mach.ExceptionMask, port mach.Port) mach.KernReturn {
	return mach.TaskSetExceptionPorts(mach.TaskSelf(), mask, port, mach.EXCEPTION_DEFAULT|mach.MACH_EXCEPTION_CODES, stateNone)
}

// hide undoes that: the monitor has been started.
func (o *handover) hide() { o.carrier.Restore(mach.TaskSelf()) }

// complete waits for the first message of the monitor, which must come from the process pid, and sends it the task port.
func (o *handover) complete(pid int) error {
	var m [messageSize + mach.MaxTrailerSize]byte
	for end := time.Now().Add(patience); ; {
		const tick = 50 // ms
		kr := mach.Receive(o.port, m[:], mach.MACH_RCV_TRAILER_AUDIT, tick)
		if kr == mach.MACH_RCV_TIMED_OUT && time.Now().Before(end) {
			if hasEnded(pid) {
				return errors.New("it has ended")
			}
			continue
		}
		if err := check("no word from it", kr); err != nil {
			return err
		}
		sender, ok := mach.Sender(m[:])
		h, port, isHello := getMessage(m[:], helloID)
		if !isHello {
			continue
		}
		if !ok || sender.PID() != pid {
			mach.Destroy(m[:]) // another child of this process
			continue
		}
		return o.answer(h, port)
	}
}

// answer makes port the handler of exceptions, and sends the task.
func (o *handover) answer(h mach.Header, port mach.Port) error {
	defer mach.PortDeallocate(port)
	if err := check("task_set_exception_ports", setHandler(exceptions, port)); err != nil {
		mach.PortDeallocate(h.Remote)
		return err
	}
	o.set = true
	var m [messageSize]byte
	putMessage(&m, mach.Header{Bits: mach.Bits(mach.MACH_MSG_TYPE_MOVE_SEND_ONCE, 0), Remote: h.Remote, ID: taskID},
		mach.TaskSelf(), mach.MACH_MSG_TYPE_COPY_SEND)
	return check("send the task port", mach.Send(m[:], uint32(patience.Milliseconds())))
}

// close releases the ports of the handover. If undo is set, it also restores the exception handlers that were set before.
func (o *handover) close(undo bool) {
	if o.port != 0 {
		closePort(o.port)
		mach.PortDeallocate(o.port)
	}
	if undo && o.set {
		o.handlers.Restore(mach.TaskSelf())
	}
	o.carrier.Release()
	o.handlers.Release()
}

// hasEnded reports whether a child of this process has ended. It does not ask for its status.
func hasEnded(pid int) bool {
	var i mach.ProcBSDInfo
	return i.ReadEnded(pid) != nil || i.Status == mach.SZOMB
}

// takeTask is the monitor's side: it returns the port that the program's exceptions come to, and its task.
func takeTask() (exceptions, task mach.Port, err error) {
	var e mach.ExceptionPorts
	if err := check("task_get_exception_ports", e.Read(mach.TaskSelf(), carrier.Mask())); err != nil {
		return 0, 0, err
	}
	if e.N != 1 || !e.Ports[0].Valid() {
		return 0, 0, errors.New("the program has handed over no port")
	}
	defer e.Release()
	_ = setHandler(carrier.Mask(), mach.MACH_PORT_NULL) // an exception that it would get is never raised
	if exceptions, err = newPort(); err != nil {
		return 0, 0, err
	}
	back := mach.ReplyPort()
	defer closePort(back)
	var m [messageSize]byte
	putMessage(&m, mach.Header{Bits: mach.Bits(mach.MACH_MSG_TYPE_COPY_SEND, mach.MACH_MSG_TYPE_MAKE_SEND_ONCE), Remote: e.Ports[0],
		Local: back, ID: helloID}, exceptions, mach.MACH_MSG_TYPE_COPY_SEND)
	if err := check("send a port to the program", mach.Send(m[:], uint32(patience.Milliseconds()))); err != nil {
		return 0, 0, err
	}
	var answer [messageSize + mach.MaxTrailerSize]byte
	if err := check("no answer of the program", mach.Receive(back, answer[:], 0, uint32(patience.Milliseconds()))); err != nil {
		return 0, 0, err
	}
	_, task, ok := getMessage(answer[:], taskID)
	if !ok {
		return 0, 0, errors.New("the program has sent no task")
	}
	return exceptions, task, nil
}

// socketOf returns the inode number of a socket, which identifies it: XNU assigns one to a Unix-domain socket at the first fstat
// (uipc_sense of bsd/kern/uipc_usrreq.c).
func socketOf(fd int) (ino uint64, ok bool) {
	var st syscall.Stat_t
	err := syscall.Fstat(fd, &st)
	return st.Ino, err == nil && st.Mode&syscall.S_IFMT == syscall.S_IFSOCK
}

// duplicate returns another descriptor of the socket fd; -1 if there is none.
func duplicate(fd int) int32 {
	want, ok := socketOf(fd)
	if !ok {
		return -1
	}
	list := make([]mach.ProcFDInfo, 1<<16/unsafe.Sizeof(mach.ProcFDInfo{}))
	n, _ := mach.ProcListFDs(syscall.Getpid(), list)
	for _, l := range list[:n] {
		if int(l.FD) == fd || l.Type != mach.PROX_FDTYPE_SOCKET {
			continue
		}
		if ino, ok := socketOf(int(l.FD)); ok && ino == want {
			return l.FD
		}
	}
	return -1
}
