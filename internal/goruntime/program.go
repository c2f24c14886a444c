package goruntime

import (
	"encoding/binary"
	"errors"

	"minidump/context"
)

// Why Find failed.
var (
	ErrNoModule  = errors.New("no Go function table in the image")
	ErrNoTypes   = errors.New("the types of the Go runtime are not in the image")
	ErrNoAllgs   = errors.New("the list of goroutines is not in the image")
	ErrNoSpace   = errors.New("out of working memory")
	ErrUnknownOS = errors.New("unknown architecture")
)

// Range is a part of the program's image in memory: a mapping or a segment.
type Range struct {
	Lo, Hi   uint64 // [Lo, Hi)
	Writable bool
	Exec     bool
}

// Image describes where a program with a Go runtime is.
type Image struct {
	Arch  context.Arch
	Order binary.ByteOrder
	// Ranges are the readable parts, including the BSS, sorted by address. The tables of the runtime are searched for
	// in them, in the writable ones first.
	Ranges []Range
}

// Limits on how much of an image is examined.
const (
	scanWindow  = 64 << 10
	maxData     = 64 << 20  // of the ranges that are searched for moduledata
	maxTypes    = 256 << 20 // of type descriptors, which are read twice
	maxBSS      = 256 << 20
	findPages   = 64
	findBudget  = 1 << 17 // pages
	maxModules  = 8
	maxSections = 16
	maxReasons  = 64
	maxHeads    = 4
)

// Program holds facts about a Go program that stay true as long as it runs: where the runtime's variables are, and
// how its structures are laid out. It holds no memory of the target and no pointers. The zero Program is empty.
type Program struct {
	target
	modules  [maxModules]module
	nmodules int
	off      offsets
	allgs    uint64           // address of the slice runtime.allgs
	m0       uint64           // runtime.m0; 0 if it was not found
	allm     [maxHeads]uint64 // addresses that may hold the head of the list of Ms, at most one of which does
	nallm    int
	lo, hi   uint64 // of the image

	reasonEnd  [maxReasons]uint16 // text i ends here, and begins where the previous text ends
	nreasons   int
	reasonText [2048]byte

	versionLen, modinfoLen int
	version                [64]byte
	modinfo                uint64 // address of the module text
}

// Known reports whether Find succeeded.
func (p *Program) Known() bool { return p.allgs != 0 }

// finder is the state of Find.
type finder struct {
	pages
	p      *Program
	ranges []Range
	window []byte
	g      []byte // of maxG bytes
}

// Find looks for the Go runtime in a program. mem may be that of a running process. It allocates several hundred
// kilobytes from space, which can be reused afterwards.
func (p *Program) Find(mem Memory, space Space, im *Image) error {
	*p = Program{}
	t := newTarget(im.Arch, im.Order)
	if t.word == 0 {
		return ErrUnknownOS
	}
	f := finder{p: p, ranges: im.Ranges, window: alloc[byte](space, scanWindow), g: alloc[byte](space, maxG)}
	if f.window == nil || f.g == nil || !f.init(t, mem, space, findPages, findBudget) {
		return ErrNoSpace
	}
	p.target = t
	p.lo = ^uint64(0)
	for _, r := range im.Ranges {
		p.lo, p.hi = min(p.lo, r.Lo), max(p.hi, r.Hi)
	}
	if !f.findModules() {
		return ErrNoModule
	}
	if !f.findTypes() {
		return ErrNoTypes
	}
	f.findReasons()
	f.findBuildInfo()
	if !f.findGlobals() {
		return ErrNoAllgs
	}
	return nil
}

// scan calls each with the memory of [lo, hi), window by window, each with overlap bytes of the next. Each window begins at
// a multiple of the word size. scan ends when each returns true, and reports whether it did. Unreadable pages are skipped.
func (f *finder) scan(lo, hi uint64, overlap int, each func(addr uint64, b []byte) bool) bool {
	lo = (lo + f.word - 1) &^ (f.word - 1)
	for lo < hi {
		b := f.window[:min(uint64(len(f.window)), hi-lo)]
		n := max(0, f.mem.Read(lo, b))
		if n == 0 {
			next := (lo + pageSize) &^ (pageSize - 1)
			if next < lo {
				return false
			}
			lo = next
			continue
		}
		if each(lo, b[:n]) {
			return true
		}
		if n == len(b) && hi-lo > uint64(n) && n > overlap {
			n -= overlap
		}
		lo += (uint64(n) + f.word - 1) &^ (f.word - 1)
	}
	return false
}

