package stackwalk

import (
	"bytes"
	stdelf "debug/elf"
	"encoding/binary"
	"testing"
	"time"

	"minidump/context"
)

// chunk is memory of one range.
type chunk struct {
	addr uint64
	b    []byte
}

func (m chunk) ReadMemory(addr uint64, p []byte) (int, error) {
	if addr < m.addr || addr-m.addr >= uint64(len(m.b)) {
		return 0, nil
	}
	return copy(p, m.b[addr-m.addr:]), nil
}

// pieces is memory of several ranges.
type pieces []chunk

func (m pieces) ReadMemory(addr uint64, p []byte) (int, error) {
	for _, c := range m {
		if n, _ := c.ReadMemory(addr, p); n > 0 {
			return n, nil
		}
	}
	return 0, nil
}

// cpuOf returns a CPU with all registers set by value.
func cpuOf(a context.Arch, value func(name string) uint64) *context.CPU {
	cpu, err := context.Decode(a, emptyRecord(a), binary.LittleEndian)
	if err != nil {
		return nil
	}
	for i := range cpu.Registers {
		cpu.Registers[i].Value = value(cpu.Registers[i].Name)
	}
	f := factsOf(a)
	for _, r := range cpu.Registers {
		switch r.Name {
		case f.names[slotPC]:
			cpu.PC = r.Value
		case f.names[f.sp]:
			cpu.SP = r.Value
		}
	}
	return cpu
}

// emptyRecord returns a record with all integer registers valid and 0.
func emptyRecord(a context.Arch) []byte {
	rec := make([]byte, context.MaxContextSize)
	regs := context.Regsets{Arch: a, Order: binary.LittleEndian, GP: make([]byte, a.GPSize())}
	return rec[:regs.Encode(rec)]
}

// imageOf builds an ELF image with one executable segment that holds code and .eh_frame after a header.
func imageOf(a context.Arch, code, ehFrame []byte) (image []byte, codeAt, frameAt uint64) {
	le := binary.LittleEndian
	codeAt, frameAt = 0x200, 0x200+uint64(len(code)+15)&^15
	hdrAt := frameAt + uint64(len(ehFrame)+15)&^15
	b := make([]byte, hdrAt+8)
	copy(b, stdelf.ELFMAG)
	copy(b[codeAt:], code)
	copy(b[frameAt:], ehFrame)
	copy(b[hdrAt:], []byte{1, 0x1b, peOmit, peOmit}) // no search table: .eh_frame is read from the start
	le.PutUint32(b[hdrAt+4:], uint32(frameAt-hdrAt-4))
	type program struct{ kind, flags, off, size uint64 }
	programs := []program{{uint64(stdelf.PT_LOAD), 5, 0, uint64(len(b))}, {uint64(stdelf.PT_GNU_EH_FRAME), 4, hdrAt, 8}}
	if a.WordSize() == 8 {
		b[4], b[5] = byte(stdelf.ELFCLASS64), 1
		le.PutUint64(b[32:], 64)
		le.PutUint16(b[56:], 2)
		for i, g := range programs {
			at := b[64+56*i:]
			le.PutUint32(at, uint32(g.kind))
			le.PutUint32(at[4:], uint32(g.flags))
			le.PutUint64(at[8:], g.off)
			le.PutUint64(at[16:], g.off)
			le.PutUint64(at[32:], g.size)
			le.PutUint64(at[40:], g.size)
		}
		return b, codeAt, frameAt
	}
	b[4], b[5] = byte(stdelf.ELFCLASS32), 1
	le.PutUint32(b[28:], 64)
	le.PutUint16(b[44:], 2)
	for i, g := range programs {
		for j, v := range []uint64{g.kind, g.off, g.off, g.off, g.size, g.size, g.flags} {
			le.PutUint32(b[64+32*i+4*j:], uint32(v))
		}
	}
	return b, codeAt, frameAt
}

const imageBase, stackBase = 0x400000, 0x7fff0000

