package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"minidump/internal/scratch"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// sample puts a minidump with every stream that File reads, of a 64-bit or a 32-bit process. It is run twice: once to
// learn where everything is, which at keeps, and once to write it.
type sample struct {
	wide bool
	at   map[string]uint32
}

// mark remembers where what is put next is.
func (s *sample) mark(e *Encoder, name string) { s.at[name] = uint32(e.Offset()) }

// loc is where name is, from its mark to the mark that name has with "/" behind it.
func (s *sample) loc(name string) Location {
	return Location{s.at[name+"/"] - s.at[name], s.at[name]}
}

// between puts what put puts, and marks its start and its end.
func (s *sample) between(e *Encoder, name string, put func()) {
	s.mark(e, name)
	put()
	s.mark(e, name+"/")
}

func (s *sample) text(e *Encoder, name, text string) {
	s.between(e, name, func() { e.String([]byte(text)) })
}

var sampleStreams = []Type{ThreadListStream, ThreadNamesStream, ThreadInfoListStream, ModuleListStream,
	UnloadedModuleListStream, MemoryListStream, Memory64ListStream, ExceptionStream, SystemInfoStream, MiscInfoStream,
	UnusedStream, MemoryInfoListStream, HandleDataStream, BreakpadInfoStream, LinuxMaps, LinuxDSODebug, MozSoftErrors,
	CrashpadInfoStream, RegisterSetsStream}

func put(e *Encoder, size int, r record) { r.Put(e.Next(size), e.Order()) }

