package main

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// events is what go test -json printed for tests of all kinds, shortened: a test with subtests, skipped ones, a package
// that exited by itself, one that did not build, one without tests, and a line of the go command that is not an event.
const events = `go: downloading golang.org/x/sys v0.50.0
{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"=== RUN   TestOne\n"}
{"Action":"run","Package":"m/a","Test":"TestOne/sub"}
{"Action":"output","Package":"m/a","Test":"TestOne/sub","Output":"    a_test.go:9: got 1, want 2\n"}
{"Action":"output","Package":"m/a","Test":"TestOne/sub","Output":"    --- FAIL: TestOne/sub (0.00s)\n"}
{"Action":"fail","Package":"m/a","Test":"TestOne/sub","Elapsed":0}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"--- FAIL: TestOne (0.00s)\n"}
{"Action":"fail","Package":"m/a","Test":"TestOne","Elapsed":0}
{"Action":"output","Package":"m/a","Test":"TestTwo","Output":"--- PASS: TestTwo (0.00s)\n"}
{"Action":"pass","Package":"m/a","Test":"TestTwo","Elapsed":0}
{"Action":"output","Package":"m/a","Test":"TestTool","Output":"    victims.go:105: victims: gcc is missing\n"}
{"Action":"output","Package":"m/a","Test":"TestTool","Output":"--- SKIP: TestTool (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestTool","Elapsed":0}
{"Action":"output","Package":"m/a","Test":"TestRoot","Output":"    a_test.go:40: only root can\n"}
{"Action":"output","Package":"m/a","Test":"TestRoot","Output":"--- SKIP: TestRoot (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestRoot","Elapsed":0}
{"Action":"output","Package":"m/a","Output":"FAIL\n"}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a\t0.002s\n"}
{"Action":"fail","Package":"m/a","Elapsed":0.002}
{"Action":"start","Package":"m/exits"}
{"Action":"output","Package":"m/exits","Output":"panic: in init\n"}
{"Action":"output","Package":"m/exits","Output":"FAIL\tm/exits\t0.002s\n"}
{"Action":"fail","Package":"m/exits","Elapsed":0.002}
{"ImportPath":"m/broken [m/broken.test]","Action":"build-output","Output":"broken/x.go:3:1: syntax error\n"}
{"ImportPath":"m/broken [m/broken.test]","Action":"build-fail"}
{"Action":"start","Package":"m/broken"}
{"Action":"output","Package":"m/broken","Output":"FAIL\tm/broken [build failed]\n"}
{"Action":"fail","Package":"m/broken","Elapsed":0,"FailedBuild":"m/broken [m/broken.test]"}
{"Action":"start","Package":"m/none"}
{"Action":"output","Package":"m/none","Output":"?   \tm/none\t[no test files]\n"}
{"Action":"skip","Package":"m/none","Elapsed":0}
`

func TestTally(t *testing.T) {
	var got tally
	var log bytes.Buffer
	if err := got.read(strings.NewReader(events), logger{&log}); err != nil {
		t.Fatal(err)
	}
	if want := (counts{Passed: 1, Failed: 4, Skipped: 2}); got.counts != want {
		t.Errorf("counts %v, want %v", got.counts, want)
	}
	var names []string
	for _, f := range got.Failures {
		names = append(names, f.name())
	}
	want := []string{"m/a TestOne/sub", "m/a TestOne", "m/exits", "build of m/broken [m/broken.test]", "m/broken"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("failures %q, want %q", names, want)
	}
	if out := got.Failures[0].Output; !strings.Contains(out, "got 1, want 2") {
		t.Errorf("output of the failed test: %q", out)
	}
	if out := got.Failures[3].Output; !strings.Contains(out, "syntax error") {
		t.Errorf("output of the failed build: %q", out)
	}
	if want := map[string]int{"victims: gcc is missing": 1, "only root can": 1}; !reflect.DeepEqual(got.Skips, want) {
		t.Errorf("reasons %v, want %v", got.Skips, want)
	}
	if want := "skipped for a missing tool:\n     1  gcc\n     1  for other reasons, which go test -v prints\n"; got.skips() != want {
		t.Errorf("table %q, want %q", got.skips(), want)
	}
	for _, part := range []string{"go: downloading", "=== RUN   TestOne", "syntax error", "[no test files]"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log lacks %q", part)
		}
	}
}

// TestPrinter checks that the output is what go test shows without -v.
func TestPrinter(t *testing.T) {
	var got tally
	var out bytes.Buffer
	if err := got.read(strings.NewReader(events), printer{&out}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, part := range []string{"go: downloading", "got 1, want 2", "--- FAIL: TestOne/sub", "FAIL\tm/a", "panic: in init", "syntax error", "no test files"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not printed:\n%s", part, text)
		}
	}
	for _, part := range []string{"TestTwo", "gcc is missing", "=== RUN"} {
		if strings.Contains(text, part) {
			t.Errorf("%q is printed:\n%s", part, text)
		}
	}
}

func TestOutputIsBounded(t *testing.T) {
	var in strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&in, `{"Action":"output","Package":"p","Test":"T","Output":"line %d of a long output\n"}`+"\n", i)
	}
	in.WriteString(`{"Action":"fail","Package":"p","Test":"T"}` + "\n")
	var got tally
	if err := got.read(strings.NewReader(in.String()), logger{&bytes.Buffer{}}); err != nil {
		t.Fatal(err)
	}
	out := got.Failures[0].Output
	if len(out) > maxOutput || !strings.HasSuffix(out, "line 9999 of a long output\n") {
		t.Errorf("kept %d bytes that end with %q", len(out), out[max(0, len(out)-40):])
	}
}

func TestAddTallies(t *testing.T) {
	a := tally{counts: counts{1, 0, 1}, Skips: map[string]int{"x": 1}}
	a.add(&tally{counts: counts{2, 1, 2}, Failures: []failure{{Test: "t", Output: "out"}}, Skips: map[string]int{"x": 1, "y": 1}})
	want := tally{counts: counts{3, 1, 3}, Failures: []failure{{Test: "t", Output: "out"}}, Skips: map[string]int{"x": 2, "y": 1}}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("got %+v, want %+v", a, want)
	}
}
