package context

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// sigSpec states the layout of struct rt_sigframe, counted from its struct ucontext, by the names that the frameCase of the
// architecture uses for its registers. It is repeated here from the kernel's headers.
var sigSpec = map[Arch]struct {
	sp, pc string
	info   int               // of siginfo_t
	uc     int               // address of struct ucontext modulo 16
	set    map[string]uint64 // register values that only user code can have
}{
	AMD64:   {"rsp", "rip", 304, 0, map[string]uint64{"cs": 0x33, "ss": 0x2b, "eflags": 0x10246}},
	X86:     {"esp", "eip", -128, 12, map[string]uint64{"cs": 0x23, "ss": 0x2b, "ds": 0x2b, "es": 0x2b, "eflags": 0x10246, "trapno": 14}},
	ARM:     {"r13", "r15", -128, 8, map[string]uint64{"cpsr": 0x60000010}},
	ARM64:   {"sp", "pc", -128, 0, map[string]uint64{"cpsr": 0x60001000}},
	MIPS:    {"r29", "epc", -128, 8, map[string]uint64{"r0": 0}},
	MIPS64:  {"r29", "epc", -128, 8, map[string]uint64{"r0": 0}},
	PPC:     {"r1", "nip", -128, 0, nil},
	PPC64:   {"r1", "nip", 0, 0, nil},
	RISCV64: {"x2", "pc", -128, 0, nil},
	S390X:   {"r15", "addr", -128, 8, map[string]uint64{"mask": 0x0705200180000000}},
	LOONG64: {"r3", "era", -128, 0, map[string]uint64{"r0": 0}},
}

// sigStack is the memory of a stack with a signal frame in it.
type sigStack struct {
	addr   uint64
	mem    []byte
	uc, si int // offsets of ucontext and siginfo
	pc, sp uint64
}

// altStack is a uc_stack.
type altStack struct {
	addr, size uint64
	flags      uint32
}

// newSigStack builds a stack of size bytes, full of noise, with a frame that interrupted the stack pointer sp at about the offset
// at.
func newSigStack(t *testing.T, f frameCase, o binary.ByteOrder, size, at int, sp uint64, alt altStack) *sigStack {
	t.Helper()
	big, spec, ws := isBig(o), sigSpec[f.arch], f.arch.WordSize()
	s := &sigStack{addr: 0x7f001000, mem: pattern(size, 99), pc: 0x401235, sp: sp}
	uc, _ := f.ucontext(t, o)
	ucF, _ := fields(t, f.uc)
	put := func(name string, v uint64) { putN(big, uc, ucF[name].off, ucF[name].size, v) }
	clear(uc[:2*ws])
	if f.arch == S390X {
		put("ucflags", 3)
	}
	stack := [3]uint64{alt.addr, uint64(alt.flags), alt.size}
	if f.arch == MIPS || f.arch == MIPS64 {
		stack[1], stack[2] = stack[2], stack[1]
	}
	flagsAt := 1
	if f.arch == MIPS || f.arch == MIPS64 {
		flagsAt = 2
	}
	for i, v := range stack {
		if i == flagsAt {
			put32(big, uc[(2+i)*ws:], uint32(v)) // int ss_flags
		} else {
			putN(big, uc, (2+i)*ws, ws, v)
		}
	}
	for name, v := range spec.set {
		put(name, v)
	}
	switch f.arch { // status registers that the kernel stores in a word of 64 bits
	case AMD64:
		put32(big, uc[180:], 0)
	case ARM64:
		put32(big, uc[452:], 0)
	case MIPS: // registers of 32 bits
		for i := 32; i < 40+32*8; i += 8 {
			put64(big, uc[i:], uint64(int64(int32(get64(big, uc[i:])))))
		}
	}
	put(spec.pc, s.pc)
	put(spec.sp, sp)
	s.uc = at&^15 + spec.uc
	ucAddr := s.addr + uint64(s.uc)
	s.si = s.uc + spec.info
	switch f.arch {
	case AMD64:
		put64(big, uc[224:], ucAddr+304+128+24) // fpstate
	case X86:
		put32(big, uc[96:], uint32(ucAddr)+116+12)
		for i, v := range []uint32{0x1000, 11, uint32(ucAddr) - 128, uint32(ucAddr)} {
			put32(big, s.mem[s.uc-144+4*i:], v)
		}
	case PPC:
		put("regs", ucAddr+192)
	case PPC64:
		put("regs", ucAddr+232)
		put("vregs", ucAddr+896)
		put32(big, uc[200:], 11)
		pair := s.uc + len(uc) + 16 + 28 + 4
		s.si = pair + 16
		put64(big, s.mem[pair:], s.addr+uint64(s.si))
		put64(big, s.mem[pair+8:], ucAddr)
	case RISCV64:
		clear(uc[948:960])
	}
	copy(s.mem[s.uc:], uc)
	copy(s.mem[s.si:], siginfo(f.arch, o, 11, 0, 1, uint64(0x1234)))
	return s
}

