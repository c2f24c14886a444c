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

func newNotes() (*os.File, error) {
	fd, err := unix.MemfdCreate("crash annotations", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "crash annotations")
	if err := f.Truncate(holdEnd); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// start creates the socket, starts the monitor and sets one end of the socket as the Go runtime's crash output. It
// returns the memory of the notes.
func start() (_ area, err error) {
	notes, err := newNotes()
	if err != nil {
		return nil, fmt.Errorf("create a file in memory: %w", err)
	}
	defer func() {
		if err != nil {
			notes.Close()
		}
	}()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	w, r := os.NewFile(uintptr(fds[0]), "crash report"), os.NewFile(uintptr(fds[1]), "crash report")
	defer w.Close()
	defer r.Close()
	padding, err := fill(fds[0], fds[1])
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fds[0], &st); err != nil {
		return nil, err
	}
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %d", variable, os.Getpid(), st.Ino, padding), "GOTRACEBACK=single")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.ExtraFiles = []*os.File{r, notes}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the monitor must not get the terminal's signals
	if err := c.Start(); err != nil {
		return nil, err
	}
	if b, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && len(b) > 0 && b[0] == '1' {
		_ = unix.Prctl(unix.PR_SET_PTRACER, uintptr(c.Process.Pid), 0, 0, 0)
	}
	if err := debug.SetCrashOutput(w, debug.CrashOptions{}); err != nil {
		_ = c.Process.Kill()
		_ = c.Wait()
		return nil, err
	}
	hold(notes)
	return notes, c.Process.Release()
}

// fill fills the socket with padding so that exactly one more write to w succeeds without blocking, and returns the
// number of padding bytes. The kernel counts the buffers that it allocates for each write, not the bytes.
func fill(w, r int) (padding int, err error) {
	if err := unix.SetsockoptInt(w, unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil { // the kernel's minimum
		return 0, err
	}
	const most = 1 << 16
	pad := []byte{0}
	for padding < most {
		err := unix.Sendto(w, pad, unix.MSG_DONTWAIT, nil)
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			return 0, err
		}
		padding++
	}
	if padding < 2 || padding == most {
		return 0, errors.New("the socket can't be filled")
	}
	if _, _, err := unix.Recvfrom(r, pad, 0); err != nil {
		return 0, err
	}
	return padding - 1, nil
}
