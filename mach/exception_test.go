package mach

import "testing"

func TestExceptionNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{EXC_BAD_ACCESS.String(), "EXC_BAD_ACCESS"}, {EXC_CORPSE_NOTIFY.String(), "EXC_CORPSE_NOTIFY"},
		{ExceptionType(0).String(), "EXC_?"}, {ExceptionType(14).String(), "EXC_?"},
		{ExceptionType(1 << 31).String(), "EXC_?"},
		{RESOURCE_TYPE_PORTS.String(), "RESOURCE_TYPE_PORTS"}, {ResourceType(7).String(), "RESOURCE_TYPE_?"},
		{GUARD_TYPE_VN.String(), "GUARD_TYPE_VN"}, {GUARD_TYPE_REJECTED_SC.String(), "GUARD_TYPE_REJECTED_SC"},
		{GuardType(7).String(), "GUARD_TYPE_?"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
	if EXC_CRASH.Mask() != 0x400 {
		t.Errorf("mask %#x", EXC_CRASH.Mask())
	}
}

// TestDecode decodes codes as composed by XNU.
func TestDecode(t *testing.T) {
	for _, c := range []struct {
		code uint64
		want Crash
		ok   bool
	}{
		{11<<24 | 1<<20 | 1, Crash{EXC_BAD_ACCESS, 1, 11}, true},
		{5<<24 | 6<<20 | 2, Crash{EXC_BREAKPOINT, 2, 5}, true},
		{6 << 24, Crash{0, 0, 6}, true}, // abort
		{4<<24 | 2<<20 | 0xfffff, Crash{EXC_BAD_INSTRUCTION, 0xfffff, 4}, true},
		{9<<24 | 10<<20, Crash{}, false},
		{9<<24 | 13<<20, Crash{}, false},
		{9<<24 | 15<<20, Crash{}, false},
	} {
		if got, ok := DecodeCrash(c.code); got != c.want || ok != c.ok {
			t.Errorf("%#x: %+v, %v", c.code, got, ok)
		}
	}
	if got := DecodeResource(1<<61 | 2<<58 | 0x1234); got != (Resource{RESOURCE_TYPE_CPU, 2}) || !got.Fatal() {
		t.Errorf("resource %+v", got)
	}
	if got := DecodeResource(3<<61 | 1<<58); got != (Resource{RESOURCE_TYPE_MEMORY, 1}) || got.Fatal() {
		t.Errorf("resource %+v", got)
	}
	if got := DecodeGuard(2<<61 | 0x1fffffff<<32 | 0x2a); got != (Guard{GUARD_TYPE_FD, 0x1fffffff, 42}) {
		t.Errorf("guard %+v", got)
	}
}
