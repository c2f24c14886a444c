package crash

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"

	"minidump/context"
)

// debugEvent is DEBUG_EVENT (minwinbase.h). The largest member of its union is an EXCEPTION_RECORD, followed by a word that is not 0
// if handlers have not yet received the exception.
type debugEvent struct {
	code, process, thread uint32
	exception             exceptionRecord
	firstChance           uint32
	_                     [64]byte
}

// exceptionRecord is EXCEPTION_RECORD (winnt.h). In a debugEvent it is at the start of the union, where other events have the handle
// of a file.
type exceptionRecord struct {
	code, flags uint32
	record      uintptr
	address     uintptr
	count       uint32
	parameters  [context.MaxParams]uintptr
}

var (
	kernel32                  = windows.NewLazySystemDLL("kernel32.dll")
	debugActiveProcess        = kernel32.NewProc("DebugActiveProcess")
	debugSetProcessKillOnExit = kernel32.NewProc("DebugSetProcessKillOnExit")
	waitForDebugEvent         = kernel32.NewProc("WaitForDebugEvent")
	continueDebugEvent        = kernel32.NewProc("ContinueDebugEvent")
)

// Codes of a debugEvent (minwinbase.h), and the debugger's answers (winnt.h).
const (
	exceptionDebugEvent     = 1
	createProcessDebugEvent = 3
	exitProcessDebugEvent   = 5
	loadDLLDebugEvent       = 6

	dbgContinue            = 0x00010002
	dbgExceptionNotHandled = 0x80010001
)

// debug attaches to the program as a debugger. A debugger receives a fast fail like any exception that no handler has handled, while
// the program is stopped. debug then sends failed to came, and lets the program end when m.seen is closed. It returns when the
// program has ended. It stays on one thread, because only the thread that attaches receives the events.
func (m *watch) debug(came chan<- outcome) {
	runtime.LockOSThread()
	defer func() { came <- ended }()
	if ok, _, err := debugActiveProcess.Call(uintptr(m.link.pid)); ok == 0 {
		fmt.Fprintf(os.Stderr, "crash: debug process %d: %v\n", m.link.pid, err)
		return
	}
	_, _, _ = debugSetProcessKillOnExit.Call(0) // the program outlives this process
	e, attached := new(debugEvent), false
	for {
		if ok, _, _ := waitForDebugEvent.Call(uintptr(unsafe.Pointer(e)), windows.INFINITE); ok == 0 {
			return
		}
		answer := uintptr(dbgContinue)
		switch e.code {
		case createProcessDebugEvent, loadDLLDebugEvent:
			windows.CloseHandle(*(*windows.Handle)(unsafe.Pointer(&e.exception)))
		case exceptionDebugEvent:
			answer = dbgExceptionNotHandled
			if e.exception.code == uint32(windows.STATUS_BREAKPOINT) && !attached { // raised by the thread that Windows creates to attach
				answer, attached = dbgContinue, true
			} else if e.firstChance == 0 {
				m.failure = e.crash(context.Native)
				came <- failed
				<-m.seen
			}
		}
		_, _, _ = continueDebugEvent.Call(uintptr(e.process), uintptr(e.thread), answer)
		if e.code == exitProcessDebugEvent {
			return
		}
	}
}

// crash returns the exception of the event. It has no registers: they are the thread's own.
func (e *debugEvent) crash(arch context.Arch) *context.Crash {
	x := &e.exception
	c := &context.Crash{Arch: arch, PID: int32(e.process), TID: int32(e.thread), Signo: int32(x.code), Code: int32(x.flags),
		Address: uint64(x.address), HasAddress: true, NumParams: min(x.count, context.MaxParams)}
	for i := range c.NumParams {
		c.Params[i] = uint64(x.parameters[i])
	}
	return c
}
