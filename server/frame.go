package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// readMessage reads one message from a connection that is a byte stream, such as minidumper's on Windows: messages follow each
// other without a separator. It calls rest before it waits for the body. io.EOF means that the connection ended between two
// messages. The memory used for a body grows with the bytes received.
func readMessage(r io.Reader, rest func()) (kind uint32, body []byte, err error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	kind, size := binary.NativeEndian.Uint32(header[:]), binary.NativeEndian.Uint32(header[4:])
	if size > maxPacket-headerSize {
		return 0, nil, fmt.Errorf("%w: a message of %d bytes, at most %d are allowed", ErrProtocol, size, maxPacket-headerSize)
	}
	if size == 0 {
		return kind, nil, nil
	}
	rest()
	var b bytes.Buffer
	if n, err := io.CopyN(&b, r, int64(size)); err != nil {
		return 0, nil, fmt.Errorf("%w: only %d of %d bytes arrived: %w", ErrProtocol, n, size, err)
	}
	return kind, b.Bytes(), nil
}
