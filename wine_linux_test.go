package minidump

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"minidump/context"
	"minidump/internal/victims"
	"minidump/stream"
)

// TestWineImages dumps a Wine process as a Linux process. Wine maps PE images as files; the dump has their identity.
func TestWineImages(t *testing.T) {
	needWine(t)
	dir := t.TempDir()
	src := filepath.Join(dir, "v.c")
	if err := os.WriteFile(src, []byte("#include <stdio.h>\nint main(void) { puts(\"ready\"); fflush(stdout); getchar(); return 0; }\n"), 0644); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "v.exe")
	// The file has the alignment of memory, so that Wine maps it instead of copying it.
	if out, err := exec.Command("x86_64-w64-mingw32-gcc", "-Wl,--build-id", "-Wl,--file-alignment=4096", "-o", exe, src).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command("wine", exe)
	cmd.Env = append(os.Environ(), "WINEDEBUG=-all", "DISPLAY=")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		cmd.Wait()
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		t.Fatalf("%q %v", line, err)
	}
	pid := victimPID(t, cmd.Process.Pid, "v.exe")
	f, r := dump(t, pid, Options{StopTimeout: 5 * time.Second})
	for _, e := range r.SoftErrors() {
		if strings.Contains(e.Subject, ".exe") || strings.Contains(e.Subject, ".dll") {
			t.Error(e.Error())
		}
	}
	mods, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	stamped, identified := 0, false
	for _, m := range mods {
		switch {
		case strings.HasSuffix(m.Name, "/v.exe"):
			b, err := f.Context(m.CvRecord)
			identified = err == nil && len(b) >= 24 && string(b[:4]) == "RSDS"
			if m.TimeDateStamp == 0 {
				t.Errorf("%+v", m)
			}
		case strings.HasSuffix(m.Name, ".dll") && m.TimeDateStamp != 0:
			stamped++
		}
	}
	if !identified || stamped < 3 {
		t.Errorf("the program is identified: %v; %d libraries have a time stamp; %d modules", identified, stamped, len(mods))
	}
}

// needWine skips a test without Wine, mingw and a prefix. The gate's stage wine has all three.
func needWine(t *testing.T) {
	t.Helper()
	if os.Getenv("WINEPREFIX") == "" {
		t.Skip("no $WINEPREFIX: internal/wine/setup makes one")
	}
	victims.Tool(t, "wine")
	victims.Tool(t, "x86_64-w64-mingw32-gcc")
}

// wineCrash is a kind of crash.
type wineCrash struct {
	kind, name string
	code       uint32
	reason     string
}

// crashes are the kinds of crash of testdata/windows/crasher.c, with the exception code and minidump-stackwalk's name
// for it.
var crashes = []wineCrash{
	{"a", "access violation", 0xc0000005, "EXCEPTION_ACCESS_VIOLATION_WRITE"},
	{"s", "stack overflow", 0xc00000fd, "EXCEPTION_STACK_OVERFLOW"},
	{"u", "illegal instruction", 0xc000001d, "EXCEPTION_ILLEGAL_INSTRUCTION"},
	{"d", "divide by zero", 0xc0000094, "EXCEPTION_INT_DIVIDE_BY_ZERO"},
	{"b", "breakpoint", 0x80000003, "EXCEPTION_BREAKPOINT"},
	{"r", "raised", 0xe0001234, "0xe0001234"},
}

// TestWineCrashes crashes programs built by mingw under Wine. The command, as a Windows program, dumps each while it
// waits in its exception filter.
func TestWineCrashes(t *testing.T) {
	needWine(t)
	dir := t.TempDir()
	exe := crasherForWine(t, dir, "x86_64")
	command := commandForWine(t, dir, "amd64")
	for _, c := range crashes {
		t.Run(c.name, func(t *testing.T) {
			path := c.dumpUnderWine(t, "wine", exe, command, context.AMD64)
			c.readByLLDB(t, path, exe)
		})
	}
}

