package windows

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"
	"unsafe"

	"minidump/context"
	"minidump/pe"
	"minidump/stream"
)

// TestMain also runs the target of the tests: with MINIDUMP_TARGET set, the process starts some named threads and waits.
func TestMain(m *testing.M) {
	if os.Getenv("MINIDUMP_TARGET") != "" {
		target()
	}
	os.Exit(m.Run())
}

const targetThreads = 4

// target starts threads, unloads two libraries, prints its process id and the address of a secret, and waits until its input
// ends.
func target() {
	if err := load(); err != nil {
		panic(err)
	}
	describe := syscall.NewLazyDLL("kernel32.dll").NewProc("SetThreadDescription")
	ready := make(chan bool)
	for i := range targetThreads {
		go func() {
			runtime.LockOSThread()
			name, _ := syscall.UTF16PtrFromString(fmt.Sprintf("worker-%d ü", i))
			describe.Call(^uintptr(1), uintptr(unsafe.Pointer(name)))
			ready <- true
			time.Sleep(time.Hour)
		}()
		<-ready
	}
	for _, name := range []string{"winmm.dll", "version.dll"} {
		if dll, err := syscall.LoadLibrary(name); err == nil {
			syscall.FreeLibrary(dll)
		}
	}
	at, _, err := syscall.SyscallN(virtualAlloc, 0, 2*pageSize, MEM_RESERVE|MEM_COMMIT, PAGE_READWRITE)
	if at == 0 {
		panic(err)
	}
	copy(unsafe.Slice((*byte)(pointer(at)), 2*pageSize), "the secret of the target")
	fmt.Printf("%d %d\n", os.Getpid(), at)
	bufio.NewReader(os.Stdin).ReadString('\n')
	os.Exit(7)
}

// pointer converts an address outside the Go heap to a pointer.
//
//go:noinline
func pointer(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }

// child is a running target.
type child struct {
	Process
	cmd    *exec.Cmd
	secret uint64 // address of two pages
}

func startTarget(t *testing.T) *child {
	t.Helper()
	return startTargetOf(t, "")
}

// startTargetOf starts the target from the test binary exe, or from this one if exe is "".
func startTargetOf(t *testing.T, exe string) *child {
	t.Helper()
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			t.Fatal(err)
		}
	}
	c := &child{cmd: exec.Command(exe)}
	c.cmd.Env = append(os.Environ(), "MINIDUMP_TARGET=1")
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		c.cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid := 0
	if _, err := fmt.Sscan(line, &pid, &c.secret); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if err := c.Open(pid); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func text(b []byte) string { return pe.Text(b).String() }

func TestOpen(t *testing.T) {
	c := startTarget(t)
	if c.Machine != nativeMachine || c.Wide != (nativeWord == 8) || c.PEB == 0 || c.Wow64 {
		t.Errorf("%+v", c.Process)
	}
	var times Times
	if errno := c.Times(&times); errno != 0 || times.Exit != 0 {
		t.Errorf("times %+v %v", times, errno)
	}
	if age := time.Now().Unix() - int64(filetimeToUnix(times.Create)); age < 0 || age > 600 {
		t.Errorf("created %d s ago", age)
	}
	name, errno := c.ImageName(make([]uint16, 1024))
	exe, _ := os.Executable()
	if errno != 0 || !strings.EqualFold(filepath.Base(string(utf16.Decode(name))), filepath.Base(exe)) {
		t.Errorf("image %q %v", string(utf16.Decode(name)), errno)
	}
	if code, ended := c.ExitCode(); ended {
		t.Errorf("ended with %d", code)
	}
	if class := c.PriorityClass(); class != 0x20 {
		t.Errorf("priority class %#x", class)
	}
	for _, pid := range []int{0, -1, 0x7ffffff0} {
		var p Process
		if err := p.Open(pid); err == nil {
			t.Errorf("process %d was opened", pid)
		}
	}
}

