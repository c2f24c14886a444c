package minidump

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/corefile/coretest"
	"minidump/internal/victims"
	"minidump/stream"
)

// overflowing is a Rust program that overflows its stack. Its runtime catches the fault on an alternate stack, reports it
// and aborts.
const overflowing = `
#[inline(never)]
fn descend(n: u64) -> u64 {
    let mut pad = [n; 64];
    std::hint::black_box(&mut pad);
    descend(n + 1) + pad[(n % 64) as usize]
}

fn main() {
    println!("{}", descend(1));
}
`

// reading is a Python program that reads address 0 in C code, while the interpreter's handler is installed.
const reading = "import ctypes, faulthandler; faulthandler.enable(); ctypes.string_at(0)"

// A handled is a program whose runtime catches its own crash and then dies of it.
type handled struct {
	name    string
	argv    func(t *testing.T) []string
	env     string
	frames  []string // functions on the crashed stack, innermost first, perhaps with others between them
	inLibc  bool     // the crash is in a library, for which the test has no symbols
	any     bool     // the address of the fault differs from run to run; otherwise it is near 0
	returns bool     // the handler returns, into code that reports the crash and aborts: only run sees the fault itself
}

func handledPrograms() []handled {
	return []handled{
		{name: "Rust", frames: []string{"descend", "descend", "descend"}, any: true, argv: func(t *testing.T) []string {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "overflow.rs"), []byte(overflowing), 0o644); err != nil {
				t.Fatal(err)
			}
			program := filepath.Join(dir, "overflow")
			output(t, tool(t, "rustc"), "-g", "-C", "force-frame-pointers=yes", "-o", program, filepath.Join(dir, "overflow.rs"))
			return []string{program}
		}},
		{name: "Python", inLibc: true, argv: func(t *testing.T) []string {
			python := tool(t, "python3")
			// python3 may be a script or a link; sys.executable is the program itself.
			return []string{strings.TrimSpace(output(t, python, "-c", "import sys; print(sys.executable)")), "-c", reading}
		}},
		{name: "Go", env: "GOTRACEBACK=crash", returns: true, frames: []string{"main.level3", "main.level1", "main.main"},
			argv: func(t *testing.T) []string { return []string{victims.Go(t, "gocrash"), "nil"} }},
	}
}

// check checks that a dump is about the crash, not about what the handler did.
func (h *handled) check(t *testing.T, way, dmp, program string) {
	t.Helper()
	f, err := openDump(dmp)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	e, err := f.Exception()
	want := uint32(unix.SIGSEGV)
	if h.returns && way == "live" {
		want = DumpRequested
	} else if h.returns && way != "run" {
		want = uint32(unix.SIGABRT)
	}
	if err != nil || e.Code != want || !h.any && want == uint32(unix.SIGSEGV) && e.Address > 4096 {
		t.Fatalf("exception %+v, want code %d: %v", e, want, err)
	}
	threads, _ := f.Threads()
	for _, th := range threads {
		if th.Context.DataSize == 0 {
			t.Errorf("thread %d has no context", th.ThreadID)
		}
	}
	c := coretest.CPUs(t, f)[e.ThreadID]
	if c == nil {
		t.Fatal("no registers")
	}
	if h.inLibc {
		if at := offsetInModule(f, c.PC); !strings.HasPrefix(at, "libc.so.6+") {
			t.Errorf("the crash is at %s", at)
		}
	}
	if h.returns && way == "live" {
		// While Go reports the crash, the thread is not on the goroutine's stack: the list of goroutines has its frames.
		l, err := f.Goroutines()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, g := range l.Goroutines {
			for _, call := range g.Frames {
				names = append(names, call.Function)
			}
		}
		h.inOrder(t, "the list of goroutines", names)
		return
	}
	if _, err := exec.LookPath("minidump-stackwalk"); err == nil {
		i := slices.IndexFunc(threads, func(th stream.Thread) bool { return th.ThreadID == e.ThreadID })
		if h.inLibc {
			r := stackwalk(t, dmp)
			if len(r.Threads[i].Frames) < 3 {
				t.Errorf("minidump-stackwalk has %d frames", len(r.Threads[i].Frames))
			}
		} else {
			h.inOrder(t, "minidump-stackwalk", stackwalk(t, dmp, program).functions(i))
		}
	}
	if !h.inLibc {
		out := output(t, tool(t, "lldb"), "-b", "--no-lldbinit", "--script-language", "none", "-c", dmp, program, "-o", "bt 20")
		h.inOrder(t, "lldb", strings.Fields(out))
	}
}

// inOrder checks that names contains the functions of h.frames in their order.
func (h *handled) inOrder(t *testing.T, reader string, names []string) {
	t.Helper()
	k := 0
	for _, name := range names {
		if k < len(h.frames) && strings.Contains(name, h.frames[k]) {
			k++
		}
	}
	if k < len(h.frames) {
		t.Errorf("%s shows %q, not %q", reader, names[:min(len(names), 40)], h.frames[k:])
	}
}

