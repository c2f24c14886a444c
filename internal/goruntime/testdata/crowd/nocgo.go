//go:build !cgo

package main

import "syscall"

// inC makes a system call that does not return, in a program without C.
func inC() {
	var p [2]int
	if err := syscall.Pipe(p[:]); err != nil {
		panic(err)
	}
	syscall.Read(p[0], make([]byte, 1))
}
