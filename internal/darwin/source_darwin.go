package darwin

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"minidump/internal/arena"
	"minidump/internal/errtext"
	"minidump/internal/goruntime"
	"minidump/internal/snapshot"
	"minidump/mach"
	"minidump/macho"
)

// Source is a task as the source of snapshots: another task, or the one in which it runs. All memory that it needs is allocated in Init.
//
// Another task is suspended as a whole. If the dumper ends before it resumes the task, the kernel resumes it.
//
// In the own task each thread except the calling one is suspended. Until the threads are resumed nothing is allocated,
// and the goroutine stays on its thread and is not preempted, because a suspended thread may hold a lock of the Go
// runtime. The threads are therefore resumed before the dump is written, in mode full too: the stacks are then those
// that were captured, and the rest of the memory is read while the threads run.
type Source struct {
	task  mach.Port
	owned bool // Close deallocates the right to task
	own   bool // the task is the one that runs this code
	pid   int32

	mem      memory
	facts    facts
	image    macho.Reader
	scratch  []byte
	regs     registers
	path     []byte // of the current image
	entries  arena.Span
	list     imageList
	dumper   uint64 // the id of the dumping thread, of the own task; 0: another task
	gostacks goruntime.Stacks
	golist   goruntime.Lister // nil: not linked, or the task is the own one
	prepared bool             // golist has looked for the runtime

	annotations []foundAnnotation
	fds         []mach.ProcFDInfo
	vnode       mach.VnodeFDInfoWithPath
	socket      mach.SocketFDInfo

	self    registers // of the own task's dumping thread, at the call of captureOwn
	failure error     // of the capture

	stopped bool
	since   time.Time
	held    []mach.Port // the threads of the own task that were suspended
	threads mach.Threads
}

const (
	scratchSize = 32 << 10
	maxHeld     = 4096 // threads of the own task
	maxFDs      = 16384
)

// Init prepares dumps of process pid. An error wraps snapshot.ErrNoProcess or snapshot.ErrPermission.
func (l *Source) Init(pid int) (buf []byte, err error) {
	if pid == os.Getpid() {
		return l.InitTask(mach.TaskSelf(), false)
	}
	task, kr := mach.TaskForPID(pid)
	if kr != mach.KERN_SUCCESS {
		kind := snapshot.ErrPermission
		if pid <= 0 || syscall.Kill(pid, 0) == syscall.ESRCH { // 0 and negative numbers mean process groups
			kind = snapshot.ErrNoProcess
		}
		return nil, errtext.Wrap(snapshot.AlsoError(kind, kr), "minidump: task_for_pid of pid ", pid)
	}
	if buf, err = l.InitTask(task, true); err != nil {
		mach.PortDeallocate(task)
	}
	return buf, err
}

// InitTask prepares dumps of a task whose port the caller has. If give is true, Close deallocates that right.
func (l *Source) InitTask(task mach.Port, give bool) (buf []byte, err error) {
	pid, kr := mach.PIDForTask(task)
	if kr != mach.KERN_SUCCESS {
		return nil, errtext.Wrap(snapshot.AlsoError(snapshot.ErrNoProcess, kr), "minidump: pid_for_task of port ",
			uint32(task))
	}
	*l = Source{task: task, owned: give, pid: int32(pid), own: pid == os.Getpid()}
	l.mem = memory{task: task, page: uint64(os.Getpagesize())}
	l.scratch = make([]byte, scratchSize)
	l.image.Init(l.scratch)
	l.path = make([]byte, mach.MAXPATHLEN)
	l.annotations = make([]foundAnnotation, 0, maxAnnotations)
	l.fds = make([]mach.ProcFDInfo, maxFDs)
	if l.own {
		l.held = make([]mach.Port, 0, maxHeld)
	}
	l.facts.read()
	if err := l.gostacks.Reserve(); err != nil {
		return nil, err
	}
	// In the own task the list would need a larger stack than growStack provides.
	if goruntime.NewLister != nil && !l.own {
		list := goruntime.NewLister()
		if err := list.Reserve(); err != nil {
			return nil, err
		}
		l.golist = list
	}
	return make([]byte, encoderBuffer), nil
}

// encoderBuffer is the size in bytes of the encoder's buffer.
const encoderBuffer = 32 << 10

// Close releases what the Source owns.
func (l *Source) Close() error {
	l.resume(nil)
	l.gostacks.Release()
	if l.golist != nil {
		l.golist.Release()
		l.golist = nil
	}
	if l.owned {
		mach.PortDeallocate(l.task)
	}
	l.task, l.owned = 0, false
	return nil
}

