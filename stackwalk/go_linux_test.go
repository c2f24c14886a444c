package stackwalk_test

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"minidump"
	"minidump/internal/victims"
)

// TestGo walks Go programs: with .debug_frame, which gdb reads too, and stripped of it, by frame pointers.
func TestGo(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("gdb runs where the tests are developed")
	}
	program := victims.Go(t, "gosleep")
	stripped := filepath.Join(t.TempDir(), "gosleep")
	build := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", stripped, "minidump/internal/victims/gosleep")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, path := range []string{program, stripped} {
		v := victims.Start(t, path, "5")
		settle(t, v.PID)
		f := dump(t, v.PID, minidump.Options{})
		p := process(t, f)
		ours := walk(t, f, p)
		if path == program {
			total, same, other := compare(t, v.PID, p, ours)
			t.Logf("%d of gdb's %d frames are the same, %d others", same, total, other)
			if same < total {
				t.Errorf("%d of gdb's %d frames", same, total)
			}
			continue
		}
		// The code is the same with and without symbols, but at different addresses.
		for tid, frames := range ours {
			if len(frames) < 3 {
				t.Errorf("thread %d has\n%s", tid, describe(p, frames))
			}
		}
	}
}

// TestNames checks the function names of a thread that is blocked in Go.
func TestNames(t *testing.T) {
	program := victims.Go(t, "gosleep")
	v := victims.Start(t, program, "1")
	settle(t, v.PID)
	f := dump(t, v.PID, minidump.Options{})
	p := process(t, f)
	symbols := readNames(program)
	var all []string
	for _, frames := range walk(t, f, p) {
		for i := range frames {
			if frames[i].Module >= 0 {
				all = append(all, symbols.at(frames[i].Lookup()))
			}
		}
	}
	if list := strings.Join(all, " "); !strings.Contains(list, "runtime.futex") || !strings.Contains(list, "runtime.mstart") {
		t.Errorf("functions %s", list)
	}
}
