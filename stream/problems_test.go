package stream

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"
)

// TestProblems damages the sample in one place after another.
func TestProblems(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(s *sample, b []byte)
		want   string
	}{
		{"stream outside", func(s *sample, b []byte) { word(b, HeaderSize+8, 0xfffffff0) },
			"ThreadListStream: 100 bytes at 0xfffffff0 are outside the file of"},
		{"stream twice", func(s *sample, b []byte) { word(b, HeaderSize+10*12, uint32(LinuxMaps)) },
			"LinuxMaps occurs twice"},
		{"streams overlap", func(s *sample, b []byte) { word(b, HeaderSize+14*12+8, s.at[BreakpadInfoStream.String()]+4) },
			"LinuxMaps at "},
		{"stream over the directory", func(s *sample, b []byte) { word(b, HeaderSize+14*12+8, 40) },
			"LinuxMaps at 0x28 overlaps the directory"},
		{"no system info", func(s *sample, b []byte) { word(b, HeaderSize+8*12, 0) }, "SystemInfoStream is missing"},
		{"no threads", func(s *sample, b []byte) { word(b, HeaderSize, 0) }, "ThreadListStream is missing"},
		{"no modules", func(s *sample, b []byte) { word(b, HeaderSize+3*12, 0) }, "ModuleListStream is missing"},
		{"thread twice", func(s *sample, b []byte) { word(b, s.at[ThreadListStream.String()]+4+48, 71) },
			"thread 71 is listed twice"},
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
		{"module listed twice", func(s *sample, b []byte) {
			second := s.at[ModuleListStream.String()] + 4 + ModuleSize
			copy(b[second:second+ModuleSize], b[second-ModuleSize:second])
		}, `module "/bin/app" at 0x400000 is listed twice`},
		{"handle operations", func(s *sample, b []byte) { word(b, s.at[HandleOperationList.String()]+8, 2) },
			"HandleOperationList has 2 entries"},
		{"tokens", func(s *sample, b []byte) { word(b, s.at[TokenStream.String()]+4, 3) },
			"TokenStream has 3 tokens, and room for 2"},
		{"token size", func(s *sample, b []byte) { word(b, s.at[TokenStream.String()]+16, 15) },
			"TokenStream: a token of 15 bytes"},
		{"token head", func(s *sample, b []byte) { word(b, s.at[TokenStream.String()]+8, 15) },
			"TokenStream has a head of 15 bytes"},
		{"function tables", func(s *sample, b []byte) { word(b, s.at[FunctionTableStream.String()]+16, 3) },
			"FunctionTableStream has 3 tables, and room for 2"},
		{"function table size", func(s *sample, b []byte) { word(b, s.at[FunctionTableStream.String()]+12, 0x10000000) },
			"FunctionTableStream: a table of 268435456 bytes"},
		{"crash info records", func(s *sample, b []byte) { word(b, s.at[MozMacosCrashInfo.String()]+4, 21) },
			"MozMacosCrashInfo has 21 records"},
		{"crash info record", func(s *sample, b []byte) { word(b, s.at[MozMacosCrashInfo.String()]+12, 39) },
			"MozMacosCrashInfo: a record of 39 bytes"},
		{"boot arguments", func(s *sample, b []byte) { word(b, s.at[MozMacosBootargs.String()]+4, 0xfffffff0) },
			"4 bytes at 0xfffffff0"},
		{"CodeView record", func(s *sample, b []byte) { word(b, s.at[ModuleListStream.String()]+4+80, 0xfffffff0) },
			`CodeView record of module "/bin/app"`},
		{"misc record", func(s *sample, b []byte) { word(b, s.at[ModuleListStream.String()]+4+84, 0xfffffff0) },
			`misc record of module "/bin/app"`},
		{"odd string", func(s *sample, b []byte) { word(b, s.at["library"], 3) }, "UTF-16 of 3 bytes"},
		{"memory twice", func(s *sample, b []byte) { word(b, s.at[Memory64ListStream.String()]+32, 0x401002) },
			"2 bytes of memory are stored more than once"},
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

// TestProblemsBounded reads a file in which the stack of every thread is all memory ranges and all modules share one long name.
// Time and memory of Problems must stay proportional to the file's size.
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
	twice := 0
	for _, p := range problems {
		switch {
		case strings.Contains(p, "listed twice"):
			twice++
		case strings.Contains(p, "stack"):
			t.Fatal(p)
		}
	}
	if twice != maxProblems-1 {
		t.Errorf("%d problems: %.300q", len(problems), problems)
	}
}

// TestHandleObjectsBounded reads a cyclic list.
func TestHandleObjectsBounded(t *testing.T) {
	s := &sample{}
	b := s.write(t, binary.LittleEndian)
	word(b, s.at["object info 2"], s.at["object info"])
	f := open(t, b)
	list, err := f.HandleObjects(s.at["object info"])
	if err == nil || len(list) < 2 || len(list)*HandleObjectInformationSize > len(b) {
		t.Errorf("%d elements, %v", len(list), err)
	}
	word(b, s.at["object info 2"]+8, 11)
	if list, err = f.HandleObjects(s.at["object info"]); err == nil || len(list) != 1 {
		t.Errorf("%d elements, %v", len(list), err)
	}
	if list, err = f.HandleObjects(0); err != nil || list != nil {
		t.Errorf("%v, %v", list, err)
	}
}
