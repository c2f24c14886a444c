// Package dll writes small Windows libraries: one piece of machine code with its exports and imports.
//
// It is for code that another process must load from a file, without a compiler: package wer, and the library that Wine lacks
// (internal/wine/mkshim). The same Library always makes the same bytes. Memory is from the Go heap. The fields are trusted: errors
// are only a wrong machine, unsorted exports, and a Library that does not fit.
//
// Sources of the layouts: the PE Format specification of Microsoft, and winnt.h of the Windows SDK.
package dll

import (
	"encoding/binary"
	"errors"

	"minidump/pe"
)

// CodeToImports is the distance from the start of the code to the import address table, in bytes. The table has the addresses of
// the imports, in the order of Library.Imports, each the size of a pointer.
const CodeToImports = dataRVA - codeRVA

// Library describes the contents of the file.
type Library struct {
	Machine   uint16 // pe.IMAGE_FILE_MACHINE_AMD64, _ARM64 or _I386
	Name      string // name in the export directory
	Code      []byte // position-independent; at most CodeToImports bytes
	Entry     uint32 // offset of DllMain in Code, if HasEntry
	HasEntry  bool
	Exports   []Export // sorted by the bytes of their names
	From      string   // library that has the imports; "" for no imports
	Imports   []string
	Functions []Function // in the order of Begin
}

// Export is a function that the library exports.
type Export struct {
	Name   string
	Offset uint32 // in Code
}

// Function is a piece of Code that has unwind information.
type Function struct {
	Begin, End uint32 // offsets in Code
	Unwind     []byte // UNWIND_INFO of amd64, or the record in .xdata of arm64
}

// Addresses of the sections in memory, and their alignment in the file.
const (
	codeRVA       = 0x1000
	dataRVA       = 0x2000
	page          = 0x1000
	fileAlignment = 0x200
	headersSize   = 0x400

	headersAt   = 0x80 // "PE\0\0"
	fileHeader  = headersAt + 4
	optionalAt  = fileHeader + 20
	sectionSize = 40 // IMAGE_SECTION_HEADER
)

// Errors of Bytes.
var (
	errMachine = errors.New("dll: no such machine")
	errSize    = errors.New("dll: the code or the tables are longer than a page")
	errOrder   = errors.New("dll: exports are not in the order of their names")
)

var le = binary.LittleEndian

// Bytes returns the contents of the file.
func (l *Library) Bytes() ([]byte, error) {
	switch l.Machine {
	case pe.IMAGE_FILE_MACHINE_AMD64, pe.IMAGE_FILE_MACHINE_ARM64, pe.IMAGE_FILE_MACHINE_I386:
	default:
		return nil, errMachine
	}
	for i := 1; i < len(l.Exports); i++ {
		if l.Exports[i-1].Name >= l.Exports[i].Name {
			return nil, errOrder
		}
	}
	d := &tables{word: l.word()}
	d.imports(l.From, l.Imports)
	d.exports(l.Name, l.Exports)
	d.unwind(l.Functions)
	sections := []section{
		{".text", codeRVA, 0x60000020, l.Code}, // code, execute, read
		{".rdata", dataRVA, 0x40000040, d.b},   // initialised data, read
	}
	next := uint32(dataRVA + page)
	if len(l.Functions) > 0 {
		sections = append(sections, section{".pdata", next, 0x40000040, d.functions(next, l.Functions, l.Machine)})
		next += page
	}
	sections = append(sections, section{".reloc", next, 0x42000040, d.relocations(next)}) // initialised data, read, discardable
	for _, s := range sections {
		if len(s.bytes) > page {
			return nil, errSize
		}
	}
	f := make([]byte, headersSize)
	l.headers(f, d, sections)
	for _, s := range sections {
		f = append(f, s.bytes...)
		f = append(f, make([]byte, aligned(len(s.bytes))-len(s.bytes))...)
	}
	return f, nil
}

// section is a part of the image.
type section struct {
	name            string
	rva             uint32
	characteristics uint32
	bytes           []byte
}

func aligned(n int) int { return (n + fileAlignment - 1) &^ (fileAlignment - 1) }

