package crash

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/context"
	_ "minidump/goroutines" // the dumps list the goroutines
	"minidump/procfs"
)

// monitor is the main function of the monitor. It returns the exit status. value has the program's pid, the inode of its end of
// the socket, and the number of padding bytes in the socket.
func monitor(value string, o Options) int {
	var pid, padding int
	var inode uint64
	if _, err := fmt.Sscanf(value, "%d %d %d", &pid, &inode, &padding); err != nil {
		return 2
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	pidfd, err := unix.PidfdOpen(pid, 0) // before the program can have ended
	if err != nil {
		pidfd = -1
	}
	notes := os.NewFile(monitorNotes, "crash annotations")
	h := newHolder(pid, pidfd, notes, &o)
	r := &report{fd: monitorReport, padding: padding}
	if !r.first() {
		if !h.finish(&o) {
			reportEnd(pid, endOf(pid, pidfd), &o)
		}
		return 0
	}
	h.Lock()
	c, err := capture(pid, inode, r, notes, o)
	h.Unlock()
	r.drain(func(string) bool { return false })
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		return 1
	}
	c.finish(r.text, &o)
	h.finish(&o)
	return 0
}

// A report is the runtime's report, as read from the socket.
type report struct {
	fd      int
	padding int    // bytes of padding in the socket before the report
	text    []byte // at most maxText

	draining bool
}

// first waits for the first write of a report, and leaves it in the socket, so that the second write blocks. It returns false
// if the program ended without a report.
//
// Kernels up to 6.17 ignore SO_PEEK_OFF if recv has slept, and return the padding, which is zeros (unix_stream_read_generic in
// net/unix/af_unix.c read the offset only once). The report has arrived by then, and a second call, which does not sleep, uses
// the offset.
func (r *report) first() bool {
	b := make([]byte, 4096)
	for {
		if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, r.padding); err != nil {
			return false
		}
		n, _, err := unix.Recvfrom(r.fd, b, unix.MSG_PEEK)
		if err == unix.EINTR || n > 0 && b[0] == 0 {
			continue
		}
		r.text = b[:max(n, 0)]
		return err == nil && n > 0
	}
}

// drain reads more of the report, until enough returns true or the report ends, which lets the program continue: the kernel
// then accepts a few more writes, and after the end of the report the program ends. The first call begins with the first write
// again.
func (r *report) drain(enough func(text string) bool) {
	if !r.draining {
		r.draining, r.text = true, r.text[:0]
	}
	b := make([]byte, 64<<10)
	for !enough(string(r.text)) {
		n, _, err := unix.Recvfrom(r.fd, b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		seen := min(r.padding, n)
		r.padding -= seen
		r.text = append(r.text, b[seen:][:min(n-seen, maxText-len(r.text))]...)
	}
}

// capture writes the dump of the program, which is blocked in its report.
func capture(pid int, inode uint64, r *report, notes *os.File, o Options) (*captured, error) {
	dir, err := folder(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &captured{path: newName(dir, pid), kind: kindOf(string(r.text))}
	var sp uint64
	c.findThread(func() (tid int) {
		tid, sp = writer(pid, inode)
		return tid
	})
	w, err := c.newWriter(pid, o, notes)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if c.kind == "signal" && c.tid != 0 {
		if frame := frameCrash(w, pid, c.tid, sp); frame != nil {
			w.SetCrash(frame)
			c.crash = true
		}
	}
	if c.kind != "signal" && c.tid != 0 {
		c.panicCrash(w, pid, sp)
	}
	err = c.write(w)
	if err == nil && c.kind == "fatal error" {
		c.fatal = fatalText(pid, r)
	}
	return c, err
}

// writer returns the id and the stack pointer of the thread that writes the report, which is in write(2) to the socket; 0 if it
// is not found.
func writer(pid int, inode uint64) (tid int, sp uint64) {
	dir := "/proc/" + strconv.Itoa(pid)
	tasks, _ := os.ReadDir(dir + "/task")
	socket := fmt.Sprintf("socket:[%d]", inode)
	for _, t := range tasks {
		b, err := os.ReadFile(dir + "/task/" + t.Name() + "/syscall")
		if err != nil {
			continue
		}
		f := strings.Fields(string(b))
		if len(f) < 3 || f[0] != strconv.Itoa(unix.SYS_WRITE) {
			continue
		}
		fd, err := strconv.ParseUint(strings.TrimPrefix(f[1], "0x"), 16, 64)
		if err != nil {
			continue
		}
		if link, err := os.Readlink(fmt.Sprintf("%s/fd/%d", dir, int32(fd))); err != nil || link != socket {
			continue
		}
		tid, _ = strconv.Atoi(t.Name())
		if _, at, _, _, ok := procfs.ParseSyscall(b); ok {
			sp = at
		}
		return tid, sp
	}
	return 0, 0
}

// frameCrash returns a Crash made from the signal frame on the stack of a thread that reports a signal; the handler runs
// above that frame.
func frameCrash(w *minidump.Writer, pid, tid int, sp uint64) *context.Crash {
	mem := make([]byte, 64<<10)
	mem = mem[:w.ReadMemory(sp, mem)]
	var f context.SignalFrame
	if !context.FindSignalFrame(context.Native, nativeOrder(), mem, sp, sp, &f) {
		return nil
	}
	c := new(context.Crash)
	if !c.ReadFrame(&f, mem, sp, int32(pid), int32(tid)) {
		return nil
	}
	return c
}

// lineCrash returns a Crash, without registers, for the signal line of a report; nil if the report has none.
func lineCrash(text string, tid int) *context.Crash {
	l, ok := findSignal(text)
	sig := unix.SignalNum(l.name)
	if !ok || sig == 0 {
		return nil
	}
	c := &context.Crash{
		Arch: context.Native, BigEndian: isBigEndian(), TID: int32(tid),
		Signo: int32(sig), Code: int32(l.code), Address: l.addr, HasAddress: true,
	}
	c.SetParams()
	return c
}

// causeOf returns the signal in a report for the exception stream; nil if the report has none.
func causeOf(text string, tid int) *cause {
	c := lineCrash(text, tid)
	if c == nil {
		return nil
	}
	return &cause{code: uint32(c.Signo), flags: uint32(c.Code), address: c.Address, params: c.Params[:c.NumParams]}
}
