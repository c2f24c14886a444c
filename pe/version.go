package pe

import "iter"

// FixedFileInfoSize is the size of VS_FIXEDFILEINFO in bytes.
const FixedFileInfoSize = 52

// VS_FFI_SIGNATURE is the first word of VS_FIXEDFILEINFO (verrsrc.h).
const VS_FFI_SIGNATURE = 0xfeef04bd

// MaxVersion bounds a version resource in bytes: its length is a 16-bit number.
const MaxVersion = 65535

// Version is the version resource of an image (VS_VERSIONINFO). Its texts refer to the scratch memory of the Reader.
type Version struct {
	// Fixed is VS_FIXEDFILEINFO as in the resource, FixedFileInfoSize bytes that a module of a minidump contains unchanged; nil
	// if the resource has none.
	Fixed []byte

	children []byte // StringFileInfo and VarFileInfo blocks
}

// Version reads the version resource of the open image into v. It returns false if there is none with a VS_FIXEDFILEINFO or
// texts. Texts that don't fit in the scratch memory are missing.
func (r *Reader) Version(v *Version) bool {
	d, ok := r.Resource(RT_VERSION)
	if !ok {
		*v = Version{}
		return false
	}
	return v.Parse(r.bytes(uint64(d.RVA), int(min(d.Size, MaxVersion))))
}

// Parse fills v in from a version resource, which may be cut short. It returns false if b has neither a VS_FIXEDFILEINFO nor
// texts.
func (v *Version) Parse(b []byte) bool {
	*v = Version{}
	var root block
	if _, ok := root.parse(b); !ok || !root.key.Is("VS_VERSION_INFO") {
		return false
	}
	if f := root.value; len(f) >= FixedFileInfoSize && le.Uint32(f) == VS_FFI_SIGNATURE {
		v.Fixed = f[:FixedFileInfoSize:FixedFileInfoSize]
	}
	v.children = root.children
	return v.Fixed != nil || len(v.children) > 0
}

// FileVersion returns the four numbers of the file's version; all 0 without Fixed.
func (v *Version) FileVersion() [4]uint16 { return v.numbers(8) }

// ProductVersion returns the four numbers of the version of the product that the file is part of; all 0 without Fixed.
func (v *Version) ProductVersion() [4]uint16 { return v.numbers(16) }

// numbers returns the pair of fields at off of VS_FIXEDFILEINFO, such as dwFileVersionMS and LS, as four numbers.
func (v *Version) numbers(off int) (n [4]uint16) {
	if len(v.Fixed) < FixedFileInfoSize {
		return n
	}
	ms, ls := le.Uint32(v.Fixed[off:]), le.Uint32(v.Fixed[off+4:])
	return [4]uint16{uint16(ms >> 16), uint16(ms), uint16(ls >> 16), uint16(ls)}
}

// VersionString is one text of a version resource.
type VersionString struct {
	Table Text // the language and the code page as eight hexadecimal digits, such as 040904b0
	Key   Text // such as CompanyName, FileVersion, OriginalFilename
	Value Text
}

// Strings returns the texts of every language in their order in the resource.
func (v *Version) Strings() iter.Seq[VersionString] {
	return func(yield func(VersionString) bool) {
		var info, table, s block
		for infos := v.children; info.next(&infos); {
			if !info.key.Is("StringFileInfo") {
				continue
			}
			for tables := info.children; table.next(&tables); {
				for strings := table.children; s.next(&strings); {
					if !yield(VersionString{table.key, s.key, s.text()}) {
						return
					}
				}
			}
		}
	}
}

// String returns the text with that key, in the first language that has it. Case is ignored in the key. It returns nil if there
// is none.
func (v *Version) String(key string) Text {
	for s := range v.Strings() {
		if s.Key.Is(key) {
			return s.Value
		}
	}
	return nil
}

// block is the head of every part of a version resource (VS_VERSIONINFO and so on of verrsrc.h):
//
//	0 uint16   wLength       bytes of the block, without the padding that follows
//	2 uint16   wValueLength  length of the value
//	4 uint16   wType         1: the value is text
//	6 uint16[] szKey         ends with a 0
//
// The value and the children follow, each at a multiple of 4 bytes from the start of the resource.
type block struct {
	key      Text
	value    []byte // wValueLength bytes, as far as available
	children []byte // the bytes after the value
	tail     []byte // value and children
}

// parse reads the block at the start of b, and returns its size in bytes including padding. ok is false if there is none. A block
// that is longer than b is cut.
func (k *block) parse(b []byte) (size int, ok bool) {
	*k = block{}
	if len(b) < 6 {
		return 0, false
	}
	length := int(le.Uint16(b))
	if length < 6 {
		return 0, false
	}
	size = min((length+3)&^3, len(b))
	body := b[:min(length, len(b))]
	key, used, ok := beforeNUL(body[6:])
	if !ok {
		return 0, false
	}
	k.key = key
	k.tail = body[min((6+used+3)&^3, len(body)):]
	n := min(int(le.Uint16(b[2:])), len(k.tail))
	k.value = k.tail[:n:n]
	k.children = k.tail[min((n+3)&^3, len(k.tail)):]
	return size, true
}

// next parses the first block of *rest and removes it from *rest.
func (k *block) next(rest *[]byte) bool {
	size, ok := k.parse(*rest)
	if ok {
		*rest = (*rest)[size:]
	}
	return ok
}

// text returns the value of a String block, up to its NUL or the end of the block. It ignores wValueLength, because resource
// compilers disagree on whether it counts bytes or units.
func (k *block) text() Text {
	t, _, _ := beforeNUL(k.tail)
	return t
}
