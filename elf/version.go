package elf

// VersionOf reads the version out of the file name of a shared library: major, minor, patch, prerelease. basename is
// the last component of the path (not the SONAME, which usually has the first number only). ok is false without ".so.".
//
// What follows the first ".so." is split at the dots. The first two parts must be numbers, and count as 0 if they are
// not. The third and fourth may be mixed: leading digits are the part's number, and digits at the end of a mixed third
// part are the fourth number ("2rc5" gives 2 and 5), which ends the version. Numbers that do not fit in 32 bits count
// as 0.
func VersionOf(basename []byte) (v [4]uint32, ok bool) {
	text := basename
	for {
		if len(text) < len(".so.") {
			return v, false
		}
		if string(text[:4]) == ".so." {
			break
		}
		text = text[1:]
	}
	text = text[4:]
	for i := 0; i < len(v); i++ {
		end := 0
		for end < len(text) && text[end] != '.' {
			end++
		}
		part := text[:end]
		digits := 0
		for digits < len(part) && isDigit(part[digits]) {
			digits++
		}
		switch {
		case digits == len(part):
			v[i], _ = parseUint32(part)
		case i >= 2:
			v[i], _ = parseUint32(part[:digits])
			last := len(part)
			for isDigit(part[last-1]) { // stops: not all are digits
				last--
			}
			if n, found := parseUint32(part[last:]); found && i+1 < len(v) {
				v[i+1] = n
				return v, true
			}
		}
		if end == len(text) {
			break
		}
		text = text[end+1:]
	}
	return v, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// parseUint32 reads a decimal number; false if b is empty, has another character or a value above 32 bits.
func parseUint32(b []byte) (uint32, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		if n = n*10 + uint64(c-'0'); n > 1<<32-1 {
			return 0, false
		}
	}
	return uint32(n), true
}
