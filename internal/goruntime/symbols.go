package goruntime

import "minidump/stream"

// Limits on the results of one Encode.
const (
	maxEntries  = 1 << 16 // distinct PCs
	maxFrames   = 1 << 17 // distinct frames
	maxStrings  = 1 << 16
	maxBlob     = 8 << 20 // bytes of all strings
	maxName     = 4096    // bytes of one of them
	maxInlined  = 128     // frames of one PC
	maxSteps    = 1 << 26 // steps through pc-value tables
	maxPCData   = 1 << 10
	cachePages  = 256
	encodePages = 1 << 18 // how many pages may be read
)

// fn is what is needed from a runtime._func.
type fn struct {
	m                                 *module
	at, entry                         uint64
	name, pcsp, pcfile, pcln, npcdata uint32
	cu, startLine                     uint32
	id, flag, nfuncdata               uint8
}

// Offsets in runtime._func, the same since Go 1.20, and in an entry of the tree of inlined calls (runtime.inlinedCall),
// the same since Go 1.21.
const (
	funcSize   = 44
	inlineSize = 16
	// PCDATA and FUNCDATA tables of internal/abi/symtab.go
	pcdataInlTreeIndex = 2
	funcdataInlTree    = 3
	// FuncFlag
	funcTopFrame = 1 << 0
	funcSPWrite  = 1 << 1
)

// How to interpret an entry's PC.
const (
	atCall    = iota // a return address: the call is before it
	atTrap           // where the thread is
	atCreator        // the value of g.gopc: the return address of a go statement
	atStart          // the start of a function
)

// Attributes of an entry.
const (
	entryValid    = 1 << iota // PC is in a Go function
	entryNoFrame              // without a pcsp table
	entryTop                  // FuncFlagTopFrame
	entrySPWrite              // FuncFlagSPWrite, except in cgocallback
	entryInjected             // sigpanic, asyncPreempt, debugCallV2: called by the signal handler
	entrySystem               // a goroutine that starts here belongs to the runtime
	entryCallback             // entrySystem holds unless it runs code of the program: finalizers and cleanups
	entryUser                 // a frame of the entry is outside package runtime
	entrySigpanic             // runtime.sigpanic
)

// entry is what is known about a PC.
type entry struct {
	pc    uint64
	delta int32  // distance of SP from the start of the frame
	first uint32 // of its frames
	n, a  uint16
	how   uint8
}

// symbols looks up PCs and caches the results.
type symbols struct {
	pages
	p     *Program
	steps int
	full  bool

	entries    []entry
	entryIndex []uint32 // hash table: index+1
	frames     []stream.GoFrame
	blob       []byte
	strings    []uint32 // hash table: offset in blob
	nstrings   int
	name       []byte // maxName bytes
}

func (s *symbols) init(p *Program, mem Memory, space Space, estimate int) bool {
	s.p, s.steps = p, maxSteps
	n := 256
	for n < 2*estimate && n < 2*maxEntries {
		n *= 2
	}
	s.entryIndex = alloc[uint32](space, n)
	s.entries = alloc[entry](space, min(n/2, maxEntries))
	s.frames = alloc[stream.GoFrame](space, maxFrames)
	s.strings = alloc[uint32](space, min(4*n, 2*maxStrings))
	s.blob = alloc[byte](space, maxBlob)
	s.name = alloc[byte](space, maxName)
	if s.entryIndex == nil || s.entries == nil || s.frames == nil || s.strings == nil || s.blob == nil || s.name == nil ||
		!s.pages.init(p.target, mem, space, cachePages, encodePages) {
		return false
	}
	clear(s.entryIndex)
	clear(s.strings)
	s.entries, s.frames, s.blob = s.entries[:0], s.frames[:0], s.blob[:0]
	s.blob = append(s.blob, 0, 0, 0, 0) // the empty string; within capacity
	return true
}

