package symbol

import (
	"os"
	"strings"

	"minidump/symbol/internal/breakpad"
)

// breakpadFile is a symbol file of Breakpad, indexed at the first lookup.
type breakpadFile struct {
	f    *os.File
	file *breakpad.File
	done bool
}

// open indexes the file once. It returns nil if that fails.
func (b *breakpadFile) open() *breakpad.File {
	if !b.done {
		b.done = true
		if info, err := b.f.Stat(); err == nil && info.Size() <= maxFile {
			b.file, _ = breakpad.Open(b.f, info.Size())
		}
	}
	return b.file
}

// breakpadNamer finds names in the FUNC records of a symbol file, or else in the PUBLIC records.
type breakpadNamer struct {
	*breakpadFile
	public bool
}

func (n breakpadNamer) lookup(rva uint64) []Frame {
	file := n.open()
	if file == nil {
		return nil
	}
	if n.public {
		p, ok := file.Public(rva)
		if !ok {
			return nil
		}
		return []Frame{{Function: readable(p.Name), Offset: rva - p.Start}}
	}
	var frames []Frame
	for _, f := range file.Lookup(rva) {
		frames = append(frames, Frame{Function: readable(f.Name), Offset: rva - f.Start, File: f.File, Line: f.Line, Inlined: f.Inlined})
	}
	return frames
}

// takeBreakpad accepts a symbol file whose MODULE record has the id of the module.
func (l *loader) takeBreakpad(f *os.File) (bool, error) {
	m, err := breakpad.ReadModule(f)
	if err != nil {
		return false, err
	}
	if id := strings.ToUpper(m.ID); !isDebugID(id) || !l.id.is(identity{debug: []string{id}}) {
		return false, ErrOtherBuild
	}
	if l.hasBreakpad {
		return false, nil
	}
	l.hasBreakpad = true
	b := &breakpadFile{f: f}
	l.add(rankLines, breakpadNamer{b, false})
	l.add(rankPublic, breakpadNamer{b, true})
	return true, nil
}
