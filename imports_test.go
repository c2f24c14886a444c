//go:build linux

package minidump

import (
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// TestImports checks that a program that only dumps links with neither os nor fmt: their code and tables, and what os
// allocates at the start of a program, use a tenth of a megabyte of memory.
func TestImports(t *testing.T) {
	for _, name := range []string{".", "./context", "./elf", "./procfs", "./ptrace", "./stream"} {
		deps := strings.Fields(goList(t, "linux", "-deps", name))
		for _, p := range []string{"os", "fmt"} {
			if slices.Contains(deps, p) {
				t.Errorf("%s imports %s, directly or through another package", name, p)
			}
		}
	}
}

// layers has every package of the module, except those only for tests, with the packages of the module that it may
// import. Leaves import none except sys and errtext; the encoder imports no source; a source imports neither the root
// nor the writers above it. docs/design.md has the same table.
var layers = map[string]string{
	"internal/sys":     "",
	"internal/errtext": "",
	"internal/newfile": "internal/errtext",

	"internal/unixsocket": "",
	"internal/deadline":   "",

	"internal/dumpfile": "internal/newfile",

	"stream":       "internal/errtext",
	"context":      "internal/errtext",
	"context/insn": "context",
	"elf":          "",
	"macho":        "",
	"pe":           "",
	"procfs":       "internal/sys internal/errtext",
	"ptrace":       "internal/sys internal/errtext",
	"mach":         "internal/errtext",

	"stackwalk": "stream context context/insn macho",

	"internal/arena":        "internal/sys internal/errtext",
	"internal/snapshot":     "internal/arena internal/errtext" + leaves,
	"internal/images":       "internal/arena internal/snapshot internal/errtext" + leaves,
	"internal/goruntime":    "internal/arena internal/snapshot internal/errtext" + leaves,
	"internal/encode":       "internal/arena internal/snapshot internal/errtext" + leaves,
	"internal/corefile":     "internal/newfile" + below,
	"internal/linux":        "internal/sys internal/corefile internal/encode ptrace" + below, // encode: the size of its buffer
	"internal/darwin":       "internal/sys mach" + below,
	"internal/windows":      "internal/windows/hook" + below,
	"internal/windows/hook": "internal/errtext",
	"internal/windows/dll":  "pe",
	"internal/windows/wer":  "internal/windows internal/windows/dll internal/newfile pe",

	"": "internal/sys internal/newfile internal/encode internal/corefile internal/linux internal/darwin internal/windows " +
		"internal/windows/hook mach" + below,
	"run":                 above + " internal/newfile internal/dumpfile internal/deadline",
	"crash":               above + " goroutines mach internal/darwin internal/newfile internal/dumpfile internal/windows internal/windows/hook internal/windows/wer internal/arena internal/snapshot internal/goruntime crash/internal/hook",
	"crash/frames":        "crash/internal/hook internal/backtrace stream",
	"crash/internal/hook": "",
	"server":              above + " mach internal/dumpfile internal/unixsocket internal/deadline",
	"goroutines":          "internal/goruntime",
	"process":             "internal/snapshot internal/linux internal/darwin internal/windows internal/errtext" + leaves,
	"symbol":              "elf macho pe symbol/demangle symbol/internal/dwarf symbol/internal/breakpad symbol/internal/xz",

	"symbol/demangle":          "",
	"symbol/internal/dwarf":    "",
	"symbol/internal/breakpad": "",
	"symbol/internal/xz":       "",

	"internal/backtrace": "stackwalk symbol symbol/demangle symbol/internal/dwarf symbol/internal/breakpad symbol/internal/xz context/insn internal/sys internal/errtext" + leaves,

	"cmd/minidump": above + " run crash server goroutines context/insn internal/newfile internal/dumpfile internal/unixsocket internal/deadline internal/windows/wer " +
		"internal/backtrace stackwalk symbol symbol/demangle symbol/internal/dwarf symbol/internal/breakpad symbol/internal/xz",
}

const (
	leaves = " stream context elf macho pe procfs"
	below  = " internal/arena internal/snapshot internal/images internal/goruntime internal/errtext" + leaves
	above  = ". internal/sys internal/errtext ptrace" + leaves // the root and the public packages
)

// forTests are the folders whose packages are for tests, measurements and releases. They may import anything, and
// nothing else imports them.
var forTests = []string{"internal/bench", "internal/corefile/coretest", "internal/gate", "internal/macos", "internal/scratch",
	"internal/sys/hang", "internal/victims", "internal/vm", "internal/wine", "packaging/sbom"}

// TestLayers checks the imports of all packages against layers, on each system.
func TestLayers(t *testing.T) {
	const module = "minidump"
	for _, system := range []string{"linux", "darwin", "windows"} {
		for line := range strings.Lines(goList(t, system, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")) {
			fields := strings.Fields(line)
			name := strings.TrimPrefix(strings.TrimPrefix(fields[0], module), "/")
			if isForTests(name) {
				continue
			}
			allowed, ok := layers[name]
			if !ok {
				t.Errorf("package %s is in no layer: add it to the table here and to docs/design.md", name)
			}
			for _, imported := range fields[1:] {
				if imported == module {
					imported = "."
				} else if imported, ok = strings.CutPrefix(imported, module+"/"); !ok {
					continue
				}
				if !slices.Contains(strings.Fields(allowed), imported) {
					t.Errorf("%s: package %s must not import %s", system, path.Join(module, name), imported)
				}
			}
		}
	}
}

func isForTests(name string) bool {
	return slices.ContainsFunc(forTests, func(folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") })
}

// goList runs go list for a system, without cgo.
func goList(t *testing.T, system string, args ...string) string {
	t.Helper()
	goCommand := tool(t, "go")
	if _, err := os.Stat("go.mod"); err != nil {
		t.Skipf("no source tree here: %v", err)
	}
	t.Setenv("GOOS", system)
	t.Setenv("GOARCH", "amd64")
	t.Setenv("CGO_ENABLED", "0")
	return output(t, goCommand, append([]string{"list"}, args...)...)
}
