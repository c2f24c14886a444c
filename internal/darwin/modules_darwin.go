package darwin

import (
	"minidump/internal/arena"
	"minidump/internal/snapshot"
	"minidump/mach"
	"minidump/macho"
	"minidump/stream"
)

// readList reads the start of dyld's list of images.
func (l *Source) readList() bool {
	var d mach.TaskDyldInfo
	l.list = imageList{}
	if d.Read(l.task) != mach.KERN_SUCCESS || d.Format != mach.TASK_DYLD_ALL_IMAGE_INFO_64 || d.AllImageInfoAddr() == 0 {
		return false
	}
	b := l.scratch[:min(d.AllImageInfoSize(), imageInfosSize15)]
	return l.list.get(b[:l.mem.Read(d.AllImageInfoAddr(), b)])
}

// captureList records dyld's list while the task is stopped. What its entries point to is read later.
func (l *Source) captureList(s *snapshot.Snapshot) {
	l.entries = arena.Span{}
	if !l.readList() || l.list.array == 0 {
		s.Soft(snapshot.OpDSO, 0, 0, l.list.array) // dyld is changing the list, or has not created it yet
		return
	}
	if l.list.more {
		s.Soft(snapshot.OpTruncated, 0, 0, l.list.array)
	}
	sp, b := s.Bytes.Alloc(int(l.list.count) * imageInfoSize)
	if b == nil {
		return
	}
	n := l.mem.Read(l.list.array, b)
	if n < len(b) {
		s.Soft(snapshot.OpDSO, 0, 0, l.list.array+uint64(n))
	}
	l.entries = s.Bytes.Trim(sp, n-n%imageInfoSize)
}

// Identify does nothing: Complete identifies the modules from dyld's list.
func (l *Source) Identify(s *snapshot.Snapshot, m *snapshot.Module) {}

// readModules builds the module list: the main program first, the other images in dyld's order, dyld last.
func (l *Source) readModules(s *snapshot.Snapshot) {
	entries := s.Bytes.Get(l.entries)
	for i := range len(entries) / imageInfoSize {
		e := imageAt(entries, i)
		l.addModule(s, e.load, e.path)
	}
	if l.list.dyld != 0 {
		l.addModule(s, l.list.dyld, l.list.path)
	}
	mods := s.Modules.All()
	for i := range mods {
		if mods[i].Main {
			m := mods[i]
			copy(mods[1:i+1], mods[:i])
			mods[0] = m
			break
		}
	}
}

// addModule records the image at address load. path is the address of its path, or 0 if that is not known.
func (l *Source) addModule(s *snapshot.Snapshot, load, path uint64) {
	for i := range s.Modules.All() {
		if s.Modules.At(i).Base == load {
			return
		}
	}
	m := s.Modules.Add()
	if m == nil {
		s.Soft(snapshot.OpTruncated, 0, 0, load)
		return
	}
	m.Base, m.End = load, load+l.mem.page
	m.Path = l.readText(s, path, mach.MAXPATHLEN)
	m.Name = m.Path
	if !l.image.OpenMemory(&l.mem, load) {
		s.SoftModule(snapshot.OpModule, m)
		return
	}
	im := &l.image.Image
	m.Main = im.Header.FileType == macho.MH_EXECUTE
	if size := moduleSize(im); size > 0 {
		m.End = load + size
	}
	if m.Name.Len == 0 { // dyld, or an image without a path
		name := l.image.InstallName()
		if name == nil {
			name = l.image.Dylinker()
		}
		m.Name = s.Put(name)
	}
	if im.IsDylib {
		v := uint32(im.CurrentVersion)
		ms, ls := v>>16, v&0xff00<<8|v&0xff
		m.HasVersion, m.Version = true, [4]uint32{ms, ls, ms, ls}
	}
	if !im.HasUUID {
		s.SoftModule(snapshot.OpModuleID, m)
	} else {
		m.CodeView = putCodeView(s, im.UUID, base(s.Bytes.Get(m.Name)))
	}
	l.addAnnotation(s, m)
}

// putCodeView writes the record by which symbols are found: an RSDS with the UUID as its GUID, age 0 and the file name.
func putCodeView(s *snapshot.Snapshot, uuid [16]byte, name []byte) arena.Span {
	sp, b := s.Bytes.Alloc(int(stream.CVPDB70Size(name)))
	if b == nil {
		s.Soft(snapshot.OpTruncated, 0, 0, 0)
		return sp
	}
	codeView(b, uuid, name)
	return sp
}

// readText reads a text that ends with a NUL. The memory after the NUL may be unreadable.
func (l *Source) readText(s *snapshot.Snapshot, addr uint64, most int) arena.Span {
	if addr == 0 {
		return arena.Span{}
	}
	sp, b := s.Bytes.Alloc(most)
	if b == nil {
		s.Soft(snapshot.OpTruncated, 0, 0, addr)
		return sp
	}
	n := 0
	for n < most { // a page at a time: most texts end in the first page
		part := min(most-n, int(l.mem.page-(addr+uint64(n))%l.mem.page))
		got := l.mem.Read(addr+uint64(n), b[n:n+part])
		for i := range got {
			if b[n+i] == 0 {
				return s.Bytes.Trim(sp, n+i)
			}
		}
		if n += got; got < part {
			break
		}
	}
	return s.Bytes.Trim(sp, n)
}
