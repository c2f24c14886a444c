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

// A dump that is read from a copy of the process is made by a helper, the keeper: a thread of the process has other registers
// while it makes the copy, and whoever has set them must live to set them back. A keeper has nothing but that to do. It ignores
// the signals that end a program, is in a session of its own, and when its parent is gone it ends the copy and itself.
//
// The dump comes through a pipe. When the parent closes that, or ends, the keeper's next write fails, and it clears up.

// keeper is the parent's side.
type keeper struct {
	o      Options
	pid    int
	source *linux.Source // of the Writer
}

// snapshotFrom is how much of a process must be in memory before SnapshotAuto copies it: less is read in the time that a keeper
// takes to start.
const snapshotFrom = 64 << 20

// copyNote is what a keeper says before its record, as soon as there is a copy, or when there was none.
type copyNote struct {
	tid    int32 // in the keeper's PID namespace; 0: none
	number int32 // in that of the process
}

// dump has one dump made by a keeper, if that is better than to make it here.
func (k *keeper) dump(w *Writer, dst io.Writer) (Result, error) {
	auto := k.o.Snapshot == SnapshotAuto
	if auto && (k.o.Mode != ModeFull || k.source.Resident() < snapshotFrom) {
		return w.dumpHere(dst)
	}
	res, sent, err := k.run(w, dst)
	switch {
	case err == nil || sent > 0:
	case errors.Is(err, errNoChild) || errors.Is(err, ErrPermission) || errors.Is(err, ErrUnsupported):
		if auto { // the parent may be allowed what a child of it is not
			return w.dumpHere(dst)
		}
		err = snapshot.AlsoError(ErrSnapshot, err)
	}
	return res, err
}

// run has a keeper make one dump, and returns also how many bytes of it have reached dst.
func (k *keeper) run(w *Writer, dst io.Writer) (res Result, sent uint64, err error) {
	start := time.Now()
	var out [2]int
	if err := unix.Pipe2(out[:], unix.O_CLOEXEC); err != nil {
		return res, 0, errtext.Wrap(err, "minidump: make a pipe for the dump of pid ", k.pid)
	}
	_, _ = unix.FcntlInt(uintptr(out[0]), unix.F_SETPIPE_SZ, keeperChunk)
	p, err := startHelper(out[1], "dump-keeper", true)
	unix.Close(out[1])
	if err != nil {
		unix.Close(out[0])
		return res, 0, errtext.Wrap(snapshot.AlsoError(errNoChild, err), "minidump: start /proc/self/exe")
	}
	defer p.close()
	r, note := new(forkRecord), new(copyNote)
	err = p.send(encodeRequest(k.pid, &k.o))
	if err == nil {
		sent, err = copyOut(dst, out[0])
	}
	unix.Close(out[0]) // if dst has failed, the keeper sees that now
	if _, failed := readFull(p.record, unsafe.Slice((*byte)(unsafe.Pointer(note)), unsafe.Sizeof(*note))); failed == nil {
		_ = p.receive(r)
	}
	status := p.wait()
	if r.state == forkRunning && note.tid != 0 { // the keeper was killed, and could not clear up
		k.source.ReapCopy(&w.snap, note.tid, note.number)
	}
	if err != nil {
		return res, sent, errtext.Wrap(err, "minidump: write dump of pid ", k.pid)
	}
	if err = r.problem(status); err != nil {
		return res, sent, err
	}
	return r.result(time.Since(start)), sent, nil
}

// keeperChunk is the size of the pipe and of what is copied at once, in bytes.
const keeperChunk = 1 << 20

// copyOut copies what comes from the keeper.
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

// keepDump is the keeper's work.
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
	w, source, err := newLive(pid, *o)
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

// becomeKeeper makes it unlikely that somebody ends this process by mistake.
func becomeKeeper() {
	name := [16]byte{}
	copy(name[:], "dump-keeper")
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0)
	for _, s := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM,
		unix.SIGVTALRM, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGXCPU} {
		sys.IgnoreSignal(int(s))
	}
	if fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
		_, _ = unix.Write(fd, []byte("-1000")) // takes CAP_SYS_RESOURCE
		unix.Close(fd)
	}
}

// keeperOutput is the pipe to the parent. It tells the Go scheduler of its writes, which wait for whoever takes the dump.
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
