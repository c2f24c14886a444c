package darwin

import (
	"syscall"
	"time"

	"minidump/internal/snapshot"
	"minidump/mach"
)

// How often ReadModules tries, and how long it waits between attempts: dyld changes its list within microseconds.
const (
	looks     = 50
	lookAgain = 2 * time.Millisecond
)

// ReadModules fills the module list of s while the task runs. It reports whether there is a list: a task that is just starting has none,
// and while dyld changes the list, nothing of it can be read. An image that is loaded or unloaded meanwhile may or may not be listed.
func (l *Source) ReadModules(s *snapshot.Snapshot) bool {
	for range looks {
		s.Begin(0)
		s.Target = snapshot.Target{Arch: Arch, Order: order, PageSize: l.mem.page}
		if l.captureList(s); l.entries.Len > 0 {
			l.readModules(s)
			return s.Modules.N > 0
		}
		if l.Ended() {
			return false
		}
		time.Sleep(lookAgain)
	}
	return false
}

// Ended reports whether the process of the task has ended.
func (l *Source) Ended() bool {
	_, kr := mach.PIDForTask(l.task)
	return kr != mach.KERN_SUCCESS || syscall.Kill(int(l.pid), 0) == syscall.ESRCH
}
