package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/victims"
)

// streamCore returns a core file as the kernel makes it: a thread with registers, and its stack.
func streamCore() []byte {
	o := binary.LittleEndian
	const head, status, stack = 64 + 2*56, 20 + 336, 4096
	b := make([]byte, head+status+stack)
	copy(b, "\x7fELF\x02\x01\x01")
	o.PutUint16(b[16:], 4)  // ET_CORE
	o.PutUint16(b[18:], 62) // EM_X86_64
	o.PutUint32(b[20:], 1)
	o.PutUint64(b[32:], 64)
	o.PutUint16(b[52:], 64)
	o.PutUint16(b[54:], 56)
	o.PutUint16(b[56:], 2)
	prog := func(at int, typ, flags uint32, off, addr, size uint64) {
		o.PutUint32(b[at:], typ)
		o.PutUint32(b[at+4:], flags)
		o.PutUint64(b[at+8:], off)
		o.PutUint64(b[at+16:], addr)
		o.PutUint64(b[at+32:], size)
		o.PutUint64(b[at+40:], size)
	}
	prog(64, 4, 0, head, 0, status)
	prog(64+56, 1, 6, head+status, 0x7000, stack)
	n := b[head:]
	o.PutUint32(n, 5)
	o.PutUint32(n[4:], 336)
	o.PutUint32(n[8:], 1) // NT_PRSTATUS
	copy(n[12:], "CORE")
	desc := n[20:]
	o.PutUint16(desc[12:], 11)
	o.PutUint32(desc[32:], 4321)
	o.PutUint64(desc[112+16*8:], 0x401234) // rip
	o.PutUint64(desc[112+19*8:], 0x7800)   // rsp
	return b
}

// files lists a folder, including hidden files.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// goVictim starts a Go program that waits.
func goVictim(t *testing.T) (pid string, p *victims.Proc) {
	t.Helper()
	p = victims.Start(t, victims.Go(t, "gosleep"), "3")
	return strconv.Itoa(p.PID), p
}

// shown returns what show --json prints for a dump.
func shown(t *testing.T, path string) *dumpInfo {
	t.Helper()
	o := run(t, "", "show", "--json", path)
	o.want(t, 0, "")
	var d dumpInfo
	if err := json.Unmarshal([]byte(o.out), &d); err != nil {
		t.Fatalf("%v in %q", err, o.out)
	}
	if problems := validate(t, "show.schema.json", []byte(o.out)); len(problems) > 0 {
		t.Errorf("%s: not as its schema says: %q", path, problems)
	}
	return &d
}

// UnmarshalText is the reverse of MarshalText.
func (h *hex) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 0, 64)
	*h = hex(n)
	return err
}

// UnmarshalJSON reads what MarshalJSON writes. It does not keep the order of the registers.
func (r *registers) UnmarshalJSON(b []byte) error {
	var m map[string]hex
	err := json.Unmarshal(b, &m)
	for name, v := range m {
		*r = append(*r, struct {
			Name  string
			Value uint64
		}{name, uint64(v)})
	}
	return err
}

// crashContext returns a crash_context::CrashContext of x86_64 for a write to 0x45 by the instruction at ip.
func crashContext(pid, tid int, ip, sp uint64) []byte {
	const ucontext, fp, siginfo = 968, 512, 128
	b := make([]byte, ucontext+fp+siginfo+8)
	o := binary.LittleEndian
	registers := b[40:] // struct sigcontext_64
	o.PutUint64(registers[15*8:], sp)
	o.PutUint64(registers[16*8:], ip)
	o.PutUint64(registers[19*8:], 6)  // error code: a write by the user
	o.PutUint64(registers[20*8:], 14) // page fault
	o.PutUint64(registers[22*8:], 0x45)
	info := b[ucontext+fp:]
	o.PutUint32(info, uint32(syscall.SIGSEGV))
	o.PutUint32(info[8:], 1) // SEGV_MAPERR
	o.PutUint64(info[16:], 0x45)
	o.PutUint32(info[siginfo:], uint32(pid))
	o.PutUint32(info[siginfo+4:], uint32(tid))
	return b
}

// asNobody returns the command for an ordinary user, in its own folder with only the program.
func asNobody(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	dir, err := os.MkdirTemp("/tmp", "minidump-test-") // others can't enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0777); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, dir, args...)
	program, err := os.ReadFile(cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	syscall.ForkLock.RLock()
	err = os.WriteFile(filepath.Join(dir, "program"), program, 0755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path = filepath.Join(dir, "program")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return cmd
}

// newFileOf returns the file in dir that pid has open, from /proc; "" if there is none.
func newFileOf(pid int, dir string) string {
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if name, err := os.Readlink(fd); err == nil && strings.HasPrefix(name, dir+"/") {
			return name
		}
	}
	return ""
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

// next returns the next line, or "" if none comes within d.
func (l *lines) next(d time.Duration) string {
	select {
	case s := <-l.ch:
		return s
	case <-time.After(d):
		return ""
	}
}

const long = 20 * time.Second

// startWatched starts the program watched in its own process group. It prints each signal that it receives.
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

// startSignals is startWatched, except that it returns after the program is ready.
func startSignals(t *testing.T, mode string) (cmd *exec.Cmd, pid int, l *lines) {
	t.Helper()
	cmd, l = startWatched(t, mode)
	if _, err := fmt.Sscanf(l.next(long), "ready %d", &pid); err != nil {
		t.Fatal(err)
	}
	return cmd, pid, l
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

// pending returns the output that arrived after the last match.
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

func checkJobControl(t *testing.T, mode string) {
	program := victims.C(t, "watched.c")
	s := startSession(t, command(t, "", "run", "--", program, mode))
	typed, expect := s.typed, s.expect
	// Use the state of the newest thread: the first one may have ended.
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

// noPtrace is the environment variable that makes ptrace in the command fail with the error number in its value.
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
	// On all threads: the runtime has several by now.
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

// ofShell is the number of dumps that this program can make of a shell that dies: none if it is a 32-bit program and the shell a
// 64-bit one, as on the machines that run these tests for 386.
var ofShell = func() int {
	if runtime.GOARCH == "386" {
		return 0
	}
	return 1
}()

// libraries returns the shared libraries of the victims in C. For 386 they are static, see victims.C.
func libraries() []string {
	if runtime.GOARCH == "386" {
		return nil
	}
	return []string{"libc.so.6"}
}
