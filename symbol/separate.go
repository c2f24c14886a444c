package symbol

import (
	"hash/crc32"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"minidump/symbol/internal/dwarf"
)

// findByLink looks for the debug file named in .gnu_debuglink of the image, as gdb does ("Separate Debug Files" in its
// manual). The file must have the CRC given there, and the same build id if the image has one.
func (l *loader) findByLink() {
	if l.elf == nil || l.complete() {
		return
	}
	name, crc, ok := l.elf.debugLink()
	if !ok {
		return
	}
	folder := path.Dir(l.m.Path)
	for _, file := range []string{path.Join(folder, name), path.Join(folder, ".debug", name), path.Join(debugDir, folder, name)} {
		l.tryLink(l.root.open, file, crc)
	}
	for _, dir := range l.s.Dirs {
		l.tryLink(openRegular, path.Join(dir, name), crc)
		l.tryLink(openRegular, path.Join(dir, folder, name), crc)
	}
}

// tryLink accepts a debug file with the given CRC.
func (l *loader) tryLink(open opener, name string, crc uint32) {
	if l.complete() || l.debug != nil {
		return
	}
	f, err := open(name)
	if err != nil {
		return
	}
	e, err := openELF(f)
	if err == nil && !e.image && e.noted == l.elf.noted && (!e.noted || slices.Equal(e.id, l.elf.id)) &&
		hasCRC(f, crc) && l.keepELF(e) {
		l.t.files = append(l.t.files, f)
		return
	}
	l.t.note(name + ": the debug file is from a different build")
	f.Close()
}

// supplement returns the debug information that dwz moved from a file to one that several files share, which
// .gnu_debugaltlink identifies by name and build id. It returns nil if there is none or it is not found.
func (l *loader) supplement(e *elfFile) *dwarf.Data {
	s := e.section(".gnu_debugaltlink")
	if s == nil || s.Size > MaxName || s.ReaderAt == nil {
		return nil
	}
	b := make([]byte, s.Size)
	n, _ := s.ReadAt(b, 0)
	name := cString(b[:n])
	id := b[min(len(name)+1, n):n]
	if name == "" || len(id) < 8 {
		return nil
	}
	if !strings.HasPrefix(name, "/") {
		name = path.Join(path.Dir(l.resolved(e.path)), name)
	}
	byID := path.Join(".build-id", buildIDPath(id)+".debug")
	places := []opened{{l.root.open, name}, {l.root.open, path.Join(debugDir, byID)}, {openRegular, path.Join(debugDir, byID)}}
	for _, dir := range l.s.Dirs {
		places = append(places, opened{openRegular, path.Join(dir, byID)}, opened{openRegular, path.Join(dir, ".dwz", path.Base(name))},
			opened{openRegular, path.Join(dir, path.Base(name))})
	}
	for _, p := range places {
		f, err := p.open(p.name)
		if err != nil {
			continue
		}
		if alt, err := openELF(f); err == nil && slices.Equal(alt.id, id) {
			if sections, ok := dwarfSections(func(name string) dwarf.Section { return alt.dwarfSection(name, l.t.budget) }); ok {
				l.t.files = append(l.t.files, f)
				return dwarf.New(sections, alt.ByteOrder)
			}
		}
		f.Close()
	}
	return nil
}

// opened is a place where a file may be.
type opened struct {
	open opener
	name string
}

// resolved returns the path of an open file inside the root, against which relative names are resolved.
func (l *loader) resolved(name string) string {
	if l.root.root != nil {
		return "/" + strings.TrimPrefix(strings.TrimPrefix(name, l.root.root.Name()), "/")
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	return name
}

// hasCRC reports whether the contents of a file have the given CRC32. It returns false for a file that is too large.
func hasCRC(f *os.File, crc uint32) bool {
	info, err := f.Stat()
	if err != nil || info.Size() > maxFile {
		return false
	}
	h := crc32.NewIEEE()
	_, err = io.CopyBuffer(h, io.NewSectionReader(f, 0, info.Size()), make([]byte, 256<<10))
	return err == nil && h.Sum32() == crc
}

// findDSYM looks for the debug file of a Mach-O image, as created by dsymutil: NAME.dSYM next to the image or next to the bundle that
// contains it.
func (l *loader) findDSYM() {
	name := baseName(l.m.Path)
	if name == "" || l.elf != nil {
		return
	}
	inside := path.Join("Contents/Resources/DWARF", name)
	for _, dir := range l.s.Dirs {
		l.try(openRegular, path.Join(dir, name+".dSYM", inside), false)
	}
	if !strings.HasPrefix(l.m.Path, "/") {
		return
	}
	for p, n := l.m.Path, 0; p != "/" && n < 5; p, n = path.Dir(p), n+1 {
		l.try(l.root.open, path.Join(p+".dSYM", inside), false)
	}
}

// findBreakpad looks for a symbol file in the layout of Breakpad's symbol servers, or in a flat folder.
func (l *loader) findBreakpad() {
	names := []string{baseName(l.m.DebugFile), baseName(l.m.Path)}
	for _, dir := range l.s.Dirs {
		for _, name := range names {
			if name == "" || l.complete() || l.hasBreakpad {
				continue
			}
			stem := strings.TrimSuffix(name, ".pdb")
			for _, id := range l.id.debug {
				l.try(openRegular, path.Join(dir, name, id, stem+".sym"), false)
			}
			l.try(openRegular, path.Join(dir, stem+".sym"), false)
		}
	}
}
