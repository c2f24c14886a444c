package run

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/context"
	"minidump/internal/deadline"
	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/ptrace"
)

// death is how a process is about to die.
type death struct {
	signal   int32 // 0: the process exits
	exitCode int
	deliver  bool          // the signal is about to be delivered to the thread; otherwise the thread is about to end
	status   procfs.Status // of the thread
}

// fault is a signal that a process caught, with the thread's registers at that moment.
type fault struct {
	when   time.Time
	signal int32
	info   [128]byte // siginfo
	regs   threadRegisters
}

// threadRegisters are the register sets that a CPU context is made from.
type threadRegisters struct {
	arch   context.Arch
	gp, fp []byte
	pc, sp uint64
}

// faultLife is how long a fault of a Go program is considered the cause of its end.
const faultLife = 30 * time.Second

// remember records a signal that the process catches, if a fault or the process itself raised it, as abort(3) does.
func (r *runner) remember(t *watchedThread, stop ptrace.Stop, status *procfs.Status) {
	f := &fault{when: time.Now(), signal: stop.Signal}
	if r.regs.SigInfo(stop.TID, &r.info) != 0 {
		return
	}
	f.info = r.info
	c, err := context.CrashFromSiginfo(context.Native, sys.NativeOrder, 0, 0, f.info[:])
	raised := err == nil && stop.Signal == int32(unix.SIGABRT) && sentBySelf(c, status)
	if err != nil || !isFault(c) && !raised || !f.regs.read(r.regs, stop.TID) {
		return
	}
	if len(t.caught) == maxCaught {
		t.caught = append(t.caught[:0], t.caught[1:]...)
	}
	t.caught = append(t.caught, f)
	if !raised {
		t.fault, t.process.fault = f, f
	}
}

// maxCaught is how many signals of a thread are remembered. A handler that writes a report may raise and repair some dozens of
// faults on purpose, and the first one must still be remembered then.
const maxCaught = 64

// isFault reports whether the kernel raised a signal because of the thread's own action (si_code above SI_USER).
func isFault(c *context.Crash) bool { return c.Code > context.SI_USER }

func sentBySelf(c *context.Crash, status *procfs.Status) bool {
	return c.SenderPID != 0 && (c.SenderPID == status.Tgid || c.SenderPID == status.NSpid)
}

// read reads the registers of a stopped thread.
func (t *threadRegisters) read(from *ptrace.Tracer, tid int32) bool {
	gp := make([]byte, max(context.Native.GPSize(), 512))
	n, errno := from.Regset(tid, context.NT_PRSTATUS, gp)
	if errno != 0 {
		if n, errno = from.GetRegs(tid, gp); errno != 0 {
			return false
		}
	}
	t.gp, t.arch = gp[:n], context.ArchOfRegset(context.Native, n)
	set := context.Regsets{Arch: t.arch, Order: sys.NativeOrder, GP: t.gp}
	t.pc, t.sp = set.PC(), set.SP()
	fp := make([]byte, t.arch.FPSize())
	n, errno = from.Regset(tid, t.arch.FPRegset(), fp)
	if errno != 0 {
		n, errno = from.Regset(tid, context.NT_PRFPREG, fp)
	}
	if errno == 0 {
		t.fp = fp[:n]
	}
	return true
}

func (t *threadRegisters) set() *context.Regsets {
	return &context.Regsets{Arch: t.arch, Order: sys.NativeOrder, GP: t.gp, FP: t.fp}
}

// dump writes the dump of a process that is about to die.
func (r *runner) dump(t *watchedThread, tid int32, d death) {
	report := Dump{PID: int(t.process.pid), TID: int(tid), Name: taskName(t.process.pid), Signal: syscall.Signal(d.signal),
		ExitCode: d.exitCode}
	if r.dumping != nil {
		r.dumping.Arm(deadline.OfDump(r.o.DumpTimeout, r.o.Dump.Mode == minidump.ModeFull), func() {
			r.dumping.Spare()
			r.o.OnStuck(report.PID)
		})
		defer r.dumping.Disarm()
	}
	report.Err = r.write(t, tid, d, &report)
	r.result.Dumps = append(r.result.Dumps, report)
	if report.Err == nil && r.o.OnDump != nil {
		report.Mounts = mountsOf(report.PID)
	}
	r.reports <- report
}

