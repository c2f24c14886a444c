package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"minidump"
	"minidump/elf"
	"minidump/procfs"
	"minidump/stream"
)

// Limits of what is read from the memory of a client. Those of annotations are the limits of Crashpad's own handler,
// which has no others.
const (
	maxCrashpadModules  = 4096      // mappings that are examined
	maxNoteBytes        = 16 << 10  // of one note segment
	maxAnnotations      = 400       // of one module (kMaxNumberOfAnnotations)
	maxAnnotationName   = 256       // bytes (Annotation::kNameMaxLength)
	maxAnnotationValue  = 5 * 4096  // bytes (Annotation::kValueMaxSize)
	maxInfos            = 64        // modules with a CrashpadInfo
	maxClientBytes      = 32 << 20  // of everything read from one client
	maxClientStreams    = 64        // of all modules, and in the chain of one
	maxClientStream     = 1 << 20   // bytes of one stream; the rest is left out
	maxExtraRanges      = 1024      // ranges of extra memory, of all modules
	maxExtraRange       = 1 << 20   // bytes of one of them
	dictionaryEntries   = 64        // of a SimpleStringDictionary, and of a SimpleAddressRangeBag
	dictionaryText      = 256       // bytes of a key and of a value
	maxAllowed          = 4096      // names and ranges that a SanitizationInformation allows
	maxSearchedStack    = 256 << 10 // bytes of a stack that are searched for pointers into a module
	lastReservedStream  = 0xffff    // the last type that Microsoft reserves
	crashpadInfoMagic   = 0x43506164
	crashpadInfoNote    = 0x4f464e49 // "INFO", in the note's name "Crashpad"
	crashpadInfoVersion = 1
)

// A TriState of Crashpad.
const (
	triEnabled  = 1
	triDisabled = 2
)

// crashpadInfo is the CrashpadInfo of one module (client/crashpad_info.h):
//
//	 0 uint32 signature, 4 uint32 size, 8 uint32 version, 12 uint32 cap of indirectly referenced memory, 16 uint32 0
//	20 uint8  handler behavior, 21 uint8 forwarding, 22 uint8 gather indirectly referenced memory, 23 uint8 0
//	24 four addresses: extra memory ranges, simple annotations, user streams, annotations
type crashpadInfo struct {
	at                                 uint64 // its address
	handler, gather                    uint8
	extra, simple, streams, annotation uint64
}

// crashpadClient reads the memory of a client, and trusts nothing in it.
type crashpadClient struct {
	pid  int
	wide bool // its addresses have 8 bytes
	from func(addr uint64, p []byte) int
	used int // bytes read or requested so far
}

// read fills p with memory at addr up to the first unreadable byte, unless maxClientBytes is exceeded.
func (c *crashpadClient) read(addr uint64, p []byte) int {
	if c.used += len(p); c.used > maxClientBytes {
		return 0
	}
	return c.from(addr, p)
}

// get reads size bytes. It returns false if not all can be read.
func (c *crashpadClient) get(addr uint64, size int) ([]byte, bool) {
	b := make([]byte, size)
	return b, addr != 0 && c.read(addr, b) == size
}

// table is get for a static table: pages that the client has never used can't be read, and are zeros in the result.
func (c *crashpadClient) table(addr uint64, size int) ([]byte, bool) {
	b := make([]byte, size)
	any := false
	for rest, at := b, addr; addr != 0 && len(rest) > 0; {
		n := min(len(rest), int(pageSize-at%pageSize))
		any = c.read(at, rest[:n]) > 0 || any
		rest, at = rest[n:], at+uint64(n)
	}
	return b, any
}

// pageSize is the page size of this machine in bytes.
var pageSize = uint64(os.Getpagesize())

func (c *crashpadClient) word() int {
	if c.wide {
		return 8
	}
	return 4
}

// address returns the i-th address in b.
func (c *crashpadClient) address(b []byte, i int) uint64 {
	if c.wide {
		return order.Uint64(b[8*i:])
	}
	return uint64(order.Uint32(b[4*i:]))
}

