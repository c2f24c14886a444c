//go:build !race && !msan && !asan

package minidump

// forkIsSafe reports whether Go code can run in a forked child.
const forkIsSafe = true
