package minidump

import (
	"strconv"
	"syscall"
	"time"

	"minidump/internal/snapshot"
)

// Result describes a dump that was written.
type Result struct {
	Size     uint64        // bytes written
	Pause    time.Duration // how long the target was stopped; 0 if it was not running
	Total    time.Duration // from the call of Dump to its return
	Threads  int
	Stopped  int // threads whose registers are in the dump; 0 for a live process: it could not be stopped, the dump is incomplete
	Modules  int
	Snapshot bool   // the memory is that of a copy of the target (see Options.Snapshot)
	Ranges   int    // memory ranges
	Memory   uint64 // bytes of the target's memory in the dump
	Soft     int    // soft errors: pieces that are missing

	w    *Writer
	list []SoftError // used instead of w if the Writer no longer exists
}

// SoftErrors returns what is missing from the dump. It allocates. It must be called before the Writer's next Dump;
// after Close it returns nothing.
func (r *Result) SoftErrors() []SoftError {
	if r.w == nil {
		return r.list
	}
	return softErrors(&r.w.snap)
}

// describe sets r to what is known of the dump that was just written.
func (w *Writer) describe(r *Result, total time.Duration) {
	s := &w.snap
	ranges := s.Memory.All()
	if s.Want.Mode == snapshot.ModeFull { // Full includes the stacks
		ranges = s.Full.All()
	}
	*r = Result{
		Size: w.file.Size, Pause: s.Pause, Total: total, Threads: s.Threads.N, Modules: s.Modules.N,
		Ranges: len(ranges), Soft: s.Errors.N, Snapshot: s.Copied, w: w,
	}
	for i := range s.Threads.All() {
		t := s.Threads.At(i)
		if t.State == snapshot.ThreadStopped && (t.GP.Len > 0 || t.Context.Len > 0) {
			r.Stopped++
		}
	}
	for i := range ranges {
		r.Memory += ranges[i].Size
	}
}

// A SoftError is a piece that is missing from a dump that was otherwise written.
type SoftError struct {
	Op      string // what was attempted, such as "read registers"
	Thread  int    // the thread it was attempted on; 0: the process
	Address uint64 // the address it was attempted at; 0: none
	Subject string // what else identifies it, such as a module's name
	Err     error  // the system's error: a syscall.Errno, on macOS a mach.KernReturn; nil if no system call failed
}

// Error returns the error in one line.
func (e *SoftError) Error() string {
	t := e.Op
	if e.Subject != "" {
		t += " " + strconv.Quote(e.Subject)
	}
	if e.Thread != 0 {
		t += " of thread " + strconv.Itoa(e.Thread)
	}
	if e.Address != 0 {
		t += " at 0x" + strconv.FormatUint(e.Address, 16)
	}
	if e.Err != nil {
		t += ": " + e.Err.Error()
	}
	return t
}

// Unwrap returns Err.
func (e *SoftError) Unwrap() error { return e.Err }

// softErrors renders the records for the caller of Dump.
func softErrors(s *snapshot.Snapshot) []SoftError {
	out := make([]SoftError, 0, s.Errors.N)
	for _, e := range s.Errors.All() {
		r := SoftError{Op: e.Op.What(), Thread: int(e.TID), Address: e.Addr, Subject: string(s.Bytes.Get(e.Text))}
		if e.Errno != 0 {
			if r.Err = syscall.Errno(e.Errno); s.Numbers != nil {
				r.Err = s.Numbers.Err(e.Errno)
			}
		}
		out = append(out, r)
	}
	return out
}
