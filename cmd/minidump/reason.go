package main

import (
	"fmt"
	"strconv"

	"minidump/context"
	"minidump/stream"
)

// reason is why the dump was made: the exception, in the terms of its system.
type reason struct {
	Thread      uint32    `json:"thread"`
	Code        hex       `json:"code"`  // Linux: the signal; macOS: the Mach exception
	Flags       hex       `json:"flags"` // Linux: si_code; macOS: the first code of the exception
	Address     hex       `json:"address"`
	Record      hex       `json:"record"`
	Parameters  []hex     `json:"parameters"`
	Name        string    `json:"name"`                    // "SIGSEGV", "EXCEPTION_ACCESS_VIOLATION"; "" if not known
	CodeName    string    `json:"code_name,omitempty"`     // "SEGV_MAPERR"
	Access      string    `json:"access,omitempty"`        // "read", "write", "execute"
	Fault       *hex      `json:"fault_address,omitempty"` // the memory that could not be accessed
	Sender      *sender   `json:"sender,omitempty"`        // of a signal
	AddressKind string    `json:"address_kind,omitempty"`  // "null pointer", "non-canonical address"
	Instruction string    `json:"instruction,omitempty"`   // at IP
	ContextNote string    `json:"context_note,omitempty"`
	Registers   registers `json:"registers,omitempty"`
	IP          *place    `json:"ip,omitempty"`

	cpu        *context.CPU
	note       string // further text
	memory     bool   // a memory fault
	protection bool   // the processor reported a protection fault, which has no address
	noCode     bool   // the writer did not store si_code, so Address may have no meaning
}

// sender is who sent a signal.
type sender struct {
	PID uint64 `json:"pid"`
	UID uint64 `json:"uid"`
}

// Exception codes of Crashpad for a dump without a crash.
const (
	crashpadSimulatedWindows = 0x0517a7ed // kSimulatedExceptionCode
	crashpadTriggeredWindows = 0x0cca11ed // kTriggeredExceptionCode
	crashpadSimulatedMach    = 0x43507378 // kMachExceptionSimulated, "CPsx"
)

// crashpadNSException is kMachExceptionFromNSException, "CPnx", of Crashpad on iOS.
const crashpadNSException = 0x43506e78

func reasonOf(e *stream.Exception, platform uint32, arch context.Arch) *reason {
	r := &reason{Thread: e.ThreadID, Code: hex(e.Code), Flags: hex(e.Flags), Address: hex(e.Address),
		Record: hex(e.Record), Parameters: []hex{}}
	for _, p := range e.Information[:min(e.NumberParameters, uint32(len(e.Information)))] {
		r.Parameters = append(r.Parameters, hex(p))
	}
	switch platform {
	case stream.MD_OS_LINUX, stream.MD_OS_ANDROID:
		r.linux(e, arch)
	case stream.MD_OS_MAC_OS_X, stream.MD_OS_IOS:
		r.mach(e, arch)
	case stream.MD_OS_WIN32_NT:
		r.windows(e, arch)
	}
	return r
}

func (r *reason) fault(address uint64) {
	h := hex(address)
	r.Fault = &h
}

// accessOf returns the kind of access in the first parameter of EXCEPTION_ACCESS_VIOLATION, which this module's dumps
// of Linux also have.
func accessOf(v hex) string {
	switch v {
	case 0:
		return "read"
	case 1:
		return "write"
	case 8:
		return "execute"
	}
	return ""
}

func (r *reason) linux(e *stream.Exception, arch context.Arch) {
	if e.Code == stream.MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED {
		r.Name = "DUMP_REQUESTED"
		return
	}
	signo, code := int32(e.Code), int32(e.Flags)
	r.Name, r.CodeName = context.SignalNameArch(arch, signo), context.CodeNameArch(arch, signo, code)
	memory := r.Name == "SIGSEGV" || r.Name == "SIGBUS"
	r.memory = memory
	if memory && len(r.Parameters) == 2 && uint64(r.Parameters[1]) == e.Address && code > 0 {
		if r.Access = accessOf(r.Parameters[0]); r.Access != "" {
			r.fault(e.Address)
			return
		}
	}
	switch r.CodeName {
	case "SI_USER", "SI_TKILL", "SI_QUEUE":
		switch {
		case len(r.Parameters) >= 2:
			r.Sender = &sender{uint64(r.Parameters[0]), uint64(r.Parameters[1])}
		case memory: // an old Breakpad, which does not store si_code
			r.note, r.noCode = "address "+r.Address.String(), true
		}
		return
	case "SI_KERNEL":
		if memory {
			r.note, r.protection = "the address is not known", true
		}
		return
	}
	if r.Name == "SIGSYS" && len(r.Parameters) >= 1 {
		r.note = fmt.Sprintf("system call %d", r.Parameters[0])
		return
	}
	if code > 0 && (memory || r.Name == "SIGILL" || r.Name == "SIGFPE" || r.Name == "SIGTRAP") {
		r.fault(e.Address)
	}
}

