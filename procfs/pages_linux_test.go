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
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/sys"
	"minidump/internal/victims"
)

// memoryEnv makes the test binary run as a victim with areas of all kinds of memory; its value is the path of a file of 16 pages.
const memoryEnv = "PROCFS_TEST_MEMORY"

var pageSize = uint64(syscall.Getpagesize())

// areaPages is the length of an area in pages, unless it needs another length.
const areaPages = 64

// memoryVictim creates areas, prints "area NAME ADDRESS" for each that this kernel supports, and waits. TestPages lists the pages
// that it touches.
func memoryVictim(file string) {
	runtime.LockOSThread()
	page := int(pageSize)
	area := func(name string, fd, length, flags int) []byte {
		b, err := unix.Mmap(fd, 0, length, unix.PROT_READ|unix.PROT_WRITE, flags)
		if err != nil {
			fmt.Fprintln(os.Stderr, name, err)
			return nil
		}
		unix.Madvise(b, unix.MADV_NOHUGEPAGE)
		fmt.Printf("area %s %d\n", name, addressOf(b))
		return b
	}
	const private = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS

	b := area("anonymous", -1, areaPages*page, private)
	b[3*page], b[8*page], b[9*page] = 1, 1, 1
	fmt.Println("# zero page read:", b[12*page])
	if unix.Madvise(b[20*page:22*page], unix.MADV_GUARD_INSTALL) == nil {
		fmt.Printf("area guard %d\n", addressOf(b[20*page:]))
	}
	unix.Mprotect(b[8*page:9*page], unix.PROT_NONE)

	area("untouched", -1, areaPages*page, private)

	fd, err := unix.MemfdCreate("sparse", 0)
	if err == nil && unix.Ftruncate(fd, 256<<20) == nil {
		b = area("memfd", fd, 256<<20, unix.MAP_SHARED)
		b[5*page] = 1
		unix.Pwrite(fd, []byte("data that is not mapped in"), int64(40*page))
	}

	if f, err := os.OpenFile(file, os.O_RDWR, 0); err == nil {
		b = area("file", int(f.Fd()), 16*page, unix.MAP_PRIVATE)
		fmt.Println("# file page read:", b[2*page])
		b[5*page] = 1
		area("fresh", int(f.Fd()), 16*page, unix.MAP_PRIVATE)
	}

	if b = area("userfault", -1, areaPages*page, private); b != nil && !unserved(b, b[4*page:5*page]) {
		fmt.Println("gone userfault")
	}

	const huge = 2 << 20
	if b = area("huge", -1, 4*huge, private); b != nil {
		unix.Madvise(b, unix.MADV_HUGEPAGE) // not every kernel supports them
		for i := range b {
			b[i] = 1
		}
	}
	if b, err = unix.Mmap(-1, 0, 2*huge, unix.PROT_READ|unix.PROT_WRITE, private|unix.MAP_HUGETLB); err == nil {
		fmt.Printf("area hugetlb %d\n", addressOf(b))
		b[huge] = 1
	}
	if b, err = unix.Mmap(-1, 0, areaPages*page, unix.PROT_READ|unix.PROT_WRITE, private); err == nil {
		unix.Madvise(b, unix.MADV_NOHUGEPAGE)
		b[7*page], b[30*page] = 1, 1
		if unix.Madvise(b[:16*page], unix.MADV_PAGEOUT) == nil {
			fmt.Printf("area swap %d\n", addressOf(b))
		}
	}
	for _, advice := range []struct {
		name   string
		advice int
	}{{"dontdump", unix.MADV_DONTDUMP}, {"ordinary", unix.MADV_DODUMP}} {
		if b = area(advice.name, -1, 4*page, private); b != nil {
			unix.Madvise(b, advice.advice)
		}
	}
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadByte()
}

