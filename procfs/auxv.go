package procfs

import "encoding/binary"

// Types of auxiliary vector entries (linux/auxvec.h, and asm/auxvec.h for AT_SYSINFO and AT_SYSINFO_EHDR).
const (
	AT_NULL          = 0
	AT_EXECFD        = 2
	AT_PHDR          = 3
	AT_PHENT         = 4
	AT_PHNUM         = 5
	AT_PAGESZ        = 6
	AT_BASE          = 7
	AT_FLAGS         = 8
	AT_ENTRY         = 9
	AT_NOTELF        = 10
	AT_UID           = 11
	AT_EUID          = 12
	AT_GID           = 13
	AT_EGID          = 14
	AT_PLATFORM      = 15
	AT_HWCAP         = 16
	AT_CLKTCK        = 17
	AT_SECURE        = 23
	AT_BASE_PLATFORM = 24
	AT_RANDOM        = 25
	AT_HWCAP2        = 26
	AT_HWCAP3        = 29
	AT_HWCAP4        = 30
	AT_EXECFN        = 31
	AT_SYSINFO       = 32
	AT_SYSINFO_EHDR  = 33
	AT_MINSIGSTKSZ   = 51
)

// Auxv is the auxiliary vector, which the kernel passes to a program at its start. Addresses are the program's. Have records
// which entries were present.
type Auxv struct {
	Phdr         uint64 // address of the program headers
	Phent        uint64 // size of each, in bytes
	Phnum        uint64 // number of program headers
	PageSize     uint64 // bytes
	Base         uint64 // base address of the dynamic loader; 0 for a static program
	Entry        uint64 // entry point of the program itself
	SysinfoEhdr  uint64 // address of the vDSO
	Execfn       uint64 // address of the path that was executed
	Platform     uint64 // address of a text such as "x86_64"
	BasePlatform uint64 // likewise (PowerPC)
	Random       uint64 // address of 16 random bytes
	Hwcap        uint64
	Hwcap2       uint64
	Hwcap3       uint64
	Hwcap4       uint64
	Clktck       uint64 // clock ticks a second
	Uid          uint64
	EUid         uint64
	Gid          uint64
	EGid         uint64
	Secure       uint64 // not 0: the program was executed with privileges that its caller lacks
	MinSigStkSz  uint64

	Have     uint64 // bit AT_x is set if that entry was present
	Complete bool   // AT_NULL was found: the vector was not cut short
}

// Has reports whether the entry at (AT_PHDR and so on) was present.
func (a *Auxv) Has(at uint) bool { return at < 64 && a.Have&(1<<at) != 0 }

// maxAuxvEntries bounds the number of entries read; the kernel's own table has room for some 50 (AT_VECTOR_SIZE).
const maxAuxvEntries = 512

// ParseAuxv reads an auxiliary vector: pairs of words of wordSize bytes (4 or 8, that of the program, not of the reader) in the
// order o, up to AT_NULL. If a type occurs twice, the first entry counts. For any other wordSize the result is empty. If the
// vector was cut short, its complete pairs are used and Complete is false.
func ParseAuxv(b []byte, wordSize int, o binary.ByteOrder) Auxv {
	var a Auxv
	if wordSize != 4 && wordSize != 8 {
		return a
	}
	for n := 0; n < maxAuxvEntries && len(b) >= 2*wordSize; n++ {
		var at, v uint64
		if wordSize == 8 {
			at, v = o.Uint64(b), o.Uint64(b[8:])
		} else {
			at, v = uint64(o.Uint32(b)), uint64(o.Uint32(b[4:]))
		}
		b = b[2*wordSize:]
		if at == AT_NULL {
			a.Complete = true
			break
		}
		if at >= 64 || a.Has(uint(at)) {
			continue
		}
		if p := a.field(at); p != nil {
			*p = v
			a.Have |= 1 << at
		}
	}
	return a
}

func (a *Auxv) field(at uint64) *uint64 {
	switch at {
	case AT_PHDR:
		return &a.Phdr
	case AT_PHENT:
		return &a.Phent
	case AT_PHNUM:
		return &a.Phnum
	case AT_PAGESZ:
		return &a.PageSize
	case AT_BASE:
		return &a.Base
	case AT_ENTRY:
		return &a.Entry
	case AT_UID:
		return &a.Uid
	case AT_EUID:
		return &a.EUid
	case AT_GID:
		return &a.Gid
	case AT_EGID:
		return &a.EGid
	case AT_PLATFORM:
		return &a.Platform
	case AT_HWCAP:
		return &a.Hwcap
	case AT_CLKTCK:
		return &a.Clktck
	case AT_SECURE:
		return &a.Secure
	case AT_BASE_PLATFORM:
		return &a.BasePlatform
	case AT_RANDOM:
		return &a.Random
	case AT_HWCAP2:
		return &a.Hwcap2
	case AT_HWCAP3:
		return &a.Hwcap3
	case AT_HWCAP4:
		return &a.Hwcap4
	case AT_EXECFN:
		return &a.Execfn
	case AT_SYSINFO_EHDR:
		return &a.SysinfoEhdr
	case AT_MINSIGSTKSZ:
		return &a.MinSigStkSz
	}
	return nil
}
