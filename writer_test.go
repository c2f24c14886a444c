//go:build linux

package minidump

import (
	"bytes"
	"debug/buildinfo"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump/context"
	"minidump/internal/corefile/coretest"
	"minidump/internal/victims"
	"minidump/stream"

	"minidump/internal/snapshot"
)

func TestIdleThreads(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "20")
	f, r := dump(t, v.PID, Options{})
	if r.Soft != 0 || r.Threads != 20 {
		t.Errorf("%d threads, %d soft errors", r.Threads, r.Soft)
	}
	checkStacks(t, f, DefaultCrashStackLimit)
	names, err := f.ThreadNames()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range names {
		got = append(got, n)
	}
	slices.Sort(got)
	for i := range 19 {
		if want := fmt.Sprintf("worker-%d", i); !slices.Contains(got, want) {
			t.Errorf("no thread named %s in %q", want, got)
		}
	}
	misc, err := f.MiscInfo()
	if err != nil || int(misc.ProcessID) != v.PID {
		t.Errorf("pid %d, want %d: %v", misc.ProcessID, v.PID, err)
	}
	if age := time.Since(time.Unix(int64(misc.ProcessCreateTime), 0)); age < -2*time.Second || age > 5*time.Minute {
		t.Errorf("created %v ago", age)
	}
	e, err := f.Exception()
	if err != nil || e.Code != DumpRequested || int(e.ThreadID) != v.PID || e.Context.DataSize == 0 {
		t.Errorf("exception %+v: %v", e, err)
	}
	if c := coretest.CPUs(t, f)[e.ThreadID]; c != nil && e.Address != c.PC {
		t.Errorf("exception address %#x, IP %#x", e.Address, c.PC)
	}
	cmdline, err := f.Text(stream.LinuxCmdLine)
	if want := "idle\x0020\x00"; err != nil || !strings.HasSuffix(cmdline, want) {
		t.Errorf("command line %q: %v", cmdline, err)
	}
	for _, s := range []stream.Type{stream.LinuxCPUInfo, stream.LinuxProcStatus, stream.LinuxEnviron, stream.LinuxAuxv,
		stream.LinuxMaps, stream.MozLinuxLimits, stream.MozSoftErrors, stream.MemoryInfoListStream} {
		if b, err := f.Stream(s); err != nil || len(b) == 0 {
			t.Errorf("%v: %d bytes, %v", s, len(b), err)
		}
	}
	if j, _ := f.SoftErrors(); j != "[]" {
		t.Errorf("soft errors %s", j)
	}
}

func TestGoProgram(t *testing.T) {
	path := victims.Go(t, "gocrowd")
	if _, err := buildinfo.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	v := victims.Start(t, path, "64", "5")
	f, r := dump(t, v.PID, Options{})
	if r.Size > 1<<20 {
		t.Errorf("%d bytes for a Go program with a heap of 64 MB", r.Size)
	}
	checkStacks(t, f, DefaultCrashStackLimit)
}

func TestIsGo(t *testing.T) {
	check := func(t *testing.T, w *Writer, err error, want bool) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if w.IsGo() != want {
			t.Errorf("a Go program: %v", !want)
		}
		if _, err := w.Dump(io.Discard); err != nil || w.IsGo() != want {
			t.Errorf("after a dump, a Go program: %v; %v", w.IsGo(), err)
		}
	}
	t.Run("live", func(t *testing.T) {
		for v, want := range map[*victims.Proc]bool{
			victims.Start(t, victims.Go(t, "gosleep"), "2"):         true,
			victims.Start(t, victims.C(t, "victim.c"), "idle", "2"): false,
		} {
			w, err := NewWriter(v.PID, patient(Options{}))
			check(t, w, err, want)
		}
	})
	t.Run("core", func(t *testing.T) {
		core, _ := kernelCore(t, victims.C(t, "crasher.c"), "--wait", "null")
		w, err := openCoreFile(core, Options{})
		check(t, w, err, false)
		core, _ = kernelCore(t, victims.Go(t, "gocrash"), "--wait", "nil")
		w, err = openCoreFile(core, Options{})
		check(t, w, err, true)
	})
}

// TestSoftErrorsAfterClose requests soft errors after their memory has been freed.
func TestSoftErrorsAfterClose(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "1")
	w, err := NewWriter(v.PID, patient(Options{AppMemory: []AppMemory{{Address: 0x1000, Size: 16}}})) // nothing is mapped there
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.Dump(io.Discard)
	if err != nil || len(r.SoftErrors()) != 1 {
		t.Errorf("%v, %v", r.SoftErrors(), err)
	}
	w.Close()
	if soft := r.SoftErrors(); len(soft) != 0 {
		t.Errorf("after Close: %v", soft)
	}
}

