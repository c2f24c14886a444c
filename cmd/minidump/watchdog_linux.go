package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"minidump"
	"minidump/internal/deadline"
)

// watchdog ends the command if the dump of a live process hangs.
type watchdog struct {
	*deadline.Watch
	mu  sync.Mutex
	out *output
}

// How long a dump of a live process may take until its first bytes are written: hangTime or hangTimes the stop
// timeout, whichever is longer. In that time the process is stopped once, and files of its libraries are read,
// perhaps from a slow disk.
const (
	hangTime  = 10 * time.Second
	hangTimes = 30
)

// hangTimeForTest replaces hangTime in tests.
var hangTimeForTest time.Duration

// startWatchdog starts to watch a dump of a live process with the options o.
func startWatchdog(o *minidump.Options) *watchdog {
	d := &watchdog{Watch: deadline.New()}
	least := hangTime
	if hangTimeForTest != 0 {
		least = hangTimeForTest
	}
	limit := max(least, hangTimes*stopTimeout(o))
	d.arm(limit, fmt.Sprintf("the dump hangs: reading the process has not ended after %v", limit))
	return d
}

func stopTimeout(o *minidump.Options) time.Duration {
	if o.StopTimeout == 0 {
		return minidump.DefaultStopTimeout
	}
	return o.StopTimeout
}

// writing is called before the first bytes of the dump are written. The reader of the dump may be slow. The process
// runs meanwhile, or in mode full after Options.MaxPause at the latest, but the command would wait for the reader.
func (d *watchdog) writing(o *minidump.Options, out *output) {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.out = out
	d.mu.Unlock()
	if o.Mode != minidump.ModeFull {
		d.stop()
		return
	}
	pause := o.MaxPause
	if pause == 0 {
		pause = minidump.DefaultMaxPause
	}
	d.arm(stopTimeout(o)+pause+deadline.KillAfter, fmt.Sprintf("write %s: it accepted no more bytes; the process continues after a pause of %v", out.path, pause))
}

// arm ends the command after limit.
func (d *watchdog) arm(limit time.Duration, why string) {
	d.Arm(limit, func() {
		go fmt.Fprintf(os.Stderr, "minidump: %s\n", why) // the reader of standard error may be the stopped process
		time.Sleep(sayTime)
		d.mu.Lock() // never unlocked: the command ends here
		if d.out != nil {
			d.out.abandon()
		}
		os.Exit(1)
	})
}

// endHanging ends the command with a message.
func endHanging(format string, args ...any) {
	go fmt.Fprintf(os.Stderr, "minidump: "+format+"\n", args...) // the reader of standard error may be the stopped process
	time.Sleep(sayTime)
	os.Exit(1)
}

// sayTime is how long writing the last message of a hanging command may take.
const sayTime = deadline.KillAfter / 10

// stop stops the watchdog.
func (d *watchdog) stop() {
	if d != nil {
		d.Disarm()
	}
}
