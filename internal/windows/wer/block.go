//go:build amd64 || 386 || arm64

package wer

import (
	"sync/atomic"
	"unsafe"

	"minidump/internal/windows"
)

// Block is the memory of a process through which the module communicates with it: the module reads the first part and writes the
// exception to the rest. A Block must not move, and the monitor must share its memory. The assembly uses the field offsets that
// the compiler writes to go_asm.h.
type Block struct {
	magic   uint64
	version uint32
	timeout uint32 // maximum wait of the module, in milliseconds
	event   uint64 // handle of an event: there is an exception
	done    uint64 // handle of an event: the dump is made
	peer    uint64 // handle of the monitor: the module's wait ends when the monitor ends

	// The module writes the following fields, except pointers.

	thread   uint32 // thread of the exception; 0: none. Written last
	_        uint32
	pointers [2]uintptr       // EXCEPTION_POINTERS
	record   [recordSize]byte // EXCEPTION_RECORD, then CONTEXT, as in WER_RUNTIME_EXCEPTION_INFORMATION
}

// The first words of a Block, and how many of its bytes the module reads. A module handles only blocks of its own version.
const (
	blockMagic   = 0x6572726577706d64 // "dmpwerre"
	blockVersion = 1
	blockHead    = 40 // bytes
)

// maxWait bounds the wait in milliseconds, whatever a Block contains: a crashed process must not block WerFault.exe.
const maxWait = 60000

// Codes of the exceptions that no handler in the process receives.
const (
	codeFailFast = windows.STATUS_FAIL_FAST_EXCEPTION  // of RaiseFailFastException
	codeInt29    = windows.STATUS_STACK_BUFFER_OVERRUN // of __fastfail
	codeHeap     = windows.STATUS_HEAP_CORRUPTION
)

// Further constants of the assembly (winnt.h, winerror.h).
const (
	EVENT_MODIFY_STATE = 0x0002
	SYNCHRONIZE        = 0x00100000
	E_FAIL             = 0x80004005
)

// Handles of the process that the module duplicates.
type Handles struct {
	Event uintptr // event that the module signals when there is an exception
	Done  uintptr // event that ends the module's wait
	Peer  uintptr // process that makes the dump: its end also ends the wait
}

// Prepare fills in the block. The module ignores a block that is not prepared.
func (b *Block) Prepare(h Handles) {
	*b = Block{version: blockVersion, timeout: maxWait, event: uint64(h.Event), done: uint64(h.Done), peer: uint64(h.Peer)}
	b.pointers = [2]uintptr{uintptr(unsafe.Pointer(&b.record)), uintptr(unsafe.Pointer(&b.record[contextOffset]))}
	atomic.StoreUint64(&b.magic, blockMagic)
}

// Exception returns the thread whose exception the module has written, and the address of the EXCEPTION_POINTERS in the process
// that prepared the block. thread is 0 if there is no exception.
func (b *Block) Exception() (thread uint32, pointers uint64) {
	// The block may be mapped at another address in this process, so the address of pointers in that process is computed from the
	// address of record, which Prepare has stored there.
	const before = unsafe.Offsetof(b.record) - unsafe.Offsetof(b.pointers)
	return atomic.LoadUint32(&b.thread), uint64(b.pointers[0] - before)
}
