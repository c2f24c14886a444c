package images

import (
	"bytes"
	"math"

	"minidump/elf"

	"minidump/internal/snapshot"
)

// FirstRead is the number of bytes read first from each image: they include the ELF header, the program headers
// of a library with up to a dozen segments, and the notes that linkers put after them.
const FirstRead = 1024

// firstPage is the number of bytes read from an image whose notes are not in the first FirstRead bytes: a page of the smallest size.
const firstPage = 4096

// Limits in bytes on what is read from one image.
const (
	maxNotes   = 16 << 10
	maxDynamic = 4 << 10
	maxSoname  = 256
)

// Identify builds the module list from the memory map: the loaded images, their names and their build ids. It reads
// in batches, one vectored read for up to 1,024 modules: headers, then program headers and notes that were not in
// them, dynamic sections, SONAMEs.
//
// If the module list is not empty, the source has filled it from a list other than the memory map; then only user modules are added.
func Identify(s *snapshot.Snapshot, src snapshot.Source) {
	if s.Modules.N > 0 {
		addUserModules(s, s.Want.UserModules)
		return
	}
	mem := src.Memory()
	groupModules(s, s.Want.UserModules)
	readHeaders(s, mem)
	splitArchives(s, mem)
	extendReserved(s)
	findBuildIDs(s, mem)
	findSonames(s, mem)
	for i := range s.Modules.All() {
		m := s.Modules.At(i)
		if !m.PE && !isCopy(s, m) && (m.ID.Len == 0 || m.InArchive && m.Soname.Len == 0) {
			src.Identify(s, m)
		}
		nameModule(s, m)
	}
	identifyCopies(s)
	mainFirst(s, src)
	lowerPacked(s)
	addUserModules(s, s.Want.UserModules)
}

// groupModules makes one module of all mappings of a file with ascending offsets, whatever is mapped between them.
func groupModules(s *snapshot.Snapshot, user []snapshot.UserModule) {
	var prev *snapshot.Module
	var prevMap *snapshot.Mapping
	maps := s.Mappings.All()
	for i := range maps {
		m := &maps[i]
		vdso := isVDSO(s, m)
		if m.Kind != snapshot.MapFile && !vdso || coveredByUser(m, user) {
			continue
		}
		if prev != nil && !vdso && maps[prev.MapIndex].Offset == 0 && follows(prevMap, m) {
			prev.End = m.End
			prevMap = m
			continue
		}
		if !vdso && m.Offset != 0 && m.Perm&(snapshot.PermRead|snapshot.PermExec) == 0 {
			continue
		}
		mod := s.Modules.Add()
		if mod == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, m.Start)
			return
		}
		mod.Base, mod.End, mod.MapIndex, mod.Path, mod.VDSO = m.Start, m.End, int32(i), m.Name, vdso
		prev, prevMap = mod, m
		if vdso {
			prev = nil
		}
	}
}

// isVDSO reports whether a mapping is the vDSO.
func isVDSO(s *snapshot.Snapshot, m *snapshot.Mapping) bool {
	return m.Kind == snapshot.MapVDSO || s.Proc.SysinfoEhdr != 0 && m.Start == s.Proc.SysinfoEhdr && m.Kind != snapshot.MapFile
}

// follows reports whether b can be a later segment of the image that has segment a. Two segments that share a page of
// the file are adjacent and have the same offset, which may be 0; but two mappings of offset 0 with equal permissions
// are two images of one page each.
func follows(a, b *snapshot.Mapping) bool {
	return sameFile(a, b) && (b.Offset > a.Offset ||
		b.Offset == a.Offset && b.Start == a.End && (b.Offset != 0 || b.Perm != a.Perm))
}

func sameFile(a, b *snapshot.Mapping) bool {
	return a.Inode == b.Inode && a.Dev == b.Dev && (a.Inode != 0 || a.Name == b.Name)
}

func coveredByUser(m *snapshot.Mapping, user []snapshot.UserModule) bool {
	for i := range user {
		if user[i].Base <= m.Start && m.End <= user[i].Base+user[i].Size {
			return true
		}
	}
	return false
}

// readHeaders reads the start of every image.
func readHeaders(s *snapshot.Snapshot, mem snapshot.Memory) {
	s.Batch.Clear()
	for i := range s.Modules.All() {
		m := s.Modules.At(i)
		s.Batch.Want(s, m.Base, int(min(m.End-m.Base, FirstRead)), &m.Headers)
	}
	s.Batch.Read(mem)
}

