//go:build linux

package minidump

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"minidump/context"
	"minidump/internal/corefile/coretest"
	"minidump/internal/victims"
	"minidump/stream"
)

// TestLeaderIsZombie dumps a process whose main thread has ended before the others.
func TestLeaderIsZombie(t *testing.T) {
	v := odd(t, "leader", "4")
	waitState(t, v.PID, 'Z')
	for range 3 {
		f, r := dump(t, v.PID, Options{})
		if r.Modules < 2 || r.Memory == 0 {
			t.Errorf("%d modules, %d bytes of memory", r.Modules, r.Memory)
		}
		regs := coretest.CPUs(t, f)
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

// TestThreadChurn dumps a process whose threads start and end all the time: that causes no soft error.
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

// TestExecMeanwhile dumps a process that calls execve on itself all the time. Each dump is either good or a clean
// error, and the process continues.
func TestExecMeanwhile(t *testing.T) {
	v := odd(t, "exec")
	good, bad := 0, 0
	deadline := time.Now().Add(5 * time.Second)
	for i := range 1000 {
		if time.Now().After(deadline) {
			break
		}
		// Use a new Writer for each dump, or one that was made for an older program.
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
	for range 500 { // a new program has other random bytes: the process still calls execve
		if readText(t, fmt.Sprintf("/proc/%d/auxv", v.PID)) != before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the process does not go on")
}

// TestManyThreadsInLimit dumps a thousand threads with limits that are too small for all of them.
func TestManyThreadsInLimit(t *testing.T) {
	victims.SkipEmulated(t, "only to save time")
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
		regs := coretest.CPUs(t, f)
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
	// A small file can't contain all of them, but it can contain the rest.
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

// TestAppMemoryAtEnd requests ranges that extend beyond mapped memory, that are the whole address space, and that wrap
// around.
func TestAppMemoryAtEnd(t *testing.T) {
	v := odd(t, "mappings", "1")
	var start, end uint64
	for l := range strings.Lines(readText(t, fmt.Sprintf("/proc/%d/maps", v.PID))) {
		if strings.HasSuffix(l, "[stack]\n") {
			fmt.Sscanf(l, "%x-%x", &start, &end)
		}
	}
	if end == 0 {
		t.Fatal("no stack")
	}
	f, r := dump(t, v.PID, Options{AppMemory: []AppMemory{{end - 100, 1 << 20}, {^uint64(0) - 5, 100}, {0, 1}}})
	b := make([]byte, 200)
	if n, _ := f.ReadMemory(end-100, b); n != 100 {
		t.Errorf("%d bytes at the end of the stack", n)
	}
	if r.Soft != 3 {
		t.Errorf("soft errors %v", r.SoftErrors())
	}
	// The whole address space: no stack is dropped for it.
	f, r = dump(t, v.PID, Options{AppMemory: []AppMemory{{0, ^uint64(0)}}})
	if n, _ := f.ReadMemory(end-200, b); n != len(b) || r.Soft == 0 || r.Memory < 64<<10 {
		t.Errorf("%d bytes of the stack, %d in all, soft errors %v", n, r.Memory, r.SoftErrors())
	}
	checkStacks(t, f, 1<<30)
}

// TestNarrowProcess dumps 32-bit programs with a 64-bit writer.
func TestNarrowProcess(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("needs a kernel that also runs 386 programs")
	}
	check := func(t *testing.T, f *stream.File, v *victims.Proc) {
		t.Helper()
		info, _, err := f.SystemInfo()
		if err != nil || info.ProcessorArchitecture != context.X86.ProcessorArchitecture() {
			t.Errorf("architecture %d: %v", info.ProcessorArchitecture, err)
		}
		checkStacks(t, f, DefaultCrashStackLimit)
		for tid, c := range coretest.CPUs(t, f) {
			if c.Arch != context.X86 || c.PC>>32 != 0 || c.PC == 0 {
				t.Errorf("thread %d: arch %v, PC %#x", tid, c.Arch, c.PC)
			}
		}
		mods, _ := f.Modules()
		if mods[0].Name != v.Cmd.Path || mods[0].BuildID == "" {
			t.Errorf("main module %+v", mods[0])
		}
		if m := modulesNamed(t, f, "linux-gate.so"); len(m) != 1 || m[0].BuildID == "" {
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

// TestGoCrowd dumps a Go program with a large heap: the dump stays small, because it has each goroutine's stack and
// not the heap around it.
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
	// With a limit far below that, each stack still contains its SP.
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
