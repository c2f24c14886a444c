package mach

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// raise is a mach_exception_raise: 84 bytes, with the thread's port at 28, the task's at 40, NDR at 52, the exception
// at 60, and the codes at 68.
const raise = `12110080 54000000 03070000 07090000 00000000 65090000
	02000000 010b0000 00000000 00001100 03010000 00000000 00001100
	00000000 01000000 01000000 02000000 0100000000000000 41000000 01000000`

func TestParseException(t *testing.T) {
	e, ok := ParseException(unhex(raise))
	if !ok {
		t.Fatal("not parsed")
	}
	if e.Thread != 0xb01 || e.Task != 0x103 || e.Type != EXC_BAD_ACCESS || e.CodeCount != 2 || e.Code != 1 ||
		e.Subcode != 0x100000041 ||
		e.Protected || e.State != nil || e.Header.Remote != 0x703 || e.Header.Local != 0x907 ||
		e.Header.ID != MACH_EXCEPTION_RAISE {
		t.Errorf("%+v", e)
	}
	var reply [ExceptionReplySize]byte
	// MOVE_SEND_ONCE to the reply port, 36 bytes, id + 100, NDR, KERN_SUCCESS.
	if got, want := e.Reply(reply[:], KERN_SUCCESS),
		unhex(`12000000 24000000 03070000 00000000 00000000 c9090000 00000000 01000000 00000000`); !bytes.Equal(got, want) {
		t.Errorf("reply\n%x\n%x", got, want)
	}
	if got, want := e.Reply(reply[:], MACH_RCV_PORT_DIED)[32:], unhex("09400010"); !bytes.Equal(got, want) {
		t.Errorf("reply %x", got)
	}
}

func TestParseExceptionState(t *testing.T) {
	// mach_exception_raise_state with one code: flavor at 48, two words of state at 56.
	m := unhex(`12110000 40000000 03070000 07090000 00000000 66090000
		00000000 01000000 06000000 01000000 0100000000000000 06000000 02000000 11111111 22222222`)
	e, ok := ParseException(m)
	if !ok || e.Type != EXC_BREAKPOINT || e.CodeCount != 1 || e.Subcode != 0 || e.Flavor != 6 || len(e.State) != 8 ||
		e.State[4] != 0x22 || e.Thread != 0 {
		t.Fatalf("%v %+v", ok, e)
	}
	var reply [ExceptionReplySize]byte
	want := unhex(`12000000 34000000 03070000 00000000 00000000 ca090000 00000000 01000000 00000000 06000000 02000000 11111111 22222222`)
	if got := e.Reply(reply[:], KERN_SUCCESS); !bytes.Equal(got, want) {
		t.Errorf("reply\n%x\n%x", got, want)
	}
	if got := e.Reply(reply[:], KERN_FAILURE); len(got) != 36 || got[32] != 5 {
		t.Errorf("reply %x", got)
	}
}

func TestParseExceptionProtected(t *testing.T) {
	// mach_exception_raise_identity_protected: token at 28, NDR, thread id, exception, codes.
	m := unhex(`12110080 50000000 03070000 07090000 00000000 68090000
		01000000 030d0000 00000000 00001100 00000000 01000000 efcdab8967452301 0a000000 02000000 0000100b00000000 4100000000000000`)
	e, ok := ParseException(m)
	if !ok || !e.Protected || e.Task != 0xd03 || e.Thread != 0 || e.ThreadID != 0x0123456789abcdef ||
		e.Type != EXC_CRASH || e.Code != 0xb100000 || e.Subcode != 0x41 {
		t.Errorf("%v %+v", ok, e)
	}
}

func TestParseExceptionRefuses(t *testing.T) {
	change := func(at int, to byte) []byte {
		m := unhex(raise)
		m[at] = to
		return m
	}
	for what, m := range map[string][]byte{
		"nothing": nil, "a header alone": unhex(raise)[:24], "cut": unhex(raise)[:83], "another id": change(20, 0x64),
		"a size below the header's": change(4, 23), "not complex": change(3, 0), "one descriptor": change(24, 1),
		"memory for a port": change(39, 1), "no code": change(64, 0), "three codes": change(64, 3),
	} {
		if e, ok := ParseException(m); ok {
			t.Errorf("%s: %+v", what, e)
		}
	}
}

func TestHeader(t *testing.T) {
	h := Header{Bits: Bits(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE) | MACH_MSGH_BITS_COMPLEX, Size: 36,
		Remote: 0x103, Local: 0x707, Voucher: 5, ID: -3}
	var b [36]byte
	h.Put(b[:])
	if want := unhex("13150080 24000000 03010000 07070000 05000000 fdffffff"); !bytes.Equal(b[:24], want) {
		t.Errorf("%x", b)
	}
	got, ok := GetHeader(b[:])
	if !ok || got != h || !got.Complex() {
		t.Errorf("%+v", got)
	}
	PutPortDescriptor(b[24:], 0xb07, MACH_MSG_TYPE_COPY_SEND)
	if want := unhex("070b0000 00000000 00001300"); !bytes.Equal(b[24:], want) {
		t.Errorf("%x", b[24:])
	}
	if p, d, ok := GetPortDescriptor(b[24:]); p != 0xb07 || d != MACH_MSG_TYPE_COPY_SEND || !ok {
		t.Errorf("%#x %d %v", p, d, ok)
	}
}

// FuzzParseException checks that a message is parsed or rejected, and that its reply fits in the buffer.
func FuzzParseException(f *testing.F) {
	f.Add(unhex(raise))
	f.Add(unhex(`12110000 40000000 03070000 07090000 00000000 66090000 00000000 01000000 06000000 01000000 0100000000000000 06000000 02000000 11111111 22222222`))
	f.Fuzz(func(t *testing.T, m []byte) {
		e, ok := ParseException(m)
		if !ok {
			return
		}
		var reply [ExceptionReplySize]byte
		r := e.Reply(reply[:], KERN_SUCCESS)
		if h, ok := GetHeader(r); !ok || int(h.Size) != len(r) || h.ID != e.Header.ID+100 {
			t.Errorf("reply %x", r)
		}
	})
}
