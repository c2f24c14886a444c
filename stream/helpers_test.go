package stream

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"runtime"
	"testing"
)

var orders = []binary.ByteOrder{binary.LittleEndian, binary.BigEndian}

type record interface {
	Put(b []byte, o binary.ByteOrder)
	Get(b []byte, o binary.ByteOrder)
}

// sample writes a minidump with every stream that File reads, of a 64-bit or a 32-bit process. It runs twice: once to find the
// place of everything, recorded in at, and once to write it.
type sample struct {
	wide bool
	at   map[string]uint32
}

// mark records the offset of what is put next.
func (s *sample) mark(e *Encoder, name string) { s.at[name] = uint32(e.Offset()) }

// loc returns the location between the marks name and name + "/".
func (s *sample) loc(name string) Location {
	return Location{s.at[name+"/"] - s.at[name], s.at[name]}
}

// between calls put, and marks the start and the end of its output.
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
	CrashpadInfoStream, RegisterSetsStream, HandleOperationList, TokenStream, FunctionTableStream,
	SystemMemoryInfoStream, ProcessVMCountersStream, AssertionInfoStream, MozMacosCrashInfo, MozMacosBootargs,
	CommentStreamW}

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
			e.U64(99) // an entry may be longer than its known part
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
			HandleDescriptor{3, s.at["type"], s.at["object"], 0o20666, 0, 0, 0}, s.at["object info"]})
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
	s.putWindows(e)
	s.putMacos(e)
	s.between(e, Memory64ListStream.String(), func() {
		put(e, Memory64ListSize, &Memory64List{2, uint64(s.at["heap"])})
		put(e, MemoryDescriptor64Size, &MemoryDescriptor64{0x900000, 6})
		put(e, MemoryDescriptor64Size, &MemoryDescriptor64{0x401004, 4})
	})
	s.mark(e, "heap")
	e.Bytes([]byte("heap.."))
	e.Bytes([]byte("more"))
}

// putWindows puts the streams that only Windows writers produce.
func (s *sample) putWindows(e *Encoder) {
	s.between(e, "object info", func() {
		put(e, HandleObjectInformationSize, &HandleObjectInformation{s.at["object info 2"], MiniThreadInformation1,
			HandleObjectInformationSize + 4})
		e.U32(0x11111111)
	})
	s.between(e, "object info 2", func() {
		put(e, HandleObjectInformationSize, &HandleObjectInformation{0, MiniMutantInformation1, HandleObjectInformationSize})
	})
	s.between(e, HandleOperationList.String(), func() {
		put(e, HandleOperationListHeadSize, &HandleOperationListHead{HandleOperationListHeadSize, HandleOperationSize, 1})
		put(e, HandleOperationSize, &HandleOperation{Handle: 3, ThreadID: 71, OperationType: OperationDbCLOSE, Depth: 1,
			ReturnAddresses: [AVRF_MAX_TRACES]uint64{0x401234}})
	})
	s.between(e, TokenStream.String(), func() {
		put(e, TokenInfoListSize, &TokenInfoList{TokenInfoListSize + 2*TokenInfoSize + 5, 2, TokenInfoListSize, TokenInfoSize})
		put(e, TokenInfoSize, &TokenInfo{TokenInfoSize + 5, 70, 0x44})
		e.Bytes([]byte("token"))
		put(e, TokenInfoSize, &TokenInfo{TokenInfoSize, 71, 0x48})
	})
	s.between(e, FunctionTableStream.String(), func() {
		put(e, FunctionTableListSize, &FunctionTableList{FunctionTableListSize, FunctionTableSize, 4, 12, 2, 8})
		e.Zero(8)
		put(e, FunctionTableSize, &FunctionTable{0x5000, 0x6000, 0x5000, 1, 3})
		e.Bytes([]byte("nat1entry......1pad"))
		put(e, FunctionTableSize, &FunctionTable{0x7000, 0x8000, 0x7000, 0, 0})
		e.Bytes([]byte("nat2"))
	})
	s.between(e, SystemMemoryInfoStream.String(), func() {
		r := SystemMemoryInfo{Revision: 1, BasicInfo: SystemBasicInformation{PageSize: 4096, NumberOfPhysicalPages: 1 << 20}}
		r.Put(e.Next(SystemMemoryInfo2Size), e.Order())
	})
	s.between(e, ProcessVMCountersStream.String(), func() {
		put(e, ProcessVMCountersSize, &ProcessVMCounters{Revision: 2, Flags: MINIDUMP_PROCESS_VM_COUNTERS, WorkingSetSize: 5})
	})
	s.between(e, AssertionInfoStream.String(), func() {
		put(e, AssertionInfoSize, &AssertionInfo{Expression: [128]uint16{'p', '!', '=', '0'}, Function: [128]uint16{'f'},
			File: [128]uint16{'a', '.', 'c'}, Line: 7, Type: MD_ASSERTION_INFO_TYPE_INVALID_PARAMETER})
	})
	s.between(e, CommentStreamW.String(), func() {
		for _, c := range "why\x00." {
			e.U16(uint16(c))
		}
	})
}

// putMacos puts the streams that only macOS writers produce.
func (s *sample) putMacos(e *Encoder) {
	s.between(e, "crash info", func() {
		put(e, MacosCrashInfoRecordSize, &MacosCrashInfoRecord{uint64(MozMacosCrashInfo), 5, 1, 2, 3})
		e.Bytes([]byte("/usr/lib/libc.dylib\x00abort() called\x00\x00\x00more"))
	})
	s.between(e, MozMacosCrashInfo.String(), func() {
		put(e, MacosCrashInfoSize, &MacosCrashInfo{uint32(MozMacosCrashInfo), 1, MacosCrashInfoRecordSize,
			[MacosCrashInfoMax]Location{s.loc("crash info")}})
	})
	s.text(e, "boot arguments", "-v")
	s.between(e, MozMacosBootargs.String(), func() {
		put(e, MacosBootargsSize, &MacosBootargs{uint32(MozMacosBootargs), uint64(s.at["boot arguments"])})
	})
}

// write returns the file's bytes.
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

// same compares the result of a method of File.
func same(t *testing.T, what string, err error, got, want any) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// walk calls every method of File.
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
	handles, _ := f.Handles()
	for i := range handles {
		f.HandleObjects(handles[i].ObjectInfoRVA)
	}
	f.HandleOperations()
	f.Tokens()
	f.FunctionTables()
	f.SystemMemoryInfo()
	f.ProcessVMCounters()
	f.Assertion()
	f.Comment()
	f.MacosCrashInfo()
	f.MacosBootargs()
	f.DSODebug()
	f.CrashpadInfo()
	f.RegisterSets()
	f.SoftErrors()
	f.Text(LinuxMaps)
	Problems(f)
}

// allocated returns the number of bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func word(b []byte, at, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
