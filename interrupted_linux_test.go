package minidump

import (
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/corefile/coretest"
	"minidump/internal/victims"
	"minidump/stream"
)

// checkInterrupted checks a dump of the victim interrupted: the exception is the write in crash(), with its registers
// and stack, and the dump also has the handler's stack.
func checkInterrupted(t *testing.T, f *stream.File, program, dmp string, diedOf string) {
	t.Helper()
	e, err := f.Exception()
	if err != nil || e.Code != uint32(unix.SIGSEGV) || e.Flags != 1 || e.Address != 0x1110 {
		t.Fatalf("exception %+v: %v", e, err)
	}
	if runtime.GOARCH == "amd64" && (e.NumberParameters != 2 || e.Information[0] != 1) {
		t.Errorf("%d parameters, %d: not a write", e.NumberParameters, e.Information[0])
	}
	c := coretest.CPUs(t, f)[e.ThreadID]
	if c == nil {
		t.Fatal("no registers")
	}
	if function, _ := place(t, f, program, c.PC); function != "crash" {
		t.Errorf("the crash is at %#x in %q", c.PC, function)
	}
	threads, _ := f.Threads()
	i := slices.IndexFunc(threads, func(th stream.Thread) bool { return th.ThreadID == e.ThreadID })
	st := threads[i].Stack
	if c.SP < st.Start || c.SP-st.Start > uint64(st.Memory.DataSize) || st.Memory.DataSize < 1500 {
		t.Errorf("SP %#x, stack %#x of %d bytes", c.SP, st.Start, st.Memory.DataSize)
	}
	info, err := f.CrashpadInfo()
	var notes []string
	for _, a := range info.Annotations {
		notes = append(notes, a.Key+"="+a.Value)
	}
	if want := "died-of=" + diedOf; err != nil || diedOf != "" && !slices.Contains(notes, want) || diedOf == "" && len(notes) > 0 {
		t.Errorf("annotations %q, want %q: %v", notes, want, err)
	}
	if _, err := exec.LookPath("minidump-stackwalk"); err == nil {
		names := stackwalk(t, dmp, program).functions(i)
		if len(names) < 3 || !slices.Equal(names[:3], []string{"crash", "middle", "outer"}) {
			t.Errorf("minidump-stackwalk shows %q", names)
		}
	}
}

// TestInterruptedLive dumps a process that waits in its crash handler.
func TestInterruptedLive(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	program := victims.C(t, "interrupted.c", "-pthread")
	for _, flags := range []string{"", "--nested", "--plain", "--same", "--thread", "--large", "--large --same"} {
		t.Run(flags, func(t *testing.T) {
			if flags == "--plain" && !slices.Contains([]string{"amd64", "386", "arm64", "arm"}, runtime.GOARCH) {
				t.Skip("every handler gets siginfo_t on this architecture")
			}
			v := victims.Start(t, program, append(strings.Fields(flags), "wait")...)
			v.Go(t)
			var tid int
			if _, err := fmt.Sscanf(v.Line(t), "handling %d", &tid); err != nil {
				t.Fatal(err)
			}
			o := Options{}
			if flags == "--thread" {
				// The main thread waits for the crashed thread. A crash does not make a thread the one that the dump is about.
				f, _ := dump(t, v.PID, o)
				if e, err := f.Exception(); err != nil || e.Code != DumpRequested || int(e.ThreadID) != v.PID {
					t.Errorf("exception %+v: %v", e, err)
				}
				checkOwnRegisters(t, f, program, uint32(tid))
				o.Thread = tid
			}
			dmp, f, _ := dumpFile(t, v.PID, o)
			checkInterrupted(t, f, program, dmp, "")
			if !v.Alive() {
				t.Error("the victim has ended")
			}
		})
	}
}

// checkOwnRegisters checks that a thread that waits in its handler, and is not blamed, has its own registers, and that
// both its stacks are in the dump: a word of them points into crash().
func checkOwnRegisters(t *testing.T, f *stream.File, program string, tid uint32) {
	t.Helper()
	c := coretest.CPUs(t, f)[tid]
	if c == nil {
		t.Fatal("no registers")
	}
	if function, _ := place(t, f, program, c.PC); function == "crash" {
		t.Error("the registers are those of the crash")
	}
	var frame context.SignalFrame
	ranges, _ := f.MemoryRanges()
	found := 0
	for _, r := range ranges {
		b := make([]byte, r.Size)
		n, _ := f.ReadMemory(r.Addr, b)
		if context.FindSignalFrame(context.Native, hostOrder(), b[:n], r.Addr, max(r.Addr, c.SP), &frame) && frame.OnAltStack {
			if function, _ := place(t, f, program, frame.PC); function == "crash" {
				found++
			}
			if k, _ := f.ReadMemory(frame.SP, b[:64]); k < 64 {
				t.Errorf("%d bytes of the interrupted stack at %#x", k, frame.SP)
			}
		}
	}
	if found == 0 {
		t.Error("the signal frame is not in the dump")
	}
}

// TestInterruptedCore dumps core files of processes that a signal killed inside their crash handler.
func TestInterruptedCore(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	program := victims.C(t, "interrupted.c", "-pthread")
	defer victims.CorePattern(t, true)()
	for _, test := range []struct{ args, diedOf string }{
		{"abort", "SIGABRT"}, {"--nested raise", ""}, {"--nested abort", "SIGABRT"}, {"--nested --same abort", "SIGABRT"},
		{"--plain abort", "SIGABRT"}, {"--thread abort", "SIGABRT"}, {"--nested --same raise", ""},
	} {
		t.Run(test.args, func(t *testing.T) {
			if strings.Contains(test.args, "--plain") && !slices.Contains([]string{"amd64", "386", "arm64", "arm"}, runtime.GOARCH) {
				t.Skip("every handler gets siginfo_t on this architecture")
			}
			core, _ := coreByPattern(t, program, strings.Fields(test.args)...)
			w, err := openCoreFile(core, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			dmp := t.TempDir() + "/x.dmp"
			if _, err := w.DumpFile(dmp); err != nil {
				t.Fatal(err)
			}
			f, err := openDump(dmp)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			checkInterrupted(t, f, program, dmp, test.diedOf)
		})
	}
}