// TestReadMemory reads up to the end of a mapping, and nothing after Close.
func TestReadMemory(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "2")
	first, _ := dump(t, v.PID, Options{})
	mods, err := first.Modules()
	if err != nil {
		t.Fatal(err)
	}
	at := mods[0].BaseOfImage
	w, err := NewWriter(v.PID, patient(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64)
	for range 2 {
		clear(b)
		if n := w.ReadMemory(at, b); n != len(b) || !bytes.Equal(b, memoryOf(t, v.PID, at, len(b))) {
			t.Errorf("%d bytes at %#x: % x", n, at, b)
		}
		dumpWith(t, w)
	}
	if n := w.ReadMemory(0x1000, b); n != 0 {
		t.Errorf("%d bytes of nothing", n)
	}
	w.Close()
	if n := w.ReadMemory(at, b); n != 0 || w.IsGo() {
		t.Errorf("%d bytes when it is closed", n)
	}
}

// TestSetAnnotations sets other annotations for each dump of one Writer, more and fewer than before.
func TestSetAnnotations(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "2")
	w, err := NewWriter(v.PID, patient(Options{Annotations: []Annotation{{"a", "1"}}}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i, want := range [][]Annotation{{{"a", "1"}}, {{"b", "2"}, {"c", "3"}, {"d", "4"}}, {{"e", "5"}}, nil} {
		if i > 0 {
			w.SetAnnotations(want)
		}
		f, _ := dumpWith(t, w)
		info, err := f.CrashpadInfo()
		if err != nil || info.Version != 1 { // the stream also exists without annotations
			t.Fatalf("%q: %v", want, err)
		}
		var got []Annotation
		for _, a := range info.Annotations {
			got = append(got, Annotation{a.Key, a.Value})
		}
		if !slices.Equal(got, want) {
			t.Errorf("annotations %q, want %q", got, want)
		}
	}
}

func TestLimit(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "40")
	whole, r := dump(t, v.PID, Options{})
	full := r.Size
	all, _ := whole.Modules()
	if len(all) < 2 && runtime.GOARCH != "mips" && runtime.GOARCH != "mipsle" {
		t.Errorf("%d modules", len(all))
	}
	for _, limit := range []uint64{full + 1<<20, full, full * 3 / 4, full / 2, full / 3, full / 4, 64 << 10, 32 << 10} {
		if limit < 20<<10 {
			continue // the list of 40 threads is larger
		}
		w, err := NewWriter(v.PID, patient(Options{Limit: limit, CrashStackLimit: 8 << 10}))
		if err != nil {
			t.Fatal(err)
		}
		f, r := dumpWith(t, w)
		w.Close()
		if r.Size > limit {
			t.Errorf("limit %d: %d bytes", limit, r.Size)
		}
		threads, err := f.Threads()
		if err != nil || len(threads) != 40 {
			t.Errorf("limit %d: %d threads, %v", limit, len(threads), err)
		}
		mods, err := f.Modules()
		if err != nil || len(mods) != len(all) {
			t.Errorf("limit %d: %d modules, %v", limit, len(mods), err)
		}
		regs := coretest.CPUs(t, f)
		for _, th := range threads {
			c := regs[th.ThreadID]
			if int(th.ThreadID) == v.PID {
				if c == nil || th.Stack.Memory.DataSize == 0 {
					t.Errorf("limit %d: the blamed thread is not whole", limit)
				}
			}
			if c != nil && th.Stack.Memory.DataSize > 0 &&
				(c.SP < th.Stack.Start || c.SP >= th.Stack.Start+uint64(th.Stack.Memory.DataSize)) {
				t.Errorf("limit %d: SP of thread %d is not in its stack", limit, th.ThreadID)
			}
		}
		if limit < full {
			if j, _ := f.SoftErrors(); !strings.Contains(j, "Limit") {
				t.Errorf("limit %d: the soft errors do not tell of it: %s", limit, j)
			}
		}
	}
	w, err := NewWriter(v.PID, patient(Options{Limit: 2000}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Dump(io.Discard); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "at least") {
		t.Errorf("limit of 2000: %v", err)
	}
}

func TestFullMemory(t *testing.T) {
	v := victims.Start(t, victims.Go(t, "gocrowd"), "16", "3") // a virtual machine with 512 MB must hold it several times
	f, r := dump(t, v.PID, Options{Mode: ModeFull})
	if r.Memory < 16<<20 {
		t.Errorf("%d bytes of memory", r.Memory)
	}
	ranges, err := f.MemoryRanges()
	if err != nil || len(ranges) == 0 {
		t.Fatalf("%d ranges, %v", len(ranges), err)
	}
	// The text of the program is the same in the file, the dump and the process.
	mods, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 64)
	if n, err := f.ReadMemory(mods[0].BaseOfImage, head); n != 64 || err != nil {
		t.Fatalf("read %d bytes of the program: %v", n, err)
	}
	if want := []byte("\x7fELF"); !bytes.HasPrefix(head, want) {
		t.Errorf("the program starts with % x", head[:4])
	}
	checkStacks(t, f, DefaultCrashStackLimit)
}

