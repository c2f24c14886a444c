package stream

import (
	"encoding/binary"
	"strings"

	"minidump/internal/errtext"
)

// GoroutineList is the contents of a GoroutineListStream.
type GoroutineList struct {
	Header     GoroutineListHeader
	GoVersion  string // "go1.26.8"; empty if not known
	BuildInfo  string // what "go version -m" prints: lines "path\t…", "mod\t…", "dep\t…", "build\t…"
	Goroutines []Goroutine
	Threads    []GoThreadInfo
}

// Goroutine is a goroutine with everything that the stream says about it. Goroutines with the same contents share slices, which
// must not be changed.
type Goroutine struct {
	GoroutineRecord
	WaitReason string
	Frames     []GoCall // innermost first
	FrameFlags uint32   // GoStackCut…
	Creator    *GoCall  // the go statement that created it; nil if not known
	Start      *GoCall  // the function that it began with; nil if not known
	Labels     []GoLabelText
	Panics     []GoPanicText // innermost first
}

// GoCall is one frame.
type GoCall struct {
	PC        uint64
	Function  string // its full name as in the symbol table; empty if PC is not in Go code
	File      string
	Line      uint32 // 0 if not known
	StartLine uint32 // the line at which the function begins; 0 if not known
	Offset    uint32 // of PC in the physical function
	Inlined   bool   // into the next frame
	Wrapper   bool   // the compiler made the function
}

// GoLabelText is a label as set by package runtime/pprof.
type GoLabelText struct{ Key, Value string }

// GoPanicText is a panic.
type GoPanicText struct {
	Type  string // the dynamic type of the value; empty if not known
	Value string
	Flags uint32 // GoPanicRecovered…
}

// GoThreadInfo is a thread, with the frames on its system or signal stack if it is on one.
type GoThreadInfo struct {
	GoThread
	Frames     []GoCall
	FrameFlags uint32
}

// Goroutines returns the goroutines of a Go program.
func (f *File) Goroutines() (*GoroutineList, error) {
	b, err := f.Stream(GoroutineListStream)
	if err != nil {
		return nil, err
	}
	return ParseGoroutineList(b, f.Order)
}

// goReader reads a GoroutineListStream.
type goReader struct {
	tableReader
	h      GoroutineListHeader
	frames []GoCall
	stacks [][]GoCall
	flags  []uint32
}

// tableReader reads the tables of one of this project's own streams.
type tableReader struct {
	t     Type // of the stream
	b     []byte
	o     binary.ByteOrder
	err   error // the first
	text  []byte
	texts map[uint32]string
	left  uint64 // bytes of text that may still be read: overlapping strings could be unbounded
}

// strings sets the table of strings.
func (r *tableReader) strings(t GoTable) {
	r.text, _ = r.table("strings", t, 1, 1)
	r.texts, r.left = map[uint32]string{}, uint64(len(r.text))
}

// table returns the entries of a table, each of size bytes. size must be at least least.
func (r *tableReader) table(what string, t GoTable, size, least uint32) (entries []byte, n int) {
	if t.Count == 0 || r.err != nil {
		return nil, 0
	}
	if size < least {
		r.err = errtext.Wrap(ErrFormat, r.t, " has ", what, " of ", size, " bytes")
		return nil, 0
	}
	if end := uint64(t.Offset) + uint64(t.Count)*uint64(size); end > uint64(len(r.b)) {
		r.err = errtext.Wrap(ErrTruncated, r.t, " has ", t.Count, " ", what, " of ", size, " bytes at ", t.Offset)
		return nil, 0
	}
	return r.b[t.Offset:][:uint64(t.Count)*uint64(size)], int(t.Count)
}

// string returns the text at offset at of the table of strings; empty if there is none.
func (r *tableReader) string(at uint32) string {
	if at == 0 {
		return ""
	}
	if s, ok := r.texts[at]; ok {
		return s
	}
	s := ""
	if uint64(at)+4 <= uint64(len(r.text)) {
		if n := uint64(r.o.Uint32(r.text[at:])); n <= r.left && n <= uint64(len(r.text)-int(at)-4) {
			s = strings.ToValidUTF8(string(r.text[at+4:][:n]), "\ufffd")
			r.left -= n
		}
	}
	r.texts[at] = s
	return s
}

// maxGoFrames bounds the total number of frames read: stacks of a hostile list may share the same ones.
const maxGoFrames = 4 << 20

// ParseGoroutineList reads the bytes of a GoroutineListStream. Invalid indexes and offsets count as absent. A table that is not
// entirely within b counts as empty; the error is that of the first such table, and wraps ErrFormat or ErrTruncated.
func ParseGoroutineList(b []byte, o binary.ByteOrder) (*GoroutineList, error) {
	r := goReader{tableReader: tableReader{t: GoroutineListStream, b: b, o: o}}
	if len(b) < GoroutineListHeaderSize {
		return nil, errtext.Wrap(ErrTruncated, GoroutineListStream, " has ", len(b), " bytes, not ", GoroutineListHeaderSize)
	}
	h := &r.h
	h.Get(b, o)
	if h.SizeOfHeader < GoroutineListHeaderSize {
		return nil, errtext.Wrap(ErrFormat, GoroutineListStream, " has a head of ", h.SizeOfHeader, " bytes")
	}
	r.strings(h.Strings)
	l := &GoroutineList{Header: *h, GoVersion: r.string(h.GoVersion), BuildInfo: r.string(h.BuildInfo)}

	r.readFrames()
	r.readStacks()
	r.readThreads(l)
	r.readGoroutines(l)
	return l, r.err
}

