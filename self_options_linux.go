package minidump

import (
	"encoding/binary"
	"time"
	"unsafe"

	"minidump/context"
	"minidump/stream"
)

// Options as a helper receives them: numbers as uvarint, bytes preceded by their length. Both processes run the same
// program.

type optionsEncoder struct{ b []byte }

// number is not inlined: it has so many callers that inlining makes each dumper pages larger.
//
//go:noinline
func (e *optionsEncoder) number(v uint64) { e.b = binary.AppendUvarint(e.b, v) }

func (e *optionsEncoder) flag(v bool) {
	n := uint64(0)
	if v {
		n = 1
	}
	e.number(n)
}

//go:noinline
func (e *optionsEncoder) text(s string) {
	e.number(uint64(len(s)))
	e.b = append(e.b, s...)
}

func encodeOptions(o *Options) []byte {
	e := &optionsEncoder{}
	e.number(uint64(o.Thread))
	if e.flag(o.Crash != nil); o.Crash != nil { // context.Crash has no pointers
		e.text(string(unsafe.Slice((*byte)(unsafe.Pointer(o.Crash)), unsafe.Sizeof(*o.Crash))))
	}
	e.number(uint64(o.Mode))
	e.number(o.Limit)
	e.number(o.StackLimit)
	e.number(o.CrashStackLimit)
	e.flag(o.SanitizeStacks)
	e.flag(o.SanitizeAll)
	e.flag(o.IncludeDontDump)
	e.number(uint64(o.MaxPause))
	e.number(uint64(o.Snapshot))
	e.flag(o.Tokens)
	e.number(uint64(o.Omit))
	e.flag(o.RegisterSets)
	e.flag(o.SkipUnreferencedStacks)
	e.number(o.PrincipalAddress)
	e.number(uint64(len(o.AppMemory)))
	for _, m := range o.AppMemory {
		e.number(m.Address)
		e.number(m.Size)
	}
	e.number(uint64(len(o.Annotations)))
	for _, a := range o.Annotations {
		e.text(a.Key)
		e.text(a.Value)
	}
	e.number(uint64(len(o.UserStreams)))
	for _, u := range o.UserStreams {
		e.number(uint64(u.Type))
		e.text(string(u.Data))
	}
	e.number(uint64(len(o.UserModules)))
	for _, m := range o.UserModules {
		e.number(m.Base)
		e.number(m.Size)
		e.text(m.Name)
		e.text(string(m.BuildID))
	}
	e.number(uint64(o.StopTimeout))
	e.number(uint64(len(o.ModuleAnnotations)))
	for _, m := range o.ModuleAnnotations {
		e.number(m.Address)
		e.number(uint64(len(m.Simple)))
		for _, a := range m.Simple {
			e.text(a.Key)
			e.text(a.Value)
		}
		e.number(uint64(len(m.Objects)))
		for _, v := range m.Objects {
			e.text(v.Name)
			e.number(uint64(v.Type))
			e.text(string(v.Value))
		}
	}
	return e.b
}

type optionsDecoder struct {
	b   []byte
	bad bool
}

func (d *optionsDecoder) number() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *optionsDecoder) flag() bool { return d.number() != 0 }

func (d *optionsDecoder) text() string {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

// count returns the length of a list. Every element is at least one byte long.
func (d *optionsDecoder) count() int {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return 0
	}
	return int(n)
}

// decodeOptions is the inverse of encodeOptions. It returns false if encodeOptions cannot have made b.
func decodeOptions(b []byte) (*Options, bool) {
	d := &optionsDecoder{b: b}
	o := &Options{Thread: int(d.number())}
	if d.flag() {
		o.Crash = new(context.Crash)
		raw := unsafe.Slice((*byte)(unsafe.Pointer(o.Crash)), unsafe.Sizeof(*o.Crash))
		s := d.text()
		d.bad = d.bad || len(s) != len(raw)
		if !d.bad && !validBools(s) {
			d.bad = true
		}
		if !d.bad {
			copy(raw, s)
		}
	}
	o.Mode = Mode(d.number())
	o.Limit, o.StackLimit, o.CrashStackLimit = d.number(), d.number(), d.number()
	o.SanitizeStacks, o.SanitizeAll = d.flag(), d.flag()
	o.IncludeDontDump = d.flag()
	o.MaxPause = time.Duration(d.number())
	o.Snapshot = Snapshot(d.number())
	o.Tokens = d.flag()
	o.Omit = Omit(d.number())
	o.RegisterSets, o.SkipUnreferencedStacks = d.flag(), d.flag()
	o.PrincipalAddress = d.number()
	for range d.count() {
		o.AppMemory = append(o.AppMemory, AppMemory{d.number(), d.number()})
	}
	for range d.count() {
		o.Annotations = append(o.Annotations, Annotation{d.text(), d.text()})
	}
	for range d.count() {
		o.UserStreams = append(o.UserStreams, UserStream{stream.Type(d.number()), []byte(d.text())})
	}
	for range d.count() {
		o.UserModules = append(o.UserModules, UserModule{d.number(), d.number(), d.text(), []byte(d.text())})
	}
	o.StopTimeout = time.Duration(d.number())
	for range d.count() {
		o.ModuleAnnotations = append(o.ModuleAnnotations, d.moduleAnnotations())
	}
	return o, !d.bad && len(d.b) == 0
}

func (d *optionsDecoder) moduleAnnotations() ModuleAnnotations {
	m := ModuleAnnotations{Address: d.number()}
	for range d.count() {
		m.Simple = append(m.Simple, Annotation{d.text(), d.text()})
	}
	for range d.count() {
		m.Objects = append(m.Objects, AnnotationObject{d.text(), uint16(d.number()), []byte(d.text())})
	}
	return m
}

// validBools reports whether the bools in the bytes of a Crash are 0 or 1. Other values are undefined in Go.
func validBools(crash string) bool {
	var c context.Crash
	for _, at := range []uintptr{unsafe.Offsetof(c.BigEndian), unsafe.Offsetof(c.HasAddress), unsafe.Offsetof(c.HasContext)} {
		if crash[at] > 1 {
			return false
		}
	}
	return true
}
