//go:build linux

// Package victims builds and starts the programs that tests dump.
//
// The C programs are in the folder c (each starts with a description of its usage), the Go programs in gocrowd, gocrash,
// gosleep and golinker. Each test gets its own copy of a program, in its own temporary folder, so it may delete or replace it.
//
// A test that needs a missing compiler is skipped with the reason; if the environment has CI=true, it fails. In a virtual
// machine without compilers (see internal/vm) programs built beforehand by the command build are taken from the folder in
// the environment variable MINIDUMP_VICTIMS.
package victims

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

//go:embed c
var sources embed.FS

// prebuilt is the folder of programs built beforehand; empty if there are compilers.
var prebuilt = os.Getenv("MINIDUMP_VICTIMS")

// C compiles a source of the folder c, such as "victim.c", for the architecture of the running test, with $CC or gcc, at -O1 -g and
// with the additional flags, and returns the program's path. For 386 the program is static: an amd64 machine has no 32-bit loader.
func C(t testing.TB, source string, flags ...string) string {
	t.Helper()
	if prebuilt != "" {
		if slices.ContainsFunc(flags, func(f string) bool { return f != "-static" && f != "-pthread" }) {
			t.Skipf("victims: no compiler in this machine for %s with %q", source, flags)
		}
		return copyPrebuilt(t, strings.TrimSuffix(source, ".c"))
	}
	if runtime.GOARCH == "386" {
		return CrossC(t, "386", source, flags...)
	}
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "gcc"
	}
	return Compile(t, compiler, source, flags...)
}

// crossCompilers lists Debian's compilers by GOARCH. Debian 12 has none for loong64. Two names are not a GOARCH: ppc is 32-bit
// powerpc, which a ppc64 kernel runs, and mips64n32 is the ABI of mips64 with 32-bit pointers.
var crossCompilers = map[string]string{
	"386":       "i686-linux-gnu-gcc",
	"arm":       "arm-linux-gnueabihf-gcc",
	"arm64":     "aarch64-linux-gnu-gcc",
	"mips":      "mips-linux-gnu-gcc",
	"mips64":    "mips64-linux-gnuabi64-gcc",
	"mips64le":  "mips64el-linux-gnuabi64-gcc",
	"mips64n32": "mips64-linux-gnuabi64-gcc -mabi=n32",
	"mipsle":    "mipsel-linux-gnu-gcc",
	"ppc":       "powerpc-linux-gnu-gcc",
	"ppc64":     "powerpc64-linux-gnu-gcc",
	"ppc64le":   "powerpc64le-linux-gnu-gcc",
	"riscv64":   "riscv64-linux-gnu-gcc",
	"s390x":     "s390x-linux-gnu-gcc",
}

// CrossC is C for another architecture. The program is static, so it runs on a machine with nothing but a kernel. A
// test for an architecture without a compiler is skipped, even if CI=true.
func CrossC(t testing.TB, goarch, source string, flags ...string) string {
	t.Helper()
	if goarch == "amd64" && runtime.GOARCH == "amd64" {
		return Compile(t, "gcc", source, append([]string{"-static"}, flags...)...)
	}
	compiler, static := crossCompiler(goarch)
	if compiler == "" {
		t.Skipf("victims: Debian 12 has no C compiler for %s", goarch)
	}
	return Compile(t, compiler, source, append(static, flags...)...)
}

// crossCompiler returns the compiler for goarch, or "" if there is none, and the flags that make a static program.
func crossCompiler(goarch string) (compiler string, flags []string) {
	compiler, abi, ok := strings.Cut(crossCompilers[goarch], " ")
	if ok {
		flags = append(flags, abi)
	}
	return compiler, append(flags, "-static")
}

// Compile is C with a named compiler, such as "musl-gcc".
func Compile(t testing.TB, compiler, source string, flags ...string) string {
	t.Helper()
	built, err := Build(compiler, source, flags...)
	if errors.Is(err, exec.ErrNotFound) {
		missing(t, compiler)
	}
	if err != nil {
		t.Fatalf("victims: %v", err)
	}
	return copyProgram(t, built, strings.TrimSuffix(source, ".c"))
}

