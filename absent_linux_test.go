//go:build linux

package minidump

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/internal/sys/hang"
	"minidump/stream"

	"minidump/internal/snapshot"
	"minidump/internal/victims"
	"minidump/ptrace"
)

// absent starts a victim with absent memory (internal/victims/c/absent.c).
func absent(t *testing.T, kind string, args ...string) *victims.Proc {
	t.Helper()
	if kind != "sparse" && kind != "dontdump" && os.Getuid() != 0 {
		t.Skip("needs root: for a userfaultfd, or to mount")
	}
	dir := t.TempDir()
	if _, err := os.Stat("/dev/fuse"); err != nil && (kind == "fuse" || kind == "deadlock") {
		t.Skip(err)
	}
	return victims.Start(t, victims.C(t, "absent.c", "-pthread"), append([]string{kind, dir}, args...)...)
}

// inTime makes a dump, fails the test if the dump takes far longer than it should, and checks that the victim runs
// afterwards.
func inTime(t *testing.T, v *victims.Proc, o Options) (b []byte, f *stream.File, soft []SoftError) {
	t.Helper()
	type outcome struct {
		soft []SoftError
		err  error
	}
	var out bytes.Buffer
	done := make(chan outcome, 1)
	go func() {
		w, err := NewWriter(v.PID, o)
		if err != nil {
			done <- outcome{nil, err}
			return
		}
		defer w.Close()
		r, err := w.Dump(&out)
		done <- outcome{r.SoftErrors(), err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			t.Fatal(r.err)
		}
		soft = r.soft
	case <-time.After(15 * time.Second):
		v.Cmd.Process.Kill()
		t.Fatal("the dump hangs")
	}
	if what := bound(v.PID); what != "" {
		t.Error(what)
	}
	f, err := stream.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	return out.Bytes(), f, soft
}

// recorded reports whether one of the soft errors is of one of the operations.
func recorded(soft []SoftError, ops ...snapshot.Op) bool {
	return slices.ContainsFunc(soft, func(e SoftError) bool {
		return slices.ContainsFunc(ops, func(op snapshot.Op) bool { return op.What() == e.Op })
	})
}

var allModes = []struct {
	name string
	mode Mode
}{{"stack", ModeStack}, {"indirect", ModeIndirect}, {"full", ModeFull}}

// TestAbsentMemory dumps processes whose memory a userfaultfd or a file server has not delivered and never will: no
// dump waits for that memory, and soft errors record what is missing.
func TestAbsentMemory(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	for _, kind := range []string{"heap", "stack", "fuse", "deadlock"} {
		for _, m := range allModes {
			t.Run(kind+" "+m.name, func(t *testing.T) {
				v := absent(t, kind)
				_, f, soft := inTime(t, v, patient(Options{Mode: m.mode}))
				switch {
				case kind == "stack" || kind == "heap" && m.mode != ModeStack:
					if !recorded(soft, snapshot.OpAbsent) {
						t.Errorf("not recorded: %v", soft)
					}
				case kind == "heap":
					if len(soft) > 0 {
						t.Errorf("soft errors %v", soft)
					}
				default: // the file is mapped like a library
					if !recorded(soft, snapshot.OpModule, snapshot.OpModuleID) || m.mode == ModeFull && !recorded(soft, snapshot.OpAbsent) {
						t.Errorf("not recorded: %v", soft)
					}
				}
				threads, err := f.Threads()
				if err != nil || len(threads) == 0 || threads[0].Stack.Memory.DataSize == 0 {
					t.Errorf("%d threads, %v", len(threads), err)
				}
			})
		}
	}
	t.Run("application memory", func(t *testing.T) {
		v := absent(t, "heap")
		at := mappingOf(t, v.PID, 1<<20)
		_, _, soft := inTime(t, v, patient(Options{AppMemory: []AppMemory{{at, 1 << 20}}}))
		if !recorded(soft, snapshot.OpAppMemory) || !recorded(soft, snapshot.OpAbsent) {
			t.Errorf("not recorded: %v", soft)
		}
	})
}

