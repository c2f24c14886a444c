package encode

import (
	"minidump/stream"

	"minidump/internal/snapshot"
)

// putMemory puts the memory descriptors and the memory. In mode full that is a Memory64List, whose ranges follow one
// another up to any size. The stacks of threads are then written twice, the first time before the list, because a
// thread refers to its stack by a 32-bit offset.
func (f *File) putMemory() {
	s, e := f.snap, &f.enc
	rs := s.Memory.All()
	if f.snap.Want.Mode != snapshot.ModeFull {
		off := f.begin()
		e.U32(uint32(len(rs)))
		for i := range rs {
			d := stream.MemoryDescriptor{Start: rs[i].Start, Memory: f.location(f.at.memory[i], rs[i].Size)}
			d.Put(e.Next(stream.MemoryDescriptorSize), e.Order())
		}
		f.end(stream.MemoryListStream, off)
		e.Align(16)
		f.putRanges(rs)
		return
	}
	e.Align(16)
	f.putRanges(rs)
	full := s.Full.All()
	off := f.begin()
	h := stream.Memory64List{NumberOfMemoryRanges: uint64(len(full)), BaseRVA: f.at.memory64}
	h.Put(e.Next(stream.Memory64ListSize), e.Order())
	for i := range full {
		d := stream.MemoryDescriptor64{Start: full[i].Start, DataSize: full[i].Size}
		d.Put(e.Next(stream.MemoryDescriptor64Size), e.Order())
	}
	f.end(stream.Memory64ListStream, off)
	e.Align(16)
	f.at.memory64 = e.Offset()
	for i := range full {
		if f.writing {
			f.streamMemory(&full[i])
		} else {
			e.Zero(full[i].Size)
		}
	}
}

// putRanges puts captured memory. Ranges that are adjacent in the snapshot's arena are passed to the encoder in one
// piece, which the encoder does not have to copy.
func (f *File) putRanges(rs []snapshot.MemoryRange) {
	s, e := f.snap, &f.enc
	for i := 0; i < len(rs); {
		at, run := e.Offset(), rs[i].Data
		f.at.memory[i] = at
		for i++; i < len(rs) && rs[i].Data.Off == run.Off+run.Len; i++ {
			f.at.memory[i] = at + uint64(run.Len)
			run.Len += rs[i].Data.Len
		}
		e.Bytes(s.Bytes.Get(run))
	}
	f.placeStacks()
}

// placeStacks records the offsets of the thread stacks for the thread list. The memory must have been put.
func (f *File) placeStacks() {
	if f.writing {
		return
	}
	s := f.snap
	for i := range s.Threads.All() {
		t := s.Threads.At(i)
		f.at.stack[i] = 0
		if t.StackHi <= t.StackLo {
			continue
		}
		if k := s.RangeOf(t.StackLo); k >= 0 {
			f.at.stack[i] = f.at.memory[k] + (t.StackLo - s.Memory.At(k).Start)
		}
	}
}

// streamMemory reads a range from the target and writes it, a chunk at a time. Unreadable pages are written as zeros,
// so that all offsets stay valid.
func (f *File) streamMemory(r *snapshot.MemoryRange) {
	s, e := f.snap, &f.enc
	page := s.Target.PageSize
	for at, left := r.Start, r.Size; left > 0; {
		buf := f.chunk[:min(uint64(len(f.chunk)), left)]
		n := f.mem.Read(at, buf)
		if err := f.mem.Expired(); err != nil {
			e.Fail(err)
			e.Zero(left)
			return
		}
		if n < len(buf) {
			// Continue after the page that could not be read.
			next := min((at+uint64(n))&^(page-1)+page-at, uint64(len(buf)))
			clear(buf[n:next])
			if !r.Gap || f.isThere(at+uint64(n)) {
				f.unreadable += next - uint64(n)
				if f.unreadable == next-uint64(n) {
					s.Soft(snapshot.OpPages, 0, 0, at+uint64(n))
				}
			}
			buf = buf[:next]
		}
		if f.snap.Want.SanitizeAll {
			s.SanitizeStreamed(buf, at)
		}
		e.Bytes(buf)
		if e.Err() != nil {
			e.Zero(left - uint64(len(buf)))
			return
		}
		at += uint64(len(buf))
		left -= uint64(len(buf))
	}
}

// isThere reports whether the process has a page at addr.
func (f *File) isThere(addr uint64) bool {
	from, _, ok := f.mem.There(addr, addr+1, 0)
	return ok && from == addr
}
