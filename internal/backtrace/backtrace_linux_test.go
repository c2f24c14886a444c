package backtrace

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"minidump"
	"minidump/internal/victims"
	"minidump/stream"
	"minidump/symbol"
)

func init() { testMode = true }

// dumped returns a dump of a victim whose threads are deep in a recursion.
func dumped(t testing.TB) []byte {
	t.Helper()
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "4")
	victims.WaitThreads(t, v.PID, 'S') // it may still be printing
	w, err := minidump.NewWriter(v.PID, minidump.Options{StopTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var b bytes.Buffer
	if _, err := w.Dump(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func opened(t testing.TB, b []byte) *stream.File {
	t.Helper()
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// functions returns the names of the frames, starting at the outermost one that has a name.
func functions(t *stream.ThreadFrames) string {
	var names []string
	for i := range t.Frames {
		names = append(names, t.Frames[i].Function)
	}
	return strings.Join(names, " ")
}

func TestFind(t *testing.T) {
	victims.SkipEmulated(t, "the files of its victims are not there under the names in the dump")
	f := opened(t, dumped(t))
	r, err := Find(f, Options{Limit: time.Minute})
	if err != nil || len(r.Threads) != 1 || r.Threads[0].ThreadID != r.Blamed || r.Signature != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := functions(&r.Threads[0]); !strings.Contains(got, "main") {
		t.Errorf("frames %s", got)
	}
	all, err := Find(f, Options{All: true, Limit: time.Minute})
	if err != nil || len(all.Threads) != 4 {
		t.Fatalf("%+v, %v", all, err)
	}
	for i := range all.Threads {
		if got := functions(&all.Threads[i]); all.Threads[i].ThreadID != all.Blamed && strings.Count(got, "deep") < 10 {
			t.Errorf("thread %d: %s", all.Threads[i].ThreadID, got)
		}
	}
	few, err := Find(f, Options{All: true, MaxFrames: 3, Limit: time.Minute})
	if err != nil || len(few.Threads[1].Frames) < 3 || len(few.Threads[1].Frames) > 12 || !few.Threads[1].Cut {
		t.Errorf("%+v, %v", few.Threads[1], err)
	}
	none, err := Find(f, Options{Limit: time.Minute, Sources: symbol.Sources{Sysroot: t.TempDir()}})
	if err != nil || len(none.Threads[0].Frames) == 0 || strings.Contains(functions(&none.Threads[0]), "main") {
		t.Errorf("names from nowhere: %+v, %v", none.Threads, err)
	}
}

// TestMapped dumps a process whose program file was deleted: root opens the file by its mapping.
func TestMapped(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: for map_files")
	}
	victims.SkipEmulated(t, "the files of its victims are not there under the names in the dump")
	program := filepath.Join(t.TempDir(), "victim")
	b, err := os.ReadFile(victims.C(t, "victim.c"))
	if err == nil {
		err = os.WriteFile(program, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	v := victims.Start(t, program, "idle", "1")
	w, err := minidump.NewWriter(v.PID, minidump.Options{StopTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var out bytes.Buffer
	if _, err := w.Dump(&out); err != nil {
		t.Fatal(err)
	}
	f := opened(t, out.Bytes())
	if err := os.Rename(program, program+".old"); err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[int]bool{0: false, v.PID: true} {
		r, err := Find(f, Options{Limit: time.Minute, PID: pid})
		if err != nil || strings.Contains(functions(&r.Threads[0]), "main") != want {
			t.Errorf("pid %d: %s, %v", pid, functions(&r.Threads[0]), err)
		}
	}
}

// TestRoot dumps a process in its own mount and user namespaces, whose program is not visible from outside.
func TestRoot(t *testing.T) {
	victims.SkipEmulated(t, "the files of its victims are not there under the names in the dump")
	unshare := victims.Tool(t, "unshare")
	if out, err := exec.Command(unshare, "-Umr", "mount", "-t", "tmpfs", "none", "/mnt").CombinedOutput(); err != nil {
		t.Skipf("can't mount in a mount namespace of its own: %v: %s", err, out)
	}
	cmd := exec.Command(unshare, "-Umr", "sh", "-c", `mkdir own && mount -t tmpfs none own && cp "$0" own/app && exec own/app idle 1`, victims.C(t, "victim.c"))
	cmd.Dir = t.TempDir()
	v := victims.StartCmd(t, cmd)
	victims.WaitThreads(t, v.PID, 'S')
	w, err := minidump.NewWriter(v.PID, minidump.Options{StopTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var out bytes.Buffer
	if _, err := w.Dump(&out); err != nil {
		t.Fatal(err)
	}
	f := opened(t, out.Bytes())
	root := rootOf(v.PID)
	if root == "" || rootOf(os.Getpid()) != "" {
		t.Fatalf("the root of the process is %q, of this one %q", root, rootOf(os.Getpid()))
	}
	for sysroot, want := range map[string]bool{"/": false, root: true} { // root opens files by their mappings; this test is about the other ways
		r, err := Find(f, Options{Limit: time.Minute, Sources: symbol.Sources{Sysroot: sysroot}, Mounts: mountinfo(t, v.PID)})
		if err != nil || strings.Contains(functions(&r.Threads[0]), "main") != want {
			t.Errorf("%s: %s, %v", sysroot, functions(&r.Threads[0]), err)
		}
	}
	if r, err := Find(f, Options{Limit: time.Minute, PID: v.PID}); err != nil || !strings.Contains(functions(&r.Threads[0]), "main") {
		t.Errorf("by its number: %s, %v", functions(&r.Threads[0]), err)
	}
}

func mountinfo(t *testing.T, pid int) []byte {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMemory allows no memory for symbols: a file that is read in parts yields names, one that must be loaded does not.
func TestMemory(t *testing.T) {
	victims.SkipEmulated(t, "the files of its victims are not there under the names in the dump")
	f := opened(t, dumped(t))
	with, err := Find(f, Options{Limit: time.Minute})
	if err != nil || !strings.Contains(functions(&with.Threads[0]), "syscall ") {
		t.Fatalf("frames %s, %v", functions(&with.Threads[0]), err)
	}
	without, err := Find(f, Options{Memory: 1, Limit: time.Minute})
	if err != nil || len(without.Threads[0].Frames) == 0 || strings.Contains(functions(&without.Threads[0]), "syscall") {
		t.Errorf("frames %s, %v", functions(&without.Threads[0]), err)
	}
}

// TestLimit allows no time at all: the result comes at once, with what is there.
func TestLimit(t *testing.T) {
	f := opened(t, dumped(t))
	started := time.Now()
	r, err := Find(f, Options{All: true, Limit: time.Nanosecond})
	if err != nil || len(r.Modules) == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if d := time.Since(started); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

// TestAdd checks that the added frames are in the dump, and that they do not change when the program's files are gone.
func TestAdd(t *testing.T) {
	victims.SkipEmulated(t, "the files of its victims are not there under the names in the dump")
	path := filepath.Join(t.TempDir(), "x.dmp")
	if err := os.WriteFile(path, dumped(t), 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := Add(path, Options{Limit: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	size := fileSize(t, path)
	again, err := Add(path, Options{Limit: time.Minute, Sources: symbol.Sources{Sysroot: t.TempDir()}})
	if err != nil || functions(&again.Threads[0]) != functions(&first.Threads[0]) || !strings.Contains(functions(&again.Threads[0]), "main") {
		t.Errorf("%+v, %v; at first %+v", again, err, first)
	}
	if n := fileSize(t, path); n != size {
		t.Errorf("the file has grown from %d to %d bytes", size, n)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if problems := stream.Problems(opened(t, b)); len(problems) > 0 {
		t.Error(problems)
	}
	if _, err := Add(filepath.Join(t.TempDir(), "none"), Options{Limit: time.Minute}); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestServed checks which files are not opened: those on devices that are not among the mounts, or that a server provides.
func TestServed(t *testing.T) {
	b := dumped(t)
	f := opened(t, b)
	maps, err := f.Stream(stream.LinuxMaps)
	if err != nil {
		t.Fatal(err)
	}
	if avoid := served(f, 0, nil); avoid("/no/such/file") || avoid(os.Args[0]) {
		t.Error("a file is avoided that is not mapped")
	}
	// Each device number is replaced by one that does not exist.
	lines := strings.Split(string(maps), "\n")
	for i, l := range lines {
		if fields := strings.Fields(l); len(fields) == 6 && strings.HasPrefix(fields[5], "/") {
			lines[i] = strings.Replace(l, " "+fields[3]+" ", " "+strings.Repeat("f", len(fields[3])-3)+":ff ", 1)
		}
	}
	changed := bytes.Replace(b, maps, []byte(strings.Join(lines, "\n")), 1)
	g := opened(t, changed)
	modules, err := g.Modules()
	if err != nil || !served(g, 0, nil)(modules[0].Name) {
		t.Errorf("%v: %s is not avoided", err, modules[0].Name)
	}
	r, err := Find(g, Options{Limit: time.Minute})
	if err != nil || reflect.DeepEqual(r.Threads[0].Frames[0].Function, "main") {
		t.Errorf("%+v, %v", r, err)
	}
}

// FuzzFind looks for the frames of corrupt dumps.
func FuzzFind(f *testing.F) {
	b := dumped(f)
	f.Add(b, uint32(0), byte(0))
	nowhere := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, at uint32, with byte) {
		if len(b) > 0 {
			b = bytes.Clone(b)
			b[int(at)%len(b)] ^= with
		}
		d, err := stream.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if r, err := Find(d, Options{All: true, Limit: 100 * time.Millisecond, Sources: symbol.Sources{Sysroot: nowhere}}); err == nil {
			stream.AppendFrameList(nil, d.Order, &r.FrameList)
		}
	})
}
