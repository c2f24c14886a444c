package minidump

import (
	"bytes"
	stdelf "debug/elf"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/victims"
	"minidump/stream"
)

// kernelCore lets a program that waits for a byte crash, and returns the core file that the kernel wrote.
func kernelCore(t testing.TB, program string, args ...string) (core string, pid int) {
	t.Helper()
	defer victims.CorePattern(t, true)()
	return coreByPattern(t, program, args...)
}

// coreByPattern is kernelCore for a test that has core_pattern already.
func coreByPattern(t testing.TB, program string, args ...string) (core string, pid int) {
	t.Helper()
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if p := strings.TrimSpace(string(pattern)); err != nil || p == "" || strings.ContainsAny(p[:1], "|/@") {
		t.Skipf("core_pattern is %q: no core file would come into the folder of the test", p)
	}
	dir := t.TempDir()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash", "CORE_TEST=a value")
	cmd.Stderr = io.Discard
	v := victims.StartCmd(t, cmd)
	if err := unix.Prlimit(v.PID, unix.RLIMIT_CORE, &unix.Rlimit{Cur: unix.RLIM_INFINITY & (1<<63 - 1), Max: unix.RLIM_INFINITY & (1<<63 - 1)}, nil); err != nil {
		t.Skipf("no core file may be written here: %v", err)
	}
	v.Go(t)
	if status := v.Wait(t); !status.CoreDump() {
		t.Fatalf("no core dumped: %v", status)
	}
	cores, _ := filepath.Glob(filepath.Join(dir, "core*"))
	if len(cores) != 1 {
		t.Fatalf("core files %q", cores)
	}
	return cores[0], v.PID
}

// A coreThread is what a core file says of a thread, by debug/elf and the table of layouts.
type coreThread struct {
	tid    uint32
	signal int
	pc, sp uint64
	words  []byte // elf_gregset_t
}

func readCoreThreads(t testing.TB, path string) (threads []coreThread) {
	t.Helper()
	f, err := stdelf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	i := slices.IndexFunc(coreArchs, func(a coreArch) bool {
		return stdelf.Machine(a.machine) == f.Machine && stdelf.Class(a.class) == f.Class && a.order == f.ByteOrder
	})
	a := &coreArchs[i]
	pid, regs := 24, 72
	if f.Class == stdelf.ELFCLASS64 {
		pid, regs = 32, 112
	}
	word := func(b []byte, i int) uint64 {
		if a.wide == 4 {
			return uint64(f.ByteOrder.Uint32(b[4*i:]))
		}
		return f.ByteOrder.Uint64(b[8*i:])
	}
	for _, p := range f.Progs {
		if p.Type != stdelf.PT_NOTE {
			continue
		}
		b, err := io.ReadAll(p.Open())
		if err != nil {
			t.Fatal(err)
		}
		for len(b) >= 12 {
			name, desc := int(f.ByteOrder.Uint32(b)), int(f.ByteOrder.Uint32(b[4:]))
			at := 12 + (name+3)&^3
			if f.ByteOrder.Uint32(b[8:]) == 1 && string(b[12:12+name]) == "CORE\x00" {
				if desc != a.prstatus {
					t.Fatalf("prstatus of %d bytes, not %d", desc, a.prstatus)
				}
				d := b[at : at+desc]
				threads = append(threads, coreThread{tid: f.ByteOrder.Uint32(d[pid:]), signal: int(f.ByteOrder.Uint16(d[12:])),
					pc: word(d[regs:], a.pc), sp: word(d[regs:], a.sp), words: d[regs:]})
			}
			b = b[min(len(b), at+(desc+3)&^3):]
		}
	}
	if len(threads) == 0 {
		t.Fatalf("%s: no thread", path)
	}
	return threads
}

