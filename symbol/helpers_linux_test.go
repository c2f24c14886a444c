package symbol

import (
	stdelf "debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"minidump/elf"
	"minidump/internal/victims"
)

// moduleOf returns the module of a process that loaded an ELF file.
func moduleOf(t testing.TB, path string) Module {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := elf.NewReader(nil)
	id, _, ok := r.BuildIDOf(fileSource{f}, elf.Placement{})
	if !ok {
		t.Fatalf("%s has no build id", path)
	}
	return Module{Path: path, BuildID: append([]byte(nil), id...)}
}

// load is Load for a module that must have a file.
func load(t testing.TB, s Sources, m Module) *Table {
	t.Helper()
	table, err := s.Load(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { table.Close() })
	return table
}

// compile writes a source and compiles it.
func compile(t testing.TB, compiler, source string, flags ...string) string {
	t.Helper()
	tool := victims.Tool(t, compiler)
	dir := t.TempDir()
	ext := ".c"
	switch filepath.Base(compiler) {
	case "g++":
		ext = ".cc"
	case "rustc":
		ext = ".rs"
	}
	src, out := filepath.Join(dir, "prog"+ext), filepath.Join(dir, "prog")
	if err := os.WriteFile(src, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, tool, append(flags, "-o", out, src)...)
	return out
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// codeAddresses returns addresses in the code of an ELF file, every step bytes, and the address from which rvas count.
func codeAddresses(t testing.TB, path string, step uint64) (addrs []uint64, base uint64) {
	t.Helper()
	f, err := stdelf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == stdelf.PT_LOAD {
			base = p.Vaddr &^ 4095
			break
		}
	}
	s := f.Section(".text")
	for a := s.Addr; a < s.Addr+s.Size; a += step {
		addrs = append(addrs, a)
	}
	return addrs, base
}

// answer is what addr2line prints for one frame.
type answer struct {
	function, file string
	line           int
}

// addr2line runs binutils' or LLVM's addr2line for the frames of addresses.
func addr2line(t testing.TB, tool, path string, addrs []uint64, flags ...string) [][]answer {
	t.Helper()
	var in strings.Builder
	for _, a := range addrs {
		in.WriteString("0x" + strconv.FormatUint(a, 16) + "\n")
	}
	cmd := exec.Command(victims.Tool(t, tool), append(flags, "-a", "-f", "-i", "-e", path)...)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("addr2line %s: %v", path, err)
	}
	var all [][]answer
	lines := strings.Split(string(out), "\n")
	for i := 0; i < len(lines) && lines[i] != ""; {
		if strings.HasPrefix(lines[i], "0x") {
			all = append(all, nil)
			i++
			continue
		}
		if i+1 >= len(lines) {
			break
		}
		place, _, _ := strings.Cut(lines[i+1], " (discriminator")
		colon := strings.LastIndexByte(place, ':')
		line, _ := strconv.Atoi(place[colon+1:])
		a := answer{lines[i], place[:colon], line}
		if a.function == "??" {
			a.function = ""
		}
		if a.file == "??" || a.file == "" {
			a.file = ""
		}
		all[len(all)-1] = append(all[len(all)-1], a)
		i += 2
	}
	if len(all) != len(addrs) {
		t.Fatalf("addr2line has %d answers for %d addresses", len(all), len(addrs))
	}
	return all
}

// differs returns what in frames differs from addr2line's answer, or "" if nothing does.
func differs(got []Frame, want []answer) string {
	if len(want) == 1 && want[0].function == "" && (want[0].file == "" || want[0].line == 0) {
		if len(got) == 0 || len(got) == 1 && got[0].Line == 0 {
			return ""
		}
		return "addr2line knows nothing"
	}
	if len(want) == 1 && (len(got) == 0 || got[0].Function == "" && got[0].Line == want[0].line) {
		return "padding" // addr2line prints the nearest symbol, however far away it is
	}
	if len(want) == 1 && want[0].file == "" && (len(got) == 0 || len(got) == 1 && got[0].Function == want[0].function && got[0].File == "") {
		return "" // addr2line prints the nearest symbol, however far away it is
	}
	if len(got) != len(want) {
		return "number of frames"
	}
	for i, f := range got {
		w := want[i]
		switch {
		case !sameName(f.Function, strings.TrimSuffix(w.function, ".cold")):
			return "function " + f.Function + " for " + w.function
		case f.Line != w.line:
			return "line " + strconv.Itoa(f.Line) + " for " + strconv.Itoa(w.line)
		case f.Line != 0 && !strings.HasSuffix(w.file, "<artificial>") && filepath.Clean(f.File) != filepath.Clean(w.file):
			return "file " + f.File + " for " + w.file
		}
		if f.Inlined != (i < len(got)-1) {
			return "inlined"
		}
	}
	return ""
}

// sameName reports whether a name is equal to addr2line's, which lacks the namespaces of some functions and has the
// parameters of some for which we have none.
func sameName(got, want string) bool {
	name, _, _ := strings.Cut(strings.Replace(want, "(anonymous", "{anonymous", 1), "(")
	return got == want || strings.HasSuffix(got, "::"+want) || strings.Replace(got, "(anonymous", "{anonymous", 1) == name
}

// compare compares a table with what tools print for addresses of a file, and returns how many answers are equal to one of the
// tools'. binutils 2.40 has the wrong file for some lines of DWARF 5, and LLVM 14 prefers the names of symbols.
func compare(t testing.TB, table *Table, path string, step uint64, tools ...string) (equal, all int) {
	t.Helper()
	addrs, base := codeAddresses(t, path, step)
	var wants [][][]answer
	for i, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil && i > 0 {
			t.Logf("%s is missing", tool)
			continue
		}
		wants = append(wants, addr2line(t, tool, path, addrs, "-C"))
	}
	shown, padding := 0, 0
	for i, addr := range addrs {
		got := table.Lookup(addr - base)
		var why []string
		for _, want := range wants {
			why = append(why, differs(got, want[i]))
		}
		switch {
		case slices.Contains(why, ""):
			equal++
			continue
		case slices.Contains(why, "padding"):
			if padding++; padding < len(addrs)/8 {
				equal++
			}
			continue
		}
		if shown++; shown <= 12 {
			t.Logf("%#x: %q\n\tgot  %+v", addr, why, got)
			for _, want := range wants {
				t.Logf("\twant %+v", want[i])
			}
		}
	}
	return equal, len(addrs)
}
