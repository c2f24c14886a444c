package mach

import (
	"os"
	"testing"
	"time"
)

// TestInWrite finds the thread that waits in a write to a full pipe, and the descriptor.
func TestInWrite(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	fd := int32(w.Fd()) // which makes write block in the system call
	done := make(chan error)
	go func() {
		_, err := w.Write(make([]byte, 1<<20))
		done <- err
	}()
	found := 0
	for end := time.Now().Add(20 * time.Second); found == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		threads, kr := TaskThreads(TaskSelf())
		ok(t, "task_threads", kr)
		self := ThreadSelf()
		for _, p := range threads.Ports() {
			if p == self {
				continue
			}
			ok(t, "thread_suspend", ThreadSuspend(p))
			if at, in := InWrite(p); in && at == fd {
				found++
			}
			ok(t, "thread_resume", ThreadResume(p))
		}
		PortDeallocate(self)
		threads.Release()
	}
	if found != 1 {
		t.Errorf("%d threads write", found)
	}
	r.Close()
	if err := <-done; err == nil {
		t.Error("a write that nobody has read")
	}
}
