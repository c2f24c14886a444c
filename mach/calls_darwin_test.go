package mach

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

const asChild = "MACH_TEST_CHILD"

var secret = []byte("what another task reads from this one")

func TestMain(m *testing.M) {
	switch os.Getenv(asChild) {
	case "sleep": // prints the address of its secret, and a dot now and then
		os.Stdout.WriteString(strconv.FormatUint(uint64(uintptr(unsafe.Pointer(&secret[0]))), 10) + "\n")
		go func() {
			for {
				time.Sleep(time.Hour)
			}
		}()
		for {
			os.Stdout.WriteString(".\n")
			time.Sleep(time.Millisecond)
		}
	case "raise":
		raiseForTest()
	}
	os.Exit(m.Run())
}

// child starts the test program again, and returns its first line of output and the rest.
func child(t *testing.T, what string) (*exec.Cmd, string, *bufio.Reader) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), asChild+"="+what)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	r := bufio.NewReader(out)
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(line), r
}

func ok(t *testing.T, what string, kr KernReturn) {
	t.Helper()
	if kr != KERN_SUCCESS {
		t.Fatalf("%s: %v", what, kr)
	}
}

func refs(t *testing.T, p Port, right PortRight) uint32 {
	t.Helper()
	n, kr := PortGetRefs(p, right)
	ok(t, "mach_port_get_refs", kr)
	return n
}

// TestTraps makes each trap, and checks its effect through libSystem.
func TestTraps(t *testing.T) {
	if again := TaskSelf(); again != TaskSelf() || !again.Valid() || !HostSelf().Valid() || HostSelf() == TaskSelf() {
		t.Errorf("task %#x, host %#x", TaskSelf(), HostSelf())
	}
	pid, kr := PIDForTask(TaskSelf())
	if kr != KERN_SUCCESS || pid != os.Getpid() {
		t.Errorf("pid_for_task: %d, %v", pid, kr)
	}
	if _, kr := PIDForTask(0x12345603); kr == KERN_SUCCESS {
		t.Error("pid_for_task of no port")
	}
	if p, kr := TaskForPID(0x7ffffff0); kr != KERN_FAILURE || p != 0 {
		t.Errorf("task_for_pid of no process: %#x, %v", p, kr)
	}

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := ThreadSelf()
	before := refs(t, thread, MACH_PORT_RIGHT_SEND)
	if again := ThreadSelf(); again != thread || refs(t, thread, MACH_PORT_RIGHT_SEND) != before+1 {
		t.Errorf("thread %#x, then %#x", thread, again)
	}
	ok(t, "mach_port_deallocate", PortDeallocate(thread))
	if n := refs(t, thread, MACH_PORT_RIGHT_SEND); n != before {
		t.Errorf("%d rights, before %d", n, before)
	}
	var id ThreadIdentifierInfo
	ok(t, "thread_info", id.Read(thread))
	if id.ThreadID != ThreadID() || id.ThreadID == 0 {
		t.Errorf("thread id %d, pthread_threadid_np %d", id.ThreadID, ThreadID())
	}
	ok(t, "mach_port_deallocate", PortDeallocate(thread))

	reply := ReplyPort()
	if n := refs(t, reply, MACH_PORT_RIGHT_RECEIVE); n != 1 {
		t.Errorf("%d receive rights", n)
	}
	ok(t, "mach_port_mod_refs", PortModRefs(reply, MACH_PORT_RIGHT_RECEIVE, -1))
	if _, kr := PortGetRefs(reply, MACH_PORT_RIGHT_RECEIVE); kr != KERN_INVALID_NAME {
		t.Errorf("a destroyed port: %v", kr)
	}

	p, kr := PortAllocate(MACH_PORT_RIGHT_RECEIVE)
	ok(t, "mach_port_allocate", kr)
	ok(t, "mach_port_insert_right", PortInsertRight(p, p, MACH_MSG_TYPE_MAKE_SEND))
	if n := refs(t, p, MACH_PORT_RIGHT_SEND); n != 1 {
		t.Errorf("%d send rights", n)
	}
	ok(t, "mach_port_deallocate", PortDeallocate(p))
	if kr := PortDeallocate(p); kr != KERN_INVALID_RIGHT {
		t.Errorf("a second deallocation: %v", kr)
	}
	ok(t, "mach_port_mod_refs", PortModRefs(p, MACH_PORT_RIGHT_RECEIVE, -1))
}

