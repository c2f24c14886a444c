package hang

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// Every kind of call hangs once, through its gate: it is not made before Release, and is then made once.
func TestEachGateHangs(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // a raw call occupies its processor while it hangs
	}
	for _, c := range []struct {
		name string
		nr   uintptr
		call func(fd int) sys.Errno
	}{
		{"raw", unix.SYS_PREAD64, func(fd int) sys.Errno { _, e := sys.Pread(fd, make([]byte, 1), 0); return e }},
		{"blocking", unix.SYS_WRITE, func(fd int) sys.Errno { _, e := sys.Write(fd, []byte("x")); return e }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := os.CreateTemp(t.TempDir(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			h := New(20 * time.Second)
			var matched atomic.Int32
			defer sys.Install(h.Gates(func(nr, a1, _, _, _, _, _ uintptr) bool {
				if nr == c.nr && a1 == f.Fd() {
					matched.Add(1)
					return true
				}
				return false
			}))()
			if h.Await(0) || h.Hangs() {
				t.Error("it hangs before the call")
			}
			done := make(chan sys.Errno)
			go func() { done <- c.call(int(f.Fd())) }()
			if !h.Await(10*time.Second) || !h.Hangs() {
				t.Fatal("it does not hang")
			}
			select {
			case <-done:
				t.Fatal("the call came back")
			case <-time.After(50 * time.Millisecond):
			}
			if info, _ := f.Stat(); info.Size() != 0 {
				t.Error("the call was made while it hung")
			}
			sys.Getpid() // other calls continue
			h.Release()
			if errno := <-done; errno != 0 {
				t.Error(errno)
			}
			if !h.AwaitEnd(10*time.Second) || h.Hangs() {
				t.Error("it did not end by Release")
			}
			if errno := c.call(int(f.Fd())); errno != 0 {
				t.Error(errno)
			}
			if n := matched.Load(); n != 1 {
				t.Errorf("asked %d times whether it matches", n)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	h := New(10 * time.Millisecond)
	start := time.Now()
	h.Block(Blocking)
	if took := time.Since(start); took < 10*time.Millisecond {
		t.Errorf("hung for %v", took)
	}
	if h.AwaitEnd(time.Second) || !h.Await(0) {
		t.Error("it ended by Release, which nobody called")
	}
	start = time.Now()
	h.Block(Blocking) // only the first call hangs
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("hung again for %v", took)
	}
}

func TestReleaseBefore(t *testing.T) {
	h := New(20 * time.Second)
	h.Release()
	start := time.Now()
	h.Block(Blocking)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("hung for %v after Release", took)
	}
	if !h.AwaitEnd(0) {
		t.Error("not released")
	}
}

// Signals do not end the hang.
func TestSignals(t *testing.T) {
	h := New(20 * time.Second)
	tid, done := make(chan int), make(chan bool)
	go func() {
		runtime.LockOSThread()
		tid <- unix.Gettid()
		h.Block(Blocking)
		close(done)
	}()
	id := <-tid
	h.Await(10 * time.Second)
	for range 10 {
		unix.Tgkill(os.Getpid(), id, unix.SIGURG) // the runtime's own signal, which a handler receives
		time.Sleep(time.Millisecond)
	}
	if !h.Hangs() {
		t.Error("a signal ended it")
	}
	h.Release()
	<-done
}
