package context

import "encoding/binary"

// The X86 record: CONTEXT of WinNT.h for x86, Breakpad's MDRawContextX86, Crashpad's MinidumpContextX86. 716 bytes:
//
//	  0 u32 context_flags
//	  4 u32 dr0 dr1 dr2 dr3 dr6 dr7               CONTEXT_DEBUG_REGISTERS
//	 28 u32 control_word status_word tag_word error_offset error_selector data_offset data_selector
//	 56 [80]byte st0-st7, 10 bytes each
//	136 u32 cr0_npx_state (0)                     CONTEXT_FLOATING_POINT ends
//	140 u32 gs fs es ds                           CONTEXT_SEGMENTS
//	156 u32 edi esi ebx edx ecx eax               CONTEXT_INTEGER
//	180 u32 ebp eip cs eflags esp ss              CONTEXT_CONTROL
//	204 [512]byte FXSAVE image                    CONTEXT_EXTENDED_REGISTERS
const (
	sizeX86   = 716
	x86Float  = 28
	x86Fxsave = 204

	flagX86         = 0x00010000
	flagX86Control  = 0x01
	flagX86Integer  = 0x02
	flagX86Segments = 0x04
	flagX86Float    = 0x08
	flagX86Debug    = 0x10
	flagX86Extended = 0x20
)

// fxsaveSize is the size of the memory image of the FXSAVE instruction (Intel SDM volume 1, 10.5.1).
const fxsaveSize = 512

// fsaveSize is the size of the kernel's struct user_i387_struct of 32-bit x86: 7 words and 80 bytes of registers.
const fsaveSize = 108

// The kernel's struct user_regs_struct of 32-bit x86 (arch/x86/include/asm/user_32.h): 17 words, ebx ecx edx esi edi ebp
// eax ds es fs gs orig_eax eip cs eflags esp ss.
var infoX86 = archInfo{
	name:         "x86",
	processor:    0,
	wordSize:     4,
	size:         sizeX86,
	gpSize:       68,
	fpRegset:     NT_PRXFPREG,
	fpSize:       fxsaveSize,
	cpuFlag:      flagX86,
	gpFlags:      flagX86Control | flagX86Integer | flagX86Segments,
	controlFlags: flagX86Control,
	flagsSize:    4,
	regs: []reg{
		{"eax", 24, 4, 176, 4, true},
		{"ecx", 4, 4, 172, 4, true},
		{"edx", 8, 4, 168, 4, true},
		{"ebx", 0, 4, 164, 4, true},
		{"esp", 60, 4, 196, 4, true},
		{"ebp", 20, 4, 180, 4, true},
		{"esi", 12, 4, 160, 4, true},
		{"edi", 16, 4, 156, 4, true},
		{"eip", 48, 4, 184, 4, true},
		{"eflags", 56, 4, 192, 4, false},
		// The kernel leaves arbitrary values in the upper halves of selectors.
		{"cs", 52, 2, 188, 4, false},
		{"ss", 64, 2, 200, 4, false},
		{"ds", 28, 2, 152, 4, false},
		{"es", 32, 2, 148, 4, false},
		{"fs", 36, 2, 144, 4, false},
		{"gs", 40, 2, 140, 4, false},
	},
	pc: 8, sp: 4, fp: 5, lr: none, g: none,
}

// encodeX86 fills in the registers that NT_PRSTATUS lacks, and returns the flags for them.
func encodeX86(rec, fp []byte, debug *[8]uint64, big bool) uint32 {
	var flags uint32
	if debug != nil {
		for i, n := range [6]int{0, 1, 2, 3, 6, 7} {
			put32(big, rec[4+4*i:], uint32(debug[n]))
		}
		flags |= flagX86Debug
	}
	switch {
	case len(fp) >= fxsaveSize:
		copy(rec[x86Fxsave:], fp[:fxsaveSize])
		fsaveOfFxsave(rec[x86Float:x86Float+fsaveSize], fp[:fxsaveSize])
		flags |= flagX86Float | flagX86Extended
	case len(fp) >= fsaveSize:
		copy(rec[x86Float:], fp[:fsaveSize])
		flags |= flagX86Float
	}
	return flags
}

