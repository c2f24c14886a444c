package stream

import "encoding/binary"

// HandleDataHeaderSize is the size of a HandleDataHeader in bytes.
const HandleDataHeaderSize = 16

// HandleDataHeader is MINIDUMP_HANDLE_DATA_STREAM; the descriptors follow it.
//
//	 0 uint32 SizeOfHeader
//	 4 uint32 SizeOfDescriptor
//	 8 uint32 NumberOfDescriptors
//	12 uint32 Reserved
type HandleDataHeader struct {
	SizeOfHeader        uint32 // HandleDataHeaderSize
	SizeOfDescriptor    uint32 // HandleDescriptorSize or HandleDescriptor2Size
	NumberOfDescriptors uint32
}

// Put writes the HandleDataHeaderSize bytes of r to b.
func (r *HandleDataHeader) Put(b []byte, o binary.ByteOrder) {
	_ = b[HandleDataHeaderSize-1]
	o.PutUint32(b[0:], r.SizeOfHeader)
	o.PutUint32(b[4:], r.SizeOfDescriptor)
	o.PutUint32(b[8:], r.NumberOfDescriptors)
	o.PutUint32(b[12:], 0)
}

// Get reads r from the first HandleDataHeaderSize bytes of b.
func (r *HandleDataHeader) Get(b []byte, o binary.ByteOrder) {
	_ = b[HandleDataHeaderSize-1]
	r.SizeOfHeader = o.Uint32(b[0:])
	r.SizeOfDescriptor = o.Uint32(b[4:])
	r.NumberOfDescriptors = o.Uint32(b[8:])
}

// HandleDescriptorSize is the size of a HandleDescriptor in bytes.
const HandleDescriptorSize = 32

// HandleDescriptor is MINIDUMP_HANDLE_DESCRIPTOR: a handle, or on Linux a file descriptor.
//
//	 0 uint64 Handle
//	 8 uint32 TypeNameRva
//	12 uint32 ObjectNameRva
//	16 uint32 Attributes
//	20 uint32 GrantedAccess
//	24 uint32 HandleCount
//	28 uint32 PointerCount
type HandleDescriptor struct {
	Handle        uint64
	TypeNameRVA   uint32 // of a string; 0 if there is none
	ObjectNameRVA uint32 // of a string; 0 if there is none. Linux: the target of /proc/PID/fd/N
	Attributes    uint32 // Linux: st_mode
	GrantedAccess uint32
	HandleCount   uint32
	PointerCount  uint32
}

// Put writes the HandleDescriptorSize bytes of r to b.
func (r *HandleDescriptor) Put(b []byte, o binary.ByteOrder) {
	_ = b[HandleDescriptorSize-1]
	o.PutUint64(b[0:], r.Handle)
	o.PutUint32(b[8:], r.TypeNameRVA)
	o.PutUint32(b[12:], r.ObjectNameRVA)
	o.PutUint32(b[16:], r.Attributes)
	o.PutUint32(b[20:], r.GrantedAccess)
	o.PutUint32(b[24:], r.HandleCount)
	o.PutUint32(b[28:], r.PointerCount)
}

// Get reads r from the first HandleDescriptorSize bytes of b.
func (r *HandleDescriptor) Get(b []byte, o binary.ByteOrder) {
	_ = b[HandleDescriptorSize-1]
	r.Handle = o.Uint64(b[0:])
	r.TypeNameRVA = o.Uint32(b[8:])
	r.ObjectNameRVA = o.Uint32(b[12:])
	r.Attributes = o.Uint32(b[16:])
	r.GrantedAccess = o.Uint32(b[20:])
	r.HandleCount = o.Uint32(b[24:])
	r.PointerCount = o.Uint32(b[28:])
}

// HandleDescriptor2Size is the size of a HandleDescriptor2 in bytes.
const HandleDescriptor2Size = 40

// HandleDescriptor2 is MINIDUMP_HANDLE_DESCRIPTOR_2.
//
//	 0 HandleDescriptor
//	32 uint32 ObjectInfoRva
//	36 uint32 Reserved0
type HandleDescriptor2 struct {
	HandleDescriptor
	ObjectInfoRVA uint32 // of a MINIDUMP_HANDLE_OBJECT_INFORMATION; 0 if there is none
}

// Put writes the HandleDescriptor2Size bytes of r to b.
func (r *HandleDescriptor2) Put(b []byte, o binary.ByteOrder) {
	_ = b[HandleDescriptor2Size-1]
	r.HandleDescriptor.Put(b, o)
	o.PutUint32(b[32:], r.ObjectInfoRVA)
	o.PutUint32(b[36:], 0)
}

// Get reads r from the first HandleDescriptor2Size bytes of b.
func (r *HandleDescriptor2) Get(b []byte, o binary.ByteOrder) {
	_ = b[HandleDescriptor2Size-1]
	r.HandleDescriptor.Get(b, o)
	r.ObjectInfoRVA = o.Uint32(b[32:])
}

// HandleObjectInformationSize is the size of a HandleObjectInformation in bytes.
const HandleObjectInformationSize = 12

// Values of HandleObjectInformation.InfoType (MINIDUMP_HANDLE_OBJECT_INFORMATION_TYPE). The data of each is not documented.
const (
	MiniHandleObjectInformationNone = iota
	MiniThreadInformation1
	MiniMutantInformation1
	MiniMutantInformation2
	MiniProcessInformation1
	MiniProcessInformation2
	MiniEventInformation1
	MiniSectionInformation1
	MiniSemaphoreInformation1
)

