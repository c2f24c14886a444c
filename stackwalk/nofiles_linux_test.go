package stackwalk_test

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"minidump"
	"minidump/internal/victims"
	"minidump/stackwalk"
)

// TestWithoutFiles walks dumps without any files. A dump of mode full contains code and tables; in one with only stacks frame
// pointers must do, which miss frames but invent none.
func TestWithoutFiles(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the compiler is for amd64")
	}
	program := victims.Compile(t, "gcc", "frames.c", "-O2", "-fno-omit-frame-pointer")
	for _, way := range ways {
		for _, mode := range []minidump.Mode{minidump.ModeStack, minidump.ModeFull} {
			t.Run(mode.String()+" "+way, func(t *testing.T) {
				v := victims.Start(t, program, strings.Fields(way)...)
				settle(t, v.PID)
				f := dump(t, v.PID, minidump.Options{Mode: mode})
				p, err := stackwalk.FromFile(f)
				if err != nil {
					t.Fatal(err)
				}
				ours := walk(t, f, p)
				if mode == minidump.ModeFull {
					if total, same, other := compare(t, v.PID, p, ours); same < total || other > 0 {
						t.Errorf("%d of gdb's %d frames, %d others", same, total, other)
					}
					return
				}
				for tid, want := range gdbFrames(t, "-p", strconv.Itoa(v.PID)) {
					checkAmong(t, p, ours[tid], want)
				}
			})
		}
	}
}

// checkAmong checks that want contains all of got, in the same order.
func checkAmong(t *testing.T, p *stackwalk.Process, got []stackwalk.Frame, want []gdbFrame) {
	t.Helper()
	rest := want
	for i := range got {
		for len(rest) > 0 && rest[0].pc != got[i].PC {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			t.Errorf("gdb does not have frame %d of\n%s\nbut\n%s", i, describe(p, got), lines(want))
			return
		}
		rest = rest[1:]
	}
	if len(got) < len(want)/3 {
		t.Errorf("%d of %d frames", len(got), len(want))
	}
}
