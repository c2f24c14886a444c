package stackwalk

import (
	"debug/pe"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"minidump/context"
)

// ErrNotPE is what NewPE returns for a file that is not a PE image.
var ErrNotPE = errors.New("stackwalk: not a PE image")

// peFile is a PE image as mapped in memory.
type peFile struct {
	r        io.ReaderAt
	headers  int64 // bytes at the start that are the same in memory and in the file
	sections []pe.SectionHeader
}

// NewPE returns the PE image in r, the file, as mapped in memory, for Module.Mapped. r must stay readable. The error wraps ErrNotPE.
func NewPE(r io.ReaderAt) (mapped io.ReaderAt, err error) {
	defer func() { // debug/pe reads an untrusted file
		if recover() != nil {
			mapped, err = nil, ErrNotPE
		}
	}()
	f, err := pe.NewFile(r)
	if err != nil {
		return nil, errors.Join(ErrNotPE, err)
	}
	m := &peFile{r: r, headers: 4096}
	switch h := f.OptionalHeader.(type) {
	case *pe.OptionalHeader32:
		m.headers = int64(h.SizeOfHeaders)
	case *pe.OptionalHeader64:
		m.headers = int64(h.SizeOfHeaders)
	}
	for _, s := range f.Sections {
		m.sections = append(m.sections, s.SectionHeader)
	}
	return m, nil
}

// ReadAt implements io.ReaderAt: off is an RVA. It does not read beyond the end of a section.
func (m *peFile) ReadAt(b []byte, off int64) (int, error) {
	if off >= 0 && off < m.headers {
		return m.r.ReadAt(b[:min(int64(len(b)), m.headers-off)], off)
	}
	for i := range m.sections {
		s := &m.sections[i]
		if in := off - int64(s.VirtualAddress); in >= 0 && in < int64(s.Size) {
			return m.r.ReadAt(b[:min(int64(len(b)), int64(s.Size)-in)], int64(s.Offset)+in)
		}
	}
	return 0, io.EOF
}

// findPE reads the headers of a PE image: the section table, and for amd64 and arm64 the exception directory.
func (im *image) findPE() {
	const maxSections, dosHeader, fileHeader, sectionHeader, exceptionDirectory = 96, 64, 24, 40, 3
	le := binary.LittleEndian
	var dos [dosHeader]byte
	if im.read(im.m.Base, dos[:]) < len(dos) || string(dos[:2]) != "MZ" {
		return
	}
	at := im.m.Base + uint64(le.Uint32(dos[60:]))
	var h [fileHeader]byte
	if im.read(at, h[:]) < len(h) || string(h[:4]) != "PE\x00\x00" {
		return
	}
	count, size := int(le.Uint16(h[6:])), int(le.Uint16(h[20:]))
	b := make([]byte, size+min(count, maxSections)*sectionHeader)
	b = b[:im.read(at+fileHeader, b)]
	im.bias = im.m.Base
	machine := map[context.Arch]uint16{context.AMD64: pe.IMAGE_FILE_MACHINE_AMD64, context.ARM64: pe.IMAGE_FILE_MACHINE_ARM64}
	if dirs := 112 + 8*exceptionDirectory; le.Uint16(h[4:]) == machine[im.p.Arch] && size >= dirs+8 && len(b) >= dirs+8 {
		im.pdata = segment{uint64(le.Uint32(b[dirs:])), uint64(le.Uint32(b[dirs+4:]))}
	}
	for b = b[min(size, len(b)):]; len(b) >= sectionHeader; b = b[sectionHeader:] {
		flags := le.Uint32(b[36:])
		im.loads = append(im.loads, load{vaddr: uint64(le.Uint32(b[12:])), memsz: uint64(le.Uint32(b[8:])),
			exec: flags&pe.IMAGE_SCN_MEM_EXECUTE != 0, writable: flags&pe.IMAGE_SCN_MEM_WRITE != 0})
	}
}

// runtimeFunction is RUNTIME_FUNCTION: the unwind information of code from begin to end. All are RVAs.
type runtimeFunction struct{ begin, end, info uint64 }

func (im *image) runtimeFunctionAt(rva uint64) (f runtimeFunction, ok bool) {
	var b [12]byte
	if im.readLinked(rva, b[:]) < len(b) {
		return f, false
	}
	le := binary.LittleEndian
	return runtimeFunction{uint64(le.Uint32(b[:])), uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:]))}, true
}