// TestWine386 crashes 32-bit programs under a Wine that supports them, and dumps them with the 32-bit command and with the
// 64-bit command, for which they are WOW64 processes.
func TestWine386(t *testing.T) {
	wine := os.Getenv("MINIDUMP_WINE32")
	if wine == "" {
		t.Skip("no $MINIDUMP_WINE32: the stage wine-386 of the gate sets it to internal/wine/wine32")
	}
	victims.Tool(t, "i686-w64-mingw32-gcc")
	dir := t.TempDir()
	exe := crasherForWine(t, dir, "i686")
	for _, arch := range []string{"386", "amd64"} {
		command := commandForWine(t, dir, arch)
		for _, c := range crashes {
			t.Run(arch+" "+c.name, func(t *testing.T) { c.dumpUnderWine(t, wine, exe, command, context.X86) })
		}
	}
}

// readByLLDB checks what lldb reports about a dump: why the first thread stopped, and in which function.
func (c *wineCrash) readByLLDB(t *testing.T, path, exe string) {
	out := output(t, tool(t, "lldb"), "-b", "--no-lldbinit", "--script-language", "none", "-c", path, exe, "-o", "thread list", "-o", "bt")
	if want := fmt.Sprintf("Exception %#x encountered at address", c.code); !strings.Contains(out, want) {
		t.Errorf("not %q: %s", want, out)
	}
	if n := len(regexp.MustCompile(`(?m)^[* ] thread #\d+: tid`).FindAllString(out, -1)); n != 4 {
		t.Errorf("%d threads: %s", n, out)
	}
	// The stack overflows in a function of mingw that has no name, and the exception is raised in a library of Wine.
	if c.kind != "s" && c.kind != "r" && !strings.Contains(out, "`crash_here") {
		t.Errorf("not in crash_here: %s", out)
	}
}

// TestWineDelve checks that Delve, as a Linux program, lists the goroutines in a full dump of a Go program run by
// Wine.
func TestWineDelve(t *testing.T) {
	needWine(t)
	dlv := os.Getenv("MINIDUMP_DLV")
	if dlv == "" {
		t.Skip("no $MINIDUMP_DLV: the stage wine of the gate sets it")
	}
	dir := t.TempDir()
	exe := filepath.Join(dir, "goroutines.exe")
	build := exec.Command("go", "build", "-o", exe, "./testdata/windows/goroutines")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	command := commandForWine(t, dir, "amd64")
	cmd := exec.Command("wine", exe)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		cmd.Wait()
	}()
	pid, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "full.dmp")
	if out, err := exec.Command("wine", command, "dump", strings.TrimSpace(pid), "-o", forWine(path), "--mode", "full").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	debugger := exec.Command(dlv, "core", exe, path, "--allow-non-terminal-interactive=true")
	debugger.Stdin = strings.NewReader("goroutines\ngoroutine 1 bt\nexit\n")
	text, err := debugger.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if n := strings.Count(string(text), "main.waiting"); n != 3 || !strings.Contains(string(text), "bufio.(*Reader).ReadString") || !strings.Contains(string(text), "main.main") {
		t.Errorf("%d goroutines of the program wait: %s", n, text)
	}
}

