package goruntime

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/snapshot"
	"minidump/stream"
)

// liveMemory reads a process, and counts the reads.
type liveMemory struct {
	snapshot.Whole
	pid    int
	calls  int
	one    [1]Request
	local  [1024]unix.Iovec
	remote [1024]unix.RemoteIovec
}

func (m *liveMemory) Read(addr uint64, p []byte) int {
	m.one[0] = Request{Addr: addr, Dst: p}
	m.ReadV(m.one[:])
	return m.one[0].Got
}

func (m *liveMemory) ReadV(reqs []Request) {
	for len(reqs) > 0 {
		n := min(len(reqs), 1024)
		local, remote := m.local[:n], m.remote[:n]
		for i := range n {
			local[i].Base = unsafe.SliceData(reqs[i].Dst)
			local[i].SetLen(len(reqs[i].Dst))
			remote[i] = unix.RemoteIovec{Base: uintptr(reqs[i].Addr), Len: len(reqs[i].Dst)}
		}
		m.calls++
		k, _ := unix.ProcessVMReadv(m.pid, local, remote, 0)
		i := 0
		for ; i < n && k >= len(reqs[i].Dst); i++ {
			reqs[i].Got = len(reqs[i].Dst)
			k -= reqs[i].Got
		}
		if i < n {
			reqs[i].Got = max(0, k)
			i++
		}
		reqs = reqs[i:]
	}
}

// image returns the mappings of a process's program.
func image(t testing.TB, pid int) *Image {
	t.Helper()
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	im := &Image{Arch: context.Native, Order: binary.NativeEndian}
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		im.Order = binary.BigEndian
	} else {
		im.Order = binary.LittleEndian
	}
	last := uint64(0)
	for line := range strings.Lines(string(maps)) {
		var r Range
		var perm, dev, path string
		var off, inode uint64
		fmt.Sscanf(line, "%x-%x %s %x %s %d %s", &r.Lo, &r.Hi, &perm, &off, &dev, &inode, &path)
		if path != exe && (path != "" || r.Lo != last) || perm[0] != 'r' {
			continue
		}
		last = r.Hi
		r.Writable, r.Exec = perm[1] == 'w', perm[2] == 'x'
		im.Ranges = append(im.Ranges, r)
	}
	return im
}

// stopped is a process whose threads are all in a ptrace-stop.
type stopped struct {
	pid     int
	threads []Thread
}

// stop stops all threads. stop and release must run on the same OS thread.
func stop(t testing.TB, pid int, space Space) *stopped {
	t.Helper()
	s := &stopped{pid: pid}
	var tids []int
	seen := map[int]bool{}
	for again := true; again; {
		again = false
		dirs, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range dirs {
			tid, _ := strconv.Atoi(d.Name())
			if seen[tid] {
				continue
			}
			seen[tid], again = true, true
			if err := ptrace(unix.PTRACE_SEIZE, tid, 0, 0); err != nil {
				continue
			}
			if err := ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0); err != nil {
				t.Fatalf("PTRACE_INTERRUPT of %d: %v", tid, err)
			}
			var w unix.WaitStatus
			if _, err := unix.Wait4(tid, &w, unix.WALL, nil); err != nil || !w.Stopped() {
				t.Fatalf("thread %d: %v, %x", tid, err, w)
			}
			tids = append(tids, tid)
		}
	}
	s.threads = alloc[Thread](space, len(tids))
	clear(s.threads)
	for i, tid := range tids {
		gp := make([]byte, 4096)
		iov := unix.Iovec{Base: &gp[0]}
		iov.SetLen(len(gp))
		if err := ptrace(unix.PTRACE_GETREGSET, tid, 1, uintptr(unsafe.Pointer(&iov))); err != nil { // NT_PRSTATUS
			t.Fatalf("registers of %d: %v", tid, err)
		}
		r := context.Regsets{Arch: context.Native, Order: binary.LittleEndian, GP: gp[:iov.Len]}
		if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
			r.Order = binary.BigEndian
		}
		th := &s.threads[i]
		th.TID, th.PC, th.SP, th.LR = int32(tid), r.PC(), r.SP(), linkRegister(&r)
		th.G, th.Indirect = r.GoG()
	}
	return s
}

