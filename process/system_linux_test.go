package process

import (
	"bytes"
	stdelf "debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/victims"
)

// checkELF compares the sections and notes of a module with its file.
func checkELF(t *testing.T, p *Process, m *Module, path string) {
	t.Helper()
	f, err := stdelf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bias, first := uint64(0), true
	for _, prog := range f.Progs {
		if prog.Type == stdelf.PT_LOAD && first {
			bias, first = m.Base-(prog.Vaddr-prog.Off), false
		}
	}
	loaded := 0
	for _, want := range f.Sections[1:] {
		if f.Section(want.Name) != want {
			continue // another section of that name comes first
		}
		s, err := m.Section(want.Name)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		addr, fileSize := uint64(0), want.FileSize
		if want.Type == stdelf.SHT_NOBITS {
			fileSize = 0
		}
		if want.Flags&stdelf.SHF_ALLOC != 0 && (fileSize > 0 || want.Flags&stdelf.SHF_TLS == 0) {
			addr = want.Addr + bias
			loaded++
		}
		if s.Address != addr || s.FileSize != fileSize || fileSize > 0 && s.Offset != want.Offset {
			t.Errorf("%s: %+v, the file has %+v", path, s, want.SectionHeader)
		}
		if want.Flags&(stdelf.SHF_WRITE|stdelf.SHF_ALLOC) == stdelf.SHF_ALLOC && want.Type == stdelf.SHT_PROGBITS {
			checkContents(t, p, path, &s)
		}
	}
	if loaded == 0 {
		t.Errorf("%s: no section is loaded", path)
	}
	checkNote(t, p, m, f)
}

func checkNote(t *testing.T, p *Process, m *Module, f *stdelf.File) {
	t.Helper()
	section := f.Section(".note.gnu.build-id")
	if section == nil {
		return
	}
	note, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	want := note[16:]
	if id, err := m.BuildID(); err != nil || !bytes.Equal(id, want) {
		t.Errorf("%s: build id %x, %v; the file has %x", m.Path, id, err, want)
	}
	addr, desc, err := m.Note("GNU", 3)
	if errors.Is(err, ErrNoNote) && f.Section(".note.go.buildid") != nil {
		return // Go's linker puts that note outside the note segments
	}
	there := make([]byte, len(want))
	_, readErr := p.Read(addr, there)
	if err != nil || readErr != nil || !bytes.Equal(desc, want) || !bytes.Equal(there, want) {
		t.Errorf("%s: note %x, at %#x %x, %v, %v", m.Path, desc, addr, there, err, readErr)
	}
}

// TestPrograms checks C and Go programs and their libraries.
func TestPrograms(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *victims.Proc{
		"C":  func(t *testing.T) *victims.Proc { return victims.Start(t, victims.C(t, "victim.c"), "idle", "2") },
		"Go": func(t *testing.T) *victims.Proc { return victims.Start(t, victims.Go(t, "gosleep"), "3") },
		"386": func(t *testing.T) *victims.Proc {
			if runtime.GOARCH != "amd64" {
				t.Skip("a 32-bit program under a 64-bit reader, on amd64")
			}
			return victims.Start(t, victims.CrossC(t, "386", "victim.c"), "idle", "2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := start(t)
			p := opened(t, v.PID)
			list, err := p.Modules()
			if err != nil || len(list) == 0 {
				t.Fatal(list, err)
			}
			if list[0].Path != v.Cmd.Path {
				t.Errorf("the first module is %s", list[0].Path)
			}
			for i := range list {
				if list[i].Path == "[vdso]" {
					continue
				}
				checkELF(t, p, &list[i], list[i].Path)
			}
		})
	}
}

