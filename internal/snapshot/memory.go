package snapshot

import "minidump/internal/arena"

// Memory reads the memory of a process, from the process or from a core file. The contents must not be trusted.
type Memory interface {
	// Read copies memory at addr into p. It returns how many bytes it read before the first that it could not read.
	Read(addr uint64, p []byte) int
	// ReadV serves many requests at once, each like Read, and sets their Got.
	ReadV(reqs []ReadRequest)
	// There returns the first part of [lo, hi) that Read tries to read; ok is false if there is none. The rest has no pages:
	// it was never used, or a userfaultfd or file server has not delivered it. In a series of calls with ascending ranges,
	// ahead is the end of the last one; 0 means hi.
	There(lo, hi, ahead uint64) (from, to uint64, ok bool)
	// Expired returns why the memory can no longer be read: ErrPause, because the process runs again, or ErrSnapshot, because
	// its copy had to be given up. It is called in mode full.
	//
	// It is not a separate interface: a type assertion for one makes the Go runtime allocate, which a forked child must not do.
	Expired() error
}

// Whole is embedded by a Memory in which all pages are present, and that can be read until it is closed.
type Whole struct{}

// There implements Memory.
func (Whole) There(lo, hi, _ uint64) (from, to uint64, ok bool) { return lo, hi, lo < hi }

// Expired implements Memory.
func (Whole) Expired() error { return nil }

// A ReadRequest requests len(Dst) bytes at Addr.
type ReadRequest struct {
	Addr uint64
	Dst  []byte      // in an arena
	out  *arena.Span // refers to Dst; shortened to the bytes that were read
	Got  int         // bytes that were read

	// For readStacks.
	stack  bool   // absent pages are zeros, and reading continues after them
	ended  bool   // there is nothing more to read
	absent bool   // ended: all the rest is absent
	holes  bool   // there are absent pages after the first present one
	unused uint64 // absent bytes at the start
	of     int32  // of the rest of a request: which request
}

// Requests is a batch of reads. It belongs to a snapshot.
type Requests struct {
	arena.Table[ReadRequest]
	noSpace bool // space was exhausted, which is recorded once per batch
}

// Clear removes all requests.
func (r *Requests) Clear() {
	r.Table.Clear()
	r.noSpace = false
}

// Want adds a request for n bytes at addr, into new space of the byte arena, and sets out to that space. out must not
// move before Read, which shortens it. If there is no space, out is empty and a soft error is recorded.
func (r *Requests) Want(s *Snapshot, addr uint64, n int, out *arena.Span) { r.want(s, addr, n, out) }

// wantStack is Want for a stack that readStacks will read.
func (r *Requests) wantStack(s *Snapshot, addr uint64, n int, out *arena.Span) {
	if q := r.want(s, addr, n, out); q != nil {
		q.stack = true
	}
}

// want returns the new request, or nil if n is 0 or there is no space.
func (r *Requests) want(s *Snapshot, addr uint64, n int, out *arena.Span) *ReadRequest {
	*out = arena.Span{}
	if n <= 0 {
		return nil
	}
	sp, b := s.Bytes.Alloc(n)
	var q *ReadRequest
	if b != nil {
		q = r.Add()
	}
	if q == nil {
		if !r.noSpace {
			r.noSpace = true
			s.Soft(OpTruncated, 0, 0, addr)
		}
		return nil
	}
	*q = ReadRequest{Addr: addr, Dst: b, out: out}
	*out = sp
	return q
}

// Read serves all requests and shortens the span of each to the bytes that were read.
func (r *Requests) Read(mem Memory) {
	mem.ReadV(r.All())
	r.finish()
}

// finish shortens the span of each request to the bytes that were read.
func (r *Requests) finish() {
	for i := range r.All() {
		q := r.At(i)
		q.out.Len = uint32(q.Got)
	}
}