// runtimeFunction finds the entry for rva. none is true if the table exists but has no entry: the function has no frame.
func (im *image) runtimeFunction(rva uint64) (f runtimeFunction, ok, none bool) {
	low, high := uint64(0), im.pdata.size/12
	for low < high {
		mid := low + (high-low)/2
		f, ok := im.runtimeFunctionAt(im.pdata.vaddr + 12*mid)
		switch {
		case !ok:
			return f, false, false
		case rva < f.begin:
			high = mid
		case rva >= f.end:
			low = mid + 1
		default:
			return f, true, false
		}
	}
	return f, false, im.pdata.size > 0
}

// byPE finds the caller by the unwind codes of a PE image of amd64 or arm64.
func (p *Process) byPE(s, next *state) outcome {
	m := p.moduleAt(s.regs.pc())
	if p.Arch != context.AMD64 && p.Arch != context.ARM64 || m < 0 || s.guess {
		return failed
	}
	im := p.image(m)
	if im.pdata.size == 0 {
		return failed
	}
	if p.Arch == context.ARM64 {
		return p.byPEARM64(s, next, im)
	}
	rva := s.lookup() - im.m.Base
	f, ok, leaf := im.runtimeFunction(rva)
	u := unwinder{im: im, regs: s.regs, sp: s.regs.sp()}
	switch {
	case leaf && s.exact:
		next.unsure = true // it may also be generated code without a table
	case !ok:
		return failed
	case s.exact && u.epilog(s.regs.pc()):
	case !u.function(f, rva-f.begin):
		return failed
	}
	const rsi, rdi = 4, 5 // on Windows a call preserves both
	next.regs.known |= s.regs.known & (1<<rsi | 1<<rdi)
	next.regs.take(&u.regs, u.loaded)
	if u.trap {
		next.exact = true
		next.signal = true // PC is where an interrupt or an exception occurred
		return found
	}
	addr, ok := p.word(u.sp)
	if !ok {
		return failed
	}
	p.setPC(next, addr)
	next.regs.put(p.facts.sp, u.sp+8)
	return found
}

// windowsRegisters maps the register numbers of unwind codes and instructions to slots.
var windowsRegisters = [16]int{0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15}

// unwinder undoes the prolog of a function.
type unwinder struct {
	im     *image
	regs   Registers
	sp     uint64
	frame  uint64 // the base of UWOP_SAVE_NONVOL
	loaded uint64 // bit i: slot i was loaded
	trap   bool   // a frame pushed by the hardware was undone
}

func (u *unwinder) load(number int, addr uint64) bool {
	slot := windowsRegisters[number&15]
	v, ok := u.im.p.word(addr)
	if ok {
		u.regs.put(slot, v)
		u.loaded |= 1 << slot
	}
	return ok
}

// Operations of unwind codes.
const (
	uwopPushNonvol    = 0
	uwopAllocLarge    = 1
	uwopAllocSmall    = 2
	uwopSetFPReg      = 3
	uwopSaveNonvol    = 4
	uwopSaveNonvolFar = 5
	uwopEpilog        = 6 // version 2
	uwopSpare         = 7
	uwopSaveXMM128    = 8
	uwopSaveXMM128Far = 9
	uwopPushMachframe = 10
)

// function undoes what the function f has done up to offset.
func (u *unwinder) function(f runtimeFunction, offset uint64) bool {
	const maxChain, chainInfo = 32, 4
	for range maxChain {
		var head [4]byte
		if u.im.readLinked(f.info, head[:]) < len(head) || head[0]&7 != 1 && head[0]&7 != 2 {
			return false
		}
		codes := make([]byte, 2*int(head[2]))
		if u.im.readLinked(f.info+4, codes) < len(codes) {
			return false
		}
		if offset >= uint64(head[1]) {
			offset = 0xff // the prolog is complete
		}
		if !u.codes(codes, offset, windowsRegisters[head[3]&15], uint64(head[3]>>4)*16, head[3]&15 != 0) {
			return false
		}
		if u.trap || head[0]>>3&chainInfo == 0 {
			return true
		}
		var ok bool
		if f, ok = u.im.runtimeFunctionAt(f.info + 4 + 2*uint64((int(head[2])+1)&^1)); !ok {
			return false
		}
		offset = 0xff
	}
	return false
}

