//go:build linux || windows || (darwin && !ios)

package crash

import (
	"os"
	"path/filepath"
	"time"

	"minidump/internal/dumpfile"
	"minidump/internal/newfile"
)

// folder creates the folder of dumps, and returns its absolute path.
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

// newName returns the path of a new dump of the program. The monitor has the program's name.
func newName(dir string, pid int) string {
	for {
		path := filepath.Join(dir, dumpfile.TimedName(filepath.Base(os.Args[0]), pid, time.Now()))
		if _, err := os.Lstat(path); err != nil { // the path is free, or writing the dump will report the error
			return path
		}
		time.Sleep(time.Millisecond) // the unit of the time in the name
	}
}

// prune removes the oldest dumps in the folder of path until keep remain; 0 keeps all.
func prune(path string, keep int) error {
	return dumpfile.Keep{Count: keep, Timed: true}.Prune(filepath.Split(path))
}
