package windows

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

// space is a target's memory: one range of addresses.
type space struct {
	base  uint64
	b     []byte
	reads int
}

func (s *space) Read(addr uint64, p []byte) int {
	s.reads++
	if addr < s.base || addr-s.base >= uint64(len(s.b)) {
		return 0
	}
	return copy(p, s.b[addr-s.base:])
}

func (s *space) pointer(wide bool, at int, v uint64) {
	if wide {
		le.PutUint64(s.b[at:], v)
	} else {
		le.PutUint32(s.b[at:], uint32(v))
	}
}

func (s *space) text(at int, text string) {
	for i, u := range utf16.Encode([]rune(text)) {
		le.PutUint16(s.b[at+2*i:], u)
	}
}

// peb returns the memory of a process with modules of the given names, 0x10000 bytes each from 0x400000 on. The second entry
// of the list is a module that is being unloaded.
func peb(wide bool, names ...string) *space {
	s := &space{base: 0x7ff00000, b: make([]byte, 0x4000)}
	l := layoutOf(wide)
	ldr, entry := 0x200, func(i int) int { return 0x400 + 0x100*i }
	s.pointer(wide, l.pebLdr, s.base+uint64(ldr))
	names = append(names[:1:1], append([]string{""}, names[1:]...)...)
	at := ldr + l.ldrList
	for i, name := range names {
		s.pointer(wide, at, s.base+uint64(entry(i)))
		at = entry(i)
		if name == "" {
			continue
		}
		s.pointer(wide, at+l.entryBase, 0x400000+uint64(i)*0x10000)
		le.PutUint32(s.b[at+l.entrySize:], 0x10000)
		le.PutUint32(s.b[at+l.entryTime:], uint32(0x5e000000+i))
		le.PutUint16(s.b[at+l.entryName:], uint16(2*len(utf16.Encode([]rune(name)))))
		s.pointer(wide, at+l.entryName+l.word, s.base+0x2000+0x100*uint64(i))
		s.text(0x2000+0x100*i, name)
	}
	s.pointer(wide, at, s.base+uint64(ldr+l.ldrList))
	return s
}

func walk(s *space, wide bool) (string, bool) {
	var (
		w   Loader
		m   Module
		out []string
	)
	if !w.Open(s, s.base, wide) {
		return "none", false
	}
	for {
		ok, broken := w.Next(&m)
		if !ok {
			return strings.Join(out, " "), broken
		}
		name := make([]byte, m.NameSize)
		name = name[:s.Read(m.NameAddr, name)]
		var u []uint16
		for i := 0; i+1 < len(name); i += 2 {
			u = append(u, le.Uint16(name[i:]))
		}
		out = append(out, fmt.Sprintf("%s@%x+%x/%x", string(utf16.Decode(u)), m.Base, m.Size, m.TimeStamp))
	}
}

func TestLoader(t *testing.T) {
	for _, wide := range []bool{false, true} {
		s := peb(wide, `C:\a.exe`, `C:\Windows\ntdll.dll`, `D:\ü.dll`)
		want := `C:\a.exe@400000+10000/5e000000 C:\Windows\ntdll.dll@420000+10000/5e000002 D:\ü.dll@430000+10000/5e000003`
		if got, broken := walk(s, wide); got != want || broken {
			t.Errorf("wide %v: %q broken %v, want %q", wide, got, broken, want)
		}
		l := layoutOf(wide)
		// The second entry points to the first: a ring that does not return to the head.
		s.pointer(wide, 0x500, s.base+0x400)
		s.reads = 0
		if _, broken := walk(s, wide); !broken {
			t.Errorf("wide %v: a ring was followed to its end", wide)
		}
		if s.reads > 3*MaxModules {
			t.Errorf("wide %v: %d reads of a ring", wide, s.reads)
		}
		for _, to := range []uint64{0, 0x1234} { // no next entry, or an unreadable one
			s.pointer(wide, 0x500, to)
			if got, broken := walk(s, wide); !broken || !strings.HasPrefix(got, `C:\a.exe`) {
				t.Errorf("wide %v to %#x: %q broken %v", wide, to, got, broken)
			}
		}
		s.pointer(wide, l.pebLdr, 0)
		if got, _ := walk(s, wide); got != "none" {
			t.Errorf("wide %v: %q without a list", wide, got)
		}
	}
}

