// Package ptrace stops the threads of another Linux process, reads their registers and resumes them.
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
// If the calling program's garbage collector may run meanwhile, AttachAll, Pin and Interrupt in place of Seize shorten the pause:
// see AttachAll.
//
// # All threads
//
// Threads are created while others are being stopped, so read the list again until it has no new thread. That is not enough: the
// kernel ends a listing early, without an error, if the thread that the listing has reached dies. The link count of the directory
// /proc/PID/task, read afterwards, proves that none is missing: it is 2 more than the number of threads, so all are known if that
// many are Stopped. If some are in another state, list until two or three listings in a row contain nothing new.
//
// # What the target notices
//
// Threads are stopped with PTRACE_SEIZE and PTRACE_INTERRUPT: no signal is sent, the parent of the target is not notified, and if
// the tracer dies the kernel resumes the target. A thread that was about to receive a signal stops before that (a
// signal-delivery-stop). The package reads the stop with WNOWAIT and never consumes it, so the signal stays with the kernel: if
// the tracer is killed at that moment, no signal is lost. Detach delivers the signal, with its siginfo. A process that was
// stopped by SIGSTOP, SIGTSTP, SIGTTIN or SIGTTOU stays stopped.
//
// A thread that dies while it is traced is a zombie until its tracer has waited for it. It would keep its process from ending,
// and an execve by another thread from completing, so the package reaps it. It leaves the exit status of the process itself to
// the parent: if that is another process the kernel passes the status on; if it is the calling process the package does not reap
// it.
//
// # Threads that do not stop
//
// A thread in uninterruptible sleep (state D: a hung disk, a parent in vfork) is traced but can't be stopped, and the kernel
// detaches a live thread only in a stop. The thread will stop when it leaves that sleep, and would then hang. Detach keeps such
// threads in the Tracer; Leftover counts them. There are two ways to detach them:
//
//   - Release tries again; it succeeds if the thread has reached its stop by then.
//   - The end of the tracing OS thread detaches all its tracees at once, whatever their state, and clears the pending stop. In
//     Go: let the goroutine return without runtime.UnlockOSThread. This does not work on the main thread of the program (Gettid()
//     == Getpid()), which Go parks rather than ends. So a caller should run its sessions on a goroutine of its own, and start
//     another if that one is on the main thread.
//
// So if Leftover() is not 0 after Detach, end the OS thread before the call that made the dump returns. A process that exits
// after the dump need not do anything.
//
// # System calls in the target
//
// A Caller makes a stopped thread perform a system call, such as a clone of its process, whose child is traced from birth:
//
//	c := t.NewCaller()
//	if at, ok := c.Eligible(&th, size); ok && at != 0 && c.Own(code) {
//		ret, born, errno := c.Call(&th, &ptrace.SystemCall{At: at, Number: nr})
//	}
//
// code is the process's memory at c.Address(at). The process notices only the effects of the system call. If the tracer is killed
// during Call, the thread continues with wrong registers.
//
// # Rules
//
// Nothing allocates after New. Nothing uses the Go scheduler except PTRACE_SEIZE and sleeps of more than 100 microseconds, which
// announce to it that they may block; in a pinned session (see Pin) these sleeps do so only after 5 ms. Every wait has a deadline
// except the one inside PTRACE_SEIZE (see Reap), and none is for a child that is not traced. All structures that the kernel fills
// lie in the Tracer; buffers that a caller passes must be in the heap or in mapped memory, not on a goroutine stack.
package ptrace
