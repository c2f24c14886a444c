package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// conn is a connection, or one end of a socket pair, of type SOCK_SEQPACKET. Only one goroutine receives from it.
type conn struct {
	file *os.File // non-blocking: the runtime waits for it
	peer Peer     // who has connected; zero for a socket pair, where each packet has its own sender

	dumps map[int]int // pid → dumps made on this connection
}

// Close closes the connection.
func (c *conn) Close() error { return c.file.Close() }

// closer closes the descriptors that clients pass. close(2) of a file on a client's own file system, or of a socket
// with SO_LINGER, can block a thread for as long as the client likes.
type closer struct {
	stuck atomic.Int32 // goroutines that close such descriptors
}

// clientFiles bounds the descriptors of clients for all servers, because descriptors belong to the process.
var clientFiles closer

// maxStuck is roughly how many descriptors can be stuck in close(2) before the server accepts no more from clients.
const maxStuck = 64

// takes reports whether clients may pass descriptors.
func (c *closer) takes() bool { return c.stuck.Load() < maxStuck }

// close closes fds: pipes, which clients should pass, immediately, and others on a goroutine that nobody waits for.
func (c *closer) close(fds []int) {
	var others []int
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); err == nil {
			unix.Close(fd)
		} else {
			others = append(others, fd)
		}
	}
	if len(others) == 0 {
		return
	}
	c.stuck.Add(1)
	go func() {
		defer c.stuck.Add(-1)
		for _, fd := range others {
			unix.Close(fd)
		}
	}()
}

// newConn returns a connection on f. It makes the kernel add the sender to each packet.
func newConn(f *os.File) (*conn, error) {
	c := &conn{file: f, dumps: map[int]int{}}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { inner = passCredentials(int(fd)) })
	return c, errors.Join(err, inner)
}

// passCredentials makes the kernel add to each packet the credentials and, from Linux 6.5 on, a pidfd of its sender. A
// socket that listens passes the setting on to its connections, so that it also applies to packets sent before
// accept(2).
func passCredentials(fd int) error {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err == nil && kind != unix.SOCK_SEQPACKET {
		err = unix.EPROTOTYPE
	}
	if err != nil {
		return fmt.Errorf("a socket of type SOCK_SEQPACKET: %w", err)
	}
	// A sandbox may forbid setting it; the client may already have set it.
	if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED); err != nil || on == 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
			return fmt.Errorf("SO_PASSCRED: %w", err)
		}
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSPIDFD, 1) // older kernels don't support it
	return nil
}

// packet is one packet from a client. Its owner closes it.
type packet struct {
	data   []byte
	sender Peer
	known  bool  // sender is set
	pidfd  int   // of the sender; -1: the kernel has none
	fds    []int // descriptors that the client passed
}

// close closes the descriptors, which is also the answer that a Breakpad client waits for. It does not block.
func (p *packet) close() {
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
		p.pidfd = -1
	}
	clientFiles.close(p.fds)
	p.fds = nil
}

// receive waits for a packet, until the read deadline of the file. io.EOF means that the other end is closed.
func (c *conn) receive() (p *packet, err error) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) (done bool) {
		p, failed = receivePacket(int(fd))
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	switch {
	case err != nil:
		return nil, err
	case failed == unix.ECONNRESET: // the peer closed before it had read all answers
		return nil, io.EOF
	}
	return p, failed
}

// receivePacket reads the next packet from a socket. It reads the length first, so that no memory is allocated for a packet
// that is too long. After an error that wraps ErrProtocol the packet has been removed from the socket.
func receivePacket(fd int) (*packet, error) {
	size, _, _, _, err := unix.Recvmsg(fd, nil, nil, unix.MSG_PEEK|unix.MSG_TRUNC)
	if err != nil {
		return nil, err
	}
	// The kernel passes as many descriptors as there is room for, here 8 or none, and drops the others. Without room for
	// descriptors there is no room for the pidfd either.
	room := clientFiles.takes()
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+2*unix.CmsgSpace(4))
	if !room {
		control = control[:unix.CmsgSpace(unix.SizeofUcred)]
	}
	data := make([]byte, min(size, maxPacket))
	n, controls, flags, _, err := unix.Recvmsg(fd, data, control, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	p := &packet{data: data[:min(n, len(data))], pidfd: -1}
	err = p.control(control[:controls])
	switch {
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrProtocol, err)
	case n == 0 && !p.known: // an empty packet has a sender
		err = io.EOF
	case size > maxPacket:
		err = fmt.Errorf("%w: a packet of %d bytes, at most %d are allowed", ErrProtocol, size, maxPacket)
	case room && flags&unix.MSG_CTRUNC != 0 || len(p.fds) > 1:
		err = fmt.Errorf("%w: too much data in one packet", ErrProtocol)
	case !p.known:
		err = fmt.Errorf("%w: a packet without a sender", ErrProtocol)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// control parses the control messages of a packet. After an error p still owns all the descriptors.
func (p *packet) control(b []byte) error {
	messages, err := unix.ParseSocketControlMessage(b)
	for i := range messages {
		m := &messages[i]
		if m.Header.Level != unix.SOL_SOCKET {
			continue
		}
		switch m.Header.Type {
		case unix.SCM_CREDENTIALS:
			cred, e := unix.ParseUnixCredentials(m)
			if e != nil {
				err = errors.Join(err, e)
				continue
			}
			p.sender, p.known = Peer{PID: int(cred.Pid), UID: cred.Uid, GID: cred.Gid}, true
		case unix.SCM_RIGHTS, unix.SCM_PIDFD:
			for rest := m.Data; len(rest) >= 4; rest = rest[4:] {
				fd := int(int32(order.Uint32(rest)))
				switch {
				case fd < 0: // the kernel had no pidfd to pass
				case m.Header.Type == unix.SCM_RIGHTS:
					p.fds = append(p.fds, fd)
				default:
					p.pidfd = fd
				}
			}
		}
	}
	return err
}

// send sends one packet, with control messages or nil. It never waits: it is an error if the client does not read its
// answers.
func (c *conn) send(b, control []byte) error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for {
			failed = unix.Sendmsg(int(fd), b, control, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			if failed != unix.EINTR {
				return
			}
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}
