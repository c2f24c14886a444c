package process

import (
	"bytes"
	"errors"
	"slices"

	"minidump/elf"
	"minidump/internal/errtext"
	"minidump/stream"
)

// Reasons why something was not found.
var (
	errUnloaded  = errors.New("the image is no longer loaded")
	errOtherFile = errors.New("the build id of the file differs from that of the module in memory")
	errNotELF    = errors.New("the file is not an ELF image")
)

// file is the file of a module.
type file interface {
	elf.Source
	Close()
}

// shfTLS is SHF_TLS of elf.h: each thread has a copy of the section.
const shfTLS = 0x400

// elfIdentity returns the build id from the module list.
func (m *Module) elfIdentity() ([]byte, string, error) {
	if len(m.id) == 0 {
		return nil, "", ErrNoBuildID
	}
	record := append(make([]byte, 4), m.id...)
	m.order.PutUint32(record, stream.CVELF)
	text := stream.DebugID(record, m.order)
	if text == "" {
		return nil, "", because(ErrNoBuildID, "it is all zeros")
	}
	return slices.Clone(m.id), text, nil
}

// openELF opens the image in memory.
func (m *Module) openELF() (*elf.Reader, error) {
	r := elf.NewReader(make([]byte, scratchSize))
	if !r.Open(&memory{m.p, m.Base}, elf.Placement{Memory: true, Base: m.Base, PageSize: m.page}) || r.Image.Loads == 0 {
		return nil, m.gone()
	}
	return r, nil
}

func (m *Module) elfSoName() (string, error) {
	r, err := m.openELF()
	if err != nil {
		return "", because(ErrNoSoName, err)
	}
	name, ok := r.Soname()
	if !ok {
		return "", ErrNoSoName
	}
	return string(name), nil
}

func (m *Module) elfNote(name string, typ uint32) (uint64, []byte, error) {
	r, err := m.openELF()
	if err != nil {
		return 0, nil, because(ErrNoNote, err)
	}
	off, desc, ok := r.FindNote(name, typ)
	if !ok {
		return 0, nil, ErrNoNote
	}
	addr := m.Base + off
	if r.Header.Class == elf.Class32 {
		addr &= 1<<32 - 1
	}
	return addr, slices.Clone(desc), nil
}

// elfSection finds a section by the section headers in memory, which the vDSO and Go programs have, or else in the
// file.
func (m *Module) elfSection(name string) (Section, error) {
	r, err := m.openELF()
	if err != nil {
		return Section{}, because(ErrNoSection, err)
	}
	if h, ok := r.FindSection(name); ok {
		return m.placeSection(r, &h)
	}
	f, err := m.p.openFile(m)
	if err != nil {
		return Section{}, because(ErrNoSection, errtext.Wrap(err, "its section headers are in the file, which can't be opened"))
	}
	defer f.Close()
	inFile := elf.NewReader(make([]byte, scratchSize))
	if !inFile.Open(f, elf.Placement{PageSize: m.page}) || inFile.Header.Machine != r.Header.Machine || inFile.Header.Class != r.Header.Class {
		return Section{}, because(ErrNoSection, errNotELF)
	}
	if id, _ := inFile.BuildID(); len(m.id) > 0 && !bytes.Equal(id, m.id) {
		return Section{}, because(ErrNoSection, errOtherFile)
	}
	if inFile.NumSections() == 0 {
		return Section{}, because(ErrNoSection, "the file has no section headers")
	}
	h, ok := inFile.FindSection(name)
	if !ok {
		return Section{}, ErrNoSection
	}
	return m.placeSection(r, &h)
}

// openFile opens the file of an ELF module.
func (p *Process) openFile(m *Module) (file, error) {
	if p.sys == nil {
		return nil, ErrClosed
	}
	return p.sys.open(m)
}

// placeSection returns the addresses and offsets of a section. r reads the image in memory.
func (m *Module) placeSection(r *elf.Reader, h *elf.Section) (Section, error) {
	s := Section{Size: h.Size}
	if h.Type != elf.SHT_NOBITS {
		s.Offset, s.FileSize = h.Off, h.Size
		if m.archive {
			s.Offset += m.first.Offset
		}
	}
	im := &r.Image
	loaded := h.Flags&elf.SHF_ALLOC != 0 && (h.Type != elf.SHT_NOBITS || h.Flags&shfTLS == 0)
	if !loaded {
		return s, nil
	}
	if h.Addr < im.MinVaddr || h.Addr > im.MaxVaddr || h.Size > im.MaxVaddr-h.Addr {
		return Section{}, because(ErrNoSection, "it lies outside the image")
	}
	s.Address = im.Runtime(h.Addr)
	return s, nil
}
