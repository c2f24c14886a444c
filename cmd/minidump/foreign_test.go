package main

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"minidump/context"
	"minidump/stream"
)

// TestReasonByInstruction checks that the instruction completes the system's report: each row is a fault of "mov
// %rbx,(%rax)" with this rax.
func TestReasonByInstruction(t *testing.T) {
	const pc, wild, sp = 0x401000, 0xfefefefefefefefe, 0x7ff000
	write := []byte{0x48, 0x89, 0x18} // mov %rbx,(%rax)
	av := stream.Exception{ThreadID: 7, Code: 0xc0000005, NumberParameters: 2}
	av.Information = [15]uint64{0, 1<<64 - 1}
	nullWrite := stream.Exception{ThreadID: 7, Code: 0xc0000005, NumberParameters: 2}
	nullWrite.Information = [15]uint64{1, 0xffff}
	for _, c := range []struct {
		os        uint32
		rax       uint64
		exception stream.Exception
		want      string
	}{
		{stream.MD_OS_WIN32_NT, wild, av,
			"EXCEPTION_ACCESS_VIOLATION, write of 0xfefefefefefefefe, non-canonical address"},
		{stream.MD_OS_WIN32_NT, 0xffff, nullWrite, "EXCEPTION_ACCESS_VIOLATION, write of 0xffff, null pointer"},
		{stream.MD_OS_LINUX, wild, stream.Exception{ThreadID: 7, Code: 11, Flags: 0x80},
			"SIGSEGV / SI_KERNEL, write of 0xfefefefefefefefe, non-canonical address"},
		{stream.MD_OS_LINUX, 0x8, stream.Exception{ThreadID: 7, Code: 11, Flags: 1, Address: 8},
			"SIGSEGV / SEGV_MAPERR, write of 0x8, null pointer"},
		{stream.MD_OS_LINUX, 0x100badbad0, stream.Exception{ThreadID: 7, Code: 11, Flags: 1, Address: 0x100badbad0},
			"SIGSEGV / SEGV_MAPERR, write of 0x100badbad0"},
		{stream.MD_OS_LINUX, 0x45, stream.Exception{ThreadID: 7, Code: 11, Address: 0x45},
			"SIGSEGV / SI_USER, write of 0x45, null pointer"},
		{stream.MD_OS_LINUX, 0x99999, stream.Exception{ThreadID: 7, Code: 11, Address: 0x45}, // of another kill
			"SIGSEGV / SI_USER, address 0x45"},
		{stream.MD_OS_LINUX, 0x1000, stream.Exception{ThreadID: 7, Code: 11, Flags: 1, Address: 0x5000},
			"SIGSEGV / SEGV_MAPERR, at 0x5000"},
		{stream.MD_OS_MAC_OS_X, wild, stream.Exception{ThreadID: 7, Code: 1, Flags: 13},
			"EXC_BAD_ACCESS / EXC_I386_GPFLT, write of 0xfefefefefefefefe, non-canonical address"},
	} {
		b := handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_AMD64, c.os),
			threadWith(stream.Thread{ThreadID: 7}, amd64Context(pc, c.rax, sp)), exception(c.exception), memoryAt(pc, write))
		d := read(t, b)
		if got := d.Reason.text(); got != c.want {
			t.Errorf("system %#x: %q, want %q", c.os, got, c.want)
		}
		if d.Reason.Instruction != "mov %rbx,(%rax)" {
			t.Errorf("instruction %q", d.Reason.Instruction)
		}
		if got := d.brief(); got != "x.dmp: not known: "+c.want+", thread 7 at 0x401000" {
			t.Errorf("%q", got)
		}
		if got := showText(t, b, textOptions{}); !strings.Contains(got, "\nCode      mov %rbx,(%rax)\n") {
			t.Errorf("no instruction in\n%s", got)
		}
	}
}

