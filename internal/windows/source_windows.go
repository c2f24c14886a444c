package windows

import (
	"bytes"
	"encoding/binary"
	"syscall"
	"time"
	"unsafe"

	"minidump/context"
	"minidump/internal/arena"
	"minidump/internal/errtext"
	"minidump/internal/snapshot"
	"minidump/pe"
	"minidump/stream"
)

// Source is a source of snapshots of another process or of the calling one. Init allocates all memory that it needs beyond the
// snapshot. A Source must be allocated on the heap.
//
// Another process is suspended as a whole until its registers and stacks have been read, or in mode full until the end of the
// dump. The threads of the calling process are suspended, read and resumed in one assembly function (freeze_windows.go), because
// no Go code may run meanwhile: a suspended thread may hold a lock of the Go runtime.
type Source struct {
	p       Process
	arch    context.Arch
	own     bool
	isGo    bool
	mem     memory
	susp    Suspension
	stopped bool
	since   time.Time

	threads Threads
	pending syscall.Handle // of a thread that is not dumped; the list of threads continues from it
	thread  Thread
	held    []heldThread // open threads of the current dump

	loader   Loader
	module   Module
	image    pe.Reader
	program  imageSource
	version  pe.Version
	codeView pe.CodeView
	misc     Misc
	list     Handles
	types    [maxTypes]arena.Span // names of the object types by number, in the current dump
	ntdll    uint64               // base of ntdll.dll in the target; 0: not found
	main     uint64               // base of the program in the target; 0: not found
	frozen   frozen
	caller   int32 // the calling thread, in a dump of the calling process

	token     syscall.Handle // written by system calls
	tokenSize uint32

	page   []byte // scratch memory of single reads
	text   []byte
	region Region
	csd    [128]uint16
}

// heldThread is an open thread.
type heldThread struct {
	handle    syscall.Handle
	id        uint32
	suspended bool // individually, not with its process
}

const (
	maxHeld  = 16384 // threads
	maxTypes = 256   // types of objects: Windows 11 has about 70
)

// memory is the target's memory. In a dump of the calling process, stacks are read as they were when the threads were suspended.
type memory struct {
	snapshot.Whole
	p      *Process
	frozen *frozen // nil: there are no copied stacks
}

// Read implements snapshot.Memory.
func (m *memory) Read(addr uint64, p []byte) int {
	if m.frozen == nil {
		return m.p.Read(addr, p)
	}
	done := 0
	for done < len(p) {
		at := addr + uint64(done)
		b, next := m.frozen.at(at)
		if len(b) > 0 {
			done += copy(p[done:], b)
			continue
		}
		part := p[done:]
		if uint64(len(part)) > next-at {
			part = part[:next-at]
		}
		n := m.p.Read(at, part)
		if done += n; n < len(part) {
			break
		}
	}
	return done
}

// ReadV implements snapshot.Memory.
func (m *memory) ReadV(reqs []snapshot.ReadRequest) {
	for i := range reqs {
		reqs[i].Got = m.Read(reqs[i].Addr, reqs[i].Dst)
	}
}

// encoderBuffer is the size of the encoder's buffer in bytes.
const encoderBuffer = 32 << 10

// Init prepares dumps of process pid. It returns a buffer for the encoder. The error wraps snapshot.ErrNoProcess,
// snapshot.ErrPermission or ErrMachine.
func (l *Source) Init(pid int) (buf []byte, err error) {
	if l.own = pid == syscall.Getpid(); l.own {
		err = l.p.Adopt(syscall.Handle(currentProcess), pid)
	} else {
		err = l.p.Open(pid)
	}
	if err != nil {
		return nil, errtext.Wrap(KindOf(err), "minidump: open process ", pid)
	}
	switch l.p.Machine {
	case IMAGE_FILE_MACHINE_AMD64:
		l.arch = context.AMD64
	case IMAGE_FILE_MACHINE_I386:
		l.arch = context.X86
	case IMAGE_FILE_MACHINE_ARM64:
		l.arch = context.ARM64
	}
	l.mem.p = &l.p
	l.program.mem = &l.p
	l.page, l.text = make([]byte, pageSize), make([]byte, 64<<10)
	l.image.Init(make([]byte, 64<<10))
	l.held = make([]heldThread, 0, maxHeld)
	if l.own {
		l.frozen.init()
	}
	l.misc.Begin(&l.p, "minidump, "+l.arch.String())
	return make([]byte, encoderBuffer), nil
}

