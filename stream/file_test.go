package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"minidump/internal/scratch"
)

func TestFile(t *testing.T) {
	for _, o := range orders {
		for _, wide := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v/%v", o, wide), func(t *testing.T) {
				s := &sample{wide: wide}
				testSample(t, s, open(t, s.write(t, o)), o)
			})
		}
	}
}

func testSample(t *testing.T, s *sample, f *File, o binary.ByteOrder) {
	if f.Order != o || len(f.Directory) != len(sampleStreams) || f.Header.TimeDateStamp != 1700000000 {
		t.Errorf("order %v, %d streams, %+v", f.Order, len(f.Directory), f.Header)
	}
	threads, err := f.Threads()
	same(t, "Threads", err, threads, []Thread{
		{71, 0, 0, 4, 5, MemoryDescriptor{0x7ff000, s.loc("stack")}, s.loc("context")}, {ThreadID: 72}})
	context, err := f.Context(threads[0].Context)
	same(t, "Context", err, string(context), "context of thread")
	context, err = f.Context(threads[1].Context)
	same(t, "Context", err, context, []byte(nil))
	names, err := f.ThreadNames()
	same(t, "ThreadNames", err, names, map[uint32]string{71: "main", 72: "wörker 𝄞"})
	info, err := f.ThreadInfo()
	same(t, "ThreadInfo", err, info, []ThreadInfo{{ThreadID: 71, StartAddress: 0x401000},
		{ThreadID: 72, StartAddress: 0x401000}})

	modules, err := f.Modules()
	debug := "33221100554477668899AABBCCDDEEFF0"
	mark := "LEpB"
	if o == binary.BigEndian {
		debug, mark = "00112233445566778899AABBCCDDEEFF0", "BpEL"
	}
	same(t, "Modules", err, modules, []ModuleInfo{
		{Module{BaseOfImage: 0x400000, SizeOfImage: 0x2000, NameRVA: s.at["path"], CvRecord: s.loc("cv")}, "/bin/app",
			[]byte(mark + "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x01"),
			"00112233445566778899aabbccddeeff01", debug, "00112233445566778899aabbccddeeff01"},
		{Module: Module{BaseOfImage: 0x600000, SizeOfImage: 0x1000, NameRVA: s.at["library"],
			VersionInfo: FixedFileInfo{Signature: VS_FFI_SIGNATURE, FileVersionMS: 6}}, Name: "/lib/libc.so.6"}})
	unloaded, err := f.UnloadedModules()
	same(t, "UnloadedModules", err, unloaded, []UnloadedModuleInfo{
		{UnloadedModule{0x800000, 0x1000, 0, 0, s.at["library"]}, "/lib/libc.so.6"}})

	exception, err := f.Exception()
	same(t, "Exception", err, exception, Exception{ThreadID: 71, Code: 11, Flags: 1, Address: 0x10, NumberParameters: 1,
		Information: [15]uint64{3}, Context: s.loc("context")})
	system, uname, err := f.SystemInfo()
	same(t, "SystemInfo", err, uname, "Linux 6.1")
	var cpu X86CPU
	cpu.Get(system.CPU[:], f.Order)
	if system.PlatformID != MD_OS_LINUX || system.NumberOfProcessors != 2 || cpu.FeatureInformation != 7 {
		t.Errorf("SystemInfo: %+v", system)
	}
	misc, err := f.MiscInfo()
	same(t, "MiscInfo", err, misc, MiscInfo5{MiscInfo2: MiscInfo2{MiscInfo: MiscInfo{24, 1, 71, 0, 0, 0}}})
	memory, err := f.MemoryInfo()
	same(t, "MemoryInfo", err, memory, []MemoryInfo{{0x400000, 0x400000, 2, 0x2000, 0x1000, 0x20, 0x20000}})
	handles, err := f.Handles()
	want := HandleInfo{HandleDescriptor2{HandleDescriptor{3, s.at["type"], s.at["object"], 0o20666, 0, 0, 0}, s.at["object info"]},
		"File", "/dev/null"}
	if s.wide {
		want.ObjectInfoRVA = 0
	}
	same(t, "Handles", err, handles, []HandleInfo{want})
	testWindowsStreams(t, s, f)
	testMacosStreams(t, f)
	breakpad, err := f.BreakpadInfo()
	same(t, "BreakpadInfo", err, breakpad, BreakpadInfo{2, 0, 71})

	dso, err := f.DSODebug()
	same(t, "DSODebug", err, dso, DSODebugInfo{DSODebug64{1, s.at["link maps"], 2, 0x700000, 0x680000, 0x401f00},
		[]LinkMapInfo{{LinkMap64{0x400000, s.at["path"], 0x401f00}, "/bin/app"},
			{LinkMap64{0x600000, s.at["library"], 0x600f00}, "/lib/libc.so.6"}}, []byte("dynamic section.")})
	crashpad, err := f.CrashpadInfo()
	same(t, "CrashpadInfo", err, crashpad, CrashpadData{
		CrashpadInfo{1, GUID{Data1: 1}, GUID{Data2: 2}, s.loc("dictionary"), s.loc("annotated modules")},
		[]Annotation{{"key", "value"}},
		[]ModuleAnnotations{{1, 1, []string{"message"}, []Annotation{{"key", "value"}},
			[]AnnotationObjectInfo{{"name", AnnotationTypeString, []byte("value")}}}}})
	sets, err := f.RegisterSets()
	same(t, "RegisterSets", err, sets, []RegisterSet{{71, 0x202, s.loc("xstate")}})
	text, err := f.Text(LinuxMaps)
	same(t, "Text", err, text, "400000-402000 r-xp\n")
	text, err = f.SoftErrors()
	same(t, "SoftErrors", err, text, "[]")

	ranges, err := f.MemoryRanges()
	heap := uint64(s.at["heap"])
	same(t, "MemoryRanges", err, ranges, []MemoryRange{{0x401000, 4, uint64(s.at["code"])}, {0x401004, 4, heap + 6},
		{0x7ff000, 16, uint64(s.at["stack"])}, {0x900000, 6, heap}})
	p := make([]byte, 6)
	n, err := f.ReadMemory(0x401001, p)
	same(t, "ReadMemory", err, string(p[:n]), "odemor")
	if n, err = f.ReadMemory(0x401005, p); n != 3 || err != ErrNoMemory || string(p[:n]) != "ore" {
		t.Errorf("ReadMemory at the end of a range: %d, %v", n, err)
	}

	if _, err := f.Stream(LinuxCPUInfo); !errors.Is(err, ErrNoStream) {
		t.Errorf("Stream: %v", err)
	}
	if _, err := f.Stream(UnusedStream); !errors.Is(err, ErrNoStream) {
		t.Errorf("Stream: %v", err)
	}
	same(t, "Problems", nil, Problems(f), []string(nil))
}

