package pe

import (
	"encoding/binary"
	"unicode/utf16"
)

// synth is a small image with one section that contains every part that the package reads.
type synth struct {
	wide      bool // PE32+
	dirs      [IMAGE_NUMBEROF_DIRECTORY_ENTRIES]Directory
	body      map[uint32][]byte // contents by RVA, from sectionRVA on
	longNames bool              // the section's name is in the string table
}

// RVAs and file offsets of the parts of a synth.
const (
	synthNT     = 0x80
	sectionRVA  = 0x2000
	sectionFile = 0x400
	sectionLen  = 0x1000
)

// bytes returns the file.
func (s *synth) bytes() []byte {
	f := make([]byte, sectionFile+sectionLen)
	copy(f, "MZ")
	le.PutUint32(f[60:], synthNT)
	nt := f[synthNT:]
	copy(nt, "PE\x00\x00")
	le.PutUint16(nt[4:], IMAGE_FILE_MACHINE_AMD64)
	le.PutUint16(nt[6:], 1) // sections
	le.PutUint32(nt[8:], 0x5ec5db2e)
	opt, fixed, magic := nt[24:], 96, uint16(IMAGE_NT_OPTIONAL_HDR32_MAGIC)
	if s.wide {
		fixed, magic = 112, IMAGE_NT_OPTIONAL_HDR64_MAGIC
		le.PutUint64(opt[24:], 0x180000000)
	} else {
		le.PutUint16(nt[4:], IMAGE_FILE_MACHINE_I386)
		le.PutUint32(opt[28:], 0x10000000)
	}
	size := fixed + 8*len(s.dirs)
	le.PutUint16(nt[20:], uint16(size))
	le.PutUint16(nt[22:], IMAGE_FILE_EXECUTABLE_IMAGE|IMAGE_FILE_DLL)
	le.PutUint16(opt, magic)
	le.PutUint32(opt[16:], sectionRVA+0x10)
	le.PutUint32(opt[32:], 0x1000)
	le.PutUint32(opt[36:], 0x200)
	le.PutUint32(opt[56:], sectionRVA+sectionLen) // size of image
	le.PutUint32(opt[60:], sectionFile)           // size of headers
	le.PutUint32(opt[64:], 0xabcd)                // checksum
	le.PutUint16(opt[68:], 3)
	le.PutUint32(opt[fixed-4:], uint32(len(s.dirs)))
	for i, d := range s.dirs {
		le.PutUint32(opt[fixed+8*i:], d.RVA)
		le.PutUint32(opt[fixed+8*i+4:], d.Size)
	}
	sec := opt[size:]
	copy(sec, ".rdata")
	le.PutUint32(sec[8:], sectionLen)
	le.PutUint32(sec[12:], sectionRVA)
	le.PutUint32(sec[16:], sectionLen)
	le.PutUint32(sec[20:], sectionFile)
	le.PutUint32(sec[36:], IMAGE_SCN_MEM_READ|IMAGE_SCN_CNT_INITIALIZED_DATA)
	for rva, b := range s.body {
		copy(f[rva-sectionRVA+sectionFile:], b)
	}
	if s.longNames {
		copy(sec, "/4\x00\x00\x00\x00\x00\x00")
		le.PutUint32(nt[12:], uint32(len(f))) // symbols
		f = append(f, 20, 0, 0, 0)
		f = append(f, ".debug_info_long\x00"...)
	}
	return f
}

// loaded returns the image that the loader makes from a file: headers and sections at their RVAs.
func loaded(file []byte) []byte {
	var h Header
	nt, ok := NTHeaderOffset(file)
	if !ok || !h.Parse(file[nt:]) {
		return nil
	}
	m := make([]byte, h.SizeOfImage)
	copy(m, file[:min(len(file), int(h.SizeOfHeaders))])
	at := int(nt) + 24 + int(h.SizeOfOptionalHeader)
	for i := range int(h.NumberOfSections) {
		var s Section
		if !s.Parse(file[at+SectionSize*i:]) || s.PointerToRawData == 0 || int(s.VirtualAddress) > len(m) {
			continue
		}
		to := m[s.VirtualAddress:min(uint64(s.VirtualAddress)+(uint64(s.Size())+4095)&^4095, uint64(len(m)))]
		copy(to, file[s.raw():min(s.raw()+uint64(s.SizeOfRawData), uint64(len(file)))])
	}
	return m
}

// rsds returns a CodeView record with the GUID 00112233-4455-6677-8899-aabbccddeeff.
func rsds(age uint32, name string) []byte {
	b := []byte("RSDS\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff")
	b = le.AppendUint32(b, age)
	return append(append(b, name...), 0)
}

// debugEntry returns an IMAGE_DEBUG_DIRECTORY that refers to size bytes at rva of a synth.
func debugEntry(typ, rva, size uint32) []byte {
	b := make([]byte, DebugEntrySize)
	le.PutUint32(b[12:], typ)
	le.PutUint32(b[16:], size)
	le.PutUint32(b[20:], rva)
	le.PutUint32(b[24:], rva-sectionRVA+sectionFile)
	return b
}

func utf16z(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return append(b, 0, 0)
}

