package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"minidump/internal/vm"
)

// newTestGate creates a module, changes to its folder and returns a gate for it.
func newTestGate(t *testing.T, files map[string]string) *gate {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
	return &gate{ctx: context.Background(), cache: t.TempDir(), logs: t.TempDir(), module: "example.com/m"}
}

const goMod = "module example.com/m\n\ngo 1.26\n"

// TestJobCountsRealTests runs the go command.
func TestJobCountsRealTests(t *testing.T) {
	g := newTestGate(t, map[string]string{"go.mod": goMod, "a/a_test.go": `package a

import "testing"

func TestPasses(t *testing.T) { t.Run("sub", func(t *testing.T) {}) }
func TestSkips(t *testing.T)  { t.Skip("x is missing") }
func TestFails(t *testing.T)  { t.Error("as it should") }
`, "b/b.go": "package b\n"})
	o := g.run(&stage{name: "unit", counted: true, run: func(j *job) error { return j.test(nil, "./...") }})
	if want := (counts{2, 1, 1}); o.tally.counts != want || o.err == nil {
		t.Errorf("%v, %v; want %v and an error", o.tally.counts, o.err, want)
	}
	if len(o.tally.Failures) != 1 || !strings.Contains(o.tally.Failures[0].Output, "as it should") {
		t.Errorf("failures %+v", o.tally.Failures)
	}
	o = g.run(&stage{name: "again", counted: true, run: func(j *job) error { return j.test(nil, "-run", "TestNone", "./...") }})
	if !errors.Is(o.err, errNoTest) {
		t.Errorf("a stage that ran no test ended with %v", o.err)
	}
	if c := o.count(); c != (counts{Failed: 1}) {
		t.Errorf("it counts as %v", c)
	}
}

func TestPackages(t *testing.T) {
	test := func(p string) string { return "package " + p + "\n" }
	g := newTestGate(t, map[string]string{"go.mod": goMod, "root.go": test("m"), "root_test.go": test("m"),
		"a/a_windows_test.go": test("a"), "a/a.go": test("a"), "b/c/c_test.go": test("c"), "b/d/d.go": test("d"), "bc/x_test.go": test("bc")})
	j := &job{gate: g, log: &bytes.Buffer{}}
	for _, c := range []struct{ platform, want string }{
		{"linux/amd64", "./. ./bc"}, {"windows/amd64", "./. ./a ./bc"},
	} {
		got, err := j.packages(platformEnv(c.platform), below("b"))
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, %v, want %q", c.platform, got, err, c.want)
		}
	}
}

// TestReadSuite reads what internal/vm/suite prints in a machine that dies during the fourth of five packages.
func TestReadSuite(t *testing.T) {
	mark := func(e vm.SuiteEvent) string {
		b, _ := json.Marshal(e)
		return "\n" + vm.SuiteMark + string(b) + "\n"
	}
	start := func(p string) string { return mark(vm.SuiteEvent{Package: p, Event: vm.EventStart}) }
	end := func(p string, exit int) string {
		return mark(vm.SuiteEvent{Package: p, Event: vm.EventExit, Exit: exit, Seconds: 1})
	}
	const frame = "\x16" // of -test.v=test2json
	text := "boot\n" + start("a") + frame + "=== RUN   TestA\n" + frame + "--- PASS: TestA (0.00s)\n" + frame + "=== NAME  \n" + frame + "PASS" + end("a", 0) +
		start("b") + frame + "=== RUN   TestB\n    b_test.go:1: wrong\n" + frame + "--- FAIL: TestB (0.00s)\n" + frame + "=== NAME  \n" + frame + "FAIL" + end("b", 1) +
		start("exits") + frame + "PASS" + end("exits", 2) + start("c") + frame + "=== RUN   TestC\nfatal"
	var log bytes.Buffer
	j := &job{gate: newTestGate(t, map[string]string{"go.mod": goMod}), log: &log}
	results, err := j.readSuite(strings.NewReader(text), []string{"a", "b", "exits", "c", "d"})
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]counts{"a": {Passed: 1}, "b": {Failed: 1}, "exits": {Failed: 1}, "c": {Failed: 1}, "d": {Failed: 1}} {
		got := results[p]
		if got.counts != want || (len(got.Failures) > 0) != (want.Failed > 0) {
			t.Errorf("%s: %v, %+v, want %v", p, got.counts, got.Failures, want)
		}
	}
	if !strings.Contains(results["b"].Failures[0].Output, "wrong") || !strings.Contains(results["c"].Failures[0].Output, "fatal") {
		t.Errorf("%+v, %+v", results["b"], results["c"])
	}
	if !strings.Contains(log.String(), "boot") || !strings.Contains(log.String(), "wrong") {
		t.Errorf("log %q", log.String())
	}
}

func TestStatic(t *testing.T) {
	g := newTestGate(t, map[string]string{"go.mod": goMod, "main.go": "package main\n\nfunc main() {}\n"})
	j := &job{gate: g, log: &bytes.Buffer{}}
	for _, c := range []struct {
		mode   string
		static bool
	}{{"exe", true}, {"pie", false}} {
		env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64"}
		if err := j.command(env, "go", "build", "-buildmode="+c.mode, "-o", "program", "."); err != nil {
			t.Fatal(err)
		}
		if err := static("program"); (err == nil) != c.static {
			t.Errorf("%s: %v", c.mode, err)
		}
	}
}

func TestModuleMayNeedNothingElse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"require example.com/x v1.0.0\n", "go.mod requires example.com/x"},
		{"go 1.99\n", "go.mod says go 1.99"},
	} {
		text := "module example.com/m\n\n" + c.text
		if !strings.Contains(text, "go 1.") {
			text += "\ngo 1.26\n"
		}
		g := newTestGate(t, map[string]string{"go.mod": text})
		// With this, go mod edit reads the file without requiring the toolchain that it names.
		t.Setenv("GOTOOLCHAIN", "local")
		err := checkModule(&job{gate: g, log: &bytes.Buffer{}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

func TestTimeIsUp(t *testing.T) {
	over := "--- FAIL: FuzzX (30.01s)\n    context deadline exceeded\nFAIL\n"
	if !timeIsUp(over) || timeIsUp(over+"Failing input written to testdata\n") || timeIsUp("--- FAIL: FuzzX\n") {
		t.Error("wrong verdict")
	}
}
