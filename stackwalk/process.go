package stackwalk

import (
	stdelf "debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"

	"minidump/context"
	"minidump/stream"
)

// Memory is the memory of the process. ReadMemory fills p with the bytes from addr on and returns how many it read before
// the first one that is missing. *stream.File is a Memory.
type Memory interface {
	ReadMemory(addr uint64, p []byte) (int, error)
}

// Range is a range of the address space. End is the address after its last byte.
type Range struct {
	Start, End uint64
}

func (r Range) contains(addr uint64) bool { return addr >= r.Start && addr < r.End }

// Module is a loaded image.
type Module struct {
	Name string // path
	Base uint64 // address of its first byte
	Size uint64 // bytes

	// Image is the loaded file, or nil if it is not available. Read-only memory of the module that the dump lacks, such as code
	// and .eh_frame, is read from it. It must be of the same build, which is not checked here.
	Image *stdelf.File

	// Debug is the file with the debug information that was split from Image, for its .debug_frame; or nil.
	Debug *stdelf.File

	// Mapped replaces Image for an image that is not an ELF file: offset 0 is the byte at Base. NewPE and NewMachO return one.
	Mapped io.ReaderAt
}

// Process describes the process whose stacks are walked. It must not be copied or changed after the first Walk.
type Process struct {
	Arch    context.Arch
	Order   binary.ByteOrder // nil means little-endian
	Memory  Memory
	Modules []Module // sorted by Base

	// Executable is the memory that may contain code, sorted; nil if it is not known. Then only modules contain code.
	Executable []Range

	// Load is called before the files of module i are first needed, and can set the module's Image, Debug and Mapped. It may be nil.
	Load func(i int)

	MaxFrames int // maximum number of frames of a thread; 0 means DefaultMaxFrames

	facts  *archFacts
	images []*image // by module; nil until first needed
	reads  int      // left for the current walk
}

// DefaultMaxFrames is the maximum number of frames that Walk returns if MaxFrames is 0.
const DefaultMaxFrames = 1024

// ErrNoSystem is what FromFile and ThreadCPU return for a minidump that does not state its architecture, or whose architecture is unknown.
var ErrNoSystem = errors.New("stackwalk: unknown architecture")

// ErrNoContext is what ThreadCPU returns for a thread whose registers are not in the file.
var ErrNoContext = errors.New("stackwalk: the registers of the thread are not in the file")

// FromFile returns a Process for a minidump. The caller provides the files of the modules: see Module and Process.Load.
// The file must stay open. The error wraps ErrNoSystem or comes from the file; a Process is returned with it if what could
// be read is sufficient to walk.
func FromFile(f *stream.File) (*Process, error) {
	arch, err := archOf(f)
	if err != nil {
		return nil, err
	}
	p := &Process{Arch: arch, Order: f.Order, Memory: f}
	modules, err := f.Modules()
	for _, m := range modules {
		p.Modules = append(p.Modules, Module{Name: m.Name, Base: m.BaseOfImage, Size: uint64(m.SizeOfImage)})
	}
	slices.SortStableFunc(p.Modules, func(a, b Module) int {
		if a.Base < b.Base {
			return -1
		}
		return int(min(a.Base-b.Base, 1))
	})
	if infos, err := f.MemoryInfo(); err == nil {
		p.Executable = executable(infos)
	} else if maps, err := f.Stream(stream.LinuxMaps); err == nil { // Breakpad writes no MemoryInfoList
		p.Executable = executableMaps(string(maps))
	}
	return p, err
}

func archOf(f *stream.File) (context.Arch, error) {
	info, _, err := f.SystemInfo()
	if err != nil {
		return context.ArchUnknown, err
	}
	arch := context.ArchOfProcessor(info.ProcessorArchitecture)
	if factsOf(arch) == nil {
		return arch, ErrNoSystem
	}
	return arch, nil
}

// executable returns the ranges of infos that are executable, sorted.
func executable(infos []stream.MemoryInfo) []Range {
	const exec = stream.PAGE_EXECUTE | stream.PAGE_EXECUTE_READ | stream.PAGE_EXECUTE_READWRITE | stream.PAGE_EXECUTE_WRITECOPY
	var ranges []Range
	for _, m := range infos {
		if m.State == stream.MEM_COMMIT && m.Protect&exec != 0 && m.RegionSize <= -m.BaseAddress-1 {
			ranges = append(ranges, Range{m.BaseAddress, m.BaseAddress + m.RegionSize})
		}
	}
	sort.Slice(ranges, func(i, j int) bool { return ranges[i].Start < ranges[j].Start })
	return ranges
}

// executableMaps returns the executable mappings of a /proc/PID/maps, which is sorted; nil if there are none.
func executableMaps(maps string) []Range {
	var ranges []Range
	for line := range strings.Lines(maps) {
		fields := strings.Fields(line)
		if len(fields) < 2 || len(fields[1]) < 3 || fields[1][2] != 'x' {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil && start < end && (len(ranges) == 0 || start >= ranges[len(ranges)-1].End) {
			ranges = append(ranges, Range{start, end})
		}
	}
	return ranges
}

// ThreadCPU returns the registers from which the stack of thread t can be walked: those of the exception if it occurred in this
// thread, otherwise those of the thread. The error wraps ErrNoSystem, ErrNoContext or context.ErrContext, or comes from the file.
func ThreadCPU(f *stream.File, t *stream.Thread) (*context.CPU, error) {
	arch, err := archOf(f)
	if err != nil {
		return nil, err
	}
	if e, err := f.Exception(); err == nil && e.ThreadID == t.ThreadID {
		if cpu, err := readCPU(f, arch, e.Context); err == nil {
			return cpu, nil
		}
	}
	return readCPU(f, arch, t.Context)
}

// readCPU decodes the CPU context at loc.
func readCPU(f *stream.File, arch context.Arch, loc stream.Location) (*context.CPU, error) {
	if loc.DataSize == 0 {
		return nil, ErrNoContext
	}
	const most = 16 << 10 // the XSAVE area of Windows follows the record
	loc.DataSize = min(loc.DataSize, most)
	rec, err := f.Context(loc)
	if err != nil {
		return nil, err
	}
	cpu, err := context.Decode(arch, rec, f.Order)
	if err != nil {
		return nil, err
	}
	if len(cpu.Known()) == 0 {
		return nil, ErrNoContext
	}
	addFloats(cpu, rec, f.Order)
	return cpu, nil
}

// addFloats adds to cpu the floating-point registers of s390x, in which leaf functions save other registers. rec is the
// record from which cpu was decoded; package context describes its layout.
func addFloats(cpu *context.CPU, rec []byte, o binary.ByteOrder) {
	const flagFloat, f0, count = 0x04, 232, 16
	if cpu.Arch != context.S390X || cpu.Flags&flagFloat == 0 || len(rec) < f0+8*count {
		return
	}
	for i := range count {
		cpu.Registers = append(cpu.Registers, context.Register{Name: "f" + strconv.Itoa(i), Value: o.Uint64(rec[f0+8*i:])})
	}
}

// moduleAt returns the index of the module that contains addr, or -1.
func (p *Process) moduleAt(addr uint64) int {
	i := sort.Search(len(p.Modules), func(i int) bool { return p.Modules[i].Base > addr }) - 1
	if i < 0 || addr-p.Modules[i].Base >= p.Modules[i].Size {
		return -1
	}
	return i
}
