package minidump

import (
	"encoding/binary"

	"minidump/context"
	"minidump/elf"
	"minidump/stream"
)

// A snapshot is what one source captured of one process: flat tables whose entries hold no Go pointers. Sources fill
// it, memory selection (stacks.go) and module identification (modules.go) complete it, encode.go writes it. It belongs
// to a Writer, which empties and fills it again for each dump.
type snapshot struct {
	target target
	proc   process
	system system

	bytes    bytesArena
	threads  table[thread]
	mappings table[mapping]
	modules  table[module]
	memory   table[memoryRange] // captured, in order of address
	full     table[memoryRange] // mode full: to be read while it is written
	handles  table[handle]
	linkMaps table[linkMap]
	errors   table[softError]

	raw   [numRaw]span // text streams, as read
	dso   dsoDebug
	crash crashInfo

	order  rangeOrder         // scratch of sorting
	stacks table[memoryRange] // and of cutStacks
	image  elf.Image          // the one that is looked at: too large for a stack that shall not grow
}

// target says how the bytes of the process are to be read.
type target struct {
	arch     context.Arch
	order    binary.ByteOrder
	android  bool
	pageSize uint64
}

func (t *target) wordSize() int { return t.arch.WordSize() }

// word reads one word of the target; p is at least that long.
func (t *target) word(p []byte) uint64 {
	if t.wordSize() == 4 {
		return uint64(t.order.Uint32(p))
	}
	return t.order.Uint64(p)
}

// process is what is known of the process as a whole. Times are in seconds, as MINIDUMP_MISC_INFO has them.
type process struct {
	pid, ppid            int32
	blamed               int32 // the thread that crashed or that the dump is about
	createTime           uint32
	userTime, kernelTime uint32
	isGo                 bool
	phdr, phnum, phent   uint64
	entry, sysinfoEhdr   uint64
	ldBase               uint64
	time                 uint32 // when the dump was made, seconds since 1970
}

// system is the machine, read once by NewWriter, or what a core file lets one know of it.
type system struct {
	info stream.SystemInfo
	csd  span // "Linux 6.1.0 #1 SMP x86_64"
}

// The raw text streams.
const (
	rawCPUInfo = iota
	rawStatus
	rawLSBRelease
	rawCmdline
	rawEnviron
	rawAuxv
	rawMaps
	rawLimits
	numRaw
)

var rawTypes = [numRaw]stream.Type{
	rawCPUInfo:    stream.LinuxCPUInfo,
	rawStatus:     stream.LinuxProcStatus,
	rawLSBRelease: stream.LinuxLSBRelease,
	rawCmdline:    stream.LinuxCmdLine,
	rawEnviron:    stream.LinuxEnviron,
	rawAuxv:       stream.LinuxAuxv,
	rawMaps:       stream.LinuxMaps,
	rawLimits:     stream.MozLinuxLimits,
}

// thread is one thread. Without registers (see why) it is still listed, with its name.
type thread struct {
	tid       int32
	state     threadState
	hasRegs   bool // context holds a record, or gp what makes one
	hasSP     bool // sp and pc are known, from registers or from /proc
	pc, sp    uint64
	gp, fp    span // raw regsets
	fpType    uint32
	vector    span // regsets that the context record also takes: context.Regsets.Extra
	debug     span // 8 debug registers, 64 bytes in host order
	context   span // finished CPU context record, where a crash context gave one
	extra     span // other regsets (RegisterSetsStream), when asked for
	name      span
	stackLo   uint64 // wanted stack [stackLo, stackHi); both 0: none
	stackHi   uint64
	stackKeep uint64 // what cutStacks is to leave
	stackRVA  uint64
	ctxRVA    uint64
	nameRVA   uint64
}

type threadState uint8

const (
	threadListed threadState = iota
	threadStopped
	threadNoRegisters
	threadGone
)

// mapping is one line of the memory map.
type mapping struct {
	start, end, offset uint64
	inode              uint64
	dev                uint64 // major<<32 | minor
	perm               uint8
	kind               mappingKind
	deleted            bool
	name               span // without " (deleted)", "\012" resolved
}

const (
	permRead = 1 << iota
	permWrite
	permExec
	permShared
)

type mappingKind uint8

const (
	mapAnonymous mappingKind = iota
	mapFile                  // a path
	mapVDSO
	mapSpecial // [vvar], [vsyscall]: not to be read
	mapNamed   // [heap], [stack], [anon:…]
)

// module is one loaded image.
type module struct {
	base, end  uint64
	mapIndex   int32 // its first mapping
	main       bool
	gate       bool // the vDSO
	inArchive  bool // mapped out of an APK or zip at an offset
	user       bool // given by Options
	path       span // as mapped
	name       span // as written
	id         span // build id
	hasVersion bool
	version    [4]uint32
	bias       uint64
	packed     uint64 // how far below base its symbols count from: Android's packed relocations
	// what identification still needs, batch by batch
	phoff      uint64
	phsize     uint32
	headers    span
	notes      span
	notesAddr  uint64
	notesSize  uint64
	notesAlign uint64
	dynAddr    uint64
	dynSize    uint64
	limit      uint64 // where its program headers say that it ends; the highest address: they do not
	sonameAddr uint64
	soname     span // or the last part of its name in the archive
	nameRVA    uint64
	cvRVA      uint64
}

