package snapshot

import "testing"

// TestBlamedInFullTable checks that the blamed thread replaces the last one of a full table.
func TestBlamedInFullTable(t *testing.T) {
	var s Snapshot
	if err := s.Reserve(); err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	for s.Threads.Add() != nil {
	}
	n := s.Threads.N
	s.Threads.At(n - 1).TID = 5
	s.Proc.Blamed = 7
	s.AddBlamed(OpRegisters, 0)
	if th := s.blamedThread(); th == nil || s.Threads.N != n || s.Threads.At(n-1) != th {
		t.Errorf("%d of %d threads, %+v", s.Threads.N, n, th)
	}
}
