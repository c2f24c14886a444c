package minidump

import (
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/errtext"
	"minidump/internal/newfile"
	"minidump/internal/snapshot"
	"minidump/internal/sys"
	"minidump/procfs"
)

// DumpSelf writes a dump of the calling process to dst. The process continues. The dump is about the calling thread and
// includes all other threads. A child does the work, so the state of the program does not matter.
//
// The child is a copy of the process (fork), which stops the threads of its parent, reads them and resumes them:
// usually after less than a millisecond, in ModeFull after the dump is written. The parent gets no signal when the
// child ends. Copying the page tables takes some 26 ms per GiB of memory in 4 KiB pages; if they are larger than 256
// KiB, the child is the program started again instead (see below). The kernel kills a child that makes no progress for
// 10 seconds plus Options.StopTimeout, which resumes the threads.
//
// The dump is copied to dst after the child has ended. Until then it is in memory, or in ModeFull in a temporary file
// in the folder $TMPDIR.
//
// If the kernel does not let the child access its parent (PR_SET_DUMPABLE is 0, a seccomp filter, Yama's ptrace_scope 2
// or 3), the dump has the memory of the process, from the child's copy, but no thread except the calling one; a soft
// error records that. If Yama's ptrace_scope is 1, the process permits the child by PR_SET_PTRACER, which replaces
// any earlier setting.
//
// A program whose page tables are large, that was built with -race, -msan or -asan, or that can't be forked, starts
// itself again from /proc/self/exe, with MINIDUMP_SELF in the environment. An init function of this package then makes
// the dump and ends the new process. That function runs before main, but after the init functions of the packages that
// this package imports.
//
// Concurrent calls run one after the other. For a dump in a signal handler use SelfWriter.
func DumpSelf(dst io.Writer, o Options) (Result, error) {
	return dumpSelf(o, func(d selfDumper) (Result, error) { return d.dump(dst) })
}

// DumpSelfFile is DumpSelf with the dump written to path, completely or not at all, as by Writer.DumpFile.
func DumpSelfFile(path string, o Options) (Result, error) {
	return dumpSelf(o, func(d selfDumper) (Result, error) { return dumpToFile(d, path) })
}

// A selfDumper makes a dump of this process, in a child of either kind.
type selfDumper interface {
	// toFile makes the child write the dump to an open file.
	toFile(fd int) (Result, error)
	// dump writes the dump to dst after the child has made it.
	dump(dst io.Writer) (Result, error)
}

// errNoChild means that no child was started, so the other kind of child can be tried.
var errNoChild = errors.New("no child could be started")

func dumpSelf(o Options, make func(selfDumper) (Result, error)) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if o.Thread == 0 && o.Crash == nil {
		o.Thread = sys.Gettid()
	}
	first, second := selfByFork, selfByHelper
	if pageTables() > mostPageTables {
		first, second = second, first
	}
	res, err := first(o, make)
	if errors.Is(err, errNoChild) {
		var other error
		if res, other = second(o, make); !errors.Is(other, errNoChild) {
			err = other
		}
	}
	return res, err
}

func selfByFork(o Options, make func(selfDumper) (Result, error)) (Result, error) {
	if !forkIsSafe {
		return Result{}, errtext.Wrap(errNoChild, "minidump: fork a program built with a sanitizer")
	}
	s, err := NewSelfWriter(o)
	if err != nil {
		return Result{}, err
	}
	defer s.Close()
	return make(s)
}

func selfByHelper(o Options, make func(selfDumper) (Result, error)) (Result, error) {
	return make(&selfHelper{o: o})
}

// mostPageTables is the size of page tables, in bytes, above which fork takes longer than a new process.
const mostPageTables = 256 << 10

// pageTables returns the size of this process's page tables in bytes: VmPTE of /proc/self/status; 0 if it is not known.
func pageTables() int {
	b := make([]byte, 8<<10)
	n, _, errno := procfs.ReadPath("/proc/self/status\x00", b)
	if errno != 0 {
		return 0
	}
	return statusValue(string(b[:n]), "VmPTE:") << 10
}

// statusValue returns the number in the line that begins with key, or 0 if there is none.
func statusValue(text, key string) int {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, key); ok {
			value, _, _ = strings.Cut(strings.TrimSpace(value), " ")
			n, err := strconv.Atoi(value)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

// yamaAsks reports whether Yama lets only ancestors of a process, and processes that it permits, trace it (ptrace_scope
// 1, Documentation/admin-guide/LSM/Yama.rst of the kernel).
func yamaAsks() bool {
	b := make([]byte, 16)
	n, _, errno := procfs.ReadPath("/proc/sys/kernel/yama/ptrace_scope\x00", b)
	return errno == 0 && n > 0 && b[0] == '1'
}

// dumpToFile writes a dump to path, completely or not at all.
func dumpToFile(d selfDumper, path string) (Result, error) {
	f, err := newfile.Create(path)
	if err != nil {
		return Result{}, errtext.Wrap(err, "minidump: create ", path)
	}
	defer f.Abort()
	res, err := d.toFile(f.Fd())
	if err != nil {
		return Result{}, err
	}
	if err = f.Sync(); err == nil {
		err = f.Commit()
	}
	if err != nil {
		return Result{}, errtext.Wrap(err, "minidump: write ", path)
	}
	return res, nil
}

// A spool is a file that contains a dump until it is copied to its destination.
type spool interface {
	io.ReaderAt
	Fd() int
	Abort()
}

// memorySpool is a file in memory.
type memorySpool int

func (m memorySpool) ReadAt(p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(int(m), p, off)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n < len(p):
			return n, io.EOF
		}
		return n, nil
	}
}

