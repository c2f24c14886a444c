package run

import (
	"bytes"
	stdelf "debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/context"
	_ "minidump/context/insn"
	"minidump/internal/scratch"
	"minidump/internal/sys"
	"minidump/internal/victims"
	"minidump/internal/vm/archtest"
	"minidump/stream"
)

// watched is a run of a command with its output.
type watched struct {
	Result
	out, dir string
}

func runWatched(t *testing.T, o Options, argv ...string) watched {
	t.Helper()
	w := watched{dir: t.TempDir()}
	if o.Output == "" {
		o.Output = w.dir + "/"
	}
	o.Dir = w.dir
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	o.Files = []*os.File{null, out, out}
	o.Dump.StopTimeout = 5 * time.Second
	text := make(chan string)
	go func() {
		b, _ := io.ReadAll(r)
		text <- string(b)
	}()
	w.Result, err = Command(t.Context(), argv, o)
	out.Close()
	if err != nil {
		t.Fatal(err)
	}
	if w.Unwatched != nil {
		t.Fatal(w.Unwatched)
	}
	w.out = <-text
	return w
}

// one returns the only dump of a run, decoded.
func (w *watched) one(t *testing.T) (Dump, *stream.File) {
	t.Helper()
	if len(w.Dumps) != 1 {
		t.Fatalf("%d dumps, want 1: %+v", len(w.Dumps), w.Dumps)
	}
	return w.Dumps[0], w.file(t, 0)
}