func addressOf(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// unserved registers b with a userfaultfd that nobody reads, and fills one page through it.
func unserved(b, filled []byte) bool {
	const ( // linux/userfaultfd.h
		uffdAPI          = 0xaa
		uffdioAPI        = 0xc018aa3f
		uffdioRegister   = 0xc020aa00
		uffdioZeropage   = 0xc020aa04
		registerMissing  = 1
		userModeOnly     = 1 // UFFD_USER_MODE_ONLY: what an unprivileged user may use
		oldKernelNoFlags = 0
	)
	for _, flags := range []uintptr{oldKernelNoFlags, userModeOnly} {
		fd, _, e := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|flags, 0, 0)
		if e != 0 {
			continue
		}
		api := [3]uint64{uffdAPI}
		register := [4]uint64{addressOf(b), uint64(len(b)), registerMissing}
		zero := [4]uint64{addressOf(filled), uint64(len(filled))}
		for request, arg := range map[uintptr]unsafe.Pointer{uffdioAPI: unsafe.Pointer(&api)} {
			if _, _, e = unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(arg)); e != 0 {
				return false
			}
		}
		if _, _, e = unix.Syscall(unix.SYS_IOCTL, fd, uffdioRegister, uintptr(unsafe.Pointer(&register))); e != 0 {
			return false
		}
		_, _, e = unix.Syscall(unix.SYS_IOCTL, fd, uffdioZeropage, uintptr(unsafe.Pointer(&zero)))
		return e == 0
	}
	return false
}

// startMemory starts memoryVictim and stops it, so that nothing changes any more. areas has the addresses by name.
func startMemory(t testing.TB) (pid int, areas map[string]uint64) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mapped")
	if err := os.WriteFile(file, make([]byte, 16*pageSize), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), memoryEnv+"="+file)
	cmd.Stderr = os.Stderr
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	areas = map[string]uint64{}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		var name string
		var at uint64
		switch {
		case line == "ready":
			stopAndWait(t, cmd.Process.Pid)
			return cmd.Process.Pid, areas
		case strings.HasPrefix(line, "gone "):
			delete(areas, line[len("gone "):])
		default:
			if n, _ := fmt.Sscanf(line, "area %s %d", &name, &at); n == 2 {
				areas[name] = at
			}
		}
	}
	t.Fatal("the victim did not get ready")
	return 0, nil
}

// stopAndWait stops all threads of a process by SIGSTOP.
func stopAndWait(t testing.TB, pid int) {
	t.Helper()
	unix.Kill(pid, unix.SIGSTOP)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		running := len(tasks)
		for _, task := range tasks {
			b, _ := os.ReadFile(task)
			var s Stat
			if s.Parse(b) && s.State == 'T' {
				running--
			}
		}
		if running == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the victim does not stop")
		}
	}
}

func openPages(t testing.TB, pid int, p *Pages) {
	t.Helper()
	d, err := Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if errno := d.OpenPages(p); errno == unix.ENOENT {
		t.Skip("this kernel has no pagemap")
	} else if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(p.Close)
}

// withoutIoctl simulates a kernel before 6.7, withoutGuards one before 6.15.
func withoutIoctl(n, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
	if n == unix.SYS_IOCTL && a2 == PAGEMAP_SCAN {
		return ^uintptr(0), unix.ENOTTY
	}
	return sysCall(n, a1, a2, a3, a4, a5, a6)
}

func withoutGuards(n, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
	if n == unix.SYS_IOCTL && a2 == PAGEMAP_SCAN {
		if arg := (*pmScanArg)(*(*unsafe.Pointer)(unsafe.Pointer(&a3))); arg.categoryMask != 0 {
			return ^uintptr(0), unix.EINVAL
		}
	}
	return sysCall(n, a1, a2, a3, a4, a5, a6)
}

var pageWays = []struct {
	name string
	gate sys.Gate
	how  uint8
}{{"scan", sysCall, scanWithoutGuards}, {"Linux 6.7", withoutGuards, scanPlain}, {"Linux 2.6", withoutIoctl, readEntries}}

