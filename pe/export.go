package pe

import "iter"

const (
	// MaxExports bounds the functions and the names that an image exports: an ordinal is a number of 16 bits.
	MaxExports = 65536
	// MaxExportName bounds the length of an exported name in bytes, with its NUL. Names of C++ templates have some
	// thousands.
	MaxExportName = 4096

	exportDirectorySize = 40 // IMAGE_EXPORT_DIRECTORY
)

// Exports is what IMAGE_EXPORT_DIRECTORY says.
type Exports struct {
	NameRVA       uint32 // of the name that the library was linked under
	OrdinalBase   uint32
	NumFunctions  uint32 // at most MaxExports
	NumNames      uint32 // at most MaxExports
	functions     uint32 // RVA of an array of RVAs
	names         uint32 // RVA of an array of RVAs of names, in order
	ordinals      uint32 // RVA of an array of uint16: indices of functions
	start, length uint32 // of all export data: a function inside it is a forwarder
}

// Export is one exported function or variable.
type Export struct {
	Name      []byte // a subslice of the scratch memory
	Ordinal   uint32
	RVA       uint32 // 0: nothing is exported under this name
	Forwarded bool   // RVA is that of the name of another library's export, such as "NTDLL.RtlAllocateHeap"
}

// Exports reads the export directory of the open image into x. It reports whether there is one.
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

// ExportedAs returns the name that a library was linked under, such as "kernel32.dll", whatever its file is called. It
// is nil if the image has no export directory.
func (r *Reader) ExportedAs() []byte {
	var x Exports
	if !r.Exports(&x) {
		return nil
	}
	return r.cStringAt(x.NameRVA, MaxExportName)
}

// cStringAt returns the text at rva up to its NUL, or as far as it can be read.
func (r *Reader) cStringAt(rva uint32, most int) []byte {
	if rva == 0 {
		return nil
	}
	// Names are short and lie side by side: what was read for the last one often holds the next.
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

// Export reads what the i-th name stands for into e; names are in order of their bytes. It reports whether there is
// one.
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

// exportRVA returns the RVA of the function with that index; 0: none.
func (r *Reader) exportRVA(x *Exports, index uint32) uint32 {
	b := r.entry(uint64(x.functions)+4*uint64(index), 4)
	if b == nil {
		return 0
	}
	return le.Uint32(b)
}

// FindExport reads what name stands for into e. It reports whether the image exports it.
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

// NearestExport reads into e what is exported at rva, or at the highest RVA before it; Name is nil if that has an ordinal
// alone. It reports whether there is such a thing. Where the function at rva is not exported, e is another one.
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

// All returns the exported names in order.
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
