package ptrace_test

import (
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"minidump/procfs"
	"minidump/ptrace"
)

// Stops a process, reads a thread's registers, and resumes the process.
func Example() {
	runtime.LockOSThread() // all requests must come from one OS thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/bin/sleep", "60")
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()

	dir, err := procfs.Open(cmd.Process.Pid)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dir.Close()
	tids := make([]int32, 64)
	n, _, errno := dir.Tasks(make([]byte, 4096), tids)
	if errno != 0 {
		fmt.Println(errno)
		return
	}

	tracer := ptrace.New(cmd.Process.Pid)
	threads := make([]ptrace.Thread, n)
	for i := range threads {
		threads[i].TID = tids[i]
		tracer.Seize(&threads[i])
	}
	late := tracer.Collect(threads, ptrace.Monotonic()+int64(5*time.Second))
	registers := make([]byte, 1024)
	const generalRegisters = 1 // NT_PRSTATUS of linux/elf.h
	size, errno := tracer.Regset(threads[0].TID, generalRegisters, registers)
	fmt.Println(len(threads), "thread,", threads[0].State, late, "late, registers:", size > 0 && errno == 0)
	tracer.Detach(threads)
	fmt.Println(tracer.Leftover(), "left traced")
	// Output:
	// 1 thread, stopped 0 late, registers: true
	// 0 left traced
}