func testWindowsStreams(t *testing.T, s *sample, f *File) {
	objects, err := f.HandleObjects(s.at["object info"])
	same(t, "HandleObjects", err, objects, []HandleObject{
		{HandleObjectInformation{s.at["object info 2"], MiniThreadInformation1, 16}, []byte("\x11\x11\x11\x11")},
		{HandleObjectInformation{0, MiniMutantInformation1, 12}, []byte{}}})
	operations, err := f.HandleOperations()
	same(t, "HandleOperations", err, operations, []HandleOperation{{Handle: 3, ThreadID: 71, OperationType: 2, Depth: 1,
		ReturnAddresses: [AVRF_MAX_TRACES]uint64{0x401234}}})
	tokens, err := f.Tokens()
	same(t, "Tokens", err, tokens, []TokenData{{TokenInfo{21, 70, 0x44}, []byte("token"), nil},
		{TokenInfo{16, 71, 0x48}, []byte{}, nil}})
	tables, err := f.FunctionTables()
	same(t, "FunctionTables", err, tables, []FunctionTableData{
		{FunctionTable{0x5000, 0x6000, 0x5000, 1, 3}, []byte("nat1"), []byte("entry......1")},
		{FunctionTable{0x7000, 0x8000, 0x7000, 0, 0}, []byte("nat2"), []byte{}}})
	system, err := f.SystemMemoryInfo()
	same(t, "SystemMemoryInfo", err, system, SystemMemoryInfo{Revision: 1,
		BasicInfo: SystemBasicInformation{PageSize: 4096, NumberOfPhysicalPages: 1 << 20}})
	counters, err := f.ProcessVMCounters()
	same(t, "ProcessVMCounters", err, counters, ProcessVMCounters{Revision: 2, Flags: 1, WorkingSetSize: 5})
	assertion, err := f.Assertion()
	same(t, "Assertion", err, assertion, Assertion{"p!=0", "f", "a.c", 7, 1})
	comment, err := f.Comment()
	same(t, "Comment", err, comment, "why")
}

