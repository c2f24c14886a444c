package symbol

import (
	"os"
	"path/filepath"
	"testing"

	"minidump/internal/victims"
)

// TestDumpSyms compares a symbol file with the debug information, for all addresses of a program.
func TestDumpSyms(t *testing.T) {
	path := compile(t, "gcc", program, "-O2", "-g", "-Wl,--build-id")
	m := moduleOf(t, path)
	dir := t.TempDir()
	run(t, victims.Tool(t, "dump_syms"), "--inlines", "-o", filepath.Join(dir, "prog.sym"), path)
	full := load(t, Sources{}, m)
	addrs, base := codeAddresses(t, path, 1)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	table := load(t, Sources{Dirs: []string{dir}}, m)
	equal, all := 0, 0
	for _, a := range addrs {
		want := full.Lookup(a - base)
		if len(want) == 0 || want[0].Line == 0 {
			continue
		}
		got := table.Lookup(a - base)
		same := len(got) == len(want)
		for i := 0; same && i < len(got); i++ {
			g, w := got[i], want[i]
			same = g.Function == w.Function && g.Line == w.Line && g.File == w.File && g.Inlined == w.Inlined
		}
		if all++; same {
			equal++
		} else if all-equal < 6 {
			t.Logf("%#x: %+v, want %+v", a, got, want)
		}
	}
	t.Logf("%d of %d are equal", equal, all)
	if all < 100 || equal < all*95/100 {
		t.Errorf("only %d of %d are equal", equal, all)
	}
}
