package minidump

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/internal/victims"
)

// mapsReads dumps v and returns, for each time that the memory map was opened, whether v was stopped then.
func mapsReads(t *testing.T, v *victims.Proc, o Options, refuse func(call) sys.Errno) (inStop []bool, modules int) {
	t.Helper()
	k := &faultyKernel{refuse: refuse}
	defer k.install()()
	w, err := NewWriter(v.PID, patient(o))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var out bytes.Buffer
	r, err := w.Dump(&out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.SoftErrors() {
		t.Error(&e)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	stop := slices.IndexFunc(k.seq, func(c call) bool { return c.name == "SEIZE" })
	for i, c := range k.seq {
		if c.name == "openat" && strings.HasSuffix(c.what, "/maps") {
			inStop = append(inStop, i > stop)
		}
	}
	return inStop, r.Modules
}

// TestMapsBeforeStop checks that the memory map is read before the stop, and again during the stop if it may have
// changed.
func TestMapsBeforeStop(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "3")
	before, modules := mapsReads(t, v, Options{}, nil)
	if !slices.Equal(before, []bool{false}) {
		t.Errorf("read in the stop: %v, want once, before it", before)
	}
	again, n := mapsReads(t, v, Options{}, func(c call) sys.Errno {
		if c.name == "openat" && strings.HasSuffix(c.what, "/statm") && c.nth == 1 {
			return unix.EMFILE
		}
		return 0
	})
	if !slices.Equal(again, []bool{false, true}) || n != modules {
		t.Errorf("read in the stop: %v, want before it and in it; %d modules, want %d", again, n, modules)
	}
	if full, _ := mapsReads(t, v, Options{Mode: ModeFull}, nil); !slices.Equal(full, []bool{true}) {
		t.Errorf("mode full read in the stop: %v, want once, in it", full)
	}
}
