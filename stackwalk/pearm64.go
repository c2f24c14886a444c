package stackwalk

import "encoding/binary"

// armOp is one unwind code of Windows on arm64: it undoes one instruction of a prolog ("ARM64 exception handling" of Microsoft).
type armOp struct {
	kind  armOpKind
	first int // slot of the first register, none for registers that are not tracked
	count int // number of consecutive registers
	other int // slot of the second register of a pair, if it is not consecutive
	off   uint64
}

type armOpKind uint8

const (
	armOpNothing armOpKind = iota
	armOpAlloc             // SP was moved down by off
	armOpSave              // registers were stored at SP+off
	armOpPush              // SP was moved down by off, and registers stored there
	armOpSetFP             // x29 = SP+off
	armOpNext              // the two registers after those of the next code, 16 bytes above them
	armOpEnd
	armOpEndC    // the codes from here on are those of the function to which this part belongs
	armOpMachine // a frame pushed by the kernel: SP and PC
	armOpContext // a CONTEXT record at SP
	armOpUnknown
)

// decodeArmOp decodes the code at the start of b, and returns its length in bytes.
func decodeArmOp(b []byte) (op armOp, n int) {
	c := uint64(b[0])
	if c < 0xc0 {
		return shortArmOp(c), 1
	}
	n = 1
	switch {
	case c < 0xe0, c == 0xe2:
		n = 2
	case c == 0xe7:
		n = 3
	case c == 0xe0:
		n = 4
	}
	if n > len(b) {
		return armOp{kind: armOpUnknown}, len(b)
	}
	if c < 0xe0 {
		return longArmOp(c<<8 | uint64(b[1])), n
	}
	switch c {
	case 0xe0:
		op = armOp{kind: armOpAlloc, off: 16 * uint64(binary.BigEndian.Uint32(b)&0xffffff)}
	case 0xe1:
		op = armOp{kind: armOpSetFP}
	case 0xe2:
		op = armOp{kind: armOpSetFP, off: 8 * uint64(b[1])}
	case 0xe3, 0xec, 0xfc: // nop; clear_unwound_to_call; the return address is signed
		op = armOp{kind: armOpNothing}
	case 0xe4:
		op = armOp{kind: armOpEnd}
	case 0xe5:
		op = armOp{kind: armOpEndC}
	case 0xe6:
		op = armOp{kind: armOpNext}
	case 0xe7:
		op = anyArmOp(b[1], b[2])
	case 0xe9:
		op = armOp{kind: armOpMachine}
	case 0xea:
		op = armOp{kind: armOpContext}
	default:
		op = armOp{kind: armOpUnknown}
	}
	return op, n
}

// shortArmOp decodes a code of one byte below 0xc0.
func shortArmOp(c uint64) armOp {
	switch c >> 5 {
	case 0b000: // alloc_s
		return armOp{kind: armOpAlloc, off: c & 0x1f * 16}
	case 0b001: // save_r19r20_x
		return armOp{kind: armOpPush, first: slotX19, count: 2, off: c & 0x1f * 8}
	case 0b010, 0b011: // save_fplr
		return armOp{kind: armOpSave, first: slotX29, count: 2, off: c & 0x3f * 8}
	}
	return armOp{kind: armOpPush, first: slotX29, count: 2, off: c&0x3f*8 + 8} // save_fplr_x
}

// longArmOp decodes a code of two bytes.
func longArmOp(c uint64) armOp {
	save, push := c&0x3f*8, c&0x1f*8+8
	reg := slotX19 + int(c>>6&0xf)
	switch {
	case c>>11 == 0b11000: // alloc_m
		return armOp{kind: armOpAlloc, off: c & 0x7ff * 16}
	case c>>10 == 0b110010: // save_regp
		return armOp{kind: armOpSave, first: reg, count: 2, off: save}
	case c>>10 == 0b110011: // save_regp_x
		return armOp{kind: armOpPush, first: reg, count: 2, off: save + 8}
	case c>>10 == 0b110100: // save_reg
		return armOp{kind: armOpSave, first: reg, count: 1, off: save}
	case c>>9 == 0b1101010: // save_reg_x
		return armOp{kind: armOpPush, first: slotX19 + int(c>>5&0xf), count: 1, off: push}
	case c>>9 == 0b1101011: // save_lrpair
		return armOp{kind: armOpSave, first: slotX19 + 2*int(c>>6&7), count: 1, other: slotX30, off: save}
	case c>>9 == 0b1101100, c>>9 == 0b1101110: // save_fregp, save_freg
		return armOp{kind: armOpSave, first: none, off: save}
	case c>>9 == 0b1101101: // save_fregp_x
		return armOp{kind: armOpPush, first: none, off: save + 8}
	case c>>8 == 0b11011110: // save_freg_x
		return armOp{kind: armOpPush, first: none, off: push}
	}
	return armOp{kind: armOpUnknown} // alloc_z: the size of a vector is not known
}

