package ptrace

import (
	"bytes"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/internal/victims"
)

// vdsoCall returns the address of a system call instruction in the vDSO of a process, after a call of c.Eligible for one of its
// threads; 0 if there is none.
func vdsoCall(t testing.TB, pid int, c *Caller) uint64 {
	t.Helper()
	dir := "/proc/" + strconv.Itoa(pid)
	maps, err := os.ReadFile(dir + "/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(line, "[vdso]\n") {
			continue
		}
		from, rest, _ := strings.Cut(line, "-")
		to, _, _ := strings.Cut(rest, " ")
		lo, _ := strconv.ParseUint(from, 16, 64)
		hi, _ := strconv.ParseUint(to, 16, 64)
		mem, err := os.Open(dir + "/mem")
		if err != nil {
			t.Fatal(err)
		}
		defer mem.Close()
		b := make([]byte, hi-lo)
		n, _ := mem.ReadAt(b, int64(lo))
		if offset, ok := c.Find(b[:n]); ok {
			return lo + offset
		}
	}
	return 0
}

// callAt returns the address of an instruction for a call of a thread: the thread's own, or one in the vDSO if elsewhere is true or
// the thread has none; 0 if there is none.
func callAt(t testing.TB, tr *Tracer, pid int, c *Caller, th *Thread, size int, elsewhere bool) uint64 {
	t.Helper()
	at, ok := c.Eligible(th, size)
	if !ok {
		return 0 // the thread is about to receive a signal
	}
	b := make([]byte, 4)
	if at != 0 {
		n, _ := tr.Peek(th.TID, c.Address(at), b)
		b = b[:n]
	}
	if own := at != 0 && c.Own(b); own && !elsewhere {
		return at
	}
	if !c.EligibleElsewhere(th, size) {
		return 0
	}
	return vdsoCall(t, pid, c)
}

// TestCall makes each thread of a process call getpid, and close a descriptor that does not exist, by the thread's own system call
// instruction and by one of the vDSO. Registers and signal mask are as before, and the process continues.
func TestCall(t *testing.T) {
	size := prstatusSize[runtime.GOARCH]
	if !CanCall(size) {
		t.Skip("no Caller on " + runtime.GOARCH)
	}
	v := startVictim(t, "beat")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tr := New(v.pid)
	c := tr.NewCaller()
	before, after := make([]byte, 4096), make([]byte, 4096)
	calls := [2]int{}
	for round := range rounds(50) {
		elsewhere := round % 2
		ths := stopAll(t, tr, v.pid, time.Second)
		for i := range ths {
			th := &ths[i]
			at := callAt(t, tr, v.pid, c, th, size, elsewhere == 1)
			if at == 0 {
				continue
			}
			n, _ := tr.Regset(th.TID, unix.NT_PRSTATUS, before)
			blocked := status(v.pid, int(th.TID), "SigBlk")
			for _, want := range []struct {
				number int
				ret    int64
			}{{unix.SYS_GETPID, int64(v.pid)}, {unix.SYS_CLOSE, -int64(unix.EBADF)}} {
				if _, ok := c.Eligible(th, size); !ok {
					t.Fatalf("thread %+v is not eligible any more", th)
				}
				ret, born, e := c.Call(th, &SystemCall{At: at, Number: uint64(want.number), Args: [6]uint64{1 << 20}})
				if ret != want.ret || born != 0 || e != 0 {
					t.Fatalf("call %d returned %d, %d, %v", want.number, ret, born, e)
				}
				calls[elsewhere]++
				if c.again && !c.layout.returns { // the kernel would also have set this number
					c.layout.set(before, c.layout.number, uint64(c.layout.restart))
				}
			}
			m, _ := tr.Regset(th.TID, unix.NT_PRSTATUS, after)
			if strings.HasPrefix(runtime.GOARCH, "ppc64") { // "result" is the kernel's record of the last call, not a register
				copy(after[43*8:44*8], before[43*8:])
			}
			if !bytes.Equal(before[:n], after[:m]) {
				t.Errorf("registers\n%x were\n%x", after[:m], before[:n])
			}
			if now := status(v.pid, int(th.TID), "SigBlk"); now != blocked {
				t.Errorf("blocked signals %s, were %s", now, blocked)
			}
		}
		tr.Detach(ths)
		if n := tr.Leftover(); n != 0 {
			t.Fatalf("%d leftovers", n)
		}
	}
	if calls[0] == 0 {
		t.Error("no thread was eligible")
	}
	t.Logf("%d calls by a thread's own instruction or one of the vDSO, %d by one of the vDSO", calls[0], calls[1])
	v.runsOn(t)
}

