package windows

import (
	"syscall"
	"unsafe"
)

// Handle is a handle of a process.
type Handle struct {
	Value        uint64
	Attributes   uint32
	Access       uint32 // the rights that it grants
	TypeIndex    uint32 // the same for all objects of one type
	HandleCount  uint32 // of the object, in all processes; 0: unknown
	PointerCount uint32 // of the object; 0: unknown
}

// processHandleEntry is PROCESS_HANDLE_TABLE_ENTRY_INFO (phnt's ntpsapi.h). Two words precede the entries; the first is the
// number of entries.
type processHandleEntry struct {
	value, handleCount, pointerCount  uintptr
	access, typ, attributes, reserved uint32
}

// systemHandleEntry is SYSTEM_HANDLE_TABLE_ENTRY_INFO_EX (phnt's ntexapi.h). Two words precede the entries; the first is the
// number of entries.
type systemHandleEntry struct {
	object, process, value uintptr
	access                 uint32
	backTrace, typ         uint16
	attributes, reserved   uint32
}

// Handles is a list of handles in the form that the system writes to a buffer.
type Handles struct {
	b       []byte
	process *Process
	system  bool // the list has the handles of all processes
	n, next uintptr
}

// List reads the list of the handles of p into buf, which must be aligned to 8 bytes. It returns ERROR_BUFFER_OVERFLOW if
// buf is too short.
func (l *Handles) List(p *Process, buf []byte) syscall.Errno {
	const systemExtendedHandles = 64 // SystemExtendedHandleInformation, phnt's ntexapi.h
	*l = Handles{b: buf, process: p}
	var n uint32
	r, _, _ := syscall.SyscallN(ntQueryInformationProcess, uintptr(p.Handle), processHandles, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), uintptr(unsafe.Pointer(&n)))
	if isLength(r) {
		return errorBufferOverflow
	}
	if errnoOf(r) != 0 { // before Windows 8, and Wine
		l.system = true
		r, _, _ = syscall.SyscallN(ntQuerySystemInformation, systemExtendedHandles, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), uintptr(unsafe.Pointer(&n)))
		if isLength(r) {
			return errorBufferOverflow
		}
		if errno := errnoOf(r); errno != 0 {
			return errno
		}
	}
	l.n = min(*(*uintptr)(unsafe.Pointer(&buf[0])), (uintptr(len(buf))-2*nativeWord)/l.entrySize())
	return 0
}

func (l *Handles) entrySize() uintptr {
	if l.system {
		return unsafe.Sizeof(systemHandleEntry{})
	}
	return unsafe.Sizeof(processHandleEntry{})
}

// errorBufferOverflow is ERROR_BUFFER_OVERFLOW (winerror.h).
const errorBufferOverflow = syscall.Errno(111)

// isLength reports whether a status means that the buffer was too short.
func isLength(status uintptr) bool {
	s := uint32(status)
	return s == STATUS_INFO_LENGTH_MISMATCH || s == STATUS_BUFFER_TOO_SMALL || s == STATUS_BUFFER_OVERFLOW
}

// Next reads the next handle into h. It returns false at the end.
func (l *Handles) Next(h *Handle) bool {
	for l.next < l.n {
		at := unsafe.Pointer(&l.b[2*nativeWord+l.next*l.entrySize()])
		l.next++
		if !l.system {
			e := (*processHandleEntry)(at)
			*h = Handle{uint64(e.value), e.attributes, e.access, e.typ, uint32(e.handleCount), uint32(e.pointerCount)}
			return true
		}
		e := (*systemHandleEntry)(at)
		if e.process == uintptr(l.process.PID) {
			*h = Handle{Value: uint64(e.value), Attributes: e.attributes, Access: e.access, TypeIndex: uint32(e.typ)}
			return true
		}
	}
	return false
}

// currentProcess is the pseudo handle of NtCurrentProcess.
const currentProcess = ^uintptr(0)

// Duplicate makes a handle of the calling process from a handle of p. The new handle grants no access to the object, only
// queries about it.
func (p *Process) Duplicate(value uint64) (h syscall.Handle, errno syscall.Errno) {
	r, _, _ := syscall.SyscallN(ntDuplicateObject, uintptr(p.Handle), uintptr(value), currentProcess, uintptr(unsafe.Pointer(&h)), 0, 0, 0)
	return h, errnoOf(r)
}

// Classes of NtQueryObject (winternl.h; phnt's ntobapi.h).
const (
	objectName  = 1
	objectType  = 2
	objectBasic = 0
)

// objectBasicInformation is OBJECT_BASIC_INFORMATION (phnt's ntobapi.h).
type objectBasicInformation struct {
	attributes, access, handles, pointers uint32
	_                                     [10]uint32
}

// TypeName writes the name of the type of an object, such as "File", to b in UTF-16, and returns the bytes of the name. b must
// be aligned to 8 bytes. TypeName never blocks.
func TypeName(h syscall.Handle, b []byte) ([]byte, syscall.Errno) {
	return queryObject(h, objectType, b)
}

// ObjectName writes the name of an object to b in UTF-16, and returns the bytes of the name. b must be aligned to 8 bytes.
//
// It blocks while a read is blocked on the object, if that is a pipe or another file opened for synchronous access: the
// kernel requests the name from the file system, and that request waits for the read.
func ObjectName(h syscall.Handle, b []byte) ([]byte, syscall.Errno) {
	return queryObject(h, objectName, b)
}

func queryObject(h syscall.Handle, class uintptr, b []byte) ([]byte, syscall.Errno) {
	var n uint32
	r, _, _ := syscall.SyscallN(ntQueryObject, uintptr(h), class, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&n)))
	if errno := errnoOf(r); errno != 0 {
		return nil, errno
	}
	return ownString(b), 0
}

// Counts sets the counts of h from a duplicate of it. They do not include the duplicate.
func (h *Handle) Counts(duplicate syscall.Handle) {
	var b objectBasicInformation
	r, _, _ := syscall.SyscallN(ntQueryObject, uintptr(duplicate), objectBasic, uintptr(unsafe.Pointer(&b)), unsafe.Sizeof(b), 0)
	if errnoOf(r) == 0 && b.handles > 1 {
		h.HandleCount, h.PointerCount = b.handles-1, b.pointers-min(b.pointers, 1)
	}
}
