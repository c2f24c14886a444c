package minidump

import (
	"bytes"
	"math"

	"minidump/elf"
	"minidump/procfs"
)

// Bytes read of each image at first: the ELF header, the program headers of a library with up to a dozen segments, and
// the notes that linkers put behind them.
const firstHeaderRead = 1024

// Bytes of an image in which the notes are that were not in the first ones: a page of the smallest size.
const wholeHeaderRead = 4096

// Names that are the same wherever the process runs.
const gateName = "linux-gate.so"

// identifyModules makes the module list of the memory map: which images are loaded, what they are called, and their
// build ids. The reads go in batches, one vectored read for up to 1,024 modules: headers, what of the program headers
// and notes was not in them, dynamic sections, SONAMEs.
func (w *Writer) identifyModules() {
	s, mem := &w.snap, w.src.memory()
	s.groupModules(w.opts.UserModules)
	w.readHeaders(mem)
	s.splitArchives(mem)
	s.extendReserved()
	w.readNotes(mem)
	w.readSonames(mem)
	for i := range s.modules.all() {
		m := s.modules.at(i)
		if m.id.len == 0 || m.inArchive && m.soname.len == 0 {
			w.src.identify(w, m)
		}
		s.nameModule(m)
	}
	s.mainFirst(w)
	s.lowerPacked()
	s.addUserModules(w.opts.UserModules)
}

// groupModules makes a module of each run of mappings of one file with rising offsets, whatever lies between them.
func (s *snapshot) groupModules(user []UserModule) {
	var prev *module
	var prevMap *mapping
	maps := s.mappings.all()
	for i := range maps {
		m := &maps[i]
		gate := s.isGate(m)
		if m.kind != mapFile && !gate || coveredByUser(m, user) {
			continue
		}
		if prev != nil && !gate && maps[prev.mapIndex].offset == 0 && follows(prevMap, m) {
			prev.end = m.end
			prevMap = m
			continue
		}
		if !gate && m.offset != 0 && m.perm&(permRead|permExec) == 0 {
			continue
		}
		mod := s.modules.add()
		if mod == nil {
			s.soft(opTruncated, 0, 0, m.start)
			return
		}
		mod.base, mod.end, mod.mapIndex, mod.path, mod.gate = m.start, m.end, int32(i), m.name, gate
		prev, prevMap = mod, m
		if gate {
			prev = nil
		}
	}
}

// isGate tells whether a mapping is the vDSO.
func (s *snapshot) isGate(m *mapping) bool {
	return m.kind == mapVDSO || s.proc.sysinfoEhdr != 0 && m.start == s.proc.sysinfoEhdr && m.kind != mapFile
}

// follows tells whether b can be a later segment of the image that a is a segment of. Two segments that share a page of
// the file have the same offset and touch. That page may be the first; but two that are mapped alike from there are two
// images of one page each.
func follows(a, b *mapping) bool {
	return sameFile(a, b) && (b.offset > a.offset ||
		b.offset == a.offset && b.start == a.end && (b.offset != 0 || b.perm != a.perm))
}

func sameFile(a, b *mapping) bool {
	return a.inode == b.inode && a.dev == b.dev && (a.inode != 0 || a.name == b.name)
}

func coveredByUser(m *mapping, user []UserModule) bool {
	for i := range user {
		if user[i].Base <= m.start && m.end <= user[i].Base+user[i].Size {
			return true
		}
	}
	return false
}

// readHeaders reads the start of every image.
func (w *Writer) readHeaders(mem targetMemory) {
	s := &w.snap
	w.batch.clear()
	for i := range s.modules.all() {
		m := s.modules.at(i)
		m.headers = w.batch.want(s, m.base, int(min(m.end-m.base, firstHeaderRead)))
	}
	mem.readv(w.batch.all())
	k := 0
	for i := range s.modules.all() {
		if m := s.modules.at(i); m.headers.len > 0 {
			m.headers.len = uint32(w.batch.at(k).got)
			k++
		}
	}
}

func isELF(b []byte) bool {
	return len(b) >= 4 && b[0] == 0x7f && b[1] == 'E' && b[2] == 'L' && b[3] == 'F'
}

