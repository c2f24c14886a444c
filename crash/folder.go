//go:build linux || windows || (darwin && !ios)

package crash

import (
	"os"
	"path/filepath"
	"time"

	"minidump/internal/dumpfile"
	"minidump/internal/newfile"
)

// folder returns the absolute path of the folder of dumps, which it makes.
func folder(dir string) (string, error) {
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(cache, "minidumps")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, newfile.MakeFolder(dir, 0o700)
}

// newName returns the path of a new dump of the program, whose monitor has the same name.
func newName(dir string, pid int) string {
	for {
		path := filepath.Join(dir, dumpfile.TimedName(filepath.Base(os.Args[0]), pid, time.Now()))
		if _, err := os.Lstat(path); err != nil { // it is not there, or the dump will say why not
			return path
		}
		time.Sleep(time.Millisecond) // what the name counts
	}
}

// prune removes the oldest dumps beside path except keep; 0 keeps all.
func prune(path string, keep int) error {
	return dumpfile.Keep{Count: keep, Timed: true}.Prune(filepath.Split(path))
}
