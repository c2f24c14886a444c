package corefile_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"minidump/stream"
	"strings"
	"testing"

	"minidump"
	"minidump/internal/corefile/coretest"
	"minidump/internal/snapshot"
)

func TestCoreArchitectures(t *testing.T) {
	for i := range coretest.Archs {
		a := &coretest.Archs[i]
		t.Run(a.Name, func(t *testing.T) {
			f, r := dumpCore(t, coretest.Sample(a).Bytes(), minidump.Options{RegisterSets: true})
			info, csd, err := f.SystemInfo()
			if err != nil || info.ProcessorArchitecture != a.Arch.ProcessorArchitecture() || info.PlatformID != stream.MD_OS_LINUX ||
				!strings.HasPrefix(csd, "Linux core ") {
				t.Errorf("system %+v %q: %v", info, csd, err)
			}
			if f.Order != a.Order {
				t.Errorf("the dump is %v, the core %v", f.Order, a.Order)
			}
			misc, err := f.MiscInfo()
			if err != nil || misc.ProcessID != 100 || misc.ProcessUserTime != 21 || misc.ProcessKernelTime != 4 ||
				misc.Flags1 != stream.MINIDUMP_MISC1_PROCESS_ID {
				t.Errorf("misc info %+v: %v", misc, err)
			}
			threads, err := f.Threads()
			if err != nil || len(threads) != 2 || threads[0].ThreadID != 101 || threads[1].ThreadID != 100 {
				t.Fatalf("threads %+v: %v", threads, err)
			}
			cpus := coretest.CPUs(t, f)
			for id, want := range map[uint32][2]uint64{101: {coretest.SamplePC, coretest.SampleStack + 0x1800}, 100: {coretest.SamplePC + 0x100, coretest.SampleOther + 0x800}} {
				if c := cpus[id]; c == nil || c.PC != want[0] || c.SP != want[1] {
					t.Errorf("thread %d: registers %+v, want PC and SP %#x", id, c, want)
				}
			}
			// The stack starts one red zone below SP and ends with its mapping.
			st := threads[0].Stack
			if want := coretest.SampleStack + 0x1800 - a.Arch.RedZone(); st.Start != want || st.Start+uint64(st.Memory.DataSize) != coretest.SampleStack+0x2000 {
				t.Errorf("stack %+v, want from %#x", st, want)
			}
			word := make([]byte, a.Class.WordSize())
			if n, err := f.ReadMemory(coretest.SampleStack+0x1800, word); n != len(word) || err != nil || !bytes.Equal(word, a.Words(coretest.SampleHeap+0x800)) {
				t.Errorf("memory at SP % x: %v", word, err)
			}
			e, err := f.Exception()
			if err != nil || e.ThreadID != 101 || e.Code != 11 || e.Flags != 1 || e.Address != 0xdead0 || e.Context != threads[0].Context {
				t.Errorf("exception %+v: %v", e, err)
			}
			names, err := f.ThreadNames()
			if err != nil || len(names) != 1 || names[100] != "sample" {
				t.Errorf("names %v: %v", names, err)
			}
			if s, err := f.Text(stream.LinuxCmdLine); s != "sample\x00--opt\x00a b\x00" {
				t.Errorf("command line %q: %v", s, err)
			}
			if s, err := f.Text(stream.LinuxEnviron); s != "HOME=/root\x00EMPTY=\x00" {
				t.Errorf("environment %q: %v", s, err)
			}
			auxv, err := f.Stream(stream.LinuxAuxv)
			if w := a.Words(16, 0x1234); err != nil || !bytes.Contains(auxv, w) || !bytes.HasSuffix(auxv, a.Words(0, 0)) || len(auxv) != 9*2*len(word) {
				t.Errorf("auxv % x: %v", auxv, err)
			}
			mods, err := f.Modules()
			if err != nil || len(mods) != 2 {
				t.Fatalf("modules %+v: %v", mods, err)
			}
			for i, want := range []struct {
				name, id   string
				base, size uint64
			}{
				{"/opt/sample", hex.EncodeToString(coretest.SampleID), 0x10000000, 0x3000},
				{"/opt/lib x\n.so.1", strings.Repeat("07", 20), 0x10010000, 0x2000},
			} {
				m := mods[i]
				if m.Name != want.name || fmt.Sprintf("%x", m.BuildID) != want.id && fmt.Sprint(m.BuildID) != want.id ||
					m.BaseOfImage != want.base || uint64(m.SizeOfImage) != want.size {
					t.Errorf("module %+v, want %+v", m, want)
				}
			}
			maps, err := f.Text(stream.LinuxMaps)
			want := []string{
				"10000000-10001000 r--p 00000000 00:00 0", "/opt/sample",
				"10001000-10003000 r-xp 00001000 00:00 0", "/opt/sample",
				"10010000-10011000 r-xp 00000000 00:00 0", `/opt/lib x\012.so.1 (deleted)`,
				"10011000-10012000 rw-p 00001000 00:00 0", `/opt/lib x\012.so.1 (deleted)`,
				"20000000-20002000 rw-p 00000000 00:00 0", "",
				"28000000-28001000 rw-p 00000000 00:00 0", "",
				"30000000-30006000 rw-p 00000000 00:00 0", "",
				"3ffff000-40000000 rw-p 00000000 00:00 0", "[stack]",
			}
			for i, line := range strings.Split(strings.TrimSuffix(maps, "\n"), "\n") {
				if 2*i >= len(want) || strings.TrimSpace(line) != strings.TrimSpace(fmt.Sprintf("%-72s %s", want[2*i], want[2*i+1])) {
					t.Errorf("line %d of maps: %q", i, line)
				}
			}
			if n := strings.Count(maps, "\n"); 2*n != len(want) || err != nil {
				t.Errorf("%d lines of maps: %v", n, err)
			}
			regions, err := f.MemoryInfo()
			if err != nil || len(regions) != 8 || regions[1].Protect != stream.PAGE_EXECUTE_READ || regions[6].RegionSize != 0x6000 {
				t.Errorf("memory info %+v: %v", regions, err)
			}
			sets, err := f.RegisterSets()
			if err != nil || len(sets) != 1 || sets[0].ThreadID != 101 || sets[0].NoteType != 0x777 {
				t.Errorf("register sets %+v: %v", sets, err)
			}
			// The code is not in the file, which is reported as a soft error. Any other soft error is a
			// mistake in this test's file.
			for _, e := range r.SoftErrors() {
				if e.Op != "read code around IP" && e.Op != "follow the list of loaded objects" {
					t.Errorf("soft error: %v", &e)
				}
			}
			if r.Threads != 2 || r.Modules != 2 {
				t.Errorf("result %+v", r)
			}
		})
	}
}

