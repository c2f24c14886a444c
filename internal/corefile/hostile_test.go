package corefile_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"minidump/context"
	"minidump/elf"
	"minidump/stream"

	"minidump"
	"minidump/internal/corefile"
	"minidump/internal/corefile/coretest"
	"minidump/internal/victims"
)

func softOf(r minidump.Result, op string) int {
	n := 0
	for _, e := range r.SoftErrors() {
		if e.Op == op {
			n++
		}
	}
	return n
}

// A thread that is not in the file, named by the options or by a crash context, is listed without registers,
// because the exception refers to it.
func TestCoreOtherThread(t *testing.T) {
	core := coretest.Sample(coretest.ArchNamed("amd64")).Bytes()
	for _, o := range []minidump.Options{{Thread: 999, RegisterSets: true}, {Crash: &context.Crash{Arch: context.AMD64, TID: 999, Signo: 4}}} {
		f, r := dumpCore(t, core, o)
		e, err := f.Exception()
		if err != nil || e.ThreadID != 999 {
			t.Errorf("exception %+v: %v", e, err)
		}
		rec, err := f.Context(e.Context) // a record that says that no register is known
		if err != nil {
			t.Fatal(err)
		}
		if cpu, err := context.Decode(context.AMD64, rec, f.Order); err != nil || len(cpu.Known()) != 0 {
			t.Errorf("registers %+v: %v", cpu, err)
		}
		if r.Threads != 3 {
			t.Errorf("%d threads", r.Threads)
		}
		if !slices.ContainsFunc(r.SoftErrors(), func(e minidump.SoftError) bool { return e.Op == "read registers" && e.Thread == 999 }) {
			t.Errorf("soft errors %v", r.SoftErrors())
		}
	}
}

// Modules do not overlap, whatever the auxiliary vector and the images contain.
func TestCoreModulesApart(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	const base = 0x10000000
	packed := a.Image(coretest.SampleID, a.Prog(1, 5, 0, 0x1000, 0x1000, 0x1000), a.Prog(2, 6, 0x800, 0x1800, 64, 64))
	copy(packed[0x800:], a.Words(elf.DT_ANDROID_RELA, 5, 0, 0))
	plain := a.Image(coretest.SampleID, a.Prog(1, 5, 0, 0, 0x1000, 0x1000))
	bss := a.Image(coretest.SampleID, a.Prog(1, 5, 0, 0, 0x1000, 0x2000)) // its .bss occupies a page of what follows
	for _, test := range []struct {
		name  string
		auxv  []uint64
		files []coretest.FileEntry
		pages [][]byte // starting at base, the last one three pages long
		Want  string
	}{
		{"entry behind .bss", []uint64{9, base + 0x3800}, []coretest.FileEntry{{Start: base, End: base + 0x1000, Page: 0, Name: "/a"}}, [][]byte{bss, make([]byte, 64)},
			"10002000+2000 10000000+2000"},
		{"vDSO at .bss", []uint64{33, base + 0x1000}, []coretest.FileEntry{{Start: base, End: base + 0x1000, Page: 0, Name: "/a"}, {Start: base + 0x1000, End: base + 0x4000, Page: 0, Name: "b"}},
			[][]byte{bss, plain}, "10000000+1000 10001000+3000"},
		{"packed relocations", nil, []coretest.FileEntry{{Start: base, End: base + 0x1000, Page: 0, Name: "/a"}, {Start: base + 0x1000, End: base + 0x4000, Page: 0, Name: "/b"}},
			[][]byte{plain, packed}, "10000000+1000 10001000+3000"},
		{"packed relocations above the program", []uint64{9, base + 0x800}, []coretest.FileEntry{{Start: base + 0x1000, End: base + 0x4000, Page: 0, Name: "/b"}},
			[][]byte{plain, packed}, "10000000+1000 10001000+3000"},
		{"packed relocations with space", nil, []coretest.FileEntry{{Start: base + 0x1000, End: base + 0x4000, Page: 0, Name: "/b"}},
			[][]byte{make([]byte, 64), packed}, "10000000+4000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &coretest.Builder{Arch: a}
			b.Note("CORE", 1, a.Status(101, 11, coretest.SamplePC, coretest.SampleStack+0x1800))
			b.Note("CORE", 6, a.Words(append(test.auxv, 0, 0)...))
			b.Note("CORE", 0x46494c45, a.Files(test.files...))
			for i, p := range test.pages {
				size := uint64(0x1000)
				if i == len(test.pages)-1 {
					size = 0x3000
				}
				b.Segment(base+0x1000*uint64(i), size, 5, p)
			}
			f, _ := dumpCore(t, b.Bytes(), minidump.Options{})
			mods, err := f.Modules()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range mods {
				got = append(got, fmt.Sprintf("%x+%x", m.BaseOfImage, m.SizeOfImage))
			}
			if strings.Join(got, " ") != test.Want {
				t.Errorf("modules %v, want %s", got, test.Want)
			}
		})
	}
}

