package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/internal/sys/hang"
	"minidump/internal/victims"
	"minidump/server"
)

// hangAt is the environment variable that makes a system call of a dump hang in the command; its value is the number
// of the call, and which call of that number. With hangPatiently the command waits as long as outside tests.
const (
	hangAt        = "MINIDUMP_TEST_HANG"
	hangPatiently = "MINIDUMP_TEST_HANG_PATIENTLY"
)

// shortHang is how long the watchdog waits in these tests.
const shortHang = 400 * time.Millisecond

func init() {
	var nr uintptr
	var nth int32
	if _, err := fmt.Sscanf(os.Getenv(hangAt), "%d %d", &nr, &nth); err != nil {
		return
	}
	if os.Getenv(hangPatiently) == "" {
		hangTimeForTest = shortHang
	}
	h := hang.New(time.Minute)
	var seen atomic.Int32
	sys.Install(h.Gates(func(got, _, _, _, _, _, _ uintptr) bool { return got == nr && seen.Add(1) == nth }))
}

// stopped reports whether a process has a tracer or is in a tracing stop.
func stopped(pid int) bool {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return !strings.Contains(string(status), "TracerPid:\t0\n") || strings.Contains(string(status), "State:\tt")
}

// TestDumpHangs makes each kind of system call of a dump hang once, at several places: the command ends, the process
// continues, and no unfinished file is left.
func TestDumpHangs(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c", "-pthread"), "idle", "4")
	hung, whole := 0, 0
	for _, mode := range []string{"stack", "full"} {
		for name, nr := range map[string]uintptr{"openat": unix.SYS_OPENAT, "read": unix.SYS_READ, "pread64": unix.SYS_PREAD64,
			"ioctl": unix.SYS_IOCTL, "process_vm_readv": unix.SYS_PROCESS_VM_READV, "ptrace": unix.SYS_PTRACE,
			"getdents64": unix.SYS_GETDENTS64, "waitid": unix.SYS_WAITID} {
			for _, nth := range []int{1, 3, 12} {
				dir := t.TempDir()
				cmd := command(t, dir, "dump", "--timeout=10ms", "--max-pause=100ms", "--mode", mode, "-o", "x.dmp", strconv.Itoa(v.PID))
				cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d %d", hangAt, nr, nth))
				start := time.Now()
				o := runWith(t, cmd, nil)
				took := time.Since(start)
				left := files(t, dir)
				if took > 4*time.Second || stopped(v.PID) {
					t.Errorf("%s, %s #%d: took %v, the process is stopped: %v", mode, name, nth, took, stopped(v.PID))
				}
				switch {
				case o.status == 0: // there was no such call, or the dump did not wait for it
					whole++
				case len(left) > 0 || o.status != 1 || !strings.Contains(o.err, "hang") && !strings.Contains(o.err, "process continues") &&
					!strings.Contains(o.err, "in time"):
					t.Errorf("%s, %s #%d: files %q, %+v", mode, name, nth, left, o)
				default:
					hung++
				}
			}
		}
	}
	if hung < 20 {
		t.Errorf("%d dumps hung, %d were whole", hung, whole)
	}
	t.Logf("%d dumps hung, %d were whole", hung, whole)
}

// TestDumpHangsOnOneProcessor is TestDumpHangs with one processor of the Go runtime, which the hanging call occupies:
// only the kernel's timer can end the command.
func TestDumpHangsOnOneProcessor(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c", "-pthread"), "idle", "4")
	cmd := command(t, t.TempDir(), "dump", "--timeout=10ms", "-o", "x.dmp", strconv.Itoa(v.PID))
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d 2", hangAt, unix.SYS_PTRACE), "GOMAXPROCS=1")
	start := time.Now()
	o := runWith(t, cmd, nil)
	if took := time.Since(start); took > 4*time.Second || stopped(v.PID) || o.status == 0 {
		t.Errorf("took %v, stopped %v, %+v", took, stopped(v.PID), o)
	}
}

// TestDumpStalledPipe dumps into a pipe that nobody reads: a full dump fails, and the process continues.
func TestDumpStalledPipe(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c", "-pthread"), "idle", "4")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := command(t, t.TempDir(), "dump", "--mode=full", "--max-pause=300ms", "-o", "-", strconv.Itoa(v.PID))
	cmd.Stdout = w
	start := time.Now()
	o := runWith(t, cmd, nil)
	w.Close()
	if took := time.Since(start); took > 4*time.Second || stopped(v.PID) {
		t.Errorf("took %v, stopped %v", took, stopped(v.PID))
	}
	o.want(t, 1, "it accepted no more bytes; the process continues after a pause of 300ms")
	// In the other modes the process is resumed immediately, and the reader may be slow.
	if r, w, err = os.Pipe(); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd = command(t, t.TempDir(), "dump", "-o", "-", strconv.Itoa(v.PID))
	cmd.Stdout = w
	cmd.Env = append(cmd.Env, hangAt+"=100000 1") // no such call: only for the short time
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	time.Sleep(hangTimes*100*time.Millisecond/2 + shortHang)
	if stopped(v.PID) {
		t.Error("the process is stopped")
	}
	if b, err := io.ReadAll(r); err != nil || len(b) < 10000 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestDumpTerminated sends SIGTERM to a dump that hangs with the process stopped.
func TestDumpTerminated(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c", "-pthread"), "idle", "4")
	dir := t.TempDir()
	cmd := command(t, dir, "dump", "--timeout=10s", "-o", filepath.Join(dir, "x.dmp"), strconv.Itoa(v.PID))
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d 12", hangAt, unix.SYS_PTRACE))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(10 * time.Second); !stopped(v.PID); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it is not stopped")
		}
	}
	time.Sleep(50 * time.Millisecond)
	cmd.Process.Signal(syscall.SIGTERM)
	start := time.Now()
	err := cmd.Wait()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 128+15 || time.Since(start) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if stopped(v.PID) || len(files(t, dir)) != 0 {
		t.Errorf("stopped %v, files %q", stopped(v.PID), files(t, dir))
	}
}

