//go:build linux

package minidump

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"minidump/internal/victims"
	"minidump/stream"
)

// checkSystem checks the facts of a report about the process and the machine.
func (r *report) checkSystem(t testing.TB, pid int, f *stream.File) {
	t.Helper()
	if r.Status != "OK" || r.PID != pid {
		t.Errorf("status %q, pid %d, want %d", r.Status, r.PID, pid)
	}
	arch := map[string]string{"amd64": "amd64", "386": "x86", "arm64": "arm64", "arm": "arm"}[runtime.GOARCH]
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	major, _, _ := strings.Cut(string(release), ".")
	if r.SystemInfo.OS != "Linux" || r.SystemInfo.CPUArch != arch || !strings.HasPrefix(r.SystemInfo.OSVer, major+".") {
		t.Errorf("system %+v", r.SystemInfo)
	}
	if n := strings.Count(readText(t, "/proc/cpuinfo"), "\nprocessor"); n > 1 && r.SystemInfo.CPUCount < n {
		t.Errorf("%d processors", r.SystemInfo.CPUCount)
	}
	threads, err := f.Threads()
	if err != nil || r.ThreadCount != len(threads) || len(r.Threads) != len(threads) {
		t.Errorf("%d threads, the decoder says %d: %v", r.ThreadCount, len(threads), err)
	}
	names := commNames(t, pid)
	for _, th := range r.Threads {
		if want, ok := names[th.ID]; !ok || th.Name != want {
			t.Errorf("thread %d is named %q, want %q", th.ID, th.Name, want)
		}
		if len(th.Frames) == 0 {
			t.Errorf("thread %d has no frames", th.ID)
		}
	}
}

// crashers are the ways to build the crashing C program.
var crashers = []struct {
	name, compiler string
	flags          []string
	// When lldb hashes the code of a program without build id, it includes 15 bytes after the code, so it finds the
	// symbols of the small program only by luck.
	noLLDB bool
}{

	{name: "glibc", compiler: "gcc"},

	{name: "glibc static", compiler: "gcc", flags: []string{"-static"}},

	{name: "musl", compiler: "musl-gcc", flags: []string{"-Wl,--build-id"}},

	{name: "musl static", compiler: "musl-gcc", flags: []string{"-static"}},

	{name: "musl without build id", compiler: "musl-gcc", noLLDB: true},
}

// TestReadersOfCrash checks each reader's report of a null pointer dereference in a thread.
func TestReadersOfCrash(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the readers' report is only known for amd64")
	}
	faultLine := sourceLine(t, "crasher.c", "n->next->next->value + 1")
	for _, c := range crashers {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program := victims.Compile(t, c.compiler, "crasher.c", c.flags...)
			v, files, tid := startCrasher(t, program, "--in", "thread", "--threads", "3", "null")
			crash := linuxCrash(t, v.PID, tid, files)
			dmp, f, _ := dumpFile(t, v.PID, Options{Crash: crash})
			checkStacks(t, f, DefaultCrashStackLimit)

			t.Run("stackwalk", func(t *testing.T) {
				r := stackwalk(t, dmp, program)
				r.checkSystem(t, v.PID, f)
				if want := fmt.Sprintf("0x%016x", crash.Address); r.CrashInfo.Type != "SIGSEGV / SEGV_MAPERR" || r.CrashInfo.Address != want {
					t.Errorf("%+v, want address %s", r.CrashInfo, want)
				}
				if r.MainModule != 0 || r.Modules[0].Filename != "crasher" {
					t.Errorf("main module %d, first %q", r.MainModule, r.Modules[0].Filename)
				}
				if r.CrashInfo.CrashingThread == nil {
					t.Fatal("no crashing thread")
				}
				blamed := *r.CrashInfo.CrashingThread
				if th := r.Threads[blamed]; th.ID != int(tid) || th.Name != "crash-thread" {
					t.Errorf("crashing thread %d %q, want %d", th.ID, th.Name, tid)
				}
				got := r.functions(blamed)
				if want := []string{"level3", "level2", "level1", "crash_thread"}; len(got) < 4 || !slices.Equal(got[:4], want) {
					t.Errorf("frames %q, want %q", got, want)
				}
				if top := r.Threads[blamed].Frames[0]; top.Line != faultLine || filepath.Base(top.File) != "crasher.c" {
					t.Errorf("crashed at %s:%d, want line %d", top.File, top.Line, faultLine)
				}
			})
			t.Run("lldb", func(t *testing.T) {
				if c.noLLDB {
					t.Skip("lldb hashes beyond the code")
				}
				out := output(t, tool(t, "lldb"), "-b", "--no-lldbinit", "--script-language", "none", "-c", dmp, program,
					"-o", "thread list", "-o", "bt all")
				if n := len(regexp.MustCompile(`(?m)^[* ] thread #\d+: tid`).FindAllString(out, -1)); n != 5 {
					t.Errorf("%d threads, want 5", n)
				}
				for i, want := range []string{
					fmt.Sprintf(`level3.* at crasher\.c:%d:`, faultLine), `level2.* at crasher\.c:`,
					`level1.* at crasher\.c:`, `crash_thread.* at crasher\.c:`,
				} {
					if !regexp.MustCompile(fmt.Sprintf("frame #%d: .*%s", i, want)).MatchString(out) {
						t.Errorf("no frame %d that matches %s", i, want)
					}
				}
				if !strings.Contains(out, "SIGSEGV") && !strings.Contains(out, "signal SEGV") {
					t.Error("no word of SIGSEGV")
				}
				if t.Failed() {
					t.Log(out)
				}
			})
			t.Run("python", func(t *testing.T) { checkPython(t, dmp, f) })
		})
	}
}

