package pe

import "iter"

const (
	// MaxExports bounds the functions and the names that an image exports: an ordinal is a 16-bit number.
	MaxExports = 65536
	// MaxExportName bounds the length of an exported name in bytes, with its NUL. Names of C++ templates can have some thousands.
	MaxExportName = 4096

	exportDirectorySize = 40 // IMAGE_EXPORT_DIRECTORY
)

// Exports is the content of IMAGE_EXPORT_DIRECTORY.
type Exports struct {
	NameRVA       uint32 // of the name of the library at link time
	OrdinalBase   uint32
	NumFunctions  uint32 // at most MaxExports
	NumNames      uint32 // at most MaxExports
	functions     uint32 // RVA of an array of RVAs
	names         uint32 // RVA of an array of RVAs of names, in order
	ordinals      uint32 // RVA of an array of uint16: indices of functions
	start, length uint32 // of all export data: a function whose RVA lies in it is a forwarder
}

// Export is one exported function or variable.
type Export struct {
	Name      []byte // a subslice of the scratch memory
	Ordinal   uint32
	RVA       uint32 // 0: nothing is exported under this name
	Forwarded bool   // RVA is that of the name of another library's export, such as "NTDLL.RtlAllocateHeap"
}

// Exports reads the export directory of the open image into x. It returns false if there is none.
func (r *Reader) Exports(x *Exports) bool {
	*x = Exports{}
	d := r.Header.Directories[IMAGE_DIRECTORY_ENTRY_EXPORT]
	if d.Size == 0 {
		return false
	}
	b := r.entry(uint64(d.RVA), exportDirectorySize)
	if b == nil {
		return false
	}
	*x = Exports{
		NameRVA: le.Uint32(b[12:]), OrdinalBase: le.Uint32(b[16:]),
		NumFunctions: min(le.Uint32(b[20:]), MaxExports), NumNames: min(le.Uint32(b[24:]), MaxExports),
		functions: le.Uint32(b[28:]), names: le.Uint32(b[32:]), ordinals: le.Uint32(b[36:]), start: d.RVA, length: d.Size,
	}
	return true
}

// ExportedAs returns the name of a library at link time, such as "kernel32.dll", whatever the name of its file is. It returns nil
// if the image has no export directory.
func (r *Reader) ExportedAs() []byte {
	var x Exports
	if !r.Exports(&x) {
		return nil
	}
	return r.cStringAt(x.NameRVA, MaxExportName)
}

// cStringAt returns the text at rva up to its NUL, or up to most bytes or the end of the readable data.
func (r *Reader) cStringAt(rva uint32, most int) []byte {
	if rva == 0 {
		return nil
	}
	// Names are short and adjacent: the buffer often contains the next name already.
	s, ok := cString(r.bytes(uint64(rva), min(64, most)))
	if !ok && len(s) > 0 {
		s, _ = cString(r.bytes(uint64(rva), most))
	}
	return s
}

// exportName returns the name with index i.
func (r *Reader) exportName(x *Exports, i uint32) []byte {
	b := r.entry(uint64(x.names)+4*uint64(i), 4)
	if b == nil {
		return nil
	}
	return r.cStringAt(le.Uint32(b), MaxExportName)
}

// Export reads the export of the i-th name into e; names are sorted by their bytes. It returns false if there is none.
func (r *Reader) Export(x *Exports, i int, e *Export) bool {
	*e = Export{}
	if i < 0 || uint64(i) >= uint64(x.NumNames) {
		return false
	}
	b := r.entry(uint64(x.ordinals)+2*uint64(i), 2)
	if b == nil {
		return false
	}
	index := uint32(le.Uint16(b))
	e.Ordinal = x.OrdinalBase + index
	if index < x.NumFunctions {
		e.RVA = r.exportRVA(x, index)
	}
	e.Forwarded = x.holds(e.RVA)
	e.Name = r.exportName(x, uint32(i))
	return e.Name != nil
}

// exportRVA returns the RVA of the function with that index; 0 if there is none.
func (r *Reader) exportRVA(x *Exports, index uint32) uint32 {
	b := r.entry(uint64(x.functions)+4*uint64(index), 4)
	if b == nil {
		return 0
	}
	return le.Uint32(b)
}

// FindExport reads the export named name into e. It returns false if the image does not export it.
func (r *Reader) FindExport(x *Exports, name string, e *Export) bool {
	for lo, hi := 0, int(x.NumNames); lo < hi; {
		mid := int(uint(lo+hi) / 2)
		switch n := r.exportName(x, uint32(mid)); {
		case string(n) < name:
			lo = mid + 1
		case string(n) > name:
			hi = mid
		default:
			return r.Export(x, mid, e)
		}
	}
	*e = Export{}
	return false
}

// NearestExport reads the export at rva, or the one at the highest RVA below rva, into e; Name is nil if that export has only an
// ordinal. It returns false if there is none. If the function at rva is not exported, e is another function.
func (r *Reader) NearestExport(x *Exports, rva uint32, e *Export) bool {
	*e = Export{}
	index := uint32(0)
	for i := range x.NumFunctions {
		f := r.exportRVA(x, i)
		if f > e.RVA && f <= rva && !x.holds(f) {
			index, e.RVA = i, f
		}
	}
	if e.RVA == 0 {
		return false
	}
	e.Ordinal = x.OrdinalBase + index
	for i := range x.NumNames {
		b := r.entry(uint64(x.ordinals)+2*uint64(i), 2)
		if b == nil {
			break
		}
		if uint32(le.Uint16(b)) == index {
			e.Name = r.exportName(x, i)
			break
		}
	}
	return true
}

// holds reports whether rva lies in the export data.
func (x *Exports) holds(rva uint32) bool { return rva >= x.start && rva-x.start < x.length }

// All returns the exported names, sorted.
func (x *Exports) All(r *Reader) iter.Seq[Export] {
	return func(yield func(Export) bool) {
		var e Export
		for i := 0; r.Export(x, i, &e); i++ {
			if !yield(e) {
				return
			}
		}
	}
}
