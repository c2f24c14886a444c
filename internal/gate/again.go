package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A test that fails runs a second time by itself. If it passes then, its stage passes, and the report names the test and
// has what it printed the first time: the machines that the gate runs on, and the emulators that it starts, are at times
// slow or wrong in ways that no test can tell from a fault of ours. Such a test is to be looked into, but it holds up nobody.
//
// There is no second try where many tests fail, or a package does not build: that is no accident.
const maxRepeated = 8

// repeat gives the failed tests their second try, and those that fail again the next, up to tries in all. The function runs
// the tests of some packages whose names match a pattern, and returns what became of each package.
func (t *tally) repeat(tries int, run func(packages []string, pattern string) map[string]*tally) {
	for try := 1; try < tries && t.Failed > 0 && !t.unbuilt; try++ {
		wrong := slices.DeleteFunc(slices.Clone(t.Failures), func(f failure) bool { return f.died })
		if len(wrong) > maxRepeated {
			return
		}
		failed := map[string][]failure{}
		for _, f := range t.Failures {
			failed[f.Package] = append(failed[f.Package], f)
		}
		for name, u := range run(slices.Sorted(maps.Keys(failed)), pattern(t.Failures)) {
			if u.Failed == 0 && u.Passed > 0 {
				t.forgive(name, failed[name], u.Passed)
			}
		}
	}
}

// forgive takes the failures of a package out of the counts and keeps them for the report. The other tests of a package
// that died have run only at the second try, in which as many passed as passed says.
func (t *tally) forgive(name string, list []failure, passed int) {
	n := len(list)
	if slices.ContainsFunc(list, func(f failure) bool { return f.died }) {
		n = passed - t.passed[name]
	}
	t.Failures = slices.DeleteFunc(t.Failures, func(f failure) bool { return f.Package == name })
	t.Failed -= len(list)
	t.Passed += n
	t.pass(name, n)
	t.Repeated = append(t.Repeated, list...)
}

// anyTest matches the names of all tests, but not those of examples and fuzz tests.
const anyTest = "^Test"

// pattern matches the names of the tests that failed, or of all if a package died.
func pattern(failed []failure) string {
	var names []string
	for _, f := range failed {
		if f.died {
			return anyTest
		}
		name, _, _ := strings.Cut(f.Test, "/")
		if name = regexp.QuoteMeta(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return "^(" + strings.Join(names, "|") + ")$"
}

// repeatArgs are the arguments of go test for some tests of some packages, made of those for the whole run: flags come first,
// then packages, and last -args with what is the tests' own.
func repeatArgs(args, packages []string, pattern string) []string {
	isPackage := func(a string) bool { return a == "." || strings.HasPrefix(a, "./") }
	first := slices.IndexFunc(args, isPackage)
	if first < 0 {
		first = len(args)
	}
	list := slices.Clone(args[:first])
	if pattern != anyTest {
		list = append(list, "-run", pattern)
	}
	list = append(list, packages...)
	if own := slices.Index(args, "-args"); own >= 0 {
		list = append(list, args[own:]...)
	}
	return list
}
