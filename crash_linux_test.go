//go:build linux

package minidump

import (
	"bytes"
	stddwarf "debug/dwarf"
	stdelf "debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"minidump/context"
	"minidump/internal/corefile/coretest"
	"minidump/internal/victims"
	"minidump/stream"

	"minidump/internal/snapshot"
)

// place returns the function and the source line of an address of the dumped process.
func place(t testing.TB, f *stream.File, program string, pc uint64) (function string, line int) {
	t.Helper()
	mods, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	x, err := stdelf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	bias := mods[0].BaseOfImage
	for _, p := range x.Progs {
		if p.Type == stdelf.PT_LOAD {
			bias -= p.Vaddr &^ 4095
			break
		}
	}
	pc -= bias
	symbols, err := x.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if stdelf.ST_TYPE(s.Info) == stdelf.STT_FUNC && s.Value <= pc && pc < s.Value+s.Size {
			function = s.Name
		}
	}
	d, err := x.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	unit, err := d.Reader().SeekPC(pc)
	if err != nil {
		return function, 0
	}
	lines, err := d.LineReader(unit)
	if err != nil {
		t.Fatal(err)
	}
	var entry stddwarf.LineEntry
	if lines.SeekPC(pc, &entry) != nil {
		return function, 0
	}
	return function, entry.Line
}

// si_code values of asm-generic/siginfo.h.
const (
	siKernel    = 0x80
	siTkill     = -6
	segvMapErr  = 1
	segvAccErr  = 2
	fpeIntDiv   = 1
	illIllOpn   = 2
	busAdrErr   = 2
	trapBrkpt   = 1
	sysSeccomp  = 1
	notCanon    = 0x8000badbadbadba0
	wildAddress = 0x100badbad0
)

// TestCrashContext dumps programs that crashed in every way, with what their signal handlers received, and checks the
// exception record and the registers of the dump.
func TestCrashContext(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the codes and addresses are those of amd64")
	}
	program := victims.Compile(t, "gcc", "crasher.c")
	for _, c := range []struct {
		kind     string
		signal   syscall.Signal
		code     int32
		function string // in which the program crashes; "": outside the program
		Source   string // the line
		address  uint64 // ^0: the address of the faulting instruction
		params   []uint64
	}{
		{"null", syscall.SIGSEGV, segvMapErr, "level3", "n->next->next->value + 1", 8, []uint64{0, 8}},
		{"wild", syscall.SIGSEGV, segvMapErr, "level3", `if (is("wild"))`, wildAddress, []uint64{1, wildAddress}},
		{"noncanonical", syscall.SIGSEGV, siKernel, "level3", `if (is("noncanonical"))`, notCanon, []uint64{0, notCanon}},
		{"exec", syscall.SIGSEGV, segvMapErr, "", "", 0, []uint64{8, 0}},
		{"fpe", syscall.SIGFPE, fpeIntDiv, "level3", "zero = 100 / zero", ^uint64(0), nil},
		{"ill", syscall.SIGILL, illIllOpn, "undefined_instruction", "ud2", ^uint64(0), nil},
		{"trap", syscall.SIGTRAP, siKernel, "breakpoint", "", 0, nil},
		{"bus", syscall.SIGBUS, busAdrErr, "level3", "return p[page]", 1, nil}, // any address: see below
		{"abort", syscall.SIGABRT, siTkill, "", "", 0, nil},
		{"sys", syscall.SIGSYS, sysSeccomp, "", "", 1, []uint64{syscall.SYS_GETPRIORITY, 0xc000003e}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			v, files, tid := startCrasher(t, program, "--in", "thread", "--threads", "1", c.kind)
			raw := linuxCrash(t, v.PID, tid, files)
			b, err := os.ReadFile(files + ".context")
			if err != nil {
				t.Fatal(err)
			}
			packed, err := context.ParseCrashContext(b)
			if err != nil {
				t.Fatal(err)
			}
			for i, crash := range []*context.Crash{raw, packed} {
				form := [...]string{"siginfo and ucontext", "CrashContext"}[i]
				if c.kind == "noncanonical" {
					if crash.HasAddress {
						t.Errorf("%s: the kernel gave address %#x", form, crash.Address)
					}
				}
				if code := memoryOf(t, v.PID, crash.PC, 16); len(code) > 0 {
					crash.Refine(code)
				}
				f, _ := dump(t, v.PID, Options{Crash: crash})
				e, err := f.Exception()
				if err != nil {
					t.Fatal(err)
				}
				if e.ThreadID != uint32(tid) || e.Code != uint32(c.signal) || int32(e.Flags) != c.code {
					t.Errorf("%s: thread %d, code %d, flags %d, want %d, %d, %d", form, e.ThreadID, e.Code, int32(e.Flags),
						tid, c.signal, c.code)
				}
				regs := coretest.CPUs(t, f)[uint32(tid)]
				if regs == nil {
					t.Fatalf("%s: no registers", form)
				}
				if regs.PC != crash.PC || regs.SP != crash.SP {
					t.Errorf("%s: PC %#x, SP %#x, want %#x, %#x", form, regs.PC, regs.SP, crash.PC, crash.SP)
				}
				own, err := f.Context(e.Context)
				if err != nil || !slices.Equal(own, crash.Record()) {
					t.Errorf("%s: the exception's registers are not those of the crash: %v", form, err)
				}
				switch want := c.address; {
				case want == 1:
					if e.Address == 0 && c.kind != "sys" || e.Address != crash.Address {
						t.Errorf("%s: address %#x, the crash has %#x", form, e.Address, crash.Address)
					}
				case want == ^uint64(0) && e.Address != crash.PC, want != ^uint64(0) && e.Address != want:
					t.Errorf("%s: address %#x, want %#x", form, e.Address, want)
				}
				if c.kind == "sys" && i == 1 {
					continue // the crasher does not write the system call to the file
				}
				if c.params != nil && (int(e.NumberParameters) != len(c.params) || !slices.Equal(e.Information[:len(c.params)], c.params)) {
					t.Errorf("%s: parameters %#x, want %#x", form, e.Information[:e.NumberParameters], c.params)
				}
				function, line := place(t, f, program, regs.PC)
				if function != c.function {
					t.Errorf("%s: in function %q, want %q", form, function, c.function)
				}
				if c.Source != "" && line != sourceLine(t, "crasher.c", c.Source) {
					t.Errorf("%s: on line %d, want that of %s", form, line, c.Source)
				}
				checkStacks(t, f, DefaultCrashStackLimit)
			}
		})
	}
}

