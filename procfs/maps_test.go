package procfs

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestParseMapsLine(t *testing.T) {
	tests := []struct {
		line string
		want Mapping
	}{
		{
			"558826c7e000-558826c80000 r--p 00000000 fe:00 247026                     /usr/bin/cat\n",
			Mapping{Start: 0x558826c7e000, End: 0x558826c80000, Inode: 247026, Major: 0xfe, Perm: PermRead, Name: []byte("/usr/bin/cat")},
		},
		{
			"7f0000001000-7f0000002000 rwxs 123456789abc 103:fffff 18446744073709551615 /a b  c ",
			Mapping{Start: 0x7f0000001000, End: 0x7f0000002000, Offset: 0x123456789abc, Inode: 1<<64 - 1, Major: 0x103,
				Minor: 0xfffff, Perm: PermRead | PermWrite | PermExecute | PermShared, Name: []byte("/a b  c ")},
		},
		{ // A 32-bit kernel: eight digits, different padding.
			"00008000-00009000 ---p 00000000 00:00 0 \n",
			Mapping{Start: 0x8000, End: 0x9000},
		},
		{
			"00008000-00009000 ---p 00000000 00:00 0",
			Mapping{Start: 0x8000, End: 0x9000},
		},
		{
			"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n",
			Mapping{Start: 0xffffffffff600000, End: 0xffffffffff601000, Perm: PermExecute, Name: []byte("[vsyscall]")},
		},
		{
			"ffffffffff600000-ffffffffffffffff --xp 00000000 00:00 0                  /\xff\xfe\x00\\012\n",
			Mapping{Start: 0xffffffffff600000, End: 0xffffffffffffffff, Perm: PermExecute, Name: []byte("/\xff\xfe\x00\\012")},
		},
	}
	for _, test := range tests {
		m, ok := ParseMapsLine([]byte(test.line))
		if !ok || !sameMapping(m, test.want) {
			t.Errorf("ParseMapsLine(%q) = %+v, %v; want %+v", test.line, m, ok, test.want)
		}
		if !strings.HasSuffix(test.line, "\n") {
			test.line += "\n"
		}
		m, rest, ok := NextMapping([]byte(test.line + "next"))
		if !ok || !sameMapping(m, test.want) || string(rest) != "next" {
			t.Errorf("NextMapping(%q) = %+v, %q, %v; want %+v", test.line, m, rest, ok, test.want)
		}
	}
}

func sameMapping(a, b Mapping) bool {
	return a.Start == b.Start && a.End == b.End && a.Offset == b.Offset && a.Inode == b.Inode && a.Major == b.Major &&
		a.Minor == b.Minor && a.Perm == b.Perm && bytes.Equal(a.Name, b.Name)
}

// badLines are lines that no kernel writes.
var badLines = []string{
	"",
	"-",
	"1000",
	"1000-2000",
	"1000-2000 ",
	"1000-2000 r--p",
	"1000-2000 r--p 0",
	"1000-2000 r--p 0 0:0",
	"1000-2000 r--p 0 0:0 ",
	"1000-2000 r--p 0 0:0 x",
	"1000-2000 r--p 0 0:0 12x /a",
	"1000-2000 r--p 0 0:0 18446744073709551616 /a",
	"1000-2000 r--p 0 00 0 /a",
	"1000-2000 r--p 0 0:100000000 0 /a",
	"1000-2000 r--p 0 100000000:0 0 /a",
	"1000-2000 r--p -1 0:0 0 /a",
	"1000-2000 r--q 0 0:0 0 /a",
	"1000-2000 wr-p 0 0:0 0 /a",
	"1000-2000 r-p 0 0:0 0 /a",
	"1000-2000 r--pp 0 0:0 0 /a",
	"1000-2000  r--p 0 0:0 0 /a",
	" 1000-2000 r--p 0 0:0 0 /a",
	"2000-2000 r--p 0 0:0 0 /a",
	"2000-1000 r--p 0 0:0 0 /a",
	"0-10000000000000000 r--p 0 0:0 0 /a",
	"10000000000000000-20000000000000000 r--p 0 0:0 0 /a",
	"1000-2000 r--p 10000000000000000 0:0 0 /a",
	"0x1000-0x2000 r--p 0 0:0 0 /a",
	"1000-2000\tr--p\t0\t0:0\t0\t/a",
}

func TestHostileMapsLines(t *testing.T) {
	for _, line := range badLines {
		if m, ok := ParseMapsLine([]byte(line)); ok || !sameMapping(m, Mapping{}) {
			t.Errorf("ParseMapsLine(%q) = %+v, %v; want nothing", line, m, ok)
		}
	}
	if _, ok := ParseMapsLine([]byte("1000-2000 r--p 0 0:0 0 /a\n/b")); ok {
		t.Error("a line with a newline inside was taken")
	}
	// Bad lines are skipped and counted; the lines around them are read.
	text := ""
	for i, line := range badLines {
		text += line + "\n" + fmt.Sprintf("%x000-%x001 r--p 0 0:0 0 n%d\n", i+1, i+1, i)
	}
	r := MapsReader{Rest: []byte(text)}
	var m Mapping
	n := 0
	for ; r.Next(&m); n++ {
		if want := fmt.Sprintf("n%d", n); m.Start != uint64(n+1)<<12 || string(m.Name) != want {
			t.Errorf("mapping %d is %+v %q", n, m, m.Name)
		}
	}
	if n != len(badLines) || r.Skipped != len(badLines) || len(r.Rest) != 0 {
		t.Errorf("%d mappings, %d skipped, rest %q", n, r.Skipped, r.Rest)
	}
}

