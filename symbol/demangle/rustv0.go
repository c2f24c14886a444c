package demangle

import (
	"math/big"
	"strconv"
	"strings"
)

// v0 reads a name of Rust's scheme of RFC 2603, and writes its readable form while reading.
type v0 struct {
	scanner
	out     strings.Builder
	skip    bool // parse without writing
	binders int  // number of bound lifetimes
}

// rustV0 parses the part of a name after "_R".
func rustV0(s string) string {
	s, _, _ = strings.Cut(s, ".") // what LLVM appended
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && !isLower(c) && !isUpper(c) && c != '_' {
			fail()
		}
	}
	p := &v0{scanner: scanner{s: s}}
	if !isUpper(p.peek()) { // a future version of the scheme
		fail()
	}
	p.path(true)
	if p.at < len(p.s) { // the crate that instantiated it
		p.skip = true
		p.path(false)
	}
	if p.at != len(p.s) {
		fail()
	}
	return p.out.String()
}

func (p *v0) put(s string) {
	if p.skip {
		return
	}
	if p.out.Len()+len(s) > MaxOutput {
		fail()
	}
	p.out.WriteString(s)
}

// base62 reads a number: "_" is 0, "0_" is 1.
func (p *v0) base62() uint64 {
	if p.eat("_") {
		return 0
	}
	n := uint64(0)
	for {
		c := p.next()
		d := uint64(0)
		switch {
		case c == '_':
			return n + 1
		case isDigit(c):
			d = uint64(c - '0')
		case isLower(c):
			d = uint64(c-'a') + 10
		case isUpper(c):
			d = uint64(c-'A') + 36
		}
		if n > (1<<64-100)/62 {
			fail()
		}
		n = n*62 + d
	}
}

// optional reads a number after a letter, or returns 0 if the letter is not there.
func (p *v0) optional(letter string) uint64 {
	if p.eat(letter) {
		return p.base62() + 1
	}
	return 0
}

// identifier reads a name and the number that distinguishes it from others of the same name.
func (p *v0) identifier() (name string, disambiguator uint64) {
	disambiguator = p.optional("s")
	coded := p.eat("u")
	n := 0
	if !p.eat("0") { // no number starts with a 0, so digits after it belong to the next one
		n = p.number()
	}
	p.eat("_")
	name = p.take(n)
	if coded {
		i := strings.LastIndexByte(name, '_')
		name = punycode(name[:max(i, 0)], name[i+1:])
	}
	return name, disambiguator
}

// backref calls f at an earlier position of the name.
func (p *v0) backref(f func()) {
	start := p.at - 1
	to := p.base62()
	if to >= uint64(start) {
		fail()
	}
	if p.skip {
		return
	}
	at := p.at
	p.at = int(to)
	f()
	p.at = at
}

// path reads a path. The arguments of a path to a value start with "::<".
func (p *v0) path(value bool) {
	defer p.enter()()
	switch c := p.next(); c {
	case 'C':
		name, _ := p.identifier()
		p.put(name)
	case 'N':
		p.named(value)
	case 'M', 'X':
		p.impl()
		p.qualified(c == 'X')
	case 'Y':
		p.qualified(true)
	case 'I':
		p.path(value)
		if value {
			p.put("::")
		}
		p.put("<")
		p.list(p.argument)
		p.put(">")
	case 'B':
		p.backref(func() { p.path(value) })
	default:
		fail()
	}
}

// qualified reads a type and, with trait set, the trait as which it is qualified.
func (p *v0) qualified(trait bool) {
	p.put("<")
	p.typ()
	if trait {
		p.put(" as ")
		p.path(false)
	}
	p.put(">")
}

// named reads a path with a name at its end.
func (p *v0) named(value bool) {
	space := p.next()
	if !isLower(space) && !isUpper(space) {
		fail()
	}
	p.path(value)
	name, n := p.identifier()
	switch {
	case isLower(space):
		if name != "" {
			p.put("::" + name)
		}
		return
	case space == 'C':
		p.put("::{closure")
	case space == 'S':
		p.put("::{shim")
	default:
		p.put("::{" + string(space))
	}
	if name != "" {
		p.put(":" + name)
	}
	p.put("#" + strconv.FormatUint(n, 10) + "}")
}

// impl reads the path of an impl, which is not printed.
func (p *v0) impl() {
	p.optional("s")
	skip := p.skip
	p.skip = true
	p.path(false)
	p.skip = skip
}

// list calls f until an E, with commas in between.
func (p *v0) list(f func()) (n int) {
	for ; !p.eat("E"); n++ {
		if n > 0 {
			p.put(", ")
		}
		f()
	}
	return n
}

func (p *v0) argument() {
	switch {
	case p.eat("L"):
		p.lifetime(p.base62())
	case p.eat("K"):
		p.constant()
	default:
		p.typ()
	}
}

// lifetime writes the lifetime with the given number, counted from the innermost bound one.
func (p *v0) lifetime(n uint64) {
	if n == 0 {
		p.put("'_")
		return
	}
	if n > uint64(p.binders) {
		fail()
	}
	depth := p.binders - int(n)
	switch {
	case depth < 26:
		p.put("'" + string(rune('a'+depth)))
	default:
		p.put("'_" + strconv.Itoa(depth))
	}
}

