package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
)

// fuzzTest is a fuzz test of a package.
type fuzzTest struct{ pkg, name string }

// fuzz runs every fuzz test for FUZZTIME, as many at a time as there are processors, with one worker each.
func fuzz(j *job) error {
	period := os.Getenv("FUZZTIME")
	if period == "" {
		period = "3s"
	}
	list, err := j.fuzzTests()
	if err != nil {
		return err
	}
	j.note = period + " each"
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex // of the log and the tally
		queue = make(chan fuzzTest)
	)
	for range processors {
		wg.Go(func() {
			for t := range queue {
				out, err := command(j.ctx, nil, "go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", period,
					"-fuzzminimizetime", "1x", "-parallel", "1", "-timeout", "30m", t.pkg).CombinedOutput()
				mu.Lock()
				j.fuzzed(t, string(out), err)
				mu.Unlock()
			}
		})
	}
	for _, t := range list {
		queue <- t
	}
	close(queue)
	wg.Wait()
	return nil
}

// fuzzed counts a completed fuzz test.
func (j *job) fuzzed(t fuzzTest, out string, err error) {
	j.printf("fuzz %s %s\n", t.pkg, t.name)
	if err == nil || timeIsUp(out) {
		j.tally.Passed++
		return
	}
	j.tally.Failed++
	j.tally.Failures = append(j.tally.Failures, failure{Package: t.pkg, Test: t.name, Output: out})
}

var (
	deadline = regexp.MustCompile(`(?m)^ *context deadline exceeded$`)
	finding  = regexp.MustCompile(`Failing input|panic|_test\.go:`)
)

// timeIsUp reports whether a fuzz test ended only because its time was up: the go command sometimes reports that as a failure.
func timeIsUp(out string) bool { return deadline.MatchString(out) && !finding.MatchString(out) }

// fuzzTests lists the fuzz tests of this machine's platform.
func (j *job) fuzzTests() ([]fuzzTest, error) {
	out, err := j.output(nil, "go", "test", "-json", "-list", "^Fuzz", "./...")
	if err != nil {
		j.printf("%s\n", out)
		return nil, err
	}
	var list []fuzzTest
	for lines := bufio.NewScanner(bytes.NewReader([]byte(out))); lines.Scan(); {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Action == "output" && strings.HasPrefix(e.Output, "Fuzz") {
			list = append(list, fuzzTest{e.Package, strings.TrimSpace(e.Output)})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("found no fuzz test")
	}
	return list, nil
}