// machExceptions are the names in <mach/exception_types.h>.
var machExceptions = [...]string{1: "EXC_BAD_ACCESS", "EXC_BAD_INSTRUCTION", "EXC_ARITHMETIC", "EXC_EMULATION",
	"EXC_SOFTWARE", "EXC_BREAKPOINT", "EXC_SYSCALL", "EXC_MACH_SYSCALL", "EXC_RPC_ALERT", "EXC_CRASH", "EXC_RESOURCE",
	"EXC_GUARD", "EXC_CORPSE_NOTIFY"}

func (r *reason) mach(e *stream.Exception, arch context.Arch) {
	if e.Code == crashpadSimulatedMach {
		r.Name = "DUMP_REQUESTED"
		return
	}
	if e.Code == crashpadNSException {
		r.Name = "uncaught NSException"
		return
	}
	if e.Code == 0 || uint64(e.Code) >= uint64(len(machExceptions)) {
		return
	}
	r.Name = machExceptions[e.Code]
	x86 := arch == context.X86 || arch == context.AMD64
	r.CodeName = strconv.FormatInt(int64(int32(e.Flags)), 10)
	switch {
	case r.Name == "EXC_BAD_ACCESS":
		r.memory = true
		switch e.Flags { // <mach/kern_return.h>, <mach/i386/exception.h>, <mach/arm/exception.h>
		case 1:
			r.CodeName = "KERN_INVALID_ADDRESS"
		case 2:
			r.CodeName = "KERN_PROTECTION_FAILURE"
		case 13:
			if x86 {
				r.CodeName = "EXC_I386_GPFLT"
				r.note, r.protection = "the address is not known", true
				return
			}
		case 0x101:
			r.CodeName = "EXC_ARM_DA_ALIGN"
		}
		r.fault(e.Address)
	case r.Name == "EXC_BAD_INSTRUCTION" && e.Flags == 1 && x86:
		r.CodeName = "EXC_I386_INVOP"
	case r.Name == "EXC_BAD_INSTRUCTION" && e.Flags == 1:
		r.CodeName = "EXC_ARM_UNDEFINED"
	case r.Name == "EXC_BREAKPOINT" && e.Flags == 2 && x86:
		r.CodeName = "EXC_I386_BPT"
	case r.Name == "EXC_BREAKPOINT" && e.Flags == 1 && !x86:
		r.CodeName = "EXC_ARM_BREAKPOINT"
	case r.Name == "EXC_ARITHMETIC" && e.Flags == 1 && x86:
		r.CodeName = "EXC_I386_DIV"
	case r.Name == "EXC_SOFTWARE" && e.Flags == 0x10003:
		r.CodeName = "EXC_SOFT_SIGNAL"
	}
}

