package windows

import (
	"errors"
	"syscall"
	"unsafe"
)

// Rights to a process (winnt.h).
const (
	PROCESS_SUSPEND_RESUME            = 0x0800
	PROCESS_SET_INFORMATION           = 0x0200
	PROCESS_QUERY_INFORMATION         = 0x0400
	PROCESS_QUERY_LIMITED_INFORMATION = 0x1000
	PROCESS_VM_READ                   = 0x0010
	PROCESS_DUP_HANDLE                = 0x0040
	SYNCHRONIZE                       = 0x00100000
)

// Access rights that a dump requires, and those that it can do without.
const (
	rightsNeeded   = PROCESS_QUERY_INFORMATION | PROCESS_VM_READ
	rightsOptional = PROCESS_SUSPEND_RESUME | PROCESS_DUP_HANDLE | PROCESS_SET_INFORMATION | SYNCHRONIZE
)

// Machines (winnt.h).
const (
	IMAGE_FILE_MACHINE_UNKNOWN = 0
	IMAGE_FILE_MACHINE_I386    = 0x014c
	IMAGE_FILE_MACHINE_ARMNT   = 0x01c4
	IMAGE_FILE_MACHINE_AMD64   = 0x8664
	IMAGE_FILE_MACHINE_ARM64   = 0xaa64
)

// Process is an open process. It must be allocated on the heap or in memory that does not move.
type Process struct {
	Handle  syscall.Handle
	PID     uint32
	Machine uint16 // one of the constants IMAGE_FILE_MACHINE_…
	Wide    bool   // addresses have 64 bits
	Wow64   bool   // it runs in the 32-bit subsystem of a 64-bit Windows, and the caller does not

	PEB   uint64 // address of the process environment block, the 32-bit one if Wow64
	PEB64 uint64 // address of the 64-bit process environment block if Wow64, otherwise 0

	ours bool // Handle belongs to the caller of Adopt, and is not closed
}

// Open opens the process pid. If access is denied, it enables the privilege to debug every process, which administrators and
// services have, and tries again.
func (p *Process) Open(pid int) error {
	if err := load(); err != nil {
		return err
	}
	*p = Process{PID: uint32(pid)}
	if pid <= 0 {
		return syscall.Errno(syscall.ERROR_FILE_NOT_FOUND)
	}
	h, errno := open(p.PID)
	if errno == syscall.ERROR_ACCESS_DENIED && debugPrivilege() {
		h, errno = open(p.PID)
	}
	if errno != 0 {
		return errno
	}
	p.Handle = h
	if err := p.identify(); err != nil {
		p.Close()
		return err
	}
	return nil
}

// Adopt uses an open handle to a process. Close does not close this handle.
func (p *Process) Adopt(h syscall.Handle, pid int) error {
	if err := load(); err != nil {
		return err
	}
	*p = Process{PID: uint32(pid), Handle: h, ours: true}
	return p.identify()
}

func open(pid uint32) (syscall.Handle, syscall.Errno) {
	h, _, errno := syscall.SyscallN(openProcess, rightsNeeded|rightsOptional, 0, uintptr(pid))
	if h == 0 && errno == syscall.ERROR_ACCESS_DENIED {
		h, _, errno = syscall.SyscallN(openProcess, rightsNeeded, 0, uintptr(pid))
	}
	if h != 0 {
		return syscall.Handle(h), 0
	}
	if errno == 0 {
		errno = syscall.EINVAL
	}
	return 0, errno
}

// debugPrivilege enables SeDebugPrivilege for this process. It reports whether the privilege was disabled and is now enabled.
func debugPrivilege() bool {
	if rtlAdjustPrivilege == 0 {
		return false
	}
	const SE_DEBUG_PRIVILEGE = 20
	var was uint8
	r, _, _ := syscall.SyscallN(rtlAdjustPrivilege, SE_DEBUG_PRIVILEGE, 1, 0, uintptr(unsafe.Pointer(&was)))
	return uint32(r) == 0 && was == 0
}

