package windows

import (
	"errors"
	"testing"

	"minidump/context"
)

// crashed returns memory that starts with the exception pointers of a write to 0x1230.
func crashed(arch context.Arch) *space {
	s := &space{base: 0x10000, b: make([]byte, 0x2000)}
	wide := arch.WordSize() == 8
	l := exception32
	if wide {
		l = exception64
	}
	s.pointer(wide, 0, s.base+0x100)
	s.pointer(wide, arch.WordSize(), s.base+0x400)
	r := s.b[0x100:]
	le.PutUint32(r, STATUS_ACCESS_VIOLATION)
	le.PutUint32(r[4:], 1)
	s.pointer(wide, 0x100+l.address, 0x401234)
	le.PutUint32(r[l.count:], 2)
	s.pointer(wide, 0x100+l.params, 1)
	s.pointer(wide, 0x100+l.params+arch.WordSize(), 0x1230)
	for i := range arch.ContextSize() {
		s.b[0x400+i] = byte(i * 7)
	}
	switch arch {
	case context.AMD64:
		le.PutUint32(s.b[0x400+48:], 0x10001f)
	case context.X86:
		le.PutUint32(s.b[0x400:], 0x1003f)
	case context.ARM64:
		le.PutUint32(s.b[0x400:], 0x40001f)
	}
	return s
}

func TestReadException(t *testing.T) {
	scratch := make([]byte, ExceptionScratch)
	for _, arch := range []context.Arch{context.AMD64, context.X86, context.ARM64} {
		s := crashed(arch)
		var c context.Crash
		if err := ReadException(s, arch, s.base, 5, 6, 0, scratch, &c); err != nil {
			t.Fatal(arch, err)
		}
		if c.PID != 5 || c.TID != 6 || uint32(c.Signo) != STATUS_ACCESS_VIOLATION || c.Code != 1 || c.Address != 0x401234 || !c.HasAddress ||
			c.Access != context.AccessWrite || c.NumParams != 2 || c.Params[1] != 0x1230 || !c.HasContext || int(c.ContextLen) != arch.ContextSize() {
			t.Errorf("%v: %+v", arch, c)
		}
		// PC and SP must equal those that package context decodes by its own tables.
		d, err := context.Decode(arch, c.Record(), le)
		if err != nil {
			t.Fatal(arch, err)
		}
		if c.PC != d.PC || c.SP != d.SP || c.PC == 0 || c.SP == 0 {
			t.Errorf("%v: pc %#x sp %#x, want %#x %#x", arch, c.PC, c.SP, d.PC, d.SP)
		}
		wide := arch.WordSize() == 8
		s.pointer(wide, arch.WordSize(), 4)
		if err := ReadException(s, arch, s.base, 5, 6, 0, scratch, &c); !errors.Is(err, ErrException) || c.HasContext || c.Params[1] != 0x1230 {
			t.Errorf("%v without registers: %v %+v", arch, err, c)
		}
		le.PutUint32(s.b[0x100:], 0)
		ReadException(s, arch, s.base, 5, 6, STATUS_STACK_OVERFLOW, scratch, &c)
		if uint32(c.Signo) != STATUS_STACK_OVERFLOW {
			t.Errorf("%v: code %#x", arch, c.Signo)
		}
		s.pointer(wide, 0, 0)
		before := c
		for _, at := range []uint64{0, 4, s.base} {
			if err := ReadException(s, arch, at, 5, 6, 0, scratch, &c); !errors.Is(err, ErrException) || c != before {
				t.Errorf("%v at %#x: %v", arch, at, err)
			}
		}
	}
}

func FuzzReadException(f *testing.F) {
	for _, arch := range []context.Arch{context.AMD64, context.X86, context.ARM64} {
		f.Add(crashed(arch).b, uint8(arch), uint64(0x10000))
	}
	f.Fuzz(func(t *testing.T, b []byte, a uint8, at uint64) {
		arch := context.Arch(a)
		if arch != context.AMD64 && arch != context.X86 && arch != context.ARM64 {
			return
		}
		var c context.Crash
		s := &space{base: 0x10000, b: b}
		err := ReadException(s, arch, at, 1, 2, 3, make([]byte, ExceptionScratch), &c)
		if c.HasContext != (err == nil) || c.NumParams > context.MaxParams || s.reads > 3 {
			t.Fatalf("%v %+v, %d reads", err, c, s.reads)
		}
	})
}
