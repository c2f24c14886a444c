package stream

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// recordTests has the bytes of every record with the fields filled with the bytes 01, 02, 03 … in their order, so that each field
// has a unique value and each byte a known place. A group is a field, in big-endian order; "=" marks bytes that are the same in
// both byte orders, and dots a reserved field, which is 0. "70*4" is 70 fields of 4 bytes.
var recordTests = []struct {
	name   string
	zero   record
	size   int // the constant
	figure int // the documented size
	fields string
}{
	{"Header", &Header{}, HeaderSize, 32,
		`01020304 05060708 090a0b0c 0d0e0f10 11121314 15161718 191a1b1c1d1e1f20`},
	{"Location", &Location{}, LocationSize, 8,
		`01020304 05060708`},
	{"Directory", &Directory{}, DirectorySize, 12,
		`01020304 05060708 090a0b0c`},
	{"MemoryDescriptor", &MemoryDescriptor{}, MemoryDescriptorSize, 16,
		`0102030405060708 090a0b0c 0d0e0f10`},
	{"Memory64List", &Memory64List{}, Memory64ListSize, 16,
		`0102030405060708 090a0b0c0d0e0f10`},
	{"MemoryDescriptor64", &MemoryDescriptor64{}, MemoryDescriptor64Size, 16,
		`0102030405060708 090a0b0c0d0e0f10`},
	{"MemoryInfoList", &MemoryInfoList{}, MemoryInfoListSize, 16,
		`01020304 05060708 090a0b0c0d0e0f10`},
	{"MemoryInfo", &MemoryInfo{}, MemoryInfoSize, 48,
		`0102030405060708 090a0b0c0d0e0f10 11121314 ........ 15161718191a1b1c 1d1e1f20 21222324 25262728
			........`},
	{"Thread", &Thread{}, ThreadSize, 48,
		`01020304 05060708 090a0b0c 0d0e0f10 1112131415161718 191a1b1c1d1e1f20 21222324 25262728 292a2b2c
			2d2e2f30`},
	{"ThreadName", &ThreadName{}, ThreadNameSize, 12,
		`01020304 05060708090a0b0c`},
	{"ThreadInfoList", &ThreadInfoList{}, ThreadInfoListSize, 12,
		`01020304 05060708 090a0b0c`},
	{"ThreadInfo", &ThreadInfo{}, ThreadInfoSize, 64,
		`01020304 05060708 090a0b0c 0d0e0f10 1112131415161718 191a1b1c1d1e1f20 2122232425262728
			292a2b2c2d2e2f30 3132333435363738 393a3b3c3d3e3f40`},
	{"FixedFileInfo", &FixedFileInfo{}, FixedFileInfoSize, 52,
		`01020304 05060708 090a0b0c 0d0e0f10 11121314 15161718 191a1b1c 1d1e1f20 21222324 25262728
			292a2b2c 2d2e2f30 31323334`},
	{"Module", &Module{}, ModuleSize, 108,
		`0102030405060708 090a0b0c 0d0e0f10 11121314 15161718 191a1b1c 1d1e1f20 21222324 25262728
			292a2b2c 2d2e2f30 31323334 35363738 393a3b3c 3d3e3f40 41424344 45464748 494a4b4c 4d4e4f50
			51525354 55565758 595a5b5c ................ ................`},
	{"UnloadedModuleList", &UnloadedModuleList{}, UnloadedModuleListSize, 12,
		`01020304 05060708 090a0b0c`},
	{"UnloadedModule", &UnloadedModule{}, UnloadedModuleSize, 24,
		`0102030405060708 090a0b0c 0d0e0f10 11121314 15161718`},
	{"Exception", &Exception{}, ExceptionSize, 168,
		`01020304 ........ 05060708 090a0b0c 0d0e0f1011121314 15161718191a1b1c 1d1e1f20 ........
			2122232425262728 292a2b2c2d2e2f30 3132333435363738 393a3b3c3d3e3f40 4142434445464748
			494a4b4c4d4e4f50 5152535455565758 595a5b5c5d5e5f60 6162636465666768 696a6b6c6d6e6f70
			7172737475767778 797a7b7c7d7e7f80 8182838485868788 898a8b8c8d8e8f90 9192939495969798 999a9b9c
			9d9e9fa0`},
	{"SystemInfo", &SystemInfo{}, SystemInfoSize, 56,
		`0102 0304 0506 07 08 090a0b0c 0d0e0f10 11121314 15161718 191a1b1c 1d1e ....
			=1f202122232425262728292a2b2c2d2e2f30313233343536`},
	{"X86CPU", &X86CPU{}, CPUSize, 24,
		`=0102030405060708090a0b0c 0d0e0f10 11121314 15161718`},
	{"ARMCPU", &ARMCPU{}, CPUSize, 24,
		`01020304 05060708 ................................`},
	{"OtherCPU", &OtherCPU{}, CPUSize, 24,
		`0102030405060708 090a0b0c0d0e0f10 ................`},
	{"MiscInfo", &MiscInfo{}, MiscInfoSize, 24,
		`01020304 05060708 090a0b0c 0d0e0f10 11121314 15161718`},
	{"MiscInfo2", &MiscInfo2{}, MiscInfo2Size, 44,
		`01020304 05060708 090a0b0c 0d0e0f10 11121314 15161718 191a1b1c 1d1e1f20 21222324 25262728
			292a2b2c`},
	{"HandleDataHeader", &HandleDataHeader{}, HandleDataHeaderSize, 16,
		`01020304 05060708 090a0b0c ........`},
	{"HandleDescriptor", &HandleDescriptor{}, HandleDescriptorSize, 32,
		`0102030405060708 090a0b0c 0d0e0f10 11121314 15161718 191a1b1c 1d1e1f20`},
	{"HandleDescriptor2", &HandleDescriptor2{}, HandleDescriptor2Size, 40,
		`0102030405060708 090a0b0c 0d0e0f10 11121314 15161718 191a1b1c 1d1e1f20 21222324 ........`},
	{"BreakpadInfo", &BreakpadInfo{}, BreakpadInfoSize, 12,
		`01020304 05060708 090a0b0c`},
	{"DSODebug64", &DSODebug64{}, DSODebug64Size, 40,
		`01020304 05060708 090a0b0c ........ 0d0e0f1011121314 15161718191a1b1c 1d1e1f2021222324`},
	{"DSODebug32", &DSODebug32{}, DSODebug32Size, 24,
		`01020304 05060708 090a0b0c 0d0e0f10 11121314 15161718`},
	{"LinkMap64", &LinkMap64{}, LinkMap64Size, 24,
		`0102030405060708 090a0b0c ........ 0d0e0f1011121314`},
	{"LinkMap32", &LinkMap32{}, LinkMap32Size, 12,
		`01020304 05060708 090a0b0c`},
	{"CrashpadInfo", &CrashpadInfo{}, CrashpadInfoSize, 52,
		`01020304 05060708 090a 0b0c =0d0e0f1011121314 15161718 191a 1b1c =1d1e1f2021222324 25262728
			292a2b2c 2d2e2f30 31323334`},
	{"SimpleStringDictionaryEntry", &SimpleStringDictionaryEntry{}, SimpleStringDictionaryEntrySize, 8,
		`01020304 05060708`},
	{"ModuleCrashpadInfoLink", &ModuleCrashpadInfoLink{}, ModuleCrashpadInfoLinkSize, 12,
		`01020304 05060708 090a0b0c`},
	{"ModuleCrashpadInfo", &ModuleCrashpadInfo{}, ModuleCrashpadInfoSize, 28,
		`01020304 05060708 090a0b0c 0d0e0f10 11121314 15161718 191a1b1c`},
	{"AnnotationObject", &AnnotationObject{}, AnnotationObjectSize, 12,
		`01020304 0506 .... 0708090a`},
	{"GUID", &GUID{}, GUIDSize, 16,
		`01020304 0506 0708 =090a0b0c0d0e0f10`},
	{"RegisterSets", &RegisterSets{}, RegisterSetsSize, 8,
		`01020304 05060708`},
	{"RegisterSet", &RegisterSet{}, RegisterSetSize, 16,
		`01020304 05060708 090a0b0c 0d0e0f10`},
	{"GoroutineListHeader", &GoroutineListHeader{}, GoroutineListHeaderSize, 136,
		`01020304 05060708 090a0b0c 0d0e0f10 11121314 15161718 191a1b1c 1d1e1f20 21222324 25262728 292a2b2c
			2d2e2f30 3132333435363738 393a3b3c3d3e3f40 41424344 45464748 494a4b4c 4d4e4f50 51525354 55565758
			595a5b5c 5d5e5f60 61626364 65666768 696a6b6c 6d6e6f70 71727374 75767778 797a7b7c 7d7e7f80 81828384
			85868788`},
	{"FrameListHeader", &FrameListHeader{}, FrameListHeaderSize, 40,
		`01020304 05060708 090a0b0c 0d0e0f10 11121314 15161718 191a1b1c 1d1e1f20 21222324 25262728`},
	{"FrameThread", &FrameThread{}, FrameThreadSize, 16,
		`01020304 05060708 090a0b0c 0d0e0f10`},
	{"FrameRecord", &FrameRecord{}, FrameRecordSize, 40,
		`0102030405060708 090a0b0c0d0e0f10 11121314 15161718 191a1b1c 1d1e1f20 21222324 2526 2728`},
	{"GoTable", &GoTable{}, GoTableSize, 8,
		`01020304 05060708`},
	{"GoroutineRecord", &GoroutineRecord{}, GoroutineRecordSize, 88,
		`0102030405060708 090a0b0c0d0e0f10 1112131415161718 191a1b1c1d1e1f20 2122232425262728
			292a2b2c2d2e2f30 31323334 35363738 393a 3b3c 3d3e3f40 41424344 45464748 494a4b4c 4d4e4f50 51525354
			55565758`},
	{"GoStack", &GoStack{}, GoStackSize, 12,
		`01020304 05060708 090a0b0c`},
	{"GoFrame", &GoFrame{}, GoFrameSize, 32,
		`0102030405060708 090a0b0c 0d0e0f10 11121314 15161718 191a1b1c 1d1e1f20`},
	{"GoLabel", &GoLabel{}, GoLabelSize, 8,
		`01020304 05060708`},
	{"GoPanic", &GoPanic{}, GoPanicSize, 16,
		`01020304 05060708 090a0b0c 0d0e0f10`},
	{"GoThread", &GoThread{}, GoThreadSize, 56,
		`01020304 05060708 090a0b0c 0d0e0f10 1112131415161718 191a1b1c1d1e1f20 2122232425262728
			292a2b2c2d2e2f30 3132333435363738`},
	{"HandleObjectInformation", &HandleObjectInformation{}, HandleObjectInformationSize, 12,
		`01020304 05060708 090a0b0c`},
	{"HandleOperationListHead", &HandleOperationListHead{}, HandleOperationListHeadSize, 16,
		`01020304 05060708 090a0b0c ........`},
	{"HandleOperation", &HandleOperation{}, HandleOperationSize, 288,
		`0102030405060708 090a0b0c 0d0e0f10 11121314 ........ 15161718 191a1b1c 32*8`},
	{"TokenInfoList", &TokenInfoList{}, TokenInfoListSize, 16,
		`01020304 05060708 090a0b0c 0d0e0f10`},
	{"TokenInfo", &TokenInfo{}, TokenInfoSize, 16,
		`01020304 05060708 090a0b0c0d0e0f10`},
	{"FunctionTableList", &FunctionTableList{}, FunctionTableListSize, 24,
		`01020304 05060708 090a0b0c 0d0e0f10 11121314 15161718`},
	{"FunctionTable", &FunctionTable{}, FunctionTableSize, 32,
		`0102030405060708 090a0b0c0d0e0f10 1112131415161718 191a1b1c 1d1e1f20`},
	{"SystemMemoryInfo", &SystemMemoryInfo{}, SystemMemoryInfo2Size, 524,
		`0102 0304 6*4 3*8 1*4 2*8 1*4 4*8 2*4 4*8 4*8 70*4 4*8 4*8`},
	{"SystemBasicInformation", &SystemBasicInformation{}, SystemBasicInformationSize, 52,
		`6*4 3*8 1*4`},
	{"SystemFileCacheInformation", &SystemFileCacheInformation{}, SystemFileCacheInformationSize, 60,
		`2*8 1*4 4*8 2*4`},
	{"SystemBasicPerformanceInformation", &SystemBasicPerformanceInformation{}, SystemBasicPerformanceInformationSize, 32,
		`4*8`},
	{"SystemPerformanceInformation", &SystemPerformanceInformation{}, SystemPerformanceInformationSize, 344,
		`4*8 70*4 4*8`},
	{"ProcessVMCounters", &ProcessVMCounters{}, ProcessVMCountersSize, 152,
		`0102 0304 05060708 18*8`},
	{"AssertionInfo", &AssertionInfo{}, AssertionInfoSize, 776,
		`384*2 2*4`},
	{"SystemTime", &SystemTime{}, SystemTimeSize, 16,
		`0102 0304 0506 0708 090a 0b0c 0d0e 0f10`},
	{"XStateConfig", &XStateConfig{}, XStateConfigSize, 528,
		`01020304 05060708 090a0b0c0d0e0f10 128*4`},
	{"MacosCrashInfo", &MacosCrashInfo{}, MacosCrashInfoSize, 172,
		`01020304 05060708 090a0b0c 40*4`},
	{"MacosCrashInfoRecord", &MacosCrashInfoRecord{}, MacosCrashInfoRecordSize, 40,
		`5*8`},
	{"MacosBootargs", &MacosBootargs{}, MacosBootargsSize, 12,
		`01020304 05060708090a0b0c`}}

