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

	"minidump/internal/victims"
	"minidump/stream"
)

func TestDumpDefault(t *testing.T) {
	pid, p := goVictim(t)
	dir := t.TempDir()
	o := run(t, dir, "dump", pid)
	o.want(t, 0, "")
	name := "gosleep." + pid + ".dmp"
	line := regexp.MustCompile(`^wrote ` + regexp.QuoteMeta(name) + `: [0-9.]+ [KM]B, \d+ threads, \d modules?, ` +
		`\d+ memory ranges; stopped for [0-9.]+ ms, [0-9.]+ ms in all\n`)
	if !line.MatchString(o.err) || o.out != "" {
		t.Errorf("printed %q and %q", o.out, o.err)
	}
	if got := files(t, dir); !slices.Equal(got, []string{name}) {
		t.Errorf("files %q", got)
	}
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil || info.Mode() != 0600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	f, err := openDump(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, problem := range stream.Problems(f) {
		t.Error(problem)
	}
	if misc, err := f.MiscInfo(); err != nil || misc.ProcessID != uint32(p.PID) {
		t.Errorf("PID %d, %v", misc.ProcessID, err)
	}
	if !p.Alive() {
		t.Error("the victim is gone")
	}
}

// TestDumpReplaces checks that an older dump of the same name is replaced, and a link followed.
func TestDumpReplaces(t *testing.T) {
	pid, _ := goVictim(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "old"), []byte("old"), 0644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("old", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "dump", "-o", "link", pid).want(t, 0, "wrote link: ")
	if got := files(t, dir); !slices.Equal(got, []string{"link", "old"}) {
		t.Errorf("files %q", got)
	}
	if target, err := os.Readlink(filepath.Join(dir, "link")); target != "old" {
		t.Errorf("the link is %q, %v", target, err)
	}
	if d := shown(t, filepath.Join(dir, "old")); strconv.Itoa(int(d.Process.PID)) != pid {
		t.Errorf("PID %d", d.Process.PID)
	}
}

func TestDumpToStandardOutput(t *testing.T) {
	pid, _ := goVictim(t)
	dir := t.TempDir()
	o := run(t, dir, "dump", pid, "-o", "-")
	o.want(t, 0, "wrote dump to standard output: ")
	piped := runWith(t, command(t, dir, "show", "-"), strings.NewReader(o.out))
	piped.want(t, 0, "")
	if want := "Process   gosleep (PID " + pid + ")"; !strings.Contains(piped.out, want) {
		t.Errorf("no %q in %s", want, piped.out)
	}
	o = run(t, dir, "dump", "--output=-", "--json", pid)
	o.want(t, 0, `{"file":"-","size":`+strconv.Itoa(len(o.out))+`,`)
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("files %q", got)
	}
}

func TestDumpJSON(t *testing.T) {
	pid, _ := goVictim(t)
	dir := t.TempDir()
	o := run(t, dir, "dump", "--json", pid, "-o", "x.dmp")
	o.want(t, 0, "")
	var r jsonResult
	if err := json.Unmarshal([]byte(o.out), &r); err != nil {
		t.Fatalf("%v in %q", err, o.out)
	}
	if problems := validate(t, "result.schema.json", []byte(o.out)); len(problems) > 0 {
		t.Errorf("not as its schema says: %q", problems)
	}
	info, err := os.Stat(filepath.Join(dir, "x.dmp"))
	if err != nil {
		t.Fatal(err)
	}
	d := shown(t, filepath.Join(dir, "x.dmp"))
	if r.File != "x.dmp" || int64(r.Size) != info.Size() || r.PauseNS <= 0 || r.TotalNS < r.PauseNS || r.Errors == nil ||
		r.Threads != len(d.Threads) || r.Modules != len(d.Modules) || r.Ranges != len(d.Memory) || o.err != "" {
		t.Errorf("%s %s; %d bytes, %d threads, %d modules, %d ranges", o.out, o.err, info.Size(), len(d.Threads),
			len(d.Modules), len(d.Memory))
	}
}

