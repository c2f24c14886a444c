//go:build amd64 || 386 || arm64

package wer

import (
	"sync/atomic"
	"unsafe"

	"minidump/internal/windows"
)

// Block is the memory of a process through which the module communicates with it: the module reads the first part and writes the
// exception to the rest. A Block must not move, and the monitor must share its memory. The assembly uses the offsets of the
// fields that the compiler writes to go_asm.h.
type Block struct {
	magic   uint64
	version uint32
	timeout uint32 // milliseconds that the module waits at most
	event   uint64 // handle of an event: there is an exception
	done    uint64 // handle of an event: the dump is made
	peer    uint64 // handle of the monitor: the wait ends with it

	// The module writes what follows, except pointers.

	thread   uint32 // that the exception is of; 0: none. Written last
	_        uint32
	pointers [2]uintptr       // EXCEPTION_POINTERS
	record   [recordSize]byte // EXCEPTION_RECORD, then CONTEXT, as they follow each other in WER_RUNTIME_EXCEPTION_INFORMATION
}

// The first words of a Block, and how much of it the module reads. A module handles only blocks of its own version.
const (
	blockMagic   = 0x6572726577706d64 // "dmpwerre"
	blockVersion = 1
	blockHead    = 40 // bytes that the module reads
)

// maxWait bounds the wait in milliseconds, whatever a Block says: a process that crashed must not hold WerFault.exe.
const maxWait = 60000

// Codes of the exceptions that no handler in the process receives.
const (
	codeFailFast = windows.STATUS_FAIL_FAST_EXCEPTION  // of RaiseFailFastException
	codeInt29    = windows.STATUS_STACK_BUFFER_OVERRUN // of __fastfail
	codeHeap     = windows.STATUS_HEAP_CORRUPTION
)

// What else the assembly uses (winnt.h, winerror.h).
const (
	EVENT_MODIFY_STATE = 0x0002
	SYNCHRONIZE        = 0x00100000
	E_FAIL             = 0x80004005
)

// Handles of the process that the module duplicates.
type Handles struct {
	Event uintptr // event to signal when there is an exception
	Done  uintptr // event that ends the wait
	Peer  uintptr // process that makes the dump: the wait ends with it
}

// Prepare fills in the block. Before that the module ignores it.
func (b *Block) Prepare(h Handles) {
	*b = Block{version: blockVersion, timeout: maxWait, event: uint64(h.Event), done: uint64(h.Done), peer: uint64(h.Peer)}
	b.pointers = [2]uintptr{uintptr(unsafe.Pointer(&b.record)), uintptr(unsafe.Pointer(&b.record[contextOffset]))}
	atomic.StoreUint64(&b.magic, blockMagic)
}

// Exception returns the thread whose exception the module has written, and the address of the EXCEPTION_POINTERS in the process
// that prepared the block. thread is 0 if there is no exception.
func (b *Block) Exception() (thread uint32, pointers uint64) {
	// The address of pointers in that process follows from what it wrote there: the block may be mapped elsewhere here.
	const before = unsafe.Offsetof(b.record) - unsafe.Offsetof(b.pointers)
	return atomic.LoadUint32(&b.thread), uint64(b.pointers[0] - before)
}