func TestFullMemoryLimit(t *testing.T) {
	v := victims.Start(t, victims.Go(t, "gocrowd"), "16", "3")
	for _, limit := range []uint64{10 << 20, 2 << 20, 400 << 10} {
		f, r := dump(t, v.PID, Options{Mode: ModeFull, Limit: limit})
		if r.Size > limit || r.Size < limit/2 {
			t.Errorf("limit %d: %d bytes", limit, r.Size)
		}
		checkStacks(t, f, DefaultCrashStackLimit)
	}
}

func TestAppMemoryAndStreams(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "2")
	first, _ := dump(t, v.PID, Options{})
	mods, err := first.Modules()
	if err != nil {
		t.Fatal(err)
	}
	at := mods[0].BaseOfImage
	const unmapped = 0x1000
	f, r := dump(t, v.PID, Options{
		AppMemory:   []AppMemory{{at + 3, 100}, {at + 50, 200}, {unmapped, 10}},
		Annotations: []Annotation{{"version", "1.2.3"}, {"channel", "bêta"}},
		UserStreams: []UserStream{{0x10001, []byte("hello")}, {0x10002, nil}},
		UserModules: []UserModule{{0x8000, 0x1000, "a fake mapping", []byte("0123456789abcdef")}},
		Omit:        OmitEnviron | OmitCmdline | OmitHandles,
	})
	b := make([]byte, 247)
	if n, err := f.ReadMemory(at+3, b); n != len(b) || err != nil {
		t.Errorf("%d bytes of application memory: %v", n, err)
	}
	ranges, _ := f.MemoryRanges()
	merged := false
	for _, m := range ranges {
		merged = merged || m.Addr == at+3 && m.Size == 247
	}
	if !merged {
		t.Error("overlapping ranges were not merged")
	}
	soft := r.SoftErrors()
	if len(soft) != 1 || soft[0].Address != unmapped {
		t.Errorf("soft errors %v", soft)
	}
	info, err := f.CrashpadInfo()
	if err != nil || len(info.Annotations) != 2 || info.Annotations[0].Value != "1.2.3" || info.Annotations[1].Value != "bêta" {
		t.Errorf("annotations %v: %v", info, err)
	}
	if s, err := f.Stream(0x10001); err != nil || string(s) != "hello" {
		t.Errorf("user stream %q: %v", s, err)
	}
	for _, s := range []stream.Type{stream.LinuxCmdLine, stream.LinuxEnviron, stream.HandleDataStream} {
		if _, err := f.Stream(s); !errors.Is(err, stream.ErrNoStream) {
			t.Errorf("%v was to be omitted: %v", s, err)
		}
	}
	mods, _ = f.Modules()
	last := mods[len(mods)-1]
	id := map[binary.ByteOrder]string{
		binary.LittleEndian: "33323130353437363839616263646566", binary.BigEndian: "30313233343536373839616263646566",
	}[f.Order]
	if last.Name != "a fake mapping" || last.DebugID != id+"0" {
		t.Errorf("user module %+v", last)
	}
}

func TestHandles(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("d", 200), strings.Repeat("e", 200))
	if err := os.MkdirAll(long, 0o755); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(long, "file")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd := exec.Command(victims.C(t, "victim.c"), "idle", "1")
	cmd.ExtraFiles = []*os.File{file}
	v := victims.StartCmd(t, cmd)
	f, _ := dump(t, v.PID, Options{})
	handles, err := f.Handles()
	if err != nil {
		t.Fatal(err)
	}
	found := map[uint64]stream.HandleInfo{}
	for _, h := range handles {
		found[h.Handle] = h
	}
	if h := found[3]; h.ObjectName != name || h.TypeName != "File" {
		t.Errorf("descriptor 3 is %q of type %q", h.ObjectName, h.TypeName)
	}
	if h := found[1]; h.TypeName != "Pipe" {
		t.Errorf("descriptor 1 is of type %q", h.TypeName)
	}
}

