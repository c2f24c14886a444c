package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"

	"minidump"
	"minidump/internal/dumpfile"
)

var dumpCommand = subcommand{
	name:    "dump",
	args:    "PID|NAME",
	summary: "dump a live process, which keeps running",
	flags:   func() *flagSet { s, _ := dumpFlags(); return s },
	run:     runDump,
}

type dumpCall struct {
	writerFlags
	all bool
}

func dumpFlags() (*flagSet, *dumpCall) {
	s := &flagSet{command: "dump", args: "PID|NAME",
		about: "Writes a minidump of the live process PID, which is stopped for a moment and then continues. PID may also be the id of " +
			"one of its threads, which the dump is then about. NAME must be the name of exactly one process (Linux)."}
	d := new(dumpCall)
	d.register(s)
	s.addBool(0, "all", "dump all processes named NAME", &d.all)
	d.platform.register(s)
	if runtime.GOOS == "linux" {
		d.registerSnapshot(s)
	}
	return s, d
}

func runDump(args []string) error {
	s, d := dumpFlags()
	rest, err := s.parse(args)
	if err != nil {
		return err
	}
	switch {
	case len(rest) == 0:
		return s.wrong("no PID given")
	case len(rest) > 1:
		return s.wrong("expected one PID, got %q as well", rest[1])
	}
	pids, err := d.targets(s, rest[0])
	if err != nil {
		return err
	}
	if err := d.load(); err != nil {
		return err
	}
	if len(pids) == 1 {
		return d.dump(pids[0])
	}
	var failed []error
	for _, pid := range pids {
		if err := d.dump(pid); err != nil {
			failed = append(failed, fmt.Errorf("process %d: %w", pid, err))
		}
	}
	return errors.Join(failed...)
}

// process is a process that has the requested name.
type process struct {
	pid     int
	command string
}

// targets returns the processes that an argument, a PID or a name, stands for.
func (d *dumpCall) targets(s *flagSet, arg string) (pids []int, err error) {
	if pid, err := parseID(arg); err == nil {
		if d.all {
			return nil, s.wrong("--all takes a name, not the PID %d", pid)
		}
		return []int{pid}, nil
	}
	if strings.Trim(arg, "-0123456789") == "" || runtime.GOOS != "linux" {
		_, err := parseID(arg)
		return nil, s.wrong("PID: %v", err)
	}
	list, err := named(arg)
	if err != nil {
		return nil, fmt.Errorf("look for processes named %q: %w", arg, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no process is named %q", arg)
	}
	if len(list) > 1 && !d.all {
		for _, p := range list {
			command := []rune(printable(p.command))
			if len(command) > 100 {
				command = append(command[:99], '…')
			}
			fmt.Fprintf(os.Stderr, "%7d  %s\n", p.pid, string(command))
		}
		return nil, fmt.Errorf("%d processes are named %q: choose one of these PIDs, or use --all", len(list), arg)
	}
	if len(list) > 1 && d.output != "" {
		return nil, s.wrong("-o names one file, but %d processes are named %q", len(list), arg)
	}
	for _, p := range list {
		pids = append(pids, p.pid)
	}
	return pids, nil
}

// dump dumps one process.
func (d *dumpCall) dump(pid int) error {
	w := &d.writerFlags
	if done, err := w.platform.dump(pid, w); done {
		return explain(err, pid)
	}
	w.dog = startWatchdog(&w.options)
	defer w.dog.stop()
	writer, err := newWriter(pid, w.options)
	switch {
	case errors.Is(err, minidump.ErrNoProcess) && errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ESRCH):
		return fmt.Errorf("no process has PID %d", pid)
	case err != nil:
		return explain(err, pid)
	}
	defer writer.Close()
	if err := w.platform.crash(writer, pid, &w.options); err != nil {
		return err
	}
	path := w.output
	if path == "" {
		path = nameFor(writer)
	}
	return explain(w.write(writer, path), pid)
}

// nameFor returns the default name of a dump of w.
func nameFor(w *minidump.Writer) string {
	pid, process := w.Process()
	if n := len(process) - len(".exe"); runtime.GOOS == "windows" && n > 0 && strings.EqualFold(process[n:], ".exe") {
		process = process[:n]
	}
	return dumpfile.Name(process, pid)
}

// explain returns a plainer error for the commonest obstacle, a missing permission.
func explain(err error, pid int) error {
	if errors.Is(err, minidump.ErrPermission) {
		return fmt.Errorf("no permission to inspect PID %d: that requires its owner, root or CAP_SYS_PTRACE", pid)
	}
	return err
}