func (w *watched) file(t *testing.T, i int) *stream.File {
	t.Helper()
	if err := w.Dumps[i].Err; err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(w.Dumps[i].Path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stream.OpenFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// functionAt returns the function of the program that contains the blamed thread's instruction pointer.
func functionAt(t *testing.T, f *stream.File, program string) string {
	t.Helper()
	e, err := f.Exception()
	if err != nil {
		t.Fatal(err)
	}
	record, err := f.Context(e.Context)
	if err != nil {
		t.Fatal(err)
	}
	info, _, err := f.SystemInfo()
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := context.Decode(context.ArchOfProcessor(info.ProcessorArchitecture), record, f.Order)
	if err != nil {
		t.Fatal(err)
	}
	modules, err := f.Modules()
	if err != nil || len(modules) == 0 {
		t.Fatal(err)
	}
	image, err := stdelf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	pc := cpu.PC
	if image.Type == stdelf.ET_DYN {
		pc -= modules[0].BaseOfImage
	}
	symbols, _ := image.Symbols()
	for _, s := range symbols {
		if stdelf.ST_TYPE(s.Info) == stdelf.STT_FUNC && s.Value <= pc && pc < s.Value+s.Size {
			return s.Name
		}
	}
	return ""
}

type crashKind struct {
	name     string
	signal   syscall.Signal
	code     int32  // si_code; -1: not checked
	address  uint64 // 0: not checked
	function string // "": in a library
}

var crashKinds = []crashKind{
	{"null", unix.SIGSEGV, 1, 8, "level3"},
	{"wild", unix.SIGSEGV, 1, 0x100badbad0, "level3"},
	{"noncanonical", unix.SIGSEGV, context.SI_KERNEL, 0x8000badbadbadba0, "level3"},
	{"exec", unix.SIGSEGV, 1, 0, ""},
	{"stack", unix.SIGSEGV, -1, 0, "overflow"}, // at the guard page of a thread, or below the main stack
	{"abort", unix.SIGABRT, context.SI_TKILL, 0, ""},
	{"fpe", unix.SIGFPE, 1, 0, "level3"},
	{"ill", unix.SIGILL, 2, 0, "undefined_instruction"},
	{"bus", unix.SIGBUS, 2, 0, "level3"},
	{"trap", unix.SIGTRAP, context.SI_KERNEL, 0, "breakpoint"},
	{"sys", unix.SIGSYS, 1, 0, ""},
}

func TestRunCrashes(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("codes and addresses are those of amd64")
	}
	program := victims.C(t, "crasher.c")
	for _, k := range crashKinds {
		for _, in := range []string{"main", "thread", "child"} {
			t.Run(k.name+"/"+in, func(t *testing.T) {
				w := runWatched(t, Options{FollowChildren: in == "child"}, program, "--threads", "2", "--in", in, k.name)
				if w.Signal != k.signal || w.Status() != 128+int(k.signal) {
					t.Errorf("ended by %v, exit status %d", w.Signal, w.ExitCode)
				}
				pid, threads := w.PID, 3
				if in == "thread" {
					threads = 4
				}
				if in == "child" { // the parent then kills itself with the same signal
					threads = 1
					m := regexp.MustCompile(`child (\d+)`).FindStringSubmatch(w.out)
					if m == nil || len(w.Dumps) != 2 || w.Dumps[1].PID != w.PID {
						t.Fatalf("output %q, dumps %+v", w.out, w.Dumps)
					}
					pid, _ = strconv.Atoi(m[1])
					w.Dumps = w.Dumps[:1]
				}
				d, f := w.one(t)
				if d.PID != pid || d.Signal != k.signal || d.Name != "crasher" || (d.TID == pid) != (in != "thread") {
					t.Errorf("dump of %+v, want process %d", d, pid)
				}
				if len(d.Soft) != 0 {
					t.Errorf("missing: %v", d.Soft)
				}
				e, err := f.Exception()
				if err != nil || e.ThreadID != uint32(d.TID) || e.Code != uint32(k.signal) ||
					k.code != -1 && int32(e.Flags) != k.code || k.address != 0 && e.Address != k.address {
					t.Errorf("exception %+v: %v", e, err)
				}
				if ths, err := f.Threads(); err != nil || len(ths) != threads {
					t.Errorf("%d threads, want %d: %v", len(ths), threads, err)
				}
				if got := functionAt(t, f, program); got != k.function {
					t.Errorf("crashed in %q, want %q", got, k.function)
				}
			})
		}
	}
}

// sourceFrames returns function:line of the first frames that are in the source.
func sourceFrames(frames [][3]string, source string) (out []string) {
	for _, f := range frames {
		if filepath.Base(f[1]) == source && len(out) < 4 {
			out = append(out, f[0]+":"+f[2])
		}
	}
	return out
}

// stackwalk returns function, file and line of the crashing thread's frames, as minidump-stackwalk finds them.
func stackwalk(t *testing.T, dmp, program string) (frames [][3]string) {
	t.Helper()
	symbols := t.TempDir()
	victims.Output(t, victims.Tool(t, "dump_syms"), "--inlines", "-s", symbols, program)
	out := victims.Output(t, victims.Tool(t, "minidump-stackwalk"), "--json", "--symbols-path", symbols, dmp)
	var report struct {
		CrashInfo struct {
			CrashingThread *int `json:"crashing_thread"` // index
		} `json:"crash_info"`
		Threads []struct {
			Frames []struct {
				Function, File string
				Line           int
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.CrashInfo.CrashingThread == nil {
		t.Fatalf("no crashing thread: %v\n%s", err, out)
	}
	for _, f := range report.Threads[*report.CrashInfo.CrashingThread].Frames {
		frames = append(frames, [3]string{f.Function, f.File, strconv.Itoa(f.Line)})
	}
	return frames
}

var gdbFrame = regexp.MustCompile(`(?m)^#\d+ +(0x[0-9a-f]+ in )?(\w+) \(.*\) at (\S+):(\d+)$`)

// TestRunAgainstGdb compares Command's dump with the core that the kernel writes of the same process.
func TestRunAgainstGdb(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("crashes are those of amd64")
	}
	if pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern"); err != nil || bytes.ContainsAny(pattern, "|/@%") {
		t.Skipf("cores go to %q: %v", pattern, err)
	}
	program := victims.C(t, "crasher.c")
	gdb := victims.Tool(t, "gdb")
	for _, k := range crashKinds {
		for _, in := range []string{"main", "thread"} {
			t.Run(k.name+"/"+in, func(t *testing.T) {
				if k.name == "exec" {
					t.Skip("without code at the instruction pointer the readers guess")
				}
				w := runWatched(t, Options{}, "/bin/sh", "-c", `ulimit -c unlimited && exec "$@"`, "sh", program, "--in", in, k.name)
				d, _ := w.one(t)
				cores, _ := filepath.Glob(w.dir + "/core*")
				if len(cores) != 1 {
					t.Fatalf("cores %q", cores)
				}
				text := victims.Output(t, gdb, "-nx", "-batch", "-ex", "bt 10", program, cores[0])
				var want [][3]string
				text = text[max(0, strings.LastIndex(text, "\n#0 ")):] // gdb shows the innermost frame first
				for _, m := range gdbFrame.FindAllStringSubmatch(text, -1) {
					if m[1] == "" && len(want) > 0 { // the previous frame is inlined here: stackwalk lists such frames separately
						want = want[:len(want)-1]
					}
					want = append(want, [3]string{m[2], m[3], m[4]})
				}
				a, b := sourceFrames(stackwalk(t, d.Path, program), "crasher.c"), sourceFrames(want, "crasher.c")
				if len(b) < 3 || !slices.Equal(a, b) {
					t.Errorf("minidump-stackwalk %q\ngdb %q\n%s", a, b, text)
				}
			})
		}
	}
}

func TestRunHandlers(t *testing.T) {
	program := victims.C(t, "watched.c")
	for _, c := range []struct {
		args     string
		status   int
		signal   syscall.Signal // of the exception
		address  uint64
		function string
		dumps    int
	}{
		{"handler jump", 0, 0, 0, "", 0},
		{"handler jump alt", 0, 0, 0, "", 0},
		{"handler jump alt abort", 134, unix.SIGABRT, 0, "", 1}, // not the faults from which the program recovered
		{"handler abort", 134, unix.SIGSEGV, 0x20, "fault", 1},
		{"handler abort alt", 134, unix.SIGSEGV, 0x20, "fault", 1},
		{"handler raise", 139, unix.SIGSEGV, 0x20, "fault", 1},
		{"handler raise alt", 139, unix.SIGSEGV, 0x20, "fault", 1},
		{"handler refault alt", 139, unix.SIGSEGV, 0x20, "fault", 1},
		{"handler nested alt", 139, unix.SIGSEGV, 0x20, "fault", 1}, // the cause of the second fault
		{"handler exit", 9, unix.SIGSEGV, 0x20, "fault", 1},
		{"overflow", 139, unix.SIGSEGV, 0, "overflow", 1},
		{"exec 5 exit", 8, 0, 0, "", 0},
		{"exec 5 null", 139, unix.SIGSEGV, 8, "fault", 1},
		{"tree 6", 5, 0, 0, "", 0},
		{"clone", 6, 0, 0, "", 0},
	} {
		for _, follow := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", c.args, follow), func(t *testing.T) {
				o := Options{FollowChildren: follow, ExitCodes: []int{9}}
				w := runWatched(t, o, append([]string{program}, strings.Fields(c.args)...)...)
				if w.Status() != c.status {
					t.Errorf("status %d, want %d", w.Status(), c.status)
				}
				if c.dumps == 0 {
					if len(w.Dumps) != 0 || w.out != "" {
						t.Errorf("dumps %+v, output %q", w.Dumps, w.out)
					}
					return
				}
				_, f := w.one(t)
				e, err := f.Exception()
				if err != nil || e.Code != uint32(c.signal) || c.address != 0 && e.Address != c.address {
					t.Errorf("exception %+v: %v", e, err)
				}
				if got := functionAt(t, f, program); c.function != "" && got != c.function {
					t.Errorf("crashed in %q, want %q", got, c.function)
				}
			})
		}
	}
}

