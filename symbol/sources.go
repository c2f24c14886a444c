package symbol

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Sources says where to look for the files of modules. The zero value means: the paths that processes have recorded, and
// /usr/lib/debug. A file is used only if its build id is that of the module.
type Sources struct {
	// Sysroot is prefixed to all paths of modules, and to /usr/lib/debug: "/proc/PID/root" for a process that is alive and may
	// be in a container, or a copy of another machine's files. Links are not followed out of it. "" is "/".
	Sysroot string

	// Files returns a better path of a module than Module.Path, such as /proc/PID/map_files/LO-HI of a process that is alive.
	// Sysroot is not prefixed to it. If the module has no id, the file is accepted without one, so it must be the very file
	// that is mapped. May be nil.
	Files func(m Module) (path string, ok bool)

	// Dirs are additional folders, not below Sysroot. They may contain files such as .build-id/ab/cdef.debug, plain files,
	// and files in the layout of a Breakpad symbol server, NAME/DEBUGID/NAME.sym.
	Dirs []string

	// Budget limits the total memory of the Tables of these Sources; nil: MaxLoad bytes each.
	Budget *Budget
}

func (s *Sources) budget() *Budget {
	if s.Budget != nil {
		return s.Budget
	}
	return NewBudget(MaxLoad)
}

// debugDir is where distributions install debug information.
const debugDir = "/usr/lib/debug"

// loader collects what Load finds.
type loader struct {
	s     *Sources
	m     Module
	id    identity
	root  sysroot
	t     *Table
	elf   *elfFile // the image
	debug *elfFile // the separate debug file
	other string   // path of a file of another build

	hasImage, hasDWARF, hasBreakpad bool
	found                           []ranked
}

// Load finds the files of a module and reads their headers. Lookup reads the names. The error is ErrNotFound or ErrOtherBuild
// (errors.Is), unless Sysroot can't be opened. Load can block for as long as a file system takes to answer.
func (s *Sources) Load(m Module) (t *Table, err error) {
	root, err := openSysroot(s.Sysroot)
	if err != nil {
		return nil, fmt.Errorf("symbol: open %s: %w", s.Sysroot, err)
	}
	defer root.close()
	l := &loader{s: s, m: m, id: identityOf(&m), root: root, t: &Table{size: m.Size, budget: s.budget()}}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("symbol: load %s: %v", clean(m.Path), r)
		}
		if err != nil {
			l.t.Close()
			t = nil
		}
	}()
	l.findImage()
	if !l.id.empty() || l.hasImage {
		l.findDebug()
		l.findBreakpad()
	}
	l.addELF()
	l.finish()
	if l.hasImage || l.hasDWARF || l.hasBreakpad || l.debug != nil {
		if l.other != "" && !l.hasImage {
			l.t.note(l.other + ": the file is from a different build")
		}
		return l.t, nil
	}
	name := clean(m.Path)
	switch {
	case l.other != "":
		return nil, fmt.Errorf("symbol: load %s: %s: %w", name, clean(l.other), ErrOtherBuild)
	case l.id.empty():
		return nil, fmt.Errorf("symbol: load %s: module has no id: %w", name, ErrNotFound)
	}
	return nil, fmt.Errorf("symbol: load %s: %w", name, ErrNotFound)
}

// findImage looks for the file that was loaded.
func (l *loader) findImage() {
	if l.s.Files != nil {
		if name, ok := l.s.Files(l.m); ok {
			l.try(openRegular, name, l.id.empty())
		}
	}
	if l.id.empty() {
		return
	}
	if p := l.m.Path; strings.HasPrefix(p, "/") || filepath.IsAbs(p) {
		l.try(l.root.open, p, false)
	}
	name := baseName(l.m.Path)
	for _, dir := range l.s.Dirs {
		if name != "" {
			l.try(openRegular, path.Join(dir, name), false)
		}
		if id := buildIDPath(l.id.raw); id != "" {
			l.try(openRegular, path.Join(dir, ".build-id", id), false)
		}
	}
}

// findDebug looks for a separate file with debug information.
func (l *loader) findDebug() {
	id := l.id.raw
	if len(id) == 0 && l.elf != nil && l.elf.noted {
		id = l.elf.id
	}
	if p := buildIDPath(id); p != "" {
		p = path.Join(".build-id", p+".debug")
		for _, dir := range l.s.Dirs {
			l.try(openRegular, path.Join(dir, p), false)
		}
		l.try(l.root.open, path.Join(debugDir, p), false)
		if l.root.root != nil {
			l.try(openRegular, path.Join(debugDir, p), false) // on this machine: the id decides
		}
	}
	l.findByLink()
	l.findDSYM()
	if name := baseName(l.m.DebugFile); name != "" && name != baseName(l.m.Path) {
		for _, dir := range l.s.Dirs {
			l.try(openRegular, path.Join(dir, name), false)
		}
	}
	if name := baseName(l.m.Path); name != "" {
		for _, dir := range l.s.Dirs {
			l.try(openRegular, path.Join(dir, name+".debug"), false)
		}
	}
}

// opener opens a file.
type opener func(path string) (*os.File, error)

// try accepts the file at a path if it belongs to the module and adds something. anyID accepts it whatever its id.
func (l *loader) try(open opener, name string, anyID bool) {
	if l.complete() {
		return
	}
	f, err := open(name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.t.note(err.Error())
		}
		return
	}
	taken, err := l.take(f, anyID)
	switch {
	case err == nil && taken:
		l.t.files = append(l.t.files, f)
		return
	case errors.Is(err, ErrOtherBuild):
		if l.other == "" {
			l.other = name
		}
	case err != nil:
		l.t.note(err.Error())
	}
	f.Close()
}

// complete reports whether no further file can add anything: the image and debug information were found.
func (l *loader) complete() bool { return l.hasImage && l.hasDWARF }

// buildIDPath returns the path below .build-id, or "" if the id is too short.
func buildIDPath(id []byte) string {
	if len(id) < 2 {
		return ""
	}
	return fmt.Sprintf("%02x/%x", id[0], id[1:])
}

// baseName returns the last part of a path of any system, or "" if that is not a file name.
func baseName(p string) string {
	p = p[strings.LastIndexAny(p, `/\`)+1:]
	if p == "." || p == ".." || len(p) > 255 || strings.IndexByte(p, 0) >= 0 {
		return ""
	}
	return p
}
