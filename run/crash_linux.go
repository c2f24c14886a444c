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
	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/ptrace"
)

// death is how a process is about to die.
type death struct {
	signal   int32 // 0: it exits
	exitCode int
	deliver  bool          // the thread is about to take the signal; else it is about to end
	status   procfs.Status // of the thread
}

// fault is a signal that a process caught, with the thread's registers at that moment.
type fault struct {
	when   time.Time
	signal int32
	info   [128]byte // siginfo
	regs   threadRegisters
}

// threadRegisters are the register sets that a CPU context is made of.
type threadRegisters struct {
	arch   context.Arch
	gp, fp []byte
	pc, sp uint64
}

// faultLife is how long a fault of a Go program is held responsible for its end.
const faultLife = 30 * time.Second

// remember keeps a signal that the process catches, if a fault raised it or the process itself, as abort(3) does.
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
	if raised {
		t.abort = f // it may well come of the fault: that is kept
	} else {
		t.fault, t.process.fault = f, f
	}
}

// isFault tells a signal that the kernel raised for what the thread did (si_code above SI_USER).
func isFault(c *context.Crash) bool { return c.Code > context.SI_USER }

func sentBySelf(c *context.Crash, status *procfs.Status) bool {
	return c.SenderPID != 0 && (c.SenderPID == status.Tgid || c.SenderPID == status.NSpid)
}

// read reads the registers of a stopped thread.
func (t *threadRegisters) read(from *ptrace.Tracer, tid int32) bool {
	gp := make([]byte, max(context.Native.GPSize(), 512))
	n, errno := from.Regset(tid, unix.NT_PRSTATUS, gp)
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
	report.Err = r.write(t, tid, d, &report)
	r.result.Dumps = append(r.result.Dumps, report)
	r.reports <- report
}

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
	res, err := w.DumpFile(path)
	if err != nil {
		return err
	}
	report.Path = path
	report.Result, report.Soft = res, res.SoftErrors() // before the Writer's Close
	report.PruneErr = r.out.prune(path)
	return nil
}

// crash finds out why a process dies: of the signal that comes, or of an earlier fault. It is nil for an exit without a
// fault.
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
	if !fresh && haveNow {
		if f := t.fault; f != nil && f.lasts(&now, w) {
			return f.crash(pid, tid, w)
		}
		if f := t.process.fault; f != nil && time.Since(f.when) < faultLife && w.IsGo() && callShows(f, w) {
			return f.crash(pid, tid, w)
		}
		if f := t.abort; f != nil && f.lasts(&now, w) {
			return f.crash(pid, tid, w)
		}
	}
	if c == nil || !haveNow {
		return c
	}
	c.Arch = now.arch
	c.SetContext(now.set())
	refine(c, w)
	// The registers are those that the thread still has: the dump reads them by itself, and more of them.
	c.HasContext, c.ContextLen = false, 0
	return c
}

// crash makes of a remembered fault what the exception stream says.
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

// refine lets the instruction at the fault tell what siginfo does not.
func refine(c *context.Crash, w *minidump.Writer) {
	code := make([]byte, 16)
	if c.PC != 0 {
		c.Refine(code[:w.ReadMemory(c.PC, code)])
	}
}

// lasts tells whether a thread with these registers is still occupied with its fault: it has not come further, since the
// kernel could not even call the handler, or the handler runs.
func (f *fault) lasts(now *threadRegisters, w *minidump.Writer) bool {
	return f.regs.pc == now.pc && f.regs.sp == now.sp || handlerRuns(f, now.sp, w)
}

// handlerRuns tells whether the signal handler of the fault has not returned, nor been left by a jump: the frame that the
// kernel made for it is still on the stack that the thread is on. In a frame of any architecture the PC and SP of
// the fault lie close together, in the saved registers.
func handlerRuns(f *fault, sp uint64, w *minidump.Writer) bool {
	const (
		most = 64 << 10
		near = 512
	)
	stack := make([]byte, most)
	n := 0
	for n < most { // page by page: the mapping ends somewhere
		step := min(4096-int((sp+uint64(n))&4095), most-n)
		got := w.ReadMemory(sp+uint64(n), stack[n:n+step])
		if n += got; got < step {
			break
		}
	}
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

// callShows tells whether the stack below a fault of a Go program still shows the call that Go's signal handler made
// there, of the function that panics: the faulting PC as its return address. When a panic is recovered, the calls that
// follow overwrite it.
//
// On x86 the handler puts the PC right below the SP. Elsewhere it goes into the link register, which the function then
// saves in its frame: 18 words below the SP on ppc64, less on all others.
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

func taskName(tid int32) string {
	b, _ := os.ReadFile(procPath(int(tid), "comm"))
	return strings.TrimSuffix(string(b), "\n")
}

// Reason says in a few words of what the process died: "SIGSEGV (SEGV_MAPERR) at 0x8", "exit status 2 after SIGSEGV
// (SEGV_MAPERR) at 0x0".
func (d *Dump) Reason() string {
	died := fmt.Sprintf("exit status %d", d.ExitCode)
	if d.Signal != 0 {
		died = context.SignalNameArch(context.Native, int32(d.Signal))
	}
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
