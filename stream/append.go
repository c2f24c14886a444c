package stream

import (
	"errors"
	"io"
	"math"

	"minidump/internal/errtext"
)

// ErrTooLarge is wrapped by the error of Append if a stream would lie beyond the offsets that the format has.
var ErrTooLarge = errors.New("the file has more than 4 GiB")

// Append adds a stream to a finished minidump, which rw has size bytes of. It writes the stream and a new directory at the end of
// the file, and at last the header's count and offset of the directory, by one write of eight bytes: until then, and if anything
// fails, the file is what it was, with bytes at its end that nothing refers to.
func Append(rw interface {
	io.ReaderAt
	io.WriterAt
}, size int64, t Type, data []byte) error {
	f, err := Open(rw, size)
	if err != nil {
		return err
	}
	at := (f.size + 7) &^ 7
	directory := at + (uint64(len(data))+7)&^7
	n := len(f.Directory) + 1
	if directory+uint64(n)*DirectorySize > math.MaxUint32 {
		return errtext.Wrap(ErrTooLarge, "append ", t)
	}
	b := make([]byte, directory-at+uint64(n)*DirectorySize)
	copy(b, data)
	entries := append(f.Directory, Directory{Type: t, Location: Location{DataSize: uint32(len(data)), RVA: uint32(at)}})
	for i := range entries {
		entries[i].Put(b[directory-at+uint64(i)*DirectorySize:], f.Order)
	}
	if _, err := rw.WriteAt(b, int64(at)); err != nil {
		return errtext.Wrap(err, "append ", t)
	}
	var head [HeaderSize]byte
	f.Header.NumberOfStreams, f.Header.StreamDirectoryRVA = uint32(n), uint32(directory)
	f.Header.Put(head[:], f.Order)
	if _, err := rw.WriteAt(head[8:16], 8); err != nil {
		return errtext.Wrap(err, "append ", t)
	}
	return nil
}
