package dumpfile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Keep limits the number and the size of the dumps in a folder.
type Keep struct {
	Count int    // maximum number of dumps; 0: no limit
	Free  uint64 // bytes of the file system that dumps must leave free; 0: no limit
	Timed bool   // count dumps with names from TimedName; otherwise those from Name, and the NAME-PID.dmp of core_pattern
}

// ErrFull is the error if less space than Keep.Free is left although all older dumps were deleted.
var ErrFull = errors.New("not enough free space for a dump")

// entry is a dump in a folder.
type entry struct {
	name string
	time time.Time // from the name, or else of the last modification
}

// Make makes room for a new dump in dir: it deletes the oldest dumps until Keep.Free is free. It returns ErrFull if that is not enough.
func (k Keep) Make(dir string) error {
	if k.Free == 0 {
		return nil
	}
	return k.apply(dir, "", 0)
}

// Prune deletes the oldest dumps of dir, except the one named newest: the clock may have been set back. It counts and
// deletes only regular files that this process's user owns and whose names have exactly the form selected by
// Keep.Timed: in a folder that others can write to, they must not influence which dumps are deleted.
func (k Keep) Prune(dir, newest string) error {
	if k.Count <= 0 && k.Free == 0 {
		return nil
	}
	if err := k.apply(dir, newest, k.Count); !errors.Is(err, ErrFull) {
		return err
	}
	return nil // the newest one is kept, whatever its size
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
		err = fmt.Errorf("minidump: %s has %d bytes free, but %d must stay free: %w", dir, free, k.Free, ErrFull)
	}
	return err
}
