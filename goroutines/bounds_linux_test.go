package goroutines_test

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"minidump"
	"minidump/internal/goruntime"
	"minidump/internal/victims"
	"minidump/stream"
)

// TestBoundsWithoutList compares the ends of the stacks in a dump with goroutines with those in a dump by a program that
// does not import this package, which finds them only from the first words of each g and m.
func TestBoundsWithoutList(t *testing.T) {
	if runtime.GOARCH == "386" {
		t.Skip("no register leads to g: context.Regsets.GoG")
	}
	v := victims.Start(t, victims.Go(t, "gosleep"), "5")
	victims.StandStill(t, v.PID) // otherwise a goroutine could move to another thread
	f, l, _ := dump(t, v.PID, minidump.Options{})
	with, err := f.Threads()
	if err != nil || len(l.Threads) == 0 {
		t.Fatal(len(l.Threads), err)
	}
	hook := goruntime.NewLister
	goruntime.NewLister = nil
	defer func() { goruntime.NewLister = hook }()
	w, err := minidump.NewWriter(v.PID, minidump.Options{StopTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var b bytes.Buffer
	if _, err := w.Dump(&b); err != nil {
		t.Fatal(err)
	}
	if f, err = stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Goroutines(); err == nil {
		t.Error("goroutines in a dump without the package")
	}
	without, err := f.Threads()
	if err != nil {
		t.Fatal(err)
	}
	end := func(x stream.Thread) uint64 { return x.Stack.Start + uint64(x.Stack.Memory.DataSize) }
	ends := map[uint32]uint64{}
	for _, x := range without {
		ends[x.ThreadID] = end(x)
	}
	for _, x := range with {
		if ends[x.ThreadID] != end(x) {
			t.Errorf("thread %d: the stack ends at %x, with the list at %x", x.ThreadID, ends[x.ThreadID], end(x))
		}
	}
}
