package victims

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// StandStill stops a process by SIGSTOP and returns when none of its threads runs any more. A test that compares a dump
// with a second reading of the process must call it, because the process could change in between.
func StandStill(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	WaitThreads(t, pid, 'T')
}

// WaitThreads waits until all threads of a process are in a state of proc(5), such as 'S' or 'T', in three consecutive listings,
// because a listing ends early when a thread exits during it.
func WaitThreads(t testing.TB, pid int, state byte) {
	t.Helper()
	in := []byte{')', ' ', state, ' '}
	looks := 0
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(tasks) == 0 {
			t.Fatalf("no threads of %d: %v", pid, err)
		}
		if !slices.ContainsFunc(tasks, func(name string) bool {
			b, _ := os.ReadFile(name)
			return !bytes.Contains(b, in)
		}) {
			if looks++; looks == 3 {
				return
			}
			continue
		}
		looks = 0
		if time.Now().After(end) {
			t.Fatalf("not all threads of %d are in state %c", pid, state)
		}
	}
}
