//go:build linux

package minidump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"minidump/internal/corefile/coretest"
	"minidump/internal/victims"
	"minidump/stream"
)

// dumperRole dumps a process repeatedly until it is killed: by another process, or by itself before the system call of a
// given number.
func dumperRole(args []string) {
	pid, _ := strconv.Atoi(args[0])
	path := args[1]
	die, _ := strconv.Atoi(args[2])
	if die > 0 {
		k := &faultyKernel{die: die}
		k.install()
	}
	mode := ModeStack
	if args[3] == "full" {
		mode = ModeFull
	}
	for {
		w, err := NewWriter(pid, patient(Options{Mode: mode}))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		for range 4 {
			if _, err := w.Dump(io.Discard); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		if _, err := w.DumpFile(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		w.Close()
	}
}

// signaller sends signals to a counter for as long as a test lasts. Each signal is sent after the previous one has
// arrived, so that no two can merge.
type signaller struct {
	v    *counter
	word int
	sig  syscall.Signal
	sent uint64
	stop chan struct{}
	done chan struct{}
	lost atomic.Bool
}

func startSignaller(v *counter, sig syscall.Signal, word int) *signaller {
	s := &signaller{v: v, sig: sig, word: word, stop: make(chan struct{}), done: make(chan struct{})}
	s.sent = atomic.LoadUint64(&v.words[word])
	go s.run()
	return s
}

func (s *signaller) run() {
	defer close(s.done)
	for {
		select {
		case <-s.stop:
			return
		default:
		}
		syscall.Kill(s.v.PID, s.sig)
		s.sent++
		for start := time.Now(); atomic.LoadUint64(&s.v.words[s.word]) < s.sent; time.Sleep(50 * time.Microsecond) {
			if time.Since(start) > 10*time.Second {
				s.lost.Store(true)
				return
			}
		}
	}
}

func (s *signaller) end(t *testing.T) {
	close(s.stop)
	<-s.done
	if got := atomic.LoadUint64(&s.v.words[s.word]); s.lost.Load() || got != s.sent {
		t.Errorf("%v: %d sent, %d arrived", s.sig, s.sent, got)
	}
	t.Logf("%v: %d sent and arrived", s.sig, s.sent)
}

// TestDumperIsKilled kills programs that dump: half of them at a random time, half before a system call of their dump,
// since most random times are outside the short stop.
func TestDumperIsKilled(t *testing.T) {
	victims.SkipEmulated(t, "only to save time")
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	victims := []*counter{startCounter(t, "C", 20, 5*time.Millisecond), startCounter(t, "Go", 20, 5*time.Millisecond)}
	signals := []*signaller{startSignaller(victims[0], syscall.SIGUSR1, wordUSR1), startSignaller(victims[1], syscall.SIGUSR1, wordUSR1)}
	if !victims[0].isGo {
		signals = append(signals, startSignaller(victims[0], sigRT, wordRT))
	}
	path := filepath.Join(t.TempDir(), "x.dmp")
	stopped, whole := 0, 0
	for i := range rounds {
		v := victims[i/2%2]
		die, mode := 0, "stack"
		if i%2 == 1 {
			die = 1 + rnd.IntN(1500) // within some dumps of 20 threads
		}
		if i%10 == 9 {
			mode = "full"
		}
		var stderr bytes.Buffer
		cmd := roleCommand(t, "dumper", strconv.Itoa(v.PID), path, strconv.Itoa(die), mode)
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		if die == 0 {
			time.Sleep(time.Duration(rnd.IntN(40_000)) * time.Microsecond)
			if bound(v.PID) != "" {
				stopped++
			}
			cmd.Process.Kill()
		}
		cmd.Wait()
		if !timer.Stop() && die > 0 {
			t.Errorf("round %d: the dumper did not come to call %d", i, die)
		}
		if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
			t.Errorf("round %d: %v, %s", i, cmd.ProcessState, &stderr)
		}
		v.free(t)
		v.runs(t)
		if f, err := openDump(path); err == nil {
			whole++
			for _, p := range stream.Problems(f) {
				t.Errorf("round %d: %s", i, p)
			}
			f.Close()
			os.Remove(path)
		} else if !os.IsNotExist(err) {
			t.Errorf("round %d: %v", i, err)
		}
	}
	for _, s := range signals {
		s.end(t)
	}
	t.Logf("%d of %d were seen traced just before the clock's kill; %d files", stopped, rounds/2, whole)
}

// TestDeadline dumps a large process with no time to stop it.
func TestDeadline(t *testing.T) {
	victims.SkipEmulated(t, "it races a deadline")
	const threads = 1000
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", strconv.Itoa(threads))
	c := &counter{Proc: v}
	for _, timeout := range []time.Duration{time.Nanosecond, time.Millisecond} {
		for range 5 {
			w, err := NewWriter(v.PID, Options{StopTimeout: timeout})
			if err != nil {
				t.Fatal(err)
			}
			stop := watchdog(t.Name())
			start := time.Now()
			f, r := quietDump(t, w)
			took := time.Since(start)
			stop()
			if took > 5*time.Second {
				t.Errorf("%v: took %v", timeout, took)
			}
			list, err := f.Threads()
			if err != nil || len(list) != threads {
				t.Errorf("%v: %d threads, %v", timeout, len(list), err)
			}
			told := map[int]bool{}
			for _, e := range r.SoftErrors() {
				told[e.Thread] = true
			}
			without, regs := 0, coretest.CPUs(t, f)
			for _, th := range list {
				if regs[th.ThreadID] == nil {
					without++
					if !told[int(th.ThreadID)] {
						t.Errorf("%v: thread %d has no registers, and nothing tells why", timeout, th.ThreadID)
					}
				}
			}
			t.Logf("%v: took %v, pause %v, %d threads without registers", timeout, took, r.Pause, without)
			c.free(t) // before Close: the dump itself releases all threads
			w.Close()
		}
	}
	_, r := dump(t, v.PID, Options{})
	if r.Soft != 0 {
		t.Errorf("with time: %v", r.SoftErrors())
	}
	c.free(t)
}

// closingWriter closes a Writer during a write by that Writer.
type closingWriter struct {
	w       *Writer
	closed  error
	dumping error
}

func (c *closingWriter) Write(p []byte) (int, error) {
	c.closed = c.w.Close()
	_, c.dumping = c.w.Dump(io.Discard)
	return len(p), nil
}

// TestCloseDuringDump calls Close and Dump of a Writer during its Dump: both return an error, and the first dump
// completes.
func TestCloseDuringDump(t *testing.T) {
	v := startCounter(t, "C", 3, time.Millisecond)
	for _, mode := range []Mode{ModeStack, ModeFull} {
		w, err := NewWriter(v.PID, patient(Options{Mode: mode}))
		if err != nil {
			t.Fatal(err)
		}
		c := closingWriter{w: w}
		if r, err := w.Dump(&c); err != nil || r.Size == 0 {
			t.Errorf("mode %d: %v, %d bytes", mode, err, r.Size)
		}
		if !errors.Is(c.closed, ErrBusy) || !errors.Is(c.dumping, ErrBusy) {
			t.Errorf("mode %d: during a dump Close gives %v, Dump %v", mode, c.closed, c.dumping)
		}
		v.free(t)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := w.Close(); !errors.Is(err, ErrClosed) {
			t.Errorf("a second Close gives %v", err)
		}
	}
}
