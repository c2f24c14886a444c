// Package context turns raw register sets, signal frames and instruction bytes into what a minidump needs: CPU context
// records, the reason of a crash, and the memory operand of a faulting instruction.
//
// It is pure data transformation: no system call, no dependence on the machine it runs on. Architecture and byte order
// are values, so a writer on one machine can describe a process of another.
package context

import "encoding/binary"

// Arch is an instruction set family with its word size. Byte order is not part of it.
type Arch uint8

// The architectures of which register sets are understood.
const (
	ArchUnknown Arch = iota
	X86
	AMD64
	ARM
	ARM64
	MIPS
	MIPS64
	PPC64
	RISCV64
	S390X
	LOONG64
)

func (a Arch) String() string                     { return "" }
func (a Arch) ProcessorArchitecture() uint16      { return 0 }
func ArchOfProcessor(v uint16) Arch               { return 0 }
func ArchOfELF(machine uint16, class64 bool) Arch { return 0 }
func (a Arch) WordSize() int                      { return 0 }
func (a Arch) ContextSize() int                   { return 0 }
func (a Arch) RedZone() uint64                    { return 0 }
func (a Arch) GPSize() int                        { return 0 }
func (a Arch) FPRegset() uint32                   { return 0 }
func (a Arch) FPSize() int                        { return 0 }
func ArchOfRegset(native Arch, gpLen int) Arch    { return 0 }

// Regsets are the raw register sets of one thread, as the kernel (ptrace or core notes) gives them.
type Regsets struct {
	Arch  Arch
	Order binary.ByteOrder
	GP    []byte
	FP    []byte
	Extra []byte
	Debug *[8]uint64
}

func (r *Regsets) PC() uint64                   { return 0 }
func (r *Regsets) SP() uint64                   { return 0 }
func (r *Regsets) GoG() (g uint64, fsBase bool) { return 0, false }
func (r *Regsets) Encode(dst []byte) int        { return 0 }
func (r *Regsets) Registers(out []uint64) int   { return 0 }

// Register is one named register of a decoded CPU context.
type Register struct {
	Name  string
	Value uint64
}

// CPU is a decoded CPU context record.
type CPU struct {
	Arch           Arch
	Flags          uint32
	PC, SP, FP, LR uint64
	Registers      []Register
}

func Decode(a Arch, rec []byte, o binary.ByteOrder) (*CPU, error) { return nil, nil }

// Access is what an instruction wanted of memory.
type Access uint8

// The kinds of access; the values of Read, Write and Execute less one are those of the first parameter of Windows'
// EXCEPTION_ACCESS_VIOLATION only for Read and Write.
const (
	AccessUnknown Access = iota
	AccessRead
	AccessWrite
	AccessExecute
)

func (a Access) String() string { return "" }

// MaxContextSize is the size of the largest CPU context record.
const MaxContextSize = 1232

// Crash is why a thread died, OS-neutral.
type Crash struct {
	PID, TID    int32
	Signo, Code int32
	Errno       int32
	Address     uint64
	SenderPID   int32
	SenderUID   uint32
	HasContext  bool
	PC, SP      uint64
	Access      Access
	Arch        Arch
	BigEndian   bool
	ContextLen  uint32
	Context     [MaxContextSize]byte
	NumParams   uint32
	Params      [15]uint64
}

func CrashFromLinux(a Arch, o binary.ByteOrder, pid, tid int32, siginfo, ucontext, fpstate []byte) (*Crash, error) {
	return nil, nil
}
func CrashFromSiginfo(a Arch, o binary.ByteOrder, pid, tid int32, siginfo []byte) (*Crash, error) {
	return nil, nil
}
func ParseCrashContext(b []byte) (*Crash, error) { return nil, nil }
func (c *Crash) Refine(code []byte)              {}

func SignalName(signo int32) string                 { return "" }
func CodeName(signo, code int32) string             { return "" }
func SignalNameArch(a Arch, signo int32) string     { return "" }
func CodeNameArch(a Arch, signo, code int32) string { return "" }

// Operand is the memory operand of an instruction.
type Operand struct {
	Address      uint64
	Size         int
	Access       Access
	Text         string
	NonCanonical bool
}

func DecodeFault(a Arch, o binary.ByteOrder, code []byte, pc uint64, rec []byte) (Operand, bool) {
	return Operand{}, false
}
func IsCall(a Arch, o binary.ByteOrder, before []byte) bool { return false }
