package ptrace

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// TestOwnChildThatIsWaitedFor traces a child of this very process while another goroutine waits for it: that wait takes
// the news of the stop away.
func TestOwnChildThatIsWaitedFor(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/bin/sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	pid := cmd.Process.Pid
	defer syscall.Kill(pid, syscall.SIGKILL)
	go cmd.Wait()
	time.Sleep(50 * time.Millisecond) // until it waits in the kernel
	tr := New(pid)
	for range 3 {
		ths := []Thread{{TID: int32(pid)}}
		tr.Seize(&ths[0])
		if left := tr.Collect(ths, Monotonic()+int64(10*time.Second)); left != 0 || ths[0].State != Stopped || ths[0].Signal != 0 {
			t.Fatalf("%+v", ths[0])
		}
		regs := make([]byte, 1024)
		if n, e := tr.Regset(int32(pid), 1, regs); e != 0 || n == 0 {
			t.Errorf("registers: %v", e)
		}
		tr.Detach(ths)
	}
	if tr.Leftover() != 0 {
		t.Error("left traced")
	}
}
