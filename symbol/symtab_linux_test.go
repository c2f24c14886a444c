package symbol

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"minidump/internal/victims"
)

// nm returns the functions that nm prints for a file: names by address, and sizes.
func nm(t *testing.T, path string, flags ...string) (names map[uint64][]string, sizes map[uint64]uint64) {
	t.Helper()
	names, sizes = map[uint64][]string{}, map[uint64]uint64{}
	for line := range strings.Lines(victims.Output(t, victims.Tool(t, "nm"), append(flags, "-S", path)...)) {
		f := strings.Fields(line)
		if len(f) != 4 || !strings.Contains("tTwWi", f[2]) {
			continue
		}
		addr, _ := strconv.ParseUint(f[0], 16, 64)
		size, _ := strconv.ParseUint(f[1], 16, 64)
		name, _, _ := strings.Cut(f[3], "@")
		names[addr] = append(names[addr], name)
		sizes[addr] = max(sizes[addr], size)
	}
	return names, sizes
}

// checkNames compares all functions of a file with nm: their first, middle and last bytes.
func checkNames(t *testing.T, table *Table, path string, flags ...string) int {
	t.Helper()
	names, sizes := nm(t, path, flags...)
	_, base := codeAddresses(t, path, 1<<30)
	n, bad := 0, 0
	for addr, want := range names {
		for _, off := range []uint64{0, sizes[addr] / 2, sizes[addr] - 1} {
			got := table.Lookup(addr + off - base)
			n++
			ok := false
			if len(got) == 1 {
				for inner := addr + off; inner >= addr; inner-- { // a symbol may be inside another one
					if list, is := names[inner]; is && addr+off-inner < sizes[inner] {
						want = list
						break
					}
				}
				for _, w := range want {
					ok = ok || got[0].Function == w
				}
			}
			if !ok {
				if bad++; bad < 10 {
					t.Errorf("%#x+%d: %+v, nm has %q", addr, off, got, want)
				}
			}
		}
	}
	return n
}

func TestSymtab(t *testing.T) {
	path := compile(t, "gcc", program, "-O1", "-Wl,--build-id")
	checkNames(t, load(t, Sources{}, moduleOf(t, path)), path)
}

func TestDynsym(t *testing.T) {
	path := compile(t, "gcc", program, "-O1", "-shared", "-fPIC", "-Wl,--build-id", "-s")
	checkNames(t, load(t, Sources{}, moduleOf(t, path)), path, "-D")
	const libc = "/usr/lib/x86_64-linux-gnu/libc.so.6"
	if _, err := os.Stat(libc); err != nil {
		t.Skip("libc.so.6 is missing")
	}
	e := dynamicOnly(t, libc)
	n := checkNames(t, e, libc, "-D")
	t.Logf("%d addresses of libc.so.6", n)
}

// dynamicOnly returns a table without the debug information that may be installed.
func dynamicOnly(t *testing.T, path string) *Table {
	t.Helper()
	table := load(t, Sources{}, moduleOf(t, path))
	var namers []namer
	for _, n := range table.namers {
		if _, ok := n.(*dwarfNamer); !ok {
			namers = append(namers, n)
		}
	}
	table.namers = namers[len(namers)-1:]
	return table
}

// TestZeroSize checks functions of assembly code, which have no size, and labels inside others.
func TestZeroSize(t *testing.T) {
	path := compile(t, "gcc", `
asm(".text; .globl first; first: nop; nop; nop; second: nop; nop; .globl third; .type third,@function; third: nop; nop; label: nop; .size third,.-third");
int main(void) { return 0; }
`, "-Wl,--build-id")
	table := load(t, Sources{}, moduleOf(t, path))
	names := map[string]uint64{}
	for line := range strings.Lines(victims.Output(t, victims.Tool(t, "nm"), path)) {
		if f := strings.Fields(line); len(f) == 3 {
			names[f[2]], _ = strconv.ParseUint(f[0], 16, 64)
		}
	}
	_, base := codeAddresses(t, path, 1<<30)
	at := names["first"]
	for i, want := range []string{"first", "first", "first", "second", "second", "third", "third", "third"} {
		got := table.Lookup(at + uint64(i) - base)
		if len(got) != 1 || got[0].Function != want || got[0].Offset != at+uint64(i)-names[want] {
			t.Errorf("first+%d: %+v, want %s", i, got, want)
		}
	}
}

// TestMiniDebugInfo reads compressed symbols of the kind that Fedora includes in its programs.
func TestMiniDebugInfo(t *testing.T) {
	objcopy, xz := victims.Tool(t, "objcopy"), victims.Tool(t, "xz")
	path := compile(t, "gcc", program, "-O1", "-Wl,--build-id")
	mini, bare := path+".mini", path+".bare"
	run(t, objcopy, "-S", "--remove-section", ".gdb_index", "--remove-section", ".comment", "--keep-symbols="+keep(t, path), path, mini)
	run(t, xz, mini)
	run(t, victims.Tool(t, "strip"), "-o", bare, path)
	run(t, objcopy, "--add-section", ".gnu_debugdata="+mini+".xz", bare)
	m := moduleOf(t, path)
	m.Path = bare
	table := load(t, Sources{}, m)
	names, _ := nm(t, path)
	_, base := codeAddresses(t, path, 1<<30)
	found := map[string]bool{}
	for addr := range names {
		for _, f := range table.Lookup(addr - base) {
			found[f.Function] = true
		}
	}
	if !found["twice"] || !found["outer"] || !found["main"] {
		t.Errorf("%v, notes %q", found, table.Notes())
	}
}

// keep writes the names of the functions of a program to a file.
func keep(t *testing.T, path string) string {
	t.Helper()
	names, _ := nm(t, path)
	var text strings.Builder
	for _, list := range names {
		text.WriteString(strings.Join(list, "\n") + "\n")
	}
	if err := os.WriteFile(path+".keep", []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path + ".keep"
}
