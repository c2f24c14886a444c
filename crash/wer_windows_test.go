package crash

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"minidump/context"
	"minidump/internal/scratch"
	target "minidump/internal/windows"
	"minidump/stream"
)

// threadAccess is THREAD_GET_CONTEXT and THREAD_QUERY_INFORMATION (winnt.h).
const threadAccess = 0x0048

// moduleVariable is an environment variable of victims, which set Options.WERModule to its value.
const moduleVariable = "MINIDUMP_CRASH_MODULE"

// Wine has no Windows Error Reporting: its functions do nothing. So this process takes the role of WerFault.exe. It attaches to a
// victim as a debugger, which stops the victim when it fails fast, loads the module that the victim has registered, and calls it.

// installed installs the module for this user, while the test runs.
func installed(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(scratch.Dir(t), "module.dll")
	if err := InstallWERModule(path, false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := UninstallWERModule(path, false); err != nil {
			t.Error(err)
		}
	})
	t.Setenv(moduleVariable, path)
	return path
}

// announce prints, in a victim, the values that the test needs to attach to the victim.
func announce() { fmt.Printf("ready %d %d\n", os.Getpid(), uintptr(unsafe.Pointer(block))) }

// stopped is a victim that is stopped at an exception.
type stopped struct {
	cmd       *exec.Cmd
	dir       string
	block     uintptr // the address that the victim has passed to WerRegisterRuntimeExceptionModule
	debugger  *watch
	came      chan outcome
	process   *target.Process // for reading registers
	handle    windows.Handle  // of the process, with all rights, like that of WerFault.exe
	thread    windows.Handle
	registers []byte // CONTEXT of the thread
}

// stop runs a victim until its exception.
func stop(t *testing.T, kind string) *stopped {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &stopped{dir: scratch.Dir(t), came: make(chan outcome, 2), cmd: exec.Command(exe), process: new(target.Process)}
	s.cmd.Env = append(os.Environ(), victimVariable+"="+s.dir+"|wer "+kind)
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, scan := fmt.Sscanf(line, "ready %d %d", &pid, &s.block); scan != nil {
		t.Fatalf("%q: %v, %v", line, scan, err)
	}
	s.debugger = &watch{link: link{pid: pid}, seen: make(chan bool)}
	go s.debugger.debug(s.came)
	if how := <-s.came; how != failed {
		t.Fatalf("the victim has not failed: outcome %d", how)
	}
	if err := s.process.Open(pid); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.process.Close)
	if s.handle, err = windows.OpenProcess(windows.PROCESS_ALL_ACCESS, false, uint32(pid)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { windows.CloseHandle(s.handle) })
	if s.thread, err = windows.OpenThread(threadAccess, false, uint32(s.debugger.failure.TID)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { windows.CloseHandle(s.thread) })
	s.registers = make([]byte, s.process.ContextSize())
	if errno := s.process.Context(syscall.Handle(s.thread), s.registers); errno != 0 {
		t.Fatal(errno)
	}
	return s
}

// information returns a WER_RUNTIME_EXCEPTION_INFORMATION (werapi.h of the SDK of Windows 10): size, process, thread,
// EXCEPTION_RECORD, CONTEXT, a pointer, bIsFatal, and a reserved word.
func (s *stopped) information(code uint32) []byte {
	const word = unsafe.Sizeof(uintptr(0))
	x := s.debugger.failure
	record := exceptionRecord{code: code, flags: uint32(x.Code), address: uintptr(x.Address), count: x.NumParams}
	for i, v := range x.Params[:x.NumParams] {
		record.parameters[i] = uintptr(v)
	}
	b := make([]byte, 3*word)
	*(*uintptr)(unsafe.Pointer(&b[word])) = uintptr(s.handle)
	*(*uintptr)(unsafe.Pointer(&b[2*word])) = uintptr(s.thread)
	b = append(b, unsafe.Slice((*byte)(unsafe.Pointer(&record)), unsafe.Sizeof(record))...)
	b = append(b, s.registers[:context.Native.ContextSize()]...)
	b = append(b, make([]byte, word+8)...)
	*(*uint32)(unsafe.Pointer(&b[len(b)-8])) = 1
	*(*uint32)(unsafe.Pointer(&b[0])) = uint32(len(b))
	return b
}