func TestReadMemory(t *testing.T) {
	c := startTarget(t)
	const want = "the secret of the target"
	b := make([]byte, len(want))
	if n, errno := c.ReadMemory(c.secret, b); n != len(b) || string(b) != want || errno != 0 {
		t.Errorf("%d bytes %q %v", n, b, errno)
	}
	if n, errno := c.ReadMemory(0, b); n != 0 || errno == 0 {
		t.Errorf("%d bytes at 0: %v", n, errno)
	}
	if n, errno := c.ReadMemory(^uint64(0)-8, b); n != 0 || errno == 0 {
		t.Errorf("%d bytes at the end: %v", n, errno)
	}
	// A read returns everything before the first unreadable byte. Wine can read much memory that is only reserved.
	var last, r Region
	for at := uint64(0); c.Region(at, &r) == 0; at = r.End() {
		if last.Readable() && last.Size >= 2*pageSize && !r.Readable() && c.Read(r.Base, b[:1]) == 0 {
			b = make([]byte, 3*pageSize)
			if n, errno := c.ReadMemory(r.Base-2*pageSize+100, b); n != 2*pageSize-100 || errno == 0 {
				t.Errorf("%d bytes over the end of %+v: %v", n, last, errno)
			}
			return
		}
		last = r
	}
	t.Error("everything can be read")
}

func TestRegions(t *testing.T) {
	c := startTarget(t)
	var (
		r       Region
		n, code int
		kinds   = map[uint32]int{}
		at      uint64
	)
	for {
		errno := c.Region(at, &r)
		if errno == errorInvalidParameter {
			break
		}
		if errno != 0 || r.Base != at || r.Size == 0 || r.Size%pageSize != 0 {
			t.Fatalf("%+v at %#x: %v", r, at, errno)
		}
		n++
		kinds[r.Type]++
		if r.Executable() && r.Type == MEM_IMAGE {
			code++
		}
		at = r.End()
	}
	if n < 20 || code < 3 || kinds[MEM_PRIVATE] == 0 || kinds[MEM_IMAGE] == 0 {
		t.Errorf("%d regions, %d of code, types %v", n, code, kinds)
	}
}

func TestModules(t *testing.T) {
	c := startTarget(t)
	w := new(Loader)
	if !w.Open(c, c.PEB, c.Wide) {
		t.Fatal("no list")
	}
	var (
		m     Module
		names []string
		ntdll uint64
		r     = pe.NewReader(nil)
	)
	for {
		ok, broken := w.Next(&m)
		if broken {
			t.Fatal("broken")
		}
		if !ok {
			break
		}
		b := make([]byte, m.NameSize)
		if c.Read(m.NameAddr, b) != len(b) {
			t.Errorf("module at %#x: no name", m.Base)
		}
		name := text(b)
		base := strings.ToLower(name[strings.LastIndexByte(name, '\\')+1:])
		names = append(names, base)
		if base == "ntdll.dll" {
			ntdll = m.Base
		}
		if !r.Open(&imageSource{c, m.Base}, pe.Loaded) || r.Header.SizeOfImage != m.Size || r.Header.Machine != c.Machine {
			t.Errorf("module %s at %#x: %+v, header %+v", name, m.Base, m, r.Header)
		}
		mapped, errno := c.MappedName(m.Base, make([]byte, 2048))
		if errno != 0 || !strings.HasSuffix(strings.ToLower(text(mapped)), base) {
			t.Logf("module %s: mapped file %q %v", name, text(mapped), errno)
		}
	}
	exe, _ := os.Executable()
	if len(names) < 4 || names[0] != strings.ToLower(filepath.Base(exe)) || ntdll == 0 {
		t.Errorf("modules %q", names)
	}

	ring, errno := c.Unloaded(ntdll, make([]byte, 16))
	if errno != 0 || ring.Count == 0 {
		t.Fatalf("unloaded modules: %+v %v", ring, errno)
	}
	var (
		u   Unloaded
		got []string
	)
	for i := range ring.Count {
		b := make([]byte, ring.Size)
		if c.Read(ring.Addr+uint64(i*ring.Size), b) == len(b) && ParseUnloaded(b, c.Wide, &u) {
			got = append(got, strings.ToLower(text(u.Name)))
			if u.Size == 0 || u.Base%0x1000 != 0 {
				t.Errorf("%+v", u)
			}
		}
	}
	if all := strings.Join(got, " "); !strings.Contains(all, "winmm.dll") {
		t.Errorf("unloaded modules %q", got)
	}
}

