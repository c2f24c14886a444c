package stream

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math"
	"sync"

	"minidump/internal/errtext"
)

var (
	// ErrFormat is wrapped by every error about a file that is not a minidump or contradicts itself.
	ErrFormat = errors.New("not a valid minidump")
	// ErrTruncated is wrapped by every error about something that lies entirely or partly outside of the file or its stream.
	ErrTruncated = errors.New("minidump is cut short")
	// ErrNoStream is wrapped when the file has no stream of the requested type.
	ErrNoStream = errors.New("minidump has no such stream")
)

// maxUTF16 is the longest MINIDUMP_STRING that is read, in bytes: the longest that Encoder.String writes.
const maxUTF16 = 2 * MaxString

// File is an open minidump. Its methods read from the file at each call and keep only the list of memory ranges. They may
// be called from several goroutines at once.
//
// Nothing in the file is trusted: whatever it contains, no method panics, loops, or allocates more than a small multiple of the
// file's size.
//
// A method that returns a list returns as much of it as could be read, even if it returns an error too. A string that can't be
// read is "" in its entry, and the error is the first that occurred.
type File struct {
	Header    Header
	Order     binary.ByteOrder // of the file, from its signature
	Directory []Directory      // in the file's order, unused entries included

	r      io.ReaderAt
	size   uint64
	closer io.Closer

	ranges    sync.Once // guards memory and memoryErr
	memory    []MemoryRange
	memoryErr error
}

// OpenFile reads the minidump in an open file, such as an *os.File. Close closes it, and so does OpenFile if it fails.
// Errors are those of file.Stat and of Open.
func OpenFile(file interface {
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
}) (*File, error) {
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	f, err := Open(file, info.Size())
	if err != nil {
		file.Close()
		return nil, err
	}
	f.closer = file
	return f, nil
}

// Open reads the header and the directory of the minidump in the first size bytes of r. The signature determines the byte order.
// Errors wrap ErrFormat, ErrTruncated or the error of r.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: uint64(max(size, 0)), Order: binary.LittleEndian}
	b, err := f.read(0, HeaderSize)
	if err != nil {
		return nil, errtext.Wrap(err, "header")
	}
	if binary.BigEndian.Uint32(b) == Signature {
		f.Order = binary.BigEndian
	}
	f.Header.Get(b, f.Order)
	if f.Header.Signature != Signature {
		return nil, errtext.Wrap(ErrFormat, "signature 0x", hexText32(f.Header.Signature, lower))
	}
	if f.Header.Version&0xffff != Version {
		return nil, errtext.Wrap(ErrFormat, "version 0x", hexText32(f.Header.Version, lower))
	}
	count := uint64(f.Header.NumberOfStreams)
	b, err = f.read(uint64(f.Header.StreamDirectoryRVA), count*DirectorySize)
	if err != nil {
		return nil, errtext.Wrap(err, "directory of ", count, " streams")
	}
	f.Directory = make([]Directory, count)
	for i := range f.Directory {
		f.Directory[i].Get(b[i*DirectorySize:], f.Order)
	}
	return f, nil
}

// Close closes the file passed to OpenFile; after Open it does nothing.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// Size is the size of the file in bytes.
func (f *File) Size() uint64 { return f.size }

// inside reports whether the file has size bytes at rva.
func (f *File) inside(rva, size uint64) bool { return rva <= f.size && size <= f.size-rva }

// read returns the size bytes at rva.
func (f *File) read(rva, size uint64) ([]byte, error) {
	if !f.inside(rva, size) {
		return nil, errtext.Wrap(ErrTruncated, size, " bytes at ", errtext.Hex(rva), " of a file of ", f.size)
	}
	if size > math.MaxInt {
		return nil, errtext.Wrap(errors.ErrUnsupported, size, " bytes at ", errtext.Hex(rva),
			" are too many for this machine")
	}
	// The reader may have fewer bytes than size promised, so a large piece is not allocated before its bytes arrive.
	const step = 1 << 20
	b := make([]byte, min(size, step))
	for done := uint64(0); ; {
		n, err := f.r.ReadAt(b[done:], int64(rva+done))
		done += uint64(max(n, 0))
		if done < uint64(len(b)) {
			if err == nil || err == io.EOF {
				err = ErrTruncated
			}
			return nil, errtext.Wrap(err, size, " bytes at ", errtext.Hex(rva))
		}
		if done == size {
			return b, nil
		}
		b = append(b, make([]byte, min(size-done, done))...)
	}
}

// Context returns the bytes at loc, for example a CPU context. It returns nil and no error if loc is empty.
func (f *File) Context(loc Location) ([]byte, error) {
	if loc.DataSize == 0 {
		return nil, nil
	}
	return f.read(uint64(loc.RVA), uint64(loc.DataSize))
}

// Find returns where the first stream of type t is. The error wraps ErrNoStream.
func (f *File) Find(t Type) (Location, error) {
	for i := range f.Directory {
		if f.Directory[i].Type == t && t != UnusedStream {
			return f.Directory[i].Location, nil
		}
	}
	return Location{}, errtext.Wrap(ErrNoStream, t)
}

// Stream returns the bytes of the first stream of type t. Errors wrap ErrNoStream, ErrTruncated or the error of the reader.
func (f *File) Stream(t Type) ([]byte, error) {
	loc, err := f.Find(t)
	if err != nil {
		return nil, err
	}
	b, err := f.read(uint64(loc.RVA), uint64(loc.DataSize))
	if err != nil {
		return nil, errtext.Wrap(err, t)
	}
	return b, nil
}

