//go:build !unix

package main

// standardOutputClosed returns false: on systems other than Unix a write to a closed standard output fails.
func standardOutputClosed() bool { return false }

// nonBlocking is 0: this system has no such flag.
const nonBlocking = 0
