package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var runCommand = subcommand{
	name:    "run",
	args:    "-- COMMAND...",
	summary: "run COMMAND, and dump it if it crashes",
	run:     runRun,
}

// runFlags are the flags of run besides those of the writer.
type runFlags struct {
	writerFlags
	keep           int
	followChildren bool
	exitCodes      []int
}

func (r *runFlags) register(s *flagSet) {
	r.writerFlags.register(s)
	// Which thread and what crash a dump is about is found out.
	s.flags = slices.DeleteFunc(s.flags, func(f flagDef) bool { return f.long == "thread" || f.long == "crash-context" })
	for i := range s.flags {
		switch f := &s.flags[i]; f.long {
		case "output":
			f.value = "DIR|FILE"
			f.help = "where dumps go: a folder, which exists or ends with / and gets a file NAME.PID.TIME.dmp of each, or " +
				"a file (default: this folder)"
		case "json":
			f.help = "tell of each dump in JSON, one line to standard error"
		}
	}
	r.keep = 10
	s.add("keep", "N", "how many dumps to keep in the folder, the oldest are deleted; 0 for all (default 10)",
		func(v string) (err error) {
			if r.keep, err = strconv.Atoi(v); err != nil || r.keep < 0 {
				return fmt.Errorf("%q is no number from 0", v)
			}
			return nil
		})
	s.addBool(0, "follow-children", "dump also processes that COMMAND starts", &r.followChildren)
	s.add("also-exit-codes", "LIST", "dump also a process that exits with one of these statuses, as 2 or 2,134: a Go "+
		"program that panics exits with 2", func(v string) error {
		for _, part := range strings.Split(v, ",") {
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 || n > 255 {
				return fmt.Errorf("%q is no exit status from 1 to 255", part)
			}
			r.exitCodes = append(r.exitCodes, n)
		}
		return nil
	})
}

func runRun(args []string) error {
	s := flagSet{command: "run", args: "-- COMMAND [ARG...]", literal: true,
		about: "Runs COMMAND and, if it dies of a signal such as SIGSEGV or SIGABRT, writes a minidump of it. Input, " +
			"output, signals, job control and the exit status (128 and more for a signal) are those of COMMAND, and " +
			"nothing is printed unless a dump is made. As process 1 of a container it also reaps orphans."}
	var r runFlags
	r.register(&s)
	rest, err := s.parse(args)
	if err != nil {
		return err
	}
	switch {
	case len(rest) == 0:
		return s.wrong("no COMMAND given")
	case r.output == "-":
		return s.wrong("-o -: standard output is COMMAND's")
	}
	return r.watch(rest)
}