// anyArmOp decodes the bytes after the first byte of save_any_reg.
func anyArmOp(b, c byte) armOp {
	pair, push := b>>6&1 == 1, b>>5&1 == 1
	if b>>7 == 1 || c>>6 == 3 {
		return armOp{kind: armOpUnknown}
	}
	op := armOp{kind: armOpSave, first: none, off: 8 * uint64(c&0x3f)}
	if pair || push {
		op.off *= 2
	}
	if push {
		op.kind, op.off = armOpPush, op.off+16
	}
	if c>>6 == 0 { // the others are floating-point registers
		op.first, op.count = int(b&0x1f), 1
		if pair {
			op.count = 2
		}
	}
	return op
}

// armUnwind is a list of codes up to its end.
type armUnwind struct {
	ops     []armOp
	of      int  // how many of ops, from the first on, belong to this part of the function
	returns bool // as an epilog the codes are followed by a return or a jump
}

// size returns how many bytes of code the codes stand for as an epilog.
func (c *armUnwind) size() uint64 {
	if c.returns {
		return 4 * uint64(c.of+1)
	}
	return 4 * uint64(c.of)
}

// after returns the codes without those of the first instructions of an epilog, up to offset.
func (c *armUnwind) after(offset uint64) []armOp { return c.ops[min(offset/4, uint64(c.of)):] }

// armSequence decodes the codes from an index on. ok is false if they do not end.
func armSequence(codes []byte, at int) (c armUnwind, ok bool) {
	ended := false
	for at < len(codes) {
		op, n := decodeArmOp(codes[at:])
		if end := op.kind == armOpEnd || op.kind == armOpEndC; end && !ended {
			ended, c.of, c.returns = true, len(c.ops), op.kind == armOpEnd
		}
		switch op.kind {
		case armOpEnd:
			return c, true
		case armOpEndC:
		default:
			c.ops = append(c.ops, op)
		}
		at += n
	}
	return c, false
}

// packedProlog builds the codes of the prolog described by packed unwind data, in the order of its instructions.
type packedProlog struct {
	list   []armOp
	saved  uint64 // bytes of the area for saved registers
	placed bool   // an instruction has moved SP below that area, which the first one that stores something does
}

func (l *packedProlog) add(ops ...armOp) { l.list = append(l.list, ops...) }

func (l *packedProlog) store(op armOp) {
	if !l.placed {
		op.kind, op.off, l.placed = armOpPush, l.saved, true
	}
	l.add(op)
}

// storeInts adds the instructions that store registers from x19 on and, with lr set, the link register after them.
func (l *packedProlog) storeInts(count int, lr bool) {
	for i := 0; i < count; i += 2 {
		op := armOp{kind: armOpSave, first: slotX19 + i, count: min(2, count-i), off: 8 * uint64(i)}
		if op.count == 1 && lr {
			op.other = slotX30
			if !l.placed { // there is no code for an instruction that moves SP and stores such a pair
				l.placed = true
				l.add(armOp{kind: armOpAlloc, off: l.saved})
			}
		}
		l.store(op)
	}
	if lr && count%2 == 0 {
		l.store(armOp{kind: armOpSave, first: slotX30, count: 1, off: 8 * uint64(count)})
	}
}

// allocate adds the instructions that allocate local variables and, with chain set, space for x29 and the link register below them.
func (l *packedProlog) allocate(local uint64, chain bool) {
	const most = 4080 // maximum of one subtraction here
	switch {
	case chain && local <= 512:
		l.add(armOp{kind: armOpPush, first: slotX29, count: 2, off: local})
		return
	case local > most:
		l.add(armOp{kind: armOpAlloc, off: most}, armOp{kind: armOpAlloc, off: local - most})
	case local > 0:
		l.add(armOp{kind: armOpAlloc, off: local})
	}
	if chain {
		l.add(armOp{kind: armOpSave, first: slotX29, count: 2})
	}
}

