//go:build linux

// Command dumper dumps the process that the environment variable TARGET names to descriptor 3, and imports nothing that is not
// needed for it. Then it prints "ready PID" and waits until standard input is closed, so that its memory can be measured.
package main

import (
	"strconv"
	"syscall"

	"minidump"
)

type fd int

func (f fd) Write(p []byte) (int, error) { return syscall.Write(int(f), p) }

func main() {
	target, _ := syscall.Getenv("TARGET")
	pid, _ := strconv.Atoi(target)
	w, err := minidump.NewWriter(pid, minidump.Options{})
	if err == nil {
		_, err = w.Dump(fd(3))
	}
	if err != nil {
		syscall.Write(2, []byte(err.Error()+"\n"))
		syscall.Exit(1)
	}
	syscall.Write(1, []byte("ready "+strconv.Itoa(syscall.Getpid())+"\n"))
	syscall.Read(0, make([]byte, 1))
}
