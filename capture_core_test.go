package minidump

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"minidump/context"
	"minidump/elf"
	"minidump/internal/scratch"
	"minidump/stream"
)

// A coreArch is what the layouts of core files of an architecture have of their own. The figures are those of the kernel's
// headers (elf_prstatus, elf_prpsinfo and elf_gregset_t with the compat forms of fs/compat_binfmt_elf.c), not of the code
// under test.
type coreArch struct {
	name     string
	machine  uint16
	class    elf.Class
	order    binary.ByteOrder
	flags    uint32
	arch     context.Arch
	prstatus int // size of elf_prstatus
	prpsinfo int // size of elf_prpsinfo
	wide     int // bytes of a register
	pc, sp   int // number in elf_gregset_t
	floats   uint32
	floatsAt int // size of that set
}

var (
	little = binary.ByteOrder(binary.LittleEndian)
	big    = binary.ByteOrder(binary.BigEndian)
)

var coreArchs = []coreArch{
	{"386", 3, elf.Class32, little, 0, context.X86, 144, 124, 4, 12, 15, 0x46e62b7f, 512},
	{"amd64", 62, elf.Class64, little, 0, context.AMD64, 336, 136, 8, 16, 19, 2, 512},
	{"x32", 62, elf.Class32, little, 0, context.AMD64, 296, 124, 8, 16, 19, 2, 512},
	{"arm", 40, elf.Class32, little, 0, context.ARM, 148, 124, 4, 15, 13, 0x400, 260},
	{"armbe", 40, elf.Class32, big, 0, context.ARM, 148, 124, 4, 15, 13, 0x400, 260},
	{"arm64", 183, elf.Class64, little, 0, context.ARM64, 392, 136, 8, 32, 31, 2, 528},
	{"arm64be", 183, elf.Class64, big, 0, context.ARM64, 392, 136, 8, 32, 31, 2, 528},
	{"mips", 8, elf.Class32, big, 0, context.MIPS, 256, 128, 4, 40, 35, 2, 264},
	{"mipsle", 8, elf.Class32, little, 0, context.MIPS, 256, 128, 4, 40, 35, 2, 264},
	{"mipsn32", 8, elf.Class32, big, 0x20, context.MIPS64, 440, 128, 8, 34, 29, 2, 264},
	{"mipsn32 without flag", 8, elf.Class32, little, 0, context.MIPS64, 440, 128, 8, 34, 29, 2, 264},
	{"mips64", 8, elf.Class64, big, 0, context.MIPS64, 480, 136, 8, 34, 29, 2, 264},
	{"mips64le", 8, elf.Class64, little, 0, context.MIPS64, 480, 136, 8, 34, 29, 2, 264},
	{"ppc64", 21, elf.Class64, big, 0, context.PPC64, 504, 136, 8, 32, 1, 2, 264},
	{"ppc64le", 21, elf.Class64, little, 0, context.PPC64, 504, 136, 8, 32, 1, 2, 264},
	{"riscv64", 243, elf.Class64, little, 0, context.RISCV64, 376, 136, 8, 0, 2, 2, 264},
	{"s390x", 22, elf.Class64, big, 0, context.S390X, 336, 136, 8, 1, 17, 2, 136},
	{"loong64", 258, elf.Class64, little, 0, context.LOONG64, 480, 136, 8, 33, 3, 2, 272},
}

// put appends v as n bytes.
func (a *coreArch) put(b []byte, v uint64, n int) []byte {
	switch n {
	case 2:
		return a.order.(binary.AppendByteOrder).AppendUint16(b, uint16(v))
	case 4:
		return a.order.(binary.AppendByteOrder).AppendUint32(b, uint32(v))
	}
	return a.order.(binary.AppendByteOrder).AppendUint64(b, v)
}

func (a *coreArch) words(v ...uint64) (b []byte) {
	for _, v := range v {
		b = a.put(b, v, a.class.WordSize())
	}
	return b
}

func (a *coreArch) status(tid int32, signal int, pc, sp uint64) []byte {
	b := make([]byte, a.prstatus)
	pid, times, regs := 24, 40, 72
	if a.class == elf.Class64 {
		pid, times, regs = 32, 48, 112
	}
	word := a.class.WordSize()
	a.order.PutUint16(b[12:], uint16(signal))
	a.order.PutUint32(b[pid:], uint32(tid))
	a.order.PutUint32(b[pid+4:], 77) // ppid
	copy(b[times:], a.words(21, 500000))
	copy(b[times+2*word:], a.words(4, 100000))
	copy(b[regs+a.pc*a.wide:], a.put(nil, pc, a.wide))
	copy(b[regs+a.sp*a.wide:], a.put(nil, sp, a.wide))
	return b
}

func (a *coreArch) psinfo(pid int32, name, args string) []byte {
	b := make([]byte, a.prpsinfo)
	copy(b[len(b)-112:], a.put(a.put(nil, uint64(pid), 4), 77, 4))
	copy(b[len(b)-96:], name)
	copy(b[len(b)-80:], args)
	return b
}

