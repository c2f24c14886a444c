package crash

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How long the monitor waits for the end of a program that has closed its end of the socket, and then for its parent to
// reap it: only after that does the kernel report the status (PIDFD_INFO_EXIT), unless the status of the zombie can be
// read.
const (
	endPatience  = 10 * time.Second
	reapPatience = 2 * time.Second
	reapPause    = 5 * time.Millisecond
)

// endOf waits for the end of process pid, whose pidfd is fd or -1, and returns how it ended.
func endOf(pid, fd int) End {
	if fd < 0 {
		return End{}
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for end := time.Now().Add(endPatience); ; {
		n, err := unix.Poll(poll, int(max(0, time.Until(end).Milliseconds())))
		if n > 0 {
			break
		}
		if time.Now().After(end) {
			return End{Alive: true}
		}
		if n < 0 && err != unix.EINTR {
			return End{}
		}
	}
	for end := time.Now().Add(reapPatience); time.Now().Before(end); time.Sleep(reapPause) {
		if status, ok := exitInfo(fd); ok {
			return endOfStatus(status)
		}
		if status, ok := zombieStatus(pid); ok && unix.PidfdSendSignal(fd, 0, nil, 0) == nil {
			return endOfStatus(status)
		}
	}
	return End{}
}

// crashed reports whether a signal of a fault or an abort ended the program.
func (e End) crashed() bool {
	switch e.Signal {
	case syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL, syscall.SIGSEGV, syscall.SIGSYS, syscall.SIGTRAP:
		return true
	}
	return false
}

func endOfStatus(status syscall.WaitStatus) End {
	if status.Signaled() {
		return End{Known: true, Signal: status.Signal()}
	}
	return End{Known: true, Status: status.ExitStatus()}
}

// pidfdInfo is the first version of struct pidfd_info of include/uapi/linux/pidfd.h.
type pidfdInfo struct {
	mask, cgroup                              uint64
	pid, tgid, ppid                           uint32
	ruid, rgid, euid, egid, suid, sgid, fsuid uint32
	fsgid                                     uint32
	exitCode                                  int32
}

const (
	pidfdGetInfo  = 3<<30 | 64<<16 | 0xff<<8 | 11 // _IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)
	pidfdInfoExit = 1 << 3                        // since Linux 6.15
)

// exitInfo returns the wait status of a pidfd's process, which must have been reaped.
func exitInfo(fd int) (syscall.WaitStatus, bool) {
	info := pidfdInfo{mask: pidfdInfoExit}
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), pidfdGetInfo, uintptr(unsafe.Pointer(&info)))
	return syscall.WaitStatus(info.exitCode), e == 0 && info.mask&pidfdInfoExit != 0
}

// zombieStatus reads the wait status of a process that has ended and has not been reaped (exit_code of
// proc_pid_stat(5)).
func zombieStatus(pid int) (syscall.WaitStatus, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // from the third field on, the state
	const exitCode = 52 - 3
	if len(fields) <= exitCode || fields[0] != "Z" {
		return 0, false
	}
	n, err := strconv.Atoi(fields[exitCode])
	return syscall.WaitStatus(n), err == nil && n != 0
}