func TestSoName(t *testing.T) {
	if runtime.GOARCH == "386" {
		t.Skip("victims of 386 are static")
	}
	victims.SkipEmulated(t, "victims are static there")
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "1")
	p := opened(t, v.PID)
	m := found(t, p, "libc.so.6")
	if name, err := m.SoName(); err != nil || name != "libc.so.6" {
		t.Errorf("%q, %v", name, err)
	}
	program := found(t, p, v.Cmd.Path)
	if name, err := program.SoName(); !errors.Is(err, ErrNoSoName) {
		t.Errorf("%q, %v", name, err)
	}
	// The SONAME finds a library whose file has another name.
	list, err := p.Modules()
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if list[i].Name == "libc.so.6" {
			list[i].Name, list[i].Path = "other", "/other"
		}
	}
	if m := find(list, "libc.so.6"); m == nil || m.Name != "other" {
		t.Errorf("%+v", m)
	}
}

// TestVDSO checks the vDSO, which has no file.
func TestVDSO(t *testing.T) {
	p := opened(t, os.Getpid())
	m, err := p.FindModule("linux-gate.so")
	if err != nil {
		t.Skipf("this kernel has none: %v", err)
	}
	if name, err := m.SoName(); err != nil || !strings.HasPrefix(name, "linux-") {
		t.Errorf("%q, %v", name, err)
	}
	if s, err := m.Section(".dynsym"); err != nil || s.Address <= m.Base || s.Address-m.Base >= m.Size {
		t.Errorf("%+v, %v in %#x, %#x bytes", s, err, m.Base, m.Size)
	}
}

// TestOtherFile checks that a file that is not the one in memory is not used.
func TestOtherFile(t *testing.T) {
	v := victims.Start(t, victims.C(t, "victim.c"), "idle", "1")
	p := opened(t, v.PID)
	m := found(t, p, v.Cmd.Path)
	moved := *m
	moved.first.Start += 0x1000 // so that map_files has no such file
	if s, err := moved.Section(".symtab"); err != nil || s.Address != 0 || s.FileSize == 0 {
		t.Errorf("by path: %+v, %v", s, err)
	}
	otherID := moved
	otherID.id = []byte("another build")
	if _, err := otherID.Section(".symtab"); !errors.Is(err, ErrNoSection) || !errors.Is(err, errOtherFile) {
		t.Error(err)
	}
	b, err := os.ReadFile(v.Cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(v.Cmd.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := moved.Section(".symtab"); !errors.Is(err, ErrNoSection) || !errors.Is(err, unix.ENOENT) {
		t.Errorf("removed: %v", err)
	}
	if err := os.WriteFile(v.Cmd.Path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := moved.Section(".symtab"); !errors.Is(err, ErrNoSection) || !errors.Is(err, unix.ESTALE) {
		t.Errorf("replaced: %v", err)
	}
	// Callers that may open map_files can still open the file without a name.
	if s, err := m.Section(".symtab"); err != nil && os.Getuid() == 0 && !errors.Is(err, ErrNoSection) {
		t.Errorf("map_files: %+v, %v", s, err)
	}
}

// TestPartly reads up to memory that can't be read.
func TestPartly(t *testing.T) {
	page := os.Getpagesize()
	pages, err := unix.Mmap(-1, 0, 3*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	// The Go runtime may reuse unmapped addresses, so the other pages stay mapped.
	if _, _, errno := unix.Syscall(unix.SYS_MUNMAP, uintptr(address(&pages[2*page])), uintptr(page), 0); errno != 0 {
		t.Fatal(errno)
	}
	copy(pages[2*page-4:], "abcd")
	p := opened(t, os.Getpid())
	b := make([]byte, 2*page)
	// The first page has never been used, and reads as zeros.
	n, err := p.Read(address(&pages[100]), b)
	if n != 2*page-100 || string(b[n-4:n]) != "abcd" || !errors.Is(err, ErrUnreadable) || !errors.Is(err, unix.EFAULT) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if text, err := p.String(address(&pages[2*page-3]), 10); text != "bcd" || !errors.Is(err, ErrUnreadable) {
		t.Errorf("%q, %v", text, err)
	}
	pages[2*page-1] = 0
	if text, err := p.String(address(&pages[2*page-4]), 10); text != "abc" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

// TestExecve reads a process that executes another program.
func TestExecve(t *testing.T) {
	o := startOther(t)
	p := opened(t, o.pid)
	if _, err := p.String(o.secret, 100); err != nil {
		t.Fatal(err)
	}
	program := victims.Go(t, "gosleep")
	fmt.Fprintf(o.in, "exec %s 60\n", program)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if m, err := p.FindModule(program); err == nil {
			b := make([]byte, 4)
			if n, err := p.Read(m.Base, b); err != nil || string(b) != "\x7fELF" {
				t.Errorf("%d bytes %q, %v", n, b, err)
			}
			break
		}
		if time.Now().After(end) {
			t.Fatal("it did not execute the program")
		}
	}
	o.cmd.Process.Kill()
}

// TestFirstThreadEnded reads a process whose first thread has ended.
func TestFirstThreadEnded(t *testing.T) {
	v := victims.Start(t, victims.C(t, "odd.c"), "leader", "3")
	p := opened(t, v.PID)
	m := found(t, p, filepath.Base(v.Cmd.Path))
	checkELF(t, p, m, v.Cmd.Path)
}

// TestZombie opens a process that has ended and has not been reaped.
func TestZombie(t *testing.T) {
	o := startOther(t)
	p := opened(t, o.pid)
	o.in.Close()
	victims.WaitThreads(t, o.pid, 'Z')
	if _, err := Open(o.pid); !errors.Is(err, ErrNoProcess) {
		t.Error(err)
	}
	if n, err := p.Read(o.secret, make([]byte, 8)); n != 0 || !errors.Is(err, ErrNoProcess) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if _, err := p.Modules(); !errors.Is(err, ErrNoProcess) {
		t.Error(err)
	}
}

// TestPermission opens a process of root as nobody.
func TestPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	o := startOther(t)
	errs := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread, with its user id, ends with the goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), 65534, ^uintptr(0)); errno != 0 {
			errs <- errno
			return
		}
		_, err := Open(o.pid)
		errs <- err
	}()
	if err := <-errs; !errors.Is(err, ErrPermission) || !strings.HasPrefix(err.Error(), fmt.Sprintf("process: open pid %d: ", o.pid)) {
		t.Error(err)
	}
	if _, err := Open(2); !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrNoProcess) { // [kthreadd]
		if b, _ := os.ReadFile("/proc/2/comm"); string(b) == "kthreadd\n" {
			t.Error(err)
		}
	}
}

