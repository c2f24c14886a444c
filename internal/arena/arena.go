package arena

import "unsafe"

// An Arena is address space that is reserved once and made usable in steps. Its contents never move, and allocating
// from it is not a Go allocation. Between dumps an arena is emptied, not freed.
//
// The reserved size limits how many entries one dump can hold. Address space that is not touched costs nothing.
type Arena struct {
	base unsafe.Pointer
	size uintptr // reserved
	open uintptr // usable so far
	Used uintptr // taken so far, in bytes
}

// Unit is the unit of arena sizes in bytes: 1 MiB, or an eighth of that where addresses are 32 bits wide.
const Unit = 1 << (17 + 3*(^uintptr(0)>>63))

// Step is the minimum number of bytes by which an arena grows.
const Step = 64 << 10

// Ensure makes the first end bytes of the arena usable. It returns false if that is more than is reserved, or if the
// system is out of memory.
func (a *Arena) Ensure(end uintptr) bool {
	if end <= a.open {
		return true
	}
	if end > a.size {
		return false
	}
	// Doubling keeps the number of system calls low for an arena of any size. Untouched pages cost nothing.
	step := min(max(a.open, (end-a.open+Step-1)&^(Step-1)), a.size-a.open)
	if !openPages(unsafe.Add(a.base, a.open), step) {
		return false
	}
	a.open += step
	return true
}

// take returns n bytes of the arena, aligned to 16 and not cleared, or nil when the arena is full.
func (a *Arena) take(n uintptr) unsafe.Pointer {
	start := (a.Used + 15) &^ 15
	if n > a.size || start > a.size-n || !a.Ensure(start+n) {
		return nil
	}
	a.Used = start + n
	return unsafe.Add(a.base, start)
}

// Piece returns n bytes of the arena, aligned to 16 and not cleared, with no spare capacity; nil when the arena is full.
func (a *Arena) Piece(n int) []byte {
	p := a.take(uintptr(n))
	if p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p), n)
}

// A Span refers to a run of bytes in a byte arena, by offset and length. The zero Span is empty.
type Span struct{ Off, Len uint32 }

// Bytes is an arena of byte runs, which are referred to by Span.
type Bytes struct {
	Arena
	kept uintptr // bytes that Reset does not free
}

// Keep makes the bytes that were put so far survive Reset.
func (a *Bytes) Keep() { a.kept = a.Used }

// Reset frees everything except the bytes marked by Keep. Older spans become invalid.
func (a *Bytes) Reset() { a.Used = a.kept }

// Get returns the bytes of a span, nil for an empty one. They are valid until Reset.
func (a *Bytes) Get(s Span) []byte {
	if s.Len == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(a.base, s.Off)), int(s.Len))
}

// Alloc allocates n bytes, which are not cleared. The span is empty and the slice nil if the arena is full, n is 0 or n exceeds 2 GiB.
func (a *Bytes) Alloc(n int) (Span, []byte) {
	if n <= 0 || uint64(n) > 1<<31 {
		return Span{}, nil
	}
	p := a.take(uintptr(n))
	if p == nil {
		return Span{}, nil
	}
	s := Span{uint32(uintptr(p) - uintptr(a.base)), uint32(n)}
	return s, a.Get(s)
}

// Trim shortens s to its first n bytes and returns the result. If s is the newest allocation, the rest of it is free
// again.
func (a *Bytes) Trim(s Span, n int) Span {
	if uintptr(s.Off)+uintptr(s.Len) == a.Used {
		a.Used = uintptr(s.Off) + uintptr(n)
	}
	s.Len = uint32(n)
	return s
}

// Put copies p into the arena. The span is empty when the arena is full.
func (a *Bytes) Put(p []byte) Span {
	s, b := a.Alloc(len(p))
	copy(b, p)
	return s
}

// PutString is Put for a string.
func (a *Bytes) PutString(p string) Span {
	s, b := a.Alloc(len(p))
	copy(b, p)
	return s
}

// A Table is a growing array of fixed-size entries. T must not hold pointers into the Go heap.
type Table[T any] struct {
	Arena
	N int // entries in use
}

// Add appends a cleared entry and returns it, or nil when the table is full.
func (t *Table[T]) Add() *T {
	var zero T
	size := unsafe.Sizeof(zero)
	if !t.Ensure(uintptr(t.N+1) * size) {
		return nil
	}
	p := unsafe.Add(t.base, uintptr(t.N)*size)
	clear(unsafe.Slice((*byte)(p), size)) // *p = zero would put a T on the stack, which must not grow
	t.N++
	return (*T)(p)
}

// Extend appends n entries, which are not cleared, and returns them, or nil when the table is full.
func (t *Table[T]) Extend(n int) []T {
	var zero T
	if !t.Ensure(uintptr(t.N+n) * unsafe.Sizeof(zero)) {
		return nil
	}
	t.N += n
	return t.All()[t.N-n:]
}

// All returns the entries. Their addresses do not change until Clear.
//
// It is not inlined: it is called everywhere, and the copies would be a hundredth of the program's code.
//
//go:noinline
func (t *Table[T]) All() []T {
	if t.N == 0 {
		return nil
	}
	return unsafe.Slice((*T)(t.base), t.N)
}

// At returns entry i, which must be less than N.
func (t *Table[T]) At(i int) *T { return &t.All()[i] }

// Clear removes all entries but keeps the memory.
func (t *Table[T]) Clear() { t.N = 0 }

// Search returns the index of the first entry that ends above addr, or len(entries) if there is none. The entries must
// be sorted by address and must not overlap. end returns the address after an entry.
func Search[T any](entries []T, addr uint64, end func(*T) uint64) int {
	lo, hi := 0, len(entries)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if end(&entries[mid]) <= addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}
