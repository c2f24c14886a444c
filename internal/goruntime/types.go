package goruntime

import "bytes"

// field is a structure field whose offset is needed.
type field int

const (
	gM field = iota
	gSched
	gSyscallSP
	gSyscallPC
	gStatus
	gID
	gWaitSince
	gWaitReason
	gLockedM
	gParent
	gGoPC
	gStartPC
	gLabels
	gSecret
	gBubble
	gPanic
	gSig
	gSigCode0
	gSigCode1
	gSigPC
	mG0
	mGSignal
	mProcID
	mCurG
	mAllLink
	mVDSOSP
	mVDSOPC
	mID
	mExtraInC
	bufSP
	bufPC
	bufLR
	panicArg
	panicLink
	panicRecovered
	panicRepanicked
	panicGoexit
	bubbleID

	numFields
)

// A structure is a structure of the runtime whose type is looked up.
type structure int

const (
	typeG structure = iota
	typeM
	typeGobuf
	typePanic
	typeBubble

	numTypes
)

// runtimeTypes has the structures' names as in their type descriptors: with the star of the pointer type, which shares
// the name (TFlagExtraStar).
var runtimeTypes = [numTypes]string{"*runtime.g", "*runtime.m", "*runtime.gobuf", "*runtime._panic", "*runtime.synctestBubble"}

// fields has the name of each field. Nothing can be read without the required ones.
var fields = [numFields]struct {
	of       structure
	name     string
	required bool
}{
	gM:              {typeG, "m", true},
	gSched:          {typeG, "sched", true},
	gSyscallSP:      {typeG, "syscallsp", true},
	gSyscallPC:      {typeG, "syscallpc", true},
	gStatus:         {typeG, "atomicstatus", true},
	gID:             {typeG, "goid", true},
	gWaitSince:      {typeG, "waitsince", false},
	gWaitReason:     {typeG, "waitreason", false},
	gLockedM:        {typeG, "lockedm", false},
	gParent:         {typeG, "parentGoid", false},
	gGoPC:           {typeG, "gopc", false},
	gStartPC:        {typeG, "startpc", true},
	gLabels:         {typeG, "labels", false},
	gSecret:         {typeG, "secret", false},
	gBubble:         {typeG, "bubble", false},
	gPanic:          {typeG, "_panic", false},
	gSig:            {typeG, "sig", false},
	gSigCode0:       {typeG, "sigcode0", false},
	gSigCode1:       {typeG, "sigcode1", false},
	gSigPC:          {typeG, "sigpc", false},
	mG0:             {typeM, "g0", true},
	mGSignal:        {typeM, "gsignal", true},
	mProcID:         {typeM, "procid", true},
	mCurG:           {typeM, "curg", true},
	mAllLink:        {typeM, "alllink", true},
	mVDSOSP:         {typeM, "vdsoSP", false},
	mVDSOPC:         {typeM, "vdsoPC", false},
	mID:             {typeM, "id", false},
	mExtraInC:       {typeM, "isExtraInC", false},
	bufSP:           {typeGobuf, "sp", true},
	bufPC:           {typeGobuf, "pc", true},
	bufLR:           {typeGobuf, "lr", false},
	panicArg:        {typePanic, "arg", false},
	panicLink:       {typePanic, "link", false},
	panicRecovered:  {typePanic, "recovered", false},
	panicRepanicked: {typePanic, "repanicked", false},
	panicGoexit:     {typePanic, "goexit", false},
	bubbleID:        {typeBubble, "id", false},
}

// noField marks a field that this release of Go does not have.
const noField = -1

// Limits on the size of a structure of the runtime, and on how much of a g and an m is read. g has about 450 bytes, m about 2,000.
const (
	maxStruct = 64 << 10
	maxG      = 4096
	maxM      = 16 << 10
)

// offsets describes how the target lays out the structures.
type offsets struct {
	of   [numFields]int32
	size [numTypes]uint32
	gEnd int // how much of a g is read
	mEnd int
}

func (o *offsets) has(f field) bool { return o.of[f] >= 0 }

// typeLayout is the layout of abi.Type, and of what follows it in a StructType.
type typeLayout struct {
	tflag, kind, str, size uint64 // offsets, and the size of abi.Type
	fields, numFields      uint64 // of StructType: address and length of the slice
	fieldSize, fieldOff    uint64 // of StructField, and where its offset is
	elem                   uint64 // of PtrType
}

// layout derives the layout from the word size: Size_ and PtrBytes are words, Hash 32 bits, TFlag, Align_, FieldAlign_ and
// Kind_ bytes, Equal and GCData words, Str and PtrToThis 32 bits. A StructType continues with PkgPath and the slice Fields.
func (t *target) layout() typeLayout {
	w := t.word
	size := 4*w + 16
	return typeLayout{tflag: 2*w + 4, kind: 2*w + 7, str: 4*w + 8, size: size, fields: size + w, numFields: size + 2*w,
		fieldSize: 3 * w, fieldOff: 2 * w, elem: size}
}

// Kinds of internal/abi/type.go, and the mask that removes the flags that releases before 1.24 have in the same byte.
const (
	kindMask       = 1<<5 - 1
	kindBool       = 1
	kindInt        = 2
	kindInt8       = 3
	kindInt16      = 4
	kindInt32      = 5
	kindInt64      = 6
	kindUint       = 7
	kindUint8      = 8
	kindUint16     = 9
	kindUint32     = 10
	kindUint64     = 11
	kindUintptr    = 12
	kindFloat32    = 13
	kindFloat64    = 14
	kindPointer    = 22
	kindString     = 24
	kindStruct     = 25
	tflagExtraStar = 1 << 1
)

