package hook

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"minidump/context"
	"minidump/internal/victims"
	"minidump/internal/windows"
)

// TestMain also runs the process that crashes: MINIDUMP_VICTIM is then set to the scenario and the handles.
func TestMain(m *testing.M) {
	if v := os.Getenv("MINIDUMP_VICTIM"); v != "" {
		victim(v)
	}
	os.Exit(m.Run())
}

var (
	kernel32 = syscall.NewLazyDLL("kernel32.dll")
	msvcrt   = syscall.NewLazyDLL("msvcrt.dll")
	ucrt     = syscall.NewLazyDLL("ucrtbase.dll")
	vcrt     = syscall.NewLazyDLL("vcruntime140.dll")
)

// mapReport maps the shared memory.
func mapReport(h syscall.Handle) (*Report, error) {
	const FILE_MAP_WRITE = 2
	a, err := syscall.MapViewOfFile(h, FILE_MAP_WRITE, 0, 0, 4096)
	if err != nil {
		return nil, err
	}
	return (*Report)(*(*unsafe.Pointer)(unsafe.Pointer(&a))), nil
}

func victim(v string) {
	var (
		scenario            string
		mem, ev, done, peer syscall.Handle
		first               bool
	)
	if _, err := fmt.Sscan(v, &scenario, &mem, &ev, &done, &peer, &first); err != nil {
		panic(err)
	}
	// Only loaded C runtimes are hooked.
	msvcrt.Load()
	ucrt.Load()
	vcrt.Load()
	r, err := mapReport(mem)
	if err != nil {
		panic(err)
	}
	if err := Install(Settings{Report: r, Event: ev, Done: done, Peer: peer, Timeout: 60000, FirstChance: first}); err != nil {
		panic(err)
	}
	if Install(Settings{Report: r}) == nil {
		panic("installed twice")
	}
	act(scenario)
	fmt.Println("survived")
	os.Exit(0)
}

// foreign crashes on a thread that is unknown to the Go runtime.
func foreign(how string) {
	kernel32.NewProc("WaitForSingleObject").Call(uintptr(victims.RunForeign(victims.FaultCode(how))), 20000)
}

type big struct{ a [100]int }

func act(scenario string) {
	switch scenario {
	case "recover":
		for range 3 {
			func() {
				defer func() { recover() }()
				var q *big
				q.a[3] = 1
			}()
		}
	case "isbadreadptr":
		kernel32.NewProc("IsBadReadPtr").Call(0x10, 4)
	case "debugstring":
		m, _ := syscall.UTF16PtrFromString("hello")
		kernel32.NewProc("OutputDebugStringW").Call(uintptr(unsafe.Pointer(m)))
	case "load", "ud2", "int3", "overflow", "divide", "int29":
		foreign(scenario)
	case "heap":
		kernel32.NewProc("RaiseException").Call(windows.STATUS_HEAP_CORRUPTION, 1, 0, 0)
	case "gocall":
		syscall.SyscallN(victims.FaultCode("load"))
	case "failfast":
		kernel32.NewProc("RaiseFailFastException").Call(0, 0, 0)
	case "abort":
		msvcrt.NewProc("abort").Call()
	case "ucrtabort":
		ucrt.NewProc("abort").Call()
	case "invalid":
		ucrt.NewProc("_invalid_parameter_noinfo").Call()
	case "purecall":
		vcrt.NewProc("_purecall").Call()
	case "crowd":
		for range 8 {
			go func() {
				runtime.LockOSThread()
				foreign("load")
			}()
		}
		time.Sleep(10 * time.Second)
	case "panic":
		var q *big
		q.a[3] = 1
	}
}

// watched is what was seen of a victim.
type watched struct {
	report *Report
	crash  context.Crash
	code   uint32
	out    string
}

// endless reports whether a victim continues to run after its report. Go's linker writes no .pdata for arm64, and Wine 10 searches for
// handlers in frames without it for ever.
func endless(scenario string) bool {
	return runtime.GOARCH == "arm64" && (scenario == "heap" || scenario == "gocall")
}

