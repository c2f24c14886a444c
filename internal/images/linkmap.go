package images

import (
	"bytes"

	"minidump/elf"

	"minidump/internal/snapshot"
)

// WindowSize is the size of the buffer of a Window in bytes. The loader allocates link_map structures one after
// another, so one read of this size serves dozens of them.
const WindowSize = 16 << 10

// A Window reads small structures that are close together in memory with few system calls.
//
// Package elf has its own window, for tables of a file or an image: elf's reads only forwards and returns all of
// the bytes or none. A Window also keeps bytes before the address, and returns what is readable.
type Window struct {
	Mem  snapshot.Memory
	Buf  []byte // of WindowSize
	addr uint64 // of Buf[0]
	N    int    // bytes in Buf; must be set to 0 when the memory may have changed
}

// At returns n bytes at addr, or fewer where readable memory ends. They are valid until the next call.
func (w *Window) At(addr uint64, n int) []byte {
	if b := w.have(addr, n); len(b) == n {
		return b
	}
	// Bytes before addr are read too: glibc allocates a name just before its link_map.
	start := addr - min(addr, uint64(len(w.Buf)/8))
	w.addr, w.N = start, w.Mem.Read(start, w.Buf)
	if b := w.have(addr, n); len(b) > 0 {
		return b
	}
	w.addr, w.N = addr, w.Mem.Read(addr, w.Buf) // memory before addr is not readable
	return w.have(addr, n)
}

// text returns the bytes from addr up to a NUL, but at most most bytes. They are valid until the next call.
func (w *Window) text(addr uint64, most int) []byte {
	b := w.have(addr, most)
	end := bytes.IndexByte(b, 0)
	if end < 0 && len(b) < most { // the window ends inside the text
		b = w.At(addr, most)
		end = bytes.IndexByte(b, 0)
	}
	if end < 0 {
		return b
	}
	return b[:end]
}

// have returns the part of the n bytes at addr that is in the window, starting with the first byte.
func (w *Window) have(addr uint64, n int) []byte {
	if addr < w.addr || addr-w.addr >= uint64(w.N) {
		return nil
	}
	off := int(addr - w.addr)
	return w.Buf[off:min(w.N, off+n)]
}

// FollowLinkMaps records what the dynamic loader provides for debuggers: struct r_debug, to which DT_DEBUG of the main
// program refers, and its list of loaded objects. The auxiliary vector must be known. A static program has no such list.
func FollowLinkMaps(s *snapshot.Snapshot, win *Window) {
	win.N = 0
	if s.Proc.Phdr == 0 || s.Proc.Phnum == 0 || s.Proc.Phnum > 512 {
		s.Soft(snapshot.OpDSO, 0, 0, 0)
		return
	}
	h, debug := findRDebug(s, win)
	if debug == 0 {
		return
	}
	r, ok := elf.ParseRDebug(win.At(debug, elf.RDebugSize(h.Class)), h.Class, h.Order)
	if !ok {
		s.Soft(snapshot.OpDSO, 0, 0, debug)
		return
	}
	s.DSO.Version, s.DSO.Brk = r.Version, r.Brk
	if r.LdBase != 0 {
		s.DSO.LdBase = r.LdBase
	}
	readLinkMaps(s, win, &h, r.Map)
}

// findRDebug records the dynamic section of the main program, and returns its ELF header and the address of struct
// r_debug, or 0 if there is none.
func findRDebug(s *snapshot.Snapshot, win *Window) (h elf.Header, debug uint64) {
	phent, phnum := s.Proc.Phent, s.Proc.Phnum
	h = elf.Header{Class: elf.Class32, Order: s.Target.Order, Phentsize: uint16(phent), Phnum: uint16(phnum), Phoff: 52}
	if s.Target.WordSize() == 8 {
		h.Class, h.Phoff = elf.Class64, 64
	}
	table := win.At(s.Proc.Phdr, h.ProgTableSize())
	im := &s.Image
	scanProgram(im, &h, table, s.Proc.Phdr, s.Target.PageSize)
	if im.Dynamic.Size == 0 {
		return h, 0
	}
	size := int(min(im.Dynamic.Size, maxDynamic))
	raw := win.At(im.Dynamic.Addr, size)
	d := h.ParseDynamic(raw)
	s.DSO.Have = true
	s.DSO.Dynamic, s.DSO.LdBase, s.DSO.DynData = im.Dynamic.Addr, s.Proc.LdBase, s.Put(raw)
	debug = d.Debug
	if at, ok := d.RldMapAddr(im); ok && debug == 0 {
		if b := win.At(at, s.Target.WordSize()); len(b) == s.Target.WordSize() {
			debug = s.Target.Word(b)
		}
	}
	return h, debug
}

// readLinkMaps records the list of loaded objects that starts with the link_map at address at.
func readLinkMaps(s *snapshot.Snapshot, win *Window, h *elf.Header, at uint64) {
	prev := uint64(0)
	for n := 0; at != 0; n++ {
		lm, ok := elf.ParseLinkMap(win.At(at, elf.LinkMapSize(h.Class)), h.Class, h.Order)
		if !ok {
			s.Soft(snapshot.OpDSO, 0, 0, at)
			return
		}
		if n >= elf.MaxLinkMaps || lm.Prev != prev {
			s.Soft(snapshot.OpDSOLoop, 0, 0, at)
			return
		}
		e := s.LinkMaps.Add()
		if e == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, at)
			return
		}
		e.Addr, e.Ld = lm.Addr, lm.Ld
		if lm.Name != 0 {
			e.Name = s.Put(win.text(lm.Name, 4096))
		}
		prev, at = at, lm.Next
	}
}

// scanProgram scans the main program, whose program headers are at phdr. They may be outside its first page, so the
// bias is taken from PT_PHDR if there is one.
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
