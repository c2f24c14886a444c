package mach

// An ExceptionType is exception_type_t of osfmk/mach/exception_types.h.
type ExceptionType uint32

const (
	EXC_BAD_ACCESS      ExceptionType = 1
	EXC_BAD_INSTRUCTION ExceptionType = 2
	EXC_ARITHMETIC      ExceptionType = 3
	EXC_EMULATION       ExceptionType = 4
	EXC_SOFTWARE        ExceptionType = 5
	EXC_BREAKPOINT      ExceptionType = 6
	EXC_SYSCALL         ExceptionType = 7
	EXC_MACH_SYSCALL    ExceptionType = 8
	EXC_RPC_ALERT       ExceptionType = 9
	EXC_CRASH           ExceptionType = 10
	EXC_RESOURCE        ExceptionType = 11
	EXC_GUARD           ExceptionType = 12
	EXC_CORPSE_NOTIFY   ExceptionType = 13
)

// Codes of EXC_SOFTWARE: osfmk/mach/exception_types.h and bsd/sys/ux_exception.h.
const (
	EXC_UNIX_ABORT  = 0x10002 // abort was called
	EXC_SOFT_SIGNAL = 0x10003 // the subcode is a signal
)

var exceptionNames = [...]string{
	"", "EXC_BAD_ACCESS", "EXC_BAD_INSTRUCTION", "EXC_ARITHMETIC", "EXC_EMULATION", "EXC_SOFTWARE", "EXC_BREAKPOINT",
	"EXC_SYSCALL", "EXC_MACH_SYSCALL", "EXC_RPC_ALERT", "EXC_CRASH", "EXC_RESOURCE", "EXC_GUARD", "EXC_CORPSE_NOTIFY",
}

// String returns the name of t in its header, or "EXC_?".
func (t ExceptionType) String() string {
	if t == 0 || uint(t) >= uint(len(exceptionNames)) {
		return "EXC_?"
	}
	return exceptionNames[t]
}

// An ExceptionMask is a set of exception types: exception_mask_t.
type ExceptionMask uint32

// Mask returns the set of t alone.
func (t ExceptionType) Mask() ExceptionMask { return 1 << t }

// An ExceptionBehavior states what an exception message contains: exception_behavior_t of osfmk/mach/exception_types.h.
type ExceptionBehavior uint32

const (
	EXCEPTION_DEFAULT                  ExceptionBehavior = 1 // ports of the thread and the task
	EXCEPTION_STATE                    ExceptionBehavior = 2 // the thread's state
	EXCEPTION_STATE_IDENTITY           ExceptionBehavior = 3 // both
	EXCEPTION_IDENTITY_PROTECTED       ExceptionBehavior = 4 // a thread id and a token of the task
	EXCEPTION_STATE_IDENTITY_PROTECTED ExceptionBehavior = 5 // token and thread id, and the thread's state
	MACH_EXCEPTION_CODES               ExceptionBehavior = 0x80000000
)

// THREAD_STATE_NONE is the flavor of a behavior without a state: 13 on x86_64 (osfmk/mach/i386/thread_status.h), 5 on
// arm64 (osfmk/mach/arm/thread_status.h).
const (
	X86_THREAD_STATE_NONE = 13
	ARM_THREAD_STATE_NONE = 5
)

// Crash is what the code of an EXC_CRASH exception states about the original exception.
type Crash struct {
	Type   ExceptionType // 0 if the process was ended by a signal without an exception, such as that of abort
	Code   uint32        // the code of that exception; XNU keeps 20 bits of it
	Signal int           // the signal in Darwin's numbers
}

// DecodeCrash decodes the code of an EXC_CRASH exception: signal << 24 | exception << 20 | code (bsd/kern/kern_exit.c,
// proc_prepareexit). ok is false if the exception in it is one that does not end a process in this way, so that code does not
// have this form.
func DecodeCrash(code uint64) (c Crash, ok bool) {
	c = Crash{Type: ExceptionType(code >> 20 & 0xf), Code: uint32(code & 0xfffff), Signal: int(code >> 24 & 0xff)}
	switch c.Type {
	case EXC_CRASH, EXC_RESOURCE, EXC_GUARD, EXC_CORPSE_NOTIFY, 14, 15:
		return Crash{}, false
	}
	return c, true
}

