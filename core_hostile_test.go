package minidump

import (
	"bytes"
	"encoding/json"
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
)

func softOf(r Result, op string) int {
	n := 0
	for _, e := range r.SoftErrors() {
		if e.Op == op {
			n++
		}
	}
	return n
}

// A thread that the file does not have, asked for or in a crash context: it is listed without registers, as the exception
// refers to it.
func TestCoreOtherThread(t *testing.T) {
	core := sampleCore(coreArchNamed("amd64")).bytes()
	for _, o := range []Options{{Thread: 999, RegisterSets: true}, {Crash: &context.Crash{Arch: context.AMD64, TID: 999, Signo: 4}}} {
		f, r := dumpCore(t, core, o)
		if e, err := f.Exception(); err != nil || e.ThreadID != 999 || e.Context.DataSize != 0 {
			t.Errorf("exception %+v: %v", e, err)
		}
		if r.Threads != 3 {
			t.Errorf("%d threads", r.Threads)
		}
		if !slices.ContainsFunc(r.SoftErrors(), func(e SoftError) bool { return e.Op == "read registers" && e.Thread == 999 }) {
			t.Errorf("soft errors %v", r.SoftErrors())
		}
	}
}

// In a table that is full the blamed thread takes the last one's place.
func TestBlamedInFullTable(t *testing.T) {
	var s snapshot
	if err := s.reserve(); err != nil {
		t.Fatal(err)
	}
	defer s.release()
	for s.threads.add() != nil {
	}
	n := s.threads.n
	s.threads.at(n - 1).tid = 5
	s.proc.blamed = 7
	s.addBlamed(opRegisters, 0)
	if th := s.blamedThread(); th == nil || s.threads.n != n || s.threads.at(n-1) != th {
		t.Errorf("%d of %d threads, %+v", s.threads.n, n, th)
	}
}

// Modules do not overlap, whatever the auxiliary vector and the images say.
func TestCoreModulesApart(t *testing.T) {
	a := coreArchNamed("amd64")
	const base = 0x10000000
	packed := a.image(sampleID, a.prog(1, 5, 0, 0x1000, 0x1000, 0x1000), a.prog(2, 6, 0x800, 0x1800, 64, 64))
	copy(packed[0x800:], a.words(elf.DT_ANDROID_RELA, 5, 0, 0))
	plain := a.image(sampleID, a.prog(1, 5, 0, 0, 0x1000, 0x1000))
	bss := a.image(sampleID, a.prog(1, 5, 0, 0, 0x1000, 0x2000)) // its .bss takes a page of what follows
	for _, test := range []struct {
		name  string
		auxv  []uint64
		files []coreFileEntry
		pages [][]byte // from base on, the last one three pages long
		want  string
	}{
		{"entry behind .bss", []uint64{9, base + 0x3800}, []coreFileEntry{{base, base + 0x1000, 0, "/a"}}, [][]byte{bss, make([]byte, 64)},
			"10002000+2000 10000000+2000"},
		{"vDSO at .bss", []uint64{33, base + 0x1000}, []coreFileEntry{{base, base + 0x1000, 0, "/a"}, {base + 0x1000, base + 0x4000, 0, "b"}},
			[][]byte{bss, plain}, "10000000+1000 10001000+3000"},
		{"packed relocations", nil, []coreFileEntry{{base, base + 0x1000, 0, "/a"}, {base + 0x1000, base + 0x4000, 0, "/b"}},
			[][]byte{plain, packed}, "10000000+1000 10001000+3000"},
		{"packed relocations above the program", []uint64{9, base + 0x800}, []coreFileEntry{{base + 0x1000, base + 0x4000, 0, "/b"}},
			[][]byte{plain, packed}, "10000000+1000 10001000+3000"},
		{"packed relocations with space", nil, []coreFileEntry{{base + 0x1000, base + 0x4000, 0, "/b"}},
			[][]byte{make([]byte, 64), packed}, "10000000+4000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &coreBuilder{coreArch: a}
			b.note("CORE", 1, a.status(101, 11, samplePC, sampleStack+0x1800))
			b.note("CORE", 6, a.words(append(test.auxv, 0, 0)...))
			b.note("CORE", 0x46494c45, a.files(test.files...))
			for i, p := range test.pages {
				size := uint64(0x1000)
				if i == len(test.pages)-1 {
					size = 0x3000
				}
				b.segment(base+0x1000*uint64(i), size, 5, p)
			}
			f, _ := dumpCore(t, b.bytes(), Options{})
			mods, err := f.Modules()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range mods {
				got = append(got, fmt.Sprintf("%x+%x", m.BaseOfImage, m.SizeOfImage))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("modules %v, want %s", got, test.want)
			}
		})
	}
}