// pythonScript lists the contents that PyPI's minidump finds.
const pythonScript = `
import json, sys, warnings
warnings.simplefilter("ignore")
from minidump.minidumpfile import MinidumpFile
d = MinidumpFile.parse(sys.argv[1])
memory = d.memory_segments_64 or d.memory_segments
reader = d.get_reader().get_buffered_reader()
segment = memory.memory_segments[0]
reader.move(segment.start_virtual_address)
print(json.dumps({
    "threads": [t.ThreadId for t in d.threads.threads],
    "modules": [[m.name, m.baseaddress, m.size] for m in d.modules.modules],
    "ranges": [[s.start_virtual_address, s.size] for s in memory.memory_segments],
    "pid": d.misc_info.ProcessId,
    "exception": d.exception.exception_records[0].ThreadId,
    "first": reader.read(16).hex(),
}))
`

// checkPython compares what PyPI's minidump reads with what the decoder reads.
func checkPython(t *testing.T, dmp string, f *stream.File) {
	t.Helper()
	python := ""
	for _, dir := range victims.ToolFolders() {
		p := filepath.Join(dir, "python3")
		if exec.Command(p, "-c", "import minidump").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		if p, err := exec.LookPath("python3"); err == nil && exec.Command(p, "-c", "import minidump.minidumpfile").Run() == nil {
			python = p
		}
	}
	if python == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("PyPI's minidump is missing, and CI=true")
		}
		t.Skip("PyPI's minidump is missing")
	}
	var got struct {
		Threads   []uint32
		Modules   [][3]any
		Ranges    [][2]uint64
		PID       uint32
		Exception uint32
		First     string
	}
	out := output(t, python, "-c", pythonScript, dmp)
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	threads, _ := f.Threads()
	var tids []uint32
	for _, th := range threads {
		tids = append(tids, th.ThreadID)
	}
	if !slices.Equal(got.Threads, tids) {
		t.Errorf("threads %d, want %d", got.Threads, tids)
	}
	mods, _ := f.Modules()
	if len(got.Modules) != len(mods) {
		t.Errorf("%d modules, want %d", len(got.Modules), len(mods))
	} else {
		for i, m := range mods {
			if got.Modules[i][0] != m.Name {
				t.Errorf("module %d is %v, want %s", i, got.Modules[i], m.Name)
			}
		}
	}
	ranges, _ := f.MemoryRanges()
	if len(got.Ranges) != len(ranges) || len(ranges) == 0 || got.Ranges[0] != [2]uint64{ranges[0].Addr, ranges[0].Size} {
		t.Errorf("ranges %v, want %v", got.Ranges, ranges)
	} else {
		first := make([]byte, 16)
		if _, err := f.ReadMemory(ranges[0].Addr, first); err != nil || got.First != fmt.Sprintf("%x", first) {
			t.Errorf("memory %s, want %x: %v", got.First, first, err)
		}
	}
	misc, _ := f.MiscInfo()
	e, _ := f.Exception()
	if got.PID != misc.ProcessID || got.Exception != e.ThreadID {
		t.Errorf("pid %d, thread %d, want %d, %d", got.PID, got.Exception, misc.ProcessID, e.ThreadID)
	}
}

