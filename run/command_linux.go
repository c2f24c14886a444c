package run

import (
	stdcontext "context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// liveCommand sends signals to the command. After the command has been reaped the kernel may give its pid to another
// process, so no signal is sent then.
type liveCommand struct {
	mu    sync.Mutex
	pid   int
	alive bool
}

// begin records that the command runs.
func (c *liveCommand) begin(pid int) {
	c.mu.Lock()
	c.pid, c.alive = pid, true
	c.mu.Unlock()
}

// end records that the command is about to be reaped.
func (c *liveCommand) end() {
	c.mu.Lock()
	c.alive = false
	c.mu.Unlock()
}

// send sends a signal to the command, and reports whether the command still existed.
func (c *liveCommand) send(n syscall.Signal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alive && unix.Kill(c.pid, n) == nil
}

// cancellation sends a signal to the command when a context ends.
type cancellation struct {
	ctx  stdcontext.Context
	sent atomic.Bool
	stop func() bool // of context.AfterFunc
	done chan struct{}
}

// cancelWith begins to wait for the end of ctx. The command must be running.
func (r *runner) cancelWith(ctx stdcontext.Context) *cancellation {
	signal := r.o.CancelSignal
	if signal == 0 {
		signal = unix.SIGKILL
	}
	c := &cancellation{ctx: ctx, done: make(chan struct{})}
	c.stop = stdcontext.AfterFunc(ctx, func() {
		r.hurry()
		c.sent.Store(r.command.send(signal))
		close(c.done)
	})
	return c
}

// finish returns why the signal was sent to the command, or nil if it was not sent.
func (c *cancellation) finish(name string) error {
	if !c.stop() {
		<-c.done
	}
	if !c.sent.Load() {
		return nil
	}
	return fmt.Errorf("minidump: run %s: %w", name, stdcontext.Cause(c.ctx))
}
