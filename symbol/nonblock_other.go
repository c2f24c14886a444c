//go:build !unix

package symbol

// nonblock is 0: on these systems a pipe has no path in the file system.
const nonblock = 0
