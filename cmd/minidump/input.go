package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"minidump/stream"
)

// maxUnpacked is the maximum unpacked size of a compressed dump in bytes: it is kept in memory.
const maxUnpacked = 4 << 30

// compressions are formats of compressed dumps: the bytes that files begin with, and the command that unpacks them.
var compressions = []struct{ magic, name, tool string }{
	{"\x28\xb5\x2f\xfd", "zstd", "zstd -d"},
	{"\xfd7zXZ\x00", "xz", "xz -d"},
	{"\x04\x22\x4d\x18", "lz4", "lz4 -d"},
	{"BZh", "bzip2", "bzip2 -d"},
	{"PK\x03\x04", "zip", "unzip"},
}

// openDump opens the dump in the file path, which may be compressed with gzip; - is standard input.
func openDump(path string) (*stream.File, error) {
	file, name := os.Stdin, "standard input"
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, err
		}
		name = path
	}
	f, err := openDumpFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, bare(err))
	}
	return f, nil
}

// openDumpFile opens the dump that starts at the current offset of file. A file that can't be read at any offset, such
// as a pipe, is read into memory first.
func openDumpFile(file *os.File) (*stream.File, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	start, err := file.Seek(0, io.SeekCurrent)
	if err != nil || !info.Mode().IsRegular() {
		defer file.Close()
		return openReader(file, math.MaxInt64)
	}
	var magic [8]byte
	n, err := file.ReadAt(magic[:], start)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if isCompressed(magic[:n]) {
		defer file.Close()
		return openReader(file, math.MaxInt64)
	}
	return stream.OpenFile(&tail{io.NewSectionReader(file, start, info.Size()-start), file})
}

// tail is a file from an offset to its end.
type tail struct {
	*io.SectionReader
	file *os.File
}

// Close closes the file.
func (t *tail) Close() error { return t.file.Close() }

// Stat returns the file's information, with the size of the tail.
func (t *tail) Stat() (fs.FileInfo, error) {
	info, err := t.file.Stat()
	return tailInfo{info, t.Size()}, err
}

type tailInfo struct {
	fs.FileInfo
	size int64
}

// Size returns the size of the tail in bytes.
func (t tailInfo) Size() int64 { return t.size }

// isCompressed reports whether a file that starts with b is compressed.
func isCompressed(b []byte) bool {
	return bytes.HasPrefix(b, []byte("\x1f\x8b")) || compression(b) != nil
}

// compression returns an error if a file that begins with b is compressed in a format that is not supported.
func compression(b []byte) error {
	for _, c := range compressions {
		if bytes.HasPrefix(b, []byte(c.magic)) {
			return fmt.Errorf("compressed with %s, which is not supported: decompress it with '%s' first", c.name, c.tool)
		}
	}
	return nil
}

// openReader reads the dump in r, at most limit bytes of it, into memory.
func openReader(r io.Reader, limit int64) (*stream.File, error) {
	var held chunks
	if err := held.read(r, 1, limit); err != nil {
		return nil, err
	}
	start := held.start()
	if err := compression(start); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(start, []byte("\x1f\x8b")) {
		z, err := gzip.NewReader(io.MultiReader(io.NewSectionReader(&held, 0, held.size), r))
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		var unpacked chunks
		if err := unpacked.read(z, 0, maxUnpacked); err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return stream.Open(&unpacked, unpacked.size)
	}
	if err := held.read(r, 0, limit); err != nil {
		return nil, err
	}
	return stream.Open(&held, held.size)
}

// chunkSize is the size of the pieces of chunks in bytes.
const chunkSize = 1 << 20

// chunks stores bytes in pieces of chunkSize; the last may be shorter. Unlike a slice that grows, it never has two
// copies of anything in memory.
type chunks struct {
	list [][]byte
	size int64
}

var errTooLarge = errors.New("too large to read from a pipe or to decompress: use an uncompressed file")

// read appends the bytes of r: at most limit bytes in all, and at most most pieces if most is not 0.
func (c *chunks) read(r io.Reader, most int, limit int64) error {
	for n := 0; most == 0 || n < most; n++ {
		b := make([]byte, chunkSize)
		k, err := fill(r, b)
		if k > 0 {
			c.list = append(c.list, b[:k])
			c.size += int64(k)
		}
		switch {
		case c.size > limit:
			return errTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return bare(err)
		}
	}
	return nil
}

// fill reads into b until it is full or r returns an error. Unlike io.ReadFull it distinguishes the end of r
// from io.ErrUnexpectedEOF, which gzip returns for a file that is cut short.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = r.Read(b[n:])
		n += k
	}
	return n, err
}

// start returns the first piece.
func (c *chunks) start() []byte {
	if len(c.list) == 0 {
		return nil
	}
	return c.list[0]
}

// ReadAt implements io.ReaderAt.
func (c *chunks) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	done := 0
	for done < len(p) && off < c.size {
		n := copy(p[done:], c.list[off/chunkSize][off%chunkSize:])
		done += n
		off += int64(n)
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}
