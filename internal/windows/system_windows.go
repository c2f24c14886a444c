package windows

import (
	"syscall"
	"unsafe"

	"minidump/pe"
	"minidump/stream"
)

// systemInfo is SYSTEM_INFO (sysinfoapi.h).
type systemInfo struct {
	architecture, reserved uint16
	pageSize               uint32
	minAddress, maxAddress uintptr
	activeMask             uintptr
	processors             uint32
	processorType          uint32
	granularity            uint32
	level, revision        uint16
}

// osVersionInfoEx is OSVERSIONINFOEXW (winnt.h).
type osVersionInfoEx struct {
	size, major, minor, build, platform uint32
	csd                                 [128]uint16
	servicePackMajor, servicePackMinor  uint16
	suite                               uint16
	product, reserved                   uint8
}

// SystemInfo fills info with what a dump of p records about the machine, and writes the name of the service pack to csd in
// UTF-16. It returns the length of the name in units.
func (p *Process) SystemInfo(info *stream.SystemInfo, csd *[128]uint16) (int, syscall.Errno) {
	var (
		s systemInfo
		v osVersionInfoEx
	)
	syscall.SyscallN(getNativeSystemInfo, uintptr(unsafe.Pointer(&s)))
	v.size = uint32(unsafe.Sizeof(v))
	r, _, _ := syscall.SyscallN(rtlGetVersion, uintptr(unsafe.Pointer(&v)))
	if errno := errnoOf(r); errno != 0 {
		return 0, errno
	}
	*info = stream.SystemInfo{
		ProcessorLevel: s.level, ProcessorRevision: s.revision, NumberOfProcessors: uint8(min(s.processors, 255)), ProductType: v.product,
		MajorVersion: v.major, MinorVersion: v.minor, BuildNumber: v.build, PlatformID: v.platform, SuiteMask: v.suite,
	}
	switch p.Machine {
	case IMAGE_FILE_MACHINE_I386:
		info.ProcessorArchitecture = stream.MD_CPU_ARCHITECTURE_X86
	case IMAGE_FILE_MACHINE_AMD64:
		info.ProcessorArchitecture = stream.MD_CPU_ARCHITECTURE_AMD64
	case IMAGE_FILE_MACHINE_ARM64:
		info.ProcessorArchitecture = stream.MD_CPU_ARCHITECTURE_ARM64
	}
	// minidumpapiset.h: x86 dumps have the results of CPUID, all others a bit for each feature.
	var x86 stream.X86CPU
	if p.Machine == IMAGE_FILE_MACHINE_I386 && x86CPU(&x86) {
		x86.Put(info.CPU[:], le)
	} else {
		const PROCESSOR_FEATURE_MAX = 64
		other := stream.OtherCPU{}
		for i := range PROCESSOR_FEATURE_MAX {
			if r, _, _ := syscall.SyscallN(isProcessorFeaturePresent, uintptr(i)); r&0xff != 0 {
				other.ProcessorFeatures[0] |= 1 << i
			}
		}
		other.Put(info.CPU[:], le)
	}
	*csd = v.csd
	n := 0
	for n < len(csd) && csd[n] != 0 {
		n++
	}
	return n, 0
}

// Misc builds a MINIDUMP_MISC_INFO_5. It is kept between dumps, because little of it changes while a process runs.
type Misc struct {
	Record [stream.MiscInfo5Size]byte
}

// Offsets in MINIDUMP_MISC_INFO_5 (minidumpapiset.h).
const (
	miscFlags      = 4
	miscCreateTime = 12
	miscIntegrity  = 44
	miscExecute    = 48
	miscProtected  = 52
	miscTimeZoneID = 56
	miscTimeZone   = 60
	miscBuild      = 232
	miscDbgBuild   = 752
	miscCookie     = 1360
)

// Begin sets the fields that do not change. made names the writer of the dump.
func (m *Misc) Begin(p *Process, made string) {
	clear(m.Record[:])
	r := stream.MiscInfo2{MiscInfo: stream.MiscInfo{SizeOfInfo: stream.MiscInfo5Size, Flags1: stream.MINIDUMP_MISC1_PROCESS_ID, ProcessID: p.PID}}
	power(&r)
	r.Put(m.Record[:], le)
	if level, ok := p.integrity(); ok {
		m.set(stream.MINIDUMP_MISC3_PROCESS_INTEGRITY, miscIntegrity, level)
	}
	var v uint32
	if p.query(processExecute, unsafe.Pointer(&v), 4) == 0 {
		m.set(stream.MINIDUMP_MISC3_PROCESS_EXECUTE_FLAGS, miscExecute, v)
	}
	var protection uint8 // PS_PROTECTION, phnt's ntpsapi.h; Windows 8.1
	if p.query(processProtection, unsafe.Pointer(&protection), 1) == 0 {
		v = 0
		if protection != 0 {
			v = 1
		}
		m.set(stream.MINIDUMP_MISC3_PROTECTED_PROCESS, miscProtected, v)
	}
	const timeZoneIDInvalid = 0xffffffff
	// The record contains a TIME_ZONE_INFORMATION.
	if r, _, _ := syscall.SyscallN(getTimeZoneInformation, uintptr(unsafe.Pointer(&m.Record[miscTimeZone]))); uint32(r) != timeZoneIDInvalid {
		m.set(stream.MINIDUMP_MISC3_TIMEZONE, miscTimeZoneID, uint32(r))
	}
	if build := kernelVersion(); build != "" {
		m.flag(stream.MINIDUMP_MISC4_BUILDSTRING)
		putText(m.Record[miscBuild:miscDbgBuild-2], build)
		putText(m.Record[miscDbgBuild:miscDbgBuild+78], made)
	}
	if p.query(processCookie, unsafe.Pointer(&v), 4) == 0 {
		m.set(stream.MINIDUMP_MISC5_PROCESS_COOKIE, miscCookie, v)
	}
}

