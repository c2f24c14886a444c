package process

import (
	"minidump/internal/errtext"
)

// Section is a named part of a module.
type Section struct {
	Name    string
	Address uint64 // in the process; 0 if the section is not loaded, such as debug information
	Size    uint64 // bytes, in memory
	// Offset and FileSize are the offset and the size in bytes of the section's contents in the file. FileSize is 0 if the file
	// has no contents of it, or their offset is not known. On macOS Offset is relative to the start of the image, which in a fat
	// file is a slice.
	Offset   uint64
	FileSize uint64
}

// scratchSize is the size in bytes of the buffer of an image reader. It limits what can be read in one piece: a record of a PE
// image to a quarter of it, an ELF note to a half.
const scratchSize = 64 << 10

// memory is the memory of a process from base on, for packages elf and pe, and with base 0 for package macho.
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

// BuildID returns what identifies the build of the module. ELF: the GNU build id, of any length, or without one Breakpad's
// replacement, 16 bytes computed from the code. Mach-O: the LC_UUID, 16 bytes. PE: the GUID as stored in the CodeView record and
// the age, 20 bytes, or time stamp and age of old linkers, 8 bytes. The error is ErrNoBuildID if there is none.
func (m *Module) BuildID() ([]byte, error) {
	id, _, err := m.identity()
	if err != nil {
		return nil, m.failed(err, "the build id")
	}
	return id, nil
}

// DebugID returns the identity in the form with which Breakpad's tools look up symbols: a GUID of 32 capital hexadecimal
// digits, made of the first 16 bytes of a longer build id, and the age, which is 0 except for a PE image.
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

// SoName returns the SONAME (DT_SONAME) of an ELF image, from its memory. The error is ErrNoSoName if it has none, like most
// programs.
func (m *Module) SoName() (string, error) {
	if m.format != elfFormat {
		return "", m.failed(because(ErrNoSoName, "it is not an ELF image"), "the SONAME")
	}
	name, err := m.elfSoName()
	if err != nil {
		return "", m.failed(err, "the SONAME")
	}
	return name, nil
}

// Section returns the first section of that name: ".text" of an ELF or PE image, "__DATA,__data" of a Mach-O image. A PE image in
// memory has no names longer than 8 bytes. The error is ErrNoSection with the reason.
func (m *Module) Section(name string) (s Section, err error) {
	switch m.format {
	case elfFormat:
		s, err = m.elfSection(name)
	case peFormat:
		s, err = m.peSection(name)
	case machoFormat:
		s, err = m.machoSection(name)
	default:
		err = because(ErrNoSection, "it is not an image")
	}
	if err != nil {
		return Section{}, m.failed(err, "section "+name)
	}
	s.Name = name
	return s, nil
}

// Note returns the descriptor, and its address in the process, of the first ELF note of a name, such as "GNU", and type in the note
// segments. The error is ErrNoNote if there is none, or if its descriptor is empty or larger than 32 KiB.
func (m *Module) Note(name string, typ uint32) (addr uint64, desc []byte, err error) {
	err = because(ErrNoNote, "it is not an ELF image")
	if m.format == elfFormat {
		addr, desc, err = m.elfNote(name, typ)
	}
	if err != nil {
		return 0, nil, m.failed(err, "note "+name+" of type "+errtext.Join(errtext.Hex(typ)))
	}
	return addr, desc, nil
}

// failed returns the error of a failed search in the module.
func (m *Module) failed(err error, what string) error {
	return errtext.Wrap(err, "process: find ", what, " of ", m.Path, " in pid ", m.p.pid)
}

// gone returns why the header of the module is not an image: the error of reading it, or errUnloaded.
func (m *Module) gone() error {
	var b [1]byte
	if _, err := m.p.read(m.Base, b[:]); err != nil {
		return err
	}
	return errUnloaded
}
