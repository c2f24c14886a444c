package run

import (
	"fmt"

	"minidump/context"
)

// String describes in one line how the command ended, and the result of each dump.
func (r Result) String() string {
	text := fmt.Sprintf("process %d: %s", r.PID, ending(int32(r.Signal), r.ExitCode))
	if r.Unwatched != nil {
		text += fmt.Sprintf("; not watched: %v", r.Unwatched)
	}
	for i := range r.Dumps {
		text += "; " + r.Dumps[i].String()
	}
	return text
}

// String describes in one line which process died, of what, and where its dump is.
func (d Dump) String() string {
	text := fmt.Sprintf("%s (process %d, thread %d): %s", d.Name, d.PID, d.TID, d.Reason())
	if d.Err != nil {
		return fmt.Sprintf("%s: no dump: %v", text, d.Err)
	}
	return text + ": wrote " + d.Path
}

// ending returns the name of the signal that a process died of, or its exit status.
func ending(signal int32, exitCode int) string {
	if signal != 0 {
		return context.SignalNameArch(context.Native, signal)
	}
	return fmt.Sprintf("exit status %d", exitCode)
}