// A dump from a pipe contains the same of a large stack as one from the file, wherever SP is.
func TestCorePipeStacks(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	for _, sp := range []uint64{0x80000, 0x80008, 0x80001, 0x20010, 0x1fff0, 0x1f000, 0xffff0} {
		t.Run(fmt.Sprintf("%#x", sp), func(t *testing.T) {
			b := &coretest.Builder{Arch: a}
			b.Note("CORE", 1, a.Status(5, 11, coretest.SamplePC, coretest.SampleStack+sp))
			b.Segment(coretest.SampleStack, 0x20000, 0, nil) // the guard
			stack := make([]byte, 0x100000)
			for i := range stack {
				stack[i] = byte(i>>12 ^ i)
			}
			b.Segment(coretest.SampleStack+0x20000, 0x100000, 6, stack)
			core := b.Bytes()
			want, wr := dumpCore(t, core, minidump.Options{})
			got, gr := pipeDump(t, bytes.NewReader(core), 0, "", minidump.Options{})
			if wr.Memory != minidump.DefaultCrashStackLimit && sp < 0xf0000 || gr.Memory != wr.Memory {
				t.Fatalf("%d bytes of memory %v, of the file %d", gr.Memory, gr.SoftErrors(), wr.Memory)
			}
			ranges, _ := want.MemoryRanges()
			for _, m := range ranges {
				w, g := make([]byte, m.Size), make([]byte, m.Size)
				want.ReadMemory(m.Addr, w)
				if n, _ := got.ReadMemory(m.Addr, g); n != len(g) || !bytes.Equal(w, g) {
					t.Errorf("memory at %#x differs", m.Addr)
				}
			}
		})
	}
}

// The work for many threads that claim one stack made of many small segments grows only with their number.
func TestCorePipeManyThreads(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	b := &coretest.Builder{Arch: a}
	for tid := range int32(3000) {
		b.Note("CORE", 1, a.Status(1+tid, 11, coretest.SamplePC, coretest.SampleStack))
	}
	for i := range uint64(3000) {
		b.Segment(coretest.SampleStack+i, 1, 6, []byte{1})
	}
	core := b.Bytes()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w, err := minidump.OpenCorePipe(bytes.NewReader(core), 0, "", minidump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 32<<20 {
		t.Errorf("%d bytes of memory were taken for a core of %d", n, len(core))
	}
	if _, r := dumpOpened(t, w); r.Threads != 3000 {
		t.Errorf("%+v", r)
	}
}

// A name that is longer than any path is cut: otherwise a name of a megabyte could be in a thousand modules.
func TestCoreLongName(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	b := &coretest.Builder{Arch: a}
	const pages = 200
	b.Note("CORE", 1, a.Status(101, 11, coretest.SamplePC, coretest.SampleStack+0x1800))
	b.Note("CORE", 0x46494c45, a.Files(coretest.FileEntry{Start: 0x10000000, End: 0x10000000 + pages*0x1000, Page: 1, Name: "/" + strings.Repeat("x", 1<<20)},
		coretest.FileEntry{Start: 0x20000000, End: 0x20001000, Page: 0, Name: "/next"}))
	for i := range uint64(pages) {
		b.Segment(0x10000000+0x1000*i, 0x1000, 5, make([]byte, 16))
	}
	f, r := dumpCore(t, b.Bytes(), minidump.Options{})
	if r.Size > 16<<20 {
		t.Errorf("%d bytes", r.Size)
	}
	mods, err := f.Modules()
	if err != nil || len(mods) != pages || len(mods[0].Name) != corefile.MaxName {
		t.Errorf("%d modules: %v", len(mods), err)
	}
	if maps, err := f.MemoryInfo(); err != nil || len(maps) != pages+1 {
		t.Errorf("%d mappings: %v", len(maps), err)
	}
}

// manyNotes is a core file of a gigabyte that is a sequence of notes of 128 KiB. Only the program headers and the first note are
// stored.
type manyNotes struct{ head, note []byte }

const manyNotesAt, manyNotesStride = 4096, 128 << 10

func (f *manyNotes) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(f.head)) {
		copy(p, f.head[off:])
	}
	first := max(off-manyNotesAt, 0) / manyNotesStride * manyNotesStride
	for at := first + manyNotesAt; at < off+int64(len(p)); at += manyNotesStride {
		if at >= off {
			copy(p[at-off:], f.note)
		} else if off-at < int64(len(f.note)) {
			copy(p, f.note[off-at:])
		}
	}
	return len(p), nil
}

