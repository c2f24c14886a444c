package process

import (
	"encoding/binary"
	"strings"

	"minidump/internal/errtext"
	"minidump/procfs"
)

// Module is the program, a library or another image that a process has loaded.
type Module struct {
	// Path is the path of the file as the system reports it: on Linux of the mapped file, which for a library inside an APK is
	// the APK, or "[vdso]" for the vDSO; on Windows the loader's, on macOS dyld's.
	Path string
	// Name is the last part of Path; for a library inside an APK its own name, for the vDSO "linux-gate.so".
	Name string
	Base uint64 // address of the first byte of the image, which is its header
	// Size is how many bytes from Base on belong to the image. On macOS they are only the segment __TEXT: other segments may be
	// far away.
	Size uint64

	p      *Process
	format format

	// ELF only.
	id      []byte         // build id, or its replacement
	soname  string         // from the module list
	first   procfs.Mapping // its first mapping
	archive bool           // it is mapped from an archive
	page    uint64         // size of a page in bytes
	order   binary.ByteOrder
}

// format is the kind of an image.
type format uint8

const (
	noFormat format = iota // not an image: code of a file that is mapped a second time, for example
	elfFormat
	peFormat
	machoFormat
)

// Modules returns the modules of the process. The program is the first.
func (p *Process) Modules() ([]Module, error) {
	if p.sys == nil {
		return nil, errtext.Wrap(ErrClosed, "process: list the modules of pid ", p.pid)
	}
	list, err := p.sys.modules(p)
	if err != nil {
		return nil, errtext.Wrap(err, "process: list the modules of pid ", p.pid)
	}
	return list, nil
}

// FindModule returns the module with that path; if there is none, the first with that Name; and on Linux, if there is none, the first
// with that SONAME. On Windows case is ignored. The error is ErrNoModule if there is no such module.
func (p *Process) FindModule(name string) (*Module, error) {
	list, err := p.Modules()
	if err != nil {
		return nil, err
	}
	if m := find(list, name); m != nil {
		return m, nil
	}
	return nil, errtext.Wrap(ErrNoModule, "process: find ", name, " in pid ", p.pid)
}

// find returns the module that name stands for, or nil if there is none.
func find(list []Module, name string) *Module {
	if name == "" {
		return nil
	}
	same := func(a string) bool { return a == name }
	if ignoreCase {
		same = func(a string) bool { return strings.EqualFold(a, name) }
	}
	for _, of := range []func(*Module) string{
		func(m *Module) string { return m.Path },
		func(m *Module) string { return m.Name },
		func(m *Module) string { return m.soname },
	} {
		for i := range list {
			if same(of(&list[i])) {
				return &list[i]
			}
		}
	}
	return nil
}

// lastPart returns the part of a path after its last separator.
func lastPart(path, separators string) string {
	return path[strings.LastIndexAny(path, separators)+1:]
}