// TestReadersOfGo checks the readers' reports of an idle Go program, built without and with the C library.
func TestReadersOfGo(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the readers' report is only known for amd64")
	}
	for _, c := range []struct{ name, env string }{{"static", "CGO_ENABLED=0"}, {"cgo", "CGO_ENABLED=1"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program := victims.Go(t, "gosleep", c.env)
			v := victims.Start(t, program, "5")
			victims.WaitThreads(t, v.PID, 'S') // threads that have just been created are still in the C library
			dmp, f, _ := dumpFile(t, v.PID, Options{})
			checkStacks(t, f, DefaultCrashStackLimit)
			t.Run("stackwalk", func(t *testing.T) {
				programs := []string{program}
				mods, _ := f.Modules()
				for _, m := range mods {
					if strings.HasPrefix(filepath.Base(m.Name), "libc.so") {
						programs = append(programs, m.Name)
					}
				}
				r := stackwalk(t, dmp, programs...)
				r.checkSystem(t, v.PID, f)
				if r.Modules[0].Filename != "gosleep" || !r.Modules[0].LoadSymbols {
					t.Errorf("main module %+v", r.Modules[0])
				}
				outside := 0
				for i := range r.Threads { // an idle thread of Go sleeps in the scheduler
					if got := r.functions(i); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "runtime.") }) {
						t.Logf("frames of thread %d: %q", i, got)
						outside++
					}
				}
				if outside > 1 { // a thread may just have been created, and still be in the C library
					t.Errorf("%d of %d threads without a frame of the Go runtime", outside, len(r.Threads))
				}
			})
			t.Run("lldb", func(t *testing.T) {
				out := output(t, tool(t, "lldb"), "-b", "--no-lldbinit", "--script-language", "none", "-c", dmp, program,
					"-o", "thread list", "-o", "bt all")
				if !regexp.MustCompile(`frame #0: .*gosleep.runtime\..* at .*\.(s|go):\d+`).MatchString(out) {
					t.Errorf("no frame of the Go runtime in\n%s", out)
				}
			})
			t.Run("python", func(t *testing.T) { checkPython(t, dmp, f) })
		})
	}
}

// TestReadersOfThousandThreads checks that the readers count and name a thousand threads.
func TestReadersOfThousandThreads(t *testing.T) {
	victims.SkipEmulated(t, "only to save time")
	const n = 1000
	program := victims.C(t, "victim.c")
	v := victims.Start(t, program, "idle", fmt.Sprint(n))
	dmp, f, r := dumpFile(t, v.PID, Options{})
	if r.Threads != n || r.Soft != 0 {
		t.Errorf("%d threads, %d soft errors", r.Threads, r.Soft)
	}
	t.Run("stackwalk", func(t *testing.T) {
		r := stackwalk(t, dmp, program)
		r.checkSystem(t, v.PID, f)
		for i := range r.Threads {
			deep := 0
			for _, name := range r.functions(i) {
				if name == "deep" {
					deep++
				}
			}
			if deep != 21 { // 20 frames and the one that waits
				t.Errorf("thread %d has %d frames of deep", i, deep)
			}
			if t.Failed() {
				break
			}
		}
	})
	t.Run("lldb", func(t *testing.T) {
		out := output(t, tool(t, "lldb"), "-b", "--no-lldbinit", "--script-language", "none", "-c", dmp, program, "-o", "thread list")
		if got := strings.Count(out, ": tid = "); got != n {
			t.Errorf("%d threads", got)
		}
	})
	t.Run("python", func(t *testing.T) { checkPython(t, dmp, f) })
}
