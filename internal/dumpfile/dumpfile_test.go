package dumpfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"minidump/internal/scratch"
)

var now = time.Date(2026, 11, 26, 4, 5, 6, 7e6, time.UTC)

// Every file that was named here is recognised as a dump, and no other file is.
func TestNames(t *testing.T) {
	for _, process := range []string{"app", "a.b.c", "a.1", "a-1", "..", "Ω", "", strings.Repeat("x", 300), strings.Repeat("Ω", 200)} {
		timed, plain := TimedName(process, 1, now), Name(process, 1<<22)
		if when, ok := parse(timed); !ok || !when.Equal(now) || len(timed) > 255 {
			t.Errorf("%s: %v, %v", timed, when, ok)
		}
		if when, ok := parse(plain); !ok || !when.IsZero() || len(plain) > 255 {
			t.Errorf("%s: %v, %v", plain, when, ok)
		}
	}
	if when, ok := parse("app-17.dmp"); !ok || !when.IsZero() {
		t.Errorf("app-17.dmp: %v, %v", when, ok)
	}
	for _, name := range []string{"", ".dmp", "other.dmp", "20261126T040506.007Z.dmp", "1.20261126T040506.007Z.dmp", ".1.20261126T040506.007Z.dmp",
		"app.20261126T040506.007Z.dmp", "app.x.20261126T040506.007Z.dmp", "app.-1.20261126T040506.007Z.dmp", "app..20261126T040506.007Z.dmp",
		"app.1.20261126T040506,007Z.dmp", "app.1.20261126T040506.007.dmp", "app.1.20261326T040506.007Z.dmp", "app.1-20261126T040506.007Z.dmp",
		"app.1.20261126T040506.007Z", "app.1.20261126T040506.007Z.dmp.gz", "app-1.20261126T040506.007Z.dmp", "app.01.dmp", "app.0.dmp",
		"app.99999999999.dmp", "a b.1.dmp", "-a.1.dmp", ".a.1.dmp", "app.1.DMP"} {
		if when, ok := parse(name); ok {
			t.Errorf("%q counts as a dump of %v", name, when)
		}
	}
}

func TestSafe(t *testing.T) {
	for name, want := range map[string]string{
		"":           "process",
		"größe":      "größe",
		"g++-13.2_x": "g++-13.2_x",
		"\xff\xfe":   "__",
		".hidden":    "_hidden",
		"-rf":        "_rf",
		"a/b":        "a_b",
		"a;$(x) `y`": "a___x___y_",
		"x\u202ecod": "x_cod", // right-to-left override
		"\x1b[31m":   "__31m",
		"a\xffb":     "a_b",
		"Ω_1.+":      "Ω_1.+",
	} {
		if got := Safe(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for _, c := range []string{"x", "Ω", "世"} {
		name := SafeName(strings.Repeat(c, 400) + "-4194304.dmp")
		if len(name) > 255 || len(name) < 250 || !strings.HasSuffix(name, "-4194304.dmp") || strings.ContainsRune(name, '_') {
			t.Errorf("%d bytes: %q", len(name), name)
		}
	}
}

func touch(t *testing.T, dir, name string, at time.Time) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestPrune checks which files are deleted: the oldest whose names have the counted form, and no others.
func TestPrune(t *testing.T) {
	dir := scratch.Dir(t)
	others := []string{"a.1.20261126T040506.007Z.dmp", "notes.txt", "other.dmp", "x.1.dmp.gz"}
	for _, name := range others {
		touch(t, dir, name, now.Add(-time.Hour))
	}
	for i, name := range []string{"a.1.dmp", "b-2.dmp", "c.3.dmp", "d.4.dmp"} {
		touch(t, dir, name, now.Add(time.Duration(i)*time.Second))
	}
	if err := os.Mkdir(filepath.Join(dir, "e.5.dmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (Keep{Count: 2}).Prune(dir, "a.1.dmp"); err != nil { // the newest, although its time is the earliest
		t.Fatal(err)
	}
	want := append([]string{"a.1.dmp", "d.4.dmp", "e.5.dmp"}, others...)
	slices.Sort(want)
	if got := list(t, dir); !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
	if err := (Keep{}).Prune(filepath.Join(dir, "none"), "x"); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	if err := (Keep{Count: 1}).Prune(filepath.Join(dir, "none"), "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
}