// call loads the module and calls it, as WerFault.exe does.
func (s *stopped) call(t *testing.T, path string, code uint32) {
	t.Helper()
	d, err := windows.LoadDLL(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	f, err := d.FindProc("OutOfProcessExceptionEventCallback")
	if err != nil {
		t.Fatal(err)
	}
	claimed, info := uint32(1), s.information(code)
	if r, _, _ := f.Call(s.block, uintptr(unsafe.Pointer(&info[0])), uintptr(unsafe.Pointer(&claimed)), 0, 0, 0); uint32(r) != 0 || claimed != 0 {
		t.Errorf("result %#x, claimed %d", r, claimed)
	}
	runtime.KeepAlive(info)
}

// end lets the victim end. It returns the dump's path, or "end", and how many dumps there are.
func (s *stopped) end(t *testing.T) (done string, dumps int) {
	t.Helper()
	close(s.debugger.seen)
	<-s.came
	_ = s.cmd.Wait()
	if code := uint32(s.cmd.ProcessState.ExitCode()); code != uint32(s.debugger.failure.Signo) {
		t.Errorf("exit code %#x after exception %#x", code, uint32(s.debugger.failure.Signo))
	}
	if done = waitDone(s.dir); done == "" {
		t.Fatal("the monitor has not ended")
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "*.dmp"))
	if err != nil {
		t.Fatal(err)
	}
	return done, len(files)
}

func TestWERModule(t *testing.T) {
	path := installed(t)
	for name, code := range map[string]uint32{"int 29h": 0xc0000409, "RaiseFailFastException": 0xc0000602, "heap": 0xc0000374} {
		t.Run(name, func(t *testing.T) {
			s := stop(t, "int29")
			s.call(t, path, code)
			s.call(t, path, code) // the dump has already been made
			done, dumps := s.end(t)
			if dumps != 1 {
				t.Fatalf("%d dumps, the monitor says %s", dumps, done)
			}
			s.compare(t, done, code)
		})
	}
}

// compare compares a dump with the exception and the registers that this process has read from the victim.
func (s *stopped) compare(t *testing.T, path string, code uint32) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(d) {
		t.Errorf("problem: %s", p)
	}
	x := s.debugger.failure
	e, err := d.Exception()
	if err != nil || e.Code != code || e.ThreadID != uint32(x.TID) || e.Address != x.Address || e.NumberParameters != x.NumParams {
		t.Errorf("exception %+v, %v; want code %#x of thread %d at %#x", e, err, code, x.TID, x.Address)
	}
	registers, err := d.Context(e.Context)
	if err != nil || !bytes.Equal(registers, s.registers[:context.Native.ContextSize()]) {
		t.Errorf("other registers than the thread has, %v: PC %#x, want %#x", err, target.ContextPC(context.Native, registers), target.ContextPC(context.Native, s.registers))
	}
	if threads, err := d.Threads(); err != nil || len(threads) < 3 {
		t.Errorf("%d threads, %v", len(threads), err)
	}
}

// TestWERModuleOtherCode checks that the module ignores an exception that the hooks handle.
func TestWERModuleOtherCode(t *testing.T) {
	path := installed(t)
	s := stop(t, "int29")
	s.call(t, path, uint32(windows.STATUS_ACCESS_VIOLATION))
	if done, dumps := s.end(t); done != "end" || dumps != 0 {
		t.Errorf("%s, %d dumps", done, dumps)
	}
}

// TestWERModuleOrdinary checks that the module does not change dumps of other crashes.
func TestWERModuleOrdinary(t *testing.T) {
	installed(t)
	for kind, code := range map[string]uint32{"panic": goPanic, "load": uint32(windows.STATUS_ACCESS_VIOLATION)} {
		path, _, out := crash(t, kind)
		f, err := os.Open(path)
		if err != nil {
			t.Fatalf("%s: %v: %s", kind, err, out)
		}
		d, err := stream.OpenFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := d.Exception(); err != nil || e.Code != code {
			t.Errorf("%s: %+v, %v", kind, e, err)
		}
		f.Close()
	}
}

// TestNoWERModule checks that Start returns an error if the module does not exist, and that the monitor runs.
func TestNoWERModule(t *testing.T) {
	t.Setenv(moduleVariable, filepath.Join(scratch.Dir(t), "none.dll"))
	if done, exit, out := crash(t, "no module panic"); done == "end" || exit != 2 {
		t.Errorf("%s, exit code %d: %s", done, exit, out)
	}
}

// waitDone waits until the monitor of a victim has written its result, and returns it; "" if the monitor does not end in time.
func waitDone(dir string) string {
	for range 600 {
		if b, err := os.ReadFile(filepath.Join(dir, "done")); err == nil && len(b) > 0 {
			return string(b)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return ""
}
