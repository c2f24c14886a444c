package goruntime

import (
	"encoding/binary"
	"slices"
	"sync"
	"unsafe"

	"minidump/context"
	"minidump/internal/snapshot"
)

// testSpace returns pieces of one buffer without clearing them: they contain what the previous user left.
type testSpace struct{ used int }

var testBuffer = sync.OnceValue(func() []byte { return make([]byte, 96<<20) })

func (s *testSpace) Piece(n int) []byte {
	buf := testBuffer()
	at := s.used + int(-uintptr(unsafe.Pointer(&buf[s.used]))&15)
	if n > len(buf)-at-16 {
		return nil
	}
	s.used = at + n
	return buf[at:s.used:s.used]
}

// synth is the memory of a synthetic Go program: one piece that contains all tables of the runtime, so that any
// architecture and byte order can be read on any machine.
type synth struct {
	snapshot.Whole
	target
	o    binary.ByteOrder
	b    []byte // memory from synthBase on
	free int    // where the next allocation goes
	gs   int    // offset of the first g
}

const (
	synthBase = 0x10000
	synthSize = 0x20000
	// Offsets of the parts.
	synthText   = 0x1000
	synthTypes  = 0x3000
	synthPcln   = 0x6000
	synthGofunc = 0xa000
	synthData   = 0xb000
	synthBSS    = 0xd000
	synthHeap   = 0xe000
)

func (s *synth) Read(addr uint64, p []byte) int {
	if addr < synthBase || addr-synthBase >= uint64(len(s.b)) {
		return 0
	}
	return copy(p, s.b[addr-synthBase:])
}

func (s *synth) ReadV(reqs []Request) {
	for i := range reqs {
		reqs[i].Got = s.Read(reqs[i].Addr, reqs[i].Dst)
	}
}

func (s *synth) From(addr uint64) []byte {
	if addr < synthBase || addr-synthBase >= uint64(len(s.b)) {
		return nil
	}
	return s.b[addr-synthBase:]
}

func (s *synth) at(off int) uint64 { return synthBase + uint64(off) }

func (s *synth) putPtr(off int, v uint64) {
	if s.word == 4 {
		s.o.PutUint32(s.b[off:], uint32(v))
	} else {
		s.o.PutUint64(s.b[off:], v)
	}
}

// words puts words one after another and returns the offset after them.
func (s *synth) words(off int, v ...uint64) int {
	for _, w := range v {
		s.putPtr(off, w)
		off += int(s.word)
	}
	return off
}

// alloc allocates n bytes of the heap.
func (s *synth) alloc(n int) int {
	off := (s.free + 15) &^ 15
	s.free = off + n
	return off
}

func (s *synth) image() *Image {
	return &Image{Arch: s.arch, Order: s.o, Ranges: []Range{
		{Lo: s.at(0), Hi: s.at(synthTypes), Exec: true},
		{Lo: s.at(synthTypes), Hi: s.at(synthData)},
		{Lo: s.at(synthData), Hi: s.at(synthHeap), Writable: true},
	}}
}

// synthFunc is a function of the synthetic program. Each is 0x100 bytes long.
type synthFunc struct {
	name    string
	frame   uint64 // how many bytes of stack its prologue of 0x10 bytes allocates
	flag    byte
	id      byte
	line    int
	inlined string // a function that is inlined from offset 0x40 on
}

var synthFuncs = []synthFunc{
	{name: "runtime.goexit", flag: funcTopFrame, id: 8, line: 10},
	{name: "runtime.gopark", frame: 0x40, line: 100},
	{name: "runtime.main", frame: 0x50, id: 17, line: 200},
	{name: "main.main", frame: 0x80, line: 300, inlined: "main.inlined"},
	{name: "main.worker", frame: 0x60, line: 400},
	{name: "main.leaf", frame: 0, line: 500},
	{name: "runtime.sigpanic", frame: 0x40, id: 20, line: 600},
	{name: "main.(*T).wrapper", frame: 0x20, id: 23, line: 700},
	{name: "runtime.bgsweep", frame: 0x20, line: 800},
	{name: "runtime.gogo", frame: 0, flag: funcSPWrite, id: 9, line: 900},
}