// ehFrame builds a CIE and an FDE with the given instructions, for the code at offset 0x200 of the image. The FDE has
// absolute addresses: the image is linked at 0.
func ehFrame(a context.Arch, ra byte, initial, program []byte) []byte {
	le := binary.LittleEndian
	entry := func(body []byte) []byte {
		for len(body)%4 != 0 {
			body = append(body, cfaNop)
		}
		return append(le.AppendUint32(nil, uint32(len(body))), body...)
	}
	cie := append([]byte{0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, ra, 1, peUdata4}, initial...) // data alignment -8
	b := entry(cie)
	fde := le.AppendUint32(nil, uint32(len(b)+4))
	fde = le.AppendUint32(fde, 0x200)
	fde = le.AppendUint32(fde, 0x100)
	fde = append(append(fde, 0), program...)
	return append(append(b, entry(fde)...), 0, 0, 0, 0)
}

// walkImage walks with an image in memory and a stack given as bytes.
func walkImage(a context.Arch, code, frame, stack []byte, cpu *context.CPU) []Frame {
	image, _, _ := imageOf(a, code, frame)
	p := Process{Arch: a, Order: binary.LittleEndian, Memory: pieces{{imageBase, image}, {stackBase, stack}},
		Modules: []Module{{Name: "image", Base: imageBase, Size: uint64(len(image))}}, MaxFrames: 64}
	return p.Walk(cpu)
}

var allArchs = []context.Arch{context.AMD64, context.X86, context.ARM64, context.ARM, context.RISCV64, context.S390X, context.PPC64,
	context.PPC, context.MIPS, context.MIPS64, context.LOONG64}

// FuzzCFI walks with hostile call frame information.
func FuzzCFI(f *testing.F) {
	for i := range allArchs {
		f.Add(uint8(i), []byte{cfaDefCFA, 7, 8, cfaOffset | 16, 1}, []byte{cfaAdvanceLoc | 1, cfaDefCFAOffset, 16, cfaOffset | 6, 2},
			[]byte(nil), uint64(0x210))
	}
	f.Add(uint8(0), []byte{cfaDefCFA, 7, 8, cfaOffset | 16, 1},
		[]byte{cfaDefCFAExpression, 6, opBreg0 + 7, 0, opDup, opDeref, opPlus, opSkip}, []byte(nil), uint64(0x280))
	f.Add(uint8(0), []byte{}, []byte{}, bytes.Repeat([]byte{0x0c, 0, 0, 0}, 9), uint64(0x201))
	f.Fuzz(func(t *testing.T, which uint8, initial, program, raw []byte, pc uint64) {
		a := allArchs[int(which)%len(allArchs)]
		frame := raw
		if raw == nil {
			frame = ehFrame(a, 16, initial, program)
		}
		stack := make([]byte, 512)
		for i := range stack[:256] {
			stack[i] = byte(i)
		}
		for i := 256; i+8 <= len(stack); i += 8 {
			binary.LittleEndian.PutUint64(stack[i:], imageBase+0x200+uint64(i))
		}
		checkWalk(t, func() []Frame {
			return walkImage(a, make([]byte, 256), frame, stack, cpuOf(a, func(name string) uint64 {
				switch name {
				case factsOf(a).names[slotPC]:
					return imageBase + pc&0x3ff
				}
				return stackBase + uint64(len(name))*8
			}))
		})
	})
}

// FuzzWalk walks random memory.
func FuzzWalk(f *testing.F) {
	for i := range allArchs {
		stack, code := bytes.Repeat([]byte{0x10, 2, 0x40, 0, 0, 0, 0, 0}, 20), bytes.Repeat([]byte{0xe8, 0, 0, 0, 0}, 20)
		f.Add(uint8(i), stack, code, uint64(0x220), uint64(8))
	}
	f.Fuzz(func(t *testing.T, which uint8, stack, code []byte, pc, sp uint64) {
		a := allArchs[int(which)%len(allArchs)]
		checkWalk(t, func() []Frame {
			return walkImage(a, code, nil, stack, cpuOf(a, func(name string) uint64 {
				if name == factsOf(a).names[slotPC] {
					return imageBase + pc
				}
				return stackBase + sp + uint64(len(name))
			}))
		})
	})
}

// checkWalk checks what must be true of every walk.
func checkWalk(t *testing.T, walk func() []Frame) {
	started := time.Now()
	frames := walk()
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("the walk took %v", took)
	}
	if len(frames) == 0 || len(frames) > 64 || frames[0].Trust != TrustContext {
		t.Fatalf("%d frames", len(frames))
	}
	for i := range frames {
		if f := &frames[i]; i > 0 && !f.Signal && f.SP < frames[i-1].SP {
			t.Errorf("frame %d: SP goes from %#x to %#x", i, frames[i-1].SP, f.SP)
		}
	}
}
