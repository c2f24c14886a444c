package context

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// noteConstants parses a file of this module and returns the constants whose names begin with NT_.
func noteConstants(t *testing.T, path string) map[string]uint64 {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]uint64)
	for _, d := range file.Decls {
		d, ok := d.(*ast.GenDecl)
		if !ok || d.Tok != token.CONST {
			continue
		}
		for _, s := range d.Specs {
			s := s.(*ast.ValueSpec)
			for i, name := range s.Names {
				if !strings.HasPrefix(name.Name, "NT_") || i >= len(s.Values) {
					continue
				}
				if lit, ok := s.Values[i].(*ast.BasicLit); ok {
					v, err := strconv.ParseUint(lit.Value, 0, 64)
					if err != nil {
						t.Fatal(err)
					}
					found[name.Name] = v
				}
			}
		}
	}
	return found
}

// TestNoteTypes compares the note types with the headers of the kernel and of the C library. Headers may be older than a
// constant, so a missing name is no failure.
func TestNoteTypes(t *testing.T) {
	if _, err := os.Stat("notes.go"); err != nil {
		t.Skipf("no source tree here: %v", err)
	}
	ours := noteConstants(t, "notes.go")
	for name, v := range noteConstants(t, "../elf/note.go") {
		if name != "NT_GO_BUILD_ID" { // of the Go linker, in no header
			ours[name] = v
		}
	}
	define := regexp.MustCompile(`(?m)^#\s*define\s+(NT_\w+)\s+(\w+)`)
	read := false
	for _, path := range []string{"/usr/include/linux/elf.h", "/usr/include/elf.h"} {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		read = true
		theirs := make(map[string]uint64)
		for _, m := range define.FindAllStringSubmatch(string(b), -1) {
			if v, err := strconv.ParseUint(m[2], 0, 64); err == nil {
				theirs[m[1]] = v
			}
		}
		lacking := 0
		for name, v := range ours {
			switch want, ok := theirs[name]; {
			case !ok:
				lacking++
			case v != want:
				t.Errorf("%s is %#x, in %s %#x", name, v, path, want)
			}
		}
		if lacking > len(ours)/2 {
			t.Errorf("%s has only %d of %d note types: is it what this test reads?", path, len(ours)-lacking, len(ours))
		}
	}
	if !read {
		t.Skip("no header here: neither linux/elf.h nor elf.h")
	}
}

// TestNoteTypesOnce reports note types that are declared in more than one place in the module.
func TestNoteTypesOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads the whole source tree, which is the same everywhere")
	}
	if _, err := os.Stat("../go.mod"); err != nil {
		t.Skipf("no source tree here: %v", err)
	}
	where := make(map[string]string)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		for name := range noteConstants(t, path) {
			if before := where[name]; before != "" {
				t.Errorf("%s is declared in %s and in %s", name, before, path)
			}
			where[name] = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if where["NT_PRSTATUS"] == "" || where["NT_GNU_BUILD_ID"] == "" {
		t.Errorf("found %d note types, not those of context and elf", len(where))
	}
}
