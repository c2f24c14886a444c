package ptrace

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

func listed(pid int) (ths []Thread) {
	for _, tid := range tasks(pid) {
		ths = append(ths, Thread{TID: tid})
	}
	return ths
}

// TestAttachAll checks that the target runs between AttachAll and Interrupt, and also if Detach follows instead.
func TestAttachAll(t *testing.T) {
	v := startVictim(t, "beat")
	onThread(func() {
		tr := New(v.pid)
		for round := range 20 {
			ths := listed(v.pid)
			tr.AttachAll(ths)
			if n := count(ths, Attached); n != len(ths) {
				t.Fatalf("%d of %d threads are attached: %+v", n, len(ths), ths)
			}
			was := v.Beats[0].Load()
			eventually(t, "an attached target counts", func() bool {
				tr.passSignals(ths) // the victim's Go runtime may send it some
				return v.Beats[0].Load() > was
			})
			if round%2 == 0 {
				tr.Pin()
				tr.Interrupt(ths)
				left := tr.Collect(ths, Monotonic()+int64(10*time.Second))
				stopped := count(ths, Stopped)
				tr.Detach(ths)
				tr.Unpin()
				if left != 0 || stopped != len(ths) {
					t.Errorf("%d of %d threads stopped, %d late", stopped, len(ths), left)
				}
			} else {
				tr.Detach(ths)
			}
			if tr.Release(Monotonic()+int64(10*time.Second)) != 0 {
				t.Fatal("left traced")
			}
			v.runsOn(t)
		}
	})
}

// TestAttachedSignals checks that passSignals delivers signals that arrive while threads are attached without delay, and that
// none is lost or duplicated.
func TestAttachedSignals(t *testing.T) {
	v := startVictim(t, "beat")
	onThread(func() {
		tr := New(v.pid)
		sent := uint64(0)
		for range 10 {
			ths := listed(v.pid)
			tr.AttachAll(ths)
			for range 10 {
				sent++
				unix.Kill(v.pid, unix.SIGUSR1)
				eventually(t, "the signal arrives", func() bool {
					tr.passSignals(ths)
					return v.Signals[unix.SIGUSR1].Load() == sent
				})
			}
			unix.Kill(v.pid, unix.SIGUSR1) // is delivered by Detach
			sent++
			tr.Interrupt(ths)
			if tr.Collect(ths, Monotonic()+int64(10*time.Second)) != 0 {
				t.Fatal("not all stopped")
			}
			tr.Detach(ths)
			eventually(t, "the last signal arrives", func() bool { return v.Signals[unix.SIGUSR1].Load() == sent })
			v.runsOn(t)
		}
	})
}

// TestAttachStopped checks that a stopped process stays stopped while it is attached to, and afterwards.
func TestAttachStopped(t *testing.T) {
	v := startVictim(t, "beat")
	unix.Kill(v.pid, unix.SIGSTOP)
	eventually(t, "it stops", func() bool { return stateOf(v.pid, v.pid) == 'T' })
	onThread(func() {
		tr := New(v.pid)
		ths := listed(v.pid)
		tr.AttachAll(ths)
		tr.passSignals(ths)
		tr.Interrupt(ths)
		if tr.Collect(ths, Monotonic()+int64(10*time.Second)) != 0 {
			t.Fatal("not all stopped")
		}
		tr.Detach(ths)
	})
	eventually(t, "it is stopped still", func() bool { return stateOf(v.pid, v.pid) == 'T' })
	unix.Kill(v.pid, unix.SIGCONT)
	v.runsOn(t)
}