// TestRunNestedFaults checks that neither faults that a crash handler raises and repairs on purpose, nor pages of its stack that
// it never used, hide the fault that it handles.
func TestRunNestedFaults(t *testing.T) {
	program := victims.C(t, "interrupted.c", "-pthread")
	for _, args := range []string{"--nested abort", "--nested --same abort", "--nested raise", "--same abort", "--thread --nested abort",
		"--large abort", "--large --same abort", "--large --thread abort"} {
		t.Run(args, func(t *testing.T) {
			w := runWatched(t, Options{}, append([]string{program}, strings.Fields(args)...)...)
			_, f := w.one(t)
			if e, err := f.Exception(); err != nil || e.Code != uint32(unix.SIGSEGV) || e.Address != 0x1110 {
				t.Errorf("exception %+v: %v", e, err)
			}
			if got := functionAt(t, f, program); got != "crash" {
				t.Errorf("crashed in %q", got)
			}
		})
	}
}

// TestRunLostThread checks that the death of a single thread does not hide how its process dies later.
func TestRunLostThread(t *testing.T) {
	w := runWatched(t, Options{}, victims.C(t, "watched.c"), "lost")
	if w.Signal != unix.SIGABRT || len(w.Dumps) != 2 {
		t.Fatalf("ended by %v, dumps %+v", w.Signal, w.Dumps)
	}
	for i, want := range []struct {
		signal  syscall.Signal
		main    bool
		threads int
	}{{unix.SIGSYS, false, 2}, {unix.SIGABRT, true, 1}} {
		d, f := w.Dumps[i], w.file(t, i)
		e, err := f.Exception()
		if d.Signal != want.signal || (d.TID == d.PID) != want.main || err != nil || e.Code != uint32(want.signal) {
			t.Errorf("dump of %+v, exception %+v: %v", d, e, err)
		}
		if ths, err := f.Threads(); err != nil || len(ths) != want.threads {
			t.Errorf("%d threads, want %d: %v", len(ths), want.threads, err)
		}
	}
}