// Resource is the decoded code of an EXC_RESOURCE exception: osfmk/kern/exc_resource.h.
type Resource struct {
	Type   ResourceType
	Flavor uint8
}

// A ResourceType is the kind of a resource whose limit a process has reached.
type ResourceType uint8

// Kinds of resources: osfmk/kern/exc_resource.h.
const (
	RESOURCE_TYPE_CPU     ResourceType = 1
	RESOURCE_TYPE_WAKEUPS ResourceType = 2
	RESOURCE_TYPE_MEMORY  ResourceType = 3
	RESOURCE_TYPE_IO      ResourceType = 4
	RESOURCE_TYPE_THREADS ResourceType = 5
	RESOURCE_TYPE_PORTS   ResourceType = 6
)

var resourceNames = [...]string{"RESOURCE_TYPE_?", "RESOURCE_TYPE_CPU", "RESOURCE_TYPE_WAKEUPS", "RESOURCE_TYPE_MEMORY",
	"RESOURCE_TYPE_IO",
	"RESOURCE_TYPE_THREADS", "RESOURCE_TYPE_PORTS"}

// String returns the name of t in its header, or "RESOURCE_TYPE_?".
func (t ResourceType) String() string {
	if int(t) >= len(resourceNames) {
		t = 0
	}
	return resourceNames[t]
}

// FLAVOR_CPU_MONITOR_FATAL is the only flavor of RESOURCE_TYPE_CPU that ends the process. The other EXC_RESOURCE exceptions are
// warnings, unless the process has requested otherwise (osfmk/kern/exc_resource.h).
const FLAVOR_CPU_MONITOR_FATAL = 2

// DecodeResource decodes the code of an EXC_RESOURCE exception.
func DecodeResource(code uint64) Resource {
	return Resource{Type: ResourceType(code >> 61), Flavor: uint8(code >> 58 & 7)}
}

// Fatal reports whether the exception ends the process.
func (r Resource) Fatal() bool {
	return r.Type == RESOURCE_TYPE_CPU && r.Flavor == FLAVOR_CPU_MONITOR_FATAL
}

// Guard is the decoded code of an EXC_GUARD exception: osfmk/kern/exc_guard.h.
type Guard struct {
	Type   GuardType
	Flavor uint32 // what was done to it
	Target uint32 // the guarded thing: a port, a descriptor, a process
}

// A GuardType is the kind of a guarded thing.
type GuardType uint8

// Kinds of guarded things: osfmk/kern/exc_guard.h.
const (
	GUARD_TYPE_MACH_PORT   GuardType = 1
	GUARD_TYPE_FD          GuardType = 2
	GUARD_TYPE_USER        GuardType = 3
	GUARD_TYPE_VN          GuardType = 4
	GUARD_TYPE_VIRT_MEMORY GuardType = 5
	GUARD_TYPE_REJECTED_SC GuardType = 6
)

var guardNames = [...]string{"GUARD_TYPE_NONE", "GUARD_TYPE_MACH_PORT", "GUARD_TYPE_FD", "GUARD_TYPE_USER", "GUARD_TYPE_VN",
	"GUARD_TYPE_VIRT_MEMORY", "GUARD_TYPE_REJECTED_SC"}

// String returns the name of t in its header, or "GUARD_TYPE_?".
func (t GuardType) String() string {
	if int(t) >= len(guardNames) {
		return "GUARD_TYPE_?"
	}
	return guardNames[t]
}

// DecodeGuard decodes the code of an EXC_GUARD exception.
func DecodeGuard(code uint64) Guard {
	return Guard{Type: GuardType(code >> 61), Flavor: uint32(code >> 32 & 0x1fffffff), Target: uint32(code)}
}