// pc returns the address off bytes from the start of a function.
func (s *synth) pc(name string, off uint64) uint64 {
	i := slices.IndexFunc(synthFuncs, func(f synthFunc) bool { return f.name == name })
	return s.at(synthText) + uint64(i)*0x100 + off
}

func (s *synth) appendU32(b []byte, v uint32) []byte {
	b = append(b, 0, 0, 0, 0)
	s.o.PutUint32(b[len(b)-4:], v)
	return b
}

func appendUvarint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

// pcTable encodes a pc-value table: values and the offsets at which they end.
func (s *synth) pcTable(quantum uint64, pairs ...int) []byte {
	var b []byte
	last, at := -1, 0
	for i := 0; i < len(pairs); i += 2 {
		d := pairs[i] - last
		u := uint64(d) << 1
		if d < 0 {
			u = uint64(^d)<<1 | 1
		}
		b = appendUvarint(b, u)
		b = appendUvarint(b, uint64(pairs[i+1]-at)/quantum)
		last, at = pairs[i], pairs[i+1]
	}
	return append(b, 0)
}

func (s *synth) quantum() uint64 {
	switch s.arch {
	case context.X86, context.AMD64:
		return 1
	case context.S390X, context.RISCV64:
		return 2
	}
	return 4
}

// synthFields is a layout of the structures that no release of Go has.
var synthFields = map[structure][]string{
	typeG: {"stack", "stack.hi", "_panic", "m", "sched", "sched.1", "sched.2", "syscallsp", "syscallpc", "pad", "atomicstatus", "labels", "goid",
		"goid.1", "waitsince", "waitsince.1", "waitreason", "lockedm", "parentGoid", "parent.1", "gopc", "startpc", "secret", "bubble"},
	typeM:      {"g0", "procid", "procid.1", "gsignal", "curg", "alllink", "vdsoSP", "vdsoPC", "id", "id.1"},
	typeGobuf:  {"pc", "sp", "lr"},
	typePanic:  {"link", "arg", "arg.1", "recovered", "repanicked", "goexit"},
	typeBubble: {"mu", "id", "id.1"},
}

func (s *synth) offset(t structure, name string) int {
	return slices.Index(synthFields[t], name) * int(s.word)
}

