package context

import "encoding/binary"

// probe distinguishes a big-endian ByteOrder from a little-endian one, binary.NativeEndian included.
var probe = [2]byte{0, 1}

// isBig reports whether o is big-endian. This package then reads and writes through the two concrete types: a call through the
// interface would move its arguments to the heap.
func isBig(o binary.ByteOrder) bool {
	return o != nil && o.Uint16(probe[:]) == 1
}

// order is the inverse of isBig.
func order(big bool) binary.ByteOrder {
	if big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Numbers of either byte order. None of these functions is inlined: that made Encode twice as large and hardly faster.

//go:noinline
func get16(big bool, b []byte) uint16 {
	if big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

//go:noinline
func get32(big bool, b []byte) uint32 {
	if big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

//go:noinline
func get64(big bool, b []byte) uint64 {
	if big {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

//go:noinline
func put32(big bool, b []byte, v uint32) {
	if big {
		binary.BigEndian.PutUint32(b, v)
	} else {
		binary.LittleEndian.PutUint32(b, v)
	}
}

//go:noinline
func put64(big bool, b []byte, v uint64) {
	if big {
		binary.BigEndian.PutUint64(b, v)
	} else {
		binary.LittleEndian.PutUint64(b, v)
	}
}

// getN reads a value of size 2, 4 or 8 at off. The caller has checked the bounds.
func getN(big bool, b []byte, off, size int) uint64 {
	switch size {
	case 2:
		return uint64(get16(big, b[off:]))
	case 4:
		return uint64(get32(big, b[off:]))
	}
	return get64(big, b[off:])
}

// putN writes the low size bytes of v at off.
func putN(big bool, b []byte, off, size int, v uint64) {
	switch size {
	case 2:
		if big {
			binary.BigEndian.PutUint16(b[off:], uint16(v))
		} else {
			binary.LittleEndian.PutUint16(b[off:], uint16(v))
		}
	case 4:
		put32(big, b[off:], uint32(v))
	default:
		put64(big, b[off:], v)
	}
}