// TestVanishingMemory removes a page between the read of the page table and the read of the page, as another process that
// shares the page can. A userfaultfd that nobody serves must then deliver it. The read blocks, but blocks neither the
// target nor this process's garbage collection. Once the page is delivered, the dump completes.
func TestVanishingMemory(t *testing.T) {
	victims.SkipEmulated(t, "it measures time")
	for _, m := range allModes {
		t.Run(m.name, func(t *testing.T) {
			v := absent(t, "vanish")
			var at uint64
			for l := range strings.Lines(readText(t, fmt.Sprintf("/proc/%d/maps", v.PID))) {
				if strings.Contains(l, "memfd:vanishing") {
					fmt.Sscanf(l, "%x-", &at)
				}
			}
			memory := descriptorOf(t, v.PID, "/memfd:vanishing (deleted)")
			faults := descriptorOf(t, v.PID, "anon_inode:[userfaultfd]")
			vanished := make(chan bool, 1)
			var once atomic.Bool
			gate := func(kernel sys.Gate) sys.Gate {
				return func(nr, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
					if nr == unix.SYS_PROCESS_VM_READV {
						r := **(**unix.RemoteIovec)(unsafe.Pointer(&a4))
						if uint64(r.Base)-at < 1<<20 && once.CompareAndSwap(false, true) {
							unix.Fallocate(memory, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20)
							vanished <- true
						}
					}
					return kernel(nr, a1, a2, a3, a4, a5, a6)
				}
			}
			defer sys.Install(gate(hang.Raw), gate(hang.Blocking))()

			o := Options{Mode: m.mode, StopTimeout: 300 * time.Millisecond, MaxPause: 300 * time.Millisecond}
			if m.mode == ModeStack {
				o.AppMemory = []AppMemory{{at + 300, 100}}
			}
			w, err := NewWriter(v.PID, o)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			var result Result
			ended := make(chan error, 1)
			go func() {
				var err error
				result, err = w.Dump(&out)
				ended <- err
			}()
			select {
			case <-vanished:
			case <-ended:
				t.Fatal("the memory was not read")
			}
			since := time.Now()
			collected := make(chan bool)
			go func() {
				runtime.GC()
				close(collected)
			}()
			for bound(v.PID) != "" {
				if time.Since(since) > 5*time.Second {
					t.Fatal(bound(v.PID))
				}
				time.Sleep(time.Millisecond)
			}
			if d := time.Since(since); d > 800*time.Millisecond {
				t.Errorf("the process stood still for %v", d)
			}
			select {
			case <-collected:
			case <-time.After(5 * time.Second):
				t.Error("the read holds up a garbage collection")
			}
			select {
			case err := <-ended:
				t.Fatalf("the read did not block: %v", err)
			default:
			}
			zero := [4]uint64{at, 1 << 20} // struct uffdio_zeropage of linux/userfaultfd.h
			const zeropage = 0xc020aa04
			if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(faults), zeropage, uintptr(unsafe.Pointer(&zero))); errno != 0 {
				t.Fatal("UFFDIO_ZEROPAGE: ", errno)
			}
			select {
			case err = <-ended:
			case <-time.After(10 * time.Second):
				t.Fatal("the dump hangs")
			}
			if m.mode == ModeFull {
				if !errors.Is(err, ErrPause) {
					t.Errorf("the dump ended with %v", err)
				}
			} else if err != nil || !recorded(result.SoftErrors(), snapshot.OpAbsent) {
				t.Errorf("%v, %v", err, result.SoftErrors())
			} else if _, err := stream.Open(bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
				t.Error(err)
			}
			w.Close()
		})
	}
}

