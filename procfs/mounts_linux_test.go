package procfs

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mountsEnv marks the run of TestMountWatch in a mount namespace of its own.
const mountsEnv = "PROCFS_TEST_MOUNTS"

// TestMountWatch checks that a list of mounts holds until a mount is added or removed, and never for a process that has others.
func TestMountWatch(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount")
	}
	if os.Getenv(mountsEnv) == "" {
		cmd := exec.Command(self(t), "-test.run=^TestMountWatch$", "-test.v")
		cmd.Env = append(os.Environ(), mountsEnv+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	runtime.LockOSThread() // for the parent of a process in another namespace
	w := new(MountWatch)
	defer w.Close()
	d := open(t, start(t).pid)
	if w.Holds(d) {
		t.Error("holds before Open")
	}
	if errno := w.Open(); errno != 0 {
		t.Fatal(errno)
	}
	holds := func(what string, want ...bool) {
		t.Helper()
		for i, want := range want {
			if got := w.Holds(d); got != want {
				t.Errorf("%s, call %d: %v", what, i, got)
			}
		}
	}
	holds("no change", true, true)
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	holds("mounted", false, true)
	if err := unix.Unmount(dir, 0); err != nil {
		t.Fatal(err)
	}
	holds("unmounted", false, true)

	cmd := exec.Command(self(t))
	cmd.Env = append(os.Environ(), childEnv+"=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	d = open(t, cmd.Process.Pid)
	for range 2 {
		if w.Holds(d) {
			t.Error("holds for a process with other mounts")
		}
	}
	w.Close()
	if w.Holds(d) {
		t.Error("holds after Close")
	}
}
