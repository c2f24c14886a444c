//go:build linux

package minidump

import (
	"bytes"
	stdelf "debug/elf"
	"encoding/hex"
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
	"syscall"
	"testing"
	"time"

	"minidump/context"
	"minidump/internal/victims"
	"minidump/stream"
)

// compile makes a program or a shared object of C text, with gcc.
func compile(t testing.TB, text, out string, flags ...string) string {
	t.Helper()
	if runtime.GOARCH == "386" {
		t.Skip("an amd64 machine has no dynamic loader for 386")
	}
	cmd := exec.Command(tool(t, "gcc"), append(append([]string{"-O1", "-g", "-x", "c", "-"}, flags...), "-o", out)...)
	cmd.Stdin = strings.NewReader(text)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, b)
	}
	return out
}

// library is the text of a shared object; n makes its code another.
func library(n int) string {
	return fmt.Sprintf("int function(int a) { return a + %d; }\nint variable = %d;\n", n, n)
}

// fileID is the identity of an ELF file: its build id, or the XOR of the first page of its code. Nothing of it is ours.
func fileID(t testing.TB, path string) string {
	t.Helper()
	if id := fileBuildID(t, path); id != "" {
		return id
	}
	f, err := stdelf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := f.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	var sum [16]byte
	for i, c := range text[:min(len(text), 4096)] {
		sum[i%16] ^= c
	}
	return hex.EncodeToString(sum[:])
}

