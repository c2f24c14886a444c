package stackwalk

import (
	mathbits "math/bits"

	"minidump/context"
)

// byExidx finds the caller by the exception tables of 32-bit ARM.
func (p *Process) byExidx(s, next *state) outcome {
	if p.Arch != context.ARM {
		return failed
	}
	pc := s.lookup()
	m := p.moduleAt(pc)
	if m < 0 || s.guess {
		return failed
	}
	im := p.image(m)
	b, ok := im.exidxOf((pc - im.bias) & p.facts.mask)
	if !ok {
		return failed
	}
	if b == nil { // EXIDX_CANTUNWIND
		return outermost
	}
	v := virtual{p: p, code: b, regs: s.regs}
	v.sp = s.regs.sp()
	if !v.run() {
		return failed
	}
	lr, pcSlot := p.facts.lr, 15
	next.regs.known |= v.popped
	next.regs.set |= v.popped
	for i := range 16 {
		if v.popped>>i&1 == 1 {
			next.regs.put(i, v.regs.value[i])
		}
	}
	var addr uint64
	switch {
	case v.popped>>pcSlot&1 == 1:
		addr = v.regs.value[pcSlot]
	case v.popped>>lr&1 == 1 || s.regs.has(lr):
		addr = v.regs.value[lr]
	default:
		return failed
	}
	next.regs.forget(lr)
	next.regs.forget(pcSlot)
	p.setPC(next, addr)
	next.regs.put(p.facts.sp, v.sp)
	return found
}

// prel31 adds the 31-bit offset in word to the address of the word.
func prel31(at uint64, word uint32) uint64 {
	return uint64(uint32(at) + uint32(int32(word<<1)>>1))
}

// word32 reads a word of a table at a link-time address.
func (im *image) word32(vaddr uint64) (uint32, bool) {
	var b [4]byte
	if im.readLinked(vaddr, b[:]) < 4 {
		return 0, false
	}
	return im.order().Uint32(b[:]), true
}