func (r *goReader) readFrames() {
	h := &r.h
	e, n := r.table("frames", h.Frames, h.SizeOfFrame, GoFrameSize)
	r.frames = make([]GoCall, n)
	for i := range r.frames {
		var f GoFrame
		f.Get(e[i*int(h.SizeOfFrame):], r.o)
		r.frames[i] = GoCall{PC: f.PC, Function: r.string(f.Function), File: r.string(f.File), Line: f.Line,
			StartLine: f.StartLine, Offset: f.Offset, Inlined: f.Flags&GoInlined != 0, Wrapper: f.Flags&GoWrapper != 0}
	}
}

func (r *goReader) readStacks() {
	h := &r.h
	flat, nflat := r.table("frames of stacks", h.StackFrames, 4, 4)
	e, n := r.table("stacks", h.Stacks, h.SizeOfStack, GoStackSize)
	r.stacks, r.flags = make([][]GoCall, n), make([]uint32, n)
	total := 0
	for i := range r.stacks {
		var s GoStack
		s.Get(e[i*int(h.SizeOfStack):], r.o)
		r.flags[i] = s.Flags
		if uint64(s.First)+uint64(s.Count) > uint64(nflat) || total+int(s.Count) > maxGoFrames {
			continue
		}
		total += int(s.Count)
		calls := make([]GoCall, 0, s.Count)
		for k := s.First; k < s.First+s.Count; k++ {
			if f := r.o.Uint32(flat[4*k:]); uint64(f) < uint64(len(r.frames)) {
				calls = append(calls, r.frames[f])
			}
		}
		r.stacks[i] = calls
	}
}

func (r *goReader) readThreads(l *GoroutineList) {
	e, n := r.table("threads", r.h.Threads, r.h.SizeOfThread, GoThreadSize)
	l.Threads = make([]GoThreadInfo, n)
	for i := range l.Threads {
		t := &l.Threads[i]
		t.Get(e[i*int(r.h.SizeOfThread):], r.o)
		t.Frames, t.FrameFlags = r.stack(t.Stack)
	}
}

// readLabels returns the sets of labels, which all share one array.
func (r *goReader) readLabels() (sets [][]GoLabelText) {
	e, n := r.table("labels", r.h.Labels, GoLabelSize, GoLabelSize)
	labels := make([]GoLabelText, n)
	for i := range labels {
		var p GoLabel
		p.Get(e[i*GoLabelSize:], r.o)
		labels[i] = GoLabelText{r.string(p.Key), r.string(p.Value)}
	}
	e, n = r.table("label sets", r.h.LabelSets, GoTableSize, GoTableSize)
	sets = make([][]GoLabelText, n)
	for i := range sets {
		var s GoTable
		s.Get(e[i*GoTableSize:], r.o)
		if end := uint64(s.Offset) + uint64(s.Count); end <= uint64(len(labels)) {
			sets[i] = labels[s.Offset:end:end]
		}
	}
	return sets
}

func (r *goReader) readGoroutines(l *GoroutineList) {
	h := &r.h
	sets := r.readLabels()
	e, n := r.table("panics", h.Panics, h.SizeOfPanic, GoPanicSize)
	panics := make([]GoPanic, n)
	for i := range panics {
		panics[i].Get(e[i*int(h.SizeOfPanic):], r.o)
	}
	e, n = r.table("goroutines", h.Goroutines, h.SizeOfGoroutine, GoroutineRecordSize)
	l.Goroutines = make([]Goroutine, n)
	for i := range l.Goroutines {
		g := &l.Goroutines[i]
		g.Get(e[i*int(h.SizeOfGoroutine):], r.o)
		g.WaitReason = r.string(g.GoroutineRecord.WaitReason)
		g.Frames, g.FrameFlags = r.stack(g.Stack)
		g.Creator, g.Start = r.call(g.GoroutineRecord.Creator), r.call(g.GoroutineRecord.Start)
		if k := g.LabelSet; uint64(k) < uint64(len(sets)) {
			g.Labels = sets[k]
		}
		const most = 64 // panics of one goroutine
		for k := g.Panic; uint64(k) < uint64(len(panics)) && len(g.Panics) < most; k = panics[k].Link {
			p := &panics[k]
			g.Panics = append(g.Panics, GoPanicText{r.string(p.Type), r.string(p.Value), p.Flags})
		}
	}
}

func (r *goReader) stack(i uint32) ([]GoCall, uint32) {
	if uint64(i) >= uint64(len(r.stacks)) {
		return nil, 0
	}
	return r.stacks[i], r.flags[i]
}

