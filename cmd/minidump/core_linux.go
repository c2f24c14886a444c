package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minidump"
)

// logTo makes the file standard error: also what the Go runtime prints goes there.
func logTo(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0600)
	if err != nil {
		return err
	}
	if err := unix.Dup3(int(f.Fd()), 2, 0); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return f.Close()
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

// endInTime ends this program if it takes too long: the kernel waits, and so does whoever waits for the process that has
// crashed. A temporary file is removed (output.go). It returns what calls it off.
func endInTime(mode minidump.Mode) func() {
	most := time.Minute
	if mode == minidump.ModeFull {
		most = 30 * time.Minute
	}
	timer := time.AfterFunc(most, func() {
		err := fmt.Errorf("not done within %v: given up", most)
		fmt.Fprintf(os.Stderr, "minidump: %v\n", err)
		toKernelLog(err)
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
	})
	return func() { timer.Stop() }
}
