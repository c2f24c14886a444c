package hook

import (
	"errors"
	"sync/atomic"
	"syscall"
	"unsafe"

	"minidump/internal/errtext"
)

// Kind is the hook that a report is from.
type Kind uint32

const (
	None             Kind = iota
	Vectored              // vectored exception handler
	Continue              // vectored continue handler
	Filter                // unhandled exception filter
	Abort                 // SIGABRT of a C runtime
	InvalidParameter      // invalid parameter handler of a C runtime
	PureCall              // pure virtual call handler of a C runtime
)

// String returns the name of the kind.
func (k Kind) String() string {
	names := [...]string{"none", "vectored handler", "continue handler", "unhandled exception filter", "abort", "invalid parameter", "pure call"}
	if int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

// Report is the start of the memory that is shared with the other process. Its layout does not depend on the word size.
type Report struct {
	Owner    uint32 // id of the thread that reports; 0: none. Written first, by compare and swap
	Kind     Kind
	Pointers uint64 // address of EXCEPTION_POINTERS in this process
	Thread   uint32 // the same as Owner, written last
	Calls    uint32 // number of calls of hooks
}

// Settings specify how a crash is reported. Handles must stay open as long as the hooks are installed.
type Settings struct {
	Report  *Report        // in memory that does not move and is shared
	Event   syscall.Handle // event to signal when there is a report
	Done    syscall.Handle // event that ends the wait
	Peer    syscall.Handle // process that reads the crash: the wait ends when it ends
	Timeout uint32         // maximum wait in milliseconds

	// FirstChance makes the vectored handler treat every error outside of Go code as fatal. It is for tests under Wine, which
	// does not call the filter for faults in functions that Go has called.
	FirstChance bool
	// Library is set in a Go library that a program in another language has loaded: Go does not end such a program for
	// exceptions outside of Go code, so the continue handler must not treat them as fatal.
	Library bool
}

// table is read by the assembly, with the offsets that the compiler writes to go_asm.h.
type table struct {
	report      uintptr // 0: not installed
	setEvent    uintptr
	waitFor     uintptr // WaitForMultipleObjects
	capture     uintptr // RtlCaptureContext
	event       uintptr
	wait        [2]uintptr // done, peer
	timeout     uintptr
	textLo      uintptr // of Go's code
	textHi      uintptr
	firstChance uintptr
	library     uintptr
	filter      uintptr // the previous filter; 0: none
	abort       uintptr // the previous handler of SIGABRT; 0: none
	invalid     uintptr // the previous invalid parameter handler; 0: none
	pure        uintptr // the previous pure call handler; 0: none
}

var hooks table

// Addresses of the functions that Windows calls, and the bounds of Go's code.
func vectoredPC() uintptr
func continuePC() uintptr
func filterPC() uintptr
func abortPC() uintptr
func invalidPC() uintptr
func purePC() uintptr
func textBounds() (lo, hi uintptr)

var (
	installed    atomic.Bool
	errInstalled = errors.New("crash hooks are installed already")
	errVectored  = errors.New("vectored handlers can't be added")
)

// Install installs the hooks for the life of the process. A second call returns an error.
func Install(s Settings) error {
	if !installed.CompareAndSwap(false, true) {
		return errInstalled
	}
	k32, err := syscall.LoadLibrary("kernel32.dll")
	if err != nil {
		return errtext.Wrap(err, "load kernel32.dll")
	}
	nt, err := syscall.LoadLibrary("ntdll.dll")
	if err != nil {
		return errtext.Wrap(err, "load ntdll.dll")
	}
	var addVectored, addContinue, setFilter uintptr
	for _, f := range []struct {
		dll  syscall.Handle
		name string
		addr *uintptr
	}{
		{k32, "SetEvent", &hooks.setEvent}, {k32, "WaitForMultipleObjects", &hooks.waitFor},
		{nt, "RtlCaptureContext", &hooks.capture}, {k32, "AddVectoredExceptionHandler", &addVectored},
		{k32, "AddVectoredContinueHandler", &addContinue}, {k32, "SetUnhandledExceptionFilter", &setFilter},
	} {
		if *f.addr, err = syscall.GetProcAddress(f.dll, f.name); err != nil {
			return errtext.Wrap(err, "find ", f.name)
		}
	}
	hooks.event, hooks.wait, hooks.timeout = uintptr(s.Event), [2]uintptr{uintptr(s.Done), uintptr(s.Peer)}, uintptr(s.Timeout)
	hooks.textLo, hooks.textHi = textBounds()
	hooks.firstChance, hooks.library = word(s.FirstChance), word(s.Library)
	hooks.report = uintptr(unsafe.Pointer(s.Report))

	vectored, _, _ := syscall.SyscallN(addVectored, 1, vectoredPC())
	continued, _, _ := syscall.SyscallN(addContinue, 1, continuePC())
	if vectored == 0 || continued == 0 {
		return errVectored
	}
	hooks.filter, _, _ = syscall.SyscallN(setFilter, filterPC())
	return hookRuntimes(k32)
}

// hookRuntimes sets the handlers of the loaded C runtime libraries. A library that is loaded later or linked statically is
// not hooked.
func hookRuntimes(k32 syscall.Handle) error {
	getModuleHandle, err := syscall.GetProcAddress(k32, "GetModuleHandleW")
	if err != nil {
		return errtext.Wrap(err, "find GetModuleHandleW")
	}
	const SIGABRT = 22 // signal.h
	for _, r := range []struct {
		name                 string
		abort, invalid, pure bool
	}{
		{"ucrtbase.dll", true, true, true},
		{"vcruntime140.dll", false, false, true}, // has the handler that ucrtbase.dll of Windows lacks
		{"msvcr120.dll", true, true, true},
		{"msvcr110.dll", true, true, true},
		{"msvcr100.dll", true, true, true},
		{"msvcrt.dll", true, false, false}, // returns an error for a bad parameter where the others end the process
	} {
		wide, err := syscall.UTF16PtrFromString(r.name)
		if err != nil {
			return err
		}
		dll, _, _ := syscall.SyscallN(getModuleHandle, uintptr(unsafe.Pointer(wide)))
		if dll == 0 {
			continue
		}
		set := func(wanted bool, name string, previous *uintptr, ours uintptr, a ...uintptr) {
			f, err := syscall.GetProcAddress(syscall.Handle(dll), name)
			if !wanted || err != nil {
				return
			}
			const SIG_IGN = 1 // SIG_DFL is 0, SIG_ERR -1
			if p, _, _ := syscall.SyscallN(f, append(a, ours)...); p > SIG_IGN && p != ^uintptr(0) && p != ours {
				*previous = p
			}
		}
		set(r.abort, "signal", &hooks.abort, abortPC(), SIGABRT)
		set(r.invalid, "_set_invalid_parameter_handler", &hooks.invalid, invalidPC())
		set(r.pure, "_set_purecall_handler", &hooks.pure, purePC())
	}
	return nil
}

func word(b bool) uintptr {
	if b {
		return 1
	}
	return 0
}