func (s *sample) put(e *Encoder) {
	put(e, HeaderSize, &Header{Signature, 0x0001a793, uint32(len(sampleStreams)), HeaderSize, 0, 1700000000, 2})
	for _, t := range sampleStreams {
		d := &Directory{Type: t}
		if t != UnusedStream {
			d.Location = s.loc(t.String())
		}
		put(e, DirectorySize, d)
	}
	s.between(e, "context", func() { e.Bytes([]byte("context of thread")) })
	s.between(e, "stack", func() { e.Bytes([]byte("stack bytes 0123")) })
	s.between(e, "code", func() { e.Bytes([]byte("code")) })
	s.between(e, ThreadListStream.String(), func() {
		e.U32(2)
		put(e, ThreadSize, &Thread{ThreadID: 71, Priority: 4, Teb: 5, Stack: MemoryDescriptor{0x7ff000, s.loc("stack")},
			Context: s.loc("context")})
		put(e, ThreadSize, &Thread{ThreadID: 72})
	})
	s.text(e, "name 71", "main")
	s.text(e, "name 72", "wörker 𝄞")
	s.between(e, ThreadNamesStream.String(), func() {
		e.U32(2)
		e.U32(0) // the padding that some writers put
		put(e, ThreadNameSize, &ThreadName{71, uint64(s.at["name 71"])})
		put(e, ThreadNameSize, &ThreadName{72, uint64(s.at["name 72"])})
	})
	s.between(e, ThreadInfoListStream.String(), func() {
		put(e, ThreadInfoListSize, &ThreadInfoList{ThreadInfoListSize, ThreadInfoSize + 8, 2})
		for i := range 2 {
			put(e, ThreadInfoSize, &ThreadInfo{ThreadID: uint32(71 + i), StartAddress: 0x401000})
			e.U64(99) // an entry may be longer than what is known of it
		}
	})
	s.text(e, "path", "/bin/app")
	s.text(e, "library", "/lib/libc.so.6")
	s.between(e, "cv", func() { e.CVELF([]byte("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x01")) })
	s.between(e, ModuleListStream.String(), func() {
		e.U32(2)
		put(e, ModuleSize, &Module{BaseOfImage: 0x400000, SizeOfImage: 0x2000, NameRVA: s.at["path"],
			CvRecord: s.loc("cv")})
		put(e, ModuleSize, &Module{BaseOfImage: 0x600000, SizeOfImage: 0x1000, NameRVA: s.at["library"],
			VersionInfo: FixedFileInfo{Signature: VS_FFI_SIGNATURE, FileVersionMS: 6}})
	})
	s.between(e, UnloadedModuleListStream.String(), func() {
		put(e, UnloadedModuleListSize, &UnloadedModuleList{UnloadedModuleListSize, UnloadedModuleSize, 1})
		put(e, UnloadedModuleSize, &UnloadedModule{BaseOfImage: 0x800000, SizeOfImage: 0x1000, NameRVA: s.at["library"]})
	})
	s.between(e, MemoryListStream.String(), func() {
		e.U32(2)
		put(e, MemoryDescriptorSize, &MemoryDescriptor{0x7ff000, s.loc("stack")})
		put(e, MemoryDescriptorSize, &MemoryDescriptor{0x401000, s.loc("code")})
	})
	s.between(e, ExceptionStream.String(), func() {
		r := Exception{ThreadID: 71, Code: 11, Flags: 1, Address: 0x10, NumberParameters: 1, Context: s.loc("context")}
		r.Information[0] = 3
		put(e, ExceptionSize, &r)
	})
	s.text(e, "uname", "Linux 6.1")
	s.between(e, SystemInfoStream.String(), func() {
		r := SystemInfo{ProcessorArchitecture: MD_CPU_ARCHITECTURE_AMD64, NumberOfProcessors: 2, MajorVersion: 6,
			PlatformID: MD_OS_LINUX, CSDVersionRVA: s.at["uname"]}
		if !s.wide {
			r.ProcessorArchitecture = MD_CPU_ARCHITECTURE_ARM
		}
		(&X86CPU{FeatureInformation: 7}).Put(r.CPU[:], e.Order())
		put(e, SystemInfoSize, &r)
	})
	s.between(e, MiscInfoStream.String(), func() {
		put(e, MiscInfoSize, &MiscInfo{MiscInfoSize, MINIDUMP_MISC1_PROCESS_ID, 71, 0, 0, 0})
	})
	s.between(e, MemoryInfoListStream.String(), func() {
		put(e, MemoryInfoListSize, &MemoryInfoList{MemoryInfoListSize, MemoryInfoSize, 1})
		put(e, MemoryInfoSize, &MemoryInfo{0x400000, 0x400000, PAGE_READONLY, 0x2000, MEM_COMMIT,
			PAGE_EXECUTE_READ, MEM_PRIVATE})
	})
	s.text(e, "type", "File")
	s.text(e, "object", "/dev/null")
	s.between(e, HandleDataStream.String(), func() {
		if s.wide {
			put(e, HandleDataHeaderSize, &HandleDataHeader{HandleDataHeaderSize, HandleDescriptorSize, 1})
			put(e, HandleDescriptorSize, &HandleDescriptor{3, s.at["type"], s.at["object"], 0o20666, 0, 0, 0})
			return
		}
		put(e, HandleDataHeaderSize, &HandleDataHeader{HandleDataHeaderSize, HandleDescriptor2Size, 1})
		put(e, HandleDescriptor2Size, &HandleDescriptor2{
			HandleDescriptor{3, s.at["type"], s.at["object"], 0o20666, 0, 0, 0}, 9})
	})
	s.between(e, BreakpadInfoStream.String(), func() { put(e, BreakpadInfoSize, &BreakpadInfo{2, 0, 71}) })
	s.between(e, LinuxMaps.String(), func() { e.Bytes([]byte("400000-402000 r-xp\n")) })
	s.mark(e, "link maps")
	if s.wide {
		put(e, LinkMap64Size, &LinkMap64{0x400000, s.at["path"], 0x401f00})
		put(e, LinkMap64Size, &LinkMap64{0x600000, s.at["library"], 0x600f00})
	} else {
		put(e, LinkMap32Size, &LinkMap32{0x400000, s.at["path"], 0x401f00})
		put(e, LinkMap32Size, &LinkMap32{0x600000, s.at["library"], 0x600f00})
	}
	s.between(e, LinuxDSODebug.String(), func() {
		if s.wide {
			put(e, DSODebug64Size, &DSODebug64{1, s.at["link maps"], 2, 0x700000, 0x680000, 0x401f00})
		} else {
			put(e, DSODebug32Size, &DSODebug32{1, s.at["link maps"], 2, 0x700000, 0x680000, 0x401f00})
		}
		e.Bytes([]byte("dynamic section."))
	})
	s.between(e, MozSoftErrors.String(), func() { e.Bytes([]byte("[]  \n\x00")) })
	for _, text := range []string{"key", "value", "name", "message"} {
		s.mark(e, text)
		e.UTF8String([]byte(text))
	}
	s.between(e, "dictionary", func() {
		e.U32(1)
		put(e, SimpleStringDictionaryEntrySize, &SimpleStringDictionaryEntry{s.at["key"], s.at["value"]})
	})
	s.between(e, "messages", func() { e.U32(1); e.U32(s.at["message"]) })
	s.between(e, "objects", func() {
		e.U32(1)
		put(e, AnnotationObjectSize, &AnnotationObject{s.at["name"], AnnotationTypeString, s.at["value"]})
	})
	s.between(e, "module annotations", func() {
		put(e, ModuleCrashpadInfoSize, &ModuleCrashpadInfo{1, s.loc("messages"), s.loc("dictionary"), s.loc("objects")})
	})
	s.between(e, "annotated modules", func() {
		e.U32(1)
		put(e, ModuleCrashpadInfoLinkSize, &ModuleCrashpadInfoLink{1, s.loc("module annotations")})
	})
	s.between(e, CrashpadInfoStream.String(), func() {
		put(e, CrashpadInfoSize, &CrashpadInfo{1, GUID{Data1: 1}, GUID{Data2: 2}, s.loc("dictionary"),
			s.loc("annotated modules")})
	})
	s.between(e, "xstate", func() { e.Bytes([]byte("xstate")) })
	s.between(e, RegisterSetsStream.String(), func() {
		put(e, RegisterSetsSize, &RegisterSets{RegisterSetsVersion, 1})
		put(e, RegisterSetSize, &RegisterSet{71, 0x202, s.loc("xstate")})
	})
	s.between(e, Memory64ListStream.String(), func() {
		put(e, Memory64ListSize, &Memory64List{2, uint64(s.at["heap"])})
		put(e, MemoryDescriptor64Size, &MemoryDescriptor64{0x900000, 6})
		put(e, MemoryDescriptor64Size, &MemoryDescriptor64{0x401004, 4})
	})
	s.mark(e, "heap")
	e.Bytes([]byte("heap.."))
	e.Bytes([]byte("more"))
}