// extendReserved extends images to the end given by their program headers, as long as only memory without a file
// follows: their .bss, and address space that the loader has reserved for them.
func extendReserved(s *snapshot.Snapshot) {
	maps := s.Mappings.All()
	for i := range s.Modules.All() {
		m := s.Modules.At(i)
		end := m.Limit
		if end == ^uint64(0) {
			continue
		}
		for j := s.FindIndex(m.End - 1); j >= 0 && m.End < end && j+1 < len(maps); j++ {
			next := &maps[j+1]
			if next.Start != m.End || next.Kind != snapshot.MapAnonymous && next.Kind != snapshot.MapNamed || isVDSO(s, next) {
				break
			}
			m.End = min(next.End, end)
		}
	}
}

// lowerPacked moves the base of copies of code, and of images with Android's packed relocations, to the address from which their
// symbols count: see identifyCopies and elf.Image.EffectiveBase. The dynamic section decides, not the operating system: such
// libraries work wherever a loader supports them. The modules must be sorted by address, except the first.
func lowerPacked(s *snapshot.Snapshot) {
	mods := s.Modules.All()
	for i := range mods {
		m := &mods[i]
		switch {
		case m.Packed == 0:
		case m.Packed > roomBelow(mods, i):
			s.SoftModule(snapshot.OpModuleBase, m)
			if m.Copy {
				m.ID.Len = 0 // no build id is better than a wrong one
			}
		case m.Packed <= math.MaxUint32 && m.End-m.Base+m.Packed <= math.MaxUint32: // the size of a module has 32 bits
			m.Base -= m.Packed
		}
	}
}

// roomBelow returns the size of the unused address space below a module.
func roomBelow(mods []snapshot.Module, i int) uint64 {
	lower := mods // any module may be the next one below the first, which is out of order
	if i > 0 {
		lower = mods[i-1 : i]
	}
	base := mods[i].Base
	room := base
	if mods[0].Base < base {
		room = base - mods[0].End
	}
	for j := range lower {
		if lower[j].Base < base {
			room = min(room, base-lower[j].End)
		}
	}
	return room
}

// nameModule sets the name of a module: its path with the last part replaced by the SONAME. A library inside an archive is
// named archive/SONAME, or archive/NAME with the last part of its name in the archive. The vDSO is named linux-gate.so.
func nameModule(s *snapshot.Snapshot, m *snapshot.Module) {
	path := s.Bytes.Get(m.Path)
	if m.VDSO {
		m.Name = s.Put(vdsoName)
		return
	}
	slash := bytes.LastIndexByte(path, '/')
	file := path[slash+1:]
	soname := s.Bytes.Get(m.Soname)
	if m.InArchive {
		file = soname
	}
	m.Version, m.HasVersion = elf.VersionOf(file)
	m.Name = m.Path
	if len(soname) == 0 {
		return
	}
	dir := path[:slash+1]
	if m.InArchive {
		dir = path
	}
	if name, b := s.Bytes.Alloc(len(dir) + len(soname) + 1); b != nil {
		n := copy(b, dir)
		if m.InArchive {
			b[n] = '/'
			n++
		}
		n += copy(b[n:], soname)
		m.Name = s.Bytes.Trim(name, n)
	}
}

var vdsoName = []byte("linux-gate.so")

// mainFirst puts the main program first: the module that contains the entry point or, if that is not known, the
// program headers. If no module does, as for a program that has unpacked itself, it makes one from the mapping there.
func mainFirst(s *snapshot.Snapshot, src snapshot.Source) {
	addr := s.Proc.Entry
	if addr == 0 {
		addr = s.Proc.Phdr
	}
	if addr == 0 {
		return
	}
	mods := s.Modules.All()
	for i := range mods {
		if mods[i].Base <= addr && addr < mods[i].End {
			m := mods[i]
			m.Main = true
			copy(mods[1:i+1], mods[:i])
			mods[0] = m
			return
		}
	}
	at := s.FindIndex(addr)
	if at < 0 {
		return
	}
	if s.Modules.Add() == nil {
		return
	}
	mods = s.Modules.All()
	copy(mods[1:], mods)
	m := s.Mappings.At(at)
	base := m.Start
	for i := range mods[1:] { // the .bss of another image may cover the start of the mapping
		if other := &mods[1+i]; other.Base < addr {
			base = max(base, other.End)
		}
	}
	mods[0] = snapshot.Module{Base: base, End: m.End, MapIndex: int32(at), Main: true, Path: m.Name, Name: m.Name}
	src.Identify(s, &mods[0])
}

// addUserModules adds the modules that the caller of the library described.
func addUserModules(s *snapshot.Snapshot, user []snapshot.UserModule) {
	for i := range user {
		m := s.Modules.Add()
		if m == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, user[i].Base)
			return
		}
		u := &user[i]
		m.User, m.Base, m.End = true, u.Base, u.Base+u.Size
		m.Name, m.ID = s.Bytes.PutString(u.Name), s.Put(u.BuildID)
		m.Path = m.Name
	}
}
