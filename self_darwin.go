package minidump

import (
	"io"
	"os"
	"runtime"

	"minidump/mach"
)

// DumpSelf writes a dump of the calling process to dst. The process continues. The dump is about the calling thread
// and includes all other threads.
//
// The other threads are suspended while their registers and stacks are copied, and resumed before the dump is written.
// In ModeFull the rest of the memory is read while they run. The process needs no entitlement for this.
//
// Signal handlers must not call it: the Go runtime may be in any state then.
func DumpSelf(dst io.Writer, o Options) (Result, error) {
	return dumpSelf(o, func(w *Writer) (Result, error) { return w.Dump(dst) })
}

// DumpSelfFile is DumpSelf with the dump written to path, completely or not at all, as by Writer.DumpFile.
func DumpSelfFile(path string, o Options) (Result, error) {
	return dumpSelf(o, func(w *Writer) (Result, error) { return w.DumpFile(path) })
}

func dumpSelf(o Options, dump func(*Writer) (Result, error)) (Result, error) {
	runtime.LockOSThread() // the dump is about this thread
	defer runtime.UnlockOSThread()
	if o.Thread == 0 && o.Crash == nil {
		o.Thread = int(int32(uint32(mach.ThreadID())))
	}
	w, err := NewWriter(os.Getpid(), o)
	if err != nil {
		return Result{}, err
	}
	defer w.Close()
	res, err := dump(w)
	res.list, res.w = res.SoftErrors(), nil // the Result outlives the Writer
	return res, err
}
