//go:build linux

package minidump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/corefile/coretest"
	"minidump/internal/sys"
	"minidump/internal/victims"
	"minidump/stream"

	"minidump/internal/snapshot"
)

// failures are the errors that the kernel can return for each call of a dump. A call that is neither in this list nor
// in infallible fails the test.
var failures = map[string][]sys.Errno{
	"openat":           {unix.ENOENT, unix.EACCES, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EINTR},
	"openat2":          {unix.ENOENT, unix.EACCES, unix.EMFILE, unix.ENOSYS, unix.EINTR},
	"read":             {unix.EIO, unix.ESRCH, unix.EINTR, unix.ENOMEM},
	"pread64":          {unix.EIO, unix.EINTR},
	"close":            {unix.EIO},
	"getdents64":       {unix.ENOENT, unix.EIO},
	"readlinkat":       {unix.ENOENT, unix.EACCES, unix.ENAMETOOLONG},
	"statx":            {unix.ENOENT, unix.EACCES, unix.ENOSYS},
	"ioctl":            {unix.ENOTTY, unix.ENOENT},
	"mprotect":         {unix.ENOMEM},
	"process_vm_readv": {unix.EFAULT, unix.ESRCH, unix.EPERM, unix.ENOMEM, unix.ENOSYS},
	"waitid":           {unix.ECHILD, unix.EINTR},
	"SEIZE":            {unix.EPERM, unix.ESRCH, unix.EIO},
	"INTERRUPT":        {unix.ESRCH, unix.EIO},
	"GETREGSET":        {unix.ESRCH, unix.EIO, unix.EINVAL, unix.ENODEV},
	"GETREGS":          {unix.ESRCH, unix.EIO},
	"GETFPREGS":        {unix.ESRCH, unix.EIO},
	"PEEKUSR":          {unix.ESRCH, unix.EIO},
	"GETSIGMASK":       {unix.ESRCH, unix.EIO},
	"GETSIGINFO":       {unix.ESRCH, unix.EINVAL},
	"DETACH":           {unix.ESRCH},
	"CONT":             {unix.ESRCH},
	"futex_wait":       {unix.EINTR, unix.EAGAIN},
	"nanosleep":        {unix.EINTR},
	"ppoll":            {unix.EINTR, unix.ENOMEM, unix.ENOSYS},
}

var (
	// Calls that can't fail.
	infallible = []string{"lseek", "sched_yield", "getpid", "gettid", "futex_wake", "madvise", "rt_sigaction", "tgkill"}
	// Calls whose number depends on timing.
	timed = []string{"GETSIGINFO", "CONT", "futex_wait", "futex_wake", "sched_yield", "nanosleep", "waitid"}
	// Files and calls whose number differs from dump to dump: it depends on which pages are present, and so on how far
	// the arena is filled.
	occasional = []string{"/map_files/", "/pagemap", "/smaps", "/mountinfo", "/ns/mnt", "process_vm_readv", "mprotect"}
)

var callNames = map[uintptr]string{
	unix.SYS_OPENAT: "openat", unix.SYS_OPENAT2: "openat2", unix.SYS_READ: "read", unix.SYS_PREAD64: "pread64",
	unix.SYS_CLOSE: "close", unix.SYS_GETDENTS64: "getdents64", unix.SYS_READLINKAT: "readlinkat",
	unix.SYS_STATX: "statx", unix.SYS_IOCTL: "ioctl", unix.SYS_MPROTECT: "mprotect",
	unix.SYS_PROCESS_VM_READV: "process_vm_readv", unix.SYS_WAITID: "waitid", unix.SYS_NANOSLEEP: "nanosleep",
	unix.SYS_LSEEK: "lseek", unix.SYS_SCHED_YIELD: "sched_yield", unix.SYS_GETPID: "getpid", unix.SYS_GETTID: "gettid",
	unix.SYS_MADVISE: "madvise", unix.SYS_RT_SIGACTION: "rt_sigaction", unix.SYS_TGKILL: "tgkill",
	unix.SYS_PPOLL: "ppoll",
}

