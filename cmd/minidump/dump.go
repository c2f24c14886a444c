package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"unicode"

	"minidump"
)

var dumpCommand = subcommand{
	name:    "dump",
	args:    "PID",
	summary: "dump a live process, which goes on afterwards",
	run:     runDump,
}

func runDump(args []string) error {
	s := flagSet{command: "dump", args: "PID",
		about: "Writes a minidump of the live process PID, which is stopped for a moment and then goes on."}
	var w writerFlags
	w.register(&s)
	rest, err := s.parse(args)
	if err != nil {
		return err
	}
	switch {
	case len(rest) == 0:
		return s.wrong("no PID given")
	case len(rest) > 1:
		return s.wrong("one PID is expected, not also %q", rest[1])
	}
	pid, err := parseID(rest[0])
	if err != nil {
		return s.wrong("PID: %v", err)
	}
	if err := w.load(); err != nil {
		return err
	}
	writer, err := newWriter(pid, w.options)
	switch {
	case errors.Is(err, minidump.ErrNoProcess) && errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH):
		return fmt.Errorf("no process has the PID %d", pid)
	case err != nil:
		return explain(err, pid)
	}
	defer writer.Close()
	path := w.output
	if path == "" {
		path = dumpName(processName(pid), pid)
	}
	return explain(w.write(writer, path), pid)
}

// explain says more plainly what the commonest obstacle is.
func explain(err error, pid int) error {
	if errors.Is(err, minidump.ErrPermission) {
		return fmt.Errorf("no permission to look into PID %d: that takes its owner, or root, or CAP_SYS_PTRACE", pid)
	}
	return err
}

// dumpName is the name of a dump where none is given.
func dumpName(process string, pid int) string {
	return fmt.Sprintf("%s.%d.dmp", safeName(process), pid)
}

// safeName makes of what a process calls itself a part of a file name that neither hides the file nor troubles a
// shell or another system.
func safeName(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._+-", r) || r == unicode.ReplacementChar {
			return '_'
		}
		return r
	}, name)
	switch {
	case name == "":
		return "process"
	case name[0] == '.' || name[0] == '-':
		return "_" + name[1:]
	}
	return name
}