// KindOf adds the matching error of package snapshot to an error of opening a process.
func KindOf(err error) error {
	switch err {
	case syscall.ERROR_ACCESS_DENIED:
		return snapshot.AlsoError(snapshot.ErrPermission, err)
	case errorInvalidParameter, syscall.ERROR_FILE_NOT_FOUND:
		return snapshot.AlsoError(snapshot.ErrNoProcess, err)
	case ErrMachine:
		return snapshot.AlsoError(snapshot.ErrUnsupported, err)
	}
	return err
}

// FirstLook records in s the facts that are the same in all dumps.
func (l *Source) FirstLook(s *snapshot.Snapshot) error {
	if code, ended := l.p.ExitCode(); ended {
		return errtext.Wrap(snapshot.ErrNoProcess, "minidump: process ", l.p.PID, " has ended with code ", code)
	}
	n, errno := l.p.SystemInfo(&s.System.Info, &l.csd)
	if errno != 0 {
		return errtext.Wrap(errno, "minidump: read the version of Windows")
	}
	csd := unsafe.Slice((*byte)(unsafe.Pointer(&l.csd)), 2*n)
	s.System.CSD = putUTF16(s, csd)
	s.Bytes.Keep()
	l.target(s)
	l.findProgram()
	return nil
}

func (l *Source) target(s *snapshot.Snapshot) {
	s.Target = snapshot.Target{Arch: l.arch, Order: binary.LittleEndian, PageSize: pageSize, Windows: true}
	s.Proc.PID = int32(l.p.PID)
}

// putUTF16 adds a UTF-16 text to s as UTF-8.
func putUTF16(s *snapshot.Snapshot, utf16 []byte) arena.Span {
	if len(utf16) == 0 {
		return arena.Span{}
	}
	sp, b := s.Bytes.Alloc(len(utf16)/2*3 + 1)
	if b == nil {
		s.Soft(snapshot.OpTruncated, 0, 0, 0)
		return arena.Span{}
	}
	return s.Bytes.Trim(sp, len(pe.Text(utf16).AppendUTF8(b[:0])))
}

// findProgram finds the program and ntdll.dll, and determines whether Go's linker made the program.
func (l *Source) findProgram() {
	l.main, l.ntdll, l.isGo = 0, 0, false
	if !l.loader.Open(&l.p, l.p.PEB, l.p.Wide) {
		return
	}
	for {
		ok, _ := l.loader.Next(&l.module)
		if !ok {
			break
		}
		if l.main == 0 {
			l.main = l.module.Base
		}
		if pe.Text(l.readName(&l.module)).Is("ntdll.dll") {
			l.ntdll = l.module.Base
			break
		}
	}
	if l.main != 0 {
		l.isGo = l.builtByGo(l.main)
	}
}

// readName reads the path of a module and returns its last part.
func (l *Source) readName(m *Module) []byte {
	b := l.readPath(m)
	for i := len(b) - 2; i >= 0; i -= 2 {
		if b[i+1] == 0 && (b[i] == '\\' || b[i] == '/') {
			return b[i+2:]
		}
	}
	return b
}

// readPath reads the path of a module into l.text.
func (l *Source) readPath(m *Module) []byte {
	b := l.text[:m.NameSize]
	return b[:l.p.Read(m.NameAddr, b)&^1]
}

// goBuildID is what Go's linker puts at the start of the code (cmd/link, go.buildid); on 386 after some small functions.
var goBuildID = []byte("\xff Go build ID: \"")

