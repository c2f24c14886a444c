package snapshot

import (
	"encoding/binary"
	"time"

	"minidump/context"
	"minidump/elf"
	"minidump/procfs"
	"minidump/stream"

	"minidump/internal/arena"
)

// A Snapshot is the content of a dump: flat tables whose entries contain no Go pointers. It belongs to a Writer,
// which empties and refills it for each dump. The package comment describes which package does what.
type Snapshot struct {
	Want   Want
	Batch  Requests
	words  [64]uint64
	Pause  time.Duration
	Copied bool // the memory is that of a copy of the process
	Target Target
	Proc   Process
	System System

	Bytes    arena.Bytes
	Threads  arena.Table[Thread]
	Mappings arena.Table[Mapping]
	Modules  arena.Table[Module]
	Memory   arena.Table[MemoryRange] // captured, sorted by address
	Full     arena.Table[MemoryRange] // mode full: memory that is read while it is written
	Handles  arena.Table[Handle]
	LinkMaps arena.Table[LinkMap]
	Errors   arena.Table[SoftError]
	Streams  arena.Table[Stream]            // finished streams that are specific to a source
	Regions  arena.Table[stream.MemoryInfo] // the content of MemoryInfoList, if Mappings cannot express it
	Gaps     Gaps
	Numbers  Numbering // of Errors; nil: errno

	Raw   [NumRaw]arena.Span // text streams, as they were read
	DSO   DSODebug
	Misc  arena.Span // a finished MiscInfo record; empty: build it from Proc
	Crash Exception

	// Allocates states that this dump may allocate from the Go heap, because nothing is stopped for it.
	Allocates bool

	interrupted interrupted

	// Scratch.
	Order      RangeOrder
	stacks     arena.Table[MemoryRange] // of CutStacks and followSignals
	rest       arena.Table[ReadRequest] // of readStacks
	execFilter [256]byte                // of sanitising
	Image      elf.Image                // the image being parsed; on the goroutine's stack it would make that grow
	PE         PEImage                  // likewise
}

// Target is the architecture of the process.
type Target struct {
	Arch     context.Arch
	Order    binary.ByteOrder
	Android  bool
	Windows  bool
	PageSize uint64
	ILP32    bool // addresses have 32 bits although registers have 64: n32 of MIPS64, x32 of AMD64
}

// WordSize returns the size of a pointer in bytes, 4 or 8.
func (t *Target) WordSize() int {
	if t.ILP32 {
		return 4
	}
	return t.Arch.WordSize()
}

// Word decodes the word at the start of p.
func (t *Target) Word(p []byte) uint64 {
	if t.WordSize() == 4 {
		return uint64(t.Order.Uint32(p))
	}
	return t.Order.Uint64(p)
}

// Process holds the facts about the whole process. Times are in seconds, as in MINIDUMP_MISC_INFO.
type Process struct {
	PID, PPID            int32
	Blamed               int32 // the thread that the dump is about: the one that crashed, if any
	CreateTime           uint32
	UserTime, KernelTime uint32
	MaxMHz, CurrentMHz   uint32 // of the processors; 0: not known
	IsGo                 bool
	Program              Range // where the main program is, on a system whose memory map does not name the file of a mapping
	Phdr, Phnum, Phent   uint64
	Entry, SysinfoEhdr   uint64
	LdBase               uint64
	Time                 uint32   // of the dump, seconds since 1970
	Omitted              [2]Range // memory that Want.Omit leaves out: the arguments, the environment
}

// AdoptAuxv records the facts in the auxiliary vector of the process, and the page size if it is plausible.
func (s *Snapshot) AdoptAuxv(a *procfs.Auxv) {
	s.Proc.Phdr, s.Proc.Phnum, s.Proc.Phent = a.Phdr, a.Phnum, a.Phent
	s.Proc.Entry, s.Proc.SysinfoEhdr, s.Proc.LdBase = a.Entry, a.SysinfoEhdr, a.Base
	if p := a.PageSize; p >= 512 && p&(p-1) == 0 && p <= 1<<24 {
		s.Target.PageSize = p
	}
}

// System holds the facts about the machine, which a source reads once.
type System struct {
	Info stream.SystemInfo
	CSD  arena.Span // "Linux 6.1.0 #1 SMP x86_64"
}