// write is the file's bytes.
func (s *sample) write(t testing.TB, o binary.ByteOrder) []byte {
	s.at = map[string]uint32{}
	e := NewEncoder(nil)
	e.Reset(nil, o)
	s.put(e)
	size := e.Offset()
	var out bytes.Buffer
	e.Reset(&out, o)
	s.put(e)
	if err := e.Flush(); err != nil || uint64(out.Len()) != size {
		t.Fatalf("measured %d bytes, wrote %d, %v", size, out.Len(), err)
	}
	return out.Bytes()
}

func open(t testing.TB, b []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// same compares what a method of File returned.
func same(t *testing.T, what string, err error, got, want any) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

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
	want := HandleInfo{HandleDescriptor2{HandleDescriptor{3, s.at["type"], s.at["object"], 0o20666, 0, 0, 0}, 9},
		"File", "/dev/null"}
	if s.wide {
		want.ObjectInfoRVA = 0
	}
	same(t, "Handles", err, handles, []HandleInfo{want})
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

// TestDSODebugPadded reads the stream in the form that Breakpad's compiler gives it.
func TestDSODebugPadded(t *testing.T) {
	for _, o := range orders {
		var out bytes.Buffer
		e := NewEncoder(nil)
		e.Reset(&out, o)
		put(e, HeaderSize, &Header{Signature: Signature, Version: Version, NumberOfStreams: 1,
			StreamDirectoryRVA: HeaderSize})
		put(e, DirectorySize, &Directory{LinuxDSODebug, Location{40 + 32, 100}})
		e.Zero(100 - e.Offset())
		e.U32(1)
		e.U32(200)
		e.U32(2)
		e.U32(0)
		e.U64(11)
		e.U64(12)
		e.U64(13)
		e.Bytes([]byte("dynamic section.dynamic section."))
		e.Zero(200 - e.Offset())
		for i := range uint64(2) {
			e.U64(20 + i)
			e.U32(300)
			e.U32(0)
			e.U64(30 + i)
		}
		e.Zero(300 - e.Offset())
		e.String([]byte("lib"))
		e.Flush()
		got, err := open(t, out.Bytes()).DSODebug()
		same(t, "DSODebug", err, got, DSODebugInfo{DSODebug64{1, 200, 2, 11, 12, 13}, []LinkMapInfo{
			{LinkMap64{20, 300, 30}, "lib"}, {LinkMap64{21, 300, 31}, "lib"}}, []byte("dynamic section.dynamic section.")})
	}
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

// walk calls everything that File has.
func walk(f *File) {
	for i := range f.Directory {
		f.Stream(f.Directory[i].Type)
	}
	threads, _ := f.Threads()
	for i := range threads {
		f.Context(threads[i].Context)
	}
	f.ThreadNames()
	f.ThreadInfo()
	f.Modules()
	f.UnloadedModules()
	exception, err := f.Exception()
	if err == nil {
		f.Context(exception.Context)
	}
	f.SystemInfo()
	f.MiscInfo()
	f.BreakpadInfo()
	f.MemoryInfo()
	f.Handles()
	f.DSODebug()
	f.CrashpadInfo()
	f.RegisterSets()
	f.SoftErrors()
	f.Text(LinuxMaps)
	Problems(f)
}

// TestCut holds that of a file that ends anywhere everything before is still read, and nothing panics.
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

// TestDamaged sets every word of a file to numbers that overflow something.
func TestDamaged(t *testing.T) {
	for _, o := range orders {
		good := (&sample{wide: o == binary.LittleEndian}).write(t, o)
		for at := 8; at+4 <= len(good); at += 2 {
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

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestBounded holds that a file whose records all point to the same large piece costs no more than a small multiple of
// its size.
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

	// A reader that was said to be larger than it is.
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

// TestString reads strings that are not well-formed.
func TestString(t *testing.T) {
	b := make([]byte, 64)
	(&Header{Signature: Signature, Version: Version}).Put(b, binary.LittleEndian)
	string16 := func(length uint32, units ...uint16) []byte {
		b := bytes.Clone(b)
		binary.LittleEndian.PutUint32(b[32:], length)
		for i, u := range units {
			binary.LittleEndian.PutUint16(b[36+2*i:], u)
		}
		return b
	}
	for _, test := range []struct {
		name string
		b    []byte
		rva  uint64
		want string
		err  error
	}{
		{"plain", string16(4, 'a', 'b', 'c'), 32, "ab", nil},
		{"to the end", string16(28, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'z'), 32,
			"abc" + strings.Repeat("\x00", 10) + "z", nil},
		{"one too far", string16(30, 'a'), 32, "", ErrTruncated},
		{"odd", string16(3, 'a', 'b'), 32, "", ErrFormat},
		{"too long", string16(maxUTF16 + 2), 32, "", ErrFormat},
		{"huge", string16(0xffffffff), 32, "", ErrFormat},
		{"pair", string16(4, 0xd834, 0xdd1e), 32, "𝄞", nil},
		{"high surrogate alone", string16(4, 0xd834, 'a'), 32, "\ufffda", nil},
		{"high surrogate last", string16(2, 0xd834, 0xdd1e), 32, "\ufffd", nil},
		{"low surrogate", string16(4, 0xdd1e, 0xd834), 32, "\ufffd\ufffd", nil},
		{"none", string16(4, 'a', 'b'), 0, "", nil},
		{"at the end", b, 64, "", ErrTruncated},
		{"length cut off", b, 61, "", ErrTruncated},
		{"far off", b, 1<<64 - 2, "", ErrTruncated},
	} {
		got, err := open(t, test.b).String(test.rva)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

// memoryFile is a file of 256 bytes, each of them its offset, with the given ranges.
func memoryFile(t *testing.T, list []MemoryDescriptor, base uint64, list64 []MemoryDescriptor64) *File {
	var out bytes.Buffer
	e := NewEncoder(nil)
	e.Reset(&out, binary.LittleEndian)
	put(e, HeaderSize, &Header{Signature: Signature, Version: Version, NumberOfStreams: 2, StreamDirectoryRVA: 512})
	for i := e.Offset(); i < 256; i++ {
		e.Bytes([]byte{byte(i)})
	}
	e.Zero(256)
	size := uint32(4 + len(list)*MemoryDescriptorSize)
	put(e, DirectorySize, &Directory{MemoryListStream, Location{size, 600}})
	put(e, DirectorySize, &Directory{Memory64ListStream, Location{uint32(16 + len(list64)*16), 600 + size}})
	e.Zero(600 - e.Offset())
	e.U32(uint32(len(list)))
	for i := range list {
		put(e, MemoryDescriptorSize, &list[i])
	}
	put(e, Memory64ListSize, &Memory64List{uint64(len(list64)), base})
	for i := range list64 {
		put(e, MemoryDescriptor64Size, &list64[i])
	}
	e.Flush()
	return open(t, out.Bytes())
}

func TestMemoryRanges(t *testing.T) {
	d := func(addr uint64, size, rva uint32) MemoryDescriptor {
		return MemoryDescriptor{addr, Location{size, rva}}
	}
	const top = 1<<64 - 8
	for _, test := range []struct {
		name   string
		list   []MemoryDescriptor
		base   uint64
		list64 []MemoryDescriptor64
		want   []MemoryRange
		err    error
	}{
		{"none", nil, 0, nil, nil, nil},
		{"sorted", []MemoryDescriptor{d(300, 10, 50), d(100, 10, 70)}, 0, nil,
			[]MemoryRange{{100, 10, 70}, {300, 10, 50}}, nil},
		{"empty", []MemoryDescriptor{d(300, 0, 50), d(100, 10, 70)}, 0, nil, []MemoryRange{{100, 10, 70}}, nil},
		{"touching", []MemoryDescriptor{d(100, 10, 50), d(110, 10, 70)}, 0, nil,
			[]MemoryRange{{100, 10, 50}, {110, 10, 70}}, nil},
		{"overlapping", []MemoryDescriptor{d(105, 10, 70), d(100, 10, 50)}, 0, nil,
			[]MemoryRange{{100, 10, 50}, {110, 5, 75}}, nil},
		{"contained", []MemoryDescriptor{d(105, 2, 70), d(100, 10, 50)}, 0, nil, []MemoryRange{{100, 10, 50}}, nil},
		{"twice", []MemoryDescriptor{d(100, 10, 70), d(100, 10, 50)}, 0, nil, []MemoryRange{{100, 10, 70}}, nil},
		{"both lists", []MemoryDescriptor{d(100, 10, 70)}, 80, []MemoryDescriptor64{{200, 3}, {50, 4}},
			[]MemoryRange{{50, 4, 83}, {100, 10, 70}, {200, 3, 80}}, nil},
		{"top of the address space", []MemoryDescriptor{d(top, 8, 70)}, 0, nil, []MemoryRange{{top, 8, 70}}, nil},
		{"over the top", []MemoryDescriptor{d(top, 9, 70)}, 0, nil, []MemoryRange{{top, 8, 70}}, ErrFormat},
		{"cut by the end of the file", []MemoryDescriptor{d(100, 100, 600)}, 0, nil,
			[]MemoryRange{{100, 36, 600}}, ErrTruncated},
		{"behind the file", []MemoryDescriptor{d(100, 100, 1<<31), d(7, 1, 90)}, 0, nil,
			[]MemoryRange{{7, 1, 90}}, ErrTruncated},
		{"64 bits", nil, 80, []MemoryDescriptor64{{100, 1<<64 - 1}, {300, 2}}, nil, ErrTruncated},
		{"64 bits of base", nil, 1<<64 - 1, []MemoryDescriptor64{{100, 2}, {300, 2}}, nil, ErrTruncated},
	} {
		f := memoryFile(t, test.list, test.base, test.list64)
		got, err := f.MemoryRanges()
		if test.name == "64 bits" { // what there is of it, which is to the end of the file
			if len(got) != 1 || got[0] != (MemoryRange{100, f.Size() - 80, 80}) {
				t.Errorf("%s: %v", test.name, got)
			}
			got = nil
		}
		if len(got) != len(test.want) || len(got) > 0 && !reflect.DeepEqual(got, test.want) || !errors.Is(err, test.err) {
			t.Errorf("%s:\n got %v, %v\nwant %v", test.name, got, err, test.want)
		}
	}
}

func TestReadMemory(t *testing.T) {
	const top = 1<<64 - 8
	f := memoryFile(t, []MemoryDescriptor{{100, Location{10, 50}}, {110, Location{10, 70}}, {130, Location{10, 90}},
		{top, Location{8, 200}}, {0, Location{4, 240}}}, 0, nil)
	for _, test := range []struct {
		addr uint64
		size int
		want []byte
		err  error
	}{
		{100, 10, []byte{50, 51, 52, 53, 54, 55, 56, 57, 58, 59}, nil},
		{108, 4, []byte{58, 59, 70, 71}, nil},
		{119, 3, []byte{79}, ErrNoMemory},
		{120, 1, nil, ErrNoMemory},
		{129, 2, nil, ErrNoMemory},
		{139, 1, []byte{99}, nil},
		{50, 0, nil, nil},
		{1 << 63, 1, nil, ErrNoMemory},
		{top + 6, 2, []byte{206, 207}, nil},
		{top + 6, 3, []byte{206, 207}, ErrNoMemory}, // the address space does not go on at 0
		{0, 4, []byte{240, 241, 242, 243}, nil},
	} {
		p := make([]byte, test.size)
		n, err := f.ReadMemory(test.addr, p)
		if !bytes.Equal(p[:n], test.want) || err != test.err {
			t.Errorf("%d bytes at %d: %v, %v", test.size, test.addr, p[:n], err)
		}
	}
	f.r = bytes.NewReader(nil)
	if n, err := f.ReadMemory(100, make([]byte, 4)); n != 0 || !errors.Is(err, ErrTruncated) {
		t.Errorf("reader that ends: %d, %v", n, err)
	}
	f.r = failingReader{}
	if n, err := f.ReadMemory(100, make([]byte, 4)); n != 0 || err == nil || !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("reader that fails: %d, %v", n, err)
	}
}

type failingReader struct{}

func (failingReader) ReadAt(p []byte, off int64) (int, error) { return 0, io.ErrNoProgress }

// TestProblems breaks the sample in one place after another.
func TestProblems(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(s *sample, b []byte)
		want   string
	}{
		{"stream outside", func(s *sample, b []byte) { word(b, HeaderSize+8, 0xfffffff0) },
			"ThreadListStream: 100 bytes at 0xfffffff0 are not inside of the file"},
		{"stream twice", func(s *sample, b []byte) { word(b, HeaderSize+10*12, uint32(LinuxMaps)) },
			"LinuxMaps is there twice"},
		{"streams overlap", func(s *sample, b []byte) { word(b, HeaderSize+14*12+8, s.at[BreakpadInfoStream.String()]+4) },
			"LinuxMaps at "},
		{"stream over the directory", func(s *sample, b []byte) { word(b, HeaderSize+14*12+8, 40) },
			"LinuxMaps at 0x28 overlaps the directory"},
		{"no system info", func(s *sample, b []byte) { word(b, HeaderSize+8*12, 0) }, "SystemInfoStream is missing"},
		{"no threads", func(s *sample, b []byte) { word(b, HeaderSize, 0) }, "ThreadListStream is missing"},
		{"no modules", func(s *sample, b []byte) { word(b, HeaderSize+3*12, 0) }, "ModuleListStream is missing"},
		{"thread twice", func(s *sample, b []byte) { word(b, s.at[ThreadListStream.String()]+4+48, 71) },
			"thread 71 is there twice"},
		{"thread count", func(s *sample, b []byte) { word(b, s.at[ThreadListStream.String()], 3) },
			"ThreadListStream has 3 entries of 48 bytes, and room for 2"},
		{"context outside", func(s *sample, b []byte) { word(b, s.at[ThreadListStream.String()]+4+44, 0xffff0000) },
			"context of thread 71: 17 bytes at 0xffff0000"},
		{"stack outside", func(s *sample, b []byte) { word(b, s.at[ThreadListStream.String()]+4+36, 0xffff0000) },
			"stack of thread 71: 16 bytes at 0xffff0000"},
		{"stack not in memory", func(s *sample, b []byte) { word(b, s.at[ThreadListStream.String()]+4+24, 0x7ff001) },
			"stack of thread 71, 16 bytes at 0x7ff001, is not in a memory list"},
		{"name of no thread", func(s *sample, b []byte) { word(b, s.at[ThreadNamesStream.String()]+8, 70) },
			"name of thread 70"},
		{"exception in no thread", func(s *sample, b []byte) { word(b, s.at[ExceptionStream.String()], 70) },
			"exception in thread 70"},
		{"exception context", func(s *sample, b []byte) { word(b, s.at[ExceptionStream.String()]+164, 0xfffffff0) },
			"context of the exception: 17 bytes"},
		{"exception parameters", func(s *sample, b []byte) { word(b, s.at[ExceptionStream.String()]+32, 16) },
			"exception has 16 parameters"},
		{"module name", func(s *sample, b []byte) { word(b, s.at[ModuleListStream.String()]+4+20, 0) },
			"module at 0x400000 has no name"},
		{"module size", func(s *sample, b []byte) { word(b, s.at[ModuleListStream.String()]+4+8, 0) },
			`module "/bin/app" has no size`},
		{"modules overlap", func(s *sample, b []byte) { word(b, s.at[ModuleListStream.String()]+4+8, 0x300000) },
			"overlap"},
		{"CodeView record", func(s *sample, b []byte) { word(b, s.at[ModuleListStream.String()]+4+80, 0xfffffff0) },
			`CodeView record of module "/bin/app"`},
		{"misc record", func(s *sample, b []byte) { word(b, s.at[ModuleListStream.String()]+4+84, 0xfffffff0) },
			`misc record of module "/bin/app"`},
		{"odd string", func(s *sample, b []byte) { word(b, s.at["library"], 3) }, "UTF-16 of 3 bytes"},
		{"memory twice", func(s *sample, b []byte) { word(b, s.at[Memory64ListStream.String()]+32, 0x401002) },
			"2 bytes of memory are held more than once"},
		{"memory outside", func(s *sample, b []byte) { word(b, s.at[Memory64ListStream.String()]+40, 400) },
			"memory at 0x401004: 400 bytes"},
		{"unloaded modules", func(s *sample, b []byte) { word(b, s.at[UnloadedModuleListStream.String()]+4, 23) },
			"UnloadedModuleListStream has a head of 12 bytes and entries of 23"},
		{"thread info", func(s *sample, b []byte) { word(b, s.at[ThreadInfoListStream.String()], 0xffffffff) },
			"ThreadInfoListStream has a head of 4294967295 bytes"},
		{"memory info", func(s *sample, b []byte) { word(b, s.at[MemoryInfoListStream.String()]+12, 0x80000000) },
			"MemoryInfoListStream has 9223372036854775809 entries"},
		{"handles", func(s *sample, b []byte) { word(b, s.at[HandleDataStream.String()]+8, 2) },
			"HandleDataStream has 2 entries"},
		{"link maps", func(s *sample, b []byte) { word(b, s.at[LinuxDSODebug.String()]+8, 0x10000000) },
			"minidump is cut short"},
		{"register set", func(s *sample, b []byte) { word(b, s.at[RegisterSetsStream.String()]+20, 0xfffffff0) },
			"register set 0x202 of thread 71"},
		{"register sets of the future", func(s *sample, b []byte) { word(b, s.at[RegisterSetsStream.String()], 2) },
			"RegisterSetsStream has version 2"},
		{"annotations of no module", func(s *sample, b []byte) { word(b, s.at["annotated modules"]+4, 2) },
			"annotations of module 2 of 2"},
		{"annotations cut", func(s *sample, b []byte) { word(b, s.at["annotated modules"]+8, 19) },
			"annotations of module 1:"},
		{"dictionary count", func(s *sample, b []byte) { word(b, s.at["dictionary"], 2) }, "list of 2 entries"},
	} {
		s := &sample{wide: true}
		b := s.write(t, binary.LittleEndian)
		test.damage(s, b)
		problems := Problems(open(t, b))
		if !strings.Contains(strings.Join(problems, "\n"), test.want) {
			t.Errorf("%s: %q", test.name, problems)
		}
	}
}

// TestProblemsBounded has a file of which all threads have all memory ranges as their stack, and all modules one long name:
// Problems takes time by its size and memory likewise.
func TestProblemsBounded(t *testing.T) {
	const many, long = 60000, MaxString
	directory := make([]Directory, 3)
	var name, memory uint32
	build := func(w io.Writer) {
		e := NewEncoder(nil)
		e.Reset(w, binary.LittleEndian)
		put(e, HeaderSize, &Header{Signature: Signature, Version: Version, NumberOfStreams: 3, StreamDirectoryRVA: HeaderSize})
		for i := range directory {
			put(e, DirectorySize, &directory[i])
		}
		stream := func(i int, t Type, n int, record func(i uint32)) {
			off := uint32(e.Offset())
			e.U32(uint32(n))
			for i := range uint32(n) {
				record(i)
			}
			directory[i] = Directory{t, Location{uint32(e.Offset()) - off, off}}
		}
		stream(0, ThreadListStream, many, func(i uint32) {
			put(e, ThreadSize, &Thread{ThreadID: i, Stack: MemoryDescriptor{0x1000, Location{many, memory}}})
		})
		stream(1, MemoryListStream, many, func(i uint32) {
			put(e, MemoryDescriptorSize, &MemoryDescriptor{0x1000 + uint64(i), Location{1, memory + i}})
		})
		stream(2, ModuleListStream, maxProblems, func(i uint32) {
			put(e, ModuleSize, &Module{BaseOfImage: 0x1000, SizeOfImage: 0x1000, NameRVA: name})
		})
		memory = uint32(e.Offset())
		e.Zero(many)
		name = uint32(e.Offset())
		e.String(bytes.Repeat([]byte{'n'}, long))
		e.Flush()
	}
	var b bytes.Buffer
	build(io.Discard)
	build(&b)
	f := open(t, b.Bytes())
	start := time.Now()
	var problems []string
	used := allocated(func() { problems = Problems(f) })
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
	if used > 20*uint64(b.Len()) {
		t.Errorf("allocated %d bytes for a file of %d", used, b.Len())
	}
	overlaps := 0
	for _, p := range problems {
		switch {
		case strings.Contains(p, "overlap"):
			overlaps++
		case strings.Contains(p, "stack"):
			t.Fatal(p)
		}
	}
	if overlaps != maxProblems-1 {
		t.Errorf("%d problems: %.300q", len(problems), problems)
	}
}

func word(b []byte, at, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }

// FuzzOpen walks through whatever opens. What that allocates is bounded by the size of the file; walk reads everything
// three times, and an entry of a map may cost twenty times the bytes in the file. Give -fuzzminimizetime=10x: to
// minimize files of this size takes the engine minutes.
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

// FuzzString puts text and reads it back.
func FuzzString(f *testing.F) {
	for _, text := range []string{"", "text", "é€𝄞", "\xff\xed\xa0\x80", "a\x00b", strings.Repeat("ab€", 2000)} {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	e := NewEncoder(nil)
	f.Fuzz(func(t *testing.T, text []byte, big bool) {
		var out bytes.Buffer
		o := orders[0]
		if big {
			o = orders[1]
		}
		e.Reset(&out, o)
		put(e, HeaderSize, &Header{Signature: Signature, Version: Version})
		e.String(text)
		if err := e.Flush(); err != nil || e.Offset() != HeaderSize+StringSize(text) {
			t.Fatalf("%d bytes, %v", e.Offset(), err)
		}
		got, err := open(t, out.Bytes()).String(HeaderSize)
		if want := string([]rune(string(text))); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
}
