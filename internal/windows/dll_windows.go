package windows

import (
	"sync"
	"syscall"
	"unsafe"

	"minidump/internal/errtext"
)

// Addresses of system functions, found once by load. A function of ntdll.dll is called where the documented one does not work
// on another process, allocates, or leaves something out.
var (
	// kernel32.dll
	getExitCodeProcess, getExitCodeThread, getProcessTimes, getThreadTimes, getThreadPriority, getPriorityClass uintptr
	getCurrentThreadId, getThreadContext, openProcess, openThread, suspendThread, resumeThread, virtualQueryEx  uintptr
	getNativeSystemInfo, isProcessorFeaturePresent, getTimeZoneInformation, queryFullProcessImageNameW          uintptr
	createToolhelp32Snapshot, thread32First, thread32Next, waitForSingleObject                                  uintptr
	createThread, terminateThread, cancelSynchronousIo, virtualAlloc                                            uintptr
	isWow64Process, isWow64Process2, wow64GetThreadContext, getProcessInformation, loadLibraryExW               uintptr
	// ntdll.dll
	ntReadVirtualMemory, ntQueryInformationProcess, ntQueryInformationThread, ntQuerySystemInformation  uintptr
	ntQueryObject, ntDuplicateObject, ntQueryVirtualMemory, ntOpenProcessToken, ntQueryInformationToken uintptr
	ntOpenThreadToken                                                                                   uintptr
	ntPowerInformation, ntSuspendProcess, ntResumeProcess, ntGetNextThread                              uintptr
	ntCreateProcessStateChange, ntChangeProcessState, rtlGetVersion, rtlGetUnloadEventTraceEx           uintptr
	rtlNtStatusToDosError, rtlAdjustPrivilege                                                           uintptr
)

// An entry is a function to find. Without an optional function there is a fallback, or a fact is left out of the dump.
type entry struct {
	addr     *uintptr
	name     string
	optional bool
}

var fromKernel32 = []entry{
	{&getExitCodeProcess, "GetExitCodeProcess", false},
	{&getExitCodeThread, "GetExitCodeThread", false},
	{&getProcessTimes, "GetProcessTimes", false},
	{&getThreadTimes, "GetThreadTimes", false},
	{&getThreadPriority, "GetThreadPriority", false},
	{&getPriorityClass, "GetPriorityClass", false},
	{&getThreadContext, "GetThreadContext", false},
	{&getCurrentThreadId, "GetCurrentThreadId", false},
	{&openProcess, "OpenProcess", false},
	{&openThread, "OpenThread", false},
	{&suspendThread, "SuspendThread", false},
	{&resumeThread, "ResumeThread", false},
	{&virtualQueryEx, "VirtualQueryEx", false},
	{&getNativeSystemInfo, "GetNativeSystemInfo", false},
	{&isProcessorFeaturePresent, "IsProcessorFeaturePresent", false},
	{&getTimeZoneInformation, "GetTimeZoneInformation", false},
	{&queryFullProcessImageNameW, "QueryFullProcessImageNameW", false},
	{&createToolhelp32Snapshot, "CreateToolhelp32Snapshot", false},
	{&thread32First, "Thread32First", false},
	{&thread32Next, "Thread32Next", false},
	{&waitForSingleObject, "WaitForSingleObject", false},
	{&createThread, "CreateThread", false},
	{&terminateThread, "TerminateThread", false},
	{&cancelSynchronousIo, "CancelSynchronousIo", true},
	{&virtualAlloc, "VirtualAlloc", false},
	{&isWow64Process, "IsWow64Process", false},
	{&isWow64Process2, "IsWow64Process2", true},             // Windows 10 1511
	{&wow64GetThreadContext, "Wow64GetThreadContext", true}, // not in 32-bit libraries of every version
	{&getProcessInformation, "GetProcessInformation", true}, // Windows 8; ProcessMachineTypeInfo: Windows 11
	{&loadLibraryExW, "LoadLibraryExW", false},
}

