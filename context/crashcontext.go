package context

import (
	"encoding/binary"

	"minidump/internal/errtext"
)

// ccLayout is the layout of crash_context::CrashContext of the Rust crate crash-context on Linux (src/linux.rs): its own
// ucontext_t, to which the kernel's is copied byte for byte, the floating-point state, signalfd_siginfo, pid, tid, and padding to
// the structure's alignment.
type ccLayout struct {
	arch     Arch
	size     int
	ucontext int // length of ucontext_t, at the start
	fpstate  int // length of the floating-point state, which follows ucontext_t
}

// ccLayouts have different sizes, so the size identifies the layout.
var ccLayouts = [...]ccLayout{
	{AMD64, 1616, 968, fxsaveSize},
	{AMD64, 1584, 936, fxsaveSize}, // the crate before version 0.7, which added the shadow stack
	{X86, 612, 364, 112},
	{ARM, 880, 744, 0},
	{ARM64, 5232, 4560, 528},
	{RISCV64, 1632, 960, 528},
	{S390X, 784, 512, 136},
	{LOONG64, 864, 448, 272},
}

// ParseCrashContext reads the bytes of crash_context::CrashContext, which the Rust crates crash-handler and minidumper pass
// between processes, of Linux on x86_64, x86, arm, aarch64, riscv64, s390x and loongarch64. The length determines the
// architecture. The error wraps ErrCrashContext or one of CrashFromLinux.
//
// The siginfo field is declared as signalfd_siginfo, but crash-handler copies a siginfo_t over it byte for byte, so the address
// is at the offset of si_addr (16) instead of that of ssi_addr (72). For x86_64 and aarch64 both forms are read. For signals that
// were sent, a 0 at offset 12, which is padding in siginfo_t and the sender in signalfd_siginfo, decides.
func ParseCrashContext(b []byte) (*Crash, error) {
	for i := range ccLayouts {
		if l := &ccLayouts[i]; l.size == len(b) {
			return l.parse(b)
		}
	}
	return nil, errtext.Explain(ErrCrashContext, "no architecture has one of ", len(b), " bytes")
}

// parse reads b, which has the size of the layout l.
func (l *ccLayout) parse(b []byte) (*Crash, error) {
	var o binary.ByteOrder = binary.LittleEndian
	if l.arch == S390X {
		o = binary.BigEndian
	}
	uc, fp, rest := b[:l.ucontext], b[l.ucontext:][:l.fpstate], b[l.ucontext+l.fpstate:]
	info, ids := rest[:siginfoSize], rest[siginfoSize:]
	if l.arch == AMD64 || l.arch == ARM64 {
		converted := siginfoOfSignalfd(info)
		info = converted[:]
	}
	return CrashFromLinux(l.arch, o, int32(o.Uint32(ids)), int32(o.Uint32(ids[4:])), info, uc, fp)
}

// siginfoOfSignalfd converts a signalfd_siginfo (linux/signalfd.h: u32 signo, s32 errno, code, u32 pid @12, uid @16, s32 fd @20,
// u32 tid @24, band @28, overrun @32, trapno @36, s32 status @40, int @44, u64 ptr @48, utime, stime, addr @72, u16 addr_lsb @80,
// s32 syscall @84, u64 call_addr @88, u32 arch @96) to a 64-bit little-endian siginfo_t. It returns a copy if s is a siginfo_t
// already.
func siginfoOfSignalfd(s []byte) [128]byte {
	var si [128]byte
	copy(si[:], s)
	le := binary.LittleEndian
	switch kindOf(int32(le.Uint32(s)), int32(le.Uint32(s[8:]))) {
	case sigFault:
		if addr := le.Uint64(s[72:]); addr != 0 {
			clear(si[12:])
			le.PutUint64(si[16:], addr)
			copy(si[24:26], s[80:82])
		}
	case sigSys:
		if le.Uint32(s[96:]) != 0 {
			clear(si[12:])
			copy(si[16:24], s[88:96])
			copy(si[24:28], s[84:88])
			copy(si[28:32], s[96:100])
		}
	case sigKill, sigRT, sigChild:
		if le.Uint32(s[12:]) != 0 {
			clear(si[12:])
			copy(si[16:24], s[12:20])
			copy(si[24:32], s[48:56])
			if kindOf(int32(le.Uint32(s)), int32(le.Uint32(s[8:]))) == sigChild {
				copy(si[24:28], s[40:44])
			}
		}
	}
	return si
}