// builtByGo reports whether the image at base has a Go build id in the first page of its code.
func (l *Source) builtByGo(base uint64) bool {
	l.program.base = base
	if !l.image.Open(&l.program, pe.Loaded) {
		return false
	}
	var text pe.Section
	if !l.image.FindSection(".text", &text) {
		return false
	}
	b := l.page[:min(len(l.page), int(text.VirtualSize))]
	return bytes.Contains(b[:l.p.Read(base+uint64(text.VirtualAddress), b)], goBuildID)
}

// IsGo reports whether Go's linker made the program.
func (l *Source) IsGo(s *snapshot.Snapshot) bool {
	l.findProgram()
	return l.isGo
}

// Process returns the id of the process and the file name of its program. It allocates.
func (l *Source) Process() (int, string) {
	var b [1024]uint16
	path, errno := l.p.ImageName(b[:])
	if errno != 0 {
		return int(l.p.PID), ""
	}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '\\' {
			path = path[i+1:]
			break
		}
	}
	return int(l.p.PID), syscall.UTF16ToString(path)
}

// Memory reads the target's memory.
func (l *Source) Memory() snapshot.Memory { return &l.mem }

// Capture fills s with what must be captured at one moment. Except in mode full it then resumes the process.
func (l *Source) Capture(s *snapshot.Snapshot) error {
	l.target(s)
	l.findProgram()
	s.Proc.IsGo = l.isGo
	if l.own {
		l.captureOwn(s)
		return nil
	}
	if code, ended := l.p.ExitCode(); ended {
		return errtext.Wrap(snapshot.ErrNoProcess, "minidump: process ", l.p.PID, " has ended with code ", code)
	}
	l.suspend(s)
	l.openThreads(s)
	if len(l.held) == 0 {
		l.resume(s)
		return errtext.Wrap(snapshot.ErrNoProcess, "minidump: process ", l.p.PID, " has no thread that can be opened")
	}
	l.readRegions(s)
	l.readThreads(s)
	l.captureModules(s)
	l.captureUnloaded(s)
	l.captureTokens(s)
	s.CaptureMemory(&l.mem)
	l.placeCrash(s)
	if s.Want.Mode != snapshot.ModeFull {
		l.resume(s)
	}
	return nil
}

// suspend suspends the target as a whole.
func (l *Source) suspend(s *snapshot.Snapshot) {
	l.since = time.Now()
	l.stopped = true
	if errno := l.susp.Suspend(&l.p); errno != 0 {
		s.Soft(snapshot.OpStop, int32(errno), 0, 0)
	}
}

// openThreads opens all threads. If the process could not be suspended as a whole, it suspends each thread, and repeats the
// search for threads that were started meanwhile.
func (l *Source) openThreads(s *snapshot.Snapshot) {
	l.closeThreads()
	for range 8 {
		fresh := false
		l.threads.Begin(&l.p)
		for {
			h, errno := l.threads.Next()
			if errno != 0 {
				s.Soft(snapshot.OpListThreads, int32(errno), 0, 0)
			}
			if h == 0 {
				break
			}
			if l.thread.Basic(h) != 0 || l.holds(l.thread.ID) || l.thread.Exited {
				l.later(h)
				continue
			}
			if len(l.held) == cap(l.held) {
				l.later(h)
				s.Soft(snapshot.OpTruncated, 0, int32(l.thread.ID), 0)
				continue
			}
			t := heldThread{handle: h, id: l.thread.ID}
			if !l.own && !l.susp.Counted() {
				if _, errno := SuspendThread(h); errno != 0 {
					s.Soft(snapshot.OpStop, int32(errno), int32(t.id), 0)
				} else {
					t.suspended = true
				}
			}
			l.held = append(l.held, t)
			fresh = true
		}
		l.later(0)
		l.threads.End()
		if l.own || l.susp.Counted() || !fresh {
			return
		}
	}
}

// later closes h at the next call of later: until then NtGetNextThread may need the handle to continue from it.
func (l *Source) later(h syscall.Handle) {
	if l.pending != 0 {
		syscall.CloseHandle(l.pending)
	}
	l.pending = h
}

func (l *Source) holds(id uint32) bool {
	for i := range l.held {
		if l.held[i].id == id {
			return true
		}
	}
	return false
}

