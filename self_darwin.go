package minidump

import (
	"io"
	"os"
	"runtime"

	"minidump/mach"
)

// DumpSelf writes a dump of the calling process to dst, and the process goes on. The dump is about the calling thread,
// and has all other threads too.
//
// The other threads are suspended while their registers and stacks are copied, and go on before the dump is written.
// In ModeFull the rest of the memory is read while they run. The process needs no entitlement for this.
//
// Signal handlers must not call it: the Go runtime may be in any state then.
func DumpSelf(dst io.Writer, o Options) (Result, error) {
	return dumpSelf(o, func(w *Writer) (Result, error) { return w.Dump(dst) })
}

// DumpSelfFile works as DumpSelf does, and writes the dump to path: whole, or not at all, as Writer.DumpFile does.
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
	res.list, res.w = res.SoftErrors(), nil // they live longer than the Writer
	return res, err
}