// minSizes are the sizes of the oldest forms of records that have shorter, older forms.
var minSizes = map[string]int{"ModuleCrashpadInfo": ModuleCrashpadInfoMinSize, "SystemMemoryInfo": SystemMemoryInfoSize,
	"ProcessVMCounters": ProcessVMCounters1Size, "MacosCrashInfoRecord": MacosCrashInfoRecordMinSize}

// image returns the bytes that fields describes, with fill in the reserved ones.
func image(t *testing.T, fields string, o binary.ByteOrder, fill string) []byte {
	t.Helper()
	var image []byte
	next := byte(1)
	for _, group := range strings.Fields(fields) {
		if count, size, many := strings.Cut(group, "*"); many {
			n, _ := strconv.Atoi(count)
			for range n {
				field := make([]byte, size[0]-'0')
				for i := range field {
					field[i] = next
					next++
				}
				if o == binary.LittleEndian {
					slices.Reverse(field)
				}
				image = append(image, field...)
			}
			continue
		}
		next += byte(len(strings.Trim(group, "=.")) / 2)
		raw := strings.HasPrefix(group, "=")
		group = strings.ReplaceAll(strings.TrimPrefix(group, "="), "..", fill)
		b, err := hex.DecodeString(group)
		if err != nil {
			t.Fatal(err)
		}
		if !raw && o == binary.LittleEndian {
			slices.Reverse(b)
		}
		image = append(image, b...)
	}
	return image
}

