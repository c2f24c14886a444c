package stackwalk

import (
	stdelf "debug/elf"
	"encoding/binary"
	"sort"
)

// frameTable is one table of call frame information of an image. All addresses are link-time addresses; in .debug_frame, those
// of the entries are offsets in the section.
type frameTable struct {
	read  func(addr uint64, b []byte) int
	order binary.ByteOrder
	ptr   int    // size of an address in bytes
	debug bool   // it is .debug_frame
	start uint64 // of the first entry
	size  uint64 // maximum size in bytes
	hdr   uint64 // address of .eh_frame_hdr, 0 if there is none

	// The binary search table of .eh_frame_hdr: count entries from search on, each consisting of two numbers of width bytes.
	// count is 0 if there is none.
	search, count uint64
	encoding      byte
	width         uint64

	index   []span // if there is no search table: all FDEs by address
	indexed bool
	cies    map[uint64]*cie
}

// span is the code described by the FDE at addr.
type span struct{ start, end, addr uint64 }

// Limits on what is read of a table without a search table. The largest known .debug_frame has about 50 MB.
const (
	maxTable = 128 << 20
	maxSpans = 4 << 20
)

// findFDE returns the FDE for the link-time address pc.
func (im *image) findFDE(pc uint64) (t *frameTable, f fde, ok bool) {
	if !im.scanned {
		im.scanned = true
		im.findTables()
	}
	for _, t := range im.tables {
		if f, ok := t.find(pc); ok {
			return t, f, true
		}
	}
	return nil, fde{}, false
}

// findTables fills in tables.
func (im *image) findTables() {
	if t := im.ehFrame(); t != nil {
		im.tables = append(im.tables, t)
	}
	if im.ehFrameSection.size > 0 {
		im.tables = append(im.tables, im.ehFrameOfMachO())
	}
	for _, file := range []*stdelf.File{im.m.Image, im.m.Debug} {
		if t := im.debugFrame(file); t != nil {
			im.tables = append(im.tables, t)
		}
	}
}

// ehFrame finds .eh_frame: by PT_GNU_EH_FRAME or in the file's section table.
func (im *image) ehFrame() *frameTable {
	t := &frameTable{read: im.readLinked, order: im.order(), ptr: im.ptr}
	if im.ehFrameHdr.size >= 4 && t.readHeader(im.ehFrameHdr) && t.count > 0 {
		return t
	}
	if f := im.m.Image; f != nil {
		if s := f.Section(".eh_frame"); s != nil && s.Type != stdelf.SHT_NOBITS {
			if data := sectionData(s); data != nil {
				t.read, t.start, t.size = readerAt(data, s.Addr), s.Addr, uint64(len(data))
				return t
			}
		}
	}
	if t.start == 0 {
		return nil
	}
	// In memory it has no end except its own end mark and the end of its segment.
	t.size = maxTable
	for i := range im.loads {
		if l := &im.loads[i]; t.start >= l.vaddr && t.start-l.vaddr < l.memsz {
			t.size = min(t.size, l.memsz-(t.start-l.vaddr))
		}
	}
	return t
}

// readHeader reads .eh_frame_hdr (LSB Core 10.6.2).
func (t *frameTable) readHeader(at segment) bool {
	b := make([]byte, min(at.size, 64))
	b = b[:t.read(at.vaddr, b)]
	c := cursor{b: b, addr: at.vaddr, order: t.order, ptr: t.ptr}
	version, frameEnc, countEnc, tableEnc := c.u8(), c.u8(), c.u8(), c.u8()
	if c.bad || version != 1 {
		return false
	}
	t.hdr = at.vaddr
	start, ok := c.pointer(frameEnc, t.hdr)
	if !ok {
		return false
	}
	t.start = start
	count, ok := c.pointer(countEnc, t.hdr)
	if !ok {
		return true
	}
	switch tableEnc & 0x07 {
	case peAbsptr:
		t.width = uint64(t.ptr)
	case peUdata2, peUdata4, peUdata8:
		t.width = 1 << (tableEnc&0x07 - 1)
	default:
		return true
	}
	if use := tableEnc & 0x70; use != 0 && use != peDatarel || tableEnc&peIndirect != 0 {
		return true
	}
	t.encoding, t.search = tableEnc, at.vaddr+uint64(c.at)
	t.count = min(count, (at.size-uint64(c.at))/(2*t.width))
	return true
}

