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
	ObjectNameRVA uint32 // of a string; 0 if there is none. Linux: where /proc/PID/fd/N points to
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
