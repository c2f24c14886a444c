package pe

// Types of debug information (winnt.h).
const (
	IMAGE_DEBUG_TYPE_COFF                  = 1
	IMAGE_DEBUG_TYPE_CODEVIEW              = 2
	IMAGE_DEBUG_TYPE_MISC                  = 4
	IMAGE_DEBUG_TYPE_POGO                  = 13
	IMAGE_DEBUG_TYPE_REPRO                 = 16 // the time stamp of the header is a hash of the contents
	IMAGE_DEBUG_TYPE_EX_DLLCHARACTERISTICS = 20
)

const (
	// DebugEntrySize is the size of IMAGE_DEBUG_DIRECTORY in bytes.
	DebugEntrySize = 28
	// MaxDebugEntries bounds the debug directory. Microsoft's linker writes at most some 6 entries.
	MaxDebugEntries = 64
)

// DebugEntry is IMAGE_DEBUG_DIRECTORY.
type DebugEntry struct {
	TimeDateStamp    uint32
	Type             uint32 // IMAGE_DEBUG_TYPE_CODEVIEW and so on
	SizeOfData       uint32 // bytes
	AddressOfRawData uint32 // an RVA; 0: the data is not loaded
	PointerToRawData uint32 // offset in the file
}

// Parse fills e in from the first DebugEntrySize bytes of b. It returns false if b is shorter.
func (e *DebugEntry) Parse(b []byte) bool {
	if len(b) < DebugEntrySize {
		*e = DebugEntry{}
		return false
	}
	*e = DebugEntry{
		TimeDateStamp: le.Uint32(b[4:]), Type: le.Uint32(b[12:]), SizeOfData: le.Uint32(b[16:]),
		AddressOfRawData: le.Uint32(b[20:]), PointerToRawData: le.Uint32(b[24:]),
	}
	return true
}

// DebugEntry reads the i-th entry of the debug directory into e. It returns false if there is none.
func (r *Reader) DebugEntry(i int, e *DebugEntry) bool {
	d := r.Header.Directories[IMAGE_DIRECTORY_ENTRY_DEBUG]
	if i < 0 || i >= MaxDebugEntries || uint32(i) >= d.Size/DebugEntrySize {
		*e = DebugEntry{}
		return false
	}
	return e.Parse(r.entry(uint64(d.RVA)+uint64(i)*DebugEntrySize, DebugEntrySize))
}

// DebugData returns the data that e refers to, as far as it fits in the scratch memory. It returns nil if the data can't be read,
// for example in memory if it is not loaded.
func (r *Reader) DebugData(e *DebugEntry) []byte {
	size := int(min(e.SizeOfData, 1<<30))
	if r.layout == Loaded {
		if e.AddressOfRawData == 0 {
			return nil
		}
		return r.bytes(uint64(e.AddressOfRawData), size)
	}
	if e.PointerToRawData == 0 || size == 0 {
		return nil
	}
	off := uint64(e.PointerToRawData)
	return r.cache.upTo(r.src, off, size, off+uint64(size))
}

// First words of CodeView records (cvinfo.h).
const (
	RSDS = 0x53445352 // CodeView of PDB 7.0
	NB10 = 0x3031424e // CodeView of PDB 2.0, before Visual Studio .NET
)

// CodeView is a CodeView record: the name of the file with the debug information of an image, and what identifies that file.
//
// Microsoft's linker and LLVM's write RSDS. GNU ld for mingw writes it with --build-id, with an empty name, and with --pdb. The
// GUID is then the first 16 bytes of the hash of the image, and the age is 1.
type CodeView struct {
	Signature uint32   // RSDS or NB10
	GUID      [16]byte // RSDS: as in the image, with its first three fields in little-endian order
	TimeStamp uint32   // NB10: seconds since 1970
	Age       uint32   // how many times the PDB file was written
	Name      []byte   // path of the PDB file on the machine that linked the image, in UTF-8 or its code page; a subslice
}

// Parse fills c in from a record. It returns false if b does not have a whole record of a known kind. The name may be cut short:
// it ends at its NUL or at the end of b.
func (c *CodeView) Parse(b []byte) bool {
	*c = CodeView{}
	if len(b) < 4 {
		return false
	}
	sig := le.Uint32(b)
	head := codeViewHead(sig)
	if head == 0 || len(b) < head {
		return false
	}
	c.Signature = sig
	if sig == RSDS {
		copy(c.GUID[:], b[4:])
	} else {
		c.TimeStamp = le.Uint32(b[8:])
	}
	c.Age = le.Uint32(b[head-4:])
	c.Name, _ = cString(b[head:])
	return true
}

// codeViewHead returns the size of a record before its name, in bytes; 0 if the kind is not known.
func codeViewHead(signature uint32) int {
	switch signature {
	case RSDS:
		return 24 // CV_INFO_PDB70: signature, GUID, age
	case NB10:
		return 16 // CV_INFO_PDB20: signature, offset, time stamp, age
	}
	return 0
}

// AppendDebugID appends the debug id to dst, under which Breakpad's tools look for symbols: the GUID as 32 capital digits, or the
// time stamp as 8, then the age without leading zeros, all in hexadecimal.
func (c *CodeView) AppendDebugID(dst []byte) []byte {
	if c.Signature == NB10 {
		dst = appendHex(dst, uint64(c.TimeStamp), 8, capitals)
		return appendHex(dst, uint64(c.Age), 1, lower)
	}
	g := &c.GUID
	dst = appendHex(dst, uint64(le.Uint32(g[:])), 8, capitals)
	dst = appendHex(dst, uint64(le.Uint16(g[4:])), 4, capitals)
	dst = appendHex(dst, uint64(le.Uint16(g[6:])), 4, capitals)
	for _, b := range g[8:] {
		dst = appendHex(dst, uint64(b), 2, capitals)
	}
	return appendHex(dst, uint64(c.Age), 1, lower)
}

// CodeView finds the CodeView record of the open image and fills c in from it. record is the record including the NUL of its
// name, in the form used by a module of a minidump. Both refer to the scratch memory. record is nil if the image has none.
func (r *Reader) CodeView(c *CodeView) (record []byte) {
	var e DebugEntry
	for i := 0; r.DebugEntry(i, &e); i++ {
		if e.Type != IMAGE_DEBUG_TYPE_CODEVIEW {
			continue
		}
		if b := r.DebugData(&e); c.Parse(b) {
			return b[:min(codeViewHead(c.Signature)+len(c.Name)+1, len(b))]
		}
	}
	*c = CodeView{}
	return nil
}
