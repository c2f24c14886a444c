package demangle

import "strings"

// kind says what a node is and which of its fields are used.
type kind uint8

const (
	kindText       kind = iota // s
	kindNested                 // a::b
	kindTemplate               // a<list>
	kindQualified              // a with the qualifiers s
	kindPointer                // a with s: "*", "&", "&&"
	kindMember                 // pointer to a member of a that is a b
	kindArray                  // of b, with a dimension a that may be nil
	kindFunction               // type: returns a, takes list, qualifiers s
	kindEncoding               // function: named b, returns a or nil, takes list, qualifiers s
	kindPack                   // list of arguments for a parameter pack
	kindExpansion              // a for each element of the packs in it
	kindPrefixed               // s, then a
	kindSuffixed               // a, then s
	kindLocal                  // b in the function a
	kindCtor                   // constructor of a; destructor if s is "~"
	kindOperator               // operator s
	kindConversion             // operator that converts to a
	kindLambda                 // with parameters list and the number s
	kindLiteral                // of type a with the value s
	kindUnary                  // s applied to a
	kindBinary                 // a s b
	kindTernary                // list[0] ? list[1] : list[2]
	kindCall                   // a(list)
	kindCast                   // (a)(list); with s: s<a>(list)
	kindList                   // a{list}
	kindParam                  // template parameter that stands for a; a is nil until it is known
	kindSeveral                // list, with commas
)

// node is a part of a C++ name.
type node struct {
	kind kind
	s    string
	a, b *node
	list []*node

	index, scope int // of a kindParam: which parameter, and in which function
}

func text(s string) *node { return &node{kind: kindText, s: s} }

// printer writes nodes. A type surrounds what it declares, as in "void (*name)(int)", so it has a left and a right part.
type printer struct {
	out   strings.Builder
	last  byte // last byte written
	depth int
	work  int
}

func (p *printer) put(s string) {
	if s == "" {
		return
	}
	if p.out.Len()+len(s) > MaxOutput {
		fail()
	}
	p.out.WriteString(s)
	p.last = s[len(s)-1]
}

func (p *printer) enter() {
	p.work++
	if p.depth++; p.depth > 4*maxDepth || p.work > maxWork {
		fail()
	}
}

// print writes a complete node.
func (p *printer) print(n *node) {
	p.left(n)
	p.right(n)
}

// actual returns the node that n stands for.
func (p *printer) actual(n *node) *node {
	for range maxDepth {
		if n.kind != kindParam || n.a == nil {
			return n
		}
		n = n.a
	}
	fail()
	return nil
}

// reference returns what a reference finally refers to, and its kind: a reference to a reference is one reference (5.1.5.3).
func (p *printer) reference(n *node) (*node, string) {
	mark := n.s
	to := p.actual(n.a)
	for range maxDepth {
		if mark == "*" || to.kind != kindPointer || to.s == "*" {
			return to, mark
		}
		if to.s == "&" {
			mark = "&"
		}
		to = p.actual(to.a)
	}
	fail()
	return nil, ""
}

// declares reports whether a type has parts on both sides of what it declares, so that "*" needs parentheses.
func (p *printer) declares(n *node) kind {
	n = p.actual(n)
	for n.kind == kindQualified {
		n = p.actual(n.a)
	}
	if n.kind == kindArray || n.kind == kindFunction {
		return n.kind
	}
	return kindText
}

// open writes the parenthesis before a "*".
func (p *printer) open(to *node) {
	switch p.declares(to) {
	case kindArray:
		p.put(" (")
	case kindFunction:
		p.put("(")
	}
}

func (p *printer) left(n *node) {
	p.enter()
	defer func() { p.depth-- }()
	n = p.actual(n)
	switch n.kind {
	case kindQualified:
		p.left(n.a)
		if p.declares(n.a) != kindFunction {
			p.put(p.qualifiers(n))
		}
	case kindPointer:
		to, mark := p.reference(n)
		p.left(to)
		p.open(to)
		p.put(mark)
	case kindMember:
		p.left(n.b)
		if p.declares(n.b) == kindText {
			p.put(" ")
		}
		p.open(n.b)
		p.print(n.a)
		p.put("::*")
	case kindArray:
		p.left(n.b)
	case kindFunction:
		if n.a != nil {
			p.left(n.a)
			if !p.opened(n.a) {
				p.put(" ")
			}
		}
	default:
		p.name(n)
	}
}

// qualifiers returns the qualifiers of a type, except those that the qualified type already has.
func (p *printer) qualifiers(n *node) string {
	inner := p.actual(n.a)
	if inner.kind != kindQualified {
		return n.s
	}
	s := ""
	for _, q := range []string{" const", " volatile", " restrict"} {
		if strings.Contains(n.s, q) && !strings.Contains(inner.s, q) {
			s += q
		}
	}
	return s
}

// opened reports whether the left part of a type ends inside a parenthesis.
func (p *printer) opened(n *node) bool {
	n = p.actual(n)
	for range maxDepth {
		switch n.kind {
		case kindQualified:
			n = p.actual(n.a)
		case kindPointer:
			to, _ := p.reference(n)
			if p.declares(to) != kindText {
				return true
			}
			n = to
		case kindMember:
			return p.declares(n.b) != kindText
		default:
			return false
		}
	}
	return false
}

