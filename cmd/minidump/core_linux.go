package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/internal/newfile"
)

// logTo makes the file standard error, so the Go runtime also prints to it. It does not follow another user's link,
// as this program may run as root in a folder that others can write to.
func logTo(path string) error {
	place, err := newfile.Find(path, true)
	if err != nil {
		return err
	}
	defer place.Close()
	fd, err := unix.Openat(place.Fd(), place.Name, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	if err := unix.Dup3(fd, 2, 0); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// toKernelLog writes an error to the kernel's log if the kernel started this program, as nobody reads standard error
// then.
func toKernelLog(err error) {
	if err == nil || err == errHelp {
		return
	}
	null, statErr := os.Stat(os.DevNull)
	info, statErr2 := os.Stderr.Stat()
	if statErr == nil && statErr2 == nil && !os.SameFile(null, info) {
		return
	}
	f, openErr := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if openErr != nil {
		return
	}
	// <11> is facility user, priority error.
	fmt.Fprintf(f, "<11>minidump[%d]: %s\n", os.Getpid(), oneLine(strings.TrimPrefix(err.Error(), "minidump: ")))
	f.Close()
}

// endInTime ends this program if it takes too long, because the kernel and the parent of the crashed process wait for
// it. The temporary file is removed (output.go). The returned function stops the timer.
func endInTime(mode minidump.Mode) func() {
	most := time.Minute
	if mode == minidump.ModeFull {
		most = 30 * time.Minute
	}
	timer := time.AfterFunc(most, func() {
		err := fmt.Errorf("not finished within %v", most)
		fmt.Fprintf(os.Stderr, "minidump: %v\n", err)
		toKernelLog(err)
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
	})
	return func() { timer.Stop() }
}
