package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	text := "=== RUN   TestA\n--- PASS: TestA (0.1s)\nsomething odd\n" + strings.Repeat("x", 1000) + "\n"
	if err := os.WriteFile(log, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := &report{out: &out}
	failed := tally{counts: counts{Passed: 5, Failed: 1, Skipped: 2}, Failures: []failure{{Package: "m/a", Test: "TestB", Output: "    a_test.go:1: why\n"}}}
	r.stage(outcome{stage: &stage{name: "gofmt"}, elapsed: 1200 * time.Millisecond, log: log})
	r.stage(outcome{stage: &stage{name: "unit"}, log: log, tally: tally{counts: counts{Passed: 7, Skipped: 1}}, note: "a note"})
	r.stage(outcome{stage: &stage{name: "db"}, log: log, tally: tally{counts: counts{Skipped: 1}}, note: "can't reach it"})
	r.stage(outcome{stage: &stage{name: "race"}, log: log, tally: failed, err: errors.New("exit status 1")})
	again := tally{counts: counts{Passed: 3}, Repeated: []failure{{Package: "m/a", Test: "TestSlow", Output: "too late\n"}}}
	r.stage(outcome{stage: &stage{name: "vm"}, log: log, tally: again})
	r.stage(outcome{stage: &stage{name: "386"}, log: log, err: errNoTest})
	if status := r.end(); status != exitFailed {
		t.Errorf("status %d", status)
	}
	got := out.String()
	for _, want := range []string{
		"ok    gofmt           1.2s  \n",
		"ok    unit            0.0s  7 tests, 1 skipped, a note\n",
		"ok    db              0.0s  SKIPPED: can't reach it\n",
		"FAIL  race            0.0s  5 tests, 1 failed, 2 skipped\n",
		"    FAILED m/a TestB\n        a_test.go:1: why\n",
		"    something odd\n",
		"    386: ran no test\n",
		"ok    vm              0.0s  3 tests, 1 at the second try\n    PASSED AT ITS SECOND TRY m/a TestSlow\n    too late\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(got, "TestA") || strings.Contains(got, strings.Repeat("x", 500)) {
		t.Error("noise is printed")
	}
	// gofmt and unit's 7 passed, race's 5, vm's 3; race's one failed and 386, which ran nothing.
	if !strings.HasSuffix(got, "\n16 passed, 2 failed, 4 skipped\n") {
		t.Error("wrong last line")
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestReportNothing(t *testing.T) {
	var out bytes.Buffer
	if r := (&report{out: &out}); r.end() != exitFailed || out.String() != "0 passed, 0 failed, 0 skipped\n" {
		t.Errorf("a gate that ran nothing passed: %q", out.String())
	}
}
