package symbol

import (
	stdelf "debug/elf"
	"debug/gosym"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"minidump/internal/victims"
)

const goProgram = `package main

import (
	"fmt"
	"os"
)

type shape interface{ area(n int) int }

type square struct{ side int }

//go:noinline
func (s *square) area(n int) int { return small(s.side) * n }

func small(x int) int { return x*x + len(os.Args) }

//go:noinline
func generic[T any](x T) string { return fmt.Sprint(x) }

func main() {
	var s shape = &square{len(os.Args)}
	fmt.Println(s.area(2), generic(3), func() int { return os.Getpid() }())
}
`

// buildGo compiles goProgram with an id, for a system and an architecture.
func buildGo(t testing.TB, env []string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(goProgram), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "prog")
	cmd := exec.Command(victims.Tool(t, "go"), append(append([]string{"build"}, flags...), "-o", out, "main.go")...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="), env...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %q: %v\n%s", flags, err, msg)
	}
	return out
}

// mapped returns a Sources that accepts the file at path for a module without an id.
func mapped(path string) Sources {
	return Sources{Files: func(Module) (string, bool) { return path, true }}
}

func TestGo(t *testing.T) {
	for _, c := range []struct {
		name    string
		env     []string
		flags   []string
		inlined bool
	}{
		{"plain", nil, nil, true},
		{"no-compression", nil, []string{"-ldflags=-compressdwarf=0"}, true},
		{"stripped", nil, []string{"-ldflags=-s -w"}, false},
		{"pie", nil, []string{"-buildmode=pie"}, true},
		{"pie-stripped", nil, []string{"-buildmode=pie", "-ldflags=-s -w"}, false},
		{"cgo-linked", []string{"CGO_ENABLED=1"}, []string{"-ldflags=-linkmode=external"}, true},
		{"cgo-stripped", []string{"CGO_ENABLED=1"}, []string{"-ldflags=-linkmode=external -s -w"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if a := runtime.GOARCH; a != "amd64" && a != "arm64" && (c.env != nil || strings.HasPrefix(c.name, "pie")) {
				t.Skipf("it needs a C compiler for %s", a)
			}
			if c.name == "pie" {
				victims.SkipCross(t, "linux", "other") // compiles the standard library again
			}
			if c.env != nil {
				victims.Tool(t, "gcc")
			}
			path := buildGo(t, c.env, c.flags...)
			table := load(t, mapped(path), Module{})
			functions := goFunctions(t, path, table)
			for _, want := range []string{"main.main", "main.(*square).area", "main.generic[go.shape.int]", "runtime.mallocgc"} {
				if !functions[want] {
					t.Errorf("%s is missing", want)
				}
			}
			if functions["inlined main.small"] != c.inlined {
				t.Errorf("main.small is inlined: %v", !c.inlined)
			}
		})
	}
}

// goFunctions returns the functions of a program whose file and line are known.
func goFunctions(t *testing.T, path string, table *Table) map[string]bool {
	t.Helper()
	addrs, base := codeAddresses(t, path, 8)
	found := map[string]bool{}
	start := time.Now()
	for _, a := range addrs {
		for _, f := range table.Lookup(a - base) {
			if f.Line > 0 && (strings.HasSuffix(f.File, ".go") || strings.HasSuffix(f.File, ".s")) {
				if found[f.Function] = true; f.Inlined {
					found["inlined "+f.Function] = true
				}
			}
		}
	}
	t.Logf("%d lookups in %v, %d functions", len(addrs), time.Since(start), len(found))
	return found
}

// TestGoLines compares Go's own table with the debug information of the same program.
func TestGoLines(t *testing.T) {
	path := buildGo(t, nil)
	full := load(t, mapped(path), Module{})
	bare := load(t, mapped(path), Module{})
	bare.namers = bare.namers[1:]
	addrs, base := codeAddresses(t, path, 64)
	equal, all := 0, 0
	for _, a := range addrs {
		x, y := full.Lookup(a-base), bare.Lookup(a-base)
		if len(x) == 0 || len(y) == 0 || x[0].Line == 0 {
			continue
		}
		all++
		if x[0].Line == y[0].Line && x[0].File == y[0].File && (x[len(x)-1].Function == y[0].Function || strings.Contains(y[0].Function, "[...]")) {
			equal++
		} else if all-equal < 5 {
			t.Logf("%#x: %+v, %+v", a, x, y)
		}
	}
	t.Logf("%d of %d are equal", equal, all)
	if all < 1000 || equal < all*97/100 {
		t.Errorf("only %d of %d are equal", equal, all)
	}
}

// TestPclntab compares Go's table with what debug/gosym reads from it, for the first and last byte of each function.
func TestPclntab(t *testing.T) {
	path := buildGo(t, nil)
	f, err := stdelf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := f.Section(".gopclntab").Data()
	if err != nil {
		t.Fatal(err)
	}
	text := f.Section(".text").Addr
	want, err := gosym.NewTable(nil, gosym.NewLineTable(b, text))
	if err != nil {
		t.Fatal(err)
	}
	table := newPclntab(b, f.ByteOrder, text)
	for _, fn := range want.Funcs {
		for _, addr := range []uint64{fn.Entry, (fn.Entry + fn.End) / 2, fn.End - 1} {
			file, line, _ := want.PCToLine(addr)
			got, ok := table.find(addr)
			if !ok || table.name(got) != fn.Name || got.entry != fn.Entry {
				t.Fatalf("%#x: %v %q, want %q", addr, ok, table.name(got), fn.Name)
			}
			if gotFile, gotLine := table.line(got, addr); gotFile != file || gotLine != max(line, 0) {
				t.Errorf("%#x: %s:%d, want %s:%d", addr, gotFile, gotLine, file, line)
			}
		}
	}
	t.Logf("%d functions", len(want.Funcs))
}
