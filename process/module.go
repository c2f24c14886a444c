package process

import (
	"minidump/internal/errtext"
)

// Section is a part of a module that has a name.
type Section struct {
	Name    string
	Address uint64 // in the process; 0 if it is not loaded, as debug information
	Size    uint64 // bytes, in memory
	// Offset is where its contents lie in the file, and FileSize how many bytes they have there. FileSize is 0 if there are none,
	// or it is not known where they are. On macOS Offset counts from the start of the image, which in a fat file is a slice.
	Offset   uint64
	FileSize uint64
}

// scratchSize is how many bytes a reader of an image has to work in. It bounds what is read in one piece: a quarter of it for a
// record of a PE image, a half for an ELF note.
const scratchSize = 64 << 10

// memory is the memory of a process from an address on, as packages elf and pe read it, and with base 0 package macho.
type memory struct {
	p    *Process
	base uint64
}

// ReadAt implements the Source of these packages.
func (m *memory) ReadAt(b []byte, off uint64) int {
	at := m.base + off
	if at < m.base {
		return 0
	}
	n, _ := m.p.read(at, b)
	return n
}

// BuildID returns what identifies the build of the module: the GNU build id of an ELF image, of any length, or else what Breakpad
// takes for one, 16 bytes made of its code; the LC_UUID of a Mach-O image, 16 bytes; of a PE image the GUID as it lies in the
// CodeView record and the age, 20 bytes, or time stamp and age of old linkers, 8 bytes. The error is ErrNoBuildID if there is none.
func (m *Module) BuildID() ([]byte, error) {
	id, _, err := m.identity()
	if err != nil {
		return nil, m.failed(err, "the build id")
	}
	return id, nil
}

// DebugID returns what BuildID returns in the form by which Breakpad's tools look for symbols: a GUID of 32 capital hexadecimal
// digits, for which the first 16 bytes of a longer build id stand, and the age, which is 0 except in a PE image.
func (m *Module) DebugID() (string, error) {
	_, text, err := m.identity()
	if err != nil {
		return "", m.failed(err, "the debug id")
	}
	return text, nil
}

// identity returns the build id and the debug id.
func (m *Module) identity() (id []byte, text string, err error) {
	switch m.format {
	case peFormat:
		return m.peIdentity()
	case machoFormat:
		return m.machoIdentity()
	}
	return m.elfIdentity()
}

// SoName returns the SONAME (DT_SONAME) of an ELF image, from its memory. The error is ErrNoSoName if it has none, as programs.
func (m *Module) SoName() (string, error) {
	if m.format != elfFormat {
		return "", m.failed(because(ErrNoSoName, "it is no ELF image"), "the SONAME")
	}
	name, err := m.elfSoName()
	if err != nil {
		return "", m.failed(err, "the SONAME")
	}
	return name, nil
}

// Section returns the first section of that name: ".text" of an ELF or PE image, "__DATA,__data" of a Mach-O image. Names of more than
// 8 bytes are not in the memory of a PE image. The error is ErrNoSection with the reason.
func (m *Module) Section(name string) (s Section, err error) {
	switch m.format {
	case elfFormat:
		s, err = m.elfSection(name)
	case peFormat:
		s, err = m.peSection(name)
	case machoFormat:
		s, err = m.machoSection(name)
	default:
		err = because(ErrNoSection, "it is no image")
	}
	if err != nil {
		return Section{}, m.failed(err, "section "+name)
	}
	s.Name = name
	return s, nil
}

// Note returns the descriptor of the first ELF note of that name, such as "GNU", and type in the segments of notes, and its address in
// the process. The error is ErrNoNote if there is none, or its descriptor is empty or larger than 32 KiB.
func (m *Module) Note(name string, typ uint32) (addr uint64, desc []byte, err error) {
	err = because(ErrNoNote, "it is no ELF image")
	if m.format == elfFormat {
		addr, desc, err = m.elfNote(name, typ)
	}
	if err != nil {
		return 0, nil, m.failed(err, "note "+name+" of type "+errtext.Join(errtext.Hex(typ)))
	}
	return addr, desc, nil
}

// failed makes the error of looking for something in the module.
func (m *Module) failed(err error, what string) error {
	return errtext.Wrap(err, "process: find ", what, " of ", m.Path, " in pid ", m.p.pid)
}

// gone returns why the header of the module can't be read, if it was found unreadable.
func (m *Module) gone() error {
	var b [1]byte
	if _, err := m.p.read(m.Base, b[:]); err != nil {
		return err
	}
	return errUnloaded
}