// TestSlowEnd does not wait for the threads of an ending process, as on a machine that is slower than the wait. The end must
// nevertheless be attributed to the thread that called exit_group. (It once was not, on an emulated MIPS; here that never happened.)
func TestSlowEnd(t *testing.T) {
	if runtime.GOARCH == "386" {
		t.Skip("registers do not lead to g: each status 2 counts as a panic")
	}
	victims.SkipEmulated(t, "it is about slow machines, and is slow itself")
	defer func(d time.Duration) { dyingWait = d }(dyingWait)
	dyingWait = 0
	program := victims.Go(t, "gocrash")
	for range 50 {
		for kind, want := range map[string]int{"exit2": 0, "panic": 1} {
			w := runWatched(t, Options{}, program, kind)
			if w.Status() != 2 || len(w.Dumps) != want {
				t.Fatalf("%s: status %d, dumps %+v", kind, w.Status(), w.Dumps)
			}
		}
	}
}

func TestRunGo(t *testing.T) {
	program := victims.Go(t, "gocrash")
	for _, c := range []struct {
		kind, traceback string
		codes           []int
		status          int
		exception       uint32 // 0: no dump
		function        string
		died            string
	}{
		{"recovered", "", []int{2}, 0, 0, "", ""},
		{"nil", "", nil, 2, uint32(unix.SIGSEGV), "main.level3", "exit status 2"},
		{"exit2", "", []int{7}, 2, 0, "", ""},
		{"yield2", "", []int{7}, 2, 0, "", ""},
		{"exit", "", []int{2}, 3, 0, "", ""},
		{"panic", "", nil, 2, minidump.DumpRequested, "", "exit status 2"},
		{"panic", "", []int{2}, 2, minidump.DumpRequested, "", "exit status 2"},
		{"nil", "", []int{7, 2}, 2, uint32(unix.SIGSEGV), "main.level3", "exit status 2"},
		{"goroutine", "", []int{2}, 2, uint32(unix.SIGSEGV), "main.level3", "exit status 2"},
		{"nil", "crash", nil, 134, uint32(unix.SIGSEGV), "main.level3", "SIGABRT"},
		{"goroutine", "crash", nil, 134, uint32(unix.SIGSEGV), "main.level3", "SIGABRT"},
		{"panic", "crash", nil, 134, uint32(unix.SIGABRT), "", ""},
	} {
		t.Run(fmt.Sprintf("%s %s %v", c.kind, c.traceback, c.codes), func(t *testing.T) {
			if runtime.GOARCH == "386" && strings.HasSuffix(c.kind, "2") {
				t.Skip("registers do not lead to g: each status 2 counts as a panic")
			}
			w := runWatched(t, Options{ExitCodes: c.codes, Env: append(os.Environ(), "GOTRACEBACK="+c.traceback)}, program, c.kind)
			if w.Status() != c.status {
				t.Errorf("status %d, want %d", w.Status(), c.status)
			}
			if c.exception == 0 {
				if len(w.Dumps) != 0 {
					t.Errorf("dumps %+v", w.Dumps)
				}
				return
			}
			_, f := w.one(t)
			e, err := f.Exception()
			if err != nil || e.Code != c.exception {
				t.Errorf("exception %+v: %v", e, err)
			}
			if got := functionAt(t, f, program); c.function != "" && got != c.function {
				t.Errorf("crashed in %q, want %q", got, c.function)
			}
			died := ""
			if info, err := f.CrashpadInfo(); err == nil {
				for _, a := range info.Annotations {
					if a.Key == "died-of" {
						died = a.Value
					}
				}
			}
			if died != c.died {
				t.Errorf("died of %q, want %q", died, c.died)
			}
		})
	}
}

