package run

import (
	stdcontext "context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/context"
	"minidump/internal/deadline"
	"minidump/internal/dumpfile"
	"minidump/internal/sys"
	"minidump/ptrace"
)

// Options of Command.
type Options struct {
	// Dump are the options of every dump. Thread and Crash are ignored. The annotation "died-of" is added to
	// CrashpadInfo if the process died of another signal than the one in the exception stream, or with an exit status.
	Dump minidump.Options

	// Output is the file for the dump, or, if it is a folder or ends with "/", the folder in which each dump is a file
	// NAME.PID.TIME.dmp. "" is the working folder. If Output is a file, the names of further dumps of the same run have
	// .PID before the extension. The folder is created for the first dump.
	Output string
	// Keep is how many dumps a folder may have after a dump; the oldest are deleted. 0: no limit. Only files that belong
	// to the caller and have names of exactly that form are counted.
	Keep int
	// KeepFree is how many bytes of the folder's file system dumps must leave free: the oldest are deleted, and if that
	// does not suffice, no dump is made. 0: no limit.
	KeepFree uint64

	FollowChildren bool  // also dump descendants of the command that die
	ExitCodes      []int // also dump a process that exits with one of these statuses, 1 to 255
	IgnorePanics   bool  // do not dump a Go program that its runtime ends with status 2: a panic, a fatal error, a signal

	// StandIn is for a program that only runs the command and must look like the command to its parent: it forwards the
	// signals that it gets and that the command did not get too, is stopped and continued with the command, and reaps
	// all orphans if it is process 1.
	StandIn bool

	Dir   string     // working folder of the command; "": that of the caller
	Env   []string   // its environment, K=V; nil: that of the caller
	Files []*os.File // its open files from 0 on; nil: 0, 1 and 2 of the caller

	// CancelSignal is sent to the command when the context of Command ends; 0: SIGKILL. With SIGABRT, a command that
	// takes too long leaves a dump, unless it catches or ignores the signal.
	CancelSignal syscall.Signal

	// OnStart is called with the command's pid after its start, before its first instruction if it is watched. The
	// command waits until OnStart returns.
	OnStart func(pid int)
	OnDump  func(Dump)  // called after each dump or failed dump, on its own goroutine
	Warn    func(error) // called if the command can't be watched, before it runs

	// OnStuck is called, on its own goroutine, when a dump takes longer than DumpTimeout because a system call hangs,
	// such as a read that a file server never answers. Nothing in this process can cancel that call. The dying process
	// continues to die when this process ends. If OnStuck can't be called, because the dump occupies the only processor,
	// the kernel kills this process a second later. When the context ends, or with StandIn when this process gets
	// SIGTERM, dumps except those in mode full have 5 seconds left.
	OnStuck     func(pid int)
	DumpTimeout time.Duration // 0: a minute, or half an hour in mode full
}

// Dump is a process that died under Command.
type Dump struct {
	PID, TID int
	Name     string // of the process

	Signal   syscall.Signal // the signal that killed the process; 0 if it exited
	ExitCode int            // if the process exited

	// Crash is the contents of the exception stream: the signal, or an earlier fault that led to the end. It is nil if
	// the process exited without a fault. If the program imports minidump/context/insn, it has what is computed from the
	// faulting instruction (an address that the kernel did not report, the kind of access).
	Crash *context.Crash

	Path   string // of the dump
	Err    error  // why there is no dump
	Result minidump.Result
	Soft   []minidump.SoftError // what is missing from the dump; SoftErrors of Result returns nothing any more

	PruneErr error // why the folder has more dumps than Keep

	Mounts *Mounts // the files of the process, only during OnDump; nil if they are the same as this process's
}

// Result is how a command ended.
type Result struct {
	PID       int
	ExitCode  int            // if the command exited
	Signal    syscall.Signal // the signal that killed the command; 0 if it exited
	Dumps     []Dump
	Unwatched error // why the command was not watched; nil if it was
}

// Status returns the exit status that a shell would show: 128 plus the number of a signal.
func (r Result) Status() int {
	if r.Signal != 0 {
		return 128 + int(r.Signal)
	}
	return r.ExitCode
}

// StartError is the error of Command if it could not start the command.
type StartError struct {
	Name string
	Err  error
}

func (e *StartError) Error() string { return fmt.Sprintf("minidump: run %s: %v", e.Name, e.Err) }

func (e *StartError) Unwrap() error { return e.Err }

