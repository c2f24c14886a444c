package breakpad

import (
	"slices"
	"strconv"
	"strings"
)

// inline is an INLINE record that contains the address being looked up.
type inline struct {
	depth    int
	callLine int
	callFile uint64
	origin   uint64
	start    uint64
}

// Lookup returns the functions at an address relative to the module's load address, the innermost first, or nil if no FUNC record
// contains it.
func (f *File) Lookup(addr uint64) []Frame {
	i := after(f.functions, addr)
	for n := 0; i > 0 && n < 4096 && f.most[i-1] > addr; n++ {
		i--
		if fn := &f.functions[i]; addr-fn.addr < fn.size {
			return f.frames(fn, addr)
		}
	}
	return nil
}

// Public returns the last PUBLIC record at or before an address. ok is false if there is none, or if a function is between them.
func (f *File) Public(addr uint64) (Frame, bool) {
	i := after(f.publics, addr)
	if i == 0 {
		return Frame{}, false
	}
	p := &f.publics[i-1]
	if j := after(f.functions, addr); j > 0 && f.functions[j-1].addr > p.addr {
		return Frame{}, false
	}
	fields := strings.SplitN(strings.TrimPrefix(f.record(p.off, "PUBLIC "), "m "), " ", 3)
	if len(fields) < 3 {
		return Frame{}, false
	}
	return Frame{Name: fields[2], Start: p.addr}, true
}

// after returns the index of the first record after an address.
func after(list []function, addr uint64) int {
	i, _ := slices.BinarySearchFunc(list, addr, func(fn function, addr uint64) int {
		if fn.addr <= addr {
			return -1
		}
		return 1
	})
	return i
}

// record returns the line at an offset, without its first word, which must be word.
func (f *File) record(off int64, word string) string {
	text := ""
	lines(f.r, off, off+MaxLine+1, func(_ int64, line []byte) bool {
		text = strings.TrimPrefix(string(line), word)
		return false
	})
	return text
}

// frames returns the frames of an address in a function.
func (f *File) frames(fn *function, addr uint64) []Frame {
	var name string
	var line int
	var file uint64
	var inlines []inline
	first := true
	lines(f.r, fn.off, min(fn.end, fn.off+maxBlock), func(_ int64, b []byte) bool {
		if first {
			first = false
			fields := strings.SplitN(strings.TrimPrefix(strings.TrimPrefix(string(b), "FUNC "), "m "), " ", 4)
			if len(fields) == 4 {
				name = fields[3]
			}
			return true
		}
		if rest, ok := strings.CutPrefix(string(b), "INLINE "); ok {
			if x, ok := parseInline(rest, addr); ok && len(inlines) < maxInlines {
				inlines = append(inlines, x)
			}
			return true
		}
		if l, n, ok := parseLine(string(b), addr); ok {
			line, file = l, n
		}
		return true
	})
	slices.SortStableFunc(inlines, func(a, b inline) int { return a.depth - b.depth })
	inlines = slices.CompactFunc(inlines, func(a, b inline) bool { return a.depth == b.depth })
	var frames []Frame
	for i := len(inlines) - 1; i >= 0; i-- {
		x := inlines[i]
		if x.depth != i { // the surrounding calls are missing
			continue
		}
		frames = append(frames, Frame{Name: f.numbered(f.origins, x.origin, "INLINE_ORIGIN "), Start: x.start,
			File: f.numbered(f.files, file, "FILE "), Line: line, Inlined: true})
		line, file = x.callLine, x.callFile
	}
	return append(frames, Frame{Name: name, Start: fn.addr, File: f.numbered(f.files, file, "FILE "), Line: line})
}

// numbered returns the text of a FILE or INLINE_ORIGIN record.
func (f *File) numbered(of map[uint64]int64, n uint64, word string) string {
	off, ok := of[n]
	if !ok {
		return ""
	}
	_, text, _ := strings.Cut(f.record(off, word), " ")
	return text
}

// parseInline parses "depth call_line call_file origin [address size]…" and reports whether a range contains addr.
func parseInline(rest string, addr uint64) (x inline, ok bool) {
	var fields [4]uint64
	for i := range fields {
		var word string
		var err error
		word, rest, _ = strings.Cut(rest, " ")
		if fields[i], err = strconv.ParseUint(word, 10, 31); err != nil {
			return x, false
		}
	}
	x = inline{depth: int(fields[0]), callLine: int(fields[1]), callFile: fields[2], origin: fields[3]}
	for range maxRanges {
		var a, b string
		a, rest, _ = strings.Cut(rest, " ")
		b, rest, _ = strings.Cut(rest, " ")
		start, err := strconv.ParseUint(a, 16, 64)
		size, err2 := strconv.ParseUint(b, 16, 64)
		if err != nil || err2 != nil {
			return x, false
		}
		if addr >= start && addr-start < size {
			x.start = start
			return x, true
		}
	}
	return x, false
}

// parseLine parses "address size line file" and reports whether the range contains addr.
func parseLine(s string, addr uint64) (line int, file uint64, ok bool) {
	fields := strings.SplitN(s, " ", 5)
	if len(fields) != 4 {
		return 0, 0, false
	}
	start, err := strconv.ParseUint(fields[0], 16, 64)
	if err != nil || addr < start {
		return 0, 0, false
	}
	size, err := strconv.ParseUint(fields[1], 16, 64)
	if err != nil || addr-start >= size {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(fields[2], 10, 31)
	if err != nil {
		return 0, 0, false
	}
	file, err = strconv.ParseUint(fields[3], 10, 31)
	return int(n), file, err == nil
}
