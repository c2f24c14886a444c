package goruntime

import (
	"encoding/binary"
	"unsafe"

	"minidump/context"

	"minidump/internal/snapshot"
)

// Memory reads the memory of the target: a live process, a core file, or any other source.
type Memory = snapshot.Memory

// Request requests len(Dst) bytes at Addr. Got is how many of them were read before the first that could not be. Dst is in
// memory of the caller's Space.
type Request = snapshot.ReadRequest

// whole reports whether a request was served completely.
func whole(q *Request) bool { return q.Got == len(q.Dst) }

// Space provides the memory that this package works in, as arena.Arena does. The caller must keep it for as long as it uses
// what was made in it.
type Space interface {
	// Piece returns n bytes aligned to 16, not cleared, whose address does not change; nil if there is no space. A
	// large piece should cost nothing until it is written to.
	Piece(n int) []byte
}

// maxAlloc is the maximum size of one piece of a Space.
const maxAlloc = 1 << 30

// alloc returns n values that are not cleared. T must not contain pointers into the Go heap, because the garbage
// collector does not scan a Space.
func alloc[T any](s Space, n int) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	if n <= 0 || n > maxAlloc/size {
		return nil
	}
	b := s.Piece(n * size)
	if len(b) < n*size {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// target describes how to read the target's memory.
type target struct {
	arch context.Arch
	big  bool
	word uint64 // 4 or 8
}

func newTarget(arch context.Arch, o binary.ByteOrder) target {
	return target{arch: arch, big: o == binary.ByteOrder(binary.BigEndian), word: uint64(arch.WordSize())}
}

func (t *target) order() binary.ByteOrder {
	if t.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (t *target) u16(b []byte) uint16 {
	if t.big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (t *target) u32(b []byte) uint32 {
	if t.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (t *target) u64(b []byte) uint64 {
	if t.big {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

// ptr reads one word of the target.
func (t *target) ptr(b []byte) uint64 {
	if t.word == 4 {
		return uint64(t.u32(b))
	}
	return t.u64(b)
}

// addr truncates a to the width of the target's addresses. 64-bit kernels report the registers of some 32-bit processes sign-extended.
func (t *target) addr(a uint64) uint64 {
	if t.word == 4 {
		return a & 0xffffffff
	}
	return a
}

// usesLR reports whether a call stores the return address in a register. On x86 it is pushed.
func (t *target) usesLR() bool { return t.arch != context.X86 && t.arch != context.AMD64 }

// maxQuantum is the largest unit of the PC differences in pc-value tables (PCQuantum of internal/goarch). The unit is
// also in pcHeader, as minLC: 2 on riscv64 since Go 1.26, 4 before.
const maxQuantum = 4

// minFrameSize and stackAlign are MinFrameSize and StackAlign of internal/goarch.
func (t *target) minFrameSize() uint64 {
	switch t.arch {
	case context.X86, context.AMD64:
		return 0
	case context.PPC64:
		return 32
	}
	return t.word
}

func (t *target) stackAlign() uint64 {
	switch t.arch {
	case context.ARM64, context.PPC64:
		return 16
	}
	return t.word
}

// pageSize is the unit in which a pages reads. It is at most the page size of any target.
const pageSize = 4096

// pages reads small items from memory that does not change, through a cache.
type pages struct {
	target
	mem    Memory
	tags   []uint64 // address of the page, with bit 0 set; 0: empty
	sizes  []uint32 // how many bytes of the page could be read
	data   []byte
	budget int // how many more pages may be read
	small  []byte
}

// init makes a cache of n pages, a power of two. It returns false if there is no space.
func (r *pages) init(t target, mem Memory, space Space, n, budget int) bool {
	*r = pages{target: t, mem: mem, budget: budget}
	r.tags = alloc[uint64](space, n)
	r.sizes = alloc[uint32](space, n)
	r.data = alloc[byte](space, n*pageSize)
	r.small = alloc[byte](space, 256)
	if r.tags == nil || r.sizes == nil || r.data == nil || r.small == nil {
		return false
	}
	clear(r.tags)
	return true
}

// from returns the readable memory from addr to the end of its page. The slice is valid until the next call.
func (r *pages) from(addr uint64) []byte {
	page := addr &^ (pageSize - 1)
	i := int(page/pageSize) & (len(r.tags) - 1)
	buf := r.data[i*pageSize : (i+1)*pageSize]
	if r.tags[i] != page|1 {
		if r.budget <= 0 {
			return nil
		}
		r.budget--
		r.tags[i], r.sizes[i] = page|1, uint32(max(0, r.mem.Read(page, buf)))
	}
	off := addr - page
	if size := uint64(min(r.sizes[i], pageSize)); off < size {
		return buf[off:size]
	}
	return nil
}

// read fills p from addr. It reports whether all of it could be read.
func (r *pages) read(addr uint64, p []byte) bool {
	for len(p) > 0 {
		n := copy(p, r.from(addr))
		if n == 0 {
			return false
		}
		p = p[n:]
		addr += uint64(n)
		if addr < uint64(n) {
			return false
		}
	}
	return true
}

// at returns n bytes at addr, at most 256, or nil if they can't be read. They are valid until the next call.
func (r *pages) at(addr uint64, n int) []byte {
	if b := r.from(addr); len(b) >= n {
		return b[:n]
	}
	b := r.small[:n]
	if !r.read(addr, b) {
		return nil
	}
	return b
}

func (r *pages) ptrAt(addr uint64) (uint64, bool) {
	b := r.at(addr, int(r.word))
	if b == nil {
		return 0, false
	}
	return r.ptr(b), true
}

func (r *pages) u32At(addr uint64) (uint32, bool) {
	b := r.at(addr, 4)
	if b == nil {
		return 0, false
	}
	return r.u32(b), true
}

// name reads an abi.Name: a byte of flags, the length as a varint, the text. It returns "" if that is implausible, or if
// the text is longer than most. The result is in buf.
func (r *pages) name(addr uint64, buf []byte) []byte {
	n, shift := uint64(0), 0
	at := addr + 1
	for {
		b := r.at(at, 1)
		if b == nil || shift > 14 {
			return nil
		}
		at++
		n |= uint64(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			break
		}
		shift += 7
	}
	if n > uint64(len(buf)) || !r.read(at, buf[:n]) {
		return nil
	}
	return buf[:n]
}