// fill sets every number in v to the bytes that follow those of the number before.
func fill(v reflect.Value, next *byte) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), next)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), next)
		}
	default:
		var n uint64
		for range v.Type().Size() {
			n = n<<8 | uint64(*next)
			*next++
		}
		if v.CanInt() {
			v.SetInt(int64(n))
			break
		}
		v.SetUint(n)
	}
}

func TestRecords(t *testing.T) {
	for _, test := range recordTests {
		for _, o := range orders {
			want := image(t, test.fields, o, "00")
			if test.size != test.figure || len(want) != test.figure {
				t.Fatalf("%s: size is %d and the bytes are %d, not %d", test.name, test.size, len(want), test.figure)
			}
			filled := reflect.New(reflect.TypeOf(test.zero).Elem())
			next := byte(1)
			fill(filled.Elem(), &next)
			r := filled.Interface().(record)

			b := bytes.Repeat([]byte{0xaa}, test.size+8)
			r.Put(b, o)
			if !bytes.Equal(b[:test.size], want) {
				t.Errorf("%s, %v:\n got %x\nwant %x", test.name, o, b[:test.size], want)
			}
			if !bytes.Equal(b[test.size:], bytes.Repeat([]byte{0xaa}, 8)) {
				t.Errorf("%s, %v: wrote behind its end: %x", test.name, o, b[test.size:])
			}
			back := reflect.New(reflect.TypeOf(test.zero).Elem())
			back.Interface().(record).Get(image(t, test.fields, o, "ee"), o)
			if !reflect.DeepEqual(back.Interface(), r) {
				t.Errorf("%s, %v:\n got %+v\nwant %+v", test.name, o, back.Elem(), filled.Elem())
			}
		}
	}
}

