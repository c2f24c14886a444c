package wer

import "minidump/pe"

const machine = pe.IMAGE_FILE_MACHINE_I386

// Sizes in bytes of EXCEPTION_RECORD and CONTEXT (winnt.h).
const (
	contextOffset = 80
	recordSize    = contextOffset + 716
)

// Offsets in WER_RUNTIME_EXCEPTION_INFORMATION (werapi.h).
const (
	infoProcess = 4
	infoThread  = 8
	infoRecord  = 12
	infoFatal   = infoRecord + recordSize + 4 // bIsFatal, since the SDK of Windows 10
)

// unwind returns nil: 386 libraries have no unwind tables.
func unwind(int) []byte { return nil }
