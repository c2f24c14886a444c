package stackwalk_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"minidump"
)

// TestRealPrograms compares the frames of programs of other projects with gdb's. The programs have no debug information, and gdb
// reads .eh_frame as this package does, so nearly all frames are the same.
func TestRealPrograms(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("they were only checked on amd64")
	}
	threads := `import threading,time,re,json
for i in range(12): threading.Thread(target=lambda: sorted([3,1,2],key=lambda x: time.sleep(60)),daemon=True).start()
re.sub("a", lambda m: time.sleep(60), "bab")`
	for _, program := range [][]string{
		{"python3", "-c", threads},
		{"perl", "-e", `@a = sort { sleep 60; $a <=> $b } (3, 1, 2);`},
		{"node", "-e", `setInterval(() => {}, 1000); [3,1].sort((a, b) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60000))`},
		{"git", "cat-file", "--batch"},
		{"sqlite3", "-batch", ":memory:"},
		{"gdb", "-nx", "-batch", "-ex", "shell sleep 60"},
		{"bash", "-c", "f() { read x; }; f; f"},
		{"sleep", "60"},
	} {
		t.Run(program[0], func(t *testing.T) {
			path := present(t, program[0])
			if p, err := exec.Command(path, "-c", "import sys; print(sys.executable)").Output(); err == nil && program[0] == "python3" {
				path = strings.TrimSpace(string(p)) // not a shell script that starts it
			}
			cmd := exec.Command(path, program[1:]...)
			cmd.Dir = repository(t)
			if in, err := cmd.StdinPipe(); err == nil { // kept open
				defer in.Close()
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { cmd.Process.Kill(); cmd.Wait() }()
			time.Sleep(time.Second)
			var total, same, other int
			for range 3 { // a thread may have moved between the dump and gdb
				settle(t, cmd.Process.Pid)
				f := dump(t, cmd.Process.Pid, minidump.Options{})
				p := process(t, f)
				started := time.Now()
				ours := walk(t, f, p)
				took := time.Since(started)
				total, same, other = compare(t, cmd.Process.Pid, p, ours)
				t.Logf("%d threads: %d of gdb's %d frames are the same, %d others; walked in %v", len(ours), same, total, other, took)
				if same == total && other == 0 {
					return
				}
			}
			if same*100 < total*98 || other > 0 {
				t.Errorf("%d of gdb's %d frames, %d others", same, total, other)
			}
		})
	}
}

// present finds a program. A missing one is not a failure in CI either: the programs are examples of what machines have.
func present(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is missing", name)
	}
	return path
}

// repository returns a folder in which git has something to do.
func repository(t *testing.T) string {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".git", "refs"), 0755); err != nil {
		t.Fatal(err)
	}
	os.Mkdir(filepath.Join(dir, ".git", "objects"), 0755)
	if err := os.WriteFile(filepath.Join(dir, ".git", "HEAD"), []byte("ref: refs/heads/x\n"), 0644); err != nil {
		t.Fatal(err)
	}
	return dir
}
