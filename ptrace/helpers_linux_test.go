package ptrace

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The victims are this test binary, started again, so that they exist in a virtual machine too.
const victimEnv = "PTRACE_TEST_VICTIM"

func init() {
	if strings.HasPrefix(os.Getenv(victimEnv), "leader") {
		runtime.LockOSThread() // so that the victim runs on the main thread
	}
}

func TestMain(m *testing.M) {
	if mode := os.Getenv(victimEnv); mode != "" {
		runVictim(strings.Fields(mode))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// rounds is the number of repetitions of a test: fewer on an emulated machine.
func rounds(n int) int {
	if testing.Short() || runtime.GOARCH != "amd64" && runtime.GOARCH != "386" {
		return max(n/20, 3)
	}
	return n
}

// shared is memory that a victim and the test share: through it a victim shows that it lives without a system call.
type shared struct {
	Beats   [64]atomic.Uint64
	Signals [65]atomic.Uint64
	Stop    atomic.Uint64
}

func mapShared(f *os.File) *shared {
	b, err := unix.Mmap(int(f.Fd()), 0, int(unsafe.Sizeof(shared{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return (*shared)(unsafe.Pointer(unsafe.SliceData(b)))
}

// sharedFile is the shared memory in a victim.
var sharedFile = os.NewFile(3, "shared")

// runVictim is the main function of a victim: it prints "ready" (and more) on standard output and exits at the end of its input.
func runVictim(args []string) {
	var mem *shared
	if args[0] != "tracer" && args[0] != "watcher" {
		mem = mapShared(sharedFile)
	}
	number := func(i int) int {
		n, err := strconv.Atoi(args[i])
		if err != nil {
			panic(err)
		}
		return n
	}
	switch args[0] {
	case "idle": // idle N: N threads that wait in a system call
		var p [2]int
		if err := syscall.Pipe(p[:]); err != nil {
			panic(err)
		}
		ready := make(chan bool)
		for range number(1) {
			go func() {
				runtime.LockOSThread()
				ready <- true
				var b [1]byte
				syscall.Read(p[0], b[:])
			}()
			<-ready
		}
	case "busy": // busy N: N threads that count
		for i := range number(1) {
			go func() {
				runtime.LockOSThread()
				for mem.Stop.Load() == 0 {
					mem.Beats[i].Add(1)
				}
			}()
		}
	case "beat": // beat: one thread that counts slowly; signals are counted
		c := make(chan os.Signal, 100)
		signal.Notify(c, unix.SIGUSR1, unix.SIGUSR2, unix.SIGHUP)
		go func() {
			for s := range c {
				mem.Signals[s.(syscall.Signal)].Add(1)
			}
		}()
		go func() {
			for {
				mem.Beats[0].Add(1)
				time.Sleep(100 * time.Microsecond)
			}
		}()
	case "churn": // churn: threads are created and exit all the time
		for i := range 4 {
			go func() {
				for {
					done := make(chan bool)
					go func() {
						runtime.LockOSThread() // ends the thread
						mem.Beats[i].Add(1)
						close(done)
					}()
					<-done
				}
			}()
		}
	case "exec": // exec N: executes itself again and again, N times, from a thread other than the main one
		n := number(1)
		mem.Beats[0].Add(1)
		fmt.Println("ready")
		if n > 0 {
			for range 4 {
				go func() {
					runtime.LockOSThread()
					for {
						mem.Beats[1].Add(1)
						time.Sleep(time.Millisecond)
					}
				}()
			}
			time.Sleep(time.Millisecond)
			onThread(func() {
				os.Setenv(victimEnv, "exec "+strconv.Itoa(n-1))
				unix.FcntlInt(3, unix.F_SETFD, 0)
				panic(syscall.Exec("/proc/self/exe", os.Args, os.Environ()))
			})
		}
	case "leader": // leader: the main thread ends, the others live on
		go func() {
			for {
				mem.Beats[0].Add(1)
				time.Sleep(100 * time.Microsecond)
			}
		}()
		fmt.Println("ready")
		go func() {
			io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
		syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
	case "tracer":
		runTracer(args[1], number(2))
	case "watcher": // watcher MODE…: starts that victim and watches it
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), victimEnv+"="+strings.Join(args[1:], " "))
		cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{sharedFile}
		onThread(func() {
			w := NewWatch()
			if err := startAdopted(w, cmd, FollowThreads); err != nil {
				panic(err)
			}
			fmt.Println("child", cmd.Process.Pid)
			if err := serve(w, cmd.Process.Pid, func(Stop, uint32) {}, nil, nil); err != nil {
				panic(err)
			}
		})
		return
	case "family": // family: a child by fork that exits with 5, one by vfork that exits with 7
		var ws [2]syscall.WaitStatus
		child := forkAndExit()
		mem.Beats[1].Store(uint64(child))
		syscall.Wait4(child, &ws[0], 0, nil)
		os.Setenv(victimEnv, "exit")
		p, err := os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{Env: os.Environ(), Files: []*os.File{nil, nil, nil, sharedFile}})
		if err != nil {
			panic(err)
		}
		mem.Beats[2].Store(uint64(p.Pid))
		state, err := p.Wait()
		if err != nil {
			panic(err)
		}
		ws[1] = state.Sys().(syscall.WaitStatus)
		fmt.Println("family", ws[0].ExitStatus(), ws[1].ExitStatus())
	case "exit":
		os.Exit(7)
	case "vfork": // vfork: a thread waits in vfork until Stop is set
		debug.SetGCPercent(-1) // a blocking raw system call would delay a collection
		runtime.GOMAXPROCS(4)  // and keeps one of the runtime's processors, which may be all of them
		go func() {
			runtime.LockOSThread()
			mem.Beats[1].Store(uint64(unix.Gettid()))
			vforkAndWait(mem)
			for {
				mem.Beats[0].Add(1)
				time.Sleep(100 * time.Microsecond)
			}
		}()
	case "parent": // parent MODE…: starts that victim and counts what it is notified of
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		c := make(chan os.Signal, 1000)
		signal.Notify(c, unix.SIGCHLD)
		exe, _ := os.Executable()
		os.Setenv(victimEnv, strings.Join(args[1:], " "))
		p, err := os.StartProcess(exe, os.Args, &os.ProcAttr{
			Env:   os.Environ(),
			Sys:   &syscall.SysProcAttr{Setpgid: true}, // in an orphaned process group SIGTSTP does nothing
			Files: []*os.File{r, os.Stdout, os.Stderr, sharedFile},
		})
		if err != nil {
			panic(err)
		}
		go func() {
			for range c {
				mem.Signals[unix.SIGCHLD].Add(1)
			}
		}()
		go func() {
			for {
				var ws syscall.WaitStatus
				pid, err := syscall.Wait4(p.Pid, &ws, syscall.WUNTRACED|syscall.WCONTINUED, nil)
				if err == syscall.EINTR {
					continue
				}
				if err != nil {
					return
				}
				mem.Signals[0].Add(1)
				fmt.Printf("wait %d %#x\n", pid, int(ws))
			}
		}()
		fmt.Println("child", p.Pid)
		io.Copy(io.Discard, os.Stdin)
		w.Close()
		return
	default:
		panic("no such victim: " + args[0])
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}

// victim is a victim from the test's point of view.
type victim struct {
	*shared
	pid   int // of the process to trace
	cmd   *exec.Cmd
	lines chan string
	early []string // lines that no call has requested yet
	stdin io.WriteCloser
}

// line waits for a line of output that begins with word, and returns the rest. Other lines are kept for later calls.
func (v *victim) line(t testing.TB, word string) string {
	t.Helper()
	for i, s := range v.early {
		if first, rest, _ := strings.Cut(s, " "); first == word {
			v.early = append(v.early[:i], v.early[i+1:]...)
			return rest
		}
	}
	timeout := time.After(20 * time.Second)
	for {
		select {
		case s, ok := <-v.lines:
			if !ok {
				t.Fatalf("victim ended before it said %q", word)
			}
			if first, rest, _ := strings.Cut(s, " "); first == word {
				return rest
			}
			v.early = append(v.early, s)
		case <-timeout:
			t.Fatalf("victim did not say %q", word)
		}
	}
}

func startVictim(t testing.TB, mode string) *victim {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startProgram(t, mode, exe)
}

func startProgram(t testing.TB, mode string, program string, args ...string) *victim {
	t.Helper()
	return startBy(t, (*exec.Cmd).Start, mode, program, args...)
}

// startBy is startProgram with a function that starts the command.
func startBy(t testing.TB, start func(*exec.Cmd) error, mode string, program string, args ...string) *victim {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "shared"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(unsafe.Sizeof(shared{}))); err != nil {
		t.Fatal(err)
	}
	v := &victim{shared: mapShared(f), lines: make(chan string, 10000)}
	v.cmd = exec.Command(program, args...)
	v.cmd.Env = append(os.Environ(), victimEnv+"="+mode)
	v.cmd.ExtraFiles = []*os.File{f}
	v.cmd.Stderr = os.Stderr
	v.stdin, err = v.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := start(v.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(v.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			v.lines <- s.Text()
		}
	}()
	v.pid = v.cmd.Process.Pid
	if strings.HasPrefix(mode, "parent") || strings.HasPrefix(mode, "watcher") {
		if v.pid, err = strconv.Atoi(v.line(t, "child")); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		unix.Kill(v.pid, unix.SIGKILL)
		v.cmd.Process.Kill()
		done := make(chan error, 1)
		go func() { done <- v.cmd.Wait() }()
		select {
		case <-done:
		case <-time.After(time.Second): // a failed test has left it traced
		}
	})
	v.line(t, "ready")
	return v
}

// tasks lists the threads of a process, in the order of /proc.
func tasks(pid int) (tids []int32) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			panic(err)
		}
		tids = append(tids, int32(n))
	}
	return tids
}

