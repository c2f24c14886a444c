package main

import (
	"strconv"
	"strings"
	"time"

	"minidump/stream"
)

// goroutineList is what a dump of a Go program records about its goroutines. Goroutines with the same frames refer to
// one stack.
type goroutineList struct {
	GoVersion string      `json:"go_version,omitempty"`
	BuildInfo string      `json:"build_info,omitempty"`
	Total     uint64      `json:"total"`   // including those that have ended
	Dead      uint32      `json:"dead"`    // have ended
	Omitted   uint32      `json:"omitted"` // were not read, because of a limit
	Torn      uint32      `json:"torn"`    // were inconsistent
	List      []goroutine `json:"list"`
	Stacks    [][]goCall  `json:"stacks"`
	Threads   []goThread  `json:"threads"`
	parsed    *stream.GoroutineList
}

type goroutine struct {
	ID        uint64       `json:"id"`
	Parent    uint64       `json:"parent,omitempty"`
	State     string       `json:"state"`
	Waited    uint64       `json:"waited_ns,omitempty"`
	Thread    uint32       `json:"thread,omitempty"`
	System    bool         `json:"system,omitempty"` // a goroutine of the runtime itself
	Locked    bool         `json:"locked_to_thread,omitempty"`
	StackLo   hex          `json:"stack_start"`
	StackSize uint32       `json:"stack_size"`
	Stack     *int         `json:"stack,omitempty"` // index in stacks
	Cut       bool         `json:"stack_cut,omitempty"`
	Creator   *goCall      `json:"creator,omitempty"`
	Labels    []annotation `json:"labels,omitempty"`
	Panics    []goPanic    `json:"panics,omitempty"`
}

type goCall struct {
	PC       hex    `json:"pc"`
	Function string `json:"function,omitempty"`
	File     string `json:"file,omitempty"`
	Line     uint32 `json:"line,omitempty"`
	Inlined  bool   `json:"inlined,omitempty"`
}

type goPanic struct {
	Type      string `json:"type,omitempty"`
	Value     string `json:"value,omitempty"`
	Recovered bool   `json:"recovered,omitempty"`
}

// goThread is a thread that runs Go code.
type goThread struct {
	ID        uint32  `json:"id"`
	On        string  `json:"on,omitempty"` // which stack: "goroutine", "system", "signal"
	Goroutine *uint64 `json:"goroutine,omitempty"`
	Stack     *int    `json:"stack,omitempty"` // index in stacks, of its system or signal stack
}

// maxGoFrames is the maximum number of frames, over all stacks, that are printed as JSON: in a crafted file stacks
// can share frames.
const maxGoFrames = 1 << 20

func (d *dumpInfo) readGoroutines(f *stream.File) {
	l, err := f.Goroutines()
	if l == nil {
		return
	}
	if err != nil && len(l.Goroutines) == 0 && l.GoVersion == "" {
		return
	}
	h := &l.Header
	out := &goroutineList{GoVersion: d.text(l.GoVersion), BuildInfo: d.text(l.BuildInfo), Total: h.Total, Dead: h.Dead, Omitted: h.Omitted,
		Torn: h.Torn, List: make([]goroutine, len(l.Goroutines)), Stacks: [][]goCall{}, Threads: make([]goThread, len(l.Threads)), parsed: l}
	r := &goroutineReader{d: d, out: out, known: map[uint32]int{}}
	for i := range l.Goroutines {
		r.goroutine(l, &l.Goroutines[i], &out.List[i])
	}
	for i := range l.Threads {
		r.thread(l, &l.Threads[i], &out.Threads[i])
	}
	d.Goroutines = out
}

// goroutineReader converts the goroutines of a dump, and each of their stacks once.
type goroutineReader struct {
	d      *dumpInfo
	out    *goroutineList
	known  map[uint32]int // a stack of the dump → its index in out.Stacks
	frames int            // of all stacks in known
}

func (r *goroutineReader) call(c *stream.GoCall) goCall {
	return goCall{PC: r.d.hex(c.PC), Function: r.d.text(c.Function), File: r.d.text(c.File), Line: c.Line, Inlined: c.Inlined}
}

// stack returns the index of a stack, or nil if it is empty or there are too many frames.
func (r *goroutineReader) stack(index uint32, calls []stream.GoCall) *int {
	at, ok := r.known[index]
	if !ok {
		if r.frames += len(calls); len(calls) == 0 || r.frames > maxGoFrames {
			return nil
		}
		list := make([]goCall, len(calls))
		for i := range calls {
			list[i] = r.call(&calls[i])
		}
		at = len(r.out.Stacks)
		r.known[index] = at
		r.out.Stacks = append(r.out.Stacks, list)
	}
	return &at
}

