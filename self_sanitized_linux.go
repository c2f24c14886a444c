//go:build race || msan || asan

package minidump

// forkIsSafe: the runtimes of the sanitizers take locks in instrumented code, which in a forked child nobody releases.
const forkIsSafe = false
