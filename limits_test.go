package minidump

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestLimitsTable compares docs/limits.md with the constants that it names, and checks that it has every default of
// Options.
func TestLimitsTable(t *testing.T) {
	text, err := os.ReadFile("docs/limits.md")
	if err != nil {
		t.Skipf("no source tree here: %v", err)
	}
	named := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		file, name, ok := strings.Cut(strings.TrimSuffix(cells[len(cells)-1], " |"), " ")
		if !ok || filepath.Ext(file) != ".go" {
			continue
		}
		named[name] = true
		want, err := quantity(cells[1])
		if err != nil {
			t.Errorf("%s: %v", cells[0], err)
			continue
		}
		got, err := constantOf(filepath.FromSlash(file), name)
		if err != nil || got != want {
			t.Errorf("%s: the table has %s, %s in %s is %d (%v)", cells[0], cells[1], name, file, got, err)
		}
	}
	for _, name := range []string{"DefaultStackLimit", "DefaultCrashStackLimit", "DefaultStopTimeout"} {
		if !named[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if len(named) < 30 {
		t.Errorf("only %d rows name a constant", len(named))
	}
}

// quantity parses a number with an optional unit of bytes or of time; times are returned in nanoseconds.
func quantity(text string) (int64, error) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	return n * map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "ms": 1e6, "s": 1e9, "m": 60e9}[unit], err
}

var units = regexp.MustCompile(`time\.\w+`)

// constantOf evaluates a constant of a source file: a number, or a string that contains one.
func constantOf(file, name string) (int64, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, source, 0)
	if err != nil {
		return 0, err
	}
	var text string
	ast.Inspect(tree, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 && spec.Names[0].Name == name {
			text = string(source[files.Position(spec.Values[0].Pos()).Offset:files.Position(spec.Values[0].End()).Offset])
		}
		return true
	})
	text = units.ReplaceAllStringFunc(text, func(unit string) string {
		return map[string]string{"time.Millisecond": "1000000", "time.Second": "1000000000", "time.Minute": "60000000000"}[unit]
	})
	v, err := types.Eval(files, nil, token.NoPos, text)
	if err != nil {
		return 0, err
	}
	if v.Value.Kind() == constant.String {
		return strconv.ParseInt(constant.StringVal(v.Value), 10, 64)
	}
	n, _ := constant.Int64Val(constant.ToInt(v.Value))
	return n, nil
}