var requestNames = map[uintptr]string{
	unix.PTRACE_SEIZE: "SEIZE", unix.PTRACE_INTERRUPT: "INTERRUPT", unix.PTRACE_GETREGSET: "GETREGSET", 12: "GETREGS",
	14: "GETFPREGS", unix.PTRACE_PEEKUSR: "PEEKUSR", unix.PTRACE_GETSIGINFO: "GETSIGINFO", unix.PTRACE_DETACH: "DETACH",
	unix.PTRACE_PEEKDATA: "PEEKDATA", unix.PTRACE_GETSIGMASK: "GETSIGMASK",
	unix.PTRACE_CONT: "CONT",
}

// A call is one system call of a dump: its name, its object and its number among equal calls. Its number in the whole
// sequence would not identify it, because how often a wait polls depends on timing.
type call struct {
	name, what string
	nth        int
}

func (c call) String() string { return fmt.Sprintf("%s %s #%d", c.name, c.what, c.nth) }

// A spinLock is a mutex that does not need the Go scheduler, which the tracing goroutine may not use during a stop.
type spinLock struct{ held atomic.Bool }

func (l *spinLock) Lock() {
	for !l.held.CompareAndSwap(false, true) {
		rawSyscall6(unix.SYS_SCHED_YIELD, 0, 0, 0, 0, 0, 0)
	}
}

func (l *spinLock) Unlock() { l.held.Store(false) }

// A faultyKernel is installed between package sys and the kernel, and makes calls fail. The tracing goroutine and the
// dumping goroutine use it concurrently.
type faultyKernel struct {
	mu     spinLock
	files  map[uintptr]string // descriptor → what it refers to
	counts map[call]int       // nth is 0 in the keys
	seq    []call

	fail  call // the call that fails
	errno sys.Errno
	hits  int

	refuse func(c call) sys.Errno // calls for which it returns an error always fail
	short  bool                   // reads and listings return small pieces
	arms   int                    // number of calls of arm
	calls  int
	die    int // the number of the call before which this process is killed
}

// install puts k between package sys and the kernel. Until restore, the garbage collector runs only in arm: a collection that begins
// while the lock is held waits for the tracing goroutine, which waits for the lock.
func (k *faultyKernel) install() (restore func()) {
	k.files, k.counts = map[uintptr]string{}, map[call]int{}
	percent := debug.SetGCPercent(-1)
	raw := func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
		r, e := rawSyscall6(nr, a1, a2, a3, a4, a5, a6)
		return r, sys.Errno(e)
	}
	blocking := func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
		r, _, e := syscall.Syscall6(nr, a1, a2, a3, a4, a5, a6)
		return r, e
	}
	uninstall := sys.Install(k.between(raw), k.between(blocking))
	return func() {
		uninstall()
		debug.SetGCPercent(percent)
	}
}

// pathAt reads the NUL-terminated path at an address passed by a wrapper of package sys.
func pathAt(a uintptr) string {
	p := *(*unsafe.Pointer)(unsafe.Pointer(&a))
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}

func (k *faultyKernel) describe(nr, a1, a2, a3 uintptr) call {
	c := call{name: callNames[nr]}
	switch nr {
	case unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_READLINKAT, unix.SYS_STATX:
		c.what = pathAt(a2)
		if dir := k.files[a1]; dir != "" {
			c.what = dir + "/" + c.what
		}
	case unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_CLOSE, unix.SYS_GETDENTS64, unix.SYS_IOCTL, unix.SYS_LSEEK:
		c.what = k.files[a1]
	case unix.SYS_WAITID:
		c.what = fmt.Sprint(a2)
	case unix.SYS_PTRACE:
		c.name = requestNames[a1]
		c.what = fmt.Sprintf("%d %#x", a2, a3)
		if c.name == "PEEKDATA" {
			c.what = ""
		}
	case unix.SYS_FUTEX:
		if c.name = "futex_wait"; a2&1 == 1 {
			c.name = "futex_wake"
		}
	}
	if c.name == "" {
		c.name = fmt.Sprintf("system call %d(%#x, %#x)", nr, a1, a2)
	}
	return c
}

