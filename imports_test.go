//go:build linux

package minidump

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestImports holds that the packages a program that only dumps is linked with need neither os nor fmt: what os makes
// when a program starts, and the tables and the code of both, are a tenth of a megabyte of memory.
func TestImports(t *testing.T) {
	goCommand := tool(t, "go")
	if _, err := os.Stat("go.mod"); err != nil {
		t.Skipf("no source tree here: %v", err)
	}
	t.Setenv("GOOS", "linux")
	t.Setenv("CGO_ENABLED", "0")
	for _, name := range []string{".", "./context", "./elf", "./procfs", "./ptrace", "./stream"} {
		deps := strings.Fields(output(t, goCommand, "list", "-deps", name))
		for _, p := range []string{"os", "fmt"} {
			if slices.Contains(deps, p) {
				t.Errorf("%s imports %s, by itself or through another package", name, p)
			}
		}
	}
}
