//go:build amd64 || arm64

package crash

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A thread that C code created has no g. If it faults or aborts, the runtime lets the signal kill the program and reports nothing.
// So in a program with cgo, Start installs a signal handler in front of the runtime's. It is in assembly and needs no g, and hardly
// any stack. If the thread has no g, or one that is only lent to it, the handler stores the addresses of siginfo_t and ucontext_t in
// memory shared with the monitor, and waits until the monitor has written a dump. After that, and for all other threads immediately,
// it jumps to the runtime's handler as if the kernel had called that.
//
// It is not known beforehand whether the signal is deadly: a C library may have its own handler for it, which the runtime calls. If
// the program still exists some time after the first such signal, the monitor removes the dump, and the handler no longer holds
// threads.

// holdPage is the memory that the handler and the monitor share. The assembly knows the offsets.
type holdPage struct {
	state    uint32
	pid      uint32 // of the program
	extra    uint32 // offset of isExtraInC in runtime.m; 0: not known
	signal   uint32
	tid      uint32
	_        uint32
	info     uint64 // address of siginfo_t
	ucontext uint64 // address of ucontext_t
}

// Values of holdPage.state.
const (
	stateFree    = iota
	stateTaken   // a thread fills in the other fields
	stateHeld    // the thread waits for the monitor
	stateDumping // the thread waits for the dump
	stateDone    // no thread waits any more
)

// holdEnd is the size of the file of notes, including the page at its end.
const holdEnd = noteSize + 4096

// The handler's data: the page, and the previous handler of each signal.
var (
	//lint:ignore U1000 the assembly reads it
	held     *holdPage
	previous [65]uintptr
)

// handlerAddress returns the address of signalHandler.
func handlerAddress() uintptr

// iscgo is the runtime's variable. The runtime keeps its name for other packages (see the comment in runtime/cgo.go).
//
//go:linkname iscgo runtime.iscgo
var iscgo bool

// heldSignals are the signals that a fault or an abort raises.
var heldSignals = [...]syscall.Signal{syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV,
	syscall.SIGSYS}

// sigaction is struct sigaction of the kernel (include/linux/signal_types.h), the same on both architectures.
type sigaction struct{ handler, flags, restorer, mask uintptr }

const (
	saSiginfo = 4 // SA_SIGINFO
	sigIgnore = 1 // SIG_IGN
)

func rtSigaction(sig syscall.Signal, set, old *sigaction) bool {
	_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	return e == 0
}

// mapHold maps the page. The file must already have its full size.
func mapHold(notes *os.File) *holdPage {
	b, err := unix.Mmap(int(notes.Fd()), 0, holdEnd, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil
	}
	return (*holdPage)(unsafe.Pointer(&b[noteSize]))
}

// hold installs the handler if the program may have C threads.
func hold(notes *os.File) {
	if !iscgo {
		return
	}
	page := mapHold(notes)
	if page == nil {
		return
	}
	page.pid = uint32(os.Getpid())
	held = page
	for _, sig := range heldSignals {
		var a sigaction
		if !rtSigaction(sig, nil, &a) || a.flags&saSiginfo == 0 || a.handler <= sigIgnore {
			continue
		}
		previous[sig] = a.handler
		a.handler = handlerAddress()
		rtSigaction(sig, &a, nil)
	}
}

// heldThread waits until a thread is held, and returns the page that the handler has filled in. It returns nil immediately if
// the program has no handler. Before it waits, it sets the offset that the handler needs.
func heldThread(notes *os.File) *holdPage {
	if !iscgo {
		return nil
	}
	p := mapHold(notes)
	if p == nil {
		return nil
	}
	atomic.StoreUint32(&p.extra, extraOffset())
	for {
		v := atomic.LoadUint32(&p.state)
		if v == stateHeld && atomic.CompareAndSwapUint32(&p.state, v, stateDumping) {
			return p
		}
		futex(&p.state, futexWait, v)
	}
}

// letGo releases the held threads.
func (p *holdPage) letGo() {
	atomic.StoreUint32(&p.state, stateDone)
	const all = 1<<31 - 1
	futex(&p.state, futexWake, all)
}

// Operations of futex(2) on memory shared by processes (include/uapi/linux/futex.h).
const (
	futexWait = 0
	futexWake = 1
)

func futex(word *uint32, op, value uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), uintptr(op), uintptr(value), 0, 0, 0)
}

func (p *holdPage) String() string {
	sig := syscall.Signal(p.signal)
	return fmt.Sprintf("%s: %v in a thread without a goroutine", unix.SignalName(sig), sig)
}
