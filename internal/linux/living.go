//go:build linux

package linux

// followLiving finds a running thread in a process whose main thread has ended, and reads the process through that
// thread from then on: under the pid the kernel no longer shows memory, maps and files, but under the id of any other
// thread it still does. It returns false if the main thread has not ended, or if no thread is left.
func (p *Reader) followLiving() bool {
	if n, errno := p.dir.TaskFile(p.pid, "stat\x00", p.scratch.bytes); errno == 0 {
		if st := &p.scratch.stat; st.Parse(p.scratch.bytes[:n]) && st.State != 'Z' && st.State != 'X' {
			return false
		}
	}
	if p.listThreads() != 0 {
		return false
	}
	for _, tid := range p.scratch.tids.All() {
		if tid == p.pid {
			continue
		}
		n, errno := p.dir.TaskFile(tid, "stat\x00", p.scratch.bytes)
		if errno != 0 {
			continue
		}
		if st := &p.scratch.stat; !st.Parse(p.scratch.bytes[:n]) || st.State == 'Z' || st.State == 'X' {
			continue
		}
		if p.dir.Follow(tid) == 0 {
			p.living = tid
			p.mem.close()
			p.mem.pid = int(tid)
			return true
		}
	}
	return false
}

// firstLiving returns the thread that a dump is about by default: the main thread, or another if that has ended.
func (p *Reader) firstLiving() int32 {
	if p.living != 0 {
		return p.living
	}
	return p.pid
}