// TestRunHangs makes a read of a dump under run hang: the command ends with a message, and the process dies of its
// signal.
func TestRunHangs(t *testing.T) {
	program := victims.C(t, "crasher.c", "-pthread")
	hung := 0
	for _, nth := range []int{1, 2, 4} {
		dir := t.TempDir()
		cmd := command(t, dir, "run", "-o", dir+"/", "--", program, "null")
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d %d", hangAt, unix.SYS_PROCESS_VM_READV, nth))
		start := time.Now()
		o := runWith(t, cmd, nil)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("#%d took %v", nth, took)
		}
		if o.status == 128+int(syscall.SIGSEGV) && len(files(t, dir)) == 1 {
			continue // there was no such call
		}
		var pid int
		i := strings.Index(o.err, "the dump of process ")
		if i < 0 || o.status != 1 {
			t.Fatalf("%+v", o)
		}
		fmt.Sscanf(o.err[i:], "the dump of process %d hangs", &pid)
		hung++
		waitGone(t, pid)
		if left := files(t, dir); len(left) != 0 {
			t.Errorf("files %q", left)
		}
	}
	if hung == 0 {
		t.Error("no dump hung")
	}
}

// waitGone waits until a process has died, and kills it if it does not die.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	for until := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(b), ") Z ") {
			return
		}
		if time.Now().After(until) {
			unix.Kill(pid, unix.SIGKILL)
			t.Fatalf("process %d is still there", pid)
		}
	}
}

// childOf waits for a child of a process, and returns its pid.
func childOf(t *testing.T, parent int) int {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
		for _, path := range tasks {
			var pid int
			b, _ := os.ReadFile(path)
			if _, err := fmt.Sscan(string(b), &pid); err == nil {
				return pid
			}
		}
	}
	t.Fatalf("process %d has no child", parent)
	return 0
}

// TestRunHangsOnOneProcessor makes the dump occupy the only processor of the Go runtime: the kernel kills run, and the
// process dies.
func TestRunHangsOnOneProcessor(t *testing.T) {
	program := victims.C(t, "crasher.c", "-pthread")
	cmd := command(t, t.TempDir(), "run", "-o", "x.dmp", "--", program, "null")
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d 1", hangAt, unix.SYS_PROCESS_VM_READV), "GOMAXPROCS=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	child := childOf(t, cmd.Process.Pid)
	err := cmd.Wait()
	if took := time.Since(start); took > 10*time.Second || err == nil {
		t.Errorf("after %v: %v", took, err)
	}
	waitGone(t, child)
}

// TestRunHangsAndIsTold makes a dump under run hang, and sends SIGTERM to run: run ends long before it would give up by
// itself.
func TestRunHangsAndIsTold(t *testing.T) {
	program := victims.C(t, "crasher.c", "-pthread")
	cmd := command(t, t.TempDir(), "run", "-o", "x.dmp", "--", program, "null")
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d 1", hangAt, unix.SYS_PROCESS_VM_READV), hangPatiently+"=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := childOf(t, cmd.Process.Pid)
	time.Sleep(time.Second) // by then the program has crashed; if not, the dump has its usual time
	start := time.Now()
	cmd.Process.Signal(syscall.SIGTERM)
	err := cmd.Wait()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || time.Since(start) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	waitGone(t, child)
}

// TestServeHangs makes the dump of a client, which is this process, hang: the server ends, and the client continues.
func TestServeHangs(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	cmd := command(t, dir, "serve", "-o", dir+"/", socket)
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d 1", hangAt, unix.SYS_PROCESS_VM_READV))
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var client *server.Client
	for until := time.Now().Add(10 * time.Second); client == nil; time.Sleep(10 * time.Millisecond) {
		client, _ = server.Dial(socket)
		if time.Now().After(until) {
			t.Fatal("the server does not listen")
		}
	}
	defer client.Close()
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := client.RequestDump(ctx, nil); err == nil {
		t.Error("an answer")
	}
	err := cmd.Wait()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 || time.Since(start) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	if want := fmt.Sprintf("the dump of process %d hangs", os.Getpid()); !strings.Contains(said.String(), want) {
		t.Errorf("said %q, want %q", said.String(), want)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.dmp")); len(left) != 0 {
		t.Errorf("files %q", left)
	}
}
