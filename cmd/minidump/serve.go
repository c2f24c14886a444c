package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
)

var serveCommand = subcommand{
	name:    "serve",
	args:    "SOCKET",
	summary: "dump each process that crashes",
	flags:   func() *flagSet { s, _ := serveFlagSet(); return s },
	run:     runServe,
}

// serveFlags are the flags of serve.
type serveFlags struct {
	writerFlags
	coredump bool
	clients  clientFlags
}

// clientFlags are the flags of serve for crash clients.
type clientFlags struct {
	anyUser    bool
	breakpadFD int // -1: not given
}

func serveFlagSet() (*flagSet, *serveFlags) {
	s := &flagSet{command: "serve", args: "SOCKET",
		about: "Listens on the unix socket SOCKET, such as /run/minidump.sock, or @NAME in the abstract namespace, and " +
			"writes a minidump of each process that requests one of itself, as clients of minidumper (the Rust crate) and Breakpad do " +
			`when they crash. On Windows it also listens on named pipes, such as \\.\pipe\minidump; on macOS, also on the Mach service named SOCKET. ` + "With --coredump it serves the kernel instead and writes a minidump of each process whose core the " +
			"kernel sends there. That requires Linux 6.16 and @@/run/minidump.sock, or the same with one @, in " +
			"/proc/sys/kernel/core_pattern. SIGINT and SIGTERM make it remove the socket and exit."}
	f := &serveFlags{clients: clientFlags{breakpadFD: -1}}
	f.register(s)
	f.registerKeep(s, 0)
	// serve determines the thread and the crash itself.
	s.flags = slices.DeleteFunc(s.flags, func(f flagDef) bool { return f.long == "thread" || f.long == "crash-context" })
	for i := range s.flags {
		switch d := &s.flags[i]; d.long {
		case "output":
			d.value = "DIR"
			d.help = "folder for the dumps, named NAME.PID.dmp, or NAME.PID.TIME.dmp for crash clients (default: the current folder)"
		case "json":
			d.help = "report each dump as one line of JSON on standard output"
		}
	}
	s.addBool(0, "coredump", "serve the kernel's coredump socket, not crash clients", &f.coredump)
	f.clients.register(s)
	return s, f
}

func (c *clientFlags) register(s *flagSet) {
	s.addBool(0, "any-user", "serve crash clients of all users, not only your own; the socket then has mode 0666", &c.anyUser)
	s.add("breakpad-fd", "FD", "instead of SOCKET, serve the inherited end of the socket pair that Breakpad's "+
		"CrashGenerationServer::CreateReportChannel makes; exit after the last client has gone", func(v string) (err error) {
		c.breakpadFD, err = parseFD(v)
		return err
	})
}

// parseFD parses the number of an inherited descriptor.
func parseFD(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 3 {
		return -1, fmt.Errorf("%q is not a descriptor of 3 or higher", v)
	}
	return n, nil
}

func runServe(args []string) error {
	s, f := serveFlagSet()
	rest, err := s.parse(args)
	if err != nil {
		return err
	}
	c := &f.clients
	switch {
	case f.coredump && (c.anyUser || c.breakpadFD >= 0):
		return s.wrong("--any-user and --breakpad-fd can't be used with --coredump")
	case c.breakpadFD >= 0 && len(rest) > 0:
		return s.wrong("SOCKET can't be used with --breakpad-fd")
	case c.breakpadFD >= 0:
	case len(rest) == 0:
		return s.wrong("no SOCKET given")
	case len(rest) > 1:
		return s.wrong("expected one SOCKET, got %q as well", rest[1])
	}
	if f.output == "" {
		f.output = "."
	}
	if info, err := os.Stat(f.output); err != nil || !info.IsDir() {
		return s.wrong("--output: %s is not a folder", f.output)
	}
	switch {
	case f.coredump:
		return f.serve(rest[0])
	case c.breakpadFD >= 0:
		return f.serveBreakpad(c.breakpadFD)
	}
	return f.serveClients(rest[0])
}