func TestThreads(t *testing.T) {
	c := startTarget(t)
	var (
		s       Suspension
		ts      = new(Threads)
		th      Thread
		scratch = make([]byte, 4096)
		regs    = make([]byte, MaxContext+16)
		named   = map[string]bool{}
		ids     = map[uint32]bool{}
	)
	regs = regs[-uintptr(unsafe.Pointer(&regs[0]))%16:]
	if errno := s.Suspend(&c.Process); errno != 0 {
		t.Fatal(errno)
	}
	for ts.Begin(&c.Process); ; {
		h, errno := ts.Next()
		if errno != 0 {
			t.Fatal(errno)
		}
		if h == 0 {
			break
		}
		defer syscall.CloseHandle(h)
		if errno := th.Basic(h); errno != 0 || th.Exited || ids[th.ID] {
			t.Errorf("%+v %v", th, errno)
		}
		ids[th.ID] = true
		c.Thread(h, &th, scratch)
		if th.TEB == 0 || th.StackBase <= th.StackLimit || th.Suspended != 1 || th.Start == 0 || th.Times.Create == 0 || th.Affinity == 0 {
			t.Errorf("%+v", th)
		}
		if errno := c.Context(h, regs); errno != 0 {
			t.Errorf("thread %d: %v", th.ID, errno)
		}
		arch := map[uint16]context.Arch{IMAGE_FILE_MACHINE_AMD64: context.AMD64, IMAGE_FILE_MACHINE_I386: context.X86, IMAGE_FILE_MACHINE_ARM64: context.ARM64}[c.Machine]
		pc, sp := programCounter(c.Machine, regs)
		var r Region
		if errno := c.Region(pc, &r); errno != 0 || !r.Executable() {
			t.Errorf("thread %d stands at %#x: %+v", th.ID, pc, r)
		}
		if sp < th.StackLimit || sp >= th.StackBase {
			t.Logf("thread %d: sp %#x is outside of [%#x, %#x)", th.ID, sp, th.StackLimit, th.StackBase)
		}
		if arch.ContextSize() != c.ContextSize() {
			t.Errorf("context size %d, want %d", c.ContextSize(), arch.ContextSize())
		}
		name, errno := ThreadName(h, scratch)
		if errno != 0 {
			t.Errorf("name of thread %d: %v", th.ID, errno)
		}
		named[text(name)] = true
	}
	for i := range targetThreads {
		if name := fmt.Sprintf("worker-%d ü", i); !named[name] {
			t.Errorf("no thread %q in %v", name, named)
		}
	}
	if errno := s.Resume(); errno != 0 {
		t.Error(errno)
	}
	if errno := s.Resume(); errno != 0 {
		t.Error("second resume:", errno)
	}
	// Toolhelp lists the same threads.
	saved := ntGetNextThread
	ntGetNextThread = 0
	defer func() { ntGetNextThread = saved }()
	n := 0
	for ts.Begin(&c.Process); ; n++ {
		h, errno := ts.Next()
		if errno != 0 {
			t.Fatal(errno)
		}
		if h == 0 {
			break
		}
		if errno := th.Basic(h); errno != 0 || !ids[th.ID] {
			t.Errorf("%+v %v", th, errno)
		}
		syscall.CloseHandle(h)
	}
	if n != len(ids) {
		t.Errorf("%d threads, want %d", n, len(ids))
	}
}

