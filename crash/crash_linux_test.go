package crash

import (
	"bufio"
	"bytes"
	"maps"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/victims"
	"minidump/stream"
)

// run starts the victim, and waits until the monitor is done. It returns the dump's path, or the text of an end.
func run(t *testing.T, program, kind, traceback string) (done string, stderr string) {
	t.Helper()
	dir := t.TempDir()
	c := exec.Command(program, dir, kind)
	c.Env = append(os.Environ(), "GOTRACEBACK="+traceback)
	var errs bytes.Buffer
	c.Stderr = &errs
	_ = c.Run()
	return await(t, dir), errs.String()
}

// await waits until the monitor is done, and returns the line that it wrote.
func await(t *testing.T, dir string) string {
	t.Helper()
	for range 600 {
		if b, err := os.ReadFile(filepath.Join(dir, "done")); err == nil && len(b) > 0 {
			return string(b)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the monitor has not ended")
	return ""
}

func TestCrashes(t *testing.T) {
	program := victims.Go(t, "goreporter")
	for _, c := range []struct {
		kind   string
		report string // what KeyReport begins with
		signal syscall.Signal
		silent bool // GOTRACEBACK=none: the runtime reports nothing
	}{
		{"panic", "panic: boom", 0, false},
		{"goroutine", "panic: boom in a goroutine", 0, false},
		{"error", "panic: wrapped: inner", 0, false},
		{"nested", "panic: first\n\tpanic: second", 0, false},
		{"nil", "panic: runtime error: invalid memory address", syscall.SIGSEGV, false},
		{"address", "fatal error: fault\n[signal SIGSEGV", syscall.SIGSEGV, false},
		{"map", "fatal error: concurrent map writes", 0, true},
		{"unlock", "fatal error: sync: unlock of unlocked mutex", 0, true},
		{"deadlock", "", 0, true},
		{"stack", "fatal error: stack overflow", 0, false},
		{"memory", "fatal error: out of memory", 0, false},
		{"SIGABRT", "SIGABRT: abort", syscall.SIGABRT, false},
		{"SIGSEGV", "SIGSEGV: segmentation violation", syscall.SIGSEGV, false},
		{"SIGBUS", "SIGBUS: bus error", syscall.SIGBUS, false},
		{"SIGFPE", "SIGFPE: floating-point exception", syscall.SIGFPE, false},
		{"SIGILL", "SIGILL: illegal instruction", syscall.SIGILL, false},
		{"SIGTRAP", "SIGTRAP: trace trap", syscall.SIGTRAP, false},
		{"SIGSYS", "SIGSYS: bad system call", syscall.SIGSYS, false},
		{"SIGQUIT", "SIGQUIT: quit", syscall.SIGQUIT, false},
	} {
		for _, traceback := range []string{"none", "single", "all", "crash"} {
			t.Run(c.kind+"/"+traceback, func(t *testing.T) {
				if traceback != "single" || !slices.Contains([]string{"panic", "nil", "map", "SIGSEGV", "SIGABRT"}, c.kind) {
					victims.SkipEmulated(t, "a sample is enough there")
				}
				done, stderr := run(t, program, c.kind, traceback)
				if c.silent && traceback == "none" {
					if !strings.HasPrefix(done, "end") {
						t.Errorf("a dump: %s", done)
					}
					return
				}
				if strings.HasPrefix(done, "end") {
					t.Fatalf("no dump: %s", stderr)
				}
				f, err := os.Open(done)
				if err != nil {
					t.Fatal(err)
				}
				d, err := stream.OpenFile(f)
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				if problems := stream.Problems(d); len(problems) > 0 {
					t.Error(problems)
				}
				notes, err := d.CrashpadInfo()
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]string{}
				for _, a := range notes.Annotations {
					got[a.Key] = a.Value
				}
				if !strings.HasPrefix(got[KeyReport], c.report) || got["version"] != "1.2.3" || got["user"] != "somebody" {
					t.Errorf("annotations %q", got)
				}
				e, err := d.Exception()
				if err != nil || c.signal != 0 && e.Code != uint32(c.signal) {
					t.Errorf("exception %+v: %v", e, err)
				}
				text, err := d.Stream(TextStream)
				if err != nil || len(text) == 0 {
					t.Errorf("text %q: %v", text, err)
				}
				if c.report != "" && strings.HasPrefix(c.report, "panic") && !strings.HasPrefix(string(text), c.report) {
					t.Errorf("text %q", text)
				}
			})
		}
	}
}

// TestOwnCrashOutput runs a program that calls debug.SetCrashOutput itself: the monitor reports that it no longer watches
// the program.
func TestOwnCrashOutput(t *testing.T) {
	victims.SkipEmulated(t, "it waits for ten seconds")
	dir := t.TempDir()
	c := exec.Command(victims.Go(t, "goreporter"), dir, "output")
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil || !strings.Contains(line, "is no longer watched") {
		t.Errorf("%q, %v", line, err)
	}
	c.Process.Kill()
	c.Wait()
	if done := await(t, dir); done != "end: keeps running, but is no longer watched" {
		t.Error(done)
	}
}

// exitInfoKnown reports whether this kernel reports how a reaped process ended.
func exitInfoKnown(t *testing.T) bool {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^$")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(c.Process.Pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	c.Wait()
	_, ok := exitInfo(fd)
	return ok
}

// TestRaiseTraceback runs a program that dies of a fatal error with GOTRACEBACK=none, about which the runtime would
// report nothing.
func TestRaiseTraceback(t *testing.T) {
	t.Setenv("RAISE", "yes")
	if done, stderr := run(t, victims.Go(t, "goreporter"), "map", "none"); strings.HasPrefix(done, "end") {
		t.Errorf("no dump: %s", stderr)
	}
}

func TestNoCrash(t *testing.T) {
	program := victims.Go(t, "goreporter")
	// Kernels before 6.15 do not report how a process ended after it was reaped.
	const unknown = "end: ended in an unknown way"
	for kind, want := range map[string]string{
		"exit": "ended with status 3", "fatal": "ended with status 1", "return": "ended with status 0", "goexit": "ended with status 4",
		"recovered": "ended with status 0", "SIGTERM": "was killed by signal 15 (terminated)", "SIGINT": "was killed by signal 2 (interrupt)",
		"SIGKILL": "was killed by signal 9 (killed)",
	} {
		if done, _ := run(t, program, kind, "all"); done != "end: "+want && (done != unknown || exitInfoKnown(t)) {
			t.Errorf("%s: %s", kind, done)
		}
	}
}

func TestDump(t *testing.T) {
	dir := t.TempDir()
	c := exec.Command(victims.Go(t, "goreporter"), dir, "dump")
	out, err := c.Output()
	path, rest, _ := strings.Cut(string(out), " ")
	if err != nil || !strings.HasSuffix(rest, "<nil>\n") {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := stream.OpenFile(f); err != nil {
		t.Error(err)
	}
}

func TestLineCrash(t *testing.T) {
	c := lineCrash("panic: x\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x45 pc=0x47d2c9]\n\ngoroutine 1 [running]:\n", 7)
	if c == nil || c.Signo != 11 || c.Code != 1 || c.Address != 0x45 || c.TID != 7 {
		t.Errorf("%+v", c)
	}
	for _, text := range []string{"", "panic: x\n\ngoroutine 1 [running]:\n[signal SIGSEGV: code=0x1 addr=0x1]", "[signal SIGSEGV: code=0x addr=0x1]", "[signal SIGNONE: code=0x1 addr=0x1]"} {
		if c := lineCrash(text, 7); c != nil {
			t.Errorf("%q: %+v", text, c)
		}
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	names := []string{"app.1.20260101T000000.000Z.dmp", "app.1.20260102T000000.000Z.dmp", "app.1.20260103T000000.000Z.dmp", "other.dmp"}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(filepath.Join(dir, names[2]), 2); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 3 || filepath.Base(left[0]) != names[1] {
		t.Errorf("%v: %v", left, err)
	}
	path := newName(dir, 7)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if again := newName(dir, 7); again == path {
		t.Errorf("two dumps are named %s", path)
	}
}

func FuzzReport(f *testing.F) {
	f.Add("panic: x\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x45 pc=0x47d2c9]\n\ngoroutine 1 [running]:\n")
	f.Fuzz(func(t *testing.T, text string) {
		lineCrash(text, 1)
		parseFatal(text)
		(&captured{kind: kindOf(text)}).summary(text)
	})
}

// TestFatalCall checks the parsing of the first call in the runtime's report of a fatal error.
func TestFatalCall(t *testing.T) {
	for _, c := range []struct {
		text string
		want fatalCall
	}{
		{"[signal]\n\ngoroutine 1 gp=0x1 m=0 mp=0x72 [running]:\nruntime.throw({0x5bbefd?, 0x6?})\n\t/panic.go:1229 +0x48 fp=0x1dcab5fb5a78 sp=0x1dcab5fb5a48 pc=0x480008\n",
			fatalCall{address: 0x5bbefd, shown: 6, low: 0x1dcab5fb5a48, high: 0x1dcab5fb5a78, whole: true}},
		{"internal/runtime/maps.fatal({0x5c05e9?, 0x0?})\n\t/panic.go:1181 +0x18\nmain", fatalCall{address: 0x5c05e9, whole: true}},
		{"runtime.throw({0x5bbefd, 0x5})\n\t/panic.go:1229 +0x48 fp=0x1dc", fatalCall{address: 0x5bbefd, shown: 5, high: 0x1dc}},
		{"panic: runtime.throw({\n", fatalCall{}},
	} {
		if got := parseFatal(c.text); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.text, got, c.want)
		}
	}
}

// TestFatalLength checks that a number found only once after a copy of the address is not taken as the length of the
// text.
func TestFatalLength(t *testing.T) {
	const at = 0x5bbefd
	var memory []byte
	for _, v := range []uint{1, at, 60, at, 21, 3, at, 21, at, 1 << 20, at} {
		word := make([]byte, bits.UintSize/8)
		if bits.UintSize == 32 {
			nativeOrder().PutUint32(word, uint32(v))
		} else {
			nativeOrder().PutUint64(word, uint64(v))
		}
		memory = append(memory, word...)
	}
	found := lengths{}
	if found.likely() != 0 {
		t.Error("a length of nothing")
	}
	found.search(memory, at)
	if want := (lengths{60: 1, 21: 2}); !maps.Equal(found, want) || found.likely() != 21 {
		t.Errorf("found %v, of which %d, want %v", found, found.likely(), want)
	}
}
