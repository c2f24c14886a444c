package symbol

import (
	"os"
	"testing"
	"time"
)

// TestLibc compares addresses of the C library, whose debug information is in /usr/lib/debug if its package is installed.
func TestLibc(t *testing.T) {
	const path = "/usr/lib/x86_64-linux-gnu/libc.so.6"
	if _, err := os.Stat(path); err != nil {
		t.Skip("libc.so.6 is missing")
	}
	m := moduleOf(t, path)
	start := time.Now()
	table := load(t, Sources{}, m)
	table.Lookup(0x30000)
	t.Logf("load and one lookup: %v, notes %q", time.Since(start), table.Notes())
	reference := path
	if table.DebugELF() != nil {
		reference = "/usr/lib/debug/.build-id/" + buildIDPath(m.BuildID) + ".debug"
	}
	start = time.Now()
	equal, all := compare(t, table, reference, 61, "addr2line", "llvm-addr2line")
	t.Logf("%d of %d, %v", equal, all, time.Since(start))
}