// versionBlock returns one block of a version resource, with its padding.
func versionBlock(key string, text bool, value []byte, valueLength int, children ...[]byte) []byte {
	b := make([]byte, 6)
	b = append(b, utf16z(key)...)
	b = pad4(b)
	b = append(b, value...)
	for _, c := range children {
		b = append(pad4(b), c...)
	}
	le.PutUint16(b, uint16(len(b)))
	le.PutUint16(b[2:], uint16(valueLength))
	if text {
		le.PutUint16(b[4:], 1)
	}
	return b
}

func pad4(b []byte) []byte {
	for len(b)&3 != 0 {
		b = append(b, 0)
	}
	return b
}

// versionResource returns a version resource with two languages, and a text whose length is in bytes instead of units.
func versionResource() []byte {
	fixed := make([]byte, FixedFileInfoSize)
	le.PutUint32(fixed, VS_FFI_SIGNATURE)
	le.PutUint32(fixed[4:], 0x10000)
	le.PutUint32(fixed[8:], 10<<16)
	le.PutUint32(fixed[12:], 19041<<16|789)
	le.PutUint32(fixed[16:], 1<<16|2)
	le.PutUint32(fixed[20:], 3<<16|4)
	str := func(key, value string, length int) []byte {
		return versionBlock(key, true, utf16z(value), length)
	}
	return versionBlock("VS_VERSION_INFO", false, fixed, len(fixed),
		versionBlock("VarFileInfo", true, nil, 0, versionBlock("Translation", false, []byte{9, 4, 0xb0, 4}, 4)),
		versionBlock("StringFileInfo", true, nil, 0,
			versionBlock("040904b0", true, nil, 0, str("CompanyName", "Größe & Co", 11), str("FileVersion", "10.0.19041.789", 30), str("Empty", "", 0)),
			versionBlock("040704b0", true, nil, 0, str("FileVersion", "zweite", 7), str("Comments", "nur hier", 9))))
}

// resources returns a resource tree at rva with a version resource, after a type with another number.
func resources(rva uint32, version []byte) []byte {
	b := make([]byte, 0x100)
	dir := func(at int, ids ...uint32) {
		le.PutUint16(b[at+14:], uint16(len(ids)/2))
		for i := 0; i < len(ids); i += 2 {
			le.PutUint32(b[at+16+4*i:], ids[i])
			le.PutUint32(b[at+20+4*i:], ids[i+1])
		}
	}
	dir(0, RT_MESSAGETABLE, 0x20|resourceIsDirectory, RT_VERSION, 0x40|resourceIsDirectory)
	dir(0x40, 1, 0x60|resourceIsDirectory)
	dir(0x60, 0x409, 0x80, 0x407, 0xff)
	le.PutUint32(b[0x80:], rva+0x100)
	le.PutUint32(b[0x84:], uint32(len(version)))
	return append(b, version...)
}

// exportData returns export data with three names for two functions and a forwarder, and one function without a name.
func exportData(rva uint32) []byte {
	b := make([]byte, 0x100)
	put := func(at int, v uint32) { le.PutUint32(b[at:], v) }
	text := func(at int, s string) uint32 { copy(b[at:], s); return rva + uint32(at) }
	put(12, text(0xf0, "lib.dll"))
	put(16, 10) // ordinal base
	put(20, 4)
	put(24, 3)
	put(28, rva+0x30)
	put(32, rva+0x40)
	put(36, rva+0x50)
	put(0x30, 0x1000)
	put(0x34, 0x1100)
	put(0x38, text(0xe0, "NTDLL.Other"))
	put(0x3c, 0x1200)
	put(0x40, text(0x60, "alpha"))
	put(0x44, text(0x68, "beta"))
	put(0x48, text(0x70, "gamma"))
	for i, o := range []uint16{1, 0, 2} {
		le.PutUint16(b[0x50+2*i:], o)
	}
	return b
}

// whole returns a synth with all parts.
func whole(wide bool) *synth {
	cv := rsds(3, `d:\bin\lib.pdb`)
	res := resources(sectionRVA+0x400, versionResource())
	s := &synth{wide: wide, body: map[uint32][]byte{
		sectionRVA + 0x100: append(debugEntry(IMAGE_DEBUG_TYPE_POGO, sectionRVA+0x300, 4), debugEntry(IMAGE_DEBUG_TYPE_CODEVIEW, sectionRVA+0x200, uint32(len(cv)))...),
		sectionRVA + 0x200: cv,
		sectionRVA + 0x400: res,
		sectionRVA + 0xc00: exportData(sectionRVA + 0xc00),
	}}
	s.dirs[IMAGE_DIRECTORY_ENTRY_DEBUG] = Directory{sectionRVA + 0x100, 2 * DebugEntrySize}
	s.dirs[IMAGE_DIRECTORY_ENTRY_RESOURCE] = Directory{sectionRVA + 0x400, uint32(len(res))}
	s.dirs[IMAGE_DIRECTORY_ENTRY_EXPORT] = Directory{sectionRVA + 0xc00, 0x100}
	return s
}

// counted is a Source that counts reads: the work for a hostile image must be bounded.
type counted struct {
	b     []byte
	reads int
}

func (s *counted) ReadAt(p []byte, off uint64) int {
	s.reads++
	return (&Bytes{s.b}).ReadAt(p, off)
}