func (k *faultyKernel) between(kernel sys.Gate) sys.Gate {
	return func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
		k.mu.Lock()
		c := k.describe(nr, a1, a2, a3)
		key := c
		c.nth = k.counts[key]
		k.counts[key]++
		if k.calls++; k.calls == k.die {
			unix.Kill(os.Getpid(), unix.SIGKILL)
		}
		k.seq = append(k.seq, c)
		var errno sys.Errno
		if c == k.fail {
			k.hits++
			errno = k.errno
		} else if k.refuse != nil {
			errno = k.refuse(c)
		}
		if k.short {
			switch nr {
			case unix.SYS_READ, unix.SYS_PREAD64:
				a3 = min(a3, 700)
			case unix.SYS_GETDENTS64:
				a3 = min(a3, 96)
			}
		}
		k.mu.Unlock()
		if errno != 0 && nr != unix.SYS_CLOSE { // a close that fails has closed the descriptor
			return ^uintptr(0), errno
		}
		if nr == unix.SYS_PROCESS_VM_READV && k.short {
			return shortReadv(kernel, a1, a2, a3, a4, a5)
		}
		r, e := kernel(nr, a1, a2, a3, a4, a5, a6)
		if errno != 0 {
			return ^uintptr(0), errno
		}
		if (nr == unix.SYS_OPENAT || nr == unix.SYS_OPENAT2) && e == 0 {
			k.mu.Lock()
			k.files[r] = c.what
			k.mu.Unlock()
		}
		return r, e
	}
}

// shortReadv reads only the first of the ranges, and only half of it if it is long, as if the rest were unreadable.
func shortReadv(kernel sys.Gate, pid, local, nlocal, remote, nremote uintptr) (uintptr, sys.Errno) {
	l := (*unix.RemoteIovec)(*(*unsafe.Pointer)(unsafe.Pointer(&local)))
	r := (*unix.RemoteIovec)(*(*unsafe.Pointer)(unsafe.Pointer(&remote)))
	pair := &[2]unix.RemoteIovec{*l, *r}
	if n := l.Len; n > 64 {
		pair[0].Len, pair[1].Len = n/2, n/2
	}
	shortPair = pair // the kernel must not get an address on a goroutine stack
	n, e := kernel(unix.SYS_PROCESS_VM_READV, pid, uintptr(unsafe.Pointer(&pair[0])), 1, uintptr(unsafe.Pointer(&pair[1])), 1, 0)
	return n, e
}

var shortPair *[2]unix.RemoteIovec