// siginfo is a siginfo_t of a fault.
func (a *coreArch) siginfo(signo, code int32, addr uint64) []byte {
	b := make([]byte, 128)
	a.order.PutUint32(b, uint32(signo))
	second := uint32(code)
	if a.machine == 8 { // MIPS has si_code before si_errno
		a.order.PutUint32(b[4:], second)
	} else {
		a.order.PutUint32(b[8:], second)
	}
	if a.class == elf.Class64 {
		a.order.PutUint64(b[16:], addr)
	} else {
		a.order.PutUint32(b[12:], uint32(addr))
	}
	return b
}

// A coreFileEntry is one of NT_FILE.
type coreFileEntry struct {
	start, end, page uint64
	name             string
}

func (a *coreArch) files(entries ...coreFileEntry) []byte {
	b := a.words(uint64(len(entries)), 4096)
	for _, e := range entries {
		b = append(b, a.words(e.start, e.end, e.page)...)
	}
	for _, e := range entries {
		b = append(append(b, e.name...), 0)
	}
	return b
}

// A coreBuilder makes a core file.
type coreBuilder struct {
	*coreArch
	notes    []byte
	segments []coreBuilderSegment
	gdb      bool // notes behind the segments, as gdb puts them
	extended bool // number of segments in section header 0
}

type coreBuilderSegment struct {
	addr, size uint64 // in memory
	data       []byte
	flags      uint64
}

func (b *coreBuilder) note(name string, typ uint32, desc []byte) {
	p := b.put(b.put(b.put(nil, uint64(len(name)+1), 4), uint64(len(desc)), 4), uint64(typ), 4)
	p = append(append(p, name...), 0)
	for len(p)%4 != 0 {
		p = append(p, 0)
	}
	p = append(p, desc...)
	for len(p)%4 != 0 {
		p = append(p, 0)
	}
	b.notes = append(b.notes, p...)
}

func (b *coreBuilder) segment(addr, size uint64, flags uint64, data []byte) {
	b.segments = append(b.segments, coreBuilderSegment{addr, size, data, flags})
}

