// Package coretest builds ELF core files in memory for tests, byte by byte from the layouts of the kernel's headers, for
// every architecture that has core files. Only tests import it: those of package corefile and of the root package.
package coretest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"minidump/context"
	"minidump/elf"
	"minidump/stream"
)

// An Arch holds what is specific to core files of one architecture. The numbers come from the kernel's headers (elf_prstatus,
// elf_prpsinfo and elf_gregset_t, with the compat forms of fs/compat_binfmt_elf.c), not from the code under test.
type Arch struct {
	Name     string
	Machine  uint16
	Class    elf.Class
	Order    binary.ByteOrder
	flags    uint32
	Arch     context.Arch
	PRStatus int // size of elf_prstatus
	prpsinfo int // size of elf_prpsinfo
	Wide     int // bytes of a register
	PC, SP   int // indexes in elf_gregset_t
	fpNote   uint32
	fpSize   int // size of the floating-point note
}

var (
	little = binary.ByteOrder(binary.LittleEndian)
	big    = binary.ByteOrder(binary.BigEndian)
)

// Archs lists the architectures that have core files.
var Archs = []Arch{
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
	{"ppc", 20, elf.Class32, big, 0, context.PPC, 268, 128, 4, 32, 1, 2, 264},
	{"ppc64", 21, elf.Class64, big, 0, context.PPC64, 504, 136, 8, 32, 1, 2, 264},
	{"ppc64le", 21, elf.Class64, little, 0, context.PPC64, 504, 136, 8, 32, 1, 2, 264},
	{"riscv64", 243, elf.Class64, little, 0, context.RISCV64, 376, 136, 8, 0, 2, 2, 264},
	{"s390x", 22, elf.Class64, big, 0, context.S390X, 336, 136, 8, 1, 17, 2, 136},
	{"loong64", 258, elf.Class64, little, 0, context.LOONG64, 480, 136, 8, 33, 3, 2, 272},
}

// put appends v as n bytes in the architecture's byte order.
func (a *Arch) put(b []byte, v uint64, n int) []byte {
	switch n {
	case 2:
		return a.Order.(binary.AppendByteOrder).AppendUint16(b, uint16(v))
	case 4:
		return a.Order.(binary.AppendByteOrder).AppendUint32(b, uint32(v))
	}
	return a.Order.(binary.AppendByteOrder).AppendUint64(b, v)
}

// Words encodes v as words of the file's class.
func (a *Arch) Words(v ...uint64) (b []byte) {
	for _, v := range v {
		b = a.put(b, v, a.Class.WordSize())
	}
	return b
}

// Status returns a struct elf_prstatus of a thread that signal has killed, or of another thread if signal is 0.
func (a *Arch) Status(tid int32, signal int, pc, sp uint64) []byte {
	b := make([]byte, a.PRStatus)
	pid, times, regs := 24, 40, 72
	if a.Class == elf.Class64 {
		pid, times, regs = 32, 48, 112
	}
	word := a.Class.WordSize()
	a.Order.PutUint16(b[12:], uint16(signal))
	a.Order.PutUint32(b[pid:], uint32(tid))
	a.Order.PutUint32(b[pid+4:], 77) // ppid
	copy(b[times:], a.Words(21, 500000))
	copy(b[times+2*word:], a.Words(4, 100000))
	copy(b[regs+a.PC*a.Wide:], a.put(nil, pc, a.Wide))
	copy(b[regs+a.SP*a.Wide:], a.put(nil, sp, a.Wide))
	return b
}

// Psinfo returns a struct elf_prpsinfo.
func (a *Arch) Psinfo(pid int32, name, args string) []byte {
	b := make([]byte, a.prpsinfo)
	copy(b[len(b)-112:], a.put(a.put(nil, uint64(pid), 4), 77, 4))
	copy(b[len(b)-96:], name)
	copy(b[len(b)-80:], args)
	return b
}

