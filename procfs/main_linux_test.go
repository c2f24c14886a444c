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

// childEnv makes the test binary run as the victim of a test: it names its threads, says their numbers, and waits
// until its standard input is closed.
const childEnv = "PROCFS_TEST_CHILD"

func TestMain(m *testing.M) {
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

// start runs a copy of the test binary, or the binary itself when exe is "".
func start(t *testing.T, exe string, attr *syscall.SysProcAttr, names ...string) *victim {
	t.Helper()
	if exe == "" {
		exe = self(t)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(names, "|"))
	cmd.SysProcAttr = attr
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
