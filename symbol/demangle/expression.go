package demangle

import (
	"strconv"
	"strings"
)

// operator is an <operator-name>.
type operator struct {
	text string
	args int // operands in an expression
}

var operators = map[string]operator{
	"aN": {"&=", 2}, "aS": {"=", 2}, "aa": {"&&", 2}, "ad": {"&", 1}, "an": {"&", 2}, "at": {"alignof ", 1}, "aw": {"co_await ", 1},
	"az": {"alignof ", 1}, "cl": {"()", 2}, "cm": {",", 2}, "co": {"~", 1}, "dV": {"/=", 2}, "da": {"delete[] ", 1}, "de": {"*", 1},
	"dl": {"delete ", 1}, "ds": {".*", 2}, "dt": {".", 2}, "dv": {"/", 2}, "eO": {"^=", 2}, "eo": {"^", 2}, "eq": {"==", 2},
	"ge": {">=", 2}, "gs": {"::", 1}, "gt": {">", 2}, "ix": {"[]", 2}, "lS": {"<<=", 2}, "le": {"<=", 2}, "ls": {"<<", 2},
	"lt": {"<", 2}, "mI": {"-=", 2}, "mL": {"*=", 2}, "mi": {"-", 2}, "ml": {"*", 2}, "mm": {"--", 1}, "na": {"new[]", 3},
	"ne": {"!=", 2}, "ng": {"-", 1}, "nt": {"!", 1}, "nw": {"new", 3}, "oR": {"|=", 2}, "oo": {"||", 2}, "or": {"|", 2},
	"pL": {"+=", 2}, "pl": {"+", 2}, "pm": {"->*", 2}, "pp": {"++", 1}, "ps": {"+", 1}, "pt": {"->", 2}, "qu": {"?", 3},
	"rM": {"%=", 2}, "rS": {">>=", 2}, "rm": {"%", 2}, "rs": {">>", 2}, "ss": {"<=>", 2}, "st": {"sizeof ", 1}, "sz": {"sizeof ", 1},
	"sZ": {"sizeof...", 1}, "tw": {"throw ", 1},
}

var casts = map[string]string{"cc": "const_cast", "dc": "dynamic_cast", "rc": "reinterpret_cast", "sc": "static_cast"}

// operatorName: <operator-name>.
func (p *parser) operatorName() *node {
	code := p.take(2)
	switch code {
	case "cv":
		p.convert++
		n := &node{kind: kindConversion, a: p.typ()}
		p.convert--
		return n
	case "li":
		return &node{kind: kindPrefixed, s: `operator"" `, a: p.source()}
	}
	op, ok := operators[code]
	if !ok {
		fail()
	}
	return &node{kind: kindOperator, s: op.text}
}

// special: <special-name>.
func (p *parser) special() *node {
	type form struct{ code, text string }
	for _, f := range []form{{"TV", "vtable for "}, {"TT", "VTT for "}, {"TI", "typeinfo for "}, {"TS", "typeinfo name for "}} {
		if p.eat(f.code) {
			return &node{kind: kindPrefixed, s: f.text, a: p.typ()}
		}
	}
	for _, f := range []form{{"GV", "guard variable for "}, {"TH", "TLS init function for "}, {"TW", "TLS wrapper function for "}} {
		if p.eat(f.code) {
			n, _ := p.name(false)
			return &node{kind: kindPrefixed, s: f.text, a: n}
		}
	}
	switch {
	case p.eat("Th"):
		p.callOffset('h')
		return &node{kind: kindPrefixed, s: "non-virtual thunk to ", a: p.encoding(false)}
	case p.eat("Tv"):
		p.callOffset('v')
		return &node{kind: kindPrefixed, s: "virtual thunk to ", a: p.encoding(false)}
	case p.eat("Tc"):
		p.callOffset(p.next())
		p.callOffset(p.next())
		return &node{kind: kindPrefixed, s: "covariant return thunk to ", a: p.encoding(false)}
	case p.eat("TC"):
		derived := p.typ()
		p.number()
		p.want("_")
		in := &node{kind: kindPrefixed, s: "-in-", a: derived}
		return &node{kind: kindPrefixed, s: "construction vtable for ", a: &node{kind: kindBinary, a: p.typ(), b: in}}
	case p.eat("GR"):
		n, _ := p.name(false)
		number := 0
		if p.peek() != '_' && p.peek() != 0 {
			number = p.number() + 1
		}
		p.eat("_")
		return &node{kind: kindPrefixed, s: "reference temporary #" + strconv.Itoa(number) + " for ", a: n}
	case p.eat("GTt"):
		return &node{kind: kindPrefixed, s: "transaction clone for ", a: p.encoding(false)}
	}
	fail()
	return nil
}

