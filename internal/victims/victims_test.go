//go:build linux

package victims

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// noCores prevents crashes of this test binary's children from leaving core files.
func noCores(t *testing.T) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Setrlimit(syscall.RLIMIT_CORE, &limit) })
}

func threadNames(t *testing.T, pid int) []string {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", pid))
	var names []string
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimSpace(string(b)))
	}
	slices.Sort(names)
	return names
}

func TestIdleVictimHasNamedThreads(t *testing.T) {
	p := Start(t, C(t, "victim.c"), "idle", "4")
	want := []string{"victim", "worker-0", "worker-1", "worker-2"}
	if got := threadNames(t, p.PID); !slices.Equal(got, want) {
		t.Errorf("threads %q, want %q", got, want)
	}
	if p.PID != p.Cmd.Process.Pid {
		t.Errorf("PID %d, want %d", p.PID, p.Cmd.Process.Pid)
	}
}

func TestStaticMuslVictim(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("musl-gcc builds for amd64")
	}
	p := Start(t, Compile(t, "musl-gcc", "victim.c", "-static"), "idle", "3")
	if got := threadNames(t, p.PID); len(got) != 3 {
		t.Errorf("threads %q, want 3", got)
	}
}

func TestSpinningVictimFeelsAStop(t *testing.T) {
	p := Start(t, C(t, "victim.c"), "idle", "1", "--spin")
	p.Cmd.Process.Signal(syscall.SIGUSR1)
	p.Line(t)
	p.Cmd.Process.Signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.PID, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("did not stop: %v %v", status, err)
	}
	time.Sleep(200 * time.Millisecond)
	p.Cmd.Process.Signal(syscall.SIGCONT)
	p.Cmd.Process.Signal(syscall.SIGUSR1)
	var n int
	var total, longest int64
	if _, err := fmt.Sscanf(p.Line(t), "gaps n=%d total_ns=%d max_ns=%d", &n, &total, &longest); err != nil {
		t.Fatal(err)
	}
	if n < 1 || longest < 200e6 || total < longest {
		t.Errorf("a stop of 200 ms gave n=%d total=%d max=%d", n, total, longest)
	}
}

// crashes lists crasher's kinds and the signals that kill it.
var crashes = []struct {
	kind   string
	signal syscall.Signal
}{
	{"null", syscall.SIGSEGV},
	{"wild", syscall.SIGSEGV},
	{"noncanonical", syscall.SIGSEGV},
	{"exec", syscall.SIGSEGV},
	{"stack", syscall.SIGSEGV},
	{"abort", syscall.SIGABRT},
	{"fpe", syscall.SIGFPE},
	{"ill", syscall.SIGILL},
	{"bus", syscall.SIGBUS},
	{"trap", syscall.SIGTRAP},
	{"sys", syscall.SIGSYS},
}

func TestCrasherDies(t *testing.T) {
	noCores(t)
	crasher := C(t, "crasher.c")
	for _, c := range crashes {
		want := c.signal
		if strings.HasPrefix(runtime.GOARCH, "mips") && c.kind == "noncanonical" {
			want = syscall.SIGBUS
		}
		for _, in := range []string{"main", "thread", "child"} {
			t.Run(c.kind+"/"+in, func(t *testing.T) {
				p := Start(t, crasher, "--in", in, "--wait", c.kind)
				p.Go(t)
				if status := p.Wait(t); !status.Signaled() || status.Signal() != want {
					t.Errorf("ended with %#x, want %v", status, want)
				}
			})
		}
	}
	p := Start(t, crasher, "none")
	if status := p.Wait(t); !status.Exited() || status.ExitStatus() != 0 {
		t.Errorf("none: ended with %#x, want exit status 0", status)
	}
}

func TestCrasherHandlesItsSignal(t *testing.T) {
	crasher := C(t, "crasher.c")
	for _, c := range crashes {
		want := c.signal
		if strings.HasPrefix(runtime.GOARCH, "mips") && c.kind == "noncanonical" {
			want = syscall.SIGBUS
		}
		t.Run(c.kind, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "crash")
			p := Start(t, crasher, "--in", "thread", "--threads", "1", "--handler", file, c.kind)
			var pid, tid int
			if _, err := fmt.Sscanf(p.Line(t), "crashed %d %d", &pid, &tid); err != nil {
				t.Fatal(err)
			}
			if pid != p.PID || tid == pid {
				t.Errorf("crashed in %d %d, want a thread of %d", pid, tid, p.PID)
			}
			info, err := os.ReadFile(file + ".siginfo")
			if err != nil || len(info) != 128 {
				t.Fatalf("siginfo of %d bytes: %v", len(info), err)
			}
			if signal := syscall.Signal(binary.NativeEndian.Uint32(info)); signal != want {
				t.Errorf("si_signo %v, want %v", signal, want)
			}
			if runtime.GOARCH == "amd64" {
				checkContext(t, file, want, pid, tid)
			}
			want := []string{"crash-thread", "crasher", "worker-0"}
			names := threadNames(t, pid)
			for range 200 { // a thread sets its name when it runs
				if slices.Equal(names, want) {
					break
				}
				time.Sleep(10 * time.Millisecond)
				names = threadNames(t, pid)
			}
			if !slices.Equal(names, want) {
				t.Errorf("threads %q, want %q", names, want)
			}
			p.Stdin.Close()
			if status := p.Wait(t); status.ExitStatus() != 3 {
				t.Errorf("ended with %#x, want exit status 3", status)
			}
		})
	}
}

