package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"minidump/context"
	"minidump/internal/scratch"
	"minidump/stream"
)

func TestReason(t *testing.T) {
	params := func(p ...uint64) (n uint32, list [stream.EXCEPTION_MAXIMUM_PARAMETERS]uint64) {
		return uint32(copy(list[:], p)), list
	}
	const linux, mac, windows = stream.MD_OS_LINUX, stream.MD_OS_MAC_OS_X, stream.MD_OS_WIN32_NT
	for _, c := range []struct {
		os          uint32
		arch        context.Arch
		code, flags uint32
		address     uint64
		params      []uint64
		want        string
	}{
		{linux, context.AMD64, 0xffffffff, 0, 0x1000, nil, "dump requested, no crash"},
		{linux, context.AMD64, 11, 1, 0x45, []uint64{1, 0x45}, "SIGSEGV / SEGV_MAPERR, write of 0x45"},
		{linux, context.AMD64, 11, 1, 0, []uint64{0, 0}, "SIGSEGV / SEGV_MAPERR, read of 0x0"},
		{linux, context.AMD64, 11, 2, 0x1000, []uint64{8, 0x1000}, "SIGSEGV / SEGV_ACCERR, execute of 0x1000"},
		{linux, context.AMD64, 11, 1, 0x45, nil, "SIGSEGV / SEGV_MAPERR, at 0x45"},
		{linux, context.AMD64, 11, 0x80, 0, []uint64{0, 0}, "SIGSEGV / SI_KERNEL, read of 0x0"},
		{linux, context.AMD64, 11, 0x80, 0, nil, "SIGSEGV / SI_KERNEL, the address is not known"},
		{linux, context.AMD64, 11, 0, 0x45, nil, "SIGSEGV / SI_USER, address 0x45"},
		{linux, context.AMD64, 6, 0xfffffffa, 0, []uint64{12, 1000}, "SIGABRT / SI_TKILL, sent by PID 12, UID 1000"},
		{linux, context.AMD64, 6, 0, 0, []uint64{12, 0}, "SIGABRT / SI_USER, sent by PID 12, UID 0"},
		{linux, context.AMD64, 8, 1, 0x1000, nil, "SIGFPE / FPE_INTDIV, at 0x1000"},
		{linux, context.AMD64, 31, 1, 0x1000, []uint64{2, 3}, "SIGSYS / SYS_SECCOMP, system call 2"},
		{linux, context.MIPS, 10, 1, 0x1001, nil, "SIGBUS / BUS_ADRALN, at 0x1001"},
		{stream.MD_OS_ANDROID, context.ARM64, 4, 1, 8, nil, "SIGILL / ILL_ILLOPC, at 0x8"},
		{mac, context.ARM64, 1, 1, 0x45, nil, "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS, at 0x45"},
		{mac, context.AMD64, 1, 13, 0, nil, "EXC_BAD_ACCESS / EXC_I386_GPFLT, the address is not known"},
		{mac, context.AMD64, 2, 1, 0, nil, "EXC_BAD_INSTRUCTION / EXC_I386_INVOP"},
		{mac, context.ARM64, 6, 1, 0, nil, "EXC_BREAKPOINT / EXC_ARM_BREAKPOINT"},
		{mac, context.AMD64, 0x43507378, 0, 0, nil, "dump requested, no crash"},
		{mac, context.AMD64, 0, 2, 3, nil, "exception 0x0, flags 0x2, address 0x3"},
		{mac, context.AMD64, 14, 2, 3, nil, "exception 0xe, flags 0x2, address 0x3"},
		{windows, context.AMD64, 0xc0000005, 0, 0x1000, []uint64{1, 0}, "EXCEPTION_ACCESS_VIOLATION, write of 0x0"},
		{windows, context.AMD64, 0xc0000006, 0, 0x1000, []uint64{0, 5, 0xc000009c},
			"EXCEPTION_IN_PAGE_ERROR, read of 0x5, status 0xc000009c"},
		{windows, context.AMD64, 0xc0000005, 0, 0x1000, nil, "EXCEPTION_ACCESS_VIOLATION"},
		{windows, context.AMD64, 0xc00000fd, 0, 0x1000, nil, "EXCEPTION_STACK_OVERFLOW"},
		{windows, context.AMD64, 0xe06d7363, 0, 0x1000, nil, "C++ exception"},
		{windows, context.AMD64, 0xc0000409, 0, 0x1000, []uint64{7}, "STATUS_STACK_BUFFER_OVERRUN / FAST_FAIL_FATAL_APP_EXIT"},
		{windows, context.AMD64, 0x0517a7ed, 0, 0x1000, nil, "dump requested, no crash"},
		{windows, context.AMD64, 0x12345678, 0, 0x1000, nil, "exception 0x12345678, flags 0x0, address 0x1000"},
		{0x4242, context.ArchUnknown, 11, 1, 2, nil, "exception 0xb, flags 0x1, address 0x2"},
	} {
		e := stream.Exception{Code: c.code, Flags: c.flags, Address: c.address}
		e.NumberParameters, e.Information = params(c.params...)
		if got := reasonOf(&e, c.os, c.arch).text(); got != c.want {
			t.Errorf("system %#x, code %#x, flags %#x: %q, want %q", c.os, c.code, c.flags, got, c.want)
		}
	}
}

