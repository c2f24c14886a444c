//go:build linux

package linux

import (
	"testing"
	"time"

	"minidump/internal/encode"
	"minidump/internal/snapshot"
)

// open makes a source of the process pid and a snapshot for it, as a Writer does.
func open(t testing.TB, pid int) (*Source, *snapshot.Snapshot) {
	t.Helper()
	s := new(snapshot.Snapshot)
	s.Want = snapshot.Want{
		StackLimit: 32 << 10, CrashStackLimit: 256 << 10, StopTimeout: 10 * time.Second,
	}
	if err := s.Reserve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Release)
	l := new(Source)
	buf, err := l.Init(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if len(buf) < encode.BufferSize {
		t.Fatalf("%d bytes for the encoder", len(buf))
	}
	if err := l.FirstLook(s); err != nil {
		t.Fatal(err)
	}
	l.TraceByOwnThread()
	return l, s
}
