package context

import "encoding/binary"

// IntegerRegisters is Regsets.Registers for a finished CPU context record. It does not allocate.
func IntegerRegisters(a Arch, rec []byte, o binary.ByteOrder, out []uint64) int {
	l := a.layout()
	if l.size == 0 || len(rec) < l.size {
		return 0
	}
	big, n := isBig(o), 0
	for i := range l.regs {
		if e := &l.regs[i]; e.general && n < len(out) {
			out[n] = getN(big, rec, int(e.rec), int(e.recSize))
			n++
		}
	}
	return n
}
