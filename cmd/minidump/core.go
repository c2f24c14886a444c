package main

import "minidump"

var coreCommand = subcommand{
	name:    "core",
	args:    "FILE",
	summary: "make a dump of an ELF core file",
	run:     runCore,
}

func runCore(args []string) error {
	s := flagSet{command: "core", args: "FILE",
		about: "Writes a minidump of what the ELF core file FILE holds: of the Linux kernel or of gdb's gcore, of any " +
			"architecture. Flags about a live process are accepted and have no effect."}
	var w writerFlags
	w.register(&s)
	rest, err := s.parse(args)
	if err != nil {
		return err
	}
	switch {
	case len(rest) == 0:
		return s.wrong("no FILE given")
	case len(rest) > 1:
		return s.wrong("one FILE is expected, not also %q", rest[1])
	}
	if err := w.load(); err != nil {
		return err
	}
	writer, err := minidump.OpenCoreFile(rest[0], w.options)
	if err != nil {
		return err
	}
	defer writer.Close()
	path := w.output
	if path == "" {
		pid, name := writer.Process()
		path = dumpName(name, pid)
	}
	return w.write(writer, path)
}
