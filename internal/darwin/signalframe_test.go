package darwin

import (
	"testing"

	"minidump/context"
)

// signalFrame builds a stack with a signal frame at 64, whose machine context of size bytes is before or after it.
func signalFrame(arch context.Arch, base uint64, size, contextAt int) []byte {
	b := make([]byte, 4096)
	for i := range b {
		b[i] = 0xee
	}
	const at = 64
	clear(b[at:][:ucontextSize])
	order.PutUint64(b[at+ucontextContext:], uint64(size))
	order.PutUint64(b[at+ucontextContext+8:], base+uint64(contextAt))
	m := b[contextAt:]
	for i := range (size - mcontextState) / 8 {
		order.PutUint64(m[mcontextState+8*i:], uint64(i+1))
	}
	if arch == context.AMD64 {
		order.PutUint64(m[mcontextState+8*17:], 0x246) // rflags
	}
	return b
}

func TestSignalFrame(t *testing.T) {
	const base = 0x7ff7b0000000
	for _, c := range []struct {
		arch          context.Arch
		size, at      int
		pc, sp, first uint64
	}{
		{context.AMD64, 712, 512, 17, 8, 1},
		{context.AMD64, 1032, 512, 17, 8, 1}, // with AVX
		{context.ARM64, 816, 1024, 33, 32, 1},
	} {
		mem := signalFrame(c.arch, base, c.size, c.at)
		r, ok := SignalFrame(c.arch, mem, base)
		if !ok || r.PC() != c.pc || r.SP() != c.sp || r.Arch != c.arch {
			t.Errorf("%v: %v, pc %#x sp %#x", c.arch, ok, r.PC(), r.SP())
			continue
		}
		for _, change := range []func(m []byte){
			func(m []byte) { order.PutUint64(m[64+ucontextContext:], 100) },
			func(m []byte) { order.PutUint64(m[64+ucontextContext:], 1<<63) },
			func(m []byte) { order.PutUint64(m[64+ucontextContext+8:], base-8) },
			func(m []byte) { order.PutUint64(m[64+ucontextContext+8:], base+4096-8) },
			func(m []byte) { order.PutUint64(m[64+ucontextLink:], 1) },
			func(m []byte) { m[64] = 2 },
		} {
			b := append([]byte(nil), mem...)
			change(b)
			if _, ok := SignalFrame(c.arch, b, base); ok {
				t.Errorf("%v: a frame that is none", c.arch)
			}
		}
		for n := range 700 {
			if _, ok := SignalFrame(c.arch, mem[:n], base); ok {
				t.Errorf("%v: a frame in %d bytes", c.arch, n)
			}
		}
	}
}

func FuzzSignalFrame(f *testing.F) {
	f.Add(signalFrame(context.AMD64, 0, 712, 512), uint64(0), false)
	f.Add(signalFrame(context.ARM64, 0, 816, 1024), uint64(0), true)
	f.Fuzz(func(t *testing.T, mem []byte, base uint64, arm bool) {
		arch := context.AMD64
		if arm {
			arch = context.ARM64
		}
		if r, ok := SignalFrame(arch, mem, base); ok && (len(r.GP) == 0 || len(r.FP) == 0) {
			t.Error("a frame without registers")
		}
	})
}
