package ptrace

import (
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// startAdopted starts a command from the calling OS thread, watched by w.
func startAdopted(w *Watch, cmd *exec.Cmd, options int) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Setpgid: true} // in an orphaned process group SIGTSTP does nothing
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	if e := w.Adopt(pid, new(unix.Sigset_t), options); e != 0 {
		return e
	}
	unix.Kill(pid, unix.SIGCONT)
	if s, e := w.Peek(int32(pid)); e != 0 || !s.GroupStop || s.Signal != int32(unix.SIGSTOP) {
		return fmt.Errorf("not in the group-stop of the start: %+v, %w", s, e)
	}
	if e := w.Continue(int32(pid), 0); e != 0 {
		return e
	}
	return nil
}

// serve continues all stops, until the process pid has ended or quit is closed. It passes each to note, with the number that
// belongs to an event. It runs functions from calls in between, on the same OS thread.
func serve(w *Watch, pid int, note func(Stop, uint32), calls <-chan func(), quit <-chan bool) error {
	for {
		select {
		case f := <-calls:
			f()
		case <-quit:
			return nil
		default:
		}
		s, e := w.Next(false, false)
		switch {
		case e == unix.EINTR:
			continue
		case e != 0:
			return e
		case s.Kind == KindNone:
			time.Sleep(50 * time.Microsecond)
			continue
		}
		if s.Event == unix.PTRACE_EVENT_EXEC {
			w.Pass(s.TID) // until then the kernel may refuse requests for the thread
		}
		var message uint32
		if s.Event != 0 && s.Event != PTRACE_EVENT_STOP {
			message, _ = w.EventMessage(s.TID)
		}
		note(s, message)
		switch {
		case s.Kind != KindStopped:
			w.Reap(s.TID)
			if int(s.TID) == pid {
				return nil
			}
		case s.Event == 0:
			w.Continue(s.TID, s.Signal)
		case s.GroupStop:
			w.Listen(s.TID)
		default:
			w.Continue(s.TID, 0)
		}
	}
}

// watched is a victim that an OS thread of its own watches.
type watched struct {
	*victim
	calls chan func()
	quit  chan bool // closed to end the watching thread
	ended chan bool // closed when it no longer serves

	mu    sync.Mutex
	stops []watchedStop
	err   error
}

type watchedStop struct {
	Stop
	message uint32
}

func startWatched(t *testing.T, options int, mode string) *watched {
	t.Helper()
	return startWatchedProgram(t, options, mode, "/proc/self/exe")
}

func startWatchedProgram(t *testing.T, options int, mode, program string) *watched {
	t.Helper()
	v := &watched{calls: make(chan func()), quit: make(chan bool), ended: make(chan bool)}
	start := func(cmd *exec.Cmd) error {
		started := make(chan error)
		go onThread(func() {
			w := NewWatch()
			err := startAdopted(w, cmd, options)
			started <- err
			if err == nil {
				v.err = serve(w, cmd.Process.Pid, v.note, v.calls, v.quit)
			}
			close(v.ended)
		})
		return <-started
	}
	v.victim = startBy(t, start, mode, program)
	return v
}

func (v *watched) note(s Stop, message uint32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stops = append(v.stops, watchedStop{s, message})
}

// seen returns the stops so far for which f returns true.
func (v *watched) seen(f func(s watchedStop) bool) (list []watchedStop) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.stops {
		if f(s) {
			list = append(list, s)
		}
	}
	return list
}

func (v *watched) events(event uint8) []watchedStop {
	return v.seen(func(s watchedStop) bool { return s.Event == event })
}

// do runs f on the watching thread.
func (v *watched) do(f func()) {
	done := make(chan bool)
	v.calls <- func() {
		defer close(done)
		f()
	}
	<-done
}

// end lets the victim end by itself, and waits until the watch has reported that.
func (v *watched) end(t *testing.T) {
	t.Helper()
	v.stdin.Close()
	select {
	case <-v.ended:
	case <-time.After(time.Minute):
		t.Fatal("the victim's end was not seen")
	}
	if v.err != nil {
		t.Fatal(v.err)
	}
}

func (v *victim) counts(t *testing.T) {
	t.Helper()
	was := v.Beats[0].Load()
	eventually(t, "the victim counts on", func() bool { return v.Beats[0].Load() > was })
}

