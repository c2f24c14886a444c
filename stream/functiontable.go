package stream

import (
	"encoding/binary"

	"minidump/internal/errtext"
)

// FunctionTableListSize is the size of a FunctionTableList in bytes.
const FunctionTableListSize = 24

// FunctionTableList is MINIDUMP_FUNCTION_TABLE_STREAM, the head of the FunctionTableStream. The tables follow it and its padding.
// Each consists of a FunctionTable, a descriptor in the operating system's own form, the entries, and padding.
//
//	 0 uint32 SizeOfHeader
//	 4 uint32 SizeOfDescriptor
//	 8 uint32 SizeOfNativeDescriptor
//	12 uint32 SizeOfFunctionEntry
//	16 uint32 NumberOfDescriptors
//	20 uint32 SizeOfAlignPad
type FunctionTableList struct {
	SizeOfHeader           uint32 // FunctionTableListSize
	SizeOfDescriptor       uint32 // FunctionTableSize
	SizeOfNativeDescriptor uint32 // bytes of the descriptor in the system's own form
	SizeOfFunctionEntry    uint32 // bytes of an entry: 12 of an amd64 RUNTIME_FUNCTION
	NumberOfDescriptors    uint32
	SizeOfAlignPad         uint32 // bytes of padding after this head
}

// Put writes the FunctionTableListSize bytes of r to b.
func (r *FunctionTableList) Put(b []byte, o binary.ByteOrder) {
	_ = b[FunctionTableListSize-1]
	o.PutUint32(b[0:], r.SizeOfHeader)
	o.PutUint32(b[4:], r.SizeOfDescriptor)
	o.PutUint32(b[8:], r.SizeOfNativeDescriptor)
	o.PutUint32(b[12:], r.SizeOfFunctionEntry)
	o.PutUint32(b[16:], r.NumberOfDescriptors)
	o.PutUint32(b[20:], r.SizeOfAlignPad)
}

// Get reads r from the first FunctionTableListSize bytes of b.
func (r *FunctionTableList) Get(b []byte, o binary.ByteOrder) {
	_ = b[FunctionTableListSize-1]
	r.SizeOfHeader = o.Uint32(b[0:])
	r.SizeOfDescriptor = o.Uint32(b[4:])
	r.SizeOfNativeDescriptor = o.Uint32(b[8:])
	r.SizeOfFunctionEntry = o.Uint32(b[12:])
	r.NumberOfDescriptors = o.Uint32(b[16:])
	r.SizeOfAlignPad = o.Uint32(b[20:])
}

// FunctionTableSize is the size of a FunctionTable in bytes.
const FunctionTableSize = 32

// FunctionTable is MINIDUMP_FUNCTION_TABLE_DESCRIPTOR: unwind information of code generated at run time (RtlAddFunctionTable).
//
//	 0 uint64 MinimumAddress
//	 8 uint64 MaximumAddress
//	16 uint64 BaseAddress
//	24 uint32 EntryCount
//	28 uint32 SizeOfAlignPad
type FunctionTable struct {
	MinimumAddress uint64 // of the functions in the table
	MaximumAddress uint64
	BaseAddress    uint64 // the base of the addresses in the entries
	EntryCount     uint32
	SizeOfAlignPad uint32 // bytes of padding after the entries
}

// Put writes the FunctionTableSize bytes of r to b.
func (r *FunctionTable) Put(b []byte, o binary.ByteOrder) {
	_ = b[FunctionTableSize-1]
	o.PutUint64(b[0:], r.MinimumAddress)
	o.PutUint64(b[8:], r.MaximumAddress)
	o.PutUint64(b[16:], r.BaseAddress)
	o.PutUint32(b[24:], r.EntryCount)
	o.PutUint32(b[28:], r.SizeOfAlignPad)
}

// Get reads r from the first FunctionTableSize bytes of b.
func (r *FunctionTable) Get(b []byte, o binary.ByteOrder) {
	_ = b[FunctionTableSize-1]
	r.MinimumAddress = o.Uint64(b[0:])
	r.MaximumAddress = o.Uint64(b[8:])
	r.BaseAddress = o.Uint64(b[16:])
	r.EntryCount = o.Uint32(b[24:])
	r.SizeOfAlignPad = o.Uint32(b[28:])
}

// FunctionTableData is a FunctionTable with the data that follows it.
type FunctionTableData struct {
	FunctionTable
	Native  []byte // the descriptor in the system's own form
	Entries []byte // EntryCount of them
}

// FunctionTables returns the tables of the FunctionTableStream.
func (f *File) FunctionTables() ([]FunctionTableData, error) {
	b, err := f.fixed(FunctionTableStream, FunctionTableListSize)
	if err != nil {
		return nil, err
	}
	var h FunctionTableList
	h.Get(b, f.Order)
	if h.SizeOfHeader < FunctionTableListSize || h.SizeOfDescriptor < FunctionTableSize {
		return nil, errtext.Wrap(ErrFormat, FunctionTableStream, " has a head of ", h.SizeOfHeader, " bytes and tables of ",
			h.SizeOfDescriptor)
	}
	rest := bytesOf{b}
	rest.next(uint64(h.SizeOfHeader) + uint64(h.SizeOfAlignPad))
	var list []FunctionTableData
	for i := range h.NumberOfDescriptors {
		descriptor := rest.next(uint64(h.SizeOfDescriptor))
		if descriptor == nil {
			return list, errtext.Wrap(ErrTruncated, FunctionTableStream, " has ", h.NumberOfDescriptors,
				" tables, and room for ", i)
		}
		var t FunctionTableData
		t.Get(descriptor, f.Order)
		t.Native = rest.next(uint64(h.SizeOfNativeDescriptor))
		size := uint64(t.EntryCount) * uint64(h.SizeOfFunctionEntry)
		t.Entries = rest.next(size)
		if t.Native == nil || t.Entries == nil {
			return list, errtext.Wrap(ErrTruncated, FunctionTableStream, ": a table of ", size, " bytes")
		}
		rest.next(uint64(t.SizeOfAlignPad))
		list = append(list, t)
	}
	return list, nil
}

// bytesOf cuts pieces off the start of left.
type bytesOf struct{ left []byte }

// next returns the next n bytes. If there are fewer, it returns nil and drops them.
func (b *bytesOf) next(n uint64) []byte {
	if n > uint64(len(b.left)) {
		b.left = nil
		return nil
	}
	piece := b.left[:n:n]
	b.left = b.left[n:]
	return piece
}
