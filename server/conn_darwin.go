package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"minidump/mach"
)

var order = binary.LittleEndian // of both architectures

// conn is a connection: a socket of the type SOCK_STREAM, as macOS has no SOCK_SEQPACKET in the Unix domain. Only one goroutine
// receives from it.
type conn struct {
	*net.UnixConn
	peer  Peer
	token mach.AuditToken // of the peer: its last number changes when the process calls execve
	dumps int             // dumps made on this connection; guarded by the server's mutex
}

const (
	messagePatience = 10 * time.Second // until the rest of a message must have arrived
	answerPatience  = time.Second      // until a client must have room for an answer
)

// newConn returns a connection with the peer as the kernel reports it. It does not close f after an error.
func newConn(f *net.UnixConn) (*conn, error) {
	c := &conn{UnixConn: f}
	raw, err := f.SyscallConn()
	if err != nil {
		return c, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { inner = c.token.ReadPeer(int(fd)) })
	if err = errors.Join(err, inner); err != nil {
		return c, fmt.Errorf("identify the client: %w", err)
	}
	c.peer = peerOf(&c.token)
	return c, nil
}

// peerOf returns the peer of an audit token, with the effective user and group (bsd/bsm/audit.h, and audit_token_to_euid of
// libbsm).
func peerOf(t *mach.AuditToken) Peer { return Peer{PID: t.PID(), UID: t[1], GID: t[2]} }

// wake ends a waiting receive and all later ones.
func (c *conn) wake() { _ = c.SetReadDeadline(time.Unix(1, 0)) }

// receive waits for a message. io.EOF means that the client has disconnected.
func (s *Server) receive(c *conn) (kind uint32, body []byte, err error) {
	s.patience(c, time.Time{})
	kind, body, err = readMessage(c, func() { s.patience(c, time.Now().Add(messagePatience)) })
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) {
		return 0, nil, io.EOF
	}
	return kind, body, err
}

// patience sets the deadline of a receive, unless Shutdown has already ended all receives.
func (s *Server) patience(c *conn, until time.Time) {
	_ = c.SetReadDeadline(until)
	if s.isClosing() {
		c.wake()
	}
}

// send sends a message. It is an error if the client does not read its answers.
func (c *conn) send(b []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(answerPatience))
	if _, err := c.Write(b); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// removeStale removes the socket at path if the server that made it is gone.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSocket == 0:
		return fmt.Errorf("%s already exists and is not a socket", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return syscall.EADDRINUSE
	}
	return os.Remove(path)
}
