// Minidump writes minidumps of processes and shows what is in one.
//
//	minidump dump [flags] PID     dump a live process, which goes on afterwards
//	minidump core [flags] FILE    make a dump of an ELF core file
//	minidump serve --coredump [flags] SOCKET
//	                              dump each process whose core the kernel sends there
//	minidump run  [flags] -- COMMAND [ARG...]
//	                              run a command, and dump it if it dies of a signal
//	minidump show [flags] FILE    what a dump holds
//
// Each subcommand tells its flags with --help. Messages go to standard error. The exit status is 0 if all went well,
// also where pieces of a dump are missing (they are warnings), 1 if not, and 2 for wrong usage.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	_ "minidump/context/insn" // run tells what the faulting instruction was about
)

// A subcommand is what the first argument can name. Its run is given the arguments after that. A usageError makes the
// exit status 2, an exitStatus makes it that, silently, and any other error makes it 1.
type subcommand struct {
	name    string
	args    string
	summary string
	run     func(args []string) error
}

// subcommands are all there are, in the order of the help text.
var subcommands = []subcommand{dumpCommand, coreCommand, serveCommand, runCommand, showCommand}

// usageError says that the command line is wrong: in which way, and of which subcommand ("" if of none).
type usageError struct {
	command, text string
}

func (e *usageError) Error() string { return e.text }

// exitStatus ends the command with that status and without a message.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// errHelp says that the help text was asked for, and printed.
var errHelp = errors.New("help printed")

func main() {
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
	case "help":
		if len(args) == 1 {
			fmt.Print(usage())
			return nil
		}
		name, args = args[1], []string{name, "--help"}
	}
	for _, c := range subcommands {
		if c.name == name {
			return c.run(args[1:])
		}
	}
	return &usageError{"", fmt.Sprintf("unknown subcommand %q", name)}
}

func usage() string {
	var b strings.Builder
	b.WriteString("Usage: minidump SUBCOMMAND [FLAGS] ...\n\nWrites minidumps of processes, and shows what is in one.\n\n")
	for _, c := range subcommands {
		fmt.Fprintf(&b, "  minidump %-20s  %s\n", c.name+" [FLAGS] "+c.args, c.summary)
	}
	b.WriteString("\n'minidump SUBCOMMAND --help' tells the flags. Exit status: 0 done (missing\n" +
		"pieces of a dump are warnings), 1 not done, 2 wrong usage.\n")
	return b.String()
}

// statusOf prints err and gives the exit status.
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
		fmt.Fprintf(os.Stderr, "%s: %s\nTry '%s --help'.\n", command, wrong.text, command)
		return 2
	}
	// The library's errors begin with its name already.
	fmt.Fprintf(os.Stderr, "minidump: %s\n", oneLine(strings.TrimPrefix(err.Error(), "minidump: ")))
	return 1
}
