package minidump

import (
	"time"

	"golang.org/x/sys/unix"

	"minidump/procfs"
	"minidump/ptrace"
)

// reapAfter is when a stop has taken so long that it may be hanging on an execve of the target (see ptrace.Reap), and how
// long it is left alone after each look.
const reapAfter = 500 * time.Millisecond

// awaitTracer waits for the end of the tracing goroutine's step. Meanwhile it frees a stop that hangs: it is on another OS
// thread, and has nothing else to do.
func (l *live) awaitTracer() {
	l.reapWait = unix.NsecToTimespec(int64(reapAfter))
	for l.await(turnCaller, &l.reapWait) == unix.ETIMEDOUT {
		if l.stopping.Load() {
			l.reap()
		}
	}
}

// reap lists the threads for ptrace.Reap by itself, as the tracing goroutine uses what this Writer has for that.
func (l *live) reap() (n int) {
	dir, err := procfs.Open(int(l.pid))
	if err != nil {
		return 0
	}
	defer dir.Close()
	scratch := make([]byte, 8<<10)
	for tids := make([]int32, 256); ; tids = make([]int32, 2*len(tids)) {
		listed, more, errno := dir.Tasks(scratch, tids)
		if errno != 0 {
			return 0
		}
		if !more {
			return ptrace.Reap(int(l.pid), tids[:listed])
		}
	}
}
