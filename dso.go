package minidump

import (
	"bytes"

	"minidump/elf"
)

// dsoChunk is how much memory is read at once around a link_map: they are allocated one after the other, so that one
// read serves dozens of them.
const dsoChunk = 16 << 10

// A memoryWindow reads small things that lie close together with few system calls.
type memoryWindow struct {
	mem  targetMemory
	buf  []byte
	addr uint64
	n    int
}

// at returns n bytes at addr, or fewer where memory ends; they are valid until the next call.
func (w *memoryWindow) at(addr uint64, n int) []byte {
	if b := w.have(addr, n); len(b) == n {
		return b
	}
	// Some of what comes before is kept: names are allocated just before their link_map.
	start := addr - min(addr, uint64(len(w.buf)/8))
	w.addr, w.n = start, w.mem.read(start, w.buf)
	if b := w.have(addr, n); len(b) > 0 {
		return b
	}
	w.addr, w.n = addr, w.mem.read(addr, w.buf) // nothing readable before addr
	return w.have(addr, n)
}

// text returns the bytes from addr on up to a NUL, most at most; they are valid until the next call.
func (w *memoryWindow) text(addr uint64, most int) []byte {
	b := w.have(addr, most)
	end := bytes.IndexByte(b, 0)
	if end < 0 && len(b) < most { // what is in the window ends in the midst of it
		b = w.at(addr, most)
		end = bytes.IndexByte(b, 0)
	}
	if end < 0 {
		return b
	}
	return b[:end]
}

func (w *memoryWindow) have(addr uint64, n int) []byte {
	if addr < w.addr || addr-w.addr >= uint64(w.n) {
		return nil
	}
	off := int(addr - w.addr)
	return w.buf[off:min(w.n, off+n)]
}

// followLinkMaps reads what the dynamic loader tells a debugger: r_debug, found by DT_DEBUG of the main program, and
// its list of loaded objects.
func (s *snapshot) followLinkMaps(win *memoryWindow) {
	win.n = 0
	phent, phnum := s.proc.phent, s.proc.phnum
	if s.proc.phdr == 0 || phnum == 0 || phnum > 512 {
		s.soft(opDSO, 0, 0, 0)
		return
	}
	h := elf.Header{Class: elf.Class32, Order: s.target.order, Phentsize: uint16(phent), Phnum: uint16(phnum), Phoff: 52}
	if s.target.wordSize() == 8 {
		h.Class, h.Phoff = elf.Class64, 64
	}
	table := win.at(s.proc.phdr, h.ProgTableSize())
	im := &s.image
	scanProgram(im, &h, table, s.proc.phdr, s.target.pageSize)
	if im.Dynamic.Size == 0 {
		return // a static program has no such list; that is no error
	}
	size := int(min(im.Dynamic.Size, maxDynamic))
	raw := win.at(im.Dynamic.Addr, size)
	d := h.ParseDynamic(raw)
	s.dso.have = true
	s.dso.dynamic, s.dso.ldBase, s.dso.dynData = im.Dynamic.Addr, s.proc.ldBase, s.put(raw)
	debug := d.Debug
	if at, ok := d.RldMapAddr(im); ok && debug == 0 {
		if b := win.at(at, s.target.wordSize()); len(b) == s.target.wordSize() {
			debug = s.target.word(b)
		}
	}
	if debug == 0 {
		return
	}
	r, ok := elf.ParseRDebug(win.at(debug, elf.RDebugSize(h.Class)), h.Class, h.Order)
	if !ok {
		s.soft(opDSO, 0, 0, debug)
		return
	}
	s.dso.version, s.dso.brk = r.Version, r.Brk
	if r.LdBase != 0 {
		s.dso.ldBase = r.LdBase
	}
	prev, at := uint64(0), r.Map
	for n := 0; at != 0; n++ {
		lm, ok := elf.ParseLinkMap(win.at(at, elf.LinkMapSize(h.Class)), h.Class, h.Order)
		if !ok {
			s.soft(opDSO, 0, 0, at)
			return
		}
		if n >= elf.MaxLinkMaps || lm.Prev != prev {
			s.soft(opDSOLoop, 0, 0, at)
			return
		}
		e := s.linkMaps.add()
		if e == nil {
			s.soft(opTruncated, 0, 0, at)
			return
		}
		e.addr, e.ld = lm.Addr, lm.Ld
		if lm.Name != 0 {
			e.name = s.put(win.text(lm.Name, 4096))
		}
		prev, at = at, lm.Next
	}
}

// scanProgram lays out the main program whose program headers lie at phdr. They need not be in the first page, so the
// bias comes from PT_PHDR where there is one.
func scanProgram(im *elf.Image, h *elf.Header, table []byte, phdr, pageSize uint64) {
	base := phdr &^ (pageSize - 1)
	for i := 0; ; i++ {
		p, ok := h.Prog(table, i)
		if !ok {
			break
		}
		if p.Type == elf.PT_PHDR {
			bias := phdr - p.Vaddr
			im.Scan(h, table, base, pageSize)
			if im.Bias != bias {
				im.Scan(h, table, base+bias-im.Bias, pageSize)
			}
			return
		}
	}
	im.Scan(h, table, base, pageSize)
}
