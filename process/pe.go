package process

import (
	"encoding/binary"

	"minidump/pe"
)

// openPE opens the image in memory.
func (m *Module) openPE() (*pe.Reader, error) {
	r := pe.NewReader(make([]byte, scratchSize))
	if !r.Open(&memory{m.p, m.Base}, pe.Loaded) {
		return nil, m.gone()
	}
	return r, nil
}

// peIdentity returns the identity in the CodeView record.
func (m *Module) peIdentity() ([]byte, string, error) {
	r, err := m.openPE()
	if err != nil {
		return nil, "", because(ErrNoBuildID, err)
	}
	var c pe.CodeView
	if r.CodeView(&c) == nil {
		return nil, "", because(ErrNoBuildID, "it has no CodeView record")
	}
	var id []byte
	if c.Signature == pe.RSDS {
		id = append(id, c.GUID[:]...)
	} else {
		id = binary.LittleEndian.AppendUint32(id, c.TimeStamp)
	}
	return binary.LittleEndian.AppendUint32(id, c.Age), string(c.AppendDebugID(nil)), nil
}

func (m *Module) peSection(name string) (Section, error) {
	r, err := m.openPE()
	if err != nil {
		return Section{}, because(ErrNoSection, err)
	}
	var h pe.Section
	if !r.FindSection(name, &h) {
		return Section{}, ErrNoSection
	}
	if uint64(h.VirtualAddress)+uint64(h.Size()) > uint64(r.Header.SizeOfImage) {
		return Section{}, because(ErrNoSection, "it lies outside the image")
	}
	s := Section{Address: m.Base + uint64(h.VirtualAddress), Size: uint64(h.Size())}
	if h.PointerToRawData != 0 {
		s.Offset, s.FileSize = uint64(h.PointerToRawData), uint64(h.SizeOfRawData)
	}
	return s, nil
}
