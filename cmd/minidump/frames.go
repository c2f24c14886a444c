package main

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"minidump/internal/backtrace"
	"minidump/stackwalk"
	"minidump/stream"
)

// maxFrames is how many frames of a thread are printed unless all are requested.
const maxFrames = 32

// frameInfo is one frame.
type frameInfo struct {
	PC       hex    `json:"pc"`
	Module   string `json:"module,omitempty"` // path
	RVA      hex    `json:"rva,omitempty"`    // of PC in the module
	Function string `json:"function,omitempty"`
	Offset   uint32 `json:"offset,omitempty"` // of PC in the function
	File     string `json:"file,omitempty"`
	Line     uint32 `json:"line,omitempty"`
	Inlined  bool   `json:"inlined,omitempty"` // into the next frame
	Signal   bool   `json:"signal,omitempty"`  // a signal interrupted the function
	Trust    string `json:"trust"`             // how the frame was found: see package stackwalk
}

// framesOf converts the frames of a thread.
func framesOf(r *backtrace.Result, t *stream.ThreadFrames, text func(string) string) []frameInfo {
	if t == nil {
		return nil
	}
	list := make([]frameInfo, len(t.Frames))
	for i := range list {
		f := &t.Frames[i]
		list[i] = frameInfo{PC: hex(f.PC), Function: text(f.Function), Offset: f.Offset, File: text(f.File), Line: f.Line,
			Inlined: f.Flags&stream.FrameInlined != 0, Signal: f.Flags&stream.FrameInterrupted != 0, Trust: stackwalk.Trust(f.Trust).String()}
		if uint64(f.Module) < uint64(len(r.Modules)) {
			m := &r.Modules[f.Module]
			list[i].Module, list[i].RVA = text(m.Name), hex(f.PC-m.BaseOfImage)
		}
	}
	return list
}