// TestReasonTooManyParameters checks that a count of parameters that exceeds the record is capped.
func TestReasonTooManyParameters(t *testing.T) {
	e := stream.Exception{Code: 0xc0000005, NumberParameters: 0xffffffff}
	if r := reasonOf(&e, stream.MD_OS_WIN32_NT, context.AMD64); len(r.Parameters) != stream.EXCEPTION_MAXIMUM_PARAMETERS {
		t.Errorf("%d parameters", len(r.Parameters))
	}
}

func TestModuleVersion(t *testing.T) {
	for _, c := range []struct {
		os   uint32
		v    [4]uint32
		want string
	}{
		{stream.MD_OS_LINUX, [4]uint32{6, 0, 30, 0}, "6.0.30"},
		{stream.MD_OS_LINUX, [4]uint32{6}, "6"},
		{stream.MD_OS_LINUX, [4]uint32{}, ""},
		{stream.MD_OS_LINUX, [4]uint32{20240101, 1, 2, 3}, "20240101.1.2.3"},
		{stream.MD_OS_WIN32_NT, [4]uint32{0x60002, 0x456304a8, 0x60002, 0x456304a8}, "6.2.17763.1192"},
		{stream.MD_OS_WIN32_NT, [4]uint32{0x10000}, "1.0.0.0"},
		{stream.MD_OS_MAC_OS_X, [4]uint32{1277, 120<<16 | 1}, "1277.120.1"},             // as Breakpad writes it
		{stream.MD_OS_MAC_OS_X, [4]uint32{1277<<16 | 120, 1 << 16, 9, 9}, "1277.120.1"}, // as Crashpad writes it
	} {
		v := stream.FixedFileInfo{Signature: stream.VS_FFI_SIGNATURE, FileVersionMS: c.v[0], FileVersionLS: c.v[1],
			ProductVersionMS: c.v[2], ProductVersionLS: c.v[3]}
		if got := moduleVersion(&v, c.os); got != c.want {
			t.Errorf("%#x %v: %q, want %q", c.os, c.v, got, c.want)
		}
	}
}

// TestShowWindows shows a dump of Windows: no /proc streams, a module with a Windows path, and main parts missing.
func TestShowWindows(t *testing.T) {
	b := handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_AMD64, stream.MD_OS_WIN32_NT),
		exception(stream.Exception{ThreadID: 7, Code: 0xc0000094, Address: 0x140001000}),
		module(stream.Module{BaseOfImage: 0x140000000, SizeOfImage: 0x8000}, `C:\Program Files\app.exe`))
	got := showText(t, b, textOptions{})
	for _, want := range []string{"\nProcess   app.exe, PID not known\n", "\nSystem    Windows 10.0.0\n",
		"\nCPU       amd64, 4 processors\n", "\nReason    EXCEPTION_INT_DIVIDE_BY_ZERO\n",
		"\nThread    7 (not in the thread list)\n", "\n  140000000   32 KB  -         app.exe\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestShowBigEndian shows a big-endian dump with few contents.
func TestShowBigEndian(t *testing.T) {
	b := handmade(t, binary.BigEndian, system(context.S390X.ProcessorArchitecture(), stream.MD_OS_LINUX),
		text(stream.LinuxProcStatus, "Name:\tthing\nTgid:\t77\nPid:\t78\n"), text(stream.LinuxCmdLine, "thing\x00a b\x00\x00"))
	got := showText(t, b, textOptions{})
	for _, want := range []string{"big-endian, 3 streams, created 2023-11-14 22:13:20 UTC\n", "Process   thing (PID 77)\n",
		"Command   thing \"a b\"\n", "CPU       s390x, 4 processors\n", "Reason    not known: the dump has no exception\n",
		"Threads (0)\n", "ThreadListStream is missing\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestShowEscapes checks that text from a dump can't control the terminal.
func TestShowEscapes(t *testing.T) {
	b := handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_AMD64, stream.MD_OS_LINUX),
		module(stream.Module{BaseOfImage: 0x1000, SizeOfImage: 0x8000}, "/x/\x1b]0;evil\x07\nReason    none"),
		text(stream.LinuxCmdLine, "\x1b[2J\x00\xff\x00"), text(stream.LinuxLSBRelease, "PRETTY_NAME=\"\x1b[31mred\"\n"),
		text(stream.LinuxCPUInfo, "model name\t: \u202echip\r\n"), text(stream.MozSoftErrors, `[{"A": "\u001b[1m"}, "\u0007"]`))
	for _, o := range []textOptions{{}, {all: true, memory: true}} {
		got := showText(t, b, o)
		for _, r := range got {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%q in %q", r, got)
			}
		}
		if !strings.Contains(got, `\x1b]0;evil\a\nReason    none`) {
			t.Errorf("no module in %s", got)
		}
	}
}

