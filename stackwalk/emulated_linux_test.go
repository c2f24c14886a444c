package stackwalk_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump/internal/victims"
)

// emulated lists the architectures whose programs run under the user-mode emulator, with its name, the compiler and its flags.
// without lists the ways that can't be walked:
//
//   - arm: abort of the static C library has no tables, and keeps its caller's frame pointer.
//   - s390x: the emulator's cores lack the floating-point registers, in which leaf saves others.
//   - mips: FindSignalFrame does not find frames of handlers without SA_SIGINFO.
//   - 386: FindSignalFrame rejects the emulator's frames, whose segment registers differ from the kernel's.
//
// The emulator's cores of riscv64 and loong64 have the host's architecture, and in those of big-endian ppc64 no module can be found.
var emulated = []struct{ name, qemu, compiler, flags, without string }{
	{"arm64", "qemu-aarch64-static", "aarch64-linux-gnu-gcc", "", ""},
	{"arm", "qemu-arm-static", "arm-linux-gnueabihf-gcc", "", "abort"},
	{"arm-exidx", "qemu-arm-static", "arm-linux-gnueabihf-gcc", "-g0 -funwind-tables", "abort"},
	{"s390x", "qemu-s390x-static", "s390x-linux-gnu-gcc", "", "fault"},
	{"ppc64le", "qemu-ppc64le-static", "powerpc64le-linux-gnu-gcc", "", ""},
	{"ppc", "qemu-ppc-static", "powerpc-linux-gnu-gcc", "", ""},
	{"mips", "qemu-mips-static", "mips-linux-gnu-gcc", "", "fault"},
	{"mips64le", "qemu-mips64el-static", "mips64el-linux-gnuabi64-gcc", "", ""},
	{"386", "qemu-i386-static", "i686-linux-gnu-gcc", "", "fault info"},
	{"amd64", "qemu-x86_64-static", "gcc", "", ""},
}

// emulatedWays lists the arguments with which the program frames is run there.
var emulatedWays = []string{"plain alloca pointer crash", "deep qsort plain leaf", "plain null", "alloca abort",
	"plain fault plain leaf", "info plain crash"}

// TestEmulated walks cores of other architectures that the emulator wrote.
func TestEmulated(t *testing.T) {
	victims.SkipEmulated(t, "it is an emulator itself")
	for _, arch := range emulated {
		for _, flags := range []string{"-O0", "-O2", "-O2 -fno-asynchronous-unwind-tables -fno-unwind-tables"} {
			t.Run(arch.name+strings.ReplaceAll(flags, " ", ""), func(t *testing.T) {
				qemu := victims.Tool(t, arch.qemu)
				program := victims.Compile(t, arch.compiler, "frames.c", strings.Fields(flags+" "+arch.flags+" -static")...)
				for _, way := range emulatedWays {
					if slices.ContainsFunc(strings.Fields(arch.without), func(w string) bool { return strings.Contains(way, w) }) {
						continue
					}
					t.Run(strings.ReplaceAll(way, " ", ","), func(t *testing.T) { testCore(t, qemu, program, way) })
				}
			})
		}
	}
}

// testCore makes the emulator write a core, and walks it.
func testCore(t *testing.T, qemu, program, way string) {
	core := emulatedCore(t, qemu, program, way)
	f := fromCore(t, core)
	p := process(t, f)
	symbols := readNames(program)
	for _, frames := range walk(t, f, p) {
		got, want := own(p, frames, symbols, program), expected(way)
		if !slices.Equal(got, want) {
			t.Errorf("functions\n%s\nwant\n%s\n%s", strings.Join(got, " "), strings.Join(want, " "), describe(p, frames))
		}
	}
}

// emulatedCore returns the path of the core that the program leaves.
func emulatedCore(t *testing.T, qemu, program, way string) string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	args := append([]string{"-c", `ulimit -c unlimited; exec "$0" "$@"`, qemu, program}, strings.Fields(way)...)
	cmd := exec.CommandContext(ctx, "sh", args...)
	cmd.Dir = dir
	err := cmd.Run()
	cores, _ := filepath.Glob(filepath.Join(dir, "qemu_*.core"))
	if len(cores) != 1 {
		var status syscall.WaitStatus
		if cmd.ProcessState != nil {
			status, _ = cmd.ProcessState.Sys().(syscall.WaitStatus)
		}
		t.Skipf("the emulator left no core: %v %v", err, status)
	}
	return cores[0]
}
