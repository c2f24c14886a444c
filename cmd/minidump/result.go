package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"minidump"
	"minidump/internal/backtrace"
)

// write writes writer's dump to path, and reports the result.
func (w *writerFlags) write(writer *minidump.Writer, path string) error {
	out, err := openOutput(path, w.replaceLinks)
	if err != nil {
		return err
	}
	out.begins = func() { w.dog.writing(&w.options, out) }
	result, err := writer.Dump(out)
	w.dog.stop()
	soft := result.SoftErrors()
	if err = out.close(err); err != nil {
		return err
	}
	if w.json {
		to := os.Stdout
		if path == "-" {
			to = os.Stderr
		}
		if err := reportJSON(to, path, &result, soft, w.crashFrames(path)); err != nil {
			return err
		}
	} else {
		reportText(os.Stderr, path, &result, soft)
		reportFrames(os.Stderr, w.crashFrames(path))
	}
	return w.incomplete(&result, soft)
}

// incomplete returns an error if no thread has registers in the dump. Such a dump is of little use, but the file is
// kept.
func (w *writerFlags) incomplete(r *minidump.Result, soft []minidump.SoftError) error {
	if r.Threads > 0 && r.Stopped == 0 {
		return fmt.Errorf("the dump is incomplete: %s", w.whyNotStopped(r.Threads, soft))
	}
	return nil
}

// lateOp is the Op of the SoftError about a thread that did not stop in time.
const lateOp = "timed out waiting for the stop"

// whyNotStopped returns in plain words why threads could not be stopped.
func (w *writerFlags) whyNotStopped(threads int, soft []minidump.SoftError) string {
	late, timeout := 0, w.options.StopTimeout
	if timeout == 0 {
		timeout = minidump.DefaultStopTimeout
	}
	for i := range soft {
		switch {
		case soft[i].Op == lateOp:
			late++
		case strings.Contains(soft[i].Op, "another tracer"):
			return "another debugger is attached to the process"
		case soft[i].Op == "attach" && errors.Is(soft[i].Err, fs.ErrPermission):
			return "no permission to stop the process"
		}
	}
	if late > 0 {
		return fmt.Sprintf("%d of %s did not stop within %v", late, count(threads, "thread"), timeout)
	}
	return "it has the registers of no thread"
}

// reportText prints as text what was written and what is missing.
func reportText(to io.Writer, path string, r *minidump.Result, soft []minidump.SoftError) {
	const most = 10
	if path == "-" {
		path = "dump to standard output"
	}
	line := fmt.Sprintf("wrote %s: %s, %s, %s, %s", printable(path), bytesText(r.Size), count(r.Threads, "thread"),
		count(r.Modules, "module"), count(r.Ranges, "memory range"))
	if r.Pause > 0 {
		how := ""
		if r.Snapshot {
			how = " (snapshot)"
		}
		line += fmt.Sprintf("; stopped for %s%s, %s in all", milliseconds(r.Pause), how, milliseconds(r.Total))
	} else {
		line += fmt.Sprintf("; %s", milliseconds(r.Total))
	}
	fmt.Fprintln(to, line)
	late := 0
	for i := range soft {
		if soft[i].Op == lateOp {
			late++
		}
	}
	if late > 1 { // one line for all of them
		soft = slices.DeleteFunc(slices.Clone(soft), func(e minidump.SoftError) bool { return e.Op == lateOp })
		fmt.Fprintf(to, "warning: %d of %s did not stop in time\n", late, count(r.Threads, "thread"))
	}
	for i := range soft {
		if i == most && len(soft) > most+1 {
			fmt.Fprintf(to, "warning: and %d more\n", len(soft)-most)
			break
		}
		fmt.Fprintf(to, "warning: %s\n", oneLine(soft[i].Error()))
	}
}

// jsonResult is what --json prints.
type jsonResult struct {
	File     string      `json:"file"`
	Size     uint64      `json:"size"`
	PauseNS  int64       `json:"pause_ns"`
	TotalNS  int64       `json:"total_ns"`
	Snapshot bool        `json:"snapshot,omitempty"` // the memory is that of a copy-on-write copy of the process
	Threads  int         `json:"threads"`
	Modules  int         `json:"modules"`
	Ranges   int         `json:"memory_ranges"`
	Memory   uint64      `json:"memory_bytes"`
	Errors   []jsonError `json:"errors"`

	Signature string      `json:"signature,omitempty"` // what crashes of this kind have in common
	Frames    []frameInfo `json:"frames,omitempty"`    // of the thread that the dump is about
}

// jsonError is a soft error. Text is the whole error in one line.
type jsonError struct {
	Text    string `json:"text"`
	Op      string `json:"op"`
	Thread  int    `json:"thread,omitempty"`
	Address hex    `json:"address,omitempty"`
	Subject string `json:"subject,omitempty"`
	Error   string `json:"error,omitempty"`
}

func reportJSON(to io.Writer, path string, r *minidump.Result, soft []minidump.SoftError, b *backtrace.Result) error {
	j := jsonResult{File: path, Size: r.Size, PauseNS: r.Pause.Nanoseconds(), TotalNS: r.Total.Nanoseconds(),
		Threads: r.Threads, Modules: r.Modules, Ranges: r.Ranges, Memory: r.Memory, Errors: []jsonError{}}
	for i := range soft {
		e := &soft[i]
		entry := jsonError{Text: e.Error(), Op: e.Op, Thread: e.Thread, Address: hex(e.Address), Subject: e.Subject}
		if e.Err != nil {
			entry.Error = e.Err.Error()
		}
		j.Errors = append(j.Errors, entry)
	}
	if b != nil {
		j.Signature = b.Signature
		j.Frames = framesOf(b, b.Of(b.Blamed), func(s string) string { return s })
	}
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(&j)
}

// hex is a number that is the string "0x…" in JSON, because most JSON readers keep only 53 bits of a number.
type hex uint64

func (h hex) String() string { return fmt.Sprintf("%#x", uint64(h)) }

// MarshalText implements encoding.TextMarshaler, for encoding/json.
func (h hex) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// count returns "1 thread" or "2 threads".
func count[N int | uint32](n N, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// bytesText returns a size with at most three digits and a unit: "156 KB".
func bytesText(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, units := float64(n)/1024, "KMGTPE"
	for f >= 999.5 && len(units) > 1 {
		f, units = f/1024, units[1:]
	}
	if f < 9.95 && f != float64(int(f)) {
		return fmt.Sprintf("%.1f %cB", f, units[0])
	}
	return fmt.Sprintf("%.0f %cB", f, units[0])
}

// milliseconds returns a duration with two or three digits.
func milliseconds(d time.Duration) string {
	switch ms := d.Seconds() * 1000; {
	case ms < 1:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 10000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// oneLine returns text without characters that begin a new line or move the cursor of a terminal.
func oneLine(text string) string {
	return printable(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}