// word returns the size of a pointer in bytes.
func (l *Library) word() int {
	if l.Machine == pe.IMAGE_FILE_MACHINE_I386 {
		return 4
	}
	return 8
}

// headers writes all headers to f.
func (l *Library) headers(f []byte, d *tables, sections []section) {
	size := 224 // IMAGE_OPTIONAL_HEADER32
	characteristics := uint16(pe.IMAGE_FILE_EXECUTABLE_IMAGE | pe.IMAGE_FILE_DLL)
	if l.word() == 8 {
		size = 240
		characteristics |= pe.IMAGE_FILE_LARGE_ADDRESS_AWARE
	} else {
		characteristics |= 0x0100 // IMAGE_FILE_32BIT_MACHINE
	}
	le.PutUint16(f, pe.IMAGE_DOS_SIGNATURE)
	le.PutUint32(f[0x3c:], headersAt)
	le.PutUint32(f[headersAt:], pe.IMAGE_NT_SIGNATURE)
	le.PutUint16(f[fileHeader:], l.Machine)
	le.PutUint16(f[fileHeader+2:], uint16(len(sections)))
	le.PutUint16(f[fileHeader+16:], uint16(size))
	le.PutUint16(f[fileHeader+18:], characteristics)
	l.optional(f[optionalAt:optionalAt+size], d, sections)
	at, table := uint32(headersSize), f[optionalAt+size:]
	for _, s := range sections {
		raw := uint32(aligned(len(s.bytes)))
		copy(table[:8], s.name)
		le.PutUint32(table[8:], uint32(len(s.bytes)))
		le.PutUint32(table[12:], s.rva)
		le.PutUint32(table[16:], raw)
		le.PutUint32(table[20:], at)
		le.PutUint32(table[36:], s.characteristics)
		at, table = at+raw, table[sectionSize:]
	}
}

// optional fills in an IMAGE_OPTIONAL_HEADER, including its directories.
func (l *Library) optional(o []byte, d *tables, sections []section) {
	protection := uint16(0x0140) // IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, _NX_COMPAT
	directories := 96
	if l.word() == 8 {
		directories = 112
		protection |= 0x0020 // _HIGH_ENTROPY_VA
		le.PutUint16(o, pe.IMAGE_NT_OPTIONAL_HDR64_MAGIC)
		le.PutUint64(o[24:], 0x180000000) // ImageBase
	} else {
		protection |= 0x0400 // _NO_SEH
		le.PutUint16(o, pe.IMAGE_NT_OPTIONAL_HDR32_MAGIC)
		le.PutUint32(o[28:], 0x10000000)
	}
	le.PutUint32(o[4:], uint32(aligned(len(l.Code)))) // SizeOfCode
	for _, s := range sections[1:] {
		le.PutUint32(o[8:], le.Uint32(o[8:])+uint32(aligned(len(s.bytes)))) // SizeOfInitializedData
	}
	if l.HasEntry {
		le.PutUint32(o[16:], codeRVA+l.Entry)
	}
	le.PutUint32(o[20:], codeRVA) // BaseOfCode
	le.PutUint32(o[32:], page)
	le.PutUint32(o[36:], fileAlignment)
	le.PutUint16(o[40:], 6) // MajorOperatingSystemVersion, and at 48 MajorSubsystemVersion: Windows Vista
	le.PutUint16(o[48:], 6)
	le.PutUint32(o[56:], sections[len(sections)-1].rva+page) // SizeOfImage
	le.PutUint32(o[60:], headersSize)
	le.PutUint16(o[68:], 2) // IMAGE_SUBSYSTEM_WINDOWS_GUI
	le.PutUint16(o[70:], protection)
	for i, v := range []uint64{0x100000, 0x1000, 0x100000, 0x1000} { // stack and heap: reserve, commit
		if l.word() == 8 {
			le.PutUint64(o[72+8*i:], v)
		} else {
			le.PutUint32(o[72+4*i:], uint32(v))
		}
	}
	le.PutUint32(o[directories-4:], pe.IMAGE_NUMBEROF_DIRECTORY_ENTRIES)
	for i, v := range d.directories {
		le.PutUint32(o[directories+8*i:], v.RVA)
		le.PutUint32(o[directories+8*i+4:], v.Size)
	}
}
