package mach

import (
	"bytes"
	"debug/macho"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"minidump/internal/victims"
)

// TestTrapInstructions checks the machine code of a trap, because where the tests run it may be replaced: the loader for arm64
// programs puts a breakpoint there.
func TestTrapInstructions(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil || runtime.GOOS == "darwin" {
		t.Skip("it builds programs for macOS with the go command, elsewhere")
	}
	victims.SkipCross(t, "darwin", "arm64")
	for arch, want := range map[string][][]byte{
		"amd64": {
			{0x48, 0x05, 0x00, 0x00, 0x00, 0x01}, // add $0x1000000, %rax: class 1
			{0x4c, 0x8b, 0x54, 0x24},             // mov ...(%rsp), %r10: the fourth argument
			{0x0f, 0x05},                         // syscall
		},
		"arm64": {
			{0xf0, 0x03, 0x10, 0xcb}, // neg x16, x16
			{0x01, 0x10, 0x00, 0xd4}, // svc #0x80
		},
	} {
		path := filepath.Join(t.TempDir(), "mach.test")
		cmd := exec.Command("go", "test", "-c", "-o", path, ".")
		cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH="+arch, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", arch, err, out)
		}
		code := function(t, path, "minidump/mach.trap.abi0")
		for _, instruction := range want {
			if n := bytes.Count(code, instruction); n != 1 {
				t.Errorf("%s: % x is %d times in % x", arch, instruction, n, code)
			}
		}
	}
}

// function returns the machine code of a function in a Mach-O file: up to the next symbol.
func function(t *testing.T, path, name string) []byte {
	t.Helper()
	f, err := macho.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text := f.Section("__text")
	code, err := text.Data()
	if err != nil {
		t.Fatal(err)
	}
	var start, end uint64 = 0, text.Addr + text.Size
	for _, s := range f.Symtab.Syms {
		if s.Name == name || s.Name == "_"+name {
			start = s.Value
		}
	}
	if start == 0 {
		t.Fatalf("%s has no %s", path, name)
	}
	for _, s := range f.Symtab.Syms {
		if s.Value > start {
			end = min(end, s.Value)
		}
	}
	return code[start-text.Addr : end-text.Addr]
}
