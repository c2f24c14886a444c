package minidump

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"

	"minidump/context"
	"minidump/elf"
	"minidump/internal/errtext"
	"minidump/procfs"
	"minidump/stream"
)

// Errors of OpenCore, for errors.Is.
var (
	ErrNotCore    = errors.New("not an ELF core file")
	ErrCompressed = errors.New("compressed")
)

// core is an ELF core file as the source of snapshots: of the kernel, gdb's gcore, or whatever else writes the notes
// that those write (core(5), fs/binfmt_elf.c of Linux).
//
// The file is never read whole. OpenCore keeps where its segments and notes lie; a dump reads what it needs of them.
type core struct {
	name   string
	closer io.Closer
	head   elf.Header
	mem    coreMemory
	target target
	csd    []byte

	noteSegments []coreRegion
	notes        table[coreNote]
	files        table[coreFileMapping]
	truncated    bool   // the file is shorter than its headers say
	lost         uint64 // the lowest address of which the memory is missing for that
	full         bool   // a table was too small for the file
	noThread     bool   // there are NT_PRSTATUS notes that are no thread
	noProcess    []byte // why the process itself, which was asked for, could not be looked at

	// what all dumps have in common
	pid, ppid, blamed int32
	command           string         // pr_fname
	crash             *context.Crash // nil: no signal killed the process

	// scratch of a dump
	buf      []byte
	auxv     procfs.Auxv
	comm     span
	line     procfs.Mapping
	goStacks goStacks
	window   memoryWindow
	images   *elf.Reader
	image    memoryImage
	layout   elf.Layout
}

// memoryImage reads an image in memory as an elf.Source.
type memoryImage struct {
	mem  targetMemory
	base uint64
	left uint64 // bytes that a dump still reads this way
}

// maxImageReads bounds what one dump reads of images whose build ids lie further off: one of a thousand sections takes a
// thousand reads, and a small file can have ten thousand such images.
const maxImageReads = 1 << 30

func (m *memoryImage) ReadAt(p []byte, off uint64) int {
	if m.base+off < m.base || m.left < uint64(len(p)) {
		return 0
	}
	m.left -= uint64(len(p))
	return m.mem.read(m.base+off, p)
}

// OpenCoreFile works as OpenCore does for an open file, such as an *os.File, on any Unix or Windows. Close closes it. After an
// error it is closed.
func OpenCoreFile(file interface {
	io.ReaderAt
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
}, o Options) (*Writer, error) {
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errtext.Wrap(ErrNotCore, file.Name(), " is no regular file")
	}
	if err != nil {
		file.Close()
		return nil, errtext.Wrap(err, "minidump")
	}
	w, err := openCore(file.Name(), file, info.Size(), o)
	if err != nil {
		file.Close()
		return nil, err
	}
	w.src.(*core).closer = file
	return w, nil
}

// OpenCore prepares dumps of an ELF core file of size bytes: of Linux, of either word size and byte order, and of any
// architecture that package context knows. r is read until the Writer is closed, never much of it at once.
//
// What a core file can't hold is missing from the dump: the machine's facts, open files, names of threads other than the
// main one, and memory that the process's coredump_filter left out, which is most code and constants. What is missing
// from the file is told by soft errors. An error wraps ErrNotCore, ErrCompressed or ErrUnsupported.
func OpenCore(r io.ReaderAt, size int64, o Options) (*Writer, error) {
	return openCore("core file", r, size, o)
}

func openCore(name string, r io.ReaderAt, size int64, o Options) (*Writer, error) {
	c, err := newCore(name, r, size)
	if err != nil {
		return nil, err
	}
	w := new(Writer)
	if err := w.init(o, make([]byte, encoderBuffer)); err != nil {
		c.close()
		return nil, err
	}
	w.src = c
	return w, nil
}

