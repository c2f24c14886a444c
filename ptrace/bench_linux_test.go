package ptrace

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkSession stops, reads and resumes a process of 1000 threads, and reports each part in milliseconds.
func BenchmarkSession(b *testing.B) {
	benchSession(b, startVictim(b, "idle 1000").pid)
}

func benchSession(b *testing.B, pid int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	tr := New(pid)
	var ths []Thread
	for _, tid := range tasks(pid) {
		ths = append(ths, Thread{TID: tid})
	}
	regs := make([]byte, 4096)
	var seize, collect, read, detach int64
	b.ResetTimer()
	for range b.N {
		t0 := Monotonic()
		for i := range ths {
			tr.Seize(&ths[i])
		}
		t1 := Monotonic()
		if tr.Collect(ths, t1+int64(5*time.Second)) != 0 {
			b.Fatal("not all stopped")
		}
		t2 := Monotonic()
		for i := range ths {
			tr.Regset(ths[i].TID, unix.NT_PRSTATUS, regs)
		}
		t3 := Monotonic()
		tr.Detach(ths)
		t4 := Monotonic()
		seize, collect, read, detach = seize+t1-t0, collect+t2-t1, read+t3-t2, detach+t4-t3
	}
	for name, ns := range map[string]int64{"seize": seize, "collect": collect, "read": read, "detach": detach} {
		b.ReportMetric(float64(ns)/float64(b.N)/1e6, name+"-ms")
	}
}