// descriptorOf returns a copy of the descriptor of another process whose link in /proc is target.
func descriptorOf(t *testing.T, pid int, target string) int {
	t.Helper()
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if to, _ := os.Readlink(link); to != target {
			continue
		}
		n, _ := strconv.Atoi(filepath.Base(link))
		process, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(process)
		fd, err := unix.PidfdGetfd(process, n, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	t.Fatalf("process %d has no %s", pid, target)
	return -1
}

// An argument and an environment variable that the tests of Options.Omit search for. They are longer than a vector
// register, because the dynamic linker saves vector registers to the stack, and one may contain the end of a string that
// was just compared.
var (
	argument = "an-argument-" + strings.Repeat("of-its-own-", 20)
	variable = "A_VARIABLE=" + strings.Repeat("of its own ", 20)
)

// mappingOf returns the start of the last unnamed mapping of at least size bytes.
func mappingOf(t *testing.T, pid int, size uint64) (at uint64) {
	t.Helper()
	for l := range strings.Lines(readText(t, fmt.Sprintf("/proc/%d/maps", pid))) {
		var lo, hi uint64
		if fields := strings.Fields(l); len(fields) == 5 {
			if fmt.Sscanf(fields[0], "%x-%x", &lo, &hi); hi-lo >= size {
				at = lo
			}
		}
	}
	if at == 0 {
		t.Fatal("there is no such mapping")
	}
	return at
}

// costOf returns the memory that a process uses, in KB: resident memory of all kinds, and page tables.
func costOf(t *testing.T, pid int) (rss, tables int) {
	t.Helper()
	for l := range strings.Lines(readText(t, fmt.Sprintf("/proc/%d/status", pid))) {
		f := strings.Fields(l)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.Atoi(f[1])
		switch f[0] {
		case "VmRSS:":
			rss = n
		case "VmPTE:":
			tables = n
		}
	}
	return rss, tables
}

// TestFullLeavesTargetAsItIs makes full dumps of a process that maps two gigabytes and has used three pages: the dump
// has these pages, and the process is no larger afterwards.
func TestFullLeavesTargetAsItIs(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	v := absent(t, "sparse")
	rss, tables := costOf(t, v.PID)
	b, f, soft := inTime(t, v, patient(Options{Mode: ModeFull}))
	rssAfter, tablesAfter := costOf(t, v.PID)
	if rssAfter-rss > 1024 || tablesAfter-tables > 1024 {
		t.Errorf("resident %d KB, then %d; page tables %d KB, then %d", rss, rssAfter, tables, tablesAfter)
	}
	if used := shmemOf(t, v.PID); used > 1024 {
		t.Errorf("the memfd has %d KB", used)
	}
	if len(b) > 64<<20 {
		t.Errorf("%d bytes", len(b))
	}
	for _, text := range []string{"here 1", "here 2", "here 3"} {
		if !bytes.Contains(b, []byte(text)) && (text != "here 3" || os.Getuid() == 0) {
			t.Errorf("%q is not in the dump", text)
		}
	}
	if len(soft) > 0 {
		t.Errorf("soft errors %v", soft)
	}
	if f.Header.Flags == 0 {
		t.Error("no flags")
	}
}

// shmemOf returns how many KB the victim's memfd occupies.
func shmemOf(t *testing.T, pid int) int64 {
	t.Helper()
	for fd := 3; fd < 10; fd++ {
		path := fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
		if link, _ := os.Readlink(path); strings.Contains(link, "memfd:pool") {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			return info.Sys().(*syscall.Stat_t).Blocks / 2
		}
	}
	t.Fatal("no memfd")
	return 0
}

// TestDontDump dumps a process whose stack points to a secret in memory that is marked MADV_DONTDUMP.
func TestDontDump(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	secret := []byte("TOPSECRET")
	for _, m := range allModes {
		t.Run(m.name, func(t *testing.T) {
			v := absent(t, "dontdump")
			b, _, soft := inTime(t, v, patient(Options{Mode: m.mode}))
			if bytes.Contains(b, secret) || len(soft) > 0 {
				t.Errorf("the secret is in the dump: %v; soft errors %v", bytes.Contains(b, secret), soft)
			}
			b, _, _ = inTime(t, v, patient(Options{Mode: m.mode, IncludeDontDump: true}))
			if bytes.Contains(b, secret) != (m.mode != ModeStack) {
				t.Error("IncludeDontDump makes no difference")
			}
		})
	}
}

// TestOmit searches whole files for what Options.Omit must keep out.
func TestOmit(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	program := victims.C(t, "absent.c", "-pthread")
	for _, m := range allModes {
		for _, o := range []Omit{0, OmitEnviron, OmitCmdline, OmitEnviron | OmitCmdline} {
			t.Run(fmt.Sprintf("%s %d", m.name, o), func(t *testing.T) {
				cmd := exec.Command(program, "", argument)
				cmd.Env = append(os.Environ(), variable)
				v := victims.StartCmd(t, cmd)
				b, _, soft := inTime(t, v, patient(Options{Mode: m.mode, Omit: o, StackLimit: 1 << 20}))
				if got := bytes.Contains(b, []byte(argument)); got != (o&OmitCmdline == 0) {
					t.Errorf("the argument is in the dump: %v", got)
				}
				if got := bytes.Contains(b, []byte(variable)); got != (o&OmitEnviron == 0) {
					t.Errorf("the variable is in the dump: %v", got)
				}
				if len(soft) > 0 {
					t.Errorf("soft errors %v", soft)
				}
			})
		}
	}
}

// stallingWriter accepts left bytes, and then blocks until it is released.
type stallingWriter struct {
	left    int
	stalled chan bool
	release chan bool
}

func (s *stallingWriter) Write(p []byte) (int, error) {
	if s.left -= len(p); s.left < 0 {
		select {
		case s.stalled <- true:
		default:
		}
		<-s.release
	}
	return len(p), nil
}

// TestMaxPause writes a full dump to a writer that stalls: the process is resumed after MaxPause, while the write
// still hangs, and the dump fails with ErrPause.
func TestMaxPause(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	v := startCounter(t, "C", 3, time.Millisecond)
	w, err := NewWriter(v.PID, Options{Mode: ModeFull, StopTimeout: 5 * time.Second, MaxPause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	out := &stallingWriter{left: 100 << 10, stalled: make(chan bool, 1), release: make(chan bool)}
	done := make(chan error)
	go func() {
		_, err := w.Dump(out)
		done <- err
	}()
	<-out.stalled
	time.Sleep(5100 * time.Millisecond)
	v.runs(t)
	v.free(t)
	close(out.release)
	if err := <-done; !errors.Is(err, ErrPause) {
		t.Errorf("%v", err)
	}
	w.snap.Want.MaxPause = time.Minute
	if _, r := quietDump(t, w); r.Pause == 0 || r.Soft > 0 {
		t.Errorf("the next dump: %v, %v", r.Pause, r.SoftErrors())
	}
	v.free(t)
	v.runs(t)
}

// hold traces all threads of a process, on an OS thread of its own, until release is closed.
func hold(t *testing.T, pid int) (release chan bool) {
	t.Helper()
	release = make(chan bool)
	held := make(chan bool)
	go func() {
		runtime.LockOSThread()
		tracer := ptrace.New(pid)
		ths := []ptrace.Thread{{TID: int32(pid)}}
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		for _, e := range tasks {
			if tid, _ := strconv.Atoi(e.Name()); tid != pid {
				ths = append(ths, ptrace.Thread{TID: int32(tid)})
			}
		}
		tracer.AttachAll(ths)
		close(held)
		<-release
		tracer.Detach(ths)
	}()
	<-held
	return release
}

// TestOtherTracer dumps a process that another tracer traces: the dump waits for a tracer that soon detaches, and
// records one that does not.
func TestOtherTracer(t *testing.T) {
	victims.SkipEmulated(t, "it has not been tried there yet")
	v := absent(t, "sparse")
	w, err := NewWriter(v.PID, Options{StopTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	release := hold(t, v.PID)
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	if _, r := quietDump(t, w); r.Stopped == 0 || r.Stopped != r.Threads || r.Soft > 0 {
		t.Errorf("%d of %d threads stopped, %v", r.Stopped, r.Threads, r.SoftErrors())
	}
	w.snap.Want.StopTimeout = 50 * time.Millisecond
	release = hold(t, v.PID)
	_, r := quietDump(t, w)
	if r.Stopped != 0 || r.Threads == 0 || !recorded(r.SoftErrors(), snapshot.OpOtherTracer, snapshot.OpSeize) {
		t.Errorf("%d of %d threads stopped, %v", r.Stopped, r.Threads, r.SoftErrors())
	}
	close(release)
}
