package ptrace

import (
	"encoding/binary"
	"strconv"
	"time"
	"unsafe"

	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// stopKind decodes the status of a stop: the signal number, and above it the ptrace event.
func stopKind(status int32) (signal int32, event uint8, groupStop bool) {
	signal, event = status&0x7f, uint8(status>>8)
	if event == 0 {
		return signal, 0, false
	}
	switch unix.Signal(signal) {
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		groupStop = event == PTRACE_EVENT_STOP
	}
	return 0, event, groupStop
}

// wait returns what has happened to tid, without consuming it (see the package comment) and without waiting. Code 0 means that
// nothing has happened.
func (t *Tracer) wait(tid int32) (code, status int32, errno sys.Errno) {
	options := unix.WSTOPPED | unix.WEXITED | unix.WNOHANG | unix.WNOWAIT
	if !t.old {
		errno = sys.Waitid(int(tid), &t.info, options|unix.WALL)
		if errno == unix.ECHILD { // repeated: a thread wrongly considered gone would stay stopped forever
			errno = sys.Waitid(int(tid), &t.info, options|unix.WALL)
		}
		if errno != unix.EINVAL {
			return t.childInfo(errno)
		}
		t.old = true
	}
	// Before Linux 4.7 waitid only supports the main thread. wait4 supports all, but consumes what it reports.
	if tid == t.pid {
		return t.childInfo(sys.Waitid(int(tid), &t.info, options))
	}
	t.status = 0
	r, errno := sys.Wait4(int(tid), &t.status, unix.WNOHANG|unix.WALL)
	switch {
	case errno != 0 || r == 0:
		return 0, 0, errno
	case t.status&0xff == 0x7f:
		return cldTrapped, t.status >> 8, 0
	default:
		return cldExited, t.status, 0
	}
}

// reap removes a dead thread, and passes the exit of a main thread on to its parent. If the parent is this process, reap leaves
// the exit to whatever waits for it there.
func (t *Tracer) reap(tid int32) bool {
	if tid == t.pid {
		_, ppid, e := t.readStat(tid)
		if e != 0 {
			return false // unknown: rather leave it
		}
		if int(ppid) == sys.Getpid() {
			return true
		}
	}
	options := unix.WEXITED | unix.WNOHANG
	if t.old {
		t.status = 0
		_, e := sys.Wait4(int(tid), &t.status, unix.WNOHANG|unix.WALL)
		return e == 0 || e == unix.ECHILD
	}
	e := sys.Waitid(int(tid), &t.info, options|unix.WALL)
	return e == 0 || e == unix.ECHILD
}

// readStat reads the state letter and the parent's id of a thread from /proc/PID/task/TID/stat.
func (t *Tracer) readStat(tid int32) (state byte, ppid int32, errno sys.Errno) {
	b := append(strconv.AppendInt(append(t.path[:0], "/proc/"...), int64(t.pid), 10), "/task/"...)
	b = append(strconv.AppendInt(b, int64(tid), 10), "/stat\x00"...)
	fd, errno := sys.OpenBytes(unix.AT_FDCWD, b, unix.O_RDONLY)
	if errno != 0 {
		return 0, 0, errno
	}
	n, errno := sys.Read(fd, t.stat[:])
	sys.Close(fd)
	if errno != 0 {
		return 0, 0, errno
	}
	_, fields, ok := sys.SplitStat(t.stat[:n])
	if !ok {
		return 0, 0, unix.EINVAL
	}
	for _, c := range fields[min(2, len(fields)):] {
		if c < '0' || c > '9' {
			return fields[0], ppid, 0
		}
		ppid = ppid*10 + int32(c-'0')
	}
	return 0, 0, unix.EINVAL
}

// Offsets of fields in struct siginfo (asm-generic/siginfo.h). Three ints are followed by a union, which contains pointers and is
// aligned accordingly; for waitid it contains si_pid, si_uid and si_status of 4 bytes each.
const (
	siUnion  = 8 + unsafe.Sizeof(uintptr(0)) // 12, or 16
	siPid    = siUnion
	siStatus = siUnion + 8
)

// signalInfo decodes the head of a siginfo. mips has si_code before si_errno (arch/mips/include/uapi/asm/siginfo.h).
func signalInfo(info *[128]byte) (signo, code int32) {
	at := 8
	if sys.MIPS {
		at = 4
	}
	return int32(binary.NativeEndian.Uint32(info[0:])), int32(binary.NativeEndian.Uint32(info[at:]))
}

// childCode decodes the siginfo that waitid stored. The code is 0 if there was nothing to report.
func childCode(info *[128]byte) (code, status int32) {
	if binary.NativeEndian.Uint32(info[siPid:]) == 0 {
		return 0, 0
	}
	_, code = signalInfo(info)
	return code, int32(binary.NativeEndian.Uint32(info[siStatus:]))
}

// childInfo is childCode for the siginfo of the Tracer, after a waitid that returned e.
func (t *Tracer) childInfo(e sys.Errno) (code, status int32, errno sys.Errno) {
	if e != 0 {
		return 0, 0, e
	}
	code, status = childCode(&t.info)
	return code, status, 0
}

// The runtime reads the clock through the vDSO (some 40 ns instead of a system call), takes no lock and allocates nothing, and
// this works even in a forked process. It only measures differences, so the absolute value at the start comes from the kernel,
// once.
var (
	clockStart = time.Now()
	clockBase  = monotonicNow()
)

func monotonicNow() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 1
	}
	return ts.Nano()
}

// Monotonic returns CLOCK_MONOTONIC in nanoseconds. The error is the time between the initializations of the two variables above,
// some microseconds. It allocates nothing and makes no system call if the vDSO provides the clock.
func Monotonic() int64 {
	return clockBase + int64(time.Since(clockStart))
}
