package minidump

import (
	"io"
	"sync/atomic"
	"time"

	"minidump/context"
	"minidump/internal/newfile"
	"minidump/stream"
)

// Mode says how much memory goes into a dump.
type Mode uint8

const (
	// ModeStack takes the threads' stacks and the code around the blamed thread's instruction pointer.
	ModeStack Mode = iota
	// ModeIndirect takes also the memory that the blamed thread's registers and stack point to.
	ModeIndirect
	// ModeFull takes every readable mapping. The target stays stopped until the dump is written.
	ModeFull
)

// Omit names what is to be left out of a dump for privacy's sake; values can be or-ed.
type Omit uint8

const (
	OmitEnviron Omit = 1 << iota
	OmitCmdline
	OmitHandles
)

// Default values of Options.
const (
	DefaultStackLimit      = 32 << 10  // bytes of stack of a thread
	DefaultCrashStackLimit = 256 << 10 // bytes of stack of the blamed thread
	DefaultStopTimeout     = 100 * time.Millisecond
)

// AppMemory is a range of the target's memory, [Address, Address+Size), to be put into the dump.
type AppMemory struct {
	Address, Size uint64
}

// Annotation is a key and a value for the CrashpadInfo stream, which crash servers index.
type Annotation struct {
	Key, Value string
}

// UserStream is a further stream of the dump: a type that no standard stream has, and its bytes.
type UserStream struct {
	Type stream.Type
	Data []byte
}

// UserModule is a module that the memory map does not show, or shows wrongly: a library loaded by a loader of the
// application's own. It hides the mappings that lie wholly inside it.
type UserModule struct {
	Base, Size uint64
	Name       string
	BuildID    []byte // empty: no CodeView record
}

// Options say what goes into a dump. The zero value is a good default.
type Options struct {
	Thread int            // the thread that the dump is about; 0: that of Crash, else the main thread
	Crash  *context.Crash // why Thread died, and its registers at that moment; nil: the dump was only asked for

	Mode       Mode
	Limit      uint64 // most bytes of the dump; 0: no limit
	StackLimit uint64 // most bytes of one thread's stack; 0: DefaultStackLimit
	// The same for the blamed thread; 0: DefaultCrashStackLimit, or StackLimit if that is more, but no more than half
	// of Limit (a quarter in ModeFull, which stores it twice).
	CrashStackLimit uint64

	SanitizeStacks bool // replace stack words that are no pointers into code or the stack (see docs/format.md)
	SanitizeAll    bool // replace also such words of every other memory range of the dump
	Omit           Omit
	RegisterSets   bool // also store the register sets that the CPU context can't hold (AVX, SVE, VSX…)

	// With SkipUnreferencedStacks, stacks of threads that do not execute in, and hold no pointer into, the module at
	// PrincipalAddress are left out.
	SkipUnreferencedStacks bool
	PrincipalAddress       uint64

	AppMemory   []AppMemory
	Annotations []Annotation
	UserStreams []UserStream
	UserModules []UserModule

	StopTimeout time.Duration // how long to wait for all threads to stop; 0: DefaultStopTimeout
}

func (o *Options) stackLimit(blamed bool) uint64 {
	limit := o.StackLimit
	if limit == 0 {
		limit = DefaultStackLimit
	}
	if !blamed {
		return limit
	}
	if o.CrashStackLimit != 0 {
		return o.CrashStackLimit
	}
	limit = max(limit, DefaultCrashStackLimit)
	if o.Limit != 0 { // the blamed thread's stack is never cut for Limit's sake
		share := o.Limit / 2
		if o.Mode == ModeFull { // where it stands twice
			share /= 2
		}
		limit = min(limit, share)
	}
	return limit
}

// Result is what came of a dump.
type Result struct {
	Size    uint64        // bytes written
	Pause   time.Duration // how long the target was stopped; 0 for a source that was not running
	Total   time.Duration // from the call of Dump to its return
	Threads int
	Modules int
	Ranges  int    // memory ranges
	Memory  uint64 // bytes of the target's memory in the dump
	Soft    int    // soft errors: pieces that are missing

	w *Writer
}

// SoftErrors tells what is missing from the dump. It allocates, and is to be called before the Writer's next Dump; after its
// Close it tells nothing.
func (r *Result) SoftErrors() []SoftError {
	if r.w == nil {
		return nil
	}
	return r.w.snap.softErrors()
}

// A source fills a snapshot. Between capture and release the process is stopped (or is a file, or dead).
type source interface {
	// capture fills the snapshot with all that must be seen at one moment. It fails only if nothing can be had. Except
	// in ModeFull it lets the process go on by itself.
	capture(w *Writer) error
	// release lets the process go on. It may be called again.
	release(w *Writer)
	// complete adds what can be read while the process runs again.
	complete(w *Writer)
	// identify finds the build id of a module whose memory does not hold one, and the name of one that has none.
	identify(w *Writer, m *module)
	// memory reads the process's memory, before and after release.
	memory() targetMemory
	close() error
}

// Writer dumps one process, again and again. NewWriter, or OpenCore for a core file, takes all the memory it will
// need; a dump allocates nothing from the Go heap. It is not for concurrent use.
type Writer struct {
	opts       Options
	src        source
	snap       snapshot
	batch      requests
	words      [64]uint64
	debug      [8]uint64 // scratch of putContext
	enc        stream.Encoder
	plan       layout
	dirs       [standardStreams]stream.Directory
	chunk      []byte    // what mode full streams through
	execFilter [256]byte // for sanitising what is streamed
	lost       uint64    // bytes that turned out unreadable while they were streamed
	pause      time.Duration
	busy       atomic.Bool
}

