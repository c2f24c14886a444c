package process

import (
	"encoding/hex"
	"slices"
	"strings"

	"minidump/macho"
)

// openMachO opens the image in memory.
func (m *Module) openMachO() (*macho.Reader, error) {
	r := macho.NewReader(make([]byte, scratchSize))
	if !r.OpenMemory(&memory{m.p, 0}, m.Base) {
		return nil, m.gone()
	}
	return r, nil
}

// machoIdentity returns the LC_UUID.
func (m *Module) machoIdentity() ([]byte, string, error) {
	r, err := m.openMachO()
	if err != nil {
		return nil, "", because(ErrNoBuildID, err)
	}
	if !r.Image.HasUUID {
		return nil, "", because(ErrNoBuildID, "it has no LC_UUID")
	}
	id := slices.Clone(r.Image.UUID[:])
	return id, strings.ToUpper(hex.EncodeToString(id)) + "0", nil
}

// sectionType is the mask SECTION_TYPE of <mach-o/loader.h> (S_ there). Sections of the other types here occupy no space in
// the file.
const (
	sectionType         = 0xff
	zeroFill            = 0x1
	gbZeroFill          = 0xc
	threadLocalZeroFill = 0x12
)

func (m *Module) machoSection(name string) (Section, error) {
	segment, section, ok := strings.Cut(name, ",")
	if !ok {
		return Section{}, because(ErrNoSection, "the name has no comma between segment and section")
	}
	r, err := m.openMachO()
	if err != nil {
		return Section{}, because(ErrNoSection, err)
	}
	if r.Image.Segment("__TEXT") == nil {
		return Section{}, because(ErrNoSection, "the image has no __TEXT segment")
	}
	h, ok := r.Section(segment, section)
	if !ok {
		return Section{}, ErrNoSection
	}
	s := Section{Address: r.Place(&h), Size: h.Size}
	switch h.Flags & sectionType {
	case zeroFill, gbZeroFill, threadLocalZeroFill:
	default:
		if !r.Image.Header.InSharedCache() { // in the shared cache, offsets are into a file of the cache
			s.Offset, s.FileSize = uint64(h.Off), h.Size
		}
	}
	return s, nil
}
