package ptrace

import (
	"encoding/binary"
	"runtime"
	"unsafe"

	"minidump/internal/sys"
)

// Where waitid stores what in struct siginfo (asm-generic/siginfo.h; mips has si_code before si_errno, see
// arch/mips/include/uapi/asm/siginfo.h). After three ints the union follows, which holds pointers and is aligned to
// them; in it si_pid, si_uid and si_status of 4 bytes each.
const (
	mips     = runtime.GOARCH == "mips" || runtime.GOARCH == "mipsle" || runtime.GOARCH == "mips64" || runtime.GOARCH == "mips64le"
	siUnion  = 8 + unsafe.Sizeof(uintptr(0)) // 12, or 16
	siPid    = siUnion
	siStatus = siUnion + 8
)

// childInfo takes apart what waitid stored. The code is 0 when it had nothing to report.
func (t *Tracer) childInfo(e sys.Errno) (code, status int32, errno sys.Errno) {
	if e != 0 {
		return 0, 0, e
	}
	code, status = childCode(&t.info)
	return code, status, 0
}

func childCode(info *[128]byte) (code, status int32) {
	if binary.NativeEndian.Uint32(info[siPid:]) == 0 {
		return 0, 0
	}
	siCode := 8
	if mips {
		siCode = 4
	}
	return int32(binary.NativeEndian.Uint32(info[siCode:])), int32(binary.NativeEndian.Uint32(info[siStatus:]))
}

// signalInfo takes apart the head of the siginfo that PTRACE_GETSIGINFO stored.
func (t *Tracer) signalInfo() (signo, code int32) {
	signo = int32(binary.NativeEndian.Uint32(t.info[0:]))
	at := 8
	if mips {
		at = 4
	}
	return signo, int32(binary.NativeEndian.Uint32(t.info[at:]))
}
