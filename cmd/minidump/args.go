package main

import (
	"fmt"
	"os"
	"strings"
)

// A flagSet is the flags of a subcommand. They are written as for GNU programs: --name VALUE, --name=VALUE, -o VALUE
// and -oVALUE, before and after the other arguments; "--" ends them. (Package flag stops at the first other argument,
// and does not distinguish -o from --o.)
type flagSet struct {
	command string
	args    string // the other arguments in the help text
	about   string // what the subcommand does
	flags   []flagDef

	// literal ends the flags at the first argument that is not a flag, for a subcommand whose arguments are a command
	// line.
	literal bool
}

// flagDef is a flag. Without a short name, short is 0; without a long one, long is "".
type flagDef struct {
	short byte
	long  string
	value string // the value's name in the help text; "" if the flag has no value
	// optional marks a flag whose value may be omitted; set then receives "". A value must be written as --name=VALUE.
	optional bool
	choices  []string // values to offer for completion; nil if the value is free text or a file name
	help     string
	set      func(value string) error
}

// add adds a flag with a value.
func (s *flagSet) add(long, value, help string, set func(string) error) {
	s.flags = append(s.flags, flagDef{long: long, value: value, help: help, set: set})
}

// choices sets the values to offer for the flag that was added last.
func (s *flagSet) choices(values ...string) { s.flags[len(s.flags)-1].choices = values }

// addBool adds a flag without a value.
func (s *flagSet) addBool(short byte, long, help string, to *bool) {
	s.flags = append(s.flags, flagDef{short: short, long: long, help: help, set: func(string) error {
		*to = true
		return nil
	}})
}

// wrong returns a usageError.
func (s *flagSet) wrong(format string, args ...any) error {
	return &usageError{s.command, fmt.Sprintf(format, args...)}
}

// parse sets the flags in args and returns the other arguments. It returns errHelp after printing the help text.
func (s *flagSet) parse(args []string) (rest []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return append(rest, args...), nil
		}
		if len(arg) < 2 || arg[0] != '-' {
			rest = append(rest, arg)
			if s.literal {
				return append(rest, args...), nil
			}
			continue
		}
		if arg == "-h" || arg == "--help" {
			fmt.Fprint(os.Stdout, s.help())
			return nil, errHelp
		}
		f, value, joined := s.find(arg)
		if f == nil {
			return nil, s.wrong("unknown flag %s", strings.SplitN(arg, "=", 2)[0])
		}
		name := f.name()
		switch {
		case f.value == "" && joined:
			return nil, s.wrong("%s takes no value", name)
		case f.value != "" && !f.optional && !joined:
			if len(args) == 0 {
				return nil, s.wrong("%s needs a value: %s %s", name, name, f.value)
			}
			value, args = args[0], args[1:]
		case f.optional && joined && value == "":
			return nil, s.wrong("%s= needs a value", name)
		}
		if err := f.set(value); err != nil {
			return nil, s.wrong("%s: %v", name, err)
		}
	}
	return rest, nil
}

// find returns the flag that arg names, and the value that is joined to it.
func (s *flagSet) find(arg string) (f *flagDef, value string, joined bool) {
	long := strings.HasPrefix(arg, "--")
	name := arg[1:2]
	if long {
		name, value, joined = strings.Cut(arg[2:], "=")
	} else if len(arg) > 2 {
		value, joined = arg[2:], true
	}
	for i := range s.flags {
		f := &s.flags[i]
		if long && f.long == name && name != "" || !long && f.short == name[0] {
			return f, value, joined
		}
	}
	return nil, "", false
}

func (f *flagDef) name() string {
	if f.long == "" {
		return "-" + string(f.short)
	}
	return "--" + f.long
}

// usage returns the flag as written in the help text.
func (f *flagDef) usage() string {
	t := "    "
	if f.short != 0 {
		t = "-" + string(f.short)
		if f.long != "" {
			t += ", "
		}
	}
	if f.long != "" {
		t += "--" + f.long
	}
	switch {
	case f.optional:
		t += "[=" + f.value + "]"
	case f.value != "":
		t += " " + f.value
	}
	return t
}

// all returns the flags with --help, which every subcommand has.
func (s *flagSet) all() []flagDef {
	return append(s.flags[:len(s.flags):len(s.flags)], flagDef{short: 'h', long: "help", help: "show this text"})
}

// isFile reports whether the flag's value names a file or a folder.
func (f *flagDef) isFile() bool {
	return strings.Contains(f.value, "FILE") || strings.Contains(f.value, "DIR")
}

// help returns the help text.
func (s *flagSet) help() string {
	const column, width = 28, 80
	var b strings.Builder
	usage := "Usage: minidump " + s.command
	if len(s.flags) > 0 {
		usage += " [FLAGS]"
	}
	fmt.Fprintf(&b, "%s\n\n%s\n\n", strings.TrimSpace(usage+" "+s.args), wrap(s.about, 0, width))
	all := s.all()
	for i := range all {
		usage := "  " + all[i].usage()
		if len(usage) > column-2 {
			b.WriteString(usage + "\n")
			usage = ""
		}
		fmt.Fprintf(&b, "%-*s%s\n", column, usage, wrap(all[i].help, column, width))
	}
	return b.String()
}

// wrap breaks text into lines of at most width columns, and indents all except the first. A word that is longer gets
// its own line.
func wrap(text string, indent, width int) string {
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case at+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}