// callOffset: <call-offset>.
func (p *parser) callOffset(kind byte) {
	p.eat("n")
	p.number()
	p.want("_")
	if kind == 'v' {
		p.eat("n")
		p.number()
		p.want("_")
	} else if kind != 'h' {
		fail()
	}
}

// literal: <expr-primary>.
func (p *parser) literal() *node {
	p.want("L")
	if p.eat("_Z") || p.peek() == 'Z' && p.eat("Z") {
		n := p.encoding(true)
		p.want("E")
		return n
	}
	n := &node{kind: kindLiteral, a: p.typ()}
	start := p.at
	for p.peek() != 'E' {
		c := p.next()
		if !isDigit(c) && !isLower(c) {
			fail()
		}
	}
	n.s = p.s[start:p.at]
	p.at++
	if n.s == "" {
		if n.a.kind != kindText || n.a.s != "decltype(nullptr)" {
			fail()
		}
		return &node{kind: kindSuffixed, a: &node{kind: kindPrefixed, s: "(", a: n.a}, s: ")0"}
	}
	return n
}

// expression: <expression>. Rare expressions are not parsed.
func (p *parser) expression() *node {
	defer p.enter()()
	switch c := p.peek(); {
	case c == 'L':
		return p.literal()
	case c == 'T':
		return p.templateParam()
	case isDigit(c):
		n := p.source()
		if p.peek() == 'I' {
			return &node{kind: kindTemplate, a: n, list: p.templateArgs(false)}
		}
		return n
	}
	code := p.take(2)
	switch code {
	case "fp":
		p.qualifiers()
		i := 1
		if p.peek() != '_' {
			i = p.number() + 2
		}
		p.want("_")
		return &node{kind: kindText, s: "{parm#" + strconv.Itoa(i) + "}"}
	case "sp":
		return &node{kind: kindExpansion, a: p.expression()}
	case "sr":
		return p.scoped()
	case "cl":
		f := p.expression()
		return &node{kind: kindCall, a: f, list: p.expressions()}
	case "cv":
		to := p.typ()
		if p.eat("_") {
			return &node{kind: kindCast, a: to, list: p.expressions()}
		}
		return &node{kind: kindCast, a: to, list: []*node{p.expression()}}
	case "tl":
		to := p.typ()
		return &node{kind: kindList, a: to, list: p.expressions()}
	case "il":
		return &node{kind: kindList, a: text(""), list: p.expressions()}
	case "st", "at":
		return &node{kind: kindUnary, s: operators[code].text, a: p.typ()}
	case "sZ":
		return p.countOfPack()
	}
	if cast, ok := casts[code]; ok {
		to := p.typ()
		return &node{kind: kindCast, s: cast, a: to, list: []*node{p.expression()}}
	}
	return p.operation(code)
}

func (p *parser) countOfPack() *node {
	n := p.expression()
	if pack := findPack(n, 0); pack != nil {
		return text(strconv.Itoa(len(pack.list)))
	}
	return &node{kind: kindSuffixed, a: &node{kind: kindPrefixed, s: "sizeof...(", a: n}, s: ")"}
}

func (p *parser) expressions() []*node {
	var list []*node
	for p.peek() != 'E' {
		list = append(list, p.expression())
	}
	p.at++
	return list
}

// scoped: <unresolved-name> with its scope. Names in it are not candidates for substitutions.
func (p *parser) scoped() *node {
	var in *node
	if isDigit(p.peek()) {
		for !p.eat("E") {
			in = p.member(in, p.source())
		}
	} else {
		in = p.typ()
	}
	p.eat("on")
	if isLower(p.peek()) {
		return p.member(in, p.operatorName())
	}
	return p.member(in, p.source())
}