// Process returns the process id and the name of the program. It allocates.
func (l *Source) Process() (int, string) {
	var b mach.ProcBSDInfo
	if b.Read(int(l.pid)) != nil {
		return int(l.pid), ""
	}
	return int(l.pid), string(b.Comm())
}

// Memory returns the task's memory.
func (l *Source) Memory() snapshot.Memory { return &l.mem }

// FirstLook records in s what is the same in all dumps, and keeps it there.
func (l *Source) FirstLook(s *snapshot.Snapshot) error {
	s.System.Info = l.facts.system(isARM64, isIOS)
	if !isARM64 {
		c := l.facts.x86()
		c.Put(s.System.Info.CPU[:], order)
	}
	s.System.CSD = s.Put(l.facts.build[:l.facts.buildLen])
	s.Bytes.Keep()
	s.Target = snapshot.Target{Arch: Arch, Order: order, PageSize: l.mem.page}
	s.Proc.PID = l.pid
	s.Numbers = numbers{}
	if im := l.main(); im == nil {
		return errtext.Wrap(snapshot.ErrUnsupported, "minidump: pid ", l.pid,
			" does not run a program for this processor, or not yet")
	}
	return nil
}

// main opens the header of the main program. It returns nil if there is none for this processor.
func (l *Source) main() *macho.Image {
	if !l.readList() {
		return nil
	}
	for i := uint32(0); i < l.list.count; i++ {
		e := l.scratch[:imageInfoSize]
		if l.mem.Read(l.list.array+uint64(i)*imageInfoSize, e) < imageInfoSize {
			return nil
		}
		at := imageAt(e, 0).load
		if l.image.OpenMemory(&l.mem, at) && l.image.Image.Header.FileType == macho.MH_EXECUTE {
			if l.image.Image.Header.CPU != cpuType {
				return nil
			}
			return &l.image.Image
		}
	}
	return nil
}

// IsGo reports whether the main program was linked by Go: it has the section __go_buildinfo.
func (l *Source) IsGo(s *snapshot.Snapshot) bool {
	if l.main() == nil {
		return false
	}
	s.Proc.Program = extent(&l.image.Image)
	_, ok := l.image.Section("__DATA", "__go_buildinfo")
	return ok
}

// extent returns the address range of an image: from its first segment to the end of the last one that allows access.
func extent(im *macho.Image) (r snapshot.Range) {
	for i := range im.NumSegments {
		g := &im.Segments[i]
		if g.Maxprot == 0 || g.Size == 0 { // __PAGEZERO
			continue
		}
		lo := im.Runtime(g.Addr)
		if hi := lo + g.Size; hi > lo {
			if r.Hi == 0 {
				r.Lo = lo
			}
			r.Lo, r.Hi = min(r.Lo, lo), max(r.Hi, hi)
		}
	}
	return r
}

// Capture fills s with what must be read at one moment. Then it resumes the task, except another task in mode full.
func (l *Source) Capture(s *snapshot.Snapshot) error {
	s.Target = snapshot.Target{Arch: Arch, Order: order, PageSize: l.mem.page}
	s.Proc.PID, s.Proc.IsGo = l.pid, l.IsGo(s)
	if !l.own {
		l.prepareList(s)
		return l.capture(s)
	}
	// A suspended thread may have asked this one to stop for the garbage collector, and could never resume it.
	procPin()
	growStack()
	callCapture(&l.self, l, s)
	procUnpin()
	if l.failure == nil && s.Want.Mode == snapshot.ModeFull {
		l.mem.captured = s
	}
	return l.failure
}

// prepareList makes the lister of goroutines find the Go runtime, once and before the task is suspended, because that reads several
// megabytes.
func (l *Source) prepareList(s *snapshot.Snapshot) {
	if l.golist == nil || l.prepared || !s.Proc.IsGo {
		return
	}
	l.prepared = true
	l.readRegions(s)
	l.golist.Prepare(s, &l.mem)
	s.Mappings.Clear()
	s.Full.Clear()
}

// captureOwn is called by callCapture, which has filled l.self.
//
//lint:ignore U1000 the caller is assembly
func captureOwn(l *Source, s *snapshot.Snapshot) {
	l.self.finish(&l.mem, l.scratch)
	l.failure = l.capture(s)
}

