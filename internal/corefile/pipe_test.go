package corefile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"minidump/stream"

	"minidump/internal/scratch"
	"minidump/internal/victims"

	"minidump"
	"minidump/internal/corefile/coretest"
)

// pipeDump dumps a core that can only be read forwards.
func pipeDump(t testing.TB, core io.Reader, pid int, spool string, o minidump.Options) (*stream.File, minidump.Result) {
	t.Helper()
	w, err := minidump.OpenCorePipe(struct{ io.Reader }{core}, pid, spool, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return dumpOpened(t, w)
}

// A dump of a core from a pipe contains the same as a dump of the file.
func TestCorePipeAlone(t *testing.T) {
	victims.SkipEmulated(t, "only to save time")
	for i := range coretest.Archs {
		a := &coretest.Archs[i]
		core := coretest.Sample(a).Bytes()
		for _, mode := range []minidump.Mode{minidump.ModeStack, minidump.ModeIndirect, minidump.ModeFull} {
			t.Run(fmt.Sprintf("%s %d", a.Name, mode), func(t *testing.T) { // a 32-bit machine does not have enough address space for all Writers at once
				o := minidump.Options{Mode: mode, RegisterSets: true, AppMemory: []minidump.AppMemory{{Address: coretest.SampleHeap + 0x100, Size: 64}}}
				spool := scratch.Dir(t)
				want, wr := dumpCore(t, core, o)
				got, gr := pipeDump(t, iotest.OneByteReader(bytes.NewReader(core)), 0, spool, o)
				if gr.Size != wr.Size || gr.Memory != wr.Memory || gr.Soft != wr.Soft || gr.Modules != wr.Modules {
					t.Errorf("%s, mode %d: %+v %v, of the file %+v %v", a.Name, mode, gr, gr.SoftErrors(), wr, wr.SoftErrors())
				}
				for _, typ := range []stream.Type{stream.ThreadListStream, stream.ModuleListStream, stream.ExceptionStream,
					stream.LinuxCmdLine, stream.LinuxEnviron, stream.LinuxAuxv, stream.LinuxMaps, stream.MemoryInfoListStream} {
					g, err1 := got.Stream(typ)
					w, err2 := want.Stream(typ)
					if !bytes.Equal(g, w) || (err1 == nil) != (err2 == nil) {
						t.Errorf("%s, mode %d: stream %v differs: %v %v", a.Name, mode, typ, err1, err2)
					}
				}
				ranges, _ := want.MemoryRanges()
				for _, m := range ranges {
					g, w := make([]byte, m.Size), make([]byte, m.Size)
					n, _ := got.ReadMemory(m.Addr, g)
					want.ReadMemory(m.Addr, w)
					if n != len(g) || !bytes.Equal(g, w) {
						t.Errorf("%s, mode %d: memory at %#x differs", a.Name, mode, m.Addr)
					}
				}
				if left, _ := os.ReadDir(spool); len(left) > 0 && runtime.GOOS != "windows" {
					t.Errorf("%v are left", left)
				}
			})
		}
	}
}

// A large core costs no more memory than a small one, and is not read beyond what is needed.
func TestCorePipeLarge(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	b := &coretest.Builder{Arch: a}
	const size = 1 << 30
	b.Note("CORE", 1, a.Status(5, 11, coretest.SamplePC, 0x100000000+size/2))
	progs := a.Prog(1, 6, 1<<20, 0x100000000, size, size)
	progs = append(progs, a.Prog(1, 6, 1<<20+size, 0x200000000, size, size)...)
	head := append(a.ELFHeader(4, 3, 0), a.Prog(4, 0, 1<<19, 0, uint64(len(b.Notes)), 0)...)
	head = append(head, progs...)
	head = append(head, make([]byte, 1<<19-len(head))...)
	head = append(head, b.Notes...)
	zeros := &zeroReader{}
	_, r := pipeDump(t, io.MultiReader(bytes.NewReader(head), zeros), 0, "", minidump.Options{})
	if r.Memory != minidump.DefaultCrashStackLimit || r.Threads != 1 {
		t.Errorf("%+v", r)
	}
	if zeros.n < size/2 || zeros.n > size+2<<20 {
		t.Errorf("%d bytes were read", zeros.n)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w, err := minidump.OpenCorePipe(io.MultiReader(bytes.NewReader(head), &zeroReader{}), 0, "", minidump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("%d bytes of memory were taken", n)
	}
}

// zeroReader returns zeros without end.
type zeroReader struct{ n int }

func (z *zeroReader) Read(p []byte) (int, error) {
	clear(p)
	z.n += len(p)
	return len(p), nil
}

// A pipe that ends early, or contains something else.
func TestCorePipeWrong(t *testing.T) {
	victims.SkipEmulated(t, "only to save time")
	core := coretest.Sample(coretest.ArchNamed("amd64")).Bytes()
	for _, c := range []struct {
		data string
		err  error
	}{
		{"", minidump.ErrNotCore}, {"no core at all, but some bytes of text that are longer than any header is", minidump.ErrNotCore},
		{"\x28\xb5\x2f\xfd and more", minidump.ErrCompressed}, {string(core[:63]), minidump.ErrNotCore},
	} {
		if _, err := minidump.OpenCorePipe(strings.NewReader(c.data), 0, "", minidump.Options{}); !errors.Is(err, c.err) {
			t.Errorf("%.10q: %v", c.data, err)
		}
	}
	for n := 64; n < len(core); n += 211 {
		for _, mode := range []minidump.Mode{minidump.ModeStack, minidump.ModeFull} {
			w, err := minidump.OpenCorePipe(bytes.NewReader(core[:n]), 0, scratch.Dir(t), minidump.Options{Mode: mode})
			if err != nil {
				if !errors.Is(err, minidump.ErrNotCore) && (n > 1000 || !errors.Is(err, minidump.ErrNoThread)) {
					t.Errorf("%d bytes: %v", n, err)
				}
				continue
			}
			if _, r := dumpOpened(t, w); n > 5000 && n < len(core)-5000 && r.Soft == 0 {
				t.Errorf("%d bytes: nothing is told", n)
			}
			w.Close()
		}
	}
	if _, err := minidump.OpenCorePipe(bytes.NewReader(core), 0, filepath.Join(scratch.Dir(t), "none"), minidump.Options{Mode: minidump.ModeFull}); err == nil {
		t.Error("no folder for the temporary file, and no error")
	}
}

// The named process is not the one that the core came from: only the core is used.
func TestCorePipeOtherProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux looks at the process")
	}
	core := coretest.Sample(coretest.ArchNamed("amd64")).Bytes()
	for _, pid := range []int{os.Getpid(), os.Getppid(), 1 << 30} {
		f, r := pipeDump(t, bytes.NewReader(core), pid, "", minidump.Options{Thread: 7})
		e, err := f.Exception()
		if err != nil || e.ThreadID != 101 || e.Address != 0xdead0 {
			t.Errorf("exception %+v: %v", e, err)
		}
		if !slices.ContainsFunc(r.SoftErrors(), func(e minidump.SoftError) bool {
			return strings.HasPrefix(e.Op, "inspect the process that is dumping core") && e.Subject != ""
		}) {
			t.Errorf("PID %d: %v", pid, r.SoftErrors())
		}
	}
}

func FuzzCorePipe(f *testing.F) {
	for i := range coretest.Archs {
		f.Add(coretest.Small(&coretest.Archs[i]), uint8(i))
	}
	f.Fuzz(func(t *testing.T, core []byte, mode uint8) {
		o := minidump.Options{Mode: minidump.Mode(mode % 3), AppMemory: []minidump.AppMemory{{Address: coretest.SamplePC - 5, Size: 1 << 62}}}
		w, err := minidump.OpenCorePipe(bytes.NewReader(core), 0, scratch.Dir(t), o)
		if err != nil {
			return
		}
		defer w.Close()
		var out bytes.Buffer
		if _, err := w.Dump(&out); err != nil {
			t.Fatal(err)
		}
		file, err := stream.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if p := stream.Problems(file); len(p) > 0 {
			t.Fatal(p)
		}
	})
}
