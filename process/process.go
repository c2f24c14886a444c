package process

import (
	"bytes"

	"minidump/internal/errtext"
)

// Process is an open process.
type Process struct {
	pid int
	sys system // nil: closed
}

// system is an operating system's access to a process.
type system interface {
	// read reads memory at addr into b until the first byte that can't be read. The error says why that is.
	read(addr uint64, b []byte) (int, error)
	// modules lists the modules, the program first.
	modules(p *Process) ([]Module, error)
	// open opens the file of an ELF module, from the first byte of the image on.
	open(m *Module) (file, error)
	close() error
}

// Open opens the process pid for reading. On Linux pid may be the id of any of its threads. The process may be the calling one.
// The error wraps ErrNoProcess, ErrPermission or ErrUnsupported, and the system's error.
func Open(pid int) (*Process, error) {
	var s system
	err := ErrNoProcess // elsewhere 0 and negative numbers are process groups
	if pid > 0 {
		s, err = openSystem(pid)
	}
	if err != nil {
		return nil, errtext.Wrap(err, "process: open pid ", pid)
	}
	return &Process{pid, s}, nil
}

// PID returns the number that Open was called with.
func (p *Process) PID() int { return p.pid }

// Close releases the resources of the Process. A second call does nothing.
func (p *Process) Close() error {
	if p.sys == nil {
		return nil
	}
	err := p.sys.close()
	p.sys = nil
	if err != nil {
		return errtext.Wrap(err, "process: close pid ", p.pid)
	}
	return nil
}

// Read reads memory from the address addr on into b and returns how many bytes it has read: all of b, or those before the first
// that can't be read. In the latter case the error is ErrUnreadable, or ErrNoProcess or ErrPermission if the process has ended or
// has executed a program that may not be read.
func (p *Process) Read(addr uint64, b []byte) (int, error) {
	n, err := p.read(addr, b)
	if err != nil {
		return n, errtext.Wrap(err, "process: read ", len(b), " bytes at ", errtext.Hex(addr), " of pid ", p.pid)
	}
	return n, nil
}

// read is Read, except that its errors don't say what was attempted.
func (p *Process) read(addr uint64, b []byte) (int, error) {
	if p.sys == nil {
		return 0, ErrClosed
	}
	if len(b) == 0 {
		return 0, nil
	}
	n, err := p.sys.read(addr, b)
	n = max(0, min(n, len(b)))
	if n == len(b) {
		return n, nil
	}
	if err == nil {
		err = ErrUnreadable
	}
	return n, err
}

// piece is the maximum number of bytes that String reads at once. It divides every system's page size, because a text may end
// right before unreadable memory.
const piece = 4096

// String reads the text that starts at the address addr and ends before the first NUL. If the text is longer than most bytes, the
// error is ErrTooLong. With an error String returns what it has read of the text.
func (p *Process) String(addr uint64, most int) (string, error) {
	var text []byte
	var buf [piece]byte
	for at := addr; ; {
		b := buf[:piece-at%piece]
		n, err := p.read(at, b)
		end := bytes.IndexByte(b[:n], 0)
		if end >= 0 {
			b = b[:end]
		} else {
			b = b[:n]
		}
		if room := most - len(text); len(b) > room {
			end, err = -1, ErrTooLong
			b = b[:max(room, 0)]
		}
		text = append(text, b...)
		if end >= 0 {
			return string(text), nil
		}
		if at += uint64(n); err == nil && at == 0 {
			err = ErrUnreadable // past the highest address
		}
		if err != nil {
			return string(text), errtext.Wrap(err, "process: read text at ", errtext.Hex(addr), " of pid ", p.pid)
		}
	}
}
