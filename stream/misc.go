package stream

import "encoding/binary"

// Bits of MiscInfo.Flags1: which fields are filled in.
const (
	MINIDUMP_MISC1_PROCESS_ID            = 0x1
	MINIDUMP_MISC1_PROCESS_TIMES         = 0x2
	MINIDUMP_MISC1_PROCESSOR_POWER_INFO  = 0x4
	MINIDUMP_MISC3_PROCESS_INTEGRITY     = 0x10
	MINIDUMP_MISC3_PROCESS_EXECUTE_FLAGS = 0x20
	MINIDUMP_MISC3_TIMEZONE              = 0x40
	MINIDUMP_MISC3_PROTECTED_PROCESS     = 0x80
	MINIDUMP_MISC4_BUILDSTRING           = 0x100
	MINIDUMP_MISC5_PROCESS_COOKIE        = 0x200
)

// Sizes in bytes of the five forms of the record. Each form starts with the one before it.
const (
	MiscInfoSize  = 24
	MiscInfo2Size = 44
	MiscInfo3Size = 232
	MiscInfo4Size = 832
	MiscInfo5Size = 1364
)

// MiscInfo is MINIDUMP_MISC_INFO.
//
//	 0 uint32 SizeOfInfo
//	 4 uint32 Flags1
//	 8 uint32 ProcessId
//	12 uint32 ProcessCreateTime
//	16 uint32 ProcessUserTime
//	20 uint32 ProcessKernelTime
type MiscInfo struct {
	SizeOfInfo        uint32 // MiscInfoSize, or the size of the longer form that starts with this record
	Flags1            uint32 // MINIDUMP_MISC…
	ProcessID         uint32
	ProcessCreateTime uint32 // seconds since 1970, UTC
	ProcessUserTime   uint32 // seconds
	ProcessKernelTime uint32 // seconds
}

// Put writes the MiscInfoSize bytes of r to b.
func (r *MiscInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[MiscInfoSize-1]
	o.PutUint32(b[0:], r.SizeOfInfo)
	o.PutUint32(b[4:], r.Flags1)
	o.PutUint32(b[8:], r.ProcessID)
	o.PutUint32(b[12:], r.ProcessCreateTime)
	o.PutUint32(b[16:], r.ProcessUserTime)
	o.PutUint32(b[20:], r.ProcessKernelTime)
}

// Get reads r from the first MiscInfoSize bytes of b.
func (r *MiscInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[MiscInfoSize-1]
	r.SizeOfInfo = o.Uint32(b[0:])
	r.Flags1 = o.Uint32(b[4:])
	r.ProcessID = o.Uint32(b[8:])
	r.ProcessCreateTime = o.Uint32(b[12:])
	r.ProcessUserTime = o.Uint32(b[16:])
	r.ProcessKernelTime = o.Uint32(b[20:])
}

// MiscInfo2 is MINIDUMP_MISC_INFO_2.
//
//	 0 MiscInfo
//	24 uint32 ProcessorMaxMhz
//	28 uint32 ProcessorCurrentMhz
//	32 uint32 ProcessorMhzLimit
//	36 uint32 ProcessorMaxIdleState
//	40 uint32 ProcessorCurrentIdleState
type MiscInfo2 struct {
	MiscInfo
	ProcessorMaxMHz           uint32
	ProcessorCurrentMHz       uint32
	ProcessorMHzLimit         uint32
	ProcessorMaxIdleState     uint32
	ProcessorCurrentIdleState uint32
}

// Put writes the MiscInfo2Size bytes of r to b.
func (r *MiscInfo2) Put(b []byte, o binary.ByteOrder) {
	_ = b[MiscInfo2Size-1]
	r.MiscInfo.Put(b, o)
	o.PutUint32(b[24:], r.ProcessorMaxMHz)
	o.PutUint32(b[28:], r.ProcessorCurrentMHz)
	o.PutUint32(b[32:], r.ProcessorMHzLimit)
	o.PutUint32(b[36:], r.ProcessorMaxIdleState)
	o.PutUint32(b[40:], r.ProcessorCurrentIdleState)
}

// Get reads r from the first MiscInfo2Size bytes of b.
func (r *MiscInfo2) Get(b []byte, o binary.ByteOrder) {
	_ = b[MiscInfo2Size-1]
	r.MiscInfo.Get(b, o)
	r.ProcessorMaxMHz = o.Uint32(b[24:])
	r.ProcessorCurrentMHz = o.Uint32(b[28:])
	r.ProcessorMHzLimit = o.Uint32(b[32:])
	r.ProcessorMaxIdleState = o.Uint32(b[36:])
	r.ProcessorCurrentIdleState = o.Uint32(b[40:])
}

// SystemTimeSize is the size of a SystemTime in bytes.
const SystemTimeSize = 16

