//go:build !ios

package crash

import (
	"syscall"
	"time"

	"minidump/mach"
)

// How long the monitor waits for the end of a program that has closed its end of the socket, and how often it checks.
const (
	endPatience = 10 * time.Second
	endPause    = 2 * time.Millisecond
)

// endOf waits for the end of process pid, which has the start time in before, and returns how it ended. The system reports
// that until the parent has reaped the process.
func endOf(pid int, before *mach.ProcBSDInfo) End {
	for end := time.Now().Add(endPatience); time.Now().Before(end); time.Sleep(endPause) {
		var i mach.ProcBSDInfo
		if i.ReadEnded(pid) != nil || i.StartSec != before.StartSec || i.StartUSec != before.StartUSec {
			return End{}
		}
		if i.Status != mach.SZOMB {
			continue
		}
		if status := syscall.WaitStatus(i.XStatus); status.Signaled() {
			return End{Known: true, Signal: status.Signal()}
		} else {
			return End{Known: true, Status: status.ExitStatus()}
		}
	}
	return End{Alive: true}
}

// crashed reports whether a signal of a fault or an abort ended the program.
func (e End) crashed() bool {
	switch e.Signal {
	case syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGSEGV, syscall.SIGSYS, syscall.SIGTRAP:
		return true
	}
	return false
}
