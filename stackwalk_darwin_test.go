package minidump_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"minidump"
	"minidump/mach"
)

// outside returns the path of a program of another project.
func outside(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

func run(t *testing.T, env []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// A faultDump is the dump of testdata/darwinfault, made from the message about its fault.
type faultDump struct {
	program, path string
	pid           int
	minidump.Result
}

func dumpFault(t *testing.T) (d faultDump) {
	t.Helper()
	dir := t.TempDir()
	d.program, d.path = filepath.Join(dir, "darwinfault"), filepath.Join(dir, "x.dmp")
	// dump_syms finds no function in the compressed DWARF of a Mach-O file.
	run(t, []string{"CGO_ENABLED=0", "GOOS=darwin", "GOARCH=" + runtime.GOARCH}, outside(t, "go"),
		"build", "-ldflags=-compressdwarf=false", "-o", d.program, "./testdata/darwinfault")
	v := startProgram(t, d.program)
	if line := v.line(t); line != "ready\n" {
		t.Fatalf("%q", line)
	}
	h := handle(t, v, mach.EXC_BAD_ACCESS.Mask(), mach.EXCEPTION_DEFAULT)
	v.say(t)
	h.receive()
	var err error
	if d.Result, err = h.writer(minidump.Options{}).DumpFile(d.path); err != nil {
		t.Fatal(err)
	}
	d.pid = v.pid
	h.reply(mach.KERN_FAILURE)
	return d
}

// TestLLDB checks what LLDB reads in the dump of a crashed program: the reason, the functions on the stack, the
// images by UUID.
func TestLLDB(t *testing.T) {
	lldb := outside(t, "lldb")
	d := dumpFault(t)
	out := string(run(t, nil, lldb, "--batch", "-o", "target create -c "+d.path, "-o", "bt", "-o", "image list"))
	uuid := uuidOf(t, d.program)
	at := 0
	for _, want := range []string{
		"stop reason = EXC_BAD_ACCESS (code=1, address=0x88)", "darwinfault`main.fault", "darwinfault`main.middle",
		"darwinfault`main.main",
		uuid[:8] + "-" + uuid[8:12] + "-" + uuid[12:16] + "-" + uuid[16:20] + "-" + uuid[20:],
	} {
		n := strings.Index(out[at:], want)
		if n < 0 {
			t.Fatalf("no %q in its place:\n%s", want, out)
		}
		at += n
	}
}

// TestStackwalk checks what rust-minidump's minidump-stackwalk reads in that dump, with symbols from Mozilla's
// dump_syms.
func TestStackwalk(t *testing.T) {
	walker, symbols := outside(t, "minidump-stackwalk"), outside(t, "dump_syms")
	d := dumpFault(t)
	syms := t.TempDir()
	run(t, nil, symbols, "-s", syms, d.program)

	var r struct {
		Status    string
		PID       int
		CrashInfo struct {
			Type, Address  string
			CrashingThread *int `json:"crashing_thread"` // index
		} `json:"crash_info"`
		Modules []struct {
			Filename      string
			DebugID       string `json:"debug_id"`
			LoadedSymbols bool   `json:"loaded_symbols"`
		}
		SystemInfo struct {
			OS      string
			CPUArch string `json:"cpu_arch"`
		} `json:"system_info"`
		Threads []struct {
			Frames []struct {
				Function, File, Module string
				Line                   int
			}
		}
	}
	if err := json.Unmarshal(run(t, nil, walker, "--json", "--symbols-path", syms, d.path), &r); err != nil {
		t.Fatal(err)
	}
	if r.Status != "OK" || r.PID != d.pid || r.CrashInfo.Type != "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS" ||
		!slices.Contains([]string{"0x88", "0x0000000000000088"}, r.CrashInfo.Address) {
		t.Errorf("status %s, pid %d, crash %+v", r.Status, r.PID, r.CrashInfo)
	}
	if r.SystemInfo.OS != "Mac OS X" || r.SystemInfo.CPUArch != runtime.GOARCH {
		t.Errorf("system %+v", r.SystemInfo)
	}
	if len(r.Modules) != d.Modules || !r.Modules[0].LoadedSymbols || r.Modules[0].Filename != "darwinfault" ||
		r.Modules[0].DebugID != uuidOf(t, d.program)+"0" {
		t.Errorf("modules %+v; LC_UUID %s", r.Modules, uuidOf(t, d.program))
	}
	if len(r.Threads) != d.Threads || r.CrashInfo.CrashingThread == nil {
		t.Fatalf("%d threads of %d, crashing %v", len(r.Threads), d.Threads, r.CrashInfo.CrashingThread)
	}
	frames := r.Threads[*r.CrashInfo.CrashingThread].Frames
	for i, want := range []string{"main.fault", "main.middle", "main.main", "runtime.main"} {
		if len(frames) <= i || frames[i].Function != want || frames[i].Line == 0 || i < 3 && filepath.Base(frames[i].File) != "main.go" {
			t.Errorf("frames %+v, want %s as frame %d", frames, want, i)
			break
		}
	}
}