// newSynth builds the program. The goroutines are added by addG afterwards.
func newSynth(arch context.Arch, o binary.ByteOrder, release127 bool) *synth {
	s := &synth{target: newTarget(arch, o), o: o, b: make([]byte, synthSize), free: synthHeap}
	w := int(s.word)
	q := s.quantum()

	// pclntab
	names, files, cus, pctab := []byte{0}, []byte("\x00"), []byte{}, []byte{0}
	nameAt := map[string]uint32{}
	putName := func(n string) uint32 {
		if at, ok := nameAt[n]; ok {
			return at
		}
		nameAt[n] = uint32(len(names))
		names = append(append(names, n...), 0)
		return nameAt[n]
	}
	putTable := func(b []byte) uint32 {
		at := len(pctab)
		pctab = append(pctab, b...)
		return uint32(at)
	}
	fileAt := len(files)
	files = append(files, "/src/file.go\x00"...)
	cus = s.appendU32(cus, uint32(fileAt))
	gofunc := synthGofunc
	n := len(synthFuncs)
	ftab := 8*n + 4
	table := make([]byte, (ftab+7)&^7)
	for i, f := range synthFuncs {
		o.PutUint32(table[8*i:], uint32(i*0x100))
		o.PutUint32(table[8*i+4:], uint32(len(table)))
		var r []byte
		u32 := func(v uint32) { r = s.appendU32(r, v) }
		u32(uint32(i * 0x100))
		u32(putName(f.name))
		u32(0)
		u32(0)
		if f.frame == 0 {
			u32(putTable(s.pcTable(q, 0, 0x100)))
		} else {
			u32(putTable(s.pcTable(q, 0, 0x10, int(f.frame), 0x100)))
		}
		u32(putTable(s.pcTable(q, 0, 0x100)))
		u32(putTable(s.pcTable(q, f.line, 0x40, f.line+50, 0x100)))
		u32(3) // npcdata
		u32(0) // cuOffset
		u32(uint32(f.line - 1))
		r = append(r, f.id, f.flag, 0, 4)
		u32(0)
		u32(0)
		if f.inlined != "" {
			u32(putTable(s.pcTable(q, -1, 0x40, 0, 0x100)))
		} else {
			u32(0)
		}
		for range 3 {
			u32(1<<32 - 1)
		}
		if f.inlined != "" {
			u32(uint32(gofunc - synthGofunc))
			e := s.b[gofunc:]
			o.PutUint32(e[4:], putName(f.inlined))
			o.PutUint32(e[8:], 0x20)
			o.PutUint32(e[12:], uint32(f.line+49))
			gofunc += inlineSize
		} else {
			u32(1<<32 - 1)
		}
		table = append(table, r...)
	}
	o.PutUint32(table[8*n:], uint32(n*0x100))

	at := synthPcln
	o.PutUint32(s.b[at:], pclntabMagic)
	s.b[at+6], s.b[at+7] = byte(q), byte(w)
	head := 8 + headerWords*w
	place := func(b []byte) (off int) {
		off = (head + 7) &^ 7
		copy(s.b[at+off:], b)
		head = off + len(b)
		return off
	}
	offNames, offCUs, offFiles, offTab, offFuncs := place(names), place(cus), place(files), place(pctab), place(table)
	s.words(at+8, uint64(n), 1, 0, uint64(offNames), uint64(offCUs), uint64(offFiles), uint64(offTab), uint64(offFuncs))

	// moduledata
	slice := func(off, n int) []uint64 { return []uint64{s.at(off), uint64(n), uint64(n)} }
	md := []uint64{s.at(synthPcln)}
	md = append(md, slice(at+offNames, len(names))...)
	md = append(md, slice(at+offCUs, 1)...)
	md = append(md, slice(at+offFiles, len(files))...)
	md = append(md, slice(at+offTab, len(pctab))...)
	md = append(md, slice(at+offFuncs, len(table))...)
	md = append(md, slice(at+offFuncs, n+1)...)
	text, etext := s.at(synthText), s.at(synthText+n*0x100)
	md = append(md, 0, text, etext, text, etext, // findfunctab, minpc, maxpc, text, etext
		s.at(synthData), s.at(synthData+0x1000), s.at(synthData+0x1000), s.at(synthBSS), // noptrdata, data
		s.at(synthBSS), s.at(synthBSS+0x800), s.at(synthBSS+0x800), s.at(synthHeap), // bss, noptrbss
		0, 0, s.at(synthHeap), 0, 0) // covctrs, end, gcdata, gcbss
	if release127 {
		md = append(md, s.at(synthTypes), 0x2000, s.at(synthPcln), 0, 0, s.at(synthTypes), s.at(synthGofunc), s.at(synthGofunc))
	} else {
		md = append(md, s.at(synthTypes), s.at(synthPcln), s.at(synthTypes), s.at(synthGofunc), s.at(synthGofunc))
	}
	md = append(md, s.at(synthData+0xf00), 1, 1) // textsectmap
	s.words(synthData+0x100, md...)

	// Build information, and the texts of reasons.
	info := s.b[synthData+0x20:]
	copy(info, buildInfoMagic)
	info[14], info[15] = byte(w), 2
	mod := "0123456789abcdef" + "path\tmain\nmod\tmain\t(devel)\n" + "0123456789abcdef"
	text2 := appendUvarint(nil, 7)
	text2 = append(text2, "go1.999"...)
	text2 = append(appendUvarint(text2, uint64(len(mod))), mod...)
	copy(info[buildInfoHead:], text2)
	reasons := []string{"", "GC assist marking", "chan receive", "sleep"}
	p, t := synthData+0x1000, synthGofunc+0x400
	for _, r := range reasons {
		if r == "" {
			p = s.words(p, 0, 0)
			continue
		}
		copy(s.b[t:], r)
		p = s.words(p, s.at(t), uint64(len(r)))
		t += len(r)
	}

	// Types.
	typ, name := synthTypes+0x40, synthTypes+0x1800
	putTypeName := func(n string) int {
		at := name
		s.b[name+1] = byte(len(n))
		copy(s.b[name+2:], n)
		name += 2 + len(n)
		return at
	}
	l := s.layout()
	for k := range numTypes {
		fs := synthFields[k]
		at := typ
		typ += int(l.size) + 4*w
		s.putPtr(at, uint64(len(fs)*w))
		s.b[at+int(l.kind)], s.b[at+int(l.tflag)] = kindStruct, tflagExtraStar
		o.PutUint32(s.b[at+int(l.str):], uint32(putTypeName(runtimeTypes[k])-synthTypes))
		s.putPtr(at+int(l.fields), s.at(typ))
		s.putPtr(at+int(l.numFields), uint64(len(fs)))
		for i, f := range fs {
			typ = s.words(typ, s.at(putTypeName(f)), 0, uint64(i*w))
		}
		typ = (typ + 15) &^ 15
	}

	// m0 and its g0 in the BSS; allgs; allm.
	m0, g0 := synthBSS+0x100, synthBSS+0x300
	s.putPtr(m0, s.at(g0))
	s.putPtr(g0+s.offset(typeG, "m"), s.at(m0))
	s.words(g0, s.at(synthHeap+0x8000), s.at(synthHeap+0x9000))
	s.putPtr(synthBSS+0x40, s.at(m0))
	array := s.alloc(16 * w)
	s.words(synthBSS+0x20, s.at(array), 0, 16)
	s.gs = array
	return s
}