// Siginfo returns a siginfo_t of a fault.
func (a *Arch) Siginfo(signo, code int32, addr uint64) []byte {
	b := make([]byte, 128)
	a.Order.PutUint32(b, uint32(signo))
	second := uint32(code)
	if a.Machine == 8 { // MIPS has si_code before si_errno
		a.Order.PutUint32(b[4:], second)
	} else {
		a.Order.PutUint32(b[8:], second)
	}
	if a.Class == elf.Class64 {
		a.Order.PutUint64(b[16:], addr)
	} else {
		a.Order.PutUint32(b[12:], uint32(addr))
	}
	return b
}

// A FileEntry is one entry of NT_FILE.
type FileEntry struct {
	Start, End uint64 // of the mapping
	Page       uint64 // its offset in the file, in pages of 4096 bytes
	Name       string
}

// Files returns the content of NT_FILE.
func (a *Arch) Files(entries ...FileEntry) []byte {
	b := a.Words(uint64(len(entries)), 4096)
	for _, e := range entries {
		b = append(b, a.Words(e.Start, e.End, e.Page)...)
	}
	for _, e := range entries {
		b = append(append(b, e.Name...), 0)
	}
	return b
}

// A Builder builds a core file.
type Builder struct {
	*Arch
	Notes    []byte
	Segments []segment
	Gdb      bool // notes after the segments, as gdb puts them
	Extended bool // the number of segments is in section header 0
}

type segment struct {
	addr, size uint64 // in memory
	Data       []byte
	flags      uint64
}

// Note appends a note.
func (b *Builder) Note(name string, typ uint32, desc []byte) {
	if name != "" {
		name += "\x00"
	}
	p := b.put(b.put(b.put(nil, uint64(len(name)), 4), uint64(len(desc)), 4), uint64(typ), 4)
	p = append(p, name...)
	for len(p)%4 != 0 {
		p = append(p, 0)
	}
	p = append(p, desc...)
	for len(p)%4 != 0 {
		p = append(p, 0)
	}
	b.Notes = append(b.Notes, p...)
}

// Segment appends a PT_LOAD of size bytes at addr; the first len(data) of them are in the file.
func (b *Builder) Segment(addr, size uint64, flags uint64, data []byte) {
	b.Segments = append(b.Segments, segment{addr, size, data, flags})
}

