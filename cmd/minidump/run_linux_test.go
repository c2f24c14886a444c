package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/internal/victims"
	runner "minidump/run"
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
	o.want(t, 139, fmt.Sprintf("SIGSEGV (SEGV_MAPERR) at %#x: wrote ", strconv.IntSize/8))
	names := files(t, dir)
	if len(names) != 1 || !regexp.MustCompile(`^crasher\.\d+\.\d{8}T\d{6}\.\d{3}Z\.dmp$`).MatchString(names[0]) ||
		!strings.Contains(o.err, filepath.Join(dir, names[0])) {
		t.Errorf("files %q, messages %q", names, o.err)
	}
	lines := strings.Split(strings.TrimSpace(o.err), "\n")
	frames := []string{"crasher!level3 at crasher.c:", "crasher!level2 at crasher.c:", "crasher!level1 at crasher.c:", "crasher!main at crasher.c:"}
	for i, want := range frames {
		if len(lines) < 6 || !strings.HasPrefix(lines[i+1], fmt.Sprintf("  #%d ", i)) || !strings.Contains(lines[i+1], want) {
			t.Fatalf("frame %d is not %s in %q", i, want, lines)
		}
	}
	if lines[len(lines)-1] != "  signature: level3" {
		t.Errorf("last line %q", lines[len(lines)-1])
	}
	d := shown(t, filepath.Join(dir, names[0]))
	if i := slices.IndexFunc(d.Threads, func(t threadInfo) bool { return len(t.Frames) > 3 && t.Frames[3].Function == "main" }); i != 0 || d.Signature != "level3" {
		t.Errorf("signature %q, frames %+v", d.Signature, d.Threads)
	}
	t.Run("no backtrace", func(t *testing.T) {
		o := run(t, t.TempDir(), "run", "--no-backtrace", "--", program, "null")
		if o.want(t, 139, "wrote "); strings.Count(o.err, "\n") != 1 {
			t.Errorf("%q", o.err)
		}
	})
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
			// A signal to run, and a signal to the process group: the program gets each once.
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

// TestRunForwardsQueuedSignals checks that run forwards each of several queued real-time signals.
func TestRunForwardsQueuedSignals(t *testing.T) {
	cmd, pid, l := startSignals(t, "signals")
	unix.Kill(pid, unix.SIGSTOP)
	for range 3 {
		unix.Kill(cmd.Process.Pid, 40)
		time.Sleep(150 * time.Millisecond) // Go keeps only one undelivered signal of each number
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

// TestRunContinuedInStart sends SIGCONT to the process group while run starts the command: the SIGCONT with which run
// resumes it is not forwarded, the next one is.
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
			for l.next(500*time.Millisecond) != "" { // late ones
			}
			unix.Kill(cmd.Process.Pid, unix.SIGCONT)
			got := l.next(long)
			if got != "got 18" {
				t.Fatalf("%q, want signal 18", got)
			}
			unix.Kill(cmd.Process.Pid, unix.SIGTERM)
			for got == "got 18" { // even later
				got = l.next(long)
			}
			if got != "got 15" {
				t.Errorf("%q, want signal 15", got)
			}
		})
	}
}

// TestRunBrokenPipe checks that a report that nobody can read does not end run before the command, and that the
// command has the default action of SIGPIPE.
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
		t.Skip("a pid namespace requires root")
	}
	// Orphaned descendants of the shell are reaped while the command runs: none stays a zombie.
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
	if f := files(t, dir); len(f) != ofShell {
		t.Errorf("files %q", f)
	}
}

// TestRunJobControl runs a program under run from a shell with job control on a terminal: ^C, ^Z, fg and bg work as
// without run.
func TestRunJobControl(t *testing.T) {
	for _, mode := range []string{"signals", "leaderless"} {
		t.Run(mode, func(t *testing.T) { checkJobControl(t, mode) })
	}
}

