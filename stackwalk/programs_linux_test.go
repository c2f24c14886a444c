package stackwalk_test

import (
	stdelf "debug/elf"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"minidump"
	"minidump/internal/victims"
	"minidump/stackwalk"
)

// calls lists the functions that each way of the program frames calls, the outermost first; go_on comes before each.
var calls = map[string]string{
	"plain":        "plain1 plain2 plain3",
	"alloca":       "with_alloca",
	"deep":         strings.TrimSpace(strings.Repeat("deep ", 64)),
	"qsort":        "sort compare",
	"pointer":      "pointer pointed",
	"signal":       "raised handler",
	"fault":        "faulted handler",
	"handled-leaf": "faulted_in_leaf leaf handler",
	"onstack":      "faulted handler_info",
	"info":         "faulted handler_info",
	"thread":       "in_thread",
	"wait":         "innermost",
	"crash":        "innermost",
	"leaf":         "innermost leaf",
	"null":         "innermost",
	"abort":        "innermost",
}

// expected returns the functions of the program frames that its stack must contain, the innermost first.
func expected(ways string) []string {
	all := []string{"main"}
	for _, way := range strings.Fields(ways) {
		if way == "thread" {
			all = nil
		} else {
			all = append(all, "go_on")
		}
		all = append(all, strings.Fields(calls[way])...)
	}
	slices.Reverse(all)
	return all
}

// own returns the functions of the program frames among frames.
func own(p *stackwalk.Process, frames []stackwalk.Frame, symbols names, program string) []string {
	known := map[string]bool{"main": true, "go_on": true}
	for _, list := range calls {
		for _, f := range strings.Fields(list) {
			known[f] = true
		}
	}
	var all []string
	for i := range frames {
		f := &frames[i]
		if f.Module < 0 || p.Modules[f.Module].Name != program {
			continue
		}
		addr := f.Lookup()
		if image := p.Modules[f.Module].Image; image == nil || image.Type == stdelf.ET_DYN {
			addr -= p.Modules[f.Module].Base
		}
		if name := strings.TrimSuffix(symbols.at(addr), ".cold"); known[name] {
			all = append(all, name)
		}
	}
	return all
}

// compare compares the frames of all threads of a running process with gdb's. It returns how many frames gdb has, how many of
// them, from the innermost on, are the same, and how many of ours differ from gdb's or come after gdb's last.
func compare(t *testing.T, pid int, p *stackwalk.Process, ours map[uint32][]stackwalk.Frame) (total, same, other int) {
	t.Helper()
	theirs := gdbFrames(t, "-p", strconv.Itoa(pid))
	for tid, want := range theirs {
		got := ours[tid]
		// If the dump is about a crash, its frames start with the code that the signal interrupted.
		if i := slices.IndexFunc(want, func(f gdbFrame) bool { return len(got) > 0 && f.pc == got[0].PC && f.sp == got[0].SP }); i > 0 {
			want = want[i:]
		}
		want, cut := believable(p, want)
		n := 0
		for n < len(want) && n < len(got) && want[n].pc == got[n].PC && want[n].sp == got[n].SP {
			n++
		}
		total, same = total+len(want), same+n
		if !cut || n < len(want) {
			other += len(got) - n
		}
		if n < len(want) || n < len(got) && !cut {
			t.Logf("thread %d: %d of %d frames of gdb, which has\n%v\nours\n%s", tid, n, len(want), lines(want), describe(p, got))
		}
	}
	return total, same, other
}

// believable cuts off frames that gdb invents when it lacks information: those outside of all modules.
func believable(p *stackwalk.Process, frames []gdbFrame) (kept []gdbFrame, cut bool) {
	for i, f := range frames {
		if !slices.ContainsFunc(p.Modules, func(m stackwalk.Module) bool { return f.pc-m.Base < m.Size }) {
			return frames[:i], true
		}
	}
	return frames, false
}

func lines(frames []gdbFrame) string {
	var b strings.Builder
	for _, f := range frames {
		b.WriteString(f.String() + "\n")
	}
	return b.String()
}

// ways lists the arguments with which the program frames is run.
var ways = []string{
	"plain alloca pointer wait",
	"deep qsort deep wait",
	"plain signal plain wait",
	"fault alloca wait",
	"info handled-leaf plain wait",
	"plain onstack plain info wait",
	"thread plain qsort onstack wait",
}

// TestPrograms walks C programs that were compiled in many ways, and compares with gdb if gdb can walk them.
func TestPrograms(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the compilers are for amd64")
	}
	for _, build := range []struct {
		name, compiler, flags string
		gdb                   bool
	}{
		{"O0", "gcc", "-O0", true},
		{"O2", "gcc", "-O2", true},
		{"O2-frame-pointer", "gcc", "-O2 -fno-omit-frame-pointer", true},
		{"static", "gcc", "-O2 -static", true},
		{"static-pie", "gcc", "-O2 -static-pie", true},
		{"stripped", "gcc", "-O2 -s", true},
		{"debug-frame", "gcc", "-O2 -fno-asynchronous-unwind-tables -fno-unwind-tables -g", true},
		{"no-tables", "gcc", "-O2 -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-omit-frame-pointer -g0", false},
		{"musl", "musl-gcc", "-O2 -static", false},
		{"musl-O0", "musl-gcc", "-O0 -static", false},
		{"musl-static-pie", "musl-gcc", "-O2 -fPIE -static -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text /usr/lib/x86_64-linux-musl/rcrt1.o", false},
		{"musl-frame-pointer", "musl-gcc", "-O2 -static -fno-omit-frame-pointer", false},
		{"386", "i686-linux-gnu-gcc", "-O2 -static", true},
		{"386-O0", "i686-linux-gnu-gcc", "-O0 -static", true},
	} {
		t.Run(build.name, func(t *testing.T) {
			program := victims.Compile(t, build.compiler, "frames.c", strings.Fields(build.flags)...)
			total := 0
			for _, way := range ways {
				t.Run(strings.ReplaceAll(way, " ", ","), func(t *testing.T) { total += testWay(t, program, way, build.gdb) })
			}
			t.Logf("gdb has %d frames", total)
		})
	}
}

// testWay starts a program, walks it, and compares the frames with the expected ones and with gdb's. It returns how many frames gdb has.
func testWay(t *testing.T, program, way string, gdb bool) int {
	v := victims.Start(t, program, strings.Fields(way)...)
	settle(t, v.PID)
	f := dump(t, v.PID, minidump.Options{})
	p := process(t, f)
	ours := walk(t, f, p)
	if symbols := readNames(program); symbols != nil {
		checkNames(t, p, ours, symbols, program, expected(way))
	}
	if !gdb {
		return 0
	}
	total, same, other := compare(t, v.PID, p, ours)
	if same < total || other > 0 {
		t.Errorf("%d of gdb's %d frames, %d others", same, total, other)
	}
	return total
}

// checkNames checks that one of the threads has the functions want, except those after the crash that the dump is about.
func checkNames(t *testing.T, p *stackwalk.Process, ours map[uint32][]stackwalk.Frame, symbols names, program string, want []string) {
	t.Helper()
	var all []string
	for _, frames := range ours {
		got := own(p, frames, symbols, program)
		n := len(want) - len(got)
		if n >= 0 && slices.Equal(got, want[n:]) && len(got) > 3 && (n == 0 || strings.HasPrefix(want[n-1], "handler")) {
			return
		}
		all = append(all, strings.Join(got, " "), describe(p, frames))
	}
	t.Errorf("no thread has the functions\n%s\nbut\n%s", strings.Join(want, " "), strings.Join(all, "\n"))
}
