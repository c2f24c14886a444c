package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/windows"
)

// Client is a connection to a Server, or to a server of minidumper, whose protocol it uses. Its methods may be called from
// any goroutine: they wait for each other.
type Client struct {
	mu   sync.Mutex
	conn *conn
}

// dialPatience is how long Dial waits for a pipe whose server is busy accepting other clients.
const dialPatience = 10 * time.Second

// Dial connects to the server at path, see Listen.
func Dial(path string) (*Client, error) {
	dial := dialUnix
	if isPipe(path) {
		dial = dialPipe
	}
	l, err := dial(path)
	if err != nil {
		return nil, fmt.Errorf("server: connect to %s: %w", path, err)
	}
	return &Client{conn: &conn{link: l}}, nil
}

func dialUnix(path string) (link, error) { return net.Dial("unix", path) }

func dialPipe(path string) (link, error) {
	wide, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	// The server can identify this client, but not impersonate it (fileapi.h).
	const identification = windows.SECURITY_SQOS_PRESENT | windows.SECURITY_IDENTIFICATION
	for end := time.Now().Add(dialPatience); ; {
		h, err := windows.CreateFile(wide, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
			windows.FILE_FLAG_OVERLAPPED|identification, 0)
		if err == nil {
			return os.NewFile(uintptr(h), path), nil
		}
		if !errors.Is(err, windows.ERROR_PIPE_BUSY) || time.Now().After(end) {
			return nil, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Ping waits for an answer of the server, at most 10 seconds.
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
	if err := c.write(appendMessage(nil, kindUser+kind, message), time.Time{}); err != nil {
		return fmt.Errorf("server: message: %w", err)
	}
	return nil
}

// RequestDump makes the server dump the calling process, and waits until that is done, or until ctx ends. crashContext is
// a DumpRequest of the Rust crate minidumper, see AppendDumpRequest; nil, which only this package's servers support: there
// was no crash. A nil error does not mean that a dump was written: the protocol does not report that.
func (c *Client) RequestDump(ctx context.Context, crashContext []byte) error {
	return c.call(ctx, kindCrash, crashContext, kindCrashAck)
}

// call sends a message and waits for its answer.
func (c *Client) call(ctx context.Context, kind uint32, body []byte, answer uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	end, _ := ctx.Deadline()
	if err := c.write(appendMessage(nil, kind, body), end); err != nil {
		return fmt.Errorf("server: request: %w", err)
	}
	_ = c.conn.SetReadDeadline(time.Time{})
	defer context.AfterFunc(ctx, c.conn.wake)()
	got, _, err := readMessage(c.conn, func() {})
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		c.conn.Close() // a late answer would be mistaken for that to the next call
		err = ctx.Err()
	}
	if err == nil && got != answer {
		err = fmt.Errorf("%w: kind %d, not %d", ErrProtocol, got, answer)
	}
	if err != nil {
		return fmt.Errorf("server: answer: %w", err)
	}
	return nil
}

func (c *Client) write(b []byte, end time.Time) error {
	_ = c.conn.SetWriteDeadline(end)
	_, err := c.conn.Write(b)
	return err
}
