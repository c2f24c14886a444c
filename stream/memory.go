package stream

import "encoding/binary"

// MemoryDescriptorSize is the size of a MemoryDescriptor in bytes.
const MemoryDescriptorSize = 16

// MemoryDescriptor is MINIDUMP_MEMORY_DESCRIPTOR: a piece of the process's memory in the file.
//
//	0 uint64   StartOfMemoryRange
//	8 Location Memory
type MemoryDescriptor struct {
	Start  uint64   // address in the process
	Memory Location // size and where in the file
}

// Put writes the MemoryDescriptorSize bytes of r to b.
func (r *MemoryDescriptor) Put(b []byte, o binary.ByteOrder) {
	_ = b[MemoryDescriptorSize-1]
	o.PutUint64(b[0:], r.Start)
	r.Memory.Put(b[8:], o)
}

// Get reads r from the first MemoryDescriptorSize bytes of b.
func (r *MemoryDescriptor) Get(b []byte, o binary.ByteOrder) {
	_ = b[MemoryDescriptorSize-1]
	r.Start = o.Uint64(b[0:])
	r.Memory.Get(b[8:], o)
}

// Memory64ListSize is the size of a Memory64List in bytes.
const Memory64ListSize = 16

// Memory64List is the head of MINIDUMP_MEMORY64_LIST. NumberOfMemoryRanges entries, each a MemoryDescriptor64, follow it. The
// memory of all ranges is contiguous from BaseRVA on, so it is the only part of a file that can lie above 4 GiB.
//
//	0 uint64 NumberOfMemoryRanges
//	8 uint64 BaseRva
type Memory64List struct {
	NumberOfMemoryRanges uint64
	BaseRVA              uint64 // offset in the file of the first range's bytes
}

// Put writes the Memory64ListSize bytes of r to b.
func (r *Memory64List) Put(b []byte, o binary.ByteOrder) {
	_ = b[Memory64ListSize-1]
	o.PutUint64(b[0:], r.NumberOfMemoryRanges)
	o.PutUint64(b[8:], r.BaseRVA)
}

// Get reads r from the first Memory64ListSize bytes of b.
func (r *Memory64List) Get(b []byte, o binary.ByteOrder) {
	_ = b[Memory64ListSize-1]
	r.NumberOfMemoryRanges = o.Uint64(b[0:])
	r.BaseRVA = o.Uint64(b[8:])
}

// MemoryDescriptor64Size is the size of a MemoryDescriptor64 in bytes.
const MemoryDescriptor64Size = 16

// MemoryDescriptor64 is MINIDUMP_MEMORY_DESCRIPTOR64: a range of a Memory64List.
//
//	0 uint64 StartOfMemoryRange
//	8 uint64 DataSize
type MemoryDescriptor64 struct {
	Start    uint64 // address in the process
	DataSize uint64 // bytes
}

// Put writes the MemoryDescriptor64Size bytes of r to b.
func (r *MemoryDescriptor64) Put(b []byte, o binary.ByteOrder) {
	_ = b[MemoryDescriptor64Size-1]
	o.PutUint64(b[0:], r.Start)
	o.PutUint64(b[8:], r.DataSize)
}

// Get reads r from the first MemoryDescriptor64Size bytes of b.
func (r *MemoryDescriptor64) Get(b []byte, o binary.ByteOrder) {
	_ = b[MemoryDescriptor64Size-1]
	r.Start = o.Uint64(b[0:])
	r.DataSize = o.Uint64(b[8:])
}

// MemoryInfoListSize is the size of a MemoryInfoList in bytes.
const MemoryInfoListSize = 16

// MemoryInfoList is the head of MINIDUMP_MEMORY_INFO_LIST; the entries follow it.
//
//	0 uint32 SizeOfHeader
//	4 uint32 SizeOfEntry
//	8 uint64 NumberOfEntries
type MemoryInfoList struct {
	SizeOfHeader    uint32 // MemoryInfoListSize
	SizeOfEntry     uint32 // MemoryInfoSize
	NumberOfEntries uint64
}

