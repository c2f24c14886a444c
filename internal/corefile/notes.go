package corefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"minidump/context"
	"minidump/elf"
	"minidump/internal/errtext"

	"minidump/internal/arena"
	"minidump/internal/goruntime"
	"minidump/internal/snapshot"
)

// Errors of New and OpenPipe, for errors.Is: the file is not a core file, it describes no thread, or it must be decompressed first.
var (
	ErrNotCore    = errors.New("not an ELF core file")
	ErrNoThread   = errors.New("no thread in its notes")
	ErrCompressed = errors.New("compressed")
)

// Notes holds the notes of a core file and the memory in it: the threads, their registers, and what killed the
// process. Of a core in a pipe only the start may have been read.
type Notes struct {
	name   string
	head   elf.Header
	mem    memory
	Target snapshot.Target

	noteSegments []region
	notes        arena.Table[note]
	truncated    bool   // the file is shorter than its headers say
	missingFrom  uint64 // if truncated, the lowest address with missing memory
	full         bool   // a table was too small for the file
	badStatus    bool   // an NT_PRSTATUS is too short, or repeats a thread

	// Facts shared by all dumps of this core.
	pid, ppid, fatal int32          // fatal: the thread that a signal killed, or else the first
	command          string         // pr_fname
	crash            *context.Crash // nil: no signal killed the process
	fatalNote        int            // index of the NT_PRSTATUS of thread fatal, if there is a crash

	buf []byte // scratch
}

// open reads the headers and finds the notes.
func (c *Notes) open(name string, r io.ReaderAt, size int64) error {
	c.name, c.buf = name, make([]byte, goruntime.ScratchSize)
	c.mem = memory{file: r, size: uint64(max(0, size))}
	err := c.readHeader()
	if err == nil {
		err = c.mem.segments.Reserve(128 * arena.Unit)
	}
	if err == nil {
		err = c.notes.Reserve(64 * arena.Unit)
	}
	if err == nil {
		err = c.readSegments()
	}
	if err != nil {
		c.Close()
		return err
	}
	c.indexNotes()
	c.numberThreads()
	c.findCrash()
	if c.notes.N == 0 && c.mem.segments.N == 0 {
		c.Close()
		return errtext.Wrap(ErrNotCore, "minidump: ", name, " has neither threads nor memory")
	}
	return nil
}

// Close releases the memory of the index. It does not close the file.
func (c *Notes) Close() {
	c.mem.segments.Release()
	c.notes.Release()
}

// compressions lists formats in which core files are compressed, with their first bytes. systemd-coredump writes the first three.
var compressions = [...]struct{ magic, name, tool string }{
	{"\x28\xb5\x2f\xfd", "zstd", "zstd -d"},
	{"\x04\x22\x4d\x18", "lz4", "lz4 -d"},
	{"\xfd7zXZ\x00", "xz", "xz -d"},
	{"\x1f\x8b", "gzip", "gzip -d"},
	{"BZh", "bzip2", "bzip2 -d"},
}

// readHeader reads the ELF header. It fails unless the file is a core file of a known architecture.
func (c *Notes) readHeader() error {
	b := c.buf[:elf.HeaderSize64]
	b = b[:c.mem.readFile(0, b)]
	for _, z := range compressions {
		if bytes.HasPrefix(b, []byte(z.magic)) {
			return errtext.Around(ErrCompressed, "minidump: ", c.name, " is ", ErrCompressed, " with ", z.name,
				": decompress it first: ", z.tool, " ", c.name)
		}
	}
	h, ok := elf.ParseHeader(b)
	if !ok || h.Type != elf.ET_CORE {
		return errtext.Wrap(ErrNotCore, "minidump: ", c.name)
	}
	arch := context.ArchOfELF(h.Machine, h.Class == elf.Class64 || h.IsN32())
	if arch == context.ArchUnknown {
		return errtext.Wrap(snapshot.ErrUnsupported, "minidump: ", c.name, ": core file of machine ", h.Machine, ", class ", int(h.Class))
	}
	c.head = h
	c.Target = snapshot.Target{Arch: arch, Order: h.Order, ILP32: h.Class == elf.Class32 && arch.WordSize() == 8, PageSize: 4096}
	return nil
}