// missing skips or fails a test that lacks a tool.
func missing(t testing.TB, tool string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("victims: %s is missing, and CI=true", tool)
	}
	t.Skipf("victims: %s is missing", tool)
}

// Build is Compile outside of a test. The returned program is shared: it is in the user's cache folder, under a name
// with a digest of everything that it depends on, and must not be changed.
func Build(compiler, source string, flags ...string) (string, error) {
	path, err := exec.LookPath(compiler)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	text, err := sources.ReadFile("c/" + source)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "%s %d %v %q %s", path, info.Size(), info.ModTime().UnixNano(), flags, text)
	program := filepath.Join(cache, fmt.Sprintf("%s-%x", strings.TrimSuffix(source, ".c"), digest.Sum(nil)[:12]))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	tmp, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	file := filepath.Join(tmp, source)
	if err := os.WriteFile(file, text, 0644); err != nil {
		return "", err
	}
	args := []string{"-O1", "-g", "-pthread"}
	if slices.Contains(flags, "-static") {
		args = append(args, "-DSTATIC")
	}
	args = append(args, flags...)
	args = append(args, "-o", filepath.Join(tmp, "program"), file, "-ldl")
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", compiler, strings.Join(args, " "), err, out)
	}
	return program, os.Rename(filepath.Join(tmp, "program"), program)
}

func cacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "minidump-victims")
	return dir, os.MkdirAll(dir, 0755)
}

// Go builds the Go program in the folder name, such as "gocrowd", without cgo and for the architecture of the running
// test, unless env (K=V) says otherwise, and returns its path. With CGO_ENABLED=1, gocrash and gosleep use cgo.
func Go(t testing.TB, name string, env ...string) string {
	t.Helper()
	if prebuilt != "" {
		if len(env) > 0 {
			t.Skipf("victims: no compiler in this machine for %s with %q", name, env)
		}
		return copyPrebuilt(t, name)
	}
	if _, err := exec.LookPath("go"); err != nil {
		missing(t, "go")
	}
	if slices.Contains(env, "CGO_ENABLED=1") {
		if _, err := exec.LookPath("gcc"); err != nil {
			missing(t, "gcc")
		}
	}
	program := filepath.Join(t.TempDir(), name)
	if err := BuildGo(name, program, runtime.GOARCH, env...); err != nil {
		t.Fatalf("victims: %v", err)
	}
	return program
}

// victimsElsewhere lists Go programs that only the tests of one package start.
var victimsElsewhere = map[string]string{
	"goreporter":  "minidump/crash/testdata/goreporter",  // reports its own crash
	"cgoreporter": "minidump/crash/testdata/cgoreporter", // the same for C code; requires cgo
}

// BuildGo is Go outside of a test: it writes the executable file program.
func BuildGo(name, program, goarch string, env ...string) error {
	pkg := "minidump/internal/victims/" + name
	if p, ok := victimsElsewhere[name]; ok {
		pkg = p
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", program, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+goarch)
	cmd.Env = append(cmd.Env, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s %v: %w\n%s", name, env, err, out)
	}
	return nil
}

// Prebuild fills dir with all programs for goarch, for MINIDUMP_VICTIMS: static C programs, if there is a compiler for goarch,
// and the Go programs, if Go has a port to it. The current folder must be that of the module, and dir must be absolute.
func Prebuild(goarch, dir string) error {
	if err := os.MkdirAll(dir, 0755); err != nil {
		return err
	}
	if err := prebuildC(goarch, dir, ""); err != nil {
		return err
	}
	if goarch == "mips64" {
		if err := prebuildC("mips64n32", dir, suffixN32); err != nil {
			return err
		}
	}
	if goarch == "ppc" {
		return nil
	}
	for _, name := range []string{"gocrowd", "gocrash", "gosleep", "golinker", "goreporter"} {
		if err := BuildGo(name, filepath.Join(dir, name), goarch); err != nil {
			return err
		}
	}
	// This is a separate module, because it is also built with old releases of Go.
	cmd := exec.Command("go", "build", "-C", "internal/goruntime/testdata/crowd", "-buildvcs=false",
		"-o", filepath.Join(dir, "crowd"), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+goarch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build crowd: %w\n%s", err, out)
	}
	return nil
}

// prebuildC is Prebuild for the C programs, whose names end with suffix.
func prebuildC(goarch, dir, suffix string) error {
	compiler, static := crossCompiler(goarch)
	if compiler == "" {
		return nil
	}
	for _, source := range []string{"victim.c", "crasher.c", "snapshot.c", "calls.c"} {
		built, err := Build(compiler, source, static...)
		if err != nil {
			return err
		}
		if err := copyFile(filepath.Join(dir, strings.TrimSuffix(source, ".c")+suffix), built); err != nil {
			return err
		}
	}
	return nil
}

// suffixN32 is the suffix of the names of n32 programs, which are in the same folder as those of mips64.
const suffixN32 = "-n32"

// N32 is C for the n32 ABI of mips64. Its programs run only on a kernel of mips64: elsewhere the test is skipped.
func N32(t testing.TB, source string) string {
	t.Helper()
	if runtime.GOARCH != "mips64" || prebuilt == "" {
		t.Skip("victims: n32 programs run in the mips64 machine")
	}
	return copyPrebuilt(t, strings.TrimSuffix(source, ".c")+suffixN32)
}

func copyPrebuilt(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(prebuilt, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("victims: not built beforehand: %v", err)
	}
	return copyProgram(t, path, name)
}

func copyProgram(t testing.TB, from, name string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), name)
	if err := copyFile(to, from); err != nil {
		t.Fatalf("victims: %v", err)
	}
	return to
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	// Under the lock no child can be forked that inherits the descriptor and makes exec fail with ETXTBSY.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(to, b, 0755)
}