func (m memorySpool) Fd() int { return int(m) }

func (m memorySpool) Abort() { unix.Close(int(m)) }

// newSpool returns a spool: in memory, or for a large dump in a temporary file.
func newSpool(large bool) (spool, error) {
	if !large {
		if fd, err := unix.MemfdCreate("minidump", unix.MFD_CLOEXEC); err == nil {
			return memorySpool(fd), nil
		}
	}
	f, err := newfile.Temp("")
	if err != nil {
		return nil, errtext.Wrap(err, "minidump: create a temporary file")
	}
	return f, nil
}

// dumpBySpool makes the child write a dump to a spool, and copies the spool to dst after the child has ended.
//
// A pipe from the child instead of the spool could deadlock: a thread that did not stop in time may stop after the
// others have been resumed, and stays stopped until the child ends. As soon as the parent's garbage collector stops
// the world, the parent waits for that thread, and the child waits for the parent to read.
func dumpBySpool(d selfDumper, large bool, dst io.Writer) (Result, error) {
	f, err := newSpool(large)
	if err != nil {
		return Result{}, err
	}
	defer f.Abort()
	res, err := d.toFile(f.Fd())
	if err != nil {
		return Result{}, err
	}
	if _, err = io.Copy(dst, io.NewSectionReader(f, 0, int64(res.Size))); err != nil {
		return Result{}, errtext.Wrap(err, "minidump: write the dump of this process")
	}
	return res, nil
}

// A SelfWriter dumps the calling process any number of times, as DumpSelf does with a forked child. NewSelfWriter
// allocates all the memory that dumps need. DumpFD allocates nothing and takes no lock, so it can run in a signal
// handler.
type SelfWriter struct {
	mu  sync.Mutex
	job *forkJob
}

// NewSelfWriter prepares dumps of the calling process. In a program that was built with -race, -msan or -asan it
// returns an error that wraps ErrUnsupported: a forked child of such a program can hang. DumpSelf works there.
func NewSelfWriter(o Options) (*SelfWriter, error) {
	if !forkIsSafe {
		return nil, errtext.Wrap(ErrUnsupported, "minidump: fork a program built with a sanitizer")
	}
	job, err := newForkJob(o)
	if err != nil {
		return nil, err
	}
	return &SelfWriter{job: job}, nil
}

// Close frees the memory. It must not be called during a dump.
func (s *SelfWriter) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.job == nil {
		return ErrClosed
	}
	err := s.job.close()
	s.job = nil
	return err
}

// Dump writes a dump of this process to dst, as DumpSelf does.
func (s *SelfWriter) Dump(dst io.Writer) (Result, error) {
	return s.dump(dst)
}

// DumpFile writes a dump of this process to path, as DumpSelfFile does.
func (s *SelfWriter) DumpFile(path string) (Result, error) { return dumpToFile(s, path) }

func (s *SelfWriter) dump(dst io.Writer) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.job == nil {
		return Result{}, ErrClosed
	}
	return dumpBySpool(lockedSelf{s}, s.job.writer.snap.Want.Mode == fullMode, dst)
}

func (s *SelfWriter) toFile(fd int) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return lockedSelf{s}.toFile(fd)
}

// lockedSelf is a SelfWriter whose lock the caller holds.
type lockedSelf struct{ *SelfWriter }

func (s lockedSelf) toFile(fd int) (Result, error) {
	if s.job == nil {
		return Result{}, ErrClosed
	}
	return s.run(fd)
}

// run writes one dump to an open file.
func (s *SelfWriter) run(fd int) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	j := s.job
	selfTurn.Lock()
	defer selfTurn.Unlock()
	if !selfBusy.CompareAndSwap(0, 1) { // a dump in a signal handler is running
		return Result{}, ErrBusy
	}
	defer selfBusy.Store(0)
	pid := j.start(fd)
	if pid < 0 {
		return Result{}, errtext.Wrap(snapshot.AlsoError(errNoChild, syscall.Errno(-pid)), "minidump: fork")
	}
	end := j.finish(pid)
	if err := j.record.problem(end); err != nil {
		return Result{}, err
	}
	return j.record.result(time.Since(start)), nil
}

// DumpFD writes a dump of this process to the open file fd, from its position on, and returns 0 or an errno: EBUSY if
// another dump of this process by fork is in progress, EIO if the child failed. fd may be a pipe or a socket that
// another process reads; a write that takes 10 seconds ends the dump.
//
// It can be called in a signal handler, on any stack with 4 KiB of room, with any lock held and any thread in any
// state: it makes raw system calls only. The signal must have interrupted Go code: on amd64 DumpFD returns EINVAL on a
// thread that C code created; other architectures can't detect that. The dump is about the calling thread, unless
// Options name another one.
//
//go:nosplit
//go:norace
func (s *SelfWriter) DumpFD(fd int) syscall.Errno {
	j := s.job
	if j == nil {
		return unix.EBADF
	}
	if !selfBusy.CompareAndSwap(0, 1) {
		return unix.EBUSY
	}
	pid := j.start(fd)
	if pid < 0 {
		selfBusy.Store(0)
		return syscall.Errno(-pid)
	}
	j.finishRaw(pid)
	state := j.record.state
	selfBusy.Store(0)
	if state != forkDone {
		return unix.EIO
	}
	return 0
}

// Result returns the result of the last dump by DumpFD if that returned 0; Total is 0. It allocates.
func (s *SelfWriter) Result() Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.job == nil || s.job.record.state != forkDone {
		return Result{}
	}
	return s.job.record.result(0)
}
