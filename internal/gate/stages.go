package main

import (
	"fmt"
	"slices"
	"strings"
)

// stage is one line of the gate.
type stage struct {
	name       string
	processors int      // how many processors it uses; 0 means all: it runs alone
	after      []string // stages that must have ended before it starts, if they run at all
	counted    bool     // it fails if it ran no test
	crashes    bool     // programs crash in it, or it measures time: such stages run one at a time, at a higher priority than the others
	byName     bool     // it runs only when named
	run        func(*job) error
}

// stages returns the table of all stages, in the order in which they start if nothing delays them. Tests change where the
// kernel writes cores (core_pattern of core(5)), and measure time. So the stages in which programs crash run one at a time, and the
// other stages run beside them at a lower priority. The stages in which programs crash start first, because together they take
// longest. An emulated machine uses about one processor.
func stages() []*stage {
	list := []*stage{
		{name: "debian", processors: 1, run: installDebian},
		{name: "tools", processors: 1, after: []string{"debian"}, run: installTools},
		{name: "vm-setup", processors: 1, after: []string{"debian"}, run: setUpMachines},
		{name: "gofmt", processors: 1, run: checkFormat},
		{name: "mod", processors: 1, run: checkModule},
		{name: "unit", processors: 1, after: []string{"tools"}, counted: true, crashes: true, run: testUnit},
		{name: "386", processors: 1, after: []string{"tools"}, counted: true, crashes: true, run: test386},
		{name: "wine", processors: 1, after: []string{"tools"}, counted: true, crashes: true, run: testWine},
		{name: "wine-386", processors: 1, after: []string{"tools"}, counted: true, crashes: true, run: testWine386},
		{name: "wine-arm64", processors: 1, after: []string{"tools"}, counted: true, crashes: true, run: testWineARM64},
		{name: "goroutines", processors: 1, after: []string{"tools"}, counted: true, crashes: true, run: testGoroutines},
		{name: "darwin", processors: 1, after: []string{"tools"}, counted: true, crashes: true, run: testDarwin},
		{name: "packages", processors: 1, after: []string{"tools"}, counted: true, crashes: true, run: testPackages},
		{name: "vet", processors: 1, run: vet(platforms...)},
		{name: "vet-host", processors: 1, run: vetHost},
		{name: "build", processors: 1, after: []string{"vet"}, run: buildAll}, // both compile the standard library
		{name: "cgo", processors: 1, after: []string{"tools"}, run: buildWithCgo},
		{name: "staticcheck", processors: 1, run: runStaticcheck},
		{name: "lint", processors: 1, run: runLint},
		{name: "govulncheck", processors: 1, run: runGovulncheck},
		{name: "race", processors: 1, after: []string{"tools"}, counted: true, run: testRace},
		{name: "android", processors: 1, after: []string{"tools", "vm-setup"}, counted: true, run: testAndroid},
	}
	for _, m := range machines {
		list = append(list, &stage{name: "vm-" + m.arch, processors: 1, after: []string{"tools", "vm-setup"}, counted: true,
			run: m.test})
	}
	return append(list,
		&stage{name: "newcomer", after: []string{"tools"}, counted: true, crashes: true, run: testNewcomer},
		&stage{name: "user", byName: true, after: []string{"tools"}, counted: true, crashes: true, run: testUser},
		&stage{name: "bare", byName: true, after: []string{"tools"}, counted: true, crashes: true, run: testBare},
		&stage{name: "go-releases", byName: true, after: []string{"tools"}, counted: true, crashes: true, run: testReleases},
		&stage{name: "fuzz", counted: true, run: fuzz})
}

// quick lists the stages of --quick. Of these, vet-host is in no other run unless it is named, because vet includes it.
var quick = []string{"tools", "gofmt", "unit", "vet-host"}

// choose returns the stages named by the arguments of the command and the stages that must precede them, in the order of the table.
func choose(all []*stage, args []string) ([]*stage, error) {
	if len(args) == 1 && args[0] == "--quick" {
		args = quick
	}
	if len(args) == 0 {
		return slices.DeleteFunc(all, func(s *stage) bool { return s.name == "vet-host" || s.byName }), nil
	}
	wanted := func(s *stage) bool {
		return slices.Contains(args, s.name) ||
			slices.Contains(args, "vm") && strings.HasPrefix(s.name, "vm-") && s.name != "vm-setup"
	}
	var names []string
	for _, s := range all {
		names = append(names, s.name)
	}
	for _, name := range args {
		if name != "vm" && !slices.Contains(names, name) {
			return nil, fmt.Errorf("no stage %s; there are: vm %s", name, strings.Join(names, " "))
		}
	}
	need := map[string]bool{}
	for _, s := range slices.Backward(all) { // the stages in an after list are above it in the table
		if need[s.name] = need[s.name] || wanted(s); need[s.name] {
			for _, name := range s.after {
				need[name] = true
			}
		}
	}
	return slices.DeleteFunc(all, func(s *stage) bool { return !need[s.name] }), nil
}
