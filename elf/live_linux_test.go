package elf

import (
	"bufio"
	"bytes"
	stdelf "debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// memory is a Source over /proc/PID/mem from base on.
type memory struct {
	f    *os.File
	base uint64
}

func (m *memory) ReadAt(p []byte, off uint64) int {
	n, _ := m.f.ReadAt(p, int64(m.base+off))
	return n
}

func openMem(t *testing.T, pid string) *os.File {
	t.Helper()
	f, err := os.Open("/proc/" + pid + "/mem")
	if err != nil {
		t.Skip("memory can't be read here: ", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// auxv returns a value of the auxiliary vector of a process, whose word size may differ from this one's.
func auxv(t *testing.T, pid string, key uint64) uint64 {
	t.Helper()
	exe, err := stdelf.Open("/proc/" + pid + "/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	b := read(t, "/proc/"+pid+"/auxv")
	c := Class(exe.Class)
	for w := c.WordSize(); len(b) >= 2*w; b = b[2*w:] {
		if c.word(exe.ByteOrder, b, 0) == key {
			return c.word(exe.ByteOrder, b, w)
		}
	}
	return 0
}

// TestOwnVDSO reads the vDSO of this process: an image that is in no file, with section headers in memory and addresses as
// linked.
func TestOwnVDSO(t *testing.T) {
	base := auxv(t, "self", 33) // AT_SYSINFO_EHDR
	if base == 0 {
		t.Skip("this kernel provides no vDSO")
	}
	mem := &memory{openMem(t, "self"), base}
	var size uint64
	for _, m := range maps(t, "self") {
		if m.lo == base {
			size = m.hi - m.lo
		}
	}
	if size == 0 {
		t.Fatalf("no mapping at %#x", base)
	}
	b := make([]byte, size)
	if mem.ReadAt(b, 0) != len(b) {
		t.Skip("the vDSO can't be read by /proc/self/mem")
	}
	f, err := stdelf.NewFile(bytes.NewReader(b)) // works, because the vDSO has the same layout in memory as in a file
	if err != nil {
		t.Fatal(err)
	}
	names, err := f.DynString(stdelf.DT_SONAME)
	if err != nil || len(names) != 1 || !strings.HasPrefix(names[0], "linux-") {
		t.Fatalf("debug/elf: SONAME %q %v", names, err)
	}
	// The section may have any name: search for the head of the note itself.
	head := make([]byte, 12, 16)
	f.ByteOrder.PutUint32(head, 4)
	f.ByteOrder.PutUint32(head[4:], 20)
	f.ByteOrder.PutUint32(head[8:], NT_GNU_BUILD_ID)
	var want []byte
	if i := bytes.Index(b, append(head, "GNU\x00"...)); i > 0 {
		want = b[i+16 : i+36]
	}
	r := NewReader(nil)
	id, kind, ok := r.BuildIDOf(mem, Placement{Memory: true, Base: base})
	if !ok || kind != IDNote || len(want) == 0 || !bytes.Equal(id, want) {
		t.Errorf("build id %x (%d), want %x", id, kind, want)
	}
	if name, ok := r.Soname(); !ok || string(name) != names[0] {
		t.Errorf("SONAME %q, debug/elf has %q", name, names[0])
	}
	im := batchScan(t, b, base)
	found := false
	for _, n := range im.Notes[:im.NumNotes] {
		found = found || bytes.Equal(BuildID(n.In(b, base), n.Align, r.Header.Order), want)
	}
	if !found {
		t.Error("batch: build id not found")
	}
}

type mapping struct {
	lo, hi, off uint64
	path        string
}

func maps(t *testing.T, pid string) (list []mapping) {
	t.Helper()
	sc := bufio.NewScanner(bytes.NewReader(read(t, "/proc/"+pid+"/maps")))
	for sc.Scan() {
		var m mapping
		var perms, dev string
		var inode uint64
		fmt.Sscanf(sc.Text(), "%x-%x %s %x %s %d %s", &m.lo, &m.hi, &perms, &m.off, &dev, &inode, &m.path)
		list = append(list, m)
	}
	return list
}

// TestLiveProcess reads a running C program: its list of modules, from the dynamic section, agrees with /proc/PID/maps, and the
// identity of each module in memory with that of its file.
func TestLiveProcess(t *testing.T) {
	prog := buildC(t, "#include <stdio.h>\n#include <unistd.h>\n#include <math.h>\nint main(int c, char **v)"+
		" { printf(\"%f\\n\", sin(c)); fflush(stdout); pause(); return 0; }\n", "-no-pie", "-Wl,--no-as-needed", "-lm", "-Wl,--build-id=sha1")
	pie := buildC(t, "#include <stdio.h>\n#include <unistd.h>\n#include <math.h>\nint main(int c, char **v)"+
		" { printf(\"%f\\n\", sin(c)); fflush(stdout); pause(); return 0; }\n", "-pie", "-fPIE", "-Wl,--no-as-needed", "-lm", "-Wl,--build-id=none")
	for _, path := range []string{prog, pie} {
		cmd := exec.Command(path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		watchdog := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		defer watchdog.Stop()
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		checkLive(t, fmt.Sprint(cmd.Process.Pid), path)
	}
}

func checkLive(t *testing.T, pid, path string) {
	f := openMem(t, pid)
	list := maps(t, pid)
	base := uint64(0)
	for _, m := range list {
		if m.path == path && m.off == 0 && base == 0 {
			base = m.lo
		}
	}
	at := func(addr uint64, n int) []byte {
		b := make([]byte, n)
		n, _ = f.ReadAt(b, int64(addr))
		return b[:n]
	}
	page := at(base, 4096)
	h, ok := ParseHeader(page)
	if !ok {
		t.Fatalf("no header of %s at %#x", path, base)
	}
	var im Image
	im.Scan(&h, page[h.Phoff:][:h.ProgTableSize()], base, 4096)
	if want := auxv(t, pid, 9) - h.Entry; im.Bias != want { // AT_ENTRY
		t.Errorf("bias %#x, the kernel says %#x", im.Bias, want)
	}
	if want := auxv(t, pid, 3); base+h.Phoff != want { // AT_PHDR
		t.Errorf("program headers at %#x, the kernel says %#x", base+h.Phoff, want)
	}
	d := h.ParseDynamic(at(im.Dynamic.Addr, int(im.Dynamic.Size)))
	debug := d.Debug
	if addr, ok := d.RldMapAddr(&im); ok {
		debug = h.Class.word(h.Order, at(addr, h.Class.WordSize()), 0)
	}
	rd, ok := ParseRDebug(at(debug, RDebugSize(h.Class)), h.Class, h.Order)
	if !ok || rd.State != 0 || rd.LdBase != auxv(t, pid, 7) { // AT_BASE
		t.Fatalf("r_debug at %#x: %+v %v, the kernel loaded the dynamic linker at %#x", debug, rd, ok, auxv(t, pid, 7))
	}
	var names []string
	r := NewReader(nil)
	prev, compared := uint64(0), 0
	for addr, n := rd.Map, 0; addr != 0; n++ {
		if n > 20 {
			t.Fatal("the list does not end")
		}
		m, ok := ParseLinkMap(at(addr, LinkMapSize(h.Class)), h.Class, h.Order)
		if !ok || m.Prev != prev {
			t.Fatalf("link_map at %#x: %+v %v, came from %#x", addr, m, ok, prev)
		}
		prev, addr = addr, m.Next
		name := cText(at(m.Name, 256))
		names = append(names, name)
		if n == 0 && (m.Addr != im.Bias || m.Ld != im.Dynamic.Addr) {
			t.Errorf("the program itself: %+v, want bias %#x, dynamic section at %#x", m, im.Bias, im.Dynamic.Addr)
		}
		file := name
		if n == 0 {
			file = path
		}
		real, err := filepath.EvalSymlinks(file)
		if err != nil {
			continue // the vDSO
		}
		for _, x := range list {
			if x.off != 0 || x.path != real {
				continue
			}
			compared++
			placement := Placement{Memory: true, Base: x.lo}
			id, kind, _ := r.BuildIDOf(&memory{f, x.lo}, placement)
			got := fmt.Sprintf("%x", id)
			if r.Image.Bias != m.Addr {
				t.Errorf("%s: bias %#x, link_map says %#x", real, r.Image.Bias, m.Addr)
			}
			so, _ := r.Soname()
			gotName := string(so)
			b := &Bytes{read(t, real)}
			id, fileKind, _ := r.BuildIDOf(b, Placement{})
			if kind != IDNone && fileKind == kind && fmt.Sprintf("%x", id) != got || fileKind == IDNote && kind != IDNote {
				t.Errorf("%s: build id %s (%d) in memory, %x (%d) in the file", real, got, kind, id, fileKind)
			}
			if so, _ := r.Soname(); string(so) != gotName {
				t.Errorf("%s: SONAME %q in memory, %q in the file", real, gotName, so)
			}
			break
		}
	}
	if compared < 2 { // the program and the C library at least
		t.Errorf("only %d modules could be compared with their files", compared)
	}
	all := strings.Join(names, " ")
	if len(names) < 3 || names[0] != "" || !strings.Contains(all, "libm") && !strings.Contains(all, "musl") {
		t.Errorf("modules: %q", names)
	}
	t.Logf("%s %s: %q", runtime.GOARCH, filepath.Base(path), names)
}

// cText returns b up to its first NUL.
func cText(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\x00")
	return text
}
