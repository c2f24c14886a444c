package main

import (
	"strings"
	"testing"

	"minidump/internal/scratch"
)

func TestWrongUsage(t *testing.T) {
	for _, c := range []struct {
		args, message string
	}{
		{"", "minidump: no subcommand given\nTry 'minidump --help'.\n"},
		{"frob", "minidump: unknown subcommand \"frob\"\nTry 'minidump --help'.\n"},
		{"dump", "minidump dump: no PID given\nTry 'minidump dump --help'.\n"},
		{"dump 0", "minidump dump: PID: \"0\" is not an id\n"},
		{"dump -7", "minidump dump: unknown flag -7\n"},
		{"dump -- -7", "minidump dump: PID: \"-7\" is not an id\n"},
		{"dump 99999999999", "is not an id"},
		{"dump 1 2", "minidump dump: expected one PID, got \"2\" as well\n"},
		{"dump --frob 1", "minidump dump: unknown flag --frob\n"},
		{"dump 1 --frob=x", "minidump dump: unknown flag --frob\n"},
		{"dump -frob 1", "minidump dump: unknown flag -frob\n"},
		{"dump 1 -o", "minidump dump: --output needs a value: --output FILE\n"},
		{"dump 1 --limit", "minidump dump: --limit needs a value: --limit SIZE\n"},
		{"dump 1 --limit=", "minidump dump: --limit: \"\" is not a size"},
		{"dump 1 --limit 0", "minidump dump: --limit: the size is 0\n"},
		{"dump 1 --limit 1X", "minidump dump: --limit: \"1X\" is not a size"},
		{"dump 1 --stack-limit 99999999999G", "is not a size"},
		{"dump 1 --json=yes", "minidump dump: --json takes no value\n"},
		{"dump 1 --mode some", "minidump dump: --mode: \"some\" is not stack, indirect or full\n"},
		{"dump 1 --sanitize=some", "minidump dump: --sanitize: \"some\" is neither stacks nor all\n"},
		{"dump 1 --sanitize=", "minidump dump: --sanitize= needs a value\n"},
		{"dump 1 --omit environ,x", "minidump dump: --omit: \"x\" is not environ, cmdline or handles\n"},
		{"dump 1 --timeout 5", "minidump dump: --timeout: \"5\" is not a duration"},
		{"dump 1 --timeout -1s", "is not a duration"},
		{"dump 1 --thread me", "minidump dump: --thread: \"me\" is not an id\n"},
		{"dump 1 --app-memory 0x10", "minidump dump: --app-memory: \"0x10\" is not ADDR+LEN"},
		{"dump 1 --app-memory 0x10+0", "minidump dump: --app-memory: the size is 0\n"},
		{"dump 1 --app-memory 0xffffffffffffffff+2", "extends past the end of the address space"},
		{"dump 1 --annotation key", "minidump dump: --annotation: \"key\" is not KEY=VALUE\n"},
		{"wer", "minidump wer: expected install or uninstall, and FILE\n"},
		{"wer remove x", "minidump wer: \"remove\" is none of install, uninstall\n"},
		{"show", "minidump show: no FILE given\n"},
		{"show a b", "minidump show: expected one FILE, got \"b\" as well\n"},
		{"show a --json --stream x", "minidump show: --stream and --json can't be used together\n"},
	} {
		t.Run(c.args, func(t *testing.T) {
			o := run(t, scratch.Dir(t), strings.Fields(c.args)...)
			o.want(t, 2, c.message)
			if o.out != "" || strings.Count(o.err, "\n") != 2 {
				t.Errorf("printed %q and %q; want nothing and two lines", o.out, o.err)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, c := range []struct {
		args, text string
	}{
		{"--help", "minidump dump [FLAGS] PID"},
		{"-h", "minidump show [FLAGS] FILE"},
		{"help", "2 wrong usage"},
		{"help dump", "--app-memory ADDR+LEN"},
		{"dump --help", "Usage: minidump dump [FLAGS] PID|NAME\n"},
		{"dump 1 -h", "-o, --output FILE"},
		{"show -h", "Usage: minidump show [FLAGS] FILE\n"},
	} {
		t.Run(c.args, func(t *testing.T) {
			o := run(t, scratch.Dir(t), strings.Fields(c.args)...)
			o.want(t, 0, "")
			if o.err != "" || !strings.Contains(o.out, c.text) {
				t.Errorf("printed %q and %q; want %q", o.out, o.err, c.text)
			}
			for line := range strings.Lines(o.out) {
				if len(line) > 81 {
					t.Errorf("longer than 80 columns: %q", line)
				}
			}
		})
	}
}
