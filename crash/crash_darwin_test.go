//go:build !ios

package crash

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"minidump/context"
	"minidump/internal/macos/rawthread"
	"minidump/mach"
	"minidump/stream"
)

// victimVariable is the environment variable that makes the test program a victim: what it does, and the folder of
// its dumps.
const victimVariable = "MINIDUMP_CRASH_VICTIM"

func TestMain(m *testing.M) {
	if value, ok := os.LookupEnv(victimVariable); ok {
		if value == "" { // the child of a victim
			panic("a child")
		}
		kind, dir, _ := strings.Cut(value, " ")
		victim(kind, dir)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// emulated is whether the loader of internal/macos runs the program in an emulator, which is many times slower.
var emulated = os.Getenv("MACHORUN_EMULATOR") != ""

func skipEmulated(t *testing.T) {
	t.Helper()
	if emulated {
		t.Skip("a dump takes ten seconds in the emulator, and TestCrashes has some")
	}
}

type table struct{ m map[int]int }

// victim starts a monitor and crashes or ends as kind says.
func victim(kind, dir string) {
	add := func(text string) {
		f, err := os.OpenFile(dir+"/done", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			fmt.Fprintln(f, text)
			f.Close()
		}
	}
	err := Start(Options{
		Dir: dir, Keep: 5, Annotations: map[string]string{"version": "1.2.3"},
		RaiseTraceback: os.Getenv("RAISE") != "",
		OnDump:         func(path string) { add(path) },
		OnEnd:          func(e End) { add("end: " + e.String()) },
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := SetAnnotation("user", "somebody"); err != nil {
		log.Fatal(err)
	}
	if kind == "deadlock" {
		select {}
	}
	for range 3 {
		go func() { select {} }()
	}
	time.Sleep(20 * time.Millisecond)
	signals := map[string]syscall.Signal{"SIGABRT": syscall.SIGABRT, "SIGSEGV": syscall.SIGSEGV, "SIGQUIT": syscall.SIGQUIT,
		"SIGFPE": syscall.SIGFPE, "SIGBUS": syscall.SIGBUS, "SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL}
	if sig := signals[kind]; sig != 0 {
		_ = syscall.Kill(os.Getpid(), sig)
		time.Sleep(time.Minute)
	}
	crashes[kind]()
}

var crashes = map[string]func(){
	"panic":     func() { panic("boom") },
	"goroutine": func() { go func() { panic("boom in a goroutine") }(); select {} },
	"error":     func() { panic(fmt.Errorf("wrapped: %w", errors.New("inner"))) },
	"nil":       func() { var t *table; println(len(t.m)) },
	"address": func() {
		address := uintptr(0xbadbad0)
		println(**(**int)(unsafe.Pointer(&address)))
	},
	"map": func() {
		m := map[int]int{}
		for range 4 {
			go func() {
				for j := 0; ; j++ {
					m[j] = j
				}
			}()
		}
		select {}
	},
	"unlock":    func() { var mu sync.Mutex; mu.Unlock() },
	"stack":     func() { debug.SetMaxStack(1 << 20); println(deep(0)) },
	"raw":       func() { rawthread.Fault(); time.Sleep(time.Minute) },
	"exit":      func() { os.Exit(3) },
	"return":    func() {},
	"recovered": func() { defer func() { _ = recover() }(); var t *table; println(len(t.m)) },
	"resource":  func() { raiseSelf(mach.EXC_RESOURCE, 3<<61, 0) },
	"guard":     func() { raiseSelf(mach.EXC_GUARD, 2<<61|1<<32|7, 0x1234) },
	"dump": func() {
		path, r, err := Dump()
		fmt.Println(path, r.Threads, err)
	},
	"output": func() { // redirects the runtime's reports
		f, err := os.CreateTemp("", "")
		if err == nil {
			err = debug.SetCrashOutput(f, debug.CrashOptions{})
		}
		if err != nil {
			log.Fatal(err)
		}
		time.Sleep(time.Minute)
	},
	"child": func() { // starts another process, which inherits the exception port, and crashes
		exe, _ := os.Executable()
		c := exec.Command(exe)
		c.Env = append(os.Environ(), victimVariable+"=", "GOTRACEBACK=crash")
		fmt.Println(c.Run())
	},
}

//go:noinline
func deep(n int) int {
	if n < 0 {
		return 0
	}
	return deep(n+1) + n
}

// raiseSelf sends a mach_exception_raise request to the task's own handler, and waits for the reply, as the kernel would.
func raiseSelf(kind mach.ExceptionType, code, subcode uint64) {
	runtime.LockOSThread()
	var e mach.ExceptionPorts
	if kr := e.Read(mach.TaskSelf(), kind.Mask()); kr != mach.KERN_SUCCESS || e.N == 0 {
		log.Fatal(kr)
	}
	back := mach.ReplyPort()
	o := binary.LittleEndian
	m := make([]byte, 84)
	h := mach.Header{
		Bits: mach.Bits(mach.MACH_MSG_TYPE_COPY_SEND, mach.MACH_MSG_TYPE_MAKE_SEND_ONCE) | mach.MACH_MSGH_BITS_COMPLEX,
		Size: uint32(len(m)), Remote: e.Ports[0], Local: back, ID: mach.MACH_EXCEPTION_RAISE,
	}
	h.Put(m)
	o.PutUint32(m[24:], 2)
	mach.PutPortDescriptor(m[28:], mach.ThreadSelf(), mach.MACH_MSG_TYPE_COPY_SEND)
	mach.PutPortDescriptor(m[40:], mach.TaskSelf(), mach.MACH_MSG_TYPE_COPY_SEND)
	m[56] = 1 // NDR
	o.PutUint32(m[60:], uint32(kind))
	o.PutUint32(m[64:], 2)
	o.PutUint64(m[68:], code)
	o.PutUint64(m[76:], subcode)
	if kr := mach.Send(m, 1000); kr != mach.KERN_SUCCESS {
		log.Fatal(kr)
	}
	var reply [256]byte
	if kr := mach.Receive(back, reply[:], 0, 60000); kr != mach.KERN_SUCCESS {
		log.Fatal(kr)
	}
	if result := mach.KernReturn(o.Uint32(reply[32:])); result != mach.KERN_FAILURE {
		log.Fatalf("the reply has %v", result)
	}
}

// command returns a victim that has not started.
func command(t *testing.T, dir, kind, traceback string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe)
	c.Env = append(os.Environ(), victimVariable+"="+kind+" "+dir, "GOTRACEBACK="+traceback)
	return c
}

// run starts a victim, and waits until the victim and its monitor have ended. It returns the lines that the monitor's
// hooks wrote.
func run(t *testing.T, kind, traceback string) (done []string, stderr string, status syscall.WaitStatus) {
	t.Helper()
	dir := t.TempDir()
	c := command(t, dir, kind, traceback)
	var errs bytes.Buffer
	c.Stderr = &errs
	_ = c.Run() // until the monitor, which has the same standard error, has ended
	return lines(t, dir), errs.String(), c.ProcessState.Sys().(syscall.WaitStatus)
}

func lines(t *testing.T, dir string) (list []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "done"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// open opens a dump and returns its annotations.
func open(t *testing.T, path string) (*stream.File, map[string]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := stream.OpenFile(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if problems := stream.Problems(d); len(problems) > 0 {
		t.Error(problems)
	}
	notes, err := d.CrashpadInfo()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, a := range notes.Annotations {
		got[a.Key] = a.Value
	}
	return d, got
}

func TestCrashes(t *testing.T) {
	const badAccess, software, noCode = uint32(mach.EXC_BAD_ACCESS), uint32(mach.EXC_SOFTWARE), 0x43507378
	sent := software
	if runtime.GOARCH == "amd64" {
		sent = badAccess // see unknownAddress
	}
	for _, c := range []struct {
		kind, report string // what KeyReport begins with
		code         uint32
		address      uint64
		registers    string
		silent       bool // GOTRACEBACK=none: the runtime reports nothing
	}{
		{"panic", "panic: boom", noCode, 0, "report", false},
		{"goroutine", "panic: boom in a goroutine", noCode, 0, "report", false},
		{"error", "panic: wrapped: inner", noCode, 0, "report", false},
		{"nil", "panic: runtime error: invalid memory address", badAccess, 0, "unwound", false},
		{"address", "fatal error: fault\n[signal SIGSEGV", badAccess, 0xbadbad0, "unwound", false},
		{"map", "fatal error: concurrent map writes", noCode, 0, "report", true},
		{"unlock", "fatal error: sync: unlock of unlocked mutex", noCode, 0, "report", true},
		{"deadlock", "", noCode, 0, "report", true},
		{"stack", "fatal error: stack overflow", noCode, 0, "report", false},
		{"SIGABRT", "SIGABRT: abort", software, 0, "fault", false},
		{"SIGSEGV", "SIGSEGV: segmentation violation", sent, 0, "fault", false},
		{"SIGBUS", "SIGBUS: bus error", software, 0, "fault", false},
		{"SIGFPE", "SIGFPE: floating-point exception", software, 0, "fault", false},
		{"SIGQUIT", "SIGQUIT: quit", software, 0, "fault", false},
	} {
		for _, traceback := range []string{"none", "single", "crash"} {
			if emulated && (traceback != "single" || !slices.Contains([]string{"nil", "SIGSEGV"}, c.kind)) {
				continue // a sample suffices there
			}
			t.Run(c.kind+"/"+traceback, func(t *testing.T) {
				done, stderr, status := run(t, c.kind, traceback)
				if c.silent && traceback == "none" {
					if len(done) != 1 || !strings.HasPrefix(done[0], "end") {
						t.Errorf("%q %s", done, stderr)
					}
					return
				}
				if len(done) != 1 || strings.HasPrefix(done[0], "end") {
					t.Fatalf("%q: %s", done, stderr)
				}
				if aborted := status.Signaled() && status.Signal() == syscall.SIGABRT; aborted != (traceback == "crash") {
					t.Errorf("status %#x", status)
				}
				d, got := open(t, done[0])
				if !strings.HasPrefix(got[KeyReport], c.report) || got["version"] != "1.2.3" || got["user"] != "somebody" ||
					got[KeyRegisters] != c.registers {
					t.Errorf("annotations %q", got)
				}
				e, err := d.Exception()
				if err != nil || e.Code != c.code || c.address != 0 && e.Address != c.address {
					t.Errorf("exception %+v: %v", e, err)
				}
				text, err := d.Stream(TextStream)
				if err != nil || !strings.Contains(string(text), "goroutine") && traceback != "none" {
					t.Errorf("text %q: %v", text, err)
				}
				checkThread(t, d, e)
				checkGoroutines(t, d, c.kind)
			})
		}
	}
}

// checkGoroutines checks that the dump has the goroutines of the victim, with the names of its functions.
func checkGoroutines(t *testing.T, d *stream.File, kind string) {
	t.Helper()
	list, err := d.Goroutines()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	for _, g := range list.Goroutines {
		for _, f := range g.Frames {
			names[f.Function]++
		}
	}
	if kind != "deadlock" && names["minidump/crash.victim.func4"] < 3 && names["minidump/crash.victim"] == 0 {
		t.Errorf("%d goroutines: %v", len(list.Goroutines), names)
	}
}

// checkThread checks that the thread of the exception is one of the dump's, and has the same registers.
func checkThread(t *testing.T, d *stream.File, e stream.Exception) {
	t.Helper()
	threads, err := d.Threads()
	if err != nil {
		t.Fatal(err)
	}
	for i := range threads {
		if threads[i].ThreadID != e.ThreadID {
			continue
		}
		record, err := d.Context(e.Context)
		if err != nil {
			t.Fatal(err)
		}
		arch := map[string]context.Arch{"amd64": context.AMD64, "arm64": context.ARM64}[runtime.GOARCH]
		cpu, err := context.Decode(arch, record, binary.LittleEndian)
		if err != nil || cpu.PC == 0 || cpu.SP == 0 {
			t.Errorf("registers %+v: %v", cpu, err)
		}
		return
	}
	t.Errorf("thread %d of %d", e.ThreadID, len(threads))
}

// TestRawThread faults on a thread unknown to Go's runtime: the monitor gets EXC_CRASH.
func TestRawThread(t *testing.T) {
	done, stderr, status := run(t, "raw", "single")
	if len(done) != 1 || strings.HasPrefix(done[0], "end") {
		t.Fatalf("%q: %s", done, stderr)
	}
	if !status.Signaled() || status.Signal() != syscall.SIGSEGV && status.Signal() != syscall.SIGBUS {
		t.Errorf("status %#x", status)
	}
	d, got := open(t, done[0])
	if got[KeyKind] != "exception" || got[KeyRegisters] != "fault" || got[KeyReport] != "" || got["user"] != "somebody" {
		t.Errorf("annotations %q", got)
	}
	if text, err := d.Stream(TextStream); err != nil || len(text) > 0 {
		t.Errorf("text %q: %v", text, err)
	}
	e, err := d.Exception()
	if err != nil || e.Code != uint32(mach.EXC_BAD_ACCESS) || e.Address != 0x88 || e.Information[0] != uint64(mach.EXC_CRASH) {
		t.Errorf("exception %+v: %v", e, err)
	}
	checkThread(t, d, e)
}

// TestExceptions makes the victim send the exceptions that the kernel raises for limits and guards.
func TestExceptions(t *testing.T) {
	skipEmulated(t)
	// A warning: no dump.
	if done, stderr, _ := run(t, "resource", "single"); len(done) != 1 || done[0] != "end: ended with status 0" && done[0] != unknownEnd {
		t.Errorf("%q: %s", done, stderr)
	}
	done, stderr, _ := run(t, "guard", "single")
	if len(done) != 1 || strings.HasPrefix(done[0], "end") {
		t.Fatalf("%q: %s", done, stderr)
	}
	d, _ := open(t, done[0])
	e, err := d.Exception()
	if err != nil || e.Code != uint32(mach.EXC_GUARD) || e.Information[2] != 0x1234 {
		t.Errorf("exception %+v: %v", e, err)
	}
}

// unknownEnd is the end of a victim that this process reaped before the monitor could read its status.
const unknownEnd = "end: ended in an unknown way"

func TestNoCrash(t *testing.T) {
	skipEmulated(t)
	known := 0
	for kind, want := range map[string]string{"exit": "ended with status 3", "return": "ended with status 0",
		"recovered": "ended with status 0", "SIGTERM": "was killed by signal 15 (terminated)", "SIGKILL": "was killed by signal 9 (killed)"} {
		done, stderr, _ := run(t, kind, "all")
		if len(done) != 1 || done[0] != "end: "+want && done[0] != unknownEnd {
			t.Errorf("%s: %q: %s", kind, done, stderr)
		}
		if len(done) == 1 && done[0] != unknownEnd {
			known++
		}
	}
	t.Logf("%d ends are known", known)
}

// TestEnd reaps the victim only after the monitor has read its status.
func TestEnd(t *testing.T) {
	skipEmulated(t)
	dir := t.TempDir()
	c := command(t, dir, "exit", "all")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if done := lines(t, dir); len(done) > 0 {
			if done[0] != "end: ended with status 3" {
				t.Error(done)
			}
			return
		}
	}
	t.Error("the monitor has not ended")
}

// TestChild makes a child process of the victim crash: the monitor answers its exception, and makes no dump.
func TestChild(t *testing.T) {
	skipEmulated(t)
	dir := t.TempDir()
	c := command(t, dir, "child", "single")
	out, err := c.Output()
	if err != nil || !strings.Contains(string(out), "signal: abort") {
		t.Errorf("%v: %s", err, out)
	}
	if done := lines(t, dir); len(done) != 1 || !strings.HasPrefix(done[0], "end") {
		t.Error(done)
	}
}

func TestDump(t *testing.T) {
	skipEmulated(t)
	c := command(t, t.TempDir(), "dump", "single")
	out, err := c.Output()
	path, rest, _ := strings.Cut(string(out), " ")
	if err != nil || !strings.HasSuffix(rest, "<nil>\n") {
		t.Fatalf("%v: %s", err, out)
	}
	open(t, path)
}

// TestOwnCrashOutput runs a program that calls debug.SetCrashOutput itself: the monitor reports that it no longer watches
// the program.
func TestOwnCrashOutput(t *testing.T) {
	skipEmulated(t)
	dir := t.TempDir()
	c := command(t, dir, "output", "single")
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil || !strings.Contains(line, "is no longer watched") {
		t.Errorf("%q, %v", line, err)
	}
	c.Process.Kill()
	c.Wait()
}

func TestRaiseTraceback(t *testing.T) {
	skipEmulated(t)
	t.Setenv("RAISE", "yes")
	if done, stderr, _ := run(t, "unlock", "none"); len(done) != 1 || strings.HasPrefix(done[0], "end") {
		t.Errorf("%q: %s", done, stderr)
	}
}

func TestCrashOf(t *testing.T) {
	for _, c := range []struct {
		text          string
		signo         mach.ExceptionType
		code, address uint64
	}{
		{"panic: x\n[signal SIGSEGV: segmentation violation code=0x2 addr=0x45 pc=0x47d2c9]\n\ngoroutine 1 [running]:\n", mach.EXC_BAD_ACCESS, 1, 0x45},
		{"SIGBUS: bus error\nPC=0x47d2c9 m=0 sigcode=2 addr=0x45\n", mach.EXC_BAD_ACCESS, 2, 0x45},
		{"SIGABRT: abort\nPC=0x47d2c9 m=12 sigcode=0\n", mach.EXC_SOFTWARE, mach.EXC_UNIX_ABORT, 0},
		{"SIGFPE: floating-point exception\nPC=0x47d2c9 m=0 sigcode=7\n", mach.EXC_ARITHMETIC, 1, 0},
		{"SIGSEGV: segmentation violation\nPC=0x47d2c9 m=0 sigcode=65537 addr=0x45\n", mach.EXC_SOFTWARE, mach.EXC_SOFT_SIGNAL, 0},
	} {
		got := crashOf(c.text, 7)
		if got == nil || got.Signo != int32(c.signo) || got.Code != int32(c.code) || got.Address != c.address || got.TID != 7 {
			t.Errorf("%q: %+v", c.text, got)
		}
	}
	for _, text := range []string{"", "panic: x", "SIGSEGV: segmentation violation\nPC=0x47d2c9 m=0 sigcode=65537 addr=0x45",
		"SIGNONE: x\nPC=0x1 m=0 sigcode=0\n", "SIGABRT: abort\nPC=x m=0 sigcode=0\n"} {
		if c := crashOf(text, 7); c != nil {
			t.Errorf("%q: %+v", text, c)
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add("panic: x\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x45 pc=0x47d2c9]\n\ngoroutine 1 [running]:\n")
	f.Add("SIGBUS: bus error\nPC=0x47d2c9 m=0 sigcode=2 addr=0x45\n")
	f.Fuzz(func(t *testing.T, text string) { causeOf(text, 1) })
}
