package stream

import "encoding/binary"

// GoNone, in a field that contains an index, means that there is no entry.
const GoNone = 0xffffffff

// Flags of a GoroutineListHeader.
const (
	GoListExpired = 1 << 0 // there was not enough time to read everything
	GoListFull    = 1 << 1 // a table was full: some frames, names or stacks are missing
)

// Statuses of a goroutine (runtime2.go of the Go runtime).
const (
	GoIdle      = 0
	GoRunnable  = 1
	GoRunning   = 2
	GoSyscall   = 3
	GoWaiting   = 4
	GoDead      = 6
	GoCopystack = 8 // its stack is being moved; also, it has overflowed
	GoPreempted = 9
	GoLeaked    = 10 // since Go 1.26: waits for something that can no longer happen
	GoDeadExtra = 11 // since Go 1.26: waits for a call from C
)

// Flags of a goroutine.
const (
	GoSystem      = 1 << 0 // works for the runtime itself
	GoScan        = 1 << 1 // the garbage collector scans its stack
	GoLocked      = 1 << 2 // runtime.LockOSThread
	GoSecret      = 1 << 3 // in runtime/secret.Do: frames and labels are left out
	GoUnavailable = 1 << 4 // runs, but its position is not known
	GoTrap        = 1 << 5 // the PC of the first frame is the next instruction rather than a return address
)

// Flags of a GoStack.
const (
	GoStackCut      = 1 << 0 // the outermost frames are missing: their memory was not available, or a table was full
	GoStackUnsure   = 1 << 1 // the walk ended at a function that writes SP, or at a PC outside of Go code
	GoStackComplete = 1 << 2 // the last frame is the function at the top of the stack
)

// Flags of a GoFrame.
const (
	GoInlined = 1 << 0 // the call was inlined into the next frame
	GoWrapper = 1 << 1 // the compiler made the function
)

// Flags of a GoPanic.
const (
	GoPanicRecovered  = 1 << 0
	GoPanicRepanicked = 1 << 1
	GoPanicGoexit     = 1 << 2 // runtime.Goexit, which is no panic
)

// Stacks that a thread can be on.
const (
	GoOnNone      = 0
	GoOnGoroutine = 1
	GoOnSystem    = 2 // g0
	GoOnSignal    = 3 // gsignal
)

// GoroutineListHeaderSize is the size of a GoroutineListHeader in bytes.
const GoroutineListHeaderSize = 136

// GoroutineListHeader is the head of GoroutineListStream. It states where the tables of the stream are and how large an entry of
// each is, so that later versions can append fields.
//
// A string field contains an offset in the table Strings. At that offset are the length of the string in bytes, as a uint32, and
// its UTF-8. Offset 0 is the empty string.
//
//	  0 uint32  SizeOfHeader
//	  4 uint32  SizeOfGoroutine
//	  8 uint32  SizeOfStack
//	 12 uint32  SizeOfFrame
//	 16 uint32  SizeOfPanic
//	 20 uint32  SizeOfThread
//	 24 uint32  Flags
//	 28 uint32  GoVersion
//	 32 uint32  BuildInfo
//	 36 uint32  Dead
//	 40 uint32  Omitted
//	 44 uint32  Torn
//	 48 uint64  Total
//	 56 uint64  Nanotime
//	 64 GoTable Goroutines
//	 72 GoTable Stacks
//	 80 GoTable StackFrames
//	 88 GoTable Frames
//	 96 GoTable LabelSets
//	104 GoTable Labels
//	112 GoTable Panics
//	120 GoTable Threads
//	128 GoTable Strings
type GoroutineListHeader struct {
	SizeOfHeader    uint32 // GoroutineListHeaderSize, or more in a later version
	SizeOfGoroutine uint32 // of an entry of Goroutines; the next four likewise
	SizeOfStack     uint32
	SizeOfFrame     uint32
	SizeOfPanic     uint32
	SizeOfThread    uint32
	Flags           uint32  // GoListExpired…
	GoVersion       uint32  // string: "go1.26.8"
	BuildInfo       uint32  // string: the lines "path\t…", "mod\t…", "dep\t…", "build\t…" of "go version -m"
	Dead            uint32  // how many goroutines of Total have ended
	Omitted         uint32  // how many of Total were not read because of a limit
	Torn            uint32  // how many of Total could not be read
	Total           uint64  // length of runtime.allgs
	Nanotime        uint64  // ns on the runtime's clock (Linux: CLOCK_MONOTONIC) at the stop; 0 if not known
	Goroutines      GoTable // GoroutineRecord…
	Stacks          GoTable // GoStack…
	StackFrames     GoTable // uint32…: indexes in Frames
	Frames          GoTable // GoFrame…
	LabelSets       GoTable // GoTable…: ranges of Labels, Offset being the index of the first
	Labels          GoTable // GoLabel…
	Panics          GoTable // GoPanic…
	Threads         GoTable // GoThread…
	Strings         GoTable // bytes: see GoroutineListHeader
}