// Status returns the exit status that shells use for this: 127 if the command was not found, otherwise 126.
func (e *StartError) Status() int {
	if errors.Is(e.Err, fs.ErrNotExist) {
		return 127
	}
	return 126
}

// Command starts a command, watches it by ptrace from its first instruction, and writes a dump when it dies of a signal whose
// default action is to dump core (SIGSEGV, SIGABRT, SIGQUIT and so on), exits with one of ExitCodes, or is a Go program that
// panics. It returns after the command has ended. argv[0] is searched for in PATH if it has no slash.
//
// When ctx ends first, CancelSignal is sent to the command, but not to its descendants. Command then still waits until the
// command ends, and returns the Result together with an error that wraps the cause of ctx. If ctx ends before the command is
// started, it is not started. Any other error is a *StartError, or means that the command was lost; Result has no meaning then.
//
// If the process neither catches nor ignores the signal, the dump is made before the signal is delivered, with all threads. If
// the kernel kills the process immediately (a stack overflow without an alternate signal stack, a seccomp filter), and for an
// exit, the dump is made when the last thread ends: the other threads are gone then, but not the memory.
//
// A process that catches a fault and then dies of what its handler does is reported with that fault and the registers at the
// fault. The condition is that it exits, or dies of a signal that it sends itself or that has no other cause, while the
// handler's signal frame is on the dying thread's stack; or, for a Go program, while the stack at the fault contains the call
// that the runtime injected, for at most half a minute. A fault from which the program recovered is forgotten.
//
// Afterwards the signal is delivered to the process, which dies as it would without Command. If the calling process is killed,
// the command continues.
//
// A traced process differs in two ways: no other debugger can attach to it, and a program with set-user-ID bits runs without
// them unless the caller may trace it. If tracing is forbidden, the command runs unwatched.
func Command(ctx stdcontext.Context, argv []string, o Options) (Result, error) {
	if len(argv) == 0 {
		return Result{}, &StartError{"", fs.ErrNotExist}
	}
	if err := stdcontext.Cause(ctx); err != nil {
		return Result{}, &StartError{argv[0], err}
	}
	path, err := lookCommand(argv[0], o.Dir, o.Env)
	if err != nil {
		return Result{}, &StartError{argv[0], err}
	}
	out, err := newDestination(o.Output, dumpfile.Keep{Count: o.Keep, Free: o.KeepFree, Timed: true})
	if err != nil {
		return Result{}, err
	}
	r := &runner{o: &o, out: out, watch: ptrace.NewWatch(), regs: ptrace.New(0), self: int32(unix.Getpid()),
		threads: map[int32]*watchedThread{}, processes: map[int32]*watchedProcess{}, reports: make(chan Dump, 64)}
	r.reapAll = o.StandIn && r.self == 1
	if o.OnStuck != nil {
		r.dumping = deadline.New()
		defer r.dumping.Close()
	}
	reported := make(chan struct{})
	go func() {
		for d := range r.reports {
			if o.OnDump != nil {
				o.OnDump(d)
			}
			d.Mounts.close()
		}
		close(reported)
	}()
	if o.StandIn {
		r.standIn()
		defer r.signals.stop()
	}
	onOwnThread(r.watch, func(supported bool) {
		if err = r.start(path, argv, supported); err == nil {
			cancelled := r.cancelWith(ctx)
			err = errors.Join(r.loop(), cancelled.finish(argv[0]))
		}
	})
	close(r.reports)
	<-reported
	return r.result, err
}

// onOwnThread runs f on an OS thread that has no children, and that ends afterwards, so that the kernel detaches all
// its tracees. The main thread is not used, because it would not end.
func onOwnThread(w *ptrace.Watch, f func(supported bool)) {
	done := make(chan struct{})
	sys.OnOwnThread(func() (leave bool) {
		defer close(done)
		supported, childless := w.Supported()
		if !childless || unix.Gettid() == unix.Getpid() {
			onOwnThread(w, f) // on another thread, since this one is already occupied
			return true
		}
		f(supported)
		return false
	})
	<-done
}

