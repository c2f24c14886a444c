package run

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/ptrace"
)

// standIn forwards signals that this process gets to the command.
//
// Both are in one process group and on one terminal, so signals to the group (from the terminal, a shell's kill %1, a
// service manager) reach the command directly and must not be forwarded. The watch sees the signals that arrive at the
// command. So a signal is forwarded only if the same one, from a sender other than this process, has not arrived there
// at nearly the same time.
type standIn struct {
	incoming chan os.Signal
	unread   chan os.Signal   // SIGPIPE, which is ignored
	arrivals [65]atomic.Int64 // time when each last arrived at the command; ptrace.Monotonic
	begun    chan struct{}    // closed when the command has started
	done     chan struct{}

	quiet sys.QuietStops // the loop waits in waitid and needs no SIGCHLD

	// When this process was last stopped and continued, together with the command.
	stopped, continued atomic.Int64

	command *liveCommand
	hurry   func() // called when this process gets SIGTERM
	blind   bool   // the command is not watched: its arrivals are not seen
}

// Maximum differences between the arrivals of a signal to the group at this process and at the command. Signals that a
// terminal can send have a larger one: a key typed there is far more often their source than somebody who signals only
// this process.
const (
	arrivalBefore = 50 * time.Millisecond
	arrivalAfter  = 25 * time.Millisecond
	terminalApart = 300 * time.Millisecond
)

// forwarded are the signals that somebody may send to a program on purpose, and the real-time signals, which are added.
// Signals about this process's own faults, children and writes (SIGPIPE), and Go's SIGURG, are not forwarded.
var forwarded = []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGTERM,
	unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH, unix.SIGIO, unix.SIGPWR}

// fromTerminal are the signals that a terminal sends to its foreground process group.
var fromTerminal = signalSet(unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGWINCH)

const firstRealTime, lastRealTime = 34, 64 // the C library reserves 32 and 33

// watchedArrivals are all forwarded signals.
var watchedArrivals = signalSet(forwarded...) | (1<<64 - 1<<(firstRealTime-1))

// standIn begins to receive signals. It is called before the command is started, so that none is missed.
func (r *runner) standIn() {
	s := &standIn{incoming: make(chan os.Signal, 256), unread: make(chan os.Signal, 1), begun: make(chan struct{}),
		done: make(chan struct{}), command: &r.command, hurry: r.hurry}
	for _, n := range forwarded {
		if !signal.Ignored(n) { // nohup ignores SIGHUP; the command inherits that
			signal.Notify(s.incoming, n)
		}
	}
	for n := firstRealTime; n <= lastRealTime; n++ {
		signal.Notify(s.incoming, syscall.Signal(n))
	}
	// A message that nobody can read must not end this process before the command. If this process ignored the signal,
	// the command would ignore it too.
	signal.Notify(s.unread, unix.SIGPIPE)
	r.signals = s
	s.quiet.Begin()
	go s.forward()
}

func (s *standIn) stop() {
	signal.Stop(s.incoming)
	signal.Stop(s.unread)
	close(s.done)
	s.quiet.End()
}

// begin records that the command runs, and whether it is watched.
func (s *standIn) begin(watched bool) {
	s.blind = !watched
	close(s.begun)
}

// arrived records that a signal from another process arrives at the command.
func (s *standIn) arrived(n int32) {
	if n > 0 && int(n) < len(s.arrivals) {
		s.arrivals[n].Store(ptrace.Monotonic())
	}
}

// paused records that this process was stopped until now. Signals that came before the stop may be handled only now.
func (s *standIn) paused(from int64) {
	s.stopped.Store(from)
	s.continued.Store(ptrace.Monotonic())
}

func (s *standIn) forward() {
	select {
	case <-s.begun:
	case <-s.done:
		return
	}
	for {
		select {
		case got := <-s.incoming:
			if got == unix.SIGTERM {
				s.hurry()
			}
			if n, ok := got.(syscall.Signal); ok && !s.hasIt(n) {
				s.command.send(n)
			}
		case <-s.done:
			return
		}
	}
}

