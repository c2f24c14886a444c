package elf

// Range is a piece of memory: an address, a size in bytes, and the alignment stated by its segment. A Range with Size 0 is
// absent.
type Range struct {
	Addr, Size, Align uint64
}

// In returns the bytes of the range from b, which was read at address base, or nil if b does not contain all of it. For example,
// it returns the notes of a module if they are in its first page.
func (r Range) In(b []byte, base uint64) []byte {
	off := r.Addr - base
	if r.Size == 0 || r.Addr < base || off > uint64(len(b)) || r.Size > uint64(len(b))-off {
		return nil
	}
	return b[off : off+r.Size : off+r.Size]
}

const (
	// MaxNotes is the number of PT_NOTE segments of an image that are recorded. Linkers create one for each alignment, so two are
	// usual.
	MaxNotes = 8
	// MaxSegmentRead bounds the Size of the ranges in an Image that are meant to be read whole, in bytes.
	MaxSegmentRead = 64 << 10
)

// Image is a loaded image as described by its program headers. Addresses are runtime addresses unless stated otherwise. The sizes
// of Notes, Dynamic and Interp are at most MaxSegmentRead.
type Image struct {
	Class              Class
	Bias               uint64 // load bias: runtime address minus link-time address, wrapping
	Base               uint64 // the argument of Scan
	MinVaddr, MaxVaddr uint64 // link-time addresses of all PT_LOADs: the lowest, and the end of the highest
	Loads              int    // number of PT_LOADs; 0 means that Bias is 0 and nothing else can be trusted
	Notes              [MaxNotes]Range
	NumNotes           int
	Dynamic            Range // PT_DYNAMIC
	Interp             Range // PT_INTERP
	EHFrameHdr         Range // PT_GNU_EH_FRAME
	Exec               Range // first executable PT_LOAD, with its full size in memory
	Data               Range // first writable memory with contents from the file, without PT_GNU_RELRO, full size: see FindGoBuildInfo
	Relro              Range // PT_GNU_RELRO: written by the dynamic linker, then made read-only
	TLS                Range // PT_TLS: the initial image; its size in memory
	HasTLS             bool
}

// End returns the runtime address of the end of the image: Bias+MaxVaddr, masked to the class.
func (im *Image) End() uint64 { return (im.Bias + im.MaxVaddr) & im.Class.mask() }

// Scan fills im in from the program header table of an image whose ELF header is at address base. (0 may be used for a file: then
// all addresses are relative to the start of the image.) pageSize is that of the target, not of the host; a value that is not a
// power of two counts as 4096.
//
// The load bias is base minus the page-truncated p_vaddr of the PT_LOAD that maps file offset 0, where the header lies; if there
// is none, of the first PT_LOAD. At most MaxProgTable bytes of table are read.
func (im *Image) Scan(h *Header, table []byte, base uint64, pageSize uint64) {
	*im = Image{Class: h.Class, Base: base}
	s := newScan(im, pageSize)
	n := h.ProgTableSize()
	if stride := h.progStride(); stride != 0 {
		n /= stride
	}
	for i := 0; i < n; i++ {
		p, ok := h.Prog(table, i)
		if !ok {
			break
		}
		s.add(&p)
	}
	s.finish()
}

// scan builds an Image from program headers that are passed one by one. Until finish, addresses are link-time addresses.
type scan struct {
	im        *Image
	page      uint64
	first     uint64 // page-truncated p_vaddr of the PT_LOAD that determines the bias
	maps0     bool   // that PT_LOAD maps file offset 0
	writable  [4]Range
	nwritable int
	gotExec   bool
}

func newScan(im *Image, pageSize uint64) scan {
	if pageSize == 0 || pageSize&(pageSize-1) != 0 {
		pageSize = 4096
	}
	return scan{im: im, page: pageSize}
}

func (s *scan) add(p *Prog) {
	im := s.im
	switch p.Type {
	case PT_LOAD:
		if p.Memsz == 0 || p.Vaddr+p.Memsz < p.Vaddr || p.Vaddr+p.Memsz-1 > im.Class.mask() {
			return // maps nothing, or can't exist
		}
		trunc := p.Vaddr &^ (s.page - 1)
		zero := p.Off&^(s.page-1) == 0
		if im.Loads == 0 || zero && !s.maps0 {
			s.first, s.maps0 = trunc, zero
		}
		if im.Loads == 0 || p.Vaddr < im.MinVaddr {
			im.MinVaddr = p.Vaddr
		}
		im.MaxVaddr = max(im.MaxVaddr, p.Vaddr+p.Memsz)
		im.Loads++
		if p.Flags&PF_X != 0 && !s.gotExec {
			s.gotExec = true
			im.Exec = Range{p.Vaddr, p.Memsz, p.Align}
		}
		if p.Flags&PF_W != 0 && p.Filesz != 0 && s.nwritable < len(s.writable) {
			s.writable[s.nwritable] = Range{p.Vaddr, min(p.Filesz, p.Memsz), p.Align}
			s.nwritable++
		}
	case PT_NOTE:
		if im.NumNotes < MaxNotes && p.Filesz != 0 {
			im.Notes[im.NumNotes] = Range{p.Vaddr, min(p.Filesz, MaxSegmentRead), p.Align}
			im.NumNotes++
		}
	case PT_DYNAMIC:
		// Memsz, as in the dynamic linker; in a file it is equal to Filesz.
		im.Dynamic = Range{p.Vaddr, min(p.Memsz, MaxSegmentRead), p.Align}
	case PT_INTERP:
		im.Interp = Range{p.Vaddr, min(p.Filesz, MaxSegmentRead), p.Align}
	case PT_GNU_EH_FRAME:
		im.EHFrameHdr = Range{p.Vaddr, p.Memsz, p.Align}
	case PT_GNU_RELRO:
		im.Relro = Range{p.Vaddr, p.Memsz, p.Align}
	case PT_TLS:
		im.HasTLS = true
		im.TLS = Range{p.Vaddr, p.Memsz, p.Align}
	}
}