func TestVM(t *testing.T) {
	addr, kr := VMAllocate(3 * 16384)
	ok(t, "mach_vm_allocate", kr)
	region := func(addr uint64) (uint64, uint64, int32) {
		t.Helper()
		var info VMRegionSubmapInfo64
		start, size, _, kr := VMRegionRecurse(TaskSelf(), addr, 99, &info)
		ok(t, "mach_vm_region_recurse", kr)
		return start, size, info.Protection
	}
	if start, size, prot := region(addr); start > addr || start+size < addr+3*16384 || prot != VM_PROT_READ|VM_PROT_WRITE {
		t.Errorf("%#x: region %#x of %#x bytes, protection %d", addr, start, size, prot)
	}
	ok(t, "mach_vm_protect", VMProtect(addr+16384, 16384, VM_PROT_READ))
	if start, size, prot := region(addr + 16384); start != addr+16384 || size != 16384 || prot != VM_PROT_READ {
		t.Errorf("%#x: region %#x of %#x bytes, protection %d", addr, start, size, prot)
	}
	ok(t, "mach_vm_protect", VMProtect(addr+16384, 16384, 0))
	b := make([]byte, 3*16384)
	if n, kr := VMReadOverwrite(TaskSelf(), addr, b); n != 0 || kr == KERN_SUCCESS {
		t.Errorf("read over a page that can't be read: %d, %v", n, kr)
	}
	if n, kr := VMReadOverwrite(TaskSelf(), addr, b[:16384]); n != 16384 || kr != KERN_SUCCESS {
		t.Errorf("read: %d, %v", n, kr)
	}
	ok(t, "mach_vm_deallocate", VMDeallocate(addr, 3*16384))
	if start, _, _ := region(addr); start < addr+3*16384 {
		t.Errorf("%#x: region %#x after it was unmapped", addr, start)
	}
	if n, kr := VMReadOverwrite(TaskSelf(), addr, b[:1]); n != 0 || kr != KERN_INVALID_ADDRESS {
		t.Errorf("read of unmapped memory: %d, %v", n, kr)
	}
	var info VMRegionSubmapInfo64
	if _, _, _, kr := VMRegionRecurse(TaskSelf(), 1<<63, 99, &info); kr != KERN_INVALID_ADDRESS {
		t.Errorf("the region after the last: %v", kr)
	}
}