// TestWow64 has a 64-bit program read a 32-bit one: loader list, threads, registers and stacks must be the 32-bit ones.
// MINIDUMP_386 is the path of this package's test binary for windows/386.
func TestWow64(t *testing.T) {
	exe := os.Getenv("MINIDUMP_386")
	if exe == "" || nativeWord == 4 {
		t.Skip("needs MINIDUMP_386, and a 64-bit test binary")
	}
	c := startTargetOf(t, exe)
	if !c.Wow64 || c.Wide || c.Machine != IMAGE_FILE_MACHINE_I386 || c.PEB == 0 || c.PEB >= 1<<32 || c.PEB64 == 0 {
		t.Fatalf("%+v", c.Process)
	}
	var (
		w       = new(Loader)
		m       Module
		r       = pe.NewReader(nil)
		ts      = new(Threads)
		th      Thread
		region  Region
		s       Suspension
		regs    = make([]byte, MaxContext+16)
		scratch = make([]byte, 4096)
		n       int
	)
	regs = regs[-uintptr(unsafe.Pointer(&regs[0]))%16:]
	for ok := w.Open(c, c.PEB, c.Wide); ok; n++ {
		if ok, _ = w.Next(&m); ok && (!r.Open(&imageSource{c, m.Base}, pe.Loaded) || r.Header.Machine != IMAGE_FILE_MACHINE_I386) {
			t.Errorf("module at %#x: %+v", m.Base, r.Header)
		}
	}
	if n < 4 {
		t.Errorf("%d modules", n)
	}
	if errno := s.Suspend(&c.Process); errno != 0 {
		t.Fatal(errno)
	}
	defer s.Resume()
	n = 0
	for ts.Begin(&c.Process); ; n++ {
		h, errno := ts.Next()
		if h == 0 || errno != 0 {
			break
		}
		th.Basic(h)
		c.Thread(h, &th, scratch)
		if th.TEB == 0 || th.TEB >= 1<<32 || th.TEB64 == 0 || th.StackBase <= th.StackLimit || th.StackBase >= 1<<32 {
			t.Errorf("%+v", th)
		}
		if errno := c.Context(h, regs); errno != 0 {
			t.Errorf("thread %d: %v", th.ID, errno)
		}
		pc, _ := programCounter(c.Machine, regs)
		if errno := c.Region(pc, &region); errno != 0 || !region.Executable() {
			t.Errorf("thread %d stands at %#x: %+v", th.ID, pc, region)
		}
		defer syscall.CloseHandle(h)
	}
	if n < targetThreads {
		t.Errorf("%d threads", n)
	}
	if _, errno := c.Unloaded(m.Base, scratch); errno != errorNotSupported {
		t.Errorf("unloaded modules: %v", errno)
	}
}

// programCounter reads PC and SP from a CONTEXT.
func programCounter(machine uint16, b []byte) (pc, sp uint64) {
	switch machine {
	case IMAGE_FILE_MACHINE_I386:
		return uint64(le.Uint32(b[184:])), uint64(le.Uint32(b[196:]))
	case IMAGE_FILE_MACHINE_ARM64:
		return le.Uint64(b[264:]), le.Uint64(b[256:])
	}
	return le.Uint64(b[248:]), le.Uint64(b[152:])
}

func TestSuspendOneThread(t *testing.T) {
	c := startTarget(t)
	ts := new(Threads)
	ts.Begin(&c.Process)
	h, errno := ts.Next()
	if errno != 0 || h == 0 {
		t.Fatal(h, errno)
	}
	defer syscall.CloseHandle(h)
	for want := range uint32(2) {
		if n, errno := SuspendThread(h); errno != 0 || n != want {
			t.Errorf("suspended %d times before: %v", n, errno)
		}
	}
	for range 2 {
		if errno := ResumeThread(h); errno != 0 {
			t.Error(errno)
		}
	}
	if _, errno := SuspendThread(0x7ffffff0); errno == 0 {
		t.Error("a handle that is none was suspended")
	}
	if errno := ResumeThread(0x7ffffff0); errno == 0 {
		t.Error("a handle that is none was resumed")
	}
}

func TestHandles(t *testing.T) {
	c := startTarget(t)
	var (
		l     Handles
		h     Handle
		types = map[string]int{}
		buf   = make([]byte, 4<<20)
		b     = make([]byte, 4096)
	)
	if errno := l.List(&c.Process, buf[:64]); errno != errorBufferOverflow {
		t.Errorf("a short buffer: %v", errno)
	}
	if errno := l.List(&c.Process, buf); errno != 0 {
		t.Fatal(errno)
	}
	n := 0
	for l.Next(&h) {
		n++
		d, errno := c.Duplicate(h.Value)
		if errno != 0 {
			t.Errorf("handle %+v: %v", h, errno)
			continue
		}
		name, errno := TypeName(d, b)
		if errno != 0 {
			t.Errorf("type of handle %+v: %v", h, errno)
		}
		types[text(name)]++
		h.Counts(d)
		syscall.CloseHandle(d)
	}
	if n < 5 || types["File"] == 0 || types["Event"] == 0 {
		t.Errorf("%d handles, types %v", n, types)
	}
}

