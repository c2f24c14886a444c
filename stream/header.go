package stream

import "encoding/binary"

const (
	// Signature is the value of Header.Signature: the bytes "MDMP" in a little-endian file, "PMDM" in a big-endian one.
	Signature = 0x504d444d // MINIDUMP_SIGNATURE
	// Version is the low half of Header.Version; the high half is up to the writer.
	Version = 0xa793 // MINIDUMP_VERSION
)

// HeaderSize is the size of a Header in bytes.
const HeaderSize = 32

// Header is MINIDUMP_HEADER, at offset 0 of the file.
//
//	 0 uint32 Signature
//	 4 uint32 Version
//	 8 uint32 NumberOfStreams
//	12 uint32 StreamDirectoryRVA
//	16 uint32 CheckSum
//	20 uint32 TimeDateStamp
//	24 uint64 Flags
type Header struct {
	Signature          uint32 // Signature
	Version            uint32 // Version in the low 16 bits
	NumberOfStreams    uint32 // entries of the directory, unused ones included
	StreamDirectoryRVA uint32 // where the directory, an array of Directory, starts
	CheckSum           uint32 // 0: no writer is known to set it
	TimeDateStamp      uint32 // seconds since 1970, UTC, when the dump was made
	Flags              uint64 // MINIDUMP_TYPE: which kinds of content were requested
}

// Values of Header.Flags that this writer uses (MINIDUMP_TYPE).
const (
	MiniDumpNormal                         = 0x0
	MiniDumpWithDataSegs                   = 0x1
	MiniDumpWithFullMemory                 = 0x2
	MiniDumpWithHandleData                 = 0x4
	MiniDumpFilterMemory                   = 0x8
	MiniDumpWithIndirectlyReferencedMemory = 0x40
	MiniDumpWithFullMemoryInfo             = 0x800
	MiniDumpWithThreadInfo                 = 0x1000
)

// Put writes the HeaderSize bytes of r to b.
func (r *Header) Put(b []byte, o binary.ByteOrder) {
	_ = b[HeaderSize-1]
	o.PutUint32(b[0:], r.Signature)
	o.PutUint32(b[4:], r.Version)
	o.PutUint32(b[8:], r.NumberOfStreams)
	o.PutUint32(b[12:], r.StreamDirectoryRVA)
	o.PutUint32(b[16:], r.CheckSum)
	o.PutUint32(b[20:], r.TimeDateStamp)
	o.PutUint64(b[24:], r.Flags)
}

// Get reads r from the first HeaderSize bytes of b.
func (r *Header) Get(b []byte, o binary.ByteOrder) {
	_ = b[HeaderSize-1]
	r.Signature = o.Uint32(b[0:])
	r.Version = o.Uint32(b[4:])
	r.NumberOfStreams = o.Uint32(b[8:])
	r.StreamDirectoryRVA = o.Uint32(b[12:])
	r.CheckSum = o.Uint32(b[16:])
	r.TimeDateStamp = o.Uint32(b[20:])
	r.Flags = o.Uint64(b[24:])
}

// LocationSize is the size of a Location in bytes.
const LocationSize = 8

// Location is MINIDUMP_LOCATION_DESCRIPTOR: a piece of the file. Both fields are 0 where there is none.
//
//	0 uint32 DataSize
//	4 uint32 RVA
type Location struct {
	DataSize uint32 // bytes
	RVA      uint32 // offset in the file
}

// Put writes the LocationSize bytes of r to b.
func (r *Location) Put(b []byte, o binary.ByteOrder) {
	_ = b[LocationSize-1]
	o.PutUint32(b[0:], r.DataSize)
	o.PutUint32(b[4:], r.RVA)
}

// Get reads r from the first LocationSize bytes of b.
func (r *Location) Get(b []byte, o binary.ByteOrder) {
	_ = b[LocationSize-1]
	r.DataSize = o.Uint32(b[0:])
	r.RVA = o.Uint32(b[4:])
}

// DirectorySize is the size of a Directory entry in bytes.
const DirectorySize = 12

// Directory is MINIDUMP_DIRECTORY: one entry of the directory.
//
//	0 uint32   StreamType
//	4 Location Location
type Directory struct {
	Type     Type
	Location Location
}

// Put writes the DirectorySize bytes of r to b.
func (r *Directory) Put(b []byte, o binary.ByteOrder) {
	_ = b[DirectorySize-1]
	o.PutUint32(b[0:], uint32(r.Type))
	r.Location.Put(b[4:], o)
}

// Get reads r from the first DirectorySize bytes of b.
func (r *Directory) Get(b []byte, o binary.ByteOrder) {
	_ = b[DirectorySize-1]
	r.Type = Type(o.Uint32(b[0:]))
	r.Location.Get(b[4:], o)
}