func (p *printer) right(n *node) {
	p.enter()
	defer func() { p.depth-- }()
	n = p.actual(n)
	switch n.kind {
	case kindQualified:
		p.right(n.a)
		if p.declares(n.a) == kindFunction {
			p.put(n.s)
		}
	case kindPointer, kindMember:
		to := n.b
		if n.kind == kindPointer {
			to, _ = p.reference(n)
		}
		if p.declares(to) != kindText {
			p.put(")")
		}
		p.right(to)
	case kindArray:
		if p.last != ']' {
			p.put(" ")
		}
		p.put("[")
		if n.a != nil {
			p.print(n.a)
		}
		p.put("]")
		p.right(n.b)
	case kindFunction:
		p.put("(")
		p.commas(n.list)
		p.put(")" + n.s)
		if n.a != nil {
			p.right(n.a)
		}
	}
}

// name writes a node that has no right part.
func (p *printer) name(n *node) {
	switch n.kind {
	case kindText:
		p.put(n.s)
	case kindNested, kindLocal:
		p.print(n.a)
		p.put("::")
		p.print(n.b)
	case kindTemplate:
		p.template(n)
	case kindEncoding:
		p.encoding(n)
	case kindPack, kindSeveral:
		p.commas(n.list)
	case kindExpansion:
		p.expansion(n)
	case kindPrefixed:
		p.put(n.s)
		p.print(n.a)
	case kindSuffixed:
		p.print(n.a)
		p.put(n.s)
	case kindCtor:
		p.put(n.s)
		p.print(lastName(n.a))
	case kindOperator:
		p.put("operator")
		if isLower(n.s[0]) {
			p.put(" ")
		}
		p.put(strings.TrimSuffix(n.s, " "))
	case kindConversion:
		p.put("operator ")
		p.print(n.a)
	case kindLambda:
		p.put("{lambda(")
		p.commas(n.list)
		p.put(")#" + n.s + "}")
	case kindParam: // a parameter that was never resolved
		fail()
	default:
		p.expression(n)
	}
}

// template writes a name with its arguments. Two closing brackets are separated by a space, as in C++98.
func (p *printer) template(n *node) {
	p.print(n.a)
	if p.last == '<' {
		p.put(" ")
	}
	p.put("<")
	p.commas(n.list)
	if p.last == '>' {
		p.put(" ")
	}
	p.put(">")
}

// encoding writes a function.
func (p *printer) encoding(n *node) {
	if n.a != nil {
		p.left(n.a)
		if !p.opened(n.a) {
			p.put(" ")
		}
	}
	p.print(n.b)
	p.put("(")
	p.commas(n.list)
	p.put(")" + n.s)
	if n.a != nil {
		p.right(n.a)
	}
}

// commas writes a list. An empty element, such as an empty pack, has no comma.
func (p *printer) commas(list []*node) {
	first := true
	for _, n := range list {
		before := p.out.Len()
		if !first {
			p.put(", ")
		}
		start := p.out.Len()
		p.print(n)
		if p.out.Len() == start { // remove the comma
			s := p.out.String()[:before]
			p.out.Reset()
			p.out.WriteString(s) // p.last remains the space, so no other one follows, as in c++filt
			continue
		}
		first = false
	}
}

// expansion writes a pattern once for each element of the pack in it.
func (p *printer) expansion(n *node) {
	pack := findPack(n.a, 0)
	if pack == nil {
		p.print(n.a)
		p.put("...")
		return
	}
	var list []*node
	for i := range pack.list {
		list = append(list, p.element(n.a, i))
	}
	p.commas(list)
}

// element returns a pattern in which each parameter that stands for a pack is replaced by element i of the pack.
func (p *printer) element(n *node, i int) *node {
	if n == nil {
		return nil
	}
	p.enter()
	defer func() { p.depth-- }()
	if n.kind == kindParam {
		if n.a != nil && n.a.kind == kindPack && i < len(n.a.list) {
			return n.a.list[i]
		}
		return n
	}
	if n.kind == kindExpansion || n.kind == kindText {
		return n
	}
	c := *n
	c.a, c.b, c.list = p.element(n.a, i), p.element(n.b, i), nil
	for _, x := range n.list {
		c.list = append(c.list, p.element(x, i))
	}
	return &c
}

// findPack returns the first pack that a parameter in a pattern stands for.
func findPack(n *node, depth int) *node {
	if n == nil || depth > 32 || n.kind == kindExpansion {
		return nil
	}
	if n.kind == kindParam {
		if n.a != nil && n.a.kind == kindPack {
			return n.a
		}
		return nil
	}
	for _, x := range append([]*node{n.a, n.b}, n.list...) {
		if found := findPack(x, depth+1); found != nil {
			return found
		}
	}
	return nil
}

// lastName returns the name of a class without its scope and its arguments: the name of its constructors.
func lastName(n *node) *node {
	for range maxDepth {
		switch {
		case n.kind == kindNested || n.kind == kindLocal:
			n = n.b
		case n.kind == kindTemplate:
			n = n.a
		case n.kind == kindText && strings.Contains(n.s, "::"):
			return text(stdClass(n.s))
		case n.kind == kindSuffixed && strings.HasPrefix(n.s, "[abi:"):
			n = n.a
		default:
			return n
		}
	}
	fail()
	return nil
}

// stdClass returns the name of the class that a substitution such as "std::allocator" stands for.
func stdClass(s string) string {
	if i := strings.IndexByte(s, '<'); i >= 0 {
		s = s[:i]
	}
	return s[strings.LastIndex(s, "::")+2:]
}
