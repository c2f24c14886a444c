package stackwalk_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"minidump/internal/victims"
)

// gdbFrame is what gdb prints about a frame.
type gdbFrame struct {
	pc, sp uint64
	name   string
}

func (f gdbFrame) String() string { return fmt.Sprintf("%#x sp %#x %s", f.pc, f.sp, f.name) }

// script prints the frames of all threads of a process, without those that only debug information shows: those of inlined
// functions and of functions that ended with a jump to another.
const script = `
import gdb
for t in gdb.selected_inferior().threads():
    t.switch()
    print("thread", t.ptid[1])
    f = gdb.newest_frame()
    while f is not None:
        if f.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME) and f.pc() != 0:
            print("frame", f.pc(), int(f.read_register("sp")) & (2**64-1), f.name())
        try:
            f = f.older()
        except gdb.error:
            break
print("done")
`

// gdbFrames returns the frames of each thread of a process according to gdb, which reads either the process or a core.
func gdbFrames(t testing.TB, args ...string) map[uint32][]gdbFrame {
	t.Helper()
	gdb := victims.Tool(t, "gdb")
	file := filepath.Join(t.TempDir(), "frames.py")
	if err := os.WriteFile(file, []byte(script), 0644); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set backtrace past-main on",
		"-iex", "set backtrace limit 2000"}, append(args, "-x", file)...)
	out := victims.Output(t, gdb, args...)
	threads := map[uint32][]gdbFrame{}
	var tid uint32
	done := false
	for s := bufio.NewScanner(strings.NewReader(out)); s.Scan(); {
		fields := strings.Fields(s.Text())
		switch {
		case len(fields) == 2 && fields[0] == "thread":
			n, _ := strconv.Atoi(fields[1])
			tid = uint32(n)
		case len(fields) > 3 && fields[0] == "frame":
			pc, _ := strconv.ParseUint(fields[1], 10, 64)
			sp, _ := strconv.ParseUint(strings.TrimPrefix(fields[2], "-"), 10, 64)
			threads[tid] = append(threads[tid], gdbFrame{pc, sp, strings.Join(fields[3:], " ")})
		case len(fields) == 1 && fields[0] == "done":
			done = true
		}
	}
	if !done {
		t.Fatalf("gdb printed\n%s", out)
	}
	return threads
}
