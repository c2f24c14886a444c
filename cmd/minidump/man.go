package main

import (
	"fmt"
	"os"
	"strings"
)

func manFlags() *flagSet {
	return &flagSet{command: "man", args: "[SUBCOMMAND]", about: "Prints the manual page of a subcommand, or of the whole program, " +
		"in man format: minidump man dump > minidump-dump.1."}
}

func runMan(args []string) error {
	s := manFlags()
	rest, err := s.parse(args)
	if err != nil {
		return err
	}
	switch len(rest) {
	case 0:
		_, err = fmt.Fprint(os.Stdout, manual())
		return err
	case 1:
		for _, c := range subcommands() {
			if c.name == rest[0] {
				_, err = fmt.Fprint(os.Stdout, c.manual())
				return err
			}
		}
		return s.wrong("unknown subcommand %q", rest[0])
	}
	return s.wrong("expected one SUBCOMMAND, got %q as well", rest[1])
}

// roff escapes text for man(7): backslashes, hyphens that must stay ASCII, and a dot or apostrophe that begins a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// exitStatuses is the section about exit statuses.
const exitStatuses = ".SH EXIT STATUS\n.TP\n0\nSuccess. Missing pieces of a dump are warnings.\n.TP\n1\nFailure.\n.TP\n2\nWrong usage.\n"

// manual returns the page minidump(1).
func manual() string {
	var b strings.Builder
	b.WriteString(".TH MINIDUMP 1\n.SH NAME\nminidump \\- write minidumps of processes and show what is in them\n.SH SYNOPSIS\n")
	for i, c := range subcommands() {
		if i > 0 {
			b.WriteString(".br\n")
		}
		fmt.Fprintf(&b, ".B minidump\n%s\n", roff(c.invocation()))
	}
	b.WriteString(".SH SUBCOMMANDS\n")
	var pages []string
	for _, c := range subcommands() {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(c.name), roff(c.summary))
		pages = append(pages, fmt.Sprintf(".BR minidump\\-%s (1)", roff(c.name)))
	}
	b.WriteString(exitStatuses + ".SH SEE ALSO\n" + strings.Join(pages, ",\n") + "\n")
	return b.String()
}

// manual returns the page minidump-NAME(1).
func (c *subcommand) manual() string {
	s := c.flags()
	var b strings.Builder
	fmt.Fprintf(&b, ".TH MINIDUMP\\-%s 1\n.SH NAME\nminidump\\-%s \\- %s\n", strings.ToUpper(roff(c.name)), roff(c.name),
		roff(c.summary))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B minidump\n%s\n.SH DESCRIPTION\n%s\n.SH OPTIONS\n", roff(c.invocation()), roff(s.about))
	all := s.all()
	for i := range all {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(all[i].usage())), roff(all[i].help))
	}
	if c.name == "run" {
		b.WriteString(".SH EXIT STATUS\nThat of COMMAND, or 128 plus the number of the signal that killed it.\n")
	} else {
		b.WriteString(exitStatuses)
	}
	b.WriteString(".SH SEE ALSO\n.BR minidump (1)\n")
	return b.String()
}
