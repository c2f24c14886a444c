package main

import (
	"encoding/json"
	"minidump/internal/scratch"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCore(t *testing.T) {
	dir := scratch.Dir(t)
	if err := os.WriteFile(filepath.Join(dir, "c"), tinyCore(), 0600); err != nil {
		t.Fatal(err)
	}
	// The default name is made from the process's name.
	run(t, dir, "core", "c").want(t, 0, "wrote some_app.4321.dmp: ")
	if _, err := os.Stat(filepath.Join(dir, "some_app.4321.dmp")); err != nil {
		t.Error(err)
	}
	shown := run(t, dir, "show", "some_app.4321.dmp")
	for _, want := range []string{"PID 4321", "SIGSEGV / SEGV_ACCERR", "0x5150", "some/app --flag", "arm64", "Linux core aarch64"} {
		if !strings.Contains(shown.out, want) {
			t.Errorf("show does not tell %q:\n%s", want, shown.out)
		}
	}
	o := run(t, dir, "core", "--json", "--mode=full", "--annotation", "k=v", "-o", "full.dmp", "c")
	o.want(t, 0, "")
	var result struct {
		File   string
		Memory int `json:"memory_bytes"`
		Pause  int `json:"pause_ns"`
	}
	if err := json.Unmarshal([]byte(o.out), &result); err != nil || result.File != "full.dmp" || result.Memory != 4096 || result.Pause != 0 {
		t.Errorf("%q: %+v %v", o.out, result, err)
	}
	if o := run(t, dir, "core", "-o", "-", "c"); o.status != 0 || !strings.HasPrefix(o.out, "MDMP") {
		t.Errorf("status %d, %.20q", o.status, o.out)
	}
}

func TestCoreErrors(t *testing.T) {
	dir := scratch.Dir(t)
	for name, content := range map[string]string{"text": "no core file", "core.1.zst": "\x28\xb5\x2f\xfd 1234567", "cut": string(tinyCore()[:900])} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "core").want(t, 2, "minidump core: no FILE given\n")
	run(t, dir, "core", "a", "b").want(t, 2, "minidump core: expected one FILE, got \"b\" as well\n")
	run(t, dir, "core", "none").want(t, 1, "minidump: open none: ")
	run(t, dir, "core", "text").want(t, 1, "minidump: text: not an ELF core file\n")
	run(t, dir, "core", "core.1.zst").want(t, 1, "minidump: core.1.zst is compressed with zstd: decompress it first: zstd -d core.1.zst\n")
	run(t, dir, "core", "-o", "cut.dmp", "cut").want(t, 0, "warning: read all of the core file, which is shorter than its headers say at 0x7000")
}

// TestCoreConfigOfItself checks that a file of flags that names itself is an error.
func TestCoreConfigOfItself(t *testing.T) {
	dir := scratch.Dir(t)
	path := filepath.Join(dir, "core.conf")
	if err := os.WriteFile(path, []byte("--limit=1M\n--config="+path+"\n"), 0600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "core", "--config="+path, "x").want(t, 2, "a file of flags can't name another such file")
}
