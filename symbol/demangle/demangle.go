// Package demangle makes names of C++ and Rust functions readable: those of the Itanium C++ ABI (used by GCC and clang
// everywhere except in MSVC's mode), and those of both schemes of Rust.
//
// A name that can't be parsed to the end is returned unchanged, never half a name or a wrong one. Names may come from an
// attacker: depth, work and length of the result are limited, and nothing panics.
//
// The results are those of c++filt of GNU binutils, including return types of templates and without the hash of Rust's legacy names.
//
// Sources: the Itanium C++ ABI, chapter 5.1 "External Names (a.k.a. Mangling)", after whose productions the functions are named;
// Rust RFC 2603 and rust-demangle.c of libiberty for Rust.
package demangle

import "strings"

// Limits.
const (
	MaxInput  = 8192 // bytes of a name that is parsed; a longer one is returned unchanged
	MaxOutput = 4096 // bytes of a readable name; if it would be longer, the name is returned unchanged

	maxDepth = 192       // of nesting
	maxWork  = 200 << 10 // steps of parsing and of printing
)

// failure is the panic that ends parsing, inside this package.
type failure struct{}

func fail() { panic(failure{}) }

// Name returns the readable form of a mangled name. Any other text is returned unchanged.
func Name(s string) string {
	if len(s) > MaxInput || len(s) < 3 {
		return s
	}
	var name string
	var ok bool
	switch {
	case strings.HasPrefix(s, "_R"):
		name, ok = try(rustV0, s[2:])
	case strings.HasPrefix(s, "_Z"):
		if name, ok = try(rustLegacy, s[2:]); !ok {
			name, ok = try(itanium, s[2:])
		}
	case strings.HasPrefix(s, "_GLOBAL__I_"), strings.HasPrefix(s, "_GLOBAL__D_"):
		name, ok = "global constructors keyed to "+Name(s[11:]), true
		if s[9] == 'D' {
			name = "global destructors keyed to " + Name(s[11:])
		}
	}
	if !ok || name == "" || len(name) > MaxOutput {
		return s
	}
	return name
}

// try calls a parser, which panics with failure if s is not in its language. Any other panic counts as a failure too: a wrong index
// must not end a program that only shows names.
func try(parse func(string) string, s string) (name string, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			name, ok = "", false
		}
	}()
	return parse(s), true
}

// scanner reads a mangled name from left to right.
type scanner struct {
	s     string
	at    int
	depth int
	work  int
}

// enter counts a level of nesting, until the function that it returns is called.
func (p *scanner) enter() func() {
	p.step()
	if p.depth++; p.depth > maxDepth {
		fail()
	}
	return p.leave
}

func (p *scanner) leave() { p.depth-- }

func (p *scanner) step() {
	if p.work++; p.work > maxWork {
		fail()
	}
}

// peek returns the next byte, or 0 at the end.
func (p *scanner) peek() byte { return p.peekAt(0) }

func (p *scanner) peekAt(n int) byte {
	if p.at+n < len(p.s) {
		return p.s[p.at+n]
	}
	return 0
}

func (p *scanner) next() byte {
	c := p.peek()
	if c == 0 {
		fail()
	}
	p.at++
	return c
}

// eat skips text if it is next.
func (p *scanner) eat(text string) bool {
	if strings.HasPrefix(p.s[p.at:], text) {
		p.at += len(text)
		return true
	}
	return false
}

func (p *scanner) want(text string) {
	if !p.eat(text) {
		fail()
	}
}

// number reads a decimal number.
func (p *scanner) number() int {
	n := 0
	if !isDigit(p.peek()) {
		fail()
	}
	for isDigit(p.peek()) {
		if n = n*10 + int(p.next()-'0'); n > 1<<24 {
			fail()
		}
	}
	return n
}

// take returns the next n bytes.
func (p *scanner) take(n int) string {
	if n < 0 || n > len(p.s)-p.at {
		fail()
	}
	p.at += n
	return p.s[p.at-n : p.at]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