// scanAll scans a whole range with as many calls as needed.
func scanAll(t testing.TB, p *Pages, start, end uint64, kinds PageKind, limit, room int) (runs []PageRun) {
	t.Helper()
	buf := make([]PageRun, room)
	for at := start; at < end; {
		n, next, errno := p.Scan(at, end, kinds, limit, buf)
		if errno != 0 {
			t.Fatalf("%#x to %#x: %v", at, end, errno)
		}
		if next <= at {
			t.Fatalf("%#x to %#x: no way forward", at, end)
		}
		for _, r := range buf[:n] {
			if last := len(runs) - 1; last >= 0 && runs[last].End == r.Start && runs[last].Kind == r.Kind {
				runs[last].End = r.End
				continue
			}
			runs = append(runs, r)
		}
		at = next
	}
	return runs
}

// hasScan reports whether this kernel has PAGEMAP_SCAN (since Linux 6.7).
func hasScan(t testing.TB) bool {
	t.Helper()
	p := &Pages{Scratch: make([]byte, 64), Runs: make([]PageRun, 8)}
	openPages(t, os.Getpid(), p)
	var r PageRun
	if _, errno := p.Next(pageSize, 2*pageSize, 0, &r); errno != 0 {
		t.Fatal(errno)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	if old := major < 6 || major == 6 && minor < 7; old != (p.how == readEntries) {
		t.Errorf("Linux %d.%d was asked by way %d", major, minor, p.how)
	}
	return p.how != readEntries
}

// TestPages scans every kind of memory by each way to query the kernel.
func TestPages(t *testing.T) {
	pid, areas := startMemory(t)
	const all = PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_FILE
	const here, file = PAGE_IS_PRESENT, PAGE_IS_PRESENT | PAGE_IS_FILE
	for _, way := range pageWays {
		t.Run(way.name, func(t *testing.T) {
			defer sys.Install(way.gate, nil)()
			p := &Pages{Scratch: make([]byte, 4096), Runs: make([]PageRun, 16)}
			openPages(t, pid, p)
			// pages lists the available pages of an area, counted from its start: {first, end, kind}.
			pages := func(name string, length int) (list [][3]uint64) {
				at := areas[name]
				for _, r := range scanAll(t, p, at, at+uint64(length)*pageSize, all, 0, 64) {
					list = append(list, [3]uint64{(r.Start - at) / pageSize, (r.End - at) / pageSize, uint64(r.Kind)})
				}
				return list
			}
			check := func(name string, length int, want ...[3]uint64) {
				t.Helper()
				if areas[name] == 0 {
					t.Logf("%s: not on this machine", name)
				} else if got := pages(name, length); !slices.Equal(got, want) {
					t.Errorf("%s: %v, want %v", name, got, want)
				}
			}
			anonymous := [][3]uint64{{3, 4, uint64(here)}, {8, 10, uint64(here)}, {12, 13, uint64(here)}}
			if way.how == scanPlain && areas["guard"] != 0 {
				// No kernel supports guards but can't exclude them.
				anonymous = append(anonymous, [3]uint64{20, 22, uint64(PAGE_IS_SWAPPED)})
			}
			check("anonymous", areaPages, anonymous...)
			check("untouched", areaPages)
			check("memfd", 256<<20/int(pageSize), [3]uint64{5, 6, uint64(file)})
			check("userfault", areaPages, [3]uint64{4, 5, uint64(here)})
			check("fresh", 16)
			// The written page of the file is anonymous now; the kernel may have mapped any of the others.
			for _, p := range pages("file", 16) {
				for i := p[0]; i < p[1]; i++ {
					if kind := PageKind(p[2]); (i == 5) != (kind == here) || i != 5 && kind != file {
						t.Errorf("file: page %d is %#x", i, kind)
					}
				}
			}
			for _, want := range [][]uint64{{2, uint64(file)}, {5, uint64(here)}} {
				if !slices.ContainsFunc(pages("file", 16), func(p [3]uint64) bool {
					return p[0] <= want[0] && want[0] < p[1] && p[2] == want[1]
				}) {
					t.Errorf("file: page %d is missing: %v", want[0], pages("file", 16))
				}
			}
			const huge = 2 << 20
			check("huge", 4*huge/int(pageSize), [3]uint64{0, 4 * huge / pageSize, uint64(here)})
			if areas["hugetlb"] != 0 {
				got := pages("hugetlb", 2*huge/int(pageSize))
				if len(got) != 1 || got[0][0] != huge/pageSize || got[0][1] != 2*huge/pageSize {
					t.Errorf("hugetlb: %v", got)
				}
			}
			if areas["swap"] != 0 {
				got := pages("swap", areaPages)
				swapped := len(got) > 0 && got[0] == [3]uint64{7, 8, uint64(PAGE_IS_SWAPPED)}
				resident := len(got) > 0 && got[0] == [3]uint64{7, 8, uint64(here)}
				if len(got) != 2 || !swapped && !resident || got[1] != [3]uint64{30, 31, uint64(here)} {
					t.Errorf("swap: %v", got)
				}
				t.Logf("page 7 of swap is swapped out: %v", swapped)
			}
			if p.how != way.how {
				if way.how == scanWithoutGuards || !hasScan(t) {
					t.Logf("this kernel is older: way %d", p.how)
				} else {
					t.Errorf("asked by way %d, want %d", p.how, way.how)
				}
			}
		})
	}
}

// TestPagesAgree scans all mappings of the victim and of a program of this machine's own word size: all ways agree, with any size
// of buffers and any limit, and so do Next and Scan.
func TestPagesAgree(t *testing.T) {
	victims.SkipEmulated(t, "it takes a minute there, and TestPages has each kind of page")
	pids := map[string]int{}
	victim, areas := startMemory(t)
	pids["victim"] = victim
	if sleep, err := exec.LookPath("sleep"); err == nil { // 64-bit on a 64-bit machine, whatever this test is
		cmd := exec.Command(sleep, "600")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", cmd.Process.Pid))
			if strings.Contains(string(name), "nanosleep") || time.Now().After(deadline) {
				break
			}
		}
		stopAndWait(t, cmd.Process.Pid)
		pids["sleep"] = cmd.Process.Pid
	}
	const all = PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_FILE
	for name, pid := range pids {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
			if err != nil {
				t.Fatal(err)
			}
			var maps []Mapping
			for r := (MapsReader{Rest: text}); ; {
				var m Mapping
				if !r.Next(&m) {
					break
				}
				if !m.IsVsyscall() && string(m.Name) != "[vvar]" && string(m.Name) != "[vvar_vclock]" {
					maps = append(maps, m)
				}
			}
			highest := maps[len(maps)-1].End
			t.Logf("%d mappings, up to %#x", len(maps), highest)
			var want []PageRun
			guards := false
			for _, way := range pageWays {
				for _, buffers := range [][3]int{{1024, 4096, 0}, {1, 8, 0}, {7, 24, 3}, {64, 4095, 100}} {
					restore := sys.Install(way.gate, nil)
					p := &Pages{Scratch: make([]byte, buffers[1]), Runs: make([]PageRun, buffers[0]), Kinds: all}
					openPages(t, pid, p)
					var got, next []PageRun
					for _, m := range maps {
						if way.how == readEntries && m.Size() > 256<<20 && buffers[0] != 1024 {
							continue // a page at a time would take long
						}
						got = append(got, scanAll(t, p, m.Start, m.End, all, buffers[2], buffers[0])...)
					}
					if want == nil {
						want = got
						guards = p.how == scanWithoutGuards
					}
					if way.how == scanPlain && guards { // see TestPages
						got = slices.DeleteFunc(got, func(r PageRun) bool { return r.Kind == PAGE_IS_SWAPPED && r.Start == areas["guard"] })
					}
					if !slices.Equal(got, want) {
						t.Fatalf("%s %v: %x\nwant %x", way.name, buffers, got, want)
					}
					if way.how == scanPlain {
						continue
					}
					for _, m := range maps {
						if way.how == readEntries && m.Size() > 256<<20 && buffers[0] != 1024 {
							continue
						}
						for at := m.Start; at < m.End; {
							var r PageRun
							ok, errno := p.Next(at, m.End, highest, &r)
							if errno != 0 {
								t.Fatal(errno)
							}
							if !ok {
								break
							}
							if last := len(next) - 1; last >= 0 && next[last].End == r.Start && r.Start > m.Start && next[last].Kind == r.Kind {
								next[last].End = r.End
							} else {
								next = append(next, r)
							}
							at = r.End
						}
					}
					if !slices.Equal(next, want) {
						t.Fatalf("Next, %s %v: %x\nwant %x", way.name, buffers, next, want)
					}
					p.Close()
					restore()
				}
			}
		})
	}
}