func (r *goroutineReader) goroutine(l *stream.GoroutineList, g *stream.Goroutine, o *goroutine) {
	d := r.d
	*o = goroutine{ID: g.ID, Parent: g.ParentID, State: d.text(g.State()), Waited: l.Waited(g), Thread: g.ThreadID,
		System: g.Flags&stream.GoSystem != 0, Locked: g.Flags&stream.GoLocked != 0, StackLo: d.hex(g.StackLo), StackSize: g.StackSize,
		Stack: r.stack(g.Stack, g.Frames), Cut: g.FrameFlags&stream.GoStackCut != 0}
	if g.Creator != nil {
		c := r.call(g.Creator)
		o.Creator = &c
	}
	for _, x := range g.Labels {
		o.Labels = append(o.Labels, annotation{d.text(x.Key), d.text(x.Value)})
	}
	for _, x := range g.Panics {
		o.Panics = append(o.Panics, goPanic{d.text(x.Type), d.text(x.Value), x.Flags&stream.GoPanicRecovered != 0})
	}
}

func (r *goroutineReader) thread(l *stream.GoroutineList, t *stream.GoThreadInfo, o *goThread) {
	*o = goThread{ID: t.ThreadID, Stack: r.stack(t.GoThread.Stack, t.Frames)}
	switch t.On {
	case stream.GoOnGoroutine:
		o.On = "goroutine"
	case stream.GoOnSystem:
		o.On = "system"
	case stream.GoOnSignal:
		o.On = "signal"
	}
	if uint64(t.Goroutine) < uint64(len(l.Goroutines)) {
		o.Goroutine = &l.Goroutines[t.Goroutine].ID
	}
}

// goroutines prints the goroutines as the Go runtime does when a program crashes; those with the same stack once, with
// their number.
func (p *page) goroutines() {
	list := p.d.Goroutines
	if list == nil {
		return
	}
	l := list.parsed
	head := "\nGoroutines (" + strconv.Itoa(len(l.Goroutines))
	if list.GoVersion != "" {
		head += ", " + printable(list.GoVersion)
	}
	p.line("%s)", head)
	groups := l.Groups(p.allGoroutines)
	system := 0
	for i := range l.Goroutines {
		if l.Goroutines[i].Flags&stream.GoSystem != 0 {
			system++
		}
	}
	if p.allGoroutines { // each by itself
		single := make([]stream.GoroutineGroup, 0, len(l.Goroutines))
		for _, g := range groups {
			for i := range g.Goroutines {
				single = append(single, stream.GoroutineGroup{Goroutines: g.Goroutines[i : i+1]})
			}
		}
		groups = single
	}
	shown := len(groups)
	if !p.allGoroutines {
		shown = p.some(shown)
	}
	for _, group := range groups[:shown] {
		p.goroutineGroup(l, &group)
	}
	if shown < len(groups) {
		p.line("\n  … and %d more stacks (--goroutines=all shows all)", len(groups)-shown)
	}
	if !p.allGoroutines && system > 0 {
		p.line("\n  %s of the runtime not shown (--goroutines=all shows all)", count(system, "goroutine"))
	}
	if list.Omitted > 0 {
		p.line("\n  %s not in the dump", count(list.Omitted, "goroutine"))
	}
	p.systemStacks(l)
}

func (p *page) goroutineGroup(l *stream.GoroutineList, group *stream.GoroutineGroup) {
	g := group.Goroutines[0]
	p.line("")
	for i := len(g.Panics) - 1; i >= 0; i-- { // the outermost first, in the runtime's order
		text := "panic: " + printable(g.Panics[i].Value)
		if t := g.Panics[i].Type; t != "" && t != "string" { // the runtime converts an error's value to a string before the program ends
			text += " (" + printable(t) + ")"
		}
		if g.Panics[i].Flags&stream.GoPanicRecovered != 0 {
			text += " [recovered]"
		}
		p.line("%s", text)
	}
	if n := len(group.Goroutines); n > 1 {
		const most = 8
		var ids []string
		for _, x := range group.Goroutines[:min(n, most)] {
			ids = append(ids, strconv.FormatUint(x.ID, 10))
		}
		if n > most {
			ids = append(ids, "…")
		}
		text := strconv.Itoa(n) + " goroutines have this stack: " + strings.Join(ids, ", ")
		if group.MaxWaited > 0 {
			text += ", waiting up to " + (time.Duration(group.MaxWaited) / time.Second * time.Second).String()
		}
		p.line("%s", text)
	}
	text := l.AppendTraceback(nil, g, stream.Traceback{All: p.allGoroutines, Labels: true})
	p.line("%s", strings.TrimSuffix(printableLines(string(text)), "\n"))
}

// systemStacks prints the frames of the thread that the dump is about, if it runs on a stack of the runtime itself.
func (p *page) systemStacks(l *stream.GoroutineList) {
	id, ok := p.d.blamed()
	for i := range l.Threads {
		t := &l.Threads[i]
		if len(t.Frames) == 0 || !p.allGoroutines && (!ok || t.ThreadID != id) {
			continue
		}
		on := "system"
		if t.On == stream.GoOnSignal {
			on = "signal"
		}
		p.line("\nthread %d on its %s stack:", t.ThreadID, on)
		p.line("%s", strings.TrimSuffix(printableLines(string(stream.AppendFrames(nil, t.Frames))), "\n"))
	}
}
