//go:build !unix

package symbol

// nonblock is 0: a pipe of this system has no path among those of files.
const nonblock = 0