// Put writes the MemoryInfoListSize bytes of r to b.
func (r *MemoryInfoList) Put(b []byte, o binary.ByteOrder) {
	_ = b[MemoryInfoListSize-1]
	o.PutUint32(b[0:], r.SizeOfHeader)
	o.PutUint32(b[4:], r.SizeOfEntry)
	o.PutUint64(b[8:], r.NumberOfEntries)
}

// Get reads r from the first MemoryInfoListSize bytes of b.
func (r *MemoryInfoList) Get(b []byte, o binary.ByteOrder) {
	_ = b[MemoryInfoListSize-1]
	r.SizeOfHeader = o.Uint32(b[0:])
	r.SizeOfEntry = o.Uint32(b[4:])
	r.NumberOfEntries = o.Uint64(b[8:])
}

// Values of MemoryInfo.State.
const (
	MEM_COMMIT  = 0x1000
	MEM_RESERVE = 0x2000
	MEM_FREE    = 0x10000
)

// Values of MemoryInfo.Type.
const (
	MEM_PRIVATE = 0x20000
	MEM_MAPPED  = 0x40000
	MEM_IMAGE   = 0x1000000
)

// Values of MemoryInfo.Protect and MemoryInfo.AllocationProtect.
const (
	PAGE_NOACCESS          = 0x01
	PAGE_READONLY          = 0x02
	PAGE_READWRITE         = 0x04
	PAGE_WRITECOPY         = 0x08
	PAGE_EXECUTE           = 0x10
	PAGE_EXECUTE_READ      = 0x20
	PAGE_EXECUTE_READWRITE = 0x40
	PAGE_EXECUTE_WRITECOPY = 0x80
	PAGE_GUARD             = 0x100
)

// MemoryInfoSize is the size of a MemoryInfo in bytes.
const MemoryInfoSize = 48

// MemoryInfo is MINIDUMP_MEMORY_INFO: a mapping of the address space, whether or not the file contains its bytes.
//
//	 0 uint64 BaseAddress
//	 8 uint64 AllocationBase
//	16 uint32 AllocationProtect
//	20 uint32 reserved
//	24 uint64 RegionSize
//	32 uint32 State
//	36 uint32 Protect
//	40 uint32 Type
//	44 uint32 reserved
type MemoryInfo struct {
	BaseAddress       uint64
	AllocationBase    uint64
	AllocationProtect uint32 // PAGE_… when the mapping was made
	RegionSize        uint64 // bytes
	State             uint32 // MEM_COMMIT, MEM_RESERVE or MEM_FREE
	Protect           uint32 // PAGE_… now
	Type              uint32 // MEM_PRIVATE, MEM_MAPPED or MEM_IMAGE
}

// Put writes the MemoryInfoSize bytes of r to b.
func (r *MemoryInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[MemoryInfoSize-1]
	o.PutUint64(b[0:], r.BaseAddress)
	o.PutUint64(b[8:], r.AllocationBase)
	o.PutUint32(b[16:], r.AllocationProtect)
	o.PutUint32(b[20:], 0)
	o.PutUint64(b[24:], r.RegionSize)
	o.PutUint32(b[32:], r.State)
	o.PutUint32(b[36:], r.Protect)
	o.PutUint32(b[40:], r.Type)
	o.PutUint32(b[44:], 0)
}

// Get reads r from the first MemoryInfoSize bytes of b.
func (r *MemoryInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[MemoryInfoSize-1]
	r.BaseAddress = o.Uint64(b[0:])
	r.AllocationBase = o.Uint64(b[8:])
	r.AllocationProtect = o.Uint32(b[16:])
	r.RegionSize = o.Uint64(b[24:])
	r.State = o.Uint32(b[32:])
	r.Protect = o.Uint32(b[36:])
	r.Type = o.Uint32(b[40:])
}
