package stackwalk

import (
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"
	"golang.org/x/arch/x86/x86asm"

	"minidump/context"
)

// simulation executes the first and the last instructions of real functions, decoded by the disassemblers of golang.org/x/arch, and
// checks after each that a walk restores the caller's registers. This way no table of unwind information is trusted.
type simulation struct {
	p     *Process
	arch  context.Arch
	base  uint64 // address of the image
	regs  [32]uint64
	mem   map[uint64]uint64
	saved map[int]bool // registers that the function has stored

	points, ends, functions, wrapped, dwarf int
	wrong                                   []string
}

const (
	simulatedSP     = 0x7fff_0000_8000
	simulatedCaller = 0x40 // offset in the code of the return address
)

// newSimulation returns a simulation of an image whose contents mapped provides by RVA.
func newSimulation(arch context.Arch, mapped io.ReaderAt, base, size uint64) *simulation {
	s := &simulation{arch: arch, base: base}
	s.p = &Process{Arch: arch, Order: binary.LittleEndian, Memory: s, MaxFrames: 2,
		Modules: []Module{{Name: "image", Base: base, Size: size, Mapped: mapped}}, facts: factsOf(arch), reads: maxReads}
	return s
}

// add adds the results of another simulation, of the image with the given name.
func (s *simulation) add(name string, other *simulation) {
	s.functions, s.points = s.functions+other.functions, s.points+other.points
	s.ends += other.ends
	s.wrapped, s.dwarf = s.wrapped+other.wrapped, s.dwarf+other.dwarf
	for _, w := range other.wrong {
		s.wrong = append(s.wrong, name+": "+w)
	}
}

// ReadMemory reads the stack.
func (s *simulation) ReadMemory(addr uint64, p []byte) (n int, err error) {
	for n < len(p) {
		at := addr + uint64(n)
		v, ok := s.mem[at&^7]
		if !ok && (at >= simulatedSP || at < simulatedSP-1<<20) {
			return n, nil
		}
		p[n] = byte(v >> (at & 7 * 8))
		n++
	}
	return n, nil
}

func (s *simulation) facts() *archFacts { return factsOf(s.arch) }

// enter starts a function: the registers get distinct values, and the return address is stored where a call stores it.
func (s *simulation) enter(back uint64) {
	s.mem, s.saved = map[uint64]uint64{}, map[int]bool{}
	for i := range s.regs {
		s.regs[i] = 0x1111_0000 + uint64(i)<<8
	}
	s.regs[s.facts().sp] = simulatedSP
	if s.arch == context.ARM64 {
		s.regs[slotX30] = back
		s.regs[slotX29] = simulatedSP + 0x100
		return
	}
	s.regs[6] = simulatedSP + 0x100
	s.regs[s.facts().sp] -= 8
	s.mem[simulatedSP-8] = back
}

// kept returns the registers that the function must preserve, as slots.
func (s *simulation) kept() []int {
	if s.arch == context.ARM64 {
		return []int{19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29}
	}
	return []int{3, 6, 12, 13, 14, 15}
}

// check walks from pc and compares the caller with its state at the start.
func (s *simulation) check(what string, pc, back uint64) {
	s.points++
	if strings.HasPrefix(what, "end") {
		s.ends++
	}
	start := *s
	start.enter(back)
	cpu := cpuOf(s.arch, func(name string) uint64 {
		f := s.facts()
		for i, n := range f.names[:32] {
			if n == name {
				return s.regs[i]
			}
		}
		return pc
	})
	frames := s.p.Walk(cpu)
	bad := ""
	switch {
	case len(frames) != 2:
		bad = "no caller"
	case frames[1].Trust != TrustCFI:
		bad = "by " + frames[1].Trust.String()
	case frames[1].PC != back:
		bad = fmt.Sprintf("pc %#x, want %#x", frames[1].PC, back)
	case frames[1].SP != simulatedSP:
		bad = fmt.Sprintf("sp %#x, want %#x", frames[1].SP, uint64(simulatedSP))
	default:
		for _, slot := range s.kept() {
			name := s.facts().names[slot]
			if v, ok := frames[1].Registers.Get(name); !ok || v != start.regs[slot] {
				bad = fmt.Sprintf("%s %#x %v, want %#x", name, v, ok, start.regs[slot])
			}
		}
	}
	if bad != "" {
		s.wrong = append(s.wrong, fmt.Sprintf("%s at %#x: %s", what, pc-s.base, bad))
	}
}

// step is an instruction.
type step struct {
	rva  uint64
	size uint64
	text string // in the syntax of GNU's or Plan 9's assembler: see decode
}

