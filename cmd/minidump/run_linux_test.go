package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/victims"
)

func TestRunPassesThrough(t *testing.T) {
	dir := t.TempDir()
	cmd := command(t, dir, "run", "--", "/bin/sh", "-c", "cat; echo oops >&2; exit 7")
	o := runWith(t, cmd, strings.NewReader("some input\n"))
	if o.out != "some input\n" || o.err != "oops\n" || o.status != 7 {
		t.Errorf("%+v", o)
	}
	o = run(t, dir, "run", "/bin/sh", "-c", "kill -TERM $$")
	if o.out+o.err != "" || o.status != 128+15 {
		t.Errorf("%+v", o)
	}
	o = run(t, dir, "run", "--keep", "1", "no-such-command-anywhere", "--json")
	o.want(t, 127, "no-such-command-anywhere")
	o = run(t, dir, "run", "--", dir)
	o.want(t, 126, "permission denied")
	if f := files(t, dir); len(f) != 0 {
		t.Errorf("files %q", f)
	}
}

func TestRunWrongUsage(t *testing.T) {
	for _, args := range []string{"", "-o - true", "--keep x true", "--keep -1 true", "--also-exit-codes 0 true",
		"--also-exit-codes 256 true", "--thread 3 true", "--crash-context x true"} {
		run(t, t.TempDir(), append([]string{"run"}, strings.Fields(args)...)...).want(t, 2, "minidump run")
	}
}

func TestRunReports(t *testing.T) {
	program := victims.C(t, "crasher.c")
	dir := t.TempDir()
	o := run(t, dir, "run", "--", program, "null")
	o.want(t, 139, "SIGSEGV (SEGV_MAPERR) at 0x8: wrote ")
	names := files(t, dir)
	if len(names) != 1 || !regexp.MustCompile(`^crasher\.\d+\.\d{8}T\d{6}\.\d{3}Z\.dmp$`).MatchString(names[0]) ||
		strings.Count(o.err, "\n") != 1 || !strings.Contains(o.err, filepath.Join(dir, names[0])) {
		t.Errorf("files %q, messages %q", names, o.err)
	}
	d := shown(t, filepath.Join(dir, names[0]))
	if d.Reason == nil || d.Reason.Name != "SIGSEGV" {
		t.Errorf("%+v", d.Reason)
	}
	o = run(t, dir, "run", "-o", "x.dmp", "--json", program, "abort")
	var j jsonResult
	if err := json.Unmarshal([]byte(o.err), &j); err != nil || j.File != filepath.Join(dir, "x.dmp") || o.status != 134 {
		t.Errorf("%+v: %v", o, err)
	}
	o = run(t, dir, "run", "-o", "/proc/no-such/", program, "null")
	o.want(t, 139, "no dump: ")
}

// lines reads the output of a command line by line.
type lines struct {
	t  *testing.T
	ch chan string
}

func readLines(t *testing.T, r io.Reader) *lines {
	l := &lines{t, make(chan string, 1000)}
	go func() {
		defer close(l.ch)
		for s := bufio.NewScanner(r); s.Scan(); {
			l.ch <- s.Text()
		}
	}()
	return l
}

// next returns the next line, "" if none comes within the time.
func (l *lines) next(d time.Duration) string {
	select {
	case s := <-l.ch:
		return s
	case <-time.After(d):
		return ""
	}
}

const long = 20 * time.Second

// startWatched starts watched, which tells what signals it gets, in a process group of its own.
func startWatched(t *testing.T, mode string) (*exec.Cmd, *lines) {
	t.Helper()
	program := victims.C(t, "watched.c")
	cmd := command(t, t.TempDir(), "run", "--", program, mode)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Kill(-cmd.Process.Pid, unix.SIGKILL) })
	return cmd, readLines(t, out)
}

// startSignals is startWatched, and returns when the command is ready.
func startSignals(t *testing.T, mode string) (cmd *exec.Cmd, pid int, l *lines) {
	t.Helper()
	cmd, l = startWatched(t, mode)
	if _, err := fmt.Sscanf(l.next(long), "ready %d", &pid); err != nil {
		t.Fatal(err)
	}
	return cmd, pid, l
}

