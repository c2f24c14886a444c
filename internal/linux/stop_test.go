//go:build linux

package linux

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/victims"
	"minidump/ptrace"
)

// A stop that takes long is unblocked from what it may be hanging on, dead threads that are still traced. A stop that
// does not take long is not examined.
func TestReaper(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "4")
	l, _ := open(t, v.PID)
	if errno := l.listThreads(); errno != 0 {
		t.Fatal(errno)
	}
	tid := l.scratch.tids.All()[1]
	task := fmt.Sprintf("/proc/%d/task/%d", v.PID, tid)

	traced, end := make(chan bool), make(chan bool)
	go func() { // on a separate OS thread, which traces one thread and does not wait for it
		runtime.LockOSThread()
		th := ptrace.Thread{TID: tid}
		tracer := ptrace.New(v.PID)
		tracer.Seize(&th)
		traced <- th.State == ptrace.Seized
		<-end
	}()
	defer close(end)
	if !<-traced {
		t.Fatal("not traced")
	}
	unix.Kill(v.PID, unix.SIGKILL)
	time.Sleep(100 * time.Millisecond)

	wait := func(stopping bool) {
		waits := tracingThread{work: l} // waits for a step that nobody performs
		l.stop.waiting.Store(stopping)
		go func() {
			time.Sleep(overdueAfter + 200*time.Millisecond)
			waits.pass(turnCaller)
		}()
		waits.do(stepRelease)
		l.stop.waiting.Store(false)
	}
	wait(false)
	if _, err := os.Stat(task); err != nil {
		t.Fatalf("the dead thread was reaped, or not traced: %v", err)
	}
	wait(true)
	if _, err := os.Stat(task); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead thread is still there: %v", err)
	}
}
