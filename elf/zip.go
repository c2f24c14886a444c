package elf

import "encoding/binary"

// Records of a zip archive (APPNOTE.TXT 4.3): signatures, and sizes of the fixed parts in bytes.
const (
	zipLocalSig   = 0x04034b50 // local file header
	zipLocalSize  = 30
	zipEntrySig   = 0x02014b50 // central directory header
	zipEntrySize  = 46
	zipEndSig     = 0x06054b50 // end of central directory
	zipEndSize    = 22
	zipEnd64Sig   = 0x06064b50 // zip64 end of central directory
	zipEnd64Size  = 56
	zipLocatorSig = 0x07064b50 // zip64 end of central directory locator
	zipLocSize    = 20
	zip64Extra    = 1 // header id of the zip64 extra field
)

// Bounds on an archive.
const (
	MaxZipEntries   = 1 << 18  // entries of the central directory that are read
	MaxZipDirectory = 32 << 20 // bytes of the central directory that are read
	MaxZipName      = 1024     // length of an entry's name, bytes
	maxZipComment   = 1<<16 - 1
)

// ZipStored is the method of an entry that is not compressed; only such entries can be mapped.
const ZipStored = 0

// ZipEntry is one file of an archive.
type ZipEntry struct {
	Name   []byte // in the scratch memory of the ZipReader, valid until the next call
	Method uint16 // ZipStored, or a compression method
	Off    uint64 // of the contents in the archive, bytes
	Size   uint64 // of the contents as stored in the archive, bytes
	CRC32  uint32 // of the uncompressed contents; not checked
}

// ZipReader finds the files of a zip archive, such as the libraries in an APK that the Android linker maps directly from it. It
// owns scratch memory and never allocates after NewZipReader. It supports zip64 archives, and archives preceded by other data. It
// decompresses nothing.
type ZipReader struct {
	dir  window
	name [MaxZipName]byte
	head [zipLocalSize]byte
}

// NewZipReader returns a ZipReader with that scratch memory, or with its own if scratch is shorter than MinScratch.
func NewZipReader(scratch []byte) *ZipReader {
	if len(scratch) < MinScratch {
		scratch = make([]byte, MinScratch)
	}
	z := new(ZipReader)
	z.Init(scratch)
	return z
}

// Init initializes z as NewZipReader does, for a ZipReader that is part of something larger. It allocates nothing, and panics if
// scratch is shorter than MinScratch.
func (z *ZipReader) Init(scratch []byte) {
	_ = scratch[MinScratch-1]
	z.dir = window{buf: scratch}
}

// At returns the stored entry whose contents include the byte at offset off of the archive of size bytes: the file that is mapped
// by a mapping with that file offset. Android names such a library by the path of the archive, "!/" and the entry's name.
func (z *ZipReader) At(src Source, size, off uint64) (ZipEntry, bool) {
	best, found := zipDirEntry{}, false
	it, ok := z.open(src, size)
	if !ok {
		return ZipEntry{}, false
	}
	for {
		e, ok := z.next(src, &it)
		if !ok {
			break
		}
		// Local headers do not overlap: only the last one that starts before off can contain it.
		if e.local < off && (!found || e.local > best.local) {
			best, found = e, true
		}
	}
	if !found || best.method != ZipStored {
		return ZipEntry{}, false
	}
	e, ok := z.entry(src, &best, size)
	if !ok || off < e.Off || off-e.Off >= e.Size {
		return ZipEntry{}, false
	}
	return e, true
}

// Lookup returns the entry of that name in the archive of size bytes. If there are several, the first counts.
func (z *ZipReader) Lookup(src Source, size uint64, name []byte) (ZipEntry, bool) {
	it, ok := z.open(src, size)
	if !ok || len(name) > MaxZipName {
		return ZipEntry{}, false
	}
	for {
		e, ok := z.next(src, &it)
		if !ok {
			return ZipEntry{}, false
		}
		if int(e.nameLen) != len(name) {
			continue
		}
		if string(z.dir.at(src, e.nameOff, len(name))) == string(name) {
			return z.entry(src, &e, size)
		}
	}
}

