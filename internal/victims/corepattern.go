//go:build linux

package victims

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The settings that control what the kernel does with a core (core(5)).
const (
	CorePatternFile   = "/proc/sys/kernel/core_pattern"
	CorePipeLimitFile = "/proc/sys/kernel/core_pipe_limit"
)

const coreLock = "/tmp/minidump-core-pattern.lock"

// CorePattern reserves the machine's core_pattern for a test: there is only one for all tests that run at the same time.
// With shared it is not changed, for tests that use the kernel's core files. Otherwise the test may change it and
// core_pipe_limit; both are restored when release is called, when the test ends, and also when the process of the test dies
// in any way. The test is skipped unless CI=true or MINIDUMP_TEST_CORE_PATTERN=1, because it changes the machine.
func CorePattern(t testing.TB, shared bool) (release func()) {
	t.Helper()
	if !shared && os.Getenv("CI") != "true" && os.Getenv("MINIDUMP_TEST_CORE_PATTERN") != "1" {
		t.Skip("changes core_pattern of the machine: only with CI=true or MINIDUMP_TEST_CORE_PATTERN=1")
	}
	if !shared && os.Getuid() != 0 {
		t.Skip("only root can set core_pattern")
	}
	lock := lockCorePattern(t, shared)
	var once sync.Once
	if shared {
		release = func() { once.Do(func() { lock.Close() }) }
		t.Cleanup(release)
		return release
	}
	before := coreSettings(t)
	// A separate process restores them when the pipe to it is closed, by release or by the death of this process. It also holds the lock.
	guard := exec.Command("sh", "-c", `cat >/dev/null
		printf '%s\n' "$1" >`+CorePatternFile+`
		printf '%s\n' "$2" >`+CorePipeLimitFile, "guard", before[0], before[1])
	guard.ExtraFiles = []*os.File{lock}
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	guard.Stderr = os.Stderr
	pipe, err := guard.StdinPipe()
	if err == nil {
		err = guard.Start()
	}
	if err != nil {
		lock.Close()
		t.Fatalf("victims: %v", err)
	}
	release = func() {
		once.Do(func() {
			pipe.Close()
			err := guard.Wait()
			if after := coreSettings(t); err != nil || after != before {
				t.Errorf("victims: core_pattern and core_pipe_limit are %q, before they were %q: %v", after, before, err)
			}
			lock.Close()
		})
	}
	t.Cleanup(release)
	return release
}

// lockCorePattern waits until no other test uses core_pattern or, if shared, until no other test may change it.
func lockCorePattern(t testing.TB, shared bool) *os.File {
	t.Helper()
	// Without O_CREATE if it exists: fs.protected_regular forbids that in /tmp for files of other users.
	lock, err := os.OpenFile(coreLock, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		lock, err = os.OpenFile(coreLock, os.O_RDONLY|os.O_CREATE, 0644)
	}
	if err != nil {
		t.Fatalf("victims: %v", err)
	}
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if err = syscall.Flock(int(lock.Fd()), how|syscall.LOCK_NB); err == nil {
			break
		}
		if time.Now().After(deadline) {
			lock.Close()
			t.Fatalf("victims: another test has had core_pattern for five minutes: %v", err)
		}
	}
	return lock
}

// SetCorePattern sets core_pattern for a test that has called CorePattern.
func SetCorePattern(t testing.TB, pattern string) {
	t.Helper()
	if err := os.WriteFile(CorePatternFile, []byte(pattern+"\n"), 0); err != nil {
		t.Fatalf("victims: %v", err)
	}
	if now := coreSettings(t); now[0] != pattern {
		t.Fatalf("victims: core_pattern is %q, not %q", now[0], pattern)
	}
}

func coreSettings(t testing.TB) (s [2]string) {
	t.Helper()
	for i, path := range [2]string{CorePatternFile, CorePipeLimitFile} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("victims: %v", err)
		}
		s[i] = strings.TrimSuffix(string(b), "\n")
	}
	return s
}

// MachineNamespaces skips a test that must run where the kernel starts the program in core_pattern, in the first pid
// namespace, if this process is not there.
func MachineNamespaces(t testing.TB) {
	t.Helper()
	if ns, err := os.Readlink("/proc/self/ns/pid"); err != nil || ns != fmt.Sprintf("pid:[%d]", uint32(0xeffffffc)) {
		t.Skipf("in a container (%s): the kernel would start the program outside", ns)
	}
}
