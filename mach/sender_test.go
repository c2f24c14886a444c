package mach

import "testing"

// TestSender reads the sender from trailers of the form that XNU appends, and of others.
func TestSender(t *testing.T) {
	const size = HeaderSize + 5 // which is padded
	m := make([]byte, size+3+52)
	h := Header{Size: size}
	h.Put(m)
	trailer := m[size+3:]
	order.PutUint32(trailer[4:], 52)
	for i := range 8 {
		order.PutUint32(trailer[20+4*i:], uint32(100+i))
	}
	if got, ok := Sender(m); !ok || got.PID() != 105 || got[7] != 107 {
		t.Errorf("%v, %v", got, ok)
	}
	for _, change := range []func() []byte{
		func() []byte { return m[:len(m)-1] },
		func() []byte { return m[:10] },
		func() []byte { order.PutUint32(trailer[4:], 8); return m },
		func() []byte { order.PutUint32(trailer, 1); return m },
		func() []byte { order.PutUint32(m[4:], 1<<32-1); return m },
	} {
		if got, ok := Sender(change()); ok {
			t.Errorf("%v", got)
		}
	}
}

func FuzzSender(f *testing.F) {
	m := make([]byte, HeaderSize+52)
	h := Header{Size: HeaderSize}
	h.Put(m)
	m[HeaderSize+4] = 52
	f.Add(m)
	f.Fuzz(func(t *testing.T, b []byte) { Sender(b) })
}
