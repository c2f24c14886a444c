package minidump

import (
	"errors"
	"io"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/errtext"
	"minidump/internal/linux"
	"minidump/internal/snapshot"
	"minidump/internal/sys"
)

// The states of a dump, as the child records it.
const (
	forkRunning  uint32 = iota
	forkDone            // the dump is complete
	forkFailed          // Dump returned an error
	forkPanicked        // Go code of the child panicked
)

const fullMode = snapshot.ModeFull

// maxForkSoft is how many soft errors the child passes back. Result.Soft counts all.
const maxForkSoft = 64

// A forkRecord is what the child that makes a dump passes back: in shared memory, or as these bytes through a pipe.
// Both processes run the same program.
type forkRecord struct {
	state uint32 // a futex word
	gate  uint32 // a futex word: 1 when the child may begin
	class uint32 // of the error: an index into forkErrors
	errno int32

	size, memory                   uint64
	pause                          int64
	threads, modules, ranges, soft int32
	stopped                        int32
	copied                         bool // Result.Snapshot
	softs                          [maxForkSoft]forkSoft
	text                           [256]byte // of the error, from a child that can allocate
	textLen                        int32
}

type forkSoft struct {
	addr    uint64
	errno   int32
	tid     int32
	op      snapshot.Op
	textLen uint8
	text    [118]byte
}

// forkErrors are the errors that the parent can still compare with errors.Is.
var forkErrors = [...]error{nil, ErrNoProcess, ErrPermission, ErrLimit, ErrTooLarge, ErrUnsupported, ErrPause, ErrSnapshot}

// set records the outcome of a dump by w.
func (r *forkRecord) set(w *Writer, res *Result, err error) {
	if err != nil {
		r.fail(err)
		return
	}
	r.size, r.memory, r.pause = res.Size, res.Memory, int64(res.Pause)
	r.threads, r.modules, r.ranges, r.soft = int32(res.Threads), int32(res.Modules), int32(res.Ranges), int32(res.Soft)
	r.stopped, r.copied = int32(res.Stopped), res.Snapshot
	for i, e := range w.snap.Errors.All() {
		if i == len(r.softs) {
			break
		}
		to := &r.softs[i]
		to.op, to.errno, to.tid, to.addr = e.Op, e.Errno, e.TID, e.Addr
		to.textLen = uint8(copy(to.text[:], w.snap.Bytes.Get(e.Text)))
	}
}

