package crash

import (
	"time"

	"golang.org/x/sys/windows"
)

// endPatience bounds how long the monitor waits for the end of a program that has closed its end of the pipe.
const endPatience = 10 * time.Second

// endOf waits for the end of a process and returns its exit code.
func endOf(process windows.Handle) End {
	switch e, err := windows.WaitForSingleObject(process, uint32(endPatience.Milliseconds())); {
	case e == uint32(windows.WAIT_TIMEOUT):
		return End{Alive: true}
	case err != nil || e != windows.WAIT_OBJECT_0:
		return End{}
	}
	var code uint32
	if err := windows.GetExitCodeProcess(process, &code); err != nil {
		return End{}
	}
	return End{Known: true, Status: int(code)}
}

// crashed reports whether the exit code is that of an exception: an NTSTATUS with the severity error.
func (e End) crashed() bool { return e.Known && uint32(e.Status)>>30 == 3 }