func TestShowLongLists(t *testing.T) {
	const n = 120
	b := handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_AMD64, stream.MD_OS_LINUX),
		piece{stream.ThreadListStream, func(e *stream.Encoder) {
			e.U32(n)
			for i := range n {
				r := stream.Thread{ThreadID: uint32(1000 + i)}
				r.Put(e.Next(stream.ThreadSize), e.Order())
			}
		}}, exception(stream.Exception{ThreadID: 1000 + n - 1, Code: 11, Flags: 1}))
	got := showText(t, b, textOptions{})
	if !strings.Contains(got, "Threads (120)\n") || !strings.Contains(got, "\n  *1119  ") ||
		!strings.Contains(got, "\n  … and 70 more (-v shows all)\n") || strings.Count(got, "  -\n") != 50 {
		t.Errorf("%s", got)
	}
	if got = showText(t, b, textOptions{all: true}); strings.Contains(got, "more") || strings.Count(got, "  -\n") != n {
		t.Errorf("%s", got)
	}
}

// TestShowRepeatedName checks that thousands of records with the same long name don't make gigabytes of output.
func TestShowRepeatedName(t *testing.T) {
	const n, long = 4000, 500_000
	b := handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_AMD64, stream.MD_OS_LINUX),
		piece{stream.ModuleListStream, func(e *stream.Encoder) {
			e.U32(n)
			name := uint32(e.Offset()) + n*stream.ModuleSize
			for i := range n {
				m := stream.Module{BaseOfImage: uint64(i) << 20, SizeOfImage: 1 << 20, NameRVA: name}
				m.Put(e.Next(stream.ModuleSize), e.Order())
			}
			e.String([]byte("/x/" + strings.Repeat("y", long)))
		}})
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	d := readDump(f, "x")
	j, err := json.Marshal(d)
	if err != nil || len(j) > 20*len(b) {
		t.Errorf("%d bytes of JSON of a file of %d, %v", len(j), len(b), err)
	}
	var out strings.Builder
	printText(&out, d, textOptions{all: true, memory: true})
	if out.Len() > 20*len(b) {
		t.Errorf("%d bytes of text of a file of %d", out.Len(), len(b))
	}
}

func TestSoftLines(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:                                 "",
		`["PrincipalMappingNotReferenced"]`:  "PrincipalMappingNotReferenced",
		`[{"StopProcessFailed": "Timeout"}]`: "StopProcessFailed: Timeout",
		`[{"InitErrors": ["A", {"B": {"C": "D"}}]}]`:                                    "A|C: D",
		`[{"X": {"what": "read stack", "thread": 5, "address": "0x10", "error": "E"}}]`: "read stack of thread 5 at 0x10: E",
		`[{"X": {"what": "identify module", "subject": "a\nb"}}]`:                       `identify module "a\nb"`,
		`no JSON`: "no JSON",
		`17`:      "17",
	} {
		if got := strings.Join(softLines(text), "|"); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestShowErrors(t *testing.T) {
	dir := scratch.Dir(t)
	for name, content := range map[string]string{"empty": "", "text": strings.Repeat("hello\n", 100),
		"cut": "MDMP\x93\xa7\x00\x00\xff\x00\x00\x00\x20\x00\x00\x00aaaabbbbccccdddd"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0644); err != nil {
			t.Fatal(err)
		}
	}
	for name, message := range map[string]string{"none": "minidump: open none: ", "empty": "minidump: empty: header: ",
		"text": "minidump: text: signature ", "cut": "minidump: cut: directory of 255 streams: "} {
		for _, flags := range [][]string{nil, {"--json"}, {"--stream", "maps"}} {
			o := run(t, dir, append([]string{"show", name}, flags...)...)
			o.want(t, 1, message)
			if o.out != "" || strings.Count(o.err, "\n") != 1 {
				t.Errorf("printed %q and %q", o.out, o.err)
			}
		}
	}
	runWith(t, command(t, dir, "show", "-"), strings.NewReader("x")).want(t, 1, "minidump: standard input: header: ")
}

