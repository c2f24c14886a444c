package mach

// Flavors of thread_get_state for x86_64: osfmk/mach/i386/thread_status.h.
const (
	X86_THREAD_STATE64    = 4
	X86_FLOAT_STATE64     = 5
	X86_EXCEPTION_STATE64 = 6
)

// X86ThreadState64 is x86_thread_state64_t of osfmk/mach/i386/_structs.h, 168 bytes.
type X86ThreadState64 struct {
	RAX, RBX, RCX, RDX, RDI, RSI, RBP, RSP uint64
	R8, R9, R10, R11, R12, R13, R14, R15   uint64
	RIP, RFLAGS, CS, FS, GS                uint64
}

// X86FloatState64 is x86_float_state64_t of osfmk/mach/i386/_structs.h, 524 bytes.
type X86FloatState64 struct {
	_      [2]int32
	FXSave [512]byte // as written by FXSAVE; XNU fills the first 416 bytes
	_      int32
}

// X86ExceptionState64 is x86_exception_state64_t of osfmk/mach/i386/_structs.h, 16 bytes: the thread's last fault.
type X86ExceptionState64 struct {
	TrapNo     uint16
	CPU        uint16
	Err        uint32
	FaultVAddr uint64
}
