//go:build amd64 || 386

package wer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"minidump/internal/victims"
)

// Tools that nobody here wrote read the library without complaint. They are for x86 alone, as binutils of Debian 12 know no images of
// arm64.
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