// Register sets of one thread that exceed 4 GiB in total, which wraps to a small number where int has 32 bits.
func TestCoreRegisterSetsTooLarge(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	b := &coretest.Builder{Arch: a}
	b.Note("LINUX", 0x777, make([]byte, manyNotesStride-20))
	note := b.Notes[:20]
	b.Notes = nil
	b.Note("CORE", 1, a.Status(5, 11, coretest.SamplePC, coretest.SampleStack))
	head := append(a.ELFHeader(4, 7, 0), a.Prog(4, 0, 1024, 0, uint64(len(b.Notes)), 0)...)
	for left := 32771; left > 0; left -= 8000 { // 32771 * 131064 is 2^32 + 131048, which wraps to less than the size of one note
		head = append(head, a.Prog(4, 0, manyNotesAt, 0, uint64(min(left, 8000))*manyNotesStride, 0)...)
	}
	head = append(append(head, make([]byte, 1024-len(head))...), b.Notes...)
	src, err := corefile.New("core", &manyNotes{head, note}, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if n := src.NumNotes(); n != 32772 {
		t.Errorf("%d notes", n)
	}
	src.Close()
	w, err := minidump.OpenCore(&manyNotes{head, note}, 1<<30, minidump.Options{RegisterSets: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, r := dumpOpened(t, w); softOf(r, "snapshot space ran out: dropped data") == 0 {
		t.Errorf("nothing is told: %v", r.SoftErrors())
	}
}

// longNotes is a core file whose notes have more bytes than an int of 32 bits can count. Only their headers are stored.
type longNotes map[int64][]byte

func (f longNotes) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for at, b := range f {
		if at >= off && at < off+int64(len(p)) {
			copy(p[at-off:], b)
		} else if at < off && off < at+int64(len(b)) {
			copy(p, b[off-at:])
		}
	}
	return len(p), nil
}

// Notes of 2 GiB: the auxiliary vector, the files, and registers of a thread.
func TestCoreLongNotes(t *testing.T) {
	const size, stride = 1 << 31, 1<<31 + 20
	a := coretest.ArchNamed("amd64")
	b := &coretest.Builder{Arch: a}
	b.Note("CORE", 1, a.Status(5, 11, coretest.SamplePC, coretest.SampleStack))
	f := longNotes{1024: b.Notes}
	at := 1024 + int64(len(b.Notes))
	for _, typ := range []uint32{6, 0x46494c45, 2, 0x202} { // NT_AUXV, NT_FILE, NT_FPREGSET, NT_X86_XSTATE
		b.Notes = nil
		b.Note(map[bool]string{true: "LINUX", false: "CORE"}[typ == 0x202], typ, nil)
		a.Order.PutUint32(b.Notes[4:], size)
		f[at] = b.Notes
		at += stride
	}
	f[0] = append(a.ELFHeader(4, 1, 0), a.Prog(4, 0, 1024, 0, uint64(at-1024), 0)...)
	w, err := minidump.OpenCore(f, at, minidump.Options{RegisterSets: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	d, _ := dumpOpened(t, w)
	if list, err := d.Threads(); err != nil || len(list) != 1 || list[0].ThreadID != 5 {
		t.Errorf("%v, %v", list, err)
	}
}

// countingFile counts the bytes that are read.
type countingFile struct {
	io.ReaderAt
	n uint64
}

func (f *countingFile) ReadAt(p []byte, off int64) (int, error) {
	f.n += uint64(len(p))
	return f.ReaderAt.ReadAt(p, off)
}

// Images with thousands of sections whose names lie far apart require millions of reads, which are limited.
func TestCoreImageReads(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	const sections, names, images = elf.MaxSections, 1 << 16, 30
	shared := make([]byte, sections*64+names) // at file offset 0x1000 of each image
	for i := 1; i < sections; i++ {
		s := shared[64*i:]
		a.Order.PutUint32(s, uint32(i*7919%names))
		a.Order.PutUint32(s[4:], elf.SHT_PROGBITS)
	}
	a.Order.PutUint32(shared[64+4:], elf.SHT_STRTAB) // section 1: the names
	a.Order.PutUint64(shared[64+24:], 0x1000+sections*64)
	a.Order.PutUint64(shared[64+32:], names)
	b := &coretest.Builder{Arch: a}
	b.Note("CORE", 1, a.Status(5, 11, coretest.SamplePC, coretest.SampleStack))
	var files []coretest.FileEntry
	const base, sharedAt = 0x10000000, 0x20000000
	for i := range uint64(images) {
		at := base + 0x1000*i
		files = append(files, coretest.FileEntry{Start: at, End: at + 0x1000, Page: 0, Name: fmt.Sprintf("/lib%d", i)})
		h := append(a.ELFHeader(3, 2, 0x1000), a.Prog(1, 5, 0, 0, 0x1000, 0x1000)...)
		a.Order.PutUint16(h[60:], sections)
		a.Order.PutUint16(h[62:], 1) // e_shstrndx
		h = append(h, a.Prog(1, 4, 0x1000, sharedAt-at, uint64(len(shared)), uint64(len(shared)))...)
		b.Segment(at, 0x1000, 5, h)
	}
	b.Note("CORE", 0x46494c45, a.Files(files...))
	b.Segment(sharedAt, uint64(len(shared)), 4, shared)
	core := b.Bytes()
	f := &countingFile{ReaderAt: bytes.NewReader(core)}
	w, err := minidump.OpenCore(f, int64(len(core)), minidump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 2 { // each dump may read that much
		f.n = 0
		if _, r := dumpOpened(t, w); softOf(r, "identify module") != images {
			t.Errorf("soft errors %v", r.SoftErrors())
		}
		if f.n < corefile.MaxImageReads/2 || f.n > corefile.MaxImageReads+16<<20 {
			t.Errorf("%d bytes were read of a core of %d", f.n, len(core))
		}
	}
}

// The stack of another thread that contains the blamed thread's stack is shortened; the blamed thread's is not.
func TestCoreNestedStacks(t *testing.T) {
	a := coretest.ArchNamed("amd64")
	b := &coretest.Builder{Arch: a}
	b.Note("CORE", 1, a.Status(101, 11, coretest.SamplePC, coretest.SampleStack+0x1800))
	b.Note("CORE", 1, a.Status(100, 0, coretest.SamplePC, coretest.SampleStack+0x800))
	b.Segment(coretest.SampleStack, 0x2000, 6, bytes.Repeat([]byte{0x5a}, 0x2000))
	core := b.Bytes()
	_, whole := dumpCore(t, core, minidump.Options{})
	for _, less := range []uint64{100, 1000, 2500} {
		o := minidump.Options{Limit: whole.Size - less, CrashStackLimit: 0x1000}
		f, r := dumpCore(t, core, o)
		threads, err := f.Threads()
		if err != nil || len(threads) != 2 {
			t.Fatalf("threads %+v: %v", threads, err)
		}
		if st := threads[0].Stack; st.Start != coretest.SampleStack+0x1800-a.Arch.RedZone() || st.Start+uint64(st.Memory.DataSize) != coretest.SampleStack+0x2000 {
			t.Errorf("limit %d: stack of the blamed thread %+v", o.Limit, st)
		}
		if st := threads[1].Stack; st.Memory.DataSize >= 0x1800 || r.Size > o.Limit {
			t.Errorf("limit %d: %d bytes, with other stack %+v", o.Limit, r.Size, st)
		}
	}
}

// A hundred thousand threads that claim pieces of one stack, and a size limit that they exceed: the time must not grow
// with the square of their number.
func TestHostileOverlaps(t *testing.T) {
	victims.SkipEmulated(t, "only to save time")
	a := coretest.ArchNamed("amd64")
	b := coretest.Sample(a)
	const base = 0x7000_0000
	threads := 100_000
	if math.MaxInt == math.MaxInt32 {
		threads = 20_000 // more than 60,000 are cut where addresses have 32 bits
	}
	limit := uint64(threads) * (1232 + stream.ThreadSize + 8) // half of the size of the stacks
	for i := range threads {
		b.Note("CORE", 1, a.Status(int32(1000+i), 0, coretest.SamplePC, uint64(base+16*i)))
	}
	b.Segment(base, uint64(16*threads+0x10000), 6, bytes.Repeat([]byte{0x77}, 16*threads+0x10000))
	start := time.Now()
	f, r := dumpCore(t, b.Bytes(), minidump.Options{Limit: limit})
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if list, err := f.Threads(); err != nil || len(list) != threads+2 || r.Size > limit {
		t.Errorf("%d threads, %d bytes: %v", len(list), r.Size, err)
	}
	t.Logf("%d bytes, %d ranges, %v", r.Size, r.Ranges, time.Since(start))
}
