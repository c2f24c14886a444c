package windows

import (
	"syscall"
	"unsafe"
)

// Rights to a thread (winnt.h).
const (
	THREAD_SUSPEND_RESUME            = 0x0002
	THREAD_GET_CONTEXT               = 0x0008
	THREAD_QUERY_INFORMATION         = 0x0040
	THREAD_QUERY_LIMITED_INFORMATION = 0x0800

	threadRights = THREAD_SUSPEND_RESUME | THREAD_GET_CONTEXT | THREAD_QUERY_INFORMATION
)

// Thread holds what is known about a thread, except its registers.
type Thread struct {
	ID         uint32
	TEB        uint64 // address of the thread environment block, the 32-bit one in a WOW64 process; 0: unknown
	TEB64      uint64 // address of the 64-bit thread environment block in a WOW64 process, otherwise 0
	Affinity   uint64 // a bit for each processor
	Start      uint64 // address of the function with which it started; 0: unknown
	StackBase  uint64 // the end of its stack; 0: unknown
	StackLimit uint64 // the start of the committed part of its stack
	LastError  uint32 // GetLastError
	Suspended  uint32 // its suspend count
	Priority   int32  // relative to the class, as returned by GetThreadPriority
	ExitStatus uint32
	Exited     bool
	Times      Times
}

// Classes of NtQueryInformationThread (winternl.h; phnt's ntpsapi.h).
const (
	threadBasic        = 0
	threadStartAddress = 9
	threadSuspendCount = 35 // Windows 8.1
	threadName         = 38 // Windows 10 1607
)

// threadBasicInformation is THREAD_BASIC_INFORMATION.
type threadBasicInformation struct {
	exitStatus   uint32
	teb          uintptr
	process, id  uintptr
	affinity     uintptr
	priority     int32
	basePriority int32
}

// Threads iterates over the threads of a process. It must be allocated on the heap or in memory that does not move.
type Threads struct {
	process  *Process
	current  syscall.Handle
	snapshot syscall.Handle // Toolhelp's, used if there is no NtGetNextThread; 0: none yet
	entry    threadEntry32
}

// threadEntry32 is THREADENTRY32 (tlhelp32.h).
type threadEntry32 struct {
	size, usage, id, owner uint32
	basePri, deltaPri      int32
	flags                  uint32
}

// Begin starts with the first thread.
func (t *Threads) Begin(p *Process) { *t = Threads{process: p} }

// Next opens the next thread. The caller must close the handle, but not before the next call of Next has returned. At the end Next
// returns 0 and no error. Threads that are started meanwhile may or may not be included.
func (t *Threads) Next() (h syscall.Handle, errno syscall.Errno) {
	if ntGetNextThread == 0 {
		return t.nextOfToolhelp()
	}
	r, _, _ := syscall.SyscallN(ntGetNextThread, uintptr(t.process.Handle), uintptr(t.current), threadRights, 0, 0, uintptr(unsafe.Pointer(&h)))
	if uint32(r) == STATUS_NO_MORE_ENTRIES {
		return 0, 0
	}
	if errno := errnoOf(r); errno != 0 {
		return 0, errno
	}
	t.current = h
	return h, 0
}

// nextOfToolhelp searches the threads of the whole system: Toolhelp can't list those of one process.
func (t *Threads) nextOfToolhelp() (h syscall.Handle, errno syscall.Errno) {
	const TH32CS_SNAPTHREAD = 4
	f := thread32Next
	if t.snapshot == 0 {
		r, _, errno := syscall.SyscallN(createToolhelp32Snapshot, TH32CS_SNAPTHREAD, 0)
		if syscall.Handle(r) == syscall.InvalidHandle {
			return 0, failed(0, errno)
		}
		t.snapshot, f = syscall.Handle(r), thread32First
	}
	for {
		t.entry.size = uint32(unsafe.Sizeof(t.entry))
		if r, _, _ := syscall.SyscallN(f, uintptr(t.snapshot), uintptr(unsafe.Pointer(&t.entry))); r == 0 {
			t.End()
			return 0, 0
		}
		f = thread32Next
		if t.entry.owner != t.process.PID {
			continue
		}
		if h, errno := OpenThread(t.entry.id); errno == 0 { // otherwise the thread has ended
			return h, 0
		}
	}
}

// End frees the resources of Next. It is only needed if Next was not called until the end.
func (t *Threads) End() {
	if t.snapshot != 0 {
		syscall.CloseHandle(t.snapshot)
		t.snapshot = 0
	}
}

// OpenThread opens the thread with the given id.
func OpenThread(id uint32) (syscall.Handle, syscall.Errno) {
	h, _, errno := syscall.SyscallN(openThread, threadRights, 0, uintptr(id))
	if h == 0 {
		return 0, failed(0, errno)
	}
	return syscall.Handle(h), 0
}

// Basic fills t with the facts about the thread h that do not require a read of the process's memory: ID, TEB, affinity,
// priority, exit status. It sets the other fields to 0. Process.Thread fills them.
func (t *Thread) Basic(h syscall.Handle) syscall.Errno {
	const statusPending = 0x103 // STATUS_PENDING: the exit status of a thread that has not ended
	*t = Thread{}
	var b threadBasicInformation
	r, _, _ := syscall.SyscallN(ntQueryInformationThread, uintptr(h), threadBasic, uintptr(unsafe.Pointer(&b)), unsafe.Sizeof(b), 0)
	if errno := errnoOf(r); errno != 0 {
		return errno
	}
	t.ID, t.TEB, t.Affinity, t.ExitStatus = uint32(b.id), uint64(b.teb), uint64(b.affinity), b.exitStatus
	t.Exited = b.exitStatus != statusPending
	// As GetThreadPriority does: 16 and -16 mean the extremes.
	t.Priority = max(-15, min(15, b.basePriority))
	return 0
}

