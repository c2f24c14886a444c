package windows

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"minidump/context"
	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// A frozenThread is a thread of this process, and what freeze captures of it. The assembly of freeze depends on this layout.
type frozenThread struct {
	handle uintptr
	ctx    uintptr // a CONTEXT, with its flags
	low    uintptr // bounds of the stack that Windows allocated for the thread
	high   uintptr
	buf    uintptr // where the stack is copied to
	size   uintptr // of buf in bytes
	start  uintptr // out: address of the first copied byte of the stack
	got    uintptr // out: number of copied bytes
	state  uintptr // out: see below
}

// Values of frozenThread.state.
const (
	frozenNot     = iota // it could not be suspended
	frozenStopped        // it was suspended, but its registers could not be read
	frozenRead
)

// freezeCall is the argument of freeze.
type freezeCall struct {
	n                                 uintptr
	threads                           uintptr
	suspendThread, getThreadContext   uintptr
	resumeThread, ntReadVirtualMemory uintptr
	spOffset                          uintptr // of the stack pointer in a CONTEXT
}

// frozen is what was captured of the calling process's threads while they were suspended.
type frozen struct {
	call    freezeCall
	threads []frozenThread
	data    []arena.Span // by thread: the copy of the stack
	records []arena.Span // by thread: the CONTEXT
	snap    *snapshot.Snapshot
	g       uintptr // of the calling goroutine
}

func (f *frozen) init() {
	f.threads = make([]frozenThread, maxHeld)
	f.data, f.records = make([]arena.Span, maxHeld), make([]arena.Span, maxHeld)
}

// saveContext writes the registers of its caller to ctx, a CONTEXT aligned to 16 bytes, and copies the running goroutine's
// stack, from just below the stack pointer on, to buf of size bytes. It returns the address of the first copied byte, the
// number of copied bytes, and the address of the g.
//
//go:noescape
func saveContext(ctx, buf *byte, size uintptr) (start, got, g uintptr)

// freeze suspends the threads of a freezeCall, reads their registers and stacks, and resumes them. It is called like a
// Windows function, on the system stack: no Go code runs while threads are suspended.
func freeze()

var _ = freeze // used by freezeAddr

// freezeAddr returns the address of freeze.
func freezeAddr() uintptr

// captureOwn is Capture for the calling process. The goroutine must stay on its thread until the others have been resumed:
// on another thread it would suspend itself.
func (l *Source) captureOwn(s *snapshot.Snapshot) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.frozen.snap, l.mem.frozen = s, nil
	l.frozen.call.n = 0
	l.openThreads(s)
	if len(l.held) == 0 {
		return
	}
	self := uint32(0)
	if r, _, _ := syscall.SyscallN(getCurrentThreadId); r != 0 {
		self = uint32(r)
	}
	l.caller = int32(self)
	l.readRegions(s)
	l.readThreads(s)
	l.freezeThreads(s, self)
	l.captureModules(s)
	l.captureUnloaded(s)
	l.mem.frozen = &l.frozen
	s.CaptureMemory(&l.mem)
	l.placeCrash(s)
	l.captureTokens(s)
	l.closeThreads()
}

// freezeThreads captures the registers and stacks of all threads at one moment. The calling thread captures itself.
func (l *Source) freezeThreads(s *snapshot.Snapshot, self uint32) {
	f := &l.frozen
	n := 0
	for i := range l.held {
		t := s.Threads.At(i)
		e := &f.threads[n]
		*e = frozenThread{handle: uintptr(l.held[i].handle)}
		size := int(s.Want.StackLimitOf(t.TID == s.Proc.Blamed)) + 1024
		var ctx, buf []byte
		if f.records[n], ctx = s.Bytes.Alloc(l.p.ContextSize()); ctx != nil {
			f.data[n], buf = s.Bytes.Alloc(min(size, 64<<20))
		}
		if buf == nil {
			s.Soft(snapshot.OpTruncated, 0, t.TID, 0)
			break
		}
		clear(ctx)
		l.p.setContextFlags(ctx)
		e.ctx, e.buf, e.size = uintptr(unsafe.Pointer(&ctx[0])), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf))
		if l.stackOf(t.Teb); l.thread.StackBase != 0 && l.p.Region(l.thread.StackBase-1, &l.region) == 0 {
			e.low, e.high = uintptr(l.region.AllocationBase), uintptr(l.thread.StackBase)
		}
		if uint32(t.TID) == self {
			l.freezeCaller(e, ctx, buf)
			e.handle = 0 // freeze skips this thread
		}
		n++
	}
	f.call = freezeCall{
		n: uintptr(n), threads: uintptr(unsafe.Pointer(&f.threads[0])), suspendThread: suspendThread, getThreadContext: getThreadContext,
		resumeThread: resumeThread, ntReadVirtualMemory: ntReadVirtualMemory, spOffset: uintptr(spOffset(l.arch)),
	}
	start := time.Now()
	syscall.SyscallN(freezeAddr(), uintptr(unsafe.Pointer(&f.call)))
	s.Pause = time.Since(start)
	for i := range n {
		e, t := &f.threads[i], s.Threads.At(i)
		if e.state != frozenRead {
			s.Soft(snapshot.OpRegisters, 0, t.TID, 0)
			t.State = snapshot.ThreadNoRegisters
			continue
		}
		l.setContext(t, f.records[i], s.Bytes.Get(f.records[i]))
		f.data[i].Len = uint32(e.got)
	}
	l.mem.frozen = f
	for i := range n {
		t := s.Threads.At(i)
		if l.held[i].id == self {
			if b := l.page[:2*nativeWord]; l.p.Read(uint64(f.g), b) == len(b) {
				lay := layoutOf(l.p.Wide)
				t.Go[0] = snapshot.Range{Lo: lay.pointer(b, 0), Hi: lay.pointer(b, lay.word)}
			}
			continue
		}
		l.thread = Thread{TEB: t.Teb, StackLimit: uint64(f.threads[i].low), StackBase: uint64(f.threads[i].high)}
		l.findGoStack(s, t, &l.thread)
	}
}

// freezeCaller captures the calling thread, which is not suspended.
func (l *Source) freezeCaller(e *frozenThread, ctx, buf []byte) {
	e.start, e.got, l.frozen.g = saveContext(&ctx[0], &buf[0], uintptr(len(buf)))
	e.state = frozenRead
}

// stackOf sets l.thread to the stack bounds of the thread with the given TEB.
func (l *Source) stackOf(teb uint64) {
	l.thread = Thread{TEB: teb}
	l.p.readTEB(&l.thread, l.page)
}

// at returns the rest of the copied stack that contains addr, from addr on. If there is none, b is nil and next is the start
// of the next copied stack.
func (f *frozen) at(addr uint64) (b []byte, next uint64) {
	next = ^uint64(0)
	for i := range int(f.call.n) {
		e := &f.threads[i]
		start := uint64(e.start)
		switch {
		case e.state != frozenRead || e.got == 0:
		case start <= addr && addr-start < uint64(e.got):
			return f.snap.Bytes.Get(f.data[i])[addr-start:], next
		case start > addr:
			next = min(next, start)
		}
	}
	return nil, next
}

// spOffset returns the offset of the stack pointer in a CONTEXT.
func spOffset(arch context.Arch) int {
	switch arch {
	case context.AMD64:
		return 152
	case context.X86:
		return 196
	}
	return 256
}