// TestRecordsShort checks that Put and Get panic if the slice is too short.
func TestRecordsShort(t *testing.T) {
	panics := func(f func()) (yes bool) {
		defer func() { yes = recover() != nil }()
		f()
		return
	}
	for _, test := range recordTests {
		b := make([]byte, test.size-1)
		if !panics(func() { test.zero.Put(b, binary.LittleEndian) }) {
			t.Errorf("%s.Put takes a slice that is too short", test.name)
		}
		if least, ok := minSizes[test.name]; ok {
			b = b[:least-1]
		}
		if !panics(func() { test.zero.Get(b, binary.LittleEndian) }) {
			t.Errorf("%s.Get takes a slice that is too short", test.name)
		}
	}
}

func TestRecordsAllocateNothing(t *testing.T) {
	b := make([]byte, 4096)
	for _, o := range orders {
		if n := testing.AllocsPerRun(10, func() { // records as local variables
			system := SystemInfo{NumberOfProcessors: 1}
			system.Put(b, o)
			cpu := X86CPU{VersionInformation: 2}
			cpu.Put(b[CPUOffset:], o)
			module := Module{BaseOfImage: 3}
			module.Put(b, o)
			exception := Exception{ThreadID: 4}
			exception.Put(b, o)
		}); n != 0 {
			t.Errorf("%v: local records allocate %v times", o, n)
		}
	}
	for _, test := range recordTests {
		for _, o := range orders {
			if n := testing.AllocsPerRun(10, func() {
				test.zero.Put(b, o)
				test.zero.Get(b, o)
			}); n != 0 {
				t.Errorf("%s allocates %v times", test.name, n)
			}
		}
	}
}

