// Package loadertest tests the parts of machorun's macOS that could be broken without failing the tests of other packages: a
// panic that does not happen, or a goroutine that is never interrupted.
package loadertest

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const asChild = "LOADERTEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(asChild) {
	case "exit":
		os.Exit(7)
	case "signal":
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
		time.Sleep(time.Minute)
		os.Exit(1)
	case "panic":
		var p *int
		*p = 1
	}
	os.Exit(m.Run())
}

func TestNilDereference(t *testing.T) {
	defer func() {
		if err, ok := recover().(runtime.Error); !ok || !strings.Contains(err.Error(), "nil pointer dereference") {
			t.Errorf("recovered %v", err)
		}
	}()
	var p *[1 << 12]byte
	t.Error(p[os.Getpid()&0xff])
}

func TestPreemption(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var stop, n uint32
	go func() {
		for p := &stop; *p == 0; n++ { // no call, so only a signal interrupts it
		}
	}()
	done := make(chan bool)
	go func() { runtime.GC(); stop = 1; close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("a loop was not interrupted")
	}
}

// TestSignal sends a signal whose number is different on Linux.
func TestSignal(t *testing.T) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	defer signal.Stop(c)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	select {
	case got := <-c:
		if got != syscall.SIGUSR1 {
			t.Errorf("got %v", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no signal")
	}
}

func TestProcesses(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what     string
		status   int
		signal   syscall.Signal
		messages string
	}{{"exit", 7, -1, ""}, {"signal", -1, syscall.SIGTERM, ""}, {"panic", 2, -1, "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 "}} {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), asChild+"="+c.what)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("%s: %v", c.what, err)
		}
		s := exit.Sys().(syscall.WaitStatus)
		if s.ExitStatus() != c.status || s.Signal() != c.signal || !strings.Contains(string(out), c.messages) {
			t.Errorf("%s: %v, output %s", c.what, exit, out)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, []byte("0123456789"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	_, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if !errors.Is(err, os.ErrExist) {
		t.Errorf("open with O_EXCL: %v", err)
	}
	if _, err := os.ReadDir(filepath.Join(path, "x")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("a file as a folder: %v", err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [4]byte
	if _, err := f.ReadAt(b[:], 3); err != nil || string(b[:]) != "3456" {
		t.Errorf("read %q, %v", b, err)
	}
	st, err := f.Stat()
	if err != nil || st.Size() != 10 || st.Mode() != 0o640 || time.Since(st.ModTime()).Abs() > time.Minute {
		t.Errorf("stat: %v %v", st, err)
	}
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Type().String()[:1]+e.Name())
	}
	if got := strings.Join(names, " "); err != nil || got != "-a db Lc" {
		t.Errorf("folder: %s, %v", got, err)
	}
}