// debugFrame returns the table in the section .debug_frame of a file, or nil if there is none.
func (im *image) debugFrame(file *stdelf.File) *frameTable {
	if file == nil {
		return nil
	}
	s := file.Section(".debug_frame")
	if s == nil {
		s = file.Section(".zdebug_frame")
	}
	if s == nil {
		return nil
	}
	data := sectionData(s)
	if data == nil {
		return nil
	}
	return &frameTable{read: readerAt(data, 0), order: im.order(), ptr: im.ptr, debug: true, size: uint64(len(data))}
}

// sectionData reads a section and decompresses it; nil if that fails.
func sectionData(s *stdelf.Section) (data []byte) {
	if s.Type == stdelf.SHT_NOBITS || s.Size > maxTable || s.FileSize > maxTable {
		return nil
	}
	defer func() { // debug/elf reads an untrusted file
		if recover() != nil {
			data = nil
		}
	}()
	data, _ = s.Data()
	return data
}

// readerAt returns a function that reads data as memory at address base.
func readerAt(data []byte, base uint64) func(addr uint64, b []byte) int {
	return func(addr uint64, b []byte) int {
		if addr < base || addr-base > uint64(len(data)) {
			return 0
		}
		return copy(b, data[addr-base:])
	}
}

// find returns the FDE for the link-time address pc.
func (t *frameTable) find(pc uint64) (f fde, ok bool) {
	var at uint64
	if t.count > 0 {
		at, ok = t.searchHeader(pc)
	} else {
		if !t.indexed {
			t.indexed = true
			t.makeIndex()
		}
		i := sort.Search(len(t.index), func(i int) bool { return t.index[i].start > pc }) - 1
		if ok = i >= 0 && pc < t.index[i].end; ok {
			at = t.index[i].addr
		}
	}
	if !ok {
		return f, false
	}
	f, ok = t.fdeAt(at)
	return f, ok && pc >= f.start && pc < f.end
}

// searchHeader finds the address of the FDE for pc in the binary search table.
func (t *frameTable) searchHeader(pc uint64) (uint64, bool) {
	entry := func(i uint64) (start, addr uint64, ok bool) {
		b := make([]byte, 2*t.width)
		at := t.search + i*2*t.width
		if t.read(at, b) < len(b) {
			return 0, 0, false
		}
		c := cursor{b: b, addr: at, order: t.order, ptr: t.ptr}
		start, _ = c.pointer(t.encoding, t.hdr)
		addr, ok = c.pointer(t.encoding, t.hdr)
		return start, addr, ok
	}
	low, high := uint64(0), t.count // the entry is before high
	for low < high {
		mid := low + (high-low)/2
		start, _, ok := entry(mid)
		if !ok {
			return 0, false
		}
		if start <= pc {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 {
		return 0, false
	}
	_, addr, ok := entry(low - 1)
	return addr, ok
}

// makeIndex reads all FDEs.
func (t *frameTable) makeIndex() {
	for at := t.start; at-t.start < t.size && len(t.index) < maxSpans; {
		e, more := t.entryAt(at)
		if !more {
			break
		}
		if !e.isCIE {
			if f, ok := t.parseFDE(&e); ok && f.end > f.start {
				t.index = append(t.index, span{f.start, f.end, at})
			}
		}
		at = e.next
	}
	sort.SliceStable(t.index, func(i, j int) bool { return t.index[i].start < t.index[j].start })
}
