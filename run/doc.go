// Package run starts a command, watches it by ptrace, and writes a minidump of it when it dies of a signal such as SIGSEGV or
// SIGABRT:
//
//	r, err := run.Command(ctx, []string{"server", "-v"}, run.Options{Output: "/var/crash/", Keep: 10})
//
// The command minidump run uses it; docs/run.md in the source tree says when a dump is made, how the command is started, and
// what differs for the command. It is separate from package minidump because it requires more of the standard library than a
// program that only dumps another process should link.
//
// The package is empty on systems other than Linux.
package run
