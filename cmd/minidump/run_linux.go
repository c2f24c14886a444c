package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	runner "minidump/run" // run is a function of the tests
)

// watch runs the command, and returns how it ended.
func (r *runFlags) watch(argv []string) error {
	result, err := runner.Command(argv, runner.Options{
		Dump: r.options, Output: r.output, Keep: r.keep, FollowChildren: r.followChildren, ExitCodes: r.exitCodes,
		StandIn: true, OnDump: r.report, Warn: warnUnwatched,
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

// report tells of a dump in one line, and in another of old ones that could not be deleted.
func (r *runFlags) report(d runner.Dump) {
	if d.PruneErr != nil {
		defer fmt.Fprintf(os.Stderr, "minidump: old dumps not deleted: %s\n", oneLine(strings.TrimPrefix(d.PruneErr.Error(), "minidump: ")))
	}
	if d.Err == nil && r.json {
		reportJSON(os.Stderr, d.Path, &d.Result, d.Soft)
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
	fmt.Fprintln(os.Stderr, line)
}

func warnUnwatched(err error) {
	fmt.Fprintf(os.Stderr, "minidump: the command runs unwatched: %s\n", oneLine(strings.TrimPrefix(err.Error(), "minidump: ")))
}