func TestModuleCrashpadInfoOld(t *testing.T) {
	b := make([]byte, ModuleCrashpadInfoMinSize)
	full := ModuleCrashpadInfo{1, Location{2, 3}, Location{4, 5}, Location{}}
	for i, v := range []uint32{1, 2, 3, 4, 5} {
		binary.BigEndian.PutUint32(b[4*i:], v)
	}
	got := ModuleCrashpadInfo{AnnotationObjects: Location{9, 9}}
	if got.Get(b, binary.BigEndian); got != full {
		t.Errorf("got %+v", got)
	}
}

// TestSystemMemoryInfoForms reads both forms; the shorter form leaves the last fields 0.
func TestSystemMemoryInfoForms(t *testing.T) {
	var full SystemMemoryInfo
	next := byte(1)
	fill(reflect.ValueOf(&full).Elem(), &next)
	b := make([]byte, SystemMemoryInfo2Size)
	full.Put(b, binary.LittleEndian)
	short := full
	short.MdlPagesAllocated, short.PfnDatabaseCommittedPages = 0, 0
	short.SystemPageTableCommittedPages, short.ContiguousPagesAllocated = 0, 0
	for size, want := range map[int]SystemMemoryInfo{SystemMemoryInfoSize: short, SystemMemoryInfo2Size - 1: short,
		SystemMemoryInfo2Size: full} {
		got := full
		if got.Get(b[:size], binary.LittleEndian); got != want {
			t.Errorf("%d bytes:\n got %+v\nwant %+v", size, got, want)
		}
	}
}