func TestRunForwardsSignals(t *testing.T) {
	for _, mode := range []string{"signals", "blocked"} {
		t.Run(mode, func(t *testing.T) {
			cmd, pid, l := startSignals(t, mode)
			for _, s := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGUSR1, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, 40} {
				unix.Kill(cmd.Process.Pid, s)
				if got, want := l.next(long), fmt.Sprintf("got %d", s); got != want {
					t.Fatalf("%q, want %q", got, want)
				}
			}
			// To the command itself, and to the group of both: once.
			unix.Kill(pid, unix.SIGUSR1)
			if got := l.next(long); got != "got 10" {
				t.Errorf("%q", got)
			}
			if mode == "signals" {
				time.Sleep(100 * time.Millisecond)
				for _, s := range []unix.Signal{unix.SIGINT, unix.SIGUSR2, unix.SIGHUP, unix.SIGQUIT} {
					unix.Kill(-cmd.Process.Pid, s)
					if got, want := l.next(long), fmt.Sprintf("got %d", s); got != want {
						t.Errorf("%q, want %q", got, want)
					}
					if got := l.next(200 * time.Millisecond); got != "" {
						t.Errorf("%q once more", got)
					}
				}
			}
			unix.Kill(cmd.Process.Pid, unix.SIGTERM)
			if got := l.next(long); got != "got 15" {
				t.Errorf("%q", got)
			}
			cmd.Wait()
			if n := cmd.ProcessState.ExitCode(); n != 42 {
				t.Errorf("exit status %d", n)
			}
		})
	}
}

// Real-time signals queue: one that waits already does not stand for the next.
func TestRunForwardsQueuedSignals(t *testing.T) {
	cmd, pid, l := startSignals(t, "signals")
	unix.Kill(pid, unix.SIGSTOP)
	for range 3 {
		unix.Kill(cmd.Process.Pid, 40)
		time.Sleep(150 * time.Millisecond) // Go keeps only one at a time that it has not passed on
	}
	unix.Kill(pid, unix.SIGCONT)
	for n := 0; n < 3; {
		switch got := l.next(long); got {
		case "got 40":
			n++
		case "got 18":
		default:
			t.Fatalf("%q after %d of 3 signals", got, n)
		}
	}
	unix.Kill(pid, unix.SIGKILL)
	cmd.Wait()
}

// SIGCONT to the process group while run starts the command: the one by which run wakes it is not passed on, the next that
// is forwarded is.
func TestRunContinuedInStart(t *testing.T) {
	for range 12 {
		t.Run("", func(t *testing.T) {
			t.Parallel() // most of the time they wait
			cmd, l := startWatched(t, "signals")
			defer cmd.Wait()
			defer unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
			stop, stopped := make(chan bool), make(chan bool)
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					case <-time.After(10 * time.Microsecond):
						unix.Kill(-cmd.Process.Pid, unix.SIGCONT)
					}
				}
			}()
			ready := l.next(long)
			for ready == "got 18" {
				ready = l.next(long)
			}
			close(stop)
			<-stopped
			if !strings.HasPrefix(ready, "ready ") {
				t.Fatalf("%q", ready)
			}
			for l.next(500*time.Millisecond) != "" { // those that come late
			}
			unix.Kill(cmd.Process.Pid, unix.SIGCONT)
			got := l.next(long)
			if got != "got 18" {
				t.Fatalf("%q, want signal 18", got)
			}
			unix.Kill(cmd.Process.Pid, unix.SIGTERM)
			for got == "got 18" { // or even later
				got = l.next(long)
			}
			if got != "got 15" {
				t.Errorf("%q, want signal 15", got)
			}
		})
	}
}

// A report that no one can read does not end run before the command, which has SIGPIPE as it should be.
func TestRunBrokenPipe(t *testing.T) {
	program := victims.C(t, "crasher.c")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	dir := t.TempDir()
	cmd := command(t, dir, "run", "--follow-children", "--", "/bin/sh", "-c", `exec 2>/dev/null; "$0" null; grep SigIgn /proc/self/status; exit 7`, program)
	cmd.Stderr = w
	out, err := cmd.Output()
	w.Close()
	if status := cmd.ProcessState.ExitCode(); status != 7 || len(files(t, dir)) != 1 {
		t.Errorf("status %d, %v, files %q", status, err, files(t, dir))
	}
	_, ignored, _ := strings.Cut(string(out), "SigIgn:")
	if n, err := strconv.ParseUint(strings.TrimSpace(ignored), 16, 64); err != nil || n>>(unix.SIGPIPE-1)&1 != 0 {
		t.Errorf("the command ignores SIGPIPE: %q", out)
	}
}

func TestRunKilled(t *testing.T) {
	cmd, pid, l := startSignals(t, "signals")
	cmd.Process.Kill()
	time.Sleep(50 * time.Millisecond)
	unix.Kill(pid, unix.SIGUSR1)
	if got := l.next(long); got != "got 10" {
		t.Errorf("%q: the command does not go on", got)
	}
	unix.Kill(pid, unix.SIGTERM)
	if got := l.next(long); got != "got 15" {
		t.Errorf("%q", got)
	}
	cmd.Wait()
}