func TestWatchSignals(t *testing.T) {
	v := startWatched(t, FollowThreads, "beat")
	watchedSignals := []unix.Signal{unix.SIGUSR1, unix.SIGUSR2, unix.SIGHUP}
	var sent []int32
	for i := range rounds(60) {
		s := watchedSignals[i*i%len(watchedSignals)]
		n := v.Signals[s].Load()
		unix.Kill(v.pid, s)
		sent = append(sent, int32(s))
		eventually(t, "the signal arrives", func() bool { return v.Signals[s].Load() == n+1 })
	}
	var got []int32
	for _, s := range v.seen(func(s watchedStop) bool { return slices.Contains(watchedSignals, unix.Signal(s.Signal)) }) {
		if got = append(got, s.Signal); s.Kind != KindStopped || s.Event != 0 || s.GroupStop {
			t.Errorf("%+v", s)
		}
	}
	if !slices.Equal(got, sent) {
		t.Errorf("sent %v, seen %v", sent, got)
	}
	v.end(t)
	last := v.stops[len(v.stops)-1]
	if int(last.TID) != v.pid || last.Kind != KindExited || last.Status != 0 {
		t.Errorf("%+v", last)
	}
}

func TestWatchKill(t *testing.T) {
	v := startWatched(t, FollowThreads, "beat")
	unix.Kill(v.pid, unix.SIGKILL)
	v.end(t)
	last := v.stops[len(v.stops)-1]
	if int(last.TID) != v.pid || last.Kind != KindKilled || last.Signal != int32(unix.SIGKILL) {
		t.Errorf("%+v", last)
	}
}

func TestWatchGroupStop(t *testing.T) {
	v := startWatched(t, FollowThreads, "beat")
	for round, sig := range []unix.Signal{unix.SIGSTOP, unix.SIGTSTP} {
		from := len(v.seen(func(watchedStop) bool { return true }))
		unix.Kill(v.pid, sig)
		eventually(t, "each thread's group-stop is reported", func() bool {
			in := map[int32]bool{}
			for _, s := range v.seen(func(watchedStop) bool { return true })[from:] {
				if s.GroupStop && s.Event == PTRACE_EVENT_STOP && s.Signal == int32(sig) {
					in[s.TID] = true
				}
			}
			for _, tid := range tasks(v.pid) {
				if !in[tid] {
					return false
				}
			}
			return true
		})
		was := v.Beats[0].Load()
		time.Sleep(50 * time.Millisecond)
		if v.Beats[0].Load() != was {
			t.Error("a stopped process counts")
		}
		// A dump of the stopped process leaves it stopped.
		v.do(func() {
			tr := New(v.pid)
			ths := stopAllBy(tr, tr.Hold, v.pid, 30*time.Second)
			for _, th := range ths {
				if th.State != Stopped || !th.GroupStop {
					t.Errorf("%+v", th)
				}
			}
			tr.LetRun(ths)
		})
		time.Sleep(50 * time.Millisecond)
		if v.Beats[0].Load() != was {
			t.Error("a stopped process counts after Hold and LetRun")
		}
		if round == 0 {
			unix.Kill(v.pid, unix.SIGCONT)
			v.counts(t)
			continue
		}
		// After the end of the watch the process stays stopped until it is continued.
		close(v.quit)
		eventually(t, "stopped and not traced", func() bool {
			return stateOf(v.pid, v.pid) == 'T' && status(v.pid, v.pid, "TracerPid") == "0"
		})
		unix.Kill(v.pid, unix.SIGCONT)
		v.runsOn(t)
	}
}

func TestWatchExec(t *testing.T) {
	times := rounds(6)
	v := startWatched(t, FollowThreads, "exec "+strconv.Itoa(times))
	eventually(t, "all execve", func() bool { return v.Beats[0].Load() == uint64(times)+1 })
	v.end(t)
	execs := v.events(unix.PTRACE_EVENT_EXEC)
	if len(execs) != times {
		t.Errorf("%d of %d seen", len(execs), times)
	}
	for _, s := range execs {
		if int(s.TID) != v.pid || int(s.message) == v.pid || s.message == 0 {
			t.Errorf("%+v of %d", s, v.pid)
		}
	}
}