func TestDumpOptions(t *testing.T) {
	p := victims.Start(t, victims.C(t, "victim.c"), "idle", "3")
	pid := strconv.Itoa(p.PID)
	path := filepath.Join(t.TempDir(), "x.dmp")
	run(t, "", "dump", pid, "-o", path).want(t, 0, "")
	plain := shown(t, path)
	if len(plain.Threads) != 3 || plain.Texts["LinuxCmdLine"] == "" || plain.Texts["LinuxEnviron"] == "" ||
		len(plain.Handles) == 0 || len(plain.Annotations) != 0 {
		t.Fatalf("%d threads, %d handles, texts %v", len(plain.Threads), len(plain.Handles), plain.Texts)
	}
	worker := plain.Threads[2]
	code := plain.Modules[0].Base // an address outside all stacks
	run(t, "", "dump", "-o", path, pid, "--annotation", "a=b=c", "--annotation=channel=beta", "--omit",
		"environ,cmdline,handles", "--thread="+strconv.Itoa(int(worker.ID)), "--register-sets", "--sanitize",
		"--app-memory", fmt.Sprintf("%v+4K", code), "--stack-limit", "1K", "--timeout=5s").want(t, 0, "wrote ")
	d := shown(t, path)
	if want := []annotation{{"a", "b=c"}, {"channel", "beta"}}; !slices.Equal(d.Annotations, want) {
		t.Errorf("annotations %v", d.Annotations)
	}
	if d.Texts["LinuxCmdLine"] != "" || d.Texts["LinuxEnviron"] != "" || len(d.Handles) != 0 {
		t.Errorf("not omitted: %d handles, texts %v", len(d.Handles), d.Texts)
	}
	if d.Reason == nil || d.Reason.Thread != worker.ID || len(d.RegisterSets) == 0 {
		t.Errorf("reason %+v, %d register sets", d.Reason, len(d.RegisterSets))
	}
	held := slices.ContainsFunc(d.Memory, func(m memoryRange) bool {
		return m.Address <= code && uint64(code-m.Address)+4096 <= m.Size
	})
	if !held {
		t.Errorf("%v is not in %v", code, d.Memory)
	}
	for i, th := range d.Threads {
		if th.ID == worker.ID {
			continue // the blamed thread has its own limit
		}
		if th.StackSize > 4096 || plain.Threads[i].StackSize <= th.StackSize {
			t.Errorf("thread %d: %d bytes of stack, %d without a limit", th.ID, th.StackSize, plain.Threads[i].StackSize)
		}
	}
	run(t, "", "dump", "-o", path, pid, "--limit=40K").want(t, 0, "wrote ")
	if info, err := os.Stat(path); err != nil || info.Size() > 40<<10 {
		t.Errorf("%d bytes, %v", info.Size(), err)
	}
	run(t, "", "dump", "-o", path, pid, "--mode", "full").want(t, 0, "wrote ")
	full := shown(t, path)
	if !slices.ContainsFunc(full.Streams, func(s streamInfo) bool { return s.Name == "Memory64ListStream" }) {
		t.Errorf("streams %v", full.Streams)
	}
}

func TestDumpCrashContext(t *testing.T) {
	pid, p := goVictim(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "x.dmp")
	run(t, dir, "dump", pid, "-o", path).want(t, 0, "")
	plain := shown(t, path)
	if plain.System.CPU != "amd64" {
		t.Skip("the crash context is of amd64")
	}
	ip := uint64(plain.Modules[0].Base) + 0x1234
	blob := crashContext(p.PID, p.PID, ip, uint64(plain.Threads[0].SP))
	if err := os.WriteFile(filepath.Join(dir, "crash"), blob, 0644); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		text := run(t, dir, "show", path)
		for _, want := range []string{"\nReason    SIGSEGV / SEGV_MAPERR, write of 0x45, null pointer\n",
			"\nThread    " + pid + " \"gosleep\" at gosleep+0x1234\n", fmt.Sprintf("rip %016x", ip)} {
			if !strings.Contains(text.out, want) {
				t.Errorf("no %q in %s", want, text.out)
			}
		}
	}
	run(t, dir, "dump", pid, "-o", path, "--crash-context", "crash").want(t, 0, "")
	check()
	os.Remove(path)
	runWith(t, command(t, dir, "dump", pid, "-o", path, "--crash-context", "-"), strings.NewReader(string(blob))).
		want(t, 0, "")
	check()
	run(t, dir, "dump", pid, "--crash-context", "/proc/self/cmdline").want(t, 1, "minidump: /proc/self/cmdline: bad crash context")
	run(t, dir, "dump", pid, "--crash-context", "none").want(t, 1, "minidump: open none: no such file or directory\n")
}

