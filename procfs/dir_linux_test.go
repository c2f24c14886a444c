package procfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
)

func TestOpenErrors(t *testing.T) {
	for _, pid := range []int{-1, 0, 1 << 22, 1<<31 - 1} {
		d, err := Open(pid)
		if d != nil || !errors.Is(err, ErrNoProcess) || !errors.Is(err, syscall.ESRCH) {
			t.Errorf("Open(%d) = %v, %v", pid, d, err)
			continue
		}
		if want := "open /proc/" + strconv.Itoa(pid) + ": no such process"; err.Error() != want {
			t.Errorf("Open(%d): %q, want %q", pid, err, want)
		}
	}
}

func TestOpenWithoutProc(t *testing.T) {
	defer sys.Install(fail(unix.SYS_OPENAT, unix.ENOENT, nil), nil)()
	_, err := Open(os.Getpid())
	if errors.Is(err, ErrNoProcess) || !errors.Is(err, syscall.ENOENT) || !strings.Contains(err.Error(), "not mounted") {
		t.Errorf("%v", err)
	}
}

// sysCall makes the real system call.
func sysCall(n, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
	r, _, e := syscall.RawSyscall6(n, a1, a2, a3, a4, a5, a6)
	return r, e
}

// fail returns a gate that counts all system calls, and returns errno for one of them.
func fail(nr uintptr, errno sys.Errno, count *int) sys.Gate {
	return func(n, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
		if count != nil {
			*count++
		}
		if n == nr && errno != 0 {
			return ^uintptr(0), errno
		}
		return sysCall(n, a1, a2, a3, a4, a5, a6)
	}
}

func TestReadFile(t *testing.T) {
	d := open(t, os.Getpid())
	buf := make([]byte, 1<<20)
	n, more, errno := d.ReadFile("cmdline\x00", buf)
	want, err := os.ReadFile("/proc/self/cmdline")
	if errno != 0 || more || err != nil || !bytes.Equal(buf[:n], want) {
		t.Errorf("cmdline: %q, %v, %v; want %q", buf[:n], more, errno, want)
	}
	small := make([]byte, 3)
	n, more, errno = d.ReadFile("cmdline\x00", small)
	if n != 3 || !more || errno != 0 || !bytes.Equal(small, want[:3]) {
		t.Errorf("into 3 bytes: %d, %v, %v", n, more, errno)
	}
	if _, _, errno = d.ReadFile("no-such-file\x00", buf); errno != unix.ENOENT {
		t.Errorf("no such file: %v", errno)
	}
	n, more, errno = ReadPath("/proc/sys/kernel/osrelease\x00", buf)
	want, _ = os.ReadFile("/proc/sys/kernel/osrelease")
	if !bytes.Equal(buf[:n], want) || more || errno != 0 {
		t.Errorf("osrelease: %q, %v, %v", buf[:n], more, errno)
	}
	if major, _, _ := ParseKernelVersion(buf[:n]); major < 2 || major > 99 {
		t.Errorf("kernel version %d of %q", major, buf[:n])
	}
	if _, _, errno = ReadPath("/no/such\x00", buf); errno != unix.ENOENT {
		t.Errorf("no such path: %v", errno)
	}
}