func testMacosStreams(t *testing.T, f *File) {
	info, err := f.MacosCrashInfo()
	same(t, "MacosCrashInfo", err, info, []MacosCrashInfoData{{MacosCrashInfoRecord{0x4d7a0001, 5, 1, 2, 3},
		"/usr/lib/libc.dylib", "abort() called", "", "", "more"}})
	bootargs, err := f.MacosBootargs()
	same(t, "MacosBootargs", err, bootargs, "-v")
}

func TestOpenFile(t *testing.T) {
	path := filepath.Join(scratch.Dir(t), "a.dmp")
	if err := os.WriteFile(path, (&sample{wide: true}).write(t, binary.BigEndian), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if threads, err := f.Threads(); err != nil || len(threads) != 2 {
		t.Errorf("%d threads, %v", len(threads), err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.Threads(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, err := OpenFile(file); err == nil {
		t.Error("a closed file can be read")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if file, err = os.Open(path); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFile(file); !errors.Is(err, ErrTruncated) {
		t.Error(err)
	}
	if err := file.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("OpenFile left the file open that it failed with: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	good := (&sample{wide: true}).write(t, binary.LittleEndian)
	change := func(at int, v uint32) []byte {
		b := bytes.Clone(good)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	for _, test := range []struct {
		name string
		b    []byte
		want error
	}{
		{"empty", nil, ErrTruncated},
		{"half a header", good[:31], ErrTruncated},
		{"half a directory", good[:40], ErrTruncated},
		{"signature", change(0, 0x504d444e), ErrFormat},
		{"version", change(4, 0xa794), ErrFormat},
		{"too many streams", change(8, 0xffffffff), ErrTruncated},
		{"as many streams as wrap to few", change(8, 0x40000001), ErrTruncated},
		{"directory behind the end", change(12, uint32(len(good))), ErrTruncated},
		{"directory far behind the end", change(12, 0xffffffff), ErrTruncated},
	} {
		if _, err := Open(bytes.NewReader(test.b), int64(len(test.b))); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if _, err := Open(bytes.NewReader(good), -1); !errors.Is(err, ErrTruncated) {
		t.Errorf("negative size: %v", err)
	}
	if _, err := Open(bytes.NewReader(nil), 1<<62); !errors.Is(err, ErrTruncated) {
		t.Errorf("size that is not there: %v", err)
	}
	if _, err := Open(bytes.NewReader(change(8, 0)), int64(len(good))); err != nil {
		t.Errorf("no streams: %v", err)
	}
}

// TestCut cuts files at any length: everything before the cut is still read, and nothing panics.
func TestCut(t *testing.T) {
	s := &sample{wide: true}
	good := s.write(t, binary.LittleEndian)
	for n := range good {
		f, err := Open(bytes.NewReader(good[:n]), int64(n))
		if err != nil {
			continue
		}
		walk(f)
		_, err = f.Exception()
		if whole := n >= int(s.at[ExceptionStream.String()+"/"]); whole != (err == nil) {
			t.Errorf("cut at %d: %v", n, err)
		}
		if len(Problems(f)) == 0 {
			t.Errorf("cut at %d is no problem", n)
		}
	}
}

// TestDamaged sets every word of a file to values that cause overflows.
func TestDamaged(t *testing.T) {
	step := 2
	if testing.Short() {
		step = 14
	}
	for _, o := range orders {
		good := (&sample{wide: o == binary.LittleEndian}).write(t, o)
		for at := 8; at+4 <= len(good); at += step {
			for _, v := range []uint32{0, 1, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff} {
				b := bytes.Clone(good)
				o.PutUint32(b[at:], v)
				if f, err := Open(bytes.NewReader(b), int64(len(b))); err == nil {
					walk(f)
				}
			}
		}
	}
}

// TestBounded checks that a file whose records all point to the same large piece costs no more than a small multiple of its size.
func TestBounded(t *testing.T) {
	const records, size = 10000, 1 << 20
	// The file is the directory, one list, and words that are each the length of a string that reaches to the end.
	build := func(typ Type, head func(e *Encoder), record func(e *Encoder, rva uint32)) []byte {
		var out bytes.Buffer
		e := NewEncoder(nil)
		e.Reset(&out, binary.LittleEndian)
		put(e, HeaderSize, &Header{Signature: Signature, Version: Version, NumberOfStreams: 1,
			StreamDirectoryRVA: HeaderSize})
		put(e, DirectorySize, &Directory{typ, Location{size - 100, 100}})
		e.Zero(100 - e.Offset())
		head(e)
		for i := range uint32(records) {
			record(e, 640000+4*i)
		}
		for e.Offset() < size {
			e.Zero(-e.Offset() & 3)
			e.U32(300000)
		}
		e.Flush()
		return out.Bytes()
	}
	count := func(e *Encoder) { e.U32(records) }
	for _, test := range []struct {
		name string
		b    []byte
		read func(f *File) (int, error)
	}{
		{"ThreadNames", build(ThreadNamesStream, count, func(e *Encoder, rva uint32) {
			put(e, ThreadNameSize, &ThreadName{rva, uint64(rva)})
		}), func(f *File) (int, error) { r, err := f.ThreadNames(); return len(r), err }},
		{"Handles", build(HandleDataStream, func(e *Encoder) {
			put(e, HandleDataHeaderSize, &HandleDataHeader{HandleDataHeaderSize, HandleDescriptorSize, records})
		}, func(e *Encoder, rva uint32) {
			put(e, HandleDescriptorSize, &HandleDescriptor{TypeNameRVA: rva, ObjectNameRVA: rva + 4})
		}), func(f *File) (int, error) { r, err := f.Handles(); return len(r), err }},
	} {
		f := open(t, test.b)
		var n int
		var err error
		bytes := allocated(func() { n, err = test.read(f) })
		if n != records || !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %d entries, %v", test.name, n, err)
		}
		if bytes > 20*size {
			t.Errorf("%s: allocated %d bytes for a file of %d", test.name, bytes, size)
		}
	}

	// A reader that has fewer bytes than the size passed to Open.
	b := (&sample{wide: true}).write(t, binary.LittleEndian)
	binary.LittleEndian.PutUint32(b[HeaderSize+4:], 0x70000000)
	used := allocated(func() {
		f, err := Open(bytes.NewReader(b), 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Threads(); !errors.Is(err, ErrTruncated) {
			t.Errorf("%v", err)
		}
	})
	if used > 4<<20 {
		t.Errorf("allocated %d bytes for a file of %d that said it has more", used, len(b))
	}
}

// FuzzOpen walks through every file that opens. The memory allocated is bounded by the size of the file; walk reads everything
// three times, and an entry of a map may cost twenty times the bytes in the file. Use -fuzzminimizetime=10x: the engine takes
// minutes to minimize files of this size.
func FuzzOpen(f *testing.F) {
	for _, o := range orders {
		f.Add((&sample{wide: true}).write(f, o))
		f.Add((&sample{wide: false}).write(f, o))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTruncated) {
				t.Error(err)
			}
			return
		}
		if used := allocated(func() { walk(file) }); used > 1<<20+500*uint64(len(b)) {
			t.Errorf("allocated %d bytes for a file of %d", used, len(b))
		}
		ranges, _ := file.MemoryRanges()
		p := make([]byte, 64)
		for i := range ranges {
			m := &ranges[i]
			if m.Size == 0 || m.last() < m.Addr || !file.inside(m.Offset, m.Size) || i > 0 && ranges[i-1].last() >= m.Addr {
				t.Fatalf("ranges %v", ranges)
			}
			n, err := file.ReadMemory(m.Addr, p[:min(m.Size, 64)])
			if err != nil || !bytes.Equal(p[:n], b[m.Offset:m.Offset+uint64(n)]) {
				t.Fatalf("%v: %d bytes, %v", m, n, err)
			}
		}
		if _, err := file.ReadMemory(1<<64-1, p); err == nil {
			t.Error("read behind the end of the address space")
		}
	})
}
