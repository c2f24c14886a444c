package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"minidump/mach"
)

var ownPID = os.Getpid()

// Client is a connection to a Server, or to a server of the crate minidumper, whose protocol it uses. Its methods may be
// called from any goroutine: they wait for each other.
type Client struct {
	mu      sync.Mutex
	conn    *conn
	service mach.Port // of the server, for requests
}

// helloPatience is how long Dial waits for the server's answer.
const helloPatience = 10 * time.Second

// Dial connects to the server at path, see Listen.
func Dial(path string) (*Client, error) {
	c, err := dial(path)
	if err != nil {
		return nil, fmt.Errorf("server: connect to %s: %w", path, err)
	}
	return c, nil
}

func dial(path string) (*Client, error) {
	socket, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	c := &Client{conn: &conn{UnixConn: socket}}
	var kr mach.KernReturn
	if c.service, kr = mach.BootstrapLookUp(path); kr != mach.KERN_SUCCESS {
		socket.Close()
		return nil, fmt.Errorf("bootstrap_look_up: %w", kr)
	}
	_ = socket.SetDeadline(time.Now().Add(helloPatience))
	_, err = socket.Write(appendMessage(nil, kindCrash, order.AppendUint32(nil, uint32(ownPID))))
	if err == nil {
		_, err = io.ReadFull(socket, make([]byte, 1))
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("first message: %w", err)
	}
	return c, nil
}

// Close ends the connection.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.close()
}

func (c *Client) close() error {
	if c.service.Valid() {
		mach.PortDeallocate(c.service)
		c.service = 0
	}
	return c.conn.Close()
}

// Ping waits until the server answers, at most 10 seconds.
func (c *Client) Ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.write(ctx, appendMessage(nil, kindPing, nil)); err != nil {
		return fmt.Errorf("server: request: %w", err)
	}
	_ = c.conn.SetReadDeadline(time.Time{})
	defer context.AfterFunc(ctx, c.conn.wake)()
	got, _, err := readMessage(c.conn, func() {})
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		c.close() // a late answer would be taken for the answer to the next call
		err = ctx.Err()
	}
	if err == nil && got != kindPong {
		err = fmt.Errorf("%w: kind %d, not %d", ErrProtocol, got, kindPong)
	}
	if err != nil {
		return fmt.Errorf("server: answer: %w", err)
	}
	return nil
}

// Send sends a user message, for Options.OnMessage. The server does not answer it. A message should have at most 64 KiB,
// and kind must be less than 1<<32-4.
func (c *Client) Send(kind uint32, message []byte) error {
	if kind+kindUser < kind {
		return fmt.Errorf("server: message: %w: kind %d", ErrProtocol, kind)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.write(context.Background(), appendMessage(nil, kindUser+kind, message)); err != nil {
		return fmt.Errorf("server: message: %w", err)
	}
	return nil
}

func (c *Client) write(ctx context.Context, b []byte) error {
	end, _ := ctx.Deadline()
	_ = c.conn.SetWriteDeadline(end)
	_, err := c.conn.Write(b)
	return err
}

// RequestDump makes the server dump the calling process, and waits until that is done, or until ctx ends. crashContext is
// made by AppendDumpRequest; nil: there was no crash. A minidumper server does not report a dump that it could not write.
func (c *Client) RequestDump(ctx context.Context, crashContext []byte) error {
	r := request{Task: mach.TaskSelf()}
	if crashContext != nil {
		if err := r.parseDumpRequest(crashContext); err != nil {
			return fmt.Errorf("server: request: %w", err)
		}
	}
	self := mach.ThreadSelf()
	defer mach.PortDeallocate(self)
	if r.Handler = self; !r.Thread.Valid() {
		r.Thread = self
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.service.Valid() {
		return fmt.Errorf("server: request: %w", net.ErrClosed)
	}
	written, err := c.call(ctx, &r)
	if err == nil && !written {
		err = errors.New("no dump was written")
	}
	if err != nil {
		return fmt.Errorf("server: request: %w", err)
	}
	return nil
}

// call sends a request and waits for its answer.
func (c *Client) call(ctx context.Context, r *request) (written bool, err error) {
	port, kr := mach.PortAllocate(mach.MACH_PORT_RIGHT_RECEIVE)
	if kr != mach.KERN_SUCCESS {
		return false, fmt.Errorf("mach_port_allocate: %w", kr)
	}
	defer mach.PortModRefs(port, mach.MACH_PORT_RIGHT_RECEIVE, -1)
	if kr := mach.PortInsertRight(port, port, mach.MACH_MSG_TYPE_MAKE_SEND); kr != mach.KERN_SUCCESS {
		return false, fmt.Errorf("mach_port_insert_right: %w", kr)
	}
	defer mach.PortDeallocate(port)
	r.Answer = port
	var m [requestSize]byte
	r.put(&m, c.service)
	if kr := mach.Send(m[:], uint32(helloPatience.Milliseconds())); kr != mach.KERN_SUCCESS {
		return false, fmt.Errorf("send: %w", kr)
	}
	const tick = 50 // ms, between checks of ctx
	var answer [answerSize + mach.MaxTrailerSize]byte
	for ctx.Err() == nil {
		switch kr := mach.Receive(port, answer[:], 0, tick); kr {
		case mach.KERN_SUCCESS:
			if h, ok := mach.GetHeader(answer[:]); !ok || h.Complex() || h.Size != answerSize {
				mach.Destroy(answer[:])
				return false, ErrProtocol
			}
			return order.Uint32(answer[mach.HeaderSize:]) != 0, nil
		case mach.MACH_RCV_TIMED_OUT, mach.MACH_RCV_INTERRUPTED:
		default:
			return false, fmt.Errorf("answer: %w", kr)
		}
	}
	return false, ctx.Err()
}

// AppendDumpRequest appends to b what [Client.RequestDump] sends about a Mach exception: the thread that raised it, to
// which the caller must keep a right until then, the kind, and one or two codes.
func AppendDumpRequest(b []byte, thread mach.Port, kind mach.ExceptionType, codes ...uint64) []byte {
	b = order.AppendUint32(b, uint32(thread))
	b = order.AppendUint32(b, uint32(kind))
	for _, c := range codes[:min(len(codes), 2)] {
		b = order.AppendUint64(b, c)
	}
	return b
}

// parseDumpRequest parses what AppendDumpRequest has appended.
func (r *request) parseDumpRequest(b []byte) error {
	if len(b) != 16 && len(b) != 24 {
		return fmt.Errorf("%w: a crash of %d bytes", ErrProtocol, len(b))
	}
	r.Crashed, r.Thread, r.Exception = true, mach.Port(order.Uint32(b)), mach.ExceptionType(order.Uint32(b[4:]))
	for b = b[8:]; len(b) > 0; b = b[8:] {
		r.Codes = append(r.Codes, order.Uint64(b))
	}
	return nil
}
