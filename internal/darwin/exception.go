package darwin

import (
	"minidump/context"
	"minidump/mach"
)

// An exception is what the Exception stream says about a Mach exception, in the form that readers of macOS
// minidumps expect: Crashpad, Breakpad and rust-minidump.
type exception struct {
	code    uint32 // exception_type_t
	flags   uint32 // the code, or its upper half for EXC_RESOURCE and EXC_GUARD
	address uint64 // of the fault, if hasAddress
	// hasAddress reports whether the exception has a fault address. Without one the Exception stream has the program counter.
	hasAddress bool
	params     [3]uint64 // the type as it was raised, the whole code, the subcode
	nparams    uint32
}

// dumpRequested is the exception type of a dump without a crash: that of Crashpad for CRASHPAD_SIMULATE_CRASH ("CPsx"), which readers know.
const dumpRequested = 0x43507378

const sigABRT = 6 // of Darwin

// describe converts an exception message to an exception. The kernel raises EXC_CRASH when a process ends by a signal:
// EXC_CRASH is unwrapped, so that the dump names its cause. A signal that no exception caused becomes EXC_SOFTWARE:
// with EXC_UNIX_ABORT for abort, which readers show as SIGABRT, and with EXC_SOFT_SIGNAL for others.
func describe(kind mach.ExceptionType, code, subcode uint64, codes int) exception {
	e := exception{nparams: 2, params: [3]uint64{uint64(kind), code, subcode}}
	if codes > 1 {
		e.nparams = 3
	}
	shown, low := kind, code
	if kind == mach.EXC_CRASH {
		if c, ok := mach.DecodeCrash(code); ok {
			shown, low = c.Type, uint64(c.Code)
			if c.Type == 0 && c.Signal != 0 {
				shown, low = mach.EXC_SOFTWARE, mach.EXC_SOFT_SIGNAL
				if c.Signal == sigABRT {
					low = mach.EXC_UNIX_ABORT
				}
				e.params[2], e.nparams = uint64(c.Signal), 3
			}
		}
	}
	e.code, e.flags = uint32(shown), uint32(low)
	if shown == mach.EXC_RESOURCE || shown == mach.EXC_GUARD {
		e.flags = uint32(code >> 32)
	}
	if shown == mach.EXC_BAD_ACCESS && codes > 1 {
		e.address, e.hasAddress = subcode, true
	}
	return e
}

// Crash converts a Mach exception to the crash of a snapshot: the exception type takes the place of the signal,
// the flags that of the signal's code. thread is the id of the thread that raised the exception. codes are the
// code and the subcode, as far as they are known.
func Crash(arch context.Arch, thread uint64, kind mach.ExceptionType, codes []uint64) *context.Crash {
	var code, subcode uint64
	if len(codes) > 0 {
		code = codes[0]
	}
	if len(codes) > 1 {
		subcode = codes[1]
	}
	e := describe(kind, code, subcode, len(codes))
	c := &context.Crash{
		Arch: arch, TID: int32(uint32(thread)), Signo: int32(e.code), Code: int32(e.flags), Address: e.address,
		HasAddress: e.hasAddress,
		NumParams:  e.nparams,
	}
	copy(c.Params[:], e.params[:])
	return c
}