// TestDisassemble disassembles one instruction of each architecture.
func TestDisassemble(t *testing.T) {
	le, be := binary.ByteOrder(binary.LittleEndian), binary.ByteOrder(binary.BigEndian)
	for _, c := range []struct {
		arch context.Arch
		o    binary.ByteOrder
		code []byte
		want string
	}{
		{context.AMD64, le, []byte{0x0f, 0x0b}, "ud2"},
		{context.X86, le, []byte{0x8b, 0x40, 0x14}, "mov 0x14(%eax),%eax"},
		{context.ARM, le, []byte{0x00, 0x00, 0x81, 0xe5}, "str r0, [r1]"},
		{context.ARM64, le, []byte{0x20, 0x00, 0x00, 0xf9}, "str x0, [x1]"},
		{context.PPC64, le, []byte{0x00, 0x00, 0x64, 0xf8}, "std r3,0(r4)"},
		{context.PPC64, be, []byte{0xf8, 0x64, 0x00, 0x00}, "std r3,0(r4)"},
		{context.S390X, be, []byte{0xe3, 0x10, 0x20, 0x00, 0x00, 0x24}, "stg %r1,0(%r2)"},
		{context.RISCV64, le, []byte{0x23, 0x30, 0xb5, 0x00}, "sd x11,0(x10)"},
		{context.LOONG64, le, []byte{0x85, 0x00, 0xc0, 0x29}, "st.d $a1,$a0,0"},
		{context.MIPS, le, []byte{0, 0, 0x82, 0xac}, ""},
		{context.AMD64, le, nil, ""},
		{context.X86, le, []byte{0xa1, 0, 0, 0, 0}, "mov 0x0,%eax"},
		{context.X86, le, []byte{0xa3, 0, 0, 0, 0}, "mov %eax,0x0"},
		{context.S390X, be, []byte{0xe3}, ""},
	} {
		if got := disassemble(c.arch, c.o, c.code, 0x1000); strings.ReplaceAll(got, ", ", ",") != strings.ReplaceAll(c.want, ", ", ",") {
			t.Errorf("%v %x: %q, want %q", c.arch, c.code, got, c.want)
		}
	}
}

// TestNarrowAddresses checks sign-extended 32-bit addresses, as writers on Windows store them: show truncates them,
// and still finds the memory.
func TestNarrowAddresses(t *testing.T) {
	const high = 0xffffffff_80401000
	av := stream.Exception{ThreadID: 7, Code: 0xc0000005, Address: high, NumberParameters: 2}
	av.Information = [15]uint64{1, 0xffffffff_00000045}
	teb := make([]byte, 0x38)
	binary.LittleEndian.PutUint32(teb[0x34:], 5)
	d := read(t, handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_X86, stream.MD_OS_WIN32_NT),
		threadWith(stream.Thread{ThreadID: 7, Teb: high, Stack: stream.MemoryDescriptor{Start: high}},
			x86Context(0x80401000, 0, 0x90000000)),
		exception(av), module(stream.Module{BaseOfImage: 0xffffffff_80400000, SizeOfImage: 0x8000}, `C:\app.exe`),
		memoryAt(high, append([]byte{0x8b, 0x40, 0x14}, teb[3:]...))))
	if d.Reason.text() != "EXCEPTION_ACCESS_VIOLATION, write of 0x45, null pointer" || d.Reason.Address != 0x80401000 ||
		d.Reason.IP.String() != "app.exe+0x1000" || d.Reason.Instruction != "mov 0x14(%eax),%eax" {
		t.Errorf("%+v, at %v", d.Reason, d.Reason.IP)
	}
	if th := d.Threads[0]; th.TEB != 0x80401000 || th.StackStart != 0x80401000 || th.LastError == nil || *th.LastError != 5 {
		t.Errorf("%+v", th)
	}
	if d.Modules[0].Base != 0x80400000 || d.Memory[0].Address != 0x80401000 {
		t.Errorf("%+v %+v", d.Modules[0], d.Memory[0])
	}
}

