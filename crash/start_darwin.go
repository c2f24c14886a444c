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

// newNotes makes a file that has no name.
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

// linkAt is where the notes say which descriptor the runtime writes its reports to, as text: before the first slot.
const linkAt = 2048

// start makes the socket, starts the monitor, gives it the task and passes one end of the socket to the Go runtime. It returns the
// memory of the notes.
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
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the terminal's signals are not for it
	if err := launch(c, w, notes); err != nil {
		if c.Process != nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		return nil, err
	}
	return notes, c.Process.Release()
}

// launch starts the monitor and links the runtime's reports and the exceptions of this task with it.
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

// sendBuffer is the size of the socket's buffer, in bytes. It has room for a first write of the runtime, or its beginning. The
// second waits until the first has been read: XNU allows a buffer eight times its size in memory (sb_efficiency in
// bsd/kern/uipc_socket2.c), which is less than the 256 bytes of the mbuf that the first took.
const sendBuffer = 16

// newSocket makes the socket whose first end takes one write and lets others wait.
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

// trySocket sets the socket up, and makes sure that a second write to w would wait.
func trySocket(w, r int) error {
	if err := unix.SetsockoptInt(w, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer); err != nil {
		return err
	}
	_ = unix.SetsockoptInt(w, unix.SOL_SOCKET, unix.SO_NOSIGPIPE, 1) // the monitor may be gone
	text := []byte("panic: ")
	if err := unix.Sendto(w, text, unix.MSG_DONTWAIT, nil); err != nil {
		return err
	}
	if err := unix.Sendto(w, text, unix.MSG_DONTWAIT, nil); err != unix.EAGAIN {
		return errors.New("it takes a second write")
	}
	if n, _, err := unix.Recvfrom(r, make([]byte, sendBuffer), 0); err != nil || n != len(text) {
		return fmt.Errorf("read: %d bytes, %w", n, err)
	}
	return nil
}
