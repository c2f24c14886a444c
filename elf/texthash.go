package elf

import "encoding/binary"

// TextHashSize is how many bytes of code TextHash takes in, at most.
const TextHashSize = 4096

// TextHash identifies an image that has no build id, as Breakpad does (HashElfTextSection in file_id.cc): the 16-byte
// pieces of the first TextHashSize bytes of its code section are XORed together; of a last short piece only what is
// there. It is a weak identity, but the one that dump_syms puts in the symbol file.
func TextHash(text []byte) [16]byte {
	var lo, hi uint64
	text = text[:min(len(text), TextHashSize)]
	for len(text) >= 16 {
		lo ^= binary.LittleEndian.Uint64(text)
		hi ^= binary.LittleEndian.Uint64(text[8:])
		text = text[16:]
	}
	var id [16]byte
	binary.LittleEndian.PutUint64(id[:], lo)
	binary.LittleEndian.PutUint64(id[8:], hi)
	for i, c := range text {
		id[i] ^= c
	}
	return id
}
