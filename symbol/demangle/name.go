package demangle

import "strconv"

// parser reads an Itanium name.
type parser struct {
	scanner
	subs     []*node // the components that substitutions refer to
	params   []*node // the template arguments that template parameters refer to
	forwards []*node // template parameters whose arguments come later
	lambda   int     // depth of lambdas whose parameters are being read: template parameters are "auto" there
	convert  int     // depth of conversion operators whose type is being read: arguments may come later
	scope    int     // number of the function that is being parsed
	scopes   int     // number of functions so far
}

// itanium parses the part of a name after "_Z": <mangled-name>.
func itanium(s string) string {
	p := &parser{scanner: scanner{s: s}}
	n := p.encoding(true)
	for p.peek() == '.' { // the compiler made a copy of the function
		start := p.at
		p.at++
		for isLower(p.peek()) || isUpper(p.peek()) || p.peek() == '_' || isDigit(p.peek()) && start+1 == p.at {
			if isDigit(p.peek()) {
				for isDigit(p.peek()) {
					p.at++
				}
				break
			}
			p.at++
		}
		for p.peek() == '.' && isDigit(p.peekAt(1)) {
			for p.at++; isDigit(p.peek()); {
				p.at++
			}
		}
		if p.at == start+1 {
			fail()
		}
		n = &node{kind: kindSuffixed, a: n, s: " [clone " + p.s[start:p.at] + "]"}
	}
	if p.at != len(p.s) {
		fail()
	}
	w := &printer{}
	w.print(n)
	return w.out.String()
}

// encoding: <encoding>. Inside another name the return type is not printed.
func (p *parser) encoding(top bool) *node {
	defer p.enter()()
	if c := p.peek(); c == 'T' || c == 'G' {
		return p.special()
	}
	params, forwards, scope := p.params, p.forwards, p.scope
	p.scopes++
	p.params, p.forwards, p.scope = nil, nil, p.scopes
	defer func() { p.params, p.forwards, p.scope = params, forwards, scope }()
	name, quals := p.name(true)
	for _, f := range p.forwards {
		if f.index >= len(p.params) {
			fail()
		}
		f.a = p.params[f.index]
	}
	if c := p.peek(); c == 0 || c == 'E' || c == '.' {
		return name
	}
	n := &node{kind: kindEncoding, b: name, s: quals}
	if hasReturn(name) {
		n.a = p.typ()
		if !top {
			n.a = nil
		}
	}
	n.list = p.parameters()
	return n
}

// hasReturn reports whether the type of a function starts with its return type: 5.1.5.3.
func hasReturn(n *node) bool {
	for range maxDepth {
		switch n.kind {
		case kindLocal:
			n = n.b
		case kindTemplate:
			for n = n.a; n.kind == kindNested || n.kind == kindSuffixed; {
				if n.kind == kindNested {
					n = n.b
				} else {
					n = n.a
				}
			}
			return n.kind != kindCtor && n.kind != kindConversion
		default:
			return false
		}
	}
	return false
}

// parameters reads the types of parameters up to an E, the end or a clone's suffix.
func (p *parser) parameters() []*node {
	var list []*node
	for {
		switch c := p.peek(); {
		case c == 0 || c == 'E' || c == '.' || (c == 'R' || c == 'O') && p.peekAt(1) == 'E':
			if len(list) == 0 {
				fail()
			}
			if len(list) == 1 && list[0].kind == kindText && list[0].s == "void" {
				return nil
			}
			return list
		}
		list = append(list, p.typ())
	}
}

// name: <name>. quals are those of a member function. own states that it is the name of the function being parsed, whose template
// arguments are what template parameters refer to.
func (p *parser) name(own bool) (n *node, quals string) {
	defer p.enter()()
	switch c := p.peek(); {
	case c == 'N':
		return p.nested(own)
	case c == 'Z':
		return p.local(own)
	case c == 'S' && p.peekAt(1) != 't':
		n = p.substitution(false)
		if p.peek() != 'I' {
			return n, ""
		}
	default:
		if p.eat("St") {
			n = &node{kind: kindNested, a: text("std"), b: p.unqualified(nil)}
		} else {
			n = p.unqualified(nil)
		}
		if p.peek() != 'I' {
			return n, ""
		}
		p.subs = append(p.subs, n)
	}
	return &node{kind: kindTemplate, a: n, list: p.templateArgs(own)}, ""
}