// TestMapsCutOff checks that a text that ends inside a line does not result in a mapping with half a name.
func TestMapsCutOff(t *testing.T) {
	const text = "1000-2000 r--p 00000000 00:00 0 /one\n2000-3000 r--p 00000000 00:00 0 /two\n"
	first := strings.IndexByte(text, '\n') + 1
	for cut := range text {
		r := MapsReader{Rest: []byte(text[:cut])}
		var m Mapping
		n := 0
		for r.Next(&m) {
			n++
		}
		wantN, wantRest := 0, text[:cut]
		if cut >= first {
			wantN, wantRest = 1, text[first:cut]
		}
		if n != wantN || string(r.Rest) != wantRest || r.Skipped != 0 {
			t.Errorf("cut at %d: %d mappings, rest %q, skipped %d", cut, n, r.Rest, r.Skipped)
		}
	}
}

func TestUnescapeName(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"/a", "/a"},
		{`/a\012b`, "/a\nb"},
		{`\012`, "\n"},
		{`\012\012x\012`, "\n\nx\n"},
		{`/a\134b`, `/a\134b`}, // the kernel does not escape the backslash
		{`/a\040b\011`, `/a\040b\011`},
		{`/a\01`, `/a\01`},
		{`/a\`, `/a\`},
		{`\\012`, "\\\n"},
		{"/\xff\x80", "/\xff\x80"},
	}
	for _, test := range tests {
		dst := make([]byte, len(test.in))
		if n := UnescapeName(dst, []byte(test.in)); string(dst[:n]) != test.want {
			t.Errorf("UnescapeName(%q) = %q, want %q", test.in, dst[:n], test.want)
		}
		same := []byte(test.in)
		if n := UnescapeName(same, same); string(same[:n]) != test.want {
			t.Errorf("UnescapeName(%q) in place = %q, want %q", test.in, same[:n], test.want)
		}
	}
	short := make([]byte, 3)
	if n := UnescapeName(short, []byte(`/\012bcd`)); n != 3 || string(short) != "/\nb" {
		t.Errorf("into 3 bytes: %d, %q", n, short)
	}
}

func TestMappingKinds(t *testing.T) {
	type kinds struct {
		path, deleted, vdso, vsyscall, heap, stack, memfd, ashmem, zero bool
		sysv                                                            uint32
		isSysV                                                          bool
		tid                                                             int32
		anon, trimmed                                                   string
	}
	tests := []struct {
		name string
		want kinds
	}{
		{"", kinds{}},
		{"/", kinds{path: true}},
		{"/usr/lib/libc.so.6", kinds{path: true}},
		{"/tmp/x (deleted)", kinds{path: true, deleted: true, trimmed: "/tmp/x"}},
		{"/tmp/x (deleted) (deleted)", kinds{path: true, deleted: true, trimmed: "/tmp/x (deleted)"}},
		{"/tmp/x(deleted)", kinds{path: true}},
		{" (deleted)", kinds{}},
		{"[vdso]", kinds{vdso: true}},
		{"[vdso] ", kinds{}},
		{"[vsyscall]", kinds{vsyscall: true}},
		{"[vvar]", kinds{}},
		{"[heap]", kinds{heap: true}},
		{"[stack]", kinds{stack: true}},
		{"[stack:123]", kinds{stack: true, tid: 123}},
		{"[stack:]", kinds{}},
		{"[stack:12x]", kinds{}},
		{"[stack:2147483648]", kinds{}},
		{"[stack:123", kinds{}},
		{"[anon:stack_and_tls:4321]", kinds{tid: 4321, anon: "stack_and_tls:4321"}},
		{"[anon:stack_and_tls:main]", kinds{anon: "stack_and_tls:main"}},
		{"[anon:libc_malloc]", kinds{anon: "libc_malloc"}},
		{"[anon:a/b c]", kinds{anon: "a/b c"}},
		{"[anon:]", kinds{}},
		{"[anon:x", kinds{}},
		{"[anon_shmem:dalvik]", kinds{anon: "dalvik"}},
		{"/SYSV0000abcd (deleted)", kinds{path: true, deleted: true, sysv: 0xabcd, isSysV: true, trimmed: "/SYSV0000abcd"}},
		{"/SYSVffffffff", kinds{path: true, sysv: 0xffffffff, isSysV: true}},
		{"/SYSV", kinds{path: true}},
		{"/SYSV1234567", kinds{path: true}},
		{"/SYSV1234567x", kinds{path: true}},
		{"/SYSV123456789", kinds{path: true}},
		{"/memfd:name (deleted)", kinds{path: true, deleted: true, memfd: true, trimmed: "/memfd:name"}},
		{"/dev/ashmem/dalvik-main (deleted)", kinds{path: true, deleted: true, ashmem: true, trimmed: "/dev/ashmem/dalvik-main"}},
		{"/dev/zero (deleted)", kinds{path: true, deleted: true, zero: true, trimmed: "/dev/zero"}},
		{"/dev/zero", kinds{path: true, zero: true}},
		{"/dev/zerox", kinds{path: true}},
		{"anon_inode:[perf_event]", kinds{}},
	}
	for _, test := range tests {
		m := Mapping{Name: []byte(test.name)}
		key, isSysV := m.SysV()
		got := kinds{
			path: m.IsPath(), deleted: m.Deleted(), vdso: m.IsVDSO(), vsyscall: m.IsVsyscall(), heap: m.IsHeap(),
			stack: m.IsStack(), memfd: m.IsMemfd(), ashmem: m.IsAshmem(), zero: m.IsDevZero(), sysv: key, isSysV: isSysV,
			tid: m.StackTID(), anon: string(m.AnonName()), trimmed: string(m.TrimDeleted()),
		}
		if !test.want.deleted {
			test.want.trimmed = test.name
		}
		if got != test.want {
			t.Errorf("%q: %+v, want %+v", test.name, got, test.want)
		}
	}
}

// mapsText returns a maps file of n lines, like that of a program with many libraries.
func mapsText(n int) []byte {
	var b bytes.Buffer
	perms := []string{"r--p", "r-xp", "r--p", "rw-p", "---p"}
	for i := range n {
		start := 0x7f0000000000 + uint64(i)*0x3000
		line := fmt.Sprintf("%x-%x %s %08x fe:00 %d ", start, start+0x2000, perms[i%5], i%5*0x2000, 247026+i/5)
		if i%5 == 4 {
			b.WriteString(line + "\n")
			continue
		}
		fmt.Fprintf(&b, "%-72s /usr/lib/x86_64-linux-gnu/libexample_%d.so.1.2.3\n", line[:len(line)-1], i/5)
	}
	return b.Bytes()
}

func BenchmarkMaps2500(b *testing.B) {
	text := mapsText(2500)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r := MapsReader{Rest: text}
		var m Mapping
		n := 0
		for r.Next(&m) {
			n++
		}
		if n != 2500 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2500, "ns/line")
}

func BenchmarkNextMapping2500(b *testing.B) {
	text := mapsText(2500)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for rest := text; ; n++ {
			var ok bool
			if _, rest, ok = NextMapping(rest); !ok {
				break
			}
		}
		if n != 2500 {
			b.Fatal(n)
		}
	}
}

func FuzzMaps(f *testing.F) {
	f.Add(mapsText(7))
	for _, line := range badLines {
		f.Add([]byte(line + "\n"))
	}
	f.Add([]byte("1000-2000 r--p 0 0:0 0 /a\\012 (deleted)\n1000-2000 r--p 0 0:0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := MapsReader{Rest: text}
		var m Mapping
		n := 0
		for r.Next(&m) {
			n++
			if m.End <= m.Start || bytes.IndexByte(m.Name, '\n') >= 0 || m.Perm > 15 {
				t.Fatalf("mapping %+v", m)
			}
			// The line formatted again must parse to the same mapping.
			line := fmt.Appendf(nil, "%x-%x %s %x %x:%x %d %s", m.Start, m.End, permText(m.Perm), m.Offset, m.Major, m.Minor, m.Inode, m.Name)
			again, ok := ParseMapsLine(line)
			if !ok || !sameMapping(again, m) {
				t.Fatalf("%q: %+v, want %+v", line, again, m)
			}
			m.SysV()
			m.AnonName()
			m.StackTID()
			if trimmed := m.TrimDeleted(); len(trimmed) > len(m.Name) {
				t.Fatalf("TrimDeleted(%q) = %q", m.Name, trimmed)
			}
			name := bytes.Clone(m.Name)
			if k := UnescapeName(name, name); k > len(name) {
				t.Fatalf("UnescapeName(%q) = %d", m.Name, k)
			}
		}
		if lines := bytes.Count(text, []byte("\n")); n+r.Skipped != lines {
			t.Fatalf("%d mappings and %d skipped of %d lines", n, r.Skipped, lines)
		}
		if bytes.IndexByte(r.Rest, '\n') >= 0 || !bytes.HasSuffix(text, r.Rest) {
			t.Fatalf("rest %q", r.Rest)
		}
	})
}

func permText(p Perm) []byte {
	b := []byte("---p")
	for i, c := range "rwxs" {
		if p&(1<<i) != 0 {
			b[i] = byte(c)
		}
	}
	return b
}
