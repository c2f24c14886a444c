package minidump

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"minidump/context"
	"minidump/stream"
)

// With MINIDUMP_TARGET set, the test binary is a process that waits to be dumped.
func init() {
	if n := os.Getenv("MINIDUMP_TARGET"); n != "" {
		target(n)
	}
}

// target starts threads, each with a name and a stack of its own, prints its process id and the address of a secret, and waits
// until its input ends.
func target(threads string) {
	n := 0
	fmt.Sscan(threads, &n)
	describe := syscall.NewLazyDLL("kernel32.dll").NewProc("SetThreadDescription")
	sleep := syscall.NewLazyDLL("kernel32.dll").NewProc("Sleep")
	ready := make(chan bool)
	for i := range n {
		go func() {
			runtime.LockOSThread()
			name, _ := syscall.UTF16PtrFromString(fmt.Sprintf("worker-%d", i))
			describe.Call(^uintptr(1), uintptr(unsafe.Pointer(name)))
			ready <- true
			sleep.Call(3600e3)
		}()
		<-ready
	}
	for _, name := range []string{"winmm.dll", "version.dll"} {
		if dll, err := syscall.LoadLibrary(name); err == nil {
			syscall.FreeLibrary(dll)
		}
	}
	secret := []byte("the secret of the target")
	fmt.Printf("%d %d\n", os.Getpid(), uintptr(unsafe.Pointer(&secret[0])))
	bufio.NewReader(os.Stdin).ReadString('\n')
	runtime.KeepAlive(secret)
	os.Exit(7)
}

// winTarget is a running target.
type winTarget struct {
	pid    int
	secret uint64
	cmd    *exec.Cmd
	in     io.WriteCloser
}

func startTarget(t testing.TB, threads int) *winTarget {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	v := &winTarget{cmd: exec.Command(exe)}
	v.cmd.Env = append(os.Environ(), fmt.Sprint("MINIDUMP_TARGET=", threads))
	v.in, err = v.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.end(t) })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &v.pid, &v.secret); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return v
}

// end ends the target's input. The target must then end with its own exit code, which it could not if it were still suspended.
func (v *winTarget) end(t testing.TB) {
	if v.in == nil {
		return
	}
	v.in.Close()
	v.in = nil
	done := make(chan error, 1)
	go func() { done <- v.cmd.Wait() }()
	select {
	case <-done:
		if code := v.cmd.ProcessState.ExitCode(); code != 7 {
			t.Errorf("the target ended with %d", code)
		}
	case <-time.After(30 * time.Second):
		v.cmd.Process.Kill()
		t.Error("the target does not run any more")
	}
}

// opened parses a dump, and if $MINIDUMP_KEEP is set, keeps it in that folder under the name of the test.
func opened(t testing.TB, b []byte) *stream.File {
	t.Helper()
	if dir := os.Getenv("MINIDUMP_KEEP"); dir != "" {
		os.WriteFile(filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "_")+".dmp"), b, 0600)
	}
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Error(p)
	}
	return f
}