// binder reads lifetimes that are bound in what f reads, and calls f.
func (p *v0) binder(f func()) {
	count := p.optional("G")
	if count > 256 {
		fail()
	}
	n := int(count)
	if n > 0 {
		p.put("for<")
		for i := range n {
			if i > 0 {
				p.put(", ")
			}
			p.binders++
			p.lifetime(1)
		}
		p.put("> ")
	}
	f()
	p.binders -= n
}

var rustTypes = map[byte]string{
	'a': "i8", 'b': "bool", 'c': "char", 'd': "f64", 'e': "str", 'f': "f32", 'h': "u8", 'i': "isize", 'j': "usize", 'l': "i32",
	'm': "u32", 'n': "i128", 'o': "u128", 'p': "_", 's': "i16", 't': "u16", 'u': "()", 'v': "...", 'x': "i64", 'y': "u64", 'z': "!",
}

func (p *v0) typ() {
	defer p.enter()()
	c := p.next()
	if name, ok := rustTypes[c]; ok {
		p.put(name)
		return
	}
	switch c {
	case 'R', 'Q':
		p.put("&")
		if p.eat("L") {
			if n := p.base62(); n != 0 {
				p.lifetime(n)
				p.put(" ")
			}
		}
		if c == 'Q' {
			p.put("mut ")
		}
		p.typ()
	case 'P', 'O':
		p.put(map[byte]string{'P': "*const ", 'O': "*mut "}[c])
		p.typ()
	case 'A', 'S':
		p.put("[")
		p.typ()
		if c == 'A' {
			p.put("; ")
			p.constant()
		}
		p.put("]")
	case 'T':
		p.put("(")
		if p.list(p.typ) == 1 {
			p.put(",")
		}
		p.put(")")
	case 'F':
		p.binder(p.function)
	case 'D':
		p.dyn()
	case 'B':
		p.backref(p.typ)
	default:
		p.at--
		p.path(false)
	}
}

func (p *v0) function() {
	if p.eat("U") {
		p.put("unsafe ")
	}
	if p.eat("K") {
		abi := "C"
		if !p.eat("C") {
			abi, _ = p.identifier()
		}
		p.put(`extern "` + strings.ReplaceAll(abi, "_", "-") + `" `)
	}
	p.put("fn(")
	p.list(p.typ)
	p.put(")")
	if !p.eat("u") {
		p.put(" -> ")
		p.typ()
	}
}

func (p *v0) dyn() {
	p.put("dyn ")
	p.binder(func() {
		for n := 0; !p.eat("E"); n++ {
			if n > 0 {
				p.put(" + ")
			}
			p.dynTrait()
		}
	})
	p.want("L")
	if n := p.base62(); n != 0 {
		p.put(" + ")
		p.lifetime(n)
	}
}

// dynTrait reads a trait and the associated types that are set, which are printed among its arguments.
func (p *v0) dynTrait() {
	open := p.openPath()
	for p.eat("p") {
		if open {
			p.put(", ")
		} else {
			p.put("<")
		}
		open = true
		name, _ := p.identifier()
		p.put(name + " = ")
		p.typ()
	}
	if open {
		p.put(">")
	}
}

// openPath is path without the closing ">". It reports whether the ">" is missing.
func (p *v0) openPath() (open bool) {
	defer p.enter()()
	switch {
	case p.eat("B"):
		p.backref(func() { open = p.openPath() })
		return open
	case p.eat("I"):
		p.path(false)
		p.put("<")
		p.list(p.argument)
		return true
	}
	p.path(false)
	return false
}

// constant reads a constant.
func (p *v0) constant() {
	defer p.enter()()
	c := p.next()
	switch c {
	case 'p':
		p.put("_")
		return
	case 'B':
		p.backref(p.constant)
		return
	}
	sign := ""
	if strings.IndexByte("aslxni", c) >= 0 && p.eat("n") {
		sign = "-"
	}
	start := p.at
	for p.peek() != '_' {
		if d := p.next(); !isDigit(d) && (d < 'a' || d > 'f') {
			fail()
		}
	}
	hex := p.s[start:p.at]
	p.at++
	value, ok := new(big.Int).SetString("0"+hex, 16)
	if !ok || len(hex) > 32 {
		fail()
	}
	switch c {
	case 'b':
		if value.BitLen() > 1 {
			fail()
		}
		p.put(map[bool]string{false: "false", true: "true"}[value.Sign() > 0])
	case 'c':
		if value.BitLen() > 21 {
			fail()
		}
		p.put(strconv.QuoteRune(rune(value.Uint64())))
	case 'a', 's', 'l', 'x', 'n', 'i', 'h', 't', 'm', 'y', 'o', 'j':
		if value.BitLen() > 64 {
			p.put(sign + "0x" + hex)
		} else {
			p.put(sign + value.String())
		}
	default:
		fail()
	}
}
