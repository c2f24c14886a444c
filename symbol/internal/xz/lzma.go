package xz

import "encoding/binary"

// prob is the probability that a bit is 0, in 2048ths.
type prob = uint16

// Sizes of the tables of probabilities.
const (
	states    = 12
	posStates = 16
	half      = 1024 // a probability of one half
)

// lengthCoder decodes lengths of matches.
type lengthCoder struct {
	choice, choice2 prob
	low, mid        [posStates][8]prob
	high            [256]prob
}

// lzma is the state of the LZMA decoder.
type lzma struct {
	lc, lp, pb uint

	state          int
	rep            [4]uint32 // distances of the last matches, minus 1
	literal        []prob
	isMatch        [states][posStates]prob
	isRep          [states]prob
	isRepG0        [states]prob
	isRepG1        [states]prob
	isRepG2        [states]prob
	isRep0Long     [states][posStates]prob
	slot           [4][64]prob
	special        [128]prob
	align          [16]prob
	matches, again lengthCoder

	// The range decoder.
	in    []byte
	code  uint32
	bound uint32 // "range" of the specification
	bad   bool   // the input ended too early
}

// properties sets lc, lp and pb.
func (z *lzma) properties(b byte) bool {
	if b >= 9*5*5 {
		return false
	}
	z.lc, z.lp, z.pb = uint(b%9), uint(b/9%5), uint(b/45)
	return z.lc+z.lp <= 4
}

func fill(p []prob) {
	for i := range p {
		p[i] = half
	}
}

func (c *lengthCoder) reset() {
	c.choice, c.choice2 = half, half
	for i := range c.low {
		fill(c.low[i][:])
		fill(c.mid[i][:])
	}
	fill(c.high[:])
}

// reset sets all probabilities to one half.
func (z *lzma) reset() {
	z.state, z.rep = 0, [4]uint32{}
	if n := 0x300 << (z.lc + z.lp); len(z.literal) != n {
		z.literal = make([]prob, n)
	}
	fill(z.literal)
	for i := range z.isMatch {
		fill(z.isMatch[i][:])
		fill(z.isRep0Long[i][:])
	}
	for _, p := range [][]prob{z.isRep[:], z.isRepG0[:], z.isRepG1[:], z.isRepG2[:], z.special[:], z.align[:]} {
		fill(p)
	}
	for i := range z.slot {
		fill(z.slot[i][:])
	}
	z.matches.reset()
	z.again.reset()
}

func (z *lzma) normalize() {
	if z.bound < 1<<24 {
		if len(z.in) == 0 {
			z.bad = true
			return
		}
		z.bound <<= 8
		z.code = z.code<<8 | uint32(z.in[0])
		z.in = z.in[1:]
	}
}

// bit decodes a bit with a probability, and adapts the probability.
func (z *lzma) bit(p *prob) uint32 {
	z.normalize()
	bound := z.bound >> 11 * uint32(*p)
	if z.code < bound {
		*p += (2048 - *p) >> 5
		z.bound = bound
		return 0
	}
	*p -= *p >> 5
	z.code -= bound
	z.bound -= bound
	return 1
}

// direct decodes n bits that are 0 and 1 with equal probability.
func (z *lzma) direct(n int) (v uint32) {
	for range n {
		z.normalize()
		z.bound >>= 1
		b := uint32(0)
		if z.code >= z.bound {
			z.code -= z.bound
			b = 1
		}
		v = v<<1 | b
	}
	return v
}

// tree decodes n bits, the highest first. The probability of each depends on the bits before it.
func (z *lzma) tree(p []prob, n int) uint32 {
	m := uint32(1)
	for range n {
		m = m<<1 | z.bit(&p[m])
	}
	return m - 1<<n
}

// reverse decodes n bits, the lowest first.
func (z *lzma) reverse(p []prob, n int) (v uint32) {
	m := uint32(1)
	for i := range n {
		b := z.bit(&p[m])
		m = m<<1 | b
		v |= b << i
	}
	return v
}