// TestPagesRanges scans ranges that are not whole pages, unusual ones, and invalid ones.
func TestPagesRanges(t *testing.T) {
	pid, areas := startMemory(t)
	at := areas["anonymous"]
	runs := make([]PageRun, 8)
	for _, way := range pageWays {
		restore := sys.Install(way.gate, nil)
		p := &Pages{Scratch: make([]byte, 64), Runs: make([]PageRun, 8)}
		if _, _, errno := p.Scan(at, at+1, 0, 0, runs); errno != unix.EBADF || p.IsOpen() {
			t.Errorf("not open: %v", errno)
		}
		openPages(t, pid, p)
		for _, c := range []struct{ start, end, wantStart, wantEnd uint64 }{
			{3*pageSize + 5, 3*pageSize + 7, 3*pageSize + 5, 3*pageSize + 7},
			{3*pageSize - 1, 5 * pageSize, 3 * pageSize, 4 * pageSize},
			{0, 3*pageSize + 1, 3 * pageSize, 3*pageSize + 1},
			{0, 3 * pageSize, 0, 0},
			{4 * pageSize, 4 * pageSize, 0, 0},
			{5 * pageSize, 4 * pageSize, 0, 0},
		} {
			n, next, errno := p.Scan(at+c.start, at+c.end, 0, 0, runs)
			if errno != 0 || next != at+c.end || n != min(1, int(c.wantEnd)) {
				t.Errorf("%s %+v: %d runs, next %#x, %v", way.name, c, n, next-at, errno)
			} else if n == 1 && runs[0] != (PageRun{at + c.wantStart, at + c.wantEnd, 0}) {
				t.Errorf("%s %+v: %x", way.name, c, runs[0])
			}
			var r PageRun
			ok, errno := p.Next(at+c.start, at+c.end, 0, &r)
			if ok != (c.wantEnd != 0) || errno != 0 || ok && r != (PageRun{at + c.wantStart, at + c.wantEnd, 0}) {
				t.Errorf("%s Next %+v: %v %x %v", way.name, c, ok, r, errno)
			}
			p.Forget()
		}
		if _, _, errno := p.Scan(at, at+1, 0, 0, nil); errno != unix.EINVAL {
			t.Errorf("%s without room: %v", way.name, errno)
		}
		// Memory that is not user memory: an error, or no pages; never a hang.
		for _, r := range [][2]uint64{{^uint64(0) - pageSize, ^uint64(0)}, {0xffffffffff600000, 0xffffffffff601000}} {
			if n, next, errno := p.Scan(r[0], r[1], 0, 0, runs); n != 0 || errno == 0 && next != r[1] {
				t.Errorf("%s %x: %d runs, next %#x, %v", way.name, r, n, next, errno)
			}
		}
		restore()
	}
	p := &Pages{Scratch: make([]byte, 64), Runs: make([]PageRun, 8)}
	openPages(t, pid, p)
	unix.Kill(pid, unix.SIGKILL)
	for _, way := range []uint8{scanWithoutGuards, readEntries} {
		p.how = way
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			n, _, errno := p.Scan(at, at+areaPages*pageSize, 0, 0, runs)
			if n == 0 {
				t.Logf("of a dead process: %v", errno)
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("a killed process still has pages")
			}
		}
	}
}