// hurry shortens the deadline of the dump in progress to hurryTime. It is called when SIGTERM or the end of the context
// requests the end of this process or the command: usually both are killed soon afterwards. A full dump keeps its deadline.
func (r *runner) hurry() {
	if r.dumping != nil && r.o.Dump.Mode != minidump.ModeFull {
		r.dumping.Hurry(hurryTime)
	}
}

const hurryTime = 5 * time.Second

func (r *runner) write(t *watchedThread, tid int32, d death, report *Dump) error {
	pid := t.process.pid
	o := r.o.Dump
	o.Thread = int(tid)
	o.Crash = nil
	w, err := minidump.NewTracedWriter(int(pid), o)
	if err != nil {
		return err
	}
	defer w.Close()
	crash := r.crash(t, tid, d, w)
	report.Crash = crash
	w.SetCrash(crash)
	if crash == nil || crash.Signo != d.signal {
		died := "exit status " + strconv.Itoa(d.exitCode)
		if d.signal != 0 {
			died = context.SignalNameArch(context.Native, d.signal)
		}
		w.SetAnnotations(append(slices.Clip(o.Annotations), minidump.Annotation{Key: "died-of", Value: died}))
	}
	path, err := r.out.path(report.Name, pid, time.Now())
	if err != nil {
		return err
	}
	if err := r.out.makeRoom(); err != nil {
		return err
	}
	res, err := w.DumpFile(path)
	if err != nil {
		return err
	}
	report.Path = path
	report.Result, report.Soft = res, res.SoftErrors() // before the Writer is closed
	report.PruneErr = r.out.prune(path)
	return nil
}

// crash determines why a process dies: of the signal that is about to be delivered, or of an earlier fault. It returns
// nil for an exit without a fault.
func (r *runner) crash(t *watchedThread, tid int32, d death, w *minidump.Writer) *context.Crash {
	pid := t.process.pid
	var now threadRegisters
	haveNow := now.read(r.regs, tid)
	var c *context.Crash
	if d.deliver && r.regs.SigInfo(tid, &r.info) == 0 {
		c, _ = context.CrashFromSiginfo(context.Native, sys.NativeOrder, pid, tid, r.info[:])
	}
	if c == nil && d.signal != 0 {
		c = &context.Crash{Arch: context.Native, BigEndian: sys.NativeOrder.Uint16([]byte{0, 1}) == 1, PID: pid, TID: tid, Signo: d.signal}
	}
	fresh := d.deliver && c != nil && (isFault(c) || !sentBySelf(c, &d.status))
	if f := t.fault; fresh && f != nil && c.Code == context.SI_KERNEL && f.regs.pc == now.pc && f.regs.sp == now.sp {
		fresh = false // the kernel found no room on the stack to call the handler of that fault
	}
	if haveNow {
		if f := r.cause(t, &now, fresh, w); f != nil {
			return f.crash(pid, tid, w)
		}
	}
	if c == nil || !haveNow {
		return c
	}
	c.Arch = now.arch
	c.SetContext(now.set())
	refine(c, w)
	// The thread still has these registers: the dump reads them itself, and further register sets.
	c.HasContext, c.ContextLen = false, 0
	return c
}

// cause returns the oldest remembered signal that the thread is still handling, as it caused the later ones, or nil.
// fresh means that the end of the process is not a consequence of a handler's work.
func (r *runner) cause(t *watchedThread, now *threadRegisters, fresh bool, w *minidump.Writer) *fault {
	var panicked *fault // Go's handler returns to a function that panics, and the panic often ends on another thread
	if f := t.process.fault; !fresh && f != nil && time.Since(f.when) < faultLife && w.IsGo() && callShows(f, w) {
		panicked = f
	}
	for _, f := range t.caught {
		if fresh && f.below(now.sp, w) || !fresh && f.lasts(now, w) {
			if panicked != nil && panicked.when.Before(f.when) {
				return panicked // f is the abort that ends the panic: Go raises it twice, the first time for its own handler
			}
			return f
		}
	}
	return panicked
}