// text reads a string of at most limit bytes that ends with a NUL.
func (c *crashpadClient) text(addr uint64, limit int) (string, bool) {
	b := make([]byte, limit+1)
	n := c.read(addr, b)
	end := bytes.IndexByte(b[:n], 0)
	return string(b[:max(end, 0)]), end >= 0
}

// maps returns the memory map of the client; empty if it can't be read.
func (c *crashpadClient) maps() []byte {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(c.pid) + "/maps")
	return b
}

// infos returns the CrashpadInfo of each module that has one, in order of address.
func (c *crashpadClient) infos() []crashpadInfo {
	var list []crashpadInfo
	modules := 0
	for rest := c.maps(); modules < maxCrashpadModules && len(list) < maxInfos; {
		m, next, ok := procfs.NextMapping(rest)
		if !ok {
			break
		}
		if rest = next; m.Offset != 0 || m.Inode == 0 {
			continue
		}
		modules++
		if at := c.note(m.Start); at != 0 {
			if info, ok := c.info(at); ok {
				list = append(list, info)
			}
		}
	}
	return list
}

// note returns the address of the CrashpadInfo that a note of the ELF image at base refers to; 0 if there is none.
func (c *crashpadClient) note(base uint64) uint64 {
	b := make([]byte, 4096)
	b = b[:c.read(base, b)]
	h, ok := elf.ParseHeader(b)
	if !ok {
		return 0
	}
	table, ok := c.get(base+h.Phoff, min(int(h.Phnum)*int(h.Phentsize), elf.MaxProgTable))
	if !ok {
		return 0
	}
	var im elf.Image
	im.Scan(&h, table, base, pageSize)
	for _, r := range im.Notes[:im.NumNotes] {
		notes := make([]byte, min(r.Size, maxNoteBytes))
		notes = notes[:c.read(r.Addr, notes)]
		for rest := notes; ; {
			n, next, ok := elf.NextNote(rest, r.Align, order)
			if !ok {
				break
			}
			if rest = next; string(n.Name) != "Crashpad" || n.Type != crashpadInfoNote || len(n.Desc) < c.word() {
				continue
			}
			desc := r.Addr + uint64(cap(notes)-cap(n.Desc)) // both are pieces of one array
			if c.wide {
				return desc + order.Uint64(n.Desc)
			}
			return desc + uint64(int64(int32(order.Uint32(n.Desc))))
		}
	}
	return 0
}

// info reads the CrashpadInfo at an address. Fields that an older client lacks are 0.
func (c *crashpadClient) info(at uint64) (crashpadInfo, bool) {
	head, ok := c.get(at, 12)
	if !ok || order.Uint32(head) != crashpadInfoMagic || order.Uint32(head[8:]) != crashpadInfoVersion {
		return crashpadInfo{}, false
	}
	b := make([]byte, 24+4*c.word())
	c.read(at, b[:min(uint32(len(b)), order.Uint32(head[4:]))])
	p := b[24:]
	return crashpadInfo{at: at, handler: b[20], gather: b[22], extra: c.address(p, 0), simple: c.address(p, 1),
		streams: c.address(p, 2), annotation: c.address(p, 3)}, true
}

// dictionary reads a SimpleStringDictionary.
func (c *crashpadClient) dictionary(at uint64) (list []minidump.Annotation) {
	b, ok := c.table(at, dictionaryEntries*2*dictionaryText)
	if !ok {
		return nil
	}
	for ; len(b) > 0; b = b[2*dictionaryText:] {
		if key := untilNUL(b[:dictionaryText]); key != "" {
			list = append(list, minidump.Annotation{Key: key, Value: untilNUL(b[dictionaryText : 2*dictionaryText])})
		}
	}
	return list
}

func untilNUL(b []byte) string {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b)
}

