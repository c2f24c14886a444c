//go:build linux

package minidump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump/internal/corefile/coretest"
	"minidump/internal/victims"
	"minidump/stream"
)

// TestUnderTracer dumps a process that another program traces: the dump has everything that requires no ptrace, and
// records why the rest is missing.
func TestUnderTracer(t *testing.T) {
	for _, tracer := range []struct {
		name string
		args []string
	}{
		{"gdb", []string{"-nx", "-q", "-batch", "-ex", "attach PID", "-ex", "shell sleep 60"}},
		{"strace", []string{"-f", "-o", "/dev/null", "-p", "PID"}},
	} {
		t.Run(tracer.name, func(t *testing.T) {
			path := tool(t, tracer.name)
			program := victims.C(t, "victim.c")
			v := victims.Start(t, program, "idle", "4")
			var args []string
			for _, a := range tracer.args {
				args = append(args, strings.ReplaceAll(a, "PID", strconv.Itoa(v.PID)))
			}
			cmd := exec.Command(path, args...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
			runtime.LockOSThread() // the parent death signal is sent when this thread ends
			defer runtime.UnlockOSThread()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", v.PID))
			for _, task := range tasks { // every thread is traced
				tid, _ := strconv.Atoi(filepath.Base(task))
				waitStatus(t, tid, "TracerPid", func(s string) bool { return s != "0" })
			}
			if tracer.name == "gdb" {
				waitState(t, v.PID, 't')
			}
			f, r := dump(t, v.PID, Options{StopTimeout: time.Second}) // the dump retries the threads until StopTimeout
			if r.Threads != 4 || r.Modules < 2 || r.Memory == 0 {
				t.Errorf("%d threads, %d modules, %d bytes of memory", r.Threads, r.Modules, r.Memory)
			}
			told := false
			for _, e := range r.SoftErrors() {
				told = told || strings.Contains(e.Op, "another tracer")
			}
			if !told {
				t.Errorf("no word of the tracer in %v", r.SoftErrors())
			}
			names, err := f.ThreadNames()
			if err != nil || len(names) != 4 {
				t.Errorf("names %v: %v", names, err)
			}
			if b, err := f.Stream(stream.LinuxMaps); err != nil || !bytes.Contains(b, []byte(program)) {
				t.Errorf("maps of %d bytes: %v", len(b), err)
			}
			threads, _ := f.Threads()
			regs := coretest.CPUs(t, f)
			for _, th := range threads { // SP and PC come from /proc, so the stack is in the dump
				c := regs[th.ThreadID]
				if c == nil || c.PC == 0 || c.SP < th.Stack.Start || c.SP-th.Stack.Start > uint64(th.Stack.Memory.DataSize) {
					t.Errorf("thread %d: registers %+v, stack at %#x", th.ThreadID, c, th.Stack.Start)
				}
				if th.Stack.Memory.DataSize == 0 {
					t.Errorf("thread %d has no stack", th.ThreadID)
				}
			}
			if mods, _ := f.Modules(); mods[0].Name != program || mods[0].BuildID == "" {
				t.Errorf("main module %+v", mods[0])
			}
			if e, err := f.Exception(); err != nil || e.Address == 0 {
				t.Errorf("exception %+v: %v", e, err)
			}
		})
	}
}

// asNobody runs this test program again as the user nobody, to dump pid, and returns the outcome. stop is the time within which the
// threads must stop; the dump retries threads that can't be traced until then.
func asNobody(t *testing.T, pid int, stop time.Duration) string {
	t.Helper()
	cmd := exec.Command(openCopy(t, os.Args[0]), "-test.run=^TestDumpForOther$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "MINIDUMP_TEST_PID="+strconv.Itoa(pid), "MINIDUMP_TEST_STOP="+stop.String())
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	_, result, ok := strings.Cut(string(out), "RESULT ")
	if err != nil || !ok {
		t.Fatalf("%v\n%s", err, out)
	}
	result, _, _ = strings.Cut(result, "\n")
	return result
}

// openCopy copies a program to a folder where every user can execute it.
func openCopy(t testing.TB, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "minidump")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return copyTo(t, filepath.Join(dir, filepath.Base(program)), program)
}

// TestDumpForOther is what asNobody runs as the user nobody.
func TestDumpForOther(t *testing.T) {
	pid, err := strconv.Atoi(os.Getenv("MINIDUMP_TEST_PID"))
	if err != nil {
		t.Skip("asNobody runs it")
	}
	stop, err := time.ParseDuration(os.Getenv("MINIDUMP_TEST_STOP"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(pid, Options{StopTimeout: stop})
	if err == nil {
		defer w.Close()
		var r Result
		if r, err = w.Dump(io.Discard); err == nil {
			fmt.Printf("RESULT dumped: %d threads, %d modules, memory %v, %v\n", r.Threads, r.Modules, r.Memory > 0, r.SoftErrors())
			return
		}
	}
	fmt.Printf("RESULT permission %v: %v\n", errors.Is(err, ErrPermission), err)
}

// TestUnprivileged dumps processes as a user without privileges: its own, and those of others.
func TestUnprivileged(t *testing.T) {
	victims.SkipEmulated(t, "permissions are the same everywhere")
	needRoot(t)
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	start := func(program string, attr *syscall.SysProcAttr, args ...string) *victims.Proc {
		cmd := exec.Command(openCopy(t, program), args...)
		cmd.SysProcAttr, cmd.Dir = attr, "/"
		return victims.StartCmd(t, cmd)
	}
	t.Run("own", func(t *testing.T) {
		// Without a build id the file must be opened, and this user can't use map_files.
		v := start(victims.C(t, "victim.c", "-Wl,--build-id=none"), nobody, "idle", "3")
		if got := asNobody(t, v.PID, 20*time.Second); !strings.HasPrefix(got, "dumped: 3 threads, ") || !strings.HasSuffix(got, " memory true, []") {
			t.Errorf("%s", got)
		}
	})
	t.Run("root", func(t *testing.T) {
		v := start(victims.C(t, "victim.c"), nil, "idle", "3")
		if got := asNobody(t, v.PID, time.Second); !strings.HasPrefix(got, "permission true: ") {
			t.Errorf("%s", got)
		}
	})
	t.Run("own, not dumpable", func(t *testing.T) {
		v := start(victims.C(t, "odd.c"), &syscall.SysProcAttr{Credential: nobody.Credential}, "undumpable")
		if got := asNobody(t, v.PID, time.Second); !strings.HasPrefix(got, "permission true: ") {
			t.Errorf("%s", got)
		}
		// Root can dump the process.
		f, r := dump(t, v.PID, Options{})
		if r.Soft != 0 || r.Modules < 2 {
			t.Errorf("%d modules, soft errors %v", r.Modules, r.SoftErrors())
		}
		checkStacks(t, f, DefaultCrashStackLimit)
	})
}

// TestSeccompStrict dumps a process that may only read and write.
func TestSeccompStrict(t *testing.T) {
	v := odd(t, "strict")
	waitStatus(t, v.PID, "Seccomp", func(s string) bool { return s == "1" })
	f, r := dump(t, v.PID, Options{})
	if r.Soft != 0 || r.Threads != 1 || r.Modules < 2 {
		t.Errorf("%d threads, %d modules, soft errors %v", r.Threads, r.Modules, r.SoftErrors())
	}
	checkStacks(t, f, DefaultCrashStackLimit)
	if !v.Alive() {
		t.Error("the process has ended")
	}
}