// dumpUnderWine runs a program that crashes, dumps it, reads the dump, and returns the dump's path.
func (c *wineCrash) dumpUnderWine(t *testing.T, wine, exe, command string, arch context.Arch) string {
	t.Helper()
	cmd := exec.Command(wine, exe, c.kind)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid, tid string
	var pointers, code, address uint64
	if _, err := fmt.Sscanf(line, "%s %s %x %x %x", &pid, &tid, &pointers, &code, &address); err != nil || uint32(code) != c.code {
		t.Fatalf("%q: %v", line, err)
	}
	path := filepath.Join(t.TempDir(), c.kind+".dmp")
	took := time.Now()
	dumper := exec.Command(wine, command, "dump", pid, "-o", forWine(path), "--thread", tid, "--exception-pointers", fmt.Sprintf("%#x", pointers))
	if out, err := dumper.CombinedOutput(); err != nil || strings.Contains(string(out), "warning") {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("dumped in %v", time.Since(took))
	f := flawless(t, path)
	x, err := f.Exception()
	if err != nil || x.Code != c.code || x.Address != address || strconv.Itoa(int(x.ThreadID)) != tid {
		t.Errorf("%+v %v; the crasher said %s", x, err, line)
	}
	rec, err := f.Context(x.Context)
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := context.Decode(arch, rec, f.Order)
	if err != nil || c.kind != "r" && c.kind != "b" && cpu.PC != address {
		t.Errorf("PC %#x, exception at %#x, %v", cpu.PC, address, err)
	}
	readByStackwalk(t, path, c.reason)
	return path
}

// forWine returns a path as Windows programs spell it.
func forWine(path string) string { return `Z:` + strings.ReplaceAll(path, "/", `\`) }

// flawless opens a dump and checks that the decoder finds no problem.
func flawless(t *testing.T, path string) *stream.File {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Error(p)
	}
	return f
}

// crasherForWine builds the crashing program with mingw for cpu, in mingw's spelling.
func crasherForWine(t *testing.T, dir, cpu string) string {
	t.Helper()
	exe := filepath.Join(dir, "crasher-"+cpu+".exe")
	if out, err := exec.Command(cpu+"-w64-mingw32-gcc", "-g", "-O1", "-Wl,--build-id", "-o", exe, "testdata/windows/crasher.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return exe
}

// commandForWine builds the command.
func commandForWine(t *testing.T, dir, arch string) string {
	t.Helper()
	command := filepath.Join(dir, "minidump-"+arch+".exe")
	build := exec.Command("go", "build", "-o", command, "./cmd/minidump")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH="+arch, "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return command
}

// TestWineServe crashes programs built by mingw under Wine, which request dumps from the command through a named
// pipe.
func TestWineServe(t *testing.T) {
	needWine(t)
	dir := t.TempDir()
	exe, command := crasherForWine(t, dir, "x86_64"), commandForWine(t, dir, "amd64")
	pipe := `\\.\pipe\` + filepath.Base(filepath.Dir(dir)) + strconv.Itoa(os.Getpid())
	serve := exec.Command("wine", command, "serve", "--json", "-o", forWine(dir), pipe)
	messages, err := serve.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	defer func() {
		serve.Process.Kill()
		<-read
		serve.Wait()
	}()
	lines := bufio.NewScanner(messages)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "listening on ") {
		close(read)
		t.Fatalf("%q %v", lines.Text(), lines.Err())
	}
	go func() {
		defer close(read)
		for lines.Scan() {
			t.Logf("the server: %s", lines.Text())
		}
	}()
	for _, c := range crashes {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command("wine", exe, c.kind, pipe)
			out, err := cmd.Output()
			var pid, tid string
			if _, scan := fmt.Sscan(string(out), &pid, &tid); scan != nil {
				t.Fatalf("%q: %v", out, scan)
			}
			if code := cmd.ProcessState.ExitCode(); code == 1 || code == 2 {
				t.Fatalf("the client has no answer: %v", err)
			}
			found, err := filepath.Glob(filepath.Join(dir, "crasher*."+pid+".*.dmp"))
			if err != nil || len(found) != 1 {
				t.Fatalf("dumps %q, %v", found, err)
			}
			if x, err := flawless(t, found[0]).Exception(); err != nil || x.Code != c.code || strconv.Itoa(int(x.ThreadID)) != tid {
				t.Errorf("%+v %v; the crasher said %s", x, err, out)
			}
			readByStackwalk(t, found[0], c.reason)
		})
	}
}

// readByStackwalk checks the name that minidump-stackwalk reports for a crash.
func readByStackwalk(t *testing.T, path, reason string) {
	t.Helper()
	out, err := exec.Command(victims.Tool(t, "minidump-stackwalk"), path).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !strings.Contains(string(out), "Crash reason:") || !strings.Contains(string(out), reason) {
		t.Errorf("not %s: %.600s", reason, out)
	}
	if n := strings.Count(string(out), "\nThread "); n < 4 {
		t.Errorf("%d threads", n)
	}
}

// victimPID returns pid if the process maps the program name, and skips the test otherwise.
func victimPID(t *testing.T, pid int, name string) int {
	t.Helper()
	maps, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "maps"))
	if err != nil || !strings.Contains(string(maps), "/"+name) {
		t.Skipf("process %d does not map %s: %v", pid, name, err)
	}
	return pid
}