// decode disassembles a function.
func (s *simulation) decode(code []byte, rva uint64) (list []step) {
	for at := uint64(0); at < uint64(len(code)); {
		x := step{rva: rva + at, size: 4}
		if s.arch == context.ARM64 {
			if in, err := arm64asm.Decode(code[at:]); err == nil {
				x.text = in.String()
			}
		} else if in, err := x86asm.Decode(code[at:], 64); err == nil && in.Len > 0 {
			x.text, x.size = x86asm.IntelSyntax(in, 0, nil), uint64(in.Len)
		} else {
			return list
		}
		list = append(list, x)
		at += x.size
	}
	return list
}

var (
	armMemory = regexp.MustCompile(`^(STP|STR|LDP|LDR) (\w+)(?:, (\w+))?, \[SP(?:,#(-?\d+))?\](!)?(?:,#(-?\d+))?$`)
	armAdd    = regexp.MustCompile(`^(ADD|SUB|MOV) (SP|X29), (SP|X29)(?:, #(0x[0-9a-f]+|\d+)(?:, LSL #12)?)?$`)
	x64Sub    = regexp.MustCompile(`^(sub|add) rsp, (-?0x[0-9a-f]+|-?\d+)$`)
	x64Lea    = regexp.MustCompile(`^lea rsp, ptr \[rbp(-0x[0-9a-f]+|\+0x[0-9a-f]+)?\]$`)
	x64Store  = regexp.MustCompile(`^(push|pop) (\w+)$`)
)

func armSlot(name string) int {
	if name[0] != 'X' {
		return none
	}
	n, _ := strconv.Atoi(name[1:])
	return n
}

func amount(text string) uint64 {
	n, _ := strconv.ParseInt(text, 0, 64)
	return uint64(n)
}

// do executes an instruction if it sets up or removes a frame; part is 'p', 'e', or 'b' for either, and 0 for any other instruction.
func (s *simulation) do(x step) (part byte) {
	if s.arch == context.ARM64 {
		return s.doARM64(x.text)
	}
	rsp := &s.regs[7]
	switch m := x64Store.FindStringSubmatch(x.text); {
	case m != nil:
		slot := slices.Index(s.facts().names[:], m[2])
		if slot < 0 {
			return 0
		}
		if m[1] == "push" {
			*rsp -= 8
			s.mem[*rsp] = s.regs[slot]
			s.saved[slot] = slices.Contains(s.kept(), slot)
			return 'p'
		}
		s.regs[slot] = s.mem[*rsp]
		*rsp += 8
		return 'e'
	case x.text == "mov rbp, rsp":
		s.regs[6] = *rsp
		return 'p'
	}
	if m := x64Sub.FindStringSubmatch(x.text); m != nil {
		if m[1] == "sub" {
			*rsp -= amount(m[2])
			return 'p'
		}
		*rsp += amount(m[2])
		return 'e'
	}
	if m := x64Lea.FindStringSubmatch(x.text); m != nil {
		*rsp = s.regs[6] + amount(m[1])
		return 'e'
	}
	return 0
}

func (s *simulation) doARM64(text string) byte {
	sp := &s.regs[slotARMSP]
	if m := armMemory.FindStringSubmatch(text); m != nil {
		at, after := *sp+amount(m[4]), *sp
		if m[5] == "!" {
			after = at
		}
		if m[6] != "" {
			after = *sp + amount(m[6])
		}
		for i, name := range []string{m[2], m[3]} {
			if name == "" {
				continue
			}
			slot := armSlot(name)
			switch {
			case slot == none || slot > 30 || slot < 19:
				if name[0] != 'D' && name[0] != 'Q' && name[0] != 'X' || slot != none && slot < 19 && m[1][0] == 'L' {
					return 0
				}
			case m[1][0] == 'S':
				s.mem[at+8*uint64(i)] = s.regs[slot]
				s.saved[slot] = true
			default:
				s.regs[slot] = s.mem[at+8*uint64(i)]
			}
		}
		*sp = after
		return map[byte]byte{'S': 'p', 'L': 'e'}[m[1][0]]
	}
	if m := armAdd.FindStringSubmatch(text); m != nil {
		return s.addARM64(text, m)
	}
	switch text {
	case "HINT #0x19", "HINT #0x1b", "NOP": // paciasp, pacibsp
		return 'p'
	case "HINT #0x1d", "HINT #0x1f": // autiasp, autibsp
		return 'e'
	}
	return 0
}

// addARM64 executes an addition to SP or x29, as matched by armAdd.
func (s *simulation) addARM64(text string, m []string) byte {
	by := amount(m[4])
	if strings.HasSuffix(text, "LSL #12") {
		by <<= 12
	}
	part := byte('e')
	if m[1] == "SUB" {
		by = -by
	}
	if m[2] == "X29" || m[1] == "SUB" && m[3] == "SP" {
		part = 'p'
	}
	from := s.regs[slotARMSP]
	if m[3] == "X29" {
		from = s.regs[slotX29]
	}
	if m[2] == "SP" {
		s.regs[slotARMSP] = from + by
	} else {
		s.regs[slotX29] = from + by
	}
	return part
}