// eachSigStack runs f with a stack of every architecture and byte order.
func eachSigStack(t *testing.T, f func(t *testing.T, c frameCase, o binary.ByteOrder)) {
	for _, c := range frameCases {
		for _, o := range orders(archCaseOf(t, c.arch)) {
			t.Run(fmt.Sprint(c.arch, "/", o), func(t *testing.T) { f(t, c, o) })
		}
	}
}

// TestSignalFrame finds a frame on an alternate stack and one on the stack that was interrupted.
func TestSignalFrame(t *testing.T) {
	eachSigStack(t, func(t *testing.T, c frameCase, o binary.ByteOrder) {
		const base, size = 0x7f001000, 16 << 10
		for _, k := range []struct {
			name    string
			sp      uint64
			alt     altStack
			on      bool
			another bool // the interrupted code ran on another stack
		}{
			{"alternate", 0x7ffd0010, altStack{base, size, 0}, true, true},
			{"alternate, wild SP", 0x13, altStack{base, size, SS_AUTODISARM}, true, true},
			{"alternate, interrupted there", base + 0x3f00, altStack{base, size, 0}, true, false},
			{"same", base + 0x3f00, altStack{0x12340000, 8192, 0}, false, false},
			{"no alternate stack", base + 0x3f00, altStack{0, 0, SS_DISABLE}, false, false},
		} {
			s := newSigStack(t, c, o, size, 0x1800, k.sp, k.alt)
			var f SignalFrame
			if !FindSignalFrame(c.arch, o, s.mem, s.addr, s.addr+0x100, &f) {
				t.Errorf("%s: not found", k.name)
				continue
			}
			want := SignalFrame{Arch: c.arch, BigEndian: isBig(o), Ucontext: s.addr + uint64(s.uc), Siginfo: s.addr + uint64(s.si),
				Signo: 11, Code: 1, PC: s.pc, SP: k.sp, StackAddr: k.alt.addr, StackSize: k.alt.size, StackFlags: k.alt.flags, OnAltStack: k.on}
			if f != want || f.Same() == k.another {
				t.Errorf("%s: %+v, not %+v", k.name, f, want)
			}
			if lr, want := f.LR(s.mem, s.addr), s.linkRegister(t, c, o); lr != want {
				t.Errorf("%s: link register %#x, not %#x", k.name, lr, want)
			}
			if n := f.LR(s.mem[:s.uc+16], s.addr); n != 0 {
				t.Errorf("%s: link register %#x of a frame that is not there whole", k.name, n)
			}
			if FindSignalFrame(c.arch, o, s.mem, s.addr, f.Ucontext+1, &f) {
				t.Errorf("%s: found below the stack pointer: %+v", k.name, f)
			}
			checkReadFrame(t, c, o, s)
		}
	})
}