// status returns a field of /proc/PID/task/TID/status, "" if the thread is gone.
func status(pid, tid int, field string) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", pid, tid))
	for line := range strings.Lines(string(b)) {
		if name, rest, ok := strings.Cut(line, ":"); ok && name == field {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func stateOf(pid, tid int) byte {
	if s := status(pid, tid, "State"); s != "" {
		return s[0]
	}
	return 0
}

// eventually waits until f is true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// runsOn checks that the target is neither traced nor in a trap, and that it counts.
func (v *victim) runsOn(t testing.TB) {
	t.Helper()
	eventually(t, "target not traced, no thread in state t", func() bool {
		for _, tid := range tasks(v.pid) {
			if s := stateOf(v.pid, int(tid)); s == 't' || s == 'T' {
				return false
			}
			if tracer := status(v.pid, int(tid), "TracerPid"); tracer != "0" && tracer != "" {
				return false
			}
		}
		return true
	})
	was := v.Beats[0].Load()
	eventually(t, "target counts on", func() bool { return v.Beats[0].Load() > was })
}

// onThread runs f on an OS thread that ends after f, as the package comment recommends for leftovers.
func onThread(f func()) {
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread does not end. While it is occupied here, f runs on another one.
			onThread(f)
			runtime.UnlockOSThread()
			close(done)
			return
		}
		defer close(done)
		f()
	}()
	<-done
}