// TestProcessVMCounters1 reads the form without Flags, in which PrivateUsage is at a different offset.
func TestProcessVMCounters1(t *testing.T) {
	for _, o := range orders {
		b := make([]byte, ProcessVMCountersSize)
		o.PutUint16(b, 1)
		o.PutUint16(b[2:], 99) // padding
		o.PutUint32(b[4:], 4)
		for i := range uint64(18) {
			o.PutUint64(b[8+8*i:], i)
		}
		want := ProcessVMCounters{Revision: 1, PageFaultCount: 4, PeakWorkingSetSize: 0, WorkingSetSize: 1,
			QuotaPeakPagedPoolUsage: 2, QuotaPagedPoolUsage: 3, QuotaPeakNonPagedPoolUsage: 4, QuotaNonPagedPoolUsage: 5,
			PagefileUsage: 6, PeakPagefileUsage: 7, PrivateUsage: 8}
		for _, size := range []int{ProcessVMCounters1Size, ProcessVMCountersSize} {
			var got ProcessVMCounters
			if got.Get(b[:size], o); got != want {
				t.Errorf("%v, %d bytes:\n got %+v\nwant %+v", o, size, got, want)
			}
		}
	}
}

// TestMacosCrashInfoRecordForms reads the records of all versions.
func TestMacosCrashInfoRecordForms(t *testing.T) {
	b := make([]byte, MacosCrashInfoRecordSize)
	(&MacosCrashInfoRecord{1, 2, 3, 4, 5}).Put(b, binary.BigEndian)
	for size, want := range map[int]MacosCrashInfoRecord{16: {1, 2, 0, 0, 0}, 31: {1, 2, 0, 0, 0}, 32: {1, 2, 3, 4, 0},
		39: {1, 2, 3, 4, 0}, 40: {1, 2, 3, 4, 5}} {
		got := MacosCrashInfoRecord{9, 9, 9, 9, 9}
		if got.Get(b[:size], binary.BigEndian); got != want {
			t.Errorf("%d bytes: %+v, want %+v", size, got, want)
		}
	}
}

// TestMiscInfo5 writes and reads every form: each has its own last field, and no field of the next.
func TestMiscInfo5(t *testing.T) {
	for _, o := range orders {
		full := MiscInfo5{ProcessIntegrityLevel: 44, ProcessExecuteFlags: 48, ProtectedProcess: 52, TimeZoneID: 56,
			TimeZoneBias: -60, TimeZoneStandardName: "CET", TimeZoneStandardDate: SystemTime{Month: 10, Day: 5, Hour: 3},
			TimeZoneStandardBias: 144, TimeZoneDaylightName: "Central European Summer Time 123",
			TimeZoneDaylightDate: SystemTime{Month: 3, Day: 5, Hour: 2}, TimeZoneDaylightBias: -228,
			BuildString: "build 𝄞", DbgBldStr: "dbg", XStateData: XStateConfig{SizeOfInfo: 528, EnabledFeatures: 7,
				Features: [MAXIMUM_XSTATE_FEATURES]XStateFeature{63: {1, 2}}}, ProcessCookie: 1360}
		full.ProcessKernelTime, full.ProcessorCurrentIdleState = 20, 40
		for _, size := range []int{MiscInfoSize, MiscInfo2Size, MiscInfo3Size, MiscInfo4Size, MiscInfo5Size} {
			want := miscInfoForm(full, size)
			full.SizeOfInfo = uint32(size)
			b := bytes.Repeat([]byte{0xaa}, size+8)
			full.Put(b, o)
			if !bytes.Equal(b[size:], bytes.Repeat([]byte{0xaa}, 8)) {
				t.Errorf("%v, size %d: wrote after its end", o, size)
			}
			testMiscInfoBytes(t, b[:size], o)
			var got, cut MiscInfo5
			if got.Get(b, o); got != want {
				t.Errorf("size %d:\n got %+v\nwant %+v", size, got, want)
			}
			o.PutUint32(b, 0xffffffff)
			want.SizeOfInfo = 0xffffffff
			if cut.Get(b[:size], o); cut != want {
				t.Errorf("%d bytes:\n got %+v\nwant %+v", size, cut, want)
			}
		}
	}
}

