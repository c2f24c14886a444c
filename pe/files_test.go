package pe

import (
	"archive/zip"
	"bytes"
	stdpe "debug/pe"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"minidump/internal/scratch"
	"minidump/internal/victims"
)

// missing skips the test, or fails it in CI, where all tools and files must be present.
func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func need(t testing.TB, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		missing(t, "no "+tool+": "+err.Error())
	}
	return path
}

func run(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// found is what the package reads from an image.
type found struct {
	record, debugID, codeID, name string
	fixed                         []byte
	texts                         []string
	exportedAs                    string
	exports                       int
}

func look(t *testing.T, b []byte, layout Layout) (f found) {
	t.Helper()
	r := NewReader(make([]byte, 64<<10))
	if !r.Open(&Bytes{b}, layout) {
		t.Fatal("no image")
	}
	f.codeID = string(r.Header.AppendCodeID(nil))
	var c CodeView
	if f.record = string(r.CodeView(&c)); f.record != "" {
		f.debugID, f.name = string(c.AppendDebugID(nil)), string(c.Name)
	}
	var v Version
	r.Version(&v)
	f.fixed = bytes.Clone(v.Fixed)
	for s := range v.Strings() {
		f.texts = append(f.texts, s.Key.String()+"="+s.Value.String())
	}
	f.exportedAs = string(r.ExportedAs())
	var (
		x Exports
		e Export
	)
	r.Exports(&x)
	for i := 0; r.Export(&x, i, &e); i++ {
		f.exports++
		if i%97 != 0 {
			continue
		}
		name, want := string(e.Name), e
		if !r.FindExport(&x, name, &e) || e.Ordinal != want.Ordinal || e.RVA != want.RVA {
			t.Errorf("export %s: %+v, want %+v", name, e, want)
		}
		if i < 1000 && !want.Forwarded && want.RVA != 0 && (!r.NearestExport(&x, want.RVA, &e) || e.RVA != want.RVA) {
			t.Errorf("nearest export to %s at %#x: %+v", name, want.RVA, e)
		}
	}
	if f.exports != int(x.NumNames) {
		t.Errorf("%d exports, want %d", f.exports, x.NumNames)
	}
	return f
}

// checkFile compares what this package reads from a file with debug/pe, and with what it reads from the image that the loader
// makes from the file.
func checkFile(t *testing.T, b []byte) found {
	t.Helper()
	std, err := stdpe.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(nil)
	if !r.Open(&Bytes{b}, File) {
		t.Fatal("no image")
	}
	h := &r.Header
	if h.Machine != std.Machine || h.TimeDateStamp != std.TimeDateStamp || h.Characteristics != std.Characteristics || h.NumberOfSymbols != std.NumberOfSymbols {
		t.Errorf("header %+v, debug/pe %+v", h, std.FileHeader)
	}
	switch o := std.OptionalHeader.(type) {
	case *stdpe.OptionalHeader32:
		if h.Is64() || h.ImageBase != uint64(o.ImageBase) || h.SizeOfImage != o.SizeOfImage || h.CheckSum != o.CheckSum || h.AddressOfEntryPoint != o.AddressOfEntryPoint {
			t.Errorf("header %+v, debug/pe %+v", h, o)
		}
	case *stdpe.OptionalHeader64:
		if !h.Is64() || h.ImageBase != o.ImageBase || h.SizeOfImage != o.SizeOfImage || h.CheckSum != o.CheckSum || h.AddressOfEntryPoint != o.AddressOfEntryPoint {
			t.Errorf("header %+v, debug/pe %+v", h, o)
		}
		for i, d := range o.DataDirectory[:o.NumberOfRvaAndSizes] {
			if h.Directories[i] != (Directory{d.VirtualAddress, d.Size}) {
				t.Errorf("directory %d: %+v, debug/pe %+v", i, h.Directories[i], d)
			}
		}
	}
	if r.NumSections() != len(std.Sections) {
		t.Errorf("%d sections, debug/pe %d", r.NumSections(), len(std.Sections))
	}
	for i, want := range std.Sections {
		var s Section
		if !r.Section(i, &s) || string(r.SectionName(&s)) != want.Name || s.VirtualAddress != want.VirtualAddress ||
			s.VirtualSize != want.VirtualSize || s.SizeOfRawData != want.Size || s.PointerToRawData != want.Offset || s.Characteristics != want.Characteristics {
			t.Errorf("section %d %q: %+v, debug/pe %+v", i, r.SectionName(&s), s, want.SectionHeader)
		}
	}
	file := look(t, b, File)
	if image := look(t, loaded(b), Loaded); !same(&image, &file) {
		t.Errorf("in memory %+v\nin the file %+v", image, file)
	}
	return file
}

func same(a, b *found) bool {
	return a.record == b.record && a.debugID == b.debugID && a.codeID == b.codeID && bytes.Equal(a.fixed, b.fixed) &&
		strings.Join(a.texts, "\n") == strings.Join(b.texts, "\n") && a.exportedAs == b.exportedAs && a.exports == b.exports
}

// TestGoFiles reads programs of the Go linker, which have no debug directory.
func TestGoFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("builds three programs")
	}
	victims.SkipCross(t, "windows", "386")
	tool := need(t, "go")
	dir := scratch.Dir(t)
	for name, text := range map[string]string{"go.mod": "module example.com/hello\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() { println(\"hello\") }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, arch := range []string{"amd64", "386", "arm64"} {
		out := filepath.Join(dir, arch+".exe")
		cmd := exec.Command(tool, "build", "-o", out, ".")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH="+arch, "GOFLAGS=", "GOWORK=off")
		run(t, cmd)
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		f := checkFile(t, b)
		if f.record != "" || f.fixed != nil || f.exports != 0 || f.codeID == "" {
			t.Errorf("%s: %+v", arch, f)
		}
		r := NewReader(nil)
		var s Section
		if !r.Open(&Bytes{b}, File) || !r.FindSection(".text", &s) || s.Characteristics&IMAGE_SCN_MEM_EXECUTE == 0 || !r.FindSection(".symtab", &s) {
			t.Errorf("%s: section %+v", arch, s)
		}
	}
}