// onChildlessThread is onThread on a thread that started none of the earlier victims, one of which may be left.
func onChildlessThread(f func()) {
	onThread(func() {
		if _, childless := NewWatch().Supported(); childless {
			f()
		} else {
			onChildlessThread(f)
		}
	})
}

// stopAll seizes and collects every thread of the process, including those created meanwhile, as the package comment describes.
func stopAll(t testing.TB, tr *Tracer, pid int, timeout time.Duration) (ths []Thread) {
	t.Helper()
	return stopAllBy(tr, tr.Seize, pid, timeout)
}

func stopAllBy(tr *Tracer, seize func(*Thread), pid int, timeout time.Duration) (ths []Thread) {
	deadline := Monotonic() + int64(timeout)
	known := map[int32]bool{}
	for quiet := 0; quiet < 3; quiet++ {
		n := len(ths)
		for _, tid := range tasks(pid) {
			if !known[tid] {
				known[tid] = true
				ths = append(ths, Thread{TID: tid})
				seize(&ths[len(ths)-1])
			}
		}
		if len(ths) > n {
			tr.Collect(ths, deadline)
			quiet = -1
		}
		var st unix.Stat_t
		if unix.Stat(fmt.Sprintf("/proc/%d/task", pid), &st) == nil && int(st.Nlink) == 2+count(ths, Stopped) {
			break
		}
	}
	return ths
}

var native = binary.NativeEndian

// count returns how many threads are in a state.
func count(ths []Thread, s State) (n int) {
	for i := range ths {
		if ths[i].State == s {
			n++
		}
	}
	return n
}
