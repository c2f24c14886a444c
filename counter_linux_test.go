//go:build linux

package minidump

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/victims"
)

// roleVariable is the environment variable that makes the test program run one of roles instead of the tests.
const roleVariable = "MINIDUMP_TEST_ROLE"

var roles = map[string]func(args []string){"counter": goCounter, "dumper": dumperRole, "limited": limitedRole, "snapshot": snapshotRole}

func init() {
	if play := roles[os.Getenv(roleVariable)]; play != nil {
		play(os.Args[1:])
		os.Exit(0)
	}
}

// roleCommand returns the command that runs a role.
func roleCommand(t testing.TB, role string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	return cmd
}

// The words of a counter's file that count signals, as in testdata/counter.c.
const (
	wordUSR1 = 510
	wordRT   = 511
)

// sigRT is SIGRTMIN+3 as C libraries number it: glibc reserves two for itself, musl three.
const sigRT = syscall.Signal(34 + 3)

// goCounter is testdata/counter.c in Go.
func goCounter(args []string) {
	words, err := mapWords(args[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	unix.Prctl(unix.PR_SET_PTRACER, ^uintptr(0), 0, 0, 0) // PR_SET_PTRACER_ANY; an error where there is no Yama
	n, _ := strconv.Atoi(args[1])
	ms, _ := strconv.Atoi(args[2])
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, syscall.SIGUSR1)
	var started sync.WaitGroup
	started.Add(n)
	for i := range n {
		go func() {
			runtime.LockOSThread()
			started.Done()
			for {
				atomic.AddUint64(&words[i], 1)
				ts := unix.NsecToTimespec(int64(ms) * 1e6)
				unix.Nanosleep(&ts, nil)
			}
		}()
	}
	started.Wait()
	fmt.Println("ready", os.Getpid())
	for range signals {
		atomic.AddUint64(&words[wordUSR1], 1)
	}
}

func mapWords(path string) ([]uint64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), 512), nil
}

// A counter is a victim that shows that its threads run.
type counter struct {
	*victims.Proc
	words   []uint64
	threads int
	isGo    bool
}

// startCounter starts testdata/counter.c, or its Go counterpart. The counterpart also replaces the C program where
// there is no compiler, as in a virtual machine, or no 32-bit loader.
func startCounter(t testing.TB, language string, threads int, pause time.Duration) *counter {
	t.Helper()
	path := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	words, err := mapWords(path)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{path, strconv.Itoa(threads), strconv.Itoa(int(pause / time.Millisecond))}
	cmd := roleCommand(t, "counter", args...)
	isGo := true
	if compiler, err := exec.LookPath("gcc"); language == "C" && err == nil && runtime.GOARCH != "386" {
		program := filepath.Join(t.TempDir(), "counter")
		if out, err := exec.Command(compiler, "-O1", "-g", "-pthread", "-o", program, "testdata/counter.c").CombinedOutput(); err != nil {
			t.Fatalf("gcc: %v\n%s", err, out)
		}
		cmd, isGo = exec.Command(program, args...), false
	} else if language == "C" && os.Getenv("CI") == "true" && os.Getenv("MINIDUMP_VICTIMS") == "" && runtime.GOARCH != "386" {
		t.Fatal("gcc is missing, and CI=true")
	}
	c := &counter{Proc: victims.StartCmd(t, cmd), words: words, threads: threads, isGo: isGo}
	c.runs(t)
	return c
}

// runs checks that every thread keeps counting.
func (c *counter) runs(t testing.TB) {
	t.Helper()
	const patience = 10 * time.Second
	deadline := time.Now().Add(patience)
	var before [512]uint64
	for i := range c.threads {
		before[i] = atomic.LoadUint64(&c.words[i])
	}
	for i := 0; i < c.threads; {
		if atomic.LoadUint64(&c.words[i]) != before[i] {
			i++
			continue
		}
		if time.Now().After(deadline) {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID))
			t.Fatalf("thread %d of %d stands still\n%s", i, c.PID, b)
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// free checks that no thread of pid is stopped or traced. A thread that was just released may take a moment.
func (c *counter) free(t testing.TB) {
	t.Helper()
	const patience = 5 * time.Second
	deadline := time.Now().Add(patience)
	for {
		what := bound(c.PID)
		if what == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		time.Sleep(time.Millisecond)
	}
}

// bound returns a description of a thread of pid that is stopped or traced, or "".
func bound(pid int) string {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	if err != nil || len(tasks) == 0 {
		return "the process is gone"
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task + "/status")
		if err != nil {
			continue // the thread has ended
		}
		for _, line := range bytes.Split(b, []byte("\n")) {
			f := bytes.Fields(line)
			if len(f) < 2 {
				continue
			}
			if key := string(f[0]); key == "State:" && slices.Contains([]string{"T", "t", "Z", "X"}, string(f[1])) ||
				key == "TracerPid:" && string(f[1]) != "0" {
				return fmt.Sprintf("%s: %s", task, line)
			}
		}
	}
	return ""
}
