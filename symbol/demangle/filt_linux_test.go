package demangle

import (
	stdelf "debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"minidump/internal/victims"
)

// symbolsOf returns at most limit mangled names from the symbol tables of an ELF file.
func symbolsOf(t *testing.T, path string, limit int) []string {
	t.Helper()
	f, err := stdelf.Open(path)
	if err != nil {
		t.Skipf("%s is missing", filepath.Base(path))
	}
	defer f.Close()
	seen := map[string]bool{}
	var names []string
	dynamic, _ := f.DynamicSymbols()
	all, _ := f.Symbols()
	for _, s := range append(dynamic, all...) {
		name, _, _ := strings.Cut(s.Name, "@")
		if (strings.HasPrefix(name, "_Z") || strings.HasPrefix(name, "_R")) && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	if step := len(names)/limit + 1; step > 1 {
		for i := 0; i*step < len(names); i++ {
			names[i] = names[i*step]
		}
		names = names[:len(names)/step]
	}
	return names
}

// filt returns the output of c++filt for names.
func filt(t *testing.T, names []string) []string {
	t.Helper()
	cmd := exec.Command(victims.Tool(t, "c++filt"), "-i")
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(want) != len(names) {
		t.Fatalf("%d names for %d", len(want), len(names))
	}
	return want
}

// TestFilt compares the names in real files with the output of c++filt.
func TestFilt(t *testing.T) {
	toolchains, _ := filepath.Glob(os.Getenv("HOME") + "/.rustup/toolchains/stable*/bin/cargo")
	drivers, _ := filepath.Glob(os.Getenv("HOME") + "/.rustup/toolchains/stable*/lib/librustc_driver-*.so")
	llvm, _ := filepath.Glob("/usr/lib/x86_64-linux-gnu/libLLVM*.so.1")
	files := append([]string{"/usr/lib/x86_64-linux-gnu/libstdc++.so.6"}, toolchains...)
	for _, path := range append(append(files, drivers...), llvm...) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			names := symbolsOf(t, path, 50000)
			equal, as, wrong := 0, 0, 0
			for i, want := range filt(t, names) {
				switch got := Name(names[i]); got {
				case want:
					equal++
				case names[i]:
					if as++; as < 10 {
						t.Logf("unchanged %s\n\twant %.400s", names[i], want)
					}
				default:
					if wrong++; wrong < 10 {
						t.Logf("%s\n\tgot  %.400s\n\twant %.400s", names[i], got, want)
					}
				}
			}
			if least := len(names) * 99 / 100; equal < least || strings.HasPrefix(filepath.Base(path), "libstdc++") && equal < len(names) {
				t.Errorf("only %d of %d names are equal", equal, len(names))
			}
			t.Logf("of %d names %d are equal, %d unchanged, %d different", len(names), equal, as, wrong)
		})
	}
}
