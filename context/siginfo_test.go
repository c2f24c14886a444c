package context

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
)

func TestSiginfo(t *testing.T) {
	le, be := binary.LittleEndian, binary.BigEndian
	type want struct {
		addr   uint64
		has    bool
		pid    int32
		uid    uint32
		value  uint64
		params []uint64
	}
	for _, c := range []struct {
		name string
		arch Arch
		o    binary.ByteOrder
		si   []byte
		sig  int32
		code int32
		want want
	}{
		{"fault 64", AMD64, le, siginfo(AMD64, le, 11, 0, 1, uint64(0x123456789a)), 11, 1, want{addr: 0x123456789a, has: true}},
		{"fault 32", X86, le, siginfo(X86, le, 11, 0, 2, uint64(0x8badf00d)), 11, 2, want{addr: 0x8badf00d, has: true}},
		{"fault at 0", ARM64, le, siginfo(ARM64, le, 11, 0, 1, uint64(0)), 11, 1, want{has: true}},
		{"fault big", S390X, be, siginfo(S390X, be, 11, 0, 1, uint64(0x3ff00001000)), 11, 1, want{addr: 0x3ff00001000, has: true}},
		{"fault mips", MIPS, be, siginfo(MIPS, be, 11, 7, 1, uint64(0x7f001234)), 11, 1, want{addr: 0x7f001234, has: true}},
		{"bus mips", MIPS64, le, siginfo(MIPS64, le, 10, 0, 1, uint64(0x7f00123456)), 10, 1, want{addr: 0x7f00123456, has: true}},
		{"usr1 is no bus", AMD64, le, siginfo(AMD64, le, 10, 0, 0, int32(77), int32(1000)), 10, 0,
			want{pid: 77, uid: 1000, params: []uint64{77, 1000}}},
		{"kill", AMD64, le, siginfo(AMD64, le, 11, 0, SI_USER, int32(4711), int32(1000)), 11, 0,
			want{pid: 4711, uid: 1000, params: []uint64{4711, 1000}}},
		{"tkill", ARM, le, siginfo(ARM, le, 6, 0, SI_TKILL, int32(4711), int32(1000), uint64(0)), 6, SI_TKILL,
			want{pid: 4711, uid: 1000, params: []uint64{4711, 1000, 0}}},
		{"queue", PPC64, be, siginfo(PPC64, be, 11, 0, SI_QUEUE, int32(4711), int32(1000), uint64(0xdead0000beef)), 11, SI_QUEUE,
			want{pid: 4711, uid: 1000, value: 0xdead0000beef, params: []uint64{4711, 1000, 0xdead0000beef}}},
		{"kernel", AMD64, le, siginfo(AMD64, le, 11, 0, SI_KERNEL, uint64(0)), 11, SI_KERNEL, want{params: []uint64{0, 0}}},
		{"seccomp", AMD64, le, siginfo(AMD64, le, 31, 38, 1, uint64(0x7f0000001000), int32(59), int32(-0x3fffffc2)), 31, 1,
			want{addr: 0x7f0000001000, has: true, params: []uint64{59, 0xc000003e}}},
		{"seccomp 32", ARM, le, siginfo(ARM, le, 31, 0, 1, uint64(0x1000), int32(11), int32(0x40000028)), 31, 1,
			want{addr: 0x1000, has: true, params: []uint64{11, 0x40000028}}},
		{"seccomp mips", MIPS, be, siginfo(MIPS, be, 12, 0, 1, uint64(0x1000), int32(4011), int32(8)), 12, 1,
			want{addr: 0x1000, has: true, params: []uint64{4011, 8}}},
		{"timer", AMD64, le, siginfo(AMD64, le, 14, 0, SI_TIMER, int32(3), int32(2), uint64(99)), 14, SI_TIMER,
			want{value: 99, params: []uint64{3, 2, 99}}},
		{"timer mips", MIPS64, be, siginfo(MIPS64, be, 14, 0, -3, int32(3), int32(2), uint64(99)), 14, -3,
			want{value: 99, params: []uint64{3, 2, 99}}},
		{"child", AMD64, le, siginfo(AMD64, le, 17, 0, 2, int32(88), int32(5), int32(9)), 17, 2,
			want{pid: 88, uid: 5, params: []uint64{88, 5, 9}}},
		{"poll", AMD64, le, siginfo(AMD64, le, 29, 0, 1, uint64(0x41), int32(7)), 29, 1, want{params: []uint64{0x41, 7}}},
		{"poll on another signal", AMD64, le, siginfo(AMD64, le, 10, 0, 1, uint64(0x41), int32(7)), 10, 1,
			want{params: []uint64{0x41, 7}}},
		{"trap", AMD64, le, siginfo(AMD64, le, 5, 0, 1, uint64(0x401000)), 5, 1, want{addr: 0x401000, has: true}},
		{"int3", AMD64, le, siginfo(AMD64, le, 5, 0, SI_KERNEL), 5, SI_KERNEL, want{params: []uint64{0, 0}}},
		{"async tag check", ARM64, le, siginfo(ARM64, le, 11, 0, SEGV_MTEAERR, uint64(0)), 11, SEGV_MTEAERR, want{}},
	} {
		cr, err := CrashFromSiginfo(c.arch, c.o, 5, 6, c.si)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := want{cr.Address, cr.HasAddress, cr.SenderPID, cr.SenderUID, cr.Value, nil}
		if cr.NumParams > 0 {
			got.params = cr.Params[:cr.NumParams]
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) || cr.Signo != c.sig || cr.Code != c.code || cr.PID != 5 || cr.TID != 6 ||
			cr.Arch != c.arch || cr.BigEndian != isBig(c.o) || cr.HasContext {
			t.Errorf("%s: %+v signal %d code %d, want %+v", c.name, got, cr.Signo, cr.Code, c.want)
		}
	}

	cr, _ := CrashFromSiginfo(MIPS, be, 0, 0, siginfo(MIPS, be, 11, 7, 1, uint64(1)))
	if cr.Errno != 7 {
		t.Errorf("errno %d", cr.Errno)
	}
	cr, _ = CrashFromSiginfo(AMD64, le, 0, 0, siginfo(AMD64, le, 11, 0, SEGV_BNDERR, uint64(5), uint64(0), uint64(0x1000), uint64(0x2000)))
	if cr.LowerBound != 0x1000 || cr.UpperBound != 0x2000 || cr.Address != 5 {
		t.Errorf("bounds %#x %#x", cr.LowerBound, cr.UpperBound)
	}
	cr, _ = CrashFromSiginfo(X86, le, 0, 0, siginfo(X86, le, 11, 0, SEGV_PKUERR, uint64(5), uint64(0), int32(3)))
	if cr.ProtectionKey != 3 {
		t.Errorf("key %d", cr.ProtectionKey)
	}
	cr, _ = CrashFromSiginfo(ARM64, le, 0, 0, siginfo(ARM64, le, 7, 0, BUS_MCEERR_AR, uint64(0x1000), int16(12)))
	if cr.AddressLSB != 12 {
		t.Errorf("lsb %d", cr.AddressLSB)
	}
	for _, n := range []int{0, 12, 23} {
		if cr, err := CrashFromSiginfo(AMD64, le, 0, 0, make([]byte, n)); cr != nil || !errors.Is(err, ErrSiginfo) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := CrashFromSiginfo(ArchUnknown, le, 0, 0, make([]byte, 128)); !errors.Is(err, ErrSiginfo) {
		t.Error("unknown architecture")
	}
	// The fields beyond the end of a short siginfo are 0.
	if cr, err := CrashFromSiginfo(AMD64, le, 0, 0, siginfo(AMD64, le, 31, 0, 1, uint64(9), int32(59), int32(62))[:24]); err != nil ||
		cr.Address != 9 || cr.Syscall != 0 {
		t.Errorf("%v", err)
	}
}