func TestRunNohup(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", `trap '' HUP; exec "$@"`, "sh")
	inner := command(t, "", "run", "--", "/bin/sh", "-c", "grep SigIgn /proc/self/status")
	cmd.Args = append(cmd.Args, inner.Args...)
	cmd.Env = inner.Env
	o := runWith(t, cmd, nil)
	if n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(o.out, "SigIgn:")), 16, 64); err != nil || n&1 == 0 {
		t.Errorf("%+v: SIGHUP is not ignored", o)
	}
}

func TestRunAsInit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a pid namespace takes root")
	}
	// Orphans of the shell's children are reaped while the command runs: none is left as a zombie.
	cmd := command(t, t.TempDir(), "run", "--", "/bin/sh", "-c",
		`(sleep 0.1 & sleep 0.2 & : ) ; sleep 0.5; cat /proc/[0-9]*/stat | grep -c ' Z '; echo $$; kill -SEGV $$`)
	dir := t.TempDir()
	script := `mount -t proc proc /proc 2>/dev/null; exec "$@"`
	wrapped := exec.Command("/bin/sh", append([]string{"-c", script, "sh"}, cmd.Args...)...)
	wrapped.Env, wrapped.Dir = cmd.Env, dir
	wrapped.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Unshareflags: 0}
	o := runWith(t, wrapped, nil)
	if !strings.HasPrefix(o.out, "0\n") || o.status != 139 || !strings.Contains(o.err, "SIGSEGV") {
		t.Errorf("%+v", o)
	}
	if f := files(t, dir); len(f) != 1 {
		t.Errorf("files %q", f)
	}
}

// terminal is the master side of a pseudo-terminal.
type terminal struct {
	*os.File
	slave string
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	unlock := 0
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, unlock); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	master := os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { master.Close() })
	return &terminal{master, fmt.Sprintf("/dev/pts/%d", n)}
}

// session is a shell with job control on a terminal.
type session struct {
	t      *testing.T
	term   *terminal
	chunks chan []byte
	seen   bytes.Buffer
}

