package deadline

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	w := New()
	defer w.Close()
	late := make(chan time.Time, 4)
	call := func() { w.Spare(); late <- time.Now() }
	w.Hurry(0) // not armed: nothing happens
	w.Arm(time.Millisecond, call)
	<-late
	w.Hurry(0) // the limit has passed
	w.Arm(time.Hour, call)
	started := time.Now()
	w.Hurry(20 * time.Millisecond)
	if took := (<-late).Sub(started); took < 20*time.Millisecond {
		t.Errorf("late after %v", took)
	}
	w.Arm(20*time.Millisecond, call)
	w.Hurry(time.Hour) // longer than what is left
	<-late
	w.Arm(10*time.Millisecond, call)
	w.Disarm()
	time.Sleep(KillAfter + 200*time.Millisecond) // the kernel's timer is off too
	if len(late) != 0 {
		t.Errorf("%d calls that should not be", len(late))
	}
}

// TestKill checks that the kernel kills a process whose runtime hangs.
func TestKill(t *testing.T) {
	if os.Getenv("MINIDUMP_TEST_WATCH") != "" {
		New().Arm(10*time.Millisecond, func() { select {} })
		time.Sleep(time.Minute)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), "MINIDUMP_TEST_WATCH=1")
	started := time.Now()
	err := cmd.Run()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if took := time.Since(started); err == nil || !ok || status.Signal() != syscall.SIGKILL || took > 30*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
}
