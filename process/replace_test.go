//go:build !unix

package process

// replace has this process execute a program, where that exists.
func replace(string) {}
