package procfs

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

const runtimeArch = runtime.GOARCH

// findMapping returns the first mapping of a process whose name begins with prefix.
func findMapping(t *testing.T, d *Dir, prefix string) Mapping {
	t.Helper()
	buf := make([]byte, 1<<20)
	n, _, errno := d.ReadFile("maps\x00", buf)
	if errno != 0 {
		t.Fatal(errno)
	}
	r := MapsReader{Rest: buf[:n]}
	var m Mapping
	for r.Next(&m) {
		if strings.HasPrefix(string(m.Name), prefix) {
			return m
		}
	}
	t.Fatalf("no mapping %q in\n%s", prefix, buf[:n])
	return m
}

// TestDeletedBinary runs a program whose file was deleted: the name says so, and map_files still returns its bytes.
func TestDeletedBinary(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "victim")
	copySelf(t, exe)
	v := startAs(t, exe, "", "", "x")
	if err := os.Remove(exe); err != nil {
		t.Fatal(err)
	}
	d := open(t, v.pid)
	m := findMapping(t, d, exe)
	if !m.Deleted() || string(m.TrimDeleted()) != exe {
		t.Errorf("name %q", m.Name)
	}
	st := new(unix.Statx_t)
	if _, errno := d.OpenRoot(m.TrimDeleted(), st); errno != unix.ENOENT {
		t.Errorf("OpenRoot: %v", errno)
	}
	fd, errno := d.OpenMapFile(m.Start, m.End)
	if errno == unix.EPERM || errno == unix.ENOENT && !exists("/proc/self/map_files") {
		t.Skip("map_files:", errno)
	}
	if errno != 0 {
		t.Fatal(errno)
	}
	got := readAll(t, fd)
	want, err := os.ReadFile(self(t))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
	if _, errno := d.OpenMapFile(m.Start, m.End+1); errno != unix.ENOENT {
		t.Errorf("a range that is none: %v", errno)
	}
	// A file created at the path since then is another one.
	if err := os.WriteFile(exe, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	fd, errno = d.OpenRoot(m.TrimDeleted(), st)
	if errno != 0 {
		t.Fatal(errno)
	}
	sys.Close(fd)
	if m.SameFile(st) {
		t.Error("a replaced file passes for the mapped one")
	}
	if fd, errno = d.OpenMapped(&m, st); errno != 0 {
		t.Fatal(errno)
	}
	if got := readAll(t, fd); !bytes.Equal(got, want) {
		t.Errorf("OpenMapped: %d bytes, want %d", len(got), len(want))
	}
	// Without the capability for map_files the file can't be opened.
	defer sys.Install(withoutMapFiles, nil)()
	if _, errno = d.OpenMapped(&m, st); errno != unix.ESTALE {
		t.Errorf("OpenMapped by its path: %v", errno)
	}
}

// withoutMapFiles is a gate that forbids map_files, as the kernel does for a reader without the capability.
func withoutMapFiles(n, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
	if n == unix.SYS_OPENAT {
		path := unix.BytePtrToString(*(**byte)(unsafe.Pointer(&a2)))
		if strings.HasPrefix(path, "map_files/") {
			return ^uintptr(0), unix.EPERM
		}
	}
	return sysCall(n, a1, a2, a3, a4, a5, a6)
}