// packedARM64 returns the codes of a function with packed unwind data: those of its prolog and of its epilog, the last instruction of
// the prolog first. An epilog does not load the registers of parameters, and does not need x29.
func packedARM64(w uint64) (prolog, epilog []armOp) {
	const returnOnly, signed = 1, 2 // values of CR; 3 is also a frame chain
	regF, regI, homes, cr, frame := w>>13&7, int(w>>16&0xf), w>>20&1 == 1, w>>21&3, w>>23&0x1ff*16
	area := 8 * uint64(regI)
	if cr == returnOnly {
		area += 8
	}
	if regF > 0 {
		area += 8 * (regF + 1)
	}
	if homes {
		area += 64
	}
	l := packedProlog{saved: (area + 15) &^ 15}
	if cr == signed {
		l.add(armOp{})
	}
	l.storeInts(regI, cr == returnOnly)
	if regF > 0 {
		for i := uint64(0); i <= regF; i += 2 {
			l.store(armOp{kind: armOpSave, first: none})
		}
	}
	homing := len(l.list)
	if homes {
		for range 4 {
			l.store(armOp{kind: armOpSave, first: none})
		}
	}
	homed := len(l.list)
	l.allocate(frame-min(frame, l.saved), cr >= signed)
	last := len(l.list)
	if cr >= signed {
		l.add(armOp{kind: armOpSetFP})
	}
	for i := len(l.list) - 1; i >= 0; i-- {
		op := l.list[i]
		prolog = append(prolog, op)
		if i < last && (i < homing || i >= homed || op.kind == armOpPush) {
			epilog = append(epilog, op)
		}
	}
	return prolog, epilog
}

// armFunction is the unwind information of one function of arm64.
type armFunction struct {
	begin, length uint64
	packed        uint64 // 0: there is a record of .xdata
	info          uint64 // RVA of the record
}

