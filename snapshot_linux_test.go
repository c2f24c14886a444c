package minidump

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

	"minidump/internal/victims"
	"minidump/procfs"
	"minidump/stream"
)

// A snapshotVictim is a process of internal/victims/c/snapshot.c.
type snapshotVictim struct {
	*victims.Proc
	private, shared, dontfork, wiped uint64
	size                             uint64
}

// needCopies skips the test on machines on which no process can be copied.
func needCopies(t testing.TB) {
	t.Helper()
	if !slices.Contains([]string{"amd64", "386", "arm64", "ppc64", "ppc64le", "riscv64", "s390x", "arm"}, runtime.GOARCH) {
		t.Skip("no process is copied on " + runtime.GOARCH)
	}
	if !forkIsSafe {
		t.Log("with a sanitizer")
	}
}

func startSnapshotVictim(t testing.TB, mib int, args ...string) *snapshotVictim {
	t.Helper()
	needCopies(t)
	v := &snapshotVictim{size: uint64(mib) << 20}
	v.Proc = victims.Start(t, victims.C(t, "snapshot.c", "-pthread"), append([]string{strconv.Itoa(mib)}, args...)...)
	line := v.Line(t)
	if _, err := fmt.Sscanf(line, "%x %x %x %x", &v.private, &v.shared, &v.dontfork, &v.wiped); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return v
}

// check reads from the victim whether it has found anything wrong, and checks that it has no children left. It returns the longest
// time for which the victim's main thread did not run since the last call.
func (v *snapshotVictim) check(t testing.TB) (gap time.Duration, rounds int) {
	t.Helper()
	v.Go(t)
	var micros float64
	var wrong int
	line := v.Line(t)
	if _, err := fmt.Sscanf(line, "gap %f rounds %d wrong %d", &micros, &rounds, &wrong); err != nil || wrong != 0 {
		t.Errorf("the victim says %q: %v", line, err)
	}
	if left := childrenOf(t, v.PID); len(left) > 0 {
		t.Errorf("children %v are left", left)
	}
	return time.Duration(micros * 1000), rounds
}

// childrenOf returns the children of a process, including zombies.
func childrenOf(t testing.TB, pid int) (pids []int) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		var st procfs.Stat
		if err == nil && st.Parse(b) && int(st.PPID) == pid {
			child, _ := strconv.Atoi(strings.Split(name, "/")[2])
			pids = append(pids, child)
		}
	}
	return pids
}

