package stackwalk

import (
	"encoding/binary"
	"slices"
	"testing"

	"minidump/context"
)

// Offsets of the parts in the images of peOf.
const peCodeAt, pePdataAt, peXdataAt = 0x400, 0x800, 0x900

// peOf builds an arm64 PE image as mapped in memory, with code, .pdata and .xdata.
func peOf(code, pdata, xdata []byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, (peXdataAt+len(xdata)+4095)&^4095)
	copy(b, "MZ")
	const at = 0x40
	le.PutUint32(b[60:], at)
	copy(b[at:], "PE\x00\x00")
	le.PutUint16(b[at+4:], 0xaa64)
	le.PutUint16(b[at+6:], 1)
	const optional = 240
	le.PutUint16(b[at+20:], optional)
	le.PutUint32(b[at+24+112+8*3:], pePdataAt)
	le.PutUint32(b[at+24+112+8*3+4:], uint32(len(pdata)))
	section := b[at+24+optional:]
	copy(section, ".text")
	le.PutUint32(section[8:], 0x1000)
	le.PutUint32(section[36:], 0x60000020)
	copy(b[peCodeAt:], code)
	copy(b[pePdataAt:], pdata)
	copy(b[peXdataAt:], xdata)
	return b
}

// walkPE walks from an offset in the code, with the registers that value returns.
func walkPE(image, stack []byte, value func(name string) uint64) []Frame {
	p := Process{Arch: context.ARM64, Memory: pieces{{machBase, image}, {stackBase, stack}}, MaxFrames: 64,
		Modules: []Module{{Name: "image", Base: machBase, Size: uint64(len(image))}}}
	return p.Walk(cpuOf(context.ARM64, value))
}

// TestPEARM64Special tests codes that compilers do not generate: save_next, and the frames pushed by the kernel.
func TestPEARM64Special(t *testing.T) {
	le := binary.LittleEndian
	const caller = machBase + peCodeAt + 0x80
	for _, c := range []struct {
		name  string
		codes []byte
		stack []uint64
		want  map[string]uint64
		sp    uint64
	}{
		// stp x19, x20, [sp, #-64]!; stp x21, x22, [sp, #16]; stp x23, x24, [sp, #32]
		{"save_next", []byte{0xe6, 0xe6, 0xcc, 0x07, 0xe4}, []uint64{19, 20, 21, 22, 23, 24, 0, 0},
			map[string]uint64{"x19": 19, "x20": 20, "x23": 23, "x24": 24}, 64},
		// str x30, [sp, #-16]!; stp d8, d9, [sp, #-32]!; sub sp, sp, #16, encoded with the longest code
		{"alloc_l", []byte{0xe0, 0, 0, 1, 0xda, 0x03, 0xd5, 0x61, 0xe4}, []uint64{0, 0, 0, 0, 0, 0, caller, 0}, nil, 64},
		{"machine frame", []byte{0xe9, 0xe4}, []uint64{stackBase + 96, caller}, nil, 96},
		{"context", []byte{0xea, 0xe4}, append(append([]uint64{7}, make([]uint64, 31)...), stackBase+128, caller),
			map[string]uint64{"x3": 0}, 128},
		{"any register", []byte{0xe7, 0x73, 0x03, 0xe4}, []uint64{19, 20}, map[string]uint64{"x19": 19, "x20": 20}, 64},
	} {
		xdata := le.AppendUint32(nil, 0x100/4|uint32(len(c.codes)+3)/4<<27)
		xdata = append(xdata, c.codes...)
		xdata = append(xdata, make([]byte, 8)...)
		pdata := le.AppendUint32(le.AppendUint32(nil, peCodeAt), peXdataAt)
		stack := words(append(c.stack, make([]uint64, 32)...)...)
		frames := walkPE(peOf(nil, pdata, xdata), stack, func(name string) uint64 {
			return map[string]uint64{"pc": machBase + peCodeAt + 0x60, "sp": stackBase, "lr": caller}[name]
		})
		if len(frames) < 2 || frames[1].PC != caller || frames[1].SP != stackBase+c.sp || frames[1].Trust != TrustCFI {
			t.Errorf("%s: %+v", c.name, frames)
			continue
		}
		for name, want := range c.want {
			if got, ok := frames[1].Registers.Get(name); !ok || got != want {
				t.Errorf("%s: %s is %d %v, want %d", c.name, name, got, ok, want)
			}
		}
	}
}

// FuzzPEARM64 walks with hostile unwind codes.
func FuzzPEARM64(f *testing.F) {
	le := binary.LittleEndian
	packed := func(w uint32) []byte { return le.AppendUint32(le.AppendUint32(nil, peCodeAt), w) }
	for _, w := range []uint32{1 | 64<<2, 1 | 64<<2 | 3<<16 | 1<<21 | 2<<23, 1 | 64<<2 | 7<<13 | 10<<16 | 1<<20 | 3<<21 | 40<<23, 2 | 64<<2, peXdataAt} {
		f.Add(packed(w), []byte{64, 0, 0x20, 0x08, 0xe1, 0x83, 0xe4, 0}, uint64(8))
		f.Add(packed(w), []byte{64, 0, 0, 0, 2, 0, 2, 0, 0, 0, 0, 0, 60, 0, 0x40, 0, 0xe6, 0xc8, 0x42, 0xe5, 0xd0, 1, 0xe4, 0}, uint64(0xf4))
	}
	f.Fuzz(func(t *testing.T, pdata, xdata []byte, pc uint64) {
		pdata = pdata[:min(len(pdata), peXdataAt-pePdataAt)]
		xdata = xdata[:min(len(xdata), 4096)]
		stack := make([]byte, 1024)
		for i := 0; i+8 <= len(stack); i += 8 {
			le.PutUint64(stack[i:], machBase+peCodeAt+uint64(i)&0xfc)
		}
		checkWalk(t, func() []Frame {
			return walkPE(peOf(slices.Repeat([]byte{0, 0, 0, 0x94}, 64), pdata, xdata), stack, func(name string) uint64 {
				if name == "pc" || name == "lr" {
					return machBase + peCodeAt + pc&0xfc
				}
				return stackBase + uint64(len(name))*8
			})
		})
	})
}