func TestLastError(t *testing.T) {
	teb := make([]byte, 0x70)
	binary.LittleEndian.PutUint32(teb[0x68:], 2)
	for os, want := range map[uint32]string{stream.MD_OS_WIN32_NT: "\n          last error 2 (ERROR_FILE_NOT_FOUND)\n",
		stream.MD_OS_LINUX: ""} {
		got := showText(t, handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_AMD64, os),
			threadWith(stream.Thread{ThreadID: 7, Teb: 0x5000}, amd64Context(1, 2, 3)), memoryAt(0x5000, teb),
			exception(stream.Exception{ThreadID: 7, Code: 0xc0000094})), textOptions{})
		if !strings.Contains(got, want) || strings.Contains(got, "last error") != (want != "") {
			t.Errorf("system %#x: no %q in\n%s", os, want, got)
		}
	}
}

// TestShortContext checks that a context that is shorter than the current record is read as far as it goes.
func TestShortContext(t *testing.T) {
	const note = "the context has 204 bytes, less than the record of x86"
	b := handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_X86, stream.MD_OS_WIN32_NT),
		threadWith(stream.Thread{ThreadID: 7}, x86Context(0x401000, 0x77, 0x12f000)[:204]),
		exception(stream.Exception{ThreadID: 7, Code: 0xc0000094}))
	d := read(t, b)
	if th := d.Threads[0]; th.IP == nil || th.IP.Address != 0x401000 || th.SP != 0x12f000 || th.ContextNote != note {
		t.Errorf("%+v", th)
	}
	if got := showText(t, b, textOptions{}); !strings.Contains(got, "eax 00000077") ||
		!strings.Contains(got, "\n          "+note+"\n") {
		t.Errorf("%s", got)
	}
	// Contexts without ESP, and without EIP.
	for size, ip := range map[int]bool{196: true, 187: false, 3: false, 0: false} {
		d := read(t, handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_X86, stream.MD_OS_WIN32_NT),
			threadWith(stream.Thread{ThreadID: 7}, x86Context(0x401000, 0x77, 0x12f000)[:size])))
		th := d.Threads[0]
		if (th.IP != nil) != ip || th.SP != 0 {
			t.Errorf("%d bytes: %+v", size, th)
		}
		for _, r := range th.Registers {
			if r.Name == "esp" || r.Name == "ss" {
				t.Errorf("%d bytes: %+v", size, r)
			}
		}
	}
}