// Libs returns a folder of n small shared objects lib0000.so, lib0001.so, ... with distinct build ids and SONAMEs.
// Building them takes about 10 seconds for n = 500, once: they are kept in the user's cache folder.
func Libs(t testing.TB, n int) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		missing(t, "gcc")
	}
	dir, err := BuildLibs(n)
	if err != nil {
		t.Fatalf("victims: %v", err)
	}
	return dir
}

// BuildLibs is Libs outside of a test.
func BuildLibs(n int) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	lib, _ := sources.ReadFile("c/lib.c")
	script, _ := sources.ReadFile("c/gen.sh")
	digest := sha256.Sum256(append(slices.Clone(lib), script...))
	dir := filepath.Join(cache, fmt.Sprintf("libs-%d-%x", n, digest[:6]))
	lock, err := os.Create(filepath.Join(cache, "libs.lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	tmp, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	os.WriteFile(filepath.Join(tmp, "lib.c"), lib, 0644)
	os.WriteFile(filepath.Join(tmp, "gen.sh"), script, 0755)
	made := filepath.Join(tmp, "libs")
	cmd := exec.Command("sh", filepath.Join(tmp, "gen.sh"), made, strconv.Itoa(n))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("gen.sh: %w\n%s", err, out)
	}
	return dir, os.Rename(made, dir)
}

// Proc is a running victim. It is killed when its test ends, and when the test's process dies.
type Proc struct {
	PID   int // as printed by the victim: in its own pid namespace
	Cmd   *exec.Cmd
	Stdin io.WriteCloser

	reaping sync.Once
	lines   chan string // what it prints to standard output after the ready line; closed at the end
	done    chan struct{}
}

// readyTimeout is long enough for a victim with a large heap on an emulated machine. patience is how long Line waits.
const (
	readyTimeout = 120 * time.Second
	patience     = 60 * time.Second
)

// Start starts a victim and returns when the victim has printed "ready PID".
func Start(t testing.TB, path string, args ...string) *Proc {
	t.Helper()
	return StartCmd(t, exec.Command(path, args...))
}

