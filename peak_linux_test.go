package minidump

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"minidump/internal/victims"
)

// peakOverBare is the maximum memory, in KB, that a program that dumps a small process may use beyond a Go program that
// does nothing. Measured: 1,144 to 1,232 KB, which depends on where the linker puts functions, because the kernel maps 64 KB at
// a time, and 1,276 to 1,332 when a goroutine's stack grew during the dump.
// docs/design.md, "Memory of the dumper", says what keeps it low; os and fmt alone would add 300 KB.
const peakOverBare = 1260

// TestPeakMemory compares the peak memory of a dumper with that of a Go program that does nothing, on the same machine:
// the runtime, the kernel and the page size affect both.
func TestPeakMemory(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	victims.SkipEmulated(t, "its number is for pages of 4 KB")
	if os.Getpagesize() != 4096 {
		t.Skip("the number is for pages of 4 KB")
	}
	goCommand := tool(t, "go")
	if _, err := os.Stat("go.mod"); err != nil {
		t.Skipf("no source tree here: %v", err)
	}
	dir := t.TempDir()
	build := exec.Command(goCommand, "build", "-buildvcs=false", "-o", dir, "./internal/bench/peak/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	target := victims.Start(t, victims.C(t, "victim.c"), "idle", "1")
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	peak := func(program string) int {
		least := 0
		for range 5 { // other activity of the machine only adds to it
			cmd := exec.Command(filepath.Join(dir, program))
			cmd.Env = append(os.Environ(), fmt.Sprintf("TARGET=%d", target.PID))
			cmd.ExtraFiles = []*os.File{null}
			kb := highWater(t, victims.StartCmd(t, cmd).PID)
			if least == 0 || kb < least {
				least = kb
			}
		}
		return least
	}
	bare, dumper := peak("bare"), peak("dumper")
	t.Logf("peak of a Go program that does nothing: %d KB, of one that dumps: %d KB", bare, dumper)
	if dumper-bare > peakOverBare {
		t.Errorf("a dumper takes %d KB more than a Go program that does nothing (%d KB), not %d", dumper-bare, bare, peakOverBare)
	}
}

// highWater returns VmHWM of a process in KB (proc(5)): unlike ru_maxrss it does not count the program before execve.
func highWater(t testing.TB, pid int) int {
	t.Helper()
	for line := range strings.Lines(readText(t, fmt.Sprintf("/proc/%d/status", pid))) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(v), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatalf("no VmHWM of %d", pid)
	return 0
}