// TestShowForeignStreams checks that the streams that only other writers write are in the text and in the JSON.
func TestShowForeignStreams(t *testing.T) {
	b := handmade(t, binary.LittleEndian, system(stream.MD_CPU_ARCHITECTURE_AMD64, stream.MD_OS_WIN32_NT),
		piece{stream.AssertionInfoStream, func(e *stream.Encoder) {
			r := stream.AssertionInfo{Expression: [128]uint16{'p'}, Function: [128]uint16{'f'}, File: [128]uint16{'c'}, Line: 7, Type: 1}
			r.Put(e.Next(stream.AssertionInfoSize), e.Order())
		}},
		piece{stream.ProcessVMCountersStream, func(e *stream.Encoder) {
			r := stream.ProcessVMCounters{Revision: 2, Flags: stream.MINIDUMP_PROCESS_VM_COUNTERS_EX, WorkingSetSize: 1 << 20,
				PeakWorkingSetSize: 2 << 20, PagefileUsage: 3 << 20, PrivateUsage: 4 << 20, VirtualSize: 5 << 20}
			r.Put(e.Next(stream.ProcessVMCountersSize), e.Order())
		}},
		piece{stream.SystemMemoryInfoStream, func(e *stream.Encoder) {
			r := stream.SystemMemoryInfo{Flags: stream.MINIDUMP_SYSMEMINFO1_BASICPERF}
			r.BasicInfo.PageSize, r.BasicInfo.NumberOfPhysicalPages = 4096, 1<<20
			r.BasicPerfInfo = stream.SystemBasicPerformanceInformation{AvailablePages: 1 << 18, CommittedPages: 1 << 19,
				CommitLimit: 1 << 21}
			r.Put(e.Next(stream.SystemMemoryInfo2Size), e.Order())
		}},
		piece{stream.TokenStream, func(e *stream.Encoder) {
			(&stream.TokenInfoList{TokenListSize: 32, TokenListEntries: 1, ListHeaderSize: 16, ElementHeaderSize: 16}).Put(
				e.Next(stream.TokenInfoListSize), e.Order())
			(&stream.TokenInfo{TokenSize: 16, TokenID: 9, TokenHandle: 0x44}).Put(e.Next(stream.TokenInfoSize), e.Order())
		}},
		piece{stream.FunctionTableStream, func(e *stream.Encoder) {
			(&stream.FunctionTableList{SizeOfHeader: 24, SizeOfDescriptor: 32, NumberOfDescriptors: 1}).Put(
				e.Next(stream.FunctionTableListSize), e.Order())
			(&stream.FunctionTable{MinimumAddress: 0x5000, MaximumAddress: 0x6000, EntryCount: 3}).Put(
				e.Next(stream.FunctionTableSize), e.Order())
		}},
		piece{stream.HandleOperationList, func(e *stream.Encoder) {
			(&stream.HandleOperationListHead{SizeOfHeader: 16, SizeOfEntry: 288, NumberOfEntries: 1}).Put(
				e.Next(stream.HandleOperationListHeadSize), e.Order())
			(&stream.HandleOperation{Handle: 0x48, ThreadID: 7, OperationType: 2, Depth: 1,
				ReturnAddresses: [32]uint64{0x140001234}}).Put(e.Next(stream.HandleOperationSize), e.Order())
		}},
		module(stream.Module{BaseOfImage: 0x140000000, SizeOfImage: 0x8000}, `C:\app.exe`),
		piece{stream.MozMacosCrashInfo, func(e *stream.Encoder) {
			text := "/usr/lib/libc.dylib\x00abort() called\x00\x00\x00\x00"
			r := stream.MacosCrashInfo{RecordCount: 1, RecordStartSize: 40}
			r.Records[0] = stream.Location{DataSize: uint32(40 + len(text)), RVA: uint32(e.Offset()) + stream.MacosCrashInfoSize}
			r.Put(e.Next(stream.MacosCrashInfoSize), e.Order())
			(&stream.MacosCrashInfoRecord{Version: 5}).Put(e.Next(stream.MacosCrashInfoRecordSize), e.Order())
			e.Bytes([]byte(text))
		}},
		piece{stream.MozMacosBootargs, func(e *stream.Encoder) {
			(&stream.MacosBootargs{BootargsRVA: e.Offset() + stream.MacosBootargsSize}).Put(e.Next(stream.MacosBootargsSize), e.Order())
			e.String([]byte("-v"))
		}},
		text(stream.CommentStreamA, "made by hand\x00\x00"))
	got := showText(t, b, textOptions{all: true})
	for _, want := range []string{"\nAssertion p in f, c:7 (invalid parameter)\n", "\nComment   made by hand\n",
		"process: working set 1 MB, peak 2 MB, pagefile 3 MB, private 4 MB\n",
		"machine: 4 GB, 1 GB available, committed 2 GB of 8 GB\n",
		"\n  handle 0x44 of process or thread 9, 16 B\n", "\n  000000005000-000000006000  3 functions\n",
		"\n  close of handle 0x48 by thread 7 at app.exe+0x1234\n", "\nMessage   libc.dylib: abort() called\n",
		"\nBoot      -v\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	j, err := json.Marshal(read(t, b))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"assertion":{"expression":"p","function":"f","file":"c","line":7,"type":"invalid parameter"}`,
		`"comment":"made by hand"`, `"private":4194304`, `"available_pages":262144`, `"tokens":[{"id":9,"handle":"0x44","size":16}]`,
		`"function_tables":[{"start":"0x5000","end":"0x6000","base":"0x0","entries":3}]`, `"operation":"close"`,
		`"message":"abort() called"`, `"macos_boot_args":"-v"`} {
		if !strings.Contains(string(j), want) {
			t.Errorf("no %s in\n%s", want, j)
		}
	}
	if problems := validate(t, "show.schema.json", j); len(problems) > 0 {
		t.Errorf("not as its schema says: %q", problems)
	}
	if strings.Contains(string(j), "virtual_size") {
		t.Errorf("a counter that is not there in\n%s", j)
	}
}