// linkRegister returns the link register from NT_PRSTATUS (the kernel's asm/ptrace.h of each architecture).
func linkRegister(r *context.Regsets) uint64 {
	switch r.Arch {
	case context.ARM:
		return uint64(r.Order.Uint32(r.GP[14*4:]))
	case context.ARM64:
		return r.Order.Uint64(r.GP[30*8:])
	case context.MIPS:
		return uint64(r.Order.Uint32(r.GP[(6+31)*4:]))
	case context.MIPS64:
		return r.Order.Uint64(r.GP[31*8:])
	case context.PPC64:
		return r.Order.Uint64(r.GP[36*8:])
	case context.RISCV64, context.LOONG64:
		return r.Order.Uint64(r.GP[8:])
	case context.S390X:
		return r.Order.Uint64(r.GP[16+14*8:])
	}
	return 0
}

func (s *stopped) release() {
	for i := range s.threads {
		ptrace(unix.PTRACE_DETACH, int(s.threads[i].TID), 0, 0)
	}
}

func ptrace(request, tid int, addr, data uintptr) error {
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// victim is a running program of testdata.
type victim struct {
	cmd    *exec.Cmd
	pid    int
	stdin  io.Closer
	stderr bytes.Buffer
	wait   func() error
}

// start starts a program that prints "ready" when it is ready.
func start(t testing.TB, traceback, path string, args ...string) *victim {
	t.Helper()
	v := &victim{cmd: exec.Command(path, args...)}
	v.cmd.Env = append(os.Environ(), "GOTRACEBACK="+traceback, "GOMAXPROCS=4")
	v.cmd.Stderr = &v.stderr
	out, err := v.cmd.StdoutPipe()
	if err == nil {
		v.stdin, err = v.cmd.StdinPipe()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.wait = sync.OnceValue(v.cmd.Wait)
	t.Cleanup(func() {
		v.cmd.Process.Kill()
		v.wait()
	})
	v.pid = v.cmd.Process.Pid
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready ") {
		v.wait()
		t.Fatalf("%s: %q, %v\n%s", path, line, err, v.stderr.String())
	}
	time.Sleep(100 * time.Millisecond)
	return v
}

// liveStacks reads the stacks of a stopped process.
type liveStacks struct {
	mem *liveMemory
	buf [8 << 10]byte
}

func (s *liveStacks) From(addr uint64) []byte { return s.buf[:s.mem.Read(addr, s.buf[:])] }

// list stops a process and reads its goroutines.
func list(t testing.TB, pid int) *stream.GoroutineList {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	space, mem := &testSpace{}, &liveMemory{pid: pid}
	im := image(t, pid)
	p := new(Program)
	begin := time.Now()
	if err := p.Find(mem, space, im); err != nil {
		t.Fatalf("Find: %v", err)
	}
	found, findCalls := time.Since(begin), mem.calls
	mem.calls = 0
	s := stop(t, pid, space)
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	begin = time.Now()
	c := new(Capture)
	ok := p.Capture(c, mem, space, s.threads, now.Nano(), Limits{})
	captured, captureCalls := time.Since(begin), mem.calls
	if !ok {
		s.release()
		t.Fatal("Capture found no goroutines")
	}
	begin = time.Now()
	b := p.Encode(c, mem, space, &liveStacks{mem: mem})
	encoded := time.Since(begin)
	s.release()
	l, err := stream.ParseGoroutineList(b, im.Order)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d goroutines of %d, %d threads; find %v (%d reads), capture %v (%d reads), encode %v, %d bytes", l.GoVersion,
		len(l.Goroutines), c.Total, len(c.Threads), found, findCalls, captured, captureCalls, encoded, len(b))
	return l
}

// build builds the program of testdata and returns its path.
func build(t testing.TB, toolchain string, cgo bool, flags ...string) string {
	t.Helper()
	if dir := os.Getenv("MINIDUMP_VICTIMS"); dir != "" { // on a machine without compilers
		if toolchain != "" || cgo || len(flags) > 1 {
			t.Skip("no compiler in this machine")
		}
		return filepath.Join(dir, "crowd")
	}
	goCommand, err := exec.LookPath("go")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("go is missing, and CI=true")
		}
		t.Skip("no go command here")
	}
	if cgo {
		if _, err := exec.LookPath("gcc"); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal("gcc is missing, and CI=true")
			}
			t.Skip("gcc is missing")
		}
	}
	out := filepath.Join(t.TempDir(), "crowd")
	cmd := exec.Command(goCommand, append(append([]string{"build", "-o", out}, flags...), ".")...)
	cmd.Dir = "testdata/crowd"
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if cgo {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=1")
	}
	if toolchain != "" {
		cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+toolchain)
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
	return out
}
