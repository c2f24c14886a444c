package process

import (
	"errors"

	"minidump/internal/darwin"
	"minidump/internal/snapshot"
)

// ignoreCase is whether case is ignored in names of modules.
const ignoreCase = false

// task is a Mach task.
type task struct{ darwin.Source }

func openSystem(pid int) (system, error) {
	t := new(task)
	if _, err := t.Init(pid); err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner // without the text of Init, which is about a dump
		}
		return nil, err
	}
	return t, nil
}

func (t *task) close() error { return t.Source.Close() }

func (t *task) read(addr uint64, b []byte) (int, error) {
	n := t.Memory().Read(addr, b)
	if n < len(b) && t.Ended() {
		return n, ErrNoProcess
	}
	return n, nil
}

func (t *task) modules(p *Process) ([]Module, error) {
	var s snapshot.Snapshot
	if err := s.Reserve(); err != nil {
		return nil, err
	}
	defer s.Release()
	if !t.ReadModules(&s) {
		if t.Ended() {
			return nil, ErrNoProcess
		}
		return nil, because(ErrUnreadable, "dyld's list of images is missing or being changed")
	}
	list := make([]Module, s.Modules.N)
	for i := range list {
		from := s.Modules.At(i)
		path := s.Bytes.Get(from.Path)
		if len(path) == 0 {
			path = s.Bytes.Get(from.Name) // the path in the image itself
		}
		list[i] = Module{Path: string(path), Base: from.Base, Size: from.End - from.Base, p: p, format: machoFormat}
		list[i].Name = lastPart(list[i].Path, "/")
	}
	return list, nil
}

// open always fails: a Mach-O image has its headers in memory.
func (t *task) open(*Module) (file, error) { return nil, ErrUnsupported }
