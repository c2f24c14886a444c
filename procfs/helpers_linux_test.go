package procfs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childEnv makes the test binary run as the victim of a test: it names its threads, prints their numbers, and waits until its
// standard input is closed.
const childEnv = "PROCFS_TEST_CHILD"

// pivotEnv makes it first enter a mount namespace of its own whose root is this directory, and run /inside/victim there.
const pivotEnv = "PROCFS_TEST_PIVOT"

// pivot changes the root as a container runtime does. It returns only if something fails.
func pivot(root string) error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount(root, root, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	err := unix.PivotRoot(".", ".")
	if err == nil {
		err = unix.Unmount(".", unix.MNT_DETACH)
	} else if err == unix.EINVAL {
		// The root of a virtual machine without a disk can't be changed, only mounted over.
		if err = unix.Mount(".", "/", "", unix.MS_MOVE, ""); err == nil {
			err = unix.Chroot(".")
		}
	}
	if err != nil {
		return err
	}
	os.Unsetenv(pivotEnv)
	return unix.Exec("/inside/victim", []string{"/inside/victim"}, os.Environ())
}

func TestMain(m *testing.M) {
	if root, ok := os.LookupEnv(pivotEnv); ok {
		fmt.Fprintln(os.Stderr, "pivot:", pivot(root))
		os.Exit(1)
	}
	if file, ok := os.LookupEnv(memoryEnv); ok {
		memoryVictim(file)
		return
	}
	if dir, ok := os.LookupEnv(fuseEnv); ok {
		fuseVictim(dir)
		return
	}
	if names, ok := os.LookupEnv(childEnv); ok {
		child(strings.Split(names, "|"))
		return
	}
	os.Exit(m.Run())
}

func child(names []string) {
	for _, name := range names {
		if name == "" {
			continue
		}
		tid := make(chan int)
		go namedThread(name, tid)
		fmt.Printf("thread %d\n", <-tid)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}

func namedThread(name string, tid chan<- int) {
	runtime.LockOSThread()
	setName(name)
	tid <- unix.Gettid()
	select {}
}

func setName(name string) {
	b := append([]byte(name), 0)
	unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0)
	runtime.KeepAlive(b)
}

// victim is a running child.
type victim struct {
	*exec.Cmd
	pid   int
	tids  []int32 // of the named threads
	stdin io.Closer
}

// start runs the test binary as a victim with threads of these names.
func start(t *testing.T, names ...string) *victim {
	t.Helper()
	return startAs(t, self(t), "", "", names...)
}

// startAs runs exe, a copy of the test binary, in the root directory chroot, or /inside/victim below root in a mount namespace of
// its own; "" means no such change.
func startAs(t *testing.T, exe, chroot, root string, names ...string) *victim {
	t.Helper()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(names, "|"))
	if root != "" {
		cmd.Env = append(cmd.Env, pivotEnv+"="+root)
	}
	if chroot != "" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: chroot}
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := &victim{Cmd: cmd, pid: cmd.Process.Pid, stdin: in}
	t.Cleanup(v.end)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "ready" {
			return v
		}
		var tid int32
		if _, err := fmt.Sscanf(lines.Text(), "thread %d", &tid); err == nil {
			v.tids = append(v.tids, tid)
		}
	}
	t.Fatal("the child did not get ready")
	return nil
}

func (v *victim) end() {
	v.stdin.Close()
	v.Process.Kill()
	v.Wait()
}

func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// copySelf copies the test binary to path.
func copySelf(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, pid int) *Dir {
	t.Helper()
	d, err := Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}
