package ptrace

import (
	"strconv"

	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

// Reap frees a session that hangs in Seize. It is called from another OS thread of the tracing process, and returns how
// many dead threads it has reaped.
//
// A thread of the target that executes a program holds a lock (the kernel's cred_guard_mutex) which PTRACE_SEIZE waits
// for, with no time limit and deaf to signals. Meanwhile the kernel kills the other threads of the target, and the
// execve waits until they are gone. Those that are traced already are not gone before their tracer has waited for
// them, and the tracer is waiting in Seize. Any thread of its process can do it instead. (If the process is killed, that
// frees the target too.)
//
// To call it when nothing hangs does no harm: it reaps only threads that are dead and traced by this process, and
// never a main thread, which an execve needs not. It allocates, and is not for the hot path: let a timer call
// it when a stop takes longer than a stop should, and again until that has ended.
func Reap(pid int) (n int) {
	dir, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/task", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	var names []string
	entries := make([]byte, 4096)
	for {
		n, err := unix.ReadDirent(dir, entries)
		if n <= 0 || err != nil {
			break
		}
		_, _, names = unix.ParseDirent(entries[:n], -1, names)
	}
	unix.Close(dir)
	info := new([128]byte)
	for _, name := range names {
		tid, err := strconv.Atoi(name)
		if err != nil || tid == pid {
			continue
		}
		// The kernel reports stops of tracees whether asked for or not, and to consume one would take its news from the
		// Tracer, and perhaps a signal from the target: look first.
		const options = unix.WEXITED | unix.WNOHANG | unix.WALL
		if sys.Waitid(tid, info, options|unix.WNOWAIT) != 0 {
			continue
		}
		if code, _ := childCode(info); code == cldExited || code == cldKilled || code == cldDumped {
			if sys.Waitid(tid, info, options) == 0 {
				n++
			}
		}
	}
	return n
}
