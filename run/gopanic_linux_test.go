package run

import (
	"os"
	"runtime"
	"testing"

	"minidump/context"
	_ "minidump/goroutines"
	"minidump/internal/victims"
	"minidump/stream"
)

// TestGoPanic runs Go programs that end with status 2: there is a dump if the runtime ended the program, and it is
// about that end.
func TestGoPanic(t *testing.T) {
	for _, c := range []struct {
		kind    string
		dumps   int
		signal  string // of the exception
		message string // of the panic
		top     string // the innermost function of the program itself
	}{
		{"panic", 1, "", "gocrash", "main.main"},
		{"nil", 1, "SIGSEGV", "runtime error: invalid memory address or nil pointer dereference", "main.level3"},
		{"goroutine", 1, "SIGSEGV", "runtime error: invalid memory address or nil pointer dereference", "main.level3"},
		{"exit2", 0, "", "", ""},
		{"recovered", 0, "", "", ""},
	} {
		for _, cgo := range []string{"0", "1"} {
			t.Run(c.kind+" cgo="+cgo, func(t *testing.T) {
				if runtime.GOARCH == "386" && (cgo == "1" || c.kind == "exit2") {
					t.Skip("no C library of 32 bits; and registers do not lead to g: each status 2 counts as a panic")
				}
				program := victims.Go(t, "gocrash", "CGO_ENABLED="+cgo)
				if w := runWatched(t, Options{IgnorePanics: true}, program, c.kind); len(w.Dumps) != 0 {
					t.Errorf("IgnorePanics: %d dumps", len(w.Dumps))
				}
				w := runWatched(t, Options{}, program, c.kind)
				if len(w.Dumps) != c.dumps {
					t.Fatalf("%d dumps, not %d\n%s", len(w.Dumps), c.dumps, w.out)
				}
				if c.dumps == 0 {
					return
				}
				d := w.Dumps[0]
				if d.Err != nil || d.ExitCode != 2 || w.ExitCode != 2 {
					t.Fatalf("%+v", d)
				}
				if c.signal != "" && (d.Crash == nil || context.SignalNameArch(d.Crash.Arch, d.Crash.Signo) != c.signal) {
					t.Errorf("crash %+v, not %s", d.Crash, c.signal)
				}
				file, err := os.Open(d.Path)
				if err != nil {
					t.Fatal(err)
				}
				f, err := stream.OpenFile(file)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				l, err := f.Goroutines()
				if err != nil {
					t.Fatal(err)
				}
				g := l.Groups(false)[0].Goroutines[0]
				if len(g.Panics) != 1 || g.Panics[0].Value != c.message {
					t.Errorf("panics %+v, not %q", g.Panics, c.message)
				}
				shown := g.Shown()
				for len(shown) > 0 && shown[0].Name() == "panic" {
					shown = shown[1:]
				}
				if len(shown) == 0 || shown[0].Function != c.top {
					t.Errorf("frames %+v, not in %s", shown, c.top)
				}
				// The dump has the goroutine's stack from where the goroutine left it, above the panicking functions.
				b := make([]byte, g.StackDepth)
				if n, _ := f.ReadMemory(g.StackLo+uint64(g.StackSize-g.StackDepth), b); n != len(b) || n == 0 {
					t.Errorf("%d of %d bytes of the goroutine's stack", n, len(b))
				}
			})
		}
	}
}
