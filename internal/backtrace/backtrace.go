package backtrace

import (
	"encoding/hex"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"minidump/stackwalk"
	"minidump/stream"
	"minidump/symbol"
)

// Defaults of Options.
const (
	DefaultLimit     = time.Second
	DefaultMaxFrames = 256
	DefaultMemory    = 256 << 20 // bytes of the symbols of all modules together
)

// Options says which frames are wanted and where their names come from. The zero value means the frames of the thread that the dump
// is about, named from the files at the paths where the process had them.
type Options struct {
	Sources   symbol.Sources
	All       bool          // the frames of all threads
	Limit     time.Duration // for the whole search; 0: DefaultLimit. The frames found by then are the result
	MaxFrames int           // of a thread; 0: DefaultMaxFrames
	PID       int           // of the process if it may still exist, so that root can open the files that it has mapped; 0: unknown
	Mounts    []byte        // mountinfo of the process, if it was saved before the process ended
	Memory    int64         // bytes of the symbols of all modules together; 0: DefaultMemory
}

// Result is what was found.
type Result struct {
	stream.FrameList
	Blamed  uint32 // the thread that the dump is about
	Modules []stream.ModuleInfo
}

// Of returns the frames of a thread, or nil if they were not searched for.
func (r *Result) Of(thread uint32) *stream.ThreadFrames {
	for i := range r.Threads {
		if r.Threads[i].ThreadID == thread {
			return &r.Threads[i]
		}
	}
	return nil
}

// SignatureKey is the key of the process annotation that holds the crash signature.
const SignatureKey = "signature"

// Add finds the frames of the dump at path, adds them to it as a FrameListStream, adds the signature of the crash as an annotation,
// and returns the frames. A dump that already has that stream is left unchanged.
func Add(path string, o Options) (*Result, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	f, err := stream.Open(file, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r, err := Find(f, o)
	if err != nil {
		return nil, err
	}
	if _, err := f.Find(stream.FrameListStream); err == nil {
		return r, nil
	}
	var notes []stream.Annotation
	if r.Signature != "" {
		notes = []stream.Annotation{{Key: SignatureKey, Value: r.Signature}}
	}
	return r, stream.Append(file, info.Size(), stream.FrameListStream, stream.AppendFrameList(nil, f.Order, &r.FrameList), notes...)
}

// Find returns the frames of a dump. Frames that the dump has as a FrameListStream are not searched for again. The file must stay
// open until the search has ended, even if that is after the limit.
func Find(f *stream.File, o Options) (*Result, error) {
	w, err := newWalk(f, &o)
	if err != nil {
		return nil, err
	}
	limit := o.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	done := make(chan struct{})
	go func() {
		w.all()
		close(done)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		w.late.Store(true)
	}
	return w.result(), nil
}

// testMode lets a panic of the search end the program, so that a test sees it.
var testMode = false

// walk is the search for the frames of one dump.
type walk struct {
	f       *stream.File
	o       *Options
	p       *stackwalk.Process
	modules []stream.ModuleInfo // of the dump
	numbers []int               // for each module of the process, its index in modules
	tables  []*symbol.Table
	tried   []bool
	avoid   func(path string) bool // reports whether a file must not be opened
	threads []stream.Thread
	blamed  uint32
	crashed bool
	late    atomic.Bool // the time limit has passed

	mu    sync.Mutex
	found []stream.ThreadFrames
	had   stream.FrameList // the frames that the dump already has
	dying string           // the signature of a Go program without an exception
}

func newWalk(f *stream.File, o *Options) (*walk, error) {
	p, err := stackwalk.FromFile(f)
	if p == nil {
		return nil, err
	}
	w := &walk{f: f, o: o, p: p, avoid: served(f, o.PID, o.Mounts)}
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	o.Sources.Budget = symbol.NewBudget(o.Memory)
	if o.Sources.Files == nil {
		o.Sources.Files = mapped(f, o.PID)
	}
	if o.Sources.Files == nil && o.Sources.Sysroot == "" {
		o.Sources.Sysroot = rootOf(o.PID)
	}
	w.modules, _ = f.Modules()
	if w.threads, err = f.Threads(); len(w.threads) == 0 {
		return nil, err
	}
	byBase := map[uint64]int{}
	for i := range w.modules {
		byBase[w.modules[i].BaseOfImage] = i
	}
	w.numbers, w.tables, w.tried = make([]int, len(p.Modules)), make([]*symbol.Table, len(p.Modules)), make([]bool, len(p.Modules))
	for i := range p.Modules {
		n, ok := byBase[p.Modules[i].Base]
		if !ok {
			n = -1
		}
		w.numbers[i] = n
	}
	p.Load = func(i int) { w.table(i) }
	if p.MaxFrames = o.MaxFrames; p.MaxFrames == 0 {
		p.MaxFrames = DefaultMaxFrames
	}
	if had, err := f.Frames(); err == nil {
		w.had = *had
	}
	w.blamed = w.threads[0].ThreadID
	if e, err := f.Exception(); err == nil {
		w.blamed, w.crashed = e.ThreadID, e.Code != stream.MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED
	}
	return w, nil
}

// all finds the frames of the blamed thread and then those of the others.
//
// A bug here must not end the program, which may be the first process of a container or serve others: what was found by then is the result.
func (w *walk) all() {
	defer w.close()
	if !testMode {
		defer func() { _ = recover() }()
	}
	if !w.crashed {
		dying := goSignature(w.f, w.blamed)
		w.mu.Lock()
		w.dying = dying
		w.mu.Unlock()
	}
	for pass := range 2 {
		for i := range w.threads {
			t := &w.threads[i]
			if (t.ThreadID == w.blamed) != (pass == 0) || pass == 1 && !w.o.All || w.late.Load() {
				continue
			}
			found := w.known(t.ThreadID)
			if found == nil {
				frames, cut := w.thread(t)
				found = &stream.ThreadFrames{ThreadID: t.ThreadID, Frames: frames, Cut: cut}
			}
			w.mu.Lock()
			w.found = append(w.found, *found)
			w.mu.Unlock()
		}
	}
}

// known returns the frames of a thread that the dump already has, or nil if there are none.
func (w *walk) known(thread uint32) *stream.ThreadFrames {
	for i := range w.had.Threads {
		if t := &w.had.Threads[i]; t.ThreadID == thread && len(t.Frames) > 0 {
			return t
		}
	}
	return nil
}

// result returns what was found so far.
func (w *walk) result() *Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &Result{FrameList: stream.FrameList{Signature: w.had.Signature, Threads: w.found[:len(w.found):len(w.found)]},
		Blamed: w.blamed, Modules: w.modules}
	if l.Signature == "" && w.crashed && len(l.Threads) > 0 && l.Threads[0].ThreadID == w.blamed {
		l.Signature = Signature(l.Threads[0].Frames, func(i uint32) (string, uint64, bool) {
			if uint64(i) >= uint64(len(w.modules)) {
				return "", 0, false
			}
			return w.modules[i].Name, w.modules[i].BaseOfImage, true
		})
	}
	if l.Signature == "" && !w.crashed {
		l.Signature = w.dying
	}
	return l
}