// coreDump dumps a core file, into a file for other readers, and checks what holds for each.
func coreDump(t testing.TB, core string, o Options) (dmp string, f *stream.File, r Result) {
	t.Helper()
	w, err := openCoreFile(core, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	dmp = filepath.Join(t.TempDir(), "x.dmp")
	if r, err = w.DumpFile(dmp); err != nil {
		t.Fatal(err)
	}
	if f, err = openDump(dmp); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	want := readCoreThreads(t, core)
	threads, err := f.Threads()
	if err != nil || len(threads) != len(want) {
		t.Fatalf("%d threads, the core has %d: %v", len(threads), len(want), err)
	}
	cpus := coreCPUs(t, f)
	for i, th := range want {
		c := cpus[th.tid]
		if threads[i].ThreadID != th.tid || c == nil || c.PC != th.pc || c.SP != th.sp {
			t.Errorf("thread %d is %+v, the core has %d with PC %#x, SP %#x", i, c, th.tid, th.pc, th.sp)
			continue
		}
		if c.Arch == context.AMD64 { // the order of struct user_regs_struct
			for k, name := range strings.Fields("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi - rip cs rflags rsp ss - - ds es fs gs") {
				j := slices.IndexFunc(c.Registers, func(r context.Register) bool { return r.Name == name })
				if name != "-" && (j < 0 && !strings.HasSuffix(name, "s") || j >= 0 && c.Registers[j].Value != f.Order.Uint64(th.words[8*k:])) {
					t.Errorf("thread %d: %s differs from the core's in %+v", th.tid, name, c.Registers)
				}
			}
		}
	}
	return dmp, f, r
}

func TestCoreOfKernel(t *testing.T) {
	native := runtime.GOARCH
	for _, c := range []struct {
		name    string
		program func(t *testing.T) string
		args    []string
		signal  uint32
		address func(uint64) bool
		threads int
		frames  []string // of the crashed thread, by function
		only    string   // the architecture
		cross   bool     // of another architecture than the test
	}{
		{"C", func(t *testing.T) string { return victims.C(t, "crasher.c") }, []string{"--in", "thread", "--threads", "3", "null"},
			11, func(a uint64) bool { return a == 4 || a == 8 || a == 0 }, 5, []string{"level3", "level2", "level1", "crash_thread"}, "", false},
		{"C abort", func(t *testing.T) string { return victims.C(t, "crasher.c") }, []string{"abort"}, 6, nil, 1, nil, "", false},
		{"C overflow", func(t *testing.T) string { return victims.C(t, "crasher.c") }, []string{"--in", "thread", "stack"}, 11, nil, 2, nil, "amd64", false},
		{"static", func(t *testing.T) string { return victims.C(t, "crasher.c", "-static") }, []string{"null"}, 11, nil, 1,
			[]string{"level3", "level2", "level1", "main"}, "amd64", false},
		{"musl", func(t *testing.T) string { return victims.Compile(t, "musl-gcc", "crasher.c", "-Wl,--build-id") },
			[]string{"--in", "thread", "null"}, 11, nil, 2, []string{"level3", "level2", "level1", "crash_thread"}, "amd64", false},
		{"musl static", func(t *testing.T) string {
			return victims.Compile(t, "musl-gcc", "crasher.c", "-static", "-Wl,--build-id")
		},
			[]string{"null"}, 11, nil, 1, []string{"level3", "level2", "level1", "main"}, "amd64", false},
		{"Go", func(t *testing.T) string { return victims.Go(t, "gocrash") }, []string{"nil"}, 6, nil, 0, nil, "", false},
		{"Go 386", func(t *testing.T) string { return victims.Go(t, "gocrash", "GOARCH=386") }, []string{"nil"}, 6, nil, 0, nil, "amd64", true},
		{"C 386", func(t *testing.T) string { return victims.CrossC(t, "386", "crasher.c", "-Wl,--build-id") },
			[]string{"--in", "thread", "null"}, 11, func(a uint64) bool { return a == 4 }, 2, nil, "amd64", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.only != "" && c.only != native {
				t.Skipf("only on %s", c.only)
			}
			program := c.program(t)
			args := append([]string{"--wait"}, c.args...)
			core, pid := kernelCore(t, program, args...)
			dmp, f, r := coreDump(t, core, Options{})
			if !slices.Contains(c.args, "stack") { // there SP lies in the guard page
				checkStacks(t, f, DefaultCrashStackLimit)
			}
			want := readCoreThreads(t, core)[0]
			e, err := f.Exception()
			if err != nil || e.ThreadID != want.tid || e.Code != c.signal || c.address != nil && !c.address(e.Address) {
				t.Errorf("exception %+v: %v", e, err)
			}
			if c.threads != 0 && r.Threads != c.threads {
				t.Errorf("%d threads, want %d", r.Threads, c.threads)
			}
			if m, err := f.MiscInfo(); err != nil || int(m.ProcessID) != pid {
				t.Errorf("pid %d, want %d: %v", m.ProcessID, pid, err)
			}
			mods, err := f.Modules()
			if err != nil || len(mods) == 0 || mods[0].Name != program {
				t.Errorf("modules %+v: %v", mods, err)
			}
			if s, err := f.Text(stream.LinuxCmdLine); s != strings.Join(append([]string{program}, args...), "\x00")+"\x00" {
				t.Errorf("command line %q: %v", s, err)
			}
			if s, err := f.Text(stream.LinuxEnviron); !strings.Contains(s, "\x00CORE_TEST=a value\x00") || strings.Contains(s, "--wait") {
				t.Errorf("environment %q: %v", s, err)
			}
			info, _, _ := f.SystemInfo()
			var u unix.Utsname
			unix.Uname(&u)
			if release := unix.ByteSliceToString(u.Release[:]); !strings.HasPrefix(release, fmt.Sprintf("%d.%d.", info.MajorVersion, info.MinorVersion)) &&
				info.MajorVersion != 0 {
				t.Errorf("kernel %d.%d, this is %s", info.MajorVersion, info.MinorVersion, release)
			}
			if native == "amd64" && !c.cross && info.MajorVersion == 0 {
				t.Error("the vDSO tells no version")
			}
			if native != "amd64" || c.cross && c.frames == nil {
				return
			}
			t.Run("stackwalk", func(t *testing.T) {
				r := stackwalk(t, dmp, program)
				if r.Status != "OK" || r.PID != pid || !strings.HasPrefix(r.CrashInfo.Type, "SIG") || r.CrashInfo.CrashingThread == nil {
					t.Fatalf("%+v", r.CrashInfo)
				}
				got := r.functions(*r.CrashInfo.CrashingThread)
				bt := gdbBacktrace(t, program, core)
				n := len(c.frames)
				if len(got) < n || !slices.Equal(got[:n], c.frames) || len(bt) < n || !slices.Equal(bt[:n], c.frames) {
					t.Errorf("frames %q, gdb has %q, want %q", got, bt, c.frames)
				}
			})
			t.Run("lldb", func(t *testing.T) {
				out := output(t, tool(t, "lldb"), "-b", "--no-lldbinit", "--script-language", "none", "-c", dmp, program, "-o", "thread list", "-o", "bt")
				if n := len(regexp.MustCompile(`(?m)^[* ] thread #\d+: tid`).FindAllString(out, -1)); n != r.Threads {
					t.Errorf("%d threads, want %d", n, r.Threads)
				}
				for i, name := range c.frames {
					if !regexp.MustCompile(fmt.Sprintf(`frame #%d: .*%s`, i, name)).MatchString(out) {
						t.Errorf("frame %d is not %s", i, name)
					}
				}
				if t.Failed() {
					t.Log(out)
				}
			})
			t.Run("python", func(t *testing.T) { checkPython(t, dmp, f) })
		})
	}
}