// startSession starts the shell, with a command line in its variable RUN.
func startSession(t *testing.T, inner *exec.Cmd) *session {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash")
	}
	s := &session{t: t, term: openTerminal(t), chunks: make(chan []byte, 100)}
	slave, err := os.OpenFile(s.term.slave, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	shell := exec.Command("bash", "--norc", "--noprofile", "--noediting", "-i")
	shell.Env = append(inner.Env, "PS1=$ ", "HISTFILE=", "RUN="+strings.Join(inner.Args, " "))
	shell.Dir = t.TempDir()
	shell.Stdin, shell.Stdout, shell.Stderr = slave, slave, slave
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	t.Cleanup(func() { shell.Process.Kill(); shell.Wait() })
	go func() {
		defer close(s.chunks)
		for {
			b := make([]byte, 4096)
			n, err := s.term.Read(b)
			if n > 0 {
				s.chunks <- b[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *session) typed(text string) { s.term.WriteString(text) }

// expect waits for output that matches what, and returns its last group.
func (s *session) expect(what string) string {
	s.t.Helper()
	re := regexp.MustCompile(what)
	end := time.After(long)
	for {
		if m := re.FindStringSubmatchIndex(s.seen.String()); m != nil {
			found := s.seen.String()[m[len(m)-2]:m[len(m)-1]]
			s.seen.Next(m[1])
			return found
		}
		select {
		case b, ok := <-s.chunks:
			if !ok {
				s.t.Fatalf("the shell ended; seen %q", s.seen.String())
			}
			s.seen.Write(b)
		case <-end:
			s.t.Fatalf("no %q in %q", what, s.seen.String())
		}
	}
}

// pending gives the output that has come and was not expected yet.
func (s *session) pending() string {
	for {
		select {
		case b, ok := <-s.chunks:
			if !ok {
				return s.seen.String()
			}
			s.seen.Write(b)
		default:
			return s.seen.String()
		}
	}
}

// A shell with job control on a terminal runs run, which runs a program: ^C, ^Z, fg and bg do what they do without run.
func TestRunJobControl(t *testing.T) {
	for _, mode := range []string{"signals", "leaderless"} {
		t.Run(mode, func(t *testing.T) { checkJobControl(t, mode) })
	}
}

func checkJobControl(t *testing.T, mode string) {
	program := victims.C(t, "watched.c")
	s := startSession(t, command(t, "", "run", "--", program, mode))
	typed, expect := s.typed, s.expect
	// The state of the newest thread: the first one may have ended.
	stateOf := func(pid string) string {
		tids, _ := os.ReadDir("/proc/" + pid + "/task")
		if len(tids) == 0 {
			return ""
		}
		b, _ := os.ReadFile("/proc/" + pid + "/task/" + tids[len(tids)-1].Name() + "/stat")
		_, rest, _ := strings.Cut(string(b), ") ")
		return rest[:min(1, len(rest))]
	}

	typed("$RUN\n")
	pid := expect(`ready (\d+)`)
	typed("\x03")
	expect(`got 2\r`)
	typed("\x1a")
	expect(`Stopped`)
	if s := stateOf(pid); s != "t" && s != "T" {
		t.Errorf("state %q of the stopped command", s)
	}
	typed("fg\n")
	expect(`got 18\r`)
	typed("\x03")
	expect(`got 2\r`)
	typed("\x1a")
	expect(`Stopped`)
	typed("bg\n")
	expect(`got 18\r`)
	typed("kill -USR1 %1\n")
	expect(`got 10\r`)
	typed("kill -STOP %1; sleep 0.2; jobs; kill -CONT %1\n")
	expect(`Stopped`)
	expect(`got 18\r`)
	typed("fg\n")
	time.Sleep(100 * time.Millisecond)
	typed("\x1c")
	expect(`got 3\r`)
	time.Sleep(500 * time.Millisecond) // longer than run waits before it forwards
	if strings.Contains(s.pending(), "got ") {
		t.Errorf("signals came twice: %q", s.seen.String())
	}
	unix.Kill(atoi(t, pid), unix.SIGTERM)
	expect(`got 15\r`)
	typed("echo status=$?\n")
	if got := expect(`status=(\d+)`); got != "42" {
		t.Errorf("exit status %s", got)
	}
}

// A machine that forbids ptrace: the command runs all the same, and gets what the terminal sends once.
func TestRunUnwatched(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.EPERM, unix.EACCES, unix.ENOSYS} {
		forbidden := noPtrace + "=" + strconv.Itoa(int(errno))
		dir := t.TempDir()
		cmd := command(t, dir, "run", "--", "/bin/sh", "-c", "kill -SEGV $$")
		cmd.Env = append(cmd.Env, forbidden)
		o := runWith(t, cmd, nil)
		o.want(t, 139, "the command runs unwatched: ")
		if f := files(t, dir); len(f) != 0 || strings.Count(o.err, "\n") != 1 {
			t.Errorf("%v: files %q, messages %q", errno, f, o.err)
		}
		cmd = command(t, dir, "run", "--", dir+"/none")
		cmd.Env = append(cmd.Env, forbidden)
		runWith(t, cmd, nil).want(t, 127, "no such file")
	}

	program := victims.C(t, "watched.c")
	inner := command(t, "", "run", "--", program, "signals")
	inner.Env = append(inner.Env, noPtrace+"="+strconv.Itoa(int(unix.EPERM)))
	s := startSession(t, inner)
	s.typed("$RUN\n")
	pid := s.expect(`ready (\d+)`)
	s.typed("\x03")
	s.expect(`got 2\r`)
	time.Sleep(500 * time.Millisecond) // longer than run waits before it forwards
	if strings.Contains(s.pending(), "got ") {
		t.Errorf("a signal came twice: %q", s.seen.String())
	}
	// A stop that is over at once is none of the shell's business.
	unix.Kill(atoi(t, pid), unix.SIGSTOP)
	time.Sleep(5 * time.Millisecond)
	unix.Kill(atoi(t, pid), unix.SIGCONT)
	s.expect(`got 18\r`)
	time.Sleep(200 * time.Millisecond)
	if strings.Contains(s.pending(), "Stopped") {
		t.Errorf("run was stopped, the command was not: %q", s.seen.String())
	}
	s.typed("\x1a")
	s.expect(`Stopped`)
	s.typed("fg\n")
	s.expect(`got 18\r`)
	unix.Kill(atoi(t, pid), unix.SIGTERM)
	s.expect(`got 15\r`)
	s.typed("echo status=$?\n")
	if got := s.expect(`status=(\d+)`); got != "42" {
		t.Errorf("exit status %s", got)
	}
}

// noPtrace names the environment variable that makes ptrace fail with its error number in the command.
const noPtrace = "MINIDUMP_TEST_NO_PTRACE"

func init() {
	errno, err := strconv.Atoi(os.Getenv(noPtrace))
	if err != nil {
		return
	}
	// The number of the system call is the first word of struct seccomp_data (linux/seccomp.h).
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_PTRACE},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// On all threads: the runtime has some by now.
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if e == unix.EACCES { // not root
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		_, _, e = unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	}
	if e != 0 {
		panic(e)
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
