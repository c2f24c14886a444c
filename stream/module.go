package stream

import "encoding/binary"

const (
	VS_FFI_SIGNATURE    = 0xfeef04bd // FixedFileInfo.Signature of a record that is filled in
	VS_FFI_STRUCVERSION = 0x00010000 // FixedFileInfo.StrucVersion
)

// FixedFileInfoSize is the size of a FixedFileInfo in bytes.
const FixedFileInfoSize = 52

// FixedFileInfo is VS_FIXEDFILEINFO (verrsrc.h): the version of a module. All fields are 0 if it is not known.
//
//	 0 uint32 dwSignature
//	 4 uint32 dwStrucVersion
//	 8 uint32 dwFileVersionMS
//	12 uint32 dwFileVersionLS
//	16 uint32 dwProductVersionMS
//	20 uint32 dwProductVersionLS
//	24 uint32 dwFileFlagsMask
//	28 uint32 dwFileFlags
//	32 uint32 dwFileOS
//	36 uint32 dwFileType
//	40 uint32 dwFileSubtype
//	44 uint32 dwFileDateMS
//	48 uint32 dwFileDateLS
type FixedFileInfo struct {
	Signature        uint32 // VS_FFI_SIGNATURE
	StrucVersion     uint32 // VS_FFI_STRUCVERSION
	FileVersionMS    uint32 // Windows: two numbers of 16 bits; Linux modules of Breakpad and of this writer: the first number
	FileVersionLS    uint32 // likewise; Linux: the second number
	ProductVersionMS uint32 // likewise; Linux: the third number
	ProductVersionLS uint32 // likewise; Linux: the fourth number
	FileFlagsMask    uint32 // valid bits of FileFlags
	FileFlags        uint32
	FileOS           uint32
	FileType         uint32
	FileSubtype      uint32
	FileDateMS       uint32
	FileDateLS       uint32
}

// Put writes the FixedFileInfoSize bytes of r to b.
func (r *FixedFileInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[FixedFileInfoSize-1]
	o.PutUint32(b[0:], r.Signature)
	o.PutUint32(b[4:], r.StrucVersion)
	o.PutUint32(b[8:], r.FileVersionMS)
	o.PutUint32(b[12:], r.FileVersionLS)
	o.PutUint32(b[16:], r.ProductVersionMS)
	o.PutUint32(b[20:], r.ProductVersionLS)
	o.PutUint32(b[24:], r.FileFlagsMask)
	o.PutUint32(b[28:], r.FileFlags)
	o.PutUint32(b[32:], r.FileOS)
	o.PutUint32(b[36:], r.FileType)
	o.PutUint32(b[40:], r.FileSubtype)
	o.PutUint32(b[44:], r.FileDateMS)
	o.PutUint32(b[48:], r.FileDateLS)
}

// Get reads r from the first FixedFileInfoSize bytes of b.
func (r *FixedFileInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[FixedFileInfoSize-1]
	r.Signature = o.Uint32(b[0:])
	r.StrucVersion = o.Uint32(b[4:])
	r.FileVersionMS = o.Uint32(b[8:])
	r.FileVersionLS = o.Uint32(b[12:])
	r.ProductVersionMS = o.Uint32(b[16:])
	r.ProductVersionLS = o.Uint32(b[20:])
	r.FileFlagsMask = o.Uint32(b[24:])
	r.FileFlags = o.Uint32(b[28:])
	r.FileOS = o.Uint32(b[32:])
	r.FileType = o.Uint32(b[36:])
	r.FileSubtype = o.Uint32(b[40:])
	r.FileDateMS = o.Uint32(b[44:])
	r.FileDateLS = o.Uint32(b[48:])
}

// ModuleSize is the size of a Module in bytes (MD_MODULE_SIZE: some compilers pad the C struct, the file does not).
const ModuleSize = 108

// Module is MINIDUMP_MODULE: a program or library in the address space.
//
//	  0 uint64        BaseOfImage
//	  8 uint32        SizeOfImage
//	 12 uint32        CheckSum
//	 16 uint32        TimeDateStamp
//	 20 uint32        ModuleNameRva
//	 24 FixedFileInfo VersionInfo
//	 76 Location      CvRecord
//	 84 Location      MiscRecord
//	 92 uint64        Reserved0
//	100 uint64        Reserved1
type Module struct {
	BaseOfImage   uint64
	SizeOfImage   uint32 // bytes
	CheckSum      uint32 // of a PE image; else 0
	TimeDateStamp uint32 // of a PE image, seconds since 1970; else 0
	NameRVA       uint32 // of a string: the path
	VersionInfo   FixedFileInfo
	CvRecord      Location // a CodeView record, which identifies the debug information
	MiscRecord    Location // an obsolete IMAGE_DEBUG_MISC
}

