package wer

import "minidump/pe"

const machine = pe.IMAGE_FILE_MACHINE_AMD64

// Sizes in bytes of EXCEPTION_RECORD and CONTEXT (winnt.h).
const (
	contextOffset = 152
	recordSize    = contextOffset + 1232
)

// Offsets in WER_RUNTIME_EXCEPTION_INFORMATION (werapi.h).
const (
	infoProcess = 8
	infoThread  = 16
	infoRecord  = 24
	infoFatal   = infoRecord + recordSize + 8 // bIsFatal, since the SDK of Windows 10
)

// frame is how many bytes the assembly of the event callback subtracts from the stack pointer after four pushes.
const frame = 152

// unwind returns the UNWIND_INFO of the event callback (x64 exception handling, Microsoft), which describes its prologue, last
// instruction first. The register numbers are the processor's.
func unwind(int) []byte {
	return []byte{
		1, 12, 6, 0, // version 1, no handler; size of the prologue; number of codes; no frame pointer
		12, 0x01, frame / 8, 0, // UWOP_ALLOC_LARGE: in units of 8 bytes
		5, 0xc0, // UWOP_PUSH_NONVOL R12
		3, 0x70, // RDI
		2, 0x60, // RSI
		1, 0x30, // RBX
	}
}
