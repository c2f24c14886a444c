package main

import (
	"fmt"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"minidump/internal/scratch"
)

// TestManual checks that man and mandoc accept the manual pages, and that the pages have each flag.
func TestManual(t *testing.T) {
	pages := []string{""}
	for _, c := range subcommands() {
		pages = append(pages, c.name)
	}
	for _, name := range pages {
		o := run(t, scratch.Dir(t), append([]string{"man"}, strings.Fields(name)...)...)
		o.want(t, 0, "")
		for _, c := range subcommands() {
			if c.name != name {
				continue
			}
			for _, f := range c.flags().all() {
				if !strings.Contains(strings.ReplaceAll(o.out, `\-`, "-"), strings.TrimSpace(f.usage())) {
					t.Errorf("%s: no %s", name, f.usage())
				}
			}
		}
		if _, err := exec.LookPath("man"); err == nil {
			if out, err := fed(t, o.out, "man", "--warnings", "-E", "utf8", "-l", "-"); err != nil || strings.Contains(out, "warning:") ||
				!strings.Contains(out, "SYNOPSIS") && !strings.Contains(out, "S\bS") {
				t.Errorf("man of %q: %v\n%s", name, err, out)
			}
		}
		if _, err := exec.LookPath("mandoc"); err == nil {
			if out, err := fed(t, o.out, "mandoc", "-T", "lint", "-W", "error"); err != nil {
				t.Errorf("mandoc of %q: %v\n%s", name, err, out)
			}
		}
	}
	run(t, scratch.Dir(t), "man", "frob").want(t, 2, `unknown subcommand "frob"`)
	run(t, scratch.Dir(t), "man", "show", "dump").want(t, 2, "expected one SUBCOMMAND")
}

// TestBashCompletion completes words as bash does at a terminal.
func TestBashCompletion(t *testing.T) {
	bash := tool(t, "bash")
	o := run(t, scratch.Dir(t), "completion", "bash")
	o.want(t, 0, "")
	for line, want := range map[string]string{"minidump sh": "show", "minidump dump --mo": "--mode", "minidump dump --mode i": "indirect",
		"minidump core --omit c": "cmdline", "minidump show -": "-v --verbose -b --brief --memory --json --stream -h --help",
		"minidump man comp": "completion", "minidump completion f": "fish", "minidump --v": "--version",
		"minidump dump --limit 1": "", "minidump frob x": "", "minidump show /etc/passw": "/etc/passwd /etc/passwd-",
		"minidump run bas": "bash"} {
		words := strings.Fields(line)
		script := fmt.Sprintf("%s\nCOMP_WORDS=(%s) COMP_CWORD=%d\n_minidump\necho \"${COMPREPLY[*]}\"", o.out, line, len(words)-1)
		out, err := fed(t, script, bash)
		got := strings.Fields(out)
		for _, w := range strings.Fields(want) {
			found := false
			for _, g := range got {
				found = found || g == w
			}
			if !found && w != "/etc/passwd-" {
				t.Errorf("%q: %q, %v; want %q", line, got, err, want)
			}
		}
		if want == "" && len(got) > 0 {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func TestZshCompletion(t *testing.T) {
	zsh := tool(t, "zsh")
	o := run(t, scratch.Dir(t), "completion", "zsh")
	o.want(t, 0, "")
	script := "autoload -Uz compinit; compinit -u -D\n" + o.out + "\nprint -- ${_comps[minidump]}\n"
	if out, err := fed(t, script, zsh, "-f"); err != nil || out != "_minidump\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestFishCompletion(t *testing.T) {
	fish := tool(t, "fish")
	o := run(t, scratch.Dir(t), "completion", "fish")
	o.want(t, 0, "")
	for line, want := range map[string]string{"minidump sh": "show", "minidump dump --mode i": "indirect", "minidump show --br": "--brief",
		"minidump man vers": "version"} {
		out, err := fed(t, o.out+"\ncomplete -C '"+line+"'\n", fish, "--no-config")
		if first, _, _ := strings.Cut(strings.TrimSpace(out), "\t"); err != nil || first != want {
			t.Errorf("%q: %q, %v; want %q", line, out, err, want)
		}
	}
}

func TestCompletionUsage(t *testing.T) {
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		run(t, scratch.Dir(t), args...).want(t, 2, "expected bash, zsh or fish")
	}
}

func TestVersion(t *testing.T) {
	for _, args := range []string{"version", "--version"} {
		o := run(t, scratch.Dir(t), args)
		o.want(t, 0, "")
		if !strings.HasPrefix(o.out, "minidump ") || !strings.Contains(o.out, " go1.") || strings.Count(o.out, "\n") != 1 {
			t.Errorf("%q", o.out)
		}
	}
	run(t, scratch.Dir(t), "version", "x").want(t, 2, "expected no arguments")
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-11-28T10:00:00Z"},
		{Key: "vcs.modified", Value: "true"}}}
	if got := versionText(info); !strings.HasPrefix(got, "minidump v1.2.3 (0123456789ab, 2026-11-28, modified) go") {
		t.Errorf("%q", got)
	}
	if got := versionText(nil); !strings.HasPrefix(got, "minidump (unknown) go") {
		t.Errorf("%q", got)
	}
}