// fixed returns the bytes of the first stream of type t, which must be at least size bytes long.
func (f *File) fixed(t Type, size int) ([]byte, error) {
	b, err := f.Stream(t)
	if err == nil && len(b) < size {
		return nil, errtext.Wrap(ErrTruncated, t, " has ", len(b), " bytes, not ", size)
	}
	return b, err
}

// list returns the records, of size bytes each, of a stream that starts with a uint32 count. If the stream is too short for that
// count, it returns the records that are there, and an error.
func (f *File) list(t Type, size uint64) (entries []byte, count int, err error) {
	b, err := f.fixed(t, 4)
	if err != nil {
		return nil, 0, err
	}
	n := uint64(f.Order.Uint32(b))
	b = b[4:]
	if uint64(len(b)) == 4+n*size { // some writers align the entries to 8 bytes
		b = b[4:]
	}
	return fit(t, b, n, size)
}

// extensible returns the entries of a stream whose head states the size of the head, the size of an entry and the number of
// entries. It requires a head of at least least bytes and entries of at least size bytes.
func (f *File) extensible(t Type, b []byte, head, entry, least, size uint32, n uint64) ([]byte, int, error) {
	if head < least || entry < size {
		return nil, 0, errtext.Wrap(ErrFormat, t, " has a head of ", head, " bytes and entries of ", entry)
	}
	if uint64(head) > uint64(len(b)) {
		return nil, 0, errtext.Wrap(ErrTruncated, t, " has a head of ", head, " bytes")
	}
	return fit(t, b[head:], n, uint64(entry))
}

// fit returns the first n entries, of size bytes each, of b. If b is too short it returns the complete ones, and an error.
func fit(t Type, b []byte, n, size uint64) ([]byte, int, error) {
	if have := uint64(len(b)) / size; n > have {
		return b[:have*size], int(have),
			errtext.Wrap(ErrTruncated, t, " has ", n, " entries of ", size, " bytes, and room for ", have)
	}
	return b[:n*size], int(n), nil
}

// pieces reads the strings and other small pieces that the records of one list point to. In total it reads no more bytes than the
// file has: otherwise records that all point to the same bytes could cost unbounded memory and time. Reading a string again costs
// nothing.
type pieces struct {
	f     *File
	left  uint64
	texts map[uint64]string
	err   error // the first
}

func (f *File) pieces(err error) *pieces {
	return &pieces{f: f, left: f.size, texts: map[uint64]string{}, err: err}
}

func (p *pieces) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// bytes returns the size bytes at rva, or nil.
func (p *pieces) bytes(rva, size uint64) []byte {
	if size > p.left && p.f.inside(rva, size) {
		p.fail(errtext.Wrap(ErrFormat, "pieces overlap at ", errtext.Hex(rva)))
		return nil
	}
	b, err := p.f.read(rva, size)
	if err != nil {
		p.fail(err)
		return nil
	}
	p.left -= size
	return b
}

// counted returns the bytes at rva that follow a uint32 length, which must be at most limit.
func (p *pieces) counted(rva, limit uint64) []byte {
	head, err := p.f.read(rva, 4)
	if err != nil {
		p.fail(err)
		return nil
	}
	size := uint64(p.f.Order.Uint32(head))
	if size > limit {
		p.fail(errtext.Wrap(ErrFormat, "text of ", size, " bytes at ", errtext.Hex(rva)))
		return nil
	}
	return p.bytes(rva+4, size)
}

// utf16 returns the MINIDUMP_STRING at rva; "" if rva is 0 or there is none.
func (p *pieces) utf16(rva uint64) string {
	if rva == 0 {
		return ""
	}
	if text, ok := p.texts[rva]; ok {
		return text
	}
	b := p.counted(rva, maxUTF16)
	if len(b)%2 != 0 {
		p.fail(errtext.Wrap(ErrFormat, "UTF-16 of ", len(b), " bytes at ", errtext.Hex(rva)))
		b = nil
	}
	text := utf16Text(b, p.f.Order)
	p.texts[rva] = text
	return text
}

// utf8 returns the MinidumpUTF8String at rva; "" if rva is 0 or there is none. One pieces must not use both utf8 and utf16.
func (p *pieces) utf8(rva uint64) string {
	if rva == 0 {
		return ""
	}
	if text, ok := p.texts[rva]; ok {
		return text
	}
	text := string(p.counted(rva, MaxString))
	p.texts[rva] = text
	return text
}

// array returns the entries of size bytes that follow the uint32 count at loc; none if loc is empty.
func (p *pieces) array(loc Location, size uint64) ([]byte, int) {
	if loc.DataSize == 0 {
		return nil, 0
	}
	if loc.DataSize < 4 {
		p.fail(errtext.Wrap(ErrTruncated, "list of ", loc.DataSize, " bytes at ", errtext.Hex(loc.RVA)))
		return nil, 0
	}
	b := p.bytes(uint64(loc.RVA), uint64(loc.DataSize))
	if b == nil {
		return nil, 0
	}
	n := uint64(p.f.Order.Uint32(b))
	if have := uint64(len(b)-4) / size; n > have {
		p.fail(errtext.Wrap(ErrTruncated, "list of ", n, " entries at ", errtext.Hex(loc.RVA), ", and room for ", have))
		n = have
	}
	return b[4 : 4+n*size], int(n)
}

// String returns the MINIDUMP_STRING at rva; "" if rva is 0. A surrogate without its partner becomes U+FFFD. Errors wrap
// ErrTruncated, or ErrFormat if the length is odd or more than 2 MiB.
func (f *File) String(rva uint64) (string, error) {
	p := f.pieces(nil)
	text := p.utf16(rva)
	return text, p.err
}