// resume resumes the target. It may be called more than once.
func (l *Source) resume(s *snapshot.Snapshot) {
	for i := range l.held {
		if l.held[i].suspended {
			l.held[i].suspended = false
			ResumeThread(l.held[i].handle)
		}
	}
	l.susp.Resume()
	l.closeThreads()
	if !l.stopped {
		return
	}
	l.stopped = false
	if s != nil {
		s.Pause = time.Since(l.since)
	}
}

func (l *Source) closeThreads() {
	for i := range l.held {
		syscall.CloseHandle(l.held[i].handle)
	}
	l.held = l.held[:0]
}

// Release resumes the process if it is still suspended.
func (l *Source) Release(s *snapshot.Snapshot) error {
	l.resume(s)
	return nil
}

// Close resumes the process if it is still suspended, and closes it.
func (l *Source) Close() error {
	l.resume(nil)
	l.p.Close()
	return nil
}

// readRegions records the memory map: all regions as Windows reports them, and the committed ones also as mappings.
func (l *Source) readRegions(s *snapshot.Snapshot) {
	r := &l.region
	for at := uint64(0); ; {
		if errno := l.p.Region(at, r); errno != 0 {
			if errno != errorInvalidParameter || at == 0 {
				s.Soft(snapshot.OpParseMaps, int32(errno), 0, at)
			}
			return
		}
		if r.End() <= at {
			return
		}
		at = r.End()
		info := s.Regions.Add()
		if info == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, r.Base)
			return
		}
		*info = stream.MemoryInfo{
			BaseAddress: r.Base, AllocationBase: r.AllocationBase, AllocationProtect: r.AllocationProtect, RegionSize: r.Size,
			State: r.State, Protect: r.Protect, Type: r.Type,
		}
		if r.State != MEM_COMMIT {
			continue
		}
		m := s.Mappings.Add()
		if m == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, r.Base)
			return
		}
		*m = snapshot.Mapping{Start: r.Base, End: r.End(), Perm: permissions(r)}
		if r.Type != MEM_PRIVATE {
			m.Kind = snapshot.MapFile
		}
		if s.Want.Mode == snapshot.ModeFull && r.Readable() {
			if f := s.Full.Add(); f != nil {
				*f = snapshot.MemoryRange{Start: r.Base, Size: r.Size}
			} else {
				s.Soft(snapshot.OpTruncated, 0, 0, r.Base)
			}
		}
	}
}

// permissions returns the permissions of a region as bits of package snapshot. A guard page has none, because it must not be
// touched.
func permissions(r *Region) (perm uint8) {
	if !r.Readable() {
		return 0
	}
	perm = snapshot.PermRead
	if r.Writable() {
		perm |= snapshot.PermWrite
	}
	if r.Executable() {
		perm |= snapshot.PermExec
	}
	if r.Type == MEM_MAPPED {
		perm |= snapshot.PermShared
	}
	return perm
}

// readThreads records the threads and decides which one the dump is about: the one that the caller named, otherwise the first,
// or in a dump of the calling process the calling thread.
func (l *Source) readThreads(s *snapshot.Snapshot) {
	class := l.p.PriorityClass()
	info := l.addInfoList(s)
	for i := range l.held {
		h := &l.held[i]
		t := s.Threads.Add()
		if t == nil {
			s.Soft(snapshot.OpTruncated, 0, int32(h.id), 0)
			break
		}
		t.TID = int32(h.id)
		w := &l.thread
		if errno := w.Basic(h.handle); errno != 0 {
			s.Soft(snapshot.OpRegisters, int32(errno), t.TID, 0)
			t.State = snapshot.ThreadGone
			continue
		}
		l.p.Thread(h.handle, w, l.page)
		t.Teb, t.PriorityClass, t.Priority, t.SuspendCount = w.TEB, class, uint32(w.Priority), w.Suspended
		if (h.suspended || l.susp.Counted()) && t.SuspendCount > 0 {
			t.SuspendCount-- // the suspension by the dump itself
		}
		l.putInfo(info, i, w)
		if name, errno := ThreadName(h.handle, l.text[:2048]); errno == 0 {
			t.Name = putUTF16(s, name)
		}
		if !l.own {
			l.readContext(s, t, h.handle)
			l.findGoStack(s, t, w)
		}
	}
	first := int32(l.held[0].id)
	if l.own {
		first = l.caller
	}
	s.Blame(first, nil)
	if s.Crash.Code == noCrash {
		s.Crash.Code, s.Crash.Absent = STATUS_NONCONTINUABLE_EXCEPTION, !l.own
	}
	s.AddBlamed(snapshot.OpListThreads, int32(errorInvalidParameter))
}

