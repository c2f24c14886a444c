package stream

import "encoding/binary"

// ThreadSize is the size of a Thread in bytes.
const ThreadSize = 48

// Thread is MINIDUMP_THREAD: a thread of the process.
//
//	 0 uint32           ThreadId
//	 4 uint32           SuspendCount
//	 8 uint32           PriorityClass
//	12 uint32           Priority
//	16 uint64           Teb
//	24 MemoryDescriptor Stack
//	40 Location         ThreadContext
type Thread struct {
	ThreadID      uint32
	SuspendCount  uint32 // Windows; else 0
	PriorityClass uint32 // Windows; else 0
	Priority      uint32 // Windows; else 0
	Teb           uint64 // address of the thread environment block (Windows); else the thread pointer, 0 if not known
	Stack         MemoryDescriptor
	Context       Location // a CPU context of the architecture in SystemInfo; none if the registers are not known
}

// Put writes the ThreadSize bytes of r to b.
func (r *Thread) Put(b []byte, o binary.ByteOrder) {
	_ = b[ThreadSize-1]
	o.PutUint32(b[0:], r.ThreadID)
	o.PutUint32(b[4:], r.SuspendCount)
	o.PutUint32(b[8:], r.PriorityClass)
	o.PutUint32(b[12:], r.Priority)
	o.PutUint64(b[16:], r.Teb)
	r.Stack.Put(b[24:], o)
	r.Context.Put(b[40:], o)
}

// Get reads r from the first ThreadSize bytes of b.
func (r *Thread) Get(b []byte, o binary.ByteOrder) {
	_ = b[ThreadSize-1]
	r.ThreadID = o.Uint32(b[0:])
	r.SuspendCount = o.Uint32(b[4:])
	r.PriorityClass = o.Uint32(b[8:])
	r.Priority = o.Uint32(b[12:])
	r.Teb = o.Uint64(b[16:])
	r.Stack.Get(b[24:], o)
	r.Context.Get(b[40:], o)
}

// ThreadNameSize is the size of a ThreadName in bytes.
const ThreadNameSize = 12

// ThreadName is MINIDUMP_THREAD_NAME. Its RVA has 64 bits, with no padding before it.
//
//	0 uint32 ThreadId
//	4 uint64 RvaOfThreadName
type ThreadName struct {
	ThreadID uint32
	NameRVA  uint64 // of a string
}

// Put writes the ThreadNameSize bytes of r to b.
func (r *ThreadName) Put(b []byte, o binary.ByteOrder) {
	_ = b[ThreadNameSize-1]
	o.PutUint32(b[0:], r.ThreadID)
	o.PutUint64(b[4:], r.NameRVA)
}

// Get reads r from the first ThreadNameSize bytes of b.
func (r *ThreadName) Get(b []byte, o binary.ByteOrder) {
	_ = b[ThreadNameSize-1]
	r.ThreadID = o.Uint32(b[0:])
	r.NameRVA = o.Uint64(b[4:])
}

// ThreadInfoListSize is the size of a ThreadInfoList in bytes.
const ThreadInfoListSize = 12

// ThreadInfoList is the head of MINIDUMP_THREAD_INFO_LIST; the entries follow it.
//
//	0 uint32 SizeOfHeader
//	4 uint32 SizeOfEntry
//	8 uint32 NumberOfEntries
type ThreadInfoList struct {
	SizeOfHeader    uint32 // ThreadInfoListSize
	SizeOfEntry     uint32 // ThreadInfoSize
	NumberOfEntries uint32
}

// Put writes the ThreadInfoListSize bytes of r to b.
func (r *ThreadInfoList) Put(b []byte, o binary.ByteOrder) {
	_ = b[ThreadInfoListSize-1]
	o.PutUint32(b[0:], r.SizeOfHeader)
	o.PutUint32(b[4:], r.SizeOfEntry)
	o.PutUint32(b[8:], r.NumberOfEntries)
}

// Get reads r from the first ThreadInfoListSize bytes of b.
func (r *ThreadInfoList) Get(b []byte, o binary.ByteOrder) {
	_ = b[ThreadInfoListSize-1]
	r.SizeOfHeader = o.Uint32(b[0:])
	r.SizeOfEntry = o.Uint32(b[4:])
	r.NumberOfEntries = o.Uint32(b[8:])
}

// ThreadInfoSize is the size of a ThreadInfo in bytes.
const ThreadInfoSize = 64

// ThreadInfo is MINIDUMP_THREAD_INFO. Times are in units of 100 ns; points of time count from 1601, UTC.
//
//	 0 uint32 ThreadId
//	 4 uint32 DumpFlags
//	 8 uint32 DumpError
//	12 uint32 ExitStatus
//	16 uint64 CreateTime
//	24 uint64 ExitTime
//	32 uint64 KernelTime
//	40 uint64 UserTime
//	48 uint64 StartAddress
//	56 uint64 Affinity
type ThreadInfo struct {
	ThreadID     uint32
	DumpFlags    uint32 // 1 error, 2 writing thread, 4 exited, 8 no info, 16 no context, 32 no TEB
	DumpError    uint32 // HRESULT of the error
	ExitStatus   uint32
	CreateTime   uint64
	ExitTime     uint64 // 0 if the thread has not exited
	KernelTime   uint64 // a length of time
	UserTime     uint64 // a length of time
	StartAddress uint64
	Affinity     uint64 // a bit for each processor
}

// Put writes the ThreadInfoSize bytes of r to b.
func (r *ThreadInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[ThreadInfoSize-1]
	o.PutUint32(b[0:], r.ThreadID)
	o.PutUint32(b[4:], r.DumpFlags)
	o.PutUint32(b[8:], r.DumpError)
	o.PutUint32(b[12:], r.ExitStatus)
	o.PutUint64(b[16:], r.CreateTime)
	o.PutUint64(b[24:], r.ExitTime)
	o.PutUint64(b[32:], r.KernelTime)
	o.PutUint64(b[40:], r.UserTime)
	o.PutUint64(b[48:], r.StartAddress)
	o.PutUint64(b[56:], r.Affinity)
}

// Get reads r from the first ThreadInfoSize bytes of b.
func (r *ThreadInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[ThreadInfoSize-1]
	r.ThreadID = o.Uint32(b[0:])
	r.DumpFlags = o.Uint32(b[4:])
	r.DumpError = o.Uint32(b[8:])
	r.ExitStatus = o.Uint32(b[12:])
	r.CreateTime = o.Uint64(b[16:])
	r.ExitTime = o.Uint64(b[24:])
	r.KernelTime = o.Uint64(b[32:])
	r.UserTime = o.Uint64(b[40:])
	r.StartAddress = o.Uint64(b[48:])
	r.Affinity = o.Uint64(b[56:])
}