// addG adds a goroutine with a stack of 4 KB and returns the offsets of the g and of the top of its stack.
func (s *synth) addG(id uint64, status uint32, start string) (g, top int) {
	w := int(s.word)
	n := 0
	for s.ptr(s.b[s.gs+n*w:]) != 0 {
		n++
	}
	g = s.alloc(len(synthFields[typeG]) * w)
	stack := s.alloc(0x1000)
	top = stack + 0x1000
	s.putPtr(s.gs+n*w, s.at(g))
	s.putPtr(synthBSS+0x20+w, uint64(n+1))
	s.words(g, s.at(stack), s.at(top))
	s.o.PutUint32(s.b[g+s.offset(typeG, "atomicstatus"):], status)
	s.o.PutUint64(s.b[g+s.offset(typeG, "goid"):], id)
	s.putPtr(g+s.offset(typeG, "startpc"), s.pc(start, 0))
	return g, top
}

// call is a frame of a synthetic stack: a function, and the offset in it where the next one was called.
type call struct {
	name string
	off  uint64
}

// push builds a stack of calls, outermost first, and returns PC, SP and the link register in the innermost one.
func (s *synth) push(top int, calls ...call) (pc, sp, lr uint64) {
	w := int(s.word)
	at := top
	ret := uint64(0) // the function's return address
	for i, c := range calls {
		f := synthFuncs[slices.IndexFunc(synthFuncs, func(f synthFunc) bool { return f.name == c.name })]
		if i > 0 && !s.usesLR() {
			at -= w
			s.putPtr(at, ret)
		}
		size := int(f.frame)
		if c.off < 0x10 {
			size = 0
		}
		at -= size
		if s.usesLR() {
			if size > 0 {
				s.putPtr(at, ret)
			}
			lr = ret
		}
		ret = s.pc(c.name, c.off)
	}
	return ret, s.at(at), lr
}

// park makes a goroutine wait in a stack of calls.
func (s *synth) park(g int, reason byte, top int, calls ...call) {
	pc, sp, lr := s.push(top, calls...)
	sched := g + s.offset(typeG, "sched")
	s.putPtr(sched+s.offset(typeGobuf, "pc"), pc)
	s.putPtr(sched+s.offset(typeGobuf, "sp"), sp)
	s.putPtr(sched+s.offset(typeGobuf, "lr"), lr)
	s.b[g+s.offset(typeG, "waitreason")] = reason
}