// within reports whether [addr, addr+size) is in the image.
func (f *finder) within(addr, size uint64) bool {
	return addr >= f.p.lo && addr < f.p.hi && size <= f.p.hi-addr
}

// reason returns the text of a wait reason, or an empty text if there is none.
func (p *Program) reason(i uint8) []byte {
	if int(i) >= p.nreasons {
		return nil
	}
	start := uint16(0)
	if i > 0 {
		start = p.reasonEnd[i-1]
	}
	return p.reasonText[start:p.reasonEnd[i]]
}

// findReasons looks for the runtime's array waitReasonStrings: its first string is empty, its second "GC assist
// marking". If it isn't found, goroutines have no wait reason.
func (f *finder) findReasons() {
	const second = "GC assist marking"
	p, w := f.p, int(f.word)
	var at uint64
	each := func(addr uint64, b []byte) bool {
		for i := 0; i+4*w <= len(b); i += w {
			if f.ptr(b[i+3*w:]) == uint64(len(second)) && f.ptr(b[i:]) == 0 && f.ptr(b[i+w:]) == 0 {
				if t := f.at(f.ptr(b[i+2*w:]), len(second)); string(t) == second {
					at = addr + uint64(i)
					return true
				}
			}
		}
		return false
	}
	m := &p.modules[0]
	if !f.scan(m.noptrdata, min(m.enoptrdata, m.noptrdata+maxData), 4*w, each) &&
		!f.scan(m.data, min(m.edata, m.data+maxData), 4*w, each) {
		return
	}
	end := 0
	for n := range maxReasons {
		ptr, ok := f.ptrAt(at)
		size, ok2 := f.ptrAt(at + f.word)
		if !ok || !ok2 || n > 0 && (ptr == 0 || size == 0) || size > 60 || end+int(size) > len(p.reasonText) {
			break
		}
		if t := f.at(ptr, int(size)); size > 0 {
			if t == nil || !printable(t) {
				break
			}
			end += copy(p.reasonText[end:], t)
		}
		p.reasonEnd[n] = uint16(end)
		p.nreasons = n + 1
		at += 2 * f.word
	}
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// The build information that Go's linker writes (debug/buildinfo): 16 bytes with the magic, the size of a pointer and
// flags; since Go 1.18 the strings follow at byte 32, each preceded by its length as a varint. The text that lists the
// modules has 16 bytes of markers on each side.
const (
	buildInfoMagic = "\xff Go buildinf:"
	buildInfoAlign = 16
	buildInfoHead  = 32
	modinfoMarker  = 16
	maxModinfo     = 1 << 20
)

// findBuildInfo looks for the build information at the start of the writable ranges.
func (f *finder) findBuildInfo() {
	for _, r := range f.ranges {
		if r.Writable && f.scan((r.Lo+buildInfoAlign-1)&^(buildInfoAlign-1), min(r.Hi, r.Lo+maxData), buildInfoHead, func(addr uint64, b []byte) bool {
			for i := int(-addr & (buildInfoAlign - 1)); i+buildInfoHead <= len(b); i += buildInfoAlign {
				if b[i] == 0xff && string(b[i:i+len(buildInfoMagic)]) == buildInfoMagic && b[i+15]&2 != 0 && f.takeBuildInfo(addr+uint64(i)) {
					return true
				}
			}
			return false
		}) {
			return
		}
	}
}

func (f *finder) takeBuildInfo(at uint64) bool {
	p := f.p
	at += buildInfoHead
	n, at, ok := f.uvarint(at)
	if !ok || n == 0 || n > uint64(len(p.version)) || !f.within(at, n) {
		return false
	}
	for got := 0; got < int(n); { // the program is in the heap or mapped memory; the copy keeps it so that it need not be
		k := copy(p.version[got:n], f.from(at+uint64(got)))
		if k == 0 {
			return false
		}
		got += k
	}
	p.versionLen = int(n)
	n, at, ok = f.uvarint(at + n)
	if ok && n > 2*modinfoMarker && n <= maxModinfo && f.within(at, n) {
		p.modinfo, p.modinfoLen = at+modinfoMarker, int(n-2*modinfoMarker)
	}
	return true
}

func (f *finder) uvarint(at uint64) (v, next uint64, ok bool) {
	for shift := 0; shift < 63; shift += 7 {
		b := f.at(at, 1)
		if b == nil {
			return 0, 0, false
		}
		at++
		v |= uint64(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			return v, at, true
		}
	}
	return 0, 0, false
}

// Version returns the version of Go that built the program, such as "go1.26.8", or an empty text if it is not known.
func (p *Program) Version() []byte { return p.version[:p.versionLen] }
