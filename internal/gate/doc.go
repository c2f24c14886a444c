// Gate is the program that .ci/run calls: it runs every check of the project in stages and prints one line for each.
//
//	gate                all stages
//	gate --quick        debian, tools, gofmt, vet of this machine's platform, unit
//	gate STAGE...       the named stages; vm stands for all of vm-arm64 ...
//	gate test [ARG...]  go test ./... (or ARG...), then how many tests were skipped and for which missing tool
//
// It must be run in the root of the module. FUZZTIME (default 5s) is the time for each fuzz test. The last line is "N passed, N failed, N
// skipped", and the exit status is 0 if nothing failed and something passed.
//
// The files: stages.go has the table of stages, schedule.go decides when each runs, job.go is what a stage can use, tally.go counts tests
// from the events of go test -json, again.go tries failed tests a second time, report.go prints. The stages themselves are in tools.go,
// checks.go, tests.go, packages.go, newcomer.go, machines.go and fuzz.go; guests.go runs tests in a machine.
package main