// StartCmd is Start for a command with an environment, a working folder or a wrapper. It sets Stdin, Stdout and, if that is nil, Stderr.
func StartCmd(t testing.TB, cmd *exec.Cmd) *Proc {
	t.Helper()
	p := &Proc{Cmd: cmd, lines: make(chan string, 1024), done: make(chan struct{})}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("victims: %v", err)
	}
	p.Stdin = stdin
	// Not StdoutPipe: Wait would close that pipe while lines are still in it.
	stdout, stdoutW, err := os.Pipe()
	if err != nil {
		t.Fatalf("victims: %v", err)
	}
	cmd.Stdout = stdoutW
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	err = startOnLastingThread(cmd)
	stdoutW.Close()
	if err != nil {
		stdout.Close()
		t.Fatalf("victims: %v", err)
	}
	go func() {
		defer close(p.lines)
		defer stdout.Close()
		scanner := bufio.NewScanner(stdout)
		for scanner.Scan() {
			p.lines <- scanner.Text()
		}
	}()
	t.Cleanup(p.kill)
	ready := p.line(t, readyTimeout)
	pid, ok := strings.CutPrefix(ready, "ready ")
	if p.PID, err = strconv.Atoi(pid); !ok || err != nil {
		t.Fatalf("victims: %s printed %q, not \"ready PID\"", cmd.Path, ready)
	}
	return p
}

// Line returns the next line that the victim prints after the ready line. The test fails if none is printed within a minute.
func (p *Proc) Line(t testing.TB) string {
	t.Helper()
	return p.line(t, patience)
}

func (p *Proc) line(t testing.TB, timeout time.Duration) string {
	t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			t.Fatalf("victims: %s ended its output", p.Cmd.Path)
		}
		return line
	case <-time.After(timeout):
		t.Fatalf("victims: %s printed nothing within %v", p.Cmd.Path, timeout)
	}
	return ""
}

// Go writes the byte that a victim started with --wait waits for.
func (p *Proc) Go(t testing.TB) {
	t.Helper()
	if _, err := p.Stdin.Write([]byte("\n")); err != nil {
		t.Fatalf("victims: %v", err)
	}
}

// Wait waits until the victim ends and returns how it ended. The test fails if that takes more than a minute.
func (p *Proc) Wait(t testing.TB) syscall.WaitStatus {
	t.Helper()
	p.reap()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("victims: %s did not end within %v", p.Cmd.Path, patience)
	}
	return p.Cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// reap starts to wait for the victim's end. It must not run earlier than needed: if one thread of a process waits for a child,
// that wait also returns, and consumes the event, when another thread of the process traces the child and makes it stop.
func (p *Proc) reap() {
	p.reaping.Do(func() {
		go func() {
			p.Cmd.Wait()
			close(p.done)
		}()
	})
}

// Alive reports whether the victim is still running.
func (p *Proc) Alive() bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid))
	i := bytes.LastIndexByte(b, ')')
	return err == nil && i > 0 && i+2 < len(b) && b[i+2] != 'Z' && b[i+2] != 'X'
}

// kill kills the victim. The wait is limited, because a process does not end until a tracer has reaped its threads.
func (p *Proc) kill() {
	p.Cmd.Process.Kill()
	p.Stdin.Close()
	p.reap()
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
	}
}

var (
	startOnce sync.Once
	starts    chan func()
)

// startOnLastingThread starts cmd on a thread that lives as long as this process: the parent death signal is sent when
// the starting thread ends, not when the process does, and tests that trace end their thread.
func startOnLastingThread(cmd *exec.Cmd) error {
	startOnce.Do(func() {
		starts = make(chan func())
		go func() {
			runtime.LockOSThread()
			for start := range starts {
				start()
			}
		}()
	})
	result := make(chan error)
	starts <- func() { result <- cmd.Start() }
	return <-result
}

// endsEarly are the system calls of calls.c that return EINTR after every stop (see Writer.Dump).
var endsEarly = []string{"epoll_wait", "sigtimedwait", "recv-timeout", "semtimedop"}

// CheckCalls asks a process of calls.c how its system calls have ended: all as they must, except that a few kinds may have ended
// with EINTR. It returns how many calls of each kind have ended.
func CheckCalls(t testing.TB, p *Proc) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for p.Go(t); ; {
		line := p.Line(t)
		if line == "" {
			return counts
		}
		var name string
		var count, interrupted, wrong, last int
		var took float64
		if _, err := fmt.Sscan(line, &name, &count, &interrupted, &wrong, &last, &took); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if wrong > 0 || interrupted > 0 && !slices.Contains(endsEarly, name) {
			t.Errorf("%s: of %d calls %d ended with EINTR and %d had another result than they must, or ended too early, at last %d after %v ms",
				name, count, interrupted, wrong, last, took)
		}
		counts[name] = count
	}
}