// fsaveOfFxsave converts an FXSAVE image to a 108-byte FSAVE image (Intel SDM volume 1, 8.1.10 and 10.5.1).
func fsaveOfFxsave(fsave, fxsave []byte) {
	le := binary.LittleEndian
	le.PutUint32(fsave[0:], uint32(le.Uint16(fxsave[0:])))
	status := le.Uint16(fxsave[2:])
	le.PutUint32(fsave[4:], uint32(status))
	le.PutUint32(fsave[8:], uint32(x87Tags(status, fxsave)))
	le.PutUint32(fsave[12:], le.Uint32(fxsave[8:]))
	// The selector is in the same word as the opcode.
	le.PutUint32(fsave[16:], uint32(le.Uint16(fxsave[12:]))|uint32(le.Uint16(fxsave[6:]))<<16)
	le.PutUint32(fsave[20:], le.Uint32(fxsave[16:]))
	le.PutUint32(fsave[24:], uint32(le.Uint16(fxsave[20:])))
	for i := range 8 {
		copy(fsave[28+10*i:28+10*i+10], fxsave[32+16*i:])
	}
}

// x87Tags returns the full tag word, two bits for each physical register: 0 valid, 1 zero, 2 special (infinity, NaN, denormal), 3
// empty. FXSAVE has one bit for each, set if the register is in use, and stores the registers in stack order.
func x87Tags(status uint16, fxsave []byte) uint16 {
	top := int(status>>11) & 7
	var tags uint16
	for phys := range 8 {
		tag := uint16(3)
		if fxsave[4]>>phys&1 != 0 {
			st := fxsave[32+16*((phys-top)&7):]
			fraction := binary.LittleEndian.Uint64(st)
			exponent := binary.LittleEndian.Uint16(st[8:]) & 0x7fff
			switch {
			case exponent == 0 && fraction == 0:
				tag = 1
			case exponent == 0 || exponent == 0x7fff || fraction>>63 == 0:
				tag = 2
			default:
				tag = 0
			}
		}
		tags |= tag << (2 * phys)
	}
	return tags
}

// The kernel's struct ucontext of 32-bit x86: flags, link, stack (3 words), then struct sigcontext_32 at 20: gs fs es ds
// (16 bits in 4 bytes each) di si bp sp bx dx cx ax trapno err ip cs flags sp_at_signal ss fpstate oldmask cr2.
const ucX86Size = 20 + 22*4

// readX86 also reads fpstate: struct _fpstate_32, that is the FSAVE image, u16 status, u16 magic, and if magic is 0 the FXSAVE
// image at 112.
func (f *frame) readX86() {
	sc := f.uc[20:]
	for _, m := range [...]struct{ sc, gp int }{
		{0, 40}, {1, 36}, {2, 32}, {3, 28}, {4, 16}, {5, 12}, {6, 20}, {7, 60}, {8, 0}, {9, 8}, {10, 4}, {11, 24},
		{14, 48}, {15, 52}, {16, 56}, {18, 64},
	} {
		copy(f.gp[m.gp:m.gp+4], sc[4*m.sc:])
	}
	f.trapNo = uint64(get32(f.big, sc[12*4:]))
	f.errorCode = uint64(get32(f.big, sc[13*4:]))
	f.trapAddress = uint64(get32(f.big, sc[21*4:]))
	f.access = accessOfX86(f.trapNo, f.errorCode)
	switch n := len(f.fpstate); {
	case n >= 112+fxsaveSize && get16(f.big, f.fpstate[110:]) == 0:
		f.fp = f.fpstate[112 : 112+fxsaveSize]
	case n == fxsaveSize:
		f.fp = f.fpstate
	case n >= fsaveSize:
		f.fp = f.fpstate[:fsaveSize]
	}
}

// accessOfX86 derives the kind of access from the error code of a page fault (vector 14): bit 1 is a write, bit 4 an instruction
// fetch (Intel SDM volume 3, 4.7).
func accessOfX86(trap, code uint64) Access {
	switch {
	case trap != 14:
		return AccessUnknown
	case code&0x10 != 0:
		return AccessExecute
	case code&2 != 0:
		return AccessWrite
	}
	return AccessRead
}