// noCrash is the code that Blame sets for a dump without a crash.
const noCrash = stream.MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED

// readContext records the registers of a suspended thread.
func (l *Source) readContext(s *snapshot.Snapshot, t *snapshot.Thread, h syscall.Handle) {
	sp, b := s.Bytes.Alloc(l.p.ContextSize())
	if b == nil {
		s.Soft(snapshot.OpTruncated, 0, t.TID, 0)
		return
	}
	if errno := l.p.Context(h, b); errno != 0 {
		s.Soft(snapshot.OpRegisters, int32(errno), t.TID, 0)
		t.State = snapshot.ThreadNoRegisters
		return
	}
	l.setContext(t, sp, b)
}

func (l *Source) setContext(t *snapshot.Thread, sp arena.Span, b []byte) {
	t.Context, t.HasRegs, t.State = sp, true, snapshot.ThreadStopped
	t.PC, t.SP, t.HasSP = ContextPC(l.arch, b), ContextSP(l.arch, b), true
}

// placeCrash completes the exception of a crash if only its code is known: the address is then the thread's PC.
func (l *Source) placeCrash(s *snapshot.Snapshot) {
	if s.Crash.Address != 0 || s.Want.Crash == nil || s.Want.Crash.HasAddress {
		return
	}
	for i := range s.Threads.All() {
		if t := s.Threads.At(i); t.TID == s.Proc.Blamed && t.HasSP {
			s.Crash.Address = t.PC
		}
	}
}

// addInfoList adds the ThreadInfoList stream for the open threads, and returns the memory for its records.
func (l *Source) addInfoList(s *snapshot.Snapshot) []byte {
	b := addStream(s, stream.ThreadInfoListStream, stream.ThreadInfoListSize+len(l.held)*stream.ThreadInfoSize)
	if b == nil {
		return nil
	}
	clear(b)
	h := stream.ThreadInfoList{SizeOfHeader: stream.ThreadInfoListSize, SizeOfEntry: stream.ThreadInfoSize, NumberOfEntries: uint32(len(l.held))}
	h.Put(b, le)
	return b[stream.ThreadInfoListSize:]
}

// putInfo writes the record of the ith thread.
func (l *Source) putInfo(b []byte, i int, w *Thread) {
	if len(b) == 0 {
		return
	}
	const exited = 4 // MINIDUMP_THREAD_INFO_EXITED_THREAD
	r := stream.ThreadInfo{
		ThreadID: w.ID, ExitStatus: w.ExitStatus, CreateTime: w.Times.Create, KernelTime: w.Times.Kernel, UserTime: w.Times.User,
		StartAddress: w.Start, Affinity: w.Affinity,
	}
	if w.Exited {
		r.DumpFlags, r.ExitTime = exited, w.Times.Exit
	}
	r.Put(b[i*stream.ThreadInfoSize:], le)
}

// addStream adds a stream of size bytes and returns its memory, which the caller fills. It returns nil if there is no room.
func addStream(s *snapshot.Snapshot, t stream.Type, size int) []byte {
	sp, b := s.Bytes.Alloc(size)
	if b == nil {
		s.Soft(snapshot.OpTruncated, 0, 0, 0)
		return nil
	}
	st := s.Streams.Add()
	if st == nil {
		s.Soft(snapshot.OpTruncated, 0, 0, 0)
		return nil
	}
	*st = snapshot.Stream{Type: t, Data: sp}
	return b
}