// Close closes the process.
func (p *Process) Close() {
	if p.Handle != 0 && !p.ours {
		syscall.CloseHandle(p.Handle)
	}
	p.Handle = 0
}

// ErrMachine is returned for a process whose registers or memory this program can't read: a 64-bit process if this program
// is a 32-bit one, or an emulated process.
var ErrMachine = errors.New("a program built for another processor is needed for this process")

// identify determines the machine of the process and the address of its PEB.
func (p *Process) identify() error {
	var basic processBasicInformation
	if errno := p.query(processBasic, unsafe.Pointer(&basic), unsafe.Sizeof(basic)); errno != 0 {
		return errno
	}
	p.PEB = uint64(basic.pebBaseAddress)
	p.Wide, p.Machine = nativeWord == 8, nativeMachine
	process, native := uint16(0), uint16(0)
	if isWow64Process2 != 0 {
		if r, _, errno := syscall.SyscallN(isWow64Process2, uintptr(p.Handle), uintptr(unsafe.Pointer(&process)), uintptr(unsafe.Pointer(&native))); r == 0 {
			return errno
		}
	} else {
		var wow64 int32
		if r, _, errno := syscall.SyscallN(isWow64Process, uintptr(p.Handle), uintptr(unsafe.Pointer(&wow64))); r == 0 {
			return errno
		}
		if wow64 != 0 {
			process = IMAGE_FILE_MACHINE_I386
		}
	}
	switch {
	case process == IMAGE_FILE_MACHINE_I386 && nativeWord == 8 && nativeMachine == IMAGE_FILE_MACHINE_AMD64:
		p.Wide, p.Wow64, p.Machine, p.PEB64 = false, true, IMAGE_FILE_MACHINE_I386, p.PEB
		var peb32 uintptr
		if errno := p.query(processWow64, unsafe.Pointer(&peb32), unsafe.Sizeof(peb32)); errno != 0 {
			return errno
		}
		p.PEB = uint64(peb32)
		if p.PEB == 1 {
			// Wine 8 returns 1 instead of the address. Its 32-bit PEB is in the page after the 64-bit one, as on Windows.
			p.PEB = p.PEB64 + 0x1000
		}
	case process != IMAGE_FILE_MACHINE_UNKNOWN:
		// A 32-bit process. A 32-bit program for the same machine can read it. ARM64 can't: its registers are different.
		if process != nativeMachine {
			return ErrMachine
		}
	case nativeWord == 4 && native != IMAGE_FILE_MACHINE_UNKNOWN && native != nativeMachine:
		return ErrMachine // a 64-bit process, but this program is a 32-bit one
	case getProcessInformation != 0:
		// On ARM64 an x64 process is not a WOW64 one. Windows 10 lacks this query, but has no such processes.
		var info struct {
			machine   uint16
			res       uint16
			attribute uint32
		}
		r, _, _ := syscall.SyscallN(getProcessInformation, uintptr(p.Handle), processMachineTypeInfo, uintptr(unsafe.Pointer(&info)), unsafe.Sizeof(info))
		if r != 0 && info.machine != nativeMachine && info.machine != IMAGE_FILE_MACHINE_UNKNOWN {
			return ErrMachine
		}
	}
	return nil
}

// Classes of NtQueryInformationProcess (winternl.h; phnt's ntpsapi.h), and of GetProcessInformation.
const (
	processBasic       = 0
	processVMCounters  = 3
	processWow64       = 26
	processExecute     = 34
	processCookie      = 36
	processHandles     = 51
	processProtection  = 61
	processCommandLine = 60

	processMachineTypeInfo = 9
)

// processBasicInformation is PROCESS_BASIC_INFORMATION.
type processBasicInformation struct {
	exitStatus                   int32
	pebBaseAddress               uintptr
	affinityMask                 uintptr
	basePriority                 int32
	uniqueProcessID              uintptr
	inheritedFromUniqueProcessID uintptr
}

func (p *Process) query(class uintptr, info unsafe.Pointer, size uintptr) syscall.Errno {
	r, _, _ := syscall.SyscallN(ntQueryInformationProcess, uintptr(p.Handle), class, uintptr(info), size, 0)
	return errnoOf(r)
}

