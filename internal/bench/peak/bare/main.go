//go:build linux

// Command bare does nothing: its memory is what the Go runtime needs. It prints "ready PID" and waits until standard input is closed.
package main

import (
	"strconv"
	"syscall"
)

func main() {
	syscall.Write(1, []byte("ready "+strconv.Itoa(syscall.Getpid())+"\n"))
	syscall.Read(0, make([]byte, 1))
}