// checkContext compares the file in the layout of CrashContext with the raw structures.
func checkContext(t *testing.T, file string, signal syscall.Signal, pid, tid int) {
	t.Helper()
	context, err := os.ReadFile(file + ".context")
	if err != nil || len(context) != 1616 {
		t.Fatalf("context of %d bytes: %v", len(context), err)
	}
	ucontext, err := os.ReadFile(file + ".ucontext")
	if err != nil || !bytes.HasPrefix(context, ucontext) {
		t.Errorf("ucontext of %d bytes is not the start of the context: %v", len(ucontext), err)
	}
	fpregs, err := os.ReadFile(file + ".fpregs")
	if err != nil || !bytes.Equal(context[968:968+512], fpregs) {
		t.Errorf("fpregs of %d bytes are not in the context: %v", len(fpregs), err)
	}
	if got := syscall.Signal(binary.LittleEndian.Uint32(context[1480:])); got != signal {
		t.Errorf("ssi_signo %v, want %v", got, signal)
	}
	gotPID, gotTID := binary.LittleEndian.Uint32(context[1608:]), binary.LittleEndian.Uint32(context[1612:])
	if int(gotPID) != pid || int(gotTID) != tid {
		t.Errorf("context of %d %d, want %d %d", gotPID, gotTID, pid, tid)
	}
}

func TestGoVictims(t *testing.T) {
	noCores(t)
	gocrash := Go(t, "gocrash")
	for _, c := range []struct {
		kind      string
		traceback string
		exit      int // exit status, or -1 for SIGABRT
	}{
		{"nil", "single", 2},
		{"nil", "crash", -1},
		{"goroutine", "single", 2},
		{"goroutine", "crash", -1},
		{"panic", "single", 2},
		{"recovered", "single", 0},
		{"exit", "single", 3},
	} {
		t.Run(c.kind+"/"+c.traceback, func(t *testing.T) {
			var stderr bytes.Buffer
			cmd := exec.Command(gocrash, c.kind)
			cmd.Env = append(os.Environ(), "GOTRACEBACK="+c.traceback)
			cmd.Stderr = &stderr
			p := StartCmd(t, cmd)
			if c.kind == "recovered" {
				if line := p.Line(t); line != "recovered 1000" {
					t.Errorf("printed %q", line)
				}
			}
			status := p.Wait(t)
			if c.exit == -1 && status.Signal() != syscall.SIGABRT || c.exit >= 0 && status.ExitStatus() != c.exit {
				t.Errorf("ended with %#x, want %d\n%s", status, c.exit, &stderr)
			}
		})
	}
	for name, args := range map[string][]string{"gosleep": {"10"}, "gocrowd": {"2", "2"}} {
		p := Start(t, Go(t, name), args...)
		if !p.Alive() {
			t.Errorf("%s ended", name)
		}
	}
}

func TestGoVictimWithCgo(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		missing(t, "gcc")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("gcc builds for amd64")
	}
	program := Go(t, "gosleep", "CGO_ENABLED=1")
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if libs, _ := f.ImportedLibraries(); !slices.Contains(libs, "libc.so.6") {
		t.Errorf("libraries %q, want libc.so.6 among them", libs)
	}
	Start(t, program, "1")
}

func TestLibsDiffer(t *testing.T) {
	if prebuilt != "" || runtime.GOARCH != "amd64" {
		t.Skip("gcc builds for amd64")
	}
	dir := Libs(t, 3)
	seen := map[string]bool{}
	for i := range 3 {
		f, err := elf.Open(filepath.Join(dir, fmt.Sprintf("lib%04d.so", i)))
		if err != nil {
			t.Fatal(err)
		}
		id, err := f.Section(".note.gnu.build-id").Data()
		if err != nil || len(id) != 36 {
			t.Errorf("build id note of %d bytes: %v", len(id), err)
		}
		seen[string(id)] = true
		name, err := f.DynString(elf.DT_SONAME)
		if want := fmt.Sprintf("lib%04d.so", i); err != nil || len(name) != 1 || name[0] != want {
			t.Errorf("SONAME %q, want %q", name, want)
		}
		f.Close()
	}
	if len(seen) != 3 {
		t.Errorf("%d distinct build ids, want 3", len(seen))
	}
	p := Start(t, C(t, "victim.c"), "maps", "3", dir)
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.PID))
	if err != nil || !bytes.Contains(maps, []byte("/lib0002.so\n")) {
		t.Errorf("lib0002.so is not mapped: %v", err)
	}
}

func TestCrossCompilers(t *testing.T) {
	if prebuilt != "" || runtime.GOARCH != "amd64" {
		t.Skip("the compilers run on amd64")
	}
	machines := map[string]elf.Machine{
		"386": elf.EM_386, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64, "mips64le": elf.EM_MIPS, "mipsle": elf.EM_MIPS,
		"mips64": elf.EM_MIPS, "mips": elf.EM_MIPS, "mips64n32": elf.EM_MIPS, "ppc64": elf.EM_PPC64, "ppc": elf.EM_PPC,
		"ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390, "amd64": elf.EM_X86_64,
	}
	for goarch, machine := range machines {
		t.Run(goarch, func(t *testing.T) {
			f, err := elf.Open(CrossC(t, goarch, "crasher.c"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Machine != machine {
				t.Errorf("%v, want %v", f.Machine, machine)
			}
			for _, segment := range f.Progs {
				if segment.Type == elf.PT_INTERP {
					t.Error("not static")
				}
			}
		})
	}
}

// A victim must not outlive the test process, but must survive the thread that started the test.
func TestVictimOutlivesTheThreadOfItsTest(t *testing.T) {
	path := C(t, "victim.c", "-static")
	started := make(chan *Proc)
	go func() {
		runtime.LockOSThread() // without unlocking: the thread ends with the goroutine
		started <- Start(t, path, "idle", "1")
	}()
	p := <-started
	time.Sleep(200 * time.Millisecond)
	if !p.Alive() {
		t.Errorf("died with %v", p.Cmd.ProcessState)
	}
}
