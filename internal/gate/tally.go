package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// counts holds numbers of test results; a test and each of its subtests count.
type counts struct{ Passed, Failed, Skipped int }

func (c *counts) add(d counts) {
	c.Passed += d.Passed
	c.Failed += d.Failed
	c.Skipped += d.Skipped
}

func (c counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.Passed, c.Failed, c.Skipped)
}

// failure is a failed test, or a package that failed outside a test, and its output.
type failure struct {
	Package, Test, Output string
	died                  bool // the package's tests ended early, and others may not have run
}

func (f failure) name() string { return strings.TrimSpace(f.Package + " " + f.Test) }

// tally collects the results of one or more runs of go test. The zero tally is ready for use.
type tally struct {
	counts
	Failures []failure
	Repeated []failure      // tests that failed and then passed at the second try; they count as passed
	passed   map[string]int // number of tests that passed, by package
	unbuilt  bool           // a package did not build
	Skips    map[string]int // how often a test was skipped, by the reason it printed
}

// add adds the results of another run.
func (t *tally) add(u *tally) {
	t.counts.add(u.counts)
	t.Failures = append(t.Failures, u.Failures...)
	t.Repeated = append(t.Repeated, u.Repeated...)
	t.unbuilt = t.unbuilt || u.unbuilt
	for name, n := range u.passed {
		t.pass(name, n)
	}
	for reason, n := range u.Skips {
		t.skip(reason, n)
	}
}

func (t *tally) pass(name string, n int) {
	if t.passed == nil {
		t.passed = map[string]int{}
	}
	t.passed[name] += n
}

func (t *tally) skip(reason string, n int) {
	if t.Skips == nil {
		t.Skips = map[string]int{}
	}
	t.Skips[reason] += n
}

// lacking matches how our tests report that a program they need is missing.
var lacking = regexp.MustCompile(`(?:^|[\s:])(\S+) is missing`)

// skips returns a table of the missing tools and the number of tests skipped for each, or "" if no tool was missing.
func (t *tally) skips() string {
	tools, others := map[string]int{}, 0
	for reason, n := range t.Skips {
		if m := lacking.FindStringSubmatch(reason); m != nil {
			tools[m[1]] += n
		} else {
			others += n
		}
	}
	if len(tools) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintln(&b, "skipped for a missing tool:")
	for _, tool := range slices.Sorted(maps.Keys(tools)) {
		fmt.Fprintf(&b, "  %4d  %s\n", tools[tool], tool)
	}
	if others > 0 {
		fmt.Fprintf(&b, "  %4d  for other reasons, which go test -v prints\n", others)
	}
	return b.String()
}

// event is a line of go test -json: see go doc test2json and, for the build events, go help buildjson.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build event
	Test       string
	Output     string
}

// maxOutput is the maximum size in bytes of the output kept of one test: its end is kept.
const maxOutput = 64 << 10

// reader turns the events of one go test into a tally and readable output.
type reader struct {
	tally   *tally
	out     eventWriter
	printed map[[2]string]*bytes.Buffer // what a package and test printed, until its result is known
	failed  map[string]int              // failed tests of a package
}

// eventWriter receives the output of tests: a log, or a person's terminal.
type eventWriter interface {
	// line writes output of a test as it arrives.
	line(e event)
	// result writes the end of a test, or of a package if e.Test is empty, with everything that it printed itself.
	result(e event, printed string)
}