// thread returns the named frames of a thread.
func (w *walk) thread(t *stream.Thread) (list []stream.NamedFrame, cut bool) {
	cpu, err := stackwalk.ThreadCPU(w.f, t)
	if err != nil {
		return nil, false
	}
	frames := w.p.Walk(cpu)
	for i := range frames {
		if w.late.Load() {
			return list, true
		}
		list = w.named(list, &frames[i])
	}
	return list, len(frames) == w.p.MaxFrames
}

// named appends a frame, preceded by the calls that were inlined into its function.
func (w *walk) named(list []stream.NamedFrame, f *stackwalk.Frame) []stream.NamedFrame {
	r := stream.NamedFrame{FrameRecord: stream.FrameRecord{PC: f.PC, SP: f.SP, Module: stream.GoNone, Trust: uint16(f.Trust)}}
	if f.Signal {
		r.Flags |= stream.FrameInterrupted
	}
	if f.Module < 0 {
		return append(list, r)
	}
	if n := w.numbers[f.Module]; n >= 0 {
		r.Module = uint32(n)
	}
	t := w.table(f.Module)
	if t == nil {
		return append(list, r)
	}
	at := f.Lookup()
	names := t.Lookup(at - w.p.Modules[f.Module].Base)
	for _, n := range names {
		x := r
		x.Function, x.File = n.Function, n.File
		x.Line, x.Offset = uint32(max(0, n.Line)), uint32(min(n.Offset+(f.PC-at), 1<<32-1))
		if n.Inlined {
			x.Flags |= stream.FrameInlined
		}
		list = append(list, x)
	}
	if len(names) == 0 {
		list = append(list, r)
	}
	return list
}

// table returns the symbols of module i of the process, or nil if there are none, and adds the module's files to the stack walk.
func (w *walk) table(i int) *symbol.Table {
	if w.tried[i] {
		return w.tables[i]
	}
	w.tried[i] = true
	n := w.numbers[i]
	if n < 0 || w.avoid(w.modules[n].Name) {
		return nil
	}
	m := &w.modules[n]
	id, _ := hex.DecodeString(m.BuildID)
	t, err := w.o.Sources.Load(symbol.Module{Path: m.Name, BuildID: id, DebugID: m.DebugID, Size: uint64(m.SizeOfImage)})
	if err != nil {
		return nil
	}
	w.tables[i] = t
	w.p.Modules[i].Image, w.p.Modules[i].Debug = t.ELF(), t.DebugELF()
	if image := t.Image(); image != nil {
		if mapped, err := stackwalk.NewPE(image); err == nil {
			w.p.Modules[i].Mapped = mapped
		} else if mapped, err := stackwalk.NewMachO(image); err == nil {
			w.p.Modules[i].Mapped = mapped
		}
	}
	return t
}

func (w *walk) close() {
	for _, t := range w.tables {
		if t != nil {
			t.Close()
		}
	}
}
