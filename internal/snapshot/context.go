package snapshot

import (
	"encoding/binary"

	"minidump/context"

	"minidump/internal/arena"
)

// errnoInvalid is EINVAL, which has the same number on all architectures of Linux.
const errnoInvalid = 22

// CheckContext sets t.HasRegs if a CPU context record can be made for a thread: the crash has one, or the raw registers are sufficient.
func (s *Snapshot) CheckContext(t *Thread) {
	if t.Context.Len > 0 || t.GP.Len == 0 {
		return
	}
	if int(t.GP.Len) < s.Target.Arch.GPSize() {
		s.Soft(OpRegisters, errnoInvalid, t.TID, 0)
		t.GP = arena.Span{}
		return
	}
	t.HasRegs = true
}

// pointers stores the integer registers of a thread in out, and returns their number.
func (s *Snapshot) pointers(t *Thread, out []uint64) int {
	if t.Context.Len > 0 {
		return context.IntegerRegisters(s.Target.Arch, s.Bytes.Get(t.Context), s.Target.Order, out)
	}
	r := context.Regsets{Arch: s.Target.Arch, Order: s.Target.Order, GP: s.Bytes.Get(t.GP)}
	if len(r.GP) == 0 {
		return 0
	}
	return r.Registers(out)
}

// ContextSize returns the length of a thread's own CPU context record, or 0 if no register is known: then EmptyContext replaces it.
func (s *Snapshot) ContextSize(t *Thread) int {
	switch {
	case !t.HasRegs && (!t.HasSP || t.ContextDropped):
		return 0
	case t.Context.Len > 0:
		return int(t.Context.Len)
	}
	return s.Target.Arch.ContextSize()
}

// PutContext writes the CPU context record of a thread to b, whose length must be ContextSize. debug is scratch.
// Records are made only when they are written, because raw registers take half the memory.
func (s *Snapshot) PutContext(b []byte, t *Thread, debug *[8]uint64) {
	if t.Context.Len > 0 {
		copy(b, s.Bytes.Get(t.Context))
		return
	}
	if !t.HasRegs {
		context.EncodeControl(b, s.Target.Arch, s.Target.Order, t.PC, t.SP)
		return
	}
	r := context.Regsets{Arch: s.Target.Arch, Order: s.Target.Order, GP: s.Bytes.Get(t.GP)}
	if t.FP.Len > 0 {
		r.FP = s.Bytes.Get(t.FP)
	}
	if t.Vector.Len > 0 {
		r.Extra = s.Bytes.Get(t.Vector)
	}
	if t.Debug.Len == 64 {
		d := s.Bytes.Get(t.Debug)
		for i := range debug {
			debug[i] = binary.NativeEndian.Uint64(d[8*i:])
		}
		r.Debug = debug
	}
	r.Encode(b)
}

// EmptyContextSize returns the length of the record that EmptyContext writes, or 0 if no thread needs it or the
// architecture has no record. Readers such as udmp-parser and Crashpad refuse a dump in which a thread has no
// context, so all threads without their own share this one.
func (s *Snapshot) EmptyContextSize() int {
	for i := range s.Threads.All() {
		if s.ContextSize(s.Threads.At(i)) == 0 {
			return s.Target.Arch.ContextSize()
		}
	}
	return 0
}

// EmptyContext writes to b a record that says that no register is known. b must have EmptyContextSize bytes.
func (s *Snapshot) EmptyContext(b []byte) { context.EncodeEmpty(b, s.Target.Arch, s.Target.Order) }

// MaxRegsets limits the additional register sets of one thread, in bytes. The largest is ZA of SME, 64 KiB with the
// longest vectors; SVE has 9 KiB.
const MaxRegsets = 128 << 10

// EndRegset completes a register set whose n bytes are at b[used+8:]: it writes type and size before them and pads
// them to a multiple of 8. It returns the offset for the next one.
func (s *Snapshot) EndRegset(b []byte, used int, note uint32, n int) int {
	s.Target.Order.PutUint32(b[used:], note)
	s.Target.Order.PutUint32(b[used+4:], uint32(n))
	used += 8 + n
	for used&7 != 0 && used < len(b) {
		b[used] = 0
		used++
	}
	return used
}