// TestRunBlames ends processes from one of several threads: the dump is about that thread, also in a 32-bit process,
// whose system calls have other numbers.
func TestRunBlames(t *testing.T) {
	archs := []string{runtime.GOARCH}
	if runtime.GOARCH == "amd64" {
		archs = append(archs, "386")
	}
	for _, goarch := range archs {
		t.Run(goarch, func(t *testing.T) {
			program := filepath.Join(scratch.Dir(t), "gocrash")
			if goarch == runtime.GOARCH {
				program = victims.Go(t, "gocrash")
			} else if err := victims.BuildGo("gocrash", program, goarch); err != nil {
				t.Fatal(err)
			}
			for range 10 {
				w := runWatched(t, Options{ExitCodes: []int{3}}, program, "leave")
				_, f := w.one(t)
				threads, err := f.Threads()
				if err != nil || len(threads) < 3 {
					t.Fatalf("%d threads: %v", len(threads), err)
				}
				if got := functionAt(t, f, program); !strings.HasPrefix(got, "runtime.exit") { // .abi0 where there are two
					t.Fatalf("thread %d of %d stands in %q", w.Dumps[0].TID, len(threads), got)
				}
			}
		})
	}
}

// TestDumpEveryArchGoCrash runs a Go program that dies of a nil dereference, on every architecture (see
// arch_linux_test.go of the root package).
func TestDumpEveryArchGoCrash(t *testing.T) {
	path := victims.Go(t, "gocrash")
	out := filepath.Join(t.TempDir(), "x.dmp")
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r, err := Command(t.Context(), []string{path, "goroutine"}, Options{
		Output: out, Env: append(os.Environ(), "GOTRACEBACK=crash"), Files: []*os.File{null, null, null},
		Dump: minidump.Options{StopTimeout: 20 * time.Second},
	})
	if err != nil || r.Unwatched != nil || len(r.Dumps) != 1 || r.Dumps[0].Err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	if r.Signal != syscall.SIGABRT {
		t.Errorf("died of %v", r.Signal)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	e, err := f.Exception()
	if err != nil || syscall.Signal(e.Code) != syscall.SIGSEGV || e.Address != uint64(context.Native.WordSize()) {
		t.Errorf("exception %+v: %v", e, err)
	}
	if got := functionAt(t, f, path); got != "main.level3" {
		t.Errorf("crashed in %q", got)
	}
	mods, err := f.Modules()
	if want := buildID(t, path); err != nil || len(mods) == 0 || mods[0].Name != path || mods[0].BuildID != want {
		t.Errorf("modules %+v, want first %s with build id %s: %v", mods, path, want, err)
	}
	info, csd, err := f.SystemInfo()
	if err != nil || info.ProcessorArchitecture != context.Native.ProcessorArchitecture() || info.NumberOfProcessors == 0 || csd == "" {
		t.Errorf("system %+v, %q: %v", info, csd, err)
	}
	threads, _ := f.Threads()
	archtest.Leave(t, "go-crash", b, archtest.Note{PID: r.Dumps[0].PID, Blamed: int(e.ThreadID), Threads: len(threads),
		Signal: int(e.Code), Address: e.Address})
}

// buildID returns the build id in the program's file.
func buildID(t *testing.T, program string) string {
	t.Helper()
	f, err := stdelf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := f.Section(".note.gnu.build-id").Data()
	if err != nil || len(b) < 16 {
		t.Fatalf("%x: %v", b, err)
	}
	return hex.EncodeToString(b[16:])
}

func TestRunLeavesOrphan(t *testing.T) {
	program := victims.C(t, "watched.c")
	start := time.Now()
	w := runWatched(t, Options{FollowChildren: true, Files: nil}, "/bin/sh", "-c", `"$0" orphan >/dev/null 2>&1`, program)
	if w.Status() != 0 || len(w.Dumps) != 0 || time.Since(start) > 250*time.Millisecond {
		t.Errorf("status %d after %v, dumps %+v", w.Status(), time.Since(start), w.Dumps)
	}
}

func TestRunStartErrors(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	os.WriteFile(text, []byte("x"), 0o644)
	broken := filepath.Join(dir, "broken")
	os.WriteFile(broken, []byte("no program"), 0o755)
	noInterpreter := filepath.Join(dir, "script")
	os.WriteFile(noInterpreter, []byte("#!/no/such/thing\n"), 0o755)
	for name, want := range map[string]int{
		"no-such-command-anywhere": 127, "": 127, filepath.Join(dir, "none"): 127, noInterpreter: 127,
		text: 126, dir: 126, broken: 126, text + "/x": 127,
	} {
		_, err := Command(t.Context(), []string{name}, Options{Output: dir})
		var start *StartError
		if !errors.As(err, &start) || start.Status() != want {
			t.Errorf("%q: %v, want status %d", name, err, want)
		}
	}
	if _, err := Command(t.Context(), nil, Options{}); err == nil {
		t.Error("no command, no error")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 3 {
		t.Errorf("files left: %v", entries)
	}
}

// needShell skips a test on a machine without a shell.
func needShell(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip(err)
	}
}

func TestRunPathLookup(t *testing.T) {
	needShell(t)
	dir := t.TempDir()
	for _, d := range []string{"a", "b"} {
		os.Mkdir(filepath.Join(dir, d), 0o755)
	}
	os.WriteFile(dir+"/a/prog", []byte("#!/bin/sh\nexit 1\n"), 0o644)
	os.WriteFile(dir+"/b/prog", []byte("#!/bin/sh\nexit 33\n"), 0o755)
	env := []string{"PATH=" + dir + "/none:" + dir + "/a:" + dir + "/b"}
	if w := runWatched(t, Options{Env: env}, "prog"); w.Status() != 33 {
		t.Errorf("status %d", w.Status())
	}
	_, err := Command(t.Context(), []string{"prog"}, Options{Env: env[:0:0]})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without PATH: %v", err)
	}
}