func TestCoreModes(t *testing.T) {
	core := coretest.Sample(coretest.ArchNamed("amd64")).Bytes()
	t.Run("full", func(t *testing.T) {
		f, r := dumpCore(t, core, minidump.Options{Mode: minidump.ModeFull})
		if r.Memory != 0x1000+0x1000+0x1000+0x2000+0x1000+0x3000+0x1000 || r.Ranges != 7 {
			t.Errorf("result %+v", r)
		}
		for addr, want := range map[uint64]byte{0x10011fff: 0x11, coretest.SampleStack: 0x5a, coretest.SampleOther + 0xfff: 0x33, coretest.SampleHeap + 0x2fff: 0x44} {
			var b [1]byte
			if n, err := f.ReadMemory(addr, b[:]); n != 1 || b[0] != want {
				t.Errorf("at %#x: %#x %v", addr, b[0], err)
			}
		}
		if n, _ := f.ReadMemory(coretest.SampleHeap+0x3000, make([]byte, 1)); n != 0 {
			t.Error("memory that the core does not hold is in the dump")
		}
	})
	t.Run("indirect", func(t *testing.T) {
		f, _ := dumpCore(t, core, minidump.Options{Mode: minidump.ModeIndirect})
		b := make([]byte, 256)
		if n, err := f.ReadMemory(coretest.SampleHeap+0x800, b); n != len(b) || !bytes.Equal(b, bytes.Repeat([]byte{0x44}, 256)) {
			t.Errorf("%d bytes of what the stack points to: %v", n, err)
		}
		if n, _ := f.ReadMemory(coretest.SampleOther, b); n != 0 {
			t.Error("memory that nothing points to is in the dump")
		}
	})
	t.Run("application memory", func(t *testing.T) {
		f, r := dumpCore(t, core, minidump.Options{AppMemory: []minidump.AppMemory{{Address: coretest.SampleHeap + 0x2f00, Size: 0x200}, {Address: 0x7000, Size: 16}}})
		b := make([]byte, 0x100)
		if n, err := f.ReadMemory(coretest.SampleHeap+0x2f00, b); n != len(b) {
			t.Errorf("%d bytes: %v", n, err)
		}
		missing := 0
		for _, e := range r.SoftErrors() {
			if e.Op == "read application memory" && (e.Address == coretest.SampleHeap+0x3000 || e.Address == 0x7000) {
				missing++
			}
		}
		if missing != 2 {
			t.Errorf("%d of 2 missing pieces told: %v", missing, r.SoftErrors())
		}
	})
	t.Run("sanitised", func(t *testing.T) {
		f, _ := dumpCore(t, core, minidump.Options{SanitizeStacks: true})
		b := make([]byte, 24)
		f.ReadMemory(coretest.SampleStack+0x1800, b)
		if want := (&coretest.Archs[1]).Words(snapshot.Defaced64, coretest.SamplePC, snapshot.Defaced64); !bytes.Equal(b, want) {
			t.Errorf("% x, want % x", b, want)
		}
	})
	t.Run("omitted", func(t *testing.T) {
		f, _ := dumpCore(t, core, minidump.Options{Omit: minidump.OmitCmdline | minidump.OmitEnviron})
		for _, typ := range []stream.Type{stream.LinuxCmdLine, stream.LinuxEnviron} {
			if b, err := f.Stream(typ); err == nil {
				t.Errorf("%v is there: %q", typ, b)
			}
		}
	})
	t.Run("other thread", func(t *testing.T) {
		f, _ := dumpCore(t, core, minidump.Options{Thread: 100})
		if e, err := f.Exception(); err != nil || e.ThreadID != 100 {
			t.Errorf("exception %+v: %v", e, err)
		}
	})
	t.Run("limit", func(t *testing.T) {
		full, _ := dumpCore(t, core, minidump.Options{Mode: minidump.ModeFull})
		limit := full.Size() - 5000
		if f, _ := dumpCore(t, core, minidump.Options{Mode: minidump.ModeFull, Limit: limit}); f.Size() > limit {
			t.Errorf("%d bytes, limit %d", f.Size(), limit)
		}
	})
}

