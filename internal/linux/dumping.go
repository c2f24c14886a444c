//go:build linux

package linux

import (
	"bytes"
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/errtext"
	"minidump/internal/sys"
	"minidump/procfs"

	"minidump/internal/corefile"
	"minidump/internal/snapshot"
)

// Dumping is a process whose core the kernel is writing, as a source of snapshots. Threads and registers come from the
// notes of the core, because such a process cannot be traced. Everything else is read from /proc, as for any live
// process. Nothing has to be stopped: the threads no longer run, but memory, files and entries in /proc still exist.
type Dumping struct {
	Reader
	notes *corefile.Notes // nil: the kernel has not sent them
	tids  []int32         // of the threads, in the order of the notes, in this process's pid namespace
	cause *context.Crash  // what killed the process; nil: not known
}

var errNotDumping = errors.New("this core is of another process")

// OpenDumping opens the process pid, whose core the kernel is writing. The source then owns the notes; after an
// error the caller still does. buf is memory that the encoder may use.
func OpenDumping(notes *corefile.Notes, pid int) (d *Dumping, buf []byte, err error) {
	d = &Dumping{notes: notes}
	if buf, err = d.open(pid); err != nil {
		return nil, nil, err
	}
	if err = d.check(); err != nil {
		d.Reader.Close()
		return nil, nil, err
	}
	return d, buf, nil
}

// Begin determines the facts shared by all dumps. Texts are kept in s. crashed, if not 0, is the id of the crashed
// thread in this process's pid namespace.
func (d *Dumping) Begin(s *snapshot.Snapshot, crashed int) error {
	if err := d.FirstLook(s); err != nil {
		return err
	}
	d.number(crashed)
	d.findCause()
	return nil
}

// Abandon releases everything except the notes.
func (d *Dumping) Abandon() { d.Reader.Close() }

// check returns an error unless everything that a dump needs can be read.
func (d *Dumping) check() error {
	b, errno := d.readSmall("status\x00")
	if errno != 0 {
		return errno
	}
	st := procfs.ParseStatus(b)
	if !st.CoreDumping && (d.notes == nil || bytes.Contains(b, []byte("\nCoreDumping:"))) { // Linux 4.15
		return errNotDumping
	}
	if st.State == 'Z' && !d.followLiving() {
		return unix.ESRCH
	}
	n, _, errno := d.dir.ReadFile("maps\x00", d.scratch.bytes)
	switch {
	case errno != 0:
		return errno
	case n == 0:
		return unix.ESRCH
	}
	fd, errno := d.dir.OpenFile("mem\x00", unix.O_RDONLY)
	if errno != 0 {
		return errno
	}
	sys.Close(fd)
	return nil
}

// number sets the ids of the threads in this process's pid namespace; those in the notes are from the process's
// own namespace. crashed, if not 0, is the id of the crashed thread, which the kernel writes first.
func (d *Dumping) number(crashed int) {
	d.listThreads()
	here := d.scratch.tids.All()
	if d.notes == nil {
		d.tids = slices.Clone(here)
		if i := slices.Index(d.tids, int32(crashed)); i > 0 {
			d.tids[0], d.tids[i] = d.tids[i], d.tids[0]
		}
		return
	}
	d.tids = d.notes.ThreadIDs()
	inner := make(map[int32]int32, len(here))
	for _, tid := range here {
		if n, errno := d.dir.TaskFile(tid, "status\x00", d.scratch.bytes); errno == 0 {
			if st := procfs.ParseStatus(d.scratch.bytes[:n]); st.NSpid != 0 {
				inner[st.NSpid] = tid
			}
		}
	}
	for i, tid := range d.tids {
		if outer, ok := inner[tid]; ok {
			d.tids[i] = outer
		}
	}
	if crashed == 0 || len(d.tids) == 0 || d.tids[0] == int32(crashed) {
		return
	}
	for _, tid := range d.tids {
		if tid == int32(crashed) {
			return // the caller chose another thread
		}
	}
	d.tids[0] = int32(crashed)
}

// crashed returns the thread that the dump is about by default.
func (d *Dumping) crashed() int32 {
	if len(d.tids) == 0 {
		return d.firstLiving()
	}
	return d.tids[0]
}

// findCause sets what killed the process, from siginfo in the core and the instruction at the fault.
func (d *Dumping) findCause() {
	if d.notes == nil {
		return
	}
	if d.cause = d.notes.Cause(&d.mem); d.cause != nil {
		d.cause.PID, d.cause.TID = d.pid, d.crashed()
	}
}

// Capture fills s from the notes, /proc and the memory of the process.
func (d *Dumping) Capture(s *snapshot.Snapshot) error {
	s.Target, s.System, s.Proc.PID = d.facts.target, d.facts.system, d.pid
	s.Allocates = true
	if d.notes == nil {
		s.Blame(d.crashed(), nil)
		d.threadsFromProc(s)
	} else {
		s.Target.Arch, s.Target.Order = d.notes.Target.Arch, d.notes.Target.Order
		s.Blame(d.crashed(), d.cause)
		d.threadsFromNotes(s)
	}
	s.AddBlamed(snapshot.OpRegisters, 0)
	if err := d.readProcess(s); err != nil {
		return err
	}
	d.mem.begin(s)
	d.findHidden(s)
	if errno := d.readMaps(s); errno != 0 {
		return errtext.Wrap(systemError(errno), "minidump: read maps of pid ", d.pid)
	}
	d.captureMemory(s)
	return nil
}

func (d *Dumping) threadsFromNotes(s *snapshot.Snapshot) {
	d.notes.ReadThreads(s)
	for i := range s.Threads.All() {
		if i < len(d.tids) {
			s.Threads.At(i).TID = d.tids[i]
		}
	}
	if s.Want.RegisterSets {
		d.notes.ReadRegsets(s)
	}
}

// threadsFromProc fills the thread list with what /proc shows of the threads.
func (d *Dumping) threadsFromProc(s *snapshot.Snapshot) {
	if e := s.Soft(snapshot.OpRegisters, 0, 0, 0); e != nil {
		e.Text = s.Bytes.Put(textNoNotes)
	}
	for _, tid := range d.tids {
		t := s.Threads.Add()
		if t == nil {
			s.Soft(snapshot.OpTruncated, 0, tid, 0)
			return
		}
		t.TID, t.State = tid, snapshot.ThreadNoRegisters
		d.registersFromProc(t)
	}
}

var textNoNotes = []byte("the kernel has not sent the notes of the core")

// Release does nothing: the process ends when the caller closes the pipe.
func (d *Dumping) Release(*snapshot.Snapshot) error { return nil }

// Close releases the source and the notes.
func (d *Dumping) Close() error {
	if d.notes != nil {
		d.notes.Close()
	}
	return d.Reader.Close()
}
