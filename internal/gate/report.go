package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// outcome is how a stage ended.
type outcome struct {
	stage   *stage
	elapsed time.Duration
	tally   tally
	note    string // for its line
	log     string // file
	err     error  // why it failed; nil if it did not
}

// count returns what the outcome adds to the last line: its tests, or the stage itself if it ran none.
func (o *outcome) count() counts {
	c := o.tally.counts
	switch {
	case o.err != nil && c.Failed == 0:
		c.Failed = 1
	case o.err == nil && c == counts{}:
		c.Passed = 1
	}
	return c
}

// report prints outcomes, one at a time, and adds them up.
type report struct {
	mu    sync.Mutex
	out   io.Writer
	total counts
}

func (r *report) stage(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := o.count()
	r.total.add(c)
	verdict, text := "ok  ", o.text()
	switch {
	case o.err != nil:
		verdict = "FAIL"
	case c.Passed == 0:
		text = "SKIPPED: " + text
	}
	fmt.Fprintf(r.out, "%s  %-12s %s  %s\n", verdict, o.stage.name, duration(o.elapsed), text)
	if o.err != nil {
		io.WriteString(r.out, indent(o.excerpt()))
	}
	for _, f := range o.tally.Repeated {
		fmt.Fprintf(r.out, "    PASSED AT ITS SECOND TRY %s\n%s", f.name(), indent(lastLines(f.Output, repeatedLines)))
	}
}

// text returns the right part of an outcome's line.
func (o *outcome) text() string {
	var parts []string
	if t := o.tally; t.Passed+t.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d tests", t.Passed))
		if t.Failed > 0 {
			parts = append(parts, fmt.Sprintf("%d failed", t.Failed))
		}
		if t.Skipped > 0 {
			parts = append(parts, fmt.Sprintf("%d skipped", t.Skipped))
		}
		if n := len(t.Repeated); n > 0 {
			parts = append(parts, fmt.Sprintf("%d at the second try", n))
		}
	}
	if o.note != "" {
		parts = append(parts, o.note)
	}
	return strings.Join(parts, ", ")
}

// Limits on what is printed of a failed stage.
const (
	maxFailures   = 20
	failureLines  = 40 // of one failure
	repeatedLines = 12 // of one that passed at its second try
	logLines      = 25 // from the end of the log
	maxLineLength = 400
)

// excerpt returns what a person needs to see of a failed stage: what the failed tests printed, and the end of the log.
func (o *outcome) excerpt() string {
	var b strings.Builder
	for i, f := range o.tally.Failures {
		if i == maxFailures {
			fmt.Fprintf(&b, "... and %d more\n", len(o.tally.Failures)-i)
			break
		}
		fmt.Fprintf(&b, "FAILED %s\n%s", f.name(), lastLines(f.Output, failureLines))
	}
	if log, err := os.ReadFile(o.log); err == nil {
		if tail := lastLines(withoutPassed(log), logLines); tail != "" {
			fmt.Fprintf(&b, "... the log ends with:\n%s", tail)
		}
	}
	fmt.Fprintf(&b, "%s: %v\n", o.stage.name, o.err)
	return b.String()
}

// withoutPassed returns a log without the lines about tests that passed and those that only name a test.
func withoutPassed(log []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(log) {
		text := strings.TrimSpace(string(line))
		if !strings.HasPrefix(text, "=== ") && !strings.HasPrefix(text, "--- PASS: ") && !strings.HasPrefix(text, "--- SKIP: ") {
			b.Write(line)
		}
	}
	return b.String()
}

// lastLines returns the end of a text: at most n lines, each of limited length and with a line feed.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if text == "" {
		return ""
	}
	if len(lines) > n {
		lines = append([]string{"..."}, lines[len(lines)-n:]...)
	}
	for i, line := range lines {
		if len(line) > maxLineLength {
			lines[i] = line[:maxLineLength] + "..."
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    ") + "\n"
}

// end prints the last line and returns the exit status.
func (r *report) end() int {
	fmt.Fprintln(r.out, r.total)
	if r.total.Failed > 0 || r.total.Passed == 0 {
		return exitFailed
	}
	return exitPassed
}
