//go:build linux

// Suite is run in a virtual machine by govm. It runs test binaries there, one after another: starting a machine costs more than the tests
// of most packages.
//
//	suite FOLDER LIMIT PACKAGE... -- ARG...
//
// PACKAGE is a folder below FOLDER, and the working folder of the only file *.test in it, which is run with the ARGs. A binary that has
// not ended after LIMIT, a Go duration, is killed. Between the output of the binaries are lines of vm.SuiteMark and a vm.SuiteEvent.
// Everything that a binary leaves, processes, files in /tmp and the core pattern, is cleaned up before the next binary starts.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"minidump/internal/vm"
)

const corePattern = "/proc/sys/kernel/core_pattern"

func main() {
	end := slices.Index(os.Args, "--")
	if end < 4 {
		fmt.Fprintln(os.Stderr, "usage: suite FOLDER LIMIT PACKAGE... -- ARG...")
		os.Exit(2)
	}
	limit, err := time.ParseDuration(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(2)
	}
	pattern, _ := os.ReadFile(corePattern)
	for _, p := range os.Args[3:end] {
		say(vm.SuiteEvent{Package: p, Event: vm.EventStart})
		started := time.Now()
		status := run(filepath.Join(os.Args[1], p), limit, os.Args[end+1:])
		say(vm.SuiteEvent{Package: p, Event: vm.EventExit, Exit: status, Seconds: time.Since(started).Seconds()})
		cleanUp(pattern)
	}
}

func say(e vm.SuiteEvent) {
	line, _ := json.Marshal(e)
	fmt.Printf("\n%s%s\n", vm.SuiteMark, line) // the output of a binary may have ended within a line
}

// run returns the exit status of a folder's test binary, in govm's form, or vm.ExitExecFailed with a message.
func run(dir string, limit time.Duration, args []string) int {
	binaries, _ := filepath.Glob(filepath.Join(dir, "*.test"))
	if len(binaries) != 1 {
		fmt.Printf("suite: %d test binaries in %s\n", len(binaries), dir)
		return vm.ExitExecFailed
	}
	cmd := exec.Command(binaries[0], args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Start(); err != nil {
		fmt.Println("suite:", err)
		return vm.ExitExecFailed
	}
	late := time.AfterFunc(limit, func() {
		fmt.Printf("\nsuite: killed after %v\n", limit)
		cmd.Process.Kill()
	})
	defer late.Stop()
	cmd.Wait()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return vm.ExitSignal + int(status.Signal())
	}
	return status.ExitStatus()
}

// cleanUp kills all processes except init and this one, empties /tmp, and sets the core pattern.
func cleanUp(pattern []byte) {
	syscall.Kill(-1, syscall.SIGKILL)
	os.WriteFile(corePattern, pattern, 0)
	left, _ := filepath.Glob("/tmp/*")
	for _, path := range left {
		os.RemoveAll(path)
	}
}