func TestDumpErrors(t *testing.T) {
	pid, p := goVictim(t)
	dir := t.TempDir()
	gone := exec.Command("/proc/self/exe", "-test.run=^$")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, message string
		args          []string
	}{
		{"no process", fmt.Sprintf("minidump: no process has PID %d\n", gone.Process.Pid),
			[]string{strconv.Itoa(gone.Process.Pid)}},
		{"full disk", "minidump: write /dev/full: no space left on device\n", []string{pid, "-o", "/dev/full"}},
		{"no folder", "minidump: write none/x.dmp: no such file or directory\n", []string{pid, "-o", "none/x.dmp"}},
		{"forbidden folder", "minidump: create /proc/x.dmp: ", []string{pid, "-o", "/proc/x.dmp"}},
		{"a folder", "minidump: write .: it is a folder\n", []string{pid, "-o", "."}},
		{"below a file", "minidump: write /proc/version/x: not a directory\n", []string{pid, "-o", "/proc/version/x"}},
		{"limit", "size limit is too small", []string{pid, "--limit=100"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := run(t, dir, append([]string{"dump"}, c.args...)...)
			o.want(t, 1, c.message)
			if o.out != "" || strings.Count(o.err, "\n") != 1 || strings.Count(o.err, "minidump: ") != 1 {
				t.Errorf("printed %q and %q", o.out, o.err)
			}
			if got := files(t, dir); len(got) != 0 {
				t.Errorf("files %q are left", got)
			}
			if !p.Alive() {
				t.Error("the victim is gone")
			}
		})
	}
	if info, err := os.Stat("/dev/full"); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("/dev/full is no device any more: %v, %v", info, err)
	}
}

// TestDumpForbidden checks that without permission there is neither a dump nor a file.
func TestDumpForbidden(t *testing.T) {
	pid, p := goVictim(t)
	cmd := asNobody(t, "dump", pid)
	runWith(t, cmd, nil).want(t, 1, "minidump: no permission to inspect PID "+pid+": ")
	if got := files(t, cmd.Dir); !slices.Equal(got, []string{"program"}) {
		t.Errorf("files %q are left", got)
	}
	if !p.Alive() {
		t.Error("the victim is gone")
	}
}

// TestDumpFileTooLarge checks that a dump that can't be written to its end leaves no file.
func TestDumpFileTooLarge(t *testing.T) {
	pid, _ := goVictim(t)
	dir := t.TempDir()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell to set a limit with")
	}
	cmd := command(t, dir, "dump", "--mode=full", pid)
	cmd.Args = append([]string{"sh", "-c", `ulimit -f 8; exec "$0" "$@"`}, cmd.Args...)
	cmd.Path, _ = exec.LookPath("sh")
	runWith(t, cmd, nil).want(t, 1, "minidump: write gosleep."+pid+".dmp: file too large\n")
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("files %q are left", got)
	}
}

// TestDumpInterrupted checks that a signal in the middle of a dump leaves no file, and that the process continues.
func TestDumpInterrupted(t *testing.T) {
	const heap = "256" // megabytes: enough that the signal arrives before the end
	p := victims.Start(t, victims.Go(t, "gocrowd"), heap, "1")
	dir := t.TempDir()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		interrupted := false
		for range 5 { // the dump may be faster
			cmd := command(t, dir, "dump", "--mode=full", strconv.Itoa(p.PID))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			made := ""
			for deadline := time.Now().Add(20 * time.Second); made == "" && time.Now().Before(deadline); {
				made = newFileOf(cmd.Process.Pid, dir)
			}
			if made == "" {
				t.Fatal("no new file came")
			}
			if s == syscall.SIGKILL && !strings.HasSuffix(made, " (deleted)") {
				cmd.Process.Kill()
				cmd.Wait()
				t.Skip("this file system has no files without a name, so this one stays")
			}
			cmd.Process.Signal(s)
			cmd.Wait()
			for _, name := range files(t, dir) {
				if strings.HasSuffix(name, ".tmp") {
					t.Errorf("%v: %s is left", s, name)
				}
			}
			if code := cmd.ProcessState.ExitCode(); code == 128+int(s) || s == syscall.SIGKILL && code == -1 {
				interrupted = true
				if got := files(t, dir); len(got) != 0 {
					t.Errorf("%v: files %q are left", s, got)
				}
				break
			}
		}
		if !interrupted {
			t.Errorf("%v never came in time", s)
		}
	}
	// The victim runs, and is not traced.
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil || !p.Alive() || !strings.Contains(string(status), "\nTracerPid:\t0\n") ||
		strings.Contains(string(status), "\nState:\tt") || strings.Contains(string(status), "\nState:\tT") {
		t.Errorf("the victim does not run: %v\n%s", err, status)
	}
}