func TestRunKeep(t *testing.T) {
	program := victims.C(t, "crasher.c")
	dir := filepath.Join(t.TempDir(), "made", "later")
	var last string
	for range 4 {
		w := runWatched(t, Options{Output: dir + "/", Keep: 2}, program, "null")
		if d, _ := w.one(t); d.Path == last {
			t.Error("two dumps of one name")
		} else {
			last = d.Path
		}
		if err := os.WriteFile(dir+"/other.dmp", nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if len(names) != 3 || !slices.Contains(names, filepath.Base(last)) || !slices.Contains(names, "other.dmp") {
		t.Errorf("kept %q, the last was %q", names, last)
	}
	file := filepath.Join(t.TempDir(), "x.dmp")
	w := runWatched(t, Options{Output: file, FollowChildren: true}, program, "--in", "child", "null")
	if len(w.Dumps) != 2 || w.Dumps[0].Path != file || w.Dumps[1].Path != strings.TrimSuffix(file, "x.dmp")+fmt.Sprintf("x.%d.dmp", w.PID) {
		t.Errorf("%+v", w.Dumps)
	}
	if _, err := Command(t.Context(), []string{"true"}, Options{Output: program + "/"}); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// TestRunKeepsNewest checks that the newest dump is kept, whatever the clock says, and even if old ones can't be
// deleted.
func TestRunKeepsNewest(t *testing.T) {
	program := victims.C(t, "crasher.c")
	dir := t.TempDir()
	old := filepath.Join(dir, "crasher.7.29990101T000000.000Z.dmp")
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := runWatched(t, Options{Output: dir + "/", Keep: 1}, program, "null")
	w.one(t)
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) || w.Dumps[0].PruneErr != nil {
		t.Errorf("two are left: %v, %v", err, w.Dumps[0].PruneErr)
	}

	const immutable = 0x10 // FS_IMMUTABLE_FL of linux/fs.h
	f, err := os.Create(old)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, immutable); err != nil {
		t.Skip("a file that can't be deleted: ", err)
	}
	defer unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0)
	w = runWatched(t, Options{Output: dir + "/", Keep: 1}, program, "null")
	w.one(t)
	if w.Dumps[0].PruneErr == nil {
		t.Error("no error about the dump that could not be deleted")
	}
}