// TestPagesHostileKernel checks that a kernel that violates linux/fs.h causes an error, not a loop or a write beyond a buffer.
func TestPagesHostileKernel(t *testing.T) {
	for name, answer := range map[string]func(*pmScanArg) (uintptr, sys.Errno){
		"too many":      func(a *pmScanArg) (uintptr, sys.Errno) { a.walkEnd = a.end; return uintptr(a.vecLen) + 1, 0 },
		"no way":        func(a *pmScanArg) (uintptr, sys.Errno) { a.walkEnd = a.start; return 0, 0 },
		"back":          func(a *pmScanArg) (uintptr, sys.Errno) { a.walkEnd = 0; return 0, 0 },
		"beyond":        func(a *pmScanArg) (uintptr, sys.Errno) { a.walkEnd = a.end + pageSize; return 0, 0 },
		"always EINVAL": func(a *pmScanArg) (uintptr, sys.Errno) { return ^uintptr(0), unix.EINVAL },
		"ENOMEM":        func(a *pmScanArg) (uintptr, sys.Errno) { return ^uintptr(0), unix.ENOMEM },
	} {
		p := &Pages{Scratch: make([]byte, 64), Runs: make([]PageRun, 8)}
		openPages(t, os.Getpid(), p)
		restore := sys.Install(func(n, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
			if n == unix.SYS_IOCTL {
				return answer((*pmScanArg)(*(*unsafe.Pointer)(unsafe.Pointer(&a3))))
			}
			return sysCall(n, a1, a2, a3, a4, a5, a6)
		}, nil)
		var r PageRun
		ok, errno := p.Next(pageSize, 100*pageSize, 0, &r)
		restore()
		if ok || errno == 0 {
			t.Errorf("%s: %v, %v", name, ok, errno)
		}
	}
	if !hasScan(t) {
		return
	}
	// A seccomp filter that does not know PAGEMAP_SCAN, and an interrupted call.
	for _, errno := range []sys.Errno{unix.EPERM, unix.EACCES, unix.ENOSYS, unix.EINTR} {
		p := &Pages{Scratch: make([]byte, 64), Runs: make([]PageRun, 8)}
		openPages(t, os.Getpid(), p)
		first := true
		restore := sys.Install(func(n, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
			if n == unix.SYS_IOCTL && (errno != unix.EINTR || first) {
				first = false
				return ^uintptr(0), errno
			}
			return sysCall(n, a1, a2, a3, a4, a5, a6)
		}, nil)
		at := addressOf(unsafe.Slice((*byte)(unsafe.Pointer(p)), 1))
		var r PageRun
		ok, got := p.Next(at, at+1, 0, &r)
		restore()
		if !ok || got != 0 || r.Start != at || (p.how == readEntries) != (errno != unix.EINTR) {
			t.Errorf("%v: %v %x %v, way %d", errno, ok, r, got, p.how)
		}
	}
}

