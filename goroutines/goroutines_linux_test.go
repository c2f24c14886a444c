package goroutines_test

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	"minidump"
	_ "minidump/goroutines"
	"minidump/internal/victims"
	"minidump/stream"
)

// dump dumps a process, and returns the dump and its goroutines.
func dump(t *testing.T, pid int, o minidump.Options) (*stream.File, *stream.GoroutineList, minidump.Result) {
	t.Helper()
	o.StopTimeout = 10 * time.Second
	w, err := minidump.NewWriter(pid, o)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var b bytes.Buffer
	r, err := w.Dump(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.SoftErrors() {
		t.Errorf("missing: %v", &e)
	}
	f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if p := stream.Problems(f); len(p) > 0 {
		t.Errorf("%q", p)
	}
	l, err := f.Goroutines()
	if err != nil {
		t.Fatal(err)
	}
	return f, l, r
}

// TestStream checks that dumps of a process in each mode have its goroutines.
func TestStream(t *testing.T) {
	v := victims.Start(t, victims.Go(t, "gosleep"), "5")
	for mode, o := range map[string]minidump.Options{"stack": {}, "indirect": {Mode: minidump.ModeIndirect}, "full": {Mode: minidump.ModeFull}} {
		t.Run(mode, func(t *testing.T) {
			_, l, r := dump(t, v.PID, o)
			t.Logf("%d goroutines, %d bytes, pause %v, in all %v", len(l.Goroutines), r.Size, r.Pause, r.Total)
			waiting := 0
			for i := range l.Goroutines {
				g := &l.Goroutines[i]
				names := func(c stream.GoCall) bool { return c.Function == "main.wait" }
				if g.State() == "chan receive" && slices.ContainsFunc(g.Frames, names) && g.ParentID == 1 {
					waiting++
				}
			}
			if waiting != 5 {
				t.Errorf("%d goroutines wait on the channel, not 5", waiting)
			}
			if l.GoVersion != runtime.Version() {
				t.Errorf("built by %q, not %q", l.GoVersion, runtime.Version())
			}
		})
	}
}

// TestStacks checks for each thread that runs Go code that its stack in the dump is within the runtime's bounds of
// it, and that the stack of its goroutine is in the dump too.
func TestStacks(t *testing.T) {
	v := victims.Start(t, victims.Go(t, "gosleep"), "5")
	f, l, _ := dump(t, v.PID, minidump.Options{})
	list, err := f.Threads()
	if err != nil {
		t.Fatal(err)
	}
	onSystem := 0
	for _, th := range l.Threads {
		i := slices.IndexFunc(list, func(x stream.Thread) bool { return x.ThreadID == th.ThreadID })
		if i < 0 {
			t.Fatalf("no thread %d", th.ThreadID)
		}
		stack := list[i].Stack
		lo, hi := stack.Start, stack.Start+uint64(stack.Memory.DataSize)
		switch th.On {
		case stream.GoOnSystem:
			onSystem++
			if lo < th.SystemLo || hi != th.SystemHi {
				t.Errorf("thread %d: stack %x-%x, g0 has %x-%x", th.ThreadID, lo, hi, th.SystemLo, th.SystemHi)
			}
			// Functions that switch from a goroutine's stack, and those in which a thread starts.
			starts := []string{"runtime.mcall", "runtime.systemstack", "runtime.morestack", "runtime.mstart", "runtime.mstart1", "runtime.rt0_go", "runtime.clone"}
			if n := len(th.Frames); n == 1 && slices.Contains([]string{"runtime.nanotime1", "runtime.walltime"}, th.Frames[0].Function) {
				break // these functions switch stacks to call the vDSO, and the runtime does not unwind them either
			}
			if n := len(th.Frames); n < 2 || !slices.Contains(starts, th.Frames[n-1].Function) {
				t.Errorf("thread %d: frames on the system stack: %+v", th.ThreadID, th.Frames)
			}
		case stream.GoOnGoroutine:
			g := &l.Goroutines[th.Goroutine]
			if lo < g.StackLo || hi != g.StackLo+uint64(g.StackSize) {
				t.Errorf("thread %d: stack %x-%x, goroutine %d has %x", th.ThreadID, lo, hi, g.ID, g.StackLo)
			}
		}
		if uint64(th.Goroutine) < uint64(len(l.Goroutines)) { // 0xffffffff: none
			g := &l.Goroutines[th.Goroutine]
			b := make([]byte, g.StackDepth)
			if n, _ := f.ReadMemory(g.StackLo+uint64(g.StackSize-g.StackDepth), b); n != len(b) || n == 0 {
				t.Errorf("goroutine %d of thread %d: %d of %d bytes of its stack", g.ID, th.ThreadID, n, len(b))
			}
		}
	}
	if onSystem == 0 {
		t.Error("no thread is on the system stack")
	}
}

// TestNoAllocations checks that dumps with goroutines allocate nothing from the Go heap either.
func TestNoAllocations(t *testing.T) {
	v := victims.Start(t, victims.Go(t, "gosleep"), "100")
	for name, o := range map[string]minidump.Options{"stack": {}, "full": {Mode: minidump.ModeFull}} {
		o.StopTimeout = 10 * time.Second
		w, err := minidump.NewWriter(v.PID, o)
		if err != nil {
			t.Fatal(err)
		}
		var pause time.Duration
		if n := testing.AllocsPerRun(30, func() {
			r, err := w.Dump(io.Discard)
			if err != nil {
				t.Error(err)
			}
			pause = r.Pause
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		t.Logf("%s: pause %v", name, pause)
		w.Close()
	}
}

// TestLimit drops the goroutines before registers under a size limit. The size of a dump depends on the platform, so the limit is
// lowered until the goroutines are dropped.
func TestLimit(t *testing.T) {
	v := victims.Start(t, victims.Go(t, "gosleep"), "5")
	dump := func(limit uint64) (*stream.File, minidump.Result) {
		t.Helper()
		w, err := minidump.NewWriter(v.PID, minidump.Options{Limit: limit, StopTimeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		var b bytes.Buffer
		r, err := w.Dump(&b)
		if err != nil || limit != 0 && r.Size > limit {
			t.Fatalf("limit %d: %d bytes, %v", limit, r.Size, err)
		}
		f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		return f, r
	}
	f, whole := dump(0)
	if _, err := f.Goroutines(); err != nil {
		t.Fatal(err)
	}
	for limit := whole.Size; limit > whole.Size/8; limit -= whole.Size / 32 {
		f, r := dump(limit)
		if _, err := f.Goroutines(); err == nil {
			continue
		}
		if r.Soft == 0 {
			t.Error("nothing is recorded as dropped")
		}
		threads, err := f.Threads()
		if err != nil || len(threads) == 0 {
			t.Fatalf("%d threads, %v", len(threads), err)
		}
		for _, th := range threads {
			if th.Context.DataSize == 0 {
				t.Errorf("limit %d: thread %d has no registers", limit, th.ThreadID)
			}
		}
		return
	}
	t.Error("no limit drops the goroutines")
}
