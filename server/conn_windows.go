package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// link is the transport of a connection: a named pipe or a Unix domain socket.
type link interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// conn is a connection. Only one goroutine receives from it.
type conn struct {
	link
	peer    Peer
	process windows.Handle // of the peer: while it is open, Windows does not reuse the process id
	dumps   int            // number of dumps on this connection
}

const (
	messagePatience = 10 * time.Second // for the rest of a message to arrive
	answerPatience  = time.Second      // for a client to make room for an answer, which has 8 bytes
)

// newConn identifies the process that has connected. pid is from Windows; the user is read from the process's token.
// newConn does not close l after an error.
func newConn(l link, pid uint32) (*conn, error) {
	c := &conn{link: l, peer: Peer{PID: int(pid)}}
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION|windows.SYNCHRONIZE, false, pid)
	if err != nil {
		return c, fmt.Errorf("open process %d: %w", pid, err)
	}
	c.process = h
	if c.peer.SID, err = userOf(h); err != nil {
		return c, fmt.Errorf("user of process %d: %w", pid, err)
	}
	return c, nil
}

// Close ends the connection.
func (c *conn) Close() error {
	err := c.link.Close()
	if c.process != 0 {
		windows.CloseHandle(c.process)
		c.process = 0
	}
	return err
}

// ended reports whether the process at the other end has ended.
func (c *conn) ended() bool {
	e, err := windows.WaitForSingleObject(c.process, 0)
	return err == nil && e == windows.WAIT_OBJECT_0
}

// wake ends a waiting receive, and all later ones.
func (c *conn) wake() { _ = c.SetReadDeadline(time.Unix(1, 0)) }

// receive waits for a message. io.EOF means that the client has disconnected.
func (s *Server) receive(c *conn) (kind uint32, body []byte, err error) {
	s.patience(c, time.Time{})
	kind, body, err = readMessage(c, func() { s.patience(c, time.Now().Add(messagePatience)) })
	switch {
	case errors.Is(err, windows.ERROR_BROKEN_PIPE), errors.Is(err, windows.WSAECONNRESET), errors.Is(err, os.ErrClosed):
		return 0, nil, io.EOF
	}
	return kind, body, err
}

// patience sets the deadline of a receive. During Shutdown the receive ends at once.
func (s *Server) patience(c *conn, until time.Time) {
	_ = c.SetReadDeadline(until)
	if s.isClosing() {
		c.wake()
	}
}

// send sends a message. It returns an error if the client does not read its answers.
func (c *conn) send(b []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(answerPatience))
	if _, err := c.Write(b); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}
