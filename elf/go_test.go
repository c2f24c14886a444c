package elf

import (
	"bytes"
	"debug/buildinfo"
	stdelf "debug/elf"
	"os/exec"
	"strings"
	"testing"
)

// checkGo compares the Go build information of a program with debug/buildinfo and `go tool buildid`.
func checkGo(t *testing.T, path string) {
	t.Helper()
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := read(t, path)
	f, err := stdelf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	mem := loadImage(t, b)
	base := uint64(0x5655_7000)
	if f.Type == stdelf.ET_EXEC {
		base = f.Progs[firstLoad(f)].Vaddr &^ 4095
	}
	check := func(what string, version, modinfo []byte, ok bool) {
		t.Helper()
		if !ok || string(version) != info.GoVersion {
			t.Errorf("%s: Go version %q %v, debug/buildinfo has %q", what, version, ok, info.GoVersion)
		}
		if got, want := string(modinfo), info.String(); !strings.HasSuffix(want, got) || !strings.Contains(got, "path\texample.com/hello\n") {
			t.Errorf("%s: build info %q, debug/buildinfo has %q", what, got, want)
		}
		if got := GoMainPath(modinfo); string(got) != info.Path {
			t.Errorf("%s: main path %q, want %q", what, got, info.Path)
		}
		if p, v := GoMainModule(modinfo); string(p) != info.Main.Path || string(v) != info.Main.Version {
			t.Errorf("%s: main module %q %q, want %q %q", what, p, v, info.Main.Path, info.Main.Version)
		}
	}
	r := NewReader(nil)
	if !r.Open(&Bytes{b}, Placement{}) {
		t.Fatal("Open")
	}
	v, m, ok := r.GoBuildInfo()
	check("file", v, m, ok)
	if !r.Open(&Bytes{mem}, Placement{Memory: true, Base: base}) {
		t.Fatal("Open")
	}
	v, m, ok = r.GoBuildInfo()
	check("memory", v, m, ok)
	im := batchScan(t, mem, base)
	v, m, ok = FindGoBuildInfo(mem[im.Data.Addr-base:][:4096])
	check("batch", v, m, ok)

	out, err := exec.Command(need(t, "go"), "tool", "buildid", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(string(out))
	if !r.Open(&Bytes{mem}, Placement{Memory: true, Base: base}) || string(r.GoBuildID()) != want {
		t.Errorf("Go build id %q, want %q", r.GoBuildID(), want)
	}
	found := false
	for _, n := range im.Notes[:im.NumNotes] {
		found = found || string(GoBuildID(n.In(mem, base), n.Align, r.Header.Order)) == want
	}
	if !found {
		t.Errorf("batch: Go build id %q not found", want)
	}
}

func goBlob(flags byte, version, modinfo string) []byte {
	b := append([]byte(goBuildInfoMagic), 8, flags)
	b = append(b, make([]byte, 16)...)
	b = append(append(b, byte(len(version))), version...)
	if modinfo != "" {
		modinfo = "0123456789abcdef" + modinfo + "fedcba9876543210"
	}
	return append(append(b, byte(len(modinfo))), modinfo...)
}

func TestFindGoBuildInfo(t *testing.T) {
	whole := goBlob(2, "go1.26.8", "path\tx/y\nmod\tx\tv1.2.3\th1:=\n")
	v, m, ok := FindGoBuildInfo(whole)
	if !ok || string(v) != "go1.26.8" || string(m) != "path\tx/y\nmod\tx\tv1.2.3\th1:=\n" {
		t.Errorf("%q %q %v", v, m, ok)
	}
	if p, v := GoMainModule(m); string(p) != "x" || string(v) != "v1.2.3" {
		t.Errorf("main module %q %q", p, v)
	}
	// Only at an aligned address, and after a magic number without strings.
	if _, _, ok := FindGoBuildInfo(append(make([]byte, 8), whole...)); ok {
		t.Error("found at offset 8")
	}
	fake := append([]byte(goBuildInfoMagic), make([]byte, 18)...)
	if v, _, ok := FindGoBuildInfo(append(fake, whole...)); !ok || string(v) != "go1.26.8" {
		t.Errorf("behind a look-alike: %q %v", v, ok)
	}
	// If the module text is cut, the beginning is returned; if the version is cut, nothing.
	if v, m, ok := FindGoBuildInfo(whole[:70]); !ok || string(v) != "go1.26.8" || !strings.HasPrefix("path\tx/y\nmod", string(m)) || len(m) < 5 {
		t.Errorf("cut: %q %q %v", v, m, ok)
	}
	if _, _, ok := FindGoBuildInfo(whole[:36]); ok {
		t.Error("a cut version is found")
	}
	// No module text, and one without a frame.
	if v, m, ok := FindGoBuildInfo(goBlob(2, "go1.20", "")); !ok || m != nil || string(v) != "go1.20" {
		t.Errorf("without modules: %q %q %v", v, m, ok)
	}
	if v, m, ok := FindGoBuildInfo(goBlob(2, "", "path\tx\n")); ok {
		t.Errorf("without a version: %q %q", v, m)
	}
	// Go 1.13 to 1.17.
	if v, m, ok := FindGoBuildInfo(goBlob(0, "", "")); !ok || v != nil || m != nil {
		t.Errorf("old format: %q %q %v", v, m, ok)
	}
	noAllocs(t, "FindGoBuildInfo", func() {
		_, m, _ := FindGoBuildInfo(whole)
		GoMainPath(m)
		GoMainModule(m)
	})
}