// member returns a name in another, with the template arguments that may follow.
func (p *parser) member(in, n *node) *node {
	if in != nil {
		n = &node{kind: kindNested, a: in, b: n}
	}
	if p.peek() == 'I' {
		n = &node{kind: kindTemplate, a: n, list: p.templateArgs(false)}
	}
	return n
}

// operation reads the operands of an operator.
func (p *parser) operation(code string) *node {
	op, ok := operators[code]
	if !ok {
		fail()
	}
	switch code {
	case "nw", "na", "gs", "tw":
		fail()
	case "pp", "mm":
		if !p.eat("_") {
			fail() // in some versions the operator after its operand looks the same
		}
	case "dt", "pt":
		a := p.expression()
		b := p.unqualifiedExpression()
		return &node{kind: kindBinary, s: op.text, a: a, b: b}
	}
	switch op.args {
	case 1:
		return &node{kind: kindUnary, s: op.text, a: p.expression()}
	case 2:
		a := p.expression()
		return &node{kind: kindBinary, s: op.text, a: a, b: p.expression()}
	}
	return &node{kind: kindTernary, list: []*node{p.expression(), p.expression(), p.expression()}}
}

func (p *parser) unqualifiedExpression() *node {
	n := p.unqualified(nil)
	if p.peek() == 'I' {
		n = &node{kind: kindTemplate, a: n, list: p.templateArgs(false)}
	}
	return n
}

// expression writes an expression.
func (p *printer) expression(n *node) {
	switch n.kind {
	case kindLiteral:
		p.literal(n)
	case kindUnary:
		p.put(n.s)
		p.operand(n.a)
	case kindBinary:
		p.binary(n)
	case kindTernary:
		p.operand(n.list[0])
		p.put("?")
		p.operand(n.list[1])
		p.put(" : ")
		p.operand(n.list[2])
	case kindCall:
		if n.a.kind == kindEncoding {
			p.print(n.a.b)
		} else {
			p.operand(n.a)
		}
		p.put("(")
		p.commas(n.list)
		p.put(")")
	case kindCast:
		if n.s != "" {
			p.put(n.s + "<")
			p.print(n.a)
			p.put(">")
		} else {
			p.put("(")
			p.print(n.a)
			p.put(")")
		}
		p.put("(")
		p.commas(n.list)
		p.put(")")
	case kindList:
		p.print(n.a)
		p.put("{")
		p.commas(n.list)
		p.put("}")
	default:
		fail()
	}
}

func (p *printer) binary(n *node) {
	switch n.s {
	case "": // that of a construction vtable
		p.print(n.a)
		p.print(n.b)
		return
	case ">": // would look like the end of the arguments
		p.put("(")
		defer p.put(")")
	case "[]":
		p.operand(n.a)
		p.put("[")
		p.print(n.b)
		p.put("]")
		return
	}
	p.operand(n.a)
	p.put(n.s)
	p.operand(n.b)
}

// operand writes a part of an expression, in parentheses unless it is a name.
func (p *printer) operand(n *node) {
	switch p.actual(n).kind {
	case kindText, kindNested, kindList:
		p.print(n)
		return
	}
	p.put("(")
	p.print(n)
	p.put(")")
}

// literal writes a constant.
func (p *printer) literal(n *node) {
	value := n.s
	if rest, ok := strings.CutPrefix(value, "n"); ok {
		value = "-" + rest
	}
	t := p.actual(n.a)
	if t.kind == kindText {
		switch t.s {
		case "int":
			p.put(value)
			return
		case "unsigned int":
			p.put(value + "u")
			return
		case "long":
			p.put(value + "l")
			return
		case "unsigned long":
			p.put(value + "ul")
			return
		case "long long":
			p.put(value + "ll")
			return
		case "unsigned long long":
			p.put(value + "ull")
			return
		case "bool":
			if value == "0" || value == "1" {
				p.put(map[string]string{"0": "false", "1": "true"}[value])
				return
			}
		case "float", "double", "long double", "__float128":
			value = "[" + value + "]"
		}
	}
	p.put("(")
	p.print(n.a)
	p.put(")" + value)
}
