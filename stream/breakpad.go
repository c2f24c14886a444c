package stream

import "encoding/binary"

// Bits of BreakpadInfo.Validity.
const (
	MD_BREAKPAD_INFO_VALID_DUMP_THREAD_ID       = 1
	MD_BREAKPAD_INFO_VALID_REQUESTING_THREAD_ID = 2
)

// BreakpadInfoSize is the size of a BreakpadInfo in bytes.
const BreakpadInfoSize = 12

// BreakpadInfo is MDRawBreakpadInfo.
//
//	0 uint32 validity
//	4 uint32 dump_thread_id
//	8 uint32 requesting_thread_id
type BreakpadInfo struct {
	Validity           uint32 // MD_BREAKPAD_INFO_VALID_…: which fields are filled in
	DumpThreadID       uint32 // the thread of the process that writes dumps, which readers hide
	RequestingThreadID uint32 // the thread that asked for the dump, or crashed
}

// Put writes the BreakpadInfoSize bytes of r to b.
func (r *BreakpadInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[BreakpadInfoSize-1]
	o.PutUint32(b[0:], r.Validity)
	o.PutUint32(b[4:], r.DumpThreadID)
	o.PutUint32(b[8:], r.RequestingThreadID)
}

// Get reads r from the first BreakpadInfoSize bytes of b.
func (r *BreakpadInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[BreakpadInfoSize-1]
	r.Validity = o.Uint32(b[0:])
	r.DumpThreadID = o.Uint32(b[4:])
	r.RequestingThreadID = o.Uint32(b[8:])
}
