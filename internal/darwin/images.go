package darwin

import (
	"encoding/binary"

	"minidump/macho"
	"minidump/stream"
)

// maxImages limits the length of dyld's list. A large program has about 1,500 images.
const maxImages = 1 << 14

// Sizes in bytes of structures of <mach-o/dyld_images.h> for 64-bit tasks. Of dyld_all_image_infos, the fields up
// to version 2, which added dyldImageLoadAddress, are required; sharedCacheSlide and dyldPath were added later.
const (
	imageInfosSize    = 40
	imageInfosSize15  = 200 // up to dyldPath
	imageInfoSize     = 24  // dyld_image_info
	imageInfosVersion = 2
)

// An imageList is dyld's list of the images of a task: dyld_all_image_infos.
type imageList struct {
	version uint32
	count   uint32 // of entries that are read
	array   uint64 // address of the entries; 0 while dyld changes them
	dyld    uint64 // address of dyld's header
	path    uint64 // address of dyld's path; 0 if this version does not have it
	more    bool   // the list is longer than maxImages
}

// get decodes the start of dyld_all_image_infos. b is as much of the structure as could be read.
func (l *imageList) get(b []byte) bool {
	*l = imageList{}
	if len(b) < imageInfosSize {
		return false
	}
	l.version = order.Uint32(b)
	l.count = order.Uint32(b[4:])
	l.array = order.Uint64(b[8:])
	if l.version < imageInfosVersion {
		return false
	}
	l.dyld = order.Uint64(b[32:])
	if l.version >= 15 && len(b) >= imageInfosSize15 {
		l.path = order.Uint64(b[192:])
	}
	if l.count > maxImages {
		l.count, l.more = maxImages, true
	}
	return true
}

// An imageInfo is one entry of the list: dyld_image_info.
type imageInfo struct {
	load uint64 // address of the header
	path uint64 // address of the path, NUL-terminated
}

// imageAt decodes entry i of the entries in b.
func imageAt(b []byte, i int) imageInfo {
	b = b[i*imageInfoSize:]
	return imageInfo{load: order.Uint64(b), path: order.Uint64(b[8:])}
}

// moduleSize returns the size of an image from its header on: that of its segment __TEXT. The other segments of an image
// of the shared cache are far away, and readers of minidumps attribute everything in [base, base+size) to the module.
func moduleSize(im *macho.Image) uint64 {
	if s := im.Segment("__TEXT"); s != nil {
		return s.Size
	}
	return 0
}

// base returns the part of a path after the last slash.
func base(path []byte) []byte {
	for i := len(path); i > 0; i-- {
		if path[i-1] == '/' {
			return path[i:]
		}
	}
	return path
}

// codeView writes an RSDS record to b, of stream.CVPDB70Size(name) bytes. A UUID is 16 bytes in order, a GUID is three
// integers and 8 bytes.
func codeView(b []byte, uuid [16]byte, name []byte) {
	order.PutUint32(b, stream.CVPDB70)
	big := binary.BigEndian
	id := stream.GUID{Data1: big.Uint32(uuid[:]), Data2: big.Uint16(uuid[4:]), Data3: big.Uint16(uuid[6:]),
		Data4: [8]byte(uuid[8:])}
	id.Put(b[4:], order)
	order.PutUint32(b[20:], 0)
	n := copy(b[24:], name)
	b[24+n] = 0
}
