package demangle

import "strconv"

// builtins: <builtin-type>.
var builtins = map[byte]string{
	'a': "signed char", 'b': "bool", 'c': "char", 'd': "double", 'e': "long double", 'f': "float", 'g': "__float128",
	'h': "unsigned char", 'i': "int", 'j': "unsigned int", 'l': "long", 'm': "unsigned long", 'n': "__int128",
	'o': "unsigned __int128", 's': "short", 't': "unsigned short", 'v': "void", 'w': "wchar_t", 'x': "long long",
	'y': "unsigned long long", 'z': "...",
}

// builtinsD: <builtin-type> after a D.
var builtinsD = map[byte]string{
	'a': "auto", 'c': "decltype(auto)", 'd': "decimal64", 'e': "decimal128", 'f': "decimal32", 'h': "half", 'i': "char32_t",
	'n': "decltype(nullptr)", 's': "char16_t", 'u': "char8_t",
}

// typ: <type>.
func (p *parser) typ() *node {
	defer p.enter()()
	c := p.peek()
	if name, ok := builtins[c]; ok {
		p.at++
		return text(name)
	}
	switch c {
	case 'S':
		return p.substitutedType()
	case 'D':
		return p.typeD()
	case 'u':
		p.at++
		n := p.source()
		p.subs = append(p.subs, n)
		return n
	}
	n := p.compound(c)
	p.subs = append(p.subs, n)
	return n
}

// compound reads the types that substitutions can refer to.
func (p *parser) compound(c byte) *node {
	switch c {
	case 'r', 'V', 'K':
		return p.qualified()
	case 'P', 'R', 'O':
		p.at++
		return &node{kind: kindPointer, s: map[byte]string{'P': "*", 'R': "&", 'O': "&&"}[c], a: p.typ()}
	case 'C', 'G':
		p.at++
		return &node{kind: kindSuffixed, s: map[byte]string{'C': " _Complex", 'G': " _Imaginary"}[c], a: p.typ()}
	case 'M':
		p.at++
		class := p.typ()
		return &node{kind: kindMember, a: class, b: p.typ()}
	case 'F':
		return p.function("")
	case 'A':
		return p.array()
	case 'T':
		return p.templateType()
	case 'U':
		if p.peekAt(1) != 't' && p.peekAt(1) != 'l' {
			return p.vendorQualified()
		}
	}
	if !isDigit(c) && c != 'N' && c != 'Z' && c != 'U' && c != 'L' {
		fail()
	}
	n, _ := p.name(false)
	return n
}

// qualified: <qualified-type>. The qualifiers of a function are part of it.
func (p *parser) qualified() *node {
	quals := p.qualifiers()
	if p.peek() == 'F' {
		return p.function(quals)
	}
	if p.peek() == 'D' && (p.peekAt(1) == 'o' || p.peekAt(1) == 'O') {
		n := p.typeD()
		n.s = quals + n.s
		p.subs = p.subs[:len(p.subs)-1]
		return n
	}
	return &node{kind: kindQualified, s: quals, a: p.typ()}
}

func (p *parser) vendorQualified() *node {
	p.at++
	name := p.source().s
	if p.peek() == 'I' {
		fail()
	}
	return &node{kind: kindSuffixed, s: " " + name, a: p.typ()}
}

// substitutedType reads a type that starts with an S.
func (p *parser) substitutedType() *node {
	if p.peekAt(1) == 't' {
		n, _ := p.name(false)
		p.subs = append(p.subs, n)
		return n
	}
	n := p.substitution(false)
	if p.peek() == 'I' {
		n = &node{kind: kindTemplate, a: n, list: p.templateArgs(false)}
		p.subs = append(p.subs, n)
	}
	return n
}

// typeD reads a type that starts with a D.
func (p *parser) typeD() *node {
	c := p.peekAt(1)
	if name, ok := builtinsD[c]; ok {
		p.at += 2
		return text(name)
	}
	var n *node
	switch c {
	case 't', 'T':
		n = p.decltype()
	case 'p':
		p.at += 2
		n = &node{kind: kindExpansion, a: p.typ()}
	case 'o':
		p.at += 2
		quals := p.qualifiers()
		n = p.function(quals)
		n.s += " noexcept"
	case 'v':
		n = p.vector()
	case 'F':
		p.at += 2
		bits := p.number()
		p.want("_")
		return text("_Float" + strconv.Itoa(bits))
	default:
		fail()
	}
	p.subs = append(p.subs, n)
	return n
}

func (p *parser) decltype() *node {
	p.at += 2
	n := &node{kind: kindSuffixed, a: &node{kind: kindPrefixed, s: "decltype (", a: p.expression()}, s: ")"}
	p.want("E")
	return n
}

func (p *parser) vector() *node {
	p.at += 2
	n := p.number()
	p.want("_")
	return &node{kind: kindSuffixed, a: p.typ(), s: " __vector(" + strconv.Itoa(n) + ")"}
}

