// Mkshim writes a bcryptprimitives.dll for Wine 8, which lacks that library and so can't start a Go program. It exports
// only ProcessPrng, whose numbers are not random: for tests only.
//
//	go run ./internal/wine/mkshim amd64 "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll"
package main

import (
	"encoding/binary"
	"os"
)

// machine is what the library depends on the processor in.
type machine struct {
	number          uint16 // IMAGE_FILE_MACHINE_
	wide            bool   // PE32+
	characteristics uint16
	code            []byte // BOOL ProcessPrng(BYTE *, SIZE_T): it fills the buffer from the time stamp counter
}

var machines = map[string]*machine{
	"amd64": {0x8664, true, 0x2022, []byte{ // executable, large addresses, DLL
		0x49, 0x89, 0xc8, // mov r8, rcx
		0x49, 0x89, 0xd1, // mov r9, rdx
		0x4d, 0x85, 0xc9, // loop: test r9, r9
		0x74, 0x16, // jz end
		0x0f, 0x31, // rdtsc
		0x69, 0xc0, 0xb1, 0x79, 0x37, 0x9e, // imul eax, eax, 0x9e3779b1
		0xc1, 0xe8, 0x18, // shr eax, 24
		0x41, 0x88, 0x00, // mov [r8], al
		0x49, 0xff, 0xc0, // inc r8
		0x49, 0xff, 0xc9, // dec r9
		0xeb, 0xe5, // jmp loop
		0xb8, 1, 0, 0, 0, // end: mov eax, 1
		0xc3, // ret
	}},
	"386": {0x14c, false, 0x2102, []byte{ // executable, of 32 bits, DLL
		0x56, 0x57, // push esi; push edi
		0x8b, 0x7c, 0x24, 0x0c, // mov edi, [esp+12]
		0x8b, 0x74, 0x24, 0x10, // mov esi, [esp+16]
		0x85, 0xf6, // loop: test esi, esi
		0x74, 0x11, // jz end
		0x0f, 0x31, // rdtsc
		0x69, 0xc0, 0xb1, 0x79, 0x37, 0x9e, // imul eax, eax, 0x9e3779b1
		0xc1, 0xe8, 0x18, // shr eax, 24
		0x88, 0x07, // mov [edi], al
		0x47, 0x4e, // inc edi; dec esi
		0xeb, 0xeb, // jmp loop
		0xb8, 1, 0, 0, 0, // end: mov eax, 1
		0x5f, 0x5e, // pop edi; pop esi
		0xc2, 8, 0, // ret 8
	}},
}

// Where things lie in the file and in the image (PE format specification, Microsoft).
const (
	peHeader   = 0x80
	optional   = peHeader + 24 // IMAGE_OPTIONAL_HEADER
	textFile   = 0x200
	textRVA    = 0x1000
	exportFile = 0x400
	exportRVA  = 0x2000
	alignment  = 0x200
)

func main() {
	var m *machine
	if len(os.Args) == 3 {
		m = machines[os.Args[1]]
	}
	if m == nil {
		os.Stderr.WriteString("usage: mkshim amd64|386 FILE\n")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[2], m.library(), 0o644); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

// layout returns the size of the optional header, which IMAGE_DATA_DIRECTORY ends, and where that begins in it.
func (m *machine) layout() (size, directories int) {
	if m.wide {
		return 240, 112
	}
	return 224, 96
}

func (m *machine) library() []byte {
	le := binary.LittleEndian
	size, directories := m.layout()
	f := make([]byte, 0x600)
	copy(f, "MZ")
	le.PutUint32(f[0x3c:], peHeader)

	copy(f[peHeader:], "PE\x00\x00")
	le.PutUint16(f[peHeader+4:], m.number)
	le.PutUint16(f[peHeader+6:], 2) // sections
	le.PutUint16(f[peHeader+20:], uint16(size))
	le.PutUint16(f[peHeader+22:], m.characteristics)
	m.optional(f[optional:])
	le.PutUint32(f[optional+directories:], exportRVA)
	le.PutUint32(f[optional+directories+4:], 0x80)

	sections := f[optional+size:]
	section(sections, ".text", textRVA, textFile, 0x60000020)
	section(sections[40:], ".edata", exportRVA, exportFile, 0x40000040)
	copy(f[textFile:], m.code)

	e := f[exportFile:] // IMAGE_EXPORT_DIRECTORY
	le.PutUint32(e[12:], exportRVA+0x50)
	le.PutUint32(e[16:], 1) // ordinal base
	le.PutUint32(e[20:], 1) // functions
	le.PutUint32(e[24:], 1) // names
	le.PutUint32(e[28:], exportRVA+0x28)
	le.PutUint32(e[32:], exportRVA+0x2c)
	le.PutUint32(e[36:], exportRVA+0x30)
	le.PutUint32(e[0x28:], textRVA)
	le.PutUint32(e[0x2c:], exportRVA+0x68)
	copy(e[0x50:], "bcryptprimitives.dll\x00")
	copy(e[0x68:], "ProcessPrng\x00")
	return f
}

// optional fills in an IMAGE_OPTIONAL_HEADER up to its directories.
func (m *machine) optional(o []byte) {
	le := binary.LittleEndian
	_, directories := m.layout()
	le.PutUint32(o[4:], alignment)
	le.PutUint32(o[8:], alignment)
	le.PutUint32(o[20:], textRVA)
	if m.wide {
		le.PutUint16(o, 0x20b)            // PE32+
		le.PutUint64(o[24:], 0x180000000) // image base
	} else {
		le.PutUint16(o, 0x10b)
		le.PutUint32(o[28:], 0x10000000)
	}
	le.PutUint32(o[32:], 0x1000)    // section alignment
	le.PutUint32(o[36:], alignment) // file alignment
	le.PutUint16(o[40:], 6)         // OS version
	le.PutUint16(o[48:], 6)         // subsystem version
	le.PutUint32(o[56:], 0x3000)    // size of image
	le.PutUint32(o[60:], 0x200)     // size of headers
	le.PutUint16(o[68:], 2)         // GUI subsystem
	le.PutUint16(o[70:], 0x140)     // dynamic base, NX
	for i, v := range []uint64{0x100000, 0x1000, 0x100000, 0x1000} {
		if m.wide {
			le.PutUint64(o[72+8*i:], v) // stack and heap: reserve, commit
		} else {
			le.PutUint32(o[72+4*i:], uint32(v))
		}
	}
	le.PutUint32(o[directories-4:], 16) // how many directories
}

// section fills in an IMAGE_SECTION_HEADER.
func section(s []byte, name string, rva, file, characteristics uint32) {
	le := binary.LittleEndian
	copy(s, name)
	le.PutUint32(s[8:], alignment)
	le.PutUint32(s[12:], rva)
	le.PutUint32(s[16:], alignment)
	le.PutUint32(s[20:], file)
	le.PutUint32(s[36:], characteristics)
}
