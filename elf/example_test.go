package elf_test

import (
	"encoding/binary"
	"fmt"

	"minidump/elf"
)

// Reads the build id from the bytes of a note segment.
func ExampleBuildID() {
	notes := []byte("\x04\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00GNU\x00\xde\xad\xbe\xef")
	fmt.Printf("%x\n", elf.BuildID(notes, 4, binary.LittleEndian))
	// Output: deadbeef
}

// Reads the identity of an image through a Source, such as a file or the memory of a process. The image is built here: an ELF
// header, one program header and a note.
func ExampleReader() {
	le := binary.LittleEndian
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	b = le.AppendUint16(b, elf.ET_DYN)
	b = le.AppendUint16(b, elf.EM_X86_64)
	b = le.AppendUint32(b, 1)
	for _, v := range []uint64{0, elf.HeaderSize64, 0} { // e_entry, e_phoff, e_shoff
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{elf.HeaderSize64, elf.ProgSize64, 1, elf.SectionSize64, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(le.AppendUint32(b, elf.PT_NOTE), elf.PF_R)
	for _, v := range []uint64{0x78, 0x78, 0x78, 20, 20, 4} { // offset, addresses, sizes, alignment
		b = le.AppendUint64(b, v)
	}
	b = append(b, "\x04\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00GNU\x00\xde\xad\xbe\xef"...)

	r := elf.NewReader(nil)
	id, kind, ok := r.BuildIDOf(&elf.Bytes{B: b}, elf.Placement{})
	fmt.Printf("%x %v %v\n", id, kind == elf.IDNote, ok)
	// Output: deadbeef true true
}
