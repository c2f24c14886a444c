//go:build !unix

package main

// standardOutputClosed reports false: outside of Unix a write to a closed standard output fails by itself.
func standardOutputClosed() bool { return false }

// nonBlocking is no flag that this system has.
const nonBlocking = 0