// miscInfoForm returns the part of full that a form of size bytes has.
func miscInfoForm(full MiscInfo5, size int) MiscInfo5 {
	r := full
	if size < MiscInfo5Size {
		r.XStateData, r.ProcessCookie = XStateConfig{}, 0
	}
	if size < MiscInfo4Size {
		r.BuildString, r.DbgBldStr = "", ""
	}
	if size < MiscInfo3Size {
		r = MiscInfo5{MiscInfo2: full.MiscInfo2}
	}
	if size < MiscInfo2Size {
		r.MiscInfo2 = MiscInfo2{MiscInfo: full.MiscInfo}
	}
	r.SizeOfInfo = uint32(size)
	// One character more than fits.
	r.TimeZoneDaylightName = strings.TrimSuffix(r.TimeZoneDaylightName, "3")
	return r
}

// testMiscInfoBytes checks the offsets of fields.
func testMiscInfoBytes(t *testing.T, b []byte, o binary.ByteOrder) {
	for at, want := range map[int]uint32{20: 20, 40: 40, 44: 44, 48: 48, 52: 52, 56: 56, 60: -60 & 0xffffffff, 144: 144,
		228: -228 & 0xffffffff, 832: 528, 1360: 1360} {
		if at < len(b) && o.Uint32(b[at:]) != want {
			t.Errorf("%v, %d bytes: %#x at %d, want %#x", o, len(b), o.Uint32(b[at:]), at, want)
		}
	}
	for at, want := range map[int]uint16{64: 'C', 130: 10, 134: 5, 136: 3, 148: 'C', 208: '2', 210: 0, 214: 3, 218: 5, 220: 2,
		232: 'b', 244: 0xd834, 246: 0xdd1e, 248: 0, 752: 'd'} {
		if at < len(b) && o.Uint16(b[at:]) != want {
			t.Errorf("%v, %d bytes: %#x at %d, want %#x", o, len(b), o.Uint16(b[at:]), at, want)
		}
	}
}