// fail records the class and the number of an error, without its text, which would have to be allocated.
func (r *forkRecord) fail(err error) {
	for i, known := range forkErrors {
		if known != nil && errors.Is(err, known) {
			r.class = uint32(i)
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok { // errors.As would link reflection into every dumper
		r.errno = int32(errno)
	}
}

// problem returns the error in the record, if any. status is the child's wait status.
func (r *forkRecord) problem(status unix.WaitStatus) error {
	switch atomic.LoadUint32(&r.state) {
	case forkDone:
		return nil
	case forkFailed:
		var known, system error
		if int(r.class) < len(forkErrors) {
			known = forkErrors[r.class]
		}
		if r.errno != 0 {
			system = syscall.Errno(r.errno)
		}
		if known == nil {
			known, system = system, nil
		}
		if system != nil {
			known = snapshot.AlsoError(known, system)
		}
		if n := int(r.textLen); known != nil && n > 0 && n <= len(r.text) {
			return errtext.Around(known, string(r.text[:n]))
		}
		if known != nil {
			return errtext.Wrap(known, "minidump: dump this process")
		}
		return errors.New("minidump: dump this process: unknown failure")
	case forkPanicked:
		return errors.New("minidump: dump this process: the child panicked")
	}
	switch {
	case status.Signaled() && status.Signal() == unix.SIGKILL:
		return errtext.Wrap(unix.ETIMEDOUT, "minidump: dump this process: the child was killed")
	case status.Signaled():
		return errors.New(errtext.Join("minidump: dump this process: the child was killed by signal ", int(status.Signal())))
	}
	return errors.New(errtext.Join("minidump: dump this process: the child exited with status ", status.ExitStatus()))
}

// result returns the Result that Dump returns.
func (r *forkRecord) result(total time.Duration) Result {
	res := Result{
		Size: r.size, Memory: r.memory, Pause: time.Duration(r.pause), Total: total,
		Threads: int(r.threads), Stopped: int(r.stopped), Snapshot: r.copied, Modules: int(r.modules), Ranges: int(r.ranges), Soft: int(r.soft),
	}
	for i := range min(max(res.Soft, 0), len(r.softs)) {
		e := &r.softs[i]
		soft := SoftError{Op: e.op.What(), Thread: int(e.tid), Address: e.addr, Subject: string(e.text[:min(int(e.textLen), len(e.text))])}
		if e.errno != 0 {
			soft.Err = syscall.Errno(e.errno)
		}
		res.list = append(res.list, soft)
	}
	return res
}

// A forkJob is everything the forked child uses. It is allocated before the fork, because the child can't allocate.
type forkJob struct {
	writer *Writer
	source *linux.Source
	fork   *linux.Fork
	record *forkRecord // shared
	stack  []byte      // the child's, with a guard page at its low end
	out    childOutput
	dst    io.Writer // &out
	allow  bool      // PR_SET_PTRACER is needed

	sigset    uintptr   // size of sigset_t
	all, mask [2]uint64 // sigset_t: every signal; the thread's mask
	wait      unix.Timespec
	status    int32
}

const (
	forkStack = 1 << 20
	forkGuard = 64 << 10 // a page, or more, on any architecture
)

// The dump in progress: at most one child of this process makes one at a time.
var (
	selfTurn sync.Mutex    // held by callers that may wait
	selfBusy atomic.Uint32 // 1 while a dump runs, of such a caller or of a signal handler
	selfJob  uintptr       // address of the forkJob, which its owner keeps alive; a number, as a signal handler can't run a write barrier
)

func newForkJob(o Options) (*forkJob, error) {
	w, l, err := openLive(unix.Getpid(), &o)
	if err != nil {
		return nil, err
	}
	j := &forkJob{writer: w, source: l, fork: new(linux.Fork), allow: yamaAsks(), sigset: sys.SigsetSize()}
	j.all = [2]uint64{math.MaxUint64, math.MaxUint64}
	j.dst = &j.out
	j.out.source = l
	j.out.deadline = newDeadline(childDeadline + w.snap.Want.StopTimeout)
	l.TraceFromFork(j.fork)
	shared, err := unix.Mmap(-1, 0, int(unsafe.Sizeof(forkRecord{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err == nil {
		j.record = (*forkRecord)(unsafe.Pointer(&shared[0]))
		j.stack, err = unix.Mmap(-1, 0, forkGuard+forkStack, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	}
	if err == nil {
		err = unix.Mprotect(j.stack[:forkGuard], unix.PROT_NONE)
	}
	if err != nil {
		j.close()
		return nil, errtext.Wrap(err, "minidump: map memory for a dump of this process")
	}
	return j, nil
}

func (j *forkJob) close() error {
	if j.record != nil {
		_ = unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(j.record)), unsafe.Sizeof(forkRecord{})))
		j.record = nil
	}
	if j.stack != nil {
		_ = unix.Munmap(j.stack)
		j.stack = nil
	}
	return j.writer.Close()
}

// start forks the child, which dumps to the descriptor out. It returns the child's pid, or a negative errno. It can
// run in a signal handler: it does not check the stack, allocate or wait, and stores no pointer, as that could call
// the write barrier.
//
//go:nosplit
//go:norace
func (j *forkJob) start(out int) int {
	f := j.fork
	tid, _ := rawSyscall6(unix.SYS_GETTID, 0, 0, 0, 0, 0, 0)
	ppid, _ := rawSyscall6(unix.SYS_GETPPID, 0, 0, 0, 0, 0, 0)
	f.TID, f.PPID = int32(tid), int32(ppid)
	f.NumGP, f.NumFP = CaptureRegisters(f.GP[:], f.FP[:])
	r := j.record
	r.state, r.gate, r.class, r.errno = forkRunning, 0, 0, 0
	if !j.allow {
		r.gate = 1
	}
	j.out.fd = out
	selfJob = uintptr(unsafe.Pointer(j))
	lo := uintptr(unsafe.Pointer(unsafe.SliceData(j.stack)))
	rawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&j.all)), uintptr(unsafe.Pointer(&j.mask)), j.sigset, 0, 0)
	pid := int(forkChild(unix.SYS_CLONE, lo+forkGuard, lo+forkGuard+forkStack))
	rawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&j.mask)), 0, j.sigset, 0, 0)
	if pid > 0 && j.allow {
		rawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PTRACER, uintptr(pid), 0, 0, 0, 0)
		r.gate = 1
		rawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&r.gate)), futexWake, 1, 0, 0, 0)
	}
	return pid
}

// Operations of futex(2) on memory shared by processes (include/uapi/linux/futex.h).
const (
	futexWait = 0
	futexWake = 1
)

// Only assembly calls enterFork, so a search for unused code does not see the call.
var _ = enterFork

// enterFork is where the child begins, on its own stack and with all signals blocked. It never returns. The child has
// no other thread of the Go runtime: nothing here may wait for one, or for a lock that one held at the fork. All
// memory except the record is the child's own. If the child hangs or faults nevertheless, the kernel kills it.
//
//lint:ignore U1000 forkChild calls it, in assembly
//go:norace
func enterFork() {
	j := *(**forkJob)(unsafe.Pointer(&selfJob))
	j.out.deadline.arm()
	j.dumpInFork()
	r := j.record
	rawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&r.state)), futexWake, math.MaxInt32, 0, 0, 0)
	for {
		rawSyscall6(unix.SYS_EXIT_GROUP, 0, 0, 0, 0, 0, 0)
	}
}