// crash converts a remembered fault for the exception stream.
func (f *fault) crash(pid, tid int32, w *minidump.Writer) *context.Crash {
	c, err := context.CrashFromSiginfo(context.Native, sys.NativeOrder, pid, tid, f.info[:])
	if err != nil {
		return nil
	}
	c.Arch = f.regs.arch
	c.SetContext(f.regs.set())
	refine(c, w)
	return c
}

// refine adds what siginfo lacks from the instruction at the fault.
func refine(c *context.Crash, w *minidump.Writer) {
	code := make([]byte, 16)
	if c.PC != 0 {
		c.Refine(code[:w.ReadMemory(c.PC, code)])
	}
}

// lasts reports whether a thread with these registers is still at its fault, because the kernel could not call the
// handler, or the handler still runs.
func (f *fault) lasts(now *threadRegisters, w *minidump.Writer) bool {
	return f.regs.pc == now.pc && f.regs.sp == now.sp || handlerRuns(f, now.sp, w)
}

// below reports whether the thread is in a handler of the fault that runs on an alternate stack. Unlike a frame on the
// interrupted stack, the signal frame there can't be a leftover of a handler that has returned: on an alternate stack every
// signal frame is in the same place.
func (f *fault) below(sp uint64, w *minidump.Writer) bool {
	var frame context.SignalFrame
	for range maxCaught {
		stack := readStack(sp, w)
		if !context.FindSignalFrame(f.regs.arch, sys.NativeOrder, stack, sp, sp, &frame) {
			return false
		}
		if frame.OnAltStack && (sp < frame.StackAddr || sp-frame.StackAddr >= frame.StackSize) {
			return false
		}
		if !frame.Same() && frame.PC == f.regs.pc && frame.SP == f.regs.sp {
			return true
		}
		if frame.Same() && frame.SP <= sp {
			return false
		}
		sp = frame.SP
	}
	return false
}

// readStack reads up to 64 KiB from sp on, page by page. Pages that can't be read are zeros, except at the end: a handler may have
// a large array in pages that it never used, and the signal frame is above them.
func readStack(sp uint64, w *minidump.Writer) []byte {
	const most = 64 << 10
	stack := make([]byte, most)
	end := 0
	for n := 0; n < most; {
		step := min(4096-int((sp+uint64(n))&4095), most-n)
		if got := w.ReadMemory(sp+uint64(n), stack[n:n+step]); got > 0 {
			end = n + got
		}
		n += step
	}
	return stack[:end]
}

// handlerRuns reports whether the signal handler of the fault has neither returned nor been left by a jump: its signal
// frame is still on the thread's current stack. In the saved registers of a signal frame the PC and SP of the fault are
// close together on every architecture.
func handlerRuns(f *fault, sp uint64, w *minidump.Writer) bool {
	const near = 512
	stack := readStack(sp, w)
	n := len(stack)
	word := f.regs.arch.WordSize()
	lastPC, lastSP := -1, -1
	for i := int(-sp & uint64(word-1)); i+word <= n; i += word {
		v := uint64(sys.NativeOrder.Uint32(stack[i:]))
		if word == 8 {
			v = sys.NativeOrder.Uint64(stack[i:])
		}
		if v == f.regs.pc {
			lastPC = i
		}
		if v == f.regs.sp {
			lastSP = i
		}
		if lastPC >= 0 && lastSP >= 0 && max(lastPC-lastSP, lastSP-lastPC) <= near {
			return true
		}
	}
	return false
}

// callShows reports whether the stack below a fault of a Go program still contains the call of the panicking function
// that Go's signal handler injected: the faulting PC as its return address. After a recovered panic, later calls
// overwrite it.
//
// On x86 the handler stores the PC right below the SP. Elsewhere it is in the link register, which the function then
// saves in its frame: 18 words below the SP on ppc64, fewer on all others.
func callShows(f *fault, w *minidump.Writer) bool {
	word := f.regs.arch.WordSize()
	below := make([]byte, 20*word)
	if f.regs.arch == context.X86 || f.regs.arch == context.AMD64 {
		below = below[:8*word]
	}
	if f.regs.sp < uint64(len(below)) || w.ReadMemory(f.regs.sp-uint64(len(below)), below) != len(below) {
		return false
	}
	for i := 0; i+word <= len(below); i += word {
		v := uint64(sys.NativeOrder.Uint32(below[i:]))
		if word == 8 {
			v = sys.NativeOrder.Uint64(below[i:])
		}
		if v == f.regs.pc {
			return true
		}
	}
	return false
}

