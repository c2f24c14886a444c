package context

import "encoding/binary"

// Operand is the memory operand of an instruction.
type Operand struct {
	Address      uint64
	Size         int
	Access       Access
	Text         string
	NonCanonical bool
}

func DecodeFault(a Arch, o binary.ByteOrder, code []byte, pc uint64, rec []byte) (Operand, bool) {
	return Operand{}, false
}
func IsCall(a Arch, o binary.ByteOrder, before []byte) bool { return false }