func dumpWindows(t testing.TB, pid int, o Options) (*stream.File, Result) {
	t.Helper()
	w, err := NewWriter(pid, o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var b bytes.Buffer
	r, err := w.Dump(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.SoftErrors() {
		t.Log(e.Error())
	}
	if r.Size != uint64(b.Len()) {
		t.Errorf("%d bytes said, %d written", r.Size, b.Len())
	}
	return opened(t, b.Bytes()), r
}

func TestDumpOther(t *testing.T) {
	v := startTarget(t, 4)
	f, r := dumpWindows(t, v.pid, Options{})
	if r.Soft != 0 || r.Pause <= 0 || r.Stopped != r.Threads {
		t.Errorf("%+v", r)
	}
	checkProcess(t, f, v.pid)
	names, _ := f.ThreadNames()
	found := 0
	for _, n := range names {
		if strings.HasPrefix(n, "worker-") {
			found++
		}
	}
	if found != 4 {
		t.Errorf("names %v", names)
	}
	if _, err := f.Stream(stream.ExceptionStream); err == nil {
		t.Error("an exception without a crash")
	}
	if b, err := f.BreakpadInfo(); err != nil || b.RequestingThreadID == 0 {
		t.Errorf("BreakpadInfo %+v %v", b, err)
	}
}

// checkProcess checks what every dump of a process of the test binary must contain.
func checkProcess(t *testing.T, f *stream.File, pid int) {
	t.Helper()
	ths, err := f.Threads()
	if err != nil || len(ths) < 4 {
		t.Fatalf("%d threads, %v", len(ths), err)
	}
	infos, err := f.ThreadInfo()
	if err != nil || len(infos) != len(ths) {
		t.Errorf("%d thread infos, %v", len(infos), err)
	}
	for i, th := range ths {
		if th.Context.DataSize == 0 || th.Stack.Memory.DataSize == 0 || th.Teb == 0 || th.SuspendCount != 0 || th.PriorityClass == 0 {
			t.Errorf("thread %+v", th)
		}
		if i < len(infos) && (infos[i].ThreadID != th.ThreadID || infos[i].CreateTime == 0 || infos[i].Affinity == 0) {
			t.Errorf("info %+v", infos[i])
		}
	}
	mods, err := f.Modules()
	if err != nil || len(mods) < 4 {
		t.Fatalf("modules %v %v", mods, err)
	}
	exe, _ := os.Executable()
	if !strings.EqualFold(mods[0].Name, exe) {
		t.Errorf("the program is %q", mods[0].Name)
	}
	versions := 0
	for _, m := range mods {
		if m.VersionInfo.Signature == stream.VS_FFI_SIGNATURE {
			versions++
		}
		if m.SizeOfImage == 0 {
			t.Errorf("module %+v", m)
		}
	}
	if versions < 2 {
		t.Errorf("%d modules with a version", versions)
	}
	info, err := f.MemoryInfo()
	if err != nil || len(info) < 20 {
		t.Errorf("%d regions, %v", len(info), err)
	}
	states := map[uint32]int{}
	for _, r := range info {
		states[r.State]++
	}
	if states[stream.MEM_COMMIT] == 0 || states[0x2000] == 0 || states[0x10000] == 0 {
		t.Errorf("states %v", states)
	}
	misc, err := f.MiscInfo()
	if err != nil || misc.ProcessID != uint32(pid) || misc.SizeOfInfo != stream.MiscInfo5Size || misc.ProcessCreateTime == 0 || misc.BuildString == "" {
		t.Errorf("%+v %v", misc, err)
	}
	handles, err := f.Handles()
	if err != nil || len(handles) == 0 {
		t.Errorf("%d handles, %v", len(handles), err)
	}
	if c, err := f.ProcessVMCounters(); err != nil || c.WorkingSetSize == 0 {
		t.Errorf("%+v %v", c, err)
	}
	if c, err := f.SystemMemoryInfo(); err != nil || c.BasicInfo.PageSize != 4096 {
		t.Errorf("%+v %v", c, err)
	}
	if u, err := f.UnloadedModules(); err != nil || len(u) == 0 || u[0].Name == "" {
		t.Errorf("unloaded %+v %v", u, err)
	}
}

func TestDumpModes(t *testing.T) {
	v := startTarget(t, 2)
	b := make([]byte, len("the secret of the target"))
	f, _ := dumpWindows(t, v.pid, Options{})
	if n, _ := f.ReadMemory(v.secret, b); n != 0 {
		t.Error("mode stack has memory that no stack is")
	}
	f, _ = dumpWindows(t, v.pid, Options{AppMemory: []AppMemory{{v.secret, uint64(len(b))}}})
	if n, err := f.ReadMemory(v.secret, b); n != len(b) || string(b) != "the secret of the target" {
		t.Errorf("application memory %q %v", b[:n], err)
	}
	stack, _ := dumpWindows(t, v.pid, Options{})
	f, _ = dumpWindows(t, v.pid, Options{Mode: ModeIndirect})
	if a, b := len(ranges(t, stack)), len(ranges(t, f)); b <= a {
		t.Errorf("mode indirect has %d ranges, mode stack %d", b, a)
	}
	f, r := dumpWindows(t, v.pid, Options{Mode: ModeFull})
	if n, err := f.ReadMemory(v.secret, b); n != len(b) || string(b) != "the secret of the target" {
		t.Errorf("mode full %q %v", b[:n], err)
	}
	if r.Memory < 1<<20 {
		t.Errorf("%+v", r)
	}
}

func ranges(t *testing.T, f *stream.File) []stream.MemoryRange {
	t.Helper()
	list, err := f.MemoryRanges()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestDumpLimit(t *testing.T) {
	v := startTarget(t, 20)
	_, whole := dumpWindows(t, v.pid, Options{})
	for _, limit := range []uint64{whole.Size * 3 / 4, whole.Size / 2, whole.Size / 3} {
		f, r := dumpWindows(t, v.pid, Options{Limit: limit})
		if r.Size > limit || r.Soft == 0 {
			t.Errorf("limit %d: %+v", limit, r)
		}
		if ths, err := f.Threads(); err != nil || len(ths) < 20 {
			t.Errorf("limit %d: %d threads, %v", limit, len(ths), err)
		}
	}
	if _, err := NewWriter(v.pid, Options{Limit: 1000}); err != nil {
		t.Fatal(err)
	}
}

func TestDumpSanitized(t *testing.T) {
	v := startTarget(t, 2)
	f, _ := dumpWindows(t, v.pid, Options{SanitizeStacks: true, SanitizeAll: true, Omit: OmitHandles, AppMemory: []AppMemory{{v.secret, 24}}})
	b := make([]byte, 24)
	if n, _ := f.ReadMemory(v.secret, b); n != len(b) || bytes.Contains(b, []byte("secret")) {
		t.Errorf("%q", b[:n])
	}
	if _, err := f.Stream(stream.HandleDataStream); err == nil {
		t.Error("handles are there")
	}
}

func TestNoSuchProcess(t *testing.T) {
	if _, err := NewWriter(0x7ffffff0, Options{}); !errors.Is(err, ErrNoProcess) {
		t.Error(err)
	}
	v := startTarget(t, 1)
	w, err := NewWriter(v.pid, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if pid, name := w.Process(); pid != v.pid || !strings.HasSuffix(name, ".exe") {
		t.Errorf("%d %q", pid, name)
	}
	if !w.IsGo() {
		t.Error("a Go program is not taken for one")
	}
	v.end(t)
	if _, err := w.Dump(io.Discard); !errors.Is(err, ErrNoProcess) {
		t.Error(err)
	}
}

// TestWindowsNoAllocations checks that a dump allocates nothing from the Go heap.
func TestWindowsNoAllocations(t *testing.T) {
	v := startTarget(t, 20)
	runs := 5
	if testing.Short() {
		runs = 1
	}
	for _, o := range []Options{{}, {Mode: ModeIndirect, SanitizeStacks: true}, {Limit: 100 << 10}, {Tokens: true}} {
		w, err := NewWriter(v.pid, o)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if n := testing.AllocsPerRun(runs, func() {
			if _, err := w.Dump(io.Discard); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%+v: %v allocations", o, n)
		}
	}
}

// TestDumpCrashContext checks that a crash with only a code becomes the exception of the dump, and that bad exception pointers
// are an error.
func TestDumpCrashContext(t *testing.T) {
	v := startTarget(t, 2)
	w, err := NewWriter(v.pid, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	f, _ := dumpWindows(t, v.pid, Options{})
	ths, _ := f.Threads()
	tid := ths[1].ThreadID
	c, err := w.ReadCrash(CrashContext{ExceptionCode: 0xc0000005, ProcessID: v.pid, ThreadID: int(tid)})
	if err != nil {
		t.Fatal(err)
	}
	w.SetCrash(c)
	var b bytes.Buffer
	if _, err := w.Dump(&b); err != nil {
		t.Fatal(err)
	}
	x, err := opened(t, b.Bytes()).Exception()
	if err != nil || x.Code != 0xc0000005 || x.ThreadID != tid || x.Context.DataSize == 0 || x.Address == 0 {
		t.Errorf("%+v %v", x, err)
	}
	if c, err := w.ReadCrash(CrashContext{ExceptionPointers: 0x10, ExceptionCode: 5}); err == nil || c == nil || c.Signo != 5 {
		t.Errorf("%+v %v", c, err)
	}
}

func TestDumpSelfWindows(t *testing.T) {
	for i := range 3 {
		var b bytes.Buffer
		r, err := DumpSelf(&b, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range r.SoftErrors() {
			t.Error(e.Error())
		}
		f := opened(t, b.Bytes())
		x, err := f.Exception()
		if err != nil || x.Code != statusNoncontinuable || x.Context.DataSize == 0 {
			t.Fatalf("%d: %+v %v", i, x, err)
		}
		checkOwnStack(t, f, x)
	}
}

// checkOwnStack checks that the stack of the dumping thread leads back to this test.
func checkOwnStack(t *testing.T, f *stream.File, x stream.Exception) {
	t.Helper()
	rec, err := f.Context(x.Context)
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := context.Decode(archOf(t), rec, f.Order)
	if err != nil {
		t.Fatal(err)
	}
	if fn := runtime.FuncForPC(uintptr(cpu.PC)); fn == nil || !strings.Contains(fn.Name(), "internal/windows") {
		t.Errorf("PC %#x is in %v", cpu.PC, fn)
	}
	stack := make([]byte, 32<<10)
	n, _ := f.ReadMemory(cpu.SP, stack)
	word := int(unsafe.Sizeof(uintptr(0)))
	for b := stack[:n]; len(b) >= word; b = b[word:] {
		v := uint64(f.Order.Uint32(b))
		if word == 8 {
			v = f.Order.Uint64(b)
		}
		if fn := runtime.FuncForPC(uintptr(v)); fn != nil && strings.HasSuffix(fn.Name(), "."+t.Name()) {
			return
		}
	}
	t.Errorf("none of %d bytes of stack leads back to the test", n)
}

func archOf(t *testing.T) context.Arch {
	switch runtime.GOARCH {
	case "amd64":
		return context.AMD64
	case "386":
		return context.X86
	case "arm64":
		return context.ARM64
	}
	t.Fatal(runtime.GOARCH)
	return 0
}

// TestDumpBySystem dumps a process with the system's writer and with this package's. The annotations must be at the right place,
// and the system's writer must take more time.
func TestDumpBySystem(t *testing.T) {
	v := startTarget(t, 20)
	path := filepath.Join(os.TempDir(), fmt.Sprintf("system.%d.dmp", os.Getpid()))
	defer os.Remove(path)
	start := time.Now()
	size, err := DumpBySystem(v.pid, path, SystemOptions{
		Annotations: []Annotation{{"channel", "beta"}, {"ü", ""}}, UserStreams: []UserStream{{Type: 0x12340002, Data: []byte("note")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	system := time.Since(start)
	b, err := os.ReadFile(path)
	if err != nil || int64(len(b)) != size {
		t.Fatalf("%d bytes, %d said, %v", len(b), size, err)
	}
	f, err := stream.Open(bytes.NewReader(b), size)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.CrashpadInfo()
	if err != nil || len(info.Annotations) != 2 || info.Annotations[0] != (stream.Annotation{Key: "channel", Value: "beta"}) ||
		info.Annotations[1] != (stream.Annotation{Key: "ü"}) {
		t.Errorf("%+v %v", info, err)
	}
	if note, err := f.Stream(0x12340002); err != nil || string(note) != "note" {
		t.Errorf("%q %v", note, err)
	}
	start = time.Now()
	own, r := dumpWindows(t, v.pid, Options{})
	mine := time.Since(start)
	t.Logf("system's %v, %d bytes; own %v, %d bytes", system, size, mine, r.Size)
	if mine > system/3 {
		t.Error("the own writer is not under a third of the system's time")
	}
	// On amd64 Wine's library stores the memory that stacks point to, elsewhere it finds almost no pointers. Our dump is then larger
	// because of streams that Wine's lacks, and the head of each TEB.
	if runtime.GOARCH == "amd64" && r.Size > uint64(size) {
		t.Error("the own writer's dump is larger")
	}
	// Both must have the same threads and modules.
	a, _ := f.Threads()
	c, _ := own.Threads()
	am, _ := f.Modules()
	cm, _ := own.Modules()
	if len(a) != len(c) || len(am) != len(cm) {
		t.Errorf("%d threads and %d modules by the system, %d and %d by us", len(a), len(am), len(c), len(cm))
	}
	const below = 128 // what we take below a stack pointer
	if theirs, ours := essentials(f), essentials(own); ours > theirs+below*len(c) {
		t.Errorf("threads, stacks and modules are %d bytes by the system, %d by us", theirs, ours)
	}
	for i := range min(len(am), len(cm)) {
		if am[i].BaseOfImage != cm[i].BaseOfImage || am[i].SizeOfImage != cm[i].SizeOfImage {
			t.Errorf("module %d: %+v by the system, %+v by us", i, am[i], cm[i])
		}
	}
}

// essentials returns the bytes of threads, their registers and stacks, and of modules in a dump, which all writers store.
func essentials(f *stream.File) (size int) {
	threads, _ := f.Threads()
	for _, t := range threads {
		size += stream.ThreadSize + int(t.Context.DataSize) + int(t.Stack.Memory.DataSize)
	}
	modules, _ := f.Modules()
	for _, m := range modules {
		size += stream.ModuleSize + 2*len(m.Name)
	}
	return size
}
