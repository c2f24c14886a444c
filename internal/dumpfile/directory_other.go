//go:build !linux

package dumpfile

import (
	"errors"
	"os"
	"path/filepath"
)

// directory is a folder, identified by its name.
type directory struct{ name string }

func openDirectory(dir string) (*directory, error) {
	_, err := os.Stat(dir)
	return &directory{dir}, err
}

func (d *directory) close() {}

func (d *directory) dumps(timed bool) ([]entry, error) {
	entries, err := os.ReadDir(d.name)
	var list []entry
	for _, e := range entries {
		when, ok := parse(e.Name())
		if !ok || when.IsZero() == timed || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // deleted in the meantime
		}
		if when.IsZero() {
			when = info.ModTime()
		}
		list = append(list, entry{info.Name(), when})
	}
	return list, err
}

func (d *directory) remove(name string) error { return os.Remove(filepath.Join(d.name, name)) }

func (d *directory) free() (uint64, error) { return 0, errors.ErrUnsupported }