// Indexes in Snapshot.Raw.
const (
	RawCPUInfo = iota
	RawStatus
	RawLSBRelease
	RawCmdline
	RawEnviron
	RawAuxv
	RawMaps
	RawLimits
	NumRaw
)

// Handle is an open descriptor, or a handle of a Windows process.
type Handle struct {
	FD     int32      // on Windows the low 32 bits of the handle, which are all that is significant
	Mode   uint32     // st_mode; on Windows the attributes
	NoType bool       // Mode is not known
	Target arena.Span // the target of /proc/PID/fd/N, or the name of a Windows object
	Type   arena.Span // the kind of object in words; empty: derive it from Mode

	// Windows only; else 0.
	Access       uint32 // granted access
	HandleCount  uint32 // of the object, in all processes
	PointerCount uint32
}

// A Stream is a finished stream. RVAs lists places in Data, each as a uint32 in the target's byte order. At each place
// is a uint32 offset from the start of Data, which the encoder converts to an offset from the start of the file.
type Stream struct {
	Type stream.Type
	Data arena.Span
	RVAs arena.Span
}

// Reserve reserves the address space of all tables, which limits the number of entries of a dump. After an error nothing is reserved.
func (s *Snapshot) Reserve() error {
	for _, r := range []struct {
		a    *arena.Arena
		size uintptr
	}{
		{&s.Bytes.Arena, 1024 * arena.Unit},
		{&s.Threads.Arena, 64 * arena.Unit},
		{&s.Mappings.Arena, 64 * arena.Unit},
		{&s.Modules.Arena, 32 * arena.Unit},
		{&s.Memory.Arena, 32 * arena.Unit},
		{&s.Full.Arena, 32 * arena.Unit},
		{&s.stacks.Arena, 32 * arena.Unit},
		{&s.Handles.Arena, 64 * arena.Unit},
		{&s.LinkMaps.Arena, 16 * arena.Unit},
		{&s.Errors.Arena, 4 * arena.Unit},
		{&s.Streams.Arena, arena.Unit},
		{&s.Regions.Arena, 32 * arena.Unit},
		{&s.Batch.Arena, 32 * arena.Unit},
		{&s.rest.Arena, 16 * arena.Unit},
	} {
		if err := r.a.Reserve(r.size); err != nil {
			s.Release()
			return err
		}
	}
	return nil
}

// Release releases all tables. The snapshot is then empty.
func (s *Snapshot) Release() {
	s.Begin(0)
	for _, a := range s.arenas() {
		a.Release()
	}
}

func (s *Snapshot) arenas() [14]*arena.Arena {
	return [14]*arena.Arena{&s.Bytes.Arena, &s.Threads.Arena, &s.Mappings.Arena, &s.Modules.Arena, &s.Memory.Arena, &s.Full.Arena,
		&s.stacks.Arena, &s.Handles.Arena, &s.LinkMaps.Arena, &s.Errors.Arena, &s.Streams.Arena, &s.Regions.Arena,
		&s.Batch.Arena, &s.rest.Arena}
}

// Begin empties the snapshot for a new dump. now is the time in seconds since 1970.
func (s *Snapshot) Begin(now uint32) {
	s.Pause = 0
	s.Proc.Time = now
	s.Bytes.Reset()
	s.Threads.Clear()
	s.Mappings.Clear()
	s.Modules.Clear()
	s.Memory.Clear()
	s.Full.Clear()
	s.Handles.Clear()
	s.LinkMaps.Clear()
	s.Errors.Clear()
	s.Streams.Clear()
	s.Regions.Clear()
	s.Gaps = Gaps{}
	s.Copied = false
	s.Proc.Omitted = [2]Range{}
	s.Raw = [NumRaw]arena.Span{}
	s.DSO = DSODebug{}
	s.Misc = arena.Span{}
	s.Crash = Exception{}
}

// Put copies p into the byte arena. If there is no space, the span is empty and a soft error is recorded.
func (s *Snapshot) Put(p []byte) arena.Span {
	sp := s.Bytes.Put(p)
	if sp.Len == 0 && len(p) > 0 {
		s.Soft(OpTruncated, 0, 0, 0)
	}
	return sp
}
