// Minidump writes minidumps of processes and shows their contents.
//
//	minidump dump [flags] PID     dump a live process, which keeps running
//	minidump core [flags] FILE    convert an ELF core file to a dump
//	minidump serve [flags] SOCKET dump each process that requests it when it crashes, or whose
//	                              core the kernel sends there
//	minidump crashpad-handler [flags]
//	                              replace Crashpad's handler
//	minidump run  [flags] -- COMMAND [ARG...]
//	                              run a command, and dump it if a signal kills it
//	minidump show [flags] FILE    show what a dump contains
//	minidump list [DIR...]        list the dumps in a folder
//	minidump wer install|uninstall FILE
//	                              the module that reports fail-fast exceptions (Windows)
//	minidump completion SHELL     a completion script
//	minidump man [SUBCOMMAND]     a manual page
//	minidump version              the version
//
// Each subcommand lists its flags with --help. Messages go to standard error. The exit status is 0 on success, even
// if pieces of a dump are missing (warnings), 1 on failure, and 2 for wrong usage.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	_ "minidump/context/insn" // run and show read the faulting instruction
	_ "minidump/goroutines"   // dumps of Go programs list their goroutines
)

// A subcommand is what the first argument can name. Its run receives the arguments after that. A usageError makes the
// exit status 2, an exitStatus sets it without a message, and any other error makes it 1.
type subcommand struct {
	name    string
	args    string
	summary string
	flags   func() *flagSet // the source of its help, its manual page and the completions
	run     func(args []string) error
}

// subcommands returns all subcommands, in the order of the help text.
func subcommands() []subcommand {
	return []subcommand{dumpCommand, coreCommand, serveCommand, crashpadCommand, runCommand, showCommand, listCommand, werCommand,
		{"completion", "bash|zsh|fish", "print a completion script for a shell", completionFlags, runCompletion},
		{"man", "[SUBCOMMAND]", "print a manual page", manFlags, runMan},
		{"version", "", "print the version of this program", versionFlags, runVersion},
	}
}

// usageError reports a mistake in the command line of a subcommand, or of the program itself if command is "".
type usageError struct {
	command, text string
}

func (e *usageError) Error() string { return e.text }

// exitStatus is an error that ends the command with that status and without a message.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// errHelp means that the help text was printed, as requested.
var errHelp = errors.New("help printed")

func main() {
	if filepath.Base(os.Args[0]) == crashpadName { // a link to this program, or a copy of it
		os.Exit(statusOf(runCrashpadHandler(os.Args[1:])))
	}
	os.Exit(statusOf(dispatch(os.Args[1:])))
}

func dispatch(args []string) error {
	if len(args) == 0 {
		return &usageError{"", "no subcommand given"}
	}
	name := args[0]
	switch name {
	case "-h", "--help", "-help":
		fmt.Print(usage())
		return nil
	case "--version", "-version":
		return runVersion(nil)
	case "help":
		if len(args) == 1 {
			fmt.Print(usage())
			return nil
		}
		name, args = args[1], []string{name, "--help"}
	}
	for _, c := range subcommands() {
		if c.name == name {
			return c.run(args[1:])
		}
	}
	return &usageError{"", fmt.Sprintf("unknown subcommand %q", name)}
}

func usage() string {
	var b strings.Builder
	b.WriteString("Usage: minidump SUBCOMMAND [FLAGS] ...\n\nWrites minidumps of processes and shows what is in them.\n\n")
	for _, c := range subcommands() {
		const column = 22
		text := c.invocation()
		if len(text) > column {
			text += "\n" + strings.Repeat(" ", len("  minidump ")+column)
		}
		fmt.Fprintf(&b, "  minidump %-*s  %s\n", column, text, c.summary)
	}
	b.WriteString("\n'minidump SUBCOMMAND --help' lists the flags. Exit status: 0 success (missing\n" +
		"pieces of a dump are warnings), 1 failure, 2 wrong usage.\n")
	return b.String()
}

// invocation returns the subcommand as written in a synopsis, without the program's name.
func (c *subcommand) invocation() string {
	text := c.name
	if len(c.flags().flags) > 0 {
		text += " [FLAGS]"
	}
	return strings.TrimSpace(text + " " + c.args)
}

// statusOf prints err and returns the exit status.
func statusOf(err error) int {
	var wrong *usageError
	var status exitStatus
	switch {
	case err == nil || err == errHelp:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &wrong):
		command := strings.TrimSpace("minidump " + wrong.command)
		fmt.Fprintf(os.Stderr, "%s: %s\nTry '%s --help'.\n", command, oneLine(wrong.text), command)
		return 2
	}
	// The library's errors already begin with its name.
	fmt.Fprintf(os.Stderr, "minidump: %s\n", oneLine(strings.TrimPrefix(err.Error(), "minidump: ")))
	return 1
}