// TestCallInCall makes all threads of a process, each of which waits in a different system call, call getpid repeatedly. Their own
// calls continue: each ends when it must, with the right result.
func TestCallInCall(t *testing.T) {
	t.Run(runtime.GOARCH, func(t *testing.T) {
		callInCall(t, prstatusSize[runtime.GOARCH], unix.SYS_GETPID, func() string { return victims.C(t, "calls.c", "-pthread") })
	})
	t.Run("narrow", func(t *testing.T) {
		const getpid = 20 // of 386, arm and powerpc
		callInCall(t, prstatusSize[victims.NarrowArch(t)], getpid, func() string { return victims.Narrow(t, "calls") })
	})
}

func callInCall(t *testing.T, size int, getpid uint64, program func() string) {
	if !CanCall(size) {
		t.Skip("no Caller for it on " + runtime.GOARCH)
	}
	v := victims.Start(t, program())
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tr := New(v.PID)
	c := tr.NewCaller()
	calls, again := 0, 0
	makeCalls := func(ths []Thread) {
		for i := range ths {
			at := callAt(t, tr, v.PID, c, &ths[i], size, false)
			if at == 0 {
				continue
			}
			ret, _, e := c.Call(&ths[i], &SystemCall{At: at, Number: getpid})
			if ret != int64(v.PID) || e != 0 {
				t.Fatalf("getpid returned %d, %v", ret, e)
			}
			calls++
			if c.again {
				again++
			}
		}
		tr.Detach(ths)
	}
	for total := max(rounds(500), 150); calls < total; time.Sleep(50 * time.Millisecond) {
		makeCalls(stopAll(t, tr, v.PID, 10*time.Second))
	}
	// The third thread repeatedly sleeps for a second. Each sleep ends, although the thread is interrupted more often than that.
	first, sleeper := victims.CheckCalls(t, v)["nanosleep-1s"], slices.Sorted(slices.Values(tasks(v.PID)))[2]
	end := Monotonic() + int64(30*time.Second)
	for ended := 0; ended < 3; ended = victims.CheckCalls(t, v)["nanosleep-1s"] - first {
		if Monotonic() > end {
			t.Fatalf("in 30 seconds %d sleeps of one second have ended", ended)
		}
		for range 10 {
			ths := []Thread{{TID: sleeper}}
			tr.Seize(&ths[0])
			tr.Collect(ths, end+int64(time.Minute))
			makeCalls(ths)
			time.Sleep(20 * time.Millisecond)
		}
	}
	t.Logf("%d calls, after %d of which a call went on by restart_syscall", calls, again)
}

// TestCallClone makes a thread create a process, which the kernel kills with its tracer, and wait for that process.
func TestCallClone(t *testing.T) {
	size := prstatusSize[runtime.GOARCH]
	if !CanCall(size) {
		t.Skip("no Caller on " + runtime.GOARCH)
	}
	v := startVictim(t, "beat")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tr := New(v.pid)
	c := tr.NewCaller()
	ths := stopAll(t, tr, v.pid, time.Second)
	defer tr.Detach(ths)
	for i := range ths {
		th := &ths[i]
		at := callAt(t, tr, v.pid, c, th, size, false)
		if at == 0 {
			continue
		}
		ret, born, e := c.Call(th, &SystemCall{At: at, Number: unix.SYS_CLONE})
		if ret <= 0 || born != int32(ret) || e != 0 {
			t.Fatalf("clone returned %d, %d, %v", ret, born, e)
		}
		if child, e := c.Born(born); e != 0 || child.State != Stopped || stateOf(int(born), int(born)) != 't' {
			t.Fatalf("the child is %+v: %v", child, e)
		}
		c.Kill(born)
		if s := stateOf(int(born), int(born)); s != 'Z' {
			t.Errorf("state %c of the child that was killed", s)
		}
		if _, ok := c.Eligible(th, size); !ok {
			t.Fatalf("thread %+v is not eligible any more", th)
		}
		ret, _, e = c.Call(th, &SystemCall{At: at, Number: unix.SYS_WAIT4, Args: [6]uint64{uint64(born), 0, unix.WALL | unix.WNOHANG}})
		if ret != int64(born) || e != 0 {
			t.Errorf("wait4 returned %d, %v", ret, e)
		}
		if sys.Tgkill(int(born), int(born), 0) == 0 {
			t.Error("the child is still there")
		}
		return
	}
	t.Fatal("no thread was eligible")
}