func (l *Source) capture(s *snapshot.Snapshot) error {
	if l.own { // a goroutine moved to another thread would run on one that it has suspended
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	if err := l.suspend(s); err != nil {
		return err
	}
	l.readRegions(s)
	l.readThreads(s)
	l.captureList(s)
	if l.golist == nil || !l.golist.Capture(s, &l.mem, nanotime) {
		l.gostacks.Find(s, &l.mem)
	}
	s.CaptureMemory(&l.mem)
	if l.own || s.Want.Mode != snapshot.ModeFull {
		l.resume(s)
	}
	return nil
}

// suspend suspends the threads.
func (l *Source) suspend(s *snapshot.Snapshot) error {
	l.since = time.Now()
	if l.own {
		self := mach.ThreadSelf()
		defer mach.PortDeallocate(self)
		l.dumper = mach.ThreadID()
		l.suspendOthers(s, self)
		l.stopped = true
		return nil
	}
	if kr := mach.TaskSuspend(l.task); kr != mach.KERN_SUCCESS {
		return errtext.Wrap(snapshot.AlsoError(snapshot.ErrNoProcess, kr), "minidump: task_suspend of pid ", l.pid)
	}
	l.stopped = true
	var kr mach.KernReturn
	if l.threads, kr = mach.TaskThreads(l.task); kr != mach.KERN_SUCCESS {
		s.Soft(snapshot.OpListThreads, int32(kr), 0, 0)
	}
	return nil
}

// growStack makes the goroutine's stack as large as a dump can need, so that it does not grow later: growing acquires
// locks of the Go runtime, which a suspended thread may hold.
//
//go:noinline
func growStack() byte {
	var b [64 << 10]byte
	return b[os.Getpagesize()&1]
}

// suspendOthers suspends each thread of the own task except self. It reads the list of threads again until there
// are no new ones: a thread may have started others before it was suspended.
func (l *Source) suspendOthers(s *snapshot.Snapshot, self mach.Port) {
	l.held = l.held[:0]
	for round := 0; round < 16; round++ {
		l.threads.Release()
		var kr mach.KernReturn
		if l.threads, kr = mach.TaskThreads(l.task); kr != mach.KERN_SUCCESS {
			s.Soft(snapshot.OpListThreads, int32(kr), 0, 0)
			return
		}
		fresh := false
		for _, p := range l.threads.Ports() {
			if p == self || l.holds(p) {
				continue
			}
			if len(l.held) == cap(l.held) {
				s.Soft(snapshot.OpTruncated, 0, 0, 0)
				return
			}
			if kr := mach.ThreadSuspend(p); kr != mach.KERN_SUCCESS {
				continue // the thread has ended
			}
			// A separate send right: the one from the list is deallocated before the thread is resumed.
			if kr := mach.PortModRefs(p, mach.MACH_PORT_RIGHT_SEND, 1); kr != mach.KERN_SUCCESS {
				mach.ThreadResume(p)
				continue
			}
			l.held = append(l.held, p)
			fresh = true
		}
		if !fresh {
			return
		}
	}
}

func (l *Source) holds(p mach.Port) bool {
	for _, h := range l.held {
		if h == p {
			return true
		}
	}
	return false
}

// resume resumes the task. It may be called again. s may be nil.
func (l *Source) resume(s *snapshot.Snapshot) {
	l.threads.Release()
	if !l.stopped {
		return
	}
	l.stopped = false
	if l.own {
		for _, p := range l.held {
			mach.ThreadResume(p)
			mach.PortDeallocate(p)
		}
		l.held = l.held[:0]
	} else {
		mach.TaskResume(l.task)
	}
	if s != nil {
		s.Pause = time.Since(l.since)
	}
}

// Release resumes the task.
func (l *Source) Release(s *snapshot.Snapshot) error {
	l.resume(s)
	l.mem.captured = nil
	return nil
}

// readThreads records the threads and decides which one the dump is about: the first, unless the caller named one. The
// own task's dumping thread is left out unless the dump is about it.
func (l *Source) readThreads(s *snapshot.Snapshot) {
	first := int32(0)
	for _, p := range l.threads.Ports() {
		var id mach.ThreadIdentifierInfo
		if kr := id.Read(p); kr != mach.KERN_SUCCESS {
			s.Soft(snapshot.OpRegisters, int32(kr), 0, 0)
			continue
		}
		tid := int32(uint32(id.ThreadID))
		dumper := l.own && id.ThreadID == l.dumper
		if dumper && tid != s.Want.Thread {
			continue
		}
		t := s.Threads.Add()
		if t == nil {
			s.Soft(snapshot.OpTruncated, 0, tid, 0)
			break
		}
		if t.TID = tid; first == 0 {
			first = tid
		}
		l.readThread(s, t, p, id.ThreadHandle, dumper)
	}
	s.Blame(first, nil)
	if s.Crash.Code == noCrash {
		s.Crash.Code = dumpRequested
	}
	s.AddBlamed(snapshot.OpListThreads, int32(mach.KERN_TERMINATED))
}

// noCrash is what Blame sets for a dump without a crash: MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED.
const noCrash = 0xffffffff

func (l *Source) readThread(s *snapshot.Snapshot, t *snapshot.Thread, p mach.Port, tsd uint64, dumper bool) {
	var x mach.ThreadExtendedInfo
	if kr := x.Read(p); kr != mach.KERN_SUCCESS {
		s.Soft(snapshot.OpName, int32(kr), t.TID, 0)
	} else if name := x.Name(); len(name) > 0 {
		t.Name = s.Put(name)
	}
	r := &l.regs
	if dumper {
		r = &l.self
	} else if kr := r.readGP(p); kr != mach.KERN_SUCCESS {
		s.Soft(snapshot.OpRegisters, int32(kr), t.TID, 0)
		t.State = snapshot.ThreadNoRegisters
		return
	}
	t.State = snapshot.ThreadStopped
	t.PC, t.SP, t.HasSP = r.pc(), r.sp(), true
	var b []byte
	if t.GP, b = s.Bytes.Alloc(gpSize); b == nil {
		s.Soft(snapshot.OpTruncated, 0, t.TID, 0)
		return
	}
	r.putGP(b, tsd)
	if dumper {
		// A function call preserves no floating-point register.
	} else if kr := r.readFP(p); kr != mach.KERN_SUCCESS {
		s.Soft(snapshot.OpFPRegisters, int32(kr), t.TID, 0)
	} else if t.FP, b = s.Bytes.Alloc(fpSize); b != nil {
		r.putFP(b)
	}
	s.CheckContext(t)
}

// numbers marks the error numbers of a task's soft errors as kern_return_t.
type numbers struct{}

func (numbers) Text(n int32) string { return mach.KernReturn(n).String() }
func (numbers) Err(n int32) error   { return mach.KernReturn(n) }

// maxDepth is the maximum nesting of maps that are descended into. The shared region of macOS is a submap of the task's map.
const maxDepth = 1024

// readRegions records the memory map. The regions of one stack become one mapping.
func (l *Source) readRegions(s *snapshot.Snapshot) {
	var info mach.VMRegionSubmapInfo64
	var last *snapshot.Mapping
	lastTag := uint32(0)
	for at := uint64(0); ; {
		start, size, depth, kr := mach.VMRegionRecurse(l.task, at, maxDepth, &info)
		if kr != mach.KERN_SUCCESS {
			if kr != mach.KERN_INVALID_ADDRESS || at == 0 {
				s.Soft(snapshot.OpParseMaps, int32(kr), 0, at)
			}
			return
		}
		end := start + size
		if size == 0 || end < start || start < at {
			return
		}
		at = end
		perm := permissions(info.Protection, info.ShareMode)
		if last != nil && last.End == start && last.Perm == perm && lastTag == mach.VM_MEMORY_STACK &&
			info.UserTag == mach.VM_MEMORY_STACK {
			last.End = end
			continue
		}
		m := s.Mappings.Add()
		if m == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, start)
			return
		}
		*m = snapshot.Mapping{Start: start, End: end, Offset: info.Offset(), Perm: perm}
		last, lastTag = m, info.UserTag
		if s.Want.Mode == snapshot.ModeFull {
			l.addFull(s, m, &info, depth)
		}
	}
}