// gdb writes its notes last, a siginfo_t for each thread, and no segment for memory that it leaves out. The
// permissions of those mappings come from the program headers.
func TestCoreOfGdb(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	b := &coretest.Builder{Arch: a, Gdb: true}
	b.Note("CORE", 3, a.Psinfo(100, "sample", "sample"))
	for tid := int32(100); tid < 103; tid++ {
		signal := 0
		if tid == 101 {
			signal = 7
		}
		b.Note("CORE", 1, a.Status(tid, signal, coretest.SamplePC, coretest.SampleStack+0x800*uint64(tid-99)))
		b.Note("CORE", 2, make([]byte, 512))
		b.Note("CORE", 0x53494749, a.Siginfo(int32(signal), 2, 0xfee0+uint64(tid)))
	}
	b.Note("CORE", 0x46494c45, a.Files(
		coretest.FileEntry{Start: 0x10000000, End: 0x10001000, Page: 0, Name: "/opt/sample"},
		coretest.FileEntry{Start: 0x10001000, End: 0x10003000, Page: 1, Name: "/opt/sample"},
		coretest.FileEntry{Start: 0x10004000, End: 0x10005000, Page: 3, Name: "/opt/sample"},
	))
	b.Note("GDB", 0xff000000, []byte("<target/>"))
	b.Segment(0x10000000, 0x1000, 4, a.Image(coretest.SampleID, a.Prog(1, 4, 0, 0, 0x1000, 0x1000), a.Prog(1, 5, 0x1000, 0x1000, 0x1800, 0x1800),
		a.Prog(1, 6, 0x3010, 0x4010, 0x100, 0x1800)))
	b.Segment(coretest.SampleStack, 0x2000, 6, make([]byte, 0x2000))
	f, _ := dumpCore(t, b.Bytes(), minidump.Options{})
	if e, err := f.Exception(); err != nil || e.ThreadID != 101 || e.Code != 7 || e.Flags != 2 || e.Address != 0xfee0+101 {
		t.Errorf("exception %+v: %v", e, err)
	}
	maps, _ := f.Text(stream.LinuxMaps)
	for _, want := range []string{"10001000-10003000 r-xp 00001000", "10004000-10005000 rw-p 00003000"} {
		if !strings.Contains(maps, want) {
			t.Errorf("maps lack %q:\n%s", want, maps)
		}
	}
}

// A snapshot of a process that did not crash.
func TestCoreWithoutSignal(t *testing.T) {
	a := coretest.ArchNamed("arm64")
	b := &coretest.Builder{Arch: a}
	b.Note("CORE", 1, a.Status(5, 0, coretest.SamplePC, coretest.SampleStack+8))
	b.Segment(coretest.SampleStack, 0x1000, 6, make([]byte, 0x1000))
	f, _ := dumpCore(t, b.Bytes(), minidump.Options{})
	if e, err := f.Exception(); err != nil || e.Code != minidump.DumpRequested || e.Address != coretest.SamplePC || e.ThreadID != 5 {
		t.Errorf("exception %+v: %v", e, err)
	}
	if m, err := f.MiscInfo(); err != nil || m.ProcessID != 5 { // without NT_PRPSINFO
		t.Errorf("misc info %+v: %v", m, err)
	}
}

