package ptrace

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/internal/victims"
)

// prstatusSize is sizeof(elf_gregset_t) by machine: the size that the kernel must return for NT_PRSTATUS.
var prstatusSize = map[string]int{
	"386": 68, "amd64": 216, "arm": 72, "arm64": 272, "loong64": 360, "mips": 180, "mipsle": 180, "mips64": 360,
	"mips64le": 360, "ppc64": 384, "ppc64le": 384, "riscv64": 256, "s390x": 216,
}

func TestStopReadDetach(t *testing.T) {
	for _, mode := range []string{"beat", "parent beat"} {
		t.Run(mode, func(t *testing.T) {
			v := startVictim(t, mode)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			tr := New(v.pid)
			buf := make([]byte, 4096)
			for range rounds(20) {
				ths := stopAll(t, tr, v.pid, time.Second)
				if len(ths) < 2 || count(ths, Stopped) != len(ths) {
					t.Fatalf("not all stopped: %+v", ths)
				}
				before := v.Beats[0].Load()
				for _, th := range ths {
					if s := stateOf(v.pid, int(th.TID)); s != 't' {
						t.Fatalf("state %c of a stopped thread", s)
					}
					n, e := tr.Regset(th.TID, unix.NT_PRSTATUS, buf)
					if e != 0 || n != prstatusSize[runtime.GOARCH] {
						t.Fatalf("Regset: %d bytes, %v", n, e)
					}
				}
				if v.Beats[0].Load() != before {
					t.Fatal("a stopped target counts")
				}
				tr.Detach(ths)
				if n := tr.Leftover(); n != 0 {
					t.Fatalf("%d leftovers", n)
				}
			}
			v.runsOn(t)
		})
	}
}

// TestOldKernel makes waitid reject __WALL, as kernels before 4.7 do.
func TestOldKernel(t *testing.T) {
	restore := sys.Install(func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
		if nr == unix.SYS_WAITID && a4&unix.WALL != 0 {
			return ^uintptr(0), unix.EINVAL
		}
		r, _, e := unix.RawSyscall6(nr, a1, a2, a3, a4, a5, a6)
		return r, e
	}, nil)
	defer restore()
	t.Run("stop", TestStopReadDetach)
	t.Run("churn", TestChurn)
	t.Run("signals", TestSignalsWhileTraced)
	t.Run("killed", TestKilledTarget)
	t.Run("group stop", TestStoppedProcessStaysStopped)
}

// TestFaults makes each system call of a session fail once. Whatever happens, the target must continue to run.
func TestFaults(t *testing.T) {
	v := startVictim(t, "parent beat")
	errnos := map[uintptr][]sys.Errno{
		unix.SYS_PTRACE:    {unix.ESRCH, unix.EPERM, unix.EIO},
		unix.SYS_WAITID:    {unix.ECHILD, unix.EINTR},
		unix.SYS_NANOSLEEP: {unix.EINTR, unix.ENOSYS},
	}
	which := 0
	for done := false; !done; which++ {
		for choice := range 3 {
			calls, hit := 0, false
			restore := sys.Install(func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
				if list := errnos[nr]; list != nil {
					if calls++; calls == which+1 {
						hit = true
						return ^uintptr(0), list[choice%len(list)]
					}
				}
				r, _, e := unix.RawSyscall6(nr, a1, a2, a3, a4, a5, a6)
				return r, e
			}, nil)
			onThread(func() {
				tr := New(v.pid)
				ths := stopAll(t, tr, v.pid, 5*time.Second)
				if n := count(ths, Stopped); n < len(ths)-1 {
					t.Errorf("call %d: %d of %d stopped", which, n, len(ths))
				}
				tr.Detach(ths)
				if left := tr.Release(Monotonic() + 1e9); left > 1 {
					t.Errorf("call %d: %d left over", which, left)
				}
			})
			restore()
			done = done || !hit
		}
		v.runsOn(t)
	}
	if which < 10 {
		t.Errorf("only %d calls", which)
	}
}

