package procfs

// hexValue has the value of each hexadecimal digit, 0xff for any other byte.
var hexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c - '0'
	}
	for c := byte('a'); c <= 'f'; c++ {
		t[c] = c - 'a' + 10
		t[c-'a'+'A'] = c - 'a' + 10
	}
	return t
}()

// hexAt reads the hexadecimal number at b[i:] and returns the index after it. That index is i if there is no digit or there are
// more than 16, including leading zeros.
func hexAt(b []byte, i int) (v uint64, next int) {
	j := i
	for ; j < len(b); j++ {
		d := hexValue[b[j]]
		if d == 0xff {
			break
		}
		v = v<<4 | uint64(d)
	}
	if j-i > 16 {
		return 0, i
	}
	return v, j
}

// decimalAt is hexAt for decimal digits. It is not inlined because it has many callers.
//
//go:noinline
func decimalAt(b []byte, i int) (v uint64, next int) {
	j := i
	for ; j < len(b); j++ {
		d := uint64(b[j] - '0')
		if d > 9 {
			break
		}
		if v > (1<<64-1-d)/10 {
			return 0, i
		}
		v = v*10 + d
	}
	return v, j
}

// signedAt is decimalAt with an optional minus sign.
func signedAt(b []byte, i int) (v int64, next int) {
	negative := i < len(b) && b[i] == '-'
	start := i
	if negative {
		start++
	}
	u, j := decimalAt(b, start)
	if j == start || u > 1<<63-1 {
		return 0, i
	}
	if negative {
		return -int64(u), j
	}
	return int64(u), j
}

// skipBlanks returns the index of the first byte at or after i that is neither a space nor a tab.
func skipBlanks(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

// trimBlanks removes spaces, tabs and carriage returns from both ends.
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

// int32At reads a signed number that must fit in 32 bits; otherwise it returns 0.
func int32At(b []byte, i int) int32 {
	v, next := signedAt(b, i)
	if next == i || v > 1<<31-1 || v < -1<<31 {
		return 0
	}
	return int32(v)
}

// hasPrefix and hasSuffix compare bytes with a constant without a conversion.
func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }

func hasSuffix(b []byte, s string) bool { return len(b) >= len(s) && string(b[len(b)-len(s):]) == s }