// HandleObjectInformation is MINIDUMP_HANDLE_OBJECT_INFORMATION, an element of the list that HandleDescriptor2 starts.
// Data follows it.
//
//	0 uint32 NextInfoRva
//	4 uint32 InfoType
//	8 uint32 SizeOfInfo
type HandleObjectInformation struct {
	NextInfoRVA uint32 // of the next element; 0 in the last one
	InfoType    uint32 // Mini…Information…
	SizeOfInfo  uint32 // bytes of the element, this head included
}

// Put writes the HandleObjectInformationSize bytes of r to b.
func (r *HandleObjectInformation) Put(b []byte, o binary.ByteOrder) {
	_ = b[HandleObjectInformationSize-1]
	o.PutUint32(b[0:], r.NextInfoRVA)
	o.PutUint32(b[4:], r.InfoType)
	o.PutUint32(b[8:], r.SizeOfInfo)
}

// Get reads r from the first HandleObjectInformationSize bytes of b.
func (r *HandleObjectInformation) Get(b []byte, o binary.ByteOrder) {
	_ = b[HandleObjectInformationSize-1]
	r.NextInfoRVA = o.Uint32(b[0:])
	r.InfoType = o.Uint32(b[4:])
	r.SizeOfInfo = o.Uint32(b[8:])
}

// HandleOperationListHeadSize is the size of a HandleOperationListHead in bytes.
const HandleOperationListHeadSize = 16

// HandleOperationListHead is the head of MINIDUMP_HANDLE_OPERATION_LIST; the operations follow it.
//
//	 0 uint32 SizeOfHeader
//	 4 uint32 SizeOfEntry
//	 8 uint32 NumberOfEntries
//	12 uint32 Reserved
type HandleOperationListHead struct {
	SizeOfHeader    uint32 // HandleOperationListHeadSize
	SizeOfEntry     uint32 // HandleOperationSize
	NumberOfEntries uint32
}

// Put writes the HandleOperationListHeadSize bytes of r to b.
func (r *HandleOperationListHead) Put(b []byte, o binary.ByteOrder) {
	_ = b[HandleOperationListHeadSize-1]
	o.PutUint32(b[0:], r.SizeOfHeader)
	o.PutUint32(b[4:], r.SizeOfEntry)
	o.PutUint32(b[8:], r.NumberOfEntries)
	o.PutUint32(b[12:], 0)
}

// Get reads r from the first HandleOperationListHeadSize bytes of b.
func (r *HandleOperationListHead) Get(b []byte, o binary.ByteOrder) {
	_ = b[HandleOperationListHeadSize-1]
	r.SizeOfHeader = o.Uint32(b[0:])
	r.SizeOfEntry = o.Uint32(b[4:])
	r.NumberOfEntries = o.Uint32(b[8:])
}

// Values of HandleOperation.OperationType (eHANDLE_TRACE_OPERATIONS of avrfsdk.h).
const (
	OperationDbUnused = iota
	OperationDbOPEN
	OperationDbCLOSE
	OperationDbBADREF
)

// AVRF_MAX_TRACES is the length of HandleOperation.ReturnAddresses.
const AVRF_MAX_TRACES = 32

// HandleOperationSize is the size of a HandleOperation in bytes.
const HandleOperationSize = 288

// HandleOperation is AVRF_HANDLE_OPERATION of avrfsdk.h: an operation of a thread on a handle, with its call stack, as
// Application Verifier recorded it.
//
//	 0 uint64     Handle
//	 8 uint32     ProcessId
//	12 uint32     ThreadId
//	16 uint32     OperationType
//	20 uint32     Spare0
//	24 uint32     BackTraceInformation.Depth
//	28 uint32     BackTraceInformation.Index
//	32 uint64[32] BackTraceInformation.ReturnAddresses
type HandleOperation struct {
	Handle          uint64
	ProcessID       uint32
	ThreadID        uint32
	OperationType   uint32 // OperationDb…
	Depth           uint32 // entries of ReturnAddresses that are used
	Index           uint32
	ReturnAddresses [AVRF_MAX_TRACES]uint64
}

// Put writes the HandleOperationSize bytes of r to b.
func (r *HandleOperation) Put(b []byte, o binary.ByteOrder) {
	_ = b[HandleOperationSize-1]
	o.PutUint64(b[0:], r.Handle)
	o.PutUint32(b[8:], r.ProcessID)
	o.PutUint32(b[12:], r.ThreadID)
	o.PutUint32(b[16:], r.OperationType)
	o.PutUint32(b[20:], 0)
	o.PutUint32(b[24:], r.Depth)
	o.PutUint32(b[28:], r.Index)
	for i := range r.ReturnAddresses {
		o.PutUint64(b[32+8*i:], r.ReturnAddresses[i])
	}
}

// Get reads r from the first HandleOperationSize bytes of b.
func (r *HandleOperation) Get(b []byte, o binary.ByteOrder) {
	_ = b[HandleOperationSize-1]
	r.Handle = o.Uint64(b[0:])
	r.ProcessID = o.Uint32(b[8:])
	r.ThreadID = o.Uint32(b[12:])
	r.OperationType = o.Uint32(b[16:])
	r.Depth = o.Uint32(b[24:])
	r.Index = o.Uint32(b[28:])
	for i := range r.ReturnAddresses {
		r.ReturnAddresses[i] = o.Uint64(b[32+8*i:])
	}
}
