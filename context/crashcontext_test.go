package context

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

func TestParseCrashContext(t *testing.T) {
	le := binary.LittleEndian
	build := func(a Arch, uc int, si []byte) []byte {
		var f frameCase
		for _, fc := range frameCases {
			if fc.arch == a {
				f = fc
			}
		}
		full, _ := f.ucontext(t, le)
		b := make([]byte, uc)
		copy(b, full)
		fp := pattern(512, 61)
		if a == ARM64 {
			fp = make([]byte, 528)
			le.PutUint32(fp, 0x46508001)
			le.PutUint32(fp[4:], 528)
		}
		b = append(append(b, fp...), si...)
		b = le.AppendUint32(b, 4711)
		b = le.AppendUint32(b, 4712)
		if a == ARM64 {
			b = append(b, make([]byte, 8)...)
		}
		return b
	}
	signalfd := func(signo, code int32, set map[int]uint32) []byte {
		b := make([]byte, 128)
		le.PutUint32(b, uint32(signo))
		le.PutUint32(b[8:], uint32(code))
		for off, v := range set {
			le.PutUint32(b[off:], v)
		}
		return b
	}
	for _, w := range []struct {
		name string
		arch Arch
		uc   int
		si   []byte
		addr uint64
		has  bool
		pid  int32
		uid  uint32
	}{
		{"siginfo bytes", AMD64, 968, siginfo(AMD64, le, 11, 0, 1, uint64(0xabcd000)), 0xabcd000, true, 0, 0},
		{"signalfd_siginfo", AMD64, 968, signalfd(11, 1, map[int]uint32{72: 0xabcd000}), 0xabcd000, true, 0, 0},
		{"older ucontext", AMD64, 936, siginfo(AMD64, le, 11, 0, 1, uint64(0xabcd000)), 0xabcd000, true, 0, 0},
		{"null pointer", AMD64, 968, siginfo(AMD64, le, 11, 0, 1, uint64(0)), 0, true, 0, 0},
		{"abort, siginfo bytes", AMD64, 968, siginfo(AMD64, le, 6, 0, SI_TKILL, int32(4711), int32(1000)), 0, false, 4711, 1000},
		{"abort, signalfd_siginfo", AMD64, 968, signalfd(6, SI_TKILL, map[int]uint32{12: 4711, 16: 1000}), 0, false, 4711, 1000},
		{"seccomp, siginfo bytes", AMD64, 968, siginfo(AMD64, le, 31, 0, 1, uint64(0x401000), int32(59), int32(62)), 0x401000, true, 0, 0},
		{"seccomp, signalfd_siginfo", AMD64, 968, signalfd(31, 1, map[int]uint32{84: 59, 88: 0x401000, 96: 62}), 0x401000, true, 0, 0},
		{"arm64", ARM64, 4560, siginfo(ARM64, le, 11, 0, 2, uint64(0xabcd000)), 0xabcd000, true, 0, 0},
	} {
		c, err := ParseCrashContext(build(w.arch, w.uc, w.si))
		if err != nil {
			t.Errorf("%s: %v", w.name, err)
			continue
		}
		if c.Arch != w.arch || c.PID != 4711 || c.TID != 4712 || c.Address != w.addr || c.HasAddress != w.has || c.SenderPID != w.pid ||
			c.SenderUID != w.uid || !c.HasContext || c.PC == 0 {
			t.Errorf("%s: %#x %v from %d %d, pid %d tid %d", w.name, c.Address, c.HasAddress, c.SenderPID, c.SenderUID, c.PID, c.TID)
		}
		if w.arch == AMD64 && (!bytes.Equal(c.Context[256:768], pattern(512, 61)) || le.Uint32(c.Context[48:]) != 0x10000b) {
			t.Errorf("%s: floating-point state", w.name)
		}
		if c.Signo == 31 && (c.Syscall != 59 || c.SyscallArch != 62) {
			t.Errorf("%s: syscall %d %d", w.name, c.Syscall, c.SyscallArch)
		}
	}
	for _, n := range []int{0, 1, 1615, 1617, 5224} {
		if _, err := ParseCrashContext(make([]byte, n)); !errors.Is(err, ErrCrashContext) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestParseCrashContextLayouts checks that the layouts of all architectures contain the registers of the kernel's ucontext_t and
// the ids of the client, and differ in length.
func TestParseCrashContextLayouts(t *testing.T) {
	seen := map[int]bool{}
	for _, l := range ccLayouts {
		if seen[l.size] || l.ucontext < ucontextSize(l.arch) || l.size < l.ucontext+l.fpstate+siginfoSize+8 {
			t.Errorf("the layout of %v with %d bytes can't be", l.arch, l.size)
		}
		seen[l.size] = true
		var o binary.ByteOrder = binary.LittleEndian
		if l.arch == S390X {
			o = binary.BigEndian
		}
		b := make([]byte, l.size)
		for _, fc := range frameCases {
			if fc.arch == l.arch {
				full, _ := fc.ucontext(t, o)
				copy(b[:l.ucontext], full)
			}
		}
		at := l.ucontext + l.fpstate
		copy(b[at:], siginfo(l.arch, o, SIGSEGV, 0, 1, uint64(0xabcd000)))
		o.PutUint32(b[at+siginfoSize:], 4711)
		o.PutUint32(b[at+siginfoSize+4:], 4712)
		c, err := ParseCrashContext(b)
		if err != nil {
			t.Errorf("%v: %v", l.arch, err)
			continue
		}
		want, err := CrashFromLinux(l.arch, o, 4711, 4712, b[at:][:siginfoSize], b[:l.ucontext], b[l.ucontext:at])
		if err != nil || *c != *want || c.PC == 0 || c.SP == 0 || c.Address != 0xabcd000 || c.TID != 4712 || c.Signo != SIGSEGV {
			t.Errorf("%v: %v at %#x, pc %#x, sp %#x, thread %d, %v", l.arch, c.Signo, c.Address, c.PC, c.SP, c.TID, err)
		}
	}
}