// SystemTime is SYSTEMTIME of minwinbase.h. In a time zone it states when daylight saving time starts or ends: with Year 0, Day 1
// to 5 is the first to the last DayOfWeek of the month.
//
//	 0 uint16 wYear
//	 2 uint16 wMonth
//	 4 uint16 wDayOfWeek
//	 6 uint16 wDay
//	 8 uint16 wHour
//	10 uint16 wMinute
//	12 uint16 wSecond
//	14 uint16 wMilliseconds
type SystemTime struct {
	Year         uint16
	Month        uint16 // 1 to 12; 0 if there is no daylight saving time
	DayOfWeek    uint16 // 0 is Sunday
	Day          uint16
	Hour         uint16
	Minute       uint16
	Second       uint16
	Milliseconds uint16
}

// Put writes the SystemTimeSize bytes of r to b.
func (r *SystemTime) Put(b []byte, o binary.ByteOrder) {
	_ = b[SystemTimeSize-1]
	o.PutUint16(b[0:], r.Year)
	o.PutUint16(b[2:], r.Month)
	o.PutUint16(b[4:], r.DayOfWeek)
	o.PutUint16(b[6:], r.Day)
	o.PutUint16(b[8:], r.Hour)
	o.PutUint16(b[10:], r.Minute)
	o.PutUint16(b[12:], r.Second)
	o.PutUint16(b[14:], r.Milliseconds)
}

// Get reads r from the first SystemTimeSize bytes of b.
func (r *SystemTime) Get(b []byte, o binary.ByteOrder) {
	_ = b[SystemTimeSize-1]
	r.Year = o.Uint16(b[0:])
	r.Month = o.Uint16(b[2:])
	r.DayOfWeek = o.Uint16(b[4:])
	r.Day = o.Uint16(b[6:])
	r.Hour = o.Uint16(b[8:])
	r.Minute = o.Uint16(b[10:])
	r.Second = o.Uint16(b[12:])
	r.Milliseconds = o.Uint16(b[14:])
}

// MAXIMUM_XSTATE_FEATURES is the length of XStateConfig.Features (winnt.h).
const MAXIMUM_XSTATE_FEATURES = 64

// XStateConfigSize is the size of an XStateConfig in bytes.
const XStateConfigSize = 528

// XStateFeature is XSTATE_FEATURE of winnt.h: the place of a processor feature's registers in the XSAVE area.
type XStateFeature struct {
	Offset uint32 // from the start of the XSAVE area
	Size   uint32 // bytes
}

// XStateConfig is XSTATE_CONFIG_FEATURE_MSC_INFO: the layout of what follows the architecture's CONTEXT in CPU contexts.
//
//	 0 uint32            SizeOfInfo
//	 4 uint32            ContextSize
//	 8 uint64            EnabledFeatures
//	16 XStateFeature[64] Features
type XStateConfig struct {
	SizeOfInfo      uint32 // XStateConfigSize
	ContextSize     uint32 // bytes of a whole context
	EnabledFeatures uint64 // bit i: Features[i] is filled in
	Features        [MAXIMUM_XSTATE_FEATURES]XStateFeature
}

// Put writes the XStateConfigSize bytes of r to b.
func (r *XStateConfig) Put(b []byte, o binary.ByteOrder) {
	_ = b[XStateConfigSize-1]
	o.PutUint32(b[0:], r.SizeOfInfo)
	o.PutUint32(b[4:], r.ContextSize)
	o.PutUint64(b[8:], r.EnabledFeatures)
	for i := range r.Features {
		o.PutUint32(b[16+8*i:], r.Features[i].Offset)
		o.PutUint32(b[20+8*i:], r.Features[i].Size)
	}
}

// Get reads r from the first XStateConfigSize bytes of b.
func (r *XStateConfig) Get(b []byte, o binary.ByteOrder) {
	_ = b[XStateConfigSize-1]
	r.SizeOfInfo = o.Uint32(b[0:])
	r.ContextSize = o.Uint32(b[4:])
	r.EnabledFeatures = o.Uint64(b[8:])
	for i := range r.Features {
		r.Features[i] = XStateFeature{o.Uint32(b[16+8*i:]), o.Uint32(b[20+8*i:])}
	}
}