// TestReadManyMaps reads more lines than one read of the kernel returns, with buffers of any size: no line may be missing.
func TestReadManyMaps(t *testing.T) {
	page := os.Getpagesize()
	const count = 600
	mem, err := unix.Mmap(-1, 0, 2*count*page, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	for i := range count {
		if err := unix.Mprotect(mem[2*i*page:][:page], unix.PROT_READ); err != nil {
			t.Fatal(err)
		}
	}
	base := uint64(uintptr(unsafe.Pointer(&mem[0])))
	d := open(t, os.Getpid())
	buf := make([]byte, 1<<20)
	n, more, errno := d.ReadFile("maps\x00", buf)
	if more || errno != 0 || n < 40*count {
		t.Fatalf("%d bytes, %v, %v", n, more, errno)
	}
	r := MapsReader{Rest: buf[:n]}
	var m Mapping
	found := 0
	for r.Next(&m) {
		if m.Start == base+uint64(2*found*page) && m.Size() == uint64(page) && m.Perm == PermRead && len(m.Name) == 0 {
			found++
		}
	}
	if found != count || r.Skipped != 0 || len(r.Rest) != 0 {
		t.Errorf("found %d of %d, skipped %d, rest %q", found, count, r.Skipped, r.Rest)
	}

	// In pieces, as a growing arena is filled.
	fd, errno := d.OpenFile("maps\x00", unix.O_RDONLY)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer sys.Close(fd)
	total := 0
	for more = true; more; total += n {
		if n, more, errno = ReadFd(fd, buf[:1000]); errno != 0 {
			t.Fatal(errno)
		}
	}
	if total < 40*count {
		t.Errorf("%d bytes in pieces", total)
	}
}

func TestTasks(t *testing.T) {
	names := []string{"plain", "with space", ") S 1 2 (", "fifteen bytes !", "new\nline", "\xff\xfe", " "}
	v := start(t, names...)
	d := open(t, v.pid)
	scratch, out, buf := make([]byte, 512), make([]int32, 64), make([]byte, 4096)
	for range 3 { // listed again, the same
		n, more, errno := d.Tasks(scratch, out)
		if more || errno != 0 || n < len(names) || out[0] != int32(v.pid) {
			t.Fatalf("%v, %v, %v; process %d", out[:n], more, errno, v.pid)
		}
		for _, tid := range v.tids {
			if !slices.Contains(out[:n], tid) {
				t.Errorf("thread %d is not in %v", tid, out[:n])
			}
		}
		if !slices.IsSorted(out[:n]) {
			t.Logf("not in ascending order: %v", out[:n])
		}
	}
	n, more, errno := d.Tasks(scratch, out[:2])
	if n != 2 || !more || errno != 0 || out[0] != int32(v.pid) {
		t.Errorf("into 2 numbers: %v, %v, %v", out[:n], more, errno)
	}
	if len(v.tids) != len(names) {
		t.Fatalf("%d threads of %d", len(v.tids), len(names))
	}
	for i, tid := range v.tids {
		count := 0
		restore := sys.Install(fail(0, 0, &count), nil)
		n, errno := d.TaskName(tid, buf)
		restore()
		if errno != 0 || string(buf[:n]) != names[i] || count != 3 {
			t.Errorf("name of thread %d: %q, %v by %d system calls; want %q by 3", tid, buf[:n], errno, count, names[i])
		}
		n, errno = d.TaskFile(tid, "stat\x00", buf)
		var s Stat
		ok := s.Parse(buf[:n])
		if errno != 0 || !ok || s.PID != tid || string(s.Comm) != names[i] || s.PPID != int32(os.Getpid()) {
			t.Errorf("stat of thread %d: %+v, %v, %v", tid, s, ok, errno)
		}
		n, errno = d.TaskFile(tid, "status\x00", buf)
		if st := ParseStatus(buf[:n]); errno != 0 || st.Pid != tid || st.Tgid != int32(v.pid) || int(st.Threads) < len(names) {
			t.Errorf("status of thread %d: %+v, %v", tid, st, errno)
		}
	}
	if _, errno := d.TaskName(int32(os.Getpid()), buf); errno != unix.ENOENT {
		t.Errorf("a thread of another process: %v", errno)
	}
	if _, errno := d.TaskName(0, buf); errno != unix.EINVAL {
		t.Errorf("thread 0: %v", errno)
	}
	if _, errno := d.TaskFile(v.tids[0], strings.Repeat("x", 5000)+"\x00", buf); errno != unix.EINVAL {
		t.Errorf("a long name: %v", errno)
	}
	// The directory of a thread opens too, and states its process.
	thread := open(t, int(v.tids[0]))
	n, _, errno = thread.ReadFile("status\x00", buf)
	if st := ParseStatus(buf[:n]); errno != 0 || st.Tgid != int32(v.pid) || st.Pid != v.tids[0] {
		t.Errorf("by the thread's number: %+v, %v", st, errno)
	}
}

// TestProcessGone checks that reads through a Dir fail after the process is gone, and never read another process.
func TestProcessGone(t *testing.T) {
	v := start(t, "x")
	d := open(t, v.pid)
	scratch, out, buf := make([]byte, 512), make([]int32, 64), make([]byte, 4096)
	v.end()
	gone := func(what string, errno sys.Errno) {
		t.Helper()
		if errno != unix.ENOENT && errno != unix.ESRCH {
			t.Errorf("%s: %v", what, errno)
		}
	}
	_, _, errno := d.ReadFile("maps\x00", buf)
	gone("maps", errno)
	n, _, errno := d.Tasks(scratch, out)
	if n != 0 {
		t.Errorf("%d tasks", n)
	}
	gone("task", errno)
	_, errno = d.TaskName(v.tids[0], buf)
	gone("comm", errno)
	_, _, errno = d.FDs(scratch, out)
	gone("fd", errno)
	_, errno = d.FDLink(0, buf)
	gone("fd link", errno)
	gone("fd stat", d.FDStat(0, new(unix.Statx_t)))
	_, errno = d.OpenMapFile(0x1000, 0x2000)
	gone("map_files", errno)
	_, errno = d.OpenRoot([]byte("/"), new(unix.Statx_t))
	gone("root", errno)
	if _, err := Open(v.pid); !errors.Is(err, ErrNoProcess) {
		t.Errorf("Open: %v", err)
	}
}

func TestZombie(t *testing.T) {
	cmd := exec.Command(self(t))
	cmd.Env = append(os.Environ(), childEnv+"=")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	d := open(t, cmd.Process.Pid)
	buf := make([]byte, 4096)
	var s Stat
	out := make([]int32, 64)
	tasks := 0
	// Its first thread becomes a zombie before the last of the others has exited.
	for end := time.Now().Add(10 * time.Second); (s.State != 'Z' || tasks != 1) && time.Now().Before(end); time.Sleep(time.Millisecond) {
		n, _, errno := d.ReadFile("stat\x00", buf)
		var ok bool
		if ok = s.Parse(buf[:n]); errno != 0 || !ok {
			t.Fatalf("stat %q, %v", buf[:n], errno)
		}
		if tasks, _, errno = d.Tasks(make([]byte, 512), out); errno != 0 {
			t.Fatal(errno)
		}
	}
	if s.State != 'Z' || tasks != 1 || out[0] != int32(cmd.Process.Pid) {
		t.Errorf("state %c, tasks %v", s.State, out[:tasks])
	}
	if n, _, errno := d.ReadFile("maps\x00", buf); n != 0 || errno != 0 {
		t.Errorf("maps of a zombie: %q, %v", buf[:n], errno)
	}
}

func TestClose(t *testing.T) {
	before := countFDs(t)
	d := open(t, os.Getpid())
	if d.Fd() < 0 {
		t.Error("no descriptor")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error("closed again:", err)
	}
	if after := countFDs(t); after != before || d.Fd() != -1 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if _, _, errno := d.Tasks(make([]byte, 512), make([]int32, 4)); errno != unix.EBADF {
		t.Errorf("after Close: %v", errno)
	}
	// -1 must not be treated as the current directory, and an absolute path must not be opened.
	if _, errno := d.OpenFile("stat\x00", unix.O_RDONLY); errno != unix.EBADF {
		t.Errorf("after Close: %v", errno)
	}
}

func countFDs(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestStatAndBootTime(t *testing.T) {
	d := open(t, os.Getpid())
	buf := make([]byte, 1<<16)
	n, _, errno := d.ReadFile("stat\x00", buf)
	var s Stat
	ok := s.Parse(buf[:n])
	if errno != 0 || !ok {
		t.Fatalf("%q: %v, %v", buf[:n], ok, errno)
	}
	if int(s.PID) != os.Getpid() || int(s.PPID) != os.Getppid() || s.VSize == 0 || s.RSS <= 0 || s.EndCode <= s.StartCode ||
		s.NumThreads < 1 || s.StartStack == 0 || s.ArgStart == 0 {
		t.Errorf("%+v", s)
	}
	n, _, errno = ReadPath("/proc/stat\x00", buf)
	boot, ok := ParseBootTime(buf[:n])
	if errno != 0 || !ok {
		t.Fatalf("boot time: %v, %v", ok, errno)
	}
	n, _, errno = d.ReadFile("auxv\x00", buf)
	wordSize := int(unsafe.Sizeof(uintptr(0)))
	a := ParseAuxv(buf[:n], wordSize, nativeOrder())
	if errno != 0 || !a.Complete || a.PageSize != uint64(os.Getpagesize()) || a.Clktck == 0 || a.Uid != uint64(os.Getuid()) ||
		!a.Has(AT_PHDR) || a.Phnum == 0 || a.Entry == 0 || a.Random == 0 {
		t.Fatalf("%+v, %v", a, errno)
	}
	started := time.Unix(int64(boot+s.StartTime/a.Clktck), 0)
	if age := time.Since(started); age < -3*time.Second || age > time.Hour {
		t.Errorf("started %v ago", age)
	}
}

func nativeOrder() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

func TestSyscallFile(t *testing.T) {
	v := start(t, "sleeper")
	d := open(t, v.pid)
	buf := make([]byte, 4096)
	n, errno := d.TaskFile(v.tids[0], "syscall\x00", buf)
	if errno == unix.ENOENT || errno == unix.EPERM {
		t.Skip("the kernel does not show system calls:", errno)
	}
	for end := time.Now().Add(5 * time.Second); string(buf[:n]) == "running\n" && time.Now().Before(end); {
		n, errno = d.TaskFile(v.tids[0], "syscall\x00", buf)
	}
	nr, sp, pc, running, ok := ParseSyscall(buf[:n])
	if errno != 0 || !ok || running || nr != unix.SYS_FUTEX && nr < 0 {
		t.Fatalf("%q: %d %v %v %v", buf[:n], nr, running, ok, errno)
	}
	// SP and PC lie in its memory, and PC in code.
	maps := make([]byte, 1<<20)
	k, _, _ := d.ReadFile("maps\x00", maps)
	r := MapsReader{Rest: maps[:k]}
	var m Mapping
	foundSP, foundPC := false, false
	for r.Next(&m) {
		foundSP = foundSP || m.Contains(sp) && m.Perm&PermWrite != 0
		foundPC = foundPC || m.Contains(pc) && m.Perm&PermExecute != 0
	}
	if !foundSP || !foundPC {
		t.Errorf("sp %#x found %v, pc %#x found %v", sp, foundSP, pc, foundPC)
	}
}

func TestStopped(t *testing.T) {
	v := start(t, "x")
	d := open(t, v.pid)
	buf := make([]byte, 8192)
	if err := syscall.Kill(v.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var s Status
	for end := time.Now().Add(5 * time.Second); s.State != 'T' && time.Now().Before(end); time.Sleep(time.Millisecond) {
		n, _, errno := d.ReadFile("status\x00", buf)
		if errno != 0 {
			t.Fatal(errno)
		}
		s = ParseStatus(buf[:n])
	}
	if s.State != 'T' || s.Tgid != int32(v.pid) || s.NSpid == 0 || s.TracerPid != 0 || s.CoreDumping || s.SigCgt == 0 ||
		s.Uid != uint32(os.Getuid()) || s.VMSize == 0 {
		t.Errorf("%+v", s)
	}
}

func TestFDs(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, strings.Repeat("x", 200), strings.Repeat("y", 200), strings.Repeat("z", 200))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(deep, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	folder, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(sockets[0])
	defer unix.Close(sockets[1])
	event, err := unix.Eventfd(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(event)

	d := open(t, os.Getpid())
	out, buf, st := make([]int32, 256), make([]byte, 4096), new(unix.Statx_t)
	n, more, errno := d.FDs(make([]byte, 512), out)
	if more || errno != 0 {
		t.Fatalf("%v, %v", more, errno)
	}
	tests := []struct {
		fd     int
		kind   string
		prefix string
	}{
		{int(file.Fd()), "File", file.Name()},
		{int(folder.Fd()), "Directory", dir},
		{int(r.Fd()), "Pipe", "pipe:["},
		{int(null.Fd()), "Char", "/dev/null"},
		{sockets[1], "Socket", "socket:["},
		{event, "anon_inode", "anon_inode:[eventfd]"},
	}
	for _, test := range tests {
		fd := int32(test.fd)
		if !slices.Contains(out[:n], fd) {
			t.Errorf("%s: %d is not in %v", test.kind, fd, out[:n])
		}
		k, errno := d.FDLink(fd, buf)
		if errno != 0 || !strings.HasPrefix(string(buf[:k]), test.prefix) || strings.HasPrefix(test.prefix, "/") && k != len(test.prefix) {
			t.Errorf("%s: link %q, %v; want %q", test.kind, buf[:k], errno, test.prefix)
		}
		if k, errno := d.FDLink(fd, buf[:4]); k != 4 || errno != 0 || string(buf[:4]) != test.prefix[:4] {
			t.Errorf("%s: link in 4 bytes: %d, %v", test.kind, k, errno)
		}
		if errno := d.FDStat(fd, st); errno != 0 || FileTypeName(uint32(st.Mode)) != test.kind {
			t.Errorf("%s: mode %o, %v", test.kind, st.Mode, errno)
		}
	}
	if n, more, errno := d.FDs(make([]byte, 512), out[:1]); n != 1 || !more || errno != 0 {
		t.Errorf("into one number: %d, %v, %v", n, more, errno)
	}
	if _, errno := d.FDLink(9999, buf); errno != unix.ENOENT {
		t.Errorf("a descriptor that is not open: %v", errno)
	}
	if _, errno := d.FDLink(-1, buf); errno != unix.EINVAL {
		t.Errorf("descriptor -1: %v", errno)
	}
	if errno := d.FDStat(-1, st); errno != unix.EINVAL {
		t.Errorf("descriptor -1: %v", errno)
	}
}

// TestHostileDirents reads directory records with a false size.
func TestHostileDirents(t *testing.T) {
	record := func(size uint16, name string) []byte {
		b := make([]byte, 24)
		binary.NativeEndian.PutUint16(b[16:], size)
		copy(b[19:], name)
		return b
	}
	for _, b := range [][]byte{nil, make([]byte, 18), record(0, "1"), record(19, "1"), record(25, "1"), record(65535, "1")} {
		if name, rest := nextDirent(b); rest != nil || name != nil {
			t.Errorf("%x: %q, %x", b, name, rest)
		}
	}
	if name, rest := nextDirent(record(24, "12")); string(name) != "12" || rest == nil || len(rest) != 0 {
		t.Errorf("%q, %v", name, rest)
	}
	if name, _ := nextDirent(record(24, "12345")); string(name) != "12345" {
		t.Errorf("without a NUL: %q", name)
	}
}

func TestMachine(t *testing.T) {
	buf := make([]byte, 1<<20)
	n, more, errno := ReadPath("/proc/cpuinfo\x00", buf)
	if errno != 0 || more {
		t.Fatal(errno, more)
	}
	c := ParseCPUInfo(buf[:n])
	n, _, errno = ReadPath("/sys/devices/system/cpu/present\x00", buf)
	present, ok := ParseCPUList(buf[:n])
	if errno == 0 && (!ok || present < c.Count) {
		t.Errorf("present %q: %d, %v", buf[:n], present, ok)
	}
	if c.Count < 1 {
		t.Errorf("%+v", c)
	}
	if (runtimeArch == "amd64" || runtimeArch == "386") && (!c.HaveX86 || c.Vendor[0] == 0 || c.Features&(1<<26) == 0) {
		t.Errorf("%+v", c)
	}
	if (runtimeArch == "arm64" || runtimeArch == "arm") && (!c.HaveMIDR || c.Features == 0) {
		t.Errorf("%+v", c)
	}
	if n, _, errno = ReadPath("/etc/os-release\x00", buf); errno == 0 {
		id, ok := ParseOSRelease(buf[:n], "ID", make([]byte, 64))
		if !ok || len(id) == 0 || strings.ContainsAny(string(id), "\"'\n") {
			t.Errorf("ID %q, %v", id, ok)
		}
	}
}

// sink keeps results alive.
var sink int

func TestNoAllocations(t *testing.T) {
	v := start(t, "thread name")
	d := open(t, v.pid)
	scratch, out, buf, st := make([]byte, 4096), make([]int32, 256), make([]byte, 1<<18), new(unix.Statx_t)
	q := &Query{NameBuf: make([]byte, 4096), BuildIDBuf: make([]byte, 20)}
	n, _, _ := d.ReadFile("maps\x00", buf)
	maps := bytes.Clone(buf[:n])
	first, _, _ := NextMapping(maps)
	mapsFd, errno := d.OpenFile("maps\x00", unix.O_RDONLY)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer sys.Close(mapsFd)
	exe := []byte(self(t))
	name := []byte(`/a\012b`)
	stat, status := []byte("11 (a b)"+statTail), []byte(statusText)
	osRelease, auxv := []byte(osReleaseText), make([]byte, 512)
	pages := &Pages{Runs: make([]PageRun, 8), Scratch: make([]byte, 512)}
	flags := &SmapsReader{Want: VMDontDump, Out: make([]FlaggedRange, 8)}
	devices, mounts, layered, data := make([]Device, 16), make([]byte, 1<<18), []byte(mountText), new(Data)
	n, _, _ = d.ReadMounts(mounts)
	mounts = mounts[:n]
	memfd, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(memfd)
	tests := []struct {
		name string
		f    func()
	}{
		{"ReadFile", func() { n, _, _ := d.ReadFile("maps\x00", buf); sink += n }},
		{"ReadPath", func() { n, _, _ := ReadPath("/proc/cpuinfo\x00", buf); sink += n }},
		{"Tasks", func() { n, _, _ := d.Tasks(scratch, out); sink += n }},
		{"TaskFile", func() { n, _ := d.TaskFile(v.tids[0], "stat\x00", buf); sink += n }},
		{"TaskName", func() { n, _ := d.TaskName(v.tids[0], buf); sink += n }},
		{"FDs", func() { n, _, _ := d.FDs(scratch, out); sink += n }},
		{"FDLink", func() { n, _ := d.FDLink(0, buf); sink += n }},
		{"FDStat", func() { sink += int(d.FDStat(0, st)) }},
		{"QueryMapping", func() {
			sink += int(d.QueryMapping(mapsFd, first.Start, 0, q))
			m := q.Mapping()
			sink += len(m.Name) + len(q.BuildID())
		}},
		{"OpenMapFile", func() {
			if fd, errno := d.OpenMapFile(first.Start, first.End); errno == 0 {
				sys.Close(fd)
			}
		}},
		{"OpenMapped", func() {
			if fd, errno := d.OpenMapped(&first, st); errno == 0 {
				sys.Close(fd)
			}
		}},
		{"OpenRoot", func() {
			if fd, errno := d.OpenRoot(exe, st); errno == 0 {
				sys.Close(fd)
			}
		}},
		{"MapsReader", func() {
			r := MapsReader{Rest: maps}
			var m Mapping
			for r.Next(&m) {
				_, isSysV := m.SysV()
				if m.IsPath() || m.Deleted() || m.IsStack() || isSysV {
					sink++
				}
			}
		}},
		{"NextMapping", func() { m, _, _ := NextMapping(maps); sink += len(m.Name) }},
		{"ParseMapsLine", func() { m, _ := ParseMapsLine(maps[:bytes.IndexByte(maps, '\n')]); sink += len(m.Name) }},
		{"UnescapeName", func() { sink += UnescapeName(buf, name) }},
		{"Stat.Parse", func() { var s Stat; s.Parse(stat); sink += int(s.PID) }},
		{"ParseStatus", func() { s := ParseStatus(status); sink += int(s.Tgid) }},
		{"ParseSyscall", func() { nr, _, _, _, _ := ParseSyscall(stat); sink += int(nr) }},
		{"ParseAuxv", func() { a := ParseAuxv(auxv, 8, binary.LittleEndian); sink += int(a.Have) }},
		{"ParseOSRelease", func() { v, _ := ParseOSRelease(osRelease, "PRETTY_NAME", buf); sink += len(v) }},
		{"ParseBuildProp", func() { sink += len(ParseBuildProp(osRelease, "ID")) }},
		{"ParseKernelVersion", func() { a, _, _ := ParseKernelVersion(stat); sink += int(a) }},
		{"ParseBootTime", func() { a, _ := ParseBootTime(osRelease); sink += int(a) }},
		{"ParseCPUList", func() { a, _ := ParseCPUList(stat); sink += a }},
		{"Pages", func() {
			var r PageRun
			if d.OpenPages(pages) == 0 {
				pages.Next(first.Start, first.End, 0, &r)
				pages.how = readEntries
				pages.Scan(first.Start, first.End, 0, 0, pages.Runs)
				pages.how = scanWithoutGuards
				pages.Close()
			}
			sink += int(r.Kind)
		}},
		{"ReadMounts", func() { n, _, _ := d.ReadMounts(buf); sink += n }},
		{"BackingOf", func() { b, _ := BackingOf(mounts, first.Major, first.Minor); sink += int(b) }},
		{"BackingOf layers", func() { b, _ := BackingOf(layered, 0, 43); sink += int(b) }},
		{"MemoryDevices", func() { n, _ := MemoryDevices(devices, st); sink += n }},
		{"ReadVMFlags", func() {
			sink += int(d.ReadVMFlags(buf, ^uint64(0), flags))
			sink += int(FlagsIn(flags.Out[:flags.N], 0, 1))
		}},
		{"Data", func() { _, _, _, errno := data.Next(memfd, 0, 1<<20); sink += int(errno) }},
		{"FileTypeName", func() { sink += len(FileTypeName(uint32(sink))) }},
	}
	for _, test := range tests {
		if allocs := testing.AllocsPerRun(20, test.f); allocs != 0 {
			t.Errorf("%s allocates %v times", test.name, allocs)
		}
	}
}

func BenchmarkTaskName(b *testing.B) {
	d, err := Open(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if n, errno := d.TaskName(int32(os.Getpid()), buf); n == 0 || errno != 0 {
			b.Fatal(errno)
		}
	}
}

// readAll reads fd from its start.
func readAll(t *testing.T, fd int) []byte {
	t.Helper()
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNumTasks(t *testing.T) {
	d, err := Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	stop := make(chan bool)
	defer close(stop)
	for range 5 { // threads of the test itself
		go func() {
			runtime.LockOSThread()
			<-stop
		}()
	}
	for range 100 { // the runtime may start or end threads meanwhile
		out := make([]int32, 1000)
		before, errno := d.NumTasks()
		if errno != 0 {
			t.Fatal(errno)
		}
		n, _, errno := d.Tasks(make([]byte, 32<<10), out)
		if errno != 0 {
			t.Fatal(errno)
		}
		if after, _ := d.NumTasks(); before == after {
			if n != before || n < 2 {
				t.Fatalf("%d threads counted, %d listed", before, n)
			}
			return
		}
	}
	t.Fatal("never twice the same number")
}
