package stackwalk_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump"
	"minidump/internal/victims"
)

// TestBusy stops busy programs at arbitrary moments: in prologs, epilogs and procedure linkage tables too.
func TestBusy(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("gdb runs where the tests are developed")
	}
	victims.SkipEmulated(t, "it takes too long")
	for _, program := range [][]string{
		{"perl", "-e", `while (1) { my %h = map { $_ => "x$_" } 1..1000; my @a = sort { $h{$a} cmp $h{$b} } keys %h; join(",", @a) =~ s/1(.)/$1/gr }`},
		{"python3", "-c", "import json,re\nwhile True:\n sorted(json.loads(json.dumps(list(range(1000)))), key=lambda x: re.sub('1','2',str(x)))"},
		{"sqlite3", ":memory:", `with recursive c(x) as (select 1 union all select x+1 from c) select count(distinct printf('%d', x*x)) from c;`},
	} {
		t.Run(program[0], func(t *testing.T) { testBusy(t, program) })
	}
}

func testBusy(t *testing.T, program []string) {
	path := present(t, program[0])
	if b, err := os.ReadFile(path); err == nil && bytes.HasPrefix(b, []byte("#!")) { // a script that starts the real program
		path = strings.TrimSpace(victims.Output(t, path, "-c", "import sys; print(sys.executable)"))
	}
	cmd := exec.Command(path, program[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	all, alike := 0, 0
	for i := range 8 {
		time.Sleep(time.Duration(150+37*i) * time.Millisecond)
		stop(t, cmd.Process.Pid)
		f := dump(t, cmd.Process.Pid, minidump.Options{})
		p := process(t, f)
		total, same, other := compare(t, cmd.Process.Pid, p, walk(t, f, p))
		if same < total || other > 0 {
			t.Logf("%d of gdb's %d frames are the same, %d others", same, total, other)
		}
		all, alike = all+total, alike+same
		stop(t, cmd.Process.Pid) // gdb resumes it
		cmd.Process.Signal(syscall.SIGCONT)
	}
	t.Logf("%d of gdb's %d frames are the same", alike, all)
	if alike*100 < all*97 {
		t.Errorf("%d of gdb's %d frames", alike, all)
	}
}

// stop stops a process by a signal and waits until all its threads have stopped.
func stop(t *testing.T, pid int) {
	t.Helper()
	syscall.Kill(pid, syscall.SIGSTOP)
	for range 500 {
		running := 0
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, file := range files {
			b, _ := os.ReadFile(file)
			if i := bytes.LastIndexByte(b, ')'); i < 0 || i+2 >= len(b) || b[i+2] != 'T' {
				running++
			}
		}
		if running == 0 && len(files) > 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the process does not stop")
}