// TestChurn traces a process whose threads are created and exit all the time.
func TestChurn(t *testing.T) {
	for _, mode := range []string{"churn", "parent churn"} {
		v := startVictim(t, mode)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tr := New(v.pid)
		gone := 0
		for range rounds(100) {
			ths := stopAll(t, tr, v.pid, 5*time.Second)
			for _, th := range ths {
				if th.State != Stopped && th.State != Gone {
					t.Fatalf("%+v", th)
				}
			}
			gone += count(ths, Gone)
			before := v.Beats[0].Load() + v.Beats[1].Load() + v.Beats[2].Load() + v.Beats[3].Load()
			time.Sleep(100 * time.Microsecond)
			if v.Beats[0].Load()+v.Beats[1].Load()+v.Beats[2].Load()+v.Beats[3].Load() != before {
				t.Fatal("a thread was missed")
			}
			tr.Detach(ths)
			if n := tr.Leftover(); n != 0 {
				t.Fatalf("%d leftovers", n)
			}
		}
		v.runsOn(t)
		for _, tid := range tasks(v.pid) {
			eventually(t, "no zombie stays", func() bool { return stateOf(v.pid, int(tid)) != 'Z' })
		}
		t.Logf("%d threads died under way", gone)
	}
}

// describe logs the state of a victim's threads.
func describe(t *testing.T, v *victim) {
	for _, tid := range tasks(v.pid) {
		wchan, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/wchan", v.pid, tid))
		call, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", v.pid, tid))
		t.Logf("thread %d: state %c, tracer %s, %s, %s", tid, stateOf(v.pid, int(tid)), status(v.pid, int(tid), "TracerPid"), wchan, call)
	}
}

// TestExec traces a process that executes itself again and again from a thread that is not the main one.
func TestExec(t *testing.T) {
	victims.SkipEmulated(t, "it races a whole execve against a deadline")
	times, pause := rounds(60), 100*time.Microsecond
	if times < 60 {
		pause = 200 * time.Millisecond
	}
	v := startVictim(t, "parent exec "+strconv.Itoa(times))
	quit := make(chan bool)
	var reaper sync.WaitGroup
	defer reaper.Wait()
	defer close(quit)
	reaper.Go(func() {
		for reaped := 0; ; {
			select {
			case <-quit:
				t.Logf("Reap found %d", reaped)
				return
			case <-time.After(20 * time.Millisecond):
				reaped += Reap(v.pid, tasks(v.pid))
			}
		}
	})
	onThread(func() {
		tr := New(v.pid)
		for end := time.Now().Add(30 * time.Second); v.Beats[0].Load() <= uint64(times); {
			if time.Now().After(end) {
				t.Errorf("only %d of %d execve", v.Beats[0].Load(), times)
				describe(t, v)
				return
			}
			ths := stopAll(t, tr, v.pid, 5*time.Second)
			for _, th := range ths {
				if th.State != Stopped && th.State != Gone && th.State != Denied {
					t.Errorf("%+v of %d, all %+v", th, v.pid, ths)
					describe(t, v)
					return
				}
			}
			tr.Detach(ths)
			if left := tr.Release(Monotonic() + 5e9); left != 0 {
				t.Errorf("%d leftovers", left)
				return
			}
			time.Sleep(pause) // else the target makes no progress on a slow machine
		}
	})
	eventually(t, "not traced", func() bool { return status(v.pid, v.pid, "TracerPid") == "0" })
}

// TestKilledTarget kills the target while it is stopped: no thread of it may remain, and its exit status belongs to its parent,
// whether that is another process or this one.
func TestKilledTarget(t *testing.T) {
	for _, mode := range []string{"beat", "parent beat"} {
		v := startVictim(t, mode)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tr := New(v.pid)
		ths := stopAll(t, tr, v.pid, 5*time.Second)
		unix.Kill(v.pid, unix.SIGKILL)
		tr.Detach(ths)
		tr.Release(Monotonic() + 5e9)
		if n := tr.Leftover(); n != 0 {
			t.Errorf("%s: %d leftovers", mode, n)
		}
		if mode == "beat" {
			err := v.cmd.Wait()
			exit, ok := err.(*exec.ExitError)
			if !ok || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
				t.Errorf("wait: %v", err)
			}
		} else if got, want := v.line(t, "wait"), fmt.Sprintf("%d %#x", v.pid, int(unix.SIGKILL)); got != want {
			t.Errorf("the parent got %q, want %q", got, want)
		}
		eventually(t, "nothing left of the process", func() bool { return unix.Kill(v.pid, 0) == unix.ESRCH })
	}
}