// machine returns the architecture's name as printed by uname -m.
func (c *Notes) machine() string {
	little := c.head.Order == binary.ByteOrder(binary.LittleEndian)
	switch c.Target.Arch {
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
	return c.Target.Arch.String()
}

// Limits on notes, in bytes. The kernel writes at most 4 MiB of NT_FILE by default (core_file_note_size_limit), and gdb
// adds a description of the target.
const (
	maxNotes    = 1 << 30 // notes of one segment
	maxFileNote = 64 << 20
	maxAuxvNote = 4 << 10
)

// A note is the place and the type of a note in the file.
type note struct {
	off    uint64 // of its content
	size   uint32
	typ    uint32
	thread int32 // index of the thread that it belongs to: that of the last NT_PRSTATUS before it; -1: none
	linux  bool  // its name is LINUX instead of CORE
}

// isThread reports whether a note is a struct elf_prstatus that starts the notes of a thread.
func (n *note) isThread() bool { return n.typ == context.NT_PRSTATUS && !n.linux && n.thread >= 0 }

// numberThreads sets note.thread. An NT_PRSTATUS that is too short or repeats a thread starts no thread.
func (c *Notes) numberThreads() {
	seen := make(map[int32]bool)
	thread := int32(-1)
	notes := c.notes.All()
	for i := range notes {
		n := &notes[i]
		if n.typ == context.NT_PRSTATUS && !n.linux {
			p, ok := c.parsePRStatus(c.peekNote(n))
			if ok = ok && !seen[p.tid]; ok {
				thread = int32(len(seen))
				seen[p.tid] = true
			} else {
				thread = -1
				c.badStatus = true
			}
		}
		n.thread = thread
	}
}

// indexNotes walks the notes and records those named CORE or LINUX. Delve leaves the names of its notes empty: if no note
// is named CORE, those without a name are recorded.
func (c *Notes) indexNotes() {
	if c.indexNamed("CORE\x00"); c.notes.N == 0 {
		c.indexNamed("")
	}
}

// isLinux reports whether the kernel writes notes of a type under the name LINUX instead of CORE (include/uapi/linux/elf.h).
func isLinux(typ uint32) bool {
	return typ >= 0x100 && typ != context.NT_SIGINFO && typ != context.NT_FILE
}

// indexNamed records the notes that are named LINUX or owner. It reads the file in pieces of the size of c.buf.
func (c *Notes) indexNamed(owner string) {
	for _, seg := range c.noteSegments {
		align := seg.align
		if align != 8 {
			align = 4
		}
		at, end := seg.off, seg.off+min(seg.size, maxNotes)
		have := region{} // the part of the file that c.buf holds
		for end-at >= 12 {
			// The header of a note is 12 bytes long; "CORE" and "LINUX" fit in the next 8.
			if at < have.off || at+20 > have.off+have.size {
				have = region{off: at}
				have.size = uint64(c.mem.readFile(at, c.buf[:min(uint64(len(c.buf)), end-at)]))
				if have.size < 12 {
					break
				}
			}
			b := c.buf[at-have.off : have.size]
			namesz, descsz := uint64(c.head.Order.Uint32(b)), uint64(c.head.Order.Uint32(b[4:]))
			n := note{typ: c.head.Order.Uint32(b[8:])}
			if namesz == 0 && descsz == 0 && n.typ == 0 {
				break // padding
			}
			n.off = at + (12+namesz+align-1)&^(align-1)
			next := n.off + (descsz+align-1)&^(align-1)
			if n.off > end || descsz > end-n.off {
				c.truncated = true
				break
			}
			n.size = uint32(descsz)
			name := b[12:min(12+namesz, uint64(len(b)))]
			n.linux = string(name) == "LINUX\x00"
			at = min(next, end)
			if !n.linux && string(name) != owner {
				continue
			}
			n.linux = n.linux || owner == "" && isLinux(n.typ)
			e := c.notes.Add()
			if e == nil {
				c.full = true
				return
			}
			*e = n
		}
	}
}

// hasThread reports whether the notes describe a thread.
func (c *Notes) hasThread() bool {
	notes := c.notes.All()
	for i := range notes {
		if notes[i].isThread() {
			return true
		}
	}
	return false
}

// noteBytes reads the content of a note, up to most bytes, into the snapshot.
func (c *Notes) noteBytes(s *snapshot.Snapshot, n *note, most int) arena.Span {
	sp, b := s.Bytes.Alloc(int(min(n.size, uint32(most))))
	if b == nil {
		if n.size > 0 {
			s.Soft(snapshot.OpTruncated, 0, 0, 0)
		}
		return arena.Span{}
	}
	return s.Bytes.Trim(sp, c.mem.readFile(n.off, b))
}

// peekNote returns the first 1024 bytes of a note. They are valid until c.buf is used again.
func (c *Notes) peekNote(n *note) []byte {
	b := c.buf[:min(uint64(n.size), 1024)]
	return b[:c.mem.readFile(n.off, b)]
}
