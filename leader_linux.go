package minidump

// followLiving finds a thread that lives, in a process whose first one has ended. The kernel then shows no memory, maps and
// files under the number of the process, but still does under that of any other thread.
func (l *live) followLiving() bool {
	if n, errno := l.dir.TaskFile(l.pid, "stat\x00", l.scratch); errno == 0 {
		if st := &l.procStat; st.Parse(l.scratch[:n]) && st.State != 'Z' && st.State != 'X' {
			return false
		}
	}
	if l.listThreads() != 0 {
		return false
	}
	for _, tid := range l.tids.all() {
		if tid == l.pid {
			continue
		}
		n, errno := l.dir.TaskFile(tid, "stat\x00", l.scratch)
		if errno != 0 {
			continue
		}
		if st := &l.procStat; !st.Parse(l.scratch[:n]) || st.State == 'Z' || st.State == 'X' {
			continue
		}
		if l.dir.Follow(tid) == 0 {
			l.via = tid
			l.mem.close()
			l.mem.pid = int(tid)
			return true
		}
	}
	return false
}

// blameLiving lets the dump be about a thread that lives when the one that it would be about has ended, and nobody named
// another.
func (l *live) blameLiving(w *Writer) {
	o := &w.opts
	if l.via != 0 && o.Thread == 0 && (o.Crash == nil || o.Crash.TID == 0) {
		w.snap.proc.blamed = l.via
	}
}
