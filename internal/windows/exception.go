package windows

import (
	"errors"

	"minidump/context"
	"minidump/internal/errtext"
)

// Exception codes (winnt.h, ntstatus.h).
const (
	STATUS_ACCESS_VIOLATION           = 0xc0000005
	STATUS_IN_PAGE_ERROR              = 0xc0000006
	STATUS_NONCONTINUABLE_EXCEPTION   = 0xc0000025
	STATUS_STACK_OVERFLOW             = 0xc00000fd
	STATUS_HEAP_CORRUPTION            = 0xc0000374
	STATUS_STACK_BUFFER_OVERRUN       = 0xc0000409
	STATUS_INVALID_CRUNTIME_PARAMETER = 0xc0000417
	STATUS_FAIL_FAST_EXCEPTION        = 0xc0000602
)

// ErrException is returned for exception pointers without a readable exception record or without readable registers.
var ErrException = errors.New("bad exception pointers")

// exceptionLayout holds offsets and sizes of EXCEPTION_POINTERS and EXCEPTION_RECORD (winnt.h) in bytes.
type exceptionLayout struct {
	pointers                           int // size of EXCEPTION_POINTERS
	address, count, params, recordSize int
}

var (
	exception64 = exceptionLayout{16, 16, 24, 32, 152}
	exception32 = exceptionLayout{8, 12, 16, 20, 80}
)

// ExceptionScratch is the size of the scratch memory that ReadException requires, in bytes.
const ExceptionScratch = 2048

// ReadException fills c from the EXCEPTION_POINTERS at address pointers in a process of the given architecture: the
// exception record, and the registers at the time of the exception. code replaces a code of 0 in the record, and may be 0
// itself. scratch must have at least ExceptionScratch bytes in memory that does not move.
//
// If the registers can't be read, c is filled without them and the error wraps ErrException. If the record can't be read,
// c is unchanged and the error wraps ErrException too.
func ReadException(mem Memory, arch context.Arch, pointers uint64, pid, tid, code uint32, scratch []byte, c *context.Crash) error {
	l, wide := &exception32, layoutOf(false)
	if arch.WordSize() == 8 {
		l, wide = &exception64, layoutOf(true)
	}
	b := scratch[:l.pointers]
	if pointers == 0 || mem.Read(pointers, b) != len(b) {
		return errtext.Explain(ErrException, "nothing at ", errtext.Hex(pointers))
	}
	record, registers := wide.pointer(b, 0), wide.pointer(b, wide.word)
	b = scratch[:l.recordSize]
	if record == 0 || mem.Read(record, b) != len(b) {
		return errtext.Explain(ErrException, "no record at ", errtext.Hex(record))
	}
	*c = context.Crash{
		Arch: arch, PID: int32(pid), TID: int32(tid), Signo: int32(le.Uint32(b)), Code: int32(le.Uint32(b[4:])),
		Address: wide.pointer(b, l.address), HasAddress: true,
		NumParams: min(le.Uint32(b[l.count:]), context.MaxParams),
	}
	if c.Signo == 0 {
		c.Signo = int32(code)
	}
	for i := range c.NumParams {
		c.Params[i] = wide.pointer(b, l.params+int(i)*wide.word)
	}
	if s := uint32(c.Signo); (s == STATUS_ACCESS_VIOLATION || s == STATUS_IN_PAGE_ERROR) && c.NumParams >= 2 {
		switch c.Params[0] {
		case 0:
			c.Access = context.AccessRead
		case 1:
			c.Access = context.AccessWrite
		case 8:
			c.Access = context.AccessExecute
		}
	}
	n := arch.ContextSize()
	b = scratch[:n]
	if registers == 0 || mem.Read(registers, b) != n {
		return errtext.Explain(ErrException, "no registers at ", errtext.Hex(registers))
	}
	copy(c.Context[:], b)
	c.HasContext, c.ContextLen = true, uint32(n)
	c.PC, c.SP = ContextPC(arch, b), ContextSP(arch, b)
	return nil
}

// ContextPC returns the program counter in a CONTEXT.
func ContextPC(arch context.Arch, b []byte) uint64 {
	switch arch {
	case context.AMD64:
		return le.Uint64(b[248:])
	case context.X86:
		return uint64(le.Uint32(b[184:]))
	case context.ARM64:
		return le.Uint64(b[264:])
	}
	return 0
}

// ContextSP returns the stack pointer in a CONTEXT.
func ContextSP(arch context.Arch, b []byte) uint64 {
	switch arch {
	case context.AMD64:
		return le.Uint64(b[152:])
	case context.X86:
		return uint64(le.Uint32(b[196:]))
	case context.ARM64:
		return le.Uint64(b[256:])
	}
	return 0
}