// TestStackOverflow dumps a program whose stack pointer has left its stack.
func TestStackOverflow(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the frames are only known for amd64")
	}
	program := victims.Compile(t, "gcc", "crasher.c")
	for _, in := range []string{"main", "thread"} {
		t.Run(in, func(t *testing.T) {
			v, files, tid := startCrasher(t, program, "--in", in, "stack")
			crash := linuxCrash(t, v.PID, tid, files)
			dmp, f, r := dumpFile(t, v.PID, Options{Crash: crash})
			if r.Soft != 0 {
				t.Errorf("soft errors: %v", r.SoftErrors())
			}
			threads, err := f.Threads()
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(threads, func(th stream.Thread) bool { return th.ThreadID == uint32(tid) })
			stack := threads[i].Stack
			if end := stack.Start + uint64(stack.Memory.DataSize); stack.Start > crash.SP+snapshot.GuardSearch || end <= crash.SP ||
				stack.Memory.DataSize != DefaultCrashStackLimit {
				t.Errorf("stack %#x-%#x, SP %#x", stack.Start, end, crash.SP)
			}
			if e, _ := f.Exception(); e.Address < crash.SP-4096 || e.Address > crash.SP+4096 {
				t.Errorf("address %#x, SP %#x", e.Address, crash.SP)
			}
			w := stackwalk(t, dmp, program)
			got := w.functions(*w.CrashInfo.CrashingThread)
			if len(got) < 100 || got[0] != "overflow" || got[50] != "overflow" {
				t.Errorf("%d frames, from %q on", len(got), got[:min(len(got), 3)])
			}
		})
	}
}

// TestCrashOfEndedThread passes a crash of a thread that has ended meanwhile: the exception is nevertheless about
// that thread.
func TestCrashOfEndedThread(t *testing.T) {
	v, files, tid := startCrasher(t, victims.C(t, "crasher.c"), "--in", "main", "--threads", "2", "null")
	crash := linuxCrash(t, v.PID, tid, files)
	crash.Refine(memoryOf(t, v.PID, crash.PC, 16)) // s390x: the kernel reports only the page
	crash.TID = 1 << 21                            // no such thread
	f, r := dump(t, v.PID, Options{Crash: crash})
	if r.Threads != 4 { // including the ended thread: its registers and its stack are known
		t.Errorf("%d threads", r.Threads)
	}
	if c := coretest.CPUs(t, f)[1<<21]; c == nil || c.PC != crash.PC {
		t.Errorf("registers %+v, want PC %#x", c, crash.PC)
	}
	checkStacks(t, f, DefaultCrashStackLimit)
	e, err := f.Exception()
	if err != nil || e.ThreadID != 1<<21 || e.Code != uint32(syscall.SIGSEGV) || e.Address != crash.Address {
		t.Errorf("exception %+v: %v", e, err)
	}
}