// command returns the command of the program, with its environment.
func (h *handled) command(argv []string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	if cmd.Env = os.Environ(); h.env != "" {
		cmd.Env = append(cmd.Env, h.env)
	}
	return cmd
}

// blocked starts the program with a full pipe as standard error, so that its first thread blocks while it reports the crash.
// If Go's scheduler has moved the crashing code to another thread, blocked starts the program again.
func (h *handled) blocked(t *testing.T, argv []string) (pid int) {
	t.Helper()
	for range 20 {
		if pid = h.blockedOnce(t, argv); pid != 0 {
			return pid
		}
	}
	t.Fatal("the report is always another thread's")
	return 0
}

// blockedOnce returns 0 if a thread other than the first reports the crash.
func (h *handled) blockedOnce(t *testing.T, argv []string) (pid int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	t.Cleanup(func() { r.Close() })
	fd := int(w.Fd())
	unix.SetNonblock(fd, true)
	for _, size := range []int{4096, 1} {
		for pad := make([]byte, size); ; {
			if _, err := unix.Write(fd, pad); err != nil {
				break
			}
		}
	}
	unix.SetNonblock(fd, false)
	cmd := h.command(argv)
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", cmd.Process.Pid))
		for _, name := range list {
			b, _ := os.ReadFile(name)
			if !strings.HasPrefix(string(b), fmt.Sprintf("%d 0x2 ", unix.SYS_WRITE)) {
				continue
			}
			if filepath.Base(filepath.Dir(name)) != fmt.Sprint(cmd.Process.Pid) {
				return 0
			}
			return cmd.Process.Pid
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not in its report")
		}
	}
}

// TestHandlersOfOthers crashes programs whose runtimes catch the crash themselves, on another stack, and dumps them in all
// ways: the dump is about the crash.
func TestHandlersOfOthers(t *testing.T) {
	victims.SkipEmulated(t, "it has neither rustc nor python3")
	if runtime.GOARCH == "386" {
		t.Skip("rustc makes 64-bit programs and python3 is one, which a 32-bit program can't dump")
	}
	command := theCommand(t)
	for _, h := range handledPrograms() {
		t.Run(h.name, func(t *testing.T) {
			argv := h.argv(t)
			t.Run("live", func(t *testing.T) {
				pid := h.blocked(t, argv)
				dmp := filepath.Join(t.TempDir(), "live.dmp")
				output(t, command, "dump", "-o", dmp, fmt.Sprint(pid))
				h.check(t, "live", dmp, argv[0])
			})
			t.Run("run", func(t *testing.T) {
				dmp := filepath.Join(t.TempDir(), "run.dmp")
				cmd := h.command(append([]string{command, "run", "-o", dmp, "--"}, argv...))
				if out, err := cmd.CombinedOutput(); err == nil {
					t.Fatalf("it did not die: %s", out)
				}
				h.check(t, "run", dmp, argv[0])
			})
			t.Run("core", func(t *testing.T) {
				defer victims.CorePattern(t, true)()
				dir := t.TempDir()
				cmd := h.command(argv)
				cmd.Dir = dir
				core := coreOf(t, cmd)
				dmp := filepath.Join(dir, "core.dmp")
				output(t, command, "core", "-o", dmp, core)
				h.check(t, "core", dmp, argv[0])
			})
			t.Run("pipe", func(t *testing.T) {
				defer victims.CorePattern(t, false)()
				dir := lastingDir(t)
				victims.SetCorePattern(t, "|"+command+" core --pid=%P --thread=%I -o "+dir+"/%e.%P.dmp -")
				h.check(t, "pipe", h.dumped(t, argv, dir), argv[0])
			})
			t.Run("socket", func(t *testing.T) {
				newerThan(t, 6, 16)
				defer victims.CorePattern(t, false)()
				dir := lastingDir(t)
				startCoredumpServer(t, command, dir, dir+"/socket")
				victims.SetCorePattern(t, "@@"+dir+"/socket")
				h.check(t, "socket", h.dumped(t, argv, dir), argv[0])
			})
		})
	}
}

// dumped runs the program, which dies, and returns its dump, which is written to dir.
func (h *handled) dumped(t *testing.T, argv []string, dir string) string {
	t.Helper()
	cmd := h.command(argv)
	if err := cmd.Run(); err == nil {
		t.Fatal("it did not die")
	}
	dmp, _ := dumpOf(t, dir, cmd.Process.Pid)
	return dmp
}

// coreOf runs a command that leaves a core file in its folder, and returns the file's path.
func coreOf(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	needCoreFiles(t)
	shell := exec.Command("sh", append([]string{"-c", `ulimit -c unlimited; exec "$@"`, "sh"}, cmd.Args...)...)
	shell.Dir, shell.Env = cmd.Dir, cmd.Env
	if out, err := shell.CombinedOutput(); err == nil {
		t.Fatalf("it did not die: %s", out)
	}
	cores, _ := filepath.Glob(filepath.Join(cmd.Dir, "core*"))
	if len(cores) != 1 {
		t.Fatalf("core files %q", cores)
	}
	return cores[0]
}
