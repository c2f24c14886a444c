package run

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A destination is where the dumps of a run go.
type destination struct {
	dir  string // "" if file is set
	file string
	keep int
	used bool
}

func newDestination(output string, keep int) (*destination, error) {
	// The command may run for long: what the path means must not change with the working folder.
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

// path gives the file for the next dump.
func (o *destination) path(name string, pid int32, now time.Time) (string, error) {
	if o.dir != "" {
		if err := os.MkdirAll(o.dir, 0o700); err != nil {
			return "", fmt.Errorf("minidump: %w", err)
		}
		return filepath.Join(o.dir, fmt.Sprintf("%s.%d.%s.dmp", fileName(name), pid, now.UTC().Format(timeForm))), nil
	}
	if !o.used {
		o.used = true
		return o.file, nil
	}
	ext := filepath.Ext(o.file)
	return fmt.Sprintf("%s.%d%s", strings.TrimSuffix(o.file, ext), pid, ext), nil
}

// timeForm is the form of the time in the names that path makes, in UTC.
const timeForm = "20060102T150405.000Z"

// timeOfDump gives the time in a name that path made.
func timeOfDump(name string) (stamp string, ok bool) {
	rest, ok := strings.CutSuffix(name, ".dmp")
	i := len(rest) - len(timeForm)
	if !ok || i < 1 || rest[i-1] != '.' {
		return "", false
	}
	stamp = rest[i:]
	dot := strings.LastIndexByte(rest[:i-1], '.') // between the program's name, which may have dots, and the PID
	if dot < 1 {
		return "", false
	}
	if _, err := strconv.ParseUint(rest[dot+1:i-1], 10, 31); err != nil {
		return "", false
	}
	t, err := time.Parse(timeForm, stamp)
	return stamp, err == nil && t.Format(timeForm) == stamp // a comma would be parsed too
}

// prune deletes the oldest dumps of the folder, by the time in their names, but not the newest: the clock may have been
// set back.
func (o *destination) prune(newest string) error {
	if o.dir == "" || o.keep <= 0 {
		return nil
	}
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return fmt.Errorf("minidump: %w", err)
	}
	type dump struct{ name, time string }
	var dumps []dump
	for _, e := range entries {
		if stamp, ok := timeOfDump(e.Name()); ok && e.Type().IsRegular() && e.Name() != filepath.Base(newest) {
			dumps = append(dumps, dump{e.Name(), stamp})
		}
	}
	slices.SortFunc(dumps, func(a, b dump) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.name, b.name))
	})
	for i := 0; i < len(dumps)+1-o.keep; i++ {
		if e := os.Remove(filepath.Join(o.dir, dumps[i].name)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = fmt.Errorf("minidump: %w", e)
		}
	}
	return err
}

// fileName makes of a process's name a part of a file name that hides nothing and troubles no shell.
func fileName(name string) string {
	name = strings.Map(func(c rune) rune {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("._+-", c) || c == unicode.ReplacementChar {
			return '_'
		}
		return c
	}, name)
	if name == "" || name[0] == '.' || name[0] == '-' {
		name = "_" + name
	}
	return name
}