// TestPinnedExec traces a target that executes itself again and again, in pinned sessions: none hangs, and the processor is
// released where a session could hang.
func TestPinnedExec(t *testing.T) {
	times := rounds(60)
	v := startVictim(t, fmt.Sprint("exec ", times))
	done := make(chan bool)
	reaped := make(chan bool)
	go func() { // as a caller does for a stop that takes long
		defer close(reaped)
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				Reap(v.pid, tasks(v.pid))
			}
		}
	}()
	sessions, stopped := 0, 0
	for start := time.Now(); v.Beats[0].Load() <= uint64(times); sessions++ {
		if time.Since(start) > time.Minute {
			t.Errorf("only %d of %d execve in %d sessions", v.Beats[0].Load(), times, sessions)
			break
		}
		onThread(func() { // its end detaches leftover threads
			tr := New(v.pid)
			ths := listed(v.pid)
			tr.AttachAll(ths)
			tr.Pin()
			tr.Interrupt(ths)
			tr.Collect(ths, Monotonic()+int64(50*time.Millisecond))
			stopped += count(ths, Stopped)
			tr.Detach(ths)
			tr.Unpin()
		})
		time.Sleep(100 * time.Microsecond) // else the target makes no progress
	}
	close(done)
	<-reaped
	t.Logf("%d sessions, %d stops, %d execve", sessions, stopped, v.Beats[0].Load())
	if stopped == 0 {
		t.Error("no session has stopped a thread")
	}
	eventually(t, "not traced", func() bool { return status(v.pid, v.pid, "TracerPid") == "0" })
}

// TestPinnedSeizeGivesWay checks that a pinned Seize that blocks holds no processor: another goroutine runs, with GOMAXPROCS=1
// and a garbage collection.
func TestPinnedSeizeGivesWay(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	v := startVictim(t, "beat")
	collected := make(chan bool)
	seizing := make(chan bool, 1)
	go func() {
		<-seizing
		runtime.GC()
		close(collected)
	}()
	defer sys.Install(nil, func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
		if nr == unix.SYS_PTRACE && a1 == unix.PTRACE_SEIZE { // unpinned here: using a channel is allowed
			seizing <- true
			select {
			case <-collected:
			case <-time.After(20 * time.Second):
				t.Error("nothing else ran while PTRACE_SEIZE blocked")
			}
		}
		r, _, e := unix.Syscall6(nr, a1, a2, a3, a4, a5, a6)
		return r, e
	})()
	onThread(func() {
		tr := New(v.pid)
		ths := []Thread{{TID: int32(v.pid)}}
		tr.Pin()
		tr.Seize(&ths[0])
		tr.Collect(ths, Monotonic()+int64(10*time.Second))
		tr.Detach(ths)
		tr.Unpin()
		if ths[0].State != Listed {
			t.Errorf("%+v", ths[0])
		}
	})
	v.runsOn(t)
}

var garbage [][]byte

// BenchmarkPauseUnderGC stops a process of 20 threads from a program that only collects garbage, with one processor, and reports
// the pause.
func BenchmarkPauseUnderGC(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	v := startVictim(b, "idle 20")
	quit, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-quit:
				return
			default:
				if garbage = append(garbage, make([]byte, 10<<10)); len(garbage) > 3000 {
					garbage = nil
				}
				if i%1000 == 0 {
					runtime.GC()
				}
			}
		}
	}()
	defer func() { close(quit); <-ended; garbage = nil }()
	for _, attach := range []bool{false, true} {
		b.Run(map[bool]string{false: "Seize", true: "AttachAll and Pin"}[attach], func(b *testing.B) {
			sum, worst, over := int64(0), int64(0), 0
			onThread(func() {
				tr := New(v.pid)
				regs := make([]byte, 4096)
				ths := listed(v.pid)
				for b.Loop() {
					var start int64
					if attach {
						tr.AttachAll(ths)
						tr.Pin()
						start = Monotonic()
						tr.Interrupt(ths)
					} else {
						start = Monotonic()
						for i := range ths {
							tr.Seize(&ths[i])
						}
					}
					left := tr.Collect(ths, Monotonic()+int64(5*time.Second))
					for i := range ths {
						tr.Regset(ths[i].TID, unix.NT_PRSTATUS, regs)
					}
					tr.Detach(ths)
					pause := Monotonic() - start
					tr.Unpin()
					if left != 0 {
						b.Fatal("not all stopped")
					}
					sum, worst = sum+pause, max(worst, pause)
					if pause > int64(20*time.Millisecond) {
						over++
					}
				}
			})
			b.ReportMetric(float64(sum)/float64(b.N)/1e6, "mean-ms")
			b.ReportMetric(float64(worst)/math.Pow10(6), "worst-ms")
			b.ReportMetric(float64(over), "over-20ms")
		})
	}
}