func permissions(prot int32, share uint8) (perm uint8) {
	if prot&mach.VM_PROT_READ != 0 {
		perm |= snapshot.PermRead
	}
	if prot&mach.VM_PROT_WRITE != 0 {
		perm |= snapshot.PermWrite
	}
	if prot&mach.VM_PROT_EXECUTE != 0 {
		perm |= snapshot.PermExec
	}
	if share == mach.SM_SHARED || share == mach.SM_TRUESHARED || share == mach.SM_SHARED_ALIASED {
		perm |= snapshot.PermShared
	}
	return perm
}

// addFull records a region for mode full, unless it is memory that was never touched, or a part of the shared cache
// that no program changes: several gigabytes that every Mac of that version has as a file.
func (l *Source) addFull(s *snapshot.Snapshot, m *snapshot.Mapping, info *mach.VMRegionSubmapInfo64, depth uint32) {
	switch {
	case m.Perm&snapshot.PermRead == 0,
		depth > 0 && m.Perm&snapshot.PermWrite == 0,
		info.ExternalPager == 0 && info.PagesResident == 0 && info.PagesSwappedOut == 0 && info.ShareMode == mach.SM_EMPTY:
		return
	}
	r := s.Full.Add()
	if r == nil {
		s.Soft(snapshot.OpTruncated, 0, 0, m.Start)
		return
	}
	*r = snapshot.MemoryRange{Start: m.Start, Size: m.End - m.Start}
}