func (s *scan) finish() {
	im := s.im
	mask := im.Class.mask()
	if im.Loads != 0 {
		im.Bias = (im.Base - s.first) & mask
	}
	for _, d := range s.writable[:s.nwritable] {
		// Linkers put the data that becomes read-only at the start of the segment, or in a segment of its own.
		if cut := im.Relro.Addr + im.Relro.Size - d.Addr; im.Relro.Addr <= d.Addr && cut <= im.Relro.Size {
			cut = min(cut, d.Size)
			d.Addr, d.Size = d.Addr+cut, d.Size-cut
		}
		if d.Size != 0 {
			im.Data = d
			break
		}
	}
	for i := 0; i < im.NumNotes; i++ {
		im.Notes[i].Addr = (im.Notes[i].Addr + im.Bias) & mask
	}
	for _, r := range [...]*Range{&im.Dynamic, &im.Interp, &im.EHFrameHdr, &im.Exec, &im.Data, &im.Relro, &im.TLS} {
		if r.Size != 0 || r.Addr != 0 {
			r.Addr = (r.Addr + im.Bias) & mask
		}
	}
}

// AddNoteSections adds to Notes the loaded note sections of an image that are in no PT_NOTE segment. The Go linker creates such
// images: its PT_NOTE contains .note.go.buildid, but not .note.gnu.build-id. The section headers follow the program headers in
// the first page, which is mapped. table is the section header table, at file offset Shoff, as far as it was read; names are not
// needed.
func (h *Header) AddNoteSections(im *Image, table []byte) {
	first, ok := h.Section(table, 0)
	if !ok || first.Type != SHT_NULL || im.Loads == 0 {
		return
	}
	_, num, _ := h.Extended(first)
	for i := 1; i < int(min(num, MaxSections)) && im.NumNotes < MaxNotes; i++ {
		s, ok := h.Section(table, i)
		if !ok {
			return
		}
		if s.Type != SHT_NOTE || s.Flags&SHF_ALLOC == 0 || s.Size == 0 || s.Addr < im.MinVaddr || s.Addr >= im.MaxVaddr {
			continue
		}
		r := Range{im.Runtime(s.Addr), min(s.Size, MaxSegmentRead), s.Align}
		covered := false
		for _, n := range im.Notes[:im.NumNotes] {
			covered = covered || r.Addr >= n.Addr && r.Addr-n.Addr < n.Size
		}
		if !covered {
			im.Notes[im.NumNotes] = r
			im.NumNotes++
		}
	}
}

// goReserve is the space that the Go linker reserves at the start of a file for headers and notes, on every architecture
// (ELFRESERVE in cmd/link/internal/ld/elf.go). The notes end at the end of that space.
const goReserve = 4096

// goTail returns the range between the end of note segment n and the end of its page. If n contains a Go build id, the GNU build
// id may be in this range, outside of any segment. `strip` moves the section headers that locate it.
func goTail(n Range) Range {
	end := n.Addr + n.Size
	return Range{end, -end & (goReserve - 1), 4}
}

// BuildIDIn returns the build id from b, the bytes at runtime address base, usually the first page of the module, as a subslice.
// It returns nil if none of Notes that lie entirely in b has one. It also finds the build id that the Go linker puts after its
// note segment.
func (im *Image) BuildIDIn(h *Header, b []byte, base uint64) []byte {
	for _, n := range im.Notes[:im.NumNotes] {
		if id := BuildID(n.In(b, base), n.Align, h.Order); id != nil && !IsAllZero(id) {
			return id
		}
	}
	for _, n := range im.Notes[:im.NumNotes] {
		if GoBuildID(n.In(b, base), n.Align, h.Order) == nil {
			continue
		}
		if id := findNote(goTail(n).In(b, base), 4, h.Order, "GNU", NT_GNU_BUILD_ID); id != nil && !IsAllZero(id) {
			return id
		}
	}
	return nil
}

// Runtime returns the runtime address of the link-time address vaddr.
func (im *Image) Runtime(vaddr uint64) uint64 { return (im.Bias + vaddr) & im.Class.mask() }

// Rebase returns the runtime address for an address found in the dynamic section. glibc relocates DT_STRTAB and similar entries
// in place; musl, Android and the vDSO leave them as linked. The range decides: a link-time address of the image ([MinVaddr,
// MaxVaddr)) is converted with the bias, any other counts as a runtime address already.
func (im *Image) Rebase(addr uint64) uint64 {
	if addr >= im.MinVaddr && addr < im.MaxVaddr {
		return im.Runtime(addr)
	}
	return addr
}
