package context

import "encoding/binary"

// Access is what an instruction wanted of memory.
type Access uint8

const (
	AccessUnknown Access = iota
	AccessRead
	AccessWrite
	AccessExecute
)

func (a Access) String() string { return "" }

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