var (
	leaves  = regexp.MustCompile(`^(RET X30|ret)$`)
	jumpsTo = regexp.MustCompile(`^(B|BL|BR|BLR|BRK|RET|RETAA|RETAB|CBZ|CBNZ|TBZ|TBNZ|SVC|HLT|UDF|B\.\w+|j\w+|call|ret|ud2|int|int3|loop\w*|jmp|rep|syscall)\b`)
)

// neutral reports whether an instruction neither changes SP or a register that belongs to the caller, nor jumps.
func (s *simulation) neutral(x step) bool {
	if x.text == "" || jumpsTo.MatchString(x.text) {
		return false
	}
	_, args, _ := strings.Cut(x.text, " ")
	first, _, _ := strings.Cut(args, ",")
	first = strings.ToLower(first)
	if s.arch == context.ARM64 {
		if len(first) > 1 && (first[0] == 'x' || first[0] == 'w') {
			n, err := strconv.Atoi(first[1:])
			return err == nil && n < 19 && !strings.Contains(args, "]!") && !strings.Contains(args, "],")
		}
		return len(first) > 1 && strings.ContainsRune("sdqhb", rune(first[0])) && !strings.Contains(first, "sp")
	}
	return regexp.MustCompile(`^(eax|rax|ecx|rcx|edx|rdx|esi|rsi|edi|rdi|r8d?|r9d?|r10d?|r11d?|[xy]mm\d+|[a-z]* ?ptr \[.*)$`).MatchString(first) &&
		!strings.HasPrefix(x.text, "xchg")
}

// start executes the first instructions of a function, as far as they are known, and returns their number. It calls at before each,
// and before the instruction after them.
func (s *simulation) start(steps []step, back uint64, at func(step)) int {
	s.enter(back)
	for n := range steps {
		at(steps[n])
		before := s.regs
		if part := s.do(steps[n]); part != 'p' {
			s.regs = before
			if part == 'e' || !s.neutral(steps[n]) {
				return n
			}
		}
	}
	return len(steps)
}

// function simulates one function. framed states that it has a frame pointer: if it sets the frame pointer only after a
// branch (shrink-wrapping), it is left out, because no table says where its frame begins.
func (s *simulation) function(code []byte, rva, back uint64, framed bool) {
	steps := s.decode(code, rva)
	n := s.start(steps, back, func(step) {})
	set := s.regs[s.facts().fp] != simulatedSP+0x100
	if n == len(steps) || framed && !set {
		s.wrapped++
		return
	}
	s.functions++
	s.start(steps, back, func(x step) { s.check("start of "+strconv.FormatUint(rva, 16), s.base+x.rva, back) })
	// The body uses the registers that it has saved. A frame pointer that was set keeps its value.
	for slot := range s.saved {
		if s.saved[slot] && !(slot == s.facts().fp && set) && slot != slotX30 {
			s.regs[slot] = 0xdead
		}
	}
	s.check("body of "+strconv.FormatUint(rva, 16), s.base+steps[n].rva, back)
	regs, mem := s.regs, s.mem
	for i := range steps {
		if i <= n || !leaves.MatchString(steps[i].text) {
			continue
		}
		s.regs = regs
		first := i
		for first > n && s.do(steps[first-1]) == 'e' {
			first--
		}
		// Code that does not restore the caller's state, such as the end of a function that allocated space for arguments after its
		// first instructions, is left out.
		s.regs, s.mem = regs, mem
		for k := first; k < i; k++ {
			s.do(steps[k])
		}
		if s.arch == context.ARM64 && s.regs[slotARMSP] != simulatedSP || s.arch != context.ARM64 && s.regs[7] != simulatedSP-8 {
			continue
		}
		s.regs, s.mem = regs, mem
		for k := first; k <= i; k++ {
			s.check("end of "+strconv.FormatUint(rva, 16), s.base+steps[k].rva, back)
			s.do(steps[k])
		}
	}
}

// report fails the test if a walk was wrong more than most times.
func (s *simulation) report(t *testing.T, most int) {
	t.Helper()
	t.Logf("%d functions, %d left out, %d points, %d of them in epilogs, %d wrong", s.functions, s.wrapped, s.points, s.ends,
		len(s.wrong))
	for i, w := range s.wrong {
		if i == 12 {
			break
		}
		t.Log(w)
	}
	if s.functions == 0 || len(s.wrong) > most {
		t.Errorf("%d of %d points are wrong", len(s.wrong), s.points)
	}
}
