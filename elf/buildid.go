package elf

import "encoding/binary"

// IDKind states the origin of a build id.
type IDKind uint8

const (
	IDNone     IDKind = iota
	IDNote            // NT_GNU_BUILD_ID in a PT_NOTE segment
	IDSection         // NT_GNU_BUILD_ID in a section of notes
	IDTextHash        // TextHash of the code section
)

// BuildID returns the build id in the bytes of a PT_NOTE segment or of a .note.gnu.build-id section, as a subslice: the
// descriptor of the first note "GNU" of type NT_GNU_BUILD_ID that is not empty. It returns nil if there is none. align is that of
// the segment; if nothing is found with it, the other usual alignment is tried. An id of only zeros is returned too: see
// IsAllZero.
func BuildID(notes []byte, align uint64, o binary.ByteOrder) []byte {
	if id := findNote(notes, align, o, "GNU", NT_GNU_BUILD_ID); id != nil {
		return id
	}
	return findNote(notes, otherAlign(align), o, "GNU", NT_GNU_BUILD_ID)
}

// GoBuildID returns the build id that the Go linker writes (a text such as "a/b/c/d", as `go tool buildid` prints it) from the
// bytes of a PT_NOTE segment, as a subslice. It returns nil if there is none; any other result means a Go program.
func GoBuildID(notes []byte, align uint64, o binary.ByteOrder) []byte {
	if id := findNote(notes, align, o, "Go", NT_GO_BUILD_ID); id != nil {
		return id
	}
	return findNote(notes, otherAlign(align), o, "Go", NT_GO_BUILD_ID)
}

// IsAllZero reports whether all bytes of b are 0. A build id like that identifies nothing.
func IsAllZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// noteOf finds a note in the PT_NOTE segments.
func (r *Reader) noteOf(name string, typ uint32) []byte {
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
		if d := r.note(r.place(p.Off, p.Vaddr), p.Filesz, p.Align, name, typ); d != nil && !IsAllZero(d) {
			return d
		}
	}
	return nil
}

// goTail finds the GNU build id after a note segment with a Go build id: see the function goTail.
func (r *Reader) goTail() []byte {
	for i, seen := 0, 0; i < r.numProgs() && seen < MaxNotes; i++ {
		p, ok := r.prog(i)
		if !ok {
			break
		}
		if p.Type != PT_NOTE || p.Filesz == 0 || p.Filesz > MaxSegmentRead {
			continue
		}
		seen++
		at := r.place(p.Off, p.Vaddr)
		if r.note(at, p.Filesz, p.Align, "Go", NT_GO_BUILD_ID) == nil {
			continue
		}
		tail := goTail(Range{p.Vaddr, p.Filesz, p.Align})
		if id := r.note(at+p.Filesz, tail.Size, 4, "GNU", NT_GNU_BUILD_ID); id != nil && !IsAllZero(id) {
			return id
		}
	}
	return nil
}

// BuildID returns the identity of the open image and where it was found: the build id note of a PT_NOTE segment, else of a
// section of type SHT_NOTE, else of the section named .note.gnu.build-id, else the note that the Go linker put after its note
// segment, else TextHash of the section .text, or without one of the first section that is PROGBITS, ALLOC and EXECINSTR. An id
// of only zeros counts as none, and so does code that can't be read whole. If there is none, id is nil and kind is IDNone.
//
// A caller that gets IDTextHash for a memory image should check the file, if it can: the file's build id need not be loaded, and
// symbol files are identified by it.
func (r *Reader) BuildID() (id []byte, kind IDKind) {
	if id = r.noteOf("GNU", NT_GNU_BUILD_ID); id != nil {
		return id, IDNote
	}
	if t, ok := r.sections(); ok {
		for i, seen := 1, 0; i < t.n && seen < MaxNotes; i++ {
			s, ok := r.section(t.off, i)
			if !ok {
				break
			}
			if s.Type != SHT_NOTE || s.Flags&SHF_COMPRESSED != 0 {
				continue
			}
			seen++
			if id = r.sectionBuildID(&s); id != nil {
				return id, IDSection
			}
		}
	}
	if s, ok := r.findSection(".note.gnu.build-id"); ok {
		if id = r.sectionBuildID(&s); id != nil {
			return id, IDSection
		}
	}
	if id = r.goTail(); id != nil {
		return id, IDNote
	}
	if r.textHash() {
		return r.hash[:], IDTextHash
	}
	return nil, IDNone
}

func (r *Reader) sectionBuildID(s *Section) []byte {
	at, ok := r.placeSection(s)
	if !ok {
		return nil
	}
	id := r.note(at, s.Size, s.Align, "GNU", NT_GNU_BUILD_ID)
	if IsAllZero(id) {
		return nil
	}
	return id
}

// textHash hashes the section named .text, because writers of symbol files do so too: programs of C libraries that still create
// .init have .init before .text.
func (r *Reader) textHash() bool {
	if s, ok := r.findSection(".text"); ok && isCode(&s) {
		return r.hashSection(&s)
	}
	t, ok := r.sections()
	if !ok {
		return false
	}
	for i := 1; i < t.n; i++ {
		s, ok := r.section(t.off, i)
		if !ok {
			return false
		}
		if isCode(&s) {
			return r.hashSection(&s)
		}
	}
	return false
}

func isCode(s *Section) bool {
	return s.Type == SHT_PROGBITS && s.Flags&(SHF_ALLOC|SHF_EXECINSTR) == SHF_ALLOC|SHF_EXECINSTR
}

func (r *Reader) hashSection(s *Section) bool {
	off, ok := r.placeSection(s)
	if !ok {
		return false
	}
	b := r.data.at(r.src, off, int(min(s.Size, TextHashSize)))
	if len(b) == 0 {
		return false
	}
	r.hash = TextHash(b)
	return !IsAllZero(r.hash[:])
}

// BuildIDOf combines Open and BuildID.
func (r *Reader) BuildIDOf(src Source, placement Placement) (id []byte, kind IDKind, ok bool) {
	if !r.Open(src, placement) {
		return nil, IDNone, false
	}
	id, kind = r.BuildID()
	return id, kind, kind != IDNone
}

// GoBuildID returns the Go linker's build id from the PT_NOTE segments of the open image, or nil.
func (r *Reader) GoBuildID() []byte { return r.noteOf("Go", NT_GO_BUILD_ID) }

// TextHashSize is the largest number of bytes of code that TextHash uses.
const TextHashSize = 4096

// TextHash identifies an image that has no build id, as Breakpad does (HashElfTextSection in file_id.cc): it XORs the 16-byte
// pieces of the first TextHashSize bytes of the code section; the last piece may be shorter. It is a weak identity, but the one
// that dump_syms puts in the symbol file.
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
