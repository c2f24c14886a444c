package procfs

import (
	"encoding/binary"
	"testing"
)

// auxvBytes encodes pairs of words.
func auxvBytes(wordSize int, o binary.AppendByteOrder, words ...uint64) []byte {
	var b []byte
	for _, w := range words {
		if wordSize == 8 {
			b = o.AppendUint64(b, w)
		} else {
			b = o.AppendUint32(b, uint32(w))
		}
	}
	return b
}

type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var auxvWords = []uint64{
	AT_SYSINFO_EHDR, 0x7fff1000, AT_MINSIGSTKSZ, 3376, AT_HWCAP, 0x178bfbff, AT_PAGESZ, 65536, AT_CLKTCK, 100,
	AT_PHDR, 0x400040, AT_PHENT, 56, AT_PHNUM, 13, AT_BASE, 0x7f001000, AT_FLAGS, 0, AT_ENTRY, 0x401000, AT_UID, 1,
	AT_EUID, 2, AT_GID, 3, AT_EGID, 4, AT_SECURE, 1, AT_RANDOM, 0x7ffe1119, AT_HWCAP2, 2, AT_EXECFN, 0x7ffe1fe0,
	AT_PLATFORM, 0x7ffe1129, AT_BASE_PLATFORM, 0x7ffe1139, AT_HWCAP3, 5, AT_HWCAP4, 6,
	1000, 1, // unknown
	AT_PHDR, 0xbad, // a duplicate
	AT_NULL, 0,
	AT_ENTRY, 0xbad, // after the end
}

var auxvWant = Auxv{
	SysinfoEhdr: 0x7fff1000, MinSigStkSz: 3376, Hwcap: 0x178bfbff, PageSize: 65536, Clktck: 100, Phdr: 0x400040, Phent: 56,
	Phnum: 13, Base: 0x7f001000, Entry: 0x401000, Uid: 1, EUid: 2, Gid: 3, EGid: 4, Secure: 1, Random: 0x7ffe1119,
	Hwcap2: 2, Execfn: 0x7ffe1fe0, Platform: 0x7ffe1129, BasePlatform: 0x7ffe1139, Hwcap3: 5, Hwcap4: 6, Complete: true,
	Have: 1<<AT_SYSINFO_EHDR | 1<<AT_MINSIGSTKSZ | 1<<AT_HWCAP | 1<<AT_PAGESZ | 1<<AT_CLKTCK | 1<<AT_PHDR | 1<<AT_PHENT |
		1<<AT_PHNUM | 1<<AT_BASE | 1<<AT_ENTRY | 1<<AT_UID | 1<<AT_EUID | 1<<AT_GID | 1<<AT_EGID | 1<<AT_SECURE |
		1<<AT_RANDOM | 1<<AT_HWCAP2 | 1<<AT_EXECFN | 1<<AT_PLATFORM | 1<<AT_BASE_PLATFORM | 1<<AT_HWCAP3 | 1<<AT_HWCAP4,
}

func TestParseAuxv(t *testing.T) {
	for _, wordSize := range []int{4, 8} {
		for _, o := range []byteOrder{binary.LittleEndian, binary.BigEndian} {
			b := auxvBytes(wordSize, o, auxvWords...)
			if got := ParseAuxv(b, wordSize, o); got != auxvWant {
				t.Errorf("%d bytes, %v:\n got %+v\nwant %+v", wordSize, o, got, auxvWant)
			}
			// Cut at any length: the complete pairs before the cut, and Complete is false.
			for cut := range auxvBytes(wordSize, o, AT_PHDR, 1, AT_ENTRY, 2, AT_NULL, 0) {
				text := auxvBytes(wordSize, o, AT_PHDR, 1, AT_ENTRY, 2, AT_NULL, 0)[:cut]
				want := Auxv{}
				if cut >= 2*wordSize {
					want.Phdr, want.Have = 1, 1<<AT_PHDR
				}
				if cut >= 4*wordSize {
					want.Entry, want.Have = 2, want.Have|1<<AT_ENTRY
				}
				if got := ParseAuxv(text, wordSize, o); got != want {
					t.Errorf("%d bytes, %v, cut at %d: %+v", wordSize, o, cut, got)
				}
			}
		}
	}
	for _, wordSize := range []int{-8, 0, 1, 2, 16} {
		if got := ParseAuxv(make([]byte, 64), wordSize, binary.LittleEndian); got != (Auxv{}) {
			t.Errorf("word size %d: %+v", wordSize, got)
		}
	}
	a := Auxv{Have: 1 << AT_PHDR}
	if !a.Has(AT_PHDR) || a.Has(AT_ENTRY) || a.Has(64) || a.Has(64+AT_PHDR) {
		t.Error("Has")
	}
}

// TestAuxvBounded checks that a vector without an end is not read forever.
func TestAuxvBounded(t *testing.T) {
	words := make([]uint64, 4*maxAuxvEntries)
	for i := range words {
		words[i] = 1000
	}
	words = append(words, AT_PHDR, 1, AT_NULL, 0)
	if got := ParseAuxv(auxvBytes(8, binary.LittleEndian, words...), 8, binary.LittleEndian); got != (Auxv{}) {
		t.Errorf("%+v", got)
	}
}

func FuzzAuxv(f *testing.F) {
	f.Add(auxvBytes(8, binary.LittleEndian, auxvWords...))
	f.Add(auxvBytes(4, binary.BigEndian, auxvWords...))
	f.Add([]byte{3})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, wordSize := range []int{4, 8} {
			for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
				a := ParseAuxv(b, wordSize, o)
				if len(b) < 2*wordSize && a != (Auxv{}) || a.Has(AT_PHDR) != (a.Have&(1<<AT_PHDR) != 0) ||
					a.Phdr != 0 && !a.Has(AT_PHDR) || wordSize == 4 && (a.Phdr|a.Entry|a.Hwcap)>>32 != 0 {
					t.Fatalf("%x: %+v", b, a)
				}
			}
		}
	})
}
