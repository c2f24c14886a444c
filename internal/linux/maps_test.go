//go:build linux

package linux

import (
	"testing"

	"minidump/internal/snapshot"
	"minidump/internal/victims"
	"minidump/procfs"
)

// TestMapsHold checks when a map that was read before the stop is considered valid.
func TestMapsHold(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "3")
	for _, c := range []struct {
		name   string
		change func(l *Source, s *snapshot.Snapshot)
		hold   bool
	}{
		{"nothing", func(*Source, *snapshot.Snapshot) {}, true},
		{"not read early", func(l *Source, s *snapshot.Snapshot) { l.early = procfs.Statm{} }, false},
		{"size", func(l *Source, s *snapshot.Snapshot) { l.early.Size++ }, false},
		{"private memory", func(l *Source, s *snapshot.Snapshot) { l.early.Data-- }, false},
		{"resident memory", func(l *Source, s *snapshot.Snapshot) { l.early.Resident-- }, true},
		{"unknown stack", func(l *Source, s *snapshot.Snapshot) { s.Threads.At(1).SP = 8 }, false},
		{"unknown code", func(l *Source, s *snapshot.Snapshot) { s.Threads.At(2).PC = 8 }, false},
		{"no registers", func(l *Source, s *snapshot.Snapshot) { s.Threads.At(1).SP, s.Threads.At(1).HasSP = 8, false }, true},
	} {
		t.Run(c.name, func(t *testing.T) { // which closes the source
			l, s := open(t, v.PID)
			s.Begin(0)
			if err := l.Capture(s); err != nil {
				t.Fatal(err)
			}
			l.Complete(s)
			c.change(l, s)
			if hold := l.mapsHold(s); hold != c.hold || (s.Mappings.N > 0) != hold {
				t.Errorf("%v, %d mappings", hold, s.Mappings.N)
			}
		})
	}
}
