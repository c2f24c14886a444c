package sys

import "encoding/binary"

// NativeOrder is the byte order of this program, and so of whatever the kernel gives it about a live process.
// It is one of the two values that can be compared, which binary.NativeEndian is not.
var NativeOrder binary.ByteOrder = binary.LittleEndian

func init() {
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		NativeOrder = binary.BigEndian
	}
}
