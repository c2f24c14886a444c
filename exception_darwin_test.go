package minidump_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"testing"
	"time"

	"minidump"
	"minidump/context"
	"minidump/mach"
	"minidump/stream"
)

// A handler receives the exceptions of another task.
type handler struct {
	t    *testing.T
	port mach.Port
	m    [8192]byte
	e    mach.Exception
}

func handle(t *testing.T, v *victim, mask mach.ExceptionMask, behavior mach.ExceptionBehavior) *handler {
	t.Helper()
	check := func(what string, kr mach.KernReturn) {
		t.Helper()
		if kr != mach.KERN_SUCCESS {
			t.Fatalf("%s: %v", what, kr)
		}
	}
	task, kr := mach.TaskForPID(v.pid)
	check("task_for_pid", kr)
	defer mach.PortDeallocate(task)
	h := &handler{t: t}
	h.port, kr = mach.PortAllocate(mach.MACH_PORT_RIGHT_RECEIVE)
	check("mach_port_allocate", kr)
	t.Cleanup(func() { mach.PortModRefs(h.port, mach.MACH_PORT_RIGHT_RECEIVE, -1) })
	check("mach_port_insert_right", mach.PortInsertRight(h.port, h.port, mach.MACH_MSG_TYPE_MAKE_SEND))
	flavor := map[string]int{"amd64": mach.X86_THREAD_STATE64, "arm64": mach.ARM_THREAD_STATE64}[runtime.GOARCH]
	check("task_set_exception_ports",
		mach.TaskSetExceptionPorts(task, mask, h.port, behavior|mach.MACH_EXCEPTION_CODES, flavor))
	return h
}

// receive waits for an exception, and leaves the right to the task in h.e.Task and the thread's id in h.e.ThreadID.
func (h *handler) receive() {
	h.t.Helper()
	if kr := mach.Receive(h.port, h.m[:], 0, 60000); kr != mach.KERN_SUCCESS {
		h.t.Fatalf("receive: %v", kr)
	}
	var ok bool
	if h.e, ok = mach.ParseException(h.m[:]); !ok {
		h.t.Fatalf("no exception: %x", h.m[:100])
	}
	if h.e.Protected {
		task, kr := mach.TaskIdentityTokenGetTaskPort(h.e.Task)
		if kr != mach.KERN_SUCCESS {
			h.t.Fatalf("task_identity_token_get_task_port: %v", kr)
		}
		mach.PortDeallocate(h.e.Task)
		h.e.Task = task
		return
	}
	var id mach.ThreadIdentifierInfo
	if kr := id.Read(h.e.Thread); kr != mach.KERN_SUCCESS {
		h.t.Fatalf("thread_info: %v", kr)
	}
	h.e.ThreadID = id.ThreadID
}

func (h *handler) writer(o minidump.Options) *minidump.Writer {
	h.t.Helper()
	o.Crash = minidump.TaskCrash(h.e.ThreadID, h.e.Type, h.e.Code, h.e.Subcode)
	w, err := minidump.NewTaskWriter(h.e.Task, o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { w.Close() })
	return w
}

func (h *handler) reply(result mach.KernReturn) {
	h.t.Helper()
	var reply [mach.ExceptionReplySize]byte
	if kr := mach.Send(h.e.Reply(reply[:], result), 1000); kr != mach.KERN_SUCCESS {
		h.t.Errorf("reply: %v", kr)
	}
	for _, p := range []mach.Port{h.e.Task, h.e.Thread} {
		if p.Valid() {
			mach.PortDeallocate(p)
		}
	}
}

// TestDumpException dumps another task by the message about its exception, for each exception behavior.
func TestDumpException(t *testing.T) {
	for _, b := range []mach.ExceptionBehavior{
		mach.EXCEPTION_DEFAULT, mach.EXCEPTION_STATE_IDENTITY, mach.EXCEPTION_IDENTITY_PROTECTED,
		mach.EXCEPTION_STATE_IDENTITY_PROTECTED,
	} {
		t.Run(fmt.Sprint(b), func(t *testing.T) {
			v := startVictim(t, "fault")
			h := handle(t, v, mach.EXC_BAD_ACCESS.Mask(), b)
			v.say(t)
			h.receive()
			f, _, res := dump(t, h.writer(minidump.Options{}))
			for _, e := range res.SoftErrors() {
				t.Errorf("soft error: %v", &e)
			}
			checkFault(t, f, h.e.ThreadID)
			h.reply(mach.KERN_FAILURE)
		})
	}
}

