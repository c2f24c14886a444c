package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"minidump/internal/backtrace"
	runner "minidump/run" // package tests define a function run
)

// watch runs the command, and returns how it ended.
func (r *runFlags) watch(argv []string) error {
	result, err := runner.Command(context.Background(), argv, runner.Options{
		Dump: r.options, Output: r.output, Keep: r.keep.Count, KeepFree: r.keep.Free, FollowChildren: r.follows(argv[0]),
		ExitCodes: r.exitCodes, IgnorePanics: r.ignorePanics, StandIn: true, OnDump: r.report, Warn: warnUnwatched,
		OnStuck: endStuck, DumpTimeout: hangTimeForTest,
	})
	var start *runner.StartError
	if errors.As(err, &start) {
		fmt.Fprintf(os.Stderr, "minidump: run %s: %v\n", printable(start.Name), start.Err)
		return exitStatus(start.Status())
	}
	if err != nil {
		return err
	}
	return exitStatus(result.Status())
}

// follows reports whether the processes that the command starts are watched too. By default they are if the command only
// starts other programs: a shell, a script, or the first command of a container.
func (r *runFlags) follows(command string) bool {
	switch {
	case r.followChildren != "":
		return r.followChildren == "yes"
	case os.Getpid() == 1:
		return true
	}
	path, err := exec.LookPath(command)
	if err != nil {
		return false
	}
	if slices.Contains(shells, filepath.Base(path)) {
		return true
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 2)
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == "#!"
}

// shells are programs that only start other programs.
var shells = []string{"sh", "ash", "bash", "dash", "ksh", "mksh", "zsh", "fish", "env", "nice", "nohup", "setsid", "stdbuf", "su", "sudo",
	"timeout", "xargs", "make", "tini", "dumb-init", "gosu", "su-exec"}

// report prints one line about a dump, and another if old dumps could not be deleted.
func (r *runFlags) report(d runner.Dump) {
	if d.PruneErr != nil {
		defer fmt.Fprintf(os.Stderr, "minidump: old dumps not deleted: %s\n", oneLine(strings.TrimPrefix(d.PruneErr.Error(), "minidump: ")))
	}
	incomplete := r.incomplete(&d.Result, d.Soft)
	var frames *backtrace.Result
	if d.Err == nil {
		var o backtrace.Options
		if d.Mounts != nil {
			o.Sources.Sysroot, o.Mounts = d.Mounts.Root, d.Mounts.Info
		}
		frames = r.backtraceWith(d.Path, o)
	}
	if d.Err == nil && r.json {
		_ = reportJSON(os.Stderr, d.Path, &d.Result, d.Soft, frames)
		if incomplete != nil {
			fmt.Fprintf(os.Stderr, "minidump: %s: %v\n", printable(d.Path), incomplete)
		}
		return
	}
	who := fmt.Sprintf("%s (process %d, thread %d): %s", printable(d.Name), d.PID, d.TID, d.Reason())
	if d.Err != nil {
		fmt.Fprintf(os.Stderr, "minidump: %s: no dump: %s\n", who, oneLine(strings.TrimPrefix(d.Err.Error(), "minidump: ")))
		return
	}
	line := fmt.Sprintf("minidump: %s: wrote %s, %s", who, printable(d.Path), bytesText(d.Result.Size))
	if n := len(d.Soft); n > 0 {
		line += fmt.Sprintf(" (%s missing)", count(n, "piece"))
	}
	if incomplete != nil {
		line += "; " + incomplete.Error()
	}
	fmt.Fprintln(os.Stderr, line)
	reportFrames(os.Stderr, frames)
}

func warnUnwatched(err error) {
	fmt.Fprintf(os.Stderr, "minidump: the command runs without being watched: %s\n", oneLine(strings.TrimPrefix(err.Error(), "minidump: ")))
}

// endStuck ends the command, so that a process whose dump hangs can die.
func endStuck(pid int) {
	endHanging("the dump of process %d hangs: the process is released and no longer watched", pid)
}
