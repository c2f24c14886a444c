package server

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/context"
	"minidump/internal/deadline"
	"minidump/procfs"
)

// request is a client's request for a dump of itself.
type request struct {
	protocol Protocol
	sender   Peer
	pidfd    int // owned by the packet; -1: there is none

	crash func() (*context.Crash, error) // returns the crash according to the packet; nil: read is used
	// read returns the crash according to the memory of the process, and in wrong what is wrong there. It changes the
	// options of the dump as the process requests; refused is why there must be no dump.
	read func(w *minidump.Writer, o *minidump.Options) (crash *context.Crash, wrong, refused error)

	tid int // set by dump: the thread that requests the dump, in this process's pid namespace; 0 if it is not known
}

// dump dumps the sender of a request, and reports the result. The caller must have a place.
func (s *Server) dump(c *conn, q *request) error {
	d := Dump{Peer: q.sender, Protocol: q.protocol}
	if s.opts.OnStuck != nil {
		watch := deadline.New()
		defer watch.Close()
		watch.Arm(deadline.OfDump(s.opts.DumpTimeout, s.opts.Dump.Mode == minidump.ModeFull), func() {
			watch.Spare()
			s.opts.OnStuck(q.sender)
		})
	}
	w, err := s.open(c, q, &d)
	if err == nil {
		defer w.Close() // after OnDump, which may call SoftErrors
		d.Path, d.Result, err = s.write(w, &d)
	}
	if d.Err = err; err != nil {
		d.Path = ""
	}
	if s.opts.OnDump != nil {
		s.opts.OnDump(d)
	}
	return err
}

// open prepares the dump of the sender, after it has checked that the sender may be dumped.
func (s *Server) open(c *conn, q *request, d *Dump) (*minidump.Writer, error) {
	pid := q.sender.PID
	if err := s.mayDump(c, q.sender); err != nil {
		return nil, err
	}
	var wrong error
	if q.crash != nil {
		d.Crash, wrong = q.crash()
	}
	opts := s.opts.Dump
	opts.Thread, opts.Crash = 0, nil
	if q.read != nil {
		w, err := minidump.NewWriter(pid, minidump.Options{})
		if err != nil {
			return nil, err
		}
		var refused error
		d.Crash, wrong, refused = q.read(w, &opts)
		w.Close()
		if refused != nil {
			return nil, fmt.Errorf("process %d: %w", pid, refused)
		}
	}
	w, err := minidump.NewWriter(pid, opts)
	if err != nil {
		return nil, err
	}
	// If the process still exists, NewWriter has opened it and not another process with its pid: since then the Writer
	// has had descriptors of the process's folder in /proc.
	if q.pidfd >= 0 && unix.PidfdSendSignal(q.pidfd, 0, nil, 0) == unix.ESRCH {
		w.Close()
		return nil, fmt.Errorf("process %d was gone before it could be dumped", pid)
	}
	if wrong != nil { // the dump is made with what is known
		s.report(q.sender, fmt.Errorf("crash of process %d: %w", pid, wrong))
	}
	if crash := d.Crash; crash != nil {
		q.tid = threadOf(pid, int(crash.TID))
		crash.PID, crash.TID = int32(pid), int32(q.tid)
		if uint32(crash.Signo) == minidump.DumpRequested { // no signal, so no sender
			crash.NumParams, crash.Params = 0, [context.MaxParams]uint64{}
		}
		w.SetCrash(crash)
	}
	return w, nil
}

// mayDump checks whether the process that has sent a packet may be dumped.
func (s *Server) mayDump(c *conn, p Peer) error {
	if p.PID == 0 {
		return fmt.Errorf("%w: the process is in a pid namespace that is not visible here", ErrRefused)
	}
	if !s.opts.Allow(p) {
		return fmt.Errorf("%w: process %d of user %d", ErrRefused, p.PID, p.UID)
	}
	// The owner of the folder is the effective user, or root for a process that is not dumpable, such as one that has
	// executed a set-user-ID program (proc_pid(5)).
	var st unix.Stat_t
	if err := unix.Stat("/proc/"+strconv.Itoa(p.PID), &st); err != nil {
		return fmt.Errorf("process %d: %w", p.PID, err)
	}
	if st.Uid != p.UID {
		return fmt.Errorf("%w: process %d belongs to user %d, not %d", ErrRefused, p.PID, st.Uid, p.UID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 4096 // processes that share a socket
	if len(c.dumps) >= most {
		clear(c.dumps)
	}
	if c.dumps[p.PID]++; c.dumps[p.PID] > s.opts.perProcess() {
		return fmt.Errorf("%w: process %d had %d dumps on this connection", ErrFull, p.PID, s.opts.perProcess())
	}
	return nil
}

// archOf returns the architecture of a process: this machine's, or its 32-bit variant.
func archOf(pid int) context.Arch {
	// A key of the auxiliary vector is a word with a small number. So in a 64-bit process the upper half of the first
	// key is 0; in a 32-bit process that half is the value of the first key, an address or a set of flags.
	b := make([]byte, 8)
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/auxv")
	if err != nil {
		return context.Native
	}
	defer f.Close()
	compat := context.Native.Compat()
	if _, err := io.ReadFull(f, b); err == nil && compat != context.ArchUnknown && order.Uint64(b) > 0xffff {
		return compat
	}
	return context.Native
}

// threadOf returns the id of the thread of process pid whose id is tid in the innermost pid namespace of the process; 0
// if there is none.
func threadOf(pid, tid int) int {
	if tid <= 0 {
		return 0
	}
	task := "/proc/" + strconv.Itoa(pid) + "/task/"
	inner := func(t int) int {
		b, err := os.ReadFile(task + strconv.Itoa(t) + "/status")
		if err != nil {
			return 0
		}
		if n := procfs.ParseStatus(b).NSpid; n != 0 {
			return int(n)
		}
		return t // a kernel without pid namespaces
	}
	if inner(tid) == tid { // the usual case
		return tid
	}
	for _, t := range threadsOf(pid) {
		if inner(t) == tid {
			return t
		}
	}
	return 0
}

// threadsOf returns the threads of a process.
func threadsOf(pid int) []int {
	names, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/[0-9]*")
	var out []int
	for _, name := range names {
		if t, err := strconv.Atoi(filepath.Base(name)); err == nil {
			out = append(out, t)
		}
	}
	return out
}
