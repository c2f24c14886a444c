// Package run starts a command, watches it by ptrace, and writes a minidump of it when it dies of a signal such as SIGSEGV or
// SIGABRT:
//
//	r, err := run.Command(ctx, []string{"server", "-v"}, run.Options{Output: "/var/crash/", Keep: 10})
//
// It is what the command minidump run does; docs/run.md in the source tree says when a dump is made, how the command is
// started, and what is different for it. It stands apart from package minidump, since it needs more of the standard library
// than a program should link that only dumps another process.
//
// There is nothing in it on other systems than Linux.
package run
