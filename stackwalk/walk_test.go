package stackwalk

import (
	"encoding/binary"
	"testing"

	"minidump/context"
	"minidump/stream"
)

// words returns 64-bit words as memory.
func words(values ...uint64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func amd64At(pc, sp, rbp uint64) *context.CPU {
	return cpuOf(context.AMD64, func(name string) uint64 {
		return map[string]uint64{"rip": pc, "rsp": sp, "rbp": rbp}[name]
	})
}

// calling returns code in which a call of a register ends at each of the offsets.
func calling(offsets ...int) []byte {
	code := make([]byte, 256)
	for _, o := range offsets {
		code[o-2], code[o-1] = 0xff, 0xd0
	}
	return code
}

const codeBase = imageBase + 0x200

func pcs(frames []Frame) (all []uint64) {
	for i := range frames {
		all = append(all, frames[i].PC)
	}
	return all
}

// check compares the offsets of the frames in the code.
func check(t *testing.T, frames []Frame, trust Trust, offsets ...uint64) {
	t.Helper()
	ok := len(frames) == len(offsets)
	for i := 0; ok && i < len(frames); i++ {
		ok = frames[i].PC-codeBase == offsets[i] && (i == 0 || frames[i].Trust == trust)
	}
	if !ok {
		t.Errorf("frames at %#x, want offsets %#x by %v", pcs(frames), offsets, trust)
	}
}

func TestFramePointers(t *testing.T) {
	stack := words(0, 0, stackBase+48, codeBase+0x20, 0, 0, 0, codeBase+0x30)
	frames := walkImage(context.AMD64, calling(0x20, 0x30), nil, stack, amd64At(codeBase+0x10, stackBase, stackBase+16))
	check(t, frames, TrustFramePointer, 0x10, 0x20, 0x30)
	// An address without a call before it is not a return address.
	frames = walkImage(context.AMD64, calling(0x20), nil, stack, amd64At(codeBase+0x10, stackBase, stackBase+16))
	check(t, frames, TrustFramePointer, 0x10, 0x20)
	// A chain that points back.
	stack = words(0, 0, stackBase+16, codeBase+0x20)
	frames = walkImage(context.AMD64, calling(0x20), nil, stack, amd64At(codeBase+0x10, stackBase, stackBase+16))
	check(t, frames, TrustFramePointer, 0x10, 0x20)
}

func TestScan(t *testing.T) {
	stack := words(1, codeBase+0x21, codeBase+0x20, 2, codeBase+0x30)
	frames := walkImage(context.AMD64, calling(0x20, 0x30), nil, stack, amd64At(codeBase+0x10, stackBase, 0))
	check(t, frames, TrustScan, 0x10, 0x20) // no further frame: nothing proves the first one
	direct := calling()
	copy(direct[0x1b:], []byte{0xe8, 0xe0, 0xff, 0xff, 0xff}) // to 0
	copy(direct[0x2b:], []byte{0xe8, 0xd0, 0xff, 0xff, 0xff})
	frames = walkImage(context.AMD64, direct, nil, stack, amd64At(codeBase+0x10, stackBase, 0))
	check(t, frames, TrustScan, 0x10, 0x20, 0x30)
	copy(direct[0x1b:], []byte{0xe8, 0x20, 0, 0, 0}) // to 0x40, where the innermost frame is not
	frames = walkImage(context.AMD64, direct, nil, stack, amd64At(codeBase+0x10, stackBase, 0))
	check(t, frames, TrustScan, 0x10, 0x30)
}

// The caller after a call of a bad pointer is found by the return address on the stack or in the link register.
func TestBadCall(t *testing.T) {
	frames := walkImage(context.AMD64, calling(0x20), nil, words(codeBase+0x20), amd64At(0, stackBase, 0))
	if len(frames) != 2 || frames[1].PC != codeBase+0x20 || frames[1].SP != stackBase+8 || frames[1].Module != 0 || frames[0].Module != -1 {
		t.Errorf("%+v", frames)
	}
	code := make([]byte, 64)
	binary.LittleEndian.PutUint32(code[0x1c:], 0xd63f0000) // blr x0
	cpu := cpuOf(context.ARM64, func(name string) uint64 {
		return map[string]uint64{"pc": 0x10, "sp": stackBase, "lr": 0x5a<<48 | codeBase + 0x20}[name] // signed
	})
	frames = walkImage(context.ARM64, code, nil, nil, cpu)
	check(t, frames[1:], TrustLinkRegister, 0x20)
}

func TestMaxFrames(t *testing.T) {
	var stack []byte
	for i := range uint64(100) {
		stack = append(stack, words(stackBase+16*(i+1), codeBase+0x20)...)
	}
	frames := walkImage(context.AMD64, calling(0x20), nil, stack, amd64At(codeBase+0x10, stackBase, stackBase))
	if len(frames) != 64 {
		t.Errorf("%d frames", len(frames))
	}
}

func TestLookup(t *testing.T) {
	for _, c := range []struct {
		frame Frame
		want  uint64
	}{
		{Frame{PC: 10}, 10},
		{Frame{PC: 10, Trust: TrustCFI}, 9},
		{Frame{PC: 10, Trust: TrustSignal, Signal: true}, 10},
		{Frame{PC: 10, Trust: TrustCFI, Trampoline: true}, 10},
		{Frame{Trust: TrustScan}, 0},
	} {
		if got := c.frame.Lookup(); got != c.want {
			t.Errorf("%+v: %d", c.frame, got)
		}
	}
	if TrustScan.String() != "scan" || Trust(200).String() != "unknown" {
		t.Error("names")
	}
}

// Without registers of the right architecture there are no frames, and without memory and modules nothing panics.
func TestNothing(t *testing.T) {
	p := Process{Arch: context.AMD64}
	if frames := p.Walk(nil); frames != nil {
		t.Errorf("%v", frames)
	}
	if frames := p.Walk(&context.CPU{Arch: context.ARM}); frames != nil {
		t.Errorf("%v", frames)
	}
	if frames := p.Walk(amd64At(1, 2, 3)); len(frames) != 1 {
		t.Errorf("%v", frames)
	}
}

func TestExecutable(t *testing.T) {
	got := executable([]stream.MemoryInfo{
		{BaseAddress: 0x3000, RegionSize: 0x1000, State: stream.MEM_COMMIT, Protect: stream.PAGE_EXECUTE_READ},
		{BaseAddress: 0x1000, RegionSize: 0x1000, State: stream.MEM_COMMIT, Protect: stream.PAGE_EXECUTE_READWRITE},
		{BaseAddress: 0x5000, RegionSize: 0x1000, State: stream.MEM_COMMIT, Protect: stream.PAGE_READWRITE},
		{BaseAddress: 0x7000, RegionSize: 1<<64 - 1, State: stream.MEM_COMMIT, Protect: stream.PAGE_EXECUTE_READ},
	})
	if len(got) != 2 || got[0] != (Range{0x1000, 0x2000}) || got[1] != (Range{0x3000, 0x4000}) {
		t.Errorf("%x", got)
	}
	got = executableMaps("1000-2000 r-xp 0 0:0 0 /bin/x\n2000-3000 rw-p 0 0:0 0\nbad\n9000-8000 r-xp\n5000-6000 --xp 0 0:0 0\n")
	if len(got) != 2 || got[1] != (Range{0x5000, 0x6000}) {
		t.Errorf("%x", got)
	}
}

// A function that a handler made its thread enter has as "caller" the instruction that was interrupted.
func TestInterrupted(t *testing.T) {
	table := ehFrame(context.AMD64, 16, []byte{cfaDefCFA, 7, 8, cfaOffset | 16, 1}, nil)
	frames := walkImage(context.AMD64, calling(0x30), table, words(codeBase+0x20, codeBase+0x30), amd64At(codeBase+0x10, stackBase, 0))
	check(t, frames, TrustCFI, 0x10, 0x20, 0x30)
	if len(frames) != 3 || !frames[1].Signal || frames[1].Lookup() != codeBase+0x20 || frames[2].Signal || frames[2].Lookup() != codeBase+0x2f {
		t.Errorf("%+v", frames)
	}
}
