package stream

import "encoding/binary"

// RegisterSetsVersion is the value of RegisterSets.Version.
const RegisterSetsVersion = 1

// RegisterSetsSize is the size of a RegisterSets in bytes.
const RegisterSetsSize = 8

// RegisterSets is the head of the RegisterSetsStream, a stream of this project; the entries follow it.
//
//	0 uint32 Version
//	4 uint32 Count
type RegisterSets struct {
	Version uint32 // RegisterSetsVersion; a reader must reject any other
	Count   uint32 // entries
}

// Put writes the RegisterSetsSize bytes of r to b.
func (r *RegisterSets) Put(b []byte, o binary.ByteOrder) {
	_ = b[RegisterSetsSize-1]
	o.PutUint32(b[0:], r.Version)
	o.PutUint32(b[4:], r.Count)
}

// Get reads r from the first RegisterSetsSize bytes of b.
func (r *RegisterSets) Get(b []byte, o binary.ByteOrder) {
	_ = b[RegisterSetsSize-1]
	r.Version = o.Uint32(b[0:])
	r.Count = o.Uint32(b[4:])
}

// RegisterSetSize is the size of a RegisterSet in bytes.
const RegisterSetSize = 16

// RegisterSet is one register set of one thread, byte for byte as returned by PTRACE_GETREGSET or stored in a core file's note.
//
//	0 uint32   ThreadId
//	4 uint32   NoteType
//	8 Location Data
type RegisterSet struct {
	ThreadID uint32
	NoteType uint32 // NT_… of linux/elf.h: 0x202 is NT_X86_XSTATE
	Data     Location
}

// Put writes the RegisterSetSize bytes of r to b.
func (r *RegisterSet) Put(b []byte, o binary.ByteOrder) {
	_ = b[RegisterSetSize-1]
	o.PutUint32(b[0:], r.ThreadID)
	o.PutUint32(b[4:], r.NoteType)
	r.Data.Put(b[8:], o)
}

// Get reads r from the first RegisterSetSize bytes of b.
func (r *RegisterSet) Get(b []byte, o binary.ByteOrder) {
	_ = b[RegisterSetSize-1]
	r.ThreadID = o.Uint32(b[0:])
	r.NoteType = o.Uint32(b[4:])
	r.Data.Get(b[8:], o)
}