// linkRegister returns the value in the frame of the register in which the architecture's calls leave the return address.
func (s *sigStack) linkRegister(t *testing.T, c frameCase, o binary.ByteOrder) uint64 {
	name, ok := map[Arch]string{ARM: "r14", ARM64: "x30", MIPS: "r31", MIPS64: "r31", PPC: "link", PPC64: "link", RISCV64: "x1", S390X: "r14",
		LOONG64: "r1"}[c.arch]
	if !ok {
		return 0
	}
	ucF, _ := fields(t, c.uc)
	f, ok := ucF[name]
	if !ok {
		t.Fatalf("%s: no %s in %q", c.arch, name, c.uc)
	}
	b := s.mem[s.uc+f.off:]
	if f.size == 4 {
		return uint64(o.Uint32(b))
	}
	return o.Uint64(b)
}

// checkReadFrame compares the crash read from a frame in place with the crash made from its parts.
func checkReadFrame(t *testing.T, fc frameCase, o binary.ByteOrder, s *sigStack) {
	t.Helper()
	var f SignalFrame
	if !FindSignalFrame(fc.arch, o, s.mem, s.addr, 0, &f) {
		t.Fatal("not found")
	}
	var fpstate []byte
	switch fc.arch {
	case AMD64:
		fpstate = s.mem[s.uc+304+128+24:][:512]
	case X86:
		fpstate = s.mem[s.uc+116+12:][:624]
	}
	want, err := CrashFromLinux(fc.arch, o, 7, 8, s.mem[s.si:][:128], s.mem[s.uc:], fpstate)
	if err != nil {
		t.Fatal(err)
	}
	var got Crash
	if !got.ReadFrame(&f, s.mem, s.addr, 7, 8) || got != *want || got.Address != 0x1234 || got.PC != s.pc || got.SP != s.sp {
		t.Errorf("crash of the frame: %s at %#x, pc %#x sp %#x", SignalNameArch(got.Arch, got.Signo), got.Address, got.PC, got.SP)
	}
	if n := testing.AllocsPerRun(20, func() {
		var out [4]SignalFrame
		SignalFrames(fc.arch, o, s.mem, s.addr, 0, out[:])
		got.ReadFrame(&f, s.mem, s.addr, 7, 8)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	checkSetPC(t, fc, o, s, &f)
	for n := range s.mem { // every length: no panic, and no incomplete frame
		if n%61 != 0 && n != s.uc+64 && n != s.si+127 {
			continue
		}
		if got.ReadFrame(&f, s.mem[:n], s.addr, 7, 8) && n < s.uc {
			t.Fatalf("a crash out of %d bytes", n)
		}
		FindSignalFrame(fc.arch, o, s.mem[:n], s.addr, 0, new(SignalFrame))
	}
}

// checkSetPC changes the registers of a copy of the frame, and reads them back.
func checkSetPC(t *testing.T, fc frameCase, o binary.ByteOrder, s *sigStack, f *SignalFrame) {
	t.Helper()
	const pc, sp, lr = 0x1234560, 0x7fff120, 0x765430
	changed, mem := *f, bytes.Clone(s.mem)
	var got Crash
	ok := changed.SetPC(mem, s.addr, pc, sp, lr)
	if !ok || !got.ReadFrame(&changed, mem, s.addr, 7, 8) || got.PC != pc || got.SP != sp {
		t.Errorf("%v: %t, pc %#x sp %#x", fc.arch, ok, got.PC, got.SP)
	}
	if v := changed.LR(mem, s.addr); v != 0 && v != lr || v == 0 && s.linkRegister(t, fc, o) != 0 {
		t.Errorf("%v: link register %#x", fc.arch, v)
	}
	if changed.SetPC(mem[:s.uc+8], s.addr, pc, sp, lr) {
		t.Errorf("%v: a frame that is not there whole was changed", fc.arch)
	}
}

// TestSignalFramesNested finds a handler that was itself interrupted, on the same alternate stack. The search ends if the next
// frame is on another stack.
func TestSignalFramesNested(t *testing.T) {
	eachSigStack(t, func(t *testing.T, c frameCase, o binary.ByteOrder) {
		const base, size = 0x7f001000, 32 << 10
		alt := altStack{base, size, 0}
		s := newSigStack(t, c, o, size, 0x1000, base+0x3000, alt)
		outer := newSigStack(t, c, o, size, 0x5000, 0x7ffd0010, alt)
		copy(s.mem[0x3000:], outer.mem[0x3000:])
		var out [4]SignalFrame
		if n := SignalFrames(c.arch, o, s.mem, s.addr, base, out[:]); n != 2 || out[0].SP != base+0x3000 || out[1].SP != 0x7ffd0010 ||
			out[0].Ucontext != base+uint64(s.uc) || out[1].Ucontext != base+uint64(outer.uc) {
			t.Errorf("%d frames: %+v", n, out[:n])
		}
		if n := SignalFrames(c.arch, o, s.mem, s.addr, base, out[:1]); n != 1 {
			t.Errorf("%d frames in room for one", n)
		}
		if n := SignalFrames(c.arch, o, s.mem, s.addr, base, nil); n != 0 {
			t.Errorf("%d frames in no room", n)
		}
	})
}

// TestSignalFrameRefused changes one thing in a valid frame to a value that the kernel would never write.
func TestSignalFrameRefused(t *testing.T) {
	eachSigStack(t, func(t *testing.T, c frameCase, o binary.ByteOrder) {
		const base, size = 0x7f001000, 16 << 10
		big, ws := isBig(o), c.arch.WordSize()
		ucF, _ := fields(t, c.uc)
		refused := func(what string, change func(s *sigStack, uc []byte)) {
			t.Helper()
			s := newSigStack(t, c, o, size, 0x1800, 0x7ffd0010, altStack{base, size, 0})
			change(s, s.mem[s.uc:])
			var f SignalFrame
			if FindSignalFrame(c.arch, o, s.mem, s.addr, 0, &f) && f.Siginfo != 0 {
				t.Errorf("%s: %+v", what, f)
			}
		}
		refused("uc_flags", func(s *sigStack, uc []byte) { putN(big, uc, 0, ws, 0x401000) })
		refused("uc_link", func(s *sigStack, uc []byte) { putN(big, uc, ws, ws, base) })
		refused("no signal", func(s *sigStack, uc []byte) { put32(big, s.mem[s.si:], 0) })
		refused("signal 129", func(s *sigStack, uc []byte) { put32(big, s.mem[s.si:], 129) })
		refused("si_code", func(s *sigStack, uc []byte) { put32(big, s.mem[s.si+4:], 0x5000); put32(big, s.mem[s.si+8:], 0x5000) })
		refused("a stack without flags that exist", func(s *sigStack, uc []byte) { putN(big, uc, 3*ws, 4, 0x700); putN(big, uc, 4*ws, 4, 0x700) })
		refused("a stack that wraps", func(s *sigStack, uc []byte) { putN(big, uc, 2*ws, ws, ^uint64(0)-100) })
		refused("a stack that is too small", func(s *sigStack, uc []byte) {
			putN(big, uc, 3*ws, ws, 0)
			putN(big, uc, 4*ws, ws, 0)
			putN(big, uc, 2*ws, ws, base)
		})
		refused("a signal that was sent to code without a stack", func(s *sigStack, uc []byte) {
			put32(big, s.mem[s.si:], 10)
			if c.arch == MIPS || c.arch == MIPS64 {
				put32(big, s.mem[s.si:], 16)
			}
			if c.arch == PPC64 {
				put32(big, uc[200:], 10)
			}
			if c.arch == X86 {
				put32(big, s.mem[s.uc-140:], 10)
			}
			x := ucF[sigSpec[c.arch].sp]
			putN(big, uc, x.off, x.size, 0)
		})
		refused("neither on the alternate stack nor below SP", func(s *sigStack, uc []byte) { putN(big, uc, 2*ws, ws, 0x1000) })
		for name := range sigSpec[c.arch].set {
			bad := uint64(0x80000001) // odd, and not what user code has in any of them
			switch name {
			case "ss", "ds", "es", "trapno":
				continue // ss may be 0, the others are not checked here
			case "cs", "cpsr":
				bad = 0x13
				if name == "cs" {
					bad = 0x10 // of the kernel
				}
			case "mask":
				bad = 0x0404c00180000000 // of the kernel
			case "eflags":
				bad = 0xdeadbeed // bit 1 is 0
			}
			refused(name, func(s *sigStack, uc []byte) { putN(big, uc, ucF[name].off, ucF[name].size, bad) })
		}
		if x, ok := ucF["magic"]; ok && c.arch != ARM { // ARM cores without VFP have no such record
			refused("magic", func(s *sigStack, uc []byte) { putN(big, uc, x.off, 4, 0x12345678) })
		}
		switch c.arch {
		case PPC:
			refused("regs", func(s *sigStack, uc []byte) { putN(big, uc, ucF["regs"].off, 4, base) })
		case PPC64:
			refused("regs", func(s *sigStack, uc []byte) { putN(big, uc, ucF["regs"].off, 8, base) })
			refused("puc", func(s *sigStack, uc []byte) { put64(big, s.mem[s.si-8:], base) })
			refused("pinfo", func(s *sigStack, uc []byte) { put64(big, s.mem[s.si-16:], base) })
		case X86:
			refused("puc", func(s *sigStack, uc []byte) { put32(big, s.mem[s.uc-132:], base); put32(big, uc[36:], 0) })
		case AMD64:
			refused("fpstate", func(s *sigStack, uc []byte) { put64(big, uc[224:], 0x1234) })
			refused("FP_XSTATE_MAGIC1", func(s *sigStack, uc []byte) { put64(big, uc, 1) })
		case RISCV64:
			refused("reserved", func(s *sigStack, uc []byte) { put32(big, uc[948:], 1) })
			refused("RISCV_V_MAGIC", func(s *sigStack, uc []byte) { put32(big, uc[952:], 1) })
		}
	})
}

// TestPlainSignalFrame finds the frames of handlers that were installed without SA_SIGINFO.
func TestPlainSignalFrame(t *testing.T) {
	const addr = 0x7f001000
	t.Run("x86", func(t *testing.T) {
		mem := pattern(8<<10, 99)
		frame := mem[0x80c:]
		sc := frame[8:]
		put32(false, frame[4:], 11)
		for i, v := range map[int]uint32{0: 0x63, 1: 0, 2: 0x2b, 3: 0x2b, 4: 0xd1, 7: 0xffd01230, 11: 0xa, 12: 14, 13: 6, 14: 0x8049876,
			15: 0x23, 16: 0x10246, 18: 0x2b, 19: addr + 0xc00, 21: 0x30} {
			put32(false, sc[4*i:], v)
		}
		want := SignalFrame{Arch: X86, Ucontext: addr + 0x814, Signo: 11, PC: 0x8049876, SP: 0xffd01230, plain: true}
		c := checkPlain(t, binary.LittleEndian, mem, addr, want)
		if cpu, err := Decode(X86, c.Record(), nil); err != nil || cpu.Registers[0] != (Register{"eax", 0xa}) || cpu.Registers[7] != (Register{"edi", 0xd1}) {
			t.Errorf("%v %+v", err, cpu)
		}
		if c.TrapAddress != 0x30 || c.TrapNo != 14 {
			t.Errorf("trap %d at %#x", c.TrapNo, c.TrapAddress)
		}
	})
	t.Run("arm", func(t *testing.T) {
		for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			fc := frameCaseOf(t, ARM)
			s := newSigStack(t, fc, o, 8<<10, 0x800, 0xffd01230, altStack{})
			put32(isBig(o), s.mem[s.uc:], 0x5ac3c35a)
			clear(s.mem[s.si : s.si+128])
			want := SignalFrame{Arch: ARM, BigEndian: isBig(o), Ucontext: s.addr + uint64(s.uc), PC: s.pc, SP: s.sp, plain: true}
			if c := checkPlain(t, o, s.mem, s.addr, want); c.TrapAddress != 0x1234 || !bytes.Equal(c.Context[4:8], s.mem[s.uc+32:s.uc+36]) {
				t.Errorf("trap at %#x", c.TrapAddress)
			}
		}
	})
	t.Run("s390x", func(t *testing.T) {
		mem := pattern(8<<10, 99)
		sc := mem[0x8a0:]
		put64(true, sc[8:], addr+0x8b0)
		for i, v := range []uint64{0x0705200180000000, 0x1000876, 0x100} { // psw, r0
			put64(true, sc[16+8*i:], v)
		}
		put64(true, sc[32+15*8:], 0x3ffffd0)
		put32(true, sc[16+344:], 11)
		want := SignalFrame{Arch: S390X, BigEndian: true, Ucontext: addr + 0x8a0, Signo: 11, PC: 0x1000876, SP: 0x3ffffd0, plain: true}
		if c := checkPlain(t, binary.BigEndian, mem, addr, want); get64(true, c.Context[24:]) != 0x100 || !bytes.Equal(c.Context[232:240], sc[16+208+8:][:8]) {
			t.Errorf("r0 %#x, f0 %x", get64(true, c.Context[24:]), c.Context[232:240])
		}
	})
}

// checkPlain finds the frame and returns its crash.
func checkPlain(t *testing.T, o binary.ByteOrder, mem []byte, addr uint64, want SignalFrame) *Crash {
	t.Helper()
	var f SignalFrame
	if !FindSignalFrame(want.Arch, o, mem, addr, 0, &f) || f != want {
		t.Fatalf("%+v, not %+v", f, want)
	}
	c := new(Crash)
	if !c.ReadFrame(&f, mem, addr, 7, 8) || c.PC != want.PC || c.SP != want.SP || c.Signo != want.Signo || c.Access != AccessUnknown || c.HasAddress {
		t.Errorf("crash: signal %d, pc %#x sp %#x, %s", c.Signo, c.PC, c.SP, c.Access)
	}
	for n := range mem {
		c.ReadFrame(&f, mem[:n], addr, 7, 8)
	}
	return c
}

// TestNoSignalFrame searches data without a frame: random bytes, and words that are small or look like addresses.
func TestNoSignalFrame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	mem := make([]byte, 1<<20)
	for round := range 6 {
		for i := 0; i < len(mem); i += 4 {
			v := r.Uint32()
			switch round % 3 {
			case 1: // mostly zeros and small numbers
				v >>= r.Uint32N(33)
				if r.Uint32N(3) != 0 {
					v = 0
				}
			case 2: // 64-bit addresses of the stack itself, selectors
				v = [4]uint32{0x7f001000 + v%(1<<20), 0, 0x33, 0x2b}[v>>30]
			}
			binary.LittleEndian.PutUint32(mem[i:], v)
		}
		for a := X86; a < archCount; a++ {
			for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
				var f SignalFrame
				if FindSignalFrame(a, o, mem, 0x7f001000, 0, &f) {
					t.Errorf("round %d: %s: %+v", round, a, f)
				}
			}
		}
	}
}

