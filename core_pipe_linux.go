package minidump

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/sys"
	"minidump/procfs"
)

// dumping is a process of which the kernel is writing a core, as the source of a snapshot: the threads and their registers
// are those of the core's notes (such a process can't be traced), everything else is read from /proc as of any live
// process. Nothing has to be stopped: its threads have ended but for their memory, files and entries in /proc.
type dumping struct {
	*live
	notes *core
	tids  []int32 // of the threads in the order of the notes, in this process's pid namespace
}

var errNotDumping = errors.New("it is not the process whose core this is")

// openDumping makes a Writer of the process pid and the notes of its core, which the Writer owns from then on. It fails
// if the process can't be looked at; c stays the caller's then.
func openDumping(c *core, pid int, o Options) (*Writer, error) {
	w, l, err := newLive(pid, o)
	if err != nil {
		return nil, err
	}
	d := &dumping{live: l, notes: c}
	if err := d.check(); err != nil {
		w.Close()
		return nil, err
	}
	d.number(o.Thread)
	blamed := d.settle(&w.opts)
	if o.Crash == nil && c.crash != nil {
		w.opts.Crash = d.crash(blamed)
	}
	w.src = d
	return w, nil
}

// check finds out whether all that a dump takes can be read.
func (d *dumping) check() error {
	b, errno := d.readSmall("status\x00")
	if errno != 0 {
		return errno
	}
	st := procfs.ParseStatus(b)
	if !st.CoreDumping && bytes.Contains(b, []byte("\nCoreDumping:")) { // Linux 4.15
		return errNotDumping
	}
	if st.State == 'Z' && !d.followLiving() {
		return unix.ESRCH
	}
	n, _, errno := d.dir.ReadFile("maps\x00", d.scratch)
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

// number finds the numbers of the threads. Those in the notes are of the process's own pid namespace; crashed, if not 0, is
// the first one's (the kernel writes it first).
func (d *dumping) number(crashed int) {
	notes := d.notes.notes.all()
	for i := range notes {
		if n := &notes[i]; n.isThread() {
			p, _ := d.notes.parsePRStatus(d.notes.peekNote(n))
			d.tids = append(d.tids, p.tid)
		}
	}
	d.listThreads()
	here := d.live.tids.all()
	inner := make(map[int32]int32, len(here))
	for _, tid := range here {
		if n, errno := d.dir.TaskFile(tid, "status\x00", d.scratch); errno == 0 {
			if st := procfs.ParseStatus(d.scratch[:n]); st.NSpid != 0 {
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
			return // a thread was named that the dump shall be about
		}
	}
	d.tids[0] = int32(crashed)
}

// settle names the thread that the dump is about.
func (d *dumping) settle(o *Options) int32 {
	if len(d.tids) == 0 {
		return d.pid
	}
	if o.Thread == 0 {
		o.Thread = int(d.tids[0])
	}
	return d.tids[0]
}

// crash makes of the core's siginfo, and the instruction at the fault, what the exception stream says.
func (d *dumping) crash(tid int32) *context.Crash {
	c := *d.notes.crash
	c.PID, c.TID = d.pid, tid
	notes := d.notes.notes.all()
	for i := range notes {
		n := &notes[i]
		if !n.isThread() {
			continue
		}
		gp := make([]byte, d.notes.target.arch.GPSize())
		if d.notes.mem.readFile(n.off+uint64(d.notes.regsOffset()), gp) == len(gp) {
			c.SetContext(&context.Regsets{Arch: c.Arch, Order: d.notes.head.Order, GP: gp})
			code := make([]byte, 16)
			if c.PC != 0 {
				c.Refine(code[:d.mem.read(c.PC, code)])
			}
			c.HasContext, c.ContextLen = false, 0 // the thread itself has more of its registers
		}
		break
	}
	return &c
}

func (d *dumping) capture(w *Writer) error {
	s := &w.snap
	s.target, s.system, s.proc.pid = d.facts.target, d.facts.system, d.pid
	s.target.arch, s.target.order = d.notes.target.arch, d.notes.target.order
	d.choose(w)
	d.notes.readThreads(s)
	for i := range s.threads.all() {
		if i < len(d.tids) {
			s.threads.at(i).tid = d.tids[i]
		}
	}
	if w.opts.RegisterSets {
		d.notes.readRegsets(s)
	}
	s.addBlamed(opRegisters, 0)
	if err := d.readConstant(w); err != nil {
		return err
	}
	if errno := d.readMaps(s); errno != 0 {
		return &attemptError{what: "read maps", pid: d.pid, err: mapErrno(errno)}
	}
	if w.opts.Mode == ModeFull {
		d.chooseFull(w)
	}
	d.readStacks(w)
	return nil
}

// release has nothing to let go: the process goes on to end when the caller closes the pipe.
func (d *dumping) release(*Writer) {}

func (d *dumping) close() error {
	return errors.Join(d.notes.close(), d.live.close())
}
