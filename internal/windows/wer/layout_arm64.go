package wer

import "minidump/pe"

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
	infoFatal   = infoRecord + recordSize + 8 // bIsFatal of the SDK of Windows 10 on
)

// unwind is nil: the event callback has no unwind information on arm64.
var unwind []byte
