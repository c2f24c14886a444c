//go:build linux

package minidump

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"minidump/internal/victims"
	"minidump/stream"
)

// TestDeletedProgram dumps a process whose program file has been deleted, with a build id in memory and without one.
func TestDeletedProgram(t *testing.T) {
	for _, flag := range []string{"-Wl,--build-id=sha1", "-Wl,--build-id=none"} {
		t.Run(flag, func(t *testing.T) {
			path := victims.C(t, "victim.c", flag)
			want := fileID(t, path)
			v := victims.Start(t, path, "idle", "2")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			f, r := dump(t, v.PID, Options{})
			mods, err := f.Modules()
			if err != nil {
				t.Fatal(err)
			}
			if mods[0].Name != path || mods[0].BuildID != want {
				t.Errorf("main module %s with id %s, want %s with %s", mods[0].Name, mods[0].BuildID, path, want)
			}
			if r.Soft != 0 {
				t.Errorf("soft errors %v", r.SoftErrors())
			}
		})
	}
}

// TestReplacedFiles dumps a process whose program and library have been replaced by others at the same paths.
func TestReplacedFiles(t *testing.T) {
	for _, flag := range []string{"-Wl,--build-id=sha1", "-Wl,--build-id=none"} {
		t.Run(flag, func(t *testing.T) {
			dir := t.TempDir()
			program := victims.C(t, "odd.c", flag)
			lib := compile(t, library(1), filepath.Join(dir, "liba.so"), "-shared", "-fPIC", flag)
			other := compile(t, library(2), filepath.Join(dir, "libb.so"), "-shared", "-fPIC", flag)
			wantProgram, wantLib := fileID(t, program), fileID(t, lib)
			if wantLib == fileID(t, other) {
				t.Fatal("the two libraries have the same id")
			}
			v := victims.Start(t, program, "load", lib)
			for _, path := range []string{program, lib} {
				if err := os.Rename(copyTo(t, path+".new", other), path); err != nil {
					t.Fatal(err)
				}
			}
			f, _ := dump(t, v.PID, Options{})
			if m := modulesNamed(t, f, lib); len(m) != 1 || m[0].BuildID != wantLib {
				t.Errorf("library %+v, want id %s", m, wantLib)
			}
			if mods, _ := f.Modules(); mods[0].Name != program || mods[0].BuildID != wantProgram {
				t.Errorf("main module %+v, want %s with id %s", mods[0], program, wantProgram)
			}
		})
	}
}

// TestNamespaces dumps a process in its own mount and pid namespaces, where the path of its program is another file.
func TestNamespaces(t *testing.T) {
	needRoot(t)
	unshare := tool(t, "unshare")
	for _, flag := range []string{"-Wl,--build-id=sha1", "-Wl,--build-id=none"} {
		t.Run(flag, func(t *testing.T) {
			inner := victims.C(t, "victim.c", flag)
			dir := t.TempDir()
			path := copyTo(t, filepath.Join(dir, "victim"), victims.C(t, "crasher.c", flag))
			want := fileID(t, inner)
			if want == fileID(t, path) {
				t.Fatal("both files have one id")
			}
			cmd := exec.Command(unshare, "-m", "-p", "-f", "--mount-proc", "sh", "-c", `mount --bind "$0" "$1" && exec "$1" idle 3`, inner, path)
			v := victims.StartCmd(t, cmd)
			if v.PID != 1 {
				t.Fatalf("its pid is %d in its own namespace", v.PID)
			}
			pid := childOf(t, v.Cmd.Process.Pid)
			t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
			f, r := dump(t, pid, Options{})
			if r.Threads != 3 || r.Soft != 0 {
				t.Errorf("%d threads, soft errors %v", r.Threads, r.SoftErrors())
			}
			checkStacks(t, f, DefaultCrashStackLimit)
			mods, _ := f.Modules()
			if mods[0].Name != path || mods[0].BuildID != want {
				t.Errorf("main module %s with id %s, want %s with %s", mods[0].Name, mods[0].BuildID, path, want)
			}
			if misc, _ := f.MiscInfo(); int(misc.ProcessID) != pid {
				t.Errorf("pid %d, want %d", misc.ProcessID, pid)
			}
		})
	}
}