// Update sets the times of the process.
func (m *Misc) Update(p *Process) syscall.Errno {
	var t Times
	if errno := p.Times(&t); errno != 0 {
		return errno
	}
	m.flag(stream.MINIDUMP_MISC1_PROCESS_TIMES)
	b := m.Record[miscCreateTime:]
	le.PutUint32(b, filetimeToUnix(t.Create))
	le.PutUint32(b[4:], uint32(t.User/1e7))
	le.PutUint32(b[8:], uint32(t.Kernel/1e7))
	return 0
}

func (m *Misc) flag(f uint32) {
	b := m.Record[miscFlags:]
	le.PutUint32(b, le.Uint32(b)|f)
}

func (m *Misc) set(f uint32, at int, v uint32) {
	m.flag(f)
	le.PutUint32(m.Record[at:], v)
}

// putText writes ASCII text to b in UTF-16, cut to the size of b.
func putText(b []byte, text string) {
	for i := range min(len(text), len(b)/2) {
		le.PutUint16(b[2*i:], uint16(text[i]))
	}
}

// power sets the power information of the first processor.
func power(r *stream.MiscInfo2) {
	const processorInformation = 11 // ProcessorInformation (winnt.h)
	if ntPowerInformation == 0 {
		return
	}
	// PROCESSOR_POWER_INFORMATION (ntpoapi.h) of each processor: number; MHz: maximum, current, limit; idle state: maximum, current.
	buf := make([][6]uint32, 1024)
	st, _, _ := syscall.SyscallN(ntPowerInformation, processorInformation, 0, 0, uintptr(unsafe.Pointer(&buf[0])), unsafe.Sizeof(buf[0])*uintptr(len(buf)))
	if errnoOf(st) != 0 {
		return
	}
	r.Flags1 |= stream.MINIDUMP_MISC1_PROCESSOR_POWER_INFO
	r.ProcessorMaxMHz, r.ProcessorCurrentMHz, r.ProcessorMHzLimit = buf[0][1], buf[0][2], buf[0][3]
	r.ProcessorMaxIdleState, r.ProcessorCurrentIdleState = buf[0][4], buf[0][5]
}

// integrity returns the integrity level of the process, such as SECURITY_MANDATORY_MEDIUM_RID (0x2000).
func (p *Process) integrity() (level uint32, ok bool) {
	const tokenIntegrityLevel = 25 // TokenIntegrityLevel (winnt.h)
	var token syscall.Handle
	r, _, _ := syscall.SyscallN(ntOpenProcessToken, uintptr(p.Handle), tokenQuery, uintptr(unsafe.Pointer(&token)))
	if errnoOf(r) != 0 {
		return 0, false
	}
	defer syscall.CloseHandle(token)
	// TOKEN_MANDATORY_LABEL: a pointer to the SID that follows, and attributes. The level is the SID's last part.
	var (
		b [16]uint64
		n uint32
	)
	r, _, _ = syscall.SyscallN(ntQueryInformationToken, uintptr(token), tokenIntegrityLevel, uintptr(unsafe.Pointer(&b)), unsafe.Sizeof(b), uintptr(unsafe.Pointer(&n)))
	if errnoOf(r) != 0 {
		return 0, false
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&b)), unsafe.Sizeof(b))
	sid := raw[2*nativeWord:]
	parts := int(sid[1])
	if parts == 0 || 8+4*parts > len(sid) {
		return 0, false
	}
	return le.Uint32(sid[8+4*(parts-1):]), true
}

// kernelVersion returns the version of Windows from the version resource of kernel32.dll, such as
// "10.0.19041.789 (WinBuild.160101.0800)".
func kernelVersion() string {
	base, err := syscall.LoadLibrary("kernel32.dll")
	if err != nil {
		return ""
	}
	defer syscall.FreeLibrary(base)
	self := new(Process)
	if self.Adopt(syscall.Handle(currentProcess), syscall.Getpid()) != nil {
		return ""
	}
	var (
		r = pe.NewReader(nil)
		v pe.Version
	)
	if !r.Open(&imageSource{self, uint64(base)}, pe.Loaded) || !r.Version(&v) {
		return ""
	}
	return v.String("FileVersion").String()
}

// imageSource is the pe.Source of an image in the memory of a process.
type imageSource struct {
	mem  Memory
	base uint64
}

// ReadAt implements pe.Source.
func (s *imageSource) ReadAt(p []byte, off uint64) int { return s.mem.Read(s.base+off, p) }
