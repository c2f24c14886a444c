package procfs

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// TestData finds the data of a sparse memfd, also beyond 4 GiB, and checks that reading it through the file of the mapping uses
// no memory.
func TestData(t *testing.T) {
	pid, areas := startMemory(t)
	if areas["memfd"] == 0 {
		t.Skip("no memfd")
	}
	d := open(t, pid)
	m := findMapping(t, d, "/memfd:sparse")
	fd, errno := d.OpenMapFile(m.Start, m.End)
	if errno == unix.EPERM {
		t.Skip("map_files needs a capability")
	} else if errno != 0 {
		t.Fatal(errno)
	}
	defer sys.Close(fd)
	data := new(Data)
	list := func(fd int, start, end int64) (list [][2]int64) {
		for {
			from, to, ok, errno := data.Next(fd, start, end)
			if errno != 0 {
				t.Fatal(errno)
			}
			if !ok {
				return list
			}
			list, start = append(list, [2]int64{from, to}), to
		}
	}
	page := int64(pageSize)
	both := [][2]int64{{5 * page, 6 * page}, {40 * page, 41 * page}}
	if got := list(fd, 0, 256<<20); !slices.Equal(got, both) {
		t.Errorf("%d, want %d", got, both)
	}
	if got := list(fd, 5*page+1, 40*page+3); !slices.Equal(got, [][2]int64{{5*page + 1, 6 * page}, {40 * page, 40*page + 3}}) {
		t.Errorf("part: %d", got)
	}
	var st unix.Stat_t
	unix.Fstat(fd, &st)
	before := st.Blocks
	buf := make([]byte, page)
	for _, at := range []int64{0, 5 * page, 40 * page, 100 * page} {
		if n, errno := sys.Pread(fd, buf, at); errno != 0 || n != len(buf) {
			t.Errorf("read at %d: %d, %v", at, n, errno)
		}
	}
	if unix.Fstat(fd, &st); st.Blocks != before {
		t.Errorf("%d blocks before the reads, %d after", before, st.Blocks)
	}

	large, err := unix.MemfdCreate("large", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(large)
	at := int64(1)<<40 + 3*page
	if n, err := unix.Pwrite(large, []byte("x"), at); n != 1 || err != nil {
		t.Skip("no file of 1 TiB: ", err)
	}
	if got := list(large, 0, 1<<41); !slices.Equal(got, [][2]int64{{at, at + 1}}) && !slices.Equal(got, [][2]int64{{at, at + page}}) {
		t.Errorf("large: %d", got)
	}
	if got := list(large, at+page, 1<<41); got != nil {
		t.Errorf("behind the end: %d", got)
	}
	for errno, want := range map[sys.Errno]bool{unix.EINVAL: true, unix.ENXIO: false, unix.EIO: false} {
		restore := sys.Install(func(uintptr, uintptr, uintptr, uintptr, uintptr, uintptr, uintptr) (uintptr, sys.Errno) {
			return ^uintptr(0), errno
		}, nil)
		from, to, ok, got := data.Next(large, 3, 9)
		restore()
		if ok != want || ok && (from != 3 || to != 9) || (got != 0) != (errno == unix.EIO) {
			t.Errorf("%v: %d to %d, %v, %v", errno, from, to, ok, got)
		}
	}
}