// codes undoes the unwind codes of instructions before offset. If hasFP is set, fp is the slot of the frame register and by
// is its distance from the frame.
func (u *unwinder) codes(b []byte, offset uint64, fp int, by uint64, hasFP bool) bool {
	u.frame = u.sp
	le := binary.LittleEndian
	for first := true; len(b) >= 2; first = false {
		done, op, info := uint64(b[0]) <= offset, b[1]&0xf, b[1]>>4
		if hasFP && first && u.usesFrame(b, offset) && u.regs.usable(fp) {
			u.frame = u.regs.value[fp] - by
		}
		n := slots(op, info)
		if n == 0 || len(b) < 2*n {
			return false
		}
		at := slices.Concat(b[2:2*n], make([]byte, 4))
		b = b[2*n:]
		if !done {
			continue
		}
		ok := true
		switch op {
		case uwopPushNonvol:
			ok = u.load(int(info), u.sp)
			u.sp += 8
		case uwopAllocSmall:
			u.sp += uint64(info)*8 + 8
		case uwopAllocLarge:
			if info == 0 {
				u.sp += uint64(le.Uint16(at)) * 8
			} else {
				u.sp += uint64(le.Uint32(at))
			}
		case uwopSetFPReg:
			u.sp = u.frame
		case uwopSaveNonvol:
			ok = u.load(int(info), u.frame+uint64(le.Uint16(at))*8)
		case uwopSaveNonvolFar:
			ok = u.load(int(info), u.frame+uint64(le.Uint32(at)))
		case uwopPushMachframe:
			return u.machframe(info)
		}
		if !ok {
			return false
		}
	}
	return true
}

// usesFrame reports whether the frame register has been set at offset.
func (u *unwinder) usesFrame(b []byte, offset uint64) bool {
	for len(b) >= 2 {
		if b[1]&0xf == uwopSetFPReg {
			return uint64(b[0]) <= offset
		}
		n := slots(b[1]&0xf, b[1]>>4)
		if n == 0 || len(b) < 2*n {
			return false
		}
		b = b[2*n:]
	}
	return false
}

// slots returns the number of two-byte slots of an unwind code, or 0 for an unknown one.
func slots(op, info byte) int {
	switch op {
	case uwopPushNonvol, uwopAllocSmall, uwopSetFPReg, uwopEpilog, uwopPushMachframe:
		return 1
	case uwopAllocLarge:
		return 2 + int(info&1)
	case uwopSaveNonvol, uwopSaveXMM128, uwopSpare:
		return 2
	case uwopSaveNonvolFar, uwopSaveXMM128Far:
		return 3
	}
	return 0
}

// machframe undoes a frame pushed by the hardware: an error code if info is 1, then RIP, CS, EFLAGS, RSP and SS.
func (u *unwinder) machframe(info byte) bool {
	at := u.sp + uint64(info&1)*8
	pc, ok1 := u.im.p.word(at)
	sp, ok2 := u.im.p.word(at + 24)
	u.regs.put(slotPC, pc)
	u.regs.put(u.regs.facts.sp, sp)
	u.loaded |= 1<<slotPC | 1<<u.regs.facts.sp
	u.trap = true
	return ok1 && ok2
}

// epilog reports whether the code at pc is the rest of an epilog, and if so, executes it up to the return: an addition to rsp or
// lea of rsp, pops, ret.
func (u *unwinder) epilog(pc uint64) bool {
	var b [64]byte
	code := b[:u.im.read(pc, b[:])]
	try := *u
	le := binary.LittleEndian
	switch {
	case len(code) >= 4 && code[0] == 0x48 && code[1] == 0x83 && code[2] == 0xc4: // add rsp, imm8
		try.sp += uint64(int64(int8(code[3])))
		code = code[4:]
	case len(code) >= 7 && code[0] == 0x48 && code[1] == 0x81 && code[2] == 0xc4: // add rsp, imm32
		try.sp += uint64(int64(int32(le.Uint32(code[3:]))))
		code = code[7:]
	case len(code) >= 4 && code[0] == 0x48 && code[1] == 0x8d && code[2] == 0x65: // lea rsp, [rbp+disp8]
		try.sp = u.regs.value[windowsRegisters[5]] + uint64(int64(int8(code[3])))
		code = code[4:]
	}
	for len(code) > 1 {
		number, n := 0, 1
		if code[0] == 0x41 {
			number, n = 8, 2
		}
		switch op := code[n-1]; {
		case op >= 0x58 && op <= 0x5f: // pop
			if !try.load(number+int(op-0x58), try.sp) {
				return false
			}
			try.sp += 8
			code = code[n:]
		case n == 1 && (op == 0xc3 || op == 0xf3 && code[1] == 0xc3): // ret
			*u = try
			return true
		default:
			return false
		}
	}
	return false
}