// goPanicStatus is the exit status of a Go program that its runtime ends: after a panic, a fatal error, or a signal such
// as SIGQUIT.
const goPanicStatus = 2

// goRuntimeExits reports whether the runtime ends a Go program. The program itself may exit with the same status, as
// package flag does, but it calls os.Exit on the stack of a goroutine; the runtime has switched to its own stack, or is
// in a signal handler.
func (r *runner) goRuntimeExits(pid, tid int32) bool {
	w, err := minidump.NewTracedWriter(int(pid), minidump.Options{})
	if err != nil {
		return false
	}
	defer w.Close()
	var now threadRegisters
	if !w.IsGo() || !now.read(r.regs, tid) {
		return false
	}
	word := now.arch.WordSize()
	read := func(addr uint64, n int) []byte {
		b := make([]byte, n*word)
		if addr == 0 || addr%uint64(word) != 0 || w.ReadMemory(addr, b) != len(b) {
			return nil
		}
		return b
	}
	value := func(b []byte, i int) uint64 {
		if word == 4 {
			return uint64(sys.NativeOrder.Uint32(b[4*i:]))
		}
		return sys.NativeOrder.Uint64(b[8*i:])
	}
	g, indirect := now.set().GoG()
	if indirect {
		b := read(g, 1)
		if b == nil {
			return false
		}
		g = value(b, 0)
	}
	if g == 0 { // x86, where g can't be found from the registers
		return true
	}
	// A g begins with the bounds of its stack, and its seventh word is its m; an m begins with g0. Assembly code of the
	// runtime depends on that (runtime2.go).
	head := read(g, 7)
	if head == nil {
		return false
	}
	m := read(value(head, 6), 1)
	if m == nil {
		return false
	}
	on := func(g uint64) bool {
		stack := read(g, 2)
		return stack != nil && now.sp >= value(stack, 0) && now.sp < value(stack, 1)
	}
	g0 := value(m, 0)
	if staleRegisters(now.arch) { // g may be an earlier one of this thread, and only the stack is certain
		if on(g0) {
			return true
		}
	} else if g == g0 || !on(g) {
		return true
	}
	var frame context.SignalFrame
	return context.FindSignalFrame(now.arch, sys.NativeOrder, readStack(now.sp, w), now.sp, now.sp, &frame) && frame.OnAltStack &&
		now.sp >= frame.StackAddr && now.sp-frame.StackAddr < frame.StackSize
}

// staleRegisters reports whether the callee-saved registers of a thread that is ending by a system call are out of date. One of
// them holds g. On MIPS the kernel saves them for only a few system calls (SAVE_SOME in
// arch/mips/include/asm/stackframe.h), so the values are those of the thread's last interrupt or fault.
func staleRegisters(a context.Arch) bool { return a == context.MIPS || a == context.MIPS64 }

func taskName(tid int32) string {
	b, _ := os.ReadFile(procPath(int(tid), "comm"))
	return strings.TrimSuffix(string(b), "\n")
}

// Reason returns in a few words what the process died of: "SIGSEGV (SEGV_MAPERR) at 0x8", "exit status 2 after
// SIGSEGV (SEGV_MAPERR) at 0x0".
func (d *Dump) Reason() string {
	died := ending(int32(d.Signal), d.ExitCode)
	c := d.Crash
	if c == nil {
		return died
	}
	cause := context.SignalNameArch(c.Arch, c.Signo)
	switch {
	case c.Code > context.SI_USER:
		if name := context.CodeNameArch(c.Arch, c.Signo, c.Code); name != "" {
			cause += " (" + name + ")"
		}
		if c.HasAddress {
			cause += fmt.Sprintf(" at %#x", c.Address)
		}
	case c.SenderPID != 0 && int(c.SenderPID) != d.PID:
		cause += fmt.Sprintf(" sent by process %d", c.SenderPID)
	}
	if c.Signo == int32(d.Signal) {
		return cause
	}
	return died + " after " + cause
}