// text returns the frame in one line, such as "app!parse at parse.c:42"; with whole paths if all is set.
func (f *frameInfo) text(all bool) string {
	place := ""
	if f.Module != "" {
		place = path.Base(strings.ReplaceAll(f.Module, `\`, "/"))
	}
	switch {
	case f.Function != "" && place != "":
		place += "!" + f.Function
	case f.Function != "":
		place = f.Function
	case place != "":
		place += fmt.Sprintf("+%#x", uint64(f.RVA))
	}
	if f.Function != "" && f.Line == 0 {
		place += fmt.Sprintf("+%#x", f.Offset)
	}
	if f.File != "" && f.Line != 0 {
		file := f.File
		if !all {
			file = path.Base(strings.ReplaceAll(file, `\`, "/"))
		}
		place += fmt.Sprintf(" at %s:%d", file, f.Line)
	}
	switch {
	case f.Inlined:
		place += " (inlined)"
	case f.Signal:
		place += " (interrupted by a signal)"
	case f.Trust == stackwalk.TrustScan.String():
		place += " (guessed)"
	}
	return strings.TrimSpace(place)
}

// printFrames prints frames, one a line; unless all is set, at most maxFrames, of a bounded width.
func printFrames(to io.Writer, frames []frameInfo, all bool) {
	digits := 8
	for i := range frames {
		if frames[i].PC > 1<<32-1 {
			digits = 12
		}
	}
	for i, lines := 0, 0; i < len(frames); lines++ {
		if lines == maxFrames && !all {
			fmt.Fprintf(to, "  … and %d more\n", len(frames)-i)
			break
		}
		line := fmt.Sprintf("  #%-2d %0*x  %s", i, digits, uint64(frames[i].PC), printable(frames[i].text(all)))
		if width(line) > textWidth && !all {
			line = string([]rune(line)[:textWidth-1]) + "…"
		}
		fmt.Fprintln(to, line)
		same := 1
		for i+same < len(frames) && frames[i+same] == frames[i] {
			same++
		}
		if i += same; same > 2 && !all {
			fmt.Fprintf(to, "  … %d times more\n", same-1)
		} else {
			i -= same - 1
		}
	}
}

// namesLimit is how long the search for the frames of a crash may take. Tests change it.
var namesLimit = backtrace.DefaultLimit

// backtrace adds the frames of the blamed thread to a dump that was just written, and returns them; nil if they are not requested or
// there are none. A failure costs only the names. pid is the process, which may have ended; 0 if the dump is of another time or
// machine.
func (w *writerFlags) backtrace(path string, pid int) *backtrace.Result {
	return w.backtraceWith(path, backtrace.Options{PID: pid})
}

// backtraceWith is backtrace with options; it sets the time limit.
func (w *writerFlags) backtraceWith(path string, o backtrace.Options) *backtrace.Result {
	if w.noBacktrace || path == "-" {
		return nil
	}
	o.Limit = namesLimit
	r, _ := backtrace.Add(path, o)
	if r == nil || len(r.Threads) == 0 || len(r.Threads[0].Frames) == 0 {
		return nil
	}
	return r
}

// crashFrames is backtrace for the subcommands that dump crashed processes: not for dump, whose process lives.
func (w *writerFlags) crashFrames(path string) *backtrace.Result {
	if !w.crashed {
		return nil
	}
	return w.backtrace(path, w.alive)
}

// reportFrames prints the frames of the blamed thread and the signature, as text.
func reportFrames(to io.Writer, r *backtrace.Result) {
	if r == nil {
		return
	}
	printFrames(to, framesOf(r, r.Of(r.Blamed), func(s string) string { return s }), false)
	if r.Signature != "" {
		fmt.Fprintf(to, "  signature: %s\n", printable(r.Signature))
	}
}

// stackGroup is a group of threads with the same frames.
type stackGroup struct {
	threads []uint32
	frames  []frameInfo
}

// stackGroups groups threads with the same frames, in the order of the first thread of each group. The blamed thread is alone
// in the first group.
func (d *dumpInfo) stackGroups() (list []stackGroup) {
	blamed, ok := d.blamed()
	same := func(a, b []frameInfo) bool {
		return slices.EqualFunc(a, b, func(x, y frameInfo) bool { return x.PC == y.PC && x.Function == y.Function })
	}
	for pass := range 2 {
	next:
		for i := range d.Threads {
			t := &d.Threads[i]
			isBlamed := ok && t.ID == blamed
			if len(t.Frames) == 0 || isBlamed != (pass == 0) {
				continue
			}
			for k := range list {
				if pass == 1 && list[k].threads[0] != blamed && same(list[k].frames, t.Frames) {
					list[k].threads = append(list[k].threads, t.ID)
					continue next
				}
			}
			list = append(list, stackGroup{[]uint32{t.ID}, t.Frames})
		}
	}
	return list
}

// stacks prints the frames of the threads, once for each group.
func (p *page) stacks() {
	groups := p.d.stackGroups()
	for _, g := range groups[:p.some(len(groups))] {
		if len(g.threads) == 1 {
			t := p.d.thread(g.threads[0])
			name := ""
			if t != nil && t.Name != "" {
				name = fmt.Sprintf(" %q", printable(t.Name))
			}
			p.line("\nStack of thread %d%s", g.threads[0], name)
		} else {
			ids := fmt.Sprint(g.threads[:min(8, len(g.threads))])
			if len(g.threads) > 8 {
				ids = strings.TrimSuffix(ids, "]") + " …]"
			}
			p.line("\nStack of %d threads %s", len(g.threads), ids)
		}
		printFrames(p, g.frames, p.all)
	}
	p.rest(len(groups))
}

// readFrames finds the frames of the threads.
func (d *dumpInfo) readFrames(f *stream.File, o backtrace.Options) {
	r, err := backtrace.Find(f, o)
	if err != nil {
		return
	}
	d.Signature = d.text(r.Signature)
	for i := range d.Threads {
		d.Threads[i].Frames = framesOf(r, r.Of(d.Threads[i].ID), d.text)
	}
}
