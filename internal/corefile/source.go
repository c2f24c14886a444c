package corefile

import (
	"io"

	"minidump/context"
	"minidump/elf"
	"minidump/procfs"
	"minidump/stream"

	"minidump/internal/arena"
	"minidump/internal/errtext"
	"minidump/internal/goruntime"
	"minidump/internal/images"
	"minidump/internal/snapshot"
)

// Source is an ELF core file as a source of snapshots. It may have been written by the kernel, by gdb's gcore or by
// anything else that writes the same notes (core(5), fs/binfmt_elf.c of Linux).
//
// The file is never read as a whole: New records where segments and notes are, and a dump reads what it needs.
type Source struct {
	Notes
	closer    io.Closer
	csd       []byte
	files     arena.Table[fileMapping]
	noProcess []byte // why the process itself could not be read, if it should have been

	// Scratch space of a dump.
	auxv     procfs.Auxv
	comm     arena.Span
	line     procfs.Mapping
	goStacks goruntime.Stacks
	goList   goruntime.Lister // nil: not linked
	window   images.Window
	images   *elf.Reader
	image    memoryImage
	layout   elf.Placement
}

// memoryImage reads an image in memory as an elf.Source.
type memoryImage struct {
	mem  snapshot.Memory
	base uint64
	left uint64 // bytes of images that this dump may still read
}

// maxImageReads limits the bytes that one dump reads to find build ids in sections of images. An image of a thousand
// sections requires a thousand reads, and a small file can hold ten thousand such images.
const maxImageReads = 1 << 30

// ReadAt implements elf.Source.
func (m *memoryImage) ReadAt(p []byte, off uint64) int {
	if m.base+off < m.base || m.left < uint64(len(p)) {
		return 0
	}
	m.left -= uint64(len(p))
	return m.mem.Read(m.base+off, p)
}