// splitArchives finds what is no image of its own. A file that does not start with an ELF header may be an archive (an
// Android APK) out of which libraries are mapped: each starts where an ELF header stands, and has the mappings of the
// file that follow, as far as its program headers say. Any other file is left out unless code of it is mapped; code that
// a program has made in memory with a name (memfd, Android's ashmem) is no module either.
func (s *snapshot) splitArchives(mem targetMemory) {
	maps := s.mappings.all()
	n := s.modules.n
	var lib *module // the last image
	for i := range n {
		m := *s.modules.at(i)
		first := &maps[m.mapIndex]
		elfHere := isELF(s.bytes.bytes(m.headers))
		if lib != nil && m.base < lib.limit && !m.gate && (lib.inArchive || !elfHere) &&
			sameFile(&maps[lib.mapIndex], first) && first.offset >= maps[lib.mapIndex].offset {
			lib.end = m.end
			continue
		}
		if !m.gate && !elfHere {
			inner, ok := s.addInside(mem, &m)
			if !ok {
				return
			}
			if inner != nil {
				lib = inner
				continue
			}
			if !s.groupExecutable(&m) || inMemory(s.bytes.bytes(m.path)) {
				continue
			}
		}
		m.inArchive = !m.gate && elfHere && first.offset != 0
		kept := s.modules.add()
		if kept == nil {
			s.soft(opTruncated, 0, 0, m.base)
			return
		}
		*kept = m
		kept.limit = s.imageEnd(kept)
		if lib = kept; m.gate || !elfHere {
			lib = nil
		}
	}
	mods := s.modules.all()
	s.modules.n = copy(mods, mods[n:])
}

// imageEnd tells where an image ends by its program headers, in whole pages. If they are not all at hand, it has no end.
func (s *snapshot) imageEnd(m *module) uint64 {
	b := s.bytes.bytes(m.headers)
	h, ok := elf.ParseHeader(b)
	if !ok {
		return m.end
	}
	table := tail(b, h.Phoff)
	im := &s.image
	im.Scan(&h, table, m.base, s.target.pageSize)
	if im.Loads == 0 || len(table) < h.ProgTableSize() {
		return ^uint64(0)
	}
	size := im.End() - m.base
	if h.Class == elf.Class32 { // it may have been mapped above 4 GB, to be looked at
		size &= math.MaxUint32
	}
	return (m.base + size + s.target.pageSize - 1) &^ (s.target.pageSize - 1)
}

// inMemory tells by its path whether a file is none but memory with a name.
func inMemory(path []byte) bool {
	m := procfs.Mapping{Name: path}
	_, sysv := m.SysV()
	return sysv || m.IsMemfd() || m.IsAshmem() || m.IsDevZero()
}

// groupExecutable tells whether any mapping of the module's group is executable.
func (s *snapshot) groupExecutable(m *module) bool {
	maps := s.mappings.all()
	for i := int(m.mapIndex); i < len(maps) && maps[i].start < m.end; i++ {
		if maps[i].perm&permExec != 0 && sameFile(&maps[i], &maps[m.mapIndex]) {
			return true
		}
	}
	return false
}

// addInside adds the images that are mapped out of a group behind its first mapping. It returns the last one, nil if
// there is none; ok is false when the table is full.
func (s *snapshot) addInside(mem targetMemory, m *module) (lib *module, ok bool) {
	maps := s.mappings.all()
	for i := int(m.mapIndex) + 1; i < len(maps) && maps[i].start < m.end; i++ {
		p := &maps[i]
		if !sameFile(p, &maps[m.mapIndex]) {
			continue
		}
		if lib != nil && p.start < lib.limit && p.offset >= maps[lib.mapIndex].offset {
			lib.end = p.end
			continue
		}
		if p.perm&(permRead|permExec) == 0 {
			continue
		}
		h, b := s.bytes.alloc(int(min(p.end-p.start, firstHeaderRead)))
		if b == nil {
			s.soft(opTruncated, 0, 0, p.start)
			return lib, true
		}
		h = s.bytes.trim(h, mem.read(p.start, b))
		if !isELF(s.bytes.bytes(h)) {
			s.bytes.trim(h, 0)
			continue
		}
		if lib = s.modules.add(); lib == nil {
			s.soft(opTruncated, 0, 0, p.start)
			return nil, false
		}
		lib.base, lib.end, lib.mapIndex, lib.path, lib.headers = p.start, p.end, int32(i), m.path, h
		lib.inArchive = p.offset != 0
		lib.limit = s.imageEnd(lib)
	}
	return lib, true
}

// extendReserved lets an image end where its own program headers say, as far as nothing but unnamed memory follows:
// that is its .bss, and what the loader reserved for it.
func (s *snapshot) extendReserved() {
	maps := s.mappings.all()
	for i := range s.modules.all() {
		m := s.modules.at(i)
		end := m.limit
		if end == ^uint64(0) {
			continue
		}
		for j := s.findIndex(m.end - 1); j >= 0 && m.end < end && j+1 < len(maps); j++ {
			next := &maps[j+1]
			if next.start != m.end || next.kind != mapAnonymous && next.kind != mapNamed || s.isGate(next) {
				break
			}
			m.end = min(next.end, end)
		}
	}
}

func tail(b []byte, off uint64) []byte {
	if off >= uint64(len(b)) {
		return nil
	}
	return b[off:]
}

