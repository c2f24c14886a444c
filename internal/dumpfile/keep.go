package dumpfile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Keep bounds what the dumps of a folder take.
type Keep struct {
	Count int    // most dumps; 0: no limit
	Free  uint64 // least bytes of the file system that dumps leave free; 0: no limit
	Timed bool   // count the dumps with names of TimedName; else those of Name, and the NAME-PID.dmp of core_pattern
}

// ErrFull is the error when there is less room than Keep.Free although all older dumps were deleted.
var ErrFull = errors.New("too little room for a dump")

// entry is a dump in a folder.
type entry struct {
	name string
	time time.Time // from the name, or else of the last change
}

// Make makes room for a new dump in dir: it deletes the oldest dumps until Keep.Free is free. The error is ErrFull if
// that does not do.
func (k Keep) Make(dir string) error {
	if k.Free == 0 {
		return nil
	}
	return k.apply(dir, "", 0)
}

// Prune deletes the oldest dumps of dir, but not the one named newest: the clock may have been set back. It counts and
// deletes only regular files of the owner of this process whose names have exactly the form that Keep.Timed says: in a
// folder that others can write to, they decide neither which dumps go nor which stay.
func (k Keep) Prune(dir, newest string) error {
	if k.Count <= 0 && k.Free == 0 {
		return nil
	}
	if err := k.apply(dir, newest, k.Count); !errors.Is(err, ErrFull) {
		return err
	}
	return nil // the newest one stays, whatever its size
}

func (k Keep) apply(dir, newest string, count int) error {
	d, err := openDirectory(dir)
	if err != nil {
		return fmt.Errorf("minidump: %w", err)
	}
	defer d.close()
	dumps, err := d.dumps(k.Timed)
	if err != nil {
		return fmt.Errorf("minidump: %w", err)
	}
	slices.SortFunc(dumps, func(a, b entry) int {
		return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.name, b.name))
	})
	dumps = slices.DeleteFunc(dumps, func(e entry) bool { return e.name == newest })
	left := len(dumps)
	if newest != "" {
		left++
	}
	for _, e := range dumps {
		if count <= 0 || left <= count {
			if k.Free == 0 {
				return err
			}
			if free, e := d.free(); e != nil || free >= k.Free {
				return errors.Join(err, e)
			}
		}
		if e := d.remove(e.name); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = fmt.Errorf("minidump: %w", e)
		}
		left--
	}
	if k.Free == 0 || err != nil {
		return err
	}
	free, err := d.free()
	if err == nil && free < k.Free {
		err = fmt.Errorf("minidump: %s has %d bytes free, and %d are to stay free: %w", dir, free, k.Free, ErrFull)
	}
	return err
}
