package elf

import "encoding/binary"

// Note types that this package searches for.
const (
	NT_GNU_BUILD_ID = 3 // with the name "GNU": the descriptor is the build id
	NT_GO_BUILD_ID  = 4 // with the name "Go": the descriptor is the text of the Go build id
)

// Note is one entry of a note segment. Name and Desc are subslices of the bytes it was read from.
type Note struct {
	Type uint32
	Name []byte // without the NULs at its end
	Desc []byte
}

// noteHead is the size of Elf32_Nhdr and Elf64_Nhdr in bytes.
const noteHead = 12

// notePad returns the alignment of the parts of a note, less 1.
func notePad(align uint64) uint64 {
	if align == 8 {
		return 7
	}
	return 3
}

// descOffset returns the offset in b of the descriptor of the first note, which NextNote has read.
func descOffset(b []byte, align uint64, o binary.ByteOrder) uint64 {
	pad := notePad(align)
	return (noteHead + uint64(o.Uint32(b)) + pad) &^ pad
}

// NextNote reads the first note of b and returns it with the rest of b. (Elf32_Nhdr and Elf64_Nhdr are the same: three 32-bit
// words, followed by name and descriptor, each padded.) align is the alignment of the segment or section: 8 pads to 8 bytes,
// everything else to 4, as in glibc and binutils. ok is false at the end, and if the sizes in the note extend beyond b.
func NextNote(b []byte, align uint64, o binary.ByteOrder) (n Note, rest []byte, ok bool) {
	if len(b) < noteHead {
		return Note{}, nil, false
	}
	pad := notePad(align)
	size := uint64(len(b))
	nameEnd := noteHead + uint64(o.Uint32(b)) // at most 2^32 + 12: no sum below can wrap
	desc := (nameEnd + pad) &^ pad
	descEnd := desc + uint64(o.Uint32(b[4:]))
	if nameEnd > size || descEnd > size {
		if descEnd > desc || nameEnd > size {
			return Note{}, nil, false
		}
		desc, descEnd = size, size // an empty descriptor, with the padding before it cut off
	}
	n.Type = o.Uint32(b[8:])
	name := b[noteHead:nameEnd:nameEnd]
	for len(name) > 0 && name[len(name)-1] == 0 {
		name = name[:len(name)-1]
	}
	n.Name = name
	n.Desc = b[desc:descEnd:descEnd]
	return n, b[min((descEnd+pad)&^pad, size):], true
}

// findNote returns the descriptor of the first note of that name and type that has one, with a single alignment.
func findNote(b []byte, align uint64, o binary.ByteOrder, name string, typ uint32) []byte {
	for {
		n, rest, ok := NextNote(b, align, o)
		if !ok {
			return nil
		}
		if n.Type == typ && string(n.Name) == name && len(n.Desc) != 0 {
			return n.Desc
		}
		b = rest
	}
}

// otherAlign returns the note alignment to try if nothing was found with the stated one: some linkers put notes padded to 4 in a
// segment that states 8, because one of its sections requires it.
func otherAlign(align uint64) uint64 {
	if align == 8 {
		return 4
	}
	return 8
}

// FindNote returns the descriptor of the first note of that name (without a NUL) and type in the PT_NOTE segments of the open
// image, and its offset in the Source. It returns false if there is none, or if the descriptor is empty or larger than half of
// the scratch memory. It reads the first MaxNotes segments, and at most MaxSegmentRead bytes of each.
func (r *Reader) FindNote(name string, typ uint32) (off uint64, desc []byte, ok bool) {
	seen := 0
	for i := 0; i < r.numProgs() && seen < MaxNotes; i++ {
		p, ok := r.prog(i)
		if !ok {
			break
		}
		if p.Type != PT_NOTE || p.Filesz == 0 {
			continue
		}
		seen++
		if off, desc := r.noteAt(r.place(p.Off, p.Vaddr), p.Filesz, p.Align, name, typ); desc != nil {
			return off, desc, true
		}
	}
	return 0, nil, false
}