// gdbBacktrace gives the functions of the crashed thread.
func gdbBacktrace(t testing.TB, program, core string) (names []string) {
	t.Helper()
	out := output(t, tool(t, "gdb"), "-nx", "-batch", "-ex", "echo \\n====\\n", "-ex", "bt", program, core)
	_, out, _ = strings.Cut(out, "\n====\n") // gdb has shown the first frame already
	for _, m := range regexp.MustCompile(`(?m)^#\d+ +(?:0x[0-9a-f]+ in )?(\S+) \(`).FindAllStringSubmatch(out, -1) {
		names = append(names, m[1])
	}
	return names
}

// A core file that gdb writes of a process says the same as a dump of the process itself.
func TestCoreOfGcore(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("gdb is there for amd64")
	}
	gcore := tool(t, "gcore")
	for _, c := range []struct {
		name    string
		program string
		args    []string
	}{
		{"C", victims.C(t, "victim.c"), []string{"idle", "4"}},
		{"Go", victims.Go(t, "gosleep"), []string{"3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := victims.Start(t, c.program, c.args...)
			path := filepath.Join(t.TempDir(), "core")
			output(t, gcore, "-o", path, strconv.Itoa(v.PID))
			_, f, r := coreDump(t, path+"."+strconv.Itoa(v.PID), Options{})
			checkStacks(t, f, DefaultCrashStackLimit)
			live, _ := dump(t, v.PID, Options{})
			if e, err := f.Exception(); err != nil || e.Code != DumpRequested {
				t.Errorf("exception %+v: %v", e, err)
			}
			for _, e := range r.SoftErrors() {
				if e.Op != "read code around IP" {
					t.Errorf("soft error: %v", &e)
				}
			}
			got, _ := f.Modules()
			want, _ := live.Modules()
			if len(got) != len(want) {
				t.Fatalf("%d modules, the process has %d", len(got), len(want))
			}
			for i := range want {
				if g, w := got[i], want[i]; g.Name != w.Name || g.BaseOfImage != w.BaseOfImage || g.SizeOfImage != w.SizeOfImage ||
					fmt.Sprint(g.BuildID) != fmt.Sprint(w.BuildID) {
					t.Errorf("module %d is %+v, of the process %+v", i, g, w)
				}
			}
			for _, typ := range []stream.Type{stream.LinuxCmdLine, stream.LinuxEnviron, stream.LinuxAuxv} {
				g, _ := f.Stream(typ)
				if w, _ := live.Stream(typ); !bytes.Equal(g, w) {
					t.Errorf("%v is %q, of the process %q", typ, g, w)
				}
			}
			if c.name != "C" { // Go's threads do not stand still
				return
			}
			want2, got2 := cpus(t, live), coreCPUs(t, f)
			for id, w := range want2 {
				if g := got2[id]; g == nil || g.PC != w.PC || g.SP != w.SP {
					t.Errorf("thread %d: %+v, of the process %+v", id, g, w)
				}
			}
			gotDSO, err1 := f.DSODebug()
			wantDSO, err2 := live.DSODebug()
			if err1 != nil || err2 != nil || gotDSO.DSOCount != wantDSO.DSOCount || gotDSO.DSOCount == 0 || gotDSO.Brk != wantDSO.Brk {
				t.Errorf("linker's list %+v %v, of the process %+v %v", gotDSO.DSODebug64, err1, wantDSO.DSODebug64, err2)
			}
		})
	}
}