// readNotes finds the build ids. Images whose program headers or notes were not in the first bytes take one more
// batch each.
func (w *Writer) readNotes(mem targetMemory) {
	s := &w.snap
	w.batch.clear()
	for i := range s.modules.all() { // program headers that lie further off
		m := s.modules.at(i)
		if h, ok := elf.ParseHeader(s.bytes.bytes(m.headers)); ok {
			size := h.ProgTableSize()
			m.phoff, m.phsize = h.Phoff, uint32(size)
			if len(tail(s.bytes.bytes(m.headers), h.Phoff)) < size {
				m.notes = w.batch.want(s, m.base+h.Phoff, size) // for now: the table
			}
		}
	}
	mem.readv(w.batch.all())
	k := 0
	for i := range s.modules.all() {
		m := s.modules.at(i)
		b := s.bytes.bytes(m.headers)
		h, ok := elf.ParseHeader(b)
		if !ok {
			if !m.gate {
				s.softModule(opModule, m)
			}
			continue
		}
		table := tail(b, m.phoff)
		if m.notes.len > 0 {
			table = s.bytes.bytes(m.notes)[:w.batch.at(k).got]
			k++
			m.notes = span{}
		}
		im := &s.image
		im.Scan(&h, table, m.base, s.target.pageSize)
		m.bias = im.Bias
		m.dynAddr, m.dynSize = im.Dynamic.Addr, min(im.Dynamic.Size, maxDynamic)
		if id := im.BuildIDIn(&h, b, m.base); id != nil {
			m.id = s.put(id)
			continue
		}
		for j := range im.NumNotes {
			if n := im.Notes[j]; n.In(b, m.base) == nil {
				m.notesAddr, m.notesSize, m.notesAlign = n.Addr, min(n.Size, maxNotes), n.Align
				break
			}
		}
	}
	w.batch.clear()
	for i := range s.modules.all() {
		m := s.modules.at(i)
		switch {
		case m.id.len > 0 || m.phsize == 0:
		case m.notesSize > 0 && m.notesAddr-m.base >= wholeHeaderRead:
			m.notes = w.batch.want(s, m.notesAddr, int(m.notesSize))
		default: // Go's linker puts the id at the end of the first page
			m.notes = w.batch.want(s, m.base, int(min(m.end-m.base, wholeHeaderRead)))
			m.notesSize = 0
		}
	}
	mem.readv(w.batch.all())
	k = 0
	for i := range s.modules.all() {
		m := s.modules.at(i)
		if m.notes.len == 0 {
			continue
		}
		b := s.bytes.bytes(m.notes)[:w.batch.at(k).got]
		k++
		m.notes = span{}
		var id []byte
		if m.notesSize > 0 {
			id = elf.BuildID(b, m.notesAlign, s.target.order)
		} else if h, ok := elf.ParseHeader(b); ok {
			im := &s.image
			im.Scan(&h, tail(b, h.Phoff), m.base, s.target.pageSize)
			h.AddNoteSections(im, tail(b, h.Shoff))
			id = im.BuildIDIn(&h, b, m.base)
		}
		if id != nil && !elf.IsAllZero(id) {
			m.id = s.put(id)
		}
	}
}

// Bounds on what is read of one image, in bytes.
const (
	maxNotes   = 16 << 10
	maxDynamic = 4 << 10
	maxSoname  = 256
)

// readSonames finds the SONAMEs of all images.
func (w *Writer) readSonames(mem targetMemory) {
	s := &w.snap
	w.batch.clear()
	for i := range s.modules.all() {
		m := s.modules.at(i)
		m.notes = span{}
		if m.dynSize > 0 && !m.gate {
			m.notes = w.batch.want(s, m.dynAddr, int(m.dynSize))
		}
	}
	mem.readv(w.batch.all())
	k := 0
	for i := range s.modules.all() {
		m := s.modules.at(i)
		if m.notes.len == 0 {
			continue
		}
		b := s.bytes.bytes(m.notes)[:w.batch.at(k).got]
		k++
		m.notes = span{}
		h, ok := elf.ParseHeader(s.bytes.bytes(m.headers))
		if !ok {
			continue
		}
		d := h.ParseDynamic(b)
		im := &s.image
		im.Class, im.Base, im.Bias = h.Class, m.base, m.bias
		m.packed = m.base - im.EffectiveBase(&h, &d)
		if !d.HasSoname || d.Strtab == 0 {
			continue
		}
		// An address where the loader has relocated the section, an offset where it has not.
		m.sonameAddr = d.Strtab
		if d.Strtab < m.base || d.Strtab >= m.end {
			m.sonameAddr += m.bias
		}
		m.sonameAddr += d.Soname
	}
	w.batch.clear()
	for i := range s.modules.all() {
		m := s.modules.at(i)
		if m.sonameAddr == 0 {
			continue
		}
		// The strings of a small library lie in what was read of its start.
		b := tail(s.bytes.bytes(m.headers), m.sonameAddr-m.base)
		if n := bytes.IndexByte(b, 0); n >= 0 {
			m.soname = s.put(b[:sonameLen(b)])
			m.sonameAddr = 0
		} else {
			m.soname = w.batch.want(s, m.sonameAddr, maxSoname)
		}
	}
	mem.readv(w.batch.all())
	k = 0
	for i := range s.modules.all() {
		m := s.modules.at(i)
		if m.sonameAddr != 0 && m.soname.len > 0 {
			m.soname.len = uint32(sonameLen(s.bytes.bytes(m.soname)[:w.batch.at(k).got]))
			k++
		}
	}
}

