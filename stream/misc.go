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

// Sizes in bytes of the five forms of the record. Each has the one before it as its start.
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
	SizeOfInfo        uint32 // MiscInfoSize, or that of the form that it is the start of
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

// MiscInfo5 is MINIDUMP_MISC_INFO_5, or a shorter form, whose missing fields are 0. It is only read.
//
//	  0 MiscInfo2
//	 44 uint32      ProcessIntegrityLevel
//	 48 uint32      ProcessExecuteFlags
//	 52 uint32      ProtectedProcess
//	 56 uint32      TimeZoneId
//	 60 byte[172]   TimeZone
//	232 uint16[260] BuildString
//	752 uint16[40]  DbgBldStr
//	832 byte[528]   XStateData
//	1360 uint32     ProcessCookie
//
// TimeZone is int32 Bias, uint16[32] StandardName, uint16[8] StandardDate, int32 StandardBias, uint16[32]
// DaylightName, uint16[8] DaylightDate, int32 DaylightBias.
type MiscInfo5 struct {
	MiscInfo2
	ProcessIntegrityLevel uint32
	ProcessExecuteFlags   uint32
	ProtectedProcess      uint32
	TimeZoneID            uint32
	TimeZoneBias          int32 // minutes: UTC = local time + bias
	TimeZoneStandardName  string
	TimeZoneDaylightName  string
	BuildString           string
	DbgBldStr             string
	ProcessCookie         uint32
}

// Get reads r from b, which has at least MiscInfoSize bytes: as many fields as lie wholly within both b and the
// SizeOfInfo that it tells.
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
		r.TimeZoneDaylightName = utf16Text(beforeNUL(b[148:212]), o)
	}
	if len(b) >= MiscInfo4Size {
		r.BuildString = utf16Text(beforeNUL(b[232:752]), o)
		r.DbgBldStr = utf16Text(beforeNUL(b[752:832]), o)
	}
	if len(b) >= MiscInfo5Size {
		r.ProcessCookie = o.Uint32(b[1360:])
	}
}
