package stream

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"sort"

	"minidump/internal/errtext"
)

// MemoryRange is a piece of the process's memory in the file. It does not extend beyond the end of the address space, where
// Addr+Size is 0.
type MemoryRange struct {
	Addr   uint64 // in the process
	Size   uint64 // bytes, at least 1
	Offset uint64 // in the file
}

// last returns the address of the last byte.
func (m *MemoryRange) last() uint64 { return m.Addr + m.Size - 1 }

// ErrNoMemory is returned by ReadMemory if the file does not contain the byte at the address.
var ErrNoMemory = errors.New("this memory is not in the minidump")

// MemoryRanges returns the memory of MemoryListStream and Memory64ListStream, sorted by address and without overlaps: bytes that
// the file has twice belong to the range with the lower start. A range that lies only partly in the file is cut, and an error is
// returned too. There is no error if the file has neither stream. The caller must not change the list.
func (f *File) MemoryRanges() ([]MemoryRange, error) {
	f.ranges.Do(func() {
		list, err := f.rawRanges()
		f.memory, f.memoryErr = disjoint(list), err
	})
	return f.memory, f.memoryErr
}

// rawRanges returns the ranges of both lists in the file's order. Ranges that lie partly outside of the file are cut.
func (f *File) rawRanges() (list []MemoryRange, err error) {
	fail := func(e error) {
		if err == nil {
			err = e
		}
	}
	b, n, e := f.list(MemoryListStream, MemoryDescriptorSize)
	if e != nil && !errors.Is(e, ErrNoStream) {
		fail(e)
	}
	for i := range n {
		var r MemoryDescriptor
		r.Get(b[i*MemoryDescriptorSize:], f.Order)
		m, e := f.clip(MemoryRange{r.Start, uint64(r.Memory.DataSize), uint64(r.Memory.RVA)})
		if e != nil {
			fail(e)
		}
		list = append(list, m)
	}
	b, e = f.fixed(Memory64ListStream, Memory64ListSize)
	if e != nil {
		if !errors.Is(e, ErrNoStream) {
			fail(e)
		}
		return list, err
	}
	var h Memory64List
	h.Get(b, f.Order)
	b, n, e = fit(Memory64ListStream, b[Memory64ListSize:], h.NumberOfMemoryRanges, MemoryDescriptor64Size)
	if e != nil {
		fail(e)
	}
	offset := h.BaseRVA
	for i := range n {
		var r MemoryDescriptor64
		r.Get(b[i*MemoryDescriptor64Size:], f.Order)
		m, e := f.clip(MemoryRange{r.Start, r.DataSize, offset})
		if e != nil {
			fail(e)
		}
		list = append(list, m)
		if offset+r.DataSize < offset {
			fail(errtext.Wrap(ErrFormat, Memory64ListStream, ": sum of sizes exceeds 64 bits"))
			break
		}
		offset += r.DataSize
	}
	return list, err
}

// clip cuts m to the part that lies in the file and in the address space.
func (f *File) clip(m MemoryRange) (MemoryRange, error) {
	var err error
	if !f.inside(m.Offset, m.Size) {
		err = errtext.Wrap(ErrTruncated, "memory at ", errtext.Hex(m.Addr), ": ", m.Size, " bytes at ", errtext.Hex(m.Offset),
			" of a file of ", f.size)
		m.Size = f.size - min(m.Offset, f.size)
	}
	if m.Size > 0 && m.Addr+(m.Size-1) < m.Addr {
		err = errtext.Wrap(ErrFormat, "memory at ", errtext.Hex(m.Addr), ": ", m.Size,
			" bytes extend past the end of the address space")
		m.Size = -m.Addr
	}
	return m, err
}

// disjoint sorts list and removes empty ranges and overlaps.
func disjoint(list []MemoryRange) []MemoryRange {
	slices.SortStableFunc(list, func(a, b MemoryRange) int { return cmp.Compare(a.Addr, b.Addr) })
	out := list[:0]
	for _, m := range list {
		if m.Size == 0 {
			continue
		}
		if len(out) > 0 {
			end := out[len(out)-1].last()
			if m.last() <= end {
				continue
			}
			if m.Addr <= end {
				cut := end - m.Addr + 1
				m.Addr, m.Size, m.Offset = m.Addr+cut, m.Size-cut, m.Offset+cut
			}
		}
		out = append(out, m)
	}
	return out
}

// ReadMemory reads len(p) bytes of the process's memory at addr, across adjacent ranges. It returns the number of bytes before
// the first that the file does not contain, with ErrNoMemory if that number is less than len(p).
func (f *File) ReadMemory(addr uint64, p []byte) (int, error) {
	ranges, _ := f.MemoryRanges() // ranges that can't be listed count as missing
	i := sort.Search(len(ranges), func(i int) bool { return ranges[i].last() >= addr })
	done := 0
	for ; done < len(p); i++ {
		if i == len(ranges) || ranges[i].Addr > addr {
			return done, ErrNoMemory
		}
		m := &ranges[i]
		skip := addr - m.Addr
		n := min(m.Size-skip, uint64(len(p)-done))
		k, err := f.r.ReadAt(p[done:done+int(n)], int64(m.Offset+skip))
		done += k
		if uint64(k) < n {
			if err == nil || err == io.EOF {
				err = ErrTruncated
			}
			return done, errtext.Wrap(err, "memory at ", errtext.Hex(addr+uint64(k)))
		}
		addr += n
		if addr == 0 && done < len(p) { // past the end of the address space
			return done, ErrNoMemory
		}
	}
	return done, nil
}
