package ptrace

import (
	"encoding/binary"
	"testing"
)

// TestFindCall searches for system call instructions of machines on which several byte patterns could be one.
func TestFindCall(t *testing.T) {
	arm, s390x, riscv64 := armLayout, s390xLayout, riscv64Layout
	for _, test := range []struct {
		name string
		l    *callLayout
		code string
		want uint64
		ok   bool
	}{
		{"arm", &arm, "\x00\xdf\x00\x00\x00\x00\x00\xef", 4, true}, // before one of Thumb state
		{"thumb", &arm, "\x00\x00\x00\xdf\x00\x00\x00\x0f", 3, true},
		{"arm, not aligned", &arm, "\x01\x00\x00\x00\x00\xef\x01\x00", 0, false},
		{"arm, of the old ABI", &arm, "\x01\x00\x90\xef", 0, false},
		{"s390x", &s390x, "\x0a\x07\x0a\xad\x0a\x00", 4, true},
		{"s390x, numbers alone", &s390x, "\x0a\x07\x0a\xad", 0, false},
		{"riscv64, after one of 16 bits", &riscv64, "\x01\x00\x73\x00\x00\x00", 2, true},
		{"cut off", &riscv64, "\x73\x00\x00", 0, false},
	} {
		if offset, ok := test.l.find([]byte(test.code)); offset != test.want || ok != test.ok {
			t.Errorf("%s: %d, %v", test.name, offset, ok)
		}
	}
	for code, want := range map[string]bool{"\x0a\x00": true, "\x0a\xa2\x00\x00": true, "\x0a\x07": false, "\x0b\x00": false, "\x0a": false} {
		if got := s390x.isCall([]byte(code), false); got != want {
			t.Errorf("s390x: %x is a call: %v", code, got)
		}
	}
	if arm.isCall([]byte("\x00\x00\x00\xef"), true) || !arm.isCall([]byte("\x00\xdf\x00\x00"), true) || arm.isCall([]byte("\x00\xdf\x00\x00"), false) {
		t.Error("arm: the instruction of the other state")
	}
}

// TestGoTo moves threads of arm to an instruction, and makes them continue their own call.
func TestGoTo(t *testing.T) {
	l := armLayout
	regs := make([]byte, l.size)
	set := func(register int, v uint32) { binary.NativeEndian.PutUint32(regs[4*register:], v) }
	get := func(register int) uint32 { return binary.NativeEndian.Uint32(regs[4*register:]) }
	const user = 0x60000010  // flags and the mode
	set(16, user|0x0600fc20) // in a Thumb condition
	l.goTo(regs, 0x2001)
	if get(15) != 0x2000 || get(16) != user|0x20 {
		t.Errorf("pc %#x, cpsr %#x", get(15), get(16))
	}
	if l.goOn(regs); get(15) != 0x2002 || int32(get(0)) != -516 {
		t.Errorf("pc %#x, r0 %d", get(15), int32(get(0)))
	}
	l.goTo(regs, 0x3000)
	if get(15) != 0x3000 || get(16) != user {
		t.Errorf("pc %#x, cpsr %#x", get(15), get(16))
	}
	if l.goOn(regs); get(15) != 0x3004 {
		t.Errorf("pc %#x", get(15))
	}
}