// TestArchive checks a library that is mapped from inside an archive.
func TestArchive(t *testing.T) {
	compiler, err := exec.LookPath("gcc")
	if err != nil || runtime.GOARCH != "amd64" {
		t.Skipf("no compiler for libraries: %v", err)
	}
	dir := t.TempDir()
	source, lib := filepath.Join(dir, "inner.c"), filepath.Join(dir, "inner")
	if err := os.WriteFile(source, []byte("int number = 7; int get(void) { return number; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(compiler, "-shared", "-fPIC", "-Wl,--build-id=sha1", "-Wl,-soname=libinner.so.3", "-o", lib, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(lib)
	if err != nil {
		t.Fatal(err)
	}
	const at = 3 * 4096
	archive := filepath.Join(dir, "base.apk")
	if err := os.WriteFile(archive, append(append([]byte("PK\x03\x04"), make([]byte, at-4)...), b...), 0o644); err != nil {
		t.Fatal(err)
	}
	v := victims.Start(t, victims.C(t, "odd.c"), "map", archive, fmt.Sprint(at))
	p := opened(t, v.PID)
	m := found(t, p, "libinner.so.3")
	if m.Path != archive || m.Name != "libinner.so.3" {
		t.Errorf("%+v", m)
	}
	if name, err := m.SoName(); err != nil || name != m.Name {
		t.Errorf("%q, %v", name, err)
	}
	s, err := m.Section(".text")
	if err != nil || s.Offset < at {
		t.Fatalf("%+v, %v", s, err)
	}
	checkContents(t, p, archive, &s)
}