// zipDir is the state of a walk through the central directory.
type zipDir struct {
	off, end uint64 // of the next header, and of the directory, in the source
	left     uint64 // entries
	shift    uint64 // added to offsets in the archive: the size of the data before it in the file
}

// zipDirEntry is a central directory header.
type zipDirEntry struct {
	method  uint16
	crc     uint32
	local   uint64 // offset of the local header in the source
	size    uint64 // compressed size
	nameOff uint64 // offset of the name in the source
	nameLen uint16
}

// open locates the central directory.
func (z *ZipReader) open(src Source, size uint64) (zipDir, bool) {
	z.dir.n = 0
	end, ok := z.findEnd(src, size)
	if !ok {
		return zipDir{}, false
	}
	o := binary.LittleEndian
	b := z.dir.at(src, end, zipEndSize)
	if b == nil {
		return zipDir{}, false
	}
	num := uint64(o.Uint16(b[10:]))
	dirSize, dirOff := uint64(o.Uint32(b[12:])), uint64(o.Uint32(b[16:]))
	dirEnd := end // the directory ends where an end record of either kind starts
	if num == 0xffff || dirSize == 0xffffffff || dirOff == 0xffffffff {
		if at, ok := z.findEnd64(src, end); ok {
			b = z.dir.at(src, at, zipEnd64Size)
			num, dirSize, dirOff, dirEnd = o.Uint64(b[32:]), o.Uint64(b[40:]), o.Uint64(b[48:]), at
		}
	}
	if dirSize > dirEnd || dirOff > dirEnd-dirSize {
		return zipDir{}, false
	}
	d := zipDir{off: dirOff, left: min(num, MaxZipEntries)}
	// Offsets count from the start of the archive, which need not be the start of the file.
	if shift := dirEnd - dirSize - dirOff; shift != 0 && !z.sig(src, dirOff, zipEntrySig) {
		d.shift = shift
		d.off += shift
	}
	d.end = d.off + min(dirSize, MaxZipDirectory)
	return d, true
}

func (z *ZipReader) sig(src Source, off uint64, want uint32) bool {
	b := z.dir.at(src, off, 4)
	return b != nil && binary.LittleEndian.Uint32(b) == want
}

// findEnd searches backwards for the end of central directory record, which only a comment can follow.
func (z *ZipReader) findEnd(src Source, size uint64) (uint64, bool) {
	if size < zipEndSize {
		return 0, false
	}
	lowest := uint64(0)
	if size > zipEndSize+maxZipComment {
		lowest = size - zipEndSize - maxZipComment
	}
	hi := size // all positions from hi-zipEndSize+1 on have been checked
	for {
		lo := lowest
		if n := uint64(len(z.dir.buf)); hi-lowest > n {
			lo = hi - n
		}
		b := z.dir.at(src, lo, int(hi-lo))
		for i := len(b) - zipEndSize; i >= 0; i-- {
			if b[i] != 'P' || binary.LittleEndian.Uint32(b[i:]) != zipEndSig {
				continue
			}
			comment := uint64(binary.LittleEndian.Uint16(b[i+20:]))
			if at := lo + uint64(i); at+zipEndSize+comment <= size {
				return at, true
			}
		}
		if lo == lowest || b == nil {
			return 0, false
		}
		hi = lo + zipEndSize - 1
	}
}

