package server

import (
	"cmp"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
)

// pipeListener is a named pipe. It always has a waiting instance, so that clients find the pipe and no other process can
// create one with its name. Only one goroutine may call accept.
type pipeListener struct {
	name     string
	wide     *uint16
	security windows.SecurityAttributes
	waiting  windows.Handle // the instance for the next client
	came     windows.Handle // event: a client has connected to waiting
	closed   windows.Handle // event: Close was called

	mu   sync.Mutex
	busy bool // accept is running
	done bool // Close was called
}

const pipeBuffer = 64 << 10

// listenPipe creates a pipe. It fails if there is a pipe with this name.
func listenPipe(name, more string) (_ *pipeListener, err error) {
	l := &pipeListener{name: name}
	if l.wide, err = windows.UTF16PtrFromString(name); err != nil {
		return nil, err
	}
	if l.security.SecurityDescriptor, err = descriptor(more); err != nil {
		return nil, fmt.Errorf("who may connect: %w", err)
	}
	// Wine 8 accepts FILE_FLAG_FIRST_PIPE_INSTANCE and ignores it.
	if there(l.wide) {
		return nil, windows.ERROR_PIPE_BUSY
	}
	l.security.Length = uint32(unsafe.Sizeof(l.security))
	const manual = 1
	if l.came, err = windows.CreateEvent(nil, manual, 0, nil); err != nil {
		return nil, err
	}
	if l.closed, err = windows.CreateEvent(nil, manual, 0, nil); err == nil {
		l.waiting, err = l.instance(windows.FILE_FLAG_FIRST_PIPE_INSTANCE)
	}
	if err != nil {
		l.free()
		return nil, err
	}
	return l, nil
}

var waitNamedPipe = windows.NewLazySystemDLL("kernel32.dll").NewProc("WaitNamedPipeW")

// there reports whether there is a pipe with the given name, without connecting to it.
func there(name *uint16) bool {
	const milliseconds = 1
	ok, _, err := waitNamedPipe.Call(uintptr(unsafe.Pointer(name)), milliseconds)
	return ok != 0 || err != windows.ERROR_FILE_NOT_FOUND
}

func (l *pipeListener) instance(flags uint32) (windows.Handle, error) {
	return windows.CreateNamedPipe(l.wide, windows.PIPE_ACCESS_DUPLEX|windows.FILE_FLAG_OVERLAPPED|flags,
		windows.PIPE_TYPE_BYTE|windows.PIPE_READMODE_BYTE|windows.PIPE_WAIT|windows.PIPE_REJECT_REMOTE_CLIENTS,
		windows.PIPE_UNLIMITED_INSTANCES, pipeBuffer, pipeBuffer, 0, &l.security)
}

func (l *pipeListener) accept() (link, uint32, error) {
	if !l.enter() {
		return nil, 0, os.ErrClosed
	}
	defer l.leave()
	if l.waiting == 0 { // the last accept could not create one
		var err error
		if l.waiting, err = l.instance(0); err != nil {
			return nil, 0, err
		}
	}
	if err := l.wait(); err != nil {
		return nil, 0, err
	}
	h := l.waiting
	l.waiting, _ = l.instance(0)
	var pid uint32
	if err := windows.GetNamedPipeClientProcessId(h, &pid); err != nil {
		windows.CloseHandle(h)
		return nil, 0, fmt.Errorf("%w: identify the client: %w", errGone, err)
	}
	return os.NewFile(uintptr(h), l.name), pid, nil
}

// wait waits until a client has connected to the waiting instance.
func (l *pipeListener) wait() error {
	o := &windows.Overlapped{HEvent: l.came}
	for {
		switch err := windows.ConnectNamedPipe(l.waiting, o); err {
		case nil, windows.ERROR_PIPE_CONNECTED:
			return nil
		case windows.ERROR_NO_DATA: // the client has already disconnected
			if err := windows.DisconnectNamedPipe(l.waiting); err != nil {
				return err
			}
			continue
		case windows.ERROR_IO_PENDING:
		default:
			return err
		}
		e, err := windows.WaitForMultipleObjects([]windows.Handle{l.closed, l.came}, false, windows.INFINITE)
		var n uint32
		if err == nil && e != windows.WAIT_OBJECT_0 {
			return windows.GetOverlappedResult(l.waiting, o, &n, false)
		}
		// The kernel writes to o until the call has ended.
		_ = windows.CancelIoEx(l.waiting, o)
		_ = windows.GetOverlappedResult(l.waiting, o, &n, true)
		return cmp.Or(err, os.ErrClosed)
	}
}

func (l *pipeListener) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = !l.done
	return l.busy
}

func (l *pipeListener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy = false; l.done {
		l.free()
	}
}

// Close ends accept and removes the pipe. Connections stay open.
func (l *pipeListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return os.ErrClosed
	}
	l.done = true
	_ = windows.SetEvent(l.closed)
	if !l.busy { // otherwise leave does it
		l.free()
	}
	return nil
}

func (l *pipeListener) free() {
	for _, h := range []*windows.Handle{&l.waiting, &l.came, &l.closed} {
		if *h != 0 {
			windows.CloseHandle(*h)
			*h = 0
		}
	}
}