// checkFault checks the Exception stream of a fault at 0x88 in faultDeep.
func checkFault(t *testing.T, f *stream.File, thread uint64) *context.CPU {
	t.Helper()
	exc, err := f.Exception()
	if err != nil {
		t.Fatal(err)
	}
	if exc.Code != uint32(mach.EXC_BAD_ACCESS) || exc.Flags != uint32(mach.KERN_INVALID_ADDRESS) || exc.Address != 0x88 ||
		exc.ThreadID != uint32(thread) || exc.NumberParameters != 3 || exc.Information[0] != 1 || exc.Information[1] != 1 ||
		exc.Information[2] != 0x88 {
		t.Errorf("exception %+v", exc)
	}
	rec, err := f.Context(exc.Context)
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := context.Decode(nativeArch(), rec, binary.LittleEndian)
	if err != nil {
		t.Fatal(err)
	}
	// The victim is this program. macOS loads it at another address, the loader of internal/macos at the same one, so
	// compare offsets in the image.
	mods, err := f.Modules()
	if err != nil || len(mods) == 0 {
		t.Fatalf("%d modules, %v", len(mods), err)
	}
	if off, want := cpu.PC-mods[0].BaseOfImage, offsetInProgram(t,
		uint64(reflect.ValueOf(faultDeep).Pointer())); off < want || off > want+0x400 {
		t.Errorf("pc is %#x in the program, faultDeep at %#x", off, want)
	}
	return cpu
}

