package main

import (
	"fmt"
	"os"
	"strings"
)

func completionFlags() *flagSet {
	return &flagSet{command: "completion", args: "bash|zsh|fish", about: "Prints a script that makes the shell complete " +
		"subcommands, flags and their values. For bash: source <(minidump completion bash). For zsh: minidump completion zsh " +
		"> \"${fpath[1]}/_minidump\". For fish: minidump completion fish > ~/.config/fish/completions/minidump.fish."}
}

func runCompletion(args []string) error {
	s := completionFlags()
	rest, err := s.parse(args)
	if err != nil {
		return err
	}
	scripts := map[string]func() string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	if len(rest) != 1 || scripts[rest[0]] == nil {
		return s.wrong("expected bash, zsh or fish")
	}
	_, err = fmt.Fprint(os.Stdout, scripts[rest[0]]())
	return err
}

// names returns the spellings of the flag: "-o", "--output".
func (f *flagDef) names() []string {
	var names []string
	if f.short != 0 {
		names = append(names, "-"+string(f.short))
	}
	if f.long != "" {
		names = append(names, "--"+f.long)
	}
	return names
}

// argumentKind returns what the other arguments of a subcommand are: "pid", "command", "file", or words to choose
// from.
func (c *subcommand) argumentKind() (kind string, words []string) {
	switch c.name {
	case "dump":
		return "pid", nil
	case "run":
		return "command", nil
	case "man":
		for _, other := range subcommands() {
			words = append(words, other.name)
		}
		return "words", words
	case "completion":
		return "words", strings.Split(c.args, "|")
	case "version":
		return "words", nil
	}
	return "file", nil
}

func bashCompletion() string {
	var names []string
	var cases strings.Builder
	for _, c := range subcommands() {
		names = append(names, c.name)
		var flags []string
		fmt.Fprintf(&cases, "\t%s)\n\t\tcase $prev in\n", c.name)
		all := c.flags().all()
		for i := range all {
			f := &all[i]
			flags = append(flags, f.names()...)
			if f.value == "" || f.optional {
				continue
			}
			reply := "COMPREPLY=()"
			switch {
			case f.choices != nil:
				reply = fmt.Sprintf("COMPREPLY=($(compgen -W '%s' -- \"$cur\"))", strings.Join(f.choices, " "))
			case f.isFile():
				reply = "COMPREPLY=($(compgen -f -- \"$cur\"))"
			}
			fmt.Fprintf(&cases, "\t\t%s) %s; return ;;\n", strings.Join(f.names(), "|"), reply)
		}
		argument := "-f"
		switch kind, words := c.argumentKind(); kind {
		case "pid":
			argument = "-W \"$(command ls /proc 2>/dev/null | command grep '^[0-9]')\""
		case "command":
			argument = "-c"
		case "words":
			argument = "-W '" + strings.Join(words, " ") + "'"
		}
		fmt.Fprintf(&cases, "\t\tesac\n\t\tif [[ $cur == -* ]]; then\n\t\t\tCOMPREPLY=($(compgen -W '%s' -- \"$cur\"))\n"+
			"\t\telse\n\t\t\tCOMPREPLY=($(compgen %s -- \"$cur\"))\n\t\tfi\n\t\t;;\n", strings.Join(flags, " "), argument)
	}
	return fmt.Sprintf("# bash completion of minidump: source <(minidump completion bash)\n_minidump() {\n"+
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n\tCOMPREPLY=()\n"+
		"\tif [[ $COMP_CWORD -eq 1 ]]; then\n\t\tCOMPREPLY=($(compgen -W '%s --help --version' -- \"$cur\"))\n\t\treturn\n\tfi\n"+
		"\tcase ${COMP_WORDS[1]} in\n%s\tesac\n}\ncomplete -o filenames -F _minidump minidump\n",
		strings.Join(names, " "), cases.String())
}

// shellQuoted returns text in single quotes, for a POSIX shell.
func shellQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func zshCompletion() string {
	inSpec := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`)
	var b, describe strings.Builder
	for _, c := range subcommands() {
		fmt.Fprintf(&describe, "\t\t%s\n", shellQuoted(c.name+":"+inSpec.Replace(c.summary)))
		fmt.Fprintf(&b, "\t%s)\n\t\t_arguments -s \\\n", c.name)
		all := c.flags().all()
		for i := range all {
			f := &all[i]
			action := ""
			switch {
			case f.value == "":
			case f.choices != nil:
				action = ":" + inSpec.Replace(f.value) + ":(" + strings.Join(f.choices, " ") + ")"
			case f.isFile():
				action = ":" + inSpec.Replace(f.value) + ":_files"
			default:
				action = ":" + inSpec.Replace(f.value) + ": "
			}
			if f.optional {
				action = ":" + action
			}
			for _, name := range f.names() {
				if f.value != "" && strings.HasPrefix(name, "--") {
					name += "="
					if f.optional {
						name += "-"
					}
				}
				fmt.Fprintf(&b, "\t\t\t%s \\\n", shellQuoted("*"+name+"["+inSpec.Replace(f.help)+"]"+action))
			}
		}
		argument := "*:file:_files"
		switch kind, words := c.argumentKind(); kind {
		case "pid":
			argument = "*:process:_pids"
		case "command":
			argument = "*::command:_normal"
		case "words":
			argument = "*:argument:(" + strings.Join(words, " ") + ")"
		}
		fmt.Fprintf(&b, "\t\t\t%s\n\t\t;;\n", shellQuoted(argument))
	}
	return "#compdef minidump\n# zsh completion of minidump\n_minidump() {\n\tlocal -a names=(\n" + describe.String() +
		"\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe subcommand names\n\t\treturn\n\tfi\n" +
		"\tlocal name=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n\tcase $name in\n" + b.String() +
		"\tesac\n}\ncompdef _minidump minidump\n"
}

func fishCompletion() string {
	quoted := func(text string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
	}
	var b strings.Builder
	b.WriteString("# fish completion of minidump\ncomplete -c minidump -f\n")
	for _, c := range subcommands() {
		fmt.Fprintf(&b, "complete -c minidump -n __fish_use_subcommand -a %s -d %s\n", c.name, quoted(c.summary))
		in := quoted("__fish_seen_subcommand_from " + c.name)
		all := c.flags().all()
		for i := range all {
			f := &all[i]
			fmt.Fprintf(&b, "complete -c minidump -n %s", in)
			if f.short != 0 {
				fmt.Fprintf(&b, " -s %c", f.short)
			}
			if f.long != "" {
				b.WriteString(" -l " + f.long)
			}
			switch {
			case f.value == "":
			case f.choices != nil:
				b.WriteString(" -x -a " + quoted(strings.Join(f.choices, " ")))
			case f.isFile():
				b.WriteString(" -r -F")
			default:
				b.WriteString(" -x")
			}
			fmt.Fprintf(&b, " -d %s\n", quoted(f.help))
		}
		switch kind, words := c.argumentKind(); kind {
		case "pid":
			fmt.Fprintf(&b, "complete -c minidump -n %s -x -a '(__fish_complete_pids)'\n", in)
		case "command":
			fmt.Fprintf(&b, "complete -c minidump -n %s -x -a '(__fish_complete_subcommand)'\n", in)
		case "words":
			if len(words) > 0 {
				fmt.Fprintf(&b, "complete -c minidump -n %s -x -a %s\n", in, quoted(strings.Join(words, " ")))
			}
		default:
			fmt.Fprintf(&b, "complete -c minidump -n %s -F\n", in)
		}
	}
	return b.String()
}
