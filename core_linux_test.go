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

	"minidump/internal/victims"
	"minidump/stream"

	"minidump/internal/corefile/coretest"
)

// A coreThread is a thread of a core file, as read by debug/elf and the table of layouts.
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
	pid, regs := 24, 72
	if f.Class == stdelf.ELFCLASS64 {
		pid, regs = 32, 112
	}
	word := func(a *coretest.Arch, b []byte, i int) uint64 {
		if a.Wide == 4 {
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
				i := slices.IndexFunc(coretest.Archs, func(a coretest.Arch) bool { // n32 and o32 of mips differ in class
					return stdelf.Machine(a.Machine) == f.Machine && stdelf.Class(a.Class) == f.Class && a.Order == f.ByteOrder &&
						a.PRStatus == desc
				})
				if i < 0 {
					t.Fatalf("prstatus of %d bytes", desc)
				}
				a := &coretest.Archs[i]
				d := b[at : at+desc]
				threads = append(threads, coreThread{tid: f.ByteOrder.Uint32(d[pid:]), signal: int(f.ByteOrder.Uint16(d[12:])),
					pc: word(a, d[regs:], a.PC), sp: word(a, d[regs:], a.SP), words: d[regs:]})
			}
			b = b[min(len(b), at+(desc+3)&^3):]
		}
	}
	if len(threads) == 0 {
		t.Fatalf("%s: no thread", path)
	}
	return threads
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
		cross   bool     // built for another architecture than the test
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
			if !slices.Contains(c.args, "stack") { // after "stack", SP is in the guard page
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

// TestCoreOmit searches whole dumps of a core, read from a file and from a pipe, for what Options.Omit must keep out.
func TestCoreOmit(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("gdb is only available for amd64")
	}
	gcore := tool(t, "gcore")
	cmd := exec.Command(victims.C(t, "absent.c", "-pthread"), "", argument)
	cmd.Env = append(os.Environ(), variable)
	v := victims.StartCmd(t, cmd)
	path := filepath.Join(t.TempDir(), "core")
	output(t, gcore, "-o", path, strconv.Itoa(v.PID))
	core, err := os.ReadFile(path + "." + strconv.Itoa(v.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range allModes {
		for _, o := range []Omit{0, OmitEnviron, OmitCmdline, OmitEnviron | OmitCmdline} {
			for _, pipe := range []bool{false, true} {
				options := Options{Mode: m.mode, Omit: o, StackLimit: 1 << 20}
				var w *Writer
				if pipe {
					w, err = OpenCorePipe(bytes.NewReader(core), 0, t.TempDir(), options)
				} else {
					w, err = OpenCore(bytes.NewReader(core), int64(len(core)), options)
				}
				if err != nil {
					t.Fatal(err)
				}
				var b bytes.Buffer
				if _, err := w.Dump(&b); err != nil {
					t.Fatal(err)
				}
				w.Close()
				if got := bytes.Contains(b.Bytes(), []byte(argument)); got != (o&OmitCmdline == 0) {
					t.Errorf("%s, %v, pipe %v: the argument is in the dump: %v", m.name, o, pipe, got)
				}
				if got := bytes.Contains(b.Bytes(), []byte(variable)); got != (o&OmitEnviron == 0) {
					t.Errorf("%s, %v, pipe %v: the variable is in the dump: %v", m.name, o, pipe, got)
				}
			}
		}
	}
}

// TestCoreOfGcore compares the dump of a core file that gdb wrote of a process with a dump of the process itself.
func TestCoreOfGcore(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("gdb is only available for amd64")
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
			if c.name != "C" { // Go's threads do not stay idle
				return
			}
			want2, got2 := coretest.CPUs(t, live), coretest.CPUs(t, f)
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

// TestCoreHuge checks that dumping a core of 100 GB requires no more memory than dumping a small one.
func TestCoreHuge(t *testing.T) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skipf("the peak of memory can't be reset: %v", err)
	}
	a := coretest.ArchNamed("amd64")
	huge := func(segments int, size uint64) string {
		b := &coretest.Builder{Arch: a}
		b.Note("CORE", 1, a.Status(5, 11, coretest.SamplePC, 0x100000000+size-4096))
		var progs []byte
		off := uint64(1 << 20)
		for i := range uint64(segments) {
			progs = append(progs, a.Prog(1, 6, off, 0x100000000+i*size, size, size)...)
			off += size
		}
		out := append(a.ELFHeader(4, uint64(segments+1), 0), a.Prog(4, 0, 1<<19, 0, uint64(len(b.Notes)), 0)...)
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
		f.WriteAt(b.Notes, 1<<19)
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

// peakMemory returns the peak resident memory of this process since the last reset, in bytes.
func peakMemory(t testing.TB) int {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	n, _ := strconv.Atoi(string(m[1]))
	return n << 10
}