// TestPagesCalls checks that the ranges of 1,000 stacks cost few calls, and so do ranges between large heaps.
func TestPagesCalls(t *testing.T) {
	pid, areas := startMemory(t)
	p := &Pages{Scratch: make([]byte, 4096), Runs: make([]PageRun, 512)}
	openPages(t, pid, p)
	calls, pages := 0, uint64(0)
	defer sys.Install(func(n, a1, a2, a3, a4, a5, a6 uintptr) (uintptr, sys.Errno) {
		calls++
		if n == unix.SYS_IOCTL {
			pages += uint64((*pmScanArg)(*(*unsafe.Pointer)(unsafe.Pointer(&a3))).maxPages)
		}
		return sysCall(n, a1, a2, a3, a4, a5, a6)
	}, nil)()
	at := areas["memfd"]
	var r PageRun
	if ok, errno := p.Next(at, at+pageSize, at+256<<20, &r); ok || errno != 0 {
		t.Fatal(ok, errno)
	}
	if p.how == readEntries {
		t.Skip("only PAGEMAP_SCAN looks ahead at no cost")
	}
	first := calls
	look := func() {
		for i := range uint64(1000) {
			start := at + i*16*pageSize
			ok, errno := p.Next(start, start+8*pageSize, at+256<<20, &r)
			if errno != 0 || ok != (i == 0) {
				t.Fatal(i, ok, errno)
			}
		}
	}
	if look(); calls != first {
		t.Errorf("%d calls for 1000 ranges", calls)
	}
	if ok, errno := p.Next(areas["huge"], areas["huge"]+pageSize, 0, &r); !ok || errno != 0 {
		t.Fatal(ok, errno)
	}
	if look(); calls != first+1 {
		t.Errorf("%d more calls for the same 1000 ranges after a look elsewhere", calls-first-1)
	}
	// Ranges in a fully present heap, far from each other: the scan ahead shrinks because it is not used.
	at, calls, pages = areas["huge"], 0, 0
	const heap, ranges = 8 << 20, 16
	for i := range uint64(ranges) {
		start := at + i*heap/ranges
		p.Forget()
		p.far.hi = 1 // as after a window that has answered no call
		if ok, errno := p.Next(start, start+pageSize, at+heap, &r); !ok || errno != 0 {
			t.Fatal(i, ok, errno)
		}
	}
	if pages > 2*firstAhead+ranges*(minAhead+2) {
		t.Errorf("up to %d pages in %d calls for %d pages", pages, calls, ranges)
	}
}

