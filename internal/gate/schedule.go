package main

import (
	"runtime"
	"slices"
	"sync"
)

// processors is the number of processors to share among the stages.
var processors = runtime.NumCPU()

// schedule runs each stage on its own goroutine and returns when all have ended. A stage starts when the stages in its
// after list have ended and as many processors are free as it requires (never more than exist, so that every stage runs
// eventually); a stage that requires all processors runs alone. Of the stages that can start, the first in the list starts. A
// stage that waits for processors starts eventually: no stage after one that requires all processors starts before it, except the
// stages in its after list.
func schedule(list []*stage, capacity int, run func(*stage)) {
	s := scheduler{free: capacity, capacity: capacity, waiting: slices.Clone(list)}
	s.changed.L = &s.mu
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) > 0 || s.running > 0 {
		i := s.next()
		if i < 0 {
			s.changed.Wait()
			continue
		}
		next := s.waiting[i]
		s.waiting = slices.Delete(s.waiting, i, i+1)
		s.active = append(s.active, next)
		s.running++
		s.free -= s.cost(next)
		go func() {
			run(next)
			s.ended(next)
		}()
	}
}

type scheduler struct {
	mu       sync.Mutex
	changed  sync.Cond
	capacity int
	free     int
	running  int
	waiting  []*stage
	active   []*stage
}

// cost returns how many processors a stage uses.
func (s *scheduler) cost(st *stage) int {
	if st.processors == 0 {
		return s.capacity
	}
	return min(st.processors, s.capacity)
}

// next returns the index of the waiting stage to start now, or -1.
func (s *scheduler) next() int {
	for i, st := range s.waiting {
		if s.blocked(st) {
			continue
		}
		if s.cost(st) <= s.free {
			return i
		}
		if s.cost(st) == s.capacity {
			return -1 // st starts when the running stages have ended
		}
	}
	return -1
}

// blocked reports whether a stage in st's after list has not ended, or a stage is running that st must not run beside. Stages that are
// not in the schedule are ignored.
func (s *scheduler) blocked(st *stage) bool {
	if st.crashes && slices.ContainsFunc(s.active, func(o *stage) bool { return o.crashes }) {
		return true
	}
	unfinished := func(o *stage) bool { return o != st && slices.Contains(st.after, o.name) }
	return slices.ContainsFunc(s.waiting, unfinished) || slices.ContainsFunc(s.active, unfinished)
}

func (s *scheduler) ended(st *stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = slices.DeleteFunc(s.active, func(o *stage) bool { return o == st })
	s.running--
	s.free += s.cost(st)
	s.changed.Signal()
}
