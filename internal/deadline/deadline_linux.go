package deadline

import (
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// KillAfter is the time between the limit of a Watch and the moment when the kernel kills this process.
const KillAfter = time.Second

// Watch has two timers. The first is one of the Go runtime: it calls a function, which can report why the process ends. But
// the runtime may hang too: a tracing thread keeps its processor while the other process is stopped, and on a machine with
// one processor nothing else runs then. So a timer of the kernel kills this process a little later.
type Watch struct {
	mu     sync.Mutex
	timer  *time.Timer // nil: not armed
	end    time.Time   // when timer fires
	late   func()
	kernel int32 // the timer's id; -1: none
}

// New returns a Watch that is not armed. If the kernel refuses a timer, the Watch has only the timer of the runtime.
func New() *Watch {
	// struct sigevent of include/uapi/asm-generic/siginfo.h.
	event := struct {
		value        uintptr
		signo        int32
		notify       int32 // 0: SIGEV_SIGNAL
		spare        [48]byte
		timerCreated int32
	}{signo: int32(unix.SIGKILL)}
	w := &Watch{kernel: -1}
	if _, _, e := unix.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&event)),
		uintptr(unsafe.Pointer(&event.timerCreated))); e == 0 {
		w.kernel = event.timerCreated
	}
	return w
}

// Arm sets both timers. late is called after limit, on its own goroutine; if it does not call Spare, the kernel kills this process
// KillAfter later.
func (w *Watch) Arm(limit time.Duration, late func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disarm()
	w.late = late
	w.arm(limit)
}

// Hurry shortens the limit of an armed Watch to the given time from now. A limit that ends earlier is kept.
func (w *Watch) Hurry(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil && limit < time.Until(w.end) && w.timer.Stop() { // late has not been called yet
		w.arm(limit)
	}
}

// Spare turns the kernel's timer off.
func (w *Watch) Spare() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set(0)
}

// Disarm turns both timers off. late may be running.
func (w *Watch) Disarm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disarm()
}

// Close releases the Watch.
func (w *Watch) Close() {
	w.Disarm()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kernel >= 0 {
		_, _, _ = unix.Syscall(unix.SYS_TIMER_DELETE, uintptr(w.kernel), 0, 0)
		w.kernel = -1
	}
}

func (w *Watch) arm(limit time.Duration) {
	w.set(limit + KillAfter)
	w.end = time.Now().Add(limit)
	w.timer = time.AfterFunc(limit, w.late)
}

func (w *Watch) disarm() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	w.set(0)
}

// set sets the kernel's timer; 0 turns it off.
func (w *Watch) set(after time.Duration) {
	if w.kernel < 0 {
		return
	}
	// struct itimerspec: the interval, and the time of the first expiration.
	spec := [2]unix.Timespec{1: unix.NsecToTimespec(int64(after))}
	_, _, _ = unix.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(w.kernel), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
}