// TestRunUnwatched forbids ptrace: the command runs nevertheless, and gets each signal of the terminal once.
func TestRunUnwatched(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.EPERM, unix.EACCES, unix.ENOSYS} {
		forbidden := noPtrace + "=" + strconv.Itoa(int(errno))
		dir := t.TempDir()
		cmd := command(t, dir, "run", "--", "/bin/sh", "-c", "kill -SEGV $$")
		cmd.Env = append(cmd.Env, forbidden)
		o := runWith(t, cmd, nil)
		o.want(t, 139, "the command runs without being watched: ")
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
	// The shell must not see a stop that ends immediately.
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

// TestRunReportsIncomplete checks the line about a dump in which no thread has registers.
func TestRunReportsIncomplete(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "messages")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		f := runFlags{}
		f.json = asJSON
		before := os.Stderr
		os.Stderr = file
		f.report(runner.Dump{PID: 7, Path: "x.dmp", Result: minidump.Result{Threads: 2},
			Soft: []minidump.SoftError{{Op: lateOp, Thread: 7}, {Op: lateOp, Thread: 8}}})
		os.Stderr = before
		file.Close()
		b, err := os.ReadFile(path)
		if want := "the dump is incomplete: 2 of 2 threads did not stop within 100ms\n"; err != nil || !strings.HasSuffix(string(b), want) {
			t.Errorf("json %v: %q, %v", asJSON, b, err)
		}
	}
}

// TestRunFollowsByDefault checks that by default the processes that a shell or a script starts are watched, and those
// of other commands are not.
func TestRunFollowsByDefault(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "start")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexit\n"), 0700); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("\x7fELF"), 0700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flag, command string
		want          bool
	}{
		{"", "sh", true}, {"", "/bin/sh", true}, {"", script, true}, {"", program, false}, {"", filepath.Join(dir, "missing"), false},
		{"no", "/bin/sh", false}, {"yes", program, true},
	} {
		if got := (&runFlags{followChildren: c.flag}).follows(c.command); got != c.want {
			t.Errorf("--follow-children=%s %s: %v", c.flag, c.command, got)
		}
	}
}

// TestRunGoPanic checks that a Go program that panics leaves a dump, and that show prints its goroutines' stacks, as
// text and as JSON.
func TestRunGoPanic(t *testing.T) {
	program, dir := victims.Go(t, "gocrash"), t.TempDir()
	ran := run(t, dir, "run", "-o", "x.dmp", "--", "/bin/sh", "-c", `"$0" nil; exit 7`, program)
	if !regexp.MustCompile(`minidump: gocrash \(process \d+, thread \d+\): exit status 2 after SIGSEGV .*: wrote .*x.dmp`).MatchString(ran.err) || ran.status != 7 {
		t.Fatalf("%+v", ran)
	}
	text := run(t, dir, "show", "x.dmp").out
	for _, want := range []string{"\nGoroutines (", "\npanic: runtime error: invalid memory address or nil pointer dereference\ngoroutine 1 [running]:\nmain.level3(...)\n\t",
		"main.go:", "\nmain.main(...)\n", " of the runtime not shown (--goroutines=all shows all)\n", " on its system stack:\nruntime.exit(...)\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if all := run(t, dir, "show", "--goroutines=all", "x.dmp").out; !strings.Contains(all, "\nruntime.gopark(...)\n") || strings.Contains(all, "not shown") {
		t.Errorf("all goroutines:\n%s", all)
	}
	o := run(t, dir, "show", "--json", "x.dmp")
	if problems := validate(t, "show.schema.json", []byte(o.out)); len(problems) > 0 {
		t.Errorf("%q", problems)
	}
	var d struct {
		Goroutines struct {
			List []struct {
				ID     uint64
				Stack  *int
				Panics []goPanic
			}
			Stacks [][]struct {
				Function string
				Line     int
			}
		}
	}
	if err := json.Unmarshal([]byte(o.out), &d); err != nil {
		t.Fatal(err)
	}
	for _, g := range d.Goroutines.List {
		if g.ID != 1 {
			continue
		}
		if g.Stack == nil || len(g.Panics) != 1 {
			t.Fatalf("%+v", g)
		}
		for _, c := range d.Goroutines.Stacks[*g.Stack] {
			if c.Function == "main.level3" && c.Line != 0 {
				return
			}
		}
		t.Errorf("no main.level3 in %+v", d.Goroutines.Stacks[*g.Stack])
	}
	t.Error("no goroutine 1 in it")
}