// sonameLen is the length of the SONAME at the start of b: 0 if it does not end there, or is a path.
func sonameLen(b []byte) int {
	n := bytes.IndexByte(b, 0)
	if n <= 0 || n >= maxSoname || bytes.IndexByte(b[:n], '/') >= 0 {
		return 0
	}
	return n
}

// lowerPacked moves the base of images with Android's packed relocations to where their symbols count from: see
// elf.Image.EffectiveBase. Up to here the base is where the ELF header lies. It is the dynamic section that tells, not
// the system: such libraries work wherever a loader understands them. The modules are in order of address, but for the
// first.
func (s *snapshot) lowerPacked() {
	mods := s.modules.all()
	for i := range mods {
		m := &mods[i]
		room := m.base // below it
		for _, below := range [...]*module{&mods[0], &mods[max(i-1, 0)]} {
			if below.base < m.base {
				room = min(room, m.base-below.end)
			}
		}
		switch {
		case m.packed == 0:
		case m.packed > room:
			s.softModule(opModuleBase, m)
		case m.packed <= math.MaxUint32 && m.end-m.base+m.packed <= math.MaxUint32: // a module is described by a size of 32 bits
			m.base -= m.packed
		}
	}
}

// nameModule settles how a module is called: the path with its last part replaced by the SONAME; a library inside an
// archive is named below the archive's path, by its SONAME or else as the archive names it.
func (s *snapshot) nameModule(m *module) {
	path := s.bytes.bytes(m.path)
	if m.gate {
		m.name = s.put(gateNameBytes)
		return
	}
	slash := bytes.LastIndexByte(path, '/')
	file := path[slash+1:]
	soname := s.bytes.bytes(m.soname)
	if m.inArchive {
		file = soname
	}
	m.version, m.hasVersion = elf.VersionOf(file)
	m.name = m.path
	if len(soname) == 0 {
		return
	}
	dir := path[:slash+1]
	if m.inArchive {
		dir = path
	}
	if name, b := s.bytes.alloc(len(dir) + len(soname) + 1); b != nil {
		n := copy(b, dir)
		if m.inArchive {
			b[n] = '/'
			n++
		}
		n += copy(b[n:], soname)
		m.name = s.bytes.trim(name, n)
	}
}

var gateNameBytes = []byte(gateName)

// mainFirst puts the main program first: the module that holds the entry point, or the program headers. If there is
// none (a program that unpacked itself), one is made of the mapping there.
func (s *snapshot) mainFirst(w *Writer) {
	addr := s.proc.entry
	if addr == 0 {
		addr = s.proc.phdr
	}
	if addr == 0 {
		return
	}
	mods := s.modules.all()
	for i := range mods {
		if mods[i].base <= addr && addr < mods[i].end {
			m := mods[i]
			m.main = true
			copy(mods[1:i+1], mods[:i])
			mods[0] = m
			return
		}
	}
	at := s.findIndex(addr)
	if at < 0 {
		return
	}
	if s.modules.add() == nil {
		return
	}
	mods = s.modules.all()
	copy(mods[1:], mods)
	m := s.mappings.at(at)
	base := m.start
	for i := range mods[1:] { // the .bss of another image may take the start of the mapping
		if other := &mods[1+i]; other.base < addr {
			base = max(base, other.end)
		}
	}
	mods[0] = module{base: base, end: m.end, mapIndex: int32(at), main: true, path: m.name, name: m.name}
	w.src.identify(w, &mods[0])
}

func (s *snapshot) addUserModules(user []UserModule) {
	for i := range user {
		m := s.modules.add()
		if m == nil {
			s.soft(opTruncated, 0, 0, user[i].Base)
			return
		}
		u := &user[i]
		m.user, m.base, m.end = true, u.Base, u.Base+u.Size
		m.name, m.id = s.bytes.putString(u.Name), s.put(u.BuildID)
		m.path = m.name
	}
}

// softModule records a soft error about one module.
func (s *snapshot) softModule(op softOp, m *module) {
	if e := s.soft(op, 0, 0, m.base); e != nil {
		e.text = m.path
	}
}
