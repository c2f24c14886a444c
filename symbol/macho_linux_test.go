package symbol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"minidump/internal/victims"
	"minidump/macho"
)

// TestDSYM looks for the debug file of a Mach-O image by its UUID. The image is a Go program whose debug information was made
// unrecognizable.
func TestDSYM(t *testing.T) {
	victims.SkipCross(t, "darwin", "amd64")
	full, err := os.ReadFile(buildGo(t, []string{"GOOS=darwin", "GOARCH=amd64"}))
	if err != nil {
		t.Fatal(err)
	}
	r := macho.NewReader(nil)
	if !r.OpenFile(&macho.Bytes{B: full}, 0) || !r.Image.HasUUID {
		t.Fatal("no UUID")
	}
	uuid := r.Image.UUID
	dir := t.TempDir()
	image := filepath.Join(dir, "Prog.app", "Contents", "MacOS", "prog")
	put(t, image, bytes.ReplaceAll(full, []byte("__DWARF\x00"), []byte("__OTHER\x00")))
	m := Module{Path: image, BuildID: uuid[:]}
	entry, bare := uint64(0), load(t, Sources{}, m)
	for rva := uint64(0x1000); rva < 0x200000 && entry == 0; rva += 16 {
		if f := bare.Lookup(rva); len(f) == 1 && f[0].Function == "main.main" {
			entry = rva
		}
	}
	for _, c := range []struct {
		dsym string
		b    []byte
		want bool
	}{
		{image, full, true},
		{filepath.Join(dir, "Prog.app"), full, true},
		{image, fat(full), true},
		{image, bytes.ReplaceAll(full, uuid[:], make([]byte, 16)), false},
	} {
		path := filepath.Join(c.dsym+".dSYM", "Contents/Resources/DWARF/prog")
		put(t, path, c.b)
		table := load(t, Sources{}, m)
		inlined := false
		for rva := entry; rva < entry+0x400; rva++ {
			frames := table.Lookup(rva)
			inlined = inlined || len(frames) > 1
		}
		if inlined != c.want {
			t.Errorf("%s: inlined calls known: %v", path, inlined)
		}
		os.RemoveAll(c.dsym + ".dSYM")
	}
	checkImage(t, m, full)
	m.BuildID = bytes.Repeat([]byte{7}, 16)
	s := Sources{}
	if _, err := s.Load(m); !errors.Is(err, ErrOtherBuild) {
		t.Errorf("another UUID: %v", err)
	}
	m.BuildID, m.DebugID = nil, uuidIdentity(uuid).debug[0]
	load(t, Sources{}, m)
}

// checkImage reads the start of an image from a thin file and from a fat one.
func checkImage(t *testing.T, m Module, full []byte) {
	t.Helper()
	for _, b := range [][]byte{full, fat(full)} {
		put(t, m.Path, b)
		head := make([]byte, 64)
		if r := load(t, Sources{}, m).Image(); r == nil {
			t.Error("no image")
		} else if _, err := r.ReadAt(head, 0); err != nil || !bytes.Equal(head, full[:64]) {
			t.Errorf("the image begins with %x, %v", head, err)
		}
	}
}

// put writes a file and creates the folders of its path.
func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

// fat returns a fat file with an image for another CPU, followed by b.
func fat(b []byte) []byte {
	o := binary.BigEndian
	f := o.AppendUint32(o.AppendUint32(nil, macho.FAT_MAGIC), 2)
	for _, v := range []uint32{macho.CPU_TYPE_ARM64, 0, 4096, 28, 12, macho.CPU_TYPE_X86_64, 3, 8192, uint32(len(b)), 12} {
		f = o.AppendUint32(f, v)
	}
	f = append(f, make([]byte, 8192-len(f))...)
	copy(f[4096:], "\xcf\xfa\xed\xfe")
	return append(f, b...)
}