// TestNoBuildID dumps a program and a library without build ids: both are listed with the hash of their code.
func TestNoBuildID(t *testing.T) {
	program := victims.C(t, "odd.c", "-Wl,--build-id=none")
	lib := compile(t, library(1), filepath.Join(t.TempDir(), "libnone.so"), "-shared", "-fPIC", "-Wl,--build-id=none")
	v := victims.Start(t, program, "load", lib)
	f, r := dump(t, v.PID, Options{})
	mods, _ := f.Modules()
	if want := fileID(t, program); mods[0].Name != program || mods[0].BuildID != want {
		t.Errorf("main module %+v, want id %s", mods[0], want)
	}
	if m := modulesNamed(t, f, lib); len(m) != 1 || m[0].BuildID != fileID(t, lib) {
		t.Errorf("library %+v", m)
	}
	if r.Soft != 0 {
		t.Errorf("soft errors %v", r.SoftErrors())
	}
}

// TestOddNames dumps a process that has loaded libraries whose names are not valid text.
func TestOddNames(t *testing.T) {
	dir := t.TempDir()
	file := map[string]string{ // name of the file → expected name of the module
		"lib\xff\xfe.so":  "lib��.so",
		"lib\nnew.so":     "lib\nnew.so",
		"lib ümlaut 𝔘.so": "lib ümlaut 𝔘.so",
	}
	args := []string{"load"}
	i := 0
	for name := range file {
		args = append(args, compile(t, library(i), filepath.Join(dir, name), "-shared", "-fPIC", "-Wl,--build-id=sha1"))
		i++
	}
	v := odd(t, args...)
	f, r := dump(t, v.PID, Options{})
	for name, want := range file {
		m := modulesNamed(t, f, "/"+want)
		if len(m) != 1 || m[0].BuildID != fileBuildID(t, filepath.Join(dir, name)) {
			t.Errorf("%q: modules %+v", name, m)
		}
	}
	if r.Soft != 0 {
		t.Errorf("soft errors %v", r.SoftErrors())
	}
	if t.Failed() {
		mods, _ := f.Modules()
		for _, m := range mods {
			t.Logf("%q", m.Name)
		}
	}
}

// TestHoleInLibrary dumps a process with a library whose segments are megabytes apart: it is one module.
func TestHoleInLibrary(t *testing.T) {
	dir := t.TempDir()
	lib := compile(t, library(1), filepath.Join(dir, "libhole.so"), "-shared", "-fPIC", "-Wl,--build-id=sha1",
		"-Wl,-z,max-page-size=0x200000,-z,separate-code")
	zip := filepath.Join(dir, "padded")
	b, err := os.ReadFile(lib)
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []struct{ name, path string }{{"load", lib}, {"map", zip}} {
		t.Run(how.name, func(t *testing.T) {
			args := []string{how.name, how.path}
			if how.name == "map" { // over PROT_NONE memory without a file
				if err := os.WriteFile(zip, b, 0o644); err != nil {
					t.Fatal(err)
				}
				args = append(args, "0")
			}
			v := odd(t, args...)
			f, _ := dump(t, v.PID, Options{})
			// Mapped from the other file, the library has the name of that file, as it has no SONAME.
			m := modulesNamed(t, f, how.path)
			if len(m) != 1 || m[0].BuildID != fileBuildID(t, lib) {
				t.Fatalf("modules %+v", m)
			}
			maps := readText(t, fmt.Sprintf("/proc/%d/maps", v.PID))
			var first, last uint64
			for l := range strings.Lines(maps) {
				if strings.HasSuffix(l, how.path+"\n") {
					var lo, hi uint64
					fmt.Sscanf(l, "%x-%x", &lo, &hi)
					if first == 0 {
						first = lo
					}
					last = hi
				}
			}
			if m[0].BaseOfImage != first || m[0].BaseOfImage+uint64(m[0].SizeOfImage) < last || last-first < 6<<20 {
				t.Errorf("module %#x + %#x, mapped %#x-%#x", m[0].BaseOfImage, m[0].SizeOfImage, first, last)
			}
		})
	}
}

// TestLibraryInZip dumps a process that has mapped libraries from an uncompressed archive, as Android does.
func TestLibraryInZip(t *testing.T) {
	dir := t.TempDir()
	const page = 4096
	for _, soname := range []string{"libinner.so.3", ""} {
		t.Run("soname "+soname, func(t *testing.T) {
			flags := []string{"-shared", "-fPIC", "-Wl,--build-id=sha1"}
			if soname != "" {
				flags = append(flags, "-Wl,-soname="+soname)
			}
			lib := compile(t, library(1), filepath.Join(dir, "libinner.so"), flags...)
			b, err := os.ReadFile(lib)
			if err != nil {
				t.Fatal(err)
			}
			const at = 3 * page
			archive := filepath.Join(dir, "base"+soname+".apk")
			content := append([]byte("PK\x03\x04"), make([]byte, at-4)...)
			if err := os.WriteFile(archive, append(content, b...), 0o644); err != nil {
				t.Fatal(err)
			}
			v := odd(t, "map", archive, strconv.Itoa(at))
			f, _ := dump(t, v.PID, Options{})
			want := archive
			if soname != "" {
				want += "/" + soname
			}
			m := modulesNamed(t, f, want)
			if len(m) != 1 || m[0].BuildID != fileBuildID(t, lib) {
				t.Errorf("modules %+v, want %s with id %s", m, want, fileBuildID(t, lib))
			}
		})
	}
}