func TestWatchFollow(t *testing.T) {
	for _, follow := range []bool{false, true} {
		options := FollowThreads
		if follow {
			options |= FollowChildren
		}
		v := startWatched(t, options, "family")
		if got := v.line(t, "family"); got != "5 7" {
			t.Errorf("the children's parent got %q", got)
		}
		v.end(t)
		of := func(tid uint32) []watchedStop {
			return v.seen(func(s watchedStop) bool { return uint32(s.TID) == tid })
		}
		born := v.events(unix.PTRACE_EVENT_CLONE)
		if len(born) == 0 {
			t.Error("no thread was born")
		}
		for _, s := range born {
			// The first stop of a thread created while its process ends is that of its exit.
			list := of(s.message)
			if len(list) == 0 || list[0].Kind != KindStopped || list[0].Event != PTRACE_EVENT_STOP && list[0].Event != unix.PTRACE_EVENT_EXIT {
				t.Errorf("thread %d: %+v", s.message, list)
			}
		}
		for i, event := range []uint8{unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK} {
			child := uint32(v.Beats[1+i].Load())
			told := slices.ContainsFunc(v.events(event), func(s watchedStop) bool { return s.message == child })
			list := of(child)
			if !follow {
				if told || len(list) != 0 {
					t.Errorf("child %d was watched: %+v", child, list)
				}
				continue
			}
			if !told || len(list) < 2 || list[0].Event != PTRACE_EVENT_STOP || list[0].GroupStop {
				t.Errorf("child %d: told %v, %+v", child, told, list)
				continue
			}
			if last := list[len(list)-1]; last.Kind != KindExited || last.Status != []int32{5, 7}[i] {
				t.Errorf("child %d: %+v", child, last)
			}
		}
	}
}

// TestWatchChurn watches a process whose threads are created and exit, alone and while it is held.
func TestWatchChurn(t *testing.T) {
	v := startWatched(t, FollowThreads, "churn")
	sum := func() uint64 {
		return v.Beats[0].Load() + v.Beats[1].Load() + v.Beats[2].Load() + v.Beats[3].Load()
	}
	ends := func() int {
		return len(v.seen(func(s watchedStop) bool { return s.Kind == KindExited || s.Kind == KindKilled }))
	}
	gone := 0
	for range rounds(60) {
		v.do(func() {
			tr := New(v.pid)
			ths := stopAllBy(tr, tr.Hold, v.pid, 30*time.Second)
			for _, th := range ths {
				if th.State != Stopped && th.State != Gone {
					t.Errorf("%+v", th)
				}
			}
			gone += count(ths, Gone)
			before := sum()
			time.Sleep(100 * time.Microsecond)
			if sum() != before {
				t.Error("a thread was missed")
			}
			tr.LetRun(ths)
		})
		was := sum()
		eventually(t, "threads are born", func() bool { return sum() > was })
	}
	eventually(t, "threads end", func() bool { return ends() >= 10 })
	t.Logf("%d ended while held, %d besides", gone, ends())
	if exits := len(v.events(unix.PTRACE_EVENT_EXIT)); exits < ends() {
		t.Errorf("%d threads ended after %d PTRACE_EVENT_EXIT", ends(), exits)
	}
	close(v.quit)
	eventually(t, "not traced, and no zombie stays", func() bool {
		for _, tid := range tasks(v.pid) {
			if status(v.pid, int(tid), "TracerPid") != "0" || stateOf(v.pid, int(tid)) == 'Z' {
				return false
			}
		}
		return true
	})
}

func TestHold(t *testing.T) {
	v := startWatched(t, FollowThreads, "beat")
	stop := make(chan bool)
	result := sendOneByOne(v.victim, stop)
	regs := make([]byte, 4096)
	for i := 0; i < rounds(100) || v.Signals[unix.SIGUSR2].Load() == 0; i++ {
		v.do(func() {
			tr := New(v.pid)
			ths := stopAllBy(tr, tr.Hold, v.pid, 30*time.Second)
			if count(ths, Stopped) != len(ths) || len(ths) < 2 {
				t.Errorf("not all stopped: %+v", ths)
			}
			before := v.Beats[0].Load()
			for _, th := range ths {
				if n, e := tr.Regset(th.TID, unix.NT_PRSTATUS, regs); e != 0 || n != prstatusSize[runtime.GOARCH] {
					t.Errorf("Regset: %d bytes, %v", n, e)
				}
			}
			if v.Beats[0].Load() != before {
				t.Error("a process that is held counts")
			}
			tr.LetRun(ths)
			if i := slices.IndexFunc(ths, func(th Thread) bool { return th.State != Listed }); i >= 0 {
				t.Errorf("after LetRun: %+v", ths[i])
			}
		})
		v.counts(t)
	}
	close(stop)
	if bad := <-result; bad != "" {
		t.Error(bad)
	}
	v.end(t)
}

// TestHoldStuckThread checks that a thread that does not stop in time stops later, and that the watch reports it.
func TestHoldStuckThread(t *testing.T) {
	v := startWatched(t, FollowThreads, "vfork")
	eventually(t, "the thread in vfork says its id", func() bool { return v.Beats[1].Load() != 0 })
	tid := int32(v.Beats[1].Load())
	eventually(t, "it is in state D", func() bool { return stateOf(v.pid, int(tid)) == 'D' })
	v.do(func() {
		tr := New(v.pid)
		ths := stopAllBy(tr, tr.Hold, v.pid, 200*time.Millisecond)
		for _, th := range ths {
			if (th.State == TimedOut) != (th.TID == tid) {
				t.Errorf("%+v, and stuck is %d", th, tid)
			}
		}
		tr.LetRun(ths)
	})
	v.Stop.Store(1)
	v.counts(t)
	v.end(t)
}

