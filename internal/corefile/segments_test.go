package corefile_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"minidump/stream"

	"minidump"
	"minidump/internal/corefile/coretest"
	"minidump/internal/victims"
)

// More segments than e_phnum can express; some overlap or make no sense.
func TestCoreManySegments(t *testing.T) {
	victims.SkipEmulated(t, "only to save time")
	for _, name := range []string{"amd64", "s390x", "mips"} {
		a := coretest.ArchNamed(name)
		b := &coretest.Builder{Arch: a, Extended: true}
		b.Note("CORE", 1, a.Status(5, 11, coretest.SamplePC, 0x1000000+69000*0x2000))
		const count = 70000
		page := bytes.Repeat([]byte{9}, 16)
		for i := range uint64(count) {
			b.Segment(0x1000000+(count-1-i)*0x2000, 0x1000, 6, page) // the highest first
		}
		f, r := dumpCore(t, b.Bytes(), minidump.Options{Mode: minidump.ModeFull})
		if r.Ranges != count || r.Memory != 16*count {
			t.Errorf("%s: %d ranges of %d bytes", name, r.Ranges, r.Memory)
		}
		regions, err := f.MemoryInfo()
		if err != nil || len(regions) != count {
			t.Errorf("%s: %d regions: %v", name, len(regions), err)
		}
		p := make([]byte, 32)
		if n, _ := f.ReadMemory(0x1000000+12345*0x2000, p); n != 16 || p[0] != 9 {
			t.Errorf("%s: read %d bytes", name, n)
		}
	}
}

func TestCoreOverlappingSegments(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	b := &coretest.Builder{Arch: a}
	b.Note("CORE", 1, a.Status(5, 11, coretest.SamplePC, 0x1800))
	b.Segment(0x1000, 0x1000, 6, bytes.Repeat([]byte{1}, 0x1000))
	b.Segment(0x1800, 0x1000, 6, bytes.Repeat([]byte{2}, 0x1000)) // half hidden
	b.Segment(0x1400, 0x400, 6, bytes.Repeat([]byte{3}, 0x400))   // hidden
	b.Segment(0x2800, 0x1000, 6, bytes.Repeat([]byte{4}, 0x2000)) // more in the file than in memory
	b.Segment(^uint64(0)-0xfff, 1<<40, 6, bytes.Repeat([]byte{5}, 0x10))
	f, r := dumpCore(t, b.Bytes(), minidump.Options{Mode: minidump.ModeFull})
	if r.Memory != 0x1000+0x800+0x1000+0x10 {
		t.Errorf("%#x bytes", r.Memory)
	}
	p := make([]byte, 0x2800)
	n, _ := f.ReadMemory(0x1000, p)
	want := slices.Concat(bytes.Repeat([]byte{1}, 0x1000), bytes.Repeat([]byte{2}, 0x800), bytes.Repeat([]byte{4}, 0x1000))
	if !bytes.Equal(p[:n], want) {
		t.Errorf("%d bytes, or wrong ones", n)
	}
}

// Segments that share their bytes in the file.
func TestCoreSharedBytes(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	b := &coretest.Builder{Arch: a}
	b.Note("CORE", 1, a.Status(5, 11, coretest.SamplePC, 0x10000))
	for i := range uint64(100) {
		b.Segment(0x10000*(i+1), 0x1000, 6, make([]byte, 0x1000))
	}
	core := b.Bytes()
	core = core[:len(core)-99*0x1000]
	for i := 2; i < 101; i++ { // p_offset of the first PT_LOAD for all
		copy(core[64+56*i+8:][:8], core[64+56+8:])
	}
	_, r := dumpCore(t, core, minidump.Options{Mode: minidump.ModeFull})
	if r.Memory > uint64(len(core)) || r.Memory < 0x1000 {
		t.Errorf("%d bytes of memory out of a core of %d", r.Memory, len(core))
	}
}