// watch runs a victim and reads its crash as a monitor does. If there is a peer, a process that has ended, it only waits until
// the victim ends.
func watch(t *testing.T, scenario string, firstChance bool, peer syscall.Handle) *watched {
	t.Helper()
	sa := &syscall.SecurityAttributes{Length: uint32(unsafe.Sizeof(syscall.SecurityAttributes{})), InheritHandle: 1}
	mem, err := syscall.CreateFileMapping(syscall.InvalidHandle, sa, syscall.PAGE_READWRITE, 0, 4096, nil)
	if err != nil {
		t.Fatal(err)
	}
	event := func() syscall.Handle {
		h, _, err := kernel32.NewProc("CreateEventW").Call(uintptr(unsafe.Pointer(sa)), 1, 0, 0)
		if h == 0 {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.CloseHandle(syscall.Handle(h)) })
		return syscall.Handle(h)
	}
	ev, done := event(), event()
	w := new(watched)
	if w.report, err = mapReport(mem); err != nil {
		t.Fatal(err)
	}
	silent := peer != 0
	if !silent {
		self, err := syscall.GetCurrentProcess()
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.DuplicateHandle(self, self, self, &peer, 0, true, syscall.DUPLICATE_SAME_ACCESS); err != nil {
			t.Fatal(err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe)
	c.Env = append(os.Environ(), fmt.Sprintf("MINIDUMP_VICTIM=%s %d %d %d %d %v", scenario, mem, ev, done, peer, firstChance))
	c.SysProcAttr = &syscall.SysProcAttr{AdditionalInheritedHandles: []syscall.Handle{mem, ev, done, peer}}
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := new(windows.Process)
	if err := p.Open(c.Process.Pid); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	handles := [2]syscall.Handle{ev, p.Handle}
	if silent {
		handles[0] = p.Handle
	}
	if r, _, _ := kernel32.NewProc("WaitForMultipleObjects").Call(2, uintptr(unsafe.Pointer(&handles)), 0, 60000); r == 0 && !silent {
		arch := map[uint16]context.Arch{windows.IMAGE_FILE_MACHINE_AMD64: context.AMD64, windows.IMAGE_FILE_MACHINE_I386: context.X86, windows.IMAGE_FILE_MACHINE_ARM64: context.ARM64}[p.Machine]
		err := windows.ReadException(p, arch, w.report.Pointers, p.PID, w.report.Thread, 0, make([]byte, windows.ExceptionScratch), &w.crash)
		if err != nil {
			t.Errorf("%s: %v", scenario, err)
		}
		if _, ended := p.ExitCode(); ended {
			t.Errorf("%s: the process did not wait", scenario)
		}
		kernel32.NewProc("SetEvent").Call(uintptr(done))
		if endless(scenario) {
			_ = c.Process.Kill()
		}
	}
	c.Wait()
	w.code, w.out = uint32(c.ProcessState.ExitCode()), out.String()
	return w
}

func TestHooks(t *testing.T) {
	for _, c := range []struct {
		scenario string
		kind     Kind
		code     uint32 // exception code
		exit     uint32
	}{
		{"recover", None, 0, 0},
		{"isbadreadptr", None, 0, 0},
		{"debugstring", None, 0, 0},
		{"panic", None, 0, 2},
		{"load", Filter, windows.STATUS_ACCESS_VIOLATION, windows.STATUS_ACCESS_VIOLATION},
		{"ud2", Filter, 0xc000001d, 0xc000001d},
		{"int3", Filter, 0x80000003, 0x80000003},
		{"divide", Filter, 0xc0000094, 0xc0000094},
		{"heap", Vectored, windows.STATUS_HEAP_CORRUPTION, windows.STATUS_HEAP_CORRUPTION},
		{"overflow", Vectored, windows.STATUS_STACK_OVERFLOW, 0},
		{"abort", Abort, 0x40000015, 3},
		{"ucrtabort", Abort, 0x40000015, 3},
		{"invalid", InvalidParameter, 0xc000000d, windows.STATUS_STACK_BUFFER_OVERRUN},
		{"purecall", PureCall, windows.STATUS_NONCONTINUABLE_EXCEPTION, 0xff}, // Windows: 3, by abort
		{"failfast", None, 0, windows.STATUS_FAIL_FAST_EXCEPTION},
		{"int29", None, 0, windows.STATUS_STACK_BUFFER_OVERRUN},
		{"crowd", Filter, windows.STATUS_ACCESS_VIOLATION, windows.STATUS_ACCESS_VIOLATION},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			if c.scenario == "divide" {
				victims.SkipFault(t, c.scenario)
			}
			if c.scenario == "heap" && runtime.GOARCH == "386" {
				c.exit = 2 // Go's own filter, which is called after ours, ends the program
			}
			w := watch(t, c.scenario, false, 0)
			r := w.report
			if r.Kind != c.kind || uint32(w.crash.Signo) != c.code {
				t.Errorf("report %+v, exception %#x at %#x, want %v and %#x", *r, uint32(w.crash.Signo), w.crash.Address, c.kind, c.code)
			}
			if c.scenario != "overflow" && !endless(c.scenario) && w.code != c.exit { // under Wine only the thread ends
				t.Errorf("exit code %#x, want %#x: %s", w.code, c.exit, w.out)
			}
			if c.kind == None {
				return
			}
			if r.Owner == 0 || r.Owner != r.Thread || !w.crash.HasContext || w.crash.PC == 0 || w.crash.SP == 0 {
				t.Errorf("report %+v, registers %v at %#x with %#x", *r, w.crash.HasContext, w.crash.PC, w.crash.SP)
			}
			if c.scenario == "load" && (w.crash.NumParams != 2 || w.crash.Params[1] != 0x1230 || w.crash.Access != context.AccessRead) {
				t.Errorf("parameters %#x", w.crash.Params[:w.crash.NumParams])
			}
		})
	}
}

// TestFirstChance checks that a fault in a function called by Go is reported if FirstChance is set, and a fault in Go is not.
func TestFirstChance(t *testing.T) {
	if w := watch(t, "gocall", true, 0); w.report.Kind != Vectored || w.crash.Params[1] != 0x1230 || w.code == 0 {
		t.Errorf("report %+v, parameters %#x, exit code %#x", *w.report, w.crash.Params[:2], w.code)
	}
	if w := watch(t, "recover", true, 0); w.report.Kind != None || w.code != 0 || w.report.Calls == 0 {
		t.Errorf("report %+v, exit code %#x", *w.report, w.code)
	}
}

// TestPeerEnded checks that a crashing process does not wait for a monitor that has ended.
func TestPeerEnded(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	gone := exec.Command(exe, "-test.run", "^$")
	if err := gone.Start(); err != nil {
		t.Fatal(err)
	}
	self, _ := syscall.GetCurrentProcess()
	p := new(windows.Process)
	if err := p.Open(gone.Process.Pid); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var peer syscall.Handle
	if err := syscall.DuplicateHandle(self, p.Handle, self, &peer, 0, true, syscall.DUPLICATE_SAME_ACCESS); err != nil {
		t.Fatal(err)
	}
	gone.Wait()
	start := time.Now()
	if w := watch(t, "load", false, peer); w.code != windows.STATUS_ACCESS_VIOLATION || w.report.Kind != Filter {
		t.Errorf("report %+v, exit code %#x", *w.report, w.code)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("it took %v", d)
	}
}