func FuzzSignalFrames(f *testing.F) {
	for i, c := range frameCases {
		s := newSigStack(&testing.T{}, c, orders(archCaseOf(&testing.T{}, c.arch))[0], 6<<10, 0x200, 0x7f001000+0xf00, altStack{})
		f.Add(s.mem, uint8(i), uint64(0))
	}
	f.Fuzz(func(t *testing.T, mem []byte, n uint8, sp uint64) {
		c := frameCases[int(n)%len(frameCases)]
		for _, o := range orders(archCaseOf(t, c.arch)) {
			for _, addr := range []uint64{0x7f001000, ^uint64(0) - uint64(len(mem)), ^uint64(0) - 5} {
				var out [8]SignalFrame
				frames := SignalFrames(c.arch, o, mem, addr, sp, out[:])
				for i := range out[:frames] {
					x := &out[i]
					if x.Ucontext < sp || x.Ucontext-addr >= uint64(len(mem)) || i > 0 && x.Ucontext <= out[i-1].Ucontext {
						t.Fatalf("%+v", x)
					}
					var crash Crash
					if crash.ReadFrame(x, mem, addr, 1, 2) && (crash.PC != x.PC || crash.SP != x.SP) {
						t.Fatalf("%+v: pc %#x sp %#x", x, crash.PC, crash.SP)
					}
				}
			}
		}
	})
}

