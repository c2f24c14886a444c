package minidump

import (
	"fmt"
	"io"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/unixsocket"
	"minidump/internal/victims"
	"minidump/stream"

	"minidump/internal/corefile/coretest"
)

// theCommand builds the command for the kernel to start.
func theCommand(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no Go here to build the command with")
	}
	path := filepath.Join(lastingDir(t), "minidump")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, "minidump/cmd/minidump")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// lastingDir returns a folder with a short name that the programs started by the kernel also find.
func lastingDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "mdt-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// dumpOf waits for the one dump of a pid, NAME-PID.dmp or NAME.PID.dmp, and opens it.
func dumpOf(t testing.TB, dir string, pid int) (string, *stream.File) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		found, _ := filepath.Glob(filepath.Join(dir, fmt.Sprintf("*-%d.dmp", pid)))
		if len(found) == 0 {
			found, _ = filepath.Glob(filepath.Join(dir, fmt.Sprintf("*.%d.dmp", pid)))
		}
		if len(found) == 0 {
			continue
		}
		f, err := openDump(found[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		for _, p := range stream.Problems(f) {
			t.Errorf("problem: %s", p)
		}
		return found[0], f
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	entries, _ := os.ReadDir(dir)
	t.Fatalf("no dump of %d among %v\n%s", pid, entries, log)
	return "", nil
}

// crash makes a program that waits for a byte crash, and returns its pid.
func crash(t testing.TB, cmd *exec.Cmd) int {
	t.Helper()
	cmd.Stderr = io.Discard
	v := victims.StartCmd(t, cmd)
	v.Go(t)
	if status := v.Wait(t); !status.Signaled() {
		t.Fatalf("it did not die of a signal: %v", status)
	}
	return cmd.Process.Pid
}

// offsetInModule returns an address as the module's name and the offset in it.
func offsetInModule(f *stream.File, addr uint64) string {
	mods, _ := f.Modules()
	for _, m := range mods {
		if m.BaseOfImage <= addr && addr < m.BaseOfImage+uint64(m.SizeOfImage) {
			return fmt.Sprintf("%s+%#x", filepath.Base(m.Name), addr-m.BaseOfImage)
		}
	}
	return fmt.Sprintf("%#x", addr)
}

// A crashProgram is a program that is dumped in each way that the kernel offers.
type crashProgram struct {
	name    string
	program func(t *testing.T) string
	args    []string
	signal  uint32
	address func(uint64) bool
	threads []string // their names, the crashed one's first; nil: of a Go program
	frames  []string // the innermost functions of the crashed thread
}

func isNull(a uint64) bool { return a == 4 || a == 8 || a == 0 }

func crashPrograms() []crashProgram {
	c := func(flags ...string) func(t *testing.T) string {
		return func(t *testing.T) string { return victims.C(t, "crasher.c", flags...) }
	}
	all := []crashProgram{
		{"C thread", c(), []string{"--in", "thread", "--threads", "3", "null"}, 11, isNull,
			[]string{"crash-thread", "crasher", "worker-0", "worker-1", "worker-2"}, []string{"level3", "level2", "level1", "crash_thread"}},
		{"C abort", c(), []string{"abort"}, 6, nil, []string{"crasher"}, nil},
		{"C overflow", c(), []string{"--in", "thread", "stack"}, 11, nil, []string{"crash-thread", "crasher"}, nil},
		{"Go", func(t *testing.T) string { return victims.Go(t, "gocrash") }, []string{"nil"}, 6, nil, nil, nil},
	}
	if runtime.GOARCH == "amd64" {
		all = append(all,
			crashProgram{"static", c("-static"), []string{"null"}, 11, isNull, []string{"crasher"}, []string{"level3", "level2", "level1", "main"}},
			crashProgram{"musl", func(t *testing.T) string { return victims.Compile(t, "musl-gcc", "crasher.c", "-Wl,--build-id") },
				[]string{"--in", "thread", "null"}, 11, isNull, []string{"crash-thread", "crasher"}, []string{"level3", "level2", "level1", "crash_thread"}},
			crashProgram{"C 386", func(t *testing.T) string { return victims.CrossC(t, "386", "crasher.c", "-Wl,--build-id") },
				[]string{"--in", "thread", "null"}, 11, isNull, []string{"crash-thread", "crasher"}, []string{"level3", "level2", "level1", "crash_thread"}},
			crashProgram{"Go 386", func(t *testing.T) string { return victims.Go(t, "gocrash", "GOARCH=386") }, []string{"nil"}, 6, nil, nil, nil},
		)
	}
	return all
}

// check compares a dump with a normal core of another run of the program.
func (c *crashProgram) check(t *testing.T, program, dmp string, f *stream.File, pid int, core string) {
	args := append([]string{"--wait"}, c.args...)
	if c.name != "C overflow" { // after an overflow, SP is in the guard page
		checkStacks(t, f, DefaultCrashStackLimit)
	}
	e, err := f.Exception()
	if err != nil || e.Code != c.signal || c.address != nil && !c.address(e.Address) {
		t.Errorf("exception %+v: %v", e, err)
	}
	if m, err := f.MiscInfo(); err != nil || int(m.ProcessID) != pid {
		t.Errorf("pid %d, want %d: %v", m.ProcessID, pid, err)
	}
	threads, err := f.Threads()
	names, err2 := f.ThreadNames()
	if err != nil || err2 != nil || len(threads) == 0 || len(threads) != len(names) || threads[0].ThreadID != e.ThreadID {
		t.Fatalf("threads %+v, names %+v: %v %v", threads, names, err, err2)
	}
	if c.threads != nil {
		var got []string
		for _, th := range threads {
			got = append(got, names[th.ThreadID])
		}
		slices.Sort(got[1:])
		if !slices.Equal(got, c.threads) {
			t.Errorf("threads %q, want %q", got, c.threads)
		}
	}
	mods, err := f.Modules()
	if err != nil || len(mods) == 0 || mods[0].Name != program || len(mods[0].BuildID) == 0 && !strings.HasPrefix(c.name, "Go") {
		t.Errorf("modules %+v: %v", mods, err)
	}
	if s, err := f.Text(stream.LinuxCmdLine); s != strings.Join(append([]string{program}, args...), "\x00")+"\x00" {
		t.Errorf("command line %q: %v", s, err)
	}
	if s, err := f.Text(stream.LinuxEnviron); !strings.Contains(s, "\x00CORE_TEST=a value\x00") {
		t.Errorf("environment %q: %v", s, err)
	}
	for _, typ := range []stream.Type{stream.LinuxMaps, stream.LinuxCPUInfo, stream.LinuxProcStatus, stream.HandleDataStream} {
		if b, err := f.Stream(typ); err != nil || len(b) == 0 {
			t.Errorf("stream %v: %d bytes, %v", typ, len(b), err)
		}
	}
	if s, _ := f.Text(stream.LinuxProcStatus); !strings.Contains(s, "\nCoreDumping:\t1\n") {
		t.Errorf("status %q", s)
	}

	// The registers must equal those in a normal core, where they are the same in each run.
	_, other, _ := coreDump(t, core, Options{})
	oe, err := other.Exception()
	if err != nil {
		t.Fatal(err)
	}
	got, want := coretest.CPUs(t, f)[e.ThreadID], coretest.CPUs(t, other)[oe.ThreadID]
	if got == nil || want == nil {
		t.Fatal("the crashed thread has no registers")
	}
	if g, w := offsetInModule(f, got.PC), offsetInModule(other, want.PC); g != w || got.SP == 0 {
		t.Errorf("PC is %s, in a core %s; SP %#x", g, w, got.SP)
	}
	if e.Code != oe.Code || e.Flags != oe.Flags || c.address != nil && e.Address != oe.Address {
		t.Errorf("exception %+v, of a core %+v", e, oe)
	}
	otherMods, _ := other.Modules()
	if len(otherMods) != len(mods) {
		t.Errorf("%d modules, of a core %d", len(mods), len(otherMods))
	}
	for i := range min(len(mods), len(otherMods)) {
		if g, w := mods[i], otherMods[i]; g.Name != w.Name || len(w.BuildID) > 0 && g.BuildID != w.BuildID {
			t.Errorf("module %d is %+v, of a core %+v", i, g, w)
		}
	}
	if c.frames == nil || runtime.GOARCH != "amd64" {
		return
	}
	t.Run("stackwalk", func(t *testing.T) {
		r := stackwalk(t, dmp, program)
		if r.Status != "OK" || r.PID != pid || r.CrashInfo.CrashingThread == nil {
			t.Fatalf("%+v", r.CrashInfo)
		}
		got := r.functions(*r.CrashInfo.CrashingThread)
		bt := gdbBacktrace(t, program, core)
		if n := len(c.frames); len(got) < n || !slices.Equal(got[:n], c.frames) || len(bt) < n || !slices.Equal(bt[:n], c.frames) {
			t.Errorf("frames %q, gdb has %q of a core, want %q", got, bt, c.frames)
		}
	})
}

// crashing returns a command whose program waits for a byte and then crashes.
func (c *crashProgram) crashing(t testing.TB, program string) *exec.Cmd {
	cmd := exec.Command(program, append([]string{"--wait"}, c.args...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash", "CORE_TEST=a value")
	return cmd
}

// TestCorePipe checks that the kernel starts the installed command for each crash.
func TestCorePipe(t *testing.T) {
	victims.CorePattern(t, false)
	victims.MachineNamespaces(t)
	if now, _ := os.ReadFile(victims.CorePatternFile); strings.Contains(string(now), "minidump") {
		t.Skipf("minidump is installed on this machine: %s", now)
	}
	// A file left by a killed test is not an installation.
	os.Remove("/var/lib/minidump/core_pattern.saved")
	command := theCommand(t)
	dir := lastingDir(t)
	type run struct {
		crashProgram
		path, core string
	}
	var runs []run
	victims.SetCorePattern(t, "core")
	for _, c := range crashPrograms() {
		path := c.program(t)
		core, _ := coreByPattern(t, path, append([]string{"--wait"}, c.args...)...)
		runs = append(runs, run{c, path, core})
	}
	os.WriteFile(victims.CorePipeLimitFile, []byte("3\n"), 0)
	install := func(flags ...string) string {
		t.Helper()
		cmd := exec.Command(command, append([]string{"core", "--install", "-o", dir}, flags...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	uninstalled := false
	uninstall := func() {
		if uninstalled {
			return
		}
		uninstalled = true
		if out, err := exec.Command(command, "core", "--uninstall").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	defer uninstall()
	install("--log=" + dir + "/log")
	pattern, _ := os.ReadFile(victims.CorePatternFile)
	if want := "|" + command + " core --pid=%P --thread=%I --log=" + dir + "/log -o " + dir + "/%e-%P.dmp -\n"; string(pattern) != want {
		t.Errorf("core_pattern is %q, want %q", pattern, want)
	}
	if again := install("--log=" + dir + "/log"); !strings.Contains(again, "already") {
		t.Errorf("installed again: %q", again)
	}
	for _, c := range runs {
		t.Run(c.name, func(t *testing.T) {
			pid := crash(t, c.crashing(t, c.path))
			dmp, f := dumpOf(t, dir, pid)
			if info, err := os.Stat(dmp); err != nil || info.Mode() != 0600 {
				t.Errorf("%v: %v", info.Mode(), err)
			}
			c.check(t, c.path, dmp, f, pid, c.core)
			cores, _ := filepath.Glob(filepath.Join(filepath.Dir(c.core), "core*"))
			if len(cores) != 1 {
				t.Errorf("cores %q", cores)
			}
		})
	}
	// Thread ids are those of the machine, also for a process that has its own pid namespace.
	t.Run("namespace", func(t *testing.T) {
		c := &runs[0]
		cmd := c.crashing(t, c.path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
		pid := crash(t, cmd)
		dmp, f := dumpOf(t, dir, pid)
		c.check(t, c.path, dmp, f, pid, c.core)
		status, _ := f.Text(stream.LinuxProcStatus)
		m := regexp.MustCompile(`\nNSpid:\t(\d+)\t1\n`).FindStringSubmatch(status)
		if m == nil || m[1] != fmt.Sprint(pid) {
			t.Errorf("status %s", status)
		}
		threads, _ := f.Threads()
		for _, th := range threads {
			if int(th.ThreadID) < pid || int(th.ThreadID) > pid+1000 {
				t.Errorf("thread %d of process %d", th.ThreadID, pid)
			}
		}
	})
	// The modes that include more memory, with a config file, as the pattern would be too long.
	t.Run("full", func(t *testing.T) {
		long := install("--mode=full", "--register-sets", "--annotation=key=a value with blanks and 100%, so long that it does not fit "+strings.Repeat("x", 60))
		if !strings.Contains(long, "/etc/minidump/core.conf") {
			t.Errorf("installed: %q", long)
		}
		c := &runs[0]
		pid := crash(t, c.crashing(t, c.path))
		_, f := dumpOf(t, dir, pid)
		if ranges, err := f.MemoryRanges(); err != nil || len(ranges) < 5 {
			t.Errorf("%d ranges: %v", len(ranges), err)
		}
	})
	// A pattern that somebody else has set since is left alone.
	installed, _ := os.ReadFile(victims.CorePatternFile)
	victims.SetCorePattern(t, "somebody-elses")
	if out, err := exec.Command(command, "core", "--uninstall").CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "has since been changed to \"somebody-elses\"") {
		t.Errorf("%v\n%s", err, out)
	}
	victims.SetCorePattern(t, strings.TrimSuffix(string(installed), "\n"))
	uninstall()
	if after, _ := os.ReadFile(victims.CorePatternFile); string(after) != "core\n" {
		t.Errorf("core_pattern is %q after all", after)
	}
	if limit, _ := os.ReadFile(victims.CorePipeLimitFile); string(limit) != "3\n" {
		t.Errorf("core_pipe_limit is %q after all", limit)
	}
	for _, path := range []string{"/var/lib/minidump/core_pattern.saved", "/etc/minidump/core.conf"} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	// An error is written to the kernel's log.
	t.Run("log", func(t *testing.T) {
		victims.SetCorePattern(t, "|"+command+" core --pid=%P --thread=%I -o "+dir+"/none/%P.dmp -")
		kmsg, err := os.Open("/dev/kmsg")
		if err != nil {
			t.Skip(err)
		}
		defer kmsg.Close()
		fd := int(kmsg.Fd()) // once: each call makes the descriptor blocking again
		unix.Seek(fd, 0, io.SeekEnd)
		unix.SetNonblock(fd, true)
		c := &runs[0]
		pid := crash(t, c.crashing(t, c.path))
		var seen strings.Builder
		want := fmt.Sprintf("write %s/none/%d.dmp: no such file or directory", dir, pid)
		b := make([]byte, 8192)
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(seen.String(), want); {
			n, err := unix.Read(fd, b)
			if err == unix.EAGAIN && time.Now().Before(deadline) {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			if err != nil && err != unix.EPIPE {
				t.Fatalf("the kernel's log has no %q (%v):\n%s", want, err, &seen)
			}
			seen.Write(b[:max(0, n)])
		}
	})
	left, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(left) > 0 {
		t.Errorf("files %q are left", left)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "log")); strings.Contains(string(b), "minidump:") {
		t.Errorf("log:\n%s", b)
	}
}

// newerThan skips a test if the kernel is older than major.minor.
func newerThan(t testing.TB, major, minor int) {
	t.Helper()
	if release, ok := kernelHas(major, minor); !ok {
		t.Skipf("the kernel is %s; the coredump socket came with Linux %d.%d", release, major, minor)
	}
}

func kernelHas(major, minor int) (release string, ok bool) {
	var u unix.Utsname
	unix.Uname(&u)
	release = unix.ByteSliceToString(u.Release[:])
	var a, b int
	fmt.Sscanf(release, "%d.%d", &a, &b)
	return release, a > major || a == major && b >= minor
}

// startCoredumpServer starts the server of the kernel's coredump socket and waits until it listens. The caller may
// end it.
func startCoredumpServer(t testing.TB, command, dir, socket string) (server *exec.Cmd, log *strings.Builder) {
	t.Helper()
	server, log = exec.Command(command, "serve", "--coredump", "-o", dir, socket), new(strings.Builder)
	server.Stderr = log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if info, err := os.Stat(socket); err == nil && info.Mode()&0777 == 0600 {
			if fd, err := unixsocket.Connect(socket, unix.SOCK_STREAM, 0); err == nil {
				unix.Close(fd)
				return server, log
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("no socket comes")
		}
	}
}

// TestCoreSocket checks that the kernel sends cores to the command's socket, after a request or without one.
func TestCoreSocket(t *testing.T) {
	newerThan(t, 6, 16)
	victims.CorePattern(t, false)
	command := theCommand(t)
	dir := lastingDir(t)
	socket := dir + "/socket"
	programs := crashPrograms()
	victims.SetCorePattern(t, "core")
	paths, cores := make([]string, len(programs)), make([]string, len(programs))
	for i, c := range programs {
		paths[i] = c.program(t)
		cores[i], _ = coreByPattern(t, paths[i], append([]string{"--wait"}, c.args...)...)
	}
	// The socket left by a killed server.
	old, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Bind(old, &unix.SockaddrUnix{Name: socket})
	}
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(old)
	for _, prefix := range []string{"@", "@@"} {
		t.Run(prefix, func(t *testing.T) {
			server, log := startCoredumpServer(t, command, dir, socket)
			if out, err := exec.Command(command, "serve", "--coredump", "-o", dir, socket).CombinedOutput(); err == nil ||
				!strings.Contains(string(out), "in use by another running server") {
				t.Errorf("a second server: %v\n%s", err, out)
			}
			victims.SetCorePattern(t, prefix+socket)
			for i, c := range programs {
				t.Run(c.name, func(t *testing.T) {
					pid := crash(t, c.crashing(t, paths[i]))
					dmp, f := dumpOf(t, dir, pid)
					c.check(t, paths[i], dmp, f, pid, cores[i])
				})
			}
			t.Run("many at once", func(t *testing.T) {
				const many = 12
				var started []*victims.Proc
				for range many {
					cmd := programs[0].crashing(t, paths[0])
					cmd.Stderr = io.Discard
					started = append(started, victims.StartCmd(t, cmd))
				}
				for _, v := range started {
					v.Go(t)
				}
				for _, v := range started {
					v.Wait(t)
					dumpOf(t, dir, v.PID)
				}
			})
			victims.SetCorePattern(t, "core")
			server.Process.Signal(syscall.SIGTERM)
			if err := server.Wait(); err != nil || strings.Contains(log.String(), "minidump: ") {
				t.Errorf("the server: %v\n%s", err, log)
			}
			if _, err := os.Lstat(socket); err == nil {
				t.Error("the socket is left")
			}
		})
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("files %q are left", left)
	}
}

// TestCorePipeBig measures dumps by pipe and socket of a process with 4 GiB of memory, against a normal core of it.
func TestCorePipeBig(t *testing.T) {
	if testing.Short() {
		t.Skip("needs 4 GiB of memory and of disk")
	}
	if bits.UintSize == 32 {
		t.Skip("no 32-bit process has 4 GiB")
	}
	victims.CorePattern(t, false)
	victims.MachineNamespaces(t)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil || uint64(info.Freeram)*uint64(info.Unit) < 6<<30 {
		t.Skip("less than 6 GiB of memory is free")
	}
	var disk unix.Statfs_t
	if unix.Statfs(os.TempDir(), &disk) != nil || disk.Bavail*uint64(disk.Bsize) < 6<<30 {
		t.Skip("less than 6 GiB of disk space is free")
	}
	command := theCommand(t)
	dir := lastingDir(t)
	program := victims.C(t, "victim.c")
	// die kills a big victim and returns how long it takes until the file exists and until the process is gone.
	die := func(done func(pid int) bool) (file, end time.Duration) {
		t.Helper()
		cmd := exec.Command(program, "big", "4", "4")
		cmd.Dir = dir
		v := victims.StartCmd(t, cmd)
		unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY & (1<<63 - 1), Max: unix.RLIM_INFINITY & (1<<63 - 1)}
		unix.Prlimit(v.PID, unix.RLIMIT_CORE, &unlimited, nil)
		start := time.Now()
		unix.Kill(v.PID, unix.SIGSEGV)
		ended := make(chan time.Duration, 1)
		go func() {
			v.Wait(t)
			ended <- time.Since(start)
		}()
		for ; !done(v.PID); time.Sleep(time.Millisecond / 2) {
			if time.Since(start) > 3*time.Minute {
				t.Fatal("nothing came")
			}
		}
		file = time.Since(start)
		return file, <-ended
	}
	dumped := func(pid int) bool {
		found, _ := filepath.Glob(filepath.Join(dir, fmt.Sprintf("*%d.dmp", pid)))
		return len(found) == 1
	}
	os.WriteFile(victims.CorePipeLimitFile, []byte("16\n"), 0)
	victims.SetCorePattern(t, "|"+command+" core --pid=%P --thread=%I -o "+dir+"/%e-%P.dmp -")
	pipe, pipeEnd := die(dumped)

	victims.SetCorePattern(t, "core")
	var written string
	_, core := die(func(int) bool {
		found, _ := filepath.Glob(filepath.Join(dir, "core*"))
		if len(found) != 1 {
			return false
		}
		written = found[0]
		info, err := os.Stat(written)
		return err == nil && info.Size() >= 4<<30
	})
	os.Remove(written)
	t.Logf("4 GiB resident: dump there after %v (pipe), process gone after %v; with a core gone after %v", pipe, pipeEnd, core)
	if pipe > core/2 {
		t.Errorf("by pipe %v, a core %v", pipe, core)
	}
	if _, ok := kernelHas(6, 16); !ok {
		return
	}
	server := exec.Command(command, "serve", "--coredump", "-o", dir, dir+"/socket")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Wait()
	defer server.Process.Signal(syscall.SIGTERM)
	for !fileExists(dir + "/socket") {
		time.Sleep(10 * time.Millisecond)
	}
	victims.SetCorePattern(t, "@@"+dir+"/socket")
	socket, socketEnd := die(dumped)
	t.Logf("dump there after %v (socket), process gone after %v", socket, socketEnd)
	if socket > core/2 {
		t.Errorf("by socket %v, a core %v", socket, core)
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestCorePipeWithoutNotes sets a program in core_pattern whose standard input stays silent, as when the kernel waits
// for memory of the process, or ends at once: the dump is made without registers, after seconds.
func TestCorePipeWithoutNotes(t *testing.T) {
	victims.CorePattern(t, false)
	victims.MachineNamespaces(t)
	newerThan(t, 4, 15)
	command := theCommand(t)
	dir := lastingDir(t)
	program := victims.C(t, "crasher.c", "-pthread")
	os.WriteFile(victims.CorePipeLimitFile, []byte("3\n"), 0)
	for _, c := range []struct{ name, input string }{{"silent", "sleep 10"}, {"ended", "true"}} {
		t.Run(c.name, func(t *testing.T) {
			script := filepath.Join(dir, "script")
			text := fmt.Sprintf("#!/bin/sh\nPATH=/usr/bin:/bin\n%s | %s core --pid=$1 --thread=$2 -o %s/x-$1.dmp - 2>%s/messages\n",
				c.input, command, dir, dir)
			if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
			victims.SetCorePattern(t, "|"+script+" %P %I")
			cmd := exec.Command(program, "--threads", "3", "--in", "thread", "null")
			start := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, fmt.Sprintf("x-%d.dmp", cmd.Process.Pid))
			for !fileExists(path) && time.Since(start) < 15*time.Second {
				time.Sleep(10 * time.Millisecond)
			}
			took := time.Since(start)
			victims.SetCorePattern(t, "core")
			messages, _ := os.ReadFile(filepath.Join(dir, "messages"))
			defer cmd.Wait() // the kernel keeps the process until the script has ended
			var f *stream.File
			file, err := os.Open(path)
			if err == nil {
				f, err = stream.OpenFile(file)
			}
			if err != nil {
				t.Fatalf("%v after %v\n%s", err, took, messages)
			}
			defer f.Close()
			threads, err := f.Threads()
			if err != nil || len(threads) != 5 {
				t.Errorf("%d threads, %v\n%s", len(threads), err, messages)
			}
			stacks := 0
			for _, th := range threads {
				if th.Stack.Memory.DataSize > 0 {
					stacks++
				}
			}
			modules, _ := f.Modules()
			if stacks != len(threads) || len(modules) < 2 {
				t.Errorf("%d of %d threads have a stack, %d modules\n%s", stacks, len(threads), len(modules), messages)
			}
			if took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			t.Logf("%v: %s", took, messages)
		})
	}
}

// TestCorePipeAbsentMemory crashes programs whose memory a userfaultfd or a file server never delivers: the dump is
// made, and the program is gone soon after.
func TestCorePipeAbsentMemory(t *testing.T) {
	victims.CorePattern(t, false)
	victims.MachineNamespaces(t)
	newerThan(t, 4, 15)
	command := theCommand(t)
	dir := lastingDir(t)
	os.WriteFile(victims.CorePipeLimitFile, []byte("3\n"), 0)
	for _, kind := range []string{"heap", "stack", "fuse", "deadlock"} {
		for _, mode := range []string{"stack", "indirect", "full"} {
			t.Run(kind+" "+mode, func(t *testing.T) {
				victims.SetCorePattern(t, "|"+command+" core --pid=%P --thread=%I --mode="+mode+" -o "+dir+"/%e-%P.dmp -")
				v := absent(t, kind, "11")
				start := time.Now()
				path := filepath.Join(dir, fmt.Sprintf("absent-%d.dmp", v.PID))
				for !fileExists(path) && time.Since(start) < 12*time.Second {
					time.Sleep(10 * time.Millisecond)
				}
				dumped := time.Since(start)
				ended := make(chan bool)
				go func() {
					v.Cmd.Process.Wait()
					close(ended)
				}()
				select {
				case <-ended:
				case <-time.After(12 * time.Second):
					t.Error("the program is not gone")
				}
				t.Logf("dumped after %v, gone after %v", dumped, time.Since(start))
				file, err := os.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				f, err := stream.OpenFile(file)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				threads, err := f.Threads()
				if err != nil || len(threads) == 0 || threads[0].Stack.Memory.DataSize == 0 {
					t.Errorf("%d threads, %v", len(threads), err)
				}
			})
		}
	}
}
