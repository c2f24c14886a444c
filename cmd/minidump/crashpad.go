package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// crashpadName is the name by which Crashpad's clients start their handler.
const crashpadName = "crashpad_handler"

var crashpadCommand = subcommand{
	name:    "crashpad-handler",
	args:    "",
	summary: "replace Crashpad's handler",
	flags:   func() *flagSet { s, _ := crashpadFlagSet(); return s },
	run:     runCrashpadHandler,
}

// crashpadFlags are the flags of Crashpad's handler that have an effect here, besides the writer's flags.
type crashpadFlags struct {
	writerFlags
	database     string
	clientFD     int // -1: not given
	shared       bool
	traceParent  uint64 // address of ExceptionInformation; 0: not given
	sanitization uint64 // address of SanitizationInformation; 0: none
}

func crashpadFlagSet() (*flagSet, *crashpadFlags) {
	s := &flagSet{command: "crashpad-handler", args: "",
		about: "Serves clients of Crashpad, which start it as this subcommand or through a link named " + crashpadName + ". Dumps go " +
			"into a database in Crashpad's layout, where its tools find them; nothing is uploaded. Flags of Crashpad's handler " +
			"that are not listed here are ignored with a warning. It exits after its last client has gone."}
	f := &crashpadFlags{clientFD: -1}
	f.registerMemory(s)
	f.registerPrivacy(s)
	f.registerContent(s)
	s.flags = slices.DeleteFunc(s.flags, func(d flagDef) bool { return d.long == "crash-context" })
	s.add("database", "DIR", "the database, which is created if it does not exist", func(v string) error { f.database = v; return nil })
	s.add("initial-client-fd", "FD", "the inherited socket of the client", func(v string) (err error) {
		f.clientFD, err = parseFD(v)
		return err
	})
	s.addBool(0, "shared-client-connection", "several processes share the other end of that socket", &f.shared)
	s.add("trace-parent-with-exception", "ADDR", "dump the parent process, whose ExceptionInformation is at this address",
		addressTo(&f.traceParent))
	s.add("sanitization-information", "ADDR", "with --trace-parent-with-exception: the address of its SanitizationInformation; the dump then has only sanitized memory",
		addressTo(&f.sanitization))
	return s, f
}

// addressTo returns the set function of a flag with an address.
func addressTo(to *uint64) func(string) error {
	return func(v string) (err error) {
		if *to, err = strconv.ParseUint(v, 0, 64); err != nil {
			return fmt.Errorf("%q is not an address", v)
		}
		return nil
	}
}

// ignoredFlags are flags of Crashpad's handler that are ignored without a warning, as they concern functions that this
// handler does not have. true: the flag has a value.
var ignoredFlags = map[string]bool{
	"--url": true, "--metrics-dir": true, "--monitor-self": false, "--monitor-self-annotation": true, "--monitor-self-argument": true,
	"--no-identify-client-via-url": false, "--no-periodic-tasks": false, "--no-rate-limit": false, "--no-upload-gzip": false,
}

// known returns the arguments whose flags s has, and warns about others.
func (s *flagSet) known(args []string) (out []string) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if len(arg) < 2 || arg[0] != '-' || arg == "--" {
			fmt.Fprintf(os.Stderr, "minidump %s: argument %q is ignored\n", s.command, arg)
			continue
		}
		f, _, joined := s.find(arg)
		name, _, _ := strings.Cut(arg, "=")
		takesValue, quiet := ignoredFlags[name]
		switch {
		case f != nil:
			takesValue = f.value != "" && !f.optional
			out = append(out, arg)
		case arg == "-h" || arg == "--help":
			out = append(out, arg)
		case !quiet:
			fmt.Fprintf(os.Stderr, "minidump %s: %s is ignored\n", s.command, printable(name))
		}
		if f == nil {
			joined = name != arg
		}
		if takesValue && !joined && i+1 < len(args) {
			i++
			if f != nil {
				out = append(out, args[i])
			}
		}
	}
	return out
}

func runCrashpadHandler(args []string) error {
	s, f := crashpadFlagSet()
	if _, err := s.parse(s.known(args)); err != nil {
		return err
	}
	switch {
	case f.database == "":
		return s.wrong("--database is missing")
	case (f.clientFD < 0) == (f.traceParent == 0):
		return s.wrong("--initial-client-fd or --trace-parent-with-exception is required")
	}
	return f.serve()
}
