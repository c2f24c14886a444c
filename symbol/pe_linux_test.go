package symbol

import (
	stdpe "debug/pe"
	"os"
	"strings"
	"testing"

	"minidump/internal/victims"
	"minidump/pe"
)

// TestPE compiles programs for Windows and compares their symbols with the output of nm.
func TestPE(t *testing.T) {
	for _, compiler := range []string{"x86_64-w64-mingw32-gcc", "i686-w64-mingw32-gcc"} {
		for name, flags := range map[string][]string{
			"dwarf":    {"-O2", "-g", "-Wl,--build-id"},
			"dwarf5":   {"-O2", "-gdwarf-5", "-Wl,--build-id"},
			"symbols":  {"-O1", "-Wl,--build-id"},
			"exported": {"-O1", "-s", "-shared", "-Wl,--build-id", "-Wl,--export-all-symbols"},
		} {
			t.Run(compiler[:4]+" "+name, func(t *testing.T) {
				path := compile(t, compiler, program, flags...)
				if _, err := os.Stat(path); err != nil {
					path += ".exe"
				}
				table := load(t, Sources{}, peModule(t, path))
				head := make([]byte, 2)
				if r := table.Image(); r == nil {
					t.Error("no image")
				} else if r.ReadAt(head, 0); string(head) != "MZ" {
					t.Errorf("the image begins with %q", head)
				}
				if name == "exported" {
					if got := table.Lookup(exportOf(t, path, "outer")); len(got) != 1 || got[0].Function != "outer" {
						t.Errorf("%+v", got)
					}
					return
				}
				want := map[string]bool{"main": true, "outer": true, "twice": true}
				f, _ := stdpe.Open(path)
				defer f.Close()
				seen := map[string]Frame{}
				for _, s := range f.Symbols {
					name := s.Name
					if f.FileHeader.Machine == stdpe.IMAGE_FILE_MACHINE_I386 {
						name = strings.TrimPrefix(name, "_")
					}
					if want[name] && s.SectionNumber > 0 {
						rva := f.Sections[s.SectionNumber-1].VirtualAddress + s.Value
						got := table.Lookup(uint64(rva))
						if len(got) == 0 || got[len(got)-1].Function != name || got[len(got)-1].Offset != 0 {
							t.Errorf("%s: %+v", name, got)
							continue
						}
						seen[name] = got[0]
					}
				}
				for name := range want {
					if f, ok := seen[name]; !ok || strings.HasPrefix(t.Name(), "TestPE/x86_ dwarf") && !strings.HasSuffix(f.File, "prog.c") {
						t.Errorf("%s: %+v", name, f)
					}
				}
			})
		}
	}
}

// peModule returns the module of a process that loaded a PE file.
func peModule(t *testing.T, path string) Module {
	t.Helper()
	var l loader
	l.t = &Table{budget: NewBudget(MaxLoad)}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if ok, err := l.takePE(f, true); !ok {
		t.Fatalf("%s: %v", path, err)
	}
	if len(l.id.raw) != 20 || len(l.id.debug) != 1 {
		t.Fatalf("%s: id %+v", path, l.id)
	}
	return Module{Path: path, DebugID: l.id.debug[0]}
}

// exportOf returns the RVA of an exported function.
func exportOf(t *testing.T, path, name string) uint64 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := pe.NewReader(nil)
	var x pe.Exports
	var e pe.Export
	if !r.Open(&pe.Bytes{B: b}, pe.File) || !r.Exports(&x) || !r.FindExport(&x, name, &e) {
		t.Fatalf("%s does not export %s", path, name)
	}
	return uint64(e.RVA)
}

// TestOtherSystems reads Go programs for Windows and macOS.
func TestOtherSystems(t *testing.T) {
	for _, env := range [][]string{{"GOOS=windows", "GOARCH=amd64"}, {"GOOS=darwin", "GOARCH=arm64"}, {"GOOS=darwin", "GOARCH=amd64"}} {
		for name, flags := range map[string][]string{"": nil, " stripped": {"-ldflags=-s -w"}} {
			t.Run(env[0]+" "+env[1]+name, func(t *testing.T) {
				victims.SkipCross(t, env[0], env[1])
				path := buildGo(t, env, flags...)
				table := load(t, mapped(path), Module{})
				seen := map[string]bool{}
				for rva := uint64(0x1000); rva < 0x200000; rva += 8 {
					for _, f := range table.Lookup(rva) {
						if f.Line > 0 {
							seen[f.Function] = true
						}
					}
				}
				for _, want := range []string{"main.main", "main.(*square).area", "runtime.mallocgc"} {
					if !seen[want] {
						t.Errorf("%s is missing, of %d", want, len(seen))
					}
				}
			})
		}
	}
}