// zombiesOf returns how many children of a process have ended and stay without being waited for: the process's own children may do
// so for a moment.
func zombiesOf(t testing.TB, pid int) int {
	t.Helper()
	zombies := childrenOf(t, pid)
	for range 10 {
		zombies = slices.DeleteFunc(zombies, func(child int) bool {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
			var st procfs.Stat
			return err != nil || !st.Parse(b) || st.State != 'Z'
		})
		if len(zombies) == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return len(zombies)
}

// slowWriter sleeps for 1 ms per 256 KiB that it writes.
type slowWriter struct{ bytes.Buffer }

func (w *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(time.Duration(len(p)>>18+1) * time.Millisecond)
	return w.Buffer.Write(p)
}

// memoryIn returns n bytes of a full dump's memory.
func memoryIn(t testing.TB, f *stream.File, addr uint64, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := f.ReadMemory(addr, b); err != nil {
		t.Fatalf("%d bytes at %#x: %v", n, addr, err)
	}
	return b
}

// TestSnapshot dumps a process that writes to all its memory meanwhile: the dump has the memory as it was at one moment, and the
// process was stopped for only a small part of the time.
func TestSnapshot(t *testing.T) {
	mib, n := 64, 3
	if victims.Emulated() {
		mib, n = 16, 1
	}
	v := startSnapshotVictim(t, mib)
	w, err := NewWriter(v.PID, patient(Options{Mode: ModeFull, Snapshot: SnapshotAlways}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range n {
		v.check(t)
		_, before := v.check(t)
		var out slowWriter
		r, err := w.Dump(&out)
		if err != nil {
			t.Fatal(err)
		}
		f, err := stream.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		gap, after := v.check(t)
		t.Logf("%v; the longest gap was %v; %d rounds", r, gap, after-before)
		if !r.Snapshot || r.Pause > r.Total/4 || after-before < 2 || r.Stopped != r.Threads {
			t.Errorf("snapshot %v, stopped for %v of %v, %d rounds, %d of %d threads stopped", r.Snapshot, r.Pause, r.Total, after-before, r.Stopped, r.Threads)
		}
		if said := fmt.Sprint(r.SoftErrors()); r.Soft != 1 || !strings.Contains(said, "shared memory") {
			t.Errorf("soft errors %v", said)
		}
		checkRounds(t, memoryIn(t, f, v.private, int(v.size)))
		for _, addr := range []uint64{v.shared, v.dontfork, v.wiped} {
			if b := memoryIn(t, f, addr, 4096); !bytes.Equal(b, bytes.Repeat([]byte("k"), 4096)) {
				t.Errorf("memory at %#x: %q…", addr, b[:16])
			}
		}
	}
}

// checkRounds checks that the pages up to some page have the same number, and all pages from there on have that number minus 1.
func checkRounds(t testing.TB, b []byte) {
	t.Helper()
	first, last, changes := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b), 0
	for i := 0; i < len(b); i += os.Getpagesize() {
		if n := binary.NativeEndian.Uint32(b[i:]); n != last {
			last = n
			changes++
		}
	}
	if changes > 1 || changes == 1 && last != first-1 {
		t.Errorf("the memory is not of one moment: from %d to %d with %d changes", first, last, changes)
	}
}

// TestSnapshotIndirect dumps by a copy in the other mode that supports copies.
func TestSnapshotIndirect(t *testing.T) {
	v := startSnapshotVictim(t, 16)
	f, r := dump(t, v.PID, Options{Mode: ModeIndirect, Snapshot: SnapshotAlways})
	v.check(t)
	checkStacks(t, f, DefaultCrashStackLimit)
	if !r.Snapshot {
		t.Error("not a snapshot")
	}
}

// TestSnapshotEqual compares a dump by a copy with an ordinary one of the same process, page by page. In between the process
// changes nothing except the stacks of the threads that check for changes, and what these use next to them.
func TestSnapshotEqual(t *testing.T) {
	v := startSnapshotVictim(t, 8, "--still")
	plain, _ := dump(t, v.PID, Options{Mode: ModeFull})
	copied, r := dump(t, v.PID, Options{Mode: ModeFull, Snapshot: SnapshotAlways})
	v.check(t)
	if !r.Snapshot {
		t.Fatal("not a snapshot")
	}
	threads, _ := copied.Threads()
	mayChange := func(at uint64) bool {
		return slices.ContainsFunc(threads, func(th stream.Thread) bool { return th.Stack.Start-64<<10 <= at && at < th.Stack.Start+1<<20 }) ||
			v.private-1<<20 < at && at < v.private+1<<20
	}
	pages := func(f *stream.File) map[uint64]string {
		ranges, err := f.MemoryRanges()
		if err != nil {
			t.Fatal(err)
		}
		all := map[uint64]string{}
		for _, m := range ranges {
			for at := m.Addr; at < m.Addr+m.Size; at = at&^4095 + 4096 {
				if n := min(at&^4095+4096, m.Addr+m.Size) - at; !mayChange(at) {
					all[at] = string(memoryIn(t, f, at, int(n)))
				}
			}
		}
		return all
	}
	a, b := pages(plain), pages(copied)
	different := 0
	for at := range a {
		if _, ok := b[at]; !ok {
			t.Errorf("the page at %#x is only in the dump without a copy", at)
		} else if a[at] != b[at] {
			different++
			t.Logf("a page at %#x differs", at)
		}
	}
	for at := range b {
		if _, ok := a[at]; !ok {
			t.Errorf("the page at %#x is only in the dump by a copy", at)
		}
	}
	if different > 12 || len(a) < 1500 {
		t.Errorf("%d of %d pages differ", different, len(a))
	}
}

// TestSnapshotRefused dumps processes that must not be copied.
func TestSnapshotRefused(t *testing.T) {
	for _, test := range []struct{ args, reason string }{
		{"--seccomp", "seccomp"},
		{"--nproc", "clone failed"},
		{"--fault", "userfaultfd"},
		{"", "it is stopped"},
	} {
		t.Run(test.reason, func(t *testing.T) {
			v := startSnapshotVictim(t, 72, strings.Fields(test.args)...)
			if test.args == "" {
				syscall.Kill(v.PID, syscall.SIGSTOP)
				waitState(t, v.PID, 'T')
			}
			w, err := NewWriter(v.PID, patient(Options{Mode: ModeFull, Snapshot: SnapshotAlways}))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if _, err := w.Dump(io.Discard); !errors.Is(err, ErrSnapshot) || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("the error is %v", err)
			}
			_, r := dump(t, v.PID, Options{Mode: ModeFull, Snapshot: SnapshotAuto})
			if said := fmt.Sprint(r.SoftErrors()); r.Snapshot || !strings.Contains(said, test.reason) {
				t.Errorf("snapshot %v, soft errors %v", r.Snapshot, said)
			}
			if test.args == "" {
				waitState(t, v.PID, 'T')
				syscall.Kill(v.PID, syscall.SIGCONT)
			}
			v.check(t)
		})
	}
}

// TestSnapshotSmall checks that no copy is made if that would take longer than the dump.
func TestSnapshotSmall(t *testing.T) {
	v := startSnapshotVictim(t, 1, "--still")
	for _, o := range []Options{{Mode: ModeFull, Snapshot: SnapshotAuto}, {Mode: ModeStack, Snapshot: SnapshotAlways}} {
		if _, r := dump(t, v.PID, o); r.Snapshot || r.Soft > 0 {
			t.Errorf("%v: snapshot %v, soft errors %v", o, r.Snapshot, r.SoftErrors())
		}
	}
}

// snapshotRole makes dumps by a copy until it is killed.
func snapshotRole(args []string) {
	pid, _ := strconv.Atoi(args[0])
	for {
		w, err := NewWriter(pid, patient(Options{Mode: ModeFull, Snapshot: SnapshotAlways}))
		if err == nil {
			_, err = w.Dump(io.Discard)
			w.Close()
		}
		if err != nil && !errors.Is(err, ErrSnapshot) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// repeats returns how often a test repeats something: the number in the environment variable, if that is set, else n, or a quarter
// of n in an emulated machine.
func repeats(t testing.TB, variable string, n int) int {
	t.Helper()
	if victims.Emulated() {
		n /= 4
	}
	if s := os.Getenv(variable); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestSnapshotDumperIsKilled kills programs that dump by a copy, at random moments. The process must not notice, and must have no
// child left once the keeper has ended. MINIDUMP_SNAPSHOT_KILLS is how many programs are killed.
func TestSnapshotDumperIsKilled(t *testing.T) {
	v := startSnapshotVictim(t, 24)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	n := repeats(t, "MINIDUMP_SNAPSHOT_KILLS", 12)
	copies := 0
	start := time.Now()
	dump(t, v.PID, Options{Mode: ModeFull, Snapshot: SnapshotAlways})
	span := min(2*time.Since(start), 4*time.Second) // includes the time that the dumping program needs to start
	for range n {
		d := roleCommand(t, "snapshot", strconv.Itoa(v.PID))
		if err := d.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(span))))
		if len(childrenOf(t, v.PID)) > 0 {
			copies++
		}
		d.Process.Kill()
		d.Wait()
		for start := time.Now(); keeperOf(t, d.Process.Pid) != 0; time.Sleep(time.Millisecond) {
			if time.Since(start) > 30*time.Second {
				t.Fatalf("seed %d: the keeper lives on:\n%s", seed, threadsOf(keeperOf(t, d.Process.Pid)))
			}
		}
		v.check(t)
	}
	t.Logf("%d killed, %d of them with a copy", n, copies)
}

// threadsOf describes what the threads of a process are doing.
func threadsOf(pid int) (text string) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		text += task
		for _, name := range []string{"wchan", "syscall", "stat"} {
			b, err := os.ReadFile(task + "/" + name)
			text += fmt.Sprintf(" %s %v;", bytes.TrimSpace(b), err)
		}
		text += "\n"
	}
	return text
}