// annotations reads an AnnotationList: a pointer to its tail, and the first of a chain of nodes. A node is the addresses of
// the next node, the name and the value, then uint32 size, uint16 type, and two bytes of a lock. A node whose size is 0 has no
// value.
func (c *crashpadClient) annotations(at uint64) (list []minidump.AnnotationObject) {
	w := c.word()
	node := 3*w + 8
	b, ok := c.get(at, w+node)
	if !ok {
		return nil
	}
	tail, next := c.address(b, 0), c.address(b, 1)
	for range maxAnnotations {
		if next == tail {
			break
		}
		if b, ok = c.get(next, node); !ok {
			break
		}
		next = c.address(b, 0)
		size := order.Uint32(b[3*w:])
		if size == 0 {
			continue
		}
		name, named := c.text(c.address(b, 1), maxAnnotationName)
		value, ok := c.get(c.address(b, 2), int(min(size, maxAnnotationValue)))
		if named && ok {
			list = append(list, minidump.AnnotationObject{Name: name, Type: order.Uint16(b[3*w+4:]), Value: value})
		}
	}
	return list
}

// userStreams reads the chain of UserDataMinidumpStreamListEntry: three uint64, the next entry, the address and the size of the
// data, and the type as uint32. Types that the minidump format defines are refused.
func (c *crashpadClient) userStreams(at uint64, list []minidump.UserStream) []minidump.UserStream {
	for range maxClientStreams {
		b, ok := c.get(at, 28)
		if !ok || len(list) == maxClientStreams {
			break
		}
		at = order.Uint64(b)
		size, t := order.Uint64(b[16:]), stream.Type(order.Uint32(b[24:]))
		taken := slices.ContainsFunc(list, func(u minidump.UserStream) bool { return u.Type == t })
		if size == 0 || t <= lastReservedStream || taken || !strings.HasPrefix(t.String(), "0x") {
			continue
		}
		data := make([]byte, min(size, maxClientStream))
		list = append(list, minidump.UserStream{Type: t, Data: data[:c.read(order.Uint64(b[8:]), data)]})
	}
	return list
}

// extraMemory reads a SimpleAddressRangeBag: pairs of uint64, an address and a size.
func (c *crashpadClient) extraMemory(at uint64) (list []minidump.AppMemory) {
	b, ok := c.table(at, dictionaryEntries*16)
	if !ok {
		return nil
	}
	for ; len(b) > 0; b = b[16:] {
		if size := order.Uint64(b[8:]); size > 0 {
			list = append(list, minidump.AppMemory{Address: order.Uint64(b), Size: min(size, maxExtraRange)})
		}
	}
	return list
}

// errDisabled is the error for a process whose CrashpadInfo disables dumps.
var errDisabled = errors.New("its CrashpadInfo disables the handler")

// apply adds to the options the contents of the CrashpadInfo of the client's modules.
func (c *crashpadClient) apply(o *minidump.Options) error {
	var handler, gather uint8
	for _, info := range c.infos() {
		if handler == 0 {
			handler = info.handler
		}
		if gather == 0 {
			gather = info.gather
		}
		m := minidump.ModuleAnnotations{Address: info.at, Simple: c.dictionary(info.simple), Objects: c.annotations(info.annotation)}
		if len(m.Simple)+len(m.Objects) > 0 {
			o.ModuleAnnotations = append(o.ModuleAnnotations, m)
		}
		extra := c.extraMemory(info.extra)
		o.AppMemory = append(o.AppMemory, extra[:min(len(extra), maxExtraRanges-min(maxExtraRanges, len(o.AppMemory)))]...)
		o.UserStreams = c.userStreams(info.streams, o.UserStreams)
	}
	if gather == triEnabled && o.Mode == minidump.ModeStack {
		o.Mode = minidump.ModeIndirect
	}
	if handler == triDisabled {
		return fmt.Errorf("%w: %w", ErrRefused, errDisabled)
	}
	return nil
}

// sanitization is a SanitizationInformation (snapshot/sanitized/sanitization_information.h): u64 address of an array of
// names, u64 address in a module, u64 address of ranges, u8 whether stacks are sanitised.
type sanitization struct {
	names, module, ranges uint64
	stacks                bool
}

const sanitizationSize = 25