// TestNoProgressOnAPipe checks that no progress is shown without a terminal.
func TestNoProgressOnAPipe(t *testing.T) {
	p := victims.Start(t, victims.Go(t, "gocrowd"), "64", "1")
	o := run(t, t.TempDir(), "dump", "--mode=full", strconv.Itoa(p.PID))
	o.want(t, 0, "wrote ")
	if strings.ContainsAny(o.err, "\r\x1b") {
		t.Errorf("printed %q", o.err)
	}
}

func TestShowVictim(t *testing.T) {
	p := victims.Start(t, victims.C(t, "victim.c"), "idle", "4")
	dir := t.TempDir()
	run(t, dir, "dump", strconv.Itoa(p.PID), "-o", "v.dmp").want(t, 0, "4 threads")
	o := run(t, dir, "show", "v.dmp")
	o.want(t, 0, "")
	for _, want := range []string{
		`^File      v\.dmp\n          [0-9.]+ KB, (little|big)-endian, \d+ streams, created 20\d\d-`,
		fmt.Sprintf(`\nProcess   victim \(PID %d\), started 20\d\d-`, p.PID),
		`\nCommand   \S*victim idle 4\n`,
		`\nReason    dump requested, no crash\n`,
		fmt.Sprintf(`\nThread    %d "victim" at \S+\+0x[0-9a-f]+\n`, p.PID),
		fmt.Sprintf(`\n\nRegisters of thread %d\n`, p.PID),
		`\n\nThreads \(4\)\n +TID  NAME +STACK  AT\n`,
		fmt.Sprintf(`\n  \* *%d  victim +[0-9.]+ K?B  \S+\+0x`, p.PID),
		`\n    *\d+  worker-2 +[0-9.]+ K?B  \S+\+0x`,
		`\n\nModules \(\d\)\n  BASE +SIZE  DEBUG ID +NAME\n`,
		`\n  [0-9a-f]{8,16} +[0-9.]+ [KM]B  [0-9A-F]{33}  victim\n`,
		`\nMemory    \d+ ranges, [0-9.]+ KB \(--memory lists them\)\nMappings  \d+, -v lists them\nHandles   \d+, -v lists them\n`,
	} {
		if !regexp.MustCompile(want).MatchString(o.out) {
			t.Errorf("no %s in\n%s", want, o.out)
		}
	}
	if strings.Contains(o.out, "Problems") {
		t.Errorf("the file has problems:\n%s", o.out)
	}
	for line := range strings.Lines(o.out) {
		if width(line) > textWidth+1 && !strings.HasPrefix(line, "Command") {
			t.Errorf("longer than %d columns: %q", textWidth, line)
		}
	}
	long := run(t, dir, "show", "-v", "v.dmp")
	long.want(t, 0, "")
	for _, want := range []string{`\n  [0-9a-f]+-[0-9a-f]+ +[0-9.]+ K?B  stack of thread \d+ "worker-0"\n`,
		`\n  [0-9a-f]+-[0-9a-f]+ +[0-9.]+ K?B  r-x  victim\n`, `\n +0  `,
		`\n +0x3  ThreadListStream +\d+ B at 0x[0-9a-f]+\n`, `  /\S*/victim\n`} {
		if !regexp.MustCompile(want).MatchString(long.out) {
			t.Errorf("no %s in\n%s", want, long.out)
		}
	}
	f, err := openDump(filepath.Join(dir, "v.dmp"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range []string{"LinuxMaps", "linuxmaps", "maps", "0x47670009", "1197932553"} {
		want, err := f.Text(stream.LinuxMaps)
		if err != nil {
			t.Fatal(err)
		}
		if o := run(t, dir, "show", "v.dmp", "--stream", name); o.out != want || o.status != 0 {
			t.Errorf("%s: %d, %q", name, o.status, o.out)
		}
	}
	if o := run(t, dir, "show", "v.dmp", "--stream", "SystemInfo"); !strings.HasPrefix(o.out, "00000000  ") ||
		strings.Count(o.out, "\n") != 4 {
		t.Errorf("%q", o.out)
	}
	run(t, dir, "show", "v.dmp", "--stream", "xyz").want(t, 1, "minidump: the dump has no stream \"xyz\"; it has ")
	run(t, dir, "show", "v.dmp", "--stream", "0x1234").want(t, 1, "minidump: 0x1234: minidump has no such stream\n")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	cmd := command(t, dir, "show", "v.dmp")
	cmd.Stdout = full
	runWith(t, cmd, nil).want(t, 1, "minidump: write: no space left on device\n")
}

// TestDumpToClosedOutput checks that a dump to a closed standard output is an error, and is not written to the null
// device.
func TestDumpToClosedOutput(t *testing.T) {
	pid, _ := goVictim(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for redirect, status := range map[string]int{">&-": 1, ">/dev/null": 0} {
		cmd := command(t, t.TempDir())
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", `exec "$0" dump -o - "$1" ` + redirect, exe, pid}
		o := runWith(t, cmd, nil)
		if status != 0 {
			o.want(t, status, "minidump: standard output is closed")
		} else if o.want(t, status, "wrote dump to standard output"); o.out != "" {
			t.Errorf("%q", o.out)
		}
	}
}

// TestDumpByThread dumps the process of a thread whose id is given, about that thread, unless another is named.
func TestDumpByThread(t *testing.T) {
	pid, p := goVictim(t)
	entries, err := os.ReadDir("/proc/" + pid + "/task")
	if err != nil || len(entries) < 2 {
		t.Fatalf("%d threads: %v", len(entries), err)
	}
	last := entries[len(entries)-1].Name()
	for _, c := range []struct {
		args []string
		want string
	}{{[]string{last}, last}, {[]string{"--thread", pid, last}, pid}} {
		dir := t.TempDir()
		run(t, dir, append([]string{"dump"}, c.args...)...).want(t, 0, "")
		name := "gosleep." + pid + ".dmp"
		if got := files(t, dir); !slices.Equal(got, []string{name}) {
			t.Fatalf("files %q", got)
		}
		f, err := openDump(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if misc, err := f.MiscInfo(); err != nil || misc.ProcessID != uint32(p.PID) {
			t.Errorf("%v: process %d: %v", c.args, misc.ProcessID, err)
		}
		if e, err := f.Exception(); err != nil || strconv.Itoa(int(e.ThreadID)) != c.want {
			t.Errorf("%v: about thread %d: %v", c.args, e.ThreadID, err)
		}
		if threads, err := f.Threads(); err != nil || len(threads) < len(entries) {
			t.Errorf("%v: %d threads, of %d: %v", c.args, len(threads), len(entries), err)
		}
	}
}

// TestDumpByName dumps the process of a given name, and with --all each of several.
func TestDumpByName(t *testing.T) {
	name := fmt.Sprint("name", os.Getpid()) // no other program has it, even if these tests run twice at once
	program := filepath.Join(t.TempDir(), name)
	if err := os.Rename(victims.Go(t, "gosleep"), program); err != nil {
		t.Fatal(err)
	}
	first := strconv.Itoa(victims.Start(t, program, "1").PID)
	dir := t.TempDir()
	run(t, dir, "dump", name).want(t, 0, "")
	if got := files(t, dir); !slices.Equal(got, []string{name + "." + first + ".dmp"}) {
		t.Errorf("files %q", got)
	}
	second := strconv.Itoa(victims.Start(t, program, "2").PID)
	dir = t.TempDir()
	o := run(t, dir, "dump", name)
	if o.status != 1 || !strings.Contains(o.err, `2 processes are named "`+name+`"`) || !strings.Contains(o.err, first+"  ") ||
		!strings.Contains(o.err, second+"  ") {
		t.Errorf("of two: status %d, %s", o.status, o.err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("of two: files %q", got)
	}
	run(t, dir, "dump", "--all", "-o", "x.dmp", name).want(t, 2, "")
	run(t, dir, "dump", "--all", name).want(t, 0, "")
	want := []string{name + "." + first + ".dmp", name + "." + second + ".dmp"}
	slices.Sort(want)
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	if o := run(t, dir, "dump", "no-such-program"); o.status != 1 || !strings.Contains(o.err, `no process is named "no-such-program"`) {
		t.Errorf("of none: status %d, %s", o.status, o.err)
	}
	run(t, dir, "dump", "--all", first).want(t, 2, "")
}
