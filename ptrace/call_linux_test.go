package ptrace

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// vdsoInstruction returns the address of an instruction in the vDSO of a process; 0 if it is not there.
func vdsoInstruction(t testing.TB, pid int, instruction string) uint64 {
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
		for k := 0; k+len(instruction) <= n; k++ {
			if string(b[k:k+len(instruction)]) == instruction && (len(instruction) == 2 || k%4 == 0) {
				return lo + uint64(k)
			}
		}
	}
	return 0
}

// TestCall has each thread of a process ask for its process id, and for something that does not exist. Registers and signal mask are as
// before, and the process goes on.
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
	calls := 0
	for range rounds(50) {
		ths := stopAll(t, tr, v.pid, time.Second)
		for i := range ths {
			th := &ths[i]
			if _, _, ok := c.Eligible(th, size); !ok {
				continue // one that is about to take a signal
			}
			instruction, _ := c.Instruction()
			at := vdsoInstruction(t, v.pid, instruction)
			if at == 0 {
				t.Fatalf("no %x in the vDSO", instruction)
			}
			n, _ := tr.Regset(th.TID, unix.NT_PRSTATUS, before)
			blocked := status(v.pid, int(th.TID), "SigBlk")
			for _, want := range []struct {
				number int
				ret    int64
			}{{unix.SYS_GETPID, int64(v.pid)}, {unix.SYS_CLOSE, -int64(unix.EBADF)}} {
				if _, _, ok := c.Eligible(th, size); !ok {
					t.Fatalf("thread %+v is not eligible any more", th)
				}
				ret, born, e := c.Call(th, &SystemCall{At: at, Number: uint64(want.number), Args: [6]uint64{1 << 20}})
				if ret != want.ret || born != 0 || e != 0 {
					t.Fatalf("call %d returned %d, %d, %v", want.number, ret, born, e)
				}
				calls++
			}
			m, _ := tr.Regset(th.TID, unix.NT_PRSTATUS, after)
			if strings.HasPrefix(runtime.GOARCH, "ppc64") { // "result" is the kernel's note of the last call, no register
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
	if calls == 0 {
		t.Error("no thread was eligible")
	}
	v.runsOn(t)
}

// TestCallClone has a thread make a process, which dies with its tracer, and wait for it.
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
		if _, _, ok := c.Eligible(th, size); !ok {
			continue
		}
		instruction, _ := c.Instruction()
		at := vdsoInstruction(t, v.pid, instruction)
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
		if _, _, ok := c.Eligible(th, size); !ok {
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
