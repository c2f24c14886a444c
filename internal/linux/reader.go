//go:build linux

package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/elf"
	"minidump/internal/errtext"
	"minidump/procfs"
	"minidump/ptrace"

	"minidump/internal/arena"
	"minidump/internal/goruntime"
	"minidump/internal/images"
	"minidump/internal/snapshot"
)

// A Reader reads /proc and the memory of a process. It neither stops nor traces it.
type Reader struct {
	pid      int32
	living   int32 // the thread through which dir and mem access the process if its main thread has ended; 0: the main thread
	native   context.Arch
	facts    facts
	program  program
	mem      memory
	goStacks goruntime.Stacks
	goList   goruntime.Lister // nil: not linked
	scratch  workspace
	lookup   lookup
	marked   markedMemory
	forCopy  bool       // marked also has what a copy of the process lacks
	dir      procfs.Dir // last, because it is large and little of it is ever touched
}

// program holds the facts about the program that the process executes.
type program struct {
	auxv        procfs.Auxv
	seen        [auxvSize]byte // the vector of the program that IsGo was found for
	seenLen     int
	isGo        bool
	otherTracer bool // it is traced by another process
	userfault   bool // one of its descriptors is a userfaultfd
}

const auxvSize = 1024

// workspace is what each dump overwrites. It is one piece of mapped memory: in the Go heap each allocation size would touch two pages.
type workspace struct {
	arena arena.Arena
	bytes []byte
	tids  arena.Table[int32] // of threads, or descriptor numbers
	statx unix.Statx_t
	stat  procfs.Stat
	debug [8]uint64 // debug registers
}

// lookup holds the readers of files and of the list of loaded objects.
type lookup struct {
	images elf.Reader
	zip    elf.ZipReader
	file   fdSource
	view   elf.View
	layout elf.Placement
	window images.Window
}

// open opens the process and allocates the memory of the reader. It returns the part of that memory that the
// encoder may use: nothing else uses it while a dump is written.
func (p *Reader) open(pid int) (buf []byte, err error) {
	p.pid, p.native = int32(pid), context.Native
	p.mem.pid, p.mem.dir, p.mem.memFD, p.mem.file.fd = pid, &p.dir, -1, -1
	if err := p.dir.Open(pid); err != nil {
		return nil, errtext.Wrap(systemError(err), "minidump: open the process of pid ", pid)
	}
	if buf, err = p.reserve(); err != nil {
		p.Close()
	}
	return buf, err
}

func (p *Reader) reserve() (buf []byte, err error) {
	const late, iovecs = images.WindowSize + 2*elf.MinScratch, 2*maxIovec + slowRanges
	const runs, entries = int(unsafe.Sizeof(procfs.PageRun{})) * pageRuns, 4096
	const size = goruntime.ScratchSize + max(late, snapshot.BufferSize) + entries + slowSize + runs + int(unsafe.Sizeof(unix.RemoteIovec{}))*iovecs
	if err := p.scratch.arena.Reserve(uintptr(size)); err != nil {
		return nil, err
	}
	if err := p.scratch.tids.Reserve(4 << 20); err != nil {
		return nil, err
	}
	if err := p.goStacks.Reserve(); err != nil {
		return nil, err
	}
	if goruntime.NewLister != nil {
		list := goruntime.NewLister()
		if err := list.Reserve(); err != nil {
			return nil, err
		}
		p.goList = list
	}
	if err := p.marked.reserve(); err != nil {
		return nil, err
	}
	if err := p.mem.backings.text.Reserve(2 * maxMounts); err != nil {
		return nil, err
	}
	work := p.scratch.arena.Piece(size)
	if work == nil {
		work = make([]byte, size)
	}
	cut := func(n int) (b []byte) {
		b, work = work[:n:n], work[n:]
		return b
	}
	p.scratch.bytes = cut(goruntime.ScratchSize)
	buf = cut(max(late, snapshot.BufferSize))
	p.mem.pages.Kinds = procfs.PAGE_IS_FILE | procfs.PAGE_IS_SWAPPED
	p.mem.pages.Scratch = cut(entries)
	p.mem.slow.buf = cut(slowSize)
	p.mem.pages.Runs = unsafe.Slice((*procfs.PageRun)(unsafe.Pointer(&work[0])), pageRuns)
	cut(runs)
	lists := unsafe.Slice((*unix.RemoteIovec)(unsafe.Pointer(&work[0])), iovecs)
	p.mem.long, p.mem.slow.remote = lists[:2*maxIovec], lists[2*maxIovec:]
	p.lookup.images.Init(buf[:elf.MinScratch:elf.MinScratch])
	p.lookup.zip.Init(buf[elf.MinScratch:][:elf.MinScratch:elf.MinScratch])
	p.lookup.window = images.Window{Mem: &p.mem, Buf: buf[2*elf.MinScratch:][:images.WindowSize:images.WindowSize]}
	return buf, nil
}