// TestThreads checks that nothing of a list remains, neither the rights nor its memory.
func TestThreads(t *testing.T) {
	first, kr := TaskThreads(TaskSelf())
	ok(t, "task_threads", kr)
	defer first.Release()
	if len(first.Ports()) < 2 {
		t.Fatalf("%d threads", len(first.Ports()))
	}
	p := first.Ports()[0]
	before := refs(t, p, MACH_PORT_RIGHT_SEND)
	for range 100 {
		list, kr := TaskThreads(TaskSelf())
		ok(t, "task_threads", kr)
		addr := uint64(list.addr)
		list.Release()
		if b := make([]byte, 1); len(list.Ports()) != 0 {
			t.Fatal("a released list has ports")
		} else if _, kr := VMReadOverwrite(TaskSelf(), addr, b); kr == KERN_SUCCESS {
			t.Fatal("the list is still mapped")
		}
		list.Release()
	}
	if n := refs(t, p, MACH_PORT_RIGHT_SEND); n != before {
		t.Errorf("%d rights to a thread, before %d", n, before)
	}
	if n := testing.AllocsPerRun(100, func() {
		list, _ := TaskThreads(TaskSelf())
		var x ThreadExtendedInfo
		for _, p := range list.Ports() {
			x.Read(p)
		}
		list.Release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTaskInfo(t *testing.T) {
	var d TaskDyldInfo
	ok(t, "TASK_DYLD_INFO", d.Read(TaskSelf()))
	if d.Format != TASK_DYLD_ALL_IMAGE_INFO_64 || d.AllImageInfoSize() < 100 {
		t.Fatalf("dyld: %+v", d)
	}
	var head [8]byte
	if _, kr := VMReadOverwrite(TaskSelf(), d.AllImageInfoAddr(), head[:]); kr != KERN_SUCCESS ||
		order.Uint32(head[4:]) < 2 {
		t.Errorf("dyld_all_image_infos: %x, %v", head, kr)
	}
	var b MachTaskBasicInfo
	ok(t, "MACH_TASK_BASIC_INFO", b.Read(TaskSelf()))
	if b.ResidentSize == 0 || b.VirtualSize < b.ResidentSize || b.SuspendCount != 0 {
		t.Errorf("basic: %+v", b)
	}
	var times TaskThreadTimesInfo
	ok(t, "TASK_THREAD_TIMES_INFO", times.Read(TaskSelf()))
	var token AuditToken
	ok(t, "TASK_AUDIT_TOKEN", token.Read(TaskSelf()))
	if token.PID() != os.Getpid() {
		t.Errorf("audit token of %d", token.PID())
	}
	if kr := d.Read(HostSelf()); kr == KERN_SUCCESS {
		t.Error("task_info of the host")
	}
	var h HostBasicInfo
	ok(t, "HOST_BASIC_INFO", h.Read(HostSelf()))
	if h.AvailCPUs < 1 || h.MaxMem() < 1<<28 || h.CPUType != map[string]int32{"amd64": 0x01000007,
		"arm64": 0x0100000c}[runtime.GOARCH] {
		t.Errorf("host: %+v", h)
	}
	bootstrap, kr := TaskGetSpecialPort(TaskSelf(), TASK_BOOTSTRAP_PORT)
	if kr != KERN_SUCCESS || !bootstrap.Valid() {
		t.Errorf("bootstrap port %#x, %v", bootstrap, kr)
	}
	PortDeallocate(bootstrap)
}

func TestProc(t *testing.T) {
	var b ProcBSDInfo
	if err := b.Read(os.Getpid()); err != nil || int(b.PID) != os.Getpid() || int(b.PPID) != os.Getppid() {
		t.Errorf("%v %+v", err, b)
	}
	if since := time.Since(time.Unix(int64(b.StartSec), 0)); since < -time.Minute || since > time.Hour {
		t.Errorf("started %v ago", since)
	}
	exe, _ := os.Executable()
	var path [4 * MAXPATHLEN]byte
	if n, err := ProcPIDPath(os.Getpid(), path[:]); err != nil || string(path[:n]) != exe {
		t.Errorf("path %q, %v, want %q", path[:n], err, exe)
	}
	if err := b.Read(0x7ffffff0); err != ErrProc {
		t.Errorf("no process: %v", err)
	}
	f, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list [256]ProcFDInfo
	n, err := ProcListFDs(os.Getpid(), list[:])
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, fd := range list[:n] {
		if int(fd.FD) == int(f.Fd()) {
			found = fd.Type == PROX_FDTYPE_VNODE
		}
	}
	if !found {
		t.Errorf("descriptors %v", list[:n])
	}
	var v VnodeFDInfoWithPath
	if err := v.Read(os.Getpid(), int(f.Fd())); err != nil || string(v.Path()) != exe || v.Mode&0o170000 != 0o100000 {
		t.Errorf("file: %v %s %o", err, v.Path(), v.Mode)
	}
	var s SocketFDInfo
	if err := s.Read(os.Getpid(), int(f.Fd())); err == nil {
		t.Error("a file as a socket")
	}
	var buf [256]byte
	if n, err := SysctlByName("hw.ncpu", buf[:]); err != nil || n != 4 || int(order.Uint32(buf[:])) < 1 {
		t.Errorf("hw.ncpu: %x, %v", buf[:n], err)
	}
	if _, err := SysctlByName("no.such.name", buf[:]); err == nil {
		t.Error("no.such.name")
	}
	args := make([]byte, 1<<18)
	n, err = Sysctl([]int32{CTL_KERN, KERN_PROCARGS2, int32(os.Getpid())}, args)
	if err != nil || int(order.Uint32(args)) != len(os.Args) || !bytes.HasPrefix(args[4:n], []byte(exe)) {
		t.Errorf("arguments: %q, %v", args[:min(n, 64)], err)
	}
}

// spin keeps a thread in Go code, as its registers show.
var spinning atomic.Int32

//go:noinline
func spin(stop *atomic.Bool) {
	spinning.Store(1)
	for !stop.Load() {
		spinning.Add(1)
	}
}

func pcOf(t *testing.T, thread Port) (pc, sp uint64) {
	t.Helper()
	if runtime.GOARCH == "arm64" {
		var s ARMThreadState64
		ok(t, "ARM_THREAD_STATE64", s.Read(thread))
		return s.PC, s.SP
	}
	var s X86ThreadState64
	ok(t, "x86_THREAD_STATE64", s.Read(thread))
	return s.RIP, s.RSP
}

// TestSuspend suspends a thread that counts, and reads its program counter.
func TestSuspend(t *testing.T) {
	var stop atomic.Bool
	port := make(chan Port)
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		port <- ThreadSelf()
		spin(&stop)
		close(done)
	}()
	thread := <-port
	defer PortDeallocate(thread)
	for spinning.Load() < 100 {
		runtime.Gosched()
	}
	ok(t, "thread_suspend", ThreadSuspend(thread))
	inSpin := func() bool {
		pc, _ := pcOf(t, thread)
		f := runtime.FuncForPC(uintptr(pc))
		return f != nil && f.Entry() == runtime.FuncForPC(reflect.ValueOf(spin).Pointer()).Entry()
	}
	for tries := 0; !inSpin(); tries++ { // the scheduler had interrupted it
		ok(t, "thread_resume", ThreadResume(thread))
		if tries == 1000 {
			t.Fatal("the thread is never where it spins")
		}
		time.Sleep(time.Millisecond)
		ok(t, "thread_suspend", ThreadSuspend(thread))
	}
	n := spinning.Load()
	time.Sleep(20 * time.Millisecond)
	if now := spinning.Load(); now != n {
		t.Errorf("a suspended thread counted from %d to %d", n, now)
	}
	if _, sp := pcOf(t, thread); sp == 0 {
		t.Error("no stack pointer")
	}
	var info ThreadBasicInfo
	ok(t, "THREAD_BASIC_INFO", info.Read(thread))
	if info.SuspendCount != 1 {
		t.Errorf("suspended %d times", info.SuspendCount)
	}
	if runtime.GOARCH == "arm64" {
		var f ARMNeonState64
		ok(t, "ARM_NEON_STATE64", f.Read(thread))
	} else {
		var f X86FloatState64
		ok(t, "x86_FLOAT_STATE64", f.Read(thread))
		if f.FXSave[0] != 0x7f || f.FXSave[1] != 3 { // the x87 control word at the start of a program
			t.Errorf("control word %x", f.FXSave[:2])
		}
	}
	ok(t, "thread_resume", ThreadResume(thread))
	for spinning.Load() == n {
		runtime.Gosched()
	}
	if kr := ThreadResume(thread); kr == KERN_SUCCESS {
		t.Error("a thread was resumed more often than suspended")
	}
	stop.Store(true)
	<-done
}

// TestOtherTask suspends another program and reads it.
func TestOtherTask(t *testing.T) {
	cmd, line, out := child(t, "sleep")
	addr, err := strconv.ParseUint(line, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	task, kr := TaskForPID(cmd.Process.Pid)
	ok(t, "task_for_pid", kr)
	defer PortDeallocate(task)
	if pid, kr := PIDForTask(task); pid != cmd.Process.Pid || kr != KERN_SUCCESS {
		t.Errorf("pid_for_task: %d, %v", pid, kr)
	}
	ok(t, "task_suspend", TaskSuspend(task))
	threads, kr := TaskThreads(task)
	ok(t, "task_threads", kr)
	if len(threads.Ports()) < 2 {
		t.Errorf("%d threads", len(threads.Ports()))
	}
	ids := map[uint64]bool{}
	for _, p := range threads.Ports() {
		var id ThreadIdentifierInfo
		ok(t, "thread_info", id.Read(p))
		ids[id.ThreadID] = true
		if pc, sp := pcOf(t, p); pc == 0 || sp == 0 {
			t.Errorf("pc %#x, sp %#x", pc, sp)
		}
	}
	if len(ids) != len(threads.Ports()) {
		t.Errorf("ids %v", ids)
	}
	threads.Release()
	b := make([]byte, len(secret))
	if n, kr := VMReadOverwrite(task, addr, b); n != len(b) || kr != KERN_SUCCESS || !bytes.Equal(b, secret) {
		t.Errorf("read %q, %v", b[:n], kr)
	}
	var d TaskDyldInfo
	ok(t, "TASK_DYLD_INFO", d.Read(task))
	var infos [16]byte
	if _, kr := VMReadOverwrite(task, d.AllImageInfoAddr(), infos[:]); kr != KERN_SUCCESS || order.Uint32(infos[:]) < 15 {
		t.Errorf("dyld_all_image_infos %x, %v", infos, kr)
	}
	// The shared cache is a map of its own.
	var info VMRegionSubmapInfo64
	submap := false
	for at := uint64(0); ; {
		start, size, _, kr := VMRegionRecurse(task, at, 0, &info)
		if kr != KERN_SUCCESS {
			break
		}
		submap = submap || info.IsSubmap != 0
		at = start + size
	}
	if !submap {
		t.Error("no map within the map")
	}

	lines := make(chan bool)
	go func() {
		for {
			if _, err := out.ReadString('\n'); err != nil {
				close(lines)
				return
			}
			lines <- true
		}
	}()
	quiet := false // the previous content of the pipe is read first
	for !quiet {
		select {
		case <-lines:
		case <-time.After(200 * time.Millisecond):
			quiet = true
		}
	}
	ok(t, "task_resume", TaskResume(task))
	select {
	case _, running := <-lines:
		if !running {
			t.Error("the program has ended")
		}
	case <-time.After(10 * time.Second):
		t.Error("the program does not go on")
	}
	if kr := TaskResume(task); kr == KERN_SUCCESS {
		t.Error("a task was resumed more often than suspended")
	}
}

// TestMessages sends a right to this task itself, by a port and by a service of the bootstrap server.
func TestMessages(t *testing.T) {
	name := "minidump.mach.test." + strconv.Itoa(os.Getpid())
	if _, kr := BootstrapLookUp(name); kr != BOOTSTRAP_UNKNOWN_SERVICE {
		t.Errorf("look up of nothing: %v", kr)
	}
	service, kr := BootstrapCheckIn(name)
	ok(t, "bootstrap_check_in", kr)
	defer PortModRefs(service, MACH_PORT_RIGHT_RECEIVE, -1)
	to, kr := BootstrapLookUp(name)
	ok(t, "bootstrap_look_up", kr)
	defer PortDeallocate(to)
	reply := ReplyPort()
	defer PortModRefs(reply, MACH_PORT_RIGHT_RECEIVE, -1)
	if kr := Receive(service, make([]byte, 256), 0, 10); kr != MACH_RCV_TIMED_OUT {
		t.Errorf("receive of nothing: %v", kr)
	}

	var m [HeaderSize + 4 + PortDescriptorSize + 8]byte
	h := Header{Bits: Bits(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE) | MACH_MSGH_BITS_COMPLEX,
		Size: uint32(len(m)), Remote: to, Local: reply, ID: 4711}
	h.Put(m[:])
	order.PutUint32(m[HeaderSize:], 1)
	PutPortDescriptor(m[HeaderSize+4:], TaskSelf(), MACH_MSG_TYPE_COPY_SEND)
	copy(m[HeaderSize+4+PortDescriptorSize:], "12345678")
	ok(t, "send", Send(m[:], 1000))

	var in [len(m) + MaxTrailerSize]byte
	ok(t, "receive", Receive(service, in[:], MACH_RCV_TRAILER_AUDIT, 1000))
	got, valid := GetHeader(in[:])
	if !valid || got.ID != 4711 || got.Local != service || got.Size != uint32(len(m)) || !got.Complex() ||
		!got.Remote.Valid() {
		t.Fatalf("%+v", got)
	}
	task, disposition, valid := GetPortDescriptor(in[HeaderSize+4:])
	if !valid || disposition != MACH_MSG_TYPE_MOVE_SEND {
		t.Errorf("descriptor %x", in[HeaderSize+4:HeaderSize+16])
	}
	if pid, kr := PIDForTask(task); kr != KERN_SUCCESS || pid != os.Getpid() {
		t.Errorf("the port that came: %d, %v", pid, kr)
	}
	PortDeallocate(task)
	if pid := int(order.Uint32(in[len(m)+40:])); pid != os.Getpid() || order.Uint32(in[len(m)+4:]) != 52 {
		t.Errorf("trailer %x", in[len(m):])
	}
	answer := Header{Bits: Bits(got.Bits&0x1f, 0), Size: HeaderSize, Remote: got.Remote, ID: 4811}
	answer.Put(m[:])
	ok(t, "send of the answer", Send(m[:HeaderSize], 1000))
	ok(t, "receive of the answer", Receive(reply, in[:], 0, 1000))
	if got, _ := GetHeader(in[:]); got.ID != 4811 {
		t.Errorf("%+v", got)
	}
	if kr := Send(m[:HeaderSize], 10); kr != MACH_SEND_INVALID_DEST {
		t.Errorf("a send-once right is good for a second message: %v", kr)
	}
}

// raiseForTest is the child of TestExceptions: it reports that it runs, waits until its exception port is set, and reads from an
// address without memory.
func raiseForTest() {
	os.Stdout.WriteString("ready\n")
	for {
		var e ExceptionPorts
		if kr := e.Read(TaskSelf(), EXC_BAD_ACCESS.Mask()|EXC_CRASH.Mask()); kr == KERN_SUCCESS && e.N > 0 &&
			e.Ports[0] != 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	defer func() {
		recover()
		os.Exit(21)
	}()
	var p *[1 << 12]byte
	os.Exit(int(p[0x88]))
}

// TestExceptions handles another task's exceptions, and receives the fault before the task does.
func TestExceptions(t *testing.T) {
	for _, behavior := range []ExceptionBehavior{EXCEPTION_DEFAULT, EXCEPTION_STATE_IDENTITY,
		EXCEPTION_IDENTITY_PROTECTED} {
		cmd, _, _ := child(t, "raise")
		task, kr := TaskForPID(cmd.Process.Pid)
		ok(t, "task_for_pid", kr)
		port, kr := PortAllocate(MACH_PORT_RIGHT_RECEIVE)
		ok(t, "mach_port_allocate", kr)
		ok(t, "mach_port_insert_right", PortInsertRight(port, port, MACH_MSG_TYPE_MAKE_SEND))
		flavor := map[string]int{"amd64": X86_THREAD_STATE64, "arm64": ARM_THREAD_STATE64}[runtime.GOARCH]
		ok(t, "task_set_exception_ports", TaskSetExceptionPorts(task, EXC_BAD_ACCESS.Mask()|EXC_CRASH.Mask(), port,
			behavior|MACH_EXCEPTION_CODES, flavor))
		var set ExceptionPorts
		ok(t, "task_get_exception_ports", set.Read(task, ^ExceptionMask(0)>>18))
		both := false
		for i := range set.N {
			if set.Masks[i] == EXC_BAD_ACCESS.Mask()|EXC_CRASH.Mask() {
				both = set.Ports[i] == port && set.Behaviors[i] == behavior|MACH_EXCEPTION_CODES
			}
		}
		if !both {
			t.Errorf("handlers %+v", set)
		}
		set.Release()

		var m [8192]byte
		ok(t, "receive", Receive(port, m[:], 0, 10000))
		e, valid := ParseException(m[:])
		if !valid || e.Type != EXC_BAD_ACCESS || e.Code != uint64(KERN_INVALID_ADDRESS) || e.Subcode != 0x88 {
			t.Fatalf("%v %+v", valid, e)
		}
		if e.Protected {
			p, kr := TaskIdentityTokenGetTaskPort(e.Task)
			ok(t, "task_identity_token_get_task_port", kr)
			PortDeallocate(e.Task)
			e.Task = p
		} else {
			var id ThreadIdentifierInfo
			ok(t, "thread_info", id.Read(e.Thread))
			e.ThreadID = id.ThreadID
			pc, sp := pcOf(t, e.Thread)
			if pc == 0 || sp == 0 {
				t.Errorf("pc %#x, sp %#x", pc, sp)
			}
			if e.State != nil {
				at := map[string]int{"amd64": 128, "arm64": 256}[runtime.GOARCH]
				if len(e.State) < at+8 || order.Uint64(e.State[at:]) != pc || int(e.Flavor) != flavor {
					t.Errorf("flavor %d, state %x, pc %#x", e.Flavor, e.State, pc)
				}
			}
		}
		if pid, kr := PIDForTask(e.Task); kr != KERN_SUCCESS || pid != cmd.Process.Pid || e.ThreadID == 0 {
			t.Errorf("task of %d, %v", pid, kr)
		}
		var reply [ExceptionReplySize]byte
		ok(t, "reply", Send(e.Reply(reply[:], KERN_FAILURE),
			1000)) // so the program's own handler receives a signal, and it recovers
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 21 {
			t.Errorf("%v", err)
		}
		for _, p := range []Port{e.Task, e.Thread, port, task} {
			if p.Valid() {
				PortDeallocate(p)
			}
		}
		ok(t, "mach_port_mod_refs", PortModRefs(port, MACH_PORT_RIGHT_RECEIVE, -1))
	}
}
