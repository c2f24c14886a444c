package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"minidump"
	"minidump/internal/dumpfile"
)

var coreCommand = subcommand{
	name:    "core",
	args:    "FILE",
	summary: "convert an ELF core file to a dump",
	flags:   func() *flagSet { s, _ := coreFlagSet(nil); return s },
	run:     runCore,
}

// coreFlags are the flags of core.
type coreFlags struct {
	writerFlags
	pid       int
	install   bool
	uninstall bool
	force     bool
	settings  bool // args have --install or --uninstall

	// The flags that choose the dump's content, as the user wrote them: --install writes them to core_pattern.
	given []string
}

func (c *coreFlags) register(s *flagSet) {
	c.writerFlags.register(s)
	c.registerKeep(s, 0)
	for i := range s.flags {
		f := &s.flags[i]
		switch f.long {
		case "output":
			f.value = "FILE|DIR"
			f.help = "where to write the dump: a file or, with / at the end, a folder, where its name is NAME.PID.dmp; - is standard " +
				"output (default: NAME.PID.dmp in the current folder)"
			continue
		case "thread", "crash-context":
			continue
		}
		set, long, bare := f.set, f.long, f.value == ""
		f.set = func(v string) error {
			if bare || f.optional && v == "" {
				c.given = append(c.given, "--"+long)
			} else {
				c.given = append(c.given, "--"+long+"="+v)
			}
			return set(v)
		}
	}
	s.add("pid", "PID", "if FILE is -: the process whose core the kernel is writing (%P in core_pattern); memory is read from "+
		"the process, not from the core", func(v string) (err error) {
		c.pid, err = parseID(v)
		return err
	})
	s.add("log", "FILE", "append messages to this file instead of printing them", func(v string) error {
		c.given = append(c.given, "--log="+v)
		if c.settings { // messages of --install go to its user
			return nil
		}
		return logTo(v)
	})
	s.add("config", "FILE", "read more flags from this file, one per line, such as --mode=full", configFile(s))
	s.addBool(0, "install", "make the kernel start this program for each crash on the machine, with these flags: sets "+
		"core_pattern and core_pipe_limit. -o is the folder for the dumps, or a core_pattern (default: /var/crash)", &c.install)
	s.addBool(0, "uninstall", "restore core_pattern and core_pipe_limit to what they were before --install", &c.uninstall)
	s.addBool(0, "force", "install even in a container, which shares the setting with its host", &c.force)
}

// configFile returns the set function of a flag that names a file with further flags of s.
func configFile(s *flagSet) func(string) error {
	inside := false
	return func(v string) error {
		if inside { // the file could name itself
			return errors.New("a file of flags can't name another such file")
		}
		inside = true
		defer func() { inside = false }()
		b, err := os.ReadFile(v)
		if err != nil {
			return err
		}
		var args []string
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimRight(line, "\r\n"); line != "" && line[0] != '#' {
				args = append(args, line)
			}
		}
		rest, err := s.parse(args)
		if err == nil && len(rest) > 0 {
			err = fmt.Errorf("%q in %s is not a flag", rest[0], v)
		}
		return err
	}
}

// coreFlagSet returns the flags of core. Some have another meaning if args contain --install or --uninstall.
func coreFlagSet(args []string) (*flagSet, *coreFlags) {
	s := &flagSet{command: "core", args: "FILE",
		about: "Converts the ELF core file FILE, written by the Linux kernel or gdb's gcore on any architecture, to a minidump. " +
			"FILE may be - for standard input. Flags that concern live processes are accepted and have no effect."}
	c := &coreFlags{settings: slices.Contains(args, "--install") || slices.Contains(args, "--uninstall")}
	c.register(s)
	return s, c
}

func runCore(args []string) (err error) {
	s, c := coreFlagSet(args)
	rest, err := s.parse(args)
	if c.pid != 0 {
		defer func() { toKernelLog(err) }()
	}
	if err != nil {
		return err
	}
	if c.install || c.uninstall {
		switch {
		case len(rest) > 0:
			return s.wrong("--install and --uninstall take no FILE")
		case c.install && c.uninstall:
			return s.wrong("--install and --uninstall can't be used together")
		case c.install:
			return c.installPattern()
		}
		return c.uninstallPattern()
	}
	switch {
	case len(rest) == 0:
		return s.wrong("no FILE given")
	case len(rest) > 1:
		return s.wrong("expected one FILE, got %q as well", rest[1])
	}
	if err := c.load(); err != nil {
		return err
	}
	if rest[0] == "-" {
		return c.dumpStream(os.Stdin)
	}
	if c.pid != 0 {
		return s.wrong("--pid is for a core read from a pipe: FILE must be -")
	}
	file, err := os.Open(rest[0])
	if err != nil {
		return err
	}
	writer, err := minidump.OpenCoreFile(file, c.options)
	if err != nil {
		return err
	}
	defer writer.Close()
	return c.writeKept(writer)
}

// dumpStream dumps the core that in contains or that the kernel writes to it.
func (c *coreFlags) dumpStream(in *os.File) error {
	if info, err := in.Stat(); err == nil && info.Mode().IsRegular() {
		writer, err := minidump.OpenCore(in, info.Size(), c.options)
		if err != nil {
			return err
		}
		defer writer.Close()
		return c.writeKept(writer)
	}
	if c.crashContext == "-" {
		return errors.New("--crash-context - and the core can't both be standard input")
	}
	if c.pid != 0 {
		defer endInTime(c.options.Mode)()
	}
	writer, err := minidump.OpenCorePipe(in, c.pid, c.folder(), c.options)
	if err != nil {
		return err
	}
	defer writer.Close()
	// in must stay open until the dump is written: the process ends when it is closed.
	defer in.Close()
	c.alive = c.pid
	c.replaceLinks = c.pid != 0 // the kernel started this program, as root
	return c.writeKept(writer)
}

// folder returns the folder of the dump.
func (c *coreFlags) folder() string {
	if i := strings.LastIndexByte(c.output, '/'); i >= 0 {
		return c.output[:i+1]
	}
	return "."
}

func (c *coreFlags) path(w *minidump.Writer) string {
	if c.output == "" || isFolder(c.output) {
		pid, name := w.Process()
		return c.output + dumpfile.Name(name, pid)
	}
	if c.pid == 0 {
		return c.output
	}
	i := strings.LastIndexByte(c.output, '/') + 1
	return c.output[:i] + dumpfile.SafeName(c.output[i:]) // %e is a name that the thread chose
}

// writeKept is write, and then deletes old dumps so that the number and size of those in the folder stay within
// bounds.
func (c *coreFlags) writeKept(w *minidump.Writer) error {
	path := c.path(w)
	if path == "-" {
		return c.write(w, path)
	}
	if err := c.keep.Make(c.folder()); err != nil {
		return err
	}
	err := c.write(w, path)
	return errors.Join(err, c.keep.Prune(c.folder(), path[strings.LastIndexByte(path, '/')+1:]))
}

// isFolder reports whether path names a folder. It does not look at the file system, where another user may have made
// something of that name.
func isFolder(path string) bool { return strings.HasSuffix(path, "/") }

func joinFolder(dir, name string) string {
	if dir == "" || strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}