// Put writes the GoroutineListHeaderSize bytes of r to b.
func (r *GoroutineListHeader) Put(b []byte, o binary.ByteOrder) {
	_ = b[GoroutineListHeaderSize-1]
	o.PutUint32(b[0:], r.SizeOfHeader)
	o.PutUint32(b[4:], r.SizeOfGoroutine)
	o.PutUint32(b[8:], r.SizeOfStack)
	o.PutUint32(b[12:], r.SizeOfFrame)
	o.PutUint32(b[16:], r.SizeOfPanic)
	o.PutUint32(b[20:], r.SizeOfThread)
	o.PutUint32(b[24:], r.Flags)
	o.PutUint32(b[28:], r.GoVersion)
	o.PutUint32(b[32:], r.BuildInfo)
	o.PutUint32(b[36:], r.Dead)
	o.PutUint32(b[40:], r.Omitted)
	o.PutUint32(b[44:], r.Torn)
	o.PutUint64(b[48:], r.Total)
	o.PutUint64(b[56:], r.Nanotime)
	r.Goroutines.Put(b[64:], o)
	r.Stacks.Put(b[72:], o)
	r.StackFrames.Put(b[80:], o)
	r.Frames.Put(b[88:], o)
	r.LabelSets.Put(b[96:], o)
	r.Labels.Put(b[104:], o)
	r.Panics.Put(b[112:], o)
	r.Threads.Put(b[120:], o)
	r.Strings.Put(b[128:], o)
}

// Get reads r from the first GoroutineListHeaderSize bytes of b.
func (r *GoroutineListHeader) Get(b []byte, o binary.ByteOrder) {
	_ = b[GoroutineListHeaderSize-1]
	r.SizeOfHeader = o.Uint32(b[0:])
	r.SizeOfGoroutine = o.Uint32(b[4:])
	r.SizeOfStack = o.Uint32(b[8:])
	r.SizeOfFrame = o.Uint32(b[12:])
	r.SizeOfPanic = o.Uint32(b[16:])
	r.SizeOfThread = o.Uint32(b[20:])
	r.Flags = o.Uint32(b[24:])
	r.GoVersion = o.Uint32(b[28:])
	r.BuildInfo = o.Uint32(b[32:])
	r.Dead = o.Uint32(b[36:])
	r.Omitted = o.Uint32(b[40:])
	r.Torn = o.Uint32(b[44:])
	r.Total = o.Uint64(b[48:])
	r.Nanotime = o.Uint64(b[56:])
	r.Goroutines.Get(b[64:], o)
	r.Stacks.Get(b[72:], o)
	r.StackFrames.Get(b[80:], o)
	r.Frames.Get(b[88:], o)
	r.LabelSets.Get(b[96:], o)
	r.Labels.Get(b[104:], o)
	r.Panics.Get(b[112:], o)
	r.Threads.Get(b[120:], o)
	r.Strings.Get(b[128:], o)
}

// GoTableSize is the size of a GoTable in bytes.
const GoTableSize = 8

// GoTable states where a table of the stream is.
//
//	0 uint32 Offset
//	4 uint32 Count
type GoTable struct {
	Offset uint32 // from the start of the stream, in bytes
	Count  uint32 // number of entries
}