func TestRunUnwritable(t *testing.T) {
	program := victims.C(t, "crasher.c")
	w := runWatched(t, Options{Output: "/proc/no-such/x.dmp"}, program, "null")
	if len(w.Dumps) != 1 || w.Dumps[0].Err == nil || w.Status() != 139 {
		t.Errorf("status %d, dumps %+v", w.Status(), w.Dumps)
	}
}

// TestRunOldKernel runs without the flags of waitid that select tracees and one thread's children, which Linux before
// 4.7 does not support.
func TestRunOldKernel(t *testing.T) {
	program := victims.C(t, "crasher.c")
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	old := func(call func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, uintptr, syscall.Errno)) sys.Gate {
		return func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
			if nr == unix.SYS_WAITID && uint32(a4)&(unix.WALL|unix.WNOTHREAD|unix.WCLONE) != 0 {
				return ^uintptr(0), unix.EINVAL
			}
			r, _, e := call(nr, a1, a2, a3, a4, a5, a6)
			return r, e
		}
	}
	defer sys.Install(old(unix.RawSyscall6), old(unix.Syscall6))()
	warned := 0
	r, err := Command(t.Context(), []string{program, "null"}, Options{Output: t.TempDir() + "/", Files: []*os.File{null, null, null},
		Warn: func(error) { warned++ }})
	if err != nil || r.Signal != unix.SIGSEGV || len(r.Dumps) != 0 || warned != 1 || !errors.Is(r.Unwatched, minidump.ErrUnsupported) {
		t.Errorf("%+v, %d warnings, %v", r, warned, err)
	}
}

func TestRunMask(t *testing.T) {
	needShell(t)
	w := runWatched(t, Options{}, "/bin/sh", "-c", "grep -E 'Sig(Pnd|Blk|Ign|Cgt)|ShdPnd' /proc/self/status; ulimit -Sn")
	var lim unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &lim)
	r, out, _ := os.Pipe()
	p, err := os.StartProcess("/bin/sh", []string{"/bin/sh", "-c", "grep -E 'Sig(Pnd|Blk|Ign|Cgt)|ShdPnd' /proc/self/status; ulimit -Sn"},
		&os.ProcAttr{Files: []*os.File{os.Stdin, out, out}})
	if err != nil {
		t.Fatal(err)
	}
	out.Close()
	b, _ := io.ReadAll(r)
	p.Wait()
	if w.out != string(b) || w.out == "" {
		t.Errorf("under run:\n%swithout:\n%s", w.out, b)
	}
}

// TestRunAbsentMemory crashes programs whose memory a userfaultfd or a file server never delivers: the dump is made,
// and the program can die.
func TestRunAbsentMemory(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	if os.Getuid() != 0 {
		t.Skip("needs root: for a userfaultfd, and to mount")
	}
	program := victims.C(t, "absent.c", "-pthread")
	for _, kind := range []string{"heap", "stack", "fuse", "deadlock"} {
		if _, err := os.Stat("/dev/fuse"); err != nil && (kind == "fuse" || kind == "deadlock") {
			t.Log(err)
			continue
		}
		for _, mode := range []minidump.Mode{minidump.ModeStack, minidump.ModeIndirect, minidump.ModeFull} {
			t.Run(fmt.Sprint(kind, " ", mode), func(t *testing.T) {
				start := time.Now()
				w := runWatched(t, Options{Dump: minidump.Options{Mode: mode}}, program, kind, t.TempDir(), "11")
				took := time.Since(start)
				d, f := w.one(t)
				threads, err := f.Threads()
				if err != nil || len(threads) == 0 || d.Signal != syscall.SIGSEGV || w.Status() != 128+11 {
					t.Errorf("%d threads, %v, %+v", len(threads), err, d)
				}
				if took > 5*time.Second { // the program raises the signal after 300 ms
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}