// newCore reads the headers and finds the notes of a core file.
func newCore(name string, r io.ReaderAt, size int64) (*core, error) {
	c := &core{name: name, buf: make([]byte, goScratch)}
	c.mem = coreMemory{file: r, size: uint64(max(0, size))}
	if err := c.readHeader(); err != nil {
		return nil, err
	}
	for _, t := range []struct {
		a    *arena
		size uintptr
	}{{&c.mem.segments.arena, 128 * arenaUnit}, {&c.notes.arena, 64 * arenaUnit}, {&c.files.arena, 64 * arenaUnit}} {
		if err := t.a.reserve(t.size); err != nil {
			c.close()
			return nil, err
		}
	}
	if err := c.goStacks.reserve(); err != nil {
		c.close()
		return nil, err
	}
	if err := c.readSegments(); err != nil {
		c.close()
		return nil, err
	}
	c.indexNotes()
	c.numberThreads()
	c.settle()
	if c.notes.n == 0 && c.mem.segments.n == 0 {
		c.close()
		return nil, errtext.Wrap(ErrNotCore, "minidump: ", name, " holds neither threads nor memory")
	}
	c.csd = []byte("Linux core " + c.machine())
	c.images = elf.NewReader(make([]byte, 32<<10))
	c.window = memoryWindow{mem: &c.mem, buf: make([]byte, dsoChunk)}
	c.image.mem = &c.mem
	return c, nil
}

// Compressed forms in which core files are kept, by how they start. Systemd-coredump writes the first three.
var compressions = [...]struct{ magic, name, tool string }{
	{"\x28\xb5\x2f\xfd", "zstd", "zstd -d"},
	{"\x04\x22\x4d\x18", "lz4", "lz4 -d"},
	{"\xfd7zXZ\x00", "xz", "xz -d"},
	{"\x1f\x8b", "gzip", "gzip -d"},
	{"BZh", "bzip2", "bzip2 -d"},
}

// readHeader reads the ELF header and finds out whether this is a core file of a known architecture.
func (c *core) readHeader() error {
	b := c.buf[:elf.HeaderSize64]
	b = b[:c.mem.readFile(0, b)]
	for _, z := range compressions {
		if bytes.HasPrefix(b, []byte(z.magic)) {
			return errtext.Around(ErrCompressed, "minidump: ", c.name, " is ", ErrCompressed, " by ", z.name,
				": decompress it first: ", z.tool, " ", c.name)
		}
	}
	h, ok := elf.ParseHeader(b)
	if !ok || h.Type != elf.ET_CORE {
		return errtext.Wrap(ErrNotCore, "minidump: ", c.name)
	}
	wide := h.Class == elf.Class64
	const abi2 = 0x20 // EF_MIPS_ABI2: n32
	if h.Machine == elf.EM_MIPS && h.Flags&abi2 != 0 {
		wide = true
	}
	arch := context.ArchOfELF(h.Machine, wide)
	if arch == context.ArchUnknown {
		return errtext.Wrap(ErrUnsupported, "minidump: ", c.name, ": core file of machine ", h.Machine, ", class ", int(h.Class))
	}
	c.head = h
	c.target = target{arch: arch, order: h.Order, pageSize: 4096}
	return nil
}

// machine names the architecture as uname -m does.
func (c *core) machine() string {
	little := c.head.Order == binary.ByteOrder(binary.LittleEndian)
	switch c.target.arch {
	case context.X86:
		return "i686"
	case context.AMD64:
		return "x86_64"
	case context.ARM64:
		return "aarch64"
	case context.LOONG64:
		return "loongarch64"
	case context.PPC64:
		if little {
			return "ppc64le"
		}
	}
	return c.target.arch.String()
}

func (c *core) memory() targetMemory { return &c.mem }

func (c *core) release(*Writer) {}

func (c *core) close() error {
	c.mem.segments.release()
	c.notes.release()
	c.files.release()
	c.goStacks.release()
	if c.closer != nil {
		return c.closer.Close()
	}
	return nil
}

func (c *core) process() (int, string) { return int(c.pid), c.command }

func (c *core) capture(w *Writer) error {
	s, o := &w.snap, &w.opts
	s.target = c.target
	s.proc = process{pid: c.pid, ppid: c.ppid, blamed: c.blamed, time: s.proc.time}
	crash := c.crash
	if o.Crash != nil {
		crash = o.Crash
		if crash.TID != 0 {
			s.proc.blamed = crash.TID
		}
	}
	if o.Thread != 0 {
		s.proc.blamed = int32(o.Thread)
	}
	s.crash.from(crash)
	if c.truncated {
		s.soft(opCore, 0, 0, c.lost)
	}
	if c.full {
		if e := s.soft(opTruncated, 0, 0, 0); e != nil {
			e.text = s.bytes.put(textTooMany)
		}
	}
	if c.noProcess != nil {
		if e := s.soft(opDumping, 0, 0, 0); e != nil {
			e.text = s.bytes.put(c.noProcess)
		}
	}
	c.readThreads(s)
	if o.RegisterSets {
		c.readRegsets(s)
	}
	s.addBlamed(opRegisters, 0)
	c.comm = span{}
	c.image.left = maxImageReads
	c.readProcess(w)
	s.followLinkMaps(&c.window)
	c.readMaps(s)
	c.readArguments(w)
	c.describe(s)
	s.adoptCrash(o)
	s.proc.isGo = s.looksLikeGo(&c.mem, c.buf)
	if o.Mode == ModeFull {
		c.chooseFull(s)
	}
	s.chooseStacks(o, c.goStacks.find(s, &c.mem))
	s.captureChosen(w, &c.mem)
	return nil
}