// keeperOf returns the keeper that a process has started; 0 if there is none.
func keeperOf(t testing.TB, parent int) (pid int) {
	names, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, _ := os.ReadFile(name)
		if bytes.Contains(b, []byte("\x00"+helperVariable+"="+strconv.Itoa(parent)+"\x00")) {
			pid, _ = strconv.Atoi(strings.Split(name, "/")[2])
			return pid
		}
	}
	return 0
}

// TestSnapshotKeeperIsKilled kills the keeper after it has made the copy. Then the dump fails, and the copy is gone.
func TestSnapshotKeeperIsKilled(t *testing.T) {
	v := startSnapshotVictim(t, 24)
	for range repeats(t, "MINIDUMP_SNAPSHOT_KILLS", 8) {
		w, err := NewWriter(v.PID, patient(Options{Mode: ModeFull, Snapshot: SnapshotAlways}))
		if err != nil {
			t.Fatal(err)
		}
		killed := false
		_, err = w.Dump(writerFunc(func(p []byte) (int, error) {
			if !killed {
				killed = true
				for _, child := range childrenOf(t, os.Getpid()) {
					if readText(t, fmt.Sprintf("/proc/%d/comm", child)) == "dump-keeper\n" {
						syscall.Kill(child, syscall.SIGKILL)
					}
				}
			}
			return len(p), nil
		}))
		w.Close()
		if err == nil || !killed {
			t.Errorf("killed %v, error %v", killed, err)
		}
		v.check(t)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestSnapshotWriterFails dumps to a destination that fails. The error is the destination's, and the copy is gone.
func TestSnapshotWriterFails(t *testing.T) {
	v := startSnapshotVictim(t, 24)
	w, err := NewWriter(v.PID, patient(Options{Mode: ModeFull, Snapshot: SnapshotAlways}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	full := errors.New("disk full")
	if _, err := w.Dump(writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("the error is %v", err)
	}
	v.check(t)
}

// TestSnapshotCalls copies a process whose threads wait in system calls of all kinds: each call continues, except the few that
// return EINTR after every stop. MINIDUMP_SNAPSHOTS is how many copies are made.
func TestSnapshotCalls(t *testing.T) {
	needCopies(t)
	v := victims.Start(t, victims.C(t, "calls.c", "-pthread"))
	w, err := NewWriter(v.PID, patient(Options{Mode: ModeIndirect, Snapshot: SnapshotAlways}))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	copies, n := 0, repeats(t, "MINIDUMP_SNAPSHOTS", 12)
	for range n {
		switch _, err := w.Dump(io.Discard); {
		case err == nil:
			copies++
		case !errors.Is(err, ErrSnapshot):
			t.Fatal(err)
		default:
			t.Log(err)
		}
	}
	victims.CheckCalls(t, v)
	if left := zombiesOf(t, v.PID); left > 0 {
		t.Errorf("%d zombies are left", left)
	}
	if copies < n*9/10 {
		t.Errorf("%d of %d dumps had a copy", copies, n)
	}
	t.Logf("%d of %d dumps had a copy", copies, n)
}

// TestSnapshotChurn copies processes that constantly start threads and programs, receive signals, and map memory.
// MINIDUMP_SNAPSHOTS is how many copies are made of each.
func TestSnapshotChurn(t *testing.T) {
	needCopies(t)
	t.Run("signals", func(t *testing.T) {
		c, g := startCounter(t, "C", 20, 2*time.Millisecond), startCounter(t, "Go", 20, 2*time.Millisecond)
		signals := []*signaller{startSignaller(c, syscall.SIGUSR1, wordUSR1), startSignaller(g, syscall.SIGUSR1, wordUSR1)}
		churn(t, c.Proc, false)
		churn(t, g.Proc, false)
		for _, s := range signals {
			s.end(t)
		}
		for _, v := range []*counter{c, g} {
			v.runs(t)
			v.free(t)
		}
	})
	for _, args := range [][]string{{"churn", "4"}, {"forks", "4"}, {"forks", "0"}, {"maps", "4"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) { churn(t, odd(t, args...), false) })
	}
	t.Run("exec", func(t *testing.T) { churn(t, odd(t, "exec"), true) })
}

// churn copies a process many times. If execs is true the process executes programs, and a dump can fail in the middle of an execve.
func churn(t *testing.T, v *victims.Proc, execs bool) {
	made, n := 0, repeats(t, "MINIDUMP_SNAPSHOTS", 12)
	for range n {
		w, err := NewWriter(v.PID, patient(Options{Mode: ModeFull, Snapshot: SnapshotAlways}))
		if err == nil {
			_, err = w.Dump(io.Discard)
			w.Close()
		}
		switch {
		case err == nil:
			made++
		case errors.Is(err, ErrSnapshot):
			t.Log(err)
		case !execs:
			t.Error(err)
		}
	}
	if !v.Alive() {
		t.Errorf("%s has ended", v.Cmd.Path)
	}
	if n := zombiesOf(t, v.PID); n > 0 {
		t.Errorf("%d zombies are children of %s", n, v.Cmd.Path)
	}
	t.Logf("%s: %d of %d", v.Cmd.Args, made, n)
	if made < n*8/10 && !execs || made == 0 {
		t.Errorf("%d of %d dumps had a copy", made, n)
	}
}

// TestSnapshotNarrow copies 32-bit processes on a 64-bit machine.
func TestSnapshotNarrow(t *testing.T) {
	needCopies(t)
	if goarch := victims.NarrowArch(t); goarch != "386" && goarch != "arm" {
		t.Skip("no process of " + goarch + " is copied on " + runtime.GOARCH)
	}
	v := &snapshotVictim{Proc: victims.Start(t, victims.Narrow(t, "snapshot"), "16")}
	v.Line(t)
	calls := victims.Start(t, victims.Narrow(t, "calls"))
	for range 5 {
		for _, pid := range []int{v.PID, calls.PID} {
			if _, r := dump(t, pid, Options{Mode: ModeFull, Snapshot: SnapshotAlways}); !r.Snapshot {
				t.Errorf("no snapshot: %v", r.SoftErrors())
			}
		}
		v.check(t)
	}
	victims.CheckCalls(t, calls)
}

// TestSnapshotCopyDies kills the copy as soon as it exists: with SnapshotAuto the dump is made the ordinary way, with
// SnapshotAlways it fails, and the copy is gone.
func TestSnapshotCopyDies(t *testing.T) {
	for _, wish := range []Snapshot{SnapshotAuto, SnapshotAlways} {
		v := startSnapshotVictim(t, 8)
		o := patient(Options{Mode: ModeFull, Snapshot: wish})
		w, source, err := newLive(v.PID, &o)
		if err != nil {
			t.Fatal(err)
		}
		made := 0
		if err := source.CopyTo(func(tid, _ int32) { made++; syscall.Kill(int(tid), syscall.SIGKILL) }); err != nil {
			t.Fatal(err)
		}
		source.TraceByOwnThread()
		r, err := w.Dump(io.Discard)
		if wish == SnapshotAuto && (err != nil || r.Snapshot || !strings.Contains(fmt.Sprint(r.SoftErrors()), "the copy has died")) ||
			wish == SnapshotAlways && !errors.Is(err, ErrSnapshot) || made != 1 {
			t.Errorf("%d copies, snapshot %v, soft errors %v: %v", made, r.Snapshot, r.SoftErrors(), err)
		}
		w.Close()
		v.check(t)
	}
}

// memoryGroup makes a control group with a memory limit, in bytes, and returns its folder. It skips the test if that fails.
func memoryGroup(t testing.TB, limit uint64) (dir string) {
	t.Helper()
	root, name := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	if b, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers"); err == nil && bytes.Contains(b, []byte("memory")) {
		root, name = "/sys/fs/cgroup", "memory.max"
		_ = os.WriteFile(root+"/cgroup.subtree_control", []byte("+memory"), 0)
	}
	dir = filepath.Join(root, fmt.Sprintf("minidump-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("no control group can be made: %v", err)
	}
	t.Cleanup(func() { // fails until the process in the group is gone
		for range 500 {
			if os.Remove(dir) == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("%s is left", dir)
	})
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strconv.FormatUint(limit, 10)), 0); err != nil {
		t.Skipf("no limit can be set: %v", err)
	}
	return dir
}

// TestSnapshotMemory copies a process that writes to all its 64 MiB: in a control group with too little memory for a copy, and in
// one whose memory runs short after the process has written to most of its pages. The kernel kills the process in neither.
func TestSnapshotMemory(t *testing.T) {
	needCopies(t)
	program := victims.C(t, "snapshot.c", "-pthread")
	for _, test := range []struct {
		name   string
		limit  uint64
		reason string
	}{{"before", 100 << 20, "memory is short"}, {"meanwhile", 128 << 20, "memory ran short"}} {
		t.Run(test.name, func(t *testing.T) {
			group := memoryGroup(t, test.limit)
			v := &snapshotVictim{size: 64 << 20}
			v.Proc = victims.StartCmd(t, exec.Command("/bin/sh", "-c", "echo $$ > "+group+"/cgroup.procs && exec "+program+" 64"))
			v.Line(t)
			w, err := NewWriter(v.PID, patient(Options{Mode: ModeFull, Snapshot: SnapshotAlways}))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if _, err := w.Dump(new(slowWriter)); !errors.Is(err, ErrSnapshot) || !strings.Contains(err.Error(), test.reason) {
				t.Errorf("the error is %v", err)
			}
			v.check(t)
		})
	}
}
