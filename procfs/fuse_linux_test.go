package procfs

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/victims"
)

// fuseEnv makes the test binary mount file systems of several kinds below the folder in its value, in a mount namespace of its
// own, and map a file of each.
const fuseEnv = "PROCFS_TEST_FUSE"

// fuseVictim prints "area NAME ADDRESS" for each file that it has mapped. None of them is ever read.
func fuseVictim(dir string) {
	runtime.LockOSThread()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"fuse", "tmpfs", "lower", "overlay", "stacked", "btrfs"} {
		os.Mkdir(path(name), 0o755)
	}
	mount := func(name, source, kind, options string) {
		if err := unix.Mount(source, path(name), kind, 0, options); err != nil {
			fmt.Fprintln(os.Stderr, name, err)
		}
	}
	mapFile := func(name, file string) {
		fd, err := unix.Open(path(file), unix.O_RDONLY, 0)
		if err == nil {
			var b []byte
			if b, err = unix.Mmap(fd, 0, 4*int(pageSize), unix.PROT_READ, unix.MAP_PRIVATE); err == nil {
				fmt.Printf("area %s %d\n", name, addressOf(b))
			}
			unix.Close(fd) // now, while the server can answer its FUSE_FLUSH: at the end of this process the close would wait for that
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, name, err)
		}
	}
	content := make([]byte, 4*pageSize)

	if dev, err := unix.Open("/dev/fuse", unix.O_RDWR, 0); err == nil {
		mount("fuse", "nobody", "fuse.silent", fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", dev))
		go silentServer(dev) // only now: a read would fail
		mapFile("fuse", "fuse/file")
	}
	os.WriteFile(path("lower/other"), content, 0o600)
	mapFile("disk", "lower/other")
	mount("tmpfs", "none", "tmpfs", "")
	os.WriteFile(path("tmpfs/file"), content, 0o600)
	mapFile("tmpfs", "tmpfs/file")
	for _, d := range []string{"tmpfs/upper", "tmpfs/work"} {
		os.Mkdir(path(d), 0o755)
	}
	mount("overlay", "none", "overlay", fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", path("lower"), path("tmpfs/upper"), path("tmpfs/work")))
	os.WriteFile(path("overlay/written"), content, 0o600)
	mapFile("overlay lower", "overlay/other")
	mapFile("overlay upper", "overlay/written")
	mount("stacked", "none", "overlay", fmt.Sprintf("lowerdir=%s:%s", path("lower"), path("fuse")))
	mapFile("stacked", "stacked/other")
	if _, err := os.Stat(path("btrfs.image")); err == nil {
		for _, c := range [][]string{
			{"mount", "-o", "loop", path("btrfs.image"), path("btrfs")}, {"btrfs", "subvolume", "create", path("btrfs/sub")},
		} {
			if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "%q: %v\n%s", c, err, out)
			}
		}
		os.WriteFile(path("btrfs/sub/file"), content, 0o600)
		mapFile("btrfs", "btrfs/sub/file")
	}
	if fd, err := unix.MemfdCreate("x", 0); err == nil {
		unix.Ftruncate(fd, int64(len(content)))
		b, _ := unix.Mmap(fd, 0, len(content), unix.PROT_READ, unix.MAP_SHARED)
		fmt.Printf("area memfd %d\n", addressOf(b))
	}
	b, _ := unix.Mmap(-1, 0, len(content), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	fmt.Printf("area shared %d\n", addressOf(b))
	const huge = 2 << 20
	if b, err := unix.Mmap(-1, 0, huge, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_HUGETLB|unix.MAP_NORESERVE); err == nil {
		fmt.Printf("area hugetlb %d\n", addressOf(b))
	}
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadByte()
}

// silentServer serves a folder with one file, "file" (linux/fuse.h, protocol 7.31), and never answers a read.
func silentServer(dev int) {
	order := binary.NativeEndian
	request, answer := make([]byte, 1<<20), make([]byte, 1024)
	for {
		n, err := unix.Read(dev, request)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n < 40 {
			return
		}
		clear(answer)
		node := order.Uint64(request[16:])
		out, errno := answer[16:16], 0
		attributes := func(b []byte, node uint64) {
			mode, size := uint32(unix.S_IFDIR|0o755), uint64(0)
			if node == 2 {
				mode, size = unix.S_IFREG|0o644, 4*pageSize
			}
			order.PutUint64(b[0:], node)
			order.PutUint64(b[8:], size)
			order.PutUint32(b[60:], mode)
			order.PutUint32(b[64:], 1)
		}
		switch opcode := order.Uint32(request[4:]); opcode {
		case 1: // FUSE_LOOKUP
			if errno = int(unix.ENOENT); string(request[40:n-1]) == "file" {
				out, errno = answer[16:][:128], 0
				order.PutUint64(out[0:], 2)
				order.PutUint64(out[16:], 3600) // validity, in seconds
				order.PutUint64(out[24:], 3600)
				attributes(out[40:], 2)
			}
		case 3: // FUSE_GETATTR
			out = answer[16:][:104]
			order.PutUint64(out, 3600)
			attributes(out[16:], node)
		case 14, 27: // FUSE_OPEN, FUSE_OPENDIR
			out = answer[16:][:16]
		case 26: // FUSE_INIT
			out = answer[16:][:64]
			order.PutUint32(out[0:], 7)
			order.PutUint32(out[4:], 31)
			order.PutUint32(out[20:], 4096) // max_write
		case 17: // FUSE_STATFS
			out = answer[16:][:80]
		case 18, 25, 29: // FUSE_RELEASE, FUSE_FLUSH, FUSE_RELEASEDIR
		case 2, 42, 15: // FUSE_FORGET, FUSE_BATCH_FORGET: no answer; FUSE_READ
			continue
		default:
			errno = int(unix.ENOSYS)
		}
		order.PutUint32(answer[0:], uint32(16+len(out)))
		order.PutUint32(answer[4:], uint32(-errno))
		copy(answer[8:16], request[8:16]) // unique
		unix.Write(dev, answer[:16+len(out)])
	}
}

