package macho

// Source is what a Reader reads: a file, or the memory of a task. Sources of package elf implement it too.
type Source interface {
	// ReadAt reads at most len(p) bytes at off, an offset in the file or a runtime address, and returns the number of bytes read:
	// fewer than len(p), or 0, at the end and on any failure.
	ReadAt(p []byte, off uint64) int
}

// Bytes is a Source for bytes in this process, which represent the memory at Addr. Pass a pointer: converting the struct itself
// to an interface allocates.
type Bytes struct {
	B    []byte
	Addr uint64 // 0 for a file
}

// ReadAt implements Source.
func (s *Bytes) ReadAt(p []byte, off uint64) int {
	if off < s.Addr || off-s.Addr >= uint64(len(s.B)) {
		return 0
	}
	return copy(p, s.B[off-s.Addr:])
}

const (
	// MinScratch is the minimum size of the scratch memory of a Reader in bytes.
	MinScratch = 4096
	// MaxText bounds the length of an install name and of the path of the dynamic linker in bytes (MAXPATHLEN).
	MaxText = 1024
	// maxSections bounds the sections of one segment that are read. A section number has 8 bits (struct nlist).
	maxSections = 255
)

// Reader reads one image through a Source. It never allocates after NewReader.
//
// First open an image. Bytes that a method returns are in the scratch memory and valid until the next call.
type Reader struct {
	Image Image // of the open image

	src      Source
	commands uint64 // offset of the load commands in the source
	base     uint64 // offset of the image in the file
	memory   bool   // the source is the memory of a task

	buf   []byte
	bufAt uint64 // offset of buf[0] in the source
	n     int    // bytes of buf that are filled
}

// NewReader returns a Reader with that scratch memory, or with its own if scratch is shorter than MinScratch. More scratch memory
// means fewer reads.
func NewReader(scratch []byte) *Reader {
	if len(scratch) < MinScratch {
		scratch = make([]byte, MinScratch)
	}
	r := new(Reader)
	r.Init(scratch)
	return r
}

// Init initializes r as NewReader does, for a Reader that is part of something larger. It allocates nothing, and panics if
// scratch is shorter than MinScratch.
func (r *Reader) Init(scratch []byte) {
	_ = scratch[MinScratch-1]
	r.buf, r.n = scratch, 0
}

// OpenMemory reads the image in the memory of a task whose header is at the address addr. Offsets in the Source are addresses. It
// returns false if there is no header; load commands that can be read only in part are no failure.
func (r *Reader) OpenMemory(src Source, addr uint64) bool {
	if !r.open(src, addr) {
		return false
	}
	r.memory = true
	r.Image.SetAddr(addr)
	return true
}

// OpenFile reads a thin file, or the slice of a fat file for a CPU (CPU_TYPE_ARM64 and so on; 0 is the first slice). If several
// slices are for that CPU it reads the first. It returns false if the file has no image for that CPU. Load commands that can be
// read only in part are no failure.
func (r *Reader) OpenFile(src Source, cpu uint32) bool {
	r.n = 0
	h, ok := ParseFatHeader(r.read(src, 0, FatHeaderSize))
	if !ok {
		return r.open(src, 0) && (cpu == 0 || r.Image.Header.CPU == cpu)
	}
	size := h.archSize()
	for i := range int(h.Narch) {
		a, ok := FatHeader{h.Is64, 1}.Arch(r.read(src, FatHeaderSize+uint64(i*size), size), 0)
		if !ok {
			return false
		}
		if cpu == 0 || a.CPU == cpu {
			return r.open(src, a.Off) && (cpu == 0 || r.Image.Header.CPU == cpu)
		}
	}
	return false
}

// Close drops the reference to the Source.
func (r *Reader) Close() { r.src = nil }

// open reads header and load commands of the image at off.
func (r *Reader) open(src Source, off uint64) bool {
	r.src, r.base, r.memory, r.n = src, off, false, 0
	r.Image = Image{}
	b := r.read(src, off, HeaderSize64)
	if b == nil {
		b = r.read(src, off, HeaderSize32)
	}
	h, ok := ParseHeader(b)
	if !ok {
		return false
	}
	r.Image.Header = h
	r.commands = off + uint64(h.Size())
	left := uint64(h.CommandsSize())
	for at := uint64(0); left-at >= commandHead && r.Image.more(); {
		head := r.read(src, r.commands+at, commandHead)
		if head == nil {
			break
		}
		cmd, size := h.Order.Uint32(head), h.Order.Uint32(head[4:])
		if size < commandHead || uint64(size) > left-at {
			break
		}
		// Of a command larger than the scratch memory, the start is enough.
		b := r.read(src, r.commands+at, int(min(uint64(size), uint64(len(r.buf)))))
		if b == nil {
			break
		}
		r.Image.add(&Command{cmd, b}, uint32(at), size)
		at += uint64(size)
	}
	return true
}