// Put writes the ModuleSize bytes of r to b.
func (r *Module) Put(b []byte, o binary.ByteOrder) {
	_ = b[ModuleSize-1]
	o.PutUint64(b[0:], r.BaseOfImage)
	o.PutUint32(b[8:], r.SizeOfImage)
	o.PutUint32(b[12:], r.CheckSum)
	o.PutUint32(b[16:], r.TimeDateStamp)
	o.PutUint32(b[20:], r.NameRVA)
	r.VersionInfo.Put(b[24:], o)
	r.CvRecord.Put(b[76:], o)
	r.MiscRecord.Put(b[84:], o)
	o.PutUint64(b[92:], 0)
	o.PutUint64(b[100:], 0)
}

// Get reads r from the first ModuleSize bytes of b.
func (r *Module) Get(b []byte, o binary.ByteOrder) {
	_ = b[ModuleSize-1]
	r.BaseOfImage = o.Uint64(b[0:])
	r.SizeOfImage = o.Uint32(b[8:])
	r.CheckSum = o.Uint32(b[12:])
	r.TimeDateStamp = o.Uint32(b[16:])
	r.NameRVA = o.Uint32(b[20:])
	r.VersionInfo.Get(b[24:], o)
	r.CvRecord.Get(b[76:], o)
	r.MiscRecord.Get(b[84:], o)
}

// UnloadedModuleListSize is the size of an UnloadedModuleList in bytes.
const UnloadedModuleListSize = 12

// UnloadedModuleList is the head of MINIDUMP_UNLOADED_MODULE_LIST; the entries follow it.
//
//	0 uint32 SizeOfHeader
//	4 uint32 SizeOfEntry
//	8 uint32 NumberOfEntries
type UnloadedModuleList struct {
	SizeOfHeader    uint32 // UnloadedModuleListSize
	SizeOfEntry     uint32 // UnloadedModuleSize
	NumberOfEntries uint32
}

// Put writes the UnloadedModuleListSize bytes of r to b.
func (r *UnloadedModuleList) Put(b []byte, o binary.ByteOrder) {
	_ = b[UnloadedModuleListSize-1]
	o.PutUint32(b[0:], r.SizeOfHeader)
	o.PutUint32(b[4:], r.SizeOfEntry)
	o.PutUint32(b[8:], r.NumberOfEntries)
}

// Get reads r from the first UnloadedModuleListSize bytes of b.
func (r *UnloadedModuleList) Get(b []byte, o binary.ByteOrder) {
	_ = b[UnloadedModuleListSize-1]
	r.SizeOfHeader = o.Uint32(b[0:])
	r.SizeOfEntry = o.Uint32(b[4:])
	r.NumberOfEntries = o.Uint32(b[8:])
}

// UnloadedModuleSize is the size of an UnloadedModule in bytes.
const UnloadedModuleSize = 24

// UnloadedModule is MINIDUMP_UNLOADED_MODULE: a module that was in the address space earlier.
//
//	 0 uint64 BaseOfImage
//	 8 uint32 SizeOfImage
//	12 uint32 CheckSum
//	16 uint32 TimeDateStamp
//	20 uint32 ModuleNameRva
type UnloadedModule struct {
	BaseOfImage   uint64
	SizeOfImage   uint32 // bytes
	CheckSum      uint32
	TimeDateStamp uint32 // seconds since 1970
	NameRVA       uint32 // of a string
}

// Put writes the UnloadedModuleSize bytes of r to b.
func (r *UnloadedModule) Put(b []byte, o binary.ByteOrder) {
	_ = b[UnloadedModuleSize-1]
	o.PutUint64(b[0:], r.BaseOfImage)
	o.PutUint32(b[8:], r.SizeOfImage)
	o.PutUint32(b[12:], r.CheckSum)
	o.PutUint32(b[16:], r.TimeDateStamp)
	o.PutUint32(b[20:], r.NameRVA)
}

// Get reads r from the first UnloadedModuleSize bytes of b.
func (r *UnloadedModule) Get(b []byte, o binary.ByteOrder) {
	_ = b[UnloadedModuleSize-1]
	r.BaseOfImage = o.Uint64(b[0:])
	r.SizeOfImage = o.Uint32(b[8:])
	r.CheckSum = o.Uint32(b[12:])
	r.TimeDateStamp = o.Uint32(b[16:])
	r.NameRVA = o.Uint32(b[20:])
}
