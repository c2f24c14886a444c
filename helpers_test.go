//go:build linux

package minidump

import (
	"bytes"
	stdelf "debug/elf"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
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
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/context"
	_ "minidump/context/insn" // decodes the faulting instructions of crashes, in all tests
	"minidump/internal/corefile/coretest"
	"minidump/internal/victims"
	"minidump/stream"
)

// dump writes one dump of pid and decodes it. Any fault that the decoder finds fails the test.
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

// checkStacks checks that every thread's stack is in the dump, contains the thread's SP, and is no longer than limit.
func checkStacks(t testing.TB, f *stream.File, limit uint32) {
	t.Helper()
	threads, _ := f.Threads()
	regs := coretest.CPUs(t, f)
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

// fileBuildID reads a build id with debug/elf of the standard library.
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

// Run programs of other projects.
var tool, output = victims.Tool, victims.Output

func openDump(path string) (*stream.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return stream.OpenFile(file)
}

// dumpFile is dump, and also writes the dump to a file for other readers.
func dumpFile(t testing.TB, pid int, o Options) (string, *stream.File, Result) {
	t.Helper()
	w, err := NewWriter(pid, patient(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	path := filepath.Join(t.TempDir(), "x.dmp")
	r, err := w.DumpFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := openDump(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	for _, e := range r.SoftErrors() {
		t.Logf("soft error: %v", &e)
	}
	return path, f, r
}

// startCrasher starts a crasher of the given kind, which has crashed and waits in its signal handler when
// startCrasher returns.
func startCrasher(t testing.TB, path string, args ...string) (v *victims.Proc, files string, tid int32) {
	t.Helper()
	files = filepath.Join(t.TempDir(), "crash")
	v = victims.Start(t, path, append([]string{"--handler", files}, args...)...)
	var pid int
	if _, err := fmt.Sscanf(v.Line(t), "crashed %d %d", &pid, &tid); err != nil || pid != v.PID {
		t.Fatalf("crashed in %d, not %d: %v", pid, v.PID, err)
	}
	return v, files, tid
}

// linuxCrash returns the crash that the crasher's signal handler wrote to files.
func linuxCrash(t testing.TB, pid int, tid int32, files string) *context.Crash {
	t.Helper()
	read := func(suffix string) []byte {
		b, err := os.ReadFile(files + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return b
	}
	c, err := context.CrashFromLinux(context.Native, hostOrder(), int32(pid), tid, read(".siginfo"), read(".ucontext"), read(".fpregs"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func hostOrder() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// report is the part of minidump-stackwalk's JSON that the tests use.
type report struct {
	Status    string
	PID       int
	CrashInfo struct {
		Type           string
		Address        string
		CrashingThread *int `json:"crashing_thread"` // index
	} `json:"crash_info"`
	MainModule  int `json:"main_module"`
	ThreadCount int `json:"thread_count"`
	Modules     []struct {
		Filename    string
		DebugID     string `json:"debug_id"`
		CodeID      string `json:"code_id"`
		LoadSymbols bool   `json:"loaded_symbols"`
	}
	SystemInfo struct {
		OS       string
		OSVer    string `json:"os_ver"`
		CPUArch  string `json:"cpu_arch"`
		CPUInfo  string `json:"cpu_info"`
		CPUCount int    `json:"cpu_count"`
	} `json:"system_info"`
	Threads []struct {
		ID     int    `json:"thread_id"`
		Name   string `json:"thread_name"`
		Frames []struct {
			Function, File, Module, Trust string
			Line                          int
		}
	}
}

// stackwalk reads a dump with minidump-stackwalk and the symbols of the programs.
func stackwalk(t testing.TB, dmp string, programs ...string) *report {
	t.Helper()
	walker := tool(t, "minidump-stackwalk")
	args := []string{"--json"}
	if len(programs) > 0 {
		syms := t.TempDir()
		for _, p := range programs {
			output(t, tool(t, "dump_syms"), "--inlines", "-s", syms, p)
		}
		args = append(args, "--symbols-path", syms)
	}
	var r report
	out := output(t, walker, append(args, dmp)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if t.Failed() {
		t.Log(out)
	}
	return &r
}

// functions returns the names of the functions of a thread's frames, innermost first.
func (r *report) functions(thread int) (names []string) {
	for _, f := range r.Threads[thread].Frames {
		names = append(names, f.Function)
	}
	return names
}

func readText(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// commNames returns the kernel's names of a process's threads.
func commNames(t testing.TB, pid int) map[int]string {
	t.Helper()
	names := map[int]string{}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", pid))
	for _, file := range files {
		var tid int
		fmt.Sscanf(file, fmt.Sprintf("/proc/%d/task/%%d/comm", pid), &tid)
		names[tid] = strings.TrimSuffix(readText(t, file), "\n")
	}
	return names
}

// sourceLine returns the number of the line of a C victim's source that contains text.
func sourceLine(t testing.TB, source, text string) int {
	t.Helper()
	b := readText(t, filepath.Join("internal/victims/c", source))
	for i, line := range strings.Split(b, "\n") {
		if strings.Contains(line, text) {
			return i + 1
		}
	}
	t.Fatalf("%s has no %q", source, text)
	return 0
}

// memoryOf reads the memory of a process through /proc/PID/mem.
func memoryOf(t testing.TB, pid int, addr uint64, n int) []byte {
	t.Helper()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	b := make([]byte, n)
	k, _ := mem.ReadAt(b, int64(addr))
	return b[:k]
}

// compile builds a program or a shared object from C text with gcc.
func compile(t testing.TB, text, out string, flags ...string) string {
	t.Helper()
	if runtime.GOARCH == "386" {
		t.Skip("an amd64 machine has no dynamic loader for 386")
	}
	cmd := exec.Command(tool(t, "gcc"), append(append([]string{"-O1", "-g", "-x", "c", "-"}, flags...), "-o", out)...)
	cmd.Stdin = strings.NewReader(text)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, b)
	}
	return out
}

// library returns the C text of a shared object, whose code differs with n.
func library(n int) string {
	return fmt.Sprintf("int function(int a) { return a + %d; }\nint variable = %d;\n", n, n)
}

// fileID returns the identity of an ELF file, its build id or the XOR of the first page of its code, without code of
// this module.
func fileID(t testing.TB, path string) string {
	t.Helper()
	if id := fileBuildID(t, path); id != "" {
		return id
	}
	f, err := stdelf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := f.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	var sum [16]byte
	for i, c := range text[:min(len(text), 4096)] {
		sum[i%16] ^= c
	}
	return hex.EncodeToString(sum[:])
}

func copyTo(t testing.TB, to, from string) string {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	syscall.ForkLock.RLock() // no child may inherit the descriptor: ETXTBSY
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// modulesNamed returns the modules whose name ends with end.
func modulesNamed(t testing.TB, f *stream.File, end string) (found []stream.ModuleInfo) {
	t.Helper()
	mods, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mods {
		if strings.HasSuffix(m.Name, end) {
			found = append(found, m)
		}
	}
	return found
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

// odd starts the program of internal/victims/c/odd.c.
func odd(t testing.TB, args ...string) *victims.Proc {
	t.Helper()
	return victims.Start(t, victims.C(t, "odd.c"), args...)
}

// childOf finds the one child of a process.
func childOf(t testing.TB, parent int) int {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		b, _ := os.ReadFile(file)
		after := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(after) > 1 && after[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return pid
		}
	}
	t.Fatalf("pid %d has no child", parent)
	return 0
}

// waitStatus waits until a line of /proc/PID/status is as wanted.
func waitStatus(t testing.TB, pid int, line string, want func(value string) bool) {
	t.Helper()
	for range 1000 {
		for l := range strings.Lines(readText(t, fmt.Sprintf("/proc/%d/status", pid))) {
			if name, value, _ := strings.Cut(l, ":"); name == line && want(strings.TrimSpace(value)) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("pid %d: %s never was as wanted", pid, line)
}

// kernelCore makes a program that waits for a byte crash, and returns the core file that the kernel wrote.
func kernelCore(t testing.TB, program string, args ...string) (core string, pid int) {
	t.Helper()
	defer victims.CorePattern(t, true)()
	return coreByPattern(t, program, args...)
}

// needCoreFiles skips a test unless the kernel writes core files into the folder of a process.
func needCoreFiles(t testing.TB) {
	t.Helper()
	pattern, err := os.ReadFile(victims.CorePatternFile)
	if p := strings.TrimSpace(string(pattern)); err != nil || p == "" || strings.ContainsAny(p[:1], "|/@") {
		t.Skipf("core_pattern is %q: no core file would be written to the folder of the test", p)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err == nil && limit.Max == 0 {
		t.Skip("no core file may be written here")
	}
}

// coreByPattern is kernelCore for a test that has already set core_pattern.
func coreByPattern(t testing.TB, program string, args ...string) (core string, pid int) {
	t.Helper()
	needCoreFiles(t)
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

// coreDump dumps a core file, to a file for other readers, and checks what is true of every such dump.
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
	cpus := coretest.CPUs(t, f)
	for i, th := range want {
		c := cpus[th.tid]
		if e, err := f.Exception(); err == nil && c != nil && e.ThreadID == th.tid && c.SP != th.sp {
			// The thread died in a signal handler on another stack, as a Go program with GOTRACEBACK=crash does: the registers are
			// those that the signal interrupted. The dump also has the handler's stack.
			if n, _ := f.ReadMemory(th.sp, make([]byte, 64)); n != 64 {
				t.Errorf("thread %d: SP %#x is that of the interrupted code, and of the handler's stack at %#x there are %d bytes", th.tid, c.SP, th.sp, n)
			}
			continue
		}
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

// gdbBacktrace returns the functions of the crashed thread's frames.
func gdbBacktrace(t testing.TB, program, core string) (names []string) {
	t.Helper()
	out := output(t, tool(t, "gdb"), "-nx", "-batch", "-ex", "echo \\n====\\n", "-ex", "bt", program, core)
	_, out, _ = strings.Cut(out, "\n====\n") // gdb has already shown the first frame
	for _, m := range regexp.MustCompile(`(?m)^#\d+ +(?:0x[0-9a-f]+ in )?(\S+) \(`).FindAllStringSubmatch(out, -1) {
		names = append(names, m[1])
	}
	return names
}

// quietDump is dumpWith without a log line for each soft error.
func quietDump(t *testing.T, w *Writer) (*stream.File, Result) {
	t.Helper()
	var b bytes.Buffer
	r, err := w.Dump(&b)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	return f, r
}
