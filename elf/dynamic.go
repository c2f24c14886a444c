package elf

// Tags of the dynamic section (d_tag) that this package reads. DT_ANDROID_REL and DT_ANDROID_RELA are DT_LOOS+2 and +4, see
// bionic's elf.h.
const (
	DT_NULL             = 0
	DT_STRTAB           = 5
	DT_STRSZ            = 10
	DT_SONAME           = 14
	DT_DEBUG            = 21
	DT_ANDROID_REL      = 0x6000000f
	DT_ANDROID_RELA     = 0x60000011
	DT_MIPS_RLD_MAP     = 0x70000016
	DT_MIPS_RLD_MAP_REL = 0x70000035
)

// Dynamic has the entries of a dynamic section that name a library or lead to the list of modules. Addresses are unchanged:
// Image.Rebase converts them to runtime addresses.
type Dynamic struct {
	Soname uint64 // DT_SONAME: offset in the string table
	Strtab uint64 // DT_STRTAB: address
	Strsz  uint64 // DT_STRSZ: bytes
	Debug  uint64 // DT_DEBUG: runtime address of r_debug; 0 until the dynamic linker has filled it in

	// MIPS has no DT_DEBUG, because its dynamic section is read-only: see RldMapAddr.
	RldMap       uint64 // DT_MIPS_RLD_MAP: address of a word with the address of r_debug
	RldMapRel    uint64 // DT_MIPS_RLD_MAP_REL: the same, relative to the entry itself
	RldMapRelOff uint64 // offset of that entry in the dynamic section, bytes

	HasSoname, HasStrtab, HasStrsz, HasRldMap, HasRldMapRel bool
	AndroidPacked                                           bool // DT_ANDROID_REL or DT_ANDROID_RELA: packed relocations

	Size    uint64 // bytes up to and including DT_NULL, or of all complete entries if there is none
	HasNull bool   // DT_NULL was found
}

// DynamicEntrySize returns sizeof(Elf32_Dyn) or sizeof(Elf64_Dyn): 8 or 16 bytes.
func DynamicEntrySize(c Class) int { return 2 * c.WordSize() }

// ParseDynamic reads the bytes of a PT_DYNAMIC segment up to DT_NULL or the end of b. If a tag occurs more than once the last
// entry counts, as in the dynamic linkers.
func (h *Header) ParseDynamic(b []byte) Dynamic {
	var d Dynamic
	d.add(h, b)
	return d
}

// add reads complete entries of b, the next piece of the section, up to DT_NULL.
func (d *Dynamic) add(h *Header, b []byte) {
	w := h.Class.WordSize()
	mips := h.Machine == EM_MIPS
	for len(b) >= 2*w && !d.HasNull {
		tag, val := h.Class.word(h.Order, b, 0), h.Class.word(h.Order, b, w)
		at := d.Size
		b = b[2*w:]
		d.Size += uint64(2 * w)
		switch tag {
		case DT_NULL:
			d.HasNull = true
		case DT_SONAME:
			d.Soname, d.HasSoname = val, true
		case DT_STRTAB:
			d.Strtab, d.HasStrtab = val, true
		case DT_STRSZ:
			d.Strsz, d.HasStrsz = val, true
		case DT_DEBUG:
			d.Debug = val
		case DT_ANDROID_REL, DT_ANDROID_RELA:
			d.AndroidPacked = true
		case DT_MIPS_RLD_MAP:
			if mips { // on other machines these numbers have other meanings
				d.RldMap, d.HasRldMap = val, true
			}
		case DT_MIPS_RLD_MAP_REL:
			if mips {
				d.RldMapRel, d.RldMapRelOff, d.HasRldMapRel = val, at, true
			}
		}
	}
}

// RldMapAddr returns, for MIPS, the runtime address of the word with the address of r_debug. Like the dynamic linkers it prefers
// the relative tag: the absolute one does not exist in position-independent programs.
func (d *Dynamic) RldMapAddr(im *Image) (uint64, bool) {
	switch {
	case d.HasRldMapRel:
		return (im.Dynamic.Addr + d.RldMapRelOff + d.RldMapRel) & im.Class.mask(), true
	case d.HasRldMap:
		return im.Rebase(d.RldMap), true
	}
	return 0, false
}

// EffectiveBase returns the address that readers of minidumps use as the base of an image's symbols: Base, except for an image
// with Android packed relocations, where it is the load bias.
//
// Android's relocation packer moved p_vaddr of all segments up by the space that it saved, so the first PT_LOAD does not start at
// 0 although the symbol file counts from there (Breakpad: GetEffectiveLoadBias in linux_dumper.cc). The module grows by Base
// minus the result. If the subtraction would go below 0, Base is returned.
func (im *Image) EffectiveBase(h *Header, d *Dynamic) uint64 {
	if h.Type == ET_DYN && d.AndroidPacked && im.Bias < im.Base {
		return im.Bias
	}
	return im.Base
}

// Dynamic reads the PT_DYNAMIC segment of the open image.
func (r *Reader) Dynamic() (Dynamic, bool) {
	for i := 0; i < r.numProgs(); i++ {
		p, ok := r.prog(i)
		if !ok {
			break
		}
		if p.Type == PT_DYNAMIC {
			return r.dynamic(r.place(p.Off, p.Vaddr), p.Filesz)
		}
	}
	return Dynamic{}, false
}

// dynamic reads a dynamic section; false if it has no entry.
func (r *Reader) dynamic(off, size uint64) (Dynamic, bool) {
	var d Dynamic
	entry := uint64(DynamicEntrySize(r.Header.Class))
	for left := min(size, MaxSegmentRead); left >= entry && !d.HasNull; {
		b := r.data.piece(r.src, off+d.Size, left)
		before := d.Size
		d.add(&r.Header, b)
		if d.Size == before {
			break
		}
		left -= d.Size - before
	}
	return d, d.Size != 0
}