// TestMingwFiles compares the build id of GNU ld with the output of objdump.
func TestMingwFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles")
	}
	dir := scratch.Dir(t)
	src := filepath.Join(dir, "lib.c")
	if err := os.WriteFile(src, []byte("int value = 1;\nint add(int a) { return a + value; }\nint twice(int a) { return 2 * a; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"x86_64-w64-mingw32", "i686-w64-mingw32"} {
		for _, c := range []struct{ flag, name string }{{"-Wl,--build-id", ""}, {"-Wl,--pdb=" + filepath.Join(dir, "made.pdb"), "made.pdb"}, {"-Wl,--build-id=none", ""}} {
			out := filepath.Join(dir, "lib.dll")
			run(t, exec.Command(need(t, target+"-gcc"), "-g", "-shared", c.flag, "-o", out, src))
			b, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			f := checkFile(t, b)
			if f.exportedAs != "lib.dll" || f.exports != 3 {
				t.Errorf("%s: %d exports of %q", target, f.exports, f.exportedAs)
			}
			said := regexp.MustCompile(`\(format RSDS signature ([0-9a-f]{32}) age (\d+)`).FindStringSubmatch(run(t, exec.Command(need(t, target+"-objdump"), "-p", out)))
			switch {
			case said == nil:
				if f.record != "" || c.flag != "-Wl,--build-id=none" {
					t.Errorf("%s %s: record %q", target, c.flag, f.record)
				}
			case f.debugID != strings.ToUpper(said[1])+said[2] || filepath.Base(f.name) != filepath.Base("/"+c.name):
				if c.name != "" || f.name != "" {
					t.Errorf("%s %s: debug id %s in %q, objdump says %s age %s", target, c.flag, f.debugID, f.name, said[1], said[2])
				}
			}
			// A name of more than 8 bytes.
			r := NewReader(nil)
			var s Section
			if !r.Open(&Bytes{b}, File) || !r.FindSection(".debug_info", &s) {
				t.Errorf("%s: no .debug_info", target)
			}
		}
	}
}

// TestWineFiles reads the libraries of Wine, which have version resources and thousands of exports.
func TestWineFiles(t *testing.T) {
	var files []string
	for _, dir := range []string{"/usr/lib/x86_64-linux-gnu/wine/x86_64-windows", "/usr/lib/i386-linux-gnu/wine/i386-windows", "/usr/lib/aarch64-linux-gnu/wine/aarch64-windows"} {
		for _, pattern := range []string{"*.dll", "*.exe", "*.drv"} {
			m, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, m...)
		}
	}
	if len(files) == 0 {
		missing(t, "no libraries of Wine")
	}
	versions, names := 0, 0
	for i, path := range files {
		if testing.Short() && i%16 != 0 && filepath.Base(path) != "ntdll.dll" {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			f := checkFile(t, b)
			if f.fixed != nil && len(f.texts) > 0 {
				versions++
			}
			names += f.exports
			if filepath.Base(path) == "ntdll.dll" && (f.exports < 1000 || f.exportedAs != "ntdll.dll" || f.fixed == nil) {
				t.Errorf("ntdll.dll: %+v", f)
			}
		})
	}
	if versions == 0 || names < 1000 {
		t.Errorf("%d files with a version, %d exported names", versions, names)
	}
}

// TestWheels reads extension modules from wheels of PyPI, created by Microsoft's linker for three machines. The gate downloads
// the files in ~/.cache/minidump-ci/wheels.
func TestWheels(t *testing.T) {
	home, err := os.UserHomeDir() // not the cache folder, which is different for a program of another system
	if err != nil {
		missing(t, err.Error())
	}
	dir := filepath.Join(home, ".cache", "minidump-ci", "wheels")
	wheels, err := filepath.Glob(filepath.Join(dir, "*-win*.whl"))
	if err != nil {
		t.Fatal(err)
	}
	if len(wheels) == 0 {
		missing(t, "no wheels in "+dir)
	}
	machines := map[uint16]int{}
	for _, path := range wheels {
		z, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, entry := range z.File {
			if ext := filepath.Ext(entry.Name); ext != ".pyd" && ext != ".dll" && ext != ".exe" {
				continue
			}
			rc, err := entry.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(rc)
			rc.Close()
			if err != nil {
				t.Fatal(err)
			}
			t.Run(filepath.Base(path)+"/"+entry.Name, func(t *testing.T) {
				f := checkFile(t, b)
				std, err := stdpe.NewFile(bytes.NewReader(b))
				if err != nil {
					t.Fatal(err)
				}
				if ext := filepath.Ext(entry.Name); ext == ".pyd" && f.exports == 0 || f.record != "" && (len(f.debugID) < 33 || !strings.HasSuffix(f.name, ".pdb")) {
					t.Errorf("%+v", f)
				}
				machines[std.Machine]++
			})
		}
	}
	for _, m := range []uint16{IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_MACHINE_I386, IMAGE_FILE_MACHINE_ARM64} {
		if machines[m] == 0 {
			t.Errorf("no file for machine %#x", m)
		}
	}
}
