package elf

import "encoding/binary"

// The build information that the Go linker puts in every program since Go 1.13: section .go.buildinfo, in memory at or near the
// start of Image.Data. Layout: debug/buildinfo, type buildInfoHeader.
const (
	goBuildInfoMagic = "\xff Go buildinf:" // 14 bytes; then the pointer size, then the flags
	goBuildInfoHead  = 32                  // bytes of the header, which the strings follow
	goBuildInfoAlign = 16                  // of its address
	goInline         = 2                   // flag: the strings follow the header (Go 1.18); else it has pointers to them
	goModFrame       = 16                  // bytes of marker before and after the module text
)

// FindGoBuildInfo searches data, the bytes of the section .go.buildinfo or of the start of Image.Data, for Go build information.
// data must start at an address that is a multiple of 16. version is the Go version ("go1.26.8"). modinfo is the text that `go
// version -m` prints (lines "path\t…", "mod\t…", "dep\t…", "build\t…"), empty for programs built without modules. Both are
// subslices of data.
//
// ok with a nil version means a program of Go 1.13 to 1.17, which stores the strings elsewhere. A modinfo that extends beyond
// data, which may happen because it can be long, is cut. ok is false if there is no build information, or its version extends
// beyond data.
func FindGoBuildInfo(data []byte) (version, modinfo []byte, ok bool) {
	for off := 0; off <= len(data)-goBuildInfoHead; off += goBuildInfoAlign {
		b := data[off:]
		if b[0] != goBuildInfoMagic[0] || string(b[:len(goBuildInfoMagic)]) != goBuildInfoMagic {
			continue
		}
		if b[15]&goInline == 0 {
			if b[14] == 4 || b[14] == 8 {
				return nil, nil, true
			}
			continue
		}
		n, rest, whole := goString(b[goBuildInfoHead:])
		if !whole || len(n) == 0 {
			continue
		}
		version = n[:len(n):len(n)]
		modinfo, _, whole = goString(rest)
		switch {
		case len(modinfo) < goModFrame:
			modinfo = nil
		case !whole:
			modinfo = modinfo[goModFrame:]
		case len(modinfo) > 2*goModFrame && modinfo[len(modinfo)-goModFrame-1] == '\n':
			modinfo = modinfo[goModFrame : len(modinfo)-goModFrame]
		default:
			modinfo = nil
		}
		return version, modinfo, true
	}
	return nil, nil, false
}

// goString reads a string preceded by its length, a varint. If b ends before the string does, the string is cut and whole is
// false.
func goString(b []byte) (s, rest []byte, whole bool) {
	size, n := binary.Uvarint(b[:min(len(b), binary.MaxVarintLen64)])
	if n <= 0 {
		return nil, nil, false
	}
	b = b[n:]
	if size > uint64(len(b)) {
		return b, nil, false
	}
	return b[:size], b[size:], true
}

// GoMainPath returns the import path of the main package from the modinfo of FindGoBuildInfo, as a subslice, or nil if it is
// missing.
func GoMainPath(modinfo []byte) []byte { return goField(modinfo, "path\t", 0) }

// GoMainModule returns path and version of the main module from the modinfo of FindGoBuildInfo, as subslices. The version is
// "(devel)" or empty for a program that was built in its own source tree.
func GoMainModule(modinfo []byte) (path, version []byte) {
	return goField(modinfo, "mod\t", 0), goField(modinfo, "mod\t", 1)
}

// goField returns a tab-separated field of the first line that begins with key.
func goField(modinfo []byte, key string, field int) []byte {
	for len(modinfo) > 0 {
		end := 0
		for end < len(modinfo) && modinfo[end] != '\n' {
			end++
		}
		line := modinfo[:end]
		modinfo = modinfo[min(end+1, len(modinfo)):]
		if len(line) < len(key) || string(line[:len(key)]) != key {
			continue
		}
		line = line[len(key):]
		for ; ; field-- {
			tab := 0
			for tab < len(line) && line[tab] != '\t' {
				tab++
			}
			if field == 0 {
				return line[:tab:tab]
			}
			if tab == len(line) {
				return nil
			}
			line = line[tab+1:]
		}
	}
	return nil
}

// GoBuildInfo searches the open image for Go build information: the section .go.buildinfo, else the start of the writable
// segments. modinfo is cut at the end of the scratch memory. See FindGoBuildInfo.
func (r *Reader) GoBuildInfo() (version, modinfo []byte, ok bool) {
	if s, found := r.findSection(".go.buildinfo"); found {
		if at, ok := r.placeSection(&s); ok {
			if v, m, ok := FindGoBuildInfo(r.data.piece(r.src, at, s.Size)); ok {
				return v, m, true
			}
		}
	}
	for i, seen := 0, 0; i < r.numProgs() && seen < maxGoSegments; i++ {
		p, ok := r.prog(i)
		if !ok {
			break
		}
		if p.Type != PT_LOAD || p.Flags&PF_W == 0 || p.Filesz == 0 {
			continue
		}
		pad := -p.Vaddr & (goBuildInfoAlign - 1)
		seen++
		if pad >= p.Filesz {
			continue
		}
		at, left := r.place(p.Off, p.Vaddr)+pad, min(p.Filesz-pad, maxGoSearch)
		for tries := 0; left >= goBuildInfoHead && tries < maxGoTries; {
			b := r.data.piece(r.src, at, left)
			off := findGoMagic(b)
			if off < 0 {
				step := uint64(len(b)) &^ (goBuildInfoAlign - 1)
				if step == 0 {
					break
				}
				at, left = at+step, left-step
				continue
			}
			// Read again from this offset, so that the strings are contiguous.
			at, left = at+uint64(off), left-uint64(off)
			if v, m, ok := FindGoBuildInfo(r.data.piece(r.src, at, left)); ok {
				return v, m, true
			}
			tries++
			at, left = at+goBuildInfoAlign, left-min(left, goBuildInfoAlign)
		}
	}
	return nil, nil, false
}

// Bounds of the search for build information without section headers: the number of writable segments (in position-independent
// programs the first is for PT_GNU_RELRO), the bytes of each, and the number of places with the magic number.
const (
	maxGoSegments = 4
	maxGoSearch   = 1 << 20
	maxGoTries    = 16
)

// findGoMagic returns the offset of the first aligned magic number in b, or -1.
func findGoMagic(b []byte) int {
	for off := 0; off <= len(b)-len(goBuildInfoMagic); off += goBuildInfoAlign {
		if string(b[off:off+len(goBuildInfoMagic)]) == goBuildInfoMagic {
			return off
		}
	}
	return -1
}