// armFunction finds the entry of .pdata for rva. none is true if the table exists but has no entry: the function has no frame.
func (im *image) armFunction(rva uint64) (f armFunction, ok, none bool) {
	const size = 8
	low, high := uint64(0), im.pdata.size/size
	var b [size]byte
	le := binary.LittleEndian
	for low < high {
		mid := low + (high-low)/2
		if im.readLinked(im.pdata.vaddr+size*mid, b[:]) < size {
			return f, false, false
		}
		if uint64(le.Uint32(b[:])) <= rva {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 || im.readLinked(im.pdata.vaddr+size*(low-1), b[:]) < size {
		return f, false, im.pdata.size > 0 && low == 0
	}
	w := uint64(le.Uint32(b[4:]))
	f = armFunction{begin: uint64(le.Uint32(b[:])), packed: w}
	if w&3 == 0 {
		var head [4]byte
		if f.packed, f.info = 0, w; im.readLinked(f.info, head[:]) < len(head) {
			return f, false, false
		}
		f.length = uint64(le.Uint32(head[:])&0x3ffff) * 4
	} else {
		f.length = w >> 2 & 0x7ff * 4
	}
	return f, rva-f.begin < f.length, rva-f.begin >= f.length
}

// armOps returns the codes that undo what the function has done up to offset. If exact is set, offset is where the thread is; otherwise
// it is in a call, which is never in a prolog or an epilog.
func (im *image) armOps(f *armFunction, offset uint64, exact bool) (ops []armOp, ok bool) {
	if f.packed == 0 {
		return im.xdataOps(f, offset, exact)
	}
	if f.packed&3 == 3 {
		return nil, false
	}
	prolog, epilog := packedARM64(f.packed)
	if f.packed&3 == 2 || !exact { // a part without prolog and epilog
		return prolog, true
	}
	if end := f.length - min(f.length, 4*uint64(len(epilog)+1)); offset >= end {
		return epilog[min((offset-end)/4, uint64(len(epilog))):], true
	}
	return unfinished(prolog, len(prolog), offset), true
}

// unfinished removes the codes of the prolog instructions after offset. of is the number of codes in the prolog.
func unfinished(ops []armOp, of int, offset uint64) []armOp {
	if done := offset / 4; done < uint64(of) {
		return ops[uint64(of)-done:]
	}
	return ops
}

// xdataOps is armOps for a record of .xdata.
func (im *image) xdataOps(f *armFunction, offset uint64, exact bool) (ops []armOp, ok bool) {
	le := binary.LittleEndian
	var h [8]byte
	if n := im.readLinked(f.info, h[:]); n < 4 {
		return nil, false
	}
	head := le.Uint32(h[:])
	at, scopes, words := f.info+4, uint64(head>>22&0x1f), uint64(head>>27)
	if scopes == 0 && words == 0 {
		at, scopes, words = at+4, uint64(le.Uint32(h[4:])&0xffff), uint64(le.Uint32(h[4:])>>16&0xff)
	}
	if version := head >> 18 & 3; version != 0 {
		return nil, false
	}
	single := head>>21&1 == 1
	index := scopes // index of the codes of the only epilog, which ends the function
	if single {
		scopes = 0
	}
	codes := make([]byte, 4*words)
	codes = codes[:im.readLinked(at+4*scopes, codes)]
	prolog, ok := armSequence(codes, 0)
	if !ok || !exact {
		return prolog.ops, ok
	}
	if offset < 4*uint64(prolog.of) {
		return unfinished(prolog.ops, prolog.of, offset), true
	}
	if single {
		c, ok := armSequence(codes, int(index))
		if start := f.length - min(f.length, c.size()); ok && offset >= start {
			return c.after(offset - start), true
		}
		return prolog.ops, true
	}
	scope := make([]byte, 4*scopes)
	for scope = scope[:im.readLinked(at, scope)]; len(scope) >= 4; scope = scope[4:] {
		w := le.Uint32(scope)
		start := uint64(w&0x3ffff) * 4
		if offset < start {
			continue
		}
		if c, ok := armSequence(codes, int(w>>22)); ok && offset-start < c.size() {
			return c.after(offset - start), true
		}
	}
	return prolog.ops, true
}

// byPEARM64 is byPE for arm64.
func (p *Process) byPEARM64(s, next *state, im *image) outcome {
	exact := s.exact || s.interrupted
	rva := s.lookup() - im.m.Base
	f, ok, leaf := im.armFunction(rva)
	r := armRegisters{p: p, regs: s.regs, sp: s.regs.sp()}
	switch {
	case leaf && s.exact:
		next.unsure = true // it may also be generated code without a table
	case !ok:
		return failed
	default:
		ops, ok := im.armOps(&f, rva-f.begin, exact)
		if !ok || !r.undo(ops) {
			return failed
		}
	}
	next.regs.take(&r.regs, r.loaded)
	if r.trap {
		next.exact = true
		next.signal = true // PC is where an interrupt or an exception occurred
		next.regs.put(slotPC, r.regs.value[slotPC])
		next.regs.put(slotARMSP, r.sp)
		return found
	}
	return p.returnARM64(next, &r.regs, r.sp)
}

// undo executes unwind codes.
func (r *armRegisters) undo(ops []armOp) bool {
	above := 0 // pairs of armOpNext that wait for the code whose registers they follow
	for i := range ops {
		op := &ops[i]
		ok := true
		switch op.kind {
		case armOpAlloc:
			r.sp += op.off
		case armOpSave:
			ok = r.restore(op, r.sp+op.off, above)
		case armOpPush:
			ok = r.restore(op, r.sp, above)
			r.sp += op.off
		case armOpSetFP:
			ok = r.regs.usable(slotX29)
			r.sp = r.regs.value[slotX29] - op.off
		case armOpNext:
			above++
			continue
		case armOpMachine:
			return r.machine()
		case armOpContext:
			return r.context()
		case armOpUnknown:
			return false
		}
		if !ok {
			return false
		}
		if op.kind == armOpSave || op.kind == armOpPush {
			above = 0
		}
	}
	return true
}

// restore loads the registers that a code has saved at an address, and the given number of pairs after them.
func (r *armRegisters) restore(op *armOp, at uint64, above int) bool {
	if op.first == none {
		return true
	}
	for i := range op.count + 2*above {
		const last = 28 // the registers after it are floating-point registers
		slot := op.first + i
		if i >= op.count && slot > last {
			break
		}
		if !r.load(slot, at+8*uint64(i)) {
			return false
		}
	}
	return op.other == 0 || r.load(op.other, at+8)
}

// machine undoes a frame pushed by the kernel: SP, then PC.
func (r *armRegisters) machine() bool {
	sp, ok1 := r.p.word(r.sp)
	pc, ok2 := r.p.word(r.sp + 8)
	r.sp, r.trap = sp, true
	r.regs.put(slotPC, pc)
	return ok1 && ok2
}

// context loads the registers of a CONTEXT record (winnt.h): after two 32-bit words come x0 to x30, SP and PC.
func (r *armRegisters) context() bool {
	at := r.sp + 8
	for slot := range slotX30 + 1 {
		if !r.load(slot, at+8*uint64(slot)) {
			return false
		}
	}
	r.sp = at + 8*(slotX30+1)
	return r.machine()
}