// TestWatchQueuedSignals is TestQueuedSignals for a program that is watched and held.
func TestWatchQueuedSignals(t *testing.T) {
	v := startWatchedProgram(t, FollowThreads, "queued", buildQueued(t))
	for range rounds(100) {
		v.do(func() {
			tr := New(v.pid)
			ths := stopAllBy(tr, tr.Hold, v.pid, 30*time.Second)
			tr.LetRun(ths)
		})
		time.Sleep(time.Millisecond)
	}
	fmt.Fprintln(v.stdin, "end")
	result := v.line(t, "result")
	var sent, received, bad int
	if _, err := fmt.Sscanf(result, "sent %d received %d bad %d", &sent, &received, &bad); err != nil {
		t.Fatal(err)
	}
	if sent != received || bad != 0 || sent < 100 {
		t.Error(result)
	}
	v.end(t)
}

// TestKilledWatcher kills the watching process: its command continues to run, with every signal.
func TestKilledWatcher(t *testing.T) {
	for range rounds(6) {
		v := startVictim(t, "watcher beat")
		stop := make(chan bool)
		result := sendOneByOne(v, stop)
		eventually(t, "signals arrive", func() bool { return v.Signals[unix.SIGUSR2].Load() > 0 })
		if status(v.pid, v.pid, "TracerPid") == "0" {
			t.Error("not traced")
		}
		v.cmd.Process.Kill()
		v.cmd.Process.Wait() // not cmd.Wait, which would close the victim's input
		v.runsOn(t)
		n := v.Signals[unix.SIGUSR2].Load()
		eventually(t, "signals still arrive", func() bool { return v.Signals[unix.SIGUSR2].Load() > n })
		close(stop)
		if bad := <-result; bad != "" {
			t.Error(bad)
		}
	}
}

// TestWatchUntraced consumes only the stop of an untraced child: the child may have ended since.
func TestWatchUntraced(t *testing.T) {
	for _, plain := range []bool{false, true} {
		onChildlessThread(func() { testWatchUntraced(t, plain) })
	}
}

func testWatchUntraced(t *testing.T, plain bool) {
	v := startVictim(t, "idle 1")
	w := NewWatch()
	if plain {
		w.Plain = int32(v.pid)
	}
	next := func(want Stop) {
		t.Helper()
		want.TID = int32(v.pid)
		if s, e := w.Next(true, false); e != 0 || s != want {
			t.Fatalf("%+v, %v, want %+v", s, e, want)
		}
	}
	if s, e := w.Next(false, false); e != 0 || s != (Stop{}) {
		t.Errorf("%+v, %v", s, e)
	}
	unix.Kill(v.pid, unix.SIGSTOP)
	next(Stop{Kind: KindUntraced, Signal: int32(unix.SIGSTOP)})
	unix.Kill(v.pid, unix.SIGKILL)
	eventually(t, "a zombie", func() bool { return stateOf(v.pid, v.pid) == 'Z' })
	w.Pass(int32(v.pid))
	next(Stop{Kind: KindKilled, Signal: int32(unix.SIGKILL)})
	w.Reap(int32(v.pid))
	if s, e := w.Next(false, false); e != unix.ECHILD {
		t.Errorf("%+v, %v", s, e)
	}
}

func TestWatchSupported(t *testing.T) {
	onChildlessThread(func() {
		w := NewWatch()
		if supported, childless := w.Supported(); !supported || !childless {
			t.Errorf("supported %v, childless %v", supported, childless)
		}
		v := startVictim(t, "idle 1")
		if supported, childless := w.Supported(); !supported || childless {
			t.Errorf("with a child: supported %v, childless %v", supported, childless)
		}
		unix.Kill(v.pid, unix.SIGKILL)
		v.cmd.Wait()
	})
	restore := sys.Install(func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
		if nr == unix.SYS_WAITID && uint32(a4)&(unix.WALL|unix.WNOTHREAD) != 0 {
			return ^uintptr(0), unix.EINVAL
		}
		r, _, e := unix.RawSyscall6(nr, a1, a2, a3, a4, a5, a6)
		return r, e
	}, nil)
	defer restore()
	if supported, childless := NewWatch().Supported(); supported || !childless {
		t.Errorf("before Linux 4.7: supported %v, childless %v", supported, childless)
	}
}