func TestBytesText(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1 KB", 1536: "1.5 KB", 10<<10 - 1: "10 KB",
		156 << 10: "156 KB", 1000 << 10: "1.0 MB", 1 << 20: "1 MB", 5<<30 + 1<<29: "5.5 GB", 1<<64 - 1: "16 EB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// TestShowDeepSoftErrors checks that soft errors nested thousands of levels deep don't make thousands of times as
// much output when they are indented.
func TestShowDeepSoftErrors(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`["[{",`, n) + "1" + strings.Repeat("]", n) }
	for _, c := range []struct {
		depth int
		as    string
	}{{3, "["}, {16, "["}, {17, `"`}, {9000, `"`}} {
		path := filepath.Join(scratch.Dir(t), "deep.dmp")
		dump := handmade(t, binary.LittleEndian, text(stream.MozSoftErrors, deep(c.depth)))
		if err := os.WriteFile(path, dump, 0600); err != nil {
			t.Fatal(err)
		}
		o := run(t, filepath.Dir(path), "show", "--json", path)
		o.want(t, 0, "")
		if !json.Valid([]byte(o.out)) || !strings.Contains(o.out, `"soft_errors": `+c.as) {
			t.Errorf("%d deep: %.500s", c.depth, o.out)
		}
		if len(o.out) > 20*len(dump)+4096 {
			t.Errorf("%d deep: %d bytes of a dump of %d", c.depth, len(o.out), len(dump))
		}
	}
}

func FuzzShow(f *testing.F) {
	f.Add(handmade(f, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_AMD64, stream.MD_OS_LINUX),
		exception(stream.Exception{ThreadID: 7, Code: 11, Flags: 1, NumberParameters: 2}),
		module(stream.Module{BaseOfImage: 0x1000, SizeOfImage: 0x8000}, "/bin/x"),
		text(stream.LinuxCmdLine, "a\x00b\x00"), text(stream.LinuxAuxv, strings.Repeat("\x01", 40)),
		text(stream.MozSoftErrors, `[{"InitErrors": ["A"]}]`)))
	f.Add(handmade(f, binary.LittleEndian, module(stream.Module{SizeOfImage: 1}, "a\ufffd")))
	f.Add(handmade(f, binary.BigEndian, system(stream.MD_CPU_ARCHITECTURE_X86, stream.MD_OS_WIN32_NT),
		piece{stream.ThreadListStream, func(e *stream.Encoder) { e.U32(1); e.Zero(stream.ThreadSize) }},
		piece{stream.MemoryListStream, func(e *stream.Encoder) {
			e.U32(1)
			m := stream.MemoryDescriptor{Start: 1<<64 - 16, Memory: stream.Location{DataSize: 16}}
			m.Put(e.Next(stream.MemoryDescriptorSize), e.Order())
		}},
		piece{stream.MiscInfoStream, func(e *stream.Encoder) { e.U32(24); e.U32(0xffffffff); e.Zero(16) }}))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := stream.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		start := time.Now()
		defer func() {
			if d := time.Since(start); d > 3*time.Second {
				t.Fatalf("%d bytes took %v", len(b), d)
			}
		}()
		d := readDump(file, "x")
		for _, o := range []textOptions{{}, {all: true, memory: true}} {
			var out strings.Builder
			printText(&out, d, o)
			if !utf8.ValidString(out.String()) {
				t.Fatalf("bytes that are no text in %q", out.String())
			}
			for _, r := range out.String() {
				if r != '\n' && !unicode.IsPrint(r) {
					t.Fatalf("%q in %q", r, out.String())
				}
			}
		}
		j, err := json.Marshal(d)
		if err != nil || !json.Valid(j) {
			t.Fatalf("%v in %q", err, j)
		}
	})
}
