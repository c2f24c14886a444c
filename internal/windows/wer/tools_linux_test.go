//go:build amd64 || 386 || arm64

package wer

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"minidump/internal/victims"
)

// TestTools reads the library with tools of other projects: they report no problem, and list all its imports and exports.
func TestTools(t *testing.T) {
	path := filepath.Join(t.TempDir(), "module.dll")
	if err := os.WriteFile(path, image(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"objdump", "-d", "-p"},
		{"llvm-readobj", "--file-headers", "--sections", "--coff-imports", "--coff-exports", "--coff-basereloc", "--unwind"},
	} {
		t.Run(args[0], func(t *testing.T) {
			if args[0] == "objdump" && runtime.GOARCH == "arm64" {
				t.Skip("objdump of Debian 12 reads no images of arm64")
			}
			text := victims.Output(t, victims.Tool(t, args[0]), append(args[1:], path)...)
			for _, complaint := range []string{"(bad)", "warning", "error"} {
				if strings.Contains(text, complaint) {
					t.Errorf("%q: %s", complaint, text)
				}
			}
			for _, name := range append(slices.Clone(imports), exported...) {
				if !strings.Contains(text, name) {
					t.Errorf("no %s: %s", name, text)
				}
			}
		})
	}
}
