//go:build linux

package victims

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// narrow is the folder of the programs of NarrowArch on a machine without compilers.
var narrow = os.Getenv("MINIDUMP_VICTIMS_NARROW")

// NarrowArches maps 64-bit architectures to the 32-bit ones whose programs their kernels also run.
var NarrowArches = map[string]string{"amd64": "386", "arm64": "arm", "mips64": "mips", "mips64le": "mipsle", "ppc64": "ppc"}

// NarrowArch returns the 32-bit architecture that this machine also runs, and skips the test if there is none.
func NarrowArch(t testing.TB) string {
	t.Helper()
	goarch := NarrowArches[runtime.GOARCH]
	if goarch == "" {
		t.Skip("this kernel runs nothing narrower")
	}
	return goarch
}

// Narrow is C, or Go, for the architecture NarrowArch. name is the name of the source file without its extension.
func Narrow(t testing.TB, name string) string {
	t.Helper()
	goarch := NarrowArch(t)
	switch {
	case narrow != "":
		path := filepath.Join(narrow, name)
		if _, err := os.Stat(path); err != nil {
			t.Skipf("victims: not built beforehand: %v", err)
		}
		return copyProgram(t, path, name)
	case prebuilt != "":
		t.Skip("victims: no 32-bit programs in this machine")
	case strings.HasPrefix(name, "go"):
		return Go(t, name, "GOARCH="+goarch)
	}
	return CrossC(t, goarch, name+".c", "-pthread")
}
