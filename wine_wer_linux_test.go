//go:build amd64

package minidump

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"minidump/context"
	"minidump/internal/windows/wer"
)

// TestWineWER runs a Go program that fails fast under Wine. In place of WerFault.exe a program that uses the structures of mingw's
// werapi.h calls the module that the command has installed.
func TestWineWER(t *testing.T) {
	needWine(t)
	dir := t.TempDir()
	module, dumps := filepath.Join(dir, "module.dll"), filepath.Join(dir, "dumps")
	command := commandForWine(t, dir, "amd64")
	install := func(verb string) {
		t.Helper()
		if out, err := exec.Command("wine", command, "wer", verb, "--user", forWine(module)).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", verb, err, out)
		}
	}
	install("install")
	want, err := wer.Image()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(module); err != nil || !bytes.Equal(got, want) {
		t.Errorf("a program of Windows writes another module than one of Linux: %d bytes, %v", len(got), err)
	}
	said, path := failFast(t, dir, dumps, module)
	var result, tid uint32
	var claimed int
	var code, address uint64
	if _, err := fmt.Sscanf(said, "%x %d %d %x %x", &result, &claimed, &tid, &code, &address); err != nil || result != 0 || claimed != 0 {
		t.Fatalf("the module's caller says %q: %v", said, err)
	}
	if filepath.Dir(path) != dumps {
		t.Fatalf("the monitor says %q", path)
	}
	f := flawless(t, path)
	x, err := f.Exception()
	if err != nil || x.Code != 0xc0000409 || uint64(x.Code) != code || x.Address != address || x.ThreadID != tid ||
		x.NumberParameters != 1 || x.Information[0] != 7 {
		t.Errorf("%+v, %v; the module's caller says %q", x, err, said)
	}
	rec, err := f.Context(x.Context)
	if err != nil {
		t.Fatal(err)
	}
	if cpu, err := context.Decode(context.AMD64, rec, f.Order); err != nil || cpu.PC != address {
		t.Errorf("PC %#x, exception at %#x, %v", cpu.PC, address, err)
	}
	readByStackwalk(t, path, "FAST_FAIL_FATAL_APP_EXIT")
	install("uninstall")
	if _, err := os.Stat(module); !os.IsNotExist(err) {
		t.Errorf("after uninstall: %v", err)
	}
}

// failFast runs both programs. It returns what the caller of the module prints, and the path of the dump that the monitor prints.
func failFast(t *testing.T, dir, dumps, module string) (said, path string) {
	t.Helper()
	victim, caller := filepath.Join(dir, "failfast.exe"), filepath.Join(dir, "werfault.exe")
	build := exec.Command("go", "build", "-o", victim, "./testdata/windows/failfast")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	for _, c := range []*exec.Cmd{build, exec.Command("x86_64-w64-mingw32-gcc", "-O1", "-o", caller, "testdata/windows/werfault.c")} {
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	v := exec.Command("wine", victim, forWine(dumps), forWine(module))
	in, err := v.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	victimSays := start(t, v)
	defer v.Wait()
	defer in.Close()
	pid := line(t, victimSays)
	if _, err := strconv.Atoi(pid); err != nil {
		t.Fatalf("the victim says %q", pid)
	}
	c := exec.Command("wine", caller, pid, forWine(module))
	callerSays := start(t, c)
	defer c.Wait()
	defer in.Close() // the victim must end before the caller can
	if first := line(t, callerSays); first != "attached" {
		t.Fatalf("the caller says %q", first)
	}
	if _, err := fmt.Fprintln(in); err != nil {
		t.Fatal(err)
	}
	said = line(t, callerSays)
	path = line(t, victimSays)
	return said, filepath.FromSlash(strings.ReplaceAll(strings.TrimPrefix(path, "Z:"), `\`, "/"))
}

// start starts a program, and returns a reader of its output.
func start(t *testing.T, c *exec.Cmd) *bufio.Reader {
	t.Helper()
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(out)
}

// line reads a line.
func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return strings.TrimSpace(text)
}