var fromNtdll = []entry{
	{&ntReadVirtualMemory, "NtReadVirtualMemory", false},
	{&ntQueryInformationProcess, "NtQueryInformationProcess", false},
	{&ntQueryInformationThread, "NtQueryInformationThread", false},
	{&ntQuerySystemInformation, "NtQuerySystemInformation", false},
	{&ntQueryObject, "NtQueryObject", false},
	{&ntDuplicateObject, "NtDuplicateObject", false},
	{&ntQueryVirtualMemory, "NtQueryVirtualMemory", false},
	{&ntOpenProcessToken, "NtOpenProcessToken", false},
	{&ntOpenThreadToken, "NtOpenThreadToken", false},
	{&ntQueryInformationToken, "NtQueryInformationToken", false},
	{&ntPowerInformation, "NtPowerInformation", true},
	{&ntSuspendProcess, "NtSuspendProcess", true},
	{&ntResumeProcess, "NtResumeProcess", true},
	{&ntGetNextThread, "NtGetNextThread", true},                       // Windows Vista
	{&ntCreateProcessStateChange, "NtCreateProcessStateChange", true}, // Windows 11
	{&ntChangeProcessState, "NtChangeProcessState", true},             // Windows 11
	{&rtlGetVersion, "RtlGetVersion", false},
	{&rtlGetUnloadEventTraceEx, "RtlGetUnloadEventTraceEx", true}, // Windows Vista
	{&rtlNtStatusToDosError, "RtlNtStatusToDosError", false},
	{&rtlAdjustPrivilege, "RtlAdjustPrivilege", true},
}

// load finds the functions. Both libraries are in every process from its start, so LoadLibrary loads nothing.
var load = sync.OnceValue(func() error {
	for _, l := range []struct {
		name    string
		entries []entry
	}{{"kernel32.dll", fromKernel32}, {"ntdll.dll", fromNtdll}} {
		dll, err := syscall.LoadLibrary(l.name)
		if err != nil {
			return errtext.Wrap(err, "load ", l.name)
		}
		for _, e := range l.entries {
			addr, err := syscall.GetProcAddress(dll, e.name)
			if err != nil && !e.optional {
				return errtext.Wrap(err, "find ", e.name, " in ", l.name)
			}
			*e.addr = addr
		}
		ownNtdll = dll
	}
	return nil
})

// ownNtdll is the base of ntdll.dll in this process. load sets it to the last library of its list.
var ownNtdll syscall.Handle

// loadSystem loads a library from the System32 folder, never from the program's or the current folder, and finds functions
// in it.
func loadSystem(name string, entries []entry) error {
	if err := load(); err != nil {
		return err
	}
	const LOAD_LIBRARY_SEARCH_SYSTEM32 = 0x800
	wide, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return err
	}
	dll, _, errno := syscall.SyscallN(loadLibraryExW, uintptr(unsafe.Pointer(wide)), 0, LOAD_LIBRARY_SEARCH_SYSTEM32)
	if dll == 0 {
		return errtext.Wrap(errno, "load ", name)
	}
	for _, e := range entries {
		addr, err := syscall.GetProcAddress(syscall.Handle(dll), e.name)
		if err != nil && !e.optional {
			return errtext.Wrap(err, "find ", e.name, " in ", name)
		}
		*e.addr = addr
	}
	return nil
}

// Status values that mean more than success or failure (ntstatus.h).
const (
	STATUS_NO_MORE_ENTRIES      = 0x8000001a
	STATUS_INFO_LENGTH_MISMATCH = 0xc0000004
	STATUS_BUFFER_TOO_SMALL     = 0xc0000023
	STATUS_BUFFER_OVERFLOW      = 0x80000005
	STATUS_PARTIAL_COPY         = 0x8000000d
)

// errnoOf converts an NTSTATUS to the error code that the documented function sets. It returns 0 for success.
func errnoOf(status uintptr) syscall.Errno {
	if s := uint32(status); s < 0x80000000 { // success and information
		return 0
	}
	r, _, _ := syscall.SyscallN(rtlNtStatusToDosError, status)
	if r == 0 {
		return syscall.EINVAL
	}
	return syscall.Errno(r)
}