func TestStates(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	// A process with another tracer.
	v := startVictim(t, "parent beat")
	cmd, _ := startTracer(t, "hold", v.pid, "signal")
	th := Thread{TID: int32(v.pid)}
	tr := New(v.pid)
	if tr.Seize(&th); th.State != Denied || th.Errno != unix.EPERM {
		t.Errorf("traced by another: %v, %v", th.State, th.Errno)
	}
	cmd.Process.Kill()
	cmd.Wait()
	v.runsOn(t)

	// No such thread.
	th = Thread{TID: 1<<30 - 1}
	if tr.Seize(&th); th.State != Gone || th.Errno != unix.ESRCH {
		t.Errorf("no such thread: %v, %v", th.State, th.Errno)
	}

	// A main thread that has ended before the others.
	v = startVictim(t, "parent leader")
	eventually(t, "the main thread has ended", func() bool { return stateOf(v.pid, v.pid) == 'Z' })
	tr = New(v.pid)
	ths := stopAll(t, tr, v.pid, 5*time.Second)
	for _, th := range ths {
		if want := map[bool]State{true: Gone, false: Stopped}[th.TID == int32(v.pid)]; th.State != want {
			t.Errorf("with a dead main thread: %+v", th)
		}
	}
	if len(ths) < 2 {
		t.Errorf("%d threads", len(ths))
	}
	tr.Detach(ths)
	was := v.Beats[0].Load()
	eventually(t, "counts on", func() bool { return v.Beats[0].Load() > was })
}

func TestRegisters(t *testing.T) {
	v := startVictim(t, "beat")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tr := New(v.pid)
	ths := stopAll(t, tr, v.pid, 5*time.Second)
	defer tr.Detach(ths)
	tid := int32(v.pid)
	set, old := make([]byte, 4096), make([]byte, 4096)
	same := func(name string, note uint32, get func(int32, []byte) (int, sys.Errno)) {
		n, e := get(tid, old)
		switch runtime.GOARCH {
		case "arm64", "riscv64", "s390x", "loong64":
			if e != unix.ENOSYS {
				t.Errorf("%s: %v where there is none", name, e)
			}
			return
		}
		if e != 0 {
			t.Errorf("%s: %v", name, e)
			return
		}
		if _, e := get(tid, old[:n-1]); e != unix.EINVAL {
			t.Errorf("%s into a short buffer: %v", name, e)
		}
		m, e := tr.Regset(tid, note, set)
		if e == unix.EINVAL && runtime.GOARCH == "arm" {
			return // an arm program on an arm64 kernel has no FPA set
		}
		if e != 0 {
			t.Errorf("%s: the register set: %v", name, e)
			return
		}
		if sys.MIPS && note == unix.NT_PRSTATUS {
			return // a different layout
		}
		if n = min(n, m); !bytes.Equal(old[:n], set[:n]) {
			t.Errorf("%s and the register set differ:\n%x\n%x", name, old[:n], set[:n])
		}
	}
	same("GetRegs", unix.NT_PRSTATUS, tr.GetRegs)
	same("GetFPRegs", unix.NT_PRFPREG, tr.GetFPRegs)
	if n, e := tr.GetFPXRegs(tid, old); runtime.GOARCH == "386" && (n != 512 || e != 0) || runtime.GOARCH != "386" && e != unix.ENOSYS {
		t.Errorf("GetFPXRegs: %d, %v", n, e)
	}
	if n, e := tr.Regset(tid, unix.NT_PRSTATUS, set[:16]); n > 16 || e != 0 {
		t.Errorf("Regset into 16 bytes: %d, %v", n, e)
	}
	if _, e := tr.Regset(tid, 0x7777, set); e != unix.EINVAL {
		t.Errorf("no such register set: %v", e)
	}

	regs := new([8]uint64)
	base := debugRegisterBase()
	if base == 0 {
		if e := tr.DebugRegisters(tid, regs); e != unix.ENOSYS {
			t.Errorf("debug registers: %v", e)
		}
		return
	}
	if e := tr.DebugRegisters(tid, regs); e != 0 || regs[7] != 0 {
		t.Errorf("debug registers: %x, %v", *regs, e)
	}
	// A breakpoint at an address where nothing executes, enabled as L0.
	size := unsafe.Sizeof(uintptr(0))
	if e := sys.Ptrace(unix.PTRACE_POKEUSR, v.pid, base, 0x1234567); e != 0 {
		t.Fatal(e)
	}
	if e := sys.Ptrace(unix.PTRACE_POKEUSR, v.pid, base+7*size, 1); e != 0 {
		t.Fatal(e)
	}
	if e := tr.DebugRegisters(tid, regs); e != 0 || regs[0] != 0x1234567 || regs[7]&1 == 0 {
		t.Errorf("debug registers: %x, %v", *regs, e)
	}
	sys.Ptrace(unix.PTRACE_POKEUSR, v.pid, base+7*size, 0)
}

