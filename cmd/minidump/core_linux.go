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

// logTo makes the file standard error: also what the Go runtime prints goes there. It follows no link of another
// user's, as this program may be root's and the folder may not be.
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

// toKernelLog puts an error into the kernel's log where the kernel has started this program, with nobody to read its
// standard error.
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
// it. The temporary file is removed (output.go). The function that it returns stops the timer.
func endInTime(mode minidump.Mode) func() {
	most := time.Minute
	if mode == minidump.ModeFull {
		most = 30 * time.Minute
	}
	timer := time.AfterFunc(most, func() {
		err := fmt.Errorf("not done within %v", most)
		fmt.Fprintf(os.Stderr, "minidump: %v\n", err)
		toKernelLog(err)
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
	})
	return func() { timer.Stop() }
}
