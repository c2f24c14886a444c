package goruntime

import (
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"minidump/stream"

	"minidump/internal/victims"
)

// TestMany reads a program with ten thousand goroutines: few reads, no allocation, equal stacks stored once.
func TestMany(t *testing.T) {
	n := "10000"
	if testing.Short() || victims.Emulated() && strconv.IntSize == 32 { // such a machine has little memory
		n = "2000"
	}
	v := start(t, "all", build(t, "", false), n)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mem, im := &liveMemory{pid: v.pid}, image(t, v.pid)
	p, c := new(Program), new(Capture)
	space := new(testSpace)
	find := testing.AllocsPerRun(1, func() {
		space.used = 0
		if err := p.Find(mem, space, im); err != nil {
			t.Fatal(err)
		}
	})
	s := stop(t, v.pid, &testSpace{used: 90 << 20})
	mem.calls = 0
	space.used = 0
	if !p.Capture(c, mem, space, s.threads, 0, Limits{}) {
		t.Fatal("no goroutines")
	}
	calls := mem.calls
	capture := testing.AllocsPerRun(1, func() {
		space.used = 0
		p.Capture(c, mem, space, s.threads, 0, Limits{})
	})
	mark := *space
	var b []byte
	encode := testing.AllocsPerRun(1, func() {
		*space = mark
		b = p.Encode(c, mem, space, nil)
	})
	s.release()
	if find != 0 || capture != 0 || encode != 0 {
		t.Errorf("allocations: Find %v, Capture %v, Encode %v", find, capture, encode)
	}
	l, err := stream.ParseGoroutineList(b, im.Order)
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	for i := range l.Goroutines {
		if g := &l.Goroutines[i]; g.Start != nil && strings.HasPrefix(g.Start.Function, "main.") && g.Stack == l.Goroutines[len(l.Goroutines)/2].Stack {
			same++
		}
	}
	t.Logf("%d goroutines, %d with the same stack, %d bytes, %d reads", len(l.Goroutines), same, len(b), calls)
	if want := len(l.Goroutines) - 100; same < want {
		t.Errorf("%d goroutines share a stack, not %d", same, want)
	}
	if most := 60 + len(l.Goroutines)/400; calls > most {
		t.Errorf("%d reads, more than %d", calls, most)
	}
	if most := 40_000 + 90*len(l.Goroutines); len(b) > most {
		t.Errorf("%d bytes, more than %d", len(b), most)
	}
	if groups := l.Groups(false); len(groups) > 60 || len(groups[0].Goroutines) < 1 {
		t.Errorf("%d groups", len(groups))
	}
}

// TestRunning reads a running goroutine, whose PC is known from its thread.
func TestRunning(t *testing.T) {
	v := start(t, "all", build(t, "", false), "1", "spin")
	var l *stream.GoroutineList
	var g *stream.Goroutine
	var i int
	for range 50 { // the scheduler may just have descheduled it, be interrupting it, or be called by it
		l = list(t, v.pid)
		i = slices.IndexFunc(l.Goroutines, func(g stream.Goroutine) bool { return g.ID == 1 })
		g = &l.Goroutines[i]
		inSignal := slices.ContainsFunc(l.Threads, func(th stream.GoThreadInfo) bool {
			return th.ThreadID == g.ThreadID && th.On == stream.GoOnSignal
		})
		if g.Status == stream.GoRunning && !inSignal && len(g.Frames) > 0 && g.Frames[0].Function == "main.spin" {
			break
		}
	}
	text := string(l.AppendTraceback(nil, g, stream.Traceback{}))
	if g.Status != stream.GoRunning || g.Flags&stream.GoTrap == 0 || g.ThreadID == 0 || len(g.Frames) < 3 || g.Frames[0].Function != "main.spin" ||
		g.Frames[1].Function != "main.main" || g.FrameFlags != stream.GoStackComplete {
		t.Errorf("%+v\n%s", g, text)
	}
	for _, th := range l.Threads {
		if th.ThreadID == g.ThreadID && (th.On != stream.GoOnGoroutine || th.Goroutine != uint32(i)) {
			t.Errorf("thread %+v", th)
		}
	}
}
