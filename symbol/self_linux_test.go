package symbol

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// selfMapping returns the name of the first mapping of this program in map_files, and its address.
func selfMapping(t *testing.T) (name string, addr uint64) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		f := strings.Fields(line)
		if len(f) == 6 && f[5] == exe {
			low, high, _ := strings.Cut(f[0], "-")
			addr, _ = strconv.ParseUint(low, 16, 64)
			end, _ := strconv.ParseUint(high, 16, 64)
			return fmt.Sprintf("%x-%x", addr, end), addr // without leading zeros, unlike maps
		}
	}
	t.Fatal("this program is not mapped")
	return "", 0
}

// TestMapFiles looks up functions of this program through the mapped file, as a writer of dumps does.
func TestMapFiles(t *testing.T) {
	name, base := selfMapping(t)
	path := filepath.Join("/proc/self/map_files", name)
	if f, err := os.Open(path); err != nil {
		t.Skip(err)
	} else {
		f.Close()
	}
	table := load(t, mapped(path), Module{Path: "/nowhere/else"})
	if table.ELF() == nil || table.DebugELF() != nil {
		t.Errorf("%v %v", table.ELF(), table.DebugELF())
	}
	for _, c := range []struct {
		f    any
		name string
		file string
	}{{TestMapFiles, "minidump/symbol.TestMapFiles", "self_linux_test.go"}, {runtime.GC, "runtime.GC", "mgc.go"}, {strings.Index, "strings.Index", "strings.go"}} {
		rva := uint64(reflect.ValueOf(c.f).Pointer()) - base
		got := table.Lookup(rva)
		if len(got) == 0 || got[len(got)-1].Function != c.name || filepath.Base(got[len(got)-1].File) != c.file || got[len(got)-1].Offset != 0 {
			t.Errorf("%s: %+v, notes %q", c.name, got, table.Notes())
		}
	}
}
