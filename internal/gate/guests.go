package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"minidump/internal/vm"
)

// guest is what a machine receives: files of this machine (DST=SRC) and environment variables.
type guest struct{ files, env []string }

// add copies a file or folder into the guest and sets a variable to its path there.
func (g *guest) add(to, from, variable string) {
	g.files = append(g.files, to+"="+from)
	if variable != "" {
		g.env = append(g.env, variable+"=/"+to)
	}
}

// guestTests describes tests that run in one machine, under internal/vm/suite.
type guestTests struct {
	guest
	arch     string   // of the machine, a GOARCH
	pattern  string   // of the names of the tests that run
	platform string   // what the tests are built for
	packages []string // ./PATH
	out      string   // folder that receives what the tests write to /out; or empty
}

// Time limits: one package's tests print where they hang after the first and are killed after the second; the machine is killed after
// the third.
const (
	guestTestTimeout = 15 * time.Minute
	guestKill        = guestTestTimeout + time.Minute
	guestTimeout     = 60 * time.Minute
)

// testInGuest runs the tests and returns the results of each package.
func (j *job) testInGuest(g guestTests) (map[string]*tally, error) {
	dir, err := os.MkdirTemp(j.dir, "guest")
	if err != nil {
		return nil, err
	}
	files := slices.Clone(g.files)
	binaries := filepath.Join(dir, "bin") + string(filepath.Separator)
	env := platformEnv(g.platform)
	args := slices.Concat([]string{"-c", "-ldflags=-w", "-o", binaries}, g.packages)
	j.printf("+ %s go test %s\n", strings.Join(env, " "), strings.Join(args, " "))
	if err := goTest(j.ctx, &j.tally, nil, env, logger{j.log}, args...); err != nil {
		return nil, fmt.Errorf("build the tests for %s: %w", g.platform, err)
	}
	for _, p := range g.packages {
		name := path.Base(path.Join(j.module, p)) + ".test"
		to := path.Join("data/tests", p)
		files = append(files, path.Join(to, name)+"="+filepath.Join(binaries, name))
		if data := filepath.Join(p, "testdata"); exists(data) {
			files = append(files, path.Join(to, "testdata")+"="+data)
		}
	}
	suite := filepath.Join(dir, "suite")
	if err := j.command(platformEnv("linux/"+g.arch), "go", "build", "-o", suite, "./internal/vm/suite"); err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	argv := slices.Concat([]string{g.arch, suite, "/data/tests", guestKill.String()}, g.packages,
		[]string{"--", "-test.v=test2json", "-test.paniconexit0", "-test.run=" + g.pattern, "-test.timeout=" + guestTestTimeout.String()})
	govmEnv := []string{"GOVM_FILES=" + strings.Join(files, " "), "GOVM_ENV=" + strings.Join(g.env, " "),
		fmt.Sprintf("GOVM_TIMEOUT=%d", int(guestTimeout.Seconds())), "GOVM_OUT=" + g.out}
	j.printf("+ %s govm %s\n", strings.Join(govmEnv, " "), strings.Join(argv, " "))
	cmd := command(j.ctx, govmEnv, filepath.Join(cache, "govm", "govm"), argv...)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	results, err := j.readSuite(r, g.packages)
	r.Close()
	return results, errors.Join(err, cmd.Wait())
}

// readSuite reads the output of the suite to its end. A package that is not mentioned in it has failed.
func (j *job) readSuite(r io.Reader, packages []string) (map[string]*tally, error) {
	results := map[string]*tally{}
	for _, p := range packages {
		results[p] = &tally{counts: counts{Failed: 1}, Failures: []failure{{Package: p, Output: "it did not run", died: true}}}
	}
	var current string
	var printed bytes.Buffer
	ended := func(e vm.SuiteEvent) error {
		t := &tally{}
		results[current] = t
		if e.Exit == 0 {
			fmt.Fprintf(&printed, "ok  \t%s\t%.3fs\n", current, e.Seconds)
		} else {
			fmt.Fprintf(&printed, "exit status %d\nFAIL\t%s\t%.3fs\n", e.Exit, current, e.Seconds)
		}
		text := printed.String()
		convert := command(j.ctx, nil, "go", "tool", "test2json", "-t", "-p", current)
		convert.Stdin, convert.Stderr = strings.NewReader(text), j.log
		events, err := convert.Output()
		if err != nil {
			return fmt.Errorf("test2json: %w", err)
		}
		err = t.read(bytes.NewReader(events), logger{j.log})
		if e.Exit != 0 && t.Failed == 0 { // the package's tests exited by themselves
			t.Failed++
			t.Failures = append(t.Failures, failure{Package: current, Output: text[max(0, len(text)-maxOutput):], died: true})
		}
		printed.Reset()
		current = ""
		return err
	}
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadString('\n')
		text, marked := strings.CutPrefix(line, vm.SuiteMark)
		var e vm.SuiteEvent
		switch {
		case !marked || json.Unmarshal([]byte(text), &e) != nil:
			if current != "" {
				printed.WriteString(line)
			} else if strings.TrimSpace(line) != "" {
				j.log.Write([]byte(line))
			}
		case e.Event == vm.EventStart:
			current = e.Package
		default:
			if err := ended(e); err != nil {
				return results, err
			}
		}
		switch {
		case err != nil && current != "": // the machine died while the package ran
			return results, ended(vm.SuiteEvent{Package: current, Exit: vm.ExitVMFailed})
		case err == io.EOF:
			return results, nil
		case err != nil:
			return results, err
		}
	}
}
