//go:build race || msan || asan

package minidump

// forkIsSafe is false because the sanitizers' runtimes take locks in instrumented code. A lock held at the fork is
// never released in the child.
const forkIsSafe = false
