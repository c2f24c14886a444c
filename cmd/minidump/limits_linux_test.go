//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"minidump/internal/victims"
	"minidump/ptrace"
)

// TestAddressSpace runs the command with an address space of 800 MB. The Go runtime reserves most of that.
func TestAddressSpace(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	// Not the test's own program: with cgo each thread reserves a hundred megabytes more.
	program := filepath.Join(t.TempDir(), "minidump")
	build := exec.Command("go", "build", "-o", program, "minidump/cmd/minidump")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("go build: %v\n%s", err, out)
	}
	limited := func(t *testing.T, dir string, args ...string) outcome {
		cmd := exec.Command(sh, append([]string{"-c", `ulimit -v 800000 && exec "$0" "$@"`, program}, args...)...)
		cmd.Dir = dir
		return runWith(t, cmd, nil)
	}
	pid, _ := goVictim(t)
	for _, mode := range []string{"stack", "indirect", "full"} {
		dir := t.TempDir()
		limited(t, dir, "dump", "--timeout=10s", "--mode", mode, "-o", "x.dmp", pid).want(t, 0, "wrote x.dmp")
		if d := shown(t, filepath.Join(dir, "x.dmp")); len(d.Threads) == 0 {
			t.Errorf("%s: no threads", mode)
		}
	}
	dir := t.TempDir()
	if o := limited(t, dir, "run", "-o", dir, "--", sh, "-c", "kill -SEGV $$"); len(files(t, dir)) != ofShell {
		t.Errorf("run: %+v, %q", o, files(t, dir))
	}
	if gcore, err := exec.LookPath("gcore"); err != nil {
		t.Log("without core: ", err)
	} else if out, err := exec.Command(gcore, "-o", filepath.Join(dir, "core"), pid).CombinedOutput(); err != nil {
		t.Errorf("gcore: %v\n%s", err, out)
	} else {
		limited(t, dir, "core", "-o", "y.dmp", "core."+pid).want(t, 0, "wrote y.dmp")
	}
}

// TestDumpNotStopped dumps a process that another tracer traces: the file is kept, and the command reports that it is
// incomplete and fails.
func TestDumpNotStopped(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c", "-pthread"), "idle", "1")
	tracer := ptrace.New(v.PID)
	ths := []ptrace.Thread{{TID: int32(v.PID)}}
	done, held := make(chan bool), make(chan bool)
	go func() {
		locked(func() {
			tracer.AttachAll(ths)
			held <- true
			<-done
			tracer.Detach(ths)
		})
		held <- true
	}()
	<-held
	dir := t.TempDir()
	o := run(t, dir, "dump", "-o", "x.dmp", strconv.Itoa(v.PID))
	done <- true
	<-held
	o.want(t, 1, "the dump is incomplete: another debugger is attached to the process")
	if !strings.Contains(o.err, "wrote x.dmp") {
		t.Errorf("%q", o.err)
	}
	if d := shown(t, filepath.Join(dir, "x.dmp")); len(d.Threads) != 1 {
		t.Error(fmt.Sprint(len(d.Threads), " threads"))
	}
}

// locked runs f on an OS thread that no other goroutine uses.
func locked(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f()
}
