package stackwalk

// maxOperations limits the work of one expression. Those of compilers have a few dozen operations.
const (
	maxOperations = 4096
	maxStack      = 256
)

// Operations of DWARF expressions (DWARF 5, 7.7.1) that may occur in call frame information.
const (
	opAddr       = 0x03
	opDeref      = 0x06
	opConst1u    = 0x08
	opConst8s    = 0x0f
	opConstu     = 0x10
	opConsts     = 0x11
	opDup        = 0x12
	opDrop       = 0x13
	opOver       = 0x14
	opPick       = 0x15
	opSwap       = 0x16
	opRot        = 0x17
	opAbs        = 0x19
	opAnd        = 0x1a
	opDiv        = 0x1b
	opMinus      = 0x1c
	opMod        = 0x1d
	opMul        = 0x1e
	opNeg        = 0x1f
	opNot        = 0x20
	opOr         = 0x21
	opPlus       = 0x22
	opPlusUconst = 0x23
	opShl        = 0x24
	opShr        = 0x25
	opShra       = 0x26
	opXor        = 0x27
	opBra        = 0x28
	opEq         = 0x29
	opGe         = 0x2a
	opGt         = 0x2b
	opLe         = 0x2c
	opLt         = 0x2d
	opNe         = 0x2e
	opSkip       = 0x2f
	opLit0       = 0x30
	opLit31      = 0x4f
	opReg0       = 0x50
	opReg31      = 0x6f
	opBreg0      = 0x70
	opBreg31     = 0x8f
	opRegx       = 0x90
	opBregx      = 0x92
	opDerefSize  = 0x94
	opNop        = 0x96
)

// expression evaluates DWARF expressions.
type expression struct {
	cursor
	p     *Process
	regs  *Registers
	stack []uint64
	bad   bool
}

// evaluate returns the value of an expression. first is on the stack before it starts.
func (p *Process) evaluate(expr []byte, ptr int, regs *Registers, first ...uint64) (uint64, bool) {
	e := expression{cursor: cursor{b: expr, order: p.order(), ptr: ptr}, p: p, regs: regs, stack: first}
	for n := 0; e.more(); n++ {
		if n >= maxOperations || len(e.stack) > maxStack {
			return 0, false
		}
		op := e.u8()
		if !e.pushes(op) && !e.move(op) && !e.unary(op) && !e.binary(op) {
			return 0, false
		}
		if e.bad {
			return 0, false
		}
	}
	if e.cursor.bad || len(e.stack) == 0 {
		return 0, false
	}
	return e.stack[len(e.stack)-1] & p.facts.mask, true
}

func (e *expression) push(v uint64) { e.stack = append(e.stack, v) }

func (e *expression) pop() uint64 {
	if len(e.stack) == 0 {
		e.bad = true
		return 0
	}
	v := e.stack[len(e.stack)-1]
	e.stack = e.stack[:len(e.stack)-1]
	return v
}

// register returns the value of a DWARF register.
func (e *expression) register(number uint64) uint64 {
	s := e.p.facts.slot(number)
	if !e.regs.usable(s) {
		e.bad = true
		return 0
	}
	return e.regs.value[s]
}

// pushes executes an operation that only pushes.
func (e *expression) pushes(op byte) bool {
	switch {
	case op == opAddr:
		e.push(e.uint(e.ptr))
	case op >= opConst1u && op <= opConst8s:
		size := 1 << ((op - opConst1u) / 2)
		if (op-opConst1u)%2 == 0 {
			e.push(e.uint(size))
		} else {
			e.push(uint64(e.int(size)))
		}
	case op == opConstu:
		e.push(e.uleb())
	case op == opConsts:
		e.push(uint64(e.sleb()))
	case op >= opLit0 && op <= opLit31:
		e.push(uint64(op - opLit0))
	case op >= opReg0 && op <= opReg31:
		e.push(e.register(uint64(op - opReg0)))
	case op == opRegx:
		e.push(e.register(e.uleb()))
	case op >= opBreg0 && op <= opBreg31:
		e.push(e.register(uint64(op-opBreg0)) + uint64(e.sleb()))
	case op == opBregx:
		v := e.register(e.uleb())
		e.push(v + uint64(e.sleb()))
	default:
		return false
	}
	return true
}

// move executes an operation that moves values on the stack or jumps in the expression.
func (e *expression) move(op byte) bool {
	switch op {
	case opNop:
	case opDup:
		e.pick(0)
	case opDrop:
		e.pop()
	case opOver:
		e.pick(1)
	case opPick:
		e.pick(int(e.u8()))
	case opSwap:
		a, b := e.pop(), e.pop()
		e.push(a)
		e.push(b)
	case opRot:
		a, b, c := e.pop(), e.pop(), e.pop()
		e.push(a)
		e.push(c)
		e.push(b)
	case opSkip, opBra:
		by := int(e.int(2))
		if op == opBra && e.pop() == 0 {
			return true
		}
		if to := e.at + by; to < 0 || to > len(e.b) {
			e.bad = true
		} else {
			e.at = to
		}
	default:
		return false
	}
	return true
}

func (e *expression) pick(i int) {
	if i >= len(e.stack) {
		e.bad = true
		return
	}
	e.push(e.stack[len(e.stack)-1-i])
}

func (e *expression) unary(op byte) bool {
	switch op {
	case opDeref, opDerefSize:
		size := e.p.facts.word
		if op == opDerefSize {
			size = int(e.u8())
		}
		if size != 1 && size != 2 && size != 4 && size != 8 {
			e.bad = true
			return true
		}
		v, ok := e.p.uint(e.pop()&e.p.facts.mask, size)
		e.bad = e.bad || !ok
		e.push(v)
	case opAbs:
		if v := int64(e.pop()); v < 0 {
			e.push(uint64(-v))
		} else {
			e.push(uint64(v))
		}
	case opNeg:
		e.push(-e.pop())
	case opNot:
		e.push(^e.pop())
	case opPlusUconst:
		e.push(e.pop() + e.uleb())
	default:
		return false
	}
	return true
}

// binary executes an operation on the top two values of the stack.
func (e *expression) binary(op byte) bool {
	if op < opAnd || op > opNe {
		return false
	}
	b, a := e.pop(), e.pop()
	switch op {
	case opAnd:
		e.push(a & b)
	case opDiv, opMod:
		if b == 0 {
			e.bad = true
		} else if op == opDiv {
			e.push(uint64(int64(a) / int64(b)))
		} else {
			e.push(a % b)
		}
	case opMinus:
		e.push(a - b)
	case opMul:
		e.push(a * b)
	case opOr:
		e.push(a | b)
	case opPlus:
		e.push(a + b)
	case opShl:
		e.push(a << b)
	case opShr:
		e.push(a & e.p.facts.mask >> b)
	case opShra:
		e.push(uint64(e.signed(a) >> b))
	case opXor:
		e.push(a ^ b)
	default:
		return e.comparison(op, e.signed(a), e.signed(b))
	}
	return true
}

// signed returns v as a signed number of the width of an address.
func (e *expression) signed(v uint64) int64 {
	if e.p.facts.word == 4 {
		return int64(int32(v))
	}
	return int64(v)
}

func (e *expression) comparison(op byte, a, b int64) bool {
	var truth bool
	switch op {
	case opEq:
		truth = a == b
	case opGe:
		truth = a >= b
	case opGt:
		truth = a > b
	case opLe:
		truth = a <= b
	case opLt:
		truth = a < b
	case opNe:
		truth = a != b
	default:
		return false
	}
	if truth {
		e.push(1)
	} else {
		e.push(0)
	}
	return true
}