// windowsExceptions are the names of minwinbase.h, or of ntstatus.h if minwinbase.h has none. The last three are named
// after the runtime that raises them.
var windowsExceptions = map[uint32]string{
	0x40010005: "DBG_CONTROL_C",
	0x80000001: "EXCEPTION_GUARD_PAGE",
	0x80000002: "EXCEPTION_DATATYPE_MISALIGNMENT",
	0x80000003: "EXCEPTION_BREAKPOINT",
	0x80000004: "EXCEPTION_SINGLE_STEP",
	0xc0000005: "EXCEPTION_ACCESS_VIOLATION",
	0xc0000006: "EXCEPTION_IN_PAGE_ERROR",
	0xc0000008: "EXCEPTION_INVALID_HANDLE",
	0xc000000d: "STATUS_INVALID_PARAMETER",
	0xc0000017: "STATUS_NO_MEMORY",
	0xc000001d: "EXCEPTION_ILLEGAL_INSTRUCTION",
	0xc0000025: "EXCEPTION_NONCONTINUABLE_EXCEPTION",
	0xc0000026: "EXCEPTION_INVALID_DISPOSITION",
	0xc000008c: "EXCEPTION_ARRAY_BOUNDS_EXCEEDED",
	0xc000008d: "EXCEPTION_FLT_DENORMAL_OPERAND",
	0xc000008e: "EXCEPTION_FLT_DIVIDE_BY_ZERO",
	0xc000008f: "EXCEPTION_FLT_INEXACT_RESULT",
	0xc0000090: "EXCEPTION_FLT_INVALID_OPERATION",
	0xc0000091: "EXCEPTION_FLT_OVERFLOW",
	0xc0000092: "EXCEPTION_FLT_STACK_CHECK",
	0xc0000093: "EXCEPTION_FLT_UNDERFLOW",
	0xc0000094: "EXCEPTION_INT_DIVIDE_BY_ZERO",
	0xc0000095: "EXCEPTION_INT_OVERFLOW",
	0xc0000096: "EXCEPTION_PRIV_INSTRUCTION",
	0xc00000fd: "EXCEPTION_STACK_OVERFLOW",
	0xc0000135: "STATUS_DLL_NOT_FOUND",
	0xc0000142: "STATUS_DLL_INIT_FAILED",
	0xc0000194: "EXCEPTION_POSSIBLE_DEADLOCK",
	0xc0000374: "STATUS_HEAP_CORRUPTION",
	0xc0000409: "STATUS_STACK_BUFFER_OVERRUN",
	0xc0000417: "STATUS_INVALID_CRUNTIME_PARAMETER",
	0xc0000420: "STATUS_ASSERTION_FAILURE",
	0xc0000602: "STATUS_FAIL_FAST_EXCEPTION",
	0x0eedfade: "Delphi exception",
	0xe0434352: "CLR exception",
	0xe06d7363: "C++ exception",
}

// fastFails are the names of the commonest codes of __fastfail (FAST_FAIL_ in winnt.h).
var fastFails = map[hex]string{
	0: "FAST_FAIL_LEGACY_GS_VIOLATION", 1: "FAST_FAIL_VTGUARD_CHECK_FAILURE", 2: "FAST_FAIL_STACK_COOKIE_CHECK_FAILURE",
	3: "FAST_FAIL_CORRUPT_LIST_ENTRY", 4: "FAST_FAIL_INCORRECT_STACK", 5: "FAST_FAIL_INVALID_ARG",
	6: "FAST_FAIL_GS_COOKIE_INIT", 7: "FAST_FAIL_FATAL_APP_EXIT", 8: "FAST_FAIL_RANGE_CHECK_FAILURE",
	10: "FAST_FAIL_GUARD_ICALL_CHECK_FAILURE",
}

func (r *reason) windows(e *stream.Exception, arch context.Arch) {
	switch e.Code {
	case crashpadSimulatedWindows, crashpadTriggeredWindows, 0:
		r.Name = "DUMP_REQUESTED"
		return
	}
	r.Name = windowsExceptions[e.Code]
	switch e.Code {
	case 0xc0000005, 0xc0000006:
		r.memory = true
		if len(r.Parameters) >= 2 {
			// Windows reports a protection fault as a read of the last address.
			r.protection = e.Code == 0xc0000005 && arch == context.AMD64 && r.Parameters[1] == 1<<64-1
			r.Access = accessOf(r.Parameters[0])
			r.fault(uint64(r.Parameters[1]))
		}
		if len(r.Parameters) >= 3 {
			r.note = fmt.Sprintf("status %#x", uint64(r.Parameters[2]))
		}
	case 0xc0000409:
		if len(r.Parameters) >= 1 {
			r.CodeName = fastFails[r.Parameters[0]]
			if r.CodeName == "" {
				r.CodeName = strconv.FormatUint(uint64(r.Parameters[0]), 10)
			}
		}
	}
}

// text returns the reason in one line.
func (r *reason) text() string {
	if r.Name == "DUMP_REQUESTED" {
		return "dump requested, no crash"
	}
	t := r.Name
	if t == "" {
		t = fmt.Sprintf("exception %v, flags %v, address %v", r.Code, r.Flags, r.Address)
	}
	if r.CodeName != "" {
		t += " / " + r.CodeName
	}
	access := r.Access
	if r.Fault != nil {
		if access == "" {
			access = "at"
		} else {
			access += " of"
		}
		t += ", " + access + " " + r.Fault.String()
	}
	if r.AddressKind != "" {
		t += ", " + r.AddressKind
	}
	if r.Sender != nil {
		t += fmt.Sprintf(", sent by PID %d, UID %d", r.Sender.PID, r.Sender.UID)
	}
	if r.note != "" {
		t += ", " + r.note
	}
	return t
}
