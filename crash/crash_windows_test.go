package crash

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"minidump/internal/scratch"
	"minidump/internal/victims"
	"minidump/stream"
)

// victimVariable is an environment variable, "FOLDER|KIND". If it is set, TestMain is the program that crashes, or its monitor.
const victimVariable = "MINIDUMP_CRASH_VICTIM"

func TestMain(m *testing.M) {
	if v := os.Getenv(victimVariable); v != "" {
		dir, kind, _ := strings.Cut(v, "|")
		victim(dir, kind)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func victim(dir, kind string) {
	done := func(text string) { _ = os.WriteFile(filepath.Join(dir, "done"), []byte(text), 0o600) }
	err := Start(Options{
		Debugger: strings.HasPrefix(kind, "debugged "), WERModule: os.Getenv(moduleVariable),
		Dir: dir, Keep: 5, Annotations: map[string]string{"version": "1.2.3"},
		OnDump: func(path string) { done(path) }, OnEnd: func(End) { done("end") },
	})
	if rest, ok := strings.CutPrefix(kind, "no module "); ok {
		if !errors.Is(err, ErrWERModule) {
			panic(err)
		}
		kind, err = rest, nil
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(70)
	}
	if err := Start(Options{Dir: dir}); !errors.Is(err, ErrStarted) {
		panic(err)
	}
	if err := SetAnnotation("user", "somebody"); err != nil {
		panic(err)
	}
	for range 3 {
		go func() { select {} }()
	}
	rest, debugged := strings.CutPrefix(kind, "debugged ")
	if other, ok := strings.CutPrefix(kind, "wer "); ok { // the test attaches
		rest, debugged = other, true
		announce()
	}
	if debugged {
		present := windows.NewLazySystemDLL("kernel32.dll").NewProc("IsDebuggerPresent")
		for range 1000 {
			if on, _, _ := present.Call(); on != 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(300 * time.Millisecond) // until the debugger has handled the events of all threads and libraries
		kind = rest
	}
	act(dir, kind)
}

// foreign crashes on a thread that Go did not create.
func foreign(how string) {
	_, _ = windows.WaitForSingleObject(victims.RunForeign(victims.FaultCode(how)), 20000)
}

// deeper recurses until the stack overflows.
func deeper(n int) int {
	if n < 0 {
		return 0
	}
	return deeper(n+1) + n
}

func act(dir, kind string) {
	switch kind {
	case "panic":
		panic("boom")
	case "goroutine":
		go func() { panic("boom in a goroutine") }()
		select {}
	case "nil":
		var m *struct{ big [64]int }
		println(m.big[9])
	case "map":
		m := map[int]int{}
		for range 4 {
			go func() {
				for j := 0; ; j++ {
					m[j] = j
				}
			}()
		}
		select {}
	case "unlock":
		new(sync.Mutex).Unlock()
	case "divide":
		println(1 / len(os.Getenv("MINIDUMP_NOTHING")))
	case "overflow":
		debug.SetMaxStack(1 << 20)
		println(deeper(1))
	case "deadlock":
		select {}
	case "load", "ud2", "int29":
		foreign(kind)
	case "foreign overflow", "foreign divide":
		foreign(strings.TrimPrefix(kind, "foreign "))
	case "failfast":
		_, _, _ = windows.NewLazySystemDLL("kernel32.dll").NewProc("RaiseFailFastException").Call(0, 0, 0)
	case "abort":
		_, _, _ = windows.NewLazySystemDLL("msvcrt.dll").NewProc("abort").Call()
	case "exit":
		os.Exit(3)
	case "recovered":
		func() {
			defer func() { _ = recover() }()
			panic("recovered")
		}()
	case "dump":
		path, r, err := Dump()
		fmt.Println(path, r.Threads, err)
	}
}

// crash runs a victim that crashes, and waits until its monitor is done. It returns the dump's path, or "end" if there is none, the
// exit code and the output.
func crash(t *testing.T, kind string) (done string, exit uint32, out string) {
	t.Helper()
	dir := scratch.Dir(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe)
	c.Env = append(os.Environ(), victimVariable+"="+dir+"|"+kind)
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	c.WaitDelay = 20 * time.Second
	_ = c.Run()
	if done = waitDone(dir); done == "" {
		t.Fatalf("%s: the monitor has not ended: %s", kind, b.String())
	}
	return done, uint32(c.ProcessState.ExitCode()), b.String()
}

func TestCrashes(t *testing.T) {
	const violation = uint32(windows.STATUS_ACCESS_VIOLATION)
	for _, c := range []struct {
		kind      string
		says      string // KeyKind
		report    string // what KeyReport begins with
		code      uint32 // of the exception
		exit      uint32
		registers string
	}{
		{"panic", "panic", "panic: boom", goPanic, 2, "report"},
		{"goroutine", "panic", "panic: boom in a goroutine", goPanic, 2, "report"},
		{"nil", "panic", "panic: runtime error: invalid memory address", violation, 2, "report"},
		{"map", "fatal error", "fatal error: concurrent map writes", goPanic, 2, "report"},
		{"unlock", "fatal error", "fatal error: sync: unlock of unlocked mutex", goPanic, 2, "report"},
		// Compiled code compares the divisor with zero first: there is no exception.
		{"divide", "panic", "panic: runtime error: integer divide by zero", goPanic, 2, "report"},
		{"overflow", "fatal error", "fatal error: stack overflow", goPanic, 2, "report"},
		{"deadlock", "fatal error", "", goPanic, 2, "report"},
		{"foreign divide", "exception", "", uint32(windows.STATUS_INTEGER_DIVIDE_BY_ZERO), uint32(windows.STATUS_INTEGER_DIVIDE_BY_ZERO), "fault"},
		// Under Wine only the thread ends.
		{"foreign overflow", "exception", "", uint32(windows.STATUS_STACK_OVERFLOW), 0, "fault"},
		{"debugged int29", "exception", "", uint32(windows.STATUS_STACK_BUFFER_OVERRUN), uint32(windows.STATUS_STACK_BUFFER_OVERRUN), "fault"},
		{"debugged ud2", "exception", "", uint32(windows.STATUS_ILLEGAL_INSTRUCTION), uint32(windows.STATUS_ILLEGAL_INSTRUCTION), "fault"},
		{"debugged nil", "panic", "panic: runtime error: invalid memory address", violation, 2, "report"},
		{"load", "exception", "", violation, violation, "fault"},
		{"ud2", "exception", "", uint32(windows.STATUS_ILLEGAL_INSTRUCTION), uint32(windows.STATUS_ILLEGAL_INSTRUCTION), "fault"},
		{"abort", "exception", "", 0x40000015, 3, "fault"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			if c.kind == "foreign divide" {
				victims.SkipFault(t, "divide")
			}
			path, exit, out := crash(t, c.kind)
			if path == "end" {
				t.Fatalf("no dump: %s", out)
			}
			if exit != c.exit {
				t.Errorf("exit code %#x, want %#x: %s", exit, c.exit, out)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			d, err := stream.OpenFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range stream.Problems(d) {
				t.Errorf("problem: %s", p)
			}
			e, err := d.Exception()
			if err != nil || e.Code != c.code || e.ThreadID == 0 || e.Context.DataSize == 0 {
				t.Errorf("exception %+v, want code %#x: %v", e, c.code, err)
			}
			if c.kind == "load" && (e.NumberParameters != 2 || e.Information[1] != 0x1230) {
				t.Errorf("parameters %#x", e.Information[:e.NumberParameters])
			}
			threads, err := d.Threads()
			found := false
			for _, th := range threads {
				found = found || th.ThreadID == e.ThreadID
			}
			if err != nil || !found || len(threads) < 3 {
				t.Errorf("%d threads, that of the exception among them: %v; %v", len(threads), found, err)
			}
			info, err := d.CrashpadInfo()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, a := range info.Annotations {
				got[a.Key] = a.Value
			}
			if got["version"] != "1.2.3" || got["user"] != "somebody" || got[KeyKind] != c.says || got[KeyRegisters] != c.registers ||
				!strings.HasPrefix(got[KeyReport], c.report) {
				t.Errorf("annotations %q", got)
			}
			text, err := d.Stream(TextStream)
			if c.registers == "report" && (err != nil || !strings.Contains(string(text), "goroutine ")) {
				t.Errorf("text %q: %v", text, err)
			}
		})
	}
}

func TestNoCrash(t *testing.T) {
	// A fail-fast exception reaches no handler: the monitor sees only the end.
	for kind, want := range map[string]uint32{"exit": 3, "recovered": 0, "failfast": 0xc0000602, "int29": uint32(windows.STATUS_STACK_BUFFER_OVERRUN),
		"debugged exit": 3, "debugged recovered": 0} {
		if done, exit, out := crash(t, kind); done != "end" || exit != want {
			t.Errorf("%s: %s, exit code %d: %s", kind, done, exit, out)
		}
	}
}

func TestDump(t *testing.T) {
	done, _, out := crash(t, "dump")
	path, rest, _ := strings.Cut(strings.TrimSpace(out), " ")
	if done != "end" || !strings.HasSuffix(rest, "<nil>") {
		t.Fatalf("%s: %s", done, out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := stream.OpenFile(f); err != nil {
		t.Error(err)
	}
}
