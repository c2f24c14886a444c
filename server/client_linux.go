package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/unixsocket"
)

// Client is a connection to a Server, or to a server of the crate minidumper, whose protocol it uses. Its methods may be
// called from any goroutine: they wait for each other.
type Client struct {
	mu     sync.Mutex
	conn   *conn
	server int // pid of its process
}

// Dial connects to the server at path, see Listen.
func Dial(path string) (*Client, error) {
	fd, err := unixsocket.Connect(path, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		return nil, fmt.Errorf("server: connect to %s: %w", path, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("server: connect to %s: %w", path, err)
	}
	c := &conn{file: os.NewFile(uintptr(fd), path)}
	if err := c.identify(); err != nil {
		c.file.Close()
		return nil, fmt.Errorf("server: identify the server at %s: %w", path, err)
	}
	return &Client{conn: c, server: c.peer.PID}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.file.Close() }

// Ping waits until the server answers, at most 10 seconds.
func (c *Client) Ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return c.call(ctx, kindPing, nil, kindPong)
}

// Send sends a user message, for Options.OnMessage. The server does not answer it. A message should have at most 64 KiB,
// and kind must be less than 1<<32-4.
func (c *Client) Send(kind uint32, message []byte) error {
	if kind+kindUser < kind {
		return fmt.Errorf("server: message: %w: kind %d", ErrProtocol, kind)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.send(appendMessage(nil, kindUser+kind, message), nil); err != nil {
		return fmt.Errorf("server: message: %w", err)
	}
	return nil
}

// RequestDump makes the server dump the calling process, and waits until that is done, or until ctx ends. crashContext is
// a crash_context::CrashContext of the Rust crate crash-context; nil, which only this package's servers support: there
// was no crash. A nil error does not mean that a dump was written: the protocol does not report that.
func (c *Client) RequestDump(ctx context.Context, crashContext []byte) error {
	// Yama may let only a parent trace a process. Elsewhere the call fails, which does not matter.
	_ = unix.Prctl(unix.PR_SET_PTRACER, uintptr(c.server), 0, 0, 0)
	defer func() { _ = unix.Prctl(unix.PR_SET_PTRACER, 0, 0, 0, 0) }()
	return c.call(ctx, kindCrash, crashContext, kindCrashAck)
}

// call sends a message and waits for its answer.
func (c *Client) call(ctx context.Context, kind uint32, body []byte, answer uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.send(appendMessage(nil, kind, body), nil); err != nil {
		return fmt.Errorf("server: request: %w", err)
	}
	_ = c.conn.file.SetReadDeadline(time.Time{})
	stop := context.AfterFunc(ctx, c.conn.wake)
	defer stop()
	b := make([]byte, 64)
	n, err := c.conn.file.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		c.conn.file.Close() // a late answer would be taken for the answer to the next call
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("server: answer: %w", err)
	}
	if got, _, err := parseMessage(b[:n]); err != nil || got != answer {
		return fmt.Errorf("server: answer: %w: kind %d, not %d", errors.Join(ErrProtocol, err), got, answer)
	}
	return nil
}