// length decodes the length of a match, minus 2.
func (z *lzma) length(c *lengthCoder, pos int) int {
	if z.bit(&c.choice) == 0 {
		return int(z.tree(c.low[pos][:], 3))
	}
	if z.bit(&c.choice2) == 0 {
		return 8 + int(z.tree(c.mid[pos][:], 3))
	}
	return 16 + int(z.tree(c.high[:], 8))
}

// distance decodes the distance of a match, minus 1.
func (z *lzma) distance(length int) uint32 {
	slot := z.tree(z.slot[min(length, 3)][:], 6)
	if slot < 4 {
		return slot
	}
	n := int(slot>>1) - 1
	d := (2 | slot&1) << n
	if slot < 14 {
		return d + z.reverse(z.special[d-slot:], n)
	}
	return d + z.direct(n-4)<<4 + z.reverse(z.align[:], 4)
}

// decode appends to out the size bytes encoded by in. The dictionary is out[start:].
func (z *lzma) decode(in, out []byte, start, size int) ([]byte, bool) {
	if len(in) < 5 || in[0] != 0 {
		return out, false
	}
	z.code, z.bound, z.in, z.bad = binary.BigEndian.Uint32(in[1:]), 1<<32-1, in[5:], false
	for end := len(out) + size; len(out) < end; {
		if z.bad {
			return out, false
		}
		pos := (len(out) - start) & (1<<z.pb - 1)
		if z.bit(&z.isMatch[z.state][pos]) == 0 {
			out = append(out, z.oneLiteral(out, start))
			continue
		}
		length, ok := z.match(pos)
		if !ok || uint64(z.rep[0]) >= uint64(len(out)-start) || length > end-len(out) {
			return out, false
		}
		back := int(z.rep[0]) + 1
		for range length {
			out = append(out, out[len(out)-back])
		}
	}
	return out, !z.bad
}

// oneLiteral decodes a byte.
func (z *lzma) oneLiteral(out []byte, start int) byte {
	var last byte
	if len(out) > start {
		last = out[len(out)-1]
	}
	context := (len(out)-start)&(1<<z.lp-1)<<z.lc | int(last>>(8-z.lc))
	p := z.literal[0x300*context:][:0x300]
	m := uint32(1)
	if z.state >= 7 && uint64(z.rep[0]) < uint64(len(out)-start) {
		matched := uint32(out[len(out)-1-int(z.rep[0])])
		for m < 0x100 {
			b := matched >> 7 & 1
			matched <<= 1
			got := z.bit(&p[(1+b)<<8+m])
			m = m<<1 | got
			if got != b {
				break
			}
		}
	}
	for m < 0x100 {
		m = m<<1 | z.bit(&p[m])
	}
	switch {
	case z.state < 4:
		z.state = 0
	case z.state < 10:
		z.state -= 3
	default:
		z.state -= 6
	}
	return byte(m)
}

// match decodes the distance of a match into rep[0], and returns its length.
func (z *lzma) match(pos int) (length int, ok bool) {
	after := func(early, late int) {
		if z.state < 7 {
			z.state = early
		} else {
			z.state = late
		}
	}
	if z.bit(&z.isRep[z.state]) == 0 {
		z.rep[3], z.rep[2], z.rep[1] = z.rep[2], z.rep[1], z.rep[0]
		length = z.length(&z.matches, pos)
		z.rep[0] = z.distance(length)
		after(7, 10)
		return length + 2, z.rep[0] != 1<<32-1 // this distance ends a stream of LZMA, but not of LZMA2
	}
	if z.bit(&z.isRepG0[z.state]) == 0 {
		if z.bit(&z.isRep0Long[z.state][pos]) == 0 {
			after(9, 11)
			return 1, true
		}
	} else {
		d := z.rep[1]
		if z.bit(&z.isRepG1[z.state]) != 0 {
			if d = z.rep[2]; z.bit(&z.isRepG2[z.state]) != 0 {
				d, z.rep[3] = z.rep[3], z.rep[2]
			}
			z.rep[2] = z.rep[1]
		}
		z.rep[1], z.rep[0] = z.rep[0], d
	}
	length = z.length(&z.again, pos)
	after(8, 11)
	return length + 2, true
}
