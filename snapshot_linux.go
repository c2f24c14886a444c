package minidump

import (
	"errors"
	"io"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/errtext"
	"minidump/internal/linux"
	"minidump/internal/snapshot"
	"minidump/internal/sys"
)

// A helper process, the keeper, makes a dump that is read from a copy of the process. While a thread of the process makes the
// copy, its registers are changed, and the tracer that has changed them must survive to restore them. The keeper does nothing
// else. It ignores the signals that end a program, is in a session of its own, and ends the copy and itself when its parent is
// gone.
//
// The keeper sends the dump through a pipe. When the parent closes the pipe, or ends, the keeper's next write fails, and it cleans
// up.

// keeper is the parent's side.
type keeper struct {
	o      Options
	pid    int
	source *linux.Source // of the Writer
}

// snapshotFrom is the resident size, in bytes, from which SnapshotAuto copies a process: reading less takes no longer than
// starting a keeper.
const snapshotFrom = 64 << 20

// copyNote is what a keeper sends before its record: as soon as there is a copy, or at its end if there was none.
type copyNote struct {
	tid    int32 // of the copy in the keeper's PID namespace; 0: no copy
	number int32 // of the copy in the process's PID namespace
}

// dump makes one dump by a keeper, or in this process if that is better.
func (k *keeper) dump(w *Writer, dst io.Writer, r *Result) error {
	auto := k.o.Snapshot == SnapshotAuto
	if auto && (k.o.Mode != ModeFull || k.source.Resident() < snapshotFrom) {
		return w.dumpHere(dst, r)
	}
	sent, err := k.run(w, dst, r)
	switch {
	case err == nil || sent > 0:
	case errors.Is(err, errNoChild) || errors.Is(err, ErrPermission) || errors.Is(err, ErrUnsupported):
		if auto { // the parent may have permissions that its child lacks
			return w.dumpHere(dst, r)
		}
		err = snapshot.AlsoError(ErrSnapshot, err)
	}
	return err
}

// run makes one dump by a keeper, and returns how many of its bytes have reached dst.
func (k *keeper) run(w *Writer, dst io.Writer, res *Result) (sent uint64, err error) {
	start := time.Now()
	var out [2]int
	if err := unix.Pipe2(out[:], unix.O_CLOEXEC); err != nil {
		return 0, errtext.Wrap(err, "minidump: make a pipe for the dump of pid ", k.pid)
	}
	_, _ = unix.FcntlInt(uintptr(out[0]), unix.F_SETPIPE_SZ, keeperChunk)
	p, err := startHelper(out[1], "dump-keeper", true)
	unix.Close(out[1])
	if err != nil {
		unix.Close(out[0])
		return 0, errtext.Wrap(snapshot.AlsoError(errNoChild, err), "minidump: start /proc/self/exe")
	}
	defer p.close()
	r, note := new(forkRecord), new(copyNote)
	err = p.send(encodeRequest(k.pid, &k.o))
	if err == nil {
		sent, err = copyOut(dst, out[0])
	}
	unix.Close(out[0]) // if dst has failed, the keeper's next write fails
	if _, failed := readFull(p.record, unsafe.Slice((*byte)(unsafe.Pointer(note)), unsafe.Sizeof(*note))); failed == nil {
		_ = p.receive(r)
	}
	status := p.wait()
	if r.state == forkRunning && note.tid != 0 { // the keeper was killed, and could not clean up
		k.source.ReapCopy(&w.snap, note.tid, note.number)
	}
	if err != nil {
		return sent, errtext.Wrap(err, "minidump: write dump of pid ", k.pid)
	}
	if err = r.problem(status); err != nil {
		return sent, err
	}
	*res = r.result(time.Since(start))
	return sent, nil
}

// keeperChunk is the size of the pipe and of a single read from it, in bytes.
const keeperChunk = 1 << 20

// copyOut copies the dump from the keeper's pipe fd to dst.
func copyOut(dst io.Writer, fd int) (sent uint64, err error) {
	b := make([]byte, keeperChunk)
	for {
		n, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return sent, err
		}
		k, err := dst.Write(b[:n])
		if sent += uint64(k); err == nil && k < n {
			err = io.ErrShortWrite
		}
		if err != nil {
			return sent, err
		}
	}
}

// keepDump makes the dump in the keeper.
func keepDump(pid int, o *Options, r *forkRecord) error {
	becomeKeeper()
	told := false
	note := func(tid, number int32) {
		told = true
		n := &copyNote{tid, number}
		sendRecord(unsafe.Slice((*byte)(unsafe.Pointer(n)), unsafe.Sizeof(*n)))
	}
	defer func() {
		if !told {
			note(0, 0)
		}
	}()
	w, source, err := newLive(pid, o)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := source.CopyTo(note); err != nil {
		return err
	}
	source.TraceByOwnThread()
	res, err := w.Dump(keeperOutput{})
	unix.Close(helperOut)
	r.set(w, &res, err)
	return err
}

// becomeKeeper makes it unlikely that this process is killed by mistake.
func becomeKeeper() {
	name := [16]byte{}
	copy(name[:], "dump-keeper")
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0)
	for _, s := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM,
		unix.SIGVTALRM, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGXCPU} {
		sys.IgnoreSignal(int(s))
	}
	if fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
		_, _ = unix.Write(fd, []byte("-1000")) // requires CAP_SYS_RESOURCE
		unix.Close(fd)
	}
}

// keeperOutput is the pipe to the parent. Its writes are visible to the Go scheduler, because they block until the parent reads.
type keeperOutput struct{}

func (keeperOutput) Write(p []byte) (n int, err error) {
	for n < len(p) {
		k, err := unix.Write(helperOut, p[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		n += k
	}
	return n, nil
}
