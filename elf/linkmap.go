package elf

import "encoding/binary"

// RDebug is struct r_debug of <link.h>, through which the dynamic linker publishes its list of modules to debuggers.
type RDebug struct {
	Version int32  // r_version: 1, or 2 if Next exists (glibc 2.35)
	Map     uint64 // r_map: address of the first LinkMap
	Brk     uint64 // r_brk: the function called at each change
	State   uint64 // r_state: RT_CONSISTENT is 0; 1 and 2 while a module is being added or removed
	LdBase  uint64 // r_ldbase: base address of the dynamic linker
	Next    uint64 // r_next of struct r_debug_extended: another namespace (dlmopen); 0 if there is none or b is too short
}

// RDebugSize returns sizeof(struct r_debug) of the class: 20 or 40 bytes. If given another WordSize bytes, ParseRDebug also fills
// in Next.
func RDebugSize(c Class) int { return 5 * c.WordSize() }

// ParseRDebug reads a struct r_debug. It returns false if b is shorter than RDebugSize or the version is below 1: the dynamic
// linker has not filled in the structure yet.
func ParseRDebug(b []byte, c Class, o binary.ByteOrder) (RDebug, bool) {
	if len(b) < RDebugSize(c) {
		return RDebug{}, false
	}
	w := c.WordSize()
	r := RDebug{
		Version: int32(o.Uint32(b)), // the two ints are followed by padding in the 64-bit structure
		Map:     c.word(o, b, w),
		Brk:     c.word(o, b, 2*w),
		State:   uint64(o.Uint32(b[3*w:])),
		LdBase:  c.word(o, b, 4*w),
	}
	if r.Version < 1 {
		return RDebug{}, false
	}
	if r.Version >= 2 && len(b) >= 6*w {
		r.Next = c.word(o, b, 5*w)
	}
	return r, true
}

// MaxLinkMaps is a bound for walks along LinkMap.Next: a corrupt process can make the list endless or circular.
const MaxLinkMaps = 16 << 10

// LinkMap is the public part of struct link_map of <link.h>: one loaded module.
type LinkMap struct {
	Addr uint64 // l_addr: the load bias, not the base
	Name uint64 // l_name: address of the NUL-terminated path; empty for the program itself
	Ld   uint64 // l_ld: address of the dynamic section
	Next uint64 // l_next: 0 ends the list
	Prev uint64 // l_prev: must be the address of the map whose Next led here
}

// LinkMapSize returns the number of bytes that ParseLinkMap reads: 20 or 40.
func LinkMapSize(c Class) int { return 5 * c.WordSize() }

// ParseLinkMap reads a struct link_map. It returns false if b is shorter than LinkMapSize. A caller that follows Next must bound
// the number of steps (MaxLinkMaps). It can also end the walk if Prev is not the address of the previous map (0 for the first):
// then it can't visit the same map twice.
func ParseLinkMap(b []byte, c Class, o binary.ByteOrder) (LinkMap, bool) {
	if len(b) < LinkMapSize(c) {
		return LinkMap{}, false
	}
	f := fields{b, o, c == Class64}
	return LinkMap{Addr: f.word(), Name: f.word(), Ld: f.word(), Next: f.word(), Prev: f.word()}, true
}
