package demangle

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// rustLegacy parses the part of a name after "_Z" in Rust's first scheme: nested source names, the last of which is a hash
// of 16 digits after an h.
func rustLegacy(s string) string {
	p := &scanner{s: s}
	p.want("N")
	var parts []string
	for !p.eat("E") {
		parts = append(parts, p.take(p.number()))
	}
	if rest := p.s[p.at:]; rest != "" && !strings.HasPrefix(rest, ".") {
		fail()
	}
	if len(parts) < 2 || !isRustHash(parts[len(parts)-1]) {
		fail()
	}
	var out strings.Builder
	for i, part := range parts[:len(parts)-1] {
		if i > 0 {
			out.WriteString("::")
		}
		legacyPart(&out, part)
	}
	return out.String() + rustSuffix(p.s[p.at:])
}

// isRustHash reports whether s is h and 16 digits that are not all alike.
func isRustHash(s string) bool {
	if len(s) != 17 || s[0] != 'h' {
		return false
	}
	var seen [256]bool
	different := 0
	for i := 1; i < len(s); i++ {
		if c := s[i]; !isDigit(c) && (c < 'a' || c > 'f') {
			return false
		} else if !seen[c] {
			seen[c] = true
			different++
		}
	}
	return different >= 5
}

// rustSuffix returns the part that is kept of what LLVM appended to a name.
func rustSuffix(s string) string {
	if strings.HasPrefix(s, ".llvm.") {
		return ""
	}
	return s
}

// legacyEscapes maps the escapes between dollar signs.
var legacyEscapes = map[string]string{"SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ","}

// legacyPart writes one part of a path.
func legacyPart(out *strings.Builder, s string) {
	if strings.HasPrefix(s, "_$") {
		s = s[1:]
	}
	for s != "" {
		switch {
		case strings.HasPrefix(s, ".."):
			out.WriteString("::")
			s = s[2:]
		case s[0] == '$':
			name, rest, ok := strings.Cut(s[1:], "$")
			if !ok {
				fail()
			}
			out.WriteString(legacyEscape(name))
			s = rest
		default:
			if c := s[0]; !isDigit(c) && !isLower(c) && !isUpper(c) && c != '_' && c != '.' && c < 0x80 {
				fail()
			}
			out.WriteByte(s[0])
			s = s[1:]
		}
	}
}

func legacyEscape(name string) string {
	if s, ok := legacyEscapes[name]; ok {
		return s
	}
	if hex, ok := strings.CutPrefix(name, "u"); ok {
		if r, err := strconv.ParseUint(hex, 16, 32); err == nil && r >= ' ' && utf8.ValidRune(rune(r)) && r != 0x7f {
			return string(rune(r))
		}
	}
	fail()
	return ""
}

// punycode decodes an identifier of v0: RFC 3492, with the delimiter "_".
func punycode(ascii, code string) string {
	const base, tMin, tMax, skew, damp = 36, 1, 26, 38, 700
	out := []rune(ascii)
	n, i, bias := rune(128), int64(0), int64(72)
	for first := true; code != ""; first = false {
		old, w := i, int64(1)
		for k := int64(base); ; k += base {
			if code == "" {
				fail()
			}
			digit := int64(0)
			switch c := code[0]; {
			case isLower(c):
				digit = int64(c - 'a')
			case isDigit(c):
				digit = int64(c-'0') + 26
			default:
				fail()
			}
			code = code[1:]
			i += digit * w
			t := min(max(k-bias, tMin), tMax)
			if digit < t {
				break
			}
			if w *= base - t; w > 1<<30 || i > 1<<30 {
				fail()
			}
		}
		count := int64(len(out)) + 1
		delta := (i - old) / 2
		if first {
			delta = (i - old) / damp
		}
		delta += delta / count
		k := int64(0)
		for ; delta > (base-tMin)*tMax/2; k += base {
			delta /= base - tMin
		}
		bias = k + (base-tMin+1)*delta/(delta+skew)
		n += rune(i / count)
		i %= count
		if !utf8.ValidRune(n) || len(out) > 512 {
			fail()
		}
		out = append(out[:i], append([]rune{n}, out[i:]...)...)
		i++
	}
	return string(out)
}
