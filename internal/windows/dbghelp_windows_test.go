package windows

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"minidump/stream"
)

// dumpBySystem returns the dump that dbghelp.dll writes of a process.
func dumpBySystem(t *testing.T, p *Process, exception *ClientException, streams []UserStream) *stream.File {
	t.Helper()
	dir, err := os.MkdirTemp("", "dbghelp")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "x.dmp"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		f.Close()
		os.Remove(f.Name())
		os.Remove(dir)
	}()
	if err := p.WriteDump(syscall.Handle(f.Fd()), 0, exception, streams); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	d, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestWriteDump has the system's writer dump this process with an exception, and another process, both with user streams.
func TestWriteDump(t *testing.T) {
	note := []byte("a note of the application")
	streams := []UserStream{{Type: 0x1234567, Data: note}, {Type: 0x1234568}}
	check := func(d *stream.File) {
		t.Helper()
		for _, u := range streams {
			if b, err := d.Stream(stream.Type(u.Type)); err != nil || string(b) != string(u.Data) {
				t.Errorf("user stream %q %v", b, err)
			}
		}
		if threads, err := d.Threads(); err != nil || len(threads) == 0 {
			t.Errorf("threads %v %v", threads, err)
		}
	}

	var (
		regs   = make([]byte, MaxContext)
		record = make([]byte, 152)
		ptrs   = make([]byte, 16)
		self   = new(Process)
	)
	if err := self.Adopt(syscall.Handle(currentProcess), syscall.Getpid()); err != nil {
		t.Fatal(err)
	}
	le.PutUint32(record, STATUS_NONCONTINUABLE_EXCEPTION)
	*(*[2]uintptr)(unsafe.Pointer(&ptrs[0])) = [2]uintptr{uintptr(unsafe.Pointer(&record[0])), uintptr(unsafe.Pointer(&regs[0]))}
	tid, _, _ := syscall.SyscallN(syscall.NewLazyDLL("kernel32.dll").NewProc("GetCurrentThreadId").Addr())
	d := dumpBySystem(t, self, &ClientException{Pointers: uint64(uintptr(unsafe.Pointer(&ptrs[0]))), Thread: uint32(tid), Own: true}, streams)
	check(d)
	if e, err := d.Exception(); err != nil || e.Code != STATUS_NONCONTINUABLE_EXCEPTION || e.ThreadID != uint32(tid) {
		t.Errorf("exception %+v %v", e, err)
	}

	c := startTarget(t)
	check(dumpBySystem(t, &c.Process, &ClientException{}, streams))
}
