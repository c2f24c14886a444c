package process

import (
	"syscall"

	"minidump/internal/windows"
	"minidump/pe"
)

// ignoreCase is whether module names that differ only in case are the same.
const ignoreCase = true

// windowsProcess is a process of Windows.
type windowsProcess struct {
	p      windows.Process
	loader windows.Loader
	region windows.Region
}

func openSystem(pid int) (system, error) {
	w := new(windowsProcess)
	var err error
	if pid == syscall.Getpid() {
		const currentProcess = ^syscall.Handle(0) // what GetCurrentProcess returns
		err = w.p.Adopt(currentProcess, pid)
	} else {
		err = w.p.Open(pid)
	}
	if err != nil {
		return nil, windows.KindOf(err)
	}
	if w.ended() {
		w.p.Close()
		return nil, ErrNoProcess
	}
	return w, nil
}

// ended reports whether the process has ended. An open process remains after its end, without memory.
func (w *windowsProcess) ended() bool {
	_, ended := w.p.ExitCode()
	return ended
}

func (w *windowsProcess) close() error {
	w.p.Close()
	return nil
}

// read reads region by region, up to the first region that can't be read without a side effect.
func (w *windowsProcess) read(addr uint64, b []byte) (n int, err error) {
	for n < len(b) {
		at := addr + uint64(n)
		if at < addr {
			return n, ErrUnreadable
		}
		if errno := w.p.Region(at, &w.region); errno != 0 || !w.region.Readable() || w.region.End() <= at {
			return n, w.why(errno)
		}
		part := b[n:][:min(uint64(len(b)-n), w.region.End()-at)]
		got, errno := w.p.ReadMemory(at, part)
		if n += got; got < len(part) {
			return n, w.why(errno)
		}
	}
	return n, nil
}

// why returns the error of a failed read.
func (w *windowsProcess) why(errno syscall.Errno) error {
	switch {
	case w.ended():
		return ErrNoProcess
	case errno == syscall.ERROR_ACCESS_DENIED:
		return because(ErrPermission, errno)
	case errno != 0:
		return because(ErrUnreadable, errno)
	}
	return ErrUnreadable
}

// modules reads the loader's list, whose first entry is the program.
func (w *windowsProcess) modules(p *Process) ([]Module, error) {
	if w.ended() {
		return nil, ErrNoProcess
	}
	if !w.loader.Open(&w.p, w.p.PEB, w.p.Wide) {
		return nil, because(ErrUnreadable, "the loader has no list of modules yet")
	}
	var list []Module
	var entry windows.Module
	for {
		ok, _ := w.loader.Next(&entry)
		if !ok {
			return list, nil
		}
		path := make([]byte, entry.NameSize)
		path = path[:w.p.Read(entry.NameAddr, path)&^1]
		m := Module{Path: pe.Text(path).String(), Base: entry.Base, Size: uint64(entry.Size), p: p, format: peFormat}
		m.Name = lastPart(m.Path, `\/`)
		list = append(list, m)
	}
}

// open always fails: a PE image has everything in memory.
func (w *windowsProcess) open(*Module) (file, error) { return nil, ErrUnsupported }