// read returns size bytes at off, nil if the source does not have them or they don't fit in the scratch memory. They are valid
// until the next call.
func (r *Reader) read(src Source, off uint64, size int) []byte {
	if b := r.have(off, size); b != nil || size > len(r.buf) {
		return b
	}
	r.bufAt, r.n = off, max(0, min(src.ReadAt(r.buf, off), len(r.buf)))
	return r.have(off, size)
}

// have returns the size bytes at off if they are in the scratch memory.
func (r *Reader) have(off uint64, size int) []byte {
	if rel := off - r.bufAt; off >= r.bufAt && rel <= uint64(r.n) && uint64(size) <= uint64(r.n)-rel {
		return r.buf[rel : rel+uint64(size)]
	}
	return nil
}

// text returns a text of the load commands, at most MaxText bytes of it.
func (r *Reader) text(t Text) []byte {
	if t.Len == 0 || r.src == nil {
		return nil
	}
	return r.read(r.src, r.commands+uint64(t.Off), int(min(t.Len, MaxText)))
}

// InstallName returns the path that a library states for itself (LC_ID_DYLIB), nil if there is none.
func (r *Reader) InstallName() []byte { return r.text(r.Image.InstallName) }

// Dylinker returns the path of the dynamic linker (LC_LOAD_DYLINKER), or of the image itself if it is the dynamic linker
// (LC_ID_DYLINKER); nil if there is none.
func (r *Reader) Dylinker() []byte { return r.text(r.Image.Dylinker) }

// Section returns the first section of that name in a segment of that name. It returns false if there is none, if it does not lie
// in its segment, or if the Source is memory and the segment is not loaded. Its address is that at link time.
func (r *Reader) Section(segment, section string) (Section, bool) {
	if r.src == nil {
		return Section{}, false
	}
	size := r.Image.Header.sectionSize()
	for i := range r.Image.NumSegments {
		s := &r.Image.Segments[i]
		if !s.Name.Is(segment) || r.memory && s.Size == 0 {
			continue
		}
		for k := range int(min(s.nsects, maxSections)) {
			b := r.read(r.src, r.commands+uint64(s.sections)+uint64(k*size), size)
			if b == nil {
				break
			}
			if x := r.Image.Header.section(b); x.Name.Is(section) && s.owns(&x) {
				return x, true
			}
		}
	}
	return Section{}, false
}

// Place returns where the contents of a section start in the Source: the runtime address in memory, the offset in a file.
func (r *Reader) Place(s *Section) uint64 {
	if r.memory {
		return r.Image.Runtime(s.Addr)
	}
	return r.base + uint64(s.Off)
}

// Read reads the contents of a section into p and returns the number of bytes read: at most len(p), and not beyond the end of the
// section.
func (r *Reader) Read(p []byte, s *Section) int {
	if r.src == nil {
		return 0
	}
	p = p[:min(uint64(len(p)), s.Size)]
	return max(0, min(r.src.ReadAt(p, r.Place(s)), len(p)))
}

// CrashInfoSection returns the section __crash_info of the image, from __DATA or __DATA_DIRTY.
func (r *Reader) CrashInfoSection() (Section, bool) {
	for _, segment := range crashInfoSegments {
		if s, ok := r.Section(segment, "__crash_info"); ok {
			return s, true
		}
	}
	return Section{}, false
}

// CrashInfo reads the section __crash_info of the image. It returns false if there is none, or it can't be read.
func (r *Reader) CrashInfo() (CrashInfo, bool) {
	s, ok := r.CrashInfoSection()
	if !ok {
		return CrashInfo{}, false
	}
	at := r.Place(&s)
	for size := min(s.Size, MaxCrashInfo); size >= crashInfoSize4; size = (size - 1) &^ 7 {
		if b := r.read(r.src, at, int(size)); b != nil {
			return ParseCrashInfo(b, r.Image.Header.Order)
		}
	}
	return CrashInfo{}, false
}
