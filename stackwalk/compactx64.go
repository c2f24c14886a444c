package stackwalk

import "encoding/binary"

// Fields of an encoding for x86_64 (<mach-o/compact_unwind_encoding.h>). With a frame pointer, the saved registers start a number of
// words below it; without one, they are directly below the return address.
const (
	x64FrameRegisters = 0x00007fff // three bits each, the register at the lowest address first
	x64FrameOffset    = 0x00ff0000 // words

	x64StackSize   = 0x00ff0000 // words, or the offset in the function of the operand of its subtraction from rsp
	x64StackAdjust = 0x0000e000 // words to add to that operand
	x64Count       = 0x00001c00
	x64Permutation = 0x000003ff
)

// compactX64Registers has the slots of the registers 1 to 6: rbx, r12 to r15, rbp.
var compactX64Registers = [7]int{none, 3, 12, 13, 14, 15, 6}

// byCompactX64 is byCompact for x86_64.
func (p *Process) byCompactX64(s, next *state, im *image, f *compactFunction) outcome {
	mode := f.encoding & compactModeMask
	sp := s.regs.sp()
	if s.exact {
		if pushed, ok := p.prologX64(f, im.bias, s.regs.pc()); ok {
			return p.returnX64(next, sp+pushed)
		}
	}
	if mode == compactX64Frame {
		const rbp = 6
		if !s.regs.usable(rbp) {
			return failed
		}
		next.unsure = next.unsure || !s.regs.has(rbp)
		fp := s.regs.value[rbp]
		at := fp - 8*uint64(f.encoding&x64FrameOffset>>16)
		for r := f.encoding & x64FrameRegisters; r != 0; r, at = r>>3, at+8 {
			if s.exact && at < sp {
				continue // not pushed yet
			}
			if !p.restoreX64(next, int(r&7), at) {
				return failed
			}
		}
		return p.fromFrameX64(next, fp)
	}
	size, ok := p.stackSizeX64(f, im.bias)
	if !ok || mode != compactX64Immediate && mode != compactX64Indirect {
		return failed
	}
	list, ok := permuted(f.encoding&x64Permutation, int(f.encoding&x64Count>>10))
	if !ok || size < 8*uint64(len(list)+1) {
		return failed
	}
	at := sp + size - 8 - 8*uint64(len(list))
	for i, r := range list {
		if !p.restoreX64(next, r, at+8*uint64(i)) {
			return failed
		}
	}
	return p.returnX64(next, sp+size-8)
}

// restoreX64 loads the register with a number of compact unwind information; 0 means none.
func (p *Process) restoreX64(next *state, number int, at uint64) bool {
	if number == 0 {
		return true
	}
	if number >= len(compactX64Registers) {
		return false
	}
	v, ok := p.word(at)
	if ok {
		next.regs.put(compactX64Registers[number], v)
	}
	return ok
}

// fromFrameX64 moves to the caller whose frame pointer and return address are at fp.
func (p *Process) fromFrameX64(next *state, fp uint64) outcome {
	saved, ok := p.word(fp)
	if !ok {
		return failed
	}
	next.regs.put(p.facts.fp, saved)
	return p.returnX64(next, fp+8)
}

// returnX64 moves to the caller whose return address is at address at.
func (p *Process) returnX64(next *state, at uint64) outcome {
	addr, ok := p.word(at)
	if !ok {
		return failed
	}
	p.setPC(next, addr)
	next.regs.put(p.facts.sp, at+8)
	return found
}

// stackSizeX64 returns the number of bytes between SP in the body of a function without a frame pointer and its caller's SP.
func (p *Process) stackSizeX64(f *compactFunction, bias uint64) (uint64, bool) {
	field := uint64(f.encoding & x64StackSize >> 16)
	if f.encoding&compactModeMask == compactX64Immediate {
		return 8 * field, true
	}
	var b [4]byte
	if p.read(f.start+bias+field, b[:]) < len(b) {
		return 0, false
	}
	return uint64(binary.LittleEndian.Uint32(b[:])) + 8*uint64(f.encoding&x64StackAdjust>>13), true
}

// permuted decodes which count of the six registers are saved, and in which order: the number of a permutation, in which each digit
// is an index into the registers that are still left.
func permuted(number uint32, count int) (list []int, ok bool) {
	const registers = 6
	if count > registers {
		return nil, false
	}
	left := []int{1, 2, 3, 4, 5, 6}
	for i := range count {
		weight := uint32(1)
		for k := i + 1; k < count; k++ {
			weight *= uint32(registers - k)
		}
		digit := int(number / weight)
		if number %= weight; digit >= len(left) {
			return nil, false
		}
		list = append(list, left[digit])
		left = append(left[:digit:digit], left[digit+1:]...)
	}
	return list, true
}

// prologX64 reports whether pc is among the first instructions of a function, before its frame is complete, and by how many bytes
// these have lowered rsp so far.
//
// The linker merges adjacent functions with the same encoding, so f may begin with another function. A function with a frame pointer
// is recognised by its first two instructions: push rbp; mov rbp, rsp.
func (p *Process) prologX64(f *compactFunction, bias, pc uint64) (pushed uint64, ok bool) {
	const most = 64 // bytes
	start := f.start + bias
	if f.encoding&compactModeMask == compactX64Frame {
		const first = "\x55\x48\x89\xe5"
		var b [2 * len(first)]byte
		switch n := p.read(pc-1, b[:]); {
		case n >= 1+len(first) && string(b[1:1+len(first)]) == first:
			return 0, true
		case n >= len(first) && string(b[:len(first)]) == first && pc > start:
			return 8, true
		}
		return 0, false
	}
	if pc-start > most {
		return 0, false
	}
	var b [most + 8]byte
	code := b[:p.read(start, b[:])]
	size, _ := p.stackSizeX64(f, bias)
	for at := start; ; {
		if at == pc {
			return pushed, pushed+8 != size
		}
		n, by := pushX64(code)
		if n == 0 || at > pc {
			return 0, false
		}
		code, at, pushed = code[n:], at+uint64(n), pushed+by
	}
}

// pushX64 returns the length of an instruction that pushes a register or subtracts from rsp, and by how many bytes rsp
// changes; n is 0 for any other instruction.
func pushX64(code []byte) (n int, by uint64) {
	le := binary.LittleEndian
	switch {
	case len(code) >= 4 && code[0] == 0xf3 && code[1] == 0x0f && code[2] == 0x1e: // endbr64
		return 4, 0
	case len(code) >= 1 && code[0]&^7 == 0x50:
		return 1, 8
	case len(code) >= 2 && code[0] == 0x41 && code[1]&^7 == 0x50:
		return 2, 8
	case len(code) >= 4 && code[0] == 0x48 && code[1] == 0x83 && code[2] == 0xec:
		return 4, uint64(int64(int8(code[3])))
	case len(code) >= 7 && code[0] == 0x48 && code[1] == 0x81 && code[2] == 0xec:
		return 7, uint64(int64(int32(le.Uint32(code[3:]))))
	}
	return 0, 0
}
