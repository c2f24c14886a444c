//go:build linux || windows || darwin

package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"minidump"
	"minidump/internal/dumpfile"
)

// reserve returns the path of a dump, with a name that no other dump has. The caller calls done after it has written
// the file or failed to.
func (s *Server) reserve(p Peer, process string) (path string, done func(), err error) {
	name := dumpfile.TimedName(process, p.PID, time.Now())
	if s.opts.FileName != nil {
		name = s.opts.FileName(p, process)
	}
	if name == "" || strings.ContainsAny(name, "/\x00") || name[0] == '.' {
		return "", nil, fmt.Errorf("%q is not a valid name for a dump", name)
	}
	base := strings.TrimSuffix(name, dumpfile.Ext)
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 10000
	for n := 1; n < most; n++ {
		path = filepath.Join(s.opts.Dir, name)
		if _, err := os.Lstat(path); !s.names[path] && errors.Is(err, fs.ErrNotExist) {
			s.names[path] = true
			return path, func() { s.remove(func() { delete(s.names, path) }) }, nil
		}
		name = base + "." + strconv.Itoa(n+1) + dumpfile.Ext
	}
	return "", nil, fmt.Errorf("%w: %d dumps named %s", ErrFull, most, base)
}

// keep returns the limits of the folder according to Options.
func (s *Server) keep() dumpfile.Keep {
	return dumpfile.Keep{Count: s.opts.Keep, Free: s.opts.KeepFree, Timed: true}
}

// room deletes old dumps to make room for another one.
func (s *Server) room() error {
	err := s.keep().Make(s.opts.Dir)
	if errors.Is(err, dumpfile.ErrFull) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// write writes the dump of w to the folder.
func (s *Server) write(w *minidump.Writer, d *Dump) (string, minidump.Result, error) {
	if err := s.room(); err != nil {
		return "", minidump.Result{}, err
	}
	_, d.Name = w.Process()
	path, done, err := s.reserve(d.Peer, d.Name)
	if err != nil {
		return "", minidump.Result{}, err
	}
	defer done()
	r, err := w.DumpFile(path)
	if err == nil {
		if err := s.keep().Prune(s.opts.Dir, filepath.Base(path)); err != nil {
			s.report(d.Peer, err)
		}
	}
	return path, r, err
}
