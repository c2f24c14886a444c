// Package ptrace stops the threads of another Linux process, reads their registers and lets them go on.
//
// A session on one OS thread (the caller has called runtime.LockOSThread) is
//
//	t := ptrace.New(pid)                  // the only allocation
//	for each thread id not seen before    // list /proc/PID/task, see below
//		t.Seize(&th)
//	t.Collect(threads, deadline)          // wait for the stops; then list again
//	t.Regset(th.TID, ...)                 // those whose State is Stopped
//	t.Detach(threads)
//
// A caller whose program collects garbage meanwhile makes the pause shorter by AttachAll, Pin and Interrupt in place of Seize:
// see AttachAll.
//
// # All threads
//
// Threads are born while others are being stopped, so the list is read again until nothing is new. That is not enough:
// the kernel ends a listing early, without an error, when the thread that it has come to dies under it. What proves
// that none is missing is the link count of the directory /proc/PID/task, read afterwards: it is 2 more than the number
// of threads, and those are all known if as many are Stopped. Where some are in another state, list until nothing
// new has come twice or three times.
//
// # What the target notices
//
// Threads are stopped with PTRACE_SEIZE and PTRACE_INTERRUPT: no signal is sent, its parent is told nothing, and when
// the tracer dies the kernel lets the target go on. A thread that was about to take a signal stops before that (a
// signal-delivery-stop). The stop is looked at with WNOWAIT and never consumed, which leaves the signal in the kernel's
// hands: a tracer that is killed at that moment loses no signal. Detach hands the signal back, with its siginfo. A
// process that was stopped by SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU stays stopped.
//
// A thread that dies while it is traced is a zombie until its tracer has waited for it, and would keep its process
// from ending and an execve by another thread from going on, so it is reaped. The exit status of the process itself
// is left to its parent: if that is another process the kernel passes the status on; if it is the calling process it
// is not touched.
//
// # Threads that do not stop
//
// A thread in uninterruptible sleep (state D: a hung disk, a parent in vfork) is traced but can't be stopped, and the
// kernel detaches a live thread only from a stop. It will stop when it leaves that sleep, and would then hang there.
// Detach keeps such threads in the Tracer; Leftover counts them. There are two ways to let go of them:
//
//   - Release tries again; it works when the thread has reached its stop by then.
//   - The end of the OS thread that traces detaches all its tracees at once, whatever they do, and clears the pending
//     stop. In Go: let the goroutine return without runtime.UnlockOSThread. This does not work on the main thread of the
//     program (Gettid() == Getpid()), which Go parks rather than ends; so a caller runs its sessions on a goroutine of
//     its own, and starts that anew should it find itself on the main thread.
//
// So: after Detach, if Leftover() is not 0, end the OS thread before the call that made the dump returns. In a process
// that exits after the dump nothing need be done.
//
// # System calls in the name of the process
//
// A Caller makes a stopped thread perform a system call, such as a clone of its process, whose child is traced from birth:
//
//	c := t.NewCaller()
//	if at, ok := c.Eligible(&th, size); ok && at != 0 && c.Own(code) {
//		ret, born, errno := c.Call(&th, &ptrace.SystemCall{At: at, Number: nr})
//	}
//
// code is what the process has at c.Address(at). The process notices nothing of it but what the call does. If the tracer is killed in the midst of Call, the thread goes on with
// wrong registers.
//
// # Rules
//
// Nothing allocates after New. Nothing uses the Go scheduler except PTRACE_SEIZE and sleeps of more than 100
// microseconds, which tell it that they may take long; in a pinned session (see Pin) these sleeps do so only after 5 ms.
// Every wait has a deadline except the one inside PTRACE_SEIZE (see Reap), and none is for a child that is not traced. All
// structures that the kernel fills lie in the Tracer; buffers that a caller passes must be in the heap or in mapped
// memory, not on a goroutine stack.
package ptrace