// lookCommand finds the program as execvp(3) does: in the folders of PATH, skipping files that may not be executed.
func lookCommand(name, dir string, env []string) (string, error) {
	check := func(path string) error {
		at := path
		if dir != "" && !filepath.IsAbs(path) {
			at = filepath.Join(dir, path)
		}
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, unix.ENOTDIR):
			return unix.ENOENT
		case err != nil:
			return bareError(err)
		case info.IsDir():
			return unix.EACCES
		}
		if err := unix.Access(at, unix.X_OK); err != nil {
			return err
		}
		return nil
	}
	if name == "" {
		return "", unix.ENOENT
	}
	if strings.Contains(name, "/") {
		return name, check(name)
	}
	list, ok := os.LookupEnv("PATH")
	if env != nil {
		ok = false
		for _, kv := range env {
			if v, found := strings.CutPrefix(kv, "PATH="); found {
				list, ok = v, true
			}
		}
	}
	if !ok {
		list = "/usr/local/bin:/usr/bin:/bin"
	}
	first := error(unix.ENOENT)
	for _, folder := range strings.Split(list, ":") {
		if folder == "" {
			folder = "."
		}
		path := folder + "/" + name
		err := check(path)
		if err == nil {
			return path, nil
		}
		if errors.Is(err, unix.EACCES) {
			first = err
		}
	}
	return "", first
}

// bareError returns a system's error without the operation and the path.
func bareError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// A refusal is the system's error if the command may not be traced. It also wraps minidump.ErrPermission.
type refusal struct{ err error }

func (e *refusal) Error() string   { return e.err.Error() }
func (e *refusal) Unwrap() []error { return []error{minidump.ErrPermission, e.err} }

// denied converts a permission error to a refusal.
func denied(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return &refusal{err}
	}
	return err
}

// start starts the command, seized and stopped before its first instruction.
func (r *runner) start(path string, argv []string, supported bool) error {
	attr := &syscall.ProcAttr{Dir: r.o.Dir, Env: r.o.Env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{}}
	if attr.Env == nil {
		attr.Env = syscall.Environ()
	}
	if r.o.Files != nil {
		attr.Files = nil
		for _, f := range r.o.Files {
			attr.Files = append(attr.Files, f.Fd())
		}
	}
	if supported {
		err := r.startTraced(path, argv, attr)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOSYS) {
			return &StartError{argv[0], err}
		}
		// The command itself may be forbidden, or ptrace (SELinux returns EACCES): try without tracing.
		r.result.Unwatched = fmt.Errorf("minidump: ptrace: %w", denied(err))
	} else {
		r.result.Unwatched = fmt.Errorf("minidump: watching a command before Linux 4.7 is %w", minidump.ErrUnsupported)
	}
	attr.Sys.Ptrace = false
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return &StartError{argv[0], err}
	}
	if !supported {
		r.watch.Plain = int32(pid)
	}
	r.started(pid)
	r.warn()
	return nil
}

func (r *runner) warn() {
	if r.o.Warn != nil {
		r.o.Warn(r.result.Unwatched)
	}
}

func (r *runner) startTraced(path string, argv []string, attr *syscall.ProcAttr) error {
	var all, mask unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	// A signal must not stop the new process before its execve: nobody would continue it, since ForkExec waits for the
	// execve. So the process starts with all signals blocked except the SIGTRAP of execve, and Adopt sets its proper
	// mask.
	trap := uint(unix.SIGTRAP - 1)
	bits := 8 * uint(unsafe.Sizeof(all.Val[0]))
	all.Val[trap/bits] &^= 1 << (trap % bits)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &mask); err != nil {
		return err
	}
	attr.Sys.Ptrace = true
	pid, err := syscall.ForkExec(path, argv, attr)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil)
	if err != nil {
		return err
	}
	options := ptrace.FollowThreads
	if r.o.FollowChildren {
		options |= ptrace.FollowChildren
	}
	errno := r.watch.Adopt(pid, &mask, options)
	if errno != 0 && errno != unix.ESRCH {
		// The command is detached, but could not be seized: a program that may not be read can't be traced.
		r.result.Unwatched = fmt.Errorf("minidump: ptrace: %w", denied(errno))
		r.warn()
	}
	r.started(pid)
	r.wakeSent = true
	unix.Kill(pid, unix.SIGCONT)
	if errno == 0 {
		// The loop handles any stop other than the one of Adopt.
		if s, e := r.watch.Peek(int32(pid)); e == 0 && s.GroupStop {
			r.watch.Continue(int32(pid), 0)
		}
	}
	return nil
}

func (r *runner) started(pid int) {
	r.main = int32(pid)
	r.result.PID = pid
	watched := r.result.Unwatched == nil
	if watched {
		r.processes[r.main] = &watchedProcess{pid: r.main}
	}
	r.command.begin(pid)
	if r.signals != nil {
		r.signals.begin(watched)
	}
	if r.o.OnStart != nil {
		r.o.OnStart(pid)
	}
}