// arm makes the next call c fail once with errno, and resets the record of earlier calls.
func (k *faultyKernel) arm(c call, errno sys.Errno) {
	if k.arms++; k.arms%64 == 0 {
		runtime.GC()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail, k.errno, k.hits, k.seq, k.counts = c, errno, 0, nil, map[call]int{}
}

// watchdog ends the test's process with all stacks if a dump hangs.
func watchdog(what string) (stop func() bool) {
	long := 30 * time.Second
	if victims.Emulated() {
		long = 3 * time.Minute // an emulated machine can stall for a while
	}
	return time.AfterFunc(long, func() { panic("hangs: " + what) }).Stop
}

// contents summarises a dump: for each item in it, a text that is the same in each dump of the same process.
func contents(t testing.TB, b []byte) map[string]string {
	t.Helper()
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	m := map[string]string{}
	for _, d := range f.Directory {
		m[fmt.Sprintf("stream %v", d.Type)] = ""
	}
	threads, err := f.Threads()
	if err != nil {
		t.Error(err)
	}
	regs := coretest.CPUs(t, f)
	for _, th := range threads {
		m[fmt.Sprint("thread ", th.ThreadID)] = ""
		if regs[th.ThreadID] != nil {
			m[fmt.Sprint("context ", th.ThreadID)] = ""
		}
		if th.Stack.Memory.DataSize > 0 {
			m[fmt.Sprint("stack ", th.ThreadID)] = ""
		}
	}
	names, _ := f.ThreadNames()
	for tid, name := range names {
		m[fmt.Sprint("name ", tid)] = name
	}
	sets, _ := f.RegisterSets()
	for _, r := range sets {
		m[fmt.Sprintf("regset %d %#x", r.ThreadID, r.NoteType)] = ""
	}
	modules, _ := f.Modules()
	for i, x := range modules {
		m["module "+x.Name] = x.BuildID
		if i == 0 {
			m["main"] = x.Name
		}
	}
	if dso, err := f.DSODebug(); err == nil {
		for _, l := range dso.LinkMaps {
			m["link "+l.Name] = ""
		}
	}
	handles, _ := f.Handles()
	for _, h := range handles {
		m[fmt.Sprint("handle ", h.Handle)] = h.TypeName + " " + h.ObjectName
	}
	for _, s := range []stream.Type{stream.LinuxCmdLine, stream.LinuxEnviron, stream.LinuxAuxv, stream.LinuxLSBRelease,
		stream.MozLinuxLimits} {
		if text, err := f.Text(s); err == nil {
			m[fmt.Sprintf("stream %v", s)] = text
		}
	}
	info, csd, _ := f.SystemInfo()
	m["system"] = fmt.Sprint(info.ProcessorArchitecture, info.NumberOfProcessors, info.CPU, csd)
	misc, _ := f.MiscInfo()
	m["times"] = fmt.Sprint(misc.ProcessID, misc.ProcessCreateTime)
	e, err := f.Exception()
	m["exception"] = fmt.Sprint(e.ThreadID, e.Code, regs[e.ThreadID] != nil, err)
	ranges, err := f.MemoryRanges()
	if err != nil {
		t.Error(err)
	}
	m["memory"] = fmt.Sprint(len(ranges) > 0)
	probe := make([]byte, 64)
	if n, _ := f.ReadMemory(modules0(modules), probe); n == len(probe) {
		m["app memory"] = ""
	}
	return m
}

func modules0(m []stream.ModuleInfo) uint64 {
	for i := range m {
		if !strings.Contains(m[i].Name, "linux-gate") {
			return m[i].BaseOfImage
		}
	}
	return 0
}

// Operations whose failure can be the reason for a missing item.
var (
	threadOps = []snapshot.Op{snapshot.OpListThreads, snapshot.OpRelist, snapshot.OpSeize, snapshot.OpOtherTracer, snapshot.OpStop, snapshot.OpParseMaps, snapshot.OpMaps}
	moduleOps = []snapshot.Op{snapshot.OpModule, snapshot.OpModuleID, snapshot.OpDSO, snapshot.OpAuxv, snapshot.OpReadAuxv, snapshot.OpParseMaps, snapshot.OpMaps}
	reasons   = map[string][]snapshot.Op{
		"thread": threadOps, "context": append([]snapshot.Op{snapshot.OpRegisters}, threadOps...), "name": append([]snapshot.Op{snapshot.OpName}, threadOps...),
		"stack":  append([]snapshot.Op{snapshot.OpRegisters, snapshot.OpStack, snapshot.OpStackUnmapped}, threadOps...),
		"regset": append([]snapshot.Op{snapshot.OpRegisters, snapshot.OpRegsets}, threadOps...), "memory": append([]snapshot.Op{snapshot.OpStack, snapshot.OpCode}, threadOps...),
		"exception": append([]snapshot.Op{snapshot.OpRegisters}, threadOps...),
		"module":    moduleOps, "link": moduleOps, "main": moduleOps, "handle": {snapshot.OpHandles, snapshot.OpHandle}, "system": {snapshot.OpCPUInfo, snapshot.OpSystem, snapshot.OpOSRelease},
		"times": {snapshot.OpStat, snapshot.OpSystem}, "app memory": append([]snapshot.Op{snapshot.OpAppMemory, snapshot.OpFull}, moduleOps...),
		"stream " + fmt.Sprint(stream.ThreadNamesStream):    append([]snapshot.Op{snapshot.OpName}, threadOps...),
		"stream " + fmt.Sprint(stream.RegisterSetsStream):   append([]snapshot.Op{snapshot.OpRegisters, snapshot.OpRegsets}, threadOps...),
		"stream " + fmt.Sprint(stream.LinuxDSODebug):        moduleOps,
		"stream " + fmt.Sprint(stream.HandleDataStream):     {snapshot.OpHandles, snapshot.OpHandle},
		"stream " + fmt.Sprint(stream.MemoryInfoListStream): {snapshot.OpMaps, snapshot.OpParseMaps},
		"stream " + fmt.Sprint(stream.LinuxMaps):            {snapshot.OpMaps, snapshot.OpParseMaps},
		"stream " + fmt.Sprint(stream.LinuxCPUInfo):         {snapshot.OpCPUInfo},
		"stream " + fmt.Sprint(stream.LinuxLSBRelease):      {snapshot.OpOSRelease},
		"stream " + fmt.Sprint(stream.LinuxProcStatus):      {snapshot.OpStatus},
		"stream " + fmt.Sprint(stream.LinuxCmdLine):         {snapshot.OpCmdline},
		"stream " + fmt.Sprint(stream.LinuxEnviron):         {snapshot.OpEnviron},
		"stream " + fmt.Sprint(stream.LinuxAuxv):            {snapshot.OpAuxv},
		"stream " + fmt.Sprint(stream.MozLinuxLimits):       {snapshot.OpLimits},
	}
)

// unexplained lists the items of want that are missing or different in got without a soft error about them. If gone,
// threads and descriptors may be missing: the kernel reported that they no longer exist.
func unexplained(want, got map[string]string, soft []SoftError, gone bool) (list []string) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if have, ok := got[key]; ok && have == want[key] {
			continue
		}
		kind, rest, _ := strings.Cut(key, " ")
		ops := reasons[key]
		if ops == nil {
			ops = reasons[kind]
		}
		var tid int
		if slices.Contains([]string{"thread", "context", "name", "stack", "regset"}, kind) {
			fmt.Sscan(rest, &tid)
		}
		if gone && (tid != 0 || kind == "handle" || kind == "exception") {
			continue
		}
		told := slices.ContainsFunc(soft, func(e SoftError) bool {
			if e.Op == snapshot.OpTruncated.What() {
				return true
			}
			return slices.ContainsFunc(ops, func(op snapshot.Op) bool { return op.What() == e.Op }) &&
				// A process that can't be traced is recorded once, not for each thread.
				(tid == 0 || e.Thread == 0 || e.Thread == tid || errors.Is(e.Err, unix.EPERM))
		})
		if !told {
			list = append(list, fmt.Sprintf("%s %q (now %q)", key, want[key], got[key]))
		}
	}
	return list
}

