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
	flags:   func() *flagSet { s, _ := runFlagSet(); return s },
	run:     runRun,
}

// runFlags are the flags of run.
type runFlags struct {
	writerFlags
	followChildren string // "", "yes", "no"
	exitCodes      []int
	ignorePanics   bool
}

func (r *runFlags) register(s *flagSet) {
	r.writerFlags.register(s)
	// run determines the thread and the crash itself.
	s.flags = slices.DeleteFunc(s.flags, func(f flagDef) bool { return f.long == "thread" || f.long == "crash-context" })
	for i := range s.flags {
		switch f := &s.flags[i]; f.long {
		case "output":
			f.value = "DIR|FILE"
			f.help = "where to write dumps: a folder (an existing one, or a name with / at the end), where each is named " +
				"NAME.PID.TIME.dmp, or a file (default: the current folder)"
		case "json":
			f.help = "report each dump as one line of JSON on standard error"
		}
	}
	r.registerKeep(s, 10)
	s.add("follow-children", "yes|no", "also dump processes that COMMAND starts (default: yes if COMMAND is a shell or a script, or "+
		"when running as process 1)", func(v string) error {
		if r.followChildren = v; v == "" {
			r.followChildren = "yes"
		} else if v != "yes" && v != "no" {
			return fmt.Errorf("%q is neither yes nor no", v)
		}
		return nil
	})
	s.flags[len(s.flags)-1].optional = true
	s.choices("yes", "no")
	s.addBool(0, "ignore-panics", "do not dump a Go program that panics, which exits with status 2", &r.ignorePanics)
	s.add("also-exit-codes", "LIST", "also dump a process that exits with one of these statuses, such as 3 or 3,134", func(v string) error {
		for _, part := range strings.Split(v, ",") {
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 || n > 255 {
				return fmt.Errorf("%q is not an exit status from 1 to 255", part)
			}
			r.exitCodes = append(r.exitCodes, n)
		}
		return nil
	})
}

func runFlagSet() (*flagSet, *runFlags) {
	s := &flagSet{command: "run", args: "-- COMMAND [ARG...]", literal: true,
		about: "Runs COMMAND and, if a signal such as SIGSEGV or SIGABRT kills it, writes a minidump of it. Input, " +
			"output, signals, job control and the exit status (128 plus the number of a signal) are those of COMMAND, and " +
			"nothing is printed unless a dump is made. As process 1 of a container it also reaps orphans."}
	r := new(runFlags)
	r.register(s)
	return s, r
}

func runRun(args []string) error {
	s, r := runFlagSet()
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