// put returns the offset of a string, or 0 for the empty string or if there is no space.
func (s *symbols) put(text []byte) uint32 {
	if len(text) == 0 {
		return 0
	}
	text = text[:min(len(text), maxName)]
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range text {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return s.intern(text, h)
}

func (s *symbols) intern(text []byte, h uint64) uint32 {
	mask := uint64(len(s.strings) - 1)
	for h = hash(h); ; h++ {
		e := &s.strings[h&mask]
		if *e == 0 {
			if 2*s.nstrings >= len(s.strings) || cap(s.blob)-len(s.blob) < len(text)+4 {
				s.full = true
				return 0
			}
			s.nstrings++
			*e = uint32(len(s.blob))
			s.blob = s.blob[:len(s.blob)+4]
			s.putU32(s.blob[*e:], uint32(len(text)))
			s.blob = append(s.blob, text...)
			return *e
		}
		at := *e
		if n := s.u32(s.blob[at:]); int(n) == len(text) && string(s.blob[at+4:at+4+n]) == string(text) {
			return at
		}
	}
}

// reserve makes room for a text of n bytes, of any length, that the caller fills in. The text is not shared.
func (s *symbols) reserve(n int) (uint32, []byte) {
	if n <= 0 || cap(s.blob)-len(s.blob) < n+4 {
		return 0, nil
	}
	at := len(s.blob)
	s.blob = s.blob[:at+4+n]
	s.putU32(s.blob[at:], uint32(n))
	return uint32(at), s.blob[at+4:]
}

// cstring returns the NUL-terminated text at off of table t, cut to maxName.
func (s *symbols) cstring(t table, off uint32) []byte {
	n := 0
	for uint64(off) < t.size && n < len(s.name) {
		b := s.from(t.addr + uint64(off))
		b = b[:min(uint64(len(b)), t.size-uint64(off), uint64(len(s.name)-n))]
		if len(b) == 0 {
			break
		}
		for i, c := range b {
			if c == 0 {
				return s.name[:n+copy(s.name[n:], b[:i])]
			}
		}
		n += copy(s.name[n:], b)
		off += uint32(len(b))
	}
	return s.name[:n]
}

// find returns the function that contains pc.
func (s *symbols) find(pc uint64, f *fn) bool {
	m := s.p.moduleOf(pc)
	if m == nil {
		return false
	}
	off, ok := m.textOff(pc)
	if !ok {
		return false
	}
	// Find the last function that begins at or before off.
	lo, hi := uint64(0), m.nfuncs
	for lo < hi {
		mid := (lo + hi) / 2
		v, ok := s.u32At(m.funcs.addr + 8*mid)
		if !ok {
			return false
		}
		if v <= off {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return false
	}
	at, ok := s.u32At(m.funcs.addr + 8*(lo-1) + 4)
	if !ok || uint64(at)+funcSize > m.funcs.size {
		return false
	}
	return s.take(m, m.funcs.addr+uint64(at), f)
}

func (s *symbols) take(m *module, at uint64, f *fn) bool {
	b := s.at(at, funcSize)
	if b == nil {
		return false
	}
	*f = fn{m: m, at: at, entry: m.textAddr(s.u32(b)), name: s.u32(b[4:]), pcsp: s.u32(b[16:]), pcfile: s.u32(b[20:]),
		pcln: s.u32(b[24:]), npcdata: s.u32(b[28:]), cu: s.u32(b[32:]), startLine: s.u32(b[36:]),
		id: b[40], flag: b[41], nfuncdata: b[43]}
	if f.npcdata > maxPCData {
		f.npcdata = 0
	}
	return true
}

// value looks up pc in a pc-value table at off of pctab: pairs of a signed difference of the value and a difference of the PC, in
// units of the quantum, both as varints. A value difference of 0 ends the table. Like the runtime it returns -1 if there is no value.
func (s *symbols) value(f *fn, off uint32, pc uint64) int32 {
	t := &f.m.pctab
	if off == 0 || uint64(off) >= t.size {
		return -1
	}
	at, end := t.addr+uint64(off), t.addr+t.size
	b := s.from(at)
	next := func() (uint32, bool) { // one varint
		v, shift := uint32(0), 0
		for shift < 35 {
			if len(b) == 0 {
				if at >= end {
					return 0, false
				}
				if b = s.from(at); len(b) == 0 {
					return 0, false
				}
			}
			c := b[0]
			b = b[1:]
			at++
			v |= uint32(c&0x7f) << shift
			if c < 0x80 {
				return v, true
			}
			shift += 7
		}
		return 0, false
	}
	val, here := int32(-1), f.entry
	for first := true; s.steps > 0; first = false {
		s.steps--
		d, ok := next()
		if !ok || d == 0 && !first {
			return -1
		}
		if d&1 != 0 {
			val += int32(^(d >> 1))
		} else {
			val += int32(d >> 1)
		}
		if d, ok = next(); !ok {
			return -1
		}
		here += uint64(d) * f.m.quantum
		if pc < here {
			return val
		}
	}
	s.full = true
	return -1
}

// fileLine does the same as runtime.funcline1.
func (s *symbols) fileLine(f *fn, pc uint64) (file, line uint32) {
	no := s.value(f, f.pcfile, pc)
	ln := s.value(f, f.pcln, pc)
	if no < 0 || ln < 0 {
		return 0, 0
	}
	at := 4 * (uint64(f.cu) + uint64(no))
	if at+4 > f.m.cus.size {
		return 0, uint32(ln)
	}
	off, ok := s.u32At(f.m.cus.addr + at)
	if !ok || off == 1<<32-1 {
		return 0, uint32(ln)
	}
	return s.put(s.cstring(f.m.files, off)), uint32(ln)
}

// addFrame adds a frame. It returns false if there is no space.
func (s *symbols) addFrame(e *entry, f stream.GoFrame) bool {
	if len(s.frames) == cap(s.frames) || int(e.n) == maxInlined {
		s.full = true
		return false
	}
	s.frames = append(s.frames, f)
	e.n++
	return true
}

// lookup returns what is known about pc. The entry is valid until the next lookup.
func (s *symbols) lookup(pc uint64, how uint8) *entry {
	mask := uint64(len(s.entryIndex) - 1)
	h := hash(pc<<2 | uint64(how))
	for ; ; h++ {
		i := s.entryIndex[h&mask]
		if i == 0 {
			break
		}
		if e := &s.entries[i-1]; e.pc == pc && e.how == how {
			return e
		}
	}
	if len(s.entries) == cap(s.entries) { // the last entry is reused
		s.full = true
		e := &s.entries[len(s.entries)-1]
		if e.how != overflow {
			*e = entry{how: overflow} // so that the index no longer finds the old entry
		}
		e.pc, e.n, e.first = pc, 0, uint32(len(s.frames))
		s.resolve(e, how)
		return e
	}
	s.entries = append(s.entries, entry{pc: pc, how: how, first: uint32(len(s.frames))})
	s.entryIndex[h&mask] = uint32(len(s.entries))
	e := &s.entries[len(s.entries)-1]
	s.resolve(e, how)
	return e
}

// overflow marks the entry that is reused when the table is full.
const overflow = 0xff

// resolve fills in the entry.
func (s *symbols) resolve(e *entry, how uint8) {
	pc := e.pc
	e.a = 0
	var f fn
	if !s.find(pc, &f) {
		if how == atTrap {
			s.addFrame(e, stream.GoFrame{PC: pc})
		}
		return
	}
	e.a = entryValid
	if f.pcsp == 0 {
		e.a |= entryNoFrame
	}
	if f.flag&funcTopFrame != 0 {
		e.a |= entryTop
	}
	name := s.cstring(f.m.names, f.name)
	special := specialName(name)
	if f.flag&funcSPWrite != 0 && special != nameCGOCallback {
		e.a |= entrySPWrite
	}
	if special == nameInjected {
		e.a |= entryInjected
	}
	if string(name) == "runtime.sigpanic" {
		e.a |= entrySigpanic
	}
	if how == atStart {
		switch {
		case special == nameUserStart:
		case special == nameCallback:
			e.a |= entrySystem | entryCallback
		case hasPrefix(name, "runtime."):
			e.a |= entrySystem
		}
	}
	if how == atCall || how == atTrap {
		e.delta = s.value(&f, f.pcsp, pc)
	}
	s.expand(e, &f, how)
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// expand adds the frames of the functions inlined at the entry's PC, innermost first, and of the function itself, as
// runtime.inlineUnwinder does.
func (s *symbols) expand(e *entry, f *fn, how uint8) {
	pc := e.pc
	switch {
	case how == atCall && pc > f.entry:
		pc--
	case how == atCreator && pc > f.entry:
		pc -= f.m.quantum
	}
	frame := stream.GoFrame{PC: e.pc, Offset: uint32(e.pc - f.entry)}
	if how == atCall || how == atTrap {
		tree, index := s.inlineTree(f)
		for tree != 0 {
			i := s.value(f, index, pc)
			if i < 0 || int(e.n) == maxInlined-1 {
				break
			}
			b := s.at(tree+uint64(i)*inlineSize, inlineSize)
			if b == nil {
				break
			}
			id, name, parent, start := b[0], s.u32(b[4:]), s.u32(b[8:]), s.u32(b[12:])
			frame.Flags = stream.GoInlined
			frame.StartLine = start
			s.nameFrame(e, &frame, f.m, name, id)
			frame.File, frame.Line = s.fileLine(f, pc)
			if !s.addFrame(e, frame) {
				return
			}
			pc = f.entry + uint64(parent)
		}
	}
	frame.Flags = 0
	frame.StartLine = f.startLine
	s.nameFrame(e, &frame, f.m, f.name, f.id)
	frame.File, frame.Line = s.fileLine(f, pc)
	s.addFrame(e, frame)
}

// nameFrame sets the function of a frame. A function id that is not one of the runtime's special ones is that of a wrapper
// (FuncIDWrapper of internal/abi, whose number differs between releases).
func (s *symbols) nameFrame(e *entry, f *stream.GoFrame, m *module, name uint32, id uint8) {
	b := s.cstring(m.names, name)
	if id != 0 && specialName(b) == nameOrdinary {
		f.Flags |= stream.GoWrapper
	}
	if !hasPrefix(b, "runtime.") {
		e.a |= entryUser
	}
	f.Function = s.put(b)
}

// inlineTree returns the address of the function's tree of inlined calls and the offset of the table that indexes it, or
// 0 if there is no tree.
func (s *symbols) inlineTree(f *fn) (tree uint64, index uint32) {
	if f.npcdata <= pcdataInlTreeIndex || f.nfuncdata <= funcdataInlTree {
		return 0, 0
	}
	index, ok := s.u32At(f.at + funcSize + 4*pcdataInlTreeIndex)
	off, ok2 := s.u32At(f.at + funcSize + 4*uint64(f.npcdata) + 4*funcdataInlTree)
	if !ok || !ok2 || off == 1<<32-1 {
		return 0, 0
	}
	return f.m.gofunc + uint64(off), index
}

// The purpose of a function of the runtime, as far as it matters here.
const (
	nameOrdinary    = iota
	nameSpecial     // has a FuncID of its own
	nameInjected    // isInjectedCall
	nameCGOCallback // switches stacks, and yet has a frame on both
	nameUserStart   // a goroutine that starts here belongs to the program (isSystemGoroutine)
	nameCallback    // a goroutine that starts here belongs to the program if it runs code of it
)

// specialName classifies the functions that have a FuncID (cmd/internal/objabi/funcid.go; runfinq until Go 1.24).
func specialName(b []byte) int {
	if !hasPrefix(b, "runtime.") {
		return nameOrdinary
	}
	switch string(b[len("runtime."):]) {
	case "sigpanic", "asyncPreempt", "debugCallV2":
		return nameInjected
	case "cgocallback":
		return nameCGOCallback
	case "main", "corostart", "handleAsyncEvent":
		return nameUserStart
	case "runFinalizers", "runCleanups", "runfinq":
		return nameCallback
	case "abort", "asmcgocall", "gcBgMarkWorker", "rt0_go", "goexit", "gogo", "gopanic", "mcall", "morestack", "mstart",
		"panicwrap", "systemstack_switch", "systemstack":
		return nameSpecial
	}
	return nameOrdinary
}

func (t *target) putU32(b []byte, v uint32) {
	_ = b[3]
	if t.big {
		b[0], b[1], b[2], b[3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	} else {
		b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
	}
}
