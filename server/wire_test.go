package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

func TestParseMessage(t *testing.T) {
	for _, want := range []struct {
		kind uint32
		body string
	}{{kindCrash, "context"}, {kindPing, ""}, {kindUser + 7, "hello"}, {1<<32 - 1, ""}} {
		b := appendMessage(nil, want.kind, []byte(want.body))
		kind, body, err := parseMessage(b)
		if kind != want.kind || string(body) != want.body || err != nil {
			t.Errorf("%d %q: %d %q %v", want.kind, want.body, kind, body, err)
		}
		for n := range b {
			if _, _, err := parseMessage(b[:n]); !errors.Is(err, ErrProtocol) {
				t.Errorf("%d %q, cut to %d bytes: %v", want.kind, want.body, n, err)
			}
		}
	}
	// An impossible length.
	b := binary.NativeEndian.AppendUint32(nil, kindCrash)
	if _, _, err := parseMessage(binary.NativeEndian.AppendUint32(b, 1<<32-1)); !errors.Is(err, ErrProtocol) {
		t.Errorf("4 GiB: %v", err)
	}
}

// request40 returns a ClientToServerMessage of 40 bytes.
func request40(version int32, typ uint32) []byte {
	o := binary.NativeEndian
	b := o.AppendUint32(o.AppendUint32(nil, uint32(version)), typ)
	for i := range uint64(4) {
		b = o.AppendUint64(b, 0x1111*(i+1))
	}
	return b
}

func TestParseCrashpad(t *testing.T) {
	want := crashpadRequest{Type: typeCrashDumpRequest, Stack: 0x1111, Information: 0x2222, Sanitization: 0x3333}
	full := request40(1, typeCrashDumpRequest)
	for _, b := range [][]byte{full, full[:32]} { // Android's request lacks crash_loop_before_time
		if r, err := parseCrashpad(b); r != want || err != nil {
			t.Errorf("%d bytes: %+v, %v", len(b), r, err)
		}
	}
	for _, b := range [][]byte{nil, full[:31], full[:39], append(full, 0), request40(2, 1), request40(1, 2), request40(1, 1<<32-1)} {
		if r, err := parseCrashpad(b); !errors.Is(err, ErrProtocol) {
			t.Errorf("% x: %+v, %v", b, r, err)
		}
	}
	if b := crashpadAnswer(typeSetPtracer, 0x1234); len(b) != 8 || binary.NativeEndian.Uint32(b) != 2 || binary.NativeEndian.Uint32(b[4:]) != 0x1234 {
		t.Errorf("answer % x", b)
	}
}

func TestParseInformation(t *testing.T) {
	o := binary.NativeEndian
	b := o.AppendUint32(o.AppendUint64(o.AppendUint64(nil, 1<<40), 2<<40), 77)
	if e, ok := parseInformation(b); !ok || e != (exceptionInformation{1 << 40, 2 << 40, 77}) {
		t.Errorf("%+v %v", e, ok)
	}
	if _, ok := parseInformation(b[:19]); ok {
		t.Error("19 bytes")
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add(appendMessage(nil, kindCrash, []byte("x")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, body, err := parseMessage(b)
		if err == nil && !bytes.Equal(appendMessage(nil, kind, body), b) {
			t.Errorf("% x is not what was read", b)
		}
	})
}

func FuzzParseCrashpad(f *testing.F) {
	f.Add(request40(1, 1))
	f.Add(request40(1, 0)[:32])
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseCrashpad(b); err == nil && (r.Type > typeCrashDumpRequest || len(b) > crashpadRequestSize) {
			t.Errorf("% x: %+v", b, r)
		}
	})
}

func FuzzParseInformation(f *testing.F) {
	f.Add(make([]byte, exceptionInformationSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok := parseInformation(b); ok != (len(b) >= exceptionInformationSize) {
			t.Errorf("% x: %v", b, ok)
		}
	})
}