func TestTypes(t *testing.T) {
	for number, name := range map[Type]string{
		0: "UnusedStream", 3: "ThreadListStream", 4: "ModuleListStream", 5: "MemoryListStream", 6: "ExceptionStream",
		7: "SystemInfoStream", 8: "ThreadExListStream", 9: "Memory64ListStream", 10: "CommentStreamA",
		11: "CommentStreamW", 12: "HandleDataStream", 13: "FunctionTableStream", 14: "UnloadedModuleListStream",
		15: "MiscInfoStream", 16: "MemoryInfoListStream", 17: "ThreadInfoListStream", 18: "HandleOperationList",
		19: "TokenStream", 20: "JavaScriptDataStream", 21: "SystemMemoryInfoStream", 22: "ProcessVMCountersStream",
		23: "IptTraceStream", 24: "ThreadNamesStream", 0x47670001: "BreakpadInfoStream", 0x47670002: "AssertionInfoStream",
		0x47670003: "LinuxCPUInfo", 0x47670004: "LinuxProcStatus", 0x47670005: "LinuxLSBRelease",
		0x47670006: "LinuxCmdLine", 0x47670007: "LinuxEnviron", 0x47670008: "LinuxAuxv", 0x47670009: "LinuxMaps",
		0x4767000a: "LinuxDSODebug", 0x43500001: "CrashpadInfoStream", 0x4d7a0001: "MozMacosCrashInfo",
		0x4d7a0002: "MozMacosBootargs", 0x4d7a0003: "MozLinuxLimits", 0x4d7a0004: "MozSoftErrors",
		0x676f0001: "GoroutineListStream", 0x676f0002: "RegisterSetsStream", 0x676f0003: "FrameListStream", 0xfff0: "0xfff0",
	} {
		if number.String() != name {
			t.Errorf("%#x is %v, not %s", uint32(number), number, name)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	bytes16 := "00112233445566778899aabbccddeeff"
	for _, test := range []struct {
		name     string
		codeView string // in hexadecimal, little-endian
		big      bool
		platform uint32
		debug    string
		code     string
	}{
		{"build id", "4c457042" + bytes16, false, MD_OS_LINUX, "33221100554477668899AABBCCDDEEFF0", bytes16},
		{"long build id", "4c457042" + bytes16 + "01020304", false, MD_OS_LINUX,
			"33221100554477668899AABBCCDDEEFF0", bytes16 + "01020304"},
		{"short build id", "4c457042" + "0011223344", false, MD_OS_LINUX,
			"332211000044000000000000000000000", "0011223344"},
		{"big-endian", "4270454c" + bytes16, true, MD_OS_LINUX, "00112233445566778899AABBCCDDEEFF0", bytes16},
		{"no build id", "4c457042", false, MD_OS_LINUX, "", ""},
		{"build id of zeros", "4c457042" + "00000000000000000000000000000000", false, MD_OS_LINUX, "", ""},
		{"UUID of zeros", "52534453" + "00000000000000000000000000000000" + "00000000" + "00", false, MD_OS_MAC_OS_X, "", ""},
		{"GUID of zeros", "52534453" + "00000000000000000000000000000000" + "01000000" + "00", false, MD_OS_WIN32_NT,
			"000000000000000000000000000000001", "4CA3B58A1a000"},
		{"PDB 7.0", "52534453" + bytes16 + "1a000000" + "612e70646200", false, MD_OS_WIN32_NT,
			"33221100554477668899AABBCCDDEEFF1a", "4CA3B58A1a000"},
		{"UUID", "52534453" + bytes16 + "00000000" + "00", false, MD_OS_MAC_OS_X,
			"33221100554477668899AABBCCDDEEFF0", "33221100554477668899AABBCCDDEEFF"},
		{"PDB 7.0, cut", "52534453" + bytes16 + "0000", false, MD_OS_MAC_OS_X, "", ""},
		{"PDB 2.0", "4e423130" + "00000000" + "0d0cb03e" + "1a000000" + "00", false, MD_OS_WIN32_NT, "3EB00C0D1a",
			"4CA3B58A1a000"},
		{"PDB 2.0, long ago", "4e423130" + "00000000" + "0d000000" + "00000000" + "00", false, MD_OS_LINUX, "0000000D0", ""},
		{"PDB 2.0, cut", "4e423130" + "00000000" + "0d0cb03e" + "1a", false, MD_OS_LINUX, "", ""},
		{"unknown", "01020304" + bytes16, false, MD_OS_LINUX, "", ""},
		{"none", "", false, MD_OS_LINUX, "", ""},
	} {
		b, err := hex.DecodeString(test.codeView)
		if err != nil {
			t.Fatal(err)
		}
		var o binary.ByteOrder = binary.LittleEndian
		if test.big {
			o = binary.BigEndian
		}
		if got := DebugID(b, o); got != test.debug {
			t.Errorf("%s: debug id %q, not %q", test.name, got, test.debug)
		}
		m := Module{TimeDateStamp: 0x4ca3b58a, SizeOfImage: 0x1a000}
		if got := CodeID(&m, b, test.platform, o); got != test.code {
			t.Errorf("%s: code id %q, not %q", test.name, got, test.code)
		}
	}
	id := GUID{0x00112233, 0x4455, 0x6677, [8]byte{0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}}
	if s := id.String(); s != "00112233-4455-6677-8899-aabbccddeeff" {
		t.Error(s)
	}
}