// TestFromTrap derives signals from what the hardware reported.
func TestFromTrap(t *testing.T) {
	for _, c := range []struct {
		arch       Arch
		trap, code uint64
		known      int32
		signo, sic int32 // 0: none is derived
		access     Access
	}{
		{AMD64, 14, 6, 0, SIGSEGV, 1, AccessWrite},
		{AMD64, 14, 7, SIGSEGV, SIGSEGV, 2, AccessWrite},
		{AMD64, 14, 0x15, 0, SIGSEGV, 2, AccessExecute},
		{AMD64, 14, 4, SIGABRT, 0, 0, 0},
		{AMD64, 1, 0, 0, 0, 0, 0},
		{AMD64, 0, 0, 0, 0, 0, 0},
		{X86, 14, 4, SIGSEGV, SIGSEGV, 1, AccessRead},
		{ARM64, 0x24, 0x92000046, 0, SIGSEGV, 1, AccessWrite},
		{ARM64, 0x24, 0x9200000f, 0, SIGSEGV, 2, AccessRead},
		{ARM64, 0x24, 0x92000021, 0, SIGBUS, 1, AccessRead},
		{ARM64, 0x20, 0x82000006, 0, SIGSEGV, 1, AccessExecute},
		{ARM64, 0, 0, 0, 0, 0, 0},
		{ARM, 14, 0x805, 0, SIGSEGV, 1, AccessWrite},
		{ARM, 14, 0x8000000d, 0, SIGSEGV, 2, AccessExecute},
		{ARM, 14, 0x1, 0, SIGBUS, 1, AccessRead},
		{ARM, 0, 0, 0, 0, 0, 0},
		{PPC64, 0x300, 0x42000000, 0, 0, 0, 0},
	} {
		x := Crash{Arch: c.arch, TrapNo: c.trap, ErrorCode: c.code, TrapAddress: 0x1234, Signo: c.known}
		if ok := x.FromTrap(); ok != (c.signo != 0) || ok && (x.Signo != c.signo || x.Code != c.sic || x.Access != c.access || x.Address != 0x1234 || !x.HasAddress || x.NumParams != 2) ||
			!ok && x.Signo != c.known {
			t.Errorf("%+v: %v signal %d code %d %s of %#x", c, ok, x.Signo, x.Code, x.Access, x.Address)
		}
	}
	// Without an address: a general protection fault, an undefined instruction, a division.
	for trap, want := range map[uint64][2]int32{13: {SIGSEGV, SI_KERNEL}, 6: {SIGILL, 2}, 0: {SIGFPE, 1}} {
		x := Crash{Arch: AMD64, TrapNo: trap, TrapAddress: 0x1234, Signo: want[0]}
		if !x.FromTrap() || x.Code != want[1] || x.HasAddress || x.Address != 0 || x.Access != AccessUnknown {
			t.Errorf("trap %d: %+v", trap, x.Code)
		}
	}
}
