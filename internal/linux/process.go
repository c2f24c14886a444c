//go:build linux

package linux

import (
	"golang.org/x/sys/unix"

	"minidump/internal/errtext"
	"minidump/internal/sys"
	"minidump/procfs"

	"minidump/internal/arena"
	"minidump/internal/goruntime"
	"minidump/internal/images"
	"minidump/internal/snapshot"
)

// readProcess reads what does not depend on the stop, and what the stop would change: the state of the process and its threads.
func (p *Reader) readProcess(s *snapshot.Snapshot) error {
	p.recordFacts(s)
	if p.living != 0 { // that thread may have ended too
		p.followLiving()
	}
	if err := p.readStat(s); err != nil {
		return err
	}
	p.readAuxv(s)
	p.lookAtProgram(s)
	p.readRaw(s, snapshot.RawStatus, "status\x00", snapshot.OpStatus)
	status := procfs.ParseStatus(s.Bytes.Get(s.Raw[snapshot.RawStatus]))
	p.program.otherTracer = status.TracerPid != 0
	p.readRaw(s, snapshot.RawLimits, "limits\x00", snapshot.OpLimits)
	if s.Want.Omit&snapshot.OmitCmdline == 0 {
		p.readRaw(s, snapshot.RawCmdline, "cmdline\x00", snapshot.OpCmdline)
	}
	if s.Want.Omit&snapshot.OmitEnviron == 0 {
		p.readRaw(s, snapshot.RawEnviron, "environ\x00", snapshot.OpEnviron)
	}
	return nil
}

// readAuxv reads the auxiliary vector.
func (p *Reader) readAuxv(s *snapshot.Snapshot) {
	p.readRaw(s, snapshot.RawAuxv, "auxv\x00", snapshot.OpAuxv)
	p.program.auxv = procfs.ParseAuxv(s.Bytes.Get(s.Raw[snapshot.RawAuxv]), s.Target.WordSize(), s.Target.Order)
	if !p.program.auxv.Complete {
		s.Soft(snapshot.OpReadAuxv, 0, 0, 0)
	}
	s.AdoptAuxv(&p.program.auxv)
}

// lookAtProgram determines what kind of program the process runs, if it is a new one. The auxiliary vector is known.
func (p *Reader) lookAtProgram(s *snapshot.Snapshot) {
	pr := &p.program
	auxv := s.Bytes.Get(s.Raw[snapshot.RawAuxv])
	if len(auxv) > 0 && string(auxv) != string(pr.seen[:pr.seenLen]) { // a new program: execve changes AT_RANDOM
		pr.seenLen = copy(pr.seen[:], auxv)
		if p.goList != nil {
			p.goList.Forget()
		}
		p.mem.close() // an open /proc/PID/mem still refers to the old program's memory
		pr.isGo = goruntime.IsGo(s, &p.mem, p.scratch.bytes)
	}
	s.Proc.IsGo = pr.isGo
}

// readStat reads the times and the parent of the process. It fails if the process cannot be dumped because it has ended
// or is a kernel thread.
func (p *Reader) readStat(s *snapshot.Snapshot) error {
	b, errno := p.readSmall("stat\x00")
	if errno != 0 {
		if errno == unix.ENOENT || errno == unix.ESRCH {
			return errtext.Wrap(systemError(errno), "minidump: read stat of pid ", p.pid)
		}
		s.Soft(snapshot.OpStat, int32(errno), 0, 0)
	} else if st := &p.scratch.stat; st.Parse(b) {
		if st.Flags&pfKthread != 0 {
			return errtext.Wrap(snapshot.ErrUnsupported, "minidump: pid ", p.pid, " is a kernel thread")
		}
		if st.State == 'Z' && st.NumThreads <= 1 || st.State == 'X' {
			return errtext.Wrap(snapshot.ErrNoProcess, "minidump: pid ", p.pid, " has exited and waits for its parent to reap it")
		}
		if s.Want.Omit&snapshot.OmitCmdline != 0 {
			s.Proc.Omitted[0] = snapshot.Range{Lo: st.ArgStart, Hi: st.ArgEnd}
		}
		if s.Want.Omit&snapshot.OmitEnviron != 0 {
			s.Proc.Omitted[1] = snapshot.Range{Lo: st.EnvStart, Hi: st.EnvEnd}
		}
		tick := p.facts.clockTick
		s.Proc.PPID = st.PPID
		s.Proc.UserTime, s.Proc.KernelTime = uint32(st.UTime/tick), uint32(st.STime/tick)
		state, start := st.State, st.StartTime
		if p.living != 0 {
			if n, errno := p.dir.TaskFile(p.pid, "stat\x00", p.scratch.bytes); errno == 0 && st.Parse(p.scratch.bytes[:n]) {
				start = st.StartTime
			}
		}
		if s.Proc.CreateTime = 0; p.facts.bootTime != 0 {
			s.Proc.CreateTime = uint32(p.facts.bootTime + start/tick)
		}
		if state == 'Z' && p.living == 0 {
			p.followLiving()
		}
	}
	return nil
}