func copyTo(t testing.TB, to, from string) string {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	syscall.ForkLock.RLock() // no child may inherit the descriptor: ETXTBSY
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// modulesNamed gives the modules whose name has the end.
func modulesNamed(t testing.TB, f *stream.File, end string) (found []stream.ModuleInfo) {
	t.Helper()
	mods, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mods {
		if strings.HasSuffix(m.Name, end) {
			found = append(found, m)
		}
	}
	return found
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

// odd starts the program of internal/victims/c/odd.c.
func odd(t testing.TB, args ...string) *victims.Proc {
	t.Helper()
	return victims.Start(t, victims.C(t, "odd.c"), args...)
}

// TestDeletedProgram dumps a process whose program file is no more, with a build id in memory and without one.
func TestDeletedProgram(t *testing.T) {
	for _, flag := range []string{"-Wl,--build-id=sha1", "-Wl,--build-id=none"} {
		t.Run(flag, func(t *testing.T) {
			path := victims.C(t, "victim.c", flag)
			want := fileID(t, path)
			v := victims.Start(t, path, "idle", "2")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			f, r := dump(t, v.PID, Options{})
			mods, err := f.Modules()
			if err != nil {
				t.Fatal(err)
			}
			if mods[0].Name != path || mods[0].BuildID != want {
				t.Errorf("main module %s with id %s, want %s with %s", mods[0].Name, mods[0].BuildID, path, want)
			}
			if r.Soft != 0 {
				t.Errorf("soft errors %v", r.SoftErrors())
			}
		})
	}
}

// TestReplacedFiles dumps a process whose program and library have been replaced by others at the same paths.
func TestReplacedFiles(t *testing.T) {
	for _, flag := range []string{"-Wl,--build-id=sha1", "-Wl,--build-id=none"} {
		t.Run(flag, func(t *testing.T) {
			dir := t.TempDir()
			program := victims.C(t, "odd.c", flag)
			lib := compile(t, library(1), filepath.Join(dir, "liba.so"), "-shared", "-fPIC", flag)
			other := compile(t, library(2), filepath.Join(dir, "libb.so"), "-shared", "-fPIC", flag)
			wantProgram, wantLib := fileID(t, program), fileID(t, lib)
			if wantLib == fileID(t, other) {
				t.Fatal("the two libraries have the same id")
			}
			v := victims.Start(t, program, "load", lib)
			for _, path := range []string{program, lib} {
				if err := os.Rename(copyTo(t, path+".new", other), path); err != nil {
					t.Fatal(err)
				}
			}
			f, _ := dump(t, v.PID, Options{})
			if m := modulesNamed(t, f, lib); len(m) != 1 || m[0].BuildID != wantLib {
				t.Errorf("library %+v, want id %s", m, wantLib)
			}
			if mods, _ := f.Modules(); mods[0].Name != program || mods[0].BuildID != wantProgram {
				t.Errorf("main module %+v, want %s with id %s", mods[0], program, wantProgram)
			}
		})
	}
}

// TestNamespaces dumps a process in mount and pid namespaces of its own, where another file has the path of its program.
func TestNamespaces(t *testing.T) {
	needRoot(t)
	unshare := tool(t, "unshare")
	for _, flag := range []string{"-Wl,--build-id=sha1", "-Wl,--build-id=none"} {
		t.Run(flag, func(t *testing.T) {
			inner := victims.C(t, "victim.c", flag)
			dir := t.TempDir()
			path := copyTo(t, filepath.Join(dir, "victim"), victims.C(t, "crasher.c", flag))
			want := fileID(t, inner)
			if want == fileID(t, path) {
				t.Fatal("both files have one id")
			}
			cmd := exec.Command(unshare, "-m", "-p", "-f", "--mount-proc", "sh", "-c", `mount --bind "$0" "$1" && exec "$1" idle 3`, inner, path)
			v := victims.StartCmd(t, cmd)
			if v.PID != 1 {
				t.Fatalf("its pid is %d in its own namespace", v.PID)
			}
			pid := childOf(t, v.Cmd.Process.Pid)
			t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
			f, r := dump(t, pid, Options{})
			if r.Threads != 3 || r.Soft != 0 {
				t.Errorf("%d threads, soft errors %v", r.Threads, r.SoftErrors())
			}
			checkStacks(t, f, DefaultCrashStackLimit)
			mods, _ := f.Modules()
			if mods[0].Name != path || mods[0].BuildID != want {
				t.Errorf("main module %s with id %s, want %s with %s", mods[0].Name, mods[0].BuildID, path, want)
			}
			if misc, _ := f.MiscInfo(); int(misc.ProcessID) != pid {
				t.Errorf("pid %d, want %d", misc.ProcessID, pid)
			}
		})
	}
}

// childOf finds the one child of a process.
func childOf(t testing.TB, parent int) int {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		b, _ := os.ReadFile(file)
		after := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(after) > 1 && after[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return pid
		}
	}
	t.Fatalf("pid %d has no child", parent)
	return 0
}

// waitStatus waits until a line of /proc/PID/status is as wanted.
func waitStatus(t testing.TB, pid int, line string, want func(value string) bool) {
	t.Helper()
	for range 1000 {
		for l := range strings.Lines(readText(t, fmt.Sprintf("/proc/%d/status", pid))) {
			if name, value, _ := strings.Cut(l, ":"); name == line && want(strings.TrimSpace(value)) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("pid %d: %s never was as wanted", pid, line)
}

// TestUnderTracer dumps a process that another program traces: what needs no ptrace is there, and it is told why the rest
// is not.
func TestUnderTracer(t *testing.T) {
	for _, tracer := range []struct {
		name string
		args []string
	}{
		{"gdb", []string{"-nx", "-q", "-batch", "-ex", "attach PID", "-ex", "shell sleep 60"}},
		{"strace", []string{"-f", "-o", "/dev/null", "-p", "PID"}},
	} {
		t.Run(tracer.name, func(t *testing.T) {
			path := tool(t, tracer.name)
			program := victims.C(t, "victim.c")
			v := victims.Start(t, program, "idle", "4")
			var args []string
			for _, a := range tracer.args {
				args = append(args, strings.ReplaceAll(a, "PID", strconv.Itoa(v.PID)))
			}
			cmd := exec.Command(path, args...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
			runtime.LockOSThread() // the parent death signal comes when this thread ends
			defer runtime.UnlockOSThread()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", v.PID))
			for _, task := range tasks { // every thread is traced
				tid, _ := strconv.Atoi(filepath.Base(task))
				waitStatus(t, tid, "TracerPid", func(s string) bool { return s != "0" })
			}
			if tracer.name == "gdb" {
				waitState(t, v.PID, 't')
			}
			f, r := dump(t, v.PID, Options{})
			if r.Threads != 4 || r.Modules < 2 || r.Memory == 0 {
				t.Errorf("%d threads, %d modules, %d bytes of memory", r.Threads, r.Modules, r.Memory)
			}
			told := false
			for _, e := range r.SoftErrors() {
				told = told || strings.Contains(e.Op, "another tracer")
			}
			if !told {
				t.Errorf("no word of the tracer in %v", r.SoftErrors())
			}
			names, err := f.ThreadNames()
			if err != nil || len(names) != 4 {
				t.Errorf("names %v: %v", names, err)
			}
			if b, err := f.Stream(stream.LinuxMaps); err != nil || !bytes.Contains(b, []byte(program)) {
				t.Errorf("maps of %d bytes: %v", len(b), err)
			}
			threads, _ := f.Threads()
			for _, th := range threads { // SP is known from /proc, so the stack is there
				if th.Stack.Memory.DataSize == 0 {
					t.Errorf("thread %d has no stack", th.ThreadID)
				}
			}
			if mods, _ := f.Modules(); mods[0].Name != program || mods[0].BuildID == "" {
				t.Errorf("main module %+v", mods[0])
			}
			if e, err := f.Exception(); err != nil || e.Address == 0 {
				t.Errorf("exception %+v: %v", e, err)
			}
		})
	}
}

// TestNoBuildID dumps a program and a library without build ids: both get the hash of their code, and stay.
func TestNoBuildID(t *testing.T) {
	program := victims.C(t, "odd.c", "-Wl,--build-id=none")
	lib := compile(t, library(1), filepath.Join(t.TempDir(), "libnone.so"), "-shared", "-fPIC", "-Wl,--build-id=none")
	v := victims.Start(t, program, "load", lib)
	f, r := dump(t, v.PID, Options{})
	mods, _ := f.Modules()
	if want := fileID(t, program); mods[0].Name != program || mods[0].BuildID != want {
		t.Errorf("main module %+v, want id %s", mods[0], want)
	}
	if m := modulesNamed(t, f, lib); len(m) != 1 || m[0].BuildID != fileID(t, lib) {
		t.Errorf("library %+v", m)
	}
	if r.Soft != 0 {
		t.Errorf("soft errors %v", r.SoftErrors())
	}
}

// TestOddNames dumps a process that has loaded libraries whose names are no text.
func TestOddNames(t *testing.T) {
	dir := t.TempDir()
	file := map[string]string{ // as the module is to be called, by the name of the file
		"lib\xff\xfe.so":  "lib��.so",
		"lib\nnew.so":     "lib\nnew.so",
		"lib ümlaut 𝔘.so": "lib ümlaut 𝔘.so",
	}
	args := []string{"load"}
	i := 0
	for name := range file {
		args = append(args, compile(t, library(i), filepath.Join(dir, name), "-shared", "-fPIC", "-Wl,--build-id=sha1"))
		i++
	}
	v := odd(t, args...)
	f, r := dump(t, v.PID, Options{})
	for name, want := range file {
		m := modulesNamed(t, f, "/"+want)
		if len(m) != 1 || m[0].BuildID != fileBuildID(t, filepath.Join(dir, name)) {
			t.Errorf("%q: modules %+v", name, m)
		}
	}
	if r.Soft != 0 {
		t.Errorf("soft errors %v", r.SoftErrors())
	}
	if t.Failed() {
		mods, _ := f.Modules()
		for _, m := range mods {
			t.Logf("%q", m.Name)
		}
	}
}

// TestLeaderIsZombie dumps a process whose main thread has ended before the others.
func TestLeaderIsZombie(t *testing.T) {
	v := odd(t, "leader", "4")
	waitState(t, v.PID, 'Z')
	for range 3 {
		f, r := dump(t, v.PID, Options{})
		if r.Modules < 2 || r.Memory == 0 {
			t.Errorf("%d modules, %d bytes of memory", r.Modules, r.Memory)
		}
		regs := cpus(t, f)
		if len(regs) != 4 {
			t.Errorf("%d threads with registers, want 4", len(regs))
		}
		names, _ := f.ThreadNames()
		for i := range 4 {
			found := false
			for _, n := range names {
				found = found || n == fmt.Sprintf("odd-%d", i)
			}
			if !found {
				t.Errorf("no thread odd-%d in %v", i, names)
			}
		}
		checkStacks(t, f, DefaultCrashStackLimit)
		mods, _ := f.Modules()
		if len(mods) == 0 || mods[0].Name != v.Cmd.Path || r.Soft != 0 {
			t.Errorf("modules %+v, soft errors %v", mods, r.SoftErrors())
		}
		e, err := f.Exception()
		if err != nil || int(e.ThreadID) == v.PID || e.Context.DataSize == 0 {
			t.Errorf("exception %+v: %v", e, err)
		}
		misc, err := f.MiscInfo()
		if age := time.Since(time.Unix(int64(misc.ProcessCreateTime), 0)); err != nil || int(misc.ProcessID) != v.PID || age > time.Minute {
			t.Errorf("pid %d, created %v ago: %v", misc.ProcessID, age, err)
		}
		if h, err := f.Handles(); err != nil || len(h) < 3 {
			t.Errorf("%d handles: %v", len(h), err)
		}
	}
	w, err := NewWriter(v.PID, patient(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if n := testing.AllocsPerRun(50, func() {
		if _, err := w.Dump(io.Discard); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if state := strings.Fields(readText(t, fmt.Sprintf("/proc/%d/task/%d/stat", v.PID, v.PID)))[2]; state != "Z" {
		t.Errorf("state %s", state)
	}
}

// TestThreadChurn dumps a process whose threads come and go all the time: none of that is an error.
func TestThreadChurn(t *testing.T) {
	v := odd(t, "churn", "4")
	w, err := NewWriter(v.PID, patient(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	deadline := time.Now().Add(20 * time.Second)
	n := 0
	for ; n < 200 && time.Now().Before(deadline); n++ {
		if n%20 == 0 {
			f, r := dumpWith(t, w)
			if r.Soft != 0 {
				t.Errorf("dump %d: soft errors %v", n, r.SoftErrors())
			}
			checkStacks(t, f, DefaultCrashStackLimit)
			continue
		}
		if r, err := w.Dump(io.Discard); err != nil || r.Soft != 0 || r.Threads < 5 {
			t.Fatalf("dump %d: %d threads, %v, %v", n, r.Threads, err, r.SoftErrors())
		}
	}
	t.Logf("%d dumps", n)
	if !v.Alive() {
		t.Error("the process has ended")
	}
}

// TestExecMeanwhile dumps a process that executes itself all the time. A dump in the middle of it is a good one or a
// clean error, and the process goes on.
func TestExecMeanwhile(t *testing.T) {
	v := odd(t, "exec")
	good, bad := 0, 0
	deadline := time.Now().Add(5 * time.Second)
	for i := range 1000 {
		if time.Now().After(deadline) {
			break
		}
		// Now a new Writer each time, now one that has known an older program.
		w, err := NewWriter(v.PID, patient(Options{StopTimeout: 2 * time.Second}))
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + i%2 {
			var b bytes.Buffer
			if _, err := w.Dump(&b); err != nil {
				t.Logf("dump %d: %v", i, err)
				bad++
				continue
			}
			f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range stream.Problems(f) {
				t.Errorf("dump %d: %s", i, p)
			}
			good++
		}
		w.Close()
	}
	t.Logf("%d good dumps, %d errors", good, bad)
	if good == 0 {
		t.Error("no good dump")
	}
	if !v.Alive() {
		t.Fatal("the process has ended")
	}
	before := readText(t, fmt.Sprintf("/proc/%d/auxv", v.PID))
	for range 500 { // a new program has other random bytes: it still executes itself
		if readText(t, fmt.Sprintf("/proc/%d/auxv", v.PID)) != before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the process does not go on")
}

// TestHoleInLibrary dumps a process with a library whose segments lie megabytes apart: it is one module.
func TestHoleInLibrary(t *testing.T) {
	dir := t.TempDir()
	lib := compile(t, library(1), filepath.Join(dir, "libhole.so"), "-shared", "-fPIC", "-Wl,--build-id=sha1",
		"-Wl,-z,max-page-size=0x200000,-z,separate-code")
	zip := filepath.Join(dir, "padded")
	b, err := os.ReadFile(lib)
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []struct{ name, path string }{{"load", lib}, {"map", zip}} {
		t.Run(how.name, func(t *testing.T) {
			args := []string{how.name, how.path}
			if how.name == "map" { // over PROT_NONE memory of no file
				if err := os.WriteFile(zip, b, 0o644); err != nil {
					t.Fatal(err)
				}
				args = append(args, "0")
			}
			v := odd(t, args...)
			f, _ := dump(t, v.PID, Options{})
			// Mapped from the other file it has its name, as it has no SONAME.
			m := modulesNamed(t, f, how.path)
			if len(m) != 1 || m[0].BuildID != fileBuildID(t, lib) {
				t.Fatalf("modules %+v", m)
			}
			maps := readText(t, fmt.Sprintf("/proc/%d/maps", v.PID))
			var first, last uint64
			for l := range strings.Lines(maps) {
				if strings.HasSuffix(l, how.path+"\n") {
					var lo, hi uint64
					fmt.Sscanf(l, "%x-%x", &lo, &hi)
					if first == 0 {
						first = lo
					}
					last = hi
				}
			}
			if m[0].BaseOfImage != first || m[0].BaseOfImage+uint64(m[0].SizeOfImage) < last || last-first < 6<<20 {
				t.Errorf("module %#x + %#x, mapped %#x-%#x", m[0].BaseOfImage, m[0].SizeOfImage, first, last)
			}
		})
	}
}

// TestLibraryInZip dumps a process that has mapped libraries out of an uncompressed archive, as Android does.
func TestLibraryInZip(t *testing.T) {
	dir := t.TempDir()
	const page = 4096
	for _, soname := range []string{"libinner.so.3", ""} {
		t.Run("soname "+soname, func(t *testing.T) {
			flags := []string{"-shared", "-fPIC", "-Wl,--build-id=sha1"}
			if soname != "" {
				flags = append(flags, "-Wl,-soname="+soname)
			}
			lib := compile(t, library(1), filepath.Join(dir, "libinner.so"), flags...)
			b, err := os.ReadFile(lib)
			if err != nil {
				t.Fatal(err)
			}
			const at = 3 * page
			archive := filepath.Join(dir, "base"+soname+".apk")
			content := append([]byte("PK\x03\x04"), make([]byte, at-4)...)
			if err := os.WriteFile(archive, append(content, b...), 0o644); err != nil {
				t.Fatal(err)
			}
			v := odd(t, "map", archive, strconv.Itoa(at))
			f, _ := dump(t, v.PID, Options{})
			want := archive
			if soname != "" {
				want += "/" + soname
			}
			m := modulesNamed(t, f, want)
			if len(m) != 1 || m[0].BuildID != fileBuildID(t, lib) {
				t.Errorf("modules %+v, want %s with id %s", m, want, fileBuildID(t, lib))
			}
		})
	}
}

// TestManyThreadsInLimit dumps a thousand threads into a file that has no room for all of them.
func TestManyThreadsInLimit(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "1000")
	for _, limit := range []uint64{8 << 20, 2 << 20, 1 << 20, 512 << 10, 300 << 10} {
		f, r := dump(t, v.PID, Options{Limit: limit})
		if r.Size > limit || r.Threads != 1000 {
			t.Errorf("limit %d: %d bytes, %d threads", limit, r.Size, r.Threads)
		}
		names, err := f.ThreadNames()
		if err != nil || len(names) != 1000 {
			t.Errorf("limit %d: %d names: %v", limit, len(names), err)
		}
		threads, _ := f.Threads()
		regs := cpus(t, f)
		for _, th := range threads {
			c := regs[th.ThreadID]
			end := th.Stack.Start + uint64(th.Stack.Memory.DataSize)
			if int(th.ThreadID) == v.PID && (c == nil || th.Stack.Memory.DataSize < 4096) {
				t.Errorf("limit %d: the blamed thread has %d bytes of stack", limit, th.Stack.Memory.DataSize)
			}
			if th.Stack.Memory.DataSize > 0 && c != nil && (c.SP < th.Stack.Start || c.SP >= end) {
				t.Errorf("limit %d: SP %#x of thread %d is not in %#x-%#x", limit, c.SP, th.ThreadID, th.Stack.Start, end)
			}
		}
		if limit < 8<<20 && r.Size < limit*2/3 {
			t.Errorf("limit %d: only %d bytes of it are used", limit, r.Size)
		}
	}
}

// TestManyMappings dumps a process with as many mappings as the kernel allows.
func TestManyMappings(t *testing.T) {
	most, err := strconv.Atoi(strings.TrimSpace(readText(t, "/proc/sys/vm/max_map_count")))
	if err != nil {
		t.Fatal(err)
	}
	n := min(70000, most-100)
	v := odd(t, "mappings", strconv.Itoa(n))
	f, r := dump(t, v.PID, Options{})
	info, err := f.MemoryInfo()
	if err != nil || len(info) < n {
		t.Errorf("%d mappings, want %d: %v", len(info), n, err)
	}
	if r.Soft != 0 || r.Modules < 2 {
		t.Errorf("%d modules, soft errors %v", r.Modules, r.SoftErrors())
	}
	checkStacks(t, f, DefaultCrashStackLimit)
	// All of them fit no small file; the rest does.
	f, r = dump(t, v.PID, Options{Limit: 256 << 10})
	if r.Size > 256<<10 {
		t.Errorf("%d bytes", r.Size)
	}
	checkStacks(t, f, DefaultCrashStackLimit)
}

// TestManyDescriptors dumps a process with thousands of open files.
func TestManyDescriptors(t *testing.T) {
	const n = 3000
	v := odd(t, "fds", strconv.Itoa(n))
	f, r := dump(t, v.PID, Options{})
	handles, err := f.Handles()
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", v.PID))
	if err != nil || len(handles) != len(open) || len(handles) < n+3 || r.Soft != 0 {
		t.Errorf("%d handles, want %d: %v, %v", len(handles), len(open), err, r.SoftErrors())
	}
	pipes := 0
	input, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", v.PID))
	for _, h := range handles {
		if target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", v.PID, h.Handle)); h.ObjectName != target {
			t.Fatalf("handle %+v, want %s", h, target)
		}
		if h.ObjectName == input && h.TypeName == "Pipe" {
			pipes++
		}
	}
	if pipes != n+1 {
		t.Errorf("%d of %d are the pipe", pipes, n+1)
	}
}

// TestUserModuleHides replaces what the memory map says of a library.
func TestUserModuleHides(t *testing.T) {
	lib := compile(t, library(1), filepath.Join(t.TempDir(), "libhidden.so"), "-shared", "-fPIC", "-Wl,--build-id=sha1")
	v := odd(t, "load", lib)
	f, before := dump(t, v.PID, Options{})
	m := modulesNamed(t, f, lib)
	if len(m) != 1 {
		t.Fatalf("modules %+v", m)
	}
	f, after := dump(t, v.PID, Options{UserModules: []UserModule{{m[0].BaseOfImage, uint64(m[0].SizeOfImage), "mine", []byte{1, 2, 3}}}})
	mine := modulesNamed(t, f, "mine")
	if len(modulesNamed(t, f, lib)) != 0 || before.Modules != after.Modules || len(mine) != 1 || mine[0].BuildID != "010203" {
		t.Errorf("%d modules, then %d; %+v", before.Modules, after.Modules, mine)
	}
}

// TestAppMemoryAtEnd asks for memory that ends before the range does, for all of the address space, and for what wraps.
func TestAppMemoryAtEnd(t *testing.T) {
	v := odd(t, "mappings", "1")
	var start, end uint64
	for l := range strings.Lines(readText(t, fmt.Sprintf("/proc/%d/maps", v.PID))) {
		if strings.HasSuffix(l, "[heap]\n") {
			fmt.Sscanf(l, "%x-%x", &start, &end)
		}
	}
	if end == 0 {
		t.Fatal("no heap")
	}
	f, r := dump(t, v.PID, Options{AppMemory: []AppMemory{{end - 100, 1 << 20}, {^uint64(0) - 5, 100}, {0, 1}}})
	b := make([]byte, 200)
	if n, _ := f.ReadMemory(end-100, b); n != 100 {
		t.Errorf("%d bytes at the end of the heap", n)
	}
	if r.Soft != 3 {
		t.Errorf("soft errors %v", r.SoftErrors())
	}
	// All there is: no stack is lost for it.
	f, r = dump(t, v.PID, Options{AppMemory: []AppMemory{{0, ^uint64(0)}}})
	if n, _ := f.ReadMemory(start, b); n != len(b) || r.Soft == 0 || r.Memory < end-start {
		t.Errorf("%d bytes of the heap, %d in all, soft errors %v", n, r.Memory, r.SoftErrors())
	}
	checkStacks(t, f, 1<<30)
}

// asNobody runs this test program again as the user nobody, who dumps pid, and returns what became of it.
func asNobody(t *testing.T, pid int) string {
	t.Helper()
	cmd := exec.Command(openCopy(t, os.Args[0]), "-test.run=^TestDumpForOther$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "MINIDUMP_TEST_PID="+strconv.Itoa(pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	_, result, ok := strings.Cut(string(out), "RESULT ")
	if err != nil || !ok {
		t.Fatalf("%v\n%s", err, out)
	}
	result, _, _ = strings.Cut(result, "\n")
	return result
}

// openCopy copies a program to where every user can execute it.
func openCopy(t testing.TB, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "minidump")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return copyTo(t, filepath.Join(dir, filepath.Base(program)), program)
}

// TestDumpForOther is asNobody's other half.
func TestDumpForOther(t *testing.T) {
	pid, err := strconv.Atoi(os.Getenv("MINIDUMP_TEST_PID"))
	if err != nil {
		t.Skip("asNobody runs it")
	}
	w, err := NewWriter(pid, patient(Options{}))
	if err == nil {
		defer w.Close()
		var r Result
		if r, err = w.Dump(io.Discard); err == nil {
			fmt.Printf("RESULT dumped: %d threads, %d modules, memory %v, %v\n", r.Threads, r.Modules, r.Memory > 0, r.SoftErrors())
			return
		}
	}
	fmt.Printf("RESULT permission %v: %v\n", errors.Is(err, ErrPermission), err)
}

// TestUnprivileged lets a user without privileges dump a process of its own, and of others.
func TestUnprivileged(t *testing.T) {
	needRoot(t)
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	start := func(program string, attr *syscall.SysProcAttr, args ...string) *victims.Proc {
		cmd := exec.Command(openCopy(t, program), args...)
		cmd.SysProcAttr, cmd.Dir = attr, "/"
		return victims.StartCmd(t, cmd)
	}
	t.Run("own", func(t *testing.T) {
		// Without build id the file must be opened, and map_files is closed to this user.
		v := start(victims.C(t, "victim.c", "-Wl,--build-id=none"), nobody, "idle", "3")
		if got := asNobody(t, v.PID); !strings.HasPrefix(got, "dumped: 3 threads, ") || !strings.HasSuffix(got, " memory true, []") {
			t.Errorf("%s", got)
		}
	})
	t.Run("root", func(t *testing.T) {
		v := start(victims.C(t, "victim.c"), nil, "idle", "3")
		if got := asNobody(t, v.PID); !strings.HasPrefix(got, "permission true: ") {
			t.Errorf("%s", got)
		}
	})
	t.Run("own, not dumpable", func(t *testing.T) {
		v := start(victims.C(t, "odd.c"), &syscall.SysProcAttr{Credential: nobody.Credential}, "undumpable")
		if got := asNobody(t, v.PID); !strings.HasPrefix(got, "permission true: ") {
			t.Errorf("%s", got)
		}
		// For root there is no such bar.
		f, r := dump(t, v.PID, Options{})
		if r.Soft != 0 || r.Modules < 2 {
			t.Errorf("%d modules, soft errors %v", r.Modules, r.SoftErrors())
		}
		checkStacks(t, f, DefaultCrashStackLimit)
	})
}

// TestSeccompStrict dumps a process that may do nothing but read and write.
func TestSeccompStrict(t *testing.T) {
	v := odd(t, "strict")
	waitStatus(t, v.PID, "Seccomp", func(s string) bool { return s == "1" })
	f, r := dump(t, v.PID, Options{})
	if r.Soft != 0 || r.Threads != 1 || r.Modules < 2 {
		t.Errorf("%d threads, %d modules, soft errors %v", r.Threads, r.Modules, r.SoftErrors())
	}
	checkStacks(t, f, DefaultCrashStackLimit)
	if !v.Alive() {
		t.Error("the process has ended")
	}
}

// TestNarrowProcess dumps 32-bit programs from a 64-bit one.
func TestNarrowProcess(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("needs a kernel that runs programs of 386 besides")
	}
	check := func(t *testing.T, f *stream.File, v *victims.Proc) {
		t.Helper()
		info, _, err := f.SystemInfo()
		if err != nil || info.ProcessorArchitecture != context.X86.ProcessorArchitecture() {
			t.Errorf("architecture %d: %v", info.ProcessorArchitecture, err)
		}
		checkStacks(t, f, DefaultCrashStackLimit)
		for tid, c := range cpus(t, f) {
			if c.Arch != context.X86 || c.PC>>32 != 0 || c.PC == 0 {
				t.Errorf("thread %d: arch %v, PC %#x", tid, c.Arch, c.PC)
			}
		}
		mods, _ := f.Modules()
		if mods[0].Name != v.Cmd.Path || mods[0].BuildID == "" {
			t.Errorf("main module %+v", mods[0])
		}
		if m := modulesNamed(t, f, gateName); len(m) != 1 || m[0].BuildID == "" {
			t.Errorf("vDSO %+v", m)
		}
		if b, err := f.Stream(stream.LinuxAuxv); err != nil || len(b)%8 != 0 || len(b) == 0 {
			t.Errorf("auxv of %d bytes: %v", len(b), err)
		}
	}
	t.Run("C", func(t *testing.T) {
		program := victims.CrossC(t, "386", "crasher.c")
		v, files, tid := startCrasher(t, program, "--in", "thread", "--threads", "2", "null")
		read := func(suffix string) []byte { return []byte(readText(t, files+suffix)) }
		crash, err := context.CrashFromLinux(context.X86, hostOrder(), int32(v.PID), tid, read(".siginfo"), read(".ucontext"), nil)
		if err != nil {
			t.Fatal(err)
		}
		dmp, f, r := dumpFile(t, v.PID, Options{Crash: crash})
		if r.Soft != 0 || r.Threads != 4 {
			t.Errorf("%d threads, soft errors %v", r.Threads, r.SoftErrors())
		}
		check(t, f, v)
		w := stackwalk(t, dmp, program)
		if w.PID != v.PID || w.SystemInfo.CPUArch != "x86" || w.CrashInfo.Type != "SIGSEGV / SEGV_MAPERR" || w.CrashInfo.Address != "0x00000004" {
			t.Errorf("pid %d, %+v, %+v", w.PID, w.SystemInfo, w.CrashInfo)
		}
		got := w.functions(*w.CrashInfo.CrashingThread)
		if want := []string{"level3", "level2", "level1", "crash_thread"}; len(got) < 4 || !slices.Equal(got[:4], want) {
			t.Errorf("frames %q, want %q", got, want)
		}
	})
	t.Run("Go", func(t *testing.T) {
		v := victims.Start(t, victims.Go(t, "gocrowd", "GOARCH=386"), "16", "4")
		dmp, f, r := dumpFile(t, v.PID, Options{})
		if r.Soft != 0 || r.Size > 1<<20 {
			t.Errorf("%d bytes, soft errors %v", r.Size, r.SoftErrors())
		}
		check(t, f, v)
		w := stackwalk(t, dmp, v.Cmd.Path)
		if w.PID != v.PID || w.SystemInfo.CPUArch != "x86" || w.ThreadCount != r.Threads {
			t.Errorf("pid %d, %+v, %d threads", w.PID, w.SystemInfo, w.ThreadCount)
		}
	})
}

// TestGoCrowd dumps a Go program with a large heap: the dump stays small, for each thread's stack is that of its
// goroutine, and not the heap that it lies in.
func TestGoCrowd(t *testing.T) {
	if testing.Short() || emulated {
		t.Skip("needs 640 MiB of memory")
	}
	v := victims.Start(t, victims.Go(t, "gocrowd"), "640", "5")
	f, r := dump(t, v.PID, Options{})
	if r.Size >= 1<<20 || r.Soft != 0 || r.Threads < 5 {
		t.Errorf("%d bytes, %d threads, soft errors %v", r.Size, r.Threads, r.SoftErrors())
	}
	checkStacks(t, f, DefaultCrashStackLimit)
	// At a limit far below that no stack loses its SP either.
	f, r = dump(t, v.PID, Options{Limit: 128 << 10})
	if r.Size > 128<<10 {
		t.Errorf("%d bytes", r.Size)
	}
	checkStacks(t, f, DefaultCrashStackLimit)
}

// TestLeaderEndsMeanwhile dumps a process before and after its main thread ends, with one Writer.
func TestLeaderEndsMeanwhile(t *testing.T) {
	v := odd(t, "retire", "3")
	w, err := NewWriter(v.PID, patient(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	f, r := dumpWith(t, w)
	if e, _ := f.Exception(); int(e.ThreadID) != v.PID || r.Threads != 3 || r.Soft != 0 {
		t.Errorf("exception %+v, %d threads", e, r.Threads)
	}
	modules := r.Modules
	v.Go(t)
	waitState(t, v.PID, 'Z')
	f, r = dumpWith(t, w)
	if e, _ := f.Exception(); int(e.ThreadID) == v.PID || r.Threads != 2 || r.Modules < modules || r.Soft != 0 {
		t.Errorf("exception %+v, %d threads, %d modules, had %d", e, r.Threads, r.Modules, modules)
	}
	checkStacks(t, f, DefaultCrashStackLimit)
}
