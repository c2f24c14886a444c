package stream

import "encoding/binary"

// Sizes of the records of a FrameListStream in bytes.
const (
	FrameListHeaderSize = 40
	FrameThreadSize     = 16
	FrameRecordSize     = 40
)

// FrameListHeader is the start of a FrameListStream, a stream of this project: the calls found on the stacks of threads when the
// dump was made, while the files of the program were available. Offsets count from the start of the stream.
//
//	 0 uint32  SizeOfHeader
//	 4 uint32  SizeOfThread
//	 8 uint32  SizeOfFrame
//	12 uint32  Signature
//	16 GoTable Threads
//	24 GoTable Frames
//	32 GoTable Strings
type FrameListHeader struct {
	SizeOfHeader, SizeOfThread, SizeOfFrame uint32  // of the records, in bytes: later versions may add fields
	Signature                               uint32  // string: the name of the crash; empty if there was none
	Threads                                 GoTable // FrameThread…
	Frames                                  GoTable // FrameRecord…
	Strings                                 GoTable // bytes: uint32 size, UTF-8…; offset 0 means no string
}

// Put writes the FrameListHeaderSize bytes of r to b.
func (r *FrameListHeader) Put(b []byte, o binary.ByteOrder) {
	_ = b[FrameListHeaderSize-1]
	o.PutUint32(b[0:], r.SizeOfHeader)
	o.PutUint32(b[4:], r.SizeOfThread)
	o.PutUint32(b[8:], r.SizeOfFrame)
	o.PutUint32(b[12:], r.Signature)
	r.Threads.Put(b[16:], o)
	r.Frames.Put(b[24:], o)
	r.Strings.Put(b[32:], o)
}

// Get reads r from the first FrameListHeaderSize bytes of b.
func (r *FrameListHeader) Get(b []byte, o binary.ByteOrder) {
	_ = b[FrameListHeaderSize-1]
	r.SizeOfHeader = o.Uint32(b[0:])
	r.SizeOfThread = o.Uint32(b[4:])
	r.SizeOfFrame = o.Uint32(b[8:])
	r.Signature = o.Uint32(b[12:])
	r.Threads.Get(b[16:], o)
	r.Frames.Get(b[24:], o)
	r.Strings.Get(b[32:], o)
}

// FramesCut is a flag of FrameThread.Flags: the stack has more frames than were found.
const FramesCut = 1 << 0

// FrameThread is a thread of a FrameListStream. Its frames are the Count entries from First on, innermost first.
//
//	 0 uint32 ThreadID
//	 4 uint32 First
//	 8 uint32 Count
//	12 uint32 Flags
type FrameThread struct {
	ThreadID     uint32
	First, Count uint32 // in the table of frames
	Flags        uint32 // FramesCut
}

// Put writes the FrameThreadSize bytes of r to b.
func (r *FrameThread) Put(b []byte, o binary.ByteOrder) {
	_ = b[FrameThreadSize-1]
	o.PutUint32(b[0:], r.ThreadID)
	o.PutUint32(b[4:], r.First)
	o.PutUint32(b[8:], r.Count)
	o.PutUint32(b[12:], r.Flags)
}

// Get reads r from the first FrameThreadSize bytes of b.
func (r *FrameThread) Get(b []byte, o binary.ByteOrder) {
	_ = b[FrameThreadSize-1]
	r.ThreadID = o.Uint32(b[0:])
	r.First = o.Uint32(b[4:])
	r.Count = o.Uint32(b[8:])
	r.Flags = o.Uint32(b[12:])
}

// Flags of FrameRecord.Flags.
const (
	FrameInlined     = 1 << 0 // the function was inlined into that of the next frame, which has the same PC
	FrameInterrupted = 1 << 1 // PC is where a signal has interrupted the code, not a return address
)

// FrameRecord is one frame. Trust states how it was found, in the terms of package stackwalk.
//
//	 0 uint64 PC
//	 8 uint64 SP
//	16 uint32 Module
//	20 uint32 Function
//	24 uint32 File
//	28 uint32 Line
//	32 uint32 Offset
//	36 uint16 Trust
//	38 uint16 Flags
type FrameRecord struct {
	PC       uint64 // innermost frame: where the thread is; others: a return address, unless Flags says otherwise
	SP       uint64
	Module   uint32 // in the ModuleListStream; GoNone if PC is in no module
	Function uint32 // string; empty if it is not known
	File     uint32 // string
	Line     uint32 // 0 if it is not known
	Offset   uint32 // of PC from the start of Function
	Trust    uint16
	Flags    uint16 // FrameInlined, FrameInterrupted
}

// Put writes the FrameRecordSize bytes of r to b.
func (r *FrameRecord) Put(b []byte, o binary.ByteOrder) {
	_ = b[FrameRecordSize-1]
	o.PutUint64(b[0:], r.PC)
	o.PutUint64(b[8:], r.SP)
	o.PutUint32(b[16:], r.Module)
	o.PutUint32(b[20:], r.Function)
	o.PutUint32(b[24:], r.File)
	o.PutUint32(b[28:], r.Line)
	o.PutUint32(b[32:], r.Offset)
	o.PutUint16(b[36:], r.Trust)
	o.PutUint16(b[38:], r.Flags)
}

// Get reads r from the first FrameRecordSize bytes of b.
func (r *FrameRecord) Get(b []byte, o binary.ByteOrder) {
	_ = b[FrameRecordSize-1]
	r.PC = o.Uint64(b[0:])
	r.SP = o.Uint64(b[8:])
	r.Module = o.Uint32(b[16:])
	r.Function = o.Uint32(b[20:])
	r.File = o.Uint32(b[24:])
	r.Line = o.Uint32(b[28:])
	r.Offset = o.Uint32(b[32:])
	r.Trust = o.Uint16(b[36:])
	r.Flags = o.Uint16(b[38:])
}
