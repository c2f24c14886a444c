package stream

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Traceback states how AppendTraceback writes.
type Traceback struct {
	// All includes the goroutines and the frames of the runtime itself, as GOTRACEBACK=system does.
	All bool
	// Labels adds the labels of a goroutine, as GODEBUG=tracebacklabels=1 does.
	Labels bool
}

// tracebackFrames is how many innermost and how many outermost frames of a goroutine the runtime prints (tracebackInnerFrames and
// tracebackOuterFrames of runtime/traceback.go).
const tracebackFrames = 50

// AppendTraceback appends what the runtime prints about a goroutine when a program crashes, except for the arguments of calls:
//
//	goroutine 18 [chan receive, 5 minutes]:
//	main.worker(...)
//		/src/main.go:12 +0x1d
//	created by main.main in goroutine 1
//		/src/main.go:30 +0x56
func (l *GoroutineList) AppendTraceback(dst []byte, g *Goroutine, how Traceback) []byte {
	dst = append(dst, "goroutine "...)
	dst = strconv.AppendUint(dst, g.ID, 10)
	dst = append(dst, ' ', '[')
	dst = l.appendState(dst, g)
	dst = append(dst, ']')
	if how.Labels && len(g.Labels) > 0 {
		for i, p := range g.Labels {
			dst = append(dst, [2]string{" {", ", "}[min(i, 1)]...)
			dst = append(appendLabel(dst, p.Key), ": "...)
			dst = appendLabel(dst, p.Value)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, ":\n"...)
	switch {
	case g.Flags&GoUnavailable != 0:
		dst = append(dst, "\tgoroutine running on other thread; stack unavailable\n"...)
	case g.Flags&GoSecret != 0:
		dst = append(dst, "\tgoroutine in secret mode; stack left out\n"...)
	default:
		frames := g.Frames
		if !how.All {
			frames = g.Shown()
		}
		dst = AppendFrames(dst, frames)
	}
	if c := g.Creator; c != nil && g.ID != 1 && (how.All || shown(c, "", false)) {
		dst = append(append(dst, "created by "...), c.Name()...)
		if g.ParentID != 0 {
			dst = strconv.AppendUint(append(dst, " in goroutine "...), g.ParentID, 10)
		}
		dst = append(dst, '\n')
		dst = c.appendPlace(dst)
	}
	return dst
}

// AppendFrames appends frames as tracebacks print them: of more than a hundred, the first and the last fifty.
func AppendFrames(dst []byte, frames []GoCall) []byte {
	for i := range frames {
		if elide := len(frames) - 2*tracebackFrames; elide > 0 && i >= tracebackFrames && i < tracebackFrames+elide {
			if i == tracebackFrames {
				dst = strconv.AppendInt(append(dst, "..."...), int64(elide), 10)
				dst = append(dst, " frames elided...\n"...)
			}
			continue
		}
		f := &frames[i]
		if f.Function == "" {
			dst = append(dst, "non-Go function at pc="...)
			dst = append(append(dst, "0x"...), strconv.FormatUint(f.PC, 16)...)
			dst = append(dst, '\n')
			continue
		}
		dst = append(append(dst, f.Name()...), "(...)\n"...)
		dst = f.appendPlace(dst)
	}
	return dst
}

// appendPlace appends file, line and offset.
func (f *GoCall) appendPlace(dst []byte) []byte {
	dst = append(dst, '\t')
	if f.File == "" {
		dst = append(dst, '?')
	}
	dst = append(append(dst, f.File...), ':')
	dst = strconv.AppendUint(dst, uint64(f.Line), 10)
	if !f.Inlined && f.Offset > 0 {
		dst = strconv.AppendUint(append(dst, " +0x"...), uint64(f.Offset), 16)
	}
	return append(dst, '\n')
}

// appendState appends the text between the brackets.
func (l *GoroutineList) appendState(dst []byte, g *Goroutine) []byte {
	state := g.State()
	dst = append(dst, state...)
	if g.Bubble != 0 && g.Status == GoWaiting && idleInBubble(g.WaitReason) && !strings.HasSuffix(state, "(durable)") {
		dst = append(dst, " (durable)"...)
	}
	if m := l.Waited(g) / 60e9; m >= 1 {
		dst = strconv.AppendUint(append(dst, ", "...), m, 10)
		dst = append(dst, " minutes"...)
	}
	if g.Flags&GoLocked != 0 {
		dst = append(dst, ", locked to thread"...)
	}
	if g.Bubble != 0 {
		dst = strconv.AppendUint(append(dst, ", synctest bubble "...), g.Bubble, 10)
	}
	return dst
}

// idleInBubble reports whether a goroutine of a synctest bubble that waits for reason counts as durably blocked (isIdleInSynctest
// of runtime/runtime2.go). The other such reasons end with "(durable)" themselves.
func idleInBubble(reason string) bool {
	switch reason {
	case "chan receive (nil chan)", "chan send (nil chan)", "select (no cases)", "sleep", "sync.Cond.Wait", "coroutine",
		"synctest.Run", "synctest.Wait":
		return true
	}
	return false
}

// appendLabel appends a key or value, quoted if it contains anything except letters, digits, '.', '/' and '_'.
func appendLabel(dst []byte, s string) []byte {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '/' || r == '_') {
			return strconv.AppendQuote(dst, s)
		}
	}
	return append(dst, s...)
}

// GoroutineGroup is a set of goroutines with the same frames, state and creator.
type GoroutineGroup struct {
	Goroutines []*Goroutine // in order of ID
	// The shortest and the longest time that one of them has been waiting, in nanoseconds; 0 if not known.
	MinWaited, MaxWaited uint64
}

// Groups sorts the goroutines into groups: panicking ones first, then running ones, then the largest groups, and last the
// runtime's own goroutines, which are left out unless all is set.
func (l *GoroutineList) Groups(all bool) []GoroutineGroup {
	type key struct {
		stack, reason, creator uint32
		status, flags          uint16
		panic                  uint32
	}
	index := map[key]int{}
	var groups []GoroutineGroup
	for i := range l.Goroutines {
		g := &l.Goroutines[i]
		if g.Flags&GoSystem != 0 && !all {
			continue
		}
		k := key{g.Stack, g.GoroutineRecord.WaitReason, g.GoroutineRecord.Creator, g.Status, g.Flags &^ GoScan, g.Panic}
		at, ok := index[k]
		if !ok {
			at = len(groups)
			index[k] = at
			groups = append(groups, GoroutineGroup{})
		}
		group, waited := &groups[at], l.Waited(g)
		if len(group.Goroutines) == 0 {
			group.MinWaited = waited
		}
		group.MinWaited, group.MaxWaited = min(group.MinWaited, waited), max(group.MaxWaited, waited)
		group.Goroutines = append(group.Goroutines, g)
	}
	rank := func(g *Goroutine) int {
		switch {
		case g.Flags&GoSystem != 0:
			return 3
		case len(g.Panics) > 0:
			return 0
		case g.Status == GoRunning:
			return 1
		}
		return 2
	}
	for _, g := range groups {
		slices.SortStableFunc(g.Goroutines, func(a, b *Goroutine) int { return cmp.Compare(a.ID, b.ID) })
	}
	slices.SortStableFunc(groups, func(a, b GoroutineGroup) int {
		x, y := a.Goroutines[0], b.Goroutines[0]
		return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(len(b.Goroutines), len(a.Goroutines)), cmp.Compare(x.ID, y.ID))
	})
	return groups
}