// read consumes events until r ends. A line that is not an event, such as a message of the go command, is output.
func (t *tally) read(r io.Reader, out eventWriter) error {
	s := reader{tally: t, out: out, printed: map[[2]string]*bytes.Buffer{}, failed: map[string]int{}}
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				e = event{Action: "output", Output: string(line)}
			}
			s.event(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *reader) event(e event) {
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "output", "build-output":
		if e.Package == "" {
			key[0] = e.ImportPath
		}
		b := s.printed[key]
		if b == nil {
			b = &bytes.Buffer{}
			s.printed[key] = b
		}
		b.WriteString(e.Output)
		if excess := b.Len() - maxOutput; excess > 0 {
			b.Next(excess)
		}
		s.out.line(e)
	case "pass", "fail", "skip":
		printed := ""
		if b := s.printed[key]; b != nil {
			printed = b.String()
			delete(s.printed, key)
		}
		s.result(e, printed)
		s.out.result(e, printed)
	case "build-fail":
		s.tally.unbuilt = true
		b := s.printed[[2]string{e.ImportPath}]
		if b != nil {
			s.tally.Failures = append(s.tally.Failures, failure{Package: "build of " + e.ImportPath, Output: b.String()})
			delete(s.printed, [2]string{e.ImportPath})
		}
	}
}

func (s *reader) result(e event, printed string) {
	t := s.tally
	switch {
	case e.Action == "pass" && e.Test != "":
		t.Passed++
		t.pass(e.Package, 1)
	case e.Action == "skip" && e.Test != "":
		t.Skipped++
		t.skip(reason(printed), 1)
	case e.Action == "fail" && e.Test != "":
		t.Failed++
		s.failed[e.Package]++
		t.Failures = append(t.Failures, failure{Package: e.Package, Test: e.Test, Output: printed})
	case e.Action == "fail" && s.failed[e.Package] == 0: // did not build, or exited by itself
		t.Failed++
		t.Failures = append(t.Failures, failure{Package: e.Package, Output: printed, died: true})
	case e.Action == "fail" && !ended.MatchString(printed):
		for i := range t.Failures {
			t.Failures[i].died = t.Failures[i].died || t.Failures[i].Package == e.Package
		}
	}
}

// ended matches what the testing package prints for a package after the last test, if a test failed.
var ended = regexp.MustCompile(`(?m)^FAIL$`)

var position = regexp.MustCompile(`^\s*\S+\.go:\d+: `)

// reason returns the last line that a skipped test printed, without the position in its source.
func reason(printed string) string {
	last := ""
	for line := range strings.Lines(printed) {
		if text := strings.TrimSpace(line); text != "" && !marker(text) {
			last = position.ReplaceAllString(line, "")
		}
	}
	if last = strings.TrimSpace(last); last == "" {
		return "no reason"
	}
	return last
}

// marker reports whether a line was printed by the testing package itself.
func marker(line string) bool {
	return strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ")
}

// goTest runs go test -json, under a wrapper if there is one, counts the results in t, and writes the readable output. It
// returns the error of the go command, which it also returns if a test failed.
func goTest(ctx context.Context, t *tally, wrapper, env []string, out eventWriter, args ...string) error {
	argv := slices.Concat(wrapper, []string{"go", "test", "-json"}, args)
	cmd := command(ctx, env, argv[0], argv[1:]...)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return err
	}
	err = t.read(r, out)
	r.Close()
	if e := cmd.Wait(); err == nil {
		err = e
	}
	return err
}

// command returns an exec.Cmd with additional environment variables (K=V; the last one of a name counts) that
// is interrupted first and killed later when ctx ends.
func command(ctx context.Context, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// logger writes all output as it arrives, as go test -v does.
type logger struct{ io.Writer }

func (l logger) line(e event)         { io.WriteString(l, e.Output) }
func (l logger) result(event, string) {}

// printer writes what go test writes without -v: a line for each package, and the output of failed tests.
type printer struct{ io.Writer }

func (p printer) line(e event) {
	if e.Package == "" {
		io.WriteString(p, e.Output)
	}
}

func (p printer) result(e event, printed string) {
	if e.Test != "" && e.Action != "fail" {
		return
	}
	for line := range strings.Lines(printed) {
		if !strings.HasPrefix(line, "=== ") && line != "PASS\n" {
			io.WriteString(p, line)
		}
	}
}