// findEnd64 finds the zip64 end record by its locator, which precedes the end record directly.
func (z *ZipReader) findEnd64(src Source, end uint64) (uint64, bool) {
	if end < zipLocSize || !z.sig(src, end-zipLocSize, zipLocatorSig) {
		return 0, false
	}
	b := z.dir.at(src, end-zipLocSize, zipLocSize)
	if b == nil {
		return 0, false
	}
	at := binary.LittleEndian.Uint64(b[8:])
	latest := end - zipLocSize - zipEnd64Size
	if end < zipLocSize+zipEnd64Size {
		return 0, false
	}
	if at > latest || !z.sig(src, at, zipEnd64Sig) {
		at = latest // other data precedes the archive: the record lies here unless it has extensible data
		if !z.sig(src, at, zipEnd64Sig) {
			return 0, false
		}
	}
	return at, z.dir.at(src, at, zipEnd64Size) != nil
}

// next reads a header of the central directory and advances to the next.
func (z *ZipReader) next(src Source, it *zipDir) (zipDirEntry, bool) {
	if it.left == 0 || it.end < zipEntrySize || it.off > it.end-zipEntrySize {
		return zipDirEntry{}, false
	}
	o := binary.LittleEndian
	b := z.dir.at(src, it.off, zipEntrySize)
	if b == nil || o.Uint32(b) != zipEntrySig {
		return zipDirEntry{}, false
	}
	nameLen, extraLen, commentLen := o.Uint16(b[28:]), o.Uint16(b[30:]), o.Uint16(b[32:])
	e := zipDirEntry{
		method: o.Uint16(b[10:]), crc: o.Uint32(b[16:]), local: uint64(o.Uint32(b[42:])), size: uint64(o.Uint32(b[20:])),
		nameOff: it.off + zipEntrySize, nameLen: nameLen,
	}
	full := uint64(o.Uint32(b[24:]))
	if e.size == 0xffffffff || e.local == 0xffffffff || full == 0xffffffff {
		z.extra64(src, &e, full == 0xffffffff, e.nameOff+uint64(nameLen), uint64(extraLen))
	}
	e.local += it.shift // in the worst case wraps to an offset without a local header
	it.off += zipEntrySize + uint64(nameLen) + uint64(extraLen) + uint64(commentLen)
	it.left--
	return e, true
}

// extra64 reads the values that did not fit in 32 bits from the zip64 extra field, which contains only those, in this order:
// size, compressed size, offset of the local header.
func (z *ZipReader) extra64(src Source, e *zipDirEntry, hasFull bool, off, size uint64) {
	o := binary.LittleEndian
	for size >= 4 {
		b := z.dir.at(src, off, 4)
		if b == nil {
			return
		}
		id, n := o.Uint16(b), uint64(o.Uint16(b[2:]))
		off, size = off+4, size-4
		if n > size {
			return
		}
		if id != zip64Extra {
			off, size = off+n, size-n
			continue
		}
		b = z.dir.at(src, off, int(min(n, 24)))
		if hasFull && len(b) >= 8 {
			b = b[8:]
		}
		if e.size == 0xffffffff && len(b) >= 8 {
			e.size, b = o.Uint64(b), b[8:]
		}
		if e.local == 0xffffffff && len(b) >= 8 {
			e.local = o.Uint64(b)
		}
		return
	}
}

// entry reads the name and the local header of e, which determines where the contents start.
func (z *ZipReader) entry(src Source, e *zipDirEntry, size uint64) (ZipEntry, bool) {
	if int(e.nameLen) > MaxZipName {
		return ZipEntry{}, false
	}
	name := z.name[:copy(z.name[:], z.dir.at(src, e.nameOff, int(e.nameLen)))]
	if len(name) != int(e.nameLen) || src.ReadAt(z.head[:], e.local) != len(z.head) {
		return ZipEntry{}, false
	}
	o := binary.LittleEndian
	if o.Uint32(z.head[:]) != zipLocalSig {
		return ZipEntry{}, false
	}
	skip := zipLocalSize + uint64(o.Uint16(z.head[26:])) + uint64(o.Uint16(z.head[28:]))
	at := e.local + skip
	if at < skip || at > size || e.size > size-at {
		return ZipEntry{}, false
	}
	return ZipEntry{Name: name, Method: e.method, Off: at, Size: e.size, CRC32: e.crc}, true
}
