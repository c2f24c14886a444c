package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// gate is the state shared by all stages.
type gate struct {
	ctx    context.Context
	cache  string // folder of what is installed or built once
	logs   string // folder of this run
	module string // path of the module
}

// newGate sets the environment of all stages and creates the folders.
func newGate(ctx context.Context) (*gate, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	g := &gate{ctx: ctx, cache: filepath.Join(home, ".cache", "minidump-ci")}
	for _, name := range []string{"GOOS", "GOARCH", "CC"} {
		os.Unsetenv(name)
	}
	os.Setenv("CI", "true")
	os.Setenv("CGO_ENABLED", "0")
	os.Setenv("GOFLAGS", "-buildvcs=false")
	os.Setenv("PATH", strings.Join([]string{
		filepath.Join(g.cache, "cargo", "bin"), filepath.Join(g.cache, "venv", "bin"), os.Getenv("PATH"),
	}, string(os.PathListSeparator)))
	if err := os.MkdirAll(g.cache, 0o755); err != nil {
		return nil, err
	}
	if g.logs, err = os.MkdirTemp("", "minidump-gate-"); err != nil {
		return nil, err
	}
	module, err := command(ctx, nil, "go", "list", "-m").Output()
	g.module = strings.TrimSpace(string(module))
	return g, err
}

// job is one run of a stage: what the stage can use, and what it leaves for the report.
type job struct {
	*gate
	dir   string    // for files of this stage
	log   io.Writer // everything that its commands print
	tally tally
	note  string // shown in the line of the stage
}

// run runs a stage.
func (g *gate) run(s *stage) outcome {
	o := outcome{stage: s, log: filepath.Join(g.logs, s.name+".log")}
	started := time.Now()
	defer func() { o.elapsed = time.Since(started) }()
	j := &job{gate: g, dir: filepath.Join(g.logs, s.name)}
	if !s.crashes {
		lowerPriority()
	}
	log, err := os.Create(o.log)
	if err == nil {
		defer log.Close()
		err = os.Mkdir(j.dir, 0o755)
	}
	if err == nil {
		j.log = log
		err = s.run(j)
	}
	o.tally, o.note = j.tally, j.note
	if err == nil && j.tally.Failed > 0 {
		err = fmt.Errorf("%d failed", j.tally.Failed)
	}
	if err == nil && s.counted && j.tally.Passed == 0 {
		err = errNoTest
	}
	o.err = err
	o.elapsed = time.Since(started)
	return o
}

var errNoTest = fmt.Errorf("ran no test")

// printf writes to the log.
func (j *job) printf(format string, args ...any) { fmt.Fprintf(j.log, format, args...) }

// command runs a program, whose output goes to the log.
func (j *job) command(env []string, name string, args ...string) error {
	j.printf("+ %s %s %s\n", strings.Join(env, " "), name, strings.Join(args, " "))
	cmd := command(j.ctx, env, name, args...)
	cmd.Stdout, cmd.Stderr = j.log, j.log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// output runs a program and returns its standard output, without surrounding white space. Standard error goes to the log.
func (j *job) output(env []string, name string, args ...string) (string, error) {
	cmd := command(j.ctx, env, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, j.log
	err := cmd.Run()
	text := strings.TrimSpace(out.String())
	if err != nil {
		j.printf("+ %s %s\n%s\n", name, strings.Join(args, " "), text)
		return text, fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

// test runs go test -count=1 and counts the results.
func (j *job) test(env []string, args ...string) error {
	return j.testAs(nil, env, args...)
}

// testAs is like test, but runs the go command under wrapper, a program and its arguments.
func (j *job) testAs(wrapper, env []string, args ...string) error {
	run := func(args []string) (*tally, error) {
		args = append([]string{"-count=1"}, args...)
		j.printf("+ %s %s go test %s\n", strings.Join(env, " "), strings.Join(wrapper, " "), strings.Join(args, " "))
		t := &tally{}
		return t, goTest(j.ctx, t, wrapper, env, logger{j.log}, args...)
	}
	t, err := run(args)
	t.repeat(2, func(packages []string, pattern string) map[string]*tally {
		results := map[string]*tally{}
		for _, p := range packages {
			results[p], _ = run(repeatArgs(args, []string{p}, pattern))
		}
		return results
	})
	j.tally.add(t)
	if err != nil && (t.Failed > 0 || len(t.Repeated) == 0) {
		return fmt.Errorf("go test: %w", err)
	}
	return nil
}

// binary builds a tool, PATH@VERSION, once, for this machine, and returns its path. (go run would build it for GOOS.)
func (j *job) binary(tool string) (string, error) {
	name := filepath.Base(tool)
	bin := filepath.Join(j.cache, "bin", name)
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if err := j.command([]string{"GOBIN=" + j.dir}, "go", "install", tool); err != nil {
		return "", err
	}
	program, _, _ := strings.Cut(name, "@")
	return bin, j.keep(filepath.Join(j.dir, program), bin)
}

// keep moves a finished file from anywhere into the cache, atomically.
func (j *job) keep(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	partial := fmt.Sprintf("%s.%d", to, os.Getpid())
	if err := j.command(nil, "cp", from, partial); err != nil {
		return err
	}
	return os.Rename(partial, to)
}

// packages lists the packages of the module that have tests for the platform of env, as ./PATH, except those for which
// skip returns true. skip receives the path in the module, "." for its root.
func (j *job) packages(env []string, skip func(path string) bool) ([]string, error) {
	out, err := j.output(env, "go", "list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", "./...")
	if err != nil {
		return nil, err
	}
	var list []string
	for _, name := range strings.Fields(out) {
		path := strings.TrimPrefix(strings.TrimPrefix(name, j.module), "/")
		if path == "" {
			path = "."
		}
		if !skip(path) {
			list = append(list, "./"+path)
		}
	}
	return list, nil
}

// below returns a function for packages that reports whether a path is one of prefixes or below one.
func below(prefixes ...string) func(path string) bool {
	return func(path string) bool {
		for _, p := range prefixes {
			if path == p || strings.HasPrefix(path, p+"/") {
				return true
			}
		}
		return false
	}
}