// exidxOf returns the unwinding instructions for the link-time address pc; it returns nil with ok set if the table
// declares that pc can't be unwound (IHI 0038, 5 and 6.3).
func (im *image) exidxOf(pc uint64) (code []byte, ok bool) {
	low, high := uint64(0), im.exidx.size/8
	for low < high {
		mid := low + (high-low)/2
		at := im.exidx.vaddr + 8*mid
		w, ok := im.word32(at)
		if !ok {
			return nil, false
		}
		if prel31(at, w) <= pc {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 {
		return nil, false
	}
	at := im.exidx.vaddr + 8*(low-1) + 4
	w, ok := im.word32(at)
	if !ok {
		return nil, false
	}
	const cantUnwind = 1
	if w == cantUnwind {
		return nil, true
	}
	if w>>31 == 1 { // the instructions of personality routine 0 follow
		if w>>24 != 0x80 {
			return nil, false
		}
		return []byte{byte(w >> 16), byte(w >> 8), byte(w)}, true
	}
	return im.extab(prel31(at, w))
}

// extab reads the instructions of an entry of .ARM.extab.
func (im *image) extab(at uint64) ([]byte, bool) {
	w, ok := im.word32(at)
	if !ok {
		return nil, false
	}
	var code []byte
	words := 0
	switch {
	case w>>24 == 0x80:
		code = []byte{byte(w >> 16), byte(w >> 8), byte(w)}
	case w>>24 == 0x81 || w>>24 == 0x82:
		words = int(w >> 16 & 0xff)
		code = []byte{byte(w >> 8), byte(w)}
	case w>>31 == 0: // a C++ personality routine; what follows has the form of routine 1 without its number
		at += 4
		if w, ok = im.word32(at); !ok {
			return nil, false
		}
		words = int(w >> 24)
		code = []byte{byte(w >> 16), byte(w >> 8), byte(w)}
	default:
		return nil, false
	}
	for range words {
		at += 4
		w, ok := im.word32(at)
		if !ok {
			return nil, false
		}
		code = append(code, byte(w>>24), byte(w>>16), byte(w>>8), byte(w))
	}
	return code, true
}

// virtual runs unwinding instructions on a copy of the registers (IHI 0038, 9.3).
type virtual struct {
	p      *Process
	code   []byte
	at     int
	regs   Registers
	sp     uint64
	popped uint64 // bit i: register i was loaded
}

func (v *virtual) next() (byte, bool) {
	if v.at >= len(v.code) {
		return 0, false
	}
	v.at++
	return v.code[v.at-1], true
}

// pop loads the registers in mask from the stack, the lowest-numbered first.
func (v *virtual) pop(mask uint64) bool {
	loadsSP := mask>>13&1 == 1
	for ; mask != 0; mask &= mask - 1 {
		i := mathbits.TrailingZeros64(mask)
		w, ok := v.p.word(v.sp)
		if !ok {
			return false
		}
		v.sp = (v.sp + 4) & v.p.facts.mask
		v.regs.put(i, w)
		v.popped |= 1 << i
	}
	if loadsSP {
		v.sp = v.regs.value[13]
	}
	return true
}

func (v *virtual) skip(n uint64) bool {
	v.sp = (v.sp + n) & v.p.facts.mask
	return true
}

// run executes the instructions up to the end.
func (v *virtual) run() bool {
	const finish = 0xb0
	for {
		op, ok := v.next()
		if !ok || op == finish {
			return true
		}
		n := uint64(op)
		switch {
		case op>>6 == 0b00:
			ok = v.skip(n&0x3f<<2 + 4)
		case op>>6 == 0b01:
			ok = v.skip(-(n&0x3f<<2 + 4))
		case op>>4 == 0b1000:
			low, _ := v.next()
			mask := (n&0xf<<8 | uint64(low)) << 4
			ok = mask != 0 && v.pop(mask) // 0: refuse to unwind
		case op>>4 == 0b1001:
			from := int(n & 0xf)
			ok = from != 13 && from != 15 && v.regs.usable(from)
			v.sp = v.regs.value[from]
		case op>>3 == 0b10100:
			ok = v.pop(bits(4, 4+int(n&7)))
		case op>>3 == 0b10101:
			ok = v.pop(bits(4, 4+int(n&7)) | 1<<14)
		default:
			ok = v.rare(op)
		}
		if !ok {
			return false
		}
	}
}

// rare executes the instructions from 0xb1 on; most pop floating-point registers.
func (v *virtual) rare(op byte) bool {
	n := uint64(op & 7)
	switch {
	case op == 0xb1:
		low, _ := v.next()
		return low != 0 && low>>4 == 0 && v.pop(uint64(low))
	case op == 0xb2:
		c := cursor{b: v.code, at: v.at}
		by := c.uleb()
		v.at = c.at
		return !c.bad && v.skip(0x204+by<<2)
	case op == 0xb3: // FSTMFDX
		low, _ := v.next()
		return v.skip(uint64(low&0xf)*8 + 8 + 4)
	case op == 0xb4: // the authentication code of the return address
		return v.skip(4)
	case op == 0xb5:
		return true
	case op>>3 == 0b10111: // FSTMFDX
		return v.skip(n*8 + 8 + 4)
	case op == 0xc6, op == 0xc8, op == 0xc9: // WMMX and VFP registers by number
		low, _ := v.next()
		return v.skip(uint64(low&0xf)*8 + 8)
	case op == 0xc7: // WMMX control registers
		low, _ := v.next()
		return low != 0 && low>>4 == 0 && v.skip(uint64(mathbits.OnesCount8(low))*4)
	case op>>3 == 0b11000, op>>3 == 0b11010: // wR10-wR[10+n], d8-d[8+n]
		return v.skip(n*8 + 8)
	}
	return false
}