// startFuse starts fuseVictim.
func startFuse(t *testing.T) (pid int, areas map[string]uint64) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount")
	}
	dir := t.TempDir()
	if mkfs, err := exec.LookPath("mkfs.btrfs"); err != nil {
		t.Log("without btrfs: ", err)
	} else {
		image := filepath.Join(dir, "btrfs.image")
		os.WriteFile(image, nil, 0o600)
		os.Truncate(image, 128<<20)
		if out, err := exec.Command(mkfs, "-q", image).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	cmd := exec.Command(self(t))
	cmd.Env = append(os.Environ(), fuseEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	cmd.Stderr = os.Stderr
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Skip("no mount namespace: ", err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	defer time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() }).Stop()
	areas = map[string]uint64{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		if line == "ready" {
			return cmd.Process.Pid, areas
		}
		if space := strings.LastIndexByte(line, ' '); strings.HasPrefix(line, "area ") && space > 5 {
			var at uint64
			fmt.Sscan(line[space+1:], &at)
			areas[line[5:space]] = at
		}
	}
	t.Fatal("the victim did not get ready")
	return 0, nil
}

// TestBacking maps files of all kinds of file systems in another mount namespace: the device in maps leads to the right result,
// no server is contacted, and none of the pages is available.
func TestBacking(t *testing.T) {
	victims.SkipEmulated(t, "the kernels there have neither overlay nor fuse")
	pid, areas := startFuse(t)
	d := open(t, pid)
	st := new(unix.Statx_t)
	maps, text := make([]byte, 1<<20), make([]byte, 1<<20)
	n, _, errno := d.ReadFile("maps\x00", maps)
	if errno != 0 {
		t.Fatal(errno)
	}
	maps = maps[:n]
	start := time.Now()
	n, more, errno := d.ReadMounts(text)
	if errno != 0 || more {
		t.Fatal(more, errno)
	}
	text = text[:n]
	t.Logf("%d bytes in %v", n, time.Since(start))
	devices := make([]Device, 16)
	n, errno = MemoryDevices(devices, st)
	if errno != 0 {
		t.Fatal(errno)
	}
	devices = devices[:n]
	t.Log("devices of memory: ", devices)
	p := &Pages{Scratch: make([]byte, 4096), Runs: make([]PageRun, 16)}
	if errno := d.OpenPages(p); errno != 0 {
		t.Error(errno)
	}
	defer p.Close()
	want := map[string]struct {
		backing Backing
		kind    string
	}{
		"fuse": {BackingServer, "fuse.silent"}, "tmpfs": {BackingLocal, "tmpfs"}, "overlay lower": {BackingStacked, "overlay"},
		"overlay upper": {BackingStacked, "overlay"}, "stacked": {BackingServer, "overlay"}, "btrfs": {BackingLocal, "btrfs"},
		"memfd": {BackingUnknown, ""}, "shared": {BackingUnknown, ""}, "hugetlb": {BackingUnknown, ""},
	}
	for name, at := range areas {
		var m Mapping
		for r := (MapsReader{Rest: maps}); r.Next(&m) && !m.Contains(at); {
		}
		if !m.Contains(at) {
			t.Fatalf("%s: %#x is not mapped", name, at)
		}
		got, kind := BackingOf(text, m.Major, m.Minor)
		t.Logf("%-14s %x:%x %s %s", name, m.Major, m.Minor, got, kind)
		if name == "disk" { // depends on this machine
			continue
		}
		w, ok := want[name]
		if !ok || got != w.backing || string(kind) != w.kind {
			t.Errorf("%s: %v %s, want %v %s", name, got, kind, w.backing, w.kind)
		}
		if isMemory := w.backing == BackingUnknown; slices.Contains(devices, Device{m.Major, m.Minor}) != isMemory {
			t.Errorf("%s: on %x:%x", name, m.Major, m.Minor)
		}
		var r PageRun
		if ok, errno := p.Next(m.Start, m.End, 0, &r); p.IsOpen() && name == "fuse" && (ok || errno != 0) {
			t.Errorf("%s: pages %x, %v", name, r, errno)
		}
	}
	for _, name := range []string{"fuse", "tmpfs", "overlay lower", "memfd", "shared"} {
		if areas[name] == 0 {
			t.Logf("%s: not on this machine", name)
		}
	}
}