// offsetInProgram returns the offset of an address of this program from the program's header.
func offsetInProgram(t *testing.T, addr uint64) uint64 {
	t.Helper()
	if programBase == 0 {
		w, err := minidump.NewWriter(os.Getpid(), minidump.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		f, _, _ := dump(t, w)
		mods, err := f.Modules()
		if err != nil || len(mods) == 0 {
			t.Fatalf("%d modules, %v", len(mods), err)
		}
		programBase = mods[0].BaseOfImage
	}
	return addr - programBase
}

var programBase uint64

// TestDumpCrash dumps another task by the message about its end: EXC_CRASH, in which XNU puts the signal and its cause.
func TestDumpCrash(t *testing.T) {
	v := startVictim(t, "abort")
	h := handle(t, v, mach.EXC_CRASH.Mask(), mach.EXCEPTION_DEFAULT)
	v.say(t)
	h.receive()
	const abrt = 6
	if c, ok := mach.DecodeCrash(h.e.Code); !ok || h.e.Type != mach.EXC_CRASH || c.Signal != abrt || c.Type != 0 {
		t.Errorf("%v %#x", h.e.Type, h.e.Code)
	}
	f, _, _ := dump(t, h.writer(minidump.Options{}))
	exc, err := f.Exception()
	if err != nil || exc.Code != uint32(mach.EXC_SOFTWARE) || exc.Flags != mach.EXC_UNIX_ABORT ||
		exc.ThreadID != uint32(h.e.ThreadID) ||
		exc.NumberParameters != 3 || exc.Information[0] != uint64(mach.EXC_CRASH) || exc.Information[1] != h.e.Code ||
		exc.Information[2] != abrt {
		t.Errorf("exception %+v, %v", exc, err)
	}
	h.reply(mach.MACH_RCV_PORT_DIED)
	v.cmd.Wait()
	if v.cmd.ProcessState.Success() {
		t.Error("the process has not crashed")
	}
}

// TestDumpWarnings dumps tasks by messages about exceptions that no instruction causes.
func TestDumpWarnings(t *testing.T) {
	for _, c := range []struct {
		kind          mach.ExceptionType
		code, subcode uint64
	}{
		// Fatal CPU use: 80 percent seen in 60 seconds, 50 allowed (osfmk/kern/exc_resource.h).
		{mach.EXC_RESOURCE, 1<<61 | 2<<58 | 60<<7 | 80, 50},
		// A guarded descriptor, 7, was closed: GUARD_TYPE_FD, kGUARD_EXC_CLOSE (osfmk/kern/exc_guard.h,
		// bsd/sys/guarded.h).
		{mach.EXC_GUARD, 2<<61 | 1<<32 | 7, 0x1234},
	} {
		t.Run(c.kind.String(), func(t *testing.T) {
			v := startVictim(t, "raise", fmt.Sprint(uint32(c.kind)), fmt.Sprint(c.code), fmt.Sprint(c.subcode))
			h := handle(t, v, mach.EXC_CRASH.Mask(), mach.EXCEPTION_DEFAULT)
			v.say(t)
			h.receive()
			if h.e.Type != c.kind || h.e.Code != c.code || h.e.Subcode != c.subcode {
				t.Errorf("exception %+v", h.e)
			}
			f, _, _ := dump(t, h.writer(minidump.Options{}))
			exc, err := f.Exception()
			if err != nil || exc.Code != uint32(c.kind) || exc.Flags != uint32(c.code>>32) || exc.NumberParameters != 3 ||
				exc.Information[1] != c.code || exc.Information[2] != c.subcode || exc.ThreadID != uint32(h.e.ThreadID) {
				t.Errorf("exception %+v, %v", exc, err)
			}
			h.reply(mach.KERN_SUCCESS)
			if err := v.cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDumpExceptionMemory checks the modes, the limit and sanitising in dumps of a fault.
func TestDumpExceptionMemory(t *testing.T) {
	v := startVictim(t, "fault")
	h := handle(t, v, mach.EXC_BAD_ACCESS.Mask(), mach.EXCEPTION_DEFAULT)
	v.say(t)
	h.receive()
	secret := binary.LittleEndian.AppendUint64(nil, secretHalves[0]|secretHalves[1])
	const limit = 120 << 10
	var sizes []uint64
	for _, c := range []struct {
		name         string
		o            minidump.Options
		mark, secret bool
	}{
		{"stack", minidump.Options{}, false, true},
		{"indirect", minidump.Options{Mode: minidump.ModeIndirect}, true, true},
		{"full", minidump.Options{Mode: minidump.ModeFull}, true, true},
		{"sanitised", minidump.Options{SanitizeStacks: true}, false, false},
		{"limit", minidump.Options{Limit: limit}, false, true},
	} {
		f, _, res := dump(t, h.writer(c.o))
		cpu := checkFault(t, f, h.e.ThreadID)
		for _, e := range res.SoftErrors() {
			if c.o.Limit == 0 {
				t.Errorf("%s: soft error: %v", c.name, &e)
			}
		}
		has := bytes.HasPrefix(memoryAt(t, f, v.mark, 64), []byte(markText))
		if has != c.mark {
			t.Errorf("%s: the mark is there: %v", c.name, has)
		}
		stack := memoryAt(t, f, cpu.SP, 512)
		if stack == nil || bytes.Contains(stack, secret) != c.secret {
			t.Errorf("%s: stack %x", c.name, stack)
		}
		if c.o.Limit != 0 && res.Size > c.o.Limit {
			t.Errorf("%s: %d bytes", c.name, res.Size)
		}
		sizes = append(sizes, res.Size)
	}
	if sizes[0] >= sizes[1] || sizes[1] >= sizes[2] {
		t.Errorf("sizes %d", sizes)
	}
	h.reply(mach.KERN_FAILURE)
}

// TestDumpKilled kills the dumper in the middle of a dump, while the task is suspended. The task continues.
func TestDumpKilled(t *testing.T) {
	v := startVictim(t, "idle")
	d := startVictim(t, "dump", fmt.Sprint(v.pid))
	magic := make([]byte, 4)
	if _, err := d.out.Read(magic); err != nil || string(magic) != "MDMP" { // the rest does not fit into the pipe
		t.Fatalf("%q, %v", magic, err)
	}
	task, kr := mach.TaskForPID(v.pid)
	if kr != mach.KERN_SUCCESS {
		t.Fatal(kr)
	}
	defer mach.PortDeallocate(task)
	suspended := func() int32 {
		var i mach.MachTaskBasicInfo
		if kr := i.Read(task); kr != mach.KERN_SUCCESS {
			t.Fatal(kr)
		}
		return i.SuspendCount
	}
	if n := suspended(); n != 1 {
		t.Errorf("suspended %d times in the middle of the dump", n)
	}
	d.cmd.Process.Kill()
	d.cmd.Wait()
	v.say(t)
	if line := v.line(t); line != "here\n" {
		t.Errorf("%q", line)
	}
	if n := suspended(); n != 0 {
		t.Errorf("suspended %d times", n)
	}
}

// TestDumpAllocations checks that a dump allocates nothing from the Go heap.
func TestDumpAllocations(t *testing.T) {
	v := startVictim(t, "idle")
	for _, c := range []struct {
		name string
		pid  int
		o    minidump.Options
	}{
		{"stack", v.pid, minidump.Options{}},
		{"indirect", v.pid, minidump.Options{Mode: minidump.ModeIndirect, SanitizeStacks: true}},
		{"limit", v.pid, minidump.Options{Limit: 64 << 10}},
		{"full", v.pid, minidump.Options{Mode: minidump.ModeFull}},
		{"own", os.Getpid(), minidump.Options{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.o.Mode == minidump.ModeFull && emulated() {
				t.Skip("the emulator's memory makes such a dump take minutes")
			}
			w, err := minidump.NewWriter(c.pid, c.o)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			runs := 10
			if c.o.Mode == minidump.ModeFull {
				runs = 1
			}
			if n := testing.AllocsPerRun(runs, func() {
				if _, err := w.Dump(discard{}); err != nil {
					t.Error(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// TestDumpGone checks that a task that has ended cannot be dumped, and that the error has Mach's reason.
func TestDumpGone(t *testing.T) {
	v := startVictim(t, "idle")
	w, err := minidump.NewWriter(v.pid, minidump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	v.cmd.Process.Kill()
	v.cmd.Wait()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err = w.Dump(discard{}); err != nil || time.Now().After(end) {
			break
		}
	}
	if err == nil {
		t.Error("a dump of a task that has ended")
	}
}