// A core without NT_FILE, as written by kernels before 3.7: images are found by their headers, the program's name by AT_EXECFN.
func TestCoreWithoutFiles(t *testing.T) {
	for _, name := range []string{"amd64", "mips", "s390x"} {
		a := coretest.ArchNamed(name)
		full := coretest.Sample(a)
		b := &coretest.Builder{Arch: a, Segments: full.Segments}
		top, vector := a.StartStack(coretest.SampleTop, []string{"sample"}, []string{"A=1"}, 3, 0x10000000+uint64(len(a.ELFHeader(3, 0, 0))),
			4, uint64(len(a.Prog(0, 0, 0, 0, 0, 0))), 5, 3, 6, 4096, 9, coretest.SamplePC)
		b.Note("CORE", 1, a.Status(100, 11, coretest.SamplePC, coretest.SampleStack+0x1800))
		b.Note("CORE", 6, vector)
		b.Segments[len(b.Segments)-1].Data = append(make([]byte, 0x1000-len(top)), top...)
		f, _ := dumpCore(t, b.Bytes(), minidump.Options{})
		mods, err := f.Modules()
		if err != nil || len(mods) != 2 || mods[0].Name != "/bin/sample" || mods[0].BaseOfImage != 0x10000000 || mods[0].SizeOfImage != 0x3000 ||
			fmt.Sprint(mods[0].BuildID) != hex.EncodeToString(coretest.SampleID) || mods[1].BaseOfImage != 0x10010000 {
			t.Errorf("%s: modules %+v: %v", name, mods, err)
		}
		maps, _ := f.Text(stream.LinuxMaps)
		if !regexp.MustCompile(`(?m)^10001000-10003000 r-xp 00001000 00:00 0 +/bin/sample$`).MatchString(maps) {
			t.Errorf("%s: maps\n%s", name, maps)
		}
	}
}

// Of a file that was truncated anywhere, the rest is used and the loss is reported.
func TestCoreCutShort(t *testing.T) {
	victims.SkipEmulated(t, "only to save time")
	for _, name := range []string{"amd64", "mips"} {
		core := coretest.Sample(coretest.ArchNamed(name)).Bytes()
		for n := 0; n < len(core); n += 1 + n/40 {
			w, err := minidump.OpenCore(bytes.NewReader(core[:n]), int64(n), minidump.Options{})
			if err != nil {
				if !errors.Is(err, minidump.ErrNotCore) && !errors.Is(err, minidump.ErrNoThread) || n > 1000 {
					t.Errorf("%s, %d bytes: %v", name, n, err)
				}
				continue
			}
			f, r := dumpOpened(t, w)
			if !slices.ContainsFunc(r.SoftErrors(), func(e minidump.SoftError) bool { return strings.HasPrefix(e.Op, "read all of the core file") }) {
				t.Errorf("%s, %d bytes: the loss is not told", name, n)
			}
			if threads, err := f.Threads(); n > 8000 && (err != nil || len(threads) != 2) {
				t.Errorf("%s, %d bytes: %d threads: %v", name, n, len(threads), err)
			}
			w.Close()
		}
	}
}

// A brokenFile may be longer than its stated size, or fail to be read.
type brokenFile struct {
	core []byte
	bad  int64
}

func (f brokenFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(f.core).ReadAt(p, off)
	if off <= f.bad && f.bad < off+int64(n) {
		return int(f.bad - off), io.ErrUnexpectedEOF
	}
	return n, err
}

func TestCoreUnreadable(t *testing.T) {
	core := coretest.Sample(coretest.ArchNamed("amd64")).Bytes()
	for bad := int64(0); bad < int64(len(core)); bad += 100 + bad/10 {
		w, err := minidump.OpenCore(brokenFile{core, bad}, int64(len(core)), minidump.Options{Mode: minidump.ModeFull})
		if err != nil {
			if bad > 64 && !errors.Is(err, minidump.ErrNotCore) {
				t.Errorf("bad byte %d: %v", bad, err)
			}
			continue
		}
		dumpOpened(t, w)
		w.Close()
	}
}