// elfHeader is the header of a file whose program headers follow it.
func (a *coreArch) elfHeader(typ int, phnum, shoff uint64) []byte {
	h := append([]byte("\x7fELF"), byte(a.class), 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	if a.order == big {
		h[5] = 2
	}
	h = a.put(a.put(a.put(h, uint64(typ), 2), uint64(a.machine), 2), 1, 4)
	ehsize, phsize, shsize := uint64(52), uint64(32), uint64(40)
	if a.class == elf.Class64 {
		ehsize, phsize, shsize = 64, 56, 64
	}
	h = append(h, a.words(0, ehsize, shoff)...)
	h = a.put(h, uint64(a.flags), 4)
	shnum := uint64(0)
	if shoff != 0 {
		shnum = 1
	}
	for _, v := range []uint64{ehsize, phsize, phnum, shsize, shnum, 0} {
		h = a.put(h, v, 2)
	}
	return h
}

// prog is a program header.
func (a *coreArch) prog(typ, flags, off, vaddr, filesz, memsz uint64) []byte {
	b := a.put(nil, typ, 4)
	if a.class == elf.Class64 {
		return append(a.put(b, flags, 4), a.words(off, vaddr, 0, filesz, memsz, 4)...)
	}
	return append(a.put(append(b, a.words(off, vaddr, 0, filesz, memsz)...), flags, 4), a.words(4)...)
}

func (b *coreBuilder) bytes() []byte {
	count := uint64(len(b.segments) + 1)
	phnum, shoff := count, uint64(0)
	size := uint64(52 + 32*count)
	if b.class == elf.Class64 {
		size = 64 + 56*count
	}
	if b.extended {
		phnum, shoff = 0xffff, size
		size += 64
	}
	noteOff := size
	off := size + uint64(len(b.notes))
	if b.gdb {
		off = size
		for _, s := range b.segments {
			size += uint64(len(s.data))
		}
		noteOff = size
	}
	out := b.elfHeader(4, phnum, shoff)
	out = append(out, b.prog(4, 0, noteOff, 0, uint64(len(b.notes)), 0)...)
	var data []byte
	for _, s := range b.segments {
		out = append(out, b.prog(1, s.flags, off, s.addr, uint64(len(s.data)), s.size)...)
		off += uint64(len(s.data))
		data = append(data, s.data...)
	}
	if b.extended {
		section := make([]byte, 64)
		if b.class == elf.Class64 {
			b.order.PutUint32(section[44:], uint32(count)) // sh_info
		} else {
			b.order.PutUint32(section[28:], uint32(count))
		}
		out = append(out, section...)
	}
	if b.gdb {
		return append(append(out, data...), b.notes...)
	}
	return append(append(out, b.notes...), data...)
}

// image is the first page of a program with a build id.
func (a *coreArch) image(id []byte, segments ...[]byte) []byte {
	h := a.elfHeader(3, uint64(len(segments)+1), 0)
	note := append(a.put(a.put(a.put(nil, 4, 4), uint64(len(id)), 4), 3, 4), "GNU\x00"...)
	note = append(note, id...)
	h = append(h, a.prog(4, 4, 0x400, 0x400, uint64(len(note)), uint64(len(note)))...)
	for _, s := range segments {
		h = append(h, s...)
	}
	page := make([]byte, 4096)
	copy(page, h)
	copy(page[0x400:], note)
	return page
}

// startStack is the top of a program's stack as the kernel makes it, to end at address top, with the auxiliary vector that
// it gives, whose pairs come without AT_RANDOM, AT_EXECFN and AT_NULL.
func (a *coreArch) startStack(top uint64, args, env []string, auxv ...uint64) (stack, vector []byte) {
	text := ""
	for _, s := range append(slices.Clone(args), env...) {
		text += s + "\x00"
	}
	path := "/bin/" + args[0] + "\x00"
	textAt := (top - uint64(len(text)+len(path)) - 64) &^ 15
	random := textAt - 32
	vector = a.words(append(slices.Clone(auxv), 25, random, 31, textAt+uint64(len(text)), 0, 0)...)
	var pointers []uint64
	at := textAt
	for i, s := range append(slices.Clone(args), env...) {
		if i == len(args) {
			pointers = append(pointers, 0)
		}
		pointers = append(pointers, at)
		at += uint64(len(s) + 1)
	}
	if len(env) == 0 {
		pointers = append(pointers, 0)
	}
	stack = a.words(uint64(len(args)))
	stack = append(stack, a.words(append(pointers, 0)...)...)
	stack = append(stack, vector...)
	pad := make([]byte, 48) // what stands between differs from machine to machine
	start := random - uint64(len(stack)+len(pad))
	stack = append(stack, pad...)
	stack = append(stack, bytes.Repeat([]byte{0xaa}, int(textAt-random))...)
	stack = append(stack, text...)
	stack = append(stack, path...)
	stack = append(stack, make([]byte, top-start-uint64(len(stack)))...)
	return stack, vector
}

// Where the program of sampleCore lies.
const (
	samplePC    = 0x10001234
	sampleStack = 0x20000000 // of the crashed thread, 8 KiB
	sampleOther = 0x28000000 // of the other
	sampleHeap  = 0x30000000
	sampleTop   = 0x40000000 // end of the first thread's stack
)

var sampleID = bytes.Repeat([]byte{0xab, 0xcd, 0xef, 1}, 5)

// sampleCore is a small core file with everything: two threads, of which 101 died of SIGSEGV at 0xdead0, a program and a
// library, arguments and environment.
func sampleCore(a *coreArch) *coreBuilder {
	b := &coreBuilder{coreArch: a}
	top, vector := a.startStack(sampleTop, []string{"sample", "--opt", "a b"}, []string{"HOME=/root", "EMPTY="},
		3, 0x10000000+uint64(len(a.elfHeader(3, 0, 0))), 4, uint64(len(a.prog(0, 0, 0, 0, 0, 0))), 5, 3, 6, 4096, 9, samplePC, 16, 0x1234)
	b.note("CORE", 1, a.status(101, 11, samplePC, sampleStack+0x1800))
	b.note("CORE", 3, a.psinfo(100, "sample", "sample --opt a b "))
	b.note("CORE", 0x53494749, a.siginfo(11, 1, 0xdead0))
	b.note("CORE", 6, append(vector, make([]byte, 64)...))
	b.note("CORE", 0x46494c45, a.files(
		coreFileEntry{0x10000000, 0x10001000, 0, "/opt/sample"},
		coreFileEntry{0x10001000, 0x10003000, 1, "/opt/sample"},
		coreFileEntry{0x10010000, 0x10011000, 0, "/opt/lib x\n.so.1 (deleted)"},
		coreFileEntry{0x10011000, 0x10012000, 1, "/opt/lib x\n.so.1 (deleted)"},
	))
	name := "CORE"
	if a.floats != 2 {
		name = "LINUX"
	}
	b.note(name, a.floats, make([]byte, a.floatsAt))
	b.note("LINUX", 0x777, []byte("extra"))
	b.note("CORE", 1, a.status(100, 0, samplePC+0x100, sampleOther+0x800))
	b.note(name, a.floats, make([]byte, a.floatsAt))

	load := a.prog(1, 5, 0, 0, 0x3000, 0x3000)
	b.segment(0x10000000, 0x1000, 4, a.image(sampleID, load, load))
	b.segment(0x10001000, 0x2000, 5, nil)
	b.segment(0x10010000, 0x1000, 5, a.image(bytes.Repeat([]byte{7}, 20), load))
	b.segment(0x10011000, 0x1000, 6, bytes.Repeat([]byte{0x11}, 0x1000))
	stack := bytes.Repeat([]byte{0x5a}, 0x2000)
	copy(stack[0x1800:], a.words(sampleHeap+0x800, samplePC))
	b.segment(sampleStack, 0x2000, 6, stack)
	b.segment(sampleOther, 0x1000, 6, bytes.Repeat([]byte{0x33}, 0x1000))
	b.segment(sampleHeap, 0x6000, 6, bytes.Repeat([]byte{0x44}, 0x3000)) // half of it is there
	b.segment(sampleTop-0x1000, 0x1000, 6, append(make([]byte, 0x1000-len(top)), top...))
	return b
}

// dumpCore dumps a core file and decodes what came of it. Everything that the decoder finds wrong fails the test.
func dumpCore(t testing.TB, core []byte, o Options) (*stream.File, Result) {
	t.Helper()
	w, err := OpenCore(bytes.NewReader(core), int64(len(core)), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return dumpOpened(t, w)
}

func dumpOpened(t testing.TB, w *Writer) (*stream.File, Result) {
	t.Helper()
	var b bytes.Buffer
	r, err := w.Dump(&b)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	if uint64(b.Len()) != r.Size || r.Pause != 0 {
		t.Errorf("the result says %d bytes and a pause of %v; %d came", r.Size, r.Pause, b.Len())
	}
	return f, r
}

func coreCPUs(t testing.TB, f *stream.File) map[uint32]*context.CPU {
	t.Helper()
	info, _, err := f.SystemInfo()
	if err != nil {
		t.Fatal(err)
	}
	threads, err := f.Threads()
	if err != nil {
		t.Fatal(err)
	}
	out := map[uint32]*context.CPU{}
	for _, th := range threads {
		if th.Context.DataSize == 0 {
			continue
		}
		b, err := f.Context(th.Context)
		if err != nil {
			t.Fatal(err)
		}
		if out[th.ThreadID], err = context.Decode(context.ArchOfProcessor(info.ProcessorArchitecture), b, f.Order); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestCoreArchitectures(t *testing.T) {
	for i := range coreArchs {
		a := &coreArchs[i]
		t.Run(a.name, func(t *testing.T) {
			f, r := dumpCore(t, sampleCore(a).bytes(), Options{RegisterSets: true})
			info, csd, err := f.SystemInfo()
			if err != nil || info.ProcessorArchitecture != a.arch.ProcessorArchitecture() || info.PlatformID != stream.MD_OS_LINUX ||
				!strings.HasPrefix(csd, "Linux core ") {
				t.Errorf("system %+v %q: %v", info, csd, err)
			}
			if f.Order != a.order {
				t.Errorf("the dump is %v, the core %v", f.Order, a.order)
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
			cpus := coreCPUs(t, f)
			for id, want := range map[uint32][2]uint64{101: {samplePC, sampleStack + 0x1800}, 100: {samplePC + 0x100, sampleOther + 0x800}} {
				if c := cpus[id]; c == nil || c.PC != want[0] || c.SP != want[1] {
					t.Errorf("thread %d: registers %+v, want PC and SP %#x", id, c, want)
				}
			}
			// The stack starts below SP by the red zone and ends with its mapping.
			st := threads[0].Stack
			if want := sampleStack + 0x1800 - a.arch.RedZone(); st.Start != want || st.Start+uint64(st.Memory.DataSize) != sampleStack+0x2000 {
				t.Errorf("stack %+v, want from %#x", st, want)
			}
			word := make([]byte, a.class.WordSize())
			if n, err := f.ReadMemory(sampleStack+0x1800, word); n != len(word) || err != nil || !bytes.Equal(word, a.words(sampleHeap+0x800)) {
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
			if w := a.words(16, 0x1234); err != nil || !bytes.Contains(auxv, w) || !bytes.HasSuffix(auxv, a.words(0, 0)) || len(auxv) != 9*2*len(word) {
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
				{"/opt/sample", hex.EncodeToString(sampleID), 0x10000000, 0x3000},
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
			// Code is not in the file, and that is told; anything else would be an error of this test's file.
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

func coreArchNamed(name string) *coreArch {
	return &coreArchs[slices.IndexFunc(coreArchs, func(a coreArch) bool { return a.name == name })]
}

func TestCoreModes(t *testing.T) {
	core := sampleCore(coreArchNamed("amd64")).bytes()
	t.Run("full", func(t *testing.T) {
		f, r := dumpCore(t, core, Options{Mode: ModeFull})
		if r.Memory != 0x1000+0x1000+0x1000+0x2000+0x1000+0x3000+0x1000 || r.Ranges != 7 {
			t.Errorf("result %+v", r)
		}
		for addr, want := range map[uint64]byte{0x10011fff: 0x11, sampleStack: 0x5a, sampleOther + 0xfff: 0x33, sampleHeap + 0x2fff: 0x44} {
			var b [1]byte
			if n, err := f.ReadMemory(addr, b[:]); n != 1 || b[0] != want {
				t.Errorf("at %#x: %#x %v", addr, b[0], err)
			}
		}
		if n, _ := f.ReadMemory(sampleHeap+0x3000, make([]byte, 1)); n != 0 {
			t.Error("memory that the core does not hold is in the dump")
		}
	})
	t.Run("indirect", func(t *testing.T) {
		f, _ := dumpCore(t, core, Options{Mode: ModeIndirect})
		b := make([]byte, 256)
		if n, err := f.ReadMemory(sampleHeap+0x800, b); n != len(b) || !bytes.Equal(b, bytes.Repeat([]byte{0x44}, 256)) {
			t.Errorf("%d bytes of what the stack points to: %v", n, err)
		}
		if n, _ := f.ReadMemory(sampleOther, b); n != 0 {
			t.Error("memory that nothing points to is in the dump")
		}
	})
	t.Run("application memory", func(t *testing.T) {
		f, r := dumpCore(t, core, Options{AppMemory: []AppMemory{{sampleHeap + 0x2f00, 0x200}, {0x7000, 16}}})
		b := make([]byte, 0x100)
		if n, err := f.ReadMemory(sampleHeap+0x2f00, b); n != len(b) {
			t.Errorf("%d bytes: %v", n, err)
		}
		missing := 0
		for _, e := range r.SoftErrors() {
			if e.Op == "read application memory" && (e.Address == sampleHeap+0x3000 || e.Address == 0x7000) {
				missing++
			}
		}
		if missing != 2 {
			t.Errorf("%d of 2 missing pieces told: %v", missing, r.SoftErrors())
		}
	})
	t.Run("sanitised", func(t *testing.T) {
		f, _ := dumpCore(t, core, Options{SanitizeStacks: true})
		b := make([]byte, 24)
		f.ReadMemory(sampleStack+0x1800, b)
		if want := (&coreArchs[1]).words(defaced64, samplePC, defaced64); !bytes.Equal(b, want) {
			t.Errorf("% x, want % x", b, want)
		}
	})
	t.Run("omitted", func(t *testing.T) {
		f, _ := dumpCore(t, core, Options{Omit: OmitCmdline | OmitEnviron})
		for _, typ := range []stream.Type{stream.LinuxCmdLine, stream.LinuxEnviron} {
			if b, err := f.Stream(typ); err == nil {
				t.Errorf("%v is there: %q", typ, b)
			}
		}
	})
	t.Run("other thread", func(t *testing.T) {
		f, _ := dumpCore(t, core, Options{Thread: 100})
		if e, err := f.Exception(); err != nil || e.ThreadID != 100 {
			t.Errorf("exception %+v: %v", e, err)
		}
	})
	t.Run("limit", func(t *testing.T) {
		full, _ := dumpCore(t, core, Options{Mode: ModeFull})
		limit := full.Size() - 5000
		if f, _ := dumpCore(t, core, Options{Mode: ModeFull, Limit: limit}); f.Size() > limit {
			t.Errorf("%d bytes, limit %d", f.Size(), limit)
		}
	})
}

// Gdb writes its notes last, a siginfo_t for each thread, and no segment for what it leaves out. What those mappings allow
// is told by the program headers.
func TestCoreOfGdb(t *testing.T) {
	a := coreArchNamed("amd64")
	b := &coreBuilder{coreArch: a, gdb: true}
	b.note("CORE", 3, a.psinfo(100, "sample", "sample"))
	for tid := int32(100); tid < 103; tid++ {
		signal := 0
		if tid == 101 {
			signal = 7
		}
		b.note("CORE", 1, a.status(tid, signal, samplePC, sampleStack+0x800*uint64(tid-99)))
		b.note("CORE", 2, make([]byte, 512))
		b.note("CORE", 0x53494749, a.siginfo(int32(signal), 2, 0xfee0+uint64(tid)))
	}
	b.note("CORE", 0x46494c45, a.files(
		coreFileEntry{0x10000000, 0x10001000, 0, "/opt/sample"},
		coreFileEntry{0x10001000, 0x10003000, 1, "/opt/sample"},
		coreFileEntry{0x10004000, 0x10005000, 3, "/opt/sample"},
	))
	b.note("GDB", 0xff000000, []byte("<target/>"))
	b.segment(0x10000000, 0x1000, 4, a.image(sampleID, a.prog(1, 4, 0, 0, 0x1000, 0x1000), a.prog(1, 5, 0x1000, 0x1000, 0x1800, 0x1800),
		a.prog(1, 6, 0x3010, 0x4010, 0x100, 0x1800)))
	b.segment(sampleStack, 0x2000, 6, make([]byte, 0x2000))
	f, _ := dumpCore(t, b.bytes(), Options{})
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
	a := coreArchNamed("arm64")
	b := &coreBuilder{coreArch: a}
	b.note("CORE", 1, a.status(5, 0, samplePC, sampleStack+8))
	b.segment(sampleStack, 0x1000, 6, make([]byte, 0x1000))
	f, _ := dumpCore(t, b.bytes(), Options{})
	if e, err := f.Exception(); err != nil || e.Code != DumpRequested || e.Address != samplePC || e.ThreadID != 5 {
		t.Errorf("exception %+v: %v", e, err)
	}
	if m, err := f.MiscInfo(); err != nil || m.ProcessID != 5 { // without NT_PRPSINFO
		t.Errorf("misc info %+v: %v", m, err)
	}
}

// Notes that are no thread of their own: each thread is in the dump once, with its own registers, and the exception is
// in one of them.
func TestCoreStrangeThreads(t *testing.T) {
	a := coreArchNamed("amd64")
	short := make([]byte, 40)
	for _, test := range []struct {
		name   string
		notes  func(b *coreBuilder)
		blamed uint32
		pc     map[uint32]uint64
		extra  map[uint32]string
	}{
		{"twice", func(b *coreBuilder) {
			b.note("CORE", 1, a.status(101, 11, samplePC, sampleStack))
			b.note("LINUX", 0x777, []byte("first"))
			b.note("CORE", 1, a.status(101, 6, samplePC+1, sampleStack))
			b.note("LINUX", 0x777, []byte("not this"))
			b.note("CORE", 1, a.status(102, 0, samplePC+2, sampleStack))
			b.note("LINUX", 0x777, []byte("other"))
		}, 101, map[uint32]uint64{101: samplePC, 102: samplePC + 2}, map[uint32]string{101: "first", 102: "other"}},
		{"short", func(b *coreBuilder) {
			b.note("CORE", 1, short)
			b.note("LINUX", 0x777, []byte("not this"))
			b.note("CORE", 1, a.status(102, 11, samplePC+2, sampleStack))
			b.note("LINUX", 0x777, []byte("other"))
		}, 102, map[uint32]uint64{102: samplePC + 2}, map[uint32]string{102: "other"}},
		{"none", func(b *coreBuilder) {
			b.note("CORE", 1, short)
			b.note("CORE", 3, a.psinfo(100, "sample", "sample"))
			b.note("LINUX", 0x777, []byte("not this"))
		}, 100, map[uint32]uint64{100: 0}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &coreBuilder{coreArch: a}
			test.notes(b)
			b.segment(sampleStack, 0x2000, 6, make([]byte, 0x2000))
			core := b.bytes()
			for _, pipe := range []bool{false, true} {
				o := Options{RegisterSets: true}
				w, err := OpenCore(bytes.NewReader(core), int64(len(core)), o)
				if pipe {
					w, err = OpenCorePipe(bytes.NewReader(core), 0, "", o)
				}
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				f, r := dumpOpened(t, w)
				if !slices.ContainsFunc(r.SoftErrors(), func(e SoftError) bool { return e.Op == "list threads" && e.Subject != "" }) {
					t.Errorf("nothing is told: %v", r.SoftErrors())
				}
				if e, err := f.Exception(); err != nil || e.ThreadID != test.blamed {
					t.Errorf("exception %+v: %v", e, err)
				}
				threads, err := f.Threads()
				if err != nil || len(threads) != len(test.pc) {
					t.Fatalf("threads %+v: %v", threads, err)
				}
				for tid, cpu := range coreCPUs(t, f) {
					if cpu.PC != test.pc[tid] {
						t.Errorf("thread %d at %#x", tid, cpu.PC)
					}
				}
				extra := map[uint32]string{}
				sets, err := f.RegisterSets()
				if err != nil && !errors.Is(err, stream.ErrNoStream) {
					t.Fatal(err)
				}
				for _, s := range sets {
					b, err := f.Context(s.Data)
					if err != nil {
						t.Fatal(err)
					}
					extra[s.ThreadID] += string(b)
				}
				if !maps.Equal(extra, test.extra) {
					t.Errorf("register sets %v", extra)
				}
			}
		})
	}
}

// A crash context given by the caller counts more than the core's own.
func TestCoreWithCrash(t *testing.T) {
	a := coreArchNamed("amd64")
	c := &context.Crash{Arch: context.AMD64, TID: 100, Signo: 4, Code: 2, Address: 0xbad}
	f, _ := dumpCore(t, sampleCore(a).bytes(), Options{Crash: c})
	if e, err := f.Exception(); err != nil || e.ThreadID != 100 || e.Code != 4 || e.Flags != 2 || e.Address != 0xbad {
		t.Errorf("exception %+v: %v", e, err)
	}
}

// Of a general protection fault siginfo_t tells no address; the instruction does, if the file has it.
func TestCoreRefined(t *testing.T) {
	a := coreArchNamed("amd64")
	b := &coreBuilder{coreArch: a}
	status := a.status(5, 11, samplePC, sampleStack+8)
	const rcx, far = 11, 0xdead000000000010
	copy(status[112+8*rcx:], a.words(far))
	b.note("CORE", 1, status)
	b.note("CORE", 0x53494749, a.siginfo(11, 0x80, 0))                                      // SI_KERNEL
	b.segment(samplePC, 16, 5, append([]byte{0x48, 0x89, 0x41, 0x08}, make([]byte, 12)...)) // mov %rax,8(%rcx)
	b.segment(sampleStack, 0x1000, 6, make([]byte, 0x1000))
	f, _ := dumpCore(t, b.bytes(), Options{})
	e, err := f.Exception()
	if err != nil || e.Code != 11 || e.Flags != 0x80 || e.Address != far+8 || e.NumberParameters < 2 || e.Information[0] != 1 || e.Information[1] != far+8 {
		t.Errorf("exception %+v: %v", e, err)
	}
	if c := coreCPUs(t, f)[5]; c == nil || c.PC != samplePC {
		t.Errorf("registers %+v", c)
	}
}

// The arguments: pointers in another order, environment variables taken away, no number of arguments, none at all.
func TestCoreArguments(t *testing.T) {
	a := coreArchNamed("amd64")
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
			top, vector := a.startStack(sampleTop, c.args, c.env, 6, 4096)
			if c.change != nil {
				c.change(top)
			}
			b := &coreBuilder{coreArch: a}
			b.note("CORE", 1, a.status(5, 0, samplePC, sampleTop-uint64(len(top))))
			b.note("CORE", 3, a.psinfo(5, "sample", strings.Join(c.args, " ")+" "))
			b.note("CORE", 6, vector)
			b.segment(sampleTop-0x2000, 0x2000, 6, append(make([]byte, 0x2000-len(top)), top...))
			f, _ := dumpCore(t, b.bytes(), Options{})
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

// More segments than e_phnum can say, of which some overlap or are absurd.
func TestCoreManySegments(t *testing.T) {
	for _, name := range []string{"amd64", "s390x", "mips"} {
		a := coreArchNamed(name)
		b := &coreBuilder{coreArch: a, extended: true}
		b.note("CORE", 1, a.status(5, 11, samplePC, 0x1000000+69000*0x2000))
		const count = 70000
		page := bytes.Repeat([]byte{9}, 16)
		for i := range uint64(count) {
			b.segment(0x1000000+(count-1-i)*0x2000, 0x1000, 6, page) // the highest first
		}
		f, r := dumpCore(t, b.bytes(), Options{Mode: ModeFull})
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
	a := coreArchNamed("amd64")
	b := &coreBuilder{coreArch: a}
	b.note("CORE", 1, a.status(5, 11, samplePC, 0x1800))
	b.segment(0x1000, 0x1000, 6, bytes.Repeat([]byte{1}, 0x1000))
	b.segment(0x1800, 0x1000, 6, bytes.Repeat([]byte{2}, 0x1000)) // half hidden
	b.segment(0x1400, 0x400, 6, bytes.Repeat([]byte{3}, 0x400))   // hidden
	b.segment(0x2800, 0x1000, 6, bytes.Repeat([]byte{4}, 0x2000)) // more in the file than in memory
	b.segment(^uint64(0)-0xfff, 1<<40, 6, bytes.Repeat([]byte{5}, 0x10))
	f, r := dumpCore(t, b.bytes(), Options{Mode: ModeFull})
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
	a := coreArchNamed("amd64")
	b := &coreBuilder{coreArch: a}
	b.note("CORE", 1, a.status(5, 11, samplePC, 0x10000))
	for i := range uint64(100) {
		b.segment(0x10000*(i+1), 0x1000, 6, make([]byte, 0x1000))
	}
	core := b.bytes()
	core = core[:len(core)-99*0x1000]
	for i := 2; i < 101; i++ { // p_offset of the first PT_LOAD for all
		copy(core[64+56*i+8:][:8], core[64+56+8:])
	}
	_, r := dumpCore(t, core, Options{Mode: ModeFull})
	if r.Memory > uint64(len(core)) || r.Memory < 0x1000 {
		t.Errorf("%d bytes of memory out of a core of %d", r.Memory, len(core))
	}
}

// A core without NT_FILE, as kernels before 3.7 write it: images are found by their headers, the program's name by
// AT_EXECFN.
func TestCoreWithoutFiles(t *testing.T) {
	for _, name := range []string{"amd64", "mips", "s390x"} {
		a := coreArchNamed(name)
		full := sampleCore(a)
		b := &coreBuilder{coreArch: a, segments: full.segments}
		top, vector := a.startStack(sampleTop, []string{"sample"}, []string{"A=1"}, 3, 0x10000000+uint64(len(a.elfHeader(3, 0, 0))),
			4, uint64(len(a.prog(0, 0, 0, 0, 0, 0))), 5, 3, 6, 4096, 9, samplePC)
		b.note("CORE", 1, a.status(100, 11, samplePC, sampleStack+0x1800))
		b.note("CORE", 6, vector)
		b.segments[len(b.segments)-1].data = append(make([]byte, 0x1000-len(top)), top...)
		f, _ := dumpCore(t, b.bytes(), Options{})
		mods, err := f.Modules()
		if err != nil || len(mods) != 2 || mods[0].Name != "/bin/sample" || mods[0].BaseOfImage != 0x10000000 || mods[0].SizeOfImage != 0x3000 ||
			fmt.Sprint(mods[0].BuildID) != hex.EncodeToString(sampleID) || mods[1].BaseOfImage != 0x10010000 {
			t.Errorf("%s: modules %+v: %v", name, mods, err)
		}
		maps, _ := f.Text(stream.LinuxMaps)
		if !regexp.MustCompile(`(?m)^10001000-10003000 r-xp 00001000 00:00 0 +/bin/sample$`).MatchString(maps) {
			t.Errorf("%s: maps\n%s", name, maps)
		}
	}
}

// Of a file that was cut short, at whatever place, the rest is used, and the loss is told.
func TestCoreCutShort(t *testing.T) {
	for _, name := range []string{"amd64", "mips"} {
		core := sampleCore(coreArchNamed(name)).bytes()
		for n := 0; n < len(core); n += 1 + n/40 {
			w, err := OpenCore(bytes.NewReader(core[:n]), int64(n), Options{})
			if err != nil {
				if !errors.Is(err, ErrNotCore) || n > 600 {
					t.Errorf("%s, %d bytes: %v", name, n, err)
				}
				continue
			}
			f, r := dumpOpened(t, w)
			if !slices.ContainsFunc(r.SoftErrors(), func(e SoftError) bool { return strings.HasPrefix(e.Op, "read all of the core file") }) {
				t.Errorf("%s, %d bytes: the loss is not told", name, n)
			}
			if threads, err := f.Threads(); n > 8000 && (err != nil || len(threads) != 2) {
				t.Errorf("%s, %d bytes: %d threads: %v", name, n, len(threads), err)
			}
			w.Close()
		}
	}
}

// A file may be longer than was said, or fail to be read.
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
	core := sampleCore(coreArchNamed("amd64")).bytes()
	for bad := int64(0); bad < int64(len(core)); bad += 100 + bad/10 {
		w, err := OpenCore(brokenFile{core, bad}, int64(len(core)), Options{Mode: ModeFull})
		if err != nil {
			if bad > 64 && !errors.Is(err, ErrNotCore) {
				t.Errorf("bad byte %d: %v", bad, err)
			}
			continue
		}
		dumpOpened(t, w)
		w.Close()
	}
}

func TestCoreWrongFiles(t *testing.T) {
	dir := scratch.Dir(t)
	program := coreArchNamed("amd64").elfHeader(2, 0, 0)
	other := sampleCore(coreArchNamed("amd64")).bytes()
	binary.LittleEndian.PutUint16(other[18:], 243+1000)
	for _, c := range []struct {
		name, content string
		is            error
		says          string
	}{
		{"empty", "", ErrNotCore, "not an ELF core file"},
		{"text", strings.Repeat("text ", 100), ErrNotCore, ""},
		{"program", string(program), ErrNotCore, ""},
		{"machine", string(other), ErrUnsupported, "machine 1243"},
		{"core.zst", "\x28\xb5\x2f\xfd" + strings.Repeat("x", 99), ErrCompressed, "zstd -d "},
		{"core.lz4", "\x04\x22\x4d\x18" + strings.Repeat("x", 99), ErrCompressed, "lz4 -d "},
		{"core.xz", "\xfd7zXZ\x00" + strings.Repeat("x", 99), ErrCompressed, "xz -d "},
		{"core.gz", "\x1f\x8b" + strings.Repeat("x", 99), ErrCompressed, "gzip -d "},
		{"core.bz2", "BZh91AY" + strings.Repeat("x", 99), ErrCompressed, "bzip2 -d "},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, []byte(c.content), 0644); err != nil {
			t.Fatal(err)
		}
		w, err := openCoreFile(path, Options{})
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			w.Close()
		}
	}
	if _, err := openCoreFile(dir, Options{}); err == nil {
		t.Error("a folder is no error")
	}
}

func openCoreFile(path string, o Options) (*Writer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return OpenCoreFile(f, o)
}

func TestCoreFile(t *testing.T) {
	dir := scratch.Dir(t)
	path := filepath.Join(dir, "core")
	if err := os.WriteFile(path, sampleCore(coreArchNamed("riscv64")).bytes(), 0600); err != nil {
		t.Fatal(err)
	}
	w, err := openCoreFile(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if pid, name := w.Process(); pid != 100 || name != "sample" {
		t.Errorf("process %d %q", pid, name)
	}
	var sizes [2]uint64
	for i := range sizes {
		r, err := w.DumpFile(filepath.Join(dir, "dmp"))
		if err != nil {
			t.Fatal(err)
		}
		sizes[i] = r.Size
	}
	if sizes[0] != sizes[1] || sizes[0] == 0 {
		t.Errorf("two dumps of the same core: %d bytes", sizes)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.Dump(io.Discard); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := os.Remove(path); err != nil { // Windows refuses while it is open
		t.Error(err)
	}
}

func TestCoreAllocations(t *testing.T) {
	core := sampleCore(coreArchNamed("amd64")).bytes()
	for _, o := range []Options{{}, {Mode: ModeFull}, {Mode: ModeIndirect, SanitizeStacks: true, RegisterSets: true}} {
		w, err := OpenCore(bytes.NewReader(core), int64(len(core)), o)
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

// smallCore is sampleCore with little memory: long inputs take the fuzzer's time.
func smallCore(a *coreArch) []byte {
	b := sampleCore(a)
	for i := range b.segments {
		s := &b.segments[i]
		switch s.addr {
		case 0x10000000, 0x10010000: // headers and notes
			s.data = s.data[:0x440]
		case sampleTop - 0x1000: // arguments and auxiliary vector
			s.addr, s.size, s.data = sampleTop-0x200, 0x200, s.data[0xe00:]
		default:
			s.data = s.data[:min(len(s.data), 64)]
		}
	}
	return b.bytes()
}

func FuzzCore(f *testing.F) {
	for i := range coreArchs {
		f.Add(smallCore(&coreArchs[i]), uint8(i))
	}
	small := &coreBuilder{coreArch: coreArchNamed("amd64"), extended: true}
	small.note("CORE", 1, small.status(5, 11, samplePC, 0x1010))
	small.segment(0x1000, 0x1000, 6, make([]byte, 64))
	f.Add(small.bytes(), uint8(2))
	f.Fuzz(func(t *testing.T, core []byte, mode uint8) {
		o := Options{Mode: Mode(mode % 3), RegisterSets: mode&4 != 0, SanitizeStacks: mode&8 != 0, SanitizeAll: mode&16 != 0}
		if mode&32 != 0 && o.Mode != ModeFull {
			o.Limit = 10000
		}
		w, err := OpenCore(bytes.NewReader(core), int64(len(core)), o)
		if err != nil {
			return
		}
		defer w.Close()
		var out bytes.Buffer
		if _, err := w.Dump(&out); err != nil {
			if !errors.Is(err, ErrLimit) {
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