// Of a large stack a pipe's dump holds the same as the file's, wherever SP is.
func TestCorePipeStacks(t *testing.T) {
	a := coreArchNamed("amd64")
	for _, sp := range []uint64{0x80000, 0x80008, 0x80001, 0x20010, 0x1fff0, 0x1f000, 0xffff0} {
		t.Run(fmt.Sprintf("%#x", sp), func(t *testing.T) {
			b := &coreBuilder{coreArch: a}
			b.note("CORE", 1, a.status(5, 11, samplePC, sampleStack+sp))
			b.segment(sampleStack, 0x20000, 0, nil) // the guard
			stack := make([]byte, 0x100000)
			for i := range stack {
				stack[i] = byte(i>>12 ^ i)
			}
			b.segment(sampleStack+0x20000, 0x100000, 6, stack)
			core := b.bytes()
			want, wr := dumpCore(t, core, Options{})
			got, gr := pipeDump(t, bytes.NewReader(core), 0, "", Options{})
			if wr.Memory != DefaultCrashStackLimit && sp < 0xf0000 || gr.Memory != wr.Memory {
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

// Many threads that claim the same stack, of many small segments, cost no more than their number.
func TestCorePipeManyThreads(t *testing.T) {
	a := coreArchNamed("amd64")
	b := &coreBuilder{coreArch: a}
	for tid := range int32(3000) {
		b.note("CORE", 1, a.status(1+tid, 11, samplePC, sampleStack))
	}
	for i := range uint64(3000) {
		b.segment(sampleStack+i, 1, 6, []byte{1})
	}
	core := b.bytes()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w, err := OpenCorePipe(bytes.NewReader(core), 0, "", Options{})
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

// A name that is longer than any path is cut: one of a megabyte could stand in a thousand modules.
func TestCoreLongName(t *testing.T) {
	a := coreArchNamed("amd64")
	b := &coreBuilder{coreArch: a}
	const pages = 200
	b.note("CORE", 1, a.status(101, 11, samplePC, sampleStack+0x1800))
	b.note("CORE", 0x46494c45, a.files(coreFileEntry{0x10000000, 0x10000000 + pages*0x1000, 1, "/" + strings.Repeat("x", 1<<20)},
		coreFileEntry{0x20000000, 0x20001000, 0, "/next"}))
	for i := range uint64(pages) {
		b.segment(0x10000000+0x1000*i, 0x1000, 5, make([]byte, 16))
	}
	f, r := dumpCore(t, b.bytes(), Options{})
	if r.Size > 16<<20 {
		t.Errorf("%d bytes", r.Size)
	}
	mods, err := f.Modules()
	if err != nil || len(mods) != pages || len(mods[0].Name) != maxCoreName {
		t.Errorf("%d modules: %v", len(mods), err)
	}
	if maps, err := f.MemoryInfo(); err != nil || len(maps) != pages+1 {
		t.Errorf("%d mappings: %v", len(maps), err)
	}
}

// manyNotes is a core file of a gigabyte, of which only the program headers and the first note are stored: a note of
// 128 KiB follows another.
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

// Register sets of one thread that together have more than 4 GiB, which is a small number where int has 32 bits.
func TestCoreRegisterSetsTooLarge(t *testing.T) {
	a := coreArchNamed("amd64")
	b := &coreBuilder{coreArch: a}
	b.note("LINUX", 0x777, make([]byte, manyNotesStride-20))
	note := b.notes[:20]
	b.notes = nil
	b.note("CORE", 1, a.status(5, 11, samplePC, sampleStack))
	head := append(a.elfHeader(4, 7, 0), a.prog(4, 0, 1024, 0, uint64(len(b.notes)), 0)...)
	for left := 32771; left > 0; left -= 8000 { // 32771 * 131064 is 2^32 + 131048, less than one of them takes
		head = append(head, a.prog(4, 0, manyNotesAt, 0, uint64(min(left, 8000))*manyNotesStride, 0)...)
	}
	head = append(append(head, make([]byte, 1024-len(head))...), b.notes...)
	w, err := OpenCore(&manyNotes{head, note}, 1<<30, Options{RegisterSets: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if n := w.src.(*core).notes.n; n != 32772 {
		t.Fatalf("%d notes", n)
	}
	if _, r := dumpOpened(t, w); softOf(r, "snapshot space ran out for") == 0 {
		t.Errorf("nothing is told: %v", r.SoftErrors())
	}
}

// countingFile counts what is read.
type countingFile struct {
	io.ReaderAt
	n uint64
}

func (f *countingFile) ReadAt(p []byte, off int64) (int, error) {
	f.n += uint64(len(p))
	return f.ReaderAt.ReadAt(p, off)
}

// Images with thousands of sections whose names lie far apart take millions of reads: there is an end to it.
func TestCoreImageReads(t *testing.T) {
	a := coreArchNamed("amd64")
	const sections, names, images = elf.MaxSections, 1 << 16, 30
	shared := make([]byte, sections*64+names) // at file offset 0x1000 of each image
	for i := 1; i < sections; i++ {
		s := shared[64*i:]
		a.order.PutUint32(s, uint32(i*7919%names))
		a.order.PutUint32(s[4:], elf.SHT_PROGBITS)
	}
	a.order.PutUint32(shared[64+4:], elf.SHT_STRTAB) // section 1: the names
	a.order.PutUint64(shared[64+24:], 0x1000+sections*64)
	a.order.PutUint64(shared[64+32:], names)
	b := &coreBuilder{coreArch: a}
	b.note("CORE", 1, a.status(5, 11, samplePC, sampleStack))
	var files []coreFileEntry
	const base, sharedAt = 0x10000000, 0x20000000
	for i := range uint64(images) {
		at := base + 0x1000*i
		files = append(files, coreFileEntry{at, at + 0x1000, 0, fmt.Sprintf("/lib%d", i)})
		h := append(a.elfHeader(3, 2, 0x1000), a.prog(1, 5, 0, 0, 0x1000, 0x1000)...)
		a.order.PutUint16(h[60:], sections)
		a.order.PutUint16(h[62:], 1) // e_shstrndx
		h = append(h, a.prog(1, 4, 0x1000, sharedAt-at, uint64(len(shared)), uint64(len(shared)))...)
		b.segment(at, 0x1000, 5, h)
	}
	b.note("CORE", 0x46494c45, a.files(files...))
	b.segment(sharedAt, uint64(len(shared)), 4, shared)
	core := b.bytes()
	f := &countingFile{ReaderAt: bytes.NewReader(core)}
	w, err := OpenCore(f, int64(len(core)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 2 { // each dump has as much
		f.n = 0
		if _, r := dumpOpened(t, w); softOf(r, "identify module") != images {
			t.Errorf("soft errors %v", r.SoftErrors())
		}
		if f.n < maxImageReads/2 || f.n > maxImageReads+16<<20 {
			t.Errorf("%d bytes were read of a core of %d", f.n, len(core))
		}
	}
}

// More soft errors than anyone reads are cut, not left out altogether.
func TestSoftErrorsWithoutEnd(t *testing.T) {
	w := new(Writer)
	err := w.init(Options{}, make([]byte, encoderBuffer))
	if err != nil {
		t.Fatal(err)
	}
	defer w.snap.release()
	defer w.batch.release()
	s := &w.snap
	text := s.bytes.put(bytes.Repeat([]byte{'x'}, 4000))
	for range 50000 {
		if e := s.soft(opModuleID, 0, 0, 0); e != nil {
			e.text = text
		}
	}
	w.renderSoftErrors()
	b := s.bytes.bytes(w.plan.json)
	if len(b) < maxSoftText/16 || len(b) > maxSoftText || !json.Valid(b) {
		t.Errorf("%d bytes of text: %.300q", len(b), b)
	}
}

// The stack of another thread that has the blamed one's in it is shortened, and that one is not.
func TestCoreNestedStacks(t *testing.T) {
	a := coreArchNamed("amd64")
	b := &coreBuilder{coreArch: a}
	b.note("CORE", 1, a.status(101, 11, samplePC, sampleStack+0x1800))
	b.note("CORE", 1, a.status(100, 0, samplePC, sampleStack+0x800))
	b.segment(sampleStack, 0x2000, 6, bytes.Repeat([]byte{0x5a}, 0x2000))
	core := b.bytes()
	_, whole := dumpCore(t, core, Options{})
	for _, less := range []uint64{100, 1000, 2500} {
		o := Options{Limit: whole.Size - less, CrashStackLimit: 0x1000}
		f, r := dumpCore(t, core, o)
		threads, err := f.Threads()
		if err != nil || len(threads) != 2 {
			t.Fatalf("threads %+v: %v", threads, err)
		}
		if st := threads[0].Stack; st.Start != sampleStack+0x1800-a.arch.RedZone() || st.Start+uint64(st.Memory.DataSize) != sampleStack+0x2000 {
			t.Errorf("limit %d: stack of the blamed thread %+v", o.Limit, st)
		}
		if st := threads[1].Stack; st.Memory.DataSize >= 0x1800 || r.Size > o.Limit {
			t.Errorf("limit %d: %d bytes, with other stack %+v", o.Limit, r.Size, st)
		}
	}
}

// The largest ranges give way first, and those that are left stay in order of their addresses.
func TestDropStreamed(t *testing.T) {
	w := new(Writer)
	err := w.init(Options{Mode: ModeFull}, make([]byte, encoderBuffer))
	if err != nil {
		t.Fatal(err)
	}
	defer w.snap.release()
	defer w.batch.release()
	s := &w.snap
	s.target.pageSize = 4096
	for i, pages := range []uint64{1, 5, 2, 5, 3} {
		*s.full.add() = memoryRange{start: 0x100000 * uint64(i), size: pages << 12}
	}
	s.full.at(3).keep = true
	if !dropStreamed(w, 6<<12-100) {
		t.Error("nothing is dropped")
	}
	for i, pages := range []uint64{1, 0, 2, 5, 2} {
		if r := s.full.at(i); r.start != 0x100000*uint64(i) || r.size != pages<<12 {
			t.Errorf("range %d: %+v, want %d pages", i, *r, pages)
		}
	}
	s.full.clear()
	const many = 60000
	for i := range uint64(many) {
		*s.full.add() = memoryRange{start: i << 13, size: 4096}
		*s.memory.add() = memoryRange{start: i<<13 + 256, size: 256}
	}
	start := time.Now()
	if !dropStreamed(w, many<<11) {
		t.Error("nothing is dropped")
	}
	s.keepStacks()
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("%d ranges took %v", many, d)
	}
	if s.full.n != many {
		t.Errorf("%d ranges", s.full.n)
	}
}

// A hundred thousand threads that claim pieces of one stack, and a limit that they do not fit: that takes no time that grows
// with the square of their number.
func TestHostileOverlaps(t *testing.T) {
	a := coreArchNamed("amd64")
	b := sampleCore(a)
	const base = 0x7000_0000
	threads := 100_000
	if math.MaxInt == math.MaxInt32 {
		threads = 20_000 // more than 60,000 are cut, where addresses have 32 bits
	}
	limit := uint64(threads) * (1232 + stream.ThreadSize + 8) // half of what the stacks take
	for i := range threads {
		b.note("CORE", 1, a.status(int32(1000+i), 0, samplePC, uint64(base+16*i)))
	}
	b.segment(base, uint64(16*threads+0x10000), 6, bytes.Repeat([]byte{0x77}, 16*threads+0x10000))
	start := time.Now()
	f, r := dumpCore(t, b.bytes(), Options{Limit: limit})
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if list, err := f.Threads(); err != nil || len(list) != threads+2 || r.Size > limit {
		t.Errorf("%d threads, %d bytes: %v", len(list), r.Size, err)
	}
	t.Logf("%d bytes, %d ranges, %v", r.Size, r.Ranges, time.Since(start))
}