// ELFHeader returns the ELF header of a file whose program headers follow it.
func (a *Arch) ELFHeader(typ int, phnum, shoff uint64) []byte {
	h := append([]byte("\x7fELF"), byte(a.Class), 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	if a.Order == big {
		h[5] = 2
	}
	h = a.put(a.put(a.put(h, uint64(typ), 2), uint64(a.Machine), 2), 1, 4)
	ehsize, phsize, shsize := uint64(52), uint64(32), uint64(40)
	if a.Class == elf.Class64 {
		ehsize, phsize, shsize = 64, 56, 64
	}
	h = append(h, a.Words(0, ehsize, shoff)...)
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

// Prog returns a program header.
func (a *Arch) Prog(typ, flags, off, vaddr, filesz, memsz uint64) []byte {
	b := a.put(nil, typ, 4)
	if a.Class == elf.Class64 {
		return append(a.put(b, flags, 4), a.Words(off, vaddr, 0, filesz, memsz, 4)...)
	}
	return append(a.put(append(b, a.Words(off, vaddr, 0, filesz, memsz)...), flags, 4), a.Words(4)...)
}

// Bytes returns the file.
func (b *Builder) Bytes() []byte {
	count := uint64(len(b.Segments) + 1)
	phnum, shoff := count, uint64(0)
	size := uint64(52 + 32*count)
	if b.Class == elf.Class64 {
		size = 64 + 56*count
	}
	if b.Extended {
		phnum, shoff = 0xffff, size
		size += 64
	}
	noteOff := size
	off := size + uint64(len(b.Notes))
	if b.Gdb {
		off = size
		for _, s := range b.Segments {
			size += uint64(len(s.Data))
		}
		noteOff = size
	}
	out := b.ELFHeader(4, phnum, shoff)
	out = append(out, b.Prog(4, 0, noteOff, 0, uint64(len(b.Notes)), 0)...)
	var data []byte
	for _, s := range b.Segments {
		out = append(out, b.Prog(1, s.flags, off, s.addr, uint64(len(s.Data)), s.size)...)
		off += uint64(len(s.Data))
		data = append(data, s.Data...)
	}
	if b.Extended {
		section := make([]byte, 64)
		if b.Class == elf.Class64 {
			b.Order.PutUint32(section[44:], uint32(count)) // sh_info
		} else {
			b.Order.PutUint32(section[28:], uint32(count))
		}
		out = append(out, section...)
	}
	if b.Gdb {
		return append(append(out, data...), b.Notes...)
	}
	return append(append(out, b.Notes...), data...)
}

// Image returns the first page of a program with a build id.
func (a *Arch) Image(id []byte, segments ...[]byte) []byte {
	h := a.ELFHeader(3, uint64(len(segments)+1), 0)
	note := append(a.put(a.put(a.put(nil, 4, 4), uint64(len(id)), 4), 3, 4), "GNU\x00"...)
	note = append(note, id...)
	h = append(h, a.Prog(4, 4, 0x400, 0x400, uint64(len(note)), uint64(len(note)))...)
	for _, s := range segments {
		h = append(h, s...)
	}
	page := make([]byte, 4096)
	copy(page, h)
	copy(page[0x400:], note)
	return page
}

// StartStack returns the initial stack of a program as the kernel builds it, ending at address top, and the auxiliary
// vector in it: the pairs auxv, followed by AT_RANDOM, AT_EXECFN and AT_NULL.
func (a *Arch) StartStack(top uint64, args, env []string, auxv ...uint64) (stack, vector []byte) {
	text := ""
	for _, s := range append(slices.Clone(args), env...) {
		text += s + "\x00"
	}
	path := "/bin/" + args[0] + "\x00"
	textAt := (top - uint64(len(text)+len(path)) - 64) &^ 15
	random := textAt - 32
	vector = a.Words(append(slices.Clone(auxv), 25, random, 31, textAt+uint64(len(text)), 0, 0)...)
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
	stack = a.Words(uint64(len(args)))
	stack = append(stack, a.Words(append(pointers, 0)...)...)
	stack = append(stack, vector...)
	pad := make([]byte, 48) // the gap differs from machine to machine
	start := random - uint64(len(stack)+len(pad))
	stack = append(stack, pad...)
	stack = append(stack, bytes.Repeat([]byte{0xaa}, int(textAt-random))...)
	stack = append(stack, text...)
	stack = append(stack, path...)
	stack = append(stack, make([]byte, top-start-uint64(len(stack)))...)
	return stack, vector
}

// Addresses of the program of Sample.
const (
	SamplePC    = 0x10001234
	SampleStack = 0x20000000 // of the crashed thread, 8 KiB
	SampleOther = 0x28000000 // of the other thread
	SampleHeap  = 0x30000000
	SampleTop   = 0x40000000 // end of the first thread's stack
)

// SampleID is the build id of the program of Sample.
var SampleID = bytes.Repeat([]byte{0xab, 0xcd, 0xef, 1}, 5)

// Sample returns a small core file with every feature: two threads, a program and a library, arguments and environment. SIGSEGV
// at 0xdead0 killed thread 101.
func Sample(a *Arch) *Builder {
	b := &Builder{Arch: a}
	top, vector := a.StartStack(SampleTop, []string{"sample", "--opt", "a b"}, []string{"HOME=/root", "EMPTY="},
		3, 0x10000000+uint64(len(a.ELFHeader(3, 0, 0))), 4, uint64(len(a.Prog(0, 0, 0, 0, 0, 0))), 5, 3, 6, 4096, 9, SamplePC, 16, 0x1234)
	b.Note("CORE", 1, a.Status(101, 11, SamplePC, SampleStack+0x1800))
	b.Note("CORE", 3, a.Psinfo(100, "sample", "sample --opt a b "))
	b.Note("CORE", 0x53494749, a.Siginfo(11, 1, 0xdead0))
	b.Note("CORE", 6, append(vector, make([]byte, 64)...))
	b.Note("CORE", 0x46494c45, a.Files(
		FileEntry{0x10000000, 0x10001000, 0, "/opt/sample"},
		FileEntry{0x10001000, 0x10003000, 1, "/opt/sample"},
		FileEntry{0x10010000, 0x10011000, 0, "/opt/lib x\n.so.1 (deleted)"},
		FileEntry{0x10011000, 0x10012000, 1, "/opt/lib x\n.so.1 (deleted)"},
	))
	name := "CORE"
	if a.fpNote != 2 {
		name = "LINUX"
	}
	b.Note(name, a.fpNote, make([]byte, a.fpSize))
	b.Note("LINUX", 0x777, []byte("extra"))
	b.Note("CORE", 1, a.Status(100, 0, SamplePC+0x100, SampleOther+0x800))
	b.Note(name, a.fpNote, make([]byte, a.fpSize))

	load := a.Prog(1, 5, 0, 0, 0x3000, 0x3000)
	b.Segment(0x10000000, 0x1000, 4, a.Image(SampleID, load, load))
	b.Segment(0x10001000, 0x2000, 5, nil)
	b.Segment(0x10010000, 0x1000, 5, a.Image(bytes.Repeat([]byte{7}, 20), load))
	b.Segment(0x10011000, 0x1000, 6, bytes.Repeat([]byte{0x11}, 0x1000))
	stack := bytes.Repeat([]byte{0x5a}, 0x2000)
	copy(stack[0x1800:], a.Words(SampleHeap+0x800, SamplePC))
	b.Segment(SampleStack, 0x2000, 6, stack)
	b.Segment(SampleOther, 0x1000, 6, bytes.Repeat([]byte{0x33}, 0x1000))
	b.Segment(SampleHeap, 0x6000, 6, bytes.Repeat([]byte{0x44}, 0x3000)) // only half of it is in the file
	b.Segment(SampleTop-0x1000, 0x1000, 6, append(make([]byte, 0x1000-len(top)), top...))
	return b
}

// CPUs decodes the registers of all threads of a dump, by thread id. Threads without registers are missing.
func CPUs(t testing.TB, f *stream.File) map[uint32]*context.CPU {
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
			t.Errorf("thread %d has no context record", th.ThreadID)
			continue
		}
		b, err := f.Context(th.Context)
		if err != nil {
			t.Fatal(err)
		}
		c, err := context.Decode(context.ArchOfProcessor(info.ProcessorArchitecture), b, f.Order)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Known()) > 0 { // otherwise the record says that no register is known
			out[th.ThreadID] = c
		}
	}
	return out
}

// ArchNamed returns the entry of Archs with the given name.
func ArchNamed(name string) *Arch {
	return &Archs[slices.IndexFunc(Archs, func(a Arch) bool { return a.Name == name })]
}

// Small returns Sample with little memory, because long inputs slow the fuzzer down.
func Small(a *Arch) []byte {
	b := Sample(a)
	for i := range b.Segments {
		s := &b.Segments[i]
		switch s.addr {
		case 0x10000000, 0x10010000: // headers and notes
			s.Data = s.Data[:0x440]
		case SampleTop - 0x1000: // arguments and auxiliary vector
			s.addr, s.size, s.Data = SampleTop-0x200, 0x200, s.Data[0xe00:]
		default:
			s.Data = s.Data[:min(len(s.Data), 64)]
		}
	}
	return b.Bytes()
}