// A core of 100 GB takes no more memory than a small one.
func TestCoreHuge(t *testing.T) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skipf("the peak of memory can't be reset: %v", err)
	}
	a := coreArchNamed("amd64")
	huge := func(segments int, size uint64) string {
		b := &coreBuilder{coreArch: a}
		b.note("CORE", 1, a.status(5, 11, samplePC, 0x100000000+size-4096))
		var progs []byte
		off := uint64(1 << 20)
		for i := range uint64(segments) {
			progs = append(progs, a.prog(1, 6, off, 0x100000000+i*size, size, size)...)
			off += size
		}
		out := append(a.elfHeader(4, uint64(segments+1), 0), a.prog(4, 0, 1<<19, 0, uint64(len(b.notes)), 0)...)
		out = append(out, progs...)
		path := filepath.Join(t.TempDir(), "core")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(int64(off)); err != nil {
			t.Skipf("no sparse file of %d bytes here: %v", off, err)
		}
		f.WriteAt(out, 0)
		f.WriteAt(b.notes, 1<<19)
		return path
	}
	for _, c := range []struct {
		name     string
		segments int
		size     uint64
		mode     Mode
		memory   uint64
	}{
		{"100 GB", 25, 4 << 30, ModeIndirect, 4096 + 128},
		{"full", 4, 256 << 20, ModeFull, 1 << 30},
	} {
		path := huge(c.segments, c.size)
		w, err := openCoreFile(path, Options{Mode: c.mode})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
		before := peakMemory(t)
		r, err := w.Dump(io.Discard)
		if err != nil || r.Memory != c.memory {
			t.Errorf("%s: %+v: %v", c.name, r, err)
		}
		if grown := peakMemory(t) - before; grown > 8<<20 {
			t.Errorf("%s: the peak of memory grew by %d KiB", c.name, grown>>10)
		}
	}
}

// peakMemory is the most memory that this process had since the peak was reset, in bytes.
func peakMemory(t testing.TB) int {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	n, _ := strconv.Atoi(string(m[1]))
	return n << 10
}
