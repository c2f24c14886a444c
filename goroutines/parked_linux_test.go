package goroutines_test

import (
	"bytes"
	"testing"
	"time"

	"minidump"
	"minidump/internal/victims"
	"minidump/stream"
)

// parked returns how many of the goroutines that no thread runs have the used part of their stacks in the dump.
func parked(t *testing.T, f *stream.File, l *stream.GoroutineList) (have, all int) {
	t.Helper()
	for i := range l.Goroutines {
		g := &l.Goroutines[i]
		if g.ThreadID != 0 || g.StackDepth == 0 {
			continue
		}
		all++
		b := make([]byte, g.StackDepth)
		at := g.StackLo + uint64(g.StackSize-g.StackDepth)
		n, _ := f.ReadMemory(at, b)
		if n == len(b) {
			have++
		}
		if word := make([]byte, 8); n == len(b) && len(g.Frames) > 1 && f.Order.String() == "LittleEndian" { // it has the return addresses
			f.Order.PutUint64(word, g.Frames[1].PC)
			if !bytes.Contains(b, word[:4]) {
				t.Errorf("goroutine %d: no return address %#x on its stack", g.ID, g.Frames[1].PC)
			}
		}
	}
	return have, all
}

// TestParked checks that the stacks of waiting goroutines are in the dump, within the limits, and without what must stay
// out.
func TestParked(t *testing.T) {
	v := victims.Start(t, victims.Go(t, "gosleep"), "200")
	for name, o := range map[string]minidump.Options{"stack": {}, "indirect": {Mode: minidump.ModeIndirect}, "sanitised": {SanitizeStacks: true}} {
		f, l, r := dump(t, v.PID, o)
		if have, all := parked(t, f, l); all < 200 || have != all {
			t.Errorf("%s: %d of %d stacks are there", name, have, all)
		}
		t.Logf("%s: %d bytes, pause %v", name, r.Size, r.Pause)
	}
	// One goroutine of each kind comes first. The limit in bytes suits only this program.
	w, err := minidump.NewWriter(v.PID, minidump.Options{StopTimeout: 10 * time.Second, Limit: 80_000})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var b bytes.Buffer
	if _, err := w.Dump(&b); err != nil {
		t.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	l, err := f.Goroutines()
	if err != nil {
		t.Fatal(err)
	}
	if have, all := parked(t, f, l); b.Len() > 80_000 || have == all || len(stream.Problems(f)) > 0 {
		t.Errorf("%d bytes, %d of %d stacks, %q", b.Len(), have, all, stream.Problems(f))
	}
	f, l, _ = dump(t, v.PID, minidump.Options{SkipUnreferencedStacks: true, PrincipalAddress: l.Goroutines[0].Frames[0].PC})
	if have, _ := parked(t, f, l); have != 0 {
		t.Errorf("%d stacks of goroutines where only those that refer to a module are wanted", have)
	}
}
