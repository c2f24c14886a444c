package hook

import (
	"errors"
	"sync/atomic"
	"syscall"
	"unsafe"

	"minidump/internal/errtext"
)

// Kind says which of the hooks a report is from.
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
	Owner    uint32 // the thread that is held; 0: none. Written first, by compare and swap
	Kind     Kind
	Pointers uint64 // EXCEPTION_POINTERS in the memory of this process
	Thread   uint32 // written last
	Calls    uint32 // how often a hook was called
}

// Settings say how a crash is reported. Handles must stay open as long as the hooks are installed.
type Settings struct {
	Report  *Report        // in memory that does not move and is shared
	Event   syscall.Handle // event to signal when there is a report
	Done    syscall.Handle // event that ends the wait
	Peer    syscall.Handle // process that looks: the wait ends with it
	Timeout uint32         // milliseconds to wait at most

	// FirstChance makes the vectored handler take every error outside of Go code. It is for tests under Wine, which
	// does not call the filter for faults in calls that Go has made.
	FirstChance bool
	// Library is set in Go libraries that a program of another language has loaded: Go does not end those for exceptions
	// outside of Go code, so that the continue handler must not take them for fatal.
	Library bool
}

// table is what the assembly reads, by the offsets that the compiler writes to go_asm.h.
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
	filter      uintptr // the filter that was there before; 0: none
	abort       uintptr // likewise the handler of SIGABRT
	invalid     uintptr // likewise the invalid parameter handler
	pure        uintptr // likewise the pure call handler
}

var hooks table

// Addresses of the assembly as Windows calls it.
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

// Install installs the hooks, which stay for the life of the process. It does so once: a second call is an error.
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

// hookRuntimes sets the handlers of the C runtime libraries that are loaded. One that is loaded later, or linked
// statically, is not hooked.
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
		{"vcruntime140.dll", false, false, true}, // has what ucrtbase.dll of Windows does not
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