// function: <function-type>.
func (p *parser) function(quals string) *node {
	p.want("F")
	p.eat("Y") // extern "C"
	n := &node{kind: kindFunction, a: p.typ()}
	n.list = p.parameters()
	n.s = quals
	switch {
	case p.eat("R"):
		n.s += " &"
	case p.eat("O"):
		n.s += " &&"
	}
	p.want("E")
	return n
}

// array: <array-type>.
func (p *parser) array() *node {
	p.at++
	n := &node{kind: kindArray}
	switch {
	case isDigit(p.peek()):
		n.a = text(strconv.Itoa(p.number()))
	case p.peek() != '_':
		n.a = p.expression()
	}
	p.want("_")
	n.b = p.typ()
	return n
}

// templateType reads a template parameter that may itself be a template.
func (p *parser) templateType() *node {
	n := p.templateParam()
	if p.peek() != 'I' || p.convert > 0 {
		return n
	}
	p.subs = append(p.subs, n)
	return &node{kind: kindTemplate, a: n, list: p.templateArgs(false)}
}

// templateParam: <template-param>.
func (p *parser) templateParam() *node {
	p.want("T")
	i := 0
	if p.peek() != '_' {
		i = p.number() + 1
	}
	p.want("_")
	switch {
	case p.lambda > 0:
		return text("auto:" + strconv.Itoa(i+1))
	case i < len(p.params):
		return &node{kind: kindParam, a: p.params[i], index: i, scope: p.scope}
	case p.convert > 0:
		n := &node{kind: kindParam, index: i, scope: p.scope}
		p.forwards = append(p.forwards, n)
		return n
	}
	fail()
	return nil
}

// templateArgs: <template-args>. own has the same meaning as in name.
func (p *parser) templateArgs(own bool) []*node {
	defer p.enter()()
	p.want("I")
	var list []*node
	for p.peek() != 'E' {
		list = append(list, p.templateArg())
	}
	p.at++
	if own {
		p.params = list
	}
	return list
}

// templateArg: <template-arg>.
func (p *parser) templateArg() *node {
	switch p.peek() {
	case 'X':
		p.at++
		n := p.expression()
		p.want("E")
		return n
	case 'L':
		return p.literal()
	case 'J', 'I':
		p.at++
		n := &node{kind: kindPack}
		for p.peek() != 'E' {
			n.list = append(n.list, p.templateArg())
		}
		p.at++
		return n
	}
	return p.typ()
}

// standard lists the substitutions for parts of the standard library, and their form before the name of a constructor.
var standard = map[byte][2]string{
	'a': {"std::allocator", "std::allocator"},
	'b': {"std::basic_string", "std::basic_string"},
	's': {"std::string", "std::basic_string<char, std::char_traits<char>, std::allocator<char> >"},
	'i': {"std::istream", "std::basic_istream<char, std::char_traits<char> >"},
	'o': {"std::ostream", "std::basic_ostream<char, std::char_traits<char> >"},
	'd': {"std::iostream", "std::basic_iostream<char, std::char_traits<char> >"},
}

// substitution: <substitution>, except St.
func (p *parser) substitution(prefix bool) *node {
	p.want("S")
	c := p.peek()
	if forms, ok := standard[c]; ok {
		p.at++
		n := text(forms[0])
		if next := p.peek(); prefix && (next == 'C' || next == 'D') {
			n = text(forms[1])
		}
		if p.peek() == 'B' {
			for p.eat("B") {
				n = &node{kind: kindSuffixed, a: n, s: "[abi:" + p.source().s + "]"}
			}
			p.subs = append(p.subs, n)
		}
		return n
	}
	i := 0
	if c != '_' {
		for p.peek() != '_' {
			switch c := p.next(); {
			case isDigit(c):
				i = i*36 + int(c-'0')
			case isUpper(c):
				i = i*36 + int(c-'A') + 10
			default:
				fail()
			}
			if i > 1<<20 {
				fail()
			}
		}
		i++
	}
	p.want("_")
	if i >= len(p.subs) {
		fail()
	}
	if p.scopes == 1 {
		return p.subs[i]
	}
	return p.rebind(p.subs[i])
}

// rebind returns a copy of a node whose template parameters are those of the function being parsed now. What was read in one
// function, inside the name of a local class, may be referred to in another one: the parameters are then those of the latter.
func (p *parser) rebind(n *node) *node {
	if n == nil || n.kind == kindText || n.kind == kindLocal || n.kind == kindEncoding {
		return n
	}
	defer p.enter()()
	if n.kind == kindParam {
		if n.scope == p.scope {
			return n
		}
		if n.index >= len(p.params) {
			fail()
		}
		return &node{kind: kindParam, a: p.params[n.index], index: n.index, scope: p.scope}
	}
	c := *n
	c.a, c.b, c.list = p.rebind(n.a), p.rebind(n.b), nil
	for _, x := range n.list {
		c.list = append(c.list, p.rebind(x))
	}
	return &c
}