// nested: <nested-name>.
func (p *parser) nested(own bool) (n *node, quals string) {
	p.want("N")
	quals = p.qualifiers()
	switch {
	case p.eat("R"):
		quals += " &"
	case p.eat("O"):
		quals += " &&"
	}
	for {
		p.step()
		c := p.peek()
		switch {
		case c == 'E':
			if n == nil {
				fail()
			}
			p.at++
			return n, quals
		case c == 'S' && p.peekAt(1) != 't' && n == nil:
			n = p.substitution(true)
			continue // is one already
		case c == 'S' && n == nil:
			p.at += 2
			n = text("std")
			continue
		case c == 'I':
			if n == nil {
				fail()
			}
			n = &node{kind: kindTemplate, a: n, list: p.templateArgs(own)}
		case c == 'T' && n == nil:
			n = p.templateParam()
		case c == 'D' && (p.peekAt(1) == 't' || p.peekAt(1) == 'T') && n == nil:
			n = p.decltype()
		case c == 'M':
			p.at++ // the class member whose initializer a lambda is in
			continue
		default:
			part := p.unqualified(n)
			if n != nil {
				part = &node{kind: kindNested, a: n, b: part}
			}
			n = part
		}
		if p.peek() != 'E' {
			p.subs = append(p.subs, n)
		}
	}
}

// qualifiers reads <CV-qualifiers>, and returns them in printing order.
func (p *parser) qualifiers() string {
	restrict, volatile, konst := "", "", ""
	for {
		switch {
		case p.eat("r"):
			restrict = " restrict"
		case p.eat("V"):
			volatile = " volatile"
		case p.eat("K"):
			konst = " const"
		default:
			return konst + volatile + restrict
		}
	}
}

// unqualified: <unqualified-name>. in is the class or namespace.
func (p *parser) unqualified(in *node) *node {
	var n *node
	p.eat("L") // internal linkage
	switch c := p.peek(); {
	case isDigit(c):
		n = p.source()
	case c == 'C' && in != nil:
		n = p.ctor(in)
	case c == 'D' && in != nil && p.peekAt(1) >= '0' && p.peekAt(1) <= '5':
		p.at += 2
		n = &node{kind: kindCtor, s: "~", a: in}
	case c == 'D' && p.peekAt(1) == 'C':
		n = p.binding()
	case c == 'U' && p.peekAt(1) == 't':
		p.at += 2
		n = text("{unnamed type#" + p.sequence() + "}")
	case c == 'U' && p.peekAt(1) == 'l':
		n = p.closure()
	case isLower(c):
		n = p.operatorName()
	default:
		fail()
	}
	for p.eat("B") {
		n = &node{kind: kindSuffixed, a: n, s: "[abi:" + p.source().s + "]"}
	}
	return n
}

// source: <source-name>.
func (p *parser) source() *node {
	s := p.take(p.number())
	if s == "" {
		fail()
	}
	if len(s) >= 10 && s[:8] == "_GLOBAL_" && (s[8] == '_' || s[8] == '.' || s[8] == '$') && s[9] == 'N' {
		return text("(anonymous namespace)")
	}
	return text(s)
}

func (p *parser) ctor(in *node) *node {
	p.at++
	if p.eat("I") { // inherited
		p.at++
		p.typ()
		return &node{kind: kindCtor, a: in}
	}
	if c := p.next(); c < '1' || c > '5' {
		fail()
	}
	return &node{kind: kindCtor, a: in}
}

// binding: the names of a structured binding.
func (p *parser) binding() *node {
	p.at += 2
	var list []*node
	for p.peek() != 'E' {
		list = append(list, p.source())
	}
	p.at++
	return &node{kind: kindSuffixed, a: &node{kind: kindPrefixed, s: "[", a: &node{kind: kindSeveral, list: list}}, s: "]"}
}

// sequence reads the number of an unnamed type or a lambda, and returns it counted from 1.
func (p *parser) sequence() string {
	n := 1
	if p.peek() != '_' {
		n = p.number() + 2
	}
	p.want("_")
	return strconv.Itoa(n)
}

// closure: <closure-type-name>.
func (p *parser) closure() *node {
	p.at += 2
	p.lambda++
	list := p.parameters()
	p.lambda--
	p.want("E")
	return &node{kind: kindLambda, list: list, s: p.sequence()}
}

// local: <local-name>.
func (p *parser) local(own bool) (n *node, quals string) {
	p.want("Z")
	in := p.encoding(false)
	p.want("E")
	if p.eat("s") {
		p.discriminator()
		return &node{kind: kindLocal, a: in, b: text("string literal")}, ""
	}
	var argument *node
	if p.eat("d") { // in a default argument
		argument = text("{default arg#" + p.sequence() + "}")
	}
	name, quals := p.name(own)
	if argument != nil {
		name = &node{kind: kindNested, a: argument, b: name}
	} else {
		p.discriminator()
	}
	return &node{kind: kindLocal, a: in, b: name}, quals
}

// discriminator: <discriminator>, which distinguishes local names and is not printed.
func (p *parser) discriminator() {
	if p.eat("__") {
		p.number()
		p.want("_")
	} else if p.peek() == '_' && isDigit(p.peekAt(1)) {
		p.at += 2
	}
}
