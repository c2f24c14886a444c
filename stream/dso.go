package stream

import "encoding/binary"

// NoLinkMaps is DSODebug64.MapRVA and DSODebug32.MapRVA of a process with no link map.
const NoLinkMaps = 0xffffffff

// DSODebug64Size is the size of a DSODebug64 in bytes.
const DSODebug64Size = 40

// DSODebug64 is MDRawDebug64: what the dynamic linker publishes for debuggers (struct r_debug of link.h) in a 64-bit
// process. The bytes of the program's dynamic section follow it in the stream.
//
// Breakpad's minidump_format.h declares this struct outside of its #pragma pack, so the compilers of all 64-bit systems
// align brk to 8 bytes. Some writers leave the padding out; File.DSODebug reads both forms.
//
//	 0 uint32 version
//	 4 uint32 map
//	 8 uint32 dso_count
//	12 uint32 padding
//	16 uint64 brk
//	24 uint64 ldbase
//	32 uint64 dynamic
type DSODebug64 struct {
	Version  uint32 // r_version
	MapRVA   uint32 // of an array of LinkMap64, or NoLinkMaps
	DSOCount uint32 // entries of that array
	Brk      uint64 // r_brk
	LdBase   uint64 // r_ldbase
	Dynamic  uint64 // address of the program's dynamic section
}

// Put writes the DSODebug64Size bytes of r to b.
func (r *DSODebug64) Put(b []byte, o binary.ByteOrder) {
	_ = b[DSODebug64Size-1]
	o.PutUint32(b[0:], r.Version)
	o.PutUint32(b[4:], r.MapRVA)
	o.PutUint32(b[8:], r.DSOCount)
	o.PutUint32(b[12:], 0)
	o.PutUint64(b[16:], r.Brk)
	o.PutUint64(b[24:], r.LdBase)
	o.PutUint64(b[32:], r.Dynamic)
}

// Get reads r from the first DSODebug64Size bytes of b.
func (r *DSODebug64) Get(b []byte, o binary.ByteOrder) {
	_ = b[DSODebug64Size-1]
	r.get(b, o, 16)
}

// packedDSODebug64Size is the size of a DSODebug64 without the padding.
const packedDSODebug64Size = 36

// getPacked reads r from the first packedDSODebug64Size bytes of b, which have no padding.
func (r *DSODebug64) getPacked(b []byte, o binary.ByteOrder) {
	_ = b[packedDSODebug64Size-1]
	r.get(b, o, 12)
}

// get reads r from b, in which the 64-bit words start at offset words.
func (r *DSODebug64) get(b []byte, o binary.ByteOrder, words int) {
	r.Version = o.Uint32(b[0:])
	r.MapRVA = o.Uint32(b[4:])
	r.DSOCount = o.Uint32(b[8:])
	r.Brk = o.Uint64(b[words:])
	r.LdBase = o.Uint64(b[words+8:])
	r.Dynamic = o.Uint64(b[words+16:])
}

// DSODebug32Size is the size of a DSODebug32 in bytes.
const DSODebug32Size = 24

// DSODebug32 is MDRawDebug32: DSODebug64 of a 32-bit process.
//
//	 0 uint32 version
//	 4 uint32 map
//	 8 uint32 dso_count
//	12 uint32 brk
//	16 uint32 ldbase
//	20 uint32 dynamic
type DSODebug32 struct {
	Version  uint32
	MapRVA   uint32 // of an array of LinkMap32, or NoLinkMaps
	DSOCount uint32
	Brk      uint32
	LdBase   uint32
	Dynamic  uint32
}

// Put writes the DSODebug32Size bytes of r to b.
func (r *DSODebug32) Put(b []byte, o binary.ByteOrder) {
	_ = b[DSODebug32Size-1]
	o.PutUint32(b[0:], r.Version)
	o.PutUint32(b[4:], r.MapRVA)
	o.PutUint32(b[8:], r.DSOCount)
	o.PutUint32(b[12:], r.Brk)
	o.PutUint32(b[16:], r.LdBase)
	o.PutUint32(b[20:], r.Dynamic)
}

// Get reads r from the first DSODebug32Size bytes of b.
func (r *DSODebug32) Get(b []byte, o binary.ByteOrder) {
	_ = b[DSODebug32Size-1]
	r.Version = o.Uint32(b[0:])
	r.MapRVA = o.Uint32(b[4:])
	r.DSOCount = o.Uint32(b[8:])
	r.Brk = o.Uint32(b[12:])
	r.LdBase = o.Uint32(b[16:])
	r.Dynamic = o.Uint32(b[20:])
}

// LinkMap64Size is the size of a LinkMap64 in bytes.
const LinkMap64Size = 24

// LinkMap64 is MDRawLinkMap64: an entry of the dynamic linker's list (struct link_map of link.h). It has padding for the
// same reason as DSODebug64.
//
//	 0 uint64 addr
//	 8 uint32 name
//	12 uint32 padding
//	16 uint64 ld
type LinkMap64 struct {
	Addr    uint64 // l_addr: the load bias
	NameRVA uint32 // of a string: l_name
	Ld      uint64 // l_ld: address of the dynamic section
}

// Put writes the LinkMap64Size bytes of r to b.
func (r *LinkMap64) Put(b []byte, o binary.ByteOrder) {
	_ = b[LinkMap64Size-1]
	o.PutUint64(b[0:], r.Addr)
	o.PutUint32(b[8:], r.NameRVA)
	o.PutUint32(b[12:], 0)
	o.PutUint64(b[16:], r.Ld)
}

// Get reads r from the first LinkMap64Size bytes of b.
func (r *LinkMap64) Get(b []byte, o binary.ByteOrder) {
	_ = b[LinkMap64Size-1]
	r.Addr = o.Uint64(b[0:])
	r.NameRVA = o.Uint32(b[8:])
	r.Ld = o.Uint64(b[16:])
}

// packedLinkMap64Size is the size of a LinkMap64 without the padding.
const packedLinkMap64Size = 20

// getPacked reads r from the first packedLinkMap64Size bytes of b, which have no padding.
func (r *LinkMap64) getPacked(b []byte, o binary.ByteOrder) {
	_ = b[packedLinkMap64Size-1]
	r.Addr = o.Uint64(b[0:])
	r.NameRVA = o.Uint32(b[8:])
	r.Ld = o.Uint64(b[12:])
}

// LinkMap32Size is the size of a LinkMap32 in bytes.
const LinkMap32Size = 12

// LinkMap32 is MDRawLinkMap32: LinkMap64 of a 32-bit process.
//
//	0 uint32 addr
//	4 uint32 name
//	8 uint32 ld
type LinkMap32 struct {
	Addr    uint32
	NameRVA uint32
	Ld      uint32
}

// Put writes the LinkMap32Size bytes of r to b.
func (r *LinkMap32) Put(b []byte, o binary.ByteOrder) {
	_ = b[LinkMap32Size-1]
	o.PutUint32(b[0:], r.Addr)
	o.PutUint32(b[4:], r.NameRVA)
	o.PutUint32(b[8:], r.Ld)
}

// Get reads r from the first LinkMap32Size bytes of b.
func (r *LinkMap32) Get(b []byte, o binary.ByteOrder) {
	_ = b[LinkMap32Size-1]
	r.Addr = o.Uint32(b[0:])
	r.NameRVA = o.Uint32(b[4:])
	r.Ld = o.Uint32(b[8:])
}