// The encoder's buffer; larger runs of memory are written past it.
const encoderBuffer = 32 << 10

// init takes what a Writer of any source needs. buf is for the encoder, and need not be left alone between dumps, nor before
// a dump is written.
func (w *Writer) init(o Options, buf []byte) error {
	w.opts = o
	w.enc.Init(buf)
	if w.plan.dirs = w.dirs[:0]; len(o.UserStreams) > 0 {
		w.plan.dirs = make([]stream.Directory, 0, standardStreams+len(o.UserStreams))
	}
	w.plan.tags = make([]tagRVA, len(o.Annotations))
	if o.Mode == ModeFull {
		w.chunk = make([]byte, 1<<20)
	}
	if err := w.snap.reserve(); err != nil {
		return err
	}
	if err := w.batch.reserve(32 * arenaUnit); err != nil {
		w.snap.release()
		return err
	}
	return nil
}

// Close lets go of the process and frees the Writer's memory.
func (w *Writer) Close() error {
	if w.src == nil {
		return ErrClosed
	}
	err := w.src.close()
	w.src = nil
	w.snap.release()
	w.batch.release()
	return err
}

// SetCrash changes what the next dump says of the crash, as Options.Crash does. nil: no crash. It may allocate.
func (w *Writer) SetCrash(c *context.Crash) { w.opts.Crash = w.refined(c) }

// SetAnnotations changes what the next dump has of them, as Options.Annotations does. It may allocate.
func (w *Writer) SetAnnotations(a []Annotation) {
	w.opts.Annotations = a
	if len(a) > len(w.plan.tags) {
		w.plan.tags = make([]tagRVA, len(a))
	}
}

// ReadMemory copies memory of the process at addr into p, and returns how many bytes it could read before the first that it
// could not. It stops nothing. It may be called until Close, but not during a Dump.
func (w *Writer) ReadMemory(addr uint64, p []byte) int {
	if w.src == nil {
		return 0
	}
	return w.src.memory().read(addr, p)
}

// refined completes a crash context whose address or kind of access the kernel did not report with what the faulting
// instruction tells, if package context/insn is there to decode it. The caller's crash stays as it is.
func (w *Writer) refined(c *context.Crash) *context.Crash {
	if c == nil || !c.HasContext || w.src == nil {
		return c
	}
	out := *c
	code := make([]byte, 16) // the longest instruction of any architecture
	out.Refine(code[:w.src.memory().read(c.PC, code)])
	return &out
}

// Dump writes a dump of the process to dst, which need not seek, and lets the process go on.
//
// What could not be read is left out and told by Result. An error means that there is no usable dump: the process is
// gone or forbidden, dst failed, or the limit can't be kept. Some bytes may have reached dst by then.
func (w *Writer) Dump(dst io.Writer) (Result, error) {
	if w.src == nil {
		return Result{}, ErrClosed
	}
	if !w.busy.CompareAndSwap(false, true) {
		return Result{}, ErrBusy
	}
	defer w.busy.Store(false)
	start := time.Now()
	s := &w.snap
	s.begin()
	s.proc.time = uint32(start.Unix())
	w.pause, w.lost = 0, 0

	err := w.src.capture(w)
	if err == nil {
		w.src.complete(w)
		w.identifyModules()
		w.finishMemory()
		err = w.write(dst)
	}
	w.src.release(w)
	if err != nil {
		return Result{}, err
	}
	r := Result{
		Size: w.plan.size, Pause: w.pause, Total: time.Since(start), Threads: s.threads.n, Modules: s.modules.n,
		Ranges: s.memory.n, Soft: s.errors.n, w: w,
	}
	for _, m := range s.memory.all() {
		r.Memory += m.size
	}
	if w.opts.Mode == ModeFull { // the stacks are among the rest
		r.Ranges, r.Memory = s.full.n, 0
		for _, m := range s.full.all() {
			r.Memory += m.size
		}
	}
	return r, nil
}

// finishMemory makes of the captured memory what the options allow to leave the process.
func (w *Writer) finishMemory() {
	s := &w.snap
	if w.opts.SkipUnreferencedStacks {
		s.dropUnreferenced(w.opts.PrincipalAddress)
	}
	if w.opts.SanitizeStacks || w.opts.SanitizeAll {
		w.execFilter = s.execFilter()
		s.sanitize(&w.execFilter, w.opts.SanitizeAll)
	}
}

// DumpFile writes a dump to path: whole, or not at all. It writes to a new file, readable by its owner only, makes sure that
// the bytes are on the disk, and gives it the name last. Until then the file has no name, or where the system has no
// such files (Linux has, on most file systems) a temporary one in the same folder.
func (w *Writer) DumpFile(path string) (Result, error) {
	f, err := newfile.Create(path)
	if err != nil {
		return Result{}, &attemptError{what: "create " + path, err: err}
	}
	defer f.Abort()
	res, err := w.Dump(f)
	if err != nil {
		return Result{}, err
	}
	if err = f.Sync(); err == nil {
		err = f.Commit()
	}
	if err != nil {
		return Result{}, &attemptError{what: "write " + path, err: err}
	}
	return res, nil
}

// sanitizeChunk defaces a piece of streamed memory.
func (w *Writer) sanitizeChunk(b []byte, addr uint64) {
	m := w.snap.find(addr)
	if m != nil && m.perm&permExec != 0 && m.perm&permWrite == 0 {
		return // code
	}
	w.snap.defaceRange(b, addr, &w.execFilter)
}
