package ptrace

import (
	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// Reap frees a session that hangs in Seize. It is called from another OS thread of the tracing process, with the ids of the
// threads that the process pid has now, and returns how many dead ones it has reaped.
//
// A thread of the target that executes a program holds a lock (the kernel's cred_guard_mutex) which PTRACE_SEIZE waits
// for, with no time limit and deaf to signals. Meanwhile the kernel kills the other threads of the target, and the
// execve waits until they are gone. Those that are traced already are not gone before their tracer has waited for
// them, and the tracer is waiting in Seize. Any thread of its process can do it instead. (If the process is killed, that
// frees the target too.)
//
// To call it when nothing hangs does no harm: it reaps only threads that are dead and traced by this process, and
// never a main thread, which an execve needs not. It is to be called when a stop takes longer than a stop should, and again
// until that has ended.
func Reap(pid int, tids []int32) (n int) {
	info := new([128]byte)
	for _, tid := range tids {
		tid := int(tid)
		if tid == pid {
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