var textNoThread = []byte("notes that are too short, or about a thread that has its notes already")

var textTooMany = []byte("segments and notes of the core file")

// chooseFull notes all memory that is in the file, to be streamed.
func (c *core) chooseFull(s *snapshot) {
	segs := c.mem.segments.all()
	for i := range segs {
		if segs[i].present == 0 {
			continue
		}
		r := s.full.add()
		if r == nil {
			s.soft(opTruncated, 0, 0, segs[i].start)
			return
		}
		*r = memoryRange{start: segs[i].start, size: segs[i].present}
	}
}

// complete works out what is left.
func (c *core) complete(w *Writer) {
	s := &w.snap
	for i := range s.threads.all() {
		s.checkContext(s.threads.at(i))
	}
}

// identify looks for a build id where identifyModules does not: in sections of the image in memory.
func (c *core) identify(w *Writer, m *module) {
	if m.path.len == 0 && !m.gate { // the program's, of which no mapping has a name
		m.path = c.programPath(&w.snap)
		m.name = m.path
	}
	if m.id.len > 0 { // it is only the name that is missing
		return
	}
	c.image.base = m.base
	c.layout = elf.Layout{Memory: true, Base: m.base, PageSize: w.snap.target.pageSize}
	if id, kind, ok := c.images.BuildIDOf(&c.image, c.layout); ok && kind != elf.IDNone {
		m.id = w.snap.bytes.put(id)
	} else if !m.gate {
		w.snap.softModule(opModuleID, m)
	}
	c.images.Close()
}

// describe says of the system what the file lets one know: the architecture, features by AT_HWCAP, and the version of the
// kernel by the note that it puts into the vDSO. How many processors there were and which, nothing tells.
func (c *core) describe(s *snapshot) {
	s.system = system{csd: s.put(c.csd)}
	info := &s.system.info
	info.ProcessorArchitecture = c.target.arch.ProcessorArchitecture()
	info.PlatformID = stream.MD_OS_LINUX
	info.MajorVersion, info.MinorVersion, info.BuildNumber = c.kernelVersion()
	order := c.head.Order
	switch c.target.arch {
	case context.X86, context.AMD64: // AT_HWCAP is EDX of CPUID leaf 1
		x := stream.X86CPU{FeatureInformation: uint32(c.auxv.Hwcap)}
		x.Put(info.CPU[:], order)
	case context.ARM, context.ARM64:
		a := stream.ARMCPU{ELFHwcaps: uint32(c.auxv.Hwcap)}
		a.Put(info.CPU[:], order)
	default:
		o := stream.OtherCPU{ProcessorFeatures: [2]uint64{c.auxv.Hwcap, c.auxv.Hwcap2}}
		o.Put(info.CPU[:], order)
	}
}

// kernelVersion reads the note "Linux" of type 0 in the vDSO, whose content is LINUX_VERSION_CODE; 0, 0, 0 without one.
func (c *core) kernelVersion() (major, minor, build uint32) {
	if c.auxv.SysinfoEhdr == 0 {
		return 0, 0, 0
	}
	page := c.target.pageSize
	b := c.buf[:min(uint64(len(c.buf)), 2*page)]
	b = b[:c.mem.read(c.auxv.SysinfoEhdr, b)]
	h, ok := elf.ParseHeader(b)
	if !ok {
		return 0, 0, 0
	}
	var im elf.Image
	im.Scan(&h, tail(b, h.Phoff), c.auxv.SysinfoEhdr, page)
	for i := range im.NumNotes {
		notes := im.Notes[i].In(b, c.auxv.SysinfoEhdr)
		for {
			n, rest, ok := elf.NextNote(notes, im.Notes[i].Align, h.Order)
			if !ok {
				break
			}
			if n.Type == 0 && len(n.Desc) == 4 && string(n.Name) == "Linux" {
				v := h.Order.Uint32(n.Desc)
				return v >> 16, v >> 8 & 0xff, v & 0xff
			}
			notes = rest
		}
	}
	return 0, 0, 0
}
