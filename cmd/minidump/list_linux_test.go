package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump/internal/scratch"
)

// TestList checks the list of a folder with two dumps, other files, and files that are not dumps in spite of their
// names.
func TestList(t *testing.T) {
	dir := scratch.Dir(t)
	core := filepath.Join(dir, "core")
	if err := os.WriteFile(core, streamCore(), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "core", "-o", "b.dmp", "core").want(t, 0, "wrote")
	run(t, dir, "core", "-o", "./", "core").want(t, 0, "wrote ./process.4321.dmp")
	bad := filepath.Join(dir, "bad.dmp")
	if err := os.WriteFile(bad, []byte("nonsense\x1b"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	os.Chtimes(bad, old, old)
	if err := os.Mkdir(filepath.Join(dir, "folder.dmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	os.Symlink(core, filepath.Join(dir, "link.dmp"))
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.dmp"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := run(t, dir, "list")
	lines := strings.Split(strings.TrimSpace(o.out), "\n")
	if o.status != 0 || len(lines) != 3 {
		t.Fatalf("%+v", o)
	}
	if !strings.Contains(lines[0], "2020") || !strings.Contains(lines[0], "bad.dmp") || !strings.Contains(lines[0], "can't be read: ") {
		t.Errorf("%q", lines[0])
	}
	for _, name := range []string{"b.dmp", "process.4321.dmp"} {
		line := lines[1] + "\n" + lines[2]
		if !strings.Contains(line, name) || strings.Count(line, "PID 4321") != 2 || strings.Count(line, "SIGSEGV") != 2 {
			t.Errorf("no %s in %q", name, line)
		}
	}
	o = run(t, dir, "list", "--json")
	lines = strings.Split(strings.TrimSpace(o.out), "\n")
	if o.status != 0 || len(lines) != 3 {
		t.Fatalf("%+v", o)
	}
	for i, line := range lines {
		if problems := validate(t, "list.schema.json", []byte(line)); len(problems) > 0 {
			t.Errorf("%s: %v", line, problems)
		}
		want := []string{`"pid":4321`, "SIGSEGV"}
		if i == 0 {
			want = []string{`"file":"bad.dmp"`, `"time":"2020-01-02T03:04:05Z"`, `"error":"`}
		}
		for _, w := range want {
			if !strings.Contains(line, w) {
				t.Errorf("no %s in %s", w, line)
			}
		}
	}
	if o := run(t, dir, "list", ".", "none"); o.status != 1 || !strings.Contains(o.out, "./b.dmp") || !strings.Contains(o.err, "none") {
		t.Errorf("%+v", o)
	}
}
