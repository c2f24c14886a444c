package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestReadMessage(t *testing.T) {
	var b []byte
	bodies := []string{"", "hello", "", string(make([]byte, 4000))}
	for i, body := range bodies {
		b = appendMessage(b, uint32(i), []byte(body))
	}
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(b), "by bytes": iotest.OneByteReader(bytes.NewReader(b))} {
		waits := 0
		for i, want := range bodies {
			kind, body, err := readMessage(r, func() { waits++ })
			if kind != uint32(i) || string(body) != want || err != nil {
				t.Errorf("%s: message %d: kind %d, %d bytes, %v", name, i, kind, len(body), err)
			}
		}
		if _, _, err := readMessage(r, nil); err != io.EOF || waits != 2 {
			t.Errorf("%s: at the end %v; waited for %d bodies", name, err, waits)
		}
	}
	cut := appendMessage(nil, 7, []byte("hello"))
	for n := range cut[1:] {
		_, _, err := readMessage(bytes.NewReader(cut[:n+1]), func() {})
		if n+1 < headerSize && err != io.ErrUnexpectedEOF || n+1 >= headerSize && !errors.Is(err, ErrProtocol) {
			t.Errorf("cut to %d bytes: %v", n+1, err)
		}
	}
}

// TestReadMessageBounds checks that an impossible length is refused before the body is read, and that a body that is
// not sent uses no memory.
func TestReadMessageBounds(t *testing.T) {
	for _, size := range []uint32{maxPacket - headerSize + 1, 1<<32 - 1} {
		b := binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, kindUser), size)
		if _, _, err := readMessage(bytes.NewReader(b), func() { t.Error("waits for the body") }); !errors.Is(err, ErrProtocol) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	b := binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, kindUser), maxPacket-headerSize)
	got := testing.Benchmark(func(bb *testing.B) {
		for range bb.N {
			_, _, _ = readMessage(bytes.NewReader(b), func() {})
		}
	})
	if n := got.AllocedBytesPerOp(); n > 8<<10 {
		t.Errorf("%d bytes of memory for a body that did not come", n)
	}
}

func FuzzReadMessage(f *testing.F) {
	f.Add(appendMessage(appendMessage(nil, kindPing, nil), kindCrash, []byte("context")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			kind, body, err := readMessage(r, func() {})
			if err != nil {
				return
			}
			if k, got, err := parseMessage(appendMessage(nil, kind, body)); k != kind || !bytes.Equal(got, body) || err != nil {
				t.Fatalf("%d % x: %d % x, %v", kind, body, k, got, err)
			}
		}
	})
}
