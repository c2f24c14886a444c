package pe

// Types of resources (winuser.h). The version resource has the name VS_VERSION_INFO (1).
const (
	RT_MESSAGETABLE = 11
	RT_VERSION      = 16
	RT_MANIFEST     = 24
)

const (
	resourceDirectorySize = 16   // IMAGE_RESOURCE_DIRECTORY
	resourceEntrySize     = 8    // IMAGE_RESOURCE_DIRECTORY_ENTRY
	resourceDataSize      = 16   // IMAGE_RESOURCE_DATA_ENTRY
	maxResourceEntries    = 4096 // of one directory
	resourceIsDirectory   = 1 << 31
)

// Resource returns the place of the resource of that type with the lowest name and language. ok is false if there is none.
//
// Resources are a tree of three levels: type, name, language.
func (r *Reader) Resource(typ uint32) (d Directory, ok bool) {
	root := r.Header.Directories[IMAGE_DIRECTORY_ENTRY_RESOURCE]
	if root.Size == 0 {
		return Directory{}, false
	}
	at, isDir := r.resourceEntry(root.RVA, 0, typ, true)
	for level := 0; level < 2 && isDir; level++ {
		at, isDir = r.resourceEntry(root.RVA, at, 0, false)
	}
	if isDir || at == 0 {
		return Directory{}, false
	}
	b := r.entry(uint64(root.RVA)+uint64(at), resourceDataSize)
	if b == nil {
		return Directory{}, false
	}
	d = Directory{RVA: le.Uint32(b), Size: le.Uint32(b[4:])}
	return d, d.Size != 0
}

// resourceEntry searches the resource directory at offset dir of the resources for the entry with that id or, unless byID is set,
// for the first entry. It returns the offset that the entry refers to, and whether a directory is there; 0 if there is no such
// entry.
func (r *Reader) resourceEntry(base, dir, id uint32, byID bool) (at uint32, isDir bool) {
	start := uint64(base) + uint64(dir)
	h := r.entry(start, resourceDirectorySize)
	if h == nil {
		return 0, false
	}
	named, ids := int(le.Uint16(h[12:])), int(le.Uint16(h[14:])) // named entries precede the others
	first, n := 0, min(named+ids, maxResourceEntries)
	if byID {
		first = named
	}
	for i := first; i < n; i++ {
		e := r.entry(start+resourceDirectorySize+uint64(i)*resourceEntrySize, resourceEntrySize)
		if e == nil {
			return 0, false
		}
		if !byID || le.Uint32(e) == id {
			to := le.Uint32(e[4:])
			return to &^ resourceIsDirectory, to&resourceIsDirectory != 0
		}
	}
	return 0, false
}