// The arguments: pointers in another order, environment variables removed, no number of arguments, no arguments.
func TestCoreArguments(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	args, env := []string{"sample", "x", "yy"}, []string{"A=1", "B=2", "C=3"}
	for _, c := range []struct {
		name       string
		args, env  []string
		change     func(words []byte)
		cmdline    string
		environ    string
		hasEnviron bool
	}{
		{"plain", args, env, nil, "sample\x00x\x00yy\x00", "A=1\x00B=2\x00C=3\x00", true},
		{"no environment", args, nil, nil, "sample\x00x\x00yy\x00", "", false},
		{"permuted", args, env, func(w []byte) {
			x, y := bytes.Clone(w[8:16]), bytes.Clone(w[24:32])
			copy(w[8:], y)
			copy(w[24:], x)
		}, "sample\x00x\x00yy\x00", "A=1\x00B=2\x00C=3\x00", true},
		{"first variable gone", args, env, func(w []byte) {
			copy(w[40:], w[48:64])
			clear(w[56:64])
		}, "sample\x00x\x00yy\x00", "A=1\x00B=2\x00C=3\x00", true},
		{"all variables gone", args, env, func(w []byte) { clear(w[40:64]) }, "sample\x00x\x00yy\x00", "A=1\x00B=2\x00C=3\x00", true},
		{"variable replaced", args, env, func(w []byte) { copy(w[48:], "\x01\x02\x03\x04\x05\x06\x00\x00") }, "sample\x00x\x00yy\x00",
			"A=1\x00B=2\x00C=3\x00", true},
		{"number overwritten", args, env, func(w []byte) { copy(w, "\x00\xff\xff\x3f\x00\x00\x00\x00") }, "sample\x00x\x00yy\x00",
			"A=1\x00B=2\x00C=3\x00", true},
		{"pointers overwritten", args, env, func(w []byte) { clear(w[:64]) }, "sample x yy", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			top, vector := a.StartStack(coretest.SampleTop, c.args, c.env, 6, 4096)
			if c.change != nil {
				c.change(top)
			}
			b := &coretest.Builder{Arch: a}
			b.Note("CORE", 1, a.Status(5, 0, coretest.SamplePC, coretest.SampleTop-uint64(len(top))))
			b.Note("CORE", 3, a.Psinfo(5, "sample", strings.Join(c.args, " ")+" "))
			b.Note("CORE", 6, vector)
			b.Segment(coretest.SampleTop-0x2000, 0x2000, 6, append(make([]byte, 0x2000-len(top)), top...))
			f, _ := dumpCore(t, b.Bytes(), minidump.Options{})
			if s, err := f.Text(stream.LinuxCmdLine); s != c.cmdline {
				t.Errorf("command line %q: %v", s, err)
			}
			s, err := f.Text(stream.LinuxEnviron)
			if s != c.environ || (err == nil) != c.hasEnviron {
				t.Errorf("environment %q: %v", s, err)
			}
		})
	}
}

func TestCoreAllocations(t *testing.T) {
	core := coretest.Sample(coretest.ArchNamed("amd64")).Bytes()
	for _, o := range []minidump.Options{{}, {Mode: minidump.ModeFull}, {Mode: minidump.ModeIndirect, SanitizeStacks: true, RegisterSets: true}} {
		w, err := minidump.OpenCore(bytes.NewReader(core), int64(len(core)), o)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if n := testing.AllocsPerRun(20, func() {
			if _, err := w.Dump(io.Discard); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("mode %d: %v allocations a dump", o.Mode, n)
		}
	}
}

func FuzzCore(f *testing.F) {
	for i := range coretest.Archs {
		f.Add(coretest.Small(&coretest.Archs[i]), uint8(i))
	}
	small := &coretest.Builder{Arch: coretest.ArchNamed("amd64"), Extended: true}
	small.Note("CORE", 1, small.Status(5, 11, coretest.SamplePC, 0x1010))
	small.Segment(0x1000, 0x1000, 6, make([]byte, 64))
	f.Add(small.Bytes(), uint8(2))
	f.Fuzz(func(t *testing.T, core []byte, mode uint8) {
		o := minidump.Options{Mode: minidump.Mode(mode % 3), RegisterSets: mode&4 != 0, SanitizeStacks: mode&8 != 0, SanitizeAll: mode&16 != 0}
		if mode&32 != 0 && o.Mode != minidump.ModeFull {
			o.Limit = 10000
		}
		w, err := minidump.OpenCore(bytes.NewReader(core), int64(len(core)), o)
		if err != nil {
			return
		}
		defer w.Close()
		var out bytes.Buffer
		if _, err := w.Dump(&out); err != nil {
			if !errors.Is(err, minidump.ErrLimit) {
				t.Fatal(err)
			}
			return
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