// Thread completes t, which Basic has filled, with facts that require one call each: suspend count, start address, times, and
// from the TEB the stack bounds and the last error. What can't be read stays 0. scratch must have at least 0x70 bytes in
// memory that does not move.
func (p *Process) Thread(h syscall.Handle, t *Thread, scratch []byte) {
	var (
		count uint32
		start uintptr
	)
	if r, _, _ := syscall.SyscallN(ntQueryInformationThread, uintptr(h), threadSuspendCount, uintptr(unsafe.Pointer(&count)), 4, 0); errnoOf(r) == 0 {
		t.Suspended = count
	}
	if r, _, _ := syscall.SyscallN(ntQueryInformationThread, uintptr(h), threadStartAddress, uintptr(unsafe.Pointer(&start)), unsafe.Sizeof(start), 0); errnoOf(r) == 0 {
		t.Start = uint64(start)
	}
	times(getThreadTimes, h, &t.Times)
	if p.Wow64 {
		p.teb32(t, scratch)
	}
	p.readTEB(t, scratch)
}

// readTEB reads the stack bounds and the last error from the TEB.
func (p *Process) readTEB(t *Thread, scratch []byte) {
	l := layoutOf(p.Wide)
	b := scratch[:l.tebLen]
	if t.TEB == 0 || p.Read(t.TEB, b) != len(b) || l.pointer(b, l.tibSelf) != t.TEB {
		return
	}
	t.StackBase, t.StackLimit = l.pointer(b, l.tibStackBase), l.pointer(b, l.tibStackLimit)
	t.LastError = le.Uint32(b[l.tebLastError:])
}

// teb32 finds the 32-bit TEB of a WOW64 thread. Its address is in the 64-bit TEB, in place of the exception list, which 64-bit
// code does not have (phnt's ntwow64.h). The 32-bit TEB is two pages above the 64-bit one.
func (p *Process) teb32(t *Thread, scratch []byte) {
	t.TEB64, t.TEB = t.TEB, 0
	b := scratch[:8]
	if t.TEB64 == 0 || p.Read(t.TEB64, b) != 8 {
		return
	}
	for _, at := range [2]uint64{le.Uint64(b), t.TEB64 + 0x2000} {
		self := scratch[8:12]
		if at != 0 && at < 1<<32 && p.Read(at+uint64(layout32.tibSelf), self) == 4 && uint64(le.Uint32(self)) == at {
			t.TEB = at
			return
		}
	}
}

// ThreadName writes the description of a thread to b in UTF-16, and returns the bytes of the description, which is empty if
// the thread has none. Windows before 10 1607 returns an error. b must have room for a UNICODE_STRING before the description,
// and must be aligned to 8 bytes.
func ThreadName(h syscall.Handle, b []byte) ([]byte, syscall.Errno) {
	var n uint32
	r, _, _ := syscall.SyscallN(ntQueryInformationThread, uintptr(h), threadName, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&n)))
	if errno := errnoOf(r); errno != 0 {
		return nil, errno
	}
	return ownString(b), 0
}

// ownString returns the text of the UNICODE_STRING at the start of b. The system has written the text to b after it.
func ownString(b []byte) []byte {
	l := layoutOf(nativeWord == 8)
	at, size := l.unicodeString(b, 0)
	off := at - uint64(uintptr(unsafe.Pointer(&b[0])))
	if size == 0 || off > uint64(len(b)) || uint64(size) > uint64(len(b))-off {
		return nil
	}
	return b[off : off+uint64(size)]
}

// ContextFlags of a CONTEXT: the bit of the machine, and those of all registers that fit (winnt.h, CONTEXT_ALL without the
// extended state).
const (
	contextAMD64 = 0x0010001f
	contextI386  = 0x0001003f
	contextARM64 = 0x0040001f
)

// MaxContext is the size of the largest CONTEXT in bytes.
const MaxContext = 1232

// ContextSize returns the size of the CONTEXT of a process's threads in bytes. Minidumps contain the same record.
func (p *Process) ContextSize() int {
	switch p.Machine {
	case IMAGE_FILE_MACHINE_I386:
		return 716
	case IMAGE_FILE_MACHINE_ARM64:
		return 912
	}
	return MaxContext
}

// setContextFlags requests all registers.
func (p *Process) setContextFlags(b []byte) {
	switch p.Machine {
	case IMAGE_FILE_MACHINE_AMD64:
		le.PutUint32(b[48:], contextAMD64)
	case IMAGE_FILE_MACHINE_ARM64:
		le.PutUint32(b, contextARM64)
	case IMAGE_FILE_MACHINE_I386:
		le.PutUint32(b, contextI386)
	}
}

// Context reads the registers of a suspended thread into b, which must have ContextSize bytes and be aligned to 16 bytes.
func (p *Process) Context(h syscall.Handle, b []byte) syscall.Errno {
	clear(b[:p.ContextSize()])
	p.setContextFlags(b)
	f := getThreadContext
	if p.Wow64 {
		if f = wow64GetThreadContext; f == 0 {
			return syscall.ERROR_PROC_NOT_FOUND
		}
	}
	r, _, errno := syscall.SyscallN(f, uintptr(h), uintptr(unsafe.Pointer(&b[0])))
	return failed(r, errno)
}