func (p *Reader) Close() error {
	p.mem.close()
	p.scratch.arena.Release()
	p.scratch.tids.Release()
	p.goStacks.Release()
	if p.goList != nil {
		p.goList.Release()
	}
	p.marked.ranges.Release()
	p.mem.backings.watch.Close()
	p.mem.backings.text.Release()
	return p.dir.Close()
}

// Memory returns the memory as it is now.
func (p *Reader) Memory() snapshot.Memory {
	p.mem.pages.Forget()
	return &p.mem
}

func (p *Reader) Process() (int, string) {
	name := make([]byte, 64)
	n, _ := p.dir.TaskName(p.pid, name)
	return int(p.pid), string(name[:n])
}

// IsGo reports whether the process runs a Go program, before the process is dumped.
func (p *Reader) IsGo(s *snapshot.Snapshot) bool {
	b, errno := p.readSmall("auxv\x00")
	if errno != 0 {
		return false
	}
	p.mem.begin(nil) // the program may not be that of the last dump
	s.Target = p.facts.target
	auxv := procfs.ParseAuxv(b, s.Target.WordSize(), s.Target.Order)
	s.AdoptAuxv(&auxv)
	return goruntime.IsGo(s, &p.mem, p.scratch.bytes)
}

// captureMemory selects the memory for the dump and captures it. Registers and the memory map must be complete.
func (p *Reader) captureMemory(s *snapshot.Snapshot) {
	p.hide(s)
	if p.mem.fromFiles = s.Want.Mode == snapshot.ModeFull; p.mem.fromFiles {
		p.chooseFull(s)
	}
	if p.goList == nil || !p.goList.Capture(s, &p.mem, ptrace.Monotonic) {
		p.goStacks.Find(s, &p.mem)
	}
	s.CaptureMemory(&p.mem)
}

// Complete adds what can be read while the process runs again: thread names, the list of loaded objects and open files.
func (p *Reader) Complete(s *snapshot.Snapshot) {
	p.mem.pages.Forget()
	for i := range s.Threads.All() {
		t := s.Threads.At(i)
		s.CheckContext(t)
		p.readName(s, t)
	}
	if p.goList != nil {
		p.goList.Complete(s, &p.mem)
	}
	images.FollowLinkMaps(s, &p.lookup.window)
	if s.Want.Omit&snapshot.OmitHandles == 0 {
		p.readHandles(s)
	}
	p.recordGaps(s)
}

func (p *Reader) readName(s *snapshot.Snapshot, t *snapshot.Thread) {
	name, b := s.Bytes.Alloc(64) // TASK_COMM_LEN is 16
	if b == nil {
		s.Soft(snapshot.OpTruncated, 0, t.TID, 0)
		return
	}
	n, errno := p.dir.TaskName(t.TID, b)
	t.Name = s.Bytes.Trim(name, n)
	if errno != 0 && errno != unix.ENOENT && errno != unix.ESRCH { // a thread that has ended in the meantime is not an error
		s.Soft(snapshot.OpName, int32(errno), t.TID, 0)
	}
}
