package procfs

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

// TestEachCallFails lets every system call of every reader fail once: the reader returns that error and leaves no descriptor
// open.
func TestEachCallFails(t *testing.T) {
	v := start(t, "x")
	d := open(t, v.pid)
	scratch, out, buf, st := make([]byte, 512), make([]int32, 64), make([]byte, 1<<20), new(unix.Statx_t)
	exe := []byte(self(t))
	m := findMapping(t, d, self(t))
	pages := &Pages{Runs: make([]PageRun, 8), Scratch: make([]byte, 512)}
	flags := &SmapsReader{Want: VMDontDump, Out: make([]FlaggedRange, 8)}
	devices := make([]Device, 1)
	openFd := func(fd int, errno sys.Errno) sys.Errno {
		if errno == 0 {
			sys.Close(fd)
		} else if fd >= 0 {
			t.Errorf("descriptor %d with %v", fd, errno)
		}
		return errno
	}
	withOtherWays := []string{"OpenMapped", "ReadMounts", "Pages"} // which have alternatives
	tests := []struct {
		name string
		f    func() sys.Errno
	}{
		{"ReadFile", func() sys.Errno { _, _, errno := d.ReadFile("maps\x00", buf); return errno }},
		{"ReadPath", func() sys.Errno { _, _, errno := ReadPath("/proc/cpuinfo\x00", buf); return errno }},
		{"Tasks", func() sys.Errno { _, _, errno := d.Tasks(scratch, out); return errno }},
		{"TaskName", func() sys.Errno { _, errno := d.TaskName(v.tids[0], buf); return errno }},
		{"FDs", func() sys.Errno { _, _, errno := d.FDs(scratch, out); return errno }},
		{"FDLink", func() sys.Errno { _, errno := d.FDLink(0, buf); return errno }},
		{"FDStat", func() sys.Errno { return d.FDStat(0, st) }},
		{"OpenRoot", func() sys.Errno { return openFd(d.OpenRoot(exe, st)) }},
		{"OpenMapped", func() sys.Errno { return openFd(d.OpenMapped(&m, st)) }},
		{"ReadMounts", func() sys.Errno { _, _, errno := d.ReadMounts(buf); return errno }},
		{"ReadVMFlags", func() sys.Errno { return d.ReadVMFlags(buf, ^uint64(0), flags) }},
		{"Pages", func() sys.Errno {
			if errno := d.OpenPages(pages); errno != 0 {
				return errno
			}
			defer pages.Close()
			_, errno := pages.Next(m.Start, m.End, 0, &pages.Runs[0])
			return errno
		}},
		{"MemoryDevices", func() sys.Errno { _, errno := MemoryDevices(devices, st); return errno }},
	}
	for _, test := range tests {
		if errno := test.f(); errno != 0 {
			t.Fatalf("%s: %v", test.name, errno)
		}
		before := countFDs(t)
		for _, injected := range []sys.Errno{unix.ESRCH, unix.EACCES, unix.EMFILE} {
			// Call number k fails, for all k.
			for k := 0; ; k++ {
				calls, hit := 0, uintptr(0)
				gate := func(n, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
					if n == unix.SYS_CLOSE {
						return sysCall(n, a1, a2, a3, a4, a5, a6)
					}
					if calls++; calls-1 == k {
						hit = n
						return ^uintptr(0), injected
					}
					return sysCall(n, a1, a2, a3, a4, a5, a6)
				}
				restore := sys.Install(gate, gate)
				errno := test.f()
				restore()
				if calls <= k {
					break
				}
				if errno != injected && !slices.Contains(withOtherWays, test.name) {
					t.Errorf("%s: call %d (number %d) failed with %v: %v", test.name, k, hit, injected, errno)
				}
				if k > 10000 {
					t.Fatalf("%s: no end", test.name)
				}
			}
		}
		if after := countFDs(t); after != before {
			t.Errorf("%s: %d descriptors before, %d after", test.name, before, after)
		}
	}
}

// TestNoPermission reads a process of another user: its directory opens, private files return EACCES or EPERM.
func TestNoPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	d, err := Open(1)
	if err != nil {
		t.Skip(err)
	}
	defer d.Close()
	buf, out := make([]byte, 4096), make([]int32, 16)
	denied := func(what string, errno sys.Errno) {
		t.Helper()
		if errno != unix.EACCES && errno != unix.EPERM {
			t.Errorf("%s: %v", what, errno)
		}
	}
	_, _, errno := d.ReadFile("environ\x00", buf)
	denied("environ", errno)
	_, _, errno = d.FDs(make([]byte, 512), out)
	denied("fd", errno)
	_, errno = d.OpenRoot([]byte("/etc/passwd"), new(unix.Statx_t))
	denied("root", errno)
	n, _, errno := d.ReadFile("stat\x00", buf)
	var s Stat
	if ok := s.Parse(buf[:n]); errno != 0 || !ok || s.PID != 1 || s.StartStack != 0 || s.StartCode > 1 {
		t.Errorf("stat: %+v, %v, %v", s, ok, errno)
	}
}
