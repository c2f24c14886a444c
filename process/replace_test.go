//go:build !unix

package process

// replace does nothing: this system has no execve.
func replace(string) {}