// Read implements Memory.
func (p *Process) Read(addr uint64, b []byte) int {
	n, _ := p.ReadMemory(addr, b)
	return n
}

// pageSize is the page size in bytes on every machine for which Go supports Windows.
const pageSize = 4096

// ReadMemory copies memory at addr into b. It returns the number of bytes read before the first unreadable one, and why that
// byte could not be read.
func (p *Process) ReadMemory(addr uint64, b []byte) (int, syscall.Errno) {
	if len(b) == 0 {
		return 0, 0
	}
	n, errno := p.read(addr, b)
	if errno == 0 {
		return n, 0
	}
	// Windows has copied the pages before the one that failed, Wine none. The rest is read page by page.
	for n < len(b) {
		step := min(len(b)-n, int(pageSize-(addr+uint64(n))%pageSize))
		got := 0
		if got, errno = p.read(addr+uint64(n), b[n:n+step]); errno != 0 {
			return n + got, errno
		}
		n += step
	}
	return n, 0
}

// read makes one system call.
func (p *Process) read(addr uint64, b []byte) (int, syscall.Errno) {
	if uint64(uintptr(addr)) != addr {
		return 0, syscall.Errno(errorNoAccess)
	}
	var n uintptr
	r, _, _ := syscall.SyscallN(ntReadVirtualMemory, uintptr(p.Handle), uintptr(addr), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&n)))
	if uint32(r) == 0 {
		return len(b), 0
	}
	return int(min(n, uintptr(len(b)))), errnoOf(r)
}

// errorNoAccess is ERROR_NOACCESS (winerror.h).
const errorNoAccess = 998

// Times are the times of a process or a thread, in units of 100 ns. Create and Exit count from 1601, Kernel and User are durations.
type Times struct{ Create, Exit, Kernel, User uint64 }

// Times reads the times of the process into t.
func (p *Process) Times(t *Times) syscall.Errno { return times(getProcessTimes, p.Handle, t) }

func times(f uintptr, h syscall.Handle, t *Times) syscall.Errno {
	*t = Times{}
	r, _, errno := syscall.SyscallN(f, uintptr(h), uintptr(unsafe.Pointer(&t.Create)), uintptr(unsafe.Pointer(&t.Exit)),
		uintptr(unsafe.Pointer(&t.Kernel)), uintptr(unsafe.Pointer(&t.User)))
	return failed(r, errno)
}

// failed returns the error of a documented function that returned r, where 0 means failure.
func failed(r uintptr, errno syscall.Errno) syscall.Errno {
	if r != 0 {
		return 0
	}
	if errno == 0 {
		return syscall.EINVAL
	}
	return errno
}

// PriorityClass returns the priority class of the process, such as NORMAL_PRIORITY_CLASS (0x20), or 0 if it is unknown.
func (p *Process) PriorityClass() uint32 {
	r, _, _ := syscall.SyscallN(getPriorityClass, uintptr(p.Handle))
	return uint32(r)
}

// ExitCode returns the exit code of the process, and whether it has ended.
func (p *Process) ExitCode() (code uint32, ended bool) {
	const STILL_ACTIVE = 259
	r, _, _ := syscall.SyscallN(getExitCodeProcess, uintptr(p.Handle), uintptr(unsafe.Pointer(&code)))
	if r == 0 {
		return 0, false
	}
	if code != STILL_ACTIVE {
		return code, true
	}
	w, _, _ := syscall.SyscallN(waitForSingleObject, uintptr(p.Handle), 0)
	return code, w == 0
}

// ImageName writes the path of the program to b in UTF-16, and returns the path without the terminating 0.
func (p *Process) ImageName(b []uint16) ([]uint16, syscall.Errno) {
	n := uint32(len(b))
	r, _, errno := syscall.SyscallN(queryFullProcessImageNameW, uintptr(p.Handle), 0, uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)))
	if errno := failed(r, errno); errno != 0 {
		return nil, errno
	}
	return b[:min(int(n), len(b))], 0
}
