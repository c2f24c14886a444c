package crash

import (
	"strconv"
	"syscall"
)

// End is how a program ended about which the runtime wrote no report.
type End struct {
	Known  bool           // the system reported how it ended
	Status int            // the exit status, on Windows the exit code; 0 if a signal ended the program
	Signal syscall.Signal // the signal that ended it; 0: no signal
	Alive  bool           // the program has not ended, but its reports go elsewhere: see debug.SetCrashOutput
}

func (e End) String() string {
	switch {
	case e.Alive:
		return "keeps running, but is no longer watched"
	case !e.Known:
		return "ended in an unknown way"
	case e.Signal != 0:
		return "was killed by signal " + strconv.Itoa(int(e.Signal)) + " (" + e.Signal.String() + ")"
	}
	return "ended with status " + strconv.Itoa(e.Status)
}
