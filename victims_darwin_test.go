package minidump_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"unsafe"

	"minidump"
	"minidump/context"
	"minidump/mach"
	"minidump/stream"
)

// A victim is another process that runs this test program or another program.
type victim struct {
	cmd  *exec.Cmd
	pid  int
	in   io.WriteCloser
	out  *bufio.Reader
	mark uint64 // address of markText in the process
}

const victimVariable = "MINIDUMP_DARWIN_VICTIM"

// startVictim starts the test program as a process that does what kind says: see TestDarwinVictim.
func startVictim(t *testing.T, kind string, args ...string) *victim {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(victimVariable, strings.Join(append([]string{kind}, args...), " "))
	v := startProgram(t, exe, "-test.run=^TestDarwinVictim$")
	if _, err := fmt.Sscanf(v.line(t), "ready %d", &v.mark); err != nil {
		t.Fatal(err)
	}
	return v
}

// startProgram starts a program whose standard input is closed when the test ends.
func startProgram(t *testing.T, path string, args ...string) *victim {
	t.Helper()
	v := &victim{cmd: exec.Command(path, args...)}
	var err error
	if v.in, err = v.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.in.Close(); v.cmd.Wait() })
	v.pid, v.out = v.cmd.Process.Pid, bufio.NewReader(out)
	return v
}

func (v *victim) line(t *testing.T) string {
	t.Helper()
	line, err := v.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return line
}

// say makes the process take its next step.
func (v *victim) say(t *testing.T) {
	t.Helper()
	if _, err := v.in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
}

// secretHalves make a word, which is not an address, on the stack of the faulting thread. It is stored as two halves
// so that no register or constant contains it.
var secretHalves = [2]uint64{0x5ec7e7_00000000, 0x0badf00d}

// marked is memory that the faulting thread's stack points to.
type marked struct{ text [4096]byte }

const markText = "a mark in memory that only a pointer leads to"

var mark *marked

func addressOf(m *marked) uint64 { return uint64(uintptr(unsafe.Pointer(m))) }

// TestDarwinVictim is the main function of a victim.
func TestDarwinVictim(t *testing.T) {
	kind, arg, _ := strings.Cut(os.Getenv(victimVariable), " ")
	if kind == "" {
		t.Skip("it is the process that other tests dump")
	}
	mark = new(marked)
	copy(mark.text[:], markText)
	next := func() bool { n, _ := os.Stdin.Read(make([]byte, 1)); return n == 1 }
	fmt.Printf("ready %d\n", addressOf(mark))
	switch kind {
	case "idle": // answers each line with a line
		for next() {
			fmt.Println("here")
		}
	case "fault":
		next()
		faultDeep(mark, nil)
	case "abort":
		next()
		go abort() // where package testing does not recover the panic
		select {}
	case "raise": // sends an exception message about itself, as the kernel would
		next()
		var kind, code, subcode uint64
		fmt.Sscanf(arg, "%d %d %d", &kind, &code, &subcode)
		raise(t, mach.ExceptionType(kind), code, subcode)
	case "dump": // dumps another process into a pipe that nobody reads to its end
		var pid int
		fmt.Sscan(arg, &pid)
		dumpInto(t, pid)
	}
}

// faultDeep reads from address 0x88 with a pointer to the mark in its arguments, and a secret on its stack.
//
//go:noinline
func faultDeep(m *marked, p *[1 << 12]byte) byte {
	var secrets [16]uint64
	for i := range secrets {
		secrets[i] = secretHalves[0] | secretHalves[1]
	}
	keep(&secrets, m)
	b := p[0x88]
	keep(&secrets, m)
	return b
}

//go:noinline
func keep(s *[16]uint64, m *marked) { runtime.KeepAlive(s); runtime.KeepAlive(m) }

// abort ends the process by SIGABRT, as Go does with GOTRACEBACK=crash.
func abort() {
	debug.SetTraceback("crash")
	panic("a panic of the victim")
}

// raise sends a mach_exception_raise request to the task's own handler of EXC_CRASH, and waits for the reply.
func raise(t *testing.T, kind mach.ExceptionType, code, subcode uint64) {
	runtime.LockOSThread()
	var e mach.ExceptionPorts
	if kr := e.Read(mach.TaskSelf(), mach.EXC_CRASH.Mask()); kr != mach.KERN_SUCCESS || e.N == 0 {
		t.Fatal(kr)
	}
	back := mach.ReplyPort()
	thread := mach.ThreadSelf()
	o := binary.LittleEndian
	m := make([]byte, 84)
	h := mach.Header{
		Bits: mach.Bits(mach.MACH_MSG_TYPE_COPY_SEND, mach.MACH_MSG_TYPE_MAKE_SEND_ONCE) | mach.MACH_MSGH_BITS_COMPLEX,
		Size: uint32(len(m)), Remote: e.Ports[0], Local: back, ID: mach.MACH_EXCEPTION_RAISE,
	}
	h.Put(m)
	o.PutUint32(m[24:], 2)
	mach.PutPortDescriptor(m[28:], thread, mach.MACH_MSG_TYPE_COPY_SEND)
	mach.PutPortDescriptor(m[40:], mach.TaskSelf(), mach.MACH_MSG_TYPE_COPY_SEND)
	m[56] = 1 // NDR: integers have the least significant byte first
	o.PutUint32(m[60:], uint32(kind))
	o.PutUint32(m[64:], 2)
	o.PutUint64(m[68:], code)
	o.PutUint64(m[76:], subcode)
	if kr := mach.Send(m, 1000); kr != mach.KERN_SUCCESS {
		t.Fatal(kr)
	}
	var reply [256]byte
	if kr := mach.Receive(back, reply[:], 0, 60000); kr != mach.KERN_SUCCESS {
		t.Fatal(kr)
	}
}

// dumpInto dumps a process with all its memory to standard output.
func dumpInto(t *testing.T, pid int) {
	w, err := minidump.NewWriter(pid, minidump.Options{Mode: minidump.ModeFull})
	if err != nil {
		t.Fatal(err)
	}
	w.Dump(os.Stdout)
}

// otherThreads starts n threads, which wait until end is called.
func otherThreads(n int) (end func()) {
	there, stop := make(chan bool), make(chan bool)
	for range n {
		go func() {
			runtime.LockOSThread()
			there <- true
			<-stop
		}()
		<-there
	}
	return func() { close(stop) }
}

// emulated reports whether the loader of internal/macos runs the program in an emulator, which is many times slower.
func emulated() bool { return os.Getenv("MACHORUN_EMULATOR") != "" }

func nativeArch() context.Arch {
	return map[string]context.Arch{"amd64": context.AMD64, "arm64": context.ARM64}[runtime.GOARCH]
}

// dump makes a dump in memory and reads it.
func dump(t *testing.T, w *minidump.Writer) (*stream.File, []byte, minidump.Result) {
	t.Helper()
	var out bytes.Buffer
	res, err := w.Dump(&out)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	if uint64(out.Len()) != res.Size {
		t.Errorf("%d bytes, Result says %d", out.Len(), res.Size)
	}
	return f, out.Bytes(), res
}

func openDump(t *testing.T, path string) *stream.File {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// memoryAt returns n bytes of the dumped memory, or nil if the dump does not have all of them.
func memoryAt(t *testing.T, f *stream.File, addr uint64, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if got, err := f.ReadMemory(addr, b); err != nil || got < n {
		return nil
	}
	return b
}
