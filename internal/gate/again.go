package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A failed test runs again by itself. If it passes then, its stage passes, and the report names the test and shows what it
// printed the first time: the machines that the gate runs on, and the emulators that it starts, are at times slow or wrong in
// ways that a test can't tell from a fault of the project. Such a test must be investigated, but it does not fail the gate.
//
// If many tests fail, or a package does not build, there is no second try: the machine is then not the cause.
const maxRepeated = 8

// repeat runs the failed tests a second time, those that fail again a third time, and so on up to tries in all. run runs
// the tests of the given packages whose names match pattern, and returns the results of each package.
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
			// A test that failed must pass. A package that died must run to its end: all of its tests may be of the kind
			// that a machine skips.
			if u.Failed == 0 && (u.Passed > 0 || died(failed[name]) && u.Skipped > 0) {
				t.forgive(name, failed[name], u)
			}
		}
	}
}

// forgive removes the failures of a package from the counts and keeps them for the report. If the package died, its
// other tests ran only at the second try, whose results are again.
func (t *tally) forgive(name string, list []failure, again *tally) {
	n := len(list)
	if died(list) {
		n = again.Passed - t.passed[name]
	}
	t.Failures = slices.DeleteFunc(t.Failures, func(f failure) bool { return f.Package == name })
	t.Failed -= len(list)
	t.Passed += n
	t.pass(name, n)
	t.Repeated = append(t.Repeated, list...)
}

// died reports whether one of the failures ended its package early.
func died(list []failure) bool {
	return slices.ContainsFunc(list, func(f failure) bool { return f.died })
}

// anyTest matches the names of all tests, but not those of examples and fuzz tests.
const anyTest = "^Test"

// pattern returns a pattern for the names of the failed tests, or of all tests if a package died.
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

// repeatArgs returns the arguments of go test for some tests of some packages, derived from those of the whole run: flags
// first, then packages, and last -args with the tests' own arguments.
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