// hasIt reports whether a signal that this process got has also arrived at the command.
func (s *standIn) hasIt(n syscall.Signal) bool {
	if int(n) >= len(s.arrivals) {
		return false
	}
	at := &s.arrivals[n]
	now := ptrace.Monotonic()
	before, after := int64(arrivalBefore), int64(arrivalAfter)
	if signalBit(int32(n))&fromTerminal != 0 && inForeground() {
		before, after = int64(terminalApart), int64(terminalApart)
	}
	for {
		since := now - before
		if c := s.continued.Load(); c != 0 && now-c < int64(time.Second) {
			since = min(since, s.stopped.Load()-int64(arrivalBefore+stopDelay))
		}
		if t := at.Load(); t > since && t != 0 {
			return at.CompareAndSwap(t, 0) // each arrival counts once
		}
		if ptrace.Monotonic() > now+after {
			break
		}
		time.Sleep(time.Millisecond)
	}
	b, err := os.ReadFile(procPath(s.command.pid, "status"))
	if err != nil {
		return false
	}
	status := procfs.ParseStatus(b)
	bit := signalBit(int32(n))
	if (status.SigPnd|status.ShdPnd)&bit != 0 && n < firstRealTime {
		return true // blocked and pending in the command: a second one would have no effect
	}
	// The watch does not see a blocked signal that the command receives by sigwait or a signalfd.
	return (s.blind || status.SigBlk&bit != 0) && bit&fromTerminal != 0 && inForeground()
}

// inForeground reports whether this process is in the foreground group of its terminal.
func inForeground() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// stopWith records that a job control signal has stopped the command: the same signal must stop this process, for the
// shell that waits for it. Without a terminal there is no such shell, and nobody would continue this process.
func (r *runner) stopWith(n int32) {
	if r.signals == nil {
		return
	}
	fd, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	unix.Close(fd)
	if r.stopSignal == 0 {
		r.stopLooks = 0
	}
	r.stopSignal = n
}

// stopDelay is how long this process waits before it stops itself after the command: the command's stop may already be over,
// for example if this process was stopped and continued with the command and sees the stop only now. The delay is counted in
// checks, one each millisecond, because this process cannot check while it is stopped itself.
const stopDelay = 20 * time.Millisecond

// stopToo stops this process once the command has been stopped for stopDelay.
func (r *runner) stopToo() {
	s, ok := readThreadStatus(r.main)
	leaving := s.State == 'R' // on a busy machine the thread takes a while to report the stop
	switch r.stopLooks++; {
	case !ok, r.signals.blind && s.State != 'T': // a blind stand-in gets no report that the command continues
		r.stopSignal = 0
		return
	case leaving, r.stopLooks <= int(stopDelay/time.Millisecond):
		time.Sleep(time.Millisecond)
		return
	}
	if stop, errno := r.watch.Peek(r.main); !r.signals.blind && (errno != 0 || stop.Kind != ptrace.KindNone) {
		return // the command continues: the loop will see it
	}
	n := r.stopSignal
	r.stopSignal = 0
	from := ptrace.Monotonic()
	stopSelf(n)
	r.signals.paused(from)
}

// stopSelf stops this process with signal n, and returns after it is continued. Meanwhile the action of n must be the
// default, which signal.Reset does not set.
func stopSelf(n int32) {
	action := new([2]sys.SigAction)
	old, byDefault := &action[0], &action[1]
	if unix.Signal(n) != unix.SIGSTOP {
		if sys.GetSigAction(int(n), old) != 0 || sys.SetSigAction(int(n), byDefault) != 0 {
			return
		}
	}
	// A signal sent to this thread is delivered before the call returns.
	sys.Tgkill(sys.Getpid(), sys.Gettid(), int(n))
	if unix.Signal(n) != unix.SIGSTOP {
		sys.SetSigAction(int(n), old)
	}
}