func TestSystemInfo(t *testing.T) {
	c := startTarget(t)
	var (
		info stream.SystemInfo
		csd  [128]uint16
	)
	if _, errno := c.SystemInfo(&info, &csd); errno != 0 {
		t.Fatal(errno)
	}
	if info.PlatformID != stream.MD_OS_WIN32_NT || info.MajorVersion < 10 || info.BuildNumber == 0 || int(info.NumberOfProcessors) < runtime.NumCPU() ||
		info.CPU == [stream.CPUSize]byte{} {
		t.Errorf("%+v", info)
	}
	var m Misc
	m.Begin(&c.Process, "test")
	if errno := m.Update(&c.Process); errno != 0 {
		t.Fatal(errno)
	}
	var r stream.MiscInfo5
	r.Get(m.Record[:], le)
	if r.SizeOfInfo != stream.MiscInfo5Size || r.ProcessID != c.PID || r.ProcessCreateTime == 0 || r.BuildString == "" || r.DbgBldStr != "test" ||
		r.Flags1&(stream.MINIDUMP_MISC1_PROCESS_TIMES|stream.MINIDUMP_MISC3_TIMEZONE|stream.MINIDUMP_MISC3_PROCESS_INTEGRITY) !=
			stream.MINIDUMP_MISC1_PROCESS_TIMES|stream.MINIDUMP_MISC3_TIMEZONE|stream.MINIDUMP_MISC3_PROCESS_INTEGRITY || r.ProcessIntegrityLevel < 0x1000 {
		t.Errorf("%+v", r)
	}
	b := make([]byte, stream.SystemMemoryInfoSize)
	if errno := SystemMemoryInfo(b); errno != 0 || le.Uint16(b) != 1 || le.Uint32(b[8:]) != pageSize || le.Uint32(b[12:]) < 1000 {
		t.Errorf("memory of the system: %v %x", errno, b)
	}
	if errno := c.VMCounters(b); errno != 0 || le.Uint16(b) != 2 || le.Uint64(b[16:]) == 0 {
		t.Errorf("memory of the process: %v %x", errno, b[:stream.ProcessVMCountersSize])
	}
}

// TestNoAllocs checks that the steps of a dump allocate nothing.
func TestNoAllocs(t *testing.T) {
	c := startTarget(t)
	var (
		p       = &c.Process
		ts      = new(Threads)
		th      = new(Thread)
		s       = new(Suspension)
		l       = new(Handles)
		h       = new(Handle)
		r       = new(Region)
		w       = new(Loader)
		m       = new(Module)
		misc    = new(Misc)
		buf     = make([]byte, 4<<20)
		scratch = make([]byte, 4096)
		src     = &imageSource{p, 0}
		reader  = pe.NewReader(nil)
		cv      pe.CodeView
		v       pe.Version
		regs    = buf[-uintptr(unsafe.Pointer(&buf[0]))%16:]
	)
	misc.Begin(p, "test")
	n := testing.AllocsPerRun(5, func() {
		s.Suspend(p)
		for ts.Begin(p); ; {
			h, errno := ts.Next()
			if h == 0 || errno != 0 {
				break
			}
			th.Basic(h)
			p.Thread(h, th, scratch)
			p.Context(h, regs)
			ThreadName(h, scratch)
		}
		s.Resume()
		for at := uint64(0); p.Region(at, r) == 0; at = r.End() {
		}
		w.Open(p, p.PEB, p.Wide)
		for {
			if ok, _ := w.Next(m); !ok {
				break
			}
			src.base = m.Base
			if reader.Open(src, pe.Loaded) {
				reader.CodeView(&cv)
				reader.Version(&v)
			}
		}
		l.List(p, buf)
		for l.Next(h) {
			if d, errno := p.Duplicate(h.Value); errno == 0 {
				TypeName(d, scratch)
				h.Counts(d)
				syscall.CloseHandle(d)
			}
		}
		misc.Update(p)
		SystemMemoryInfo(scratch)
		p.VMCounters(scratch)
		p.Read(1, scratch)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
