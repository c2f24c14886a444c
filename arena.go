package minidump

import "unsafe"

// An arena is address space reserved at once and made usable piece by piece, so that what lies in it never moves and
// taking memory from it is no Go allocation. It is emptied, not freed, between dumps.
//
// How much is reserved bounds what one dump can hold of a thing; untouched address space costs nothing.
type arena struct {
	base unsafe.Pointer
	size uintptr // reserved
	open uintptr // usable so far
	used uintptr
}

// arenaUnit is what arenas are sized in: 1 MiB, or an eighth of that where addresses have 32 bits.
const arenaUnit = 1 << (17 + 3*(^uintptr(0)>>63))

// Arenas grow by at least this many bytes at a time.
const arenaStep = 64 << 10

// ensure makes the first end bytes of the arena usable; false when the arena is full.
func (a *arena) ensure(end uintptr) bool {
	if end <= a.open {
		return true
	}
	if end > a.size {
		return false
	}
	// As much again as there is, so that an arena of any size takes few system calls. What is not used costs nothing.
	step := min(max(a.open, (end-a.open+arenaStep-1)&^(arenaStep-1)), a.size-a.open)
	if !arenaOpen(unsafe.Add(a.base, a.open), step) {
		return false
	}
	a.open += step
	return true
}

// take returns n bytes of the arena, aligned to 16 and not cleared; nil when the arena is full.
func (a *arena) take(n uintptr) unsafe.Pointer {
	start := (a.used + 15) &^ 15
	if n > a.size || start > a.size-n || !a.ensure(start+n) {
		return nil
	}
	a.used = start + n
	return unsafe.Add(a.base, start)
}

// piece is take for a slice, which ends where the piece does.
func (a *arena) piece(n int) []byte {
	p := a.take(uintptr(n))
	if p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p), n)
}

// A span is a run of bytes in the snapshot's byte arena. The zero span is empty.
type span struct{ off, len uint32 }

// bytesArena hands out runs of bytes and finds them again by span.
type bytesArena struct {
	arena
	kept uintptr // what reset leaves
}

// keep makes what has been put so far stay for all dumps.
func (a *bytesArena) keep() { a.kept = a.used }

func (a *bytesArena) reset() { a.used = a.kept }

// bytes returns what a span stands for.
func (a *bytesArena) bytes(s span) []byte {
	if s.len == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(a.base, s.off)), int(s.len))
}

// alloc takes n uncleared bytes; an empty span when the arena is full.
func (a *bytesArena) alloc(n int) (span, []byte) {
	if n <= 0 || uint64(n) > 1<<31 {
		return span{}, nil
	}
	p := a.take(uintptr(n))
	if p == nil {
		return span{}, nil
	}
	s := span{uint32(uintptr(p) - uintptr(a.base)), uint32(n)}
	return s, a.bytes(s)
}

// trim gives back what the newest allocation did not use.
func (a *bytesArena) trim(s span, n int) span {
	if uintptr(s.off)+uintptr(s.len) == a.used {
		a.used = uintptr(s.off) + uintptr(n)
	}
	s.len = uint32(n)
	return s
}

// put copies p into the arena.
func (a *bytesArena) put(p []byte) span {
	s, b := a.alloc(len(p))
	copy(b, p)
	return s
}

func (a *bytesArena) putString(p string) span {
	s, b := a.alloc(len(p))
	copy(b, p)
	return s
}

// A table is a growing array of fixed-size entries that hold no Go pointers.
type table[T any] struct {
	arena
	n int
}

// add returns a new cleared entry; nil when the table is full.
func (t *table[T]) add() *T {
	var zero T
	size := unsafe.Sizeof(zero)
	if !t.ensure(uintptr(t.n+1) * size) {
		return nil
	}
	p := (*T)(unsafe.Add(t.base, uintptr(t.n)*size))
	*p = zero
	t.n++
	return p
}

// extend adds n uncleared entries and returns them; nil when the table is full.
func (t *table[T]) extend(n int) []T {
	var zero T
	if !t.ensure(uintptr(t.n+n) * unsafe.Sizeof(zero)) {
		return nil
	}
	t.n += n
	return t.all()[t.n-n:]
}

// all returns the entries. They stay where they are until clear. It is used everywhere, and its checks inlined are a hundredth
// of the program.
//
//go:noinline
func (t *table[T]) all() []T {
	if t.n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(t.base), t.n)
}

func (t *table[T]) at(i int) *T { return &t.all()[i] }

func (t *table[T]) clear() { t.n = 0 }