// Put writes the GoTableSize bytes of r to b.
func (r *GoTable) Put(b []byte, o binary.ByteOrder) {
	_ = b[GoTableSize-1]
	o.PutUint32(b[0:], r.Offset)
	o.PutUint32(b[4:], r.Count)
}

// Get reads r from the first GoTableSize bytes of b.
func (r *GoTable) Get(b []byte, o binary.ByteOrder) {
	_ = b[GoTableSize-1]
	r.Offset = o.Uint32(b[0:])
	r.Count = o.Uint32(b[4:])
}

// GoroutineRecordSize is the size of a GoroutineRecord in bytes.
const GoroutineRecordSize = 88

// GoroutineRecord is a goroutine that has not ended.
//
//	 0 uint64 ID
//	 8 uint64 ParentID
//	16 uint64 Address
//	24 uint64 StackLo
//	32 uint64 WaitSince
//	40 uint64 Bubble
//	48 uint32 StackSize
//	52 uint32 StackDepth
//	56 uint16 Status
//	58 uint16 Flags
//	60 uint32 WaitReason
//	64 uint32 Stack
//	68 uint32 Creator
//	72 uint32 Start
//	76 uint32 LabelSet
//	80 uint32 Panic
//	84 uint32 ThreadID
type GoroutineRecord struct {
	ID         uint64 // its number; 0 if it belongs to a thread that C created and that is not in Go
	ParentID   uint64 // the number of the goroutine that created it; 0 if none
	Address    uint64 // of its runtime.g
	StackLo    uint64 // lowest address of its stack
	WaitSince  uint64 // Nanotime of the first garbage collection that saw it wait; 0 if not known
	Bubble     uint64 // the number of its testing/synctest bubble; 0 if none
	StackSize  uint32 // its stack is [StackLo, StackLo+StackSize)
	StackDepth uint32 // how much of that is in use: SP is StackLo+StackSize-StackDepth
	Status     uint16 // GoIdle…, as in the runtime
	Flags      uint16 // GoSystem…
	WaitReason uint32 // string: the reason that it waits, "chan receive"; empty if it does not wait
	Stack      uint32 // index in Stacks; GoNone if there are no frames
	Creator    uint32 // index in Frames of the go statement that created it; GoNone if not known
	Start      uint32 // index in Frames of the function that it began with; GoNone if not known
	LabelSet   uint32 // index in LabelSets; GoNone if it has no labels
	Panic      uint32 // index in Panics of its innermost panic; GoNone if it has none
	ThreadID   uint32 // the thread that runs it; 0 if none
}

// Put writes the GoroutineRecordSize bytes of r to b.
func (r *GoroutineRecord) Put(b []byte, o binary.ByteOrder) {
	_ = b[GoroutineRecordSize-1]
	o.PutUint64(b[0:], r.ID)
	o.PutUint64(b[8:], r.ParentID)
	o.PutUint64(b[16:], r.Address)
	o.PutUint64(b[24:], r.StackLo)
	o.PutUint64(b[32:], r.WaitSince)
	o.PutUint64(b[40:], r.Bubble)
	o.PutUint32(b[48:], r.StackSize)
	o.PutUint32(b[52:], r.StackDepth)
	o.PutUint16(b[56:], r.Status)
	o.PutUint16(b[58:], r.Flags)
	o.PutUint32(b[60:], r.WaitReason)
	o.PutUint32(b[64:], r.Stack)
	o.PutUint32(b[68:], r.Creator)
	o.PutUint32(b[72:], r.Start)
	o.PutUint32(b[76:], r.LabelSet)
	o.PutUint32(b[80:], r.Panic)
	o.PutUint32(b[84:], r.ThreadID)
}

