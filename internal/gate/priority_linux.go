package main

import (
	"runtime"
	"syscall"
)

// lowerPriority gives the programs that this goroutine starts less processor time than others: a priority is that of a thread, and
// children inherit it (setpriority(2), "C library/kernel differences"). The thread ends with the goroutine.
func lowerPriority() {
	runtime.LockOSThread()
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 5)
}
