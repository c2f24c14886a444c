package stackwalk_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"minidump"
	"minidump/internal/victims"
)

// TestLanguages compares the frames of threads of Rust and C++ programs with gdb's. (With -Cpanic=abort Rust's main has no table, and
// gdb uses another word of its stack as the return address.)
func TestLanguages(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the compilers are for amd64")
	}
	for _, build := range []struct{ name, compiler, source, flags string }{
		{"Rust-O0", "rustc", "frames.rs", "-g"},
		{"Rust-O", "rustc", "frames.rs", "-O"},
		{"Rust-stripped", "rustc", "frames.rs", "-O -Cstrip=symbols"},
		{"C++-O0", "g++", "frames.cc", "-O0 -g -pthread"},
		{"C++-O2", "g++", "frames.cc", "-O2 -pthread"},
		{"C++-O3-static", "g++", "frames.cc", "-O3 -static -pthread"},
		{"C++-clang", "clang++", "frames.cc", "-O2 -pthread"},
	} {
		t.Run(build.name, func(t *testing.T) {
			compiler, program := victims.Tool(t, build.compiler), filepath.Join(t.TempDir(), "frames")
			victims.Output(t, compiler, append(strings.Fields(build.flags), "-o", program, filepath.Join("testdata", build.source))...)
			v := victims.Start(t, program)
			settle(t, v.PID)
			f := dump(t, v.PID, minidump.Options{})
			p := process(t, f)
			ours := walk(t, f, p)
			total, same, other := compare(t, v.PID, p, ours)
			if t.Logf("%d threads: %d of gdb's %d frames are the same, %d others", len(ours), same, total, other); total < 40 ||
				same < total || other > 0 {
				t.Errorf("%d of gdb's %d frames, %d others", same, total, other)
			}
		})
	}
}
