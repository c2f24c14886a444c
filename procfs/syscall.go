package procfs

// ParseSyscall reads /proc/PID/task/TID/syscall (proc_pid_syscall in the kernel's fs/proc/base.c), which is one of:
//
//	running                                      the thread is on a CPU: no registers (running is true)
//	-1 SP PC                                     it waits, but not inside a system call (nr is -1)
//	NR ARG ARG ARG ARG ARG ARG SP PC             it waits inside system call NR
//
// Numbers but NR are hexadecimal with 0x. It is not ok for anything else. The kernel gives the file to a reader that may
// attach to the thread (PTRACE_MODE_ATTACH), also when another tracer already has; and only with
// CONFIG_HAVE_ARCH_TRACEHOOK.
func ParseSyscall(b []byte) (nr int64, sp, pc uint64, running bool, ok bool) {
	b = trimBlanks(b)
	if len(b) > 0 && b[len(b)-1] == '\n' {
		b = trimBlanks(b[:len(b)-1])
	}
	if string(b) == "running" {
		return 0, 0, 0, true, true
	}
	nr, i := signedAt(b, 0)
	if i == 0 {
		return 0, 0, 0, false, false
	}
	count := 0
	var last [2]uint64
	for i < len(b) {
		if !hasPrefix(b[i:], " 0x") {
			return 0, 0, 0, false, false
		}
		v, next := hexAt(b, i+3)
		if next == i+3 {
			return 0, 0, 0, false, false
		}
		last[0], last[1] = last[1], v
		count++
		i = next
	}
	if count != 2 && count != 8 {
		return 0, 0, 0, false, false
	}
	return nr, last[0], last[1], false, true
}
