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

// standIn forwards the signals that this process gets to the command.
//
// Both are in one process group and on one terminal, so what is sent to the group (by the terminal, a shell's kill %1,
// a service manager) reaches the command by itself and must not be forwarded. The watch sees what arrives at the
// command. So a signal is forwarded if the same one has not arrived there within a moment, from anyone but us.
type standIn struct {
	incoming chan os.Signal
	unread   chan os.Signal   // SIGPIPE, with which no one does anything
	arrivals [65]atomic.Int64 // when each last arrived at the command; ptrace.Monotonic
	begun    chan struct{}    // closed when the command has started
	done     chan struct{}

	quiet sys.QuietStops // the loop waits in waitid and wants no SIGCHLD

	// When this process was last stopped and continued, together with the command.
	stopped, continued atomic.Int64

	command *liveCommand
	hurry   func() // called when this process gets SIGTERM
	blind   bool   // the command is not watched: no arrival is seen
}

// The times that a signal to the group may be apart here and there. A key typed at a terminal is far more often what sent
// a signal than someone who means this process alone, so those may wait longer.
const (
	arrivalBefore = 50 * time.Millisecond
	arrivalAfter  = 25 * time.Millisecond
	terminalApart = 300 * time.Millisecond
)

// forwarded are the signals that a program may be sent for a purpose. Those that tell of its own faults or children, Go's
// SIGURG, and SIGPIPE for what is written here, are not. Real-time signals are added.
var forwarded = []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGTERM,
	unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH, unix.SIGIO, unix.SIGPWR}

// fromTerminal are those that a terminal sends to the group in its foreground.
var fromTerminal = signalSet(unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGWINCH)

const firstRealTime, lastRealTime = 34, 64 // of which the C library leaves 32 and 33 out

// watchedArrivals are all that are forwarded.
var watchedArrivals = signalSet(forwarded...) | (1<<64 - 1<<(firstRealTime-1))

// standIn begins to take signals, before the command is started: none must be missed.
func (r *runner) standIn() {
	s := &standIn{incoming: make(chan os.Signal, 256), unread: make(chan os.Signal, 1), begun: make(chan struct{}),
		done: make(chan struct{}), command: &r.command, hurry: r.hurry}
	for _, n := range forwarded {
		if !signal.Ignored(n) { // as nohup has it; the command inherits that
			signal.Notify(s.incoming, n)
		}
	}
	for n := firstRealTime; n <= lastRealTime; n++ {
		signal.Notify(s.incoming, syscall.Signal(n))
	}
	// A message that no one can read must not end this process before the command. To ignore the signal would make the
	// command ignore it too.
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

// arrived notes that the command takes a signal that someone else sent.
func (s *standIn) arrived(n int32) {
	if n > 0 && int(n) < len(s.arrivals) {
		s.arrivals[n].Store(ptrace.Monotonic())
	}
}

// paused notes that this process was stopped until now. What came before that may be looked at only now.
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

// hasIt reports whether a signal that came here has come to the command too.
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
			return at.CompareAndSwap(t, 0) // it counts once
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
		return true // blocked there, and waiting: a second one would add nothing
	}
	// A blocked signal that is taken by sigwait or a signalfd is seen by no one.
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

// stopWith notes that the command has been stopped by a signal of job control: this process is to be stopped by the same,
// for the shell that waits for it. Without a terminal there is no such shell, and no one who would know to continue
// this process too.
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

// stopDelay is how long this process waits before it is stopped with the command: the stop that was seen may be over.
// So it is if this process was stopped and continued along with the command, and sees what happened only now. It is counted in
// looks, one each millisecond, as the time that this process was stopped itself is none in which it could have seen.
const stopDelay = 20 * time.Millisecond

// stopToo stops this process once the command has been stopped for stopDelay.
func (r *runner) stopToo() {
	s, ok := readThreadStatus(r.main)
	leaving := s.State == 'R' // on a busy machine it takes a while to where that is reported
	switch r.stopLooks++; {
	case !ok, r.signals.blind && s.State != 'T': // no one tells a blind one that it has been continued
		r.stopSignal = 0
		return
	case leaving, r.stopLooks <= int(stopDelay/time.Millisecond):
		time.Sleep(time.Millisecond)
		return
	}
	if stop, errno := r.watch.Peek(r.main); !r.signals.blind && (errno != 0 || stop.Kind != ptrace.KindNone) {
		return // it goes on: the loop will see it
	}
	n := r.stopSignal
	r.stopSignal = 0
	from := ptrace.Monotonic()
	stopSelf(n)
	r.signals.paused(from)
}

// stopSelf stops this process by signal n, and returns when it is continued. The action of n must be the default
// meanwhile, which signal.Reset does not make it.
func stopSelf(n int32) {
	action := new([2]sys.SigAction)
	old, byDefault := &action[0], &action[1]
	if unix.Signal(n) != unix.SIGSTOP {
		if sys.GetSigAction(int(n), old) != 0 || sys.SetSigAction(int(n), byDefault) != 0 {
			return
		}
	}
	// Sent to this thread it is taken before the call returns.
	sys.Tgkill(sys.Getpid(), sys.Gettid(), int(n))
	if unix.Signal(n) != unix.SIGSTOP {
		sys.SetSigAction(int(n), old)
	}
}
