package server

import (
	"os"
	"slices"
	"testing"

	"minidump"
	"minidump/stream"
)

// clientMemory is memory of a client at an address.
type clientMemory struct {
	base uint64
	b    []byte
}

func (m clientMemory) read(addr uint64, p []byte) int {
	if addr < m.base || addr-m.base > uint64(len(m.b)) {
		return 0
	}
	return copy(p, m.b[addr-m.base:])
}

// put writes 8-byte words at an offset.
func (m clientMemory) put(at int, words ...uint64) {
	for i, w := range words {
		order.PutUint64(m.b[at+8*i:], w)
	}
}

// TestRings reads a client whose lists never end.
func TestRings(t *testing.T) {
	m := clientMemory{0x1000, make([]byte, 4096)}
	c := &crashpadClient{wide: true, from: m.read}

	m.put(0, 0xffff, 0x1100)             // tail, and head with a next node
	m.put(0x100, 0x1100, 0x1200, 0x1200) // a node whose next node is itself
	order.PutUint32(m.b[0x118:], 16)     // its size
	copy(m.b[0x200:], "name\x00")
	if n := len(c.annotations(0x1000)); n != maxAnnotations {
		t.Errorf("%d annotations", n)
	}
	m.put(0x300, 0x1300, 0x1000, 8)
	order.PutUint32(m.b[0x318:], 0x12340000)
	if list := c.userStreams(0x1300, nil); len(list) != 1 {
		t.Errorf("%d streams of one type", len(list))
	}
	order.PutUint32(m.b[0x318:], uint32(stream.ThreadListStream))
	if list := c.userStreams(0x1300, nil); len(list) != 0 {
		t.Errorf("a stream has a type that is taken: %v", list)
	}
}

// TestClientBytes reads a client with gigabytes to read.
func TestClientBytes(t *testing.T) {
	read := 0
	c := &crashpadClient{wide: true, from: func(_ uint64, p []byte) int {
		read += len(p)
		for i := range p {
			p[i] = 1
		}
		return len(p)
	}}
	for range 1000 {
		c.annotations(1)
		c.dictionary(1)
		c.userStreams(1, nil)
	}
	if read > maxClientBytes {
		t.Errorf("%d bytes are read", read)
	}
}

// TestInfoSize reads a CrashpadInfo that states to have more bytes than an int of 32 bits can count.
func TestInfoSize(t *testing.T) {
	m := clientMemory{0x1000, make([]byte, 4096)}
	c := &crashpadClient{wide: true, from: m.read}
	for i, v := range []uint32{crashpadInfoMagic, 1 << 31, crashpadInfoVersion} {
		order.PutUint32(m.b[4*i:], v)
	}
	m.put(24, 0x1100, 0x1200)
	if info, ok := c.info(0x1000); !ok || info.extra != 0x1100 || info.simple != 0x1200 {
		t.Errorf("%+v, %v", info, ok)
	}
}

// FuzzCrashpadInfo reads everything from a client whose memory is arbitrary, but can be read at its addresses.
func FuzzCrashpadInfo(f *testing.F) {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(program[:8192], true)
	f.Add(make([]byte, 100), false)
	f.Fuzz(func(t *testing.T, b []byte, wide bool) {
		m := clientMemory{0x1000, b}
		c := &crashpadClient{wide: wide, from: func(addr uint64, p []byte) int { return m.read(0x1000+addr%8192, p) }}
		var o minidump.Options
		c.note(0x1000)
		info, _ := c.info(0x1000)
		o.UserStreams = c.userStreams(info.streams, c.userStreams(8, nil))
		o.AppMemory = append(c.extraMemory(info.extra), c.extraMemory(16)...)
		o.ModuleAnnotations = []minidump.ModuleAnnotations{{Simple: c.dictionary(24), Objects: c.annotations(32)}}
		for _, u := range o.UserStreams {
			if u.Type <= lastReservedStream || len(u.Data) > maxClientStream {
				t.Errorf("stream of type %v with %d bytes", u.Type, len(u.Data))
			}
		}
		extra := slices.Clone(o.AppMemory)
		c.sanitize(40, &o)
		for _, r := range o.AppMemory {
			if !slices.Contains(extra, r) {
				t.Errorf("range %v is new", r)
			}
		}
		c.refersTo(1, 2, 3)
	})
}
