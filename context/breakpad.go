package context

import (
	"encoding/binary"

	"minidump/internal/errtext"
)

// breakpadLayout is ExceptionHandler::CrashContext of Breakpad's Linux client (client/linux/handler/exception_handler.h),
// as a C compiler lays it out: siginfo_t at 0, the id of the thread at 128, ucontext_t at the next multiple of its
// alignment, and on some architectures the floating-point state after it.
type breakpadLayout struct {
	arch     Arch
	size     int
	ucontext int // offset of ucontext_t
	length   int // of ucontext_t
	fpstate  int // length of the floating-point state, which follows ucontext_t; 0: there is none
}

// breakpadLayouts are the layouts with glibc. The second one of AMD64 is that of glibc before 2.28, whose ucontext_t has no
// shadow stack; musl's ucontext_t has the same length.
var breakpadLayouts = [...]breakpadLayout{
	{AMD64, 1616, 136, 968, fxsaveSize},
	{AMD64, 1584, 136, 936, fxsaveSize},
	{X86, 608, 132, 364, 112},
	{ARM64, 5232, 144, 4560, 528},
	{ARM, 880, 136, 744, 0},
	{MIPS, 880, 136, 744, 0},
	{MIPS64, 904, 136, 768, 0},
}

const breakpadTID = 128 // offset of the thread id

// ParseBreakpadContext reads ExceptionHandler::CrashContext, which Breakpad's Linux client sends to the process that writes its
// dump. native and o are the architecture and the byte order of the receiving machine; its 32-bit programs (Arch.Compat) are
// supported too. pid comes from the caller, because the bytes do not contain it. The thread id is in the pid namespace of the
// client. The error wraps ErrCrashContext or one of CrashFromLinux.
func ParseBreakpadContext(native Arch, o binary.ByteOrder, pid int32, b []byte) (*Crash, error) {
	for i := range breakpadLayouts {
		l := &breakpadLayouts[i]
		if l.size != len(b) || l.arch != native && l.arch != native.Compat() {
			continue
		}
		var fpstate []byte
		if l.fpstate > 0 {
			fpstate = b[l.ucontext+l.length:][:l.fpstate]
		}
		tid := int32(get32(isBig(o), b[breakpadTID:]))
		return CrashFromLinux(l.arch, o, pid, tid, b[:siginfoSize], b[l.ucontext:][:l.length], fpstate)
	}
	return nil, errtext.Explain(ErrCrashContext, "no ", native, " program sends one of ", len(b), " bytes")
}
