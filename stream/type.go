package stream

import "strconv"

// Type is a stream number: the first word of a directory entry, which identifies the content of the stream.
type Type uint32

// Streams of minidumpapiset.h (MINIDUMP_STREAM_TYPE).
const (
	UnusedStream             Type = 0 // a directory entry that readers must skip
	ThreadListStream         Type = 3 // uint32 count, Thread…
	ModuleListStream         Type = 4 // uint32 count, Module…
	MemoryListStream         Type = 5 // uint32 count, MemoryDescriptor…
	ExceptionStream          Type = 6 // Exception
	SystemInfoStream         Type = 7 // SystemInfo
	ThreadExListStream       Type = 8
	Memory64ListStream       Type = 9  // Memory64List, MemoryDescriptor64…
	CommentStreamA           Type = 10 // text in an unnamed 8-bit character set
	CommentStreamW           Type = 11 // UTF-16 text
	HandleDataStream         Type = 12 // HandleDataHeader, HandleDescriptor… or HandleDescriptor2…
	FunctionTableStream      Type = 13
	UnloadedModuleListStream Type = 14 // UnloadedModuleList, UnloadedModule…
	MiscInfoStream           Type = 15 // MiscInfo, MiscInfo2 … MiscInfo5
	MemoryInfoListStream     Type = 16 // MemoryInfoList, MemoryInfo…
	ThreadInfoListStream     Type = 17 // ThreadInfoList, ThreadInfo…
	HandleOperationList      Type = 18
	TokenStream              Type = 19
	JavaScriptDataStream     Type = 20
	SystemMemoryInfoStream   Type = 21
	ProcessVMCountersStream  Type = 22
	IptTraceStream           Type = 23
	ThreadNamesStream        Type = 24 // uint32 count, ThreadName…
)

// Streams of Breakpad's minidump_format.h (MDStreamType); 0x4767 is "Gg". The Linux ones are unchanged copies of the files named.
const (
	BreakpadInfoStream  Type = 0x47670001 // BreakpadInfo
	AssertionInfoStream Type = 0x47670002
	LinuxCPUInfo        Type = 0x47670003 // /proc/cpuinfo
	LinuxProcStatus     Type = 0x47670004 // /proc/PID/status
	LinuxLSBRelease     Type = 0x47670005 // /etc/lsb-release or /etc/os-release
	LinuxCmdLine        Type = 0x47670006 // /proc/PID/cmdline
	LinuxEnviron        Type = 0x47670007 // /proc/PID/environ
	LinuxAuxv           Type = 0x47670008 // /proc/PID/auxv
	LinuxMaps           Type = 0x47670009 // /proc/PID/maps
	LinuxDSODebug       Type = 0x4767000a // DSODebug32 or DSODebug64, then the bytes of the dynamic section
)

// The stream of Crashpad's minidump_extensions.h; 0x4350 is "CP".
const CrashpadInfoStream Type = 0x43500001 // CrashpadInfo

// Streams that Mozilla's crash reporter added; 0x4d7a is "Mz".
const (
	MozMacosCrashInfo Type = 0x4d7a0001
	MozMacosBootargs  Type = 0x4d7a0002
	MozLinuxLimits    Type = 0x4d7a0003 // /proc/PID/limits
	MozSoftErrors     Type = 0x4d7a0004 // JSON text: what is missing from the dump, and why
)

// Streams of this writer. Their range is 0x676f0000 to 0x676fffff, 0x676f being "go"; no other writer is known to
// use it.
const (
	GoroutineListStream Type = 0x676f0001 // GoroutineListHeader and its tables: the goroutines of a Go program
	RegisterSetsStream  Type = 0x676f0002 // RegisterSets, RegisterSet…: registers that don't fit in a CPU context
	FrameListStream     Type = 0x676f0003 // FrameListHeader and its tables: frames of threads with their functions
)

// String returns the name of the stream as in the constants of this package, or its number in hexadecimal.
func (t Type) String() string {
	switch t {
	case UnusedStream:
		return "UnusedStream"
	case ThreadListStream:
		return "ThreadListStream"
	case ModuleListStream:
		return "ModuleListStream"
	case MemoryListStream:
		return "MemoryListStream"
	case ExceptionStream:
		return "ExceptionStream"
	case SystemInfoStream:
		return "SystemInfoStream"
	case ThreadExListStream:
		return "ThreadExListStream"
	case Memory64ListStream:
		return "Memory64ListStream"
	case CommentStreamA:
		return "CommentStreamA"
	case CommentStreamW:
		return "CommentStreamW"
	case HandleDataStream:
		return "HandleDataStream"
	case FunctionTableStream:
		return "FunctionTableStream"
	case UnloadedModuleListStream:
		return "UnloadedModuleListStream"
	case MiscInfoStream:
		return "MiscInfoStream"
	case MemoryInfoListStream:
		return "MemoryInfoListStream"
	case ThreadInfoListStream:
		return "ThreadInfoListStream"
	case HandleOperationList:
		return "HandleOperationList"
	case TokenStream:
		return "TokenStream"
	case JavaScriptDataStream:
		return "JavaScriptDataStream"
	case SystemMemoryInfoStream:
		return "SystemMemoryInfoStream"
	case ProcessVMCountersStream:
		return "ProcessVMCountersStream"
	case IptTraceStream:
		return "IptTraceStream"
	case ThreadNamesStream:
		return "ThreadNamesStream"
	case BreakpadInfoStream:
		return "BreakpadInfoStream"
	case AssertionInfoStream:
		return "AssertionInfoStream"
	case LinuxCPUInfo:
		return "LinuxCPUInfo"
	case LinuxProcStatus:
		return "LinuxProcStatus"
	case LinuxLSBRelease:
		return "LinuxLSBRelease"
	case LinuxCmdLine:
		return "LinuxCmdLine"
	case LinuxEnviron:
		return "LinuxEnviron"
	case LinuxAuxv:
		return "LinuxAuxv"
	case LinuxMaps:
		return "LinuxMaps"
	case LinuxDSODebug:
		return "LinuxDSODebug"
	case CrashpadInfoStream:
		return "CrashpadInfoStream"
	case MozMacosCrashInfo:
		return "MozMacosCrashInfo"
	case MozMacosBootargs:
		return "MozMacosBootargs"
	case MozLinuxLimits:
		return "MozLinuxLimits"
	case MozSoftErrors:
		return "MozSoftErrors"
	case GoroutineListStream:
		return "GoroutineListStream"
	case RegisterSetsStream:
		return "RegisterSetsStream"
	case FrameListStream:
		return "FrameListStream"
	}
	return "0x" + strconv.FormatUint(uint64(t), 16)
}
