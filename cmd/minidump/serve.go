package main

import (
	"slices"
)

var serveCommand = subcommand{
	name:    "serve",
	args:    "--coredump SOCKET",
	summary: "dump each process that crashes",
	run:     runServe,
}

// serveFlags are the flags of serve besides those of the writer.
type serveFlags struct {
	writerFlags
	coredump bool
}

func runServe(args []string) error {
	s := flagSet{command: "serve", args: "--coredump SOCKET",
		about: "Listens at the unix socket SOCKET, as /run/minidump.sock, and writes a minidump of each process of which the " +
			"kernel sends a core there. That takes Linux 6.16 and @@/run/minidump.sock, or with one @, in " +
			"/proc/sys/kernel/core_pattern. It ends, and removes the socket, at SIGINT and SIGTERM."}
	var f serveFlags
	f.register(&s)
	// Which thread and what crash a dump is about is found out.
	s.flags = slices.DeleteFunc(s.flags, func(f flagDef) bool { return f.long == "thread" || f.long == "crash-context" })
	for i := range s.flags {
		switch d := &s.flags[i]; d.long {
		case "output":
			d.value = "DIR"
			d.help = "folder for the dumps, each NAME.PID.dmp (default: this folder)"
		case "json":
			d.help = "tell of each dump in JSON, one line to standard output"
		}
	}
	s.addBool(0, "coredump", "serve the kernel's coredump socket; there is no other service", &f.coredump)
	rest, err := s.parse(args)
	if err != nil {
		return err
	}
	switch {
	case !f.coredump:
		return s.wrong("--coredump is missing")
	case len(rest) == 0:
		return s.wrong("no SOCKET given")
	case len(rest) > 1:
		return s.wrong("one SOCKET is expected, not also %q", rest[1])
	}
	if f.output == "" {
		f.output = "."
	}
	if !isFolder(f.output) {
		return s.wrong("--output: %s is no folder", f.output)
	}
	return f.serve(rest[0])
}
