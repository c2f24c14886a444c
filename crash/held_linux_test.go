//go:build amd64 || arm64

package crash

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump/internal/victims"
	"minidump/stream"
)

// cgoVictim builds a program whose C code crashes.
func cgoVictim(t *testing.T) string {
	t.Helper()
	victims.SkipEmulated(t, "it has no C library or compiler")
	victims.Tool(t, "gcc")
	return victims.Go(t, "cgoreporter", "CGO_ENABLED=1")
}

// runC runs the victim, and returns its wait status, what its monitor wrote, and the standard error of both.
func runC(t *testing.T, program, kind string, env ...string) (syscall.WaitStatus, string, string) {
	t.Helper()
	dir := t.TempDir()
	c := exec.Command(program, dir, kind)
	c.Env = append(os.Environ(), env...)
	var errs bytes.Buffer
	c.Stderr = &errs
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	done := await(t, dir)
	return c.ProcessState.Sys().(syscall.WaitStatus), done, errs.String()
}

// TestCrashesInC crashes C code, in a thread that C created and called from Go. The program must end as it would without a
// monitor.
func TestCrashesInC(t *testing.T) {
	program := cgoVictim(t)
	for _, c := range []struct {
		kind   string
		signal syscall.Signal
		dies   bool // of the signal, whatever GOTRACEBACK is
	}{
		{"thread-fault", syscall.SIGSEGV, true},
		{"thread-abort", syscall.SIGABRT, true},
		{"thread-kill", syscall.SIGSEGV, true},
		{"thread-lent-fault", syscall.SIGSEGV, true},
		{"thread-lent-abort", syscall.SIGABRT, true},
		{"thread-two", syscall.SIGSEGV, true},
		{"call-fault", syscall.SIGSEGV, false},
		{"call-abort", syscall.SIGABRT, false},
	} {
		for _, traceback := range []string{"none", "single", "all", "crash"} {
			if lent := strings.Contains(c.kind, "lent"); lent && (traceback == "single" || traceback == "all") {
				continue // it waits until the monitor has set the offset of isExtraInC
			}
			t.Run(c.kind+"/"+traceback, func(t *testing.T) {
				status, done, stderr := runC(t, program, c.kind, "GOTRACEBACK="+traceback)
				if strings.HasPrefix(done, "end") {
					t.Fatalf("no dump: %s", stderr)
				}
				switch {
				case c.dies && (!status.Signaled() || status.Signal() != c.signal), !c.dies && traceback != "crash" && status.ExitStatus() != 2:
					t.Errorf("it ended with %#x", status)
				}
				want := map[bool]string{true: "fault at c.c:", false: "aborts at c.c:"}[c.signal == syscall.SIGSEGV]
				if !strings.Contains(stderr, "crash: wrote "+done+", signature ") || c.kind != "thread-kill" && !strings.Contains(stderr, want) {
					t.Errorf("the monitor said %s", stderr)
				}
				d, notes := opened(t, done)
				if problems := stream.Problems(d); len(problems) > 0 {
					t.Error(problems)
				}
				if notes[KeyKind] != "signal" || notes[KeyRegisters] != registersFault || notes["version"] != "1.2.3" ||
					c.dies != strings.HasSuffix(notes[KeyReport], "in a thread without a goroutine") {
					t.Errorf("annotations %q", notes)
				}
				e, cpu := exceptionCPU(t, d)
				if e.Code != uint32(c.signal) || strings.HasSuffix(c.kind, "fault") && e.Address != 0xbadbad0 || cpu.PC == 0 {
					t.Errorf("exception %+v at %#x", e, cpu.PC)
				}
				if l, err := d.Goroutines(); err != nil || len(l.Goroutines) == 0 {
					t.Errorf("goroutines: %v", err)
				}
			})
		}
	}
}

// TestHandledInC raises faults in C that are not deadly: the handler of a C library ends the program with status 0, or the program
// handles the signal. No dump may remain.
func TestHandledInC(t *testing.T) {
	program := cgoVictim(t)
	t.Run("handler", func(t *testing.T) {
		status, done, stderr := runC(t, program, "thread-fault", "C_HANDLER=yes")
		if status.ExitStatus() != 0 || !strings.HasPrefix(done, "end: ended ") {
			t.Errorf("status %#x, %q\n%s", status, done, stderr)
		}
	})
	t.Run("notify", func(t *testing.T) {
		t.Parallel()
		status, done, stderr := runC(t, program, "notify")
		if status.ExitStatus() != 0 || !strings.HasPrefix(done, "end: ended ") || !strings.Contains(stderr, "continues after SIGSEGV") {
			t.Errorf("status %#x, %q\n%s", status, done, stderr)
		}
	})
	t.Run("from outside", func(t *testing.T) {
		dir := t.TempDir()
		c := exec.Command(program, dir, "thread-wait")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		if done := await(t, dir); !strings.HasPrefix(done, "end: ") {
			t.Error(done)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*.dmp")); len(left) > 0 {
			t.Errorf("dumps %q", left)
		}
	})
}

// TestHealthyC runs a program with C threads that uses signals and does not crash.
func TestHealthyC(t *testing.T) {
	dir := t.TempDir()
	c := exec.Command(cgoVictim(t), dir, "healthy")
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
	if done := await(t, dir); !strings.HasPrefix(done, "end: ended ") {
		t.Error(done)
	}
	if info, err := os.Stat(filepath.Join(dir, "profile")); err != nil || info.Size() < 500 {
		t.Errorf("a profile without samples: %v, %v", info, err)
	}
}

// TestMonitorDies kills the monitor of a program whose C code then crashes: the program must not wait forever.
func TestMonitorDies(t *testing.T) {
	program := cgoVictim(t)
	dir := t.TempDir()
	c := exec.Command(program, dir, "thread-late-fault")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", c.Process.Pid))
	monitor, err2 := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil || err2 != nil {
		c.Process.Kill()
		c.Wait()
		t.Skipf("its children %q: %v", children, err)
	}
	_ = syscall.Kill(monitor, syscall.SIGKILL)
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	select {
	case <-done:
		if s := c.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGSEGV {
			t.Errorf("it ended with %#x", s)
		}
	case <-time.After(30 * time.Second):
		c.Process.Kill()
		t.Error("it waits still")
	}
}
