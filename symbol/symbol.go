package symbol

import (
	stdelf "debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Module identifies a loaded image, as in the module list of a minidump.
type Module struct {
	Path      string // as recorded by the process; may be that of another system, with backslashes
	BuildID   []byte // GNU build id, LC_UUID, or GUID and age of a PE image in the byte order of its CodeView record; may be nil
	DebugID   string // Breakpad's form, the GUID in 32 hexadecimal digits and the age; may be "" if BuildID is not
	DebugFile string // name of the file with the debug information, such as "app.pdb"; may be ""
	Size      uint64 // of the image in memory, bytes; 0 if unknown. Addresses at or after it are not looked up
}

// Frame is one function that contains an address.
type Frame struct {
	Function string // "" if only the line is known
	Offset   uint64 // from the start of the function; of an inlined one, from the start of its inlined code; bytes
	File     string // "" if unknown
	Line     int    // 0 if unknown
	Inlined  bool   // the function was inlined into the next frame
}

// Errors of Load.
var (
	// ErrNotFound is the error of Load if no file of the module was found, or if the module has no id.
	ErrNotFound = errors.New("no file from this build was found")
	// ErrOtherBuild is the error of Load if all files found are of other builds.
	ErrOtherBuild = errors.New("the file is from a different build")
)

// Limits on what is read from files.
const (
	// MaxLoad limits the bytes of sections and symbol tables that a Table has in memory, decompressed. What is built from
	// debug information during lookups has its own limits, which add up to about as much.
	MaxLoad = 1 << 30
	// MaxName limits the length of a name or path in bytes. Longer ones are cut.
	MaxName = 4096

	maxText  = 4096    // bytes of a path that is opened
	maxFile  = 8 << 30 // bytes of a file that is read from start to end
	maxNotes = 32
)

// namer finds names in one file.
type namer interface {
	// lookup returns the functions at rva, innermost first. A single frame without Function means that only the line is known.
	lookup(rva uint64) []Frame
}

// Table has the names of one module. It keeps files open until Close, and reads them on demand. Its methods are safe for concurrent use.
type Table struct {
	mu     sync.Mutex
	size   uint64
	namers []namer // best first
	files  []*os.File
	budget *Budget
	notes  []string

	image, debug *stdelf.File
	other        io.ReaderAt // an image that is not an ELF file
}

// Budget limits the total memory of several Tables. It is safe for concurrent use.
type Budget struct{ left atomic.Int64 }

// NewBudget returns a Budget of a number of bytes.
func NewBudget(bytes int64) *Budget {
	b := new(Budget)
	b.left.Store(max(0, bytes))
	return b
}

// take reserves n bytes; it returns false if fewer are left.
func (b *Budget) take(n uint64) bool {
	for {
		left := b.left.Load()
		if n > uint64(left) {
			return false
		}
		if b.left.CompareAndSwap(left, left-int64(n)) {
			return true
		}
	}
}

// Lookup returns the functions that contain the code at rva, an offset from the address at which the module is loaded:
// the innermost inlined one first, the function itself last. It returns nil if nothing is known about rva. To find the
// place of a call, pass the return address minus 1.
func (t *Table) Lookup(rva uint64) []Frame {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.size != 0 && rva >= t.size {
		return nil
	}
	var line Frame
	for _, n := range t.namers {
		frames := t.ask(n, rva)
		if len(frames) == 0 {
			continue
		}
		if frames[0].Function == "" {
			if line.File == "" {
				line = frames[0]
			}
			continue
		}
		if first := &frames[0]; first.File == "" && len(frames) == 1 {
			first.File, first.Line = line.File, line.Line
		}
		return cleaned(frames)
	}
	if line.File == "" {
		return nil
	}
	return cleaned([]Frame{line})
}

// ask calls n.lookup. The parsers of the standard library are not made for hostile files: a panic in one counts as no result.
func (t *Table) ask(n namer, rva uint64) (frames []Frame) {
	defer func() {
		if r := recover(); r != nil {
			frames = nil
			t.note(fmt.Sprintf("looking up an address failed: %v", r))
		}
	}()
	return n.lookup(rva)
}

// cleaned limits the names in frames and makes them safe to print: a file may have control characters in its names.
func cleaned(frames []Frame) []Frame {
	for i := range frames {
		frames[i].Function = clean(frames[i].Function)
		frames[i].File = clean(frames[i].File)
	}
	return frames
}

func clean(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), MaxName)], "?")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?' // includes characters that change the direction of text
		}
		return r
	}, s)
}

// ELF returns the loaded image as a file: its program headers, its sections such as .eh_frame, and its code. It returns nil if
// there is no such file, or if the module is not an ELF image. The result is valid until Close.
func (t *Table) ELF() *stdelf.File { return t.image }

// DebugELF returns the separate file with debug information, whose sections of code and data have no contents, or nil if there
// is none. The result is valid until Close.
func (t *Table) DebugELF() *stdelf.File { return t.debug }

// Image returns the file of an image that is not ELF: of a PE image the whole file, of a Mach-O image the module's part of a fat file. It
// returns nil if there is no such file. The result is valid until Close.
func (t *Table) Image() io.ReaderAt { return t.other }

// Notes returns what was found but can't be read, as sentences: "/x/app.pdb: PDB files are not supported". There are at most 32.
func (t *Table) Notes() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	notes := slices.Clone(t.notes)
	for _, n := range t.namers {
		if d, ok := n.(*dwarfNamer); ok {
			notes = append(notes, d.notes()...)
		}
	}
	return notes
}

func (t *Table) note(s string) {
	if len(t.notes) < maxNotes && !slices.Contains(t.notes, s) {
		t.notes = append(t.notes, clean(s))
	}
}

// Close closes the files. The Table must not be used afterwards.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	for _, f := range t.files {
		err = errors.Join(err, f.Close())
	}
	t.files, t.namers = nil, nil
	return err
}
