package ptrace

import (
	"encoding/binary"
	"unsafe"

	"minidump/internal/sys"
)

// Where the kernel stores what in struct siginfo (asm-generic/siginfo.h). After three ints the union follows, which holds
// pointers and is aligned to them; for waitid it holds si_pid, si_uid and si_status of 4 bytes each.
const (
	siUnion  = 8 + unsafe.Sizeof(uintptr(0)) // 12, or 16
	siPid    = siUnion
	siStatus = siUnion + 8
)

// signalInfo takes apart the head of a siginfo. mips has si_code before si_errno (arch/mips/include/uapi/asm/siginfo.h).
func signalInfo(info *[128]byte) (signo, code int32) {
	at := 8
	if sys.MIPS {
		at = 4
	}
	return int32(binary.NativeEndian.Uint32(info[0:])), int32(binary.NativeEndian.Uint32(info[at:]))
}

// childCode takes apart what waitid stored. The code is 0 when it had nothing to report.
func childCode(info *[128]byte) (code, status int32) {
	if binary.NativeEndian.Uint32(info[siPid:]) == 0 {
		return 0, 0
	}
	_, code = signalInfo(info)
	return code, int32(binary.NativeEndian.Uint32(info[siStatus:]))
}

// childInfo is childCode after a waitid of the Tracer's.
func (t *Tracer) childInfo(e sys.Errno) (code, status int32, errno sys.Errno) {
	if e != 0 {
		return 0, 0, e
	}
	code, status = childCode(&t.info)
	return code, status, 0
}