// BenchmarkPages looks up the stacks of a process of many threads, one call each and with looking ahead.
func BenchmarkPages(b *testing.B) {
	for _, threads := range []int{20, 1000} {
		v := victims.Start(b, victims.C(b, "victim.c", "-ldl"), "idle", fmt.Sprint(threads))
		d, err := Open(v.PID)
		if err != nil {
			b.Fatal(err)
		}
		defer d.Close()
		text := make([]byte, 1<<20)
		n, _, errno := d.ReadFile("maps\x00", text)
		if errno != 0 {
			b.Fatal(errno)
		}
		var stacks []PageRun
		for r := (MapsReader{Rest: text[:n]}); ; {
			var m Mapping
			if !r.Next(&m) {
				break
			}
			if len(m.Name) == 0 && m.Perm == PermRead|PermWrite && m.Size() > 64<<10 {
				stacks = append(stacks, PageRun{m.End - 32<<10, m.End, 0})
			}
		}
		for _, way := range pageWays {
			for _, ahead := range []uint64{0, stacks[len(stacks)-1].End} {
				if way.how == scanPlain || way.how == readEntries && ahead != 0 {
					continue
				}
				b.Run(fmt.Sprintf("%d stacks/%s/ahead=%v", len(stacks), way.name, ahead != 0), func(b *testing.B) {
					p := &Pages{Scratch: make([]byte, 4096), Runs: make([]PageRun, 1024), how: way.how}
					openPages(b, v.PID, p)
					b.ReportAllocs()
					found := 0
					for b.Loop() {
						p.Forget()
						found = 0
						for _, s := range stacks {
							var r PageRun
							if ok, errno := p.Next(s.Start, s.End, ahead, &r); errno != 0 {
								b.Fatal(errno)
							} else if ok {
								found++
							}
						}
					}
					b.ReportMetric(float64(found), "found")
				})
			}
		}
	}
}

func TestEntryKind(t *testing.T) {
	for entry, want := range map[uint64]PageKind{
		0: 0, 1 << 55: 0, pagemapFile: 0, pagemapPresent: PAGE_IS_PRESENT, pagemapPresent | pagemapFile: PAGE_IS_PRESENT | PAGE_IS_FILE,
		pagemapSwapped: PAGE_IS_SWAPPED, pagemapSwapped | pagemapGuard: 0,
	} {
		if got := entryKind(entry); got != want {
			t.Errorf("%#x is %#x, want %#x", entry, got, want)
		}
	}
	if size := binary.Size(pmScanArg{}); size != 96 {
		t.Errorf("struct pm_scan_arg of %d bytes", size)
	}
}
