package elf

// Soname returns DT_SONAME of the open image: from PT_DYNAMIC and DT_STRTAB, else from a section of type SHT_DYNAMIC and the
// string table linked to it. It must have 1 to MaxSoname bytes. It may be invalid UTF-8, or contain a slash.
func (r *Reader) Soname() ([]byte, bool) {
	if d, ok := r.Dynamic(); ok && d.HasSoname && d.HasStrtab {
		if at, ok := r.placeAddr(r.Image.Rebase(d.Strtab)); ok {
			size := d.Strsz
			if !d.HasStrsz {
				size = d.Soname + MaxSoname + 1
			}
			if s, ok := r.str(at, size, d.Soname); ok {
				return s, true
			}
		}
	}
	t, ok := r.sections()
	if !ok {
		return nil, false
	}
	for i := 1; i < t.n; i++ {
		s, ok := r.section(t.off, i)
		if !ok {
			break
		}
		if s.Type != SHT_DYNAMIC || int64(s.Link) >= int64(t.n) {
			continue
		}
		strtab, ok := r.section(t.off, int(s.Link))
		if !ok || strtab.Type != SHT_STRTAB {
			break
		}
		off, ok1 := r.placeSection(&s)
		str, ok2 := r.placeSection(&strtab)
		if !ok1 || !ok2 {
			break
		}
		if d, ok := r.dynamic(off, s.Size); ok && d.HasSoname {
			return r.str(str, strtab.Size, d.Soname)
		}
		break
	}
	return nil, false
}

// str returns the NUL-terminated string at offset i of a string table of size bytes.
func (r *Reader) str(table, size, i uint64) ([]byte, bool) {
	if i >= size || table+i < table {
		return nil, false
	}
	b := r.data.piece(r.src, table+i, min(size-i, MaxSoname+1))
	for n, c := range b {
		if c == 0 {
			return b[:n:n], n > 0
		}
	}
	return nil, false
}

// SonameOf combines Open and Soname.
func (r *Reader) SonameOf(src Source, placement Placement) ([]byte, bool) {
	if !r.Open(src, placement) {
		return nil, false
	}
	return r.Soname()
}

// VersionOf parses the version in the file name of a shared library: major, minor, patch, prerelease. basename is the last
// component of the path (not the SONAME, which usually has the first number only). ok is false without ".so.".
//
// The text after the first ".so." is split at the dots. The first two parts must be numbers, otherwise they count as 0. The third
// and fourth may be mixed: leading digits are the part's number, and digits at the end of a mixed third part are the fourth
// number ("2rc5" is 2 and 5), which ends the version. Numbers that do not fit in 32 bits count as 0.
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
			for isDigit(part[last-1]) { // ends because not all are digits
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

// parseUint32 parses a decimal number; false if b is empty, contains another character or exceeds 32 bits.
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