// Get reads r from the first GoroutineRecordSize bytes of b.
func (r *GoroutineRecord) Get(b []byte, o binary.ByteOrder) {
	_ = b[GoroutineRecordSize-1]
	r.ID = o.Uint64(b[0:])
	r.ParentID = o.Uint64(b[8:])
	r.Address = o.Uint64(b[16:])
	r.StackLo = o.Uint64(b[24:])
	r.WaitSince = o.Uint64(b[32:])
	r.Bubble = o.Uint64(b[40:])
	r.StackSize = o.Uint32(b[48:])
	r.StackDepth = o.Uint32(b[52:])
	r.Status = o.Uint16(b[56:])
	r.Flags = o.Uint16(b[58:])
	r.WaitReason = o.Uint32(b[60:])
	r.Stack = o.Uint32(b[64:])
	r.Creator = o.Uint32(b[68:])
	r.Start = o.Uint32(b[72:])
	r.LabelSet = o.Uint32(b[76:])
	r.Panic = o.Uint32(b[80:])
	r.ThreadID = o.Uint32(b[84:])
}

// GoStackSize is the size of a GoStack in bytes.
const GoStackSize = 12

// GoStack is a list of frames, innermost first. Several goroutines may share it.
//
//	0 uint32 First
//	4 uint32 Count
//	8 uint32 Flags
type GoStack struct {
	First uint32 // index in StackFrames
	Count uint32
	Flags uint32 // GoStackCut
}

// Put writes the GoStackSize bytes of r to b.
func (r *GoStack) Put(b []byte, o binary.ByteOrder) {
	_ = b[GoStackSize-1]
	o.PutUint32(b[0:], r.First)
	o.PutUint32(b[4:], r.Count)
	o.PutUint32(b[8:], r.Flags)
}

// Get reads r from the first GoStackSize bytes of b.
func (r *GoStack) Get(b []byte, o binary.ByteOrder) {
	_ = b[GoStackSize-1]
	r.First = o.Uint32(b[0:])
	r.Count = o.Uint32(b[4:])
	r.Flags = o.Uint32(b[8:])
}

// GoFrameSize is the size of a GoFrame in bytes.
const GoFrameSize = 32

// GoFrame is a call of a function, or of one that was inlined into the next frame.
//
//	 0 uint64 PC
//	 8 uint32 Function
//	12 uint32 File
//	16 uint32 Line
//	20 uint32 StartLine
//	24 uint32 Offset
//	28 uint32 Flags
type GoFrame struct {
	PC        uint64 // of the physical frame: the current PC in the innermost one, else a return address
	Function  uint32 // string: its full name as in the symbol table, "main.(*T).M"; empty if PC is not in Go code
	File      uint32 // string
	Line      uint32 // 0 if not known
	StartLine uint32 // the line at which the function begins; 0 if not known
	Offset    uint32 // of PC in the physical function
	Flags     uint32 // GoInlined…
}

// Put writes the GoFrameSize bytes of r to b.
func (r *GoFrame) Put(b []byte, o binary.ByteOrder) {
	_ = b[GoFrameSize-1]
	o.PutUint64(b[0:], r.PC)
	o.PutUint32(b[8:], r.Function)
	o.PutUint32(b[12:], r.File)
	o.PutUint32(b[16:], r.Line)
	o.PutUint32(b[20:], r.StartLine)
	o.PutUint32(b[24:], r.Offset)
	o.PutUint32(b[28:], r.Flags)
}

// Get reads r from the first GoFrameSize bytes of b.
func (r *GoFrame) Get(b []byte, o binary.ByteOrder) {
	_ = b[GoFrameSize-1]
	r.PC = o.Uint64(b[0:])
	r.Function = o.Uint32(b[8:])
	r.File = o.Uint32(b[12:])
	r.Line = o.Uint32(b[16:])
	r.StartLine = o.Uint32(b[20:])
	r.Offset = o.Uint32(b[24:])
	r.Flags = o.Uint32(b[28:])
}

// GoLabelSize is the size of a GoLabel in bytes.
const GoLabelSize = 8

// GoLabel is a label as set by package runtime/pprof.
//
//	0 uint32 Key
//	4 uint32 Value
type GoLabel struct {
	Key   uint32 // string
	Value uint32 // string
}

// Put writes the GoLabelSize bytes of r to b.
func (r *GoLabel) Put(b []byte, o binary.ByteOrder) {
	_ = b[GoLabelSize-1]
	o.PutUint32(b[0:], r.Key)
	o.PutUint32(b[4:], r.Value)
}

