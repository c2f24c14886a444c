package main

import (
	"fmt"
	"slices"
	"strings"
)

// stage is one line of the gate.
type stage struct {
	name       string
	processors int      // how many it keeps busy; 0 means all: it runs alone
	after      []string // stages that must have ended before it starts, where they run at all
	counted    bool     // it fails if it ran no test
	byName     bool     // it runs only when it is named
	run        func(*job) error
}

// stages is the table of all stages, in the order in which they start if nothing holds them up. Those that measure time, or
// make the kernel write cores, run alone. An emulated machine keeps about one processor busy.
func stages() []*stage {
	list := []*stage{
		{name: "debian", processors: 1, run: installDebian},
		{name: "tools", processors: 1, after: []string{"debian"}, run: installTools},
		{name: "vm-setup", processors: 1, after: []string{"debian"}, run: setUpMachines},
		{name: "gofmt", processors: 1, run: checkFormat},
		{name: "mod", processors: 1, run: checkModule},
		{name: "vet", processors: 1, run: vet(platforms...)},
		{name: "vet-host", processors: 1, run: vetHost},
		{name: "build", processors: 1, after: []string{"vet"}, run: buildAll}, // both compile the standard library
		{name: "cgo", processors: 1, after: []string{"tools"}, run: buildWithCgo},
		{name: "packages", processors: 1, after: []string{"tools"}, counted: true, run: testPackages},
		{name: "staticcheck", processors: 1, run: runStaticcheck},
		{name: "lint", processors: 1, run: runLint},
		{name: "govulncheck", processors: 1, run: runGovulncheck},
		{name: "unit", after: []string{"tools"}, counted: true, run: testUnit},
		{name: "go-releases", byName: true, after: []string{"tools"}, counted: true, run: testReleases},
		{name: "goroutines", processors: 1, after: []string{"tools"}, counted: true, run: testGoroutines},
		{name: "newcomer", after: []string{"tools"}, counted: true, run: testNewcomer},
		{name: "user", byName: true, after: []string{"tools"}, counted: true, run: testUser},
		{name: "bare", byName: true, after: []string{"tools"}, counted: true, run: testBare},
		{name: "race", after: []string{"tools"}, counted: true, run: testRace},
		{name: "386", after: []string{"tools"}, counted: true, run: test386},
		{name: "wine", processors: 1, after: []string{"tools"}, counted: true, run: testWine},
		{name: "wine-386", processors: 1, after: []string{"tools"}, counted: true, run: testWine386},
		{name: "wine-arm64", processors: 1, after: []string{"tools"}, counted: true, run: testWineARM64},
		{name: "darwin", processors: 1, after: []string{"tools"}, counted: true, run: testDarwin},
		{name: "android", processors: 1, after: []string{"tools", "vm-setup"}, counted: true, run: testAndroid},
	}
	for _, m := range machines {
		list = append(list, &stage{name: "vm-" + m.arch, processors: 1, after: []string{"tools", "vm-setup"}, counted: true,
			run: m.test})
	}
	return append(list, &stage{name: "fuzz", counted: true, run: fuzz})
}

// quick are the stages of --quick. Of them vet-host is in no other run unless it is named, as vet includes it.
var quick = []string{"tools", "gofmt", "vet-host", "unit"}

// choose returns the stages that the arguments of the command name and those they come after, in the order of the table.
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
	for _, s := range slices.Backward(all) { // a stage comes after such as are above it
		if need[s.name] = need[s.name] || wanted(s); need[s.name] {
			for _, name := range s.after {
				need[name] = true
			}
		}
	}
	return slices.DeleteFunc(all, func(s *stage) bool { return !need[s.name] }), nil
}