// findTypes finds the type descriptors of the runtime's structures by name, and records the offsets of their fields.
func (f *finder) findTypes() bool {
	o := &f.p.off
	for i := range f.p.modules[:f.p.nmodules] {
		for k := range o.of {
			o.of[k] = noField
		}
		if f.findTypesIn(&f.p.modules[i]) {
			f.p.modules[0], f.p.modules[i] = f.p.modules[i], f.p.modules[0] // the one with the runtime must be first
			return f.measure()
		}
	}
	return false
}

func (f *finder) findTypesIn(m *module) bool {
	// The names. Each is stored once, and referred to by its offset from types.
	var nameOff [numTypes]uint32
	const first = "*runtime."
	f.scan(m.types, m.etypes, 64, func(addr uint64, b []byte) bool {
		for i := 2; ; i++ {
			k := bytes.Index(b[min(i, len(b)):], []byte(first))
			if k < 0 {
				return false
			}
			i += k
			for t, name := range runtimeTypes {
				if int(b[i-1]) == len(name) && len(b)-i >= len(name) && string(b[i:i+len(name)]) == name && nameOff[t] == 0 {
					nameOff[t] = uint32(addr + uint64(i) - 2 - m.types)
				}
			}
		}
	})
	l := f.layout()
	f.scan(m.types, m.etypes, int(l.size), func(addr uint64, b []byte) bool {
		for i := uint64(0); i+l.size <= uint64(len(b)); i += f.word {
			if b[i+l.kind]&kindMask != kindStruct || b[i+l.tflag]&tflagExtraStar == 0 {
				continue
			}
			off := f.u32(b[i+l.str:])
			if off == 0 {
				continue
			}
			for t := range nameOff {
				if nameOff[t] == off {
					f.takeType(structure(t), addr+i, &l)
				}
			}
		}
		return false
	})
	for k := range fields {
		if fields[k].required && !f.p.off.has(field(k)) {
			return false
		}
	}
	return true
}

// maxStructFields is the maximum number of fields of a structure: m has about 90.
const maxStructFields = 512

// takeType records the offsets in one type descriptor. A type of another package named runtime has other fields.
func (f *finder) takeType(t structure, addr uint64, l *typeLayout) {
	size, ok := f.ptrAt(addr)
	at, ok1 := f.ptrAt(addr + l.fields)
	n, ok2 := f.ptrAt(addr + l.numFields)
	if !ok || !ok1 || !ok2 || size == 0 || size > maxStruct || n == 0 || n > maxStructFields {
		return
	}
	var found [numFields]int32
	for k := range found {
		found[k] = noField
	}
	var buf [32]byte
	for i := range n {
		nameAt, ok := f.ptrAt(at + i*l.fieldSize)
		off, ok1 := f.ptrAt(at + i*l.fieldSize + l.fieldOff)
		if !ok || !ok1 {
			return
		}
		if off >= size {
			return
		}
		name := f.name(nameAt, buf[:])
		for k := range fields {
			if fields[k].of == t && fields[k].name == string(name) {
				found[k] = int32(off)
			}
		}
	}
	for k := range fields {
		if fields[k].of == t && fields[k].required && found[k] == noField {
			return
		}
	}
	for k := range fields {
		if fields[k].of == t {
			f.p.off.of[k] = found[k]
		}
	}
	f.p.off.size[t] = uint32(size)
}

// measure determines how much of a g and of an m must be read.
func (f *finder) measure() bool {
	o := &f.p.off
	for k := range fields {
		if !o.has(field(k)) {
			continue
		}
		end := int(o.of[k]) + 8
		switch fields[k].of {
		case typeG:
			o.gEnd = max(o.gEnd, end)
		case typeM:
			o.mEnd = max(o.mEnd, end)
		case typeGobuf:
			o.gEnd = max(o.gEnd, int(o.of[gSched])+end)
		}
	}
	o.gEnd = min(o.gEnd, int(o.size[typeG]))
	o.mEnd = min(o.mEnd, int(o.size[typeM]))
	return o.gEnd >= 4*int(f.word) && o.gEnd <= maxG && o.mEnd >= int(f.word) && o.mEnd <= maxM
}

// ptrOf, like the functions after it, reads a field from the bytes of a structure. A missing field reads as 0.
func (p *Program) ptrOf(b []byte, k field) uint64 { return p.ptrIn(b, k, 0) }

func (p *Program) ptrIn(b []byte, k field, base int32) uint64 {
	at := int(p.off.of[k])
	if at < 0 || at+int(base)+int(p.word) > len(b) {
		return 0
	}
	return p.ptr(b[at+int(base):])
}

func (p *Program) u32Of(b []byte, k field) uint32 {
	at := int(p.off.of[k])
	if at < 0 || at+4 > len(b) {
		return 0
	}
	return p.u32(b[at:])
}

func (p *Program) u64Of(b []byte, k field) uint64 {
	at := int(p.off.of[k])
	if at < 0 || at+8 > len(b) {
		return 0
	}
	return p.u64(b[at:])
}

func (p *Program) byteOf(b []byte, k field) byte {
	at := int(p.off.of[k])
	if at < 0 || at >= len(b) {
		return 0
	}
	return b[at]
}

// bufOf reads a field of g.sched.
func (p *Program) bufOf(g []byte, k field) uint64 { return p.ptrIn(g, k, p.off.of[gSched]) }
