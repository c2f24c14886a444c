package wer

import (
	"encoding/binary"

	"minidump/pe"
)

const machine = pe.IMAGE_FILE_MACHINE_ARM64

// Sizes in bytes of EXCEPTION_RECORD and CONTEXT (winnt.h).
const (
	contextOffset = 152
	recordSize    = contextOffset + 912
)

// Offsets in WER_RUNTIME_EXCEPTION_INFORMATION (werapi.h).
const (
	infoProcess = 8
	infoThread  = 16
	infoRecord  = 24
	infoFatal   = infoRecord + recordSize + 8 // bIsFatal, since the SDK of Windows 10
)

// unwind returns the .xdata record of the event callback, whose code has size bytes (ARM64 exception handling, Microsoft). Its first
// word has the length in instructions, the flag for a single epilogue, which uses the prologue's codes, and the number of words of
// codes. The codes start with the last instruction of the prologue.
func unwind(size int) []byte {
	const oneEpilogue, codeWords = 1 << 21, 2 << 27
	return append(binary.LittleEndian.AppendUint32(nil, uint32(size/4)|oneEpilogue|codeWords),
		0xc8, 0x84, // save_regp: x21, x22 at 32
		0xc8, 0x02, // save_regp: x19, x20 at 16
		0x40,       // save_fplr: at 0
		0x08,       // alloc_s: 128 bytes
		0xe4, 0xe4) // end
}
