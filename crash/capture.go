//go:build linux || windows || (darwin && !ios)

package crash

import (
	"slices"
	"strings"
	"time"

	"minidump"
)

// captured is a dump of the program, stopped in its report.
type captured struct {
	path        string
	kind        string
	tid         int
	crash       bool   // the exception has the registers and the cause of the crash, not of the report
	registers   string // of KeyRegisters, if crash; empty for registersFault
	noFault     bool   // no fault led to the report, even if the report says so
	fatal       string // the text of a fatal error; empty if it is not known
	says        string // replaces the report if there is none
	annotations []minidump.Annotation
}

// Values of KeyRegisters.
const (
	registersFault   = "fault"
	registersUnwound = "unwound"
	registersReport  = "report"
)

// findThread sets c.tid to the thread that find returns. The first write of the report has passed, and the thread is
// about to block in the second: find is called until it returns a thread, for at most a second.
func (c *captured) findThread(find func() int) {
	for try := 0; c.tid == 0 && try < 1000; try++ {
		if c.tid = find(); c.tid == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// newWriter returns the Writer of a dump about the thread c.tid, with room for the report.
func (c *captured) newWriter(pid int, o Options, notes area) (*minidump.Writer, error) {
	return minidump.NewWriter(pid, c.options(o, notes))
}

// options returns the options of newWriter's Writer.
func (c *captured) options(o Options, notes area) minidump.Options {
	opts := o.Dump
	opts.Thread, opts.Crash = c.tid, nil
	opts.Annotations = append(slices.Clip(opts.Annotations), readNotes(notes)...)
	opts.UserStreams = append(slices.Clip(opts.UserStreams), minidump.UserStream{Type: TextStream, Data: make([]byte, maxText)})
	c.annotations = opts.Annotations
	return opts
}

// write writes the dump.
func (c *captured) write(w *minidump.Writer) error {
	registers := registersReport
	if c.crash {
		if registers = c.registers; registers == "" {
			registers = registersFault
		}
	}
	w.SetAnnotations(append(slices.Clip(c.annotations),
		minidump.Annotation{Key: KeyKind, Value: c.kind},
		minidump.Annotation{Key: KeyRegisters, Value: registers},
		minidump.Annotation{Key: KeyReport, Value: strings.Repeat(" ", maxReport)}))
	_, err := w.DumpFile(c.path)
	return err
}