// New reads the headers of a core file of size bytes and finds its notes. name is used in messages. r must stay readable
// until Close, which does not close it. An error wraps ErrNotCore, ErrNoThread, ErrCompressed or snapshot.ErrUnsupported.
func New(name string, r io.ReaderAt, size int64) (*Source, error) {
	c := new(Source)
	if err := c.open(name, r, size); err != nil {
		return nil, err
	}
	var err error
	if !c.hasThread() {
		err = errtext.Wrap(ErrNoThread, "minidump: ", name)
	}
	if err == nil {
		err = c.files.Reserve(64 * arena.Unit)
	}
	if err == nil {
		err = c.goStacks.Reserve()
	}
	if err == nil && goruntime.NewLister != nil {
		list := goruntime.NewLister()
		if err = list.Reserve(); err == nil {
			c.goList = list
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	c.csd = []byte("Linux core " + c.machine())
	c.images = elf.NewReader(make([]byte, 32<<10))
	c.window = images.Window{Mem: &c.mem, Buf: make([]byte, images.WindowSize)}
	c.image.mem = &c.mem
	return c, nil
}

// Memory returns the memory in the file.
func (c *Source) Memory() snapshot.Memory { return &c.mem }

// Release does nothing: a file does not have to be resumed.
func (c *Source) Release(*snapshot.Snapshot) error { return nil }

// CloseWith makes Close close closer too.
func (c *Source) CloseWith(closer io.Closer) { c.closer = closer }

// LacksProcess makes every dump record, as a soft error, why the process itself could not be read.
func (c *Source) LacksProcess(why error) { c.noProcess = []byte(why.Error()) }

// Close releases the source's memory.
func (c *Source) Close() error {
	c.Notes.Close()
	c.files.Release()
	c.goStacks.Release()
	if c.goList != nil {
		c.goList.Release()
	}
	if c.closer != nil {
		return c.closer.Close()
	}
	return nil
}

// Process returns pr_pid and pr_fname of NT_PRPSINFO.
func (c *Source) Process() (int, string) { return int(c.pid), c.command }

// IsGo reports whether the program was built by Go. It also returns false if the memory that shows this is not in the file.
func (c *Source) IsGo(s *snapshot.Snapshot) bool {
	notes := c.notes.All()
	for i := range notes {
		if n := &notes[i]; n.typ == context.NT_AUXV && !n.linux {
			s.Target = c.Target
			auxv := procfs.ParseAuxv(c.peekNote(n), c.head.Class.WordSize(), c.head.Order)
			s.AdoptAuxv(&auxv)
			return goruntime.IsGo(s, &c.mem, c.buf)
		}
	}
	return false
}

// Capture fills s from the file. It never fails: New found threads or memory.
func (c *Source) Capture(s *snapshot.Snapshot) error {
	s.Target, s.Allocates = c.Target, true
	s.Proc = snapshot.Process{PID: c.pid, PPID: c.ppid, Time: s.Proc.Time}
	s.Blame(c.fatal, c.crash)
	c.recordFlaws(s)
	c.ReadThreads(s)
	if s.Want.RegisterSets {
		c.ReadRegsets(s)
	}
	s.AddBlamed(snapshot.OpRegisters, 0)
	c.comm = arena.Span{}
	c.image.left = maxImageReads
	c.readProcess(s)
	images.FollowLinkMaps(s, &c.window)
	c.readMaps(s)
	c.readArguments(s)
	c.describe(s)
	if s.Want.Mode == snapshot.ModeFull {
		c.chooseFull(s)
	}
	s.Proc.IsGo = goruntime.IsGo(s, &c.mem, c.buf)
	if c.goList == nil || !c.goList.Capture(s, &c.mem, nil) {
		c.goStacks.Find(s, &c.mem)
	}
	s.CaptureMemory(&c.mem)
	return nil
}

// recordFlaws records the problems that were found when the file was opened.
func (c *Source) recordFlaws(s *snapshot.Snapshot) {
	if c.truncated {
		s.Soft(snapshot.OpCore, 0, 0, c.missingFrom)
	}
	if c.full {
		if e := s.Soft(snapshot.OpTruncated, 0, 0, 0); e != nil {
			e.Text = s.Bytes.Put(textTooMany)
		}
	}
	if c.noProcess != nil {
		if e := s.Soft(snapshot.OpDumping, 0, 0, 0); e != nil {
			e.Text = s.Bytes.Put(c.noProcess)
		}
	}
}

var textBadStatus = []byte("an NT_PRSTATUS note is too short or repeats a thread")

var textTooMany = []byte("segments and notes of the core file")

// chooseFull lists all memory that is in the file. The memory is streamed while the dump is written.
func (c *Source) chooseFull(s *snapshot.Snapshot) {
	segs := c.mem.segments.All()
	for i := range segs {
		if segs[i].present == 0 {
			continue
		}
		r := s.Full.Add()
		if r == nil {
			s.Soft(snapshot.OpTruncated, 0, 0, segs[i].start)
			return
		}
		*r = snapshot.MemoryRange{Start: segs[i].start, Size: segs[i].present}
	}
}

// Complete checks the registers of the threads, and lists the goroutines.
func (c *Source) Complete(s *snapshot.Snapshot) {
	for i := range s.Threads.All() {
		s.CheckContext(s.Threads.At(i))
	}
	if c.goList != nil {
		c.goList.Complete(s, &c.mem)
	}
}

// Identify looks for a build id in the sections of the image in memory, which images.Identify does not read, and names
// the program if its mappings have no name.
func (c *Source) Identify(s *snapshot.Snapshot, m *snapshot.Module) {
	if m.Path.Len == 0 && !m.VDSO { // the program, none of whose mappings has its name
		m.Path = c.programPath(s)
		m.Name = m.Path
	}
	if m.ID.Len > 0 { // only the name was missing
		return
	}
	c.image.base = m.Base
	c.layout = elf.Placement{Memory: true, Base: m.Base, PageSize: s.Target.PageSize}
	if id, kind, ok := c.images.BuildIDOf(&c.image, c.layout); ok && kind != elf.IDNone {
		m.ID = s.Bytes.Put(id)
	} else if !m.VDSO {
		s.SoftModule(snapshot.OpModuleID, m)
	}
	c.images.Close()
}

// describe fills in the facts about the system that are in the file: the architecture, processor features from AT_HWCAP, and
// the kernel version from the note in the vDSO. A core file contains neither the number nor the model of the processors.
func (c *Source) describe(s *snapshot.Snapshot) {
	s.System = snapshot.System{CSD: s.Put(c.csd)}
	info := &s.System.Info
	info.ProcessorArchitecture = c.Target.Arch.ProcessorArchitecture()
	info.PlatformID = stream.MD_OS_LINUX
	info.MajorVersion, info.MinorVersion, info.BuildNumber = c.kernelVersion()
	order := c.head.Order
	switch c.Target.Arch {
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

// kernelVersion reads the note "Linux" of type 0 in the vDSO, which contains LINUX_VERSION_CODE (vdso/note.S in the
// kernel's arch folders). Without that note the version is 0, 0, 0.
func (c *Source) kernelVersion() (major, minor, build uint32) {
	if c.auxv.SysinfoEhdr == 0 {
		return 0, 0, 0
	}
	page := c.Target.PageSize
	b := c.buf[:min(uint64(len(c.buf)), 2*page)]
	b = b[:c.mem.Read(c.auxv.SysinfoEhdr, b)]
	h, ok := elf.ParseHeader(b)
	if !ok {
		return 0, 0, 0
	}
	var im elf.Image
	im.Scan(&h, images.Tail(b, h.Phoff), c.auxv.SysinfoEhdr, page)
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

// readProcess reads the notes about the whole process: NT_AUXV and NT_PRPSINFO.
func (c *Source) readProcess(s *snapshot.Snapshot) {
	var auxv procfs.Auxv
	haveAuxv := false
	notes := c.notes.All()
	for i := range notes {
		n := &notes[i]
		switch {
		case n.linux:
		case n.typ == context.NT_AUXV && !haveAuxv:
			haveAuxv = true
			s.Raw[snapshot.RawAuxv] = c.noteBytes(s, n, maxAuxvNote)
			b := s.Bytes.Get(s.Raw[snapshot.RawAuxv])
			word := c.head.Class.WordSize()
			auxv = procfs.ParseAuxv(b, word, c.head.Order)
			s.Raw[snapshot.RawAuxv].Len = uint32(auxvEnd(b, word))
		case n.typ == context.NT_PRPSINFO && s.Raw[snapshot.RawCmdline].Len == 0:
			_, _, name, args, ok := c.parsePRPSInfo(c.peekNote(n))
			if !ok {
				continue
			}
			c.comm = s.Bytes.Put(name)
			if s.Want.Omit&snapshot.OmitCmdline == 0 {
				// The kernel replaces the NULs between the arguments with blanks; readArguments finds the originals.
				for len(args) > 0 && args[len(args)-1] == ' ' {
					args = args[:len(args)-1]
				}
				s.Raw[snapshot.RawCmdline] = s.Bytes.Put(args)
			}
		}
	}
	if !auxv.Complete {
		s.Soft(snapshot.OpReadAuxv, 0, 0, 0)
	}
	s.AdoptAuxv(&auxv)
	c.auxv = auxv
	for i := range s.Threads.All() {
		if t := s.Threads.At(i); t.TID == c.pid {
			t.Name = c.comm // the only thread whose name is in a core file
		}
	}
}

// auxvEnd returns the length of an auxiliary vector up to and including AT_NULL. The kernel's note is as long as the
// longest possible vector.
func auxvEnd(b []byte, word int) int {
	for i := 0; i+2*word <= len(b); i += 2 * word {
		if elf.IsAllZero(b[i : i+word]) {
			return i + 2*word
		}
	}
	return len(b)
}
