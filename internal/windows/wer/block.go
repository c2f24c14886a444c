//go:build amd64 || 386 || arm64

package wer

import (
	"sync/atomic"
	"unsafe"

	"minidump/internal/windows"
)

// Block is what a process that registers the module has in its memory, for the module to find: the module reads its first part
// and writes the exception into it. It lies in memory that does not move and that the monitor has too. The assembly knows the
// fields by the offsets that the compiler writes to go_asm.h.
type Block struct {
	magic   uint64
	version uint32
	timeout uint32 // milliseconds that the module waits at most
	event   uint64 // handle of an event: there is an exception
	done    uint64 // handle of an event: the dump is made
	peer    uint64 // handle of the monitor: the wait ends with it

	// What follows is the module's to write, except pointers.

	thread   uint32 // that the exception is of; 0: none. Written last
	_        uint32
	pointers [2]uintptr       // EXCEPTION_POINTERS
	record   [recordSize]byte // EXCEPTION_RECORD, then CONTEXT, as they follow each other in WER_RUNTIME_EXCEPTION_INFORMATION
}

// What the first words of a Block are. A module serves the blocks of its own version only.
const (
	blockMagic   = 0x6572726577706d64 // "dmpwerre"
	blockVersion = 1
	blockHead    = 40 // bytes that the module reads
)

// maxWait bounds the wait in milliseconds, whatever a Block says: a process that crashed must not hold WerFault.exe.
const maxWait = 60000

// Codes of the exceptions that no handler in the process sees.
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

// Prepare fills the block in. Until then the module refuses it.
func (b *Block) Prepare(h Handles) {
	*b = Block{version: blockVersion, timeout: maxWait, event: uint64(h.Event), done: uint64(h.Done), peer: uint64(h.Peer)}
	b.pointers = [2]uintptr{uintptr(unsafe.Pointer(&b.record)), uintptr(unsafe.Pointer(&b.record[contextOffset]))}
	atomic.StoreUint64(&b.magic, blockMagic)
}

// Exception returns the thread that the module has written an exception of, and the address of its EXCEPTION_POINTERS in the
// process that prepared the block. thread is 0 if there is none.
func (b *Block) Exception() (thread uint32, pointers uint64) {
	// The address of pointers in that process follows from what it wrote there: the block may be mapped elsewhere here.
	const before = unsafe.Offsetof(b.record) - unsafe.Offsetof(b.pointers)
	return atomic.LoadUint32(&b.thread), uint64(b.pointers[0] - before)
}