func TestPeek(t *testing.T) {
	v := startVictim(t, "beat")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tr := New(v.pid)
	ths := stopAll(t, tr, v.pid, 5*time.Second)
	defer tr.Detach(ths)
	// The first mapping is readable in a program without guard pages there, and contains the ELF header.
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", v.pid))
	if err != nil {
		t.Fatal(err)
	}
	var start, end uint64
	if _, err := fmt.Sscanf(string(maps), "%x-%x ", &start, &end); err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", v.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	want := make([]byte, 64)
	got := make([]byte, 64)
	for off := range uint64(9) {
		for size := range 33 {
			if _, err := mem.ReadAt(want[:size], int64(start+off)); err != nil {
				t.Fatal(err)
			}
			clear(got)
			n, e := tr.Peek(int32(v.pid), start+off, got[:size])
			if n != size || e != 0 || !bytes.Equal(got[:size], want[:size]) || got[size] != 0 {
				t.Fatalf("offset %d, %d bytes: %d, %v, %x, want %x", off, size, n, e, got[:size+1], want[:size])
			}
		}
	}
	if n, e := tr.Peek(int32(v.pid), start-13, got); e != unix.EIO && e != unix.EFAULT || n != 0 {
		t.Errorf("before the mapping: %d, %v", n, e)
	}
	if n, e := tr.Peek(int32(v.pid), math.MaxUint64-2, got); n >= 8 || e == 0 {
		t.Errorf("past the end of memory: %d, %v", n, e)
	}
}

func TestNoAllocations(t *testing.T) {
	v := startVictim(t, "idle 20")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tr := New(v.pid)
	var ths []Thread
	for _, tid := range tasks(v.pid) {
		ths = append(ths, Thread{TID: tid})
	}
	if len(ths) < 20 {
		t.Fatalf("%d threads", len(ths))
	}
	regs := make([]byte, 4096)
	debug := new([8]uint64)
	n := testing.AllocsPerRun(20, func() {
		for i := range ths {
			tr.Seize(&ths[i])
		}
		if tr.Collect(ths, Monotonic()+5e9) != 0 {
			t.Error("not all stopped")
		}
		for i := range ths {
			tr.Regset(ths[i].TID, unix.NT_PRSTATUS, regs)
			tr.GetRegs(ths[i].TID, regs)
			tr.DebugRegisters(ths[i].TID, debug)
			tr.Peek(ths[i].TID, 0x10000, regs[:20])
		}
		tr.readStat(ths[0].TID)
		tr.Detach(ths)
		tr.Release(0)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReadStat(t *testing.T) {
	tr := New(os.Getpid())
	if state, ppid, e := tr.readStat(int32(os.Getpid())); e != 0 || int(ppid) != os.Getppid() || state == 0 || state == 'Z' {
		t.Errorf("%c %d %v", state, ppid, e)
	}
	if _, _, e := tr.readStat(0); e != unix.ENOENT {
		t.Error("thread 0 has a state")
	}
}

func TestMonotonic(t *testing.T) {
	var ts unix.Timespec
	before := Monotonic()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	after := Monotonic()
	// The start of the clock was read in two steps, between which much time may pass on a slow machine.
	if ns := ts.Nano(); ns < before-100e6 || ns > after+100e6 {
		t.Errorf("clock_gettime %d, Monotonic %d to %d", ns, before, after)
	}
	if n := testing.AllocsPerRun(100, func() { Monotonic() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestOwnChildThatIsWaitedFor traces a child of this very process while another goroutine waits for it: that wait consumes the
// report of the stop.
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