func (c *crashpadClient) sanitization(at uint64) (r sanitization, ok bool) {
	b, ok := c.get(at, sanitizationSize)
	if !ok {
		return r, false
	}
	return sanitization{order.Uint64(b), order.Uint64(b[8:]), order.Uint64(b[16:]), b[24] != 0}, true
}

// sanitize removes from the options what a SanitizationInformation does not allow: memory other than stacks and the listed
// ranges, and annotations that are not listed. If it can't be read, nothing is allowed.
func (c *crashpadClient) sanitize(at uint64, o *minidump.Options) (sanitization, bool) {
	r, ok := c.sanitization(at)
	o.Mode = minidump.ModeStack
	o.UserStreams = nil
	o.SanitizeStacks = o.SanitizeStacks || r.stacks || !ok
	o.AppMemory = c.allowed(r.ranges, o.AppMemory)
	if r.names == 0 && ok {
		return r, ok
	}
	names := c.allowedNames(r.names)
	o.Annotations = slices.DeleteFunc(slices.Clone(o.Annotations), func(a minidump.Annotation) bool { return !names[a.Key] })
	for i := range o.ModuleAnnotations {
		m := &o.ModuleAnnotations[i]
		m.Simple = slices.DeleteFunc(m.Simple, func(a minidump.Annotation) bool { return !names[a.Key] })
		m.Objects = slices.DeleteFunc(m.Objects, func(a minidump.AnnotationObject) bool { return !names[a.Name] })
	}
	return r, ok
}

// allowedNames reads the strings in an array of addresses that ends with 0.
func (c *crashpadClient) allowedNames(at uint64) map[string]bool {
	names := map[string]bool{}
	for range maxAllowed {
		b, ok := c.get(at, c.word())
		if !ok || c.address(b, 0) == 0 {
			break
		}
		if name, ok := c.text(c.address(b, 0), maxAnnotationName); ok {
			names[name] = true
		}
		at += uint64(c.word())
	}
	return names
}

// allowed returns the ranges that are inside one of the ranges in a SanitizationAllowedMemoryRanges: u64 address of pairs of
// u64, an address and a size, and u64 number of pairs.
func (c *crashpadClient) allowed(at uint64, list []minidump.AppMemory) (out []minidump.AppMemory) {
	b, ok := c.get(at, 16)
	if !ok {
		return nil
	}
	entries, ok := c.get(order.Uint64(b), int(min(order.Uint64(b[8:]), maxAllowed))*16)
	if !ok {
		return nil
	}
	for _, m := range list {
		for e := entries; len(e) > 0; e = e[16:] {
			lo, size := order.Uint64(e), order.Uint64(e[8:])
			if m.Address >= lo && m.Address-lo <= size && m.Size <= size-(m.Address-lo) {
				out = append(out, m)
				break
			}
		}
	}
	return out
}

// refersTo reports whether pc, or an aligned word of the stack from sp on, points into the module that contains an
// address.
func (c *crashpadClient) refersTo(module, pc, sp uint64) bool {
	lo, hi := c.moduleAt(module)
	if hi == 0 {
		return false
	}
	if lo <= pc && pc < hi {
		return true
	}
	w := c.word()
	sp &^= uint64(w - 1)
	stack := make([]byte, maxSearchedStack)
	stack = stack[:c.read(sp, stack)]
	for ; len(stack) >= w; stack = stack[w:] {
		if v := c.address(stack, 0); lo <= v && v < hi {
			return true
		}
	}
	return false
}

// moduleAt returns the range of the mappings of the file that is mapped at an address; 0, 0 if there is none.
func (c *crashpadClient) moduleAt(addr uint64) (lo, hi uint64) {
	var file procfs.Mapping
	found := false
	for rest := c.maps(); ; {
		m, next, ok := procfs.NextMapping(rest)
		if !ok {
			break
		}
		if rest = next; m.Inode == 0 {
			continue
		}
		if m.Inode != file.Inode || m.Major != file.Major || m.Minor != file.Minor {
			if found {
				break
			}
			file, lo = m, m.Start
		}
		hi = m.End
		found = found || m.Contains(addr)
	}
	if !found {
		return 0, 0
	}
	return lo, hi
}
