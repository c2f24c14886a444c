package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// readMessage reads one message from a connection that is a stream of bytes, as those of minidumper are on Windows: the next
// message follows without a mark. rest is called before the body is waited for. io.EOF means that the connection ended between
// two messages. A body takes no more memory than what of it has come.
func readMessage(r io.Reader, rest func()) (kind uint32, body []byte, err error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	kind, size := binary.NativeEndian.Uint32(header[:]), binary.NativeEndian.Uint32(header[4:])
	if size > maxPacket-headerSize {
		return 0, nil, fmt.Errorf("%w: a message of %d bytes, at most %d are taken", ErrProtocol, size, maxPacket-headerSize)
	}
	if size == 0 {
		return kind, nil, nil
	}
	rest()
	var b bytes.Buffer
	if n, err := io.CopyN(&b, r, int64(size)); err != nil {
		return 0, nil, fmt.Errorf("%w: %d of %d bytes came: %w", ErrProtocol, n, size, err)
	}
	return kind, b.Bytes(), nil
}