// Get reads r from the first GoLabelSize bytes of b.
func (r *GoLabel) Get(b []byte, o binary.ByteOrder) {
	_ = b[GoLabelSize-1]
	r.Key = o.Uint32(b[0:])
	r.Value = o.Uint32(b[4:])
}

// GoPanicSize is the size of a GoPanic in bytes.
const GoPanicSize = 16

// GoPanic is a panic in progress, or one that was recovered while its deferred functions still run.
//
//	 0 uint32 Type
//	 4 uint32 Value
//	 8 uint32 Link
//	12 uint32 Flags
type GoPanic struct {
	Type  uint32 // string: the dynamic type of the value, "*errors.errorString"; empty if not known
	Value uint32 // string: the value as text
	Link  uint32 // index in Panics of the panic during which this one was raised; GoNone if none
	Flags uint32 // GoPanicRecovered…
}

// Put writes the GoPanicSize bytes of r to b.
func (r *GoPanic) Put(b []byte, o binary.ByteOrder) {
	_ = b[GoPanicSize-1]
	o.PutUint32(b[0:], r.Type)
	o.PutUint32(b[4:], r.Value)
	o.PutUint32(b[8:], r.Link)
	o.PutUint32(b[12:], r.Flags)
}

// Get reads r from the first GoPanicSize bytes of b.
func (r *GoPanic) Get(b []byte, o binary.ByteOrder) {
	_ = b[GoPanicSize-1]
	r.Type = o.Uint32(b[0:])
	r.Value = o.Uint32(b[4:])
	r.Link = o.Uint32(b[8:])
	r.Flags = o.Uint32(b[12:])
}

// GoThreadSize is the size of a GoThread in bytes.
const GoThreadSize = 56

// GoThread is a thread of the process that has an M: it runs or has run Go code.
//
//	 0 uint32 ThreadID
//	 4 uint32 On
//	 8 uint32 Goroutine
//	12 uint32 Stack
//	16 uint64 M
//	24 uint64 SystemLo
//	32 uint64 SystemHi
//	40 uint64 SignalLo
//	48 uint64 SignalHi
type GoThread struct {
	ThreadID  uint32
	On        uint32 // which stack it is on: GoOnNone…
	Goroutine uint32 // index in Goroutines of the goroutine that it runs, even if on another stack; GoNone if none
	Stack     uint32 // index in Stacks of the frames on its system or signal stack; GoNone if it is on neither
	M         uint64 // address of its runtime.m
	SystemLo  uint64 // the stack of g0 is [SystemLo, SystemHi); 0 if not known
	SystemHi  uint64
	SignalLo  uint64 // the stack of gsignal is [SignalLo, SignalHi); 0 if not known
	SignalHi  uint64
}

// Put writes the GoThreadSize bytes of r to b.
func (r *GoThread) Put(b []byte, o binary.ByteOrder) {
	_ = b[GoThreadSize-1]
	o.PutUint32(b[0:], r.ThreadID)
	o.PutUint32(b[4:], r.On)
	o.PutUint32(b[8:], r.Goroutine)
	o.PutUint32(b[12:], r.Stack)
	o.PutUint64(b[16:], r.M)
	o.PutUint64(b[24:], r.SystemLo)
	o.PutUint64(b[32:], r.SystemHi)
	o.PutUint64(b[40:], r.SignalLo)
	o.PutUint64(b[48:], r.SignalHi)
}

// Get reads r from the first GoThreadSize bytes of b.
func (r *GoThread) Get(b []byte, o binary.ByteOrder) {
	_ = b[GoThreadSize-1]
	r.ThreadID = o.Uint32(b[0:])
	r.On = o.Uint32(b[4:])
	r.Goroutine = o.Uint32(b[8:])
	r.Stack = o.Uint32(b[12:])
	r.M = o.Uint64(b[16:])
	r.SystemLo = o.Uint64(b[24:])
	r.SystemHi = o.Uint64(b[32:])
	r.SignalLo = o.Uint64(b[40:])
	r.SignalHi = o.Uint64(b[48:])
}