//go:norace
func (j *forkJob) dumpInFork() {
	state := forkPanicked
	defer func() {
		if state == forkPanicked {
			_ = recover()
		}
		atomic.StoreUint32(&j.record.state, state)
	}()
	sys.EnterFork()
	for atomic.LoadUint32(&j.record.gate) == 0 {
		rawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&j.record.gate)), futexWait, 0, 0, 0, 0)
	}
	j.source.EnterFork()
	want := &j.writer.snap.Want
	if want.Thread == 0 && want.Crash == nil {
		want.Thread = j.fork.TID
	}
	res, err := j.writer.Dump(j.dst)
	j.record.set(j.writer, &res, err)
	if state = forkDone; err != nil {
		state = forkFailed
	}
}

// pollEvery is how long one wait for the child lasts, in milliseconds, before the child's state is checked.
const pollEvery = 100

// ended reports whether the child has ended. It does not reap the child.
func (j *forkJob) ended(pid int) bool {
	var info unix.Siginfo
	return unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil) == nil && info.Signo != 0
}

// finish waits until the child has a result or is gone, and then reaps it. It may block in the Go scheduler.
func (j *forkJob) finish(pid int) (status unix.WaitStatus) {
	for atomic.LoadUint32(&j.record.state) == forkRunning {
		j.wait = unix.NsecToTimespec(pollEvery * 1e6)
		_, _, _ = syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&j.record.state)), futexWait, uintptr(forkRunning), uintptr(unsafe.Pointer(&j.wait)), 0, 0)
		if j.ended(pid) {
			break
		}
	}
	for {
		if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != unix.EINTR {
			break
		}
	}
	runtime.KeepAlive(j)
	return status
}

// finishRaw is finish for a signal handler.
//
//go:nosplit
//go:norace
func (j *forkJob) finishRaw(pid int) {
	r := j.record
	for atomic.LoadUint32(&r.state) == forkRunning {
		j.wait.Sec, j.wait.Nsec = 0, pollEvery*1e6
		rawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&r.state)), futexWait, uintptr(forkRunning), uintptr(unsafe.Pointer(&j.wait)), 0, 0)
		if got, _ := rawSyscall6(unix.SYS_WAIT4, uintptr(pid), uintptr(unsafe.Pointer(&j.status)), unix.WNOHANG|unix.WALL, 0, 0, 0); got == uintptr(pid) {
			return
		}
	}
	for {
		_, errno := rawSyscall6(unix.SYS_WAIT4, uintptr(pid), uintptr(unsafe.Pointer(&j.status)), unix.WALL, 0, 0, 0)
		if errno != uintptr(unix.EINTR) {
			return
		}
	}
}

// childDeadline is how long one stop, or one write to a file, may take before the kernel kills the child.
const childDeadline = 10 * time.Second

// A deadline is a kernel timer that sends SIGKILL to the process that arms it. The parent can't kill a child that
// hangs: all threads of the parent are stopped then, including the one that waits. A deadline must not be on a
// goroutine stack.
type deadline struct {
	// struct sigevent of include/uapi/asm-generic/siginfo.h.
	event struct {
		value         uintptr
		signo, notify int32
		_             [64]byte
	}
	id    int32
	armed bool
	spec  [2]unix.Timespec // struct itimerspec: interval, value
	off   [2]unix.Timespec
}

func newDeadline(after time.Duration) *deadline {
	d := new(deadline)
	d.event.signo = int32(unix.SIGKILL) // notify 0 is SIGEV_SIGNAL
	d.spec[1] = unix.NsecToTimespec(int64(after))
	return d
}

// arm starts or restarts the timer.
//
//go:norace
func (d *deadline) arm() {
	if !d.armed {
		_, errno := rawSyscall6(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&d.event)), uintptr(unsafe.Pointer(&d.id)), 0, 0, 0)
		if errno != 0 {
			return
		}
		d.armed = true
	}
	d.set(&d.spec)
}

// disarm stops the timer.
func (d *deadline) disarm() {
	if d.armed {
		d.set(&d.off)
	}
}

func (d *deadline) set(spec *[2]unix.Timespec) {
	rawSyscall6(unix.SYS_TIMER_SETTIME, uintptr(d.id), 0, uintptr(unsafe.Pointer(spec)), 0, 0, 0)
}

// childOutput writes to a descriptor. No other io.Writer works in a forked child.
type childOutput struct {
	fd       int
	deadline *deadline
	source   *linux.Source // of a forked child, which has no other thread to enforce MaxPause; else nil
}

func (o *childOutput) Write(p []byte) (n int, err error) {
	o.deadline.arm()
	if o.source != nil {
		o.source.CheckPause()
	}
	for n < len(p) {
		k, errno := sys.Write(o.fd, p[n:])
		if errno != 0 {
			return n, errno
		}
		if k == 0 {
			return n, io.ErrShortWrite
		}
		n += k
	}
	return n, nil
}