// TestStackwalkNamesCrashes checks the name that minidump-stackwalk reports for each kind of crash.
func TestStackwalkNamesCrashes(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the names are only known for amd64")
	}
	tool(t, "minidump-stackwalk")
	program := victims.Compile(t, "gcc", "crasher.c")
	for kind, want := range map[string]string{
		"wild": "SIGSEGV / SEGV_MAPERR", "noncanonical": "SIGSEGV / SI_KERNEL", "abort": "SIGABRT / SI_TKILL",
		"fpe": "SIGFPE / FPE_INTDIV", "ill": "SIGILL / ILL_ILLOPN", "bus": "SIGBUS / BUS_ADRERR", "sys": "SIGSYS / SYS_SECCOMP",
	} {
		v, files, tid := startCrasher(t, program, kind)
		crash := linuxCrash(t, v.PID, tid, files)
		dmp := filepath.Join(t.TempDir(), "x.dmp")
		w, err := NewWriter(v.PID, patient(Options{Crash: crash}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.DumpFile(dmp)
		w.Close()
		if err != nil {
			t.Fatal(err)
		}
		if r := stackwalk(t, dmp); !strings.HasPrefix(r.CrashInfo.Type, want) {
			t.Errorf("%s: %q, want %q", kind, r.CrashInfo.Type, want)
		}
	}
}

// TestSameException dumps one crash from the live process, from a core file and from a pipe. All have the same
// exception stream, completed from the instruction at the fault, whether the crash is in Options or set later.
func TestSameException(t *testing.T) {
	kinds := []string{"null", "wild"}
	if runtime.GOARCH == "amd64" {
		kinds = append(kinds, "noncanonical") // the kernel does not report its address
	}
	program := victims.C(t, "crasher.c")
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			v, files, tid := startCrasher(t, program, "--in", "thread", "--threads", "1", kind)
			crash := linuxCrash(t, v.PID, tid, files)
			core := coreAround(t, v.PID, crash)
			openers := []struct {
				name string
				open func(o Options) (*Writer, error)
			}{
				{"live", func(o Options) (*Writer, error) { return NewWriter(v.PID, patient(o)) }},
				{"core file", func(o Options) (*Writer, error) { return OpenCore(bytes.NewReader(core), int64(len(core)), o) }},
				{"pipe", func(o Options) (*Writer, error) { return OpenCorePipe(bytes.NewReader(core), 0, t.TempDir(), o) }},
				{"spooled pipe", func(o Options) (*Writer, error) {
					o.Mode = ModeFull
					return OpenCorePipe(bytes.NewReader(core), 0, t.TempDir(), o)
				}},
			}
			var want string
			for _, opener := range openers {
				for _, later := range []bool{false, true} {
					o := Options{Crash: crash}
					if later {
						o.Crash = nil
					}
					w, err := opener.open(o)
					if err != nil {
						t.Fatalf("%s: %v", opener.name, err)
					}
					if later {
						w.SetCrash(crash)
					}
					var b bytes.Buffer
					_, err = w.Dump(&b)
					w.Close()
					if err != nil {
						t.Fatalf("%s: %v", opener.name, err)
					}
					f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
					if err != nil {
						t.Fatal(err)
					}
					e, err := f.Exception()
					if err != nil {
						t.Fatal(err)
					}
					record, err := f.Context(e.Context)
					if err != nil {
						t.Fatal(err)
					}
					e.Context = stream.Location{}
					switch got := fmt.Sprintf("%+v, registers %x", e, record); {
					case want == "":
						want = got
						if kind == "noncanonical" && e.Address != notCanon {
							t.Errorf("%s: not completed from the instruction: %+v", opener.name, e)
						}
					case got != want:
						t.Errorf("%s, set later: %v:\n%s\nwant\n%s", opener.name, later, got, want)
					}
				}
			}
		})
	}
}

// coreAround returns a core file with the crashed thread of a process and the page of the faulting instruction.
func coreAround(t testing.TB, pid int, crash *context.Crash) []byte {
	t.Helper()
	a := coretest.ArchNamed(runtime.GOARCH)
	b := &coretest.Builder{Arch: a}
	b.Note("CORE", context.NT_PRSTATUS, a.Status(crash.TID, int(crash.Signo), crash.PC, crash.SP))
	b.Note("CORE", context.NT_PRPSINFO, a.Psinfo(int32(pid), "crasher", ""))
	const page = 4096
	start := crash.PC &^ (page - 1)
	b.Segment(start, page, 5, memoryOf(t, pid, start, page))
	return b.Bytes()
}
