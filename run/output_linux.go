package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"minidump/internal/dumpfile"
	"minidump/internal/newfile"
)

// A destination is where the dumps of a run go.
type destination struct {
	dir  string // "" if file is set
	file string
	keep dumpfile.Keep
	used bool
}

func newDestination(output string, keep dumpfile.Keep) (*destination, error) {
	// The command may run for a long time: the path must keep its meaning if the working folder changes.
	path, err := filepath.Abs(output)
	if err != nil {
		return nil, fmt.Errorf("minidump: %w", err)
	}
	info, err := os.Stat(path)
	isDir := output == "" || strings.HasSuffix(output, "/")
	switch {
	case err == nil && info.IsDir():
		return &destination{dir: path, keep: keep}, nil
	case err == nil && isDir:
		return nil, fmt.Errorf("minidump: %s: %w", output, errNoFolder)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("minidump: %w", err)
	case isDir:
		return &destination{dir: path, keep: keep}, nil
	}
	return &destination{file: path}, nil
}

var errNoFolder = errors.New("not a folder")

// path returns the file for the next dump.
func (o *destination) path(name string, pid int32, now time.Time) (string, error) {
	if o.dir != "" {
		if err := newfile.MakeFolder(o.dir, 0o700); err != nil {
			return "", fmt.Errorf("minidump: %w", err)
		}
		return filepath.Join(o.dir, dumpfile.TimedName(name, int(pid), now)), nil
	}
	if !o.used {
		o.used = true
		return o.file, nil
	}
	ext := filepath.Ext(o.file)
	return fmt.Sprintf("%s.%d%s", strings.TrimSuffix(o.file, ext), pid, ext), nil
}

// makeRoom deletes old dumps if the next one needs their room.
func (o *destination) makeRoom() error {
	if o.dir == "" {
		return nil
	}
	return o.keep.Make(o.dir)
}

// prune deletes the oldest dumps of the folder.
func (o *destination) prune(newest string) error {
	if o.dir == "" {
		return nil
	}
	return o.keep.Prune(o.dir, filepath.Base(newest))
}