// pfKthread is PF_KTHREAD of the kernel's include/linux/sched.h.
const pfKthread = 0x00200000

// readSmall reads a short file of /proc/PID. The bytes are valid until the scratch memory is used again.
func (p *Reader) readSmall(name string) ([]byte, sys.Errno) {
	n, _, errno := p.dir.ReadFile(name, p.scratch.bytes)
	return p.scratch.bytes[:n], errno
}

// readRaw reads a whole file of /proc/PID into the snapshot. It also records an error as a soft error.
func (p *Reader) readRaw(s *snapshot.Snapshot, which int, name string, op snapshot.Op) sys.Errno {
	fd, errno := p.dir.OpenFile(name, unix.O_RDONLY)
	if errno == 0 {
		s.Raw[which], errno = readAll(&s.Bytes, fd)
	}
	if errno != 0 {
		s.Soft(op, int32(errno), 0, 0)
	}
	return errno
}

// readAll reads fd to its end into the arena and closes it.
func readAll(a *arena.Bytes, fd int) (arena.Span, sys.Errno) {
	start := (a.Used + 15) &^ 15
	size := uintptr(0)
	for {
		if !a.Ensure(start + size + arena.Step) {
			sys.Close(fd)
			return arena.Span{}, unix.ENOMEM
		}
		n, more, errno := procfs.ReadFd(fd, a.Get(arena.Span{Off: uint32(start + size), Len: arena.Step}))
		size += uintptr(n)
		if errno != 0 {
			sys.Close(fd)
			return arena.Span{}, errno
		}
		if !more {
			break
		}
	}
	sys.Close(fd)
	a.Used = start + size
	return arena.Span{Off: uint32(start), Len: uint32(size)}, 0
}

// listOwn lists the threads that are known even if listThreads fails: the main thread and the blamed one.
func (p *Reader) listOwn(blamed int32) {
	p.scratch.tids.Clear()
	if out := p.scratch.tids.Extend(1); out != nil {
		out[0] = p.pid
	}
	if blamed != p.pid {
		if out := p.scratch.tids.Extend(1); out != nil {
			out[0] = blamed
		}
	}
}

// listThreads reads the ids of all threads into p.scratch.tids.
func (p *Reader) listThreads() sys.Errno {
	for want := max(p.scratch.tids.N, 256); ; want *= 2 {
		p.scratch.tids.Clear()
		out := p.scratch.tids.Extend(want)
		if out == nil {
			return unix.ENOMEM
		}
		n, more, errno := p.dir.Tasks(p.scratch.bytes, out)
		p.scratch.tids.N = n
		if errno != 0 || !more {
			return errno
		}
	}
}

// registersFromProc sets SP and PC of a thread that cannot be traced, if /proc shows them.
func (p *Reader) registersFromProc(t *snapshot.Thread) {
	n, errno := p.dir.TaskFile(t.TID, "syscall\x00", p.scratch.bytes)
	if errno == 0 {
		if _, sp, pc, running, ok := procfs.ParseSyscall(p.scratch.bytes[:n]); ok && !running {
			t.SP, t.PC, t.HasSP = sp, pc, true
			return
		}
	}
	n, errno = p.dir.TaskFile(t.TID, "stat\x00", p.scratch.bytes)
	if errno == 0 {
		if st := &p.scratch.stat; st.Parse(p.scratch.bytes[:n]) && st.KStkESP != 0 && st.KStkEIP != 0 {
			t.SP, t.PC, t.HasSP = st.KStkESP, st.KStkEIP, true
		}
	}
}

// readStatm returns /proc/PID/statm, or the zero Statm if it cannot be read.
func (p *Reader) readStatm() procfs.Statm {
	b, _ := p.readSmall("statm\x00")
	m, _ := procfs.ParseStatm(b)
	return m
}

// readMaps reads and parses the memory map.
func (p *Reader) readMaps(s *snapshot.Snapshot) sys.Errno {
	if errno := p.readRaw(s, snapshot.RawMaps, "maps\x00", snapshot.OpMaps); errno != 0 {
		return errno
	}
	images.ParseMaps(s, s.Bytes.Get(s.Raw[snapshot.RawMaps]))
	return 0
}

// Resident returns how many bytes of the process are in memory, or 0 if that is not known.
func (p *Reader) Resident() uint64 { return p.readStatm().Resident * p.facts.target.PageSize }