func openFiles(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

var faultTargets = []struct {
	name, language string
	mode           Mode
}{
	{"C", "C", ModeStack},
	{"Go", "Go", ModeStack},
	{"full", "C", ModeFull},
}

// everything returns options for all that a dump can contain.
func everything(mode Mode, c *counter, t testing.TB) Options {
	w, err := NewWriter(c.PID, patient(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	f, _ := dumpWith(t, w)
	modules, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Mode: mode, RegisterSets: true, StopTimeout: 5 * time.Second,
		AppMemory:   []AppMemory{{modules[0].BaseOfImage, 256}},
		Annotations: []Annotation{{"key", "value"}},
		UserStreams: []UserStream{{0x10001, []byte("hello")}},
	}
}

// TestEachCallFails makes each system call of NewWriter and of a dump fail once with each error that the kernel can
// return for it.
func TestEachCallFails(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("the tracing goroutine, which does not give up its processor, may wait for the lock of faultyKernel forever")
	}
	for _, c := range faultTargets {
		t.Run(c.name, func(t *testing.T) { testEachCallFails(t, c.language, c.mode) })
	}
}

// emulated reports whether this machine is likely one of internal/vm.
const emulated = runtime.GOARCH != "amd64" && runtime.GOARCH != "386"

func testEachCallFails(t *testing.T, language string, mode Mode) {
	v := startCounter(t, language, 3, time.Millisecond)
	if language == "C" && v.isGo {
		t.Skip("there is no C compiler; Go programs have a test of their own")
	}
	o := everything(mode, v, t)
	k := &faultyKernel{}
	defer k.install()()
	var out bytes.Buffer
	w, err := NewWriter(v.PID, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.Dump(&out)
	if err != nil {
		t.Fatal(err)
	}
	want := contents(t, out.Bytes())
	for _, e := range r.SoftErrors() {
		t.Errorf("without a fault: %v", &e)
	}
	k.mu.Lock()
	seq := slices.Clone(k.seq)
	k.mu.Unlock()
	w.Close()
	files := openFiles(t)

	runs, distinct := 0, map[call]bool{}
	for _, c := range seq {
		if distinct[c] || c.name == "futex_wait" && c.nth > 0 {
			continue
		}
		distinct[c] = true
		errnos := failures[c.name]
		if errnos == nil && !slices.Contains(infallible, c.name) {
			t.Errorf("%v: what errors can it give?", c)
		}
		for _, errno := range errnos {
			if runs++; emulated && runs%64 != 1 {
				continue // a sample, to save minutes
			}
			if !t.Run(fmt.Sprintf("%v %s", c, unix.ErrnoName(errno)), func(t *testing.T) {
				oneFault(t, k, v, o, c, errno, want)
			}) && !v.Alive() {
				t.Fatal("the victim has died")
			}
		}
	}
	if n := openFiles(t); n != files {
		t.Errorf("%d open files before, %d after", files, n)
	}
	t.Logf("%d calls, %d faults", len(distinct), runs)
}

func oneFault(t *testing.T, k *faultyKernel, v *counter, o Options, c call, errno sys.Errno, want map[string]string) {
	defer watchdog(fmt.Sprint(c, errno))()
	k.arm(c, errno)
	w, err := NewWriter(v.PID, o)
	if err != nil {
		checkHard(t, c, errno, err, v.PID)
		return
	}
	defer w.Close()
	early := k.hitsNow() > 0
	var out bytes.Buffer
	r, err := w.Dump(&out)
	if k.hitsNow() == 0 {
		// A long wait reads the thread's stat, and interrupts the thread again.
		lasting := strings.Contains(c.what, "/task/") && strings.HasSuffix(c.what, "/stat") || c.name == "INTERRUPT" && c.nth > 0
		lasting = lasting || slices.ContainsFunc(occasional, func(part string) bool { return strings.Contains(c.String(), part) })
		if !lasting && !slices.Contains(timed, c.name) {
			t.Error("the call was not made")
		}
		return
	}
	gone := errno == unix.ESRCH || errno == unix.ENOENT || errno == unix.ECHILD
	if err != nil {
		checkHard(t, c, errno, err, v.PID)
	} else {
		soft := r.SoftErrors()
		got := contents(t, out.Bytes())
		if c.name == "GETREGSET" && (errno == unix.EINVAL || errno == unix.ENODEV) {
			// This machine or thread has no such registers: nothing is recorded.
			for key := range want {
				if kind, _, _ := strings.Cut(key, " "); kind == "regset" {
					got[key] = want[key]
				}
			}
		}
		for _, x := range unexplained(want, got, soft, gone) {
			t.Errorf("missing and not told: %s; soft errors %v", x, soft)
		}
	}
	v.free(t)
	v.runs(t)

	out.Reset()
	r, err = w.Dump(&out)
	if err != nil {
		t.Fatalf("the next dump: %v", err)
	}
	soft := r.SoftErrors()
	if len(soft) > 0 && !early {
		t.Errorf("the next dump: %v", soft)
	}
	if !early {
		soft = nil
	}
	for _, x := range unexplained(want, contents(t, out.Bytes()), soft, false) {
		t.Errorf("missing in the next dump: %s", x)
	}
	v.free(t)
}

func (k *faultyKernel) hitsNow() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hits
}

// checkHard checks that a dump failed for a good reason: no dump can be made without /proc/PID itself, its stat or its
// maps.
func checkHard(t *testing.T, c call, errno sys.Errno, err error, pid int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d", pid)
	if c.name == "mprotect" && strings.Contains(err.Error(), "no address space") {
		return
	}
	if c.what != dir && c.what != dir+"/stat" && c.what != dir+"/maps" {
		t.Errorf("no dump: %v", err)
	}
	var sentinel error = errno
	switch errno {
	case unix.ENOENT, unix.ESRCH:
		sentinel = ErrNoProcess
	case unix.EACCES, unix.EPERM:
		sentinel = ErrPermission
	}
	if !errors.Is(err, sentinel) {
		t.Errorf("%v is not %v", err, sentinel)
	}
}

// TestFaultsThatStay makes kinds of calls always fail, as they do on some systems.
func TestFaultsThatStay(t *testing.T) {
	victims.SkipEmulated(t, "errors are handled alike everywhere")
	vm := func(e sys.Errno) func(call) sys.Errno {
		return func(c call) sys.Errno {
			if c.name == "process_vm_readv" {
				return e
			}
			return 0
		}
	}
	targets := faultTargets
	if emulated {
		targets = targets[:1]
	}
	for _, target := range targets {
		v := startCounter(t, target.language, 3, time.Millisecond)
		o := everything(target.mode, v, t)
		noMem := func(c call) sys.Errno {
			if strings.HasSuffix(c.what, "/mem") && c.name == "openat" {
				return unix.EACCES
			}
			return vm(unix.ENOSYS)(c)
		}
		k := &faultyKernel{}
		restore := k.install()
		complete := func(t *testing.T) (map[string]string, []SoftError) {
			t.Helper()
			w, err := NewWriter(v.PID, o)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			defer watchdog(t.Name())()
			var out bytes.Buffer
			r, err := w.Dump(&out)
			if err != nil {
				t.Fatal(err)
			}
			v.free(t)
			v.runs(t)
			return contents(t, out.Bytes()), r.SoftErrors()
		}
		want, _ := complete(t)
		for _, c := range []struct {
			name   string
			refuse func(call) sys.Errno
			lost   []string // kinds of items that are missing, with a soft error
		}{
			{"process_vm_readv EPERM", vm(unix.EPERM), nil},
			{"process_vm_readv ENOSYS", vm(unix.ENOSYS), nil},
			{"process_vm_readv EFAULT", vm(unix.EFAULT), nil},
			// Ptrace can read the memory only of a stopped thread, so what is read later is missing.
			{"no memory but by ptrace", noMem, []string{"module", "link", "main", "stream", "app memory"}},
			{"no ptrace", func(c call) sys.Errno {
				if c.name == "SEIZE" {
					return unix.EPERM
				}
				return 0
			}, []string{"context", "regset", "stream", "exception", "stack"}},
			{"no ioctl, no statx", func(c call) sys.Errno {
				switch c.name {
				case "ioctl":
					return unix.ENOTTY
				case "statx":
					return unix.ENOSYS
				}
				return 0
			}, []string{"handle"}},
			{"GETREGSET EIO", func(c call) sys.Errno {
				if c.name == "GETREGSET" {
					return unix.EIO
				}
				return 0
			}, []string{"regset", "stream", "context", "exception", "stack"}},
			{"no descriptors", func(c call) sys.Errno {
				if c.name == "openat" && strings.Contains(c.what, "/task/") {
					return unix.EMFILE
				}
				return 0
			}, []string{"name", "stream"}},
		} {
			t.Run(target.name+" "+c.name, func(t *testing.T) {
				k.mu.Lock()
				k.refuse = c.refuse
				k.mu.Unlock()
				defer func() { k.refuse = nil }()
				if c.name == "no ptrace" { // the dump retries a thread that can't be traced until StopTimeout
					defer func(usual time.Duration) { o.StopTimeout = usual }(o.StopTimeout)
					o.StopTimeout = 300 * time.Millisecond
				}
				got, soft := complete(t)
				for _, x := range unexplained(want, got, soft, false) {
					t.Errorf("missing and not told: %s; soft errors %v", x, soft)
				}
				for key := range want {
					kind, _, _ := strings.Cut(key, " ")
					if _, ok := got[key]; !ok && !slices.Contains(c.lost, kind) && !slices.Contains(c.lost, key) {
						t.Errorf("missing: %s; soft errors %v", key, soft)
					}
				}
			})
		}
		t.Run(target.name+" short", func(t *testing.T) {
			k.mu.Lock()
			k.short = true
			k.mu.Unlock()
			defer func() { k.short = false }()
			got, soft := complete(t)
			if len(soft) > 0 {
				t.Error(soft)
			}
			for _, x := range unexplained(want, got, nil, false) {
				t.Errorf("missing: %s", x)
			}
		})
		restore()
	}
}

// TestUnstoppable dumps a process whose stops are never reported: as with a thread in uninterruptible sleep, only the
// end of the tracing OS thread releases it.
func TestUnstoppable(t *testing.T) {
	victims.SkipEmulated(t, "it races a deadline")
	for _, mode := range []Mode{ModeStack, ModeFull} {
		v := startCounter(t, "C", 3, time.Millisecond)
		k := &faultyKernel{}
		restore := k.install()
		w, err := NewWriter(v.PID, Options{Mode: mode, StopTimeout: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			defer watchdog(t.Name())()
			k.mu.Lock()
			k.refuse = func(c call) sys.Errno {
				if c.name == "waitid" {
					return unix.EINTR
				}
				return 0
			}
			k.mu.Unlock()
			f, r := quietDump(t, w)
			v.free(t)
			v.runs(t)
			threads, err := f.Threads()
			if err != nil || len(threads) < 3 { // the counterpart in Go has more
				t.Errorf("%d threads, %v", len(threads), err)
			}
			regs := coretest.CPUs(t, f)
			for _, th := range threads {
				if regs[th.ThreadID] == nil && !slices.ContainsFunc(r.SoftErrors(), func(e SoftError) bool {
					return e.Op == snapshot.OpStop.What() && e.Thread == int(th.ThreadID)
				}) {
					t.Errorf("thread %d has no registers, and nothing tells why: %v", th.ThreadID, r.SoftErrors())
				}
			}
			k.mu.Lock()
			k.refuse = nil
			k.mu.Unlock()
			_, r = quietDump(t, w)
			if r.Soft != 0 {
				t.Errorf("the next dump: %v", r.SoftErrors())
			}
			v.free(t)
		}
		w.Close()
		restore()
	}
}

// oddWriter accepts n bytes for each call, and returns n and err.
type oddWriter struct {
	n     int
	err   error
	bytes int
}

func (o *oddWriter) Write(p []byte) (int, error) {
	n := min(o.n, len(p))
	o.bytes += n
	return n, o.err
}

// TestWriteErrors writes dumps to destinations that fail.
func TestWriteErrors(t *testing.T) {
	v := startCounter(t, "C", 3, time.Millisecond)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	r, broken, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer broken.Close()
	for _, mode := range []Mode{ModeStack, ModeFull} {
		w, err := NewWriter(v.PID, patient(Options{Mode: mode}))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for _, c := range []struct {
			name string
			dst  io.Writer
			Want error
		}{
			{"full disk", full, syscall.ENOSPC},
			{"broken pipe", broken, syscall.EPIPE},
			{"nothing taken", &oddWriter{n: 0}, io.ErrShortWrite},
			{"error beside bytes", &oddWriter{n: 1 << 20, err: syscall.EIO}, syscall.EIO},
			{"small pieces", &oddWriter{n: 1000}, nil},
		} {
			stop := watchdog(c.name)
			res, err := w.Dump(c.dst)
			stop()
			if !errors.Is(err, c.Want) || c.Want != nil && res.Size != 0 {
				t.Errorf("%s, mode %d: %v, size %d", c.name, mode, err, res.Size)
			}
			if o, ok := c.dst.(*oddWriter); ok && c.Want == nil && uint64(o.bytes) != res.Size {
				t.Errorf("%s: %d bytes of %d", c.name, o.bytes, res.Size)
			}
			v.free(t)
			v.runs(t)
		}
	}
	out, err := roleCommand(t, "limited", fmt.Sprint(v.PID), t.TempDir()+"/x.dmp").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "EFBIG true") {
		t.Errorf("with RLIMIT_FSIZE: %v, %s", err, out)
	}
	v.free(t)
	v.runs(t)
}

// limitedRole dumps to a file whose size limit is too small.
func limitedRole(args []string) {
	var pid int
	fmt.Sscan(args[0], &pid)
	unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: 4096})
	w, err := NewWriter(pid, patient(Options{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	_, err = w.DumpFile(args[1])
	fmt.Println("EFBIG", errors.Is(err, syscall.EFBIG), err)
	left, _ := os.ReadDir(args[1][:strings.LastIndexByte(args[1], '/')])
	if len(left) > 0 {
		fmt.Println("left behind:", left)
		os.Exit(1)
	}
}

// TestMountsReadOnce checks that the list of mounts is read for the first dump of a Writer, and not again. Mounts of this machine
// may change during the test, so one later dump without a read is enough.
func TestMountsReadOnce(t *testing.T) {
	v := startCounter(t, "Go", 1, time.Millisecond)
	k := &faultyKernel{}
	defer k.install()()
	w, err := NewWriter(v.PID, patient(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var reads []int
	for range 5 {
		if _, err := w.Dump(io.Discard); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range k.seq {
			if strings.HasPrefix(c.name, "openat") && strings.Contains(c.what, "/mountinfo") && !strings.Contains(c.what, "/self/") {
				n++
			}
		}
		reads = append(reads, n)
		k.arm(call{}, 0)
	}
	if reads[0] == 0 || slices.Min(reads[1:]) != 0 {
		t.Errorf("mountinfo was opened %d times", reads)
	}
}