func TestUnloaded(t *testing.T) {
	for _, wide := range []bool{false, true} {
		l := layoutOf(wide)
		s := &space{b: make([]byte, l.unloadLen)}
		s.pointer(wide, l.unloadBase, 0x12340000)
		s.pointer(wide, l.unloadSize, 0x5000)
		for i, at := range []int{l.unloadSequence, l.unloadTime, l.unloadSum} {
			le.PutUint32(s.b[at:], uint32(7+i))
		}
		s.text(l.unloadName, "winmm.dll")
		var u Unloaded
		if !ParseUnloaded(s.b, wide, &u) || u.Base != 0x12340000 || u.Size != 0x5000 || u.Sequence != 7 || u.TimeStamp != 8 || u.CheckSum != 9 ||
			string(u.Name) != "w\x00i\x00n\x00m\x00m\x00.\x00d\x00l\x00l\x00" {
			t.Errorf("wide %v: %+v", wide, u)
		}
		s.text(l.unloadName, strings.Repeat("x", 32)) // no terminating 0
		if !ParseUnloaded(s.b, wide, &u) || len(u.Name) != UnloadedNameSize {
			t.Errorf("wide %v: name of %d bytes", wide, len(u.Name))
		}
		if ParseUnloaded(s.b[:l.unloadLen-1], wide, &u) || ParseUnloaded(make([]byte, 96), wide, &u) {
			t.Errorf("wide %v: an element that is cut or not in use was taken", wide)
		}
	}
}

func TestRegion(t *testing.T) {
	for _, c := range []struct {
		r       Region
		r4w2x1  int
		comment string
	}{
		{Region{State: MEM_COMMIT, Protect: PAGE_READONLY}, 4, "read-only"},
		{Region{State: MEM_COMMIT, Protect: PAGE_READWRITE}, 6, "data"},
		{Region{State: MEM_COMMIT, Protect: PAGE_READWRITE | PAGE_GUARD}, 2, "guard of a stack"},
		{Region{State: MEM_COMMIT, Protect: PAGE_EXECUTE}, 1, "execute only"},
		{Region{State: MEM_COMMIT, Protect: PAGE_EXECUTE_READ, Type: MEM_IMAGE}, 5, "code"},
		{Region{State: MEM_COMMIT, Protect: PAGE_EXECUTE_WRITECOPY, Type: MEM_IMAGE}, 7, "code that is copied on write"},
		{Region{State: MEM_COMMIT, Protect: PAGE_NOACCESS}, 0, "no access"},
		{Region{State: MEM_COMMIT, Protect: PAGE_READWRITE | PAGE_NOCACHE, Type: MEM_MAPPED}, 2, "device"},
		{Region{State: MEM_RESERVE, Protect: PAGE_READWRITE}, 0, "reserved"},
		{Region{State: MEM_FREE}, 0, "free"},
	} {
		got := 0
		for i, b := range []bool{c.r.Executable(), c.r.Writable(), c.r.Readable()} {
			if b {
				got |= 1 << i
			}
		}
		if got != c.r4w2x1 {
			t.Errorf("%s: %03b, want %03b", c.comment, got, c.r4w2x1)
		}
	}
}

func TestFiletime(t *testing.T) {
	for ft, want := range map[uint64]uint32{0: 0, 116444736000000000: 0, 132223104000000000: 1577836800, ^uint64(0): 0, 116444736000000000 + 1e7: 1} {
		if got := filetimeToUnix(ft); got != want {
			t.Errorf("%d: %d, want %d", ft, got, want)
		}
	}
}

// FuzzLoader checks that following a list in arbitrary memory takes a limited number of reads.
func FuzzLoader(f *testing.F) {
	for _, wide := range []bool{false, true} {
		f.Add(peb(wide, `C:\a.exe`, `C:\b.dll`).b, wide)
	}
	f.Fuzz(func(t *testing.T, b []byte, wide bool) {
		s := &space{base: 0x7ff00000, b: b}
		var (
			w Loader
			m Module
			u Unloaded
		)
		if w.Open(s, s.base, wide) {
			for n := 0; ; n++ {
				if ok, _ := w.Next(&m); !ok {
					break
				}
				if n > MaxModules || m.NameSize < 0 || m.NameSize > maxString {
					t.Fatalf("module %d: %+v", n, m)
				}
			}
		}
		if s.reads > MaxModules+8 {
			t.Fatalf("%d reads", s.reads)
		}
		ParseUnloaded(b, wide, &u)
	})
}