// TestOpenMapped finds the mapped file by its path in every kind of root directory.
func TestOpenMapped(t *testing.T) {
	root := t.TempDir()
	copySelf(t, filepath.Join(root, "inside", "victim"))
	tests := []struct {
		name              string
		exe, chroot, root string
		prefix            string
	}{
		{"same root", filepath.Join(root, "inside", "victim"), "", "", root},
		{"chroot", "/inside/victim", root, "", root}, // maps shows the path from this reader's point of view
		{"container", self(t), "", root, "/inside/victim"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if os.Getuid() != 0 && test.chroot+test.root != "" {
				t.Skip("needs root")
			}
			v := startAs(t, test.exe, test.chroot, test.root, "x")
			d := open(t, v.pid)
			m := findMapping(t, d, test.prefix)
			want, err := os.ReadFile(filepath.Join(root, "inside", "victim"))
			if err != nil {
				t.Fatal(err)
			}
			st := new(unix.Statx_t)
			before := countFDs(t)
			for _, gate := range []sys.Gate{nil, withoutMapFiles} {
				restore := sys.Install(gate, nil)
				fd, errno := d.OpenMapped(&m, st)
				restore()
				if errno != 0 {
					t.Errorf("map_files allowed %v: %v", gate == nil, errno)
					continue
				}
				if got := readAll(t, fd); !bytes.Equal(got, want) || st.Size != uint64(len(want)) {
					t.Errorf("map_files allowed %v: %d bytes, want %d", gate == nil, len(got), len(want))
				}
			}
			if after := countFDs(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
			for _, name := range []string{"", "[heap]", "anon_inode:[x]"} {
				none := Mapping{Start: 0x1000, End: 0x2000, Name: []byte(name)}
				if _, errno := d.OpenMapped(&none, st); errno != unix.EINVAL {
					t.Errorf("%q: %v", name, errno)
				}
			}
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestOpenRoot looks up paths of a program in another root directory, with openat2 and without.
func TestOpenRoot(t *testing.T) {
	root := t.TempDir()
	copySelf(t, filepath.Join(root, "inside", "victim"))
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("etc/passwd", "inner")
	write("only-inside", "here")
	for link, target := range map[string]string{
		"absolute": "/etc/passwd", "up": "../../../../../../etc/passwd", "dir": "/etc", "loop": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		t.Skip("a mount namespace needs root")
	}
	v := startAs(t, self(t), "", root, "x")
	d := open(t, v.pid)
	before := countFDs(t)

	const inner = "inner"
	tests := []struct {
		path         string
		want         string
		errno        sys.Errno // with openat2
		withoutErrno sys.Errno // without it
	}{
		{"/etc/passwd", inner, 0, 0},
		{"//etc///passwd", inner, 0, 0},
		{"/only-inside", "here", 0, 0},
		{"/absolute", inner, 0, unix.ELOOP},
		{"/up", inner, 0, unix.ELOOP},
		{"/dir/passwd", inner, 0, unix.ENOTDIR},
		{"/../etc/passwd", inner, 0, unix.ELOOP},
		{"/loop", "", unix.ELOOP, unix.ELOOP},
		{"/fifo", "", unix.EINVAL, unix.EINVAL},
		{"/etc", "", unix.EINVAL, unix.EINVAL},
		{"/", "", unix.EINVAL, unix.EINVAL},
		{"/nothing", "", unix.ENOENT, unix.ENOENT},
		{"/etc/passwd/x", "", unix.ENOTDIR, unix.ENOTDIR},
		{self(t), "", unix.ENOENT, unix.ENOENT}, // exists outside only
		{"etc/passwd", "", unix.EINVAL, unix.EINVAL},
		{"", "", unix.EINVAL, unix.EINVAL},
		{"/etc/passwd\x00", "", unix.EINVAL, unix.EINVAL},
		{"/" + strings.Repeat("x", pathSize), "", unix.ENAMETOOLONG, unix.ENAMETOOLONG},
	}
	openat2 := func() bool {
		how := &unix.OpenHow{Flags: unix.O_PATH}
		fd, errno := sys.Openat2(sys.AT_FDCWD, []byte("/\x00"), how)
		if errno == 0 {
			sys.Close(fd)
		}
		return errno == 0
	}()
	st := new(unix.Statx_t)
	for _, without := range []bool{false, true} {
		restore := func() {}
		if without {
			restore = sys.Install(fail(unix.SYS_OPENAT2, unix.ENOSYS, nil), nil)
		} else if !openat2 {
			continue
		}
		for _, test := range tests {
			want := test.errno
			if without {
				want = test.withoutErrno
			}
			fd, errno := d.OpenRoot([]byte(test.path), st)
			if errno != want {
				t.Errorf("without %v: %.60q: %v, want %v", without, test.path, errno, want)
			}
			if errno != 0 {
				continue
			}
			if got := string(readAll(t, fd)); got != test.want || st.Size != uint64(len(got)) {
				t.Errorf("without %v: %q: %q, want %q", without, test.path, got, test.want)
			}
		}
		m := findMapping(t, d, "/inside/victim")
		fd, errno := d.OpenRoot(m.Name, st)
		if errno != 0 {
			t.Fatalf("without %v: %q: %v", without, m.Name, errno)
		}
		sys.Close(fd)
		if !m.SameFile(st) {
			t.Errorf("%+v is not the file %d:%d %d", m, st.Dev_major, st.Dev_minor, st.Ino)
		}
		restore()
	}
	if after := countFDs(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestQueryMapping checks that the kernel's ioctl and its text agree.
func TestQueryMapping(t *testing.T) {
	v := start(t, "x")
	d := open(t, v.pid)
	if err := syscall.Kill(v.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	fd, errno := d.OpenFile("maps\x00", unix.O_RDONLY)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer sys.Close(fd)
	q := &Query{NameBuf: make([]byte, pathSize), BuildIDBuf: make([]byte, 20)}
	if unsafe.Sizeof(q.ProcmapQuery) != 104 {
		t.Fatalf("struct procmap_query has 104 bytes, not %d", unsafe.Sizeof(q.ProcmapQuery))
	}
	if !d.CanQuery(fd, q) {
		t.Skip("the kernel has no PROCMAP_QUERY")
	}
	buf := make([]byte, 1<<20)
	n, _, errno := d.ReadFile("maps\x00", buf)
	if errno != 0 {
		t.Fatal(errno)
	}
	r := MapsReader{Rest: buf[:n]}
	var m Mapping
	next, lines := uint64(0), 0
	for r.Next(&m) {
		if m.IsVsyscall() {
			continue // not a mapping of the process
		}
		lines++
		if errno := d.QueryMapping(fd, m.End-1, 0, q); errno != 0 {
			t.Errorf("%x: %v", m.Start, errno)
			continue
		}
		if got := q.Mapping(); !sameMapping(got, m) {
			t.Errorf("covering %x:\n got %+v %q\nwant %+v %q", m.End-1, got, got.Name, m, m.Name)
		}
		if errno := d.QueryMapping(fd, next, PROCMAP_QUERY_COVERING_OR_NEXT_VMA, q); errno != 0 {
			t.Errorf("at or after %x: %v", next, errno)
		} else if got := q.Mapping(); !sameMapping(got, m) {
			t.Errorf("at or after %x: %+v, want %+v", next, got, m)
		}
		next = m.End
	}
	if lines < 5 {
		t.Errorf("%d lines", lines)
	}
	if errno := d.QueryMapping(fd, 0, 0, q); errno != unix.ENOENT {
		t.Errorf("at 0: %v", errno)
	}
	// Without buffers, and with one that is too small.
	code := findMapping(t, d, self(t))
	if errno := d.QueryMapping(fd, code.Start, 0, &Query{}); errno != 0 {
		t.Errorf("without buffers: %v", errno)
	}
	if errno := d.QueryMapping(fd, code.Start, 0, &Query{NameBuf: make([]byte, 2)}); errno != unix.ENAMETOOLONG {
		t.Errorf("with a small buffer: %v", errno)
	}
}

// TestNewlineInName maps files with newlines, blanks and other bytes in their names: escaped in the text, plain from the ioctl,
// and openable.
func TestNewlineInName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a\nb \\ \xff (deleted)")
	if err := os.WriteFile(path, make([]byte, os.Getpagesize()), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	d := open(t, os.Getpid())
	m := findMapping(t, d, filepath.Dir(path)+"/a")
	if m.Start != uint64(uintptr(unsafe.Pointer(&mem[0]))) || !strings.Contains(string(m.Name), `a\012b`) {
		t.Errorf("%x %q", m.Start, m.Name)
	}
	name := make([]byte, pathSize)
	name = name[:UnescapeName(name, m.Name)]
	if string(name) != path {
		t.Errorf("%q, want %q", name, path)
	}
	st := new(unix.Statx_t)
	file, errno := d.OpenRoot(name, st)
	if errno != 0 {
		t.Fatal(errno)
	}
	sys.Close(file)
	if !m.SameFile(st) {
		t.Error("another file")
	}
	fd, errno := d.OpenFile("maps\x00", unix.O_RDONLY)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer sys.Close(fd)
	q := &Query{NameBuf: make([]byte, pathSize)}
	if d.QueryMapping(fd, m.Start, 0, q) == 0 {
		if got := q.Mapping(); string(got.Name) != path {
			t.Errorf("PROCMAP_QUERY: %q, want %q", got.Name, path)
		}
	}
}

// TestLiveKinds checks how this kernel names kinds of memory.
func TestLiveKinds(t *testing.T) {
	page := os.Getpagesize()
	memfd, err := unix.MemfdCreate("a name", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(memfd)
	if err := unix.Ftruncate(memfd, int64(page)); err != nil {
		t.Fatal(err)
	}
	fileMem, err := unix.Mmap(memfd, 0, page, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(fileMem)
	shared, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(shared)
	named, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(named)
	anonName := []byte("my memory\x00")
	anonErr := unix.Prctl(unix.PR_SET_VMA, unix.PR_SET_VMA_ANON_NAME, uintptr(unsafe.Pointer(&named[0])), uintptr(page),
		uintptr(unsafe.Pointer(&anonName[0])))

	d := open(t, os.Getpid())
	buf := make([]byte, 1<<20)
	n, _, errno := d.ReadFile("maps\x00", buf)
	if errno != 0 {
		t.Fatal(errno)
	}
	r := MapsReader{Rest: buf[:n]}
	var m Mapping
	seen := map[string]bool{}
	for r.Next(&m) {
		switch m.Start {
		case uint64(uintptr(unsafe.Pointer(&fileMem[0]))):
			seen["memfd"] = m.IsMemfd() && m.Deleted() && m.Perm == PermRead|PermShared && string(m.TrimDeleted()) == "/memfd:a name"
		case uint64(uintptr(unsafe.Pointer(&shared[0]))):
			seen["zero"] = m.IsDevZero()
		case uint64(uintptr(unsafe.Pointer(&named[0]))):
			seen["anon"] = string(m.AnonName()) == "my memory"
		}
		seen["stack"] = seen["stack"] || m.IsStack()
		seen["vdso"] = seen["vdso"] || m.IsVDSO()
	}
	for _, kind := range []string{"memfd", "zero", "stack", "vdso"} {
		if !seen[kind] {
			t.Errorf("%s not found in\n%s", kind, buf[:n])
		}
	}
	if anonErr == nil && !seen["anon"] {
		t.Errorf("named memory not found in\n%s", buf[:n])
	}
}