// MiscInfo5 is MINIDUMP_MISC_INFO_5, or a shorter form with the missing fields 0.
//
//	   0 MiscInfo2
//	  44 uint32       ProcessIntegrityLevel
//	  48 uint32       ProcessExecuteFlags
//	  52 uint32       ProtectedProcess
//	  56 uint32       TimeZoneId
//	  60 int32        TimeZone.Bias
//	  64 uint16[32]   TimeZone.StandardName
//	 128 SystemTime   TimeZone.StandardDate
//	 144 int32        TimeZone.StandardBias
//	 148 uint16[32]   TimeZone.DaylightName
//	 212 SystemTime   TimeZone.DaylightDate
//	 228 int32        TimeZone.DaylightBias
//	 232 uint16[260]  BuildString
//	 752 uint16[40]   DbgBldStr
//	 832 XStateConfig XStateData
//	1360 uint32       ProcessCookie
type MiscInfo5 struct {
	MiscInfo2
	ProcessIntegrityLevel uint32 // SECURITY_MANDATORY_…_RID of winnt.h
	ProcessExecuteFlags   uint32
	ProtectedProcess      uint32
	TimeZoneID            uint32 // TIME_ZONE_ID_…: 0 unknown, 1 standard, 2 daylight saving time
	TimeZoneBias          int32  // minutes: UTC = local time + bias
	TimeZoneStandardName  string // at most 31 words of UTF-16
	TimeZoneStandardDate  SystemTime
	TimeZoneStandardBias  int32  // minutes, added to TimeZoneBias
	TimeZoneDaylightName  string // at most 31 words of UTF-16
	TimeZoneDaylightDate  SystemTime
	TimeZoneDaylightBias  int32  // minutes, added to TimeZoneBias
	BuildString           string // of the operating system; at most 259 words of UTF-16
	DbgBldStr             string // of the debugger; at most 39 words of UTF-16
	XStateData            XStateConfig
	ProcessCookie         uint32
}

// Put writes the longest of the five forms that fits in r.SizeOfInfo, which must be at least MiscInfoSize, to b. It cuts texts
// that are too long.
func (r *MiscInfo5) Put(b []byte, o binary.ByteOrder) {
	b = b[:r.SizeOfInfo]
	r.MiscInfo.Put(b, o)
	if len(b) >= MiscInfo2Size {
		r.MiscInfo2.Put(b, o)
	}
	if len(b) >= MiscInfo3Size {
		o.PutUint32(b[44:], r.ProcessIntegrityLevel)
		o.PutUint32(b[48:], r.ProcessExecuteFlags)
		o.PutUint32(b[52:], r.ProtectedProcess)
		o.PutUint32(b[56:], r.TimeZoneID)
		o.PutUint32(b[60:], uint32(r.TimeZoneBias))
		putUTF16(b[64:128], r.TimeZoneStandardName, o)
		r.TimeZoneStandardDate.Put(b[128:], o)
		o.PutUint32(b[144:], uint32(r.TimeZoneStandardBias))
		putUTF16(b[148:212], r.TimeZoneDaylightName, o)
		r.TimeZoneDaylightDate.Put(b[212:], o)
		o.PutUint32(b[228:], uint32(r.TimeZoneDaylightBias))
	}
	if len(b) >= MiscInfo4Size {
		putUTF16(b[232:752], r.BuildString, o)
		putUTF16(b[752:832], r.DbgBldStr, o)
	}
	if len(b) >= MiscInfo5Size {
		r.XStateData.Put(b[832:], o)
		o.PutUint32(b[1360:], r.ProcessCookie)
	}
}

// Get reads r from b, which has at least MiscInfoSize bytes. It reads the fields that lie entirely within both b and SizeOfInfo.
func (r *MiscInfo5) Get(b []byte, o binary.ByteOrder) {
	*r = MiscInfo5{}
	r.MiscInfo.Get(b, o)
	b = b[:min(uint64(len(b)), uint64(r.SizeOfInfo))]
	if len(b) >= MiscInfo2Size {
		r.MiscInfo2.Get(b, o)
	}
	if len(b) >= MiscInfo3Size {
		r.ProcessIntegrityLevel = o.Uint32(b[44:])
		r.ProcessExecuteFlags = o.Uint32(b[48:])
		r.ProtectedProcess = o.Uint32(b[52:])
		r.TimeZoneID = o.Uint32(b[56:])
		r.TimeZoneBias = int32(o.Uint32(b[60:]))
		r.TimeZoneStandardName = utf16Text(beforeNUL(b[64:128]), o)
		r.TimeZoneStandardDate.Get(b[128:], o)
		r.TimeZoneStandardBias = int32(o.Uint32(b[144:]))
		r.TimeZoneDaylightName = utf16Text(beforeNUL(b[148:212]), o)
		r.TimeZoneDaylightDate.Get(b[212:], o)
		r.TimeZoneDaylightBias = int32(o.Uint32(b[228:]))
	}
	if len(b) >= MiscInfo4Size {
		r.BuildString = utf16Text(beforeNUL(b[232:752]), o)
		r.DbgBldStr = utf16Text(beforeNUL(b[752:832]), o)
	}
	if len(b) >= MiscInfo5Size {
		r.XStateData.Get(b[832:], o)
		r.ProcessCookie = o.Uint32(b[1360:])
	}
}
