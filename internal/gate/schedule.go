package main

import (
	"runtime"
	"slices"
	"sync"
)

// processors is how many shares of the machine there are.
var processors = runtime.NumCPU()

// schedule runs the stages, each on a goroutine of its own, and returns when all have ended. A stage starts when those it
// comes after have ended and as many processors are free as it takes (never more than there are, so that each gets its
// turn); a stage that takes all runs alone. Of those that could start the first in the list does, and one that waits for
// processors is not overtaken for ever: nothing behind a stage that takes all starts before it, except what it comes after.
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

// cost is how many processors a stage takes.
func (s *scheduler) cost(st *stage) int {
	if st.processors == 0 {
		return s.capacity
	}
	return min(st.processors, s.capacity)
}

// next is the index of the waiting stage to start now, or -1.
func (s *scheduler) next() int {
	for i, st := range s.waiting {
		if s.blocked(st) {
			continue
		}
		if s.cost(st) <= s.free {
			return i
		}
		if s.cost(st) == s.capacity {
			return -1 // its turn comes when the running ones have ended
		}
	}
	return -1
}

// blocked reports whether a stage that st comes after has not ended. Stages that are not in the list do not count.
func (s *scheduler) blocked(st *stage) bool {
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