func (r *goReader) call(i uint32) *GoCall {
	if uint64(i) >= uint64(len(r.frames)) {
		return nil
	}
	return &r.frames[i]
}

var goStatuses = [...]string{
	GoIdle: "idle", GoRunnable: "runnable", GoRunning: "running", GoSyscall: "syscall", GoWaiting: "waiting", GoDead: "dead",
	GoCopystack: "copystack", GoPreempted: "preempted", GoLeaked: "leaked", GoDeadExtra: "waiting for cgo callback",
}

// State returns the state of the goroutine in the words of the runtime's tracebacks: "running", "chan receive", "select (no
// cases)"; "???" if the status is unknown.
func (g *Goroutine) State() string {
	s := "???"
	if int(g.Status) < len(goStatuses) && goStatuses[g.Status] != "" {
		s = goStatuses[g.Status]
	}
	if (g.Status == GoWaiting || g.Status == GoLeaked) && g.WaitReason != "" {
		s = g.WaitReason
	}
	if g.Status == GoLeaked {
		s += " (leaked)"
	}
	if g.Flags&GoScan != 0 {
		s += " (scan)"
	}
	return s
}

// Waited returns the minimum time that the goroutine has been waiting, in nanoseconds; 0 if not known. The runtime only records
// when a garbage collection first saw it wait.
func (l *GoroutineList) Waited(g *Goroutine) uint64 {
	if g.Status != GoWaiting && g.Status != GoSyscall || g.WaitSince == 0 || l.Header.Nanotime < g.WaitSince {
		return 0
	}
	return l.Header.Nanotime - g.WaitSince
}

// elided reports whether a traceback leaves out the frame: it does so for wrappers, except those that called a function that
// starts a panic.
func elided(f *GoCall, callee string) bool {
	return f.Wrapper && callee != "runtime.gopanic" && callee != "runtime.sigpanic" && callee != "runtime.panicwrap"
}

// exportedRuntime reports whether name is a function or method that package runtime exports.
func exportedRuntime(name string) bool {
	name, ok := strings.CutPrefix(name, "runtime.")
	if !ok {
		return false
	}
	receiver := ""
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		receiver, name = name[:i], name[i+1:]
		if len(receiver) >= 3 && receiver[0] == '(' && receiver[1] == '*' && receiver[len(receiver)-1] == ')' {
			receiver = receiver[2 : len(receiver)-1]
		}
	}
	upper := func(s string) bool { return s[0] >= 'A' && s[0] <= 'Z' }
	return name != "" && upper(name) && (receiver == "" || upper(receiver))
}

// Shown returns the frames that a Go traceback prints, as GOTRACEBACK=all does: without those of the runtime itself and without
// wrappers, unless that leaves none. Frames are those that GOTRACEBACK=system prints.
func (g *Goroutine) Shown() []GoCall {
	var out []GoCall
	callee := ""
	for i := range g.Frames {
		if f := &g.Frames[i]; shown(f, callee, len(out) > 0) {
			out = append(out, *f)
		}
		callee = g.Frames[i].Function
	}
	if len(out) == 0 {
		return g.Frames
	}
	return out
}

// shown reports whether a traceback prints the frame; more is true if it has printed one already (runtime.showfuncinfo).
func shown(f *GoCall, callee string, more bool) bool {
	n := f.Function
	switch {
	case elided(f, callee):
		return false
	case n == "runtime.runFinalizers", n == "runtime.runCleanups", n == "runtime.runfinq", n == "runtime.gopanic" && more:
		return true
	}
	return strings.Contains(n, ".") && (!strings.HasPrefix(n, "runtime.") || exportedRuntime(n))
}

// Name returns the function's name as tracebacks print it: type arguments are shortened to "[...]", and runtime.gopanic is
// "panic".
func (f *GoCall) Name() string {
	name := f.Function
	if name == "runtime.gopanic" {
		return "panic"
	}
	i, j := strings.IndexByte(name, '['), strings.LastIndexByte(name, ']')
	if i < 0 || j <= i {
		return name
	}
	inner := name[i+1 : j]
	if strings.IndexByte(inner, '[') < 0 {
		return name[:i] + "[...]" + name[j+1:]
	}
	// A generic method of a generic type has two adjacent pairs of brackets: "A[…].B[…]".
	depth, close, open := 1, -1, -1
	for k := 0; k < len(inner); k++ {
		switch inner[k] {
		case '[':
			depth++
			if depth == 1 {
				open = k
			}
		case ']':
			depth--
			if depth < 0 {
				return name
			}
			if depth == 0 {
				close = k
			}
		}
		if open >= 0 {
			break
		}
	}
	switch {
	case depth == 1 && close >= 0 && open > close:
		return name[:i] + "[...]" + inner[close+1:open] + "[...]" + name[j+1:]
	case depth == 1 && close < 0 && open < 0:
		return name[:i] + "[...]" + name[j+1:]
	}
	return name
}
