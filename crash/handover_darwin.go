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
// osfmk/kern/ipc_tt.c); Crashpad relies on that too. So while it starts the monitor, the program sets a port of its own as the
// handler of EXC_RPC_ALERT, which XNU never raises. The monitor finds that port, and sends its exception port to it. The program
// checks that the sender is the monitor, sets the received port as its exception handler, and answers with its task port.
//
// Other ways do not work: libxpc sets the ports of mach_ports_register itself in each fork (xpc_atfork_prepare), a sandbox forbids
// names of the bootstrap server, and task_for_pid requires an entitlement.
//
// A task may send its task port unless it is an Apple program, or has opted in to enhanced security (ipc_control_port_options and
// task_set_ctrl_port_default of XNU 11417).
const carrier = mach.EXC_RPC_ALERT

// exceptions are the exceptions that the monitor handles. Those raised by instructions are not among them, because XNU converts them
// to signals, and Go's runtime converts the signals to panics. If a program dies of such a signal, XNU raises EXC_CRASH.
var exceptions = mach.EXC_CRASH.Mask() | mach.EXC_RESOURCE.Mask() | mach.EXC_GUARD.Mask()

// patience is how long the program and the monitor wait for each other.
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

// putMessage encodes a message with one port.
func putMessage(m *[messageSize]byte, h mach.Header, port mach.Port, disposition uint8) {
	h.Bits |= mach.MACH_MSGH_BITS_COMPLEX
	h.Size = messageSize
	h.Put(m[:])
	m[mach.HeaderSize] = 1 // the low byte of a 32-bit count, in the byte order of both architectures
	mach.PutPortDescriptor(m[mach.HeaderSize+4:], port, disposition)
}

// getMessage returns the port in a message with the identifier id. It destroys a message of another form.
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
	port     mach.Port           // to which the monitor sends its hello
	carrier  mach.ExceptionPorts // earlier handlers of carrier
	handlers mach.ExceptionPorts // earlier handlers of exceptions
	set      bool                // handlers are replaced
}

// open sets the port as the handler of carrier, where children of this process find it.
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

// hide restores the handlers of carrier after the monitor has been started.
func (o *handover) hide() { o.carrier.Restore(mach.TaskSelf()) }

// complete waits for the first message of the monitor, which must be the process pid, and sends the task port to it.
func (o *handover) complete(pid int) error {
	var m [messageSize + mach.MaxTrailerSize]byte
	for end := time.Now().Add(patience); ; {
		const tick = 50 // ms
		kr := mach.Receive(o.port, m[:], mach.MACH_RCV_TRAILER_AUDIT, tick)
		if kr == mach.MACH_RCV_TIMED_OUT && time.Now().Before(end) {
			if hasEnded(pid) {
				return errors.New("it has exited")
			}
			continue
		}
		if err := check("wait for its message", kr); err != nil {
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

// answer makes port the handler of exceptions, and sends the task port.
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

// close releases the ports of the handover. If undo is set, it also restores the earlier exception handlers.
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

// hasEnded reports whether a child of this process has ended. It does not reap the child.
func hasEnded(pid int) bool {
	var i mach.ProcBSDInfo
	return i.ReadEnded(pid) != nil || i.Status == mach.SZOMB
}

// takeTask is the monitor's side: it returns the port that receives the program's exceptions, and the program's task
// port.
func takeTask() (exceptions, task mach.Port, err error) {
	var e mach.ExceptionPorts
	if err := check("task_get_exception_ports", e.Read(mach.TaskSelf(), carrier.Mask())); err != nil {
		return 0, 0, err
	}
	if e.N != 1 || !e.Ports[0].Valid() {
		return 0, 0, errors.New("the program did not hand over a port")
	}
	defer e.Release()
	_ = setHandler(carrier.Mask(), mach.MACH_PORT_NULL) // the program never raises this exception
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
	if err := check("wait for the program's answer", mach.Receive(back, answer[:], 0, uint32(patience.Milliseconds()))); err != nil {
		return 0, 0, err
	}
	_, task, ok := getMessage(answer[:], taskID)
	if !ok {
		return 0, 0, errors.New("the program did not send its task")
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
