//go:build !ios

package crash

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// The monitor's descriptors besides the standard ones.
const (
	monitorReport = 3 + iota
	monitorNotes
)

// newNotes creates a file without a name.
func newNotes() (*os.File, error) {
	f, err := os.CreateTemp("", "crash-annotations-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, f.Truncate(noteSize)
}

// linkAt is the offset in the notes, before the first slot, of the descriptor to which the runtime writes its
// reports, as text.
const linkAt = 2048

// start creates the socket, starts the monitor, sends it the task port and sets one end of the socket as the Go runtime's crash
// output. It returns the memory of the notes.
func start() (_ area, err error) {
	notes, err := newNotes()
	if err != nil {
		return nil, fmt.Errorf("create a file: %w", err)
	}
	defer func() {
		if err != nil {
			notes.Close()
		}
	}()
	w, r, err := newSocket()
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	defer w.Close()
	defer r.Close()
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(program, os.Args[1:]...)
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d", variable, os.Getpid()), "GOTRACEBACK=single")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.ExtraFiles = []*os.File{r, notes}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the monitor must not get the terminal's signals
	if err := launch(c, w, notes); err != nil {
		if c.Process != nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		return nil, err
	}
	return notes, c.Process.Release()
}

// launch starts the monitor and directs the runtime's reports and the exceptions of this task to it.
func launch(c *exec.Cmd, w, notes *os.File) (err error) {
	var o handover
	defer func() { o.close(err != nil) }()
	if err := o.open(); err != nil {
		return err
	}
	err = c.Start()
	o.hide()
	if err != nil {
		return err
	}
	if err := o.complete(c.Process.Pid); err != nil {
		return err
	}
	if err := debug.SetCrashOutput(w, debug.CrashOptions{}); err != nil {
		return err
	}
	_, err = notes.WriteAt(fmt.Appendf(nil, "%d ", duplicate(int(w.Fd()))), linkAt)
	return err
}

// sendBuffer is the size of the socket's buffer, in bytes. It has room for a first write of the runtime, or its beginning. A
// second write blocks until the first has been read: XNU lets a buffer use eight times its size in memory (sb_efficiency in
// bsd/kern/uipc_socket2.c), which is less than the 256 bytes of the mbuf that the first write uses.
const sendBuffer = 16

// newSocket returns a socket pair whose first end accepts one write and blocks further ones.
func newSocket() (w, r *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	w, r = os.NewFile(uintptr(fds[0]), "crash report"), os.NewFile(uintptr(fds[1]), "crash report")
	if err = trySocket(fds[0], fds[1]); err != nil {
		w.Close()
		r.Close()
		return nil, nil, err
	}
	return w, r, nil
}

// trySocket configures the socket, and checks that a second write to w would block.
func trySocket(w, r int) error {
	if err := unix.SetsockoptInt(w, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer); err != nil {
		return err
	}
	_ = unix.SetsockoptInt(w, unix.SOL_SOCKET, unix.SO_NOSIGPIPE, 1) // the monitor may have ended
	text := []byte("panic: ")
	if err := unix.Sendto(w, text, unix.MSG_DONTWAIT, nil); err != nil {
		return err
	}
	if err := unix.Sendto(w, text, unix.MSG_DONTWAIT, nil); err != unix.EAGAIN {
		return errors.New("a second write does not block")
	}
	if n, _, err := unix.Recvfrom(r, make([]byte, sendBuffer), 0); err != nil || n != len(text) {
		return fmt.Errorf("read: %d bytes, %w", n, err)
	}
	return nil
}