// memoryRange is a piece of memory that goes into the dump: one descriptor.
type memoryRange struct {
	start, size uint64
	data        span // the captured bytes
	rva         uint64
	kind        memoryKind
	left        uint64 // see cutStacks
	keep        bool   // mode full: stands for a stack under a size limit
}

func (m *memoryRange) end() uint64 { return m.start + m.size }

// memoryKind tells what may give way first under a size limit.
type memoryKind uint8

const (
	memoryCrashStack memoryKind = iota
	memoryCode
	memoryStack
	memoryApp
	memoryIndirect
)

type handle struct {
	fd      int32
	mode    uint32 // st_mode
	noType  bool   // mode is not known
	target  span   // where /proc/PID/fd/N points to
	nameRVA uint64
	typeRVA uint64
}

type linkMap struct {
	addr, ld uint64
	name     span
	rva      uint64
}

type dsoDebug struct {
	have    bool
	version int32
	brk     uint64
	ldBase  uint64
	dynamic uint64
	dynData span
}

// crashInfo is what the exception stream says, besides the context of the blamed thread.
type crashInfo struct {
	have    bool // a crash context was given
	code    uint32
	flags   uint32
	address uint64
	params  [15]uint64
	nparams uint32
}

func (s *snapshot) reserve() error {
	// What one dump can hold of each; address space, not memory.
	for _, r := range []struct {
		a    *arena
		size uintptr
	}{
		{&s.bytes.arena, 1024 * arenaUnit},
		{&s.threads.arena, 64 * arenaUnit},
		{&s.mappings.arena, 64 * arenaUnit},
		{&s.modules.arena, 32 * arenaUnit},
		{&s.memory.arena, 32 * arenaUnit},
		{&s.full.arena, 32 * arenaUnit},
		{&s.stacks.arena, 32 * arenaUnit},
		{&s.handles.arena, 64 * arenaUnit},
		{&s.linkMaps.arena, 16 * arenaUnit},
		{&s.errors.arena, 4 * arenaUnit},
	} {
		if err := r.a.reserve(r.size); err != nil {
			s.release()
			return err
		}
	}
	return nil
}

func (s *snapshot) release() {
	s.begin()
	for _, a := range s.arenas() {
		a.release()
	}
}

func (s *snapshot) arenas() [10]*arena {
	return [10]*arena{&s.bytes.arena, &s.threads.arena, &s.mappings.arena, &s.modules.arena, &s.memory.arena, &s.full.arena,
		&s.stacks.arena, &s.handles.arena, &s.linkMaps.arena, &s.errors.arena}
}

// begin empties the snapshot for a new dump.
func (s *snapshot) begin() {
	s.bytes.reset()
	s.threads.clear()
	s.mappings.clear()
	s.modules.clear()
	s.memory.clear()
	s.full.clear()
	s.handles.clear()
	s.linkMaps.clear()
	s.errors.clear()
	s.raw = [numRaw]span{}
	s.dso = dsoDebug{}
	s.crash = crashInfo{}
}

// put copies p into the byte arena. When there is no space the span is empty, which is told.
func (s *snapshot) put(p []byte) span {
	sp := s.bytes.put(p)
	if sp.len == 0 && len(p) > 0 {
		s.soft(opTruncated, 0, 0, 0)
	}
	return sp
}

// blamedThread returns the thread that the dump is about, or nil.
func (s *snapshot) blamedThread() *thread {
	ths := s.threads.all()
	for i := range ths {
		if ths[i].tid == s.proc.blamed {
			return &ths[i]
		}
	}
	return nil
}

// addBlamed lists the blamed thread if the source does not: the exception stream refers to it, and a crash context has its
// registers even if it has ended.
func (s *snapshot) addBlamed(op softOp, errno int32) {
	if s.blamedThread() != nil {
		return
	}
	s.soft(op, errno, s.proc.blamed, 0)
	t := s.threads.add()
	if t == nil && s.threads.n > 0 { // the table is full
		t = s.threads.at(s.threads.n - 1)
	}
	if t != nil {
		*t = thread{tid: s.proc.blamed, state: threadGone}
	}
}

// find returns the mapping that holds addr, or nil. The mappings are in order of address.
func (s *snapshot) find(addr uint64) *mapping {
	i := s.findIndex(addr)
	if i < 0 {
		return nil
	}
	return &s.mappings.all()[i]
}

func (s *snapshot) findIndex(addr uint64) int {
	m := s.mappings.all()
	lo, hi := 0, len(m)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if m[mid].end <= addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(m) && m[lo].start <= addr {
		return lo
	}
	return -1
}
