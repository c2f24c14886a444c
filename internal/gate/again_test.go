package main

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestRepeat checks that a failed test is tried again by itself, up to three times in all, and what is counted then.
func TestRepeat(t *testing.T) {
	fails := func(names ...string) *tally {
		u := &tally{}
		for _, name := range names {
			u.Failed++
			f := failure{Package: "p", Test: strings.TrimSuffix(name, "!"), died: strings.HasSuffix(name, "!")}
			u.Failures = append(u.Failures, f)
		}
		return u
	}
	passes := func(n int) *tally { return &tally{counts: counts{Passed: n}} }
	var many []string
	for i := range maxRepeated + 1 {
		many = append(many, fmt.Sprint("Test", i))
	}
	for _, c := range []struct {
		name     string
		first    *tally
		later    []*tally
		patterns []string
		counts   counts
		repeated int
	}{
		{"passes", passes(4), nil, nil, counts{Passed: 4}, 0},
		{"heals", fails("TestA", "TestA/b", "TestC"), []*tally{passes(3)}, []string{"^(TestA|TestC)$"}, counts{Passed: 3}, 3},
		{"heals late", fails("TestA"), []*tally{fails("TestA"), passes(1)}, []string{"^(TestA)$", "^(TestA)$"}, counts{Passed: 1}, 1},
		{"stays", fails("TestA"), []*tally{fails("TestA"), fails("TestA")}, []string{"^(TestA)$", "^(TestA)$"}, counts{Failed: 1}, 0},
		{"died", fails("TestA!"), []*tally{passes(20)}, []string{"^Test"}, counts{Passed: 20}, 1},
		{"died, skips all", fails("!"), []*tally{{counts: counts{Skipped: 2}}}, []string{"^Test"}, counts{}, 1},
		{"died, runs nothing", fails("!"), []*tally{passes(0), passes(0)}, []string{"^Test", "^Test"}, counts{Failed: 1}, 0},
		{"skips", fails("TestA"), []*tally{{counts: counts{Skipped: 1}}, {counts: counts{Skipped: 1}}}, []string{"^(TestA)$", "^(TestA)$"}, counts{Failed: 1}, 0},
		{"runs nothing", fails("TestA"), []*tally{passes(0), passes(0)}, []string{"^(TestA)$", "^(TestA)$"}, counts{Failed: 1}, 0},
		{"many", fails(many...), nil, nil, counts{Failed: maxRepeated + 1}, 0},
		{"no build", &tally{counts: counts{Failed: 1}, unbuilt: true}, nil, nil, counts{Failed: 1}, 0},
	} {
		var patterns []string
		c.first.repeat(3, func(packages []string, pattern string) map[string]*tally {
			patterns = append(patterns, pattern)
			if !slices.Equal(packages, []string{"p"}) {
				t.Errorf("%s: %q are tried again", c.name, packages)
			}
			return map[string]*tally{"p": c.later[len(patterns)-1]}
		})
		if !slices.Equal(patterns, c.patterns) || c.first.counts != c.counts || len(c.first.Repeated) != c.repeated {
			t.Errorf("%s: %q, %v, %v", c.name, patterns, c.first.counts, c.first.Repeated)
		}
		if c.counts.Failed == 0 && len(c.first.Failures) > 0 {
			t.Errorf("%s: failures %v", c.name, c.first.Failures)
		}
	}
}

func TestRepeatArgs(t *testing.T) {
	for _, c := range []struct{ args, pattern, want string }{
		{"-timeout 10m -run ^TestWine .", "^(TestWineA)$", "-timeout 10m -run ^TestWine -run ^(TestWineA)$ m/a"},
		{"-p 1 ./...", anyTest, "-p 1 m/a"},
		{"./x ./y -args -dumps /d", "^(TestA)$", "-run ^(TestA)$ m/a -args -dumps /d"},
	} {
		if got := repeatArgs(strings.Fields(c.args), []string{"m/a"}, c.pattern); !reflect.DeepEqual(got, strings.Fields(c.want)) {
			t.Errorf("%s: %q", c.args, got)
		}
	}
}

// TestSecondTry runs the go command on tests that fail only the first time: one that returns, and one that ends the
// program before the later tests run.
func TestSecondTry(t *testing.T) {
	flaky := func(name, end string) string {
		return `package ` + name + `

import (
	"os"
	"testing"
)

func TestFlaky(t *testing.T) {
	if os.Mkdir("once", 0o755) == nil {
		` + end + `
	}
}

func TestBehind(t *testing.T) {}
`
	}
	g := newTestGate(t, map[string]string{"go.mod": goMod, "a/a_test.go": flaky("a", `t.Error("slow")`), "b/b_test.go": flaky("b", `panic("slow")`)})
	j := &job{gate: g, log: &bytes.Buffer{}}
	err := j.test(nil, "./...")
	if want := (counts{Passed: 4}); err != nil || j.tally.counts != want || len(j.tally.Repeated) != 2 {
		t.Errorf("%v, %v, %v", err, j.tally.counts, j.tally.Repeated)
	}
}