func TestStoppedStaysStopped(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "3")
	syscall.Kill(v.PID, syscall.SIGSTOP)
	waitState(t, v.PID, 'T')
	f, r := dump(t, v.PID, Options{})
	if r.Threads != 3 {
		t.Errorf("%d threads", r.Threads)
	}
	checkStacks(t, f, DefaultCrashStackLimit)
	time.Sleep(20 * time.Millisecond)
	waitState(t, v.PID, 'T')
	syscall.Kill(v.PID, syscall.SIGCONT)
	waitState(t, v.PID, 'S')
}

func TestGone(t *testing.T) {
	if _, err := NewWriter(1<<22+1, Options{}); !errors.Is(err, ErrNoProcess) {
		t.Errorf("no such pid: %v", err)
	}
	if _, err := NewWriter(os.Getpid(), Options{}); !errors.Is(err, ErrSelf) {
		t.Errorf("own pid: %v", err)
	}
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "2")
	w, err := NewWriter(v.PID, patient(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Dump(io.Discard); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(v.PID, syscall.SIGKILL)
	v.Wait(t)
	if _, err := w.Dump(io.Discard); !errors.Is(err, ErrNoProcess) {
		t.Errorf("dump of a dead process: %v", err)
	}
}

func TestZombie(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer cmd.Wait()
	waitState(t, cmd.Process.Pid, 'Z')
	w, err := NewWriter(cmd.Process.Pid, Options{})
	if err == nil {
		defer w.Close()
		_, err = w.Dump(io.Discard)
	}
	if !errors.Is(err, ErrNoProcess) {
		t.Errorf("dump of a zombie: %v", err)
	}
}

type failAfter struct{ n int }

func (f *failAfter) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func TestSinkFails(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "5")
	for _, mode := range []Mode{ModeStack, ModeFull} {
		w, err := NewWriter(v.PID, patient(Options{Mode: mode}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Dump(&failAfter{20000}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("mode %d: %v", mode, err)
		}
		if _, err := w.DumpFile("/nonexistent/dir/x.dmp"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("mode %d: %v", mode, err)
		}
		w.Close()
		waitState(t, v.PID, 'S')
	}
}

func TestDumpFile(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "2")
	dir := t.TempDir()
	path := filepath.Join(dir, "x.dmp")
	w, err := NewWriter(v.PID, patient(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 2 { // the second dump replaces the first
		r, err := w.DumpFile(path)
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil || st.Size() != int64(r.Size) || st.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", st, err)
		}
	}
	t.Chdir(dir)
	if _, err := w.DumpFile("x.dmp"); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSanitize(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "4")
	f, _ := dump(t, v.PID, Options{SanitizeStacks: true})
	threads, _ := f.Threads()
	info, _, _ := f.SystemInfo()
	word := context.ArchOfProcessor(info.ProcessorArchitecture).WordSize()
	maps, err := f.MemoryInfo()
	if err != nil {
		t.Fatal(err)
	}
	executable := func(v uint64) bool {
		for _, m := range maps {
			if m.BaseAddress <= v && v < m.BaseAddress+m.RegionSize {
				return m.Protect&(stream.PAGE_EXECUTE|stream.PAGE_EXECUTE_READ|stream.PAGE_EXECUTE_READWRITE) != 0
			}
		}
		return false
	}
	mapping := func(v uint64) uint64 {
		for _, m := range maps {
			if m.BaseAddress <= v && v < m.BaseAddress+m.RegionSize {
				return m.BaseAddress
			}
		}
		return 0
	}
	regs := coretest.CPUs(t, f)
	code, defaced := 0, 0
	for _, th := range threads {
		b := make([]byte, th.Stack.Memory.DataSize)
		if n, err := f.ReadMemory(th.Stack.Start, b); n != len(b) {
			t.Fatal(err)
		}
		sp := regs[th.ThreadID].SP
		for off := (int(sp-th.Stack.Start) + word - 1) &^ (word - 1); off+word <= len(b); off += word {
			v := uint64(f.Order.Uint32(b[off:]))
			signed, sentinel := int64(int32(v)), uint64(snapshot.Defaced32)
			if word == 8 {
				v = f.Order.Uint64(b[off:])
				signed, sentinel = int64(v), snapshot.Defaced64
			}
			switch {
			case v == sentinel:
				defaced++
			case signed >= -4096 && signed <= 4096:
			case mapping(v) == mapping(sp) && mapping(v) != 0:
			case executable(v):
				code++
			default:
				t.Errorf("thread %d: word %#x at %#x was left", th.ThreadID, v, th.Stack.Start+uint64(off))
			}
		}
		for i, c := range b[:sp-th.Stack.Start] {
			if c != 0 {
				t.Errorf("thread %d: byte %d below SP is %#x", th.ThreadID, i, c)
				break
			}
		}
	}
	if code == 0 || defaced == 0 {
		t.Errorf("%d return addresses kept, %d words defaced", code, defaced)
	}
}

func TestSkipUnreferencedStacks(t *testing.T) {
	path := victims.C(t, "victim.c")
	v := victims.Start(t, path, "idle", "4")
	f, _ := dump(t, v.PID, Options{})
	mods, _ := f.Modules()
	count := func(f *stream.File) (n int) {
		threads, _ := f.Threads()
		for _, th := range threads {
			if th.Stack.Memory.DataSize > 0 {
				n++
			}
		}
		return n
	}
	f, r := dump(t, v.PID, Options{SkipUnreferencedStacks: true, PrincipalAddress: mods[0].BaseOfImage + 1})
	if n := count(f); n != 4 || r.Soft != 0 {
		t.Errorf("%d of 4 stacks refer to the program; %v", n, r.SoftErrors())
	}
	f, _ = dump(t, v.PID, Options{SkipUnreferencedStacks: true, PrincipalAddress: 0x1234})
	j, _ := f.SoftErrors()
	if n := count(f); n != 0 || !strings.Contains(j, `"PrincipalMappingNotReferenced"`) {
		t.Errorf("%d stacks refer to nothing; soft errors %s", n, j)
	}
}

// TestNoAllocations checks that a dump allocates nothing from the Go heap.
func TestNoAllocations(t *testing.T) {
	for _, c := range []struct {
		name string
		path string
		args []string
		o    Options
	}{
		{"1 thread", victims.C(t, "victim.c"), []string{"idle", "1"}, Options{}},
		{"20 threads", victims.C(t, "victim.c"), []string{"idle", "20"}, Options{}},
		{"20 threads, everything", victims.C(t, "victim.c"), []string{"idle", "20"}, Options{
			Mode: ModeIndirect, SanitizeStacks: true, SanitizeAll: true, RegisterSets: true,
			AppMemory: []AppMemory{{0x1000, 8}}, Annotations: []Annotation{{"k", "v"}},
			SkipUnreferencedStacks: true, PrincipalAddress: 1,
		}},
		{"limit", victims.C(t, "victim.c"), []string{"idle", "40"}, Options{Limit: 60 << 10}},
		{"full", victims.C(t, "victim.c"), []string{"idle", "2"}, Options{Mode: ModeFull}},
		{"Go", victims.Go(t, "gosleep"), []string{"5"}, Options{}},
		{"100 modules", victims.C(t, "victim.c"), []string{"maps", "100", victims.Libs(t, 500)}, Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.args[0] == "maps" && runtime.GOARCH != "amd64" {
				t.Skip("the C victims of other architectures are static")
			}
			v := victims.Start(t, c.path, c.args...)
			w, err := NewWriter(v.PID, patient(c.o))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			// The Go runtime may start an OS thread during a wait, and allocates for that once: five allocations in all runs.
			// One allocation for each dump would be 50.
			if n := testing.AllocsPerRun(50, func() {
				if _, err := w.Dump(io.Discard); err != nil {
					t.Error(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkDump(b *testing.B) {
	for _, c := range []struct {
		name string
		args []string
	}{
		{"threads-1", []string{"idle", "1"}},
		{"threads-20", []string{"idle", "20"}},
		{"threads-100", []string{"idle", "100"}},
		{"threads-1000", []string{"idle", "1000"}},
		{"modules-500", []string{"maps", "500", victims.Libs(b, 500)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			v := victims.Start(b, victims.C(b, "victim.c"), c.args...)
			w, err := NewWriter(v.PID, patient(Options{}))
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			var pause time.Duration
			b.ReportAllocs()
			for b.Loop() {
				r, err := w.Dump(io.Discard)
				if err != nil {
					b.Fatal(err)
				}
				pause += r.Pause
			}
			b.ReportMetric(float64(pause.Nanoseconds())/float64(b.N), "pause-ns/op")
		})
	}
}
