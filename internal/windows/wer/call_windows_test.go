package wer

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"

	"minidump/internal/scratch"
)

// module loads the module as WerFault.exe does.
func module(t *testing.T) *windows.DLL {
	t.Helper()
	path := filepath.Join(scratch.Dir(t), "module.dll")
	if err := os.WriteFile(path, image(t), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := windows.LoadDLL(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Release(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// function returns the address of the function that the module exports under a name.
func function(t *testing.T, d *windows.DLL, name string) uintptr {
	t.Helper()
	p, err := d.FindProc(name)
	if err != nil {
		t.Fatal(err)
	}
	return p.Addr()
}

// callback returns the event callback of a module.
func callback(t *testing.T) uintptr {
	t.Helper()
	return function(t, module(t), exported[0])
}

// report is one call of the callback. This process takes the role of the crashed process and of WerFault.exe.
type report struct {
	block   *Block
	at      uintptr // address of the block, as Windows would pass it
	info    information
	done    windows.Handle
	event   windows.Handle
	claimed *uint32
}

func newEvent(t *testing.T) windows.Handle {
	t.Helper()
	const manual = 1
	h, err := windows.CreateEvent(nil, manual, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { windows.CloseHandle(h) })
	return h
}

// gone returns a handle of a process that has ended.
func gone(t *testing.T) windows.Handle {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, "-test.run", "^$")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	h, err := windows.OpenProcess(windows.PROCESS_ALL_ACCESS, false, uint32(c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { windows.CloseHandle(h) })
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	return h
}

// newReport returns a fail-fast exception of this thread, whose dump has already been made.
func newReport(t *testing.T) *report {
	t.Helper()
	r := &report{block: new(Block), event: newEvent(t), done: newEvent(t), claimed: new(uint32)}
	*r.claimed = 1
	if err := windows.SetEvent(r.done); err != nil {
		t.Fatal(err)
	}
	r.block.Prepare(Handles{Event: uintptr(r.event), Done: uintptr(r.done), Peer: uintptr(windows.CurrentProcess())})
	r.at = uintptr(unsafe.Pointer(r.block))
	r.info = information{process: uintptr(windows.CurrentProcess()), thread: uintptr(windows.CurrentThread()), fatal: 1}
	r.info.size = uint32(unsafe.Sizeof(r.info))
	for i := range r.info.record {
		r.info.record[i] = byte(i * 7)
	}
	r.code(codeInt29)
	return r
}

func (r *report) code(c uint32) { *(*uint32)(unsafe.Pointer(&r.info.record)) = c }

// call calls the callback, which must never claim the exception, and never fail.
func (r *report) call(t *testing.T, f uintptr) {
	t.Helper()
	result, _, _ := syscall.SyscallN(f, r.at, uintptr(unsafe.Pointer(&r.info)), uintptr(unsafe.Pointer(r.claimed)), 0, 0, 0)
	runtime.KeepAlive(r)
	if uint32(result) != 0 || r.claimed != nil && *r.claimed != 0 {
		t.Errorf("result %#x, claimed %v", result, r.claimed != nil)
	}
}

func (r *report) signalled(t *testing.T) bool {
	t.Helper()
	e, err := windows.WaitForSingleObject(r.event, 0)
	if err != nil {
		t.Fatal(err)
	}
	return e == windows.WAIT_OBJECT_0
}

func TestReported(t *testing.T) {
	f := callback(t)
	for name, edit := range map[string]func(*report){
		"int 29h":                   func(*report) {},
		"RaiseFailFastException":    func(r *report) { r.code(0xc0000602) },
		"heap":                      func(r *report) { r.code(0xc0000374) },
		"Windows 7":                 func(r *report) { r.info.size, r.info.fatal = infoFatal, 0 },
		"nobody asks for ownership": func(r *report) { r.claimed = nil },
		"the dump takes too long": func(r *report) {
			r.block.timeout = 50
			_ = windows.ResetEvent(r.done)
		},
		"the monitor has ended": func(r *report) {
			r.block.timeout, r.block.peer = ^uint32(0), uint64(gone(t))
			_ = windows.ResetEvent(r.done)
		},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			r := newReport(t)
			edit(r)
			r.call(t, f)
			thread, pointers := r.block.Exception()
			if !r.signalled(t) || thread != windows.GetCurrentThreadId() {
				t.Errorf("signalled %v, thread %d of %d", r.signalled(t), thread, windows.GetCurrentThreadId())
			}
			if pointers != uint64(uintptr(unsafe.Pointer(&r.block.pointers))) {
				t.Errorf("EXCEPTION_POINTERS at %#x", pointers)
			}
			if !bytes.Equal(r.block.record[:], r.info.record[:]) {
				t.Error("the record differs")
			}
			runtime.KeepAlive(r)
		})
	}
}

func TestRefused(t *testing.T) {
	f := callback(t)
	for name, edit := range map[string]func(*report){
		"another code":         func(r *report) { r.code(0xc0000005) },
		"not fatal":            func(r *report) { r.info.fatal = 0 },
		"no context":           func(r *report) { r.at = 0 },
		"a bad context":        func(r *report) { r.at = 0x10 },
		"a wrong magic":        func(r *report) { r.block.magic++ },
		"half a magic":         func(r *report) { r.block.magic ^= 1 << 40 },
		"another version":      func(r *report) { r.block.version++ },
		"the process is gone":  func(r *report) { r.info.process = uintptr(gone(t)) },
		"no process":           func(r *report) { r.info.process = 0 },
		"no thread":            func(r *report) { r.info.thread = 0 },
		"no event":             func(r *report) { r.block.event = 0 },
		"no event to wait for": func(r *report) { r.block.done = 0xdead0 },
		"no monitor":           func(r *report) { r.block.peer = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newReport(t)
			edit(r)
			r.call(t, f)
			if thread, _ := r.block.Exception(); r.signalled(t) || thread != 0 {
				t.Errorf("signalled %v, thread %d", r.signalled(t), thread)
			}
			runtime.KeepAlive(r)
		})
	}
}

// TestNotAnEvent passes the module a handle that is not of an event.
func TestNotAnEvent(t *testing.T) {
	f := callback(t)
	r := newReport(t)
	r.block.event = uint64(gone(t))
	r.call(t, f)
	if r.signalled(t) {
		t.Error("an event was signalled that the block does not name")
	}
}

// TestHandles checks that the module closes every handle that it opens: the values of closed handles are used again. (Wine does not
// count handles.)
func TestHandles(t *testing.T) {
	f := callback(t)
	good, bad := newReport(t), newReport(t)
	bad.block.peer = 0
	before := newEvent(t)
	const calls, step = 1000, 4 // step is the difference between values of handles
	for range calls {
		good.call(t, f)
		bad.call(t, f)
	}
	if after := newEvent(t); after > before+calls*step {
		t.Errorf("handle %#x after %#x and %d calls", after, before, 2*calls)
	}
}

// TestOthers checks that the other callbacks fail, because nothing is claimed.
func TestOthers(t *testing.T) {
	d := module(t)
	for name, arguments := range map[string]int{exported[1]: 6, exported[2]: 7} {
		if result, _, _ := syscall.SyscallN(function(t, d, name), make([]uintptr, arguments)...); uint32(result) != E_FAIL {
			t.Errorf("%s: %#x", name, result)
		}
	}
}
