package context

import (
	"encoding/binary"
	"errors"
	"testing"
)

// breakpadAMD64 returns what a Breakpad client on amd64 sends for a SIGSEGV at 0x45.
func breakpadAMD64(size int) []byte {
	le := binary.LittleEndian
	b := make([]byte, size)
	le.PutUint32(b, SIGSEGV)
	le.PutUint32(b[8:], 1) // SEGV_MAPERR
	le.PutUint64(b[16:], 0x45)
	le.PutUint32(b[128:], 4322)
	gregs := b[136+40:]
	le.PutUint64(gregs[15*8:], 0x7ffe0000) // REG_RSP
	le.PutUint64(gregs[16*8:], 0x401136)   // REG_RIP
	le.PutUint64(gregs[19*8:], 6)          // REG_ERR: a write by user code
	le.PutUint64(gregs[20*8:], 14)         // REG_TRAPNO: a page fault
	return b
}

func TestParseBreakpadContext(t *testing.T) {
	for _, size := range []int{1616, 1584} {
		c, err := ParseBreakpadContext(AMD64, binary.LittleEndian, 4321, breakpadAMD64(size))
		if err != nil {
			t.Fatal(err)
		}
		if c.PID != 4321 || c.TID != 4322 || c.Signo != SIGSEGV || c.Code != 1 || c.Address != 0x45 || !c.HasContext ||
			c.PC != 0x401136 || c.SP != 0x7ffe0000 || c.Access != AccessWrite || len(c.Record()) != AMD64.ContextSize() {
			t.Errorf("%d bytes: pid %d, tid %d, signal %d, code %d, %s of %#x at %#x, sp %#x", size, c.PID, c.TID, c.Signo, c.Code,
				c.Access, c.Address, c.PC, c.SP)
		}
	}
	for _, l := range breakpadLayouts {
		if l.ucontext+l.length+l.fpstate > l.size || l.length < ucontextSize(l.arch) {
			t.Errorf("the layout of %v with %d bytes can't be", l.arch, l.size)
		}
		b := make([]byte, l.size)
		binary.LittleEndian.PutUint32(b, SIGABRT)
		binary.LittleEndian.PutUint32(b[breakpadTID:], 77)
		c, err := ParseBreakpadContext(l.arch, binary.LittleEndian, 1, b)
		if err != nil || c.Arch != l.arch || c.TID != 77 || !c.HasContext || c.Signo != SIGABRT {
			t.Errorf("%v with %d bytes: %v", l.arch, l.size, err)
		}
	}
	// A 32-bit program of the same machine, and a size that no program sends.
	if c, err := ParseBreakpadContext(AMD64, binary.LittleEndian, 1, make([]byte, 608)); err != nil || c.Arch != X86 {
		t.Errorf("x86 on amd64: %v", err)
	}
	for _, n := range []int{0, 1, 607, 1615, 1617, 5232} {
		if c, err := ParseBreakpadContext(AMD64, binary.LittleEndian, 1, make([]byte, n)); c != nil || !errors.Is(err, ErrCrashContext) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func FuzzParseBreakpadContext(f *testing.F) {
	f.Add(uint8(AMD64), false, breakpadAMD64(1616))
	for _, l := range breakpadLayouts {
		f.Add(uint8(l.arch), true, make([]byte, l.size))
	}
	f.Fuzz(func(t *testing.T, arch uint8, big bool, b []byte) {
		var o binary.ByteOrder = binary.LittleEndian
		if big {
			o = binary.BigEndian
		}
		c, err := ParseBreakpadContext(Arch(arch), o, 1, b)
		if err == nil && c == nil || c != nil && len(c.Record()) > MaxContextSize {
			t.Errorf("a crash or an error: %v", err)
		}
	})
}