// TestUserModuleHides replaces a library of the memory map with a UserModule.
func TestUserModuleHides(t *testing.T) {
	lib := compile(t, library(1), filepath.Join(t.TempDir(), "libhidden.so"), "-shared", "-fPIC", "-Wl,--build-id=sha1")
	v := odd(t, "load", lib)
	f, before := dump(t, v.PID, Options{})
	m := modulesNamed(t, f, lib)
	if len(m) != 1 {
		t.Fatalf("modules %+v", m)
	}
	f, after := dump(t, v.PID, Options{UserModules: []UserModule{{m[0].BaseOfImage, uint64(m[0].SizeOfImage), "mine", []byte{1, 2, 3}}}})
	mine := modulesNamed(t, f, "mine")
	if len(modulesNamed(t, f, lib)) != 0 || before.Modules != after.Modules || len(mine) != 1 || mine[0].BuildID != "010203" {
		t.Errorf("%d modules, then %d; %+v", before.Modules, after.Modules, mine)
	}
}

func TestModules(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the C victims of other architectures are static")
	}
	path := victims.C(t, "victim.c", "-Wl,--build-id=sha1")
	dir := victims.Libs(t, 500)
	v := victims.Start(t, path, "maps", "30", dir)
	f, _ := dump(t, v.PID, Options{})
	mods, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	if mods[0].Name != path {
		t.Errorf("first module is %s, want the program %s", mods[0].Name, path)
	}
	byName := map[string]*stream.ModuleInfo{}
	for i := range mods {
		byName[mods[i].Name] = &mods[i]
	}
	check := func(name, file string) {
		m := byName[name]
		if m == nil {
			t.Errorf("no module %s", name)
			return
		}
		if want := fileBuildID(t, file); m.BuildID != want {
			t.Errorf("%s: build id %s, want %s", name, m.BuildID, want)
		}
	}
	check(path, path)
	for i := range 30 {
		name := filepath.Join(dir, fmt.Sprintf("lib%04d.so", i))
		check(name, name)
	}
	gate := false
	for _, m := range mods {
		gate = gate || m.Name == "linux-gate.so" && len(m.BuildID) > 0
	}
	if !gate && runtime.GOARCH != "mips" && runtime.GOARCH != "mipsle" {
		t.Error("no linux-gate.so with a build id")
	}
	dso, err := f.DSODebug()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, l := range dso.LinkMaps {
		if strings.HasPrefix(l.Name, dir) {
			found++
		}
	}
	if found != 30 {
		t.Errorf("%d of 30 libraries in the list of loaded objects", found)
	}
}

// TestCopiedCode dumps a process that has mapped some of its code a second time. The copy has the build id, and the base to which
// its symbols are relative; if something else is mapped there, it has no build id. A copy that is not executable is not a module.
func TestCopiedCode(t *testing.T) {
	program := victims.C(t, "copied.c", "-Wl,--build-id=sha1")
	v := victims.Start(t, program)
	var function, data uint64
	var copies [2]uint64
	if _, err := fmt.Sscan(v.Line(t), &function, &copies[0], &copies[1], &data); err != nil {
		t.Fatal(err)
	}
	f, r := dump(t, v.PID, Options{})
	mods, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mods {
		if m.BaseOfImage <= data && data < m.BaseOfImage+uint64(m.SizeOfImage) {
			t.Errorf("what can only be read is in the module %+v", m)
		}
	}
	distance := function - mods[0].BaseOfImage
	for i, at := range copies {
		var found *stream.ModuleInfo
		for k := range mods {
			if m := &mods[k]; m.BaseOfImage <= at && at < m.BaseOfImage+uint64(m.SizeOfImage) {
				found = m
			}
		}
		switch {
		case found == nil || found.Name != program:
			t.Errorf("copy %d at %#x is in %+v", i, at, found)
		case i == 0 && (found.BuildID != mods[0].BuildID || at-found.BaseOfImage != distance):
			t.Errorf("the function is %#x after the base of %+v, %#x after that of %+v", at-found.BaseOfImage, found, distance, mods[0])
		case i == 1 && found.BuildID != "":
			t.Errorf("the copy without room has an id: %+v", found)
		}
	}
	if r.Soft != 1 {
		t.Errorf("soft errors %v, want one", r.SoftErrors())
	}
}
