//go:build linux

package minidump

import (
	"bytes"
	"debug/buildinfo"
	stdelf "debug/elf"
	"encoding/binary"
	"encoding/hex"
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
	"minidump/internal/victims"
	"minidump/stream"
)

// dump writes one dump of pid and decodes it. Everything that the decoder finds wrong with it fails the test.
func dump(t testing.TB, pid int, o Options) (*stream.File, Result) {
	t.Helper()
	w, err := NewWriter(pid, patient(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return dumpWith(t, w)
}

// patient gives a loaded machine time to stop all threads.
func patient(o Options) Options {
	if o.StopTimeout == 0 {
		o.StopTimeout = 20 * time.Second
	}
	return o
}

func dumpWith(t testing.TB, w *Writer) (*stream.File, Result) {
	t.Helper()
	var b bytes.Buffer
	r, err := w.Dump(&b)
	if err != nil {
		t.Fatal(err)
	}
	if uint64(b.Len()) != r.Size {
		t.Errorf("the result says %d bytes, %d came", r.Size, b.Len())
	}
	f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	for _, e := range r.SoftErrors() {
		t.Logf("soft error: %v", &e)
	}
	return f, r
}

// cpus decodes the registers of every thread.
func cpus(t testing.TB, f *stream.File) map[uint32]*context.CPU {
	t.Helper()
	info, _, err := f.SystemInfo()
	if err != nil {
		t.Fatal(err)
	}
	threads, err := f.Threads()
	if err != nil {
		t.Fatal(err)
	}
	out := map[uint32]*context.CPU{}
	for _, th := range threads {
		if th.Context.DataSize == 0 {
			continue
		}
		b, err := f.Context(th.Context)
		if err != nil {
			t.Fatal(err)
		}
		c, err := context.Decode(context.ArchOfProcessor(info.ProcessorArchitecture), b, f.Order)
		if err != nil {
			t.Fatal(err)
		}
		out[th.ThreadID] = c
	}
	return out
}

// checkStacks checks that every thread's stack is in the dump and holds its SP, and is no longer than limit.
func checkStacks(t testing.TB, f *stream.File, limit uint32) {
	t.Helper()
	threads, _ := f.Threads()
	regs := cpus(t, f)
	for _, th := range threads {
		c := regs[th.ThreadID]
		if c == nil {
			t.Errorf("thread %d has no registers", th.ThreadID)
			continue
		}
		end := th.Stack.Start + uint64(th.Stack.Memory.DataSize)
		if c.SP < th.Stack.Start || c.SP >= end {
			t.Errorf("thread %d: SP %#x is not in its stack %#x-%#x", th.ThreadID, c.SP, th.Stack.Start, end)
		}
		if th.Stack.Memory.DataSize > limit {
			t.Errorf("thread %d: stack of %d bytes, limit %d", th.ThreadID, th.Stack.Memory.DataSize, limit)
		}
		word := make([]byte, 8)
		if n, err := f.ReadMemory(c.SP, word); n == 0 || err != nil {
			t.Errorf("thread %d: no memory at SP %#x: %v", th.ThreadID, c.SP, err)
		}
	}
}

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
	if c := cpus(t, f)[e.ThreadID]; c != nil && e.Address != c.PC {
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

func TestModules(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the C victims of other architectures are static")
	}
	path := victims.C(t, "victim.c", "-Wl,--build-id=sha1")
	dir := victims.Libs(t, 500)
	v := victims.Start(t, path, "maps", "30", dir)
	f, _ := dump(t, v.PID, Options{})
	mods, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	if mods[0].Name != path {
		t.Errorf("first module is %s, want the program %s", mods[0].Name, path)
	}
	byName := map[string]*stream.ModuleInfo{}
	for i := range mods {
		byName[mods[i].Name] = &mods[i]
	}
	check := func(name, file string) {
		m := byName[name]
		if m == nil {
			t.Errorf("no module %s", name)
			return
		}
		if want := fileBuildID(t, file); m.BuildID != want {
			t.Errorf("%s: build id %s, want %s", name, m.BuildID, want)
		}
	}
	check(path, path)
	for i := range 30 {
		name := filepath.Join(dir, fmt.Sprintf("lib%04d.so", i))
		check(name, name)
	}
	gate := false
	for _, m := range mods {
		gate = gate || m.Name == "linux-gate.so" && len(m.BuildID) > 0
	}
	if !gate && runtime.GOARCH != "mips" && runtime.GOARCH != "mipsle" {
		t.Error("no linux-gate.so with a build id")
	}
	dso, err := f.DSODebug()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, l := range dso.LinkMaps {
		if strings.HasPrefix(l.Name, dir) {
			found++
		}
	}
	if found != 30 {
		t.Errorf("%d of 30 libraries in the list of loaded objects", found)
	}
}

// fileBuildID reads a build id by the standard library.
func fileBuildID(t testing.TB, path string) string {
	t.Helper()
	f, err := stdelf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := f.Section(".note.gnu.build-id")
	if s == nil {
		return ""
	}
	b, err := s.Data()
	if err != nil || len(b) < 16 {
		t.Fatal(err)
	}
	return hex.EncodeToString(b[16:])
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

// TestSoftErrorsAfterClose asks for soft errors when the memory that they were in is gone.
func TestSoftErrorsAfterClose(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "1")
	w, err := NewWriter(v.PID, patient(Options{AppMemory: []AppMemory{{Address: 0x1000, Size: 16}}})) // where nothing is
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

// TestReadMemory reads what the process has to read, up to what it has not, and nothing when the Writer is closed.
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

// TestSetAnnotations gives each dump of one Writer annotations of its own, more and fewer than the one before.
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
		if (err == nil) != (want != nil) {
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
			continue // 40 threads have a larger list
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
		regs := cpus(t, f)
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
	v := victims.Start(t, victims.Go(t, "gocrowd"), "16", "3") // a guest of 512 MB must hold it several times
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

func waitState(t testing.TB, pid int, want byte) {
	t.Helper()
	var state byte
	for range 200 {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if i := bytes.LastIndexByte(b, ')'); i > 0 && len(b) > i+2 {
			state = b[i+2]
		}
		if state == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("pid %d is in state %c, want %c", pid, state, want)
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
	for range 2 { // the second replaces the first
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
	regs := cpus(t, f)
	code, defaced := 0, 0
	for _, th := range threads {
		b := make([]byte, th.Stack.Memory.DataSize)
		if n, err := f.ReadMemory(th.Stack.Start, b); n != len(b) {
			t.Fatal(err)
		}
		sp := regs[th.ThreadID].SP
		for off := (int(sp-th.Stack.Start) + word - 1) &^ (word - 1); off+word <= len(b); off += word {
			v := uint64(f.Order.Uint32(b[off:]))
			signed, sentinel := int64(int32(v)), uint64(defaced32)
			if word == 8 {
				v = f.Order.Uint64(b[off:])
				signed, sentinel = int64(v), defaced64
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

// TestNoAllocations holds the promise that a dump takes nothing from the Go heap.
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
			// The Go runtime may start an OS thread of its own while a step is waited for, and allocates for that, once:
			// five allocations among all runs. One a dump would be 50.
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
