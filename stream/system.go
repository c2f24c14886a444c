package stream

import "encoding/binary"

// Values of SystemInfo.ProcessorArchitecture, as Breakpad's minidump_format.h names them; those from 0x8001 on are
// Breakpad's own.
const (
	MD_CPU_ARCHITECTURE_X86       = 0
	MD_CPU_ARCHITECTURE_MIPS      = 1
	MD_CPU_ARCHITECTURE_PPC       = 3
	MD_CPU_ARCHITECTURE_ARM       = 5
	MD_CPU_ARCHITECTURE_AMD64     = 9
	MD_CPU_ARCHITECTURE_X86_WIN64 = 10
	MD_CPU_ARCHITECTURE_ARM64     = 12
	MD_CPU_ARCHITECTURE_SPARC     = 0x8001
	MD_CPU_ARCHITECTURE_PPC64     = 0x8002
	MD_CPU_ARCHITECTURE_ARM64_OLD = 0x8003
	MD_CPU_ARCHITECTURE_MIPS64    = 0x8004
	MD_CPU_ARCHITECTURE_RISCV     = 0x8005
	MD_CPU_ARCHITECTURE_RISCV64   = 0x8006
	MD_CPU_ARCHITECTURE_UNKNOWN   = 0xffff
)

// Values of SystemInfo.PlatformID, as Breakpad's minidump_format.h names them; those from 0x8000 on are Breakpad's own.
const (
	MD_OS_WIN32_NT = 2
	MD_OS_UNIX     = 0x8000
	MD_OS_MAC_OS_X = 0x8101
	MD_OS_IOS      = 0x8102
	MD_OS_LINUX    = 0x8201
	MD_OS_SOLARIS  = 0x8202
	MD_OS_ANDROID  = 0x8203
	MD_OS_PS3      = 0x8204
	MD_OS_NACL     = 0x8205
	MD_OS_FUCHSIA  = 0x8206
)

// Offset of CPU in a SystemInfo's bytes, and its size.
const (
	CPUOffset = 32
	CPUSize   = 24
)

// SystemInfoSize is the size of a SystemInfo in bytes.
const SystemInfoSize = 56

// SystemInfo is MINIDUMP_SYSTEM_INFO: the processor and the operating system.
//
//	 0 uint16   ProcessorArchitecture
//	 2 uint16   ProcessorLevel
//	 4 uint16   ProcessorRevision
//	 6 uint8    NumberOfProcessors
//	 7 uint8    ProductType
//	 8 uint32   MajorVersion
//	12 uint32   MinorVersion
//	16 uint32   BuildNumber
//	20 uint32   PlatformId
//	24 uint32   CSDVersionRva
//	28 uint16   SuiteMask
//	30 uint16   Reserved2
//	32 byte[24] Cpu
type SystemInfo struct {
	ProcessorArchitecture uint16 // MD_CPU_ARCHITECTURE_…
	ProcessorLevel        uint16 // x86: the family; ARM: the version of the architecture
	ProcessorRevision     uint16 // x86: model in the high byte, stepping in the low one
	NumberOfProcessors    uint8  // 255 if more
	ProductType           uint8  // VER_NT_…: 1 workstation, 2 domain controller, 3 server; 0 if not known
	MajorVersion          uint32
	MinorVersion          uint32
	BuildNumber           uint32
	PlatformID            uint32 // MD_OS_…
	CSDVersionRVA         uint32 // of a string: Linux uname, macOS build, Windows service pack
	SuiteMask             uint16 // VER_SUITE_… (Windows); else 0
	// CPU is a union: X86CPU for x86 and amd64, ARMCPU for ARM and ARM64, OtherCPU for the rest. It is bytes because two of the
	// forms have 32-bit words and one has 64-bit words. Put and Get of each accept r.CPU[:], but that moves r to the heap. Code
	// that must not allocate leaves CPU 0 and puts the form over the record's bytes, from CPUOffset on.
	CPU [CPUSize]byte
}

// Put writes the SystemInfoSize bytes of r to b.
func (r *SystemInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[SystemInfoSize-1]
	o.PutUint16(b[0:], r.ProcessorArchitecture)
	o.PutUint16(b[2:], r.ProcessorLevel)
	o.PutUint16(b[4:], r.ProcessorRevision)
	b[6] = r.NumberOfProcessors
	b[7] = r.ProductType
	o.PutUint32(b[8:], r.MajorVersion)
	o.PutUint32(b[12:], r.MinorVersion)
	o.PutUint32(b[16:], r.BuildNumber)
	o.PutUint32(b[20:], r.PlatformID)
	o.PutUint32(b[24:], r.CSDVersionRVA)
	o.PutUint16(b[28:], r.SuiteMask)
	o.PutUint16(b[30:], 0)
	copy(b[CPUOffset:SystemInfoSize], r.CPU[:])
}

// Get reads r from the first SystemInfoSize bytes of b.
func (r *SystemInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[SystemInfoSize-1]
	r.ProcessorArchitecture = o.Uint16(b[0:])
	r.ProcessorLevel = o.Uint16(b[2:])
	r.ProcessorRevision = o.Uint16(b[4:])
	r.NumberOfProcessors = b[6]
	r.ProductType = b[7]
	r.MajorVersion = o.Uint32(b[8:])
	r.MinorVersion = o.Uint32(b[12:])
	r.BuildNumber = o.Uint32(b[16:])
	r.PlatformID = o.Uint32(b[20:])
	r.CSDVersionRVA = o.Uint32(b[24:])
	r.SuiteMask = o.Uint16(b[28:])
	copy(r.CPU[:], b[CPUOffset:SystemInfoSize])
}

// X86CPU is CPU_INFORMATION.X86CpuInfo: results of the CPUID instruction.
//
//	 0 byte[12] VendorId
//	12 uint32   VersionInformation
//	16 uint32   FeatureInformation
//	20 uint32   AMDExtendedCpuFeatures
type X86CPU struct {
	VendorID               [12]byte // leaf 0, EBX, EDX, ECX: "GenuineIntel"
	VersionInformation     uint32   // leaf 1, EAX
	FeatureInformation     uint32   // leaf 1, EDX
	AMDExtendedCPUFeatures uint32   // leaf 0x80000001, EDX, where VendorID is "AuthenticAMD"; else 0
}

// Put writes the CPUSize bytes of r to b.
func (r *X86CPU) Put(b []byte, o binary.ByteOrder) {
	_ = b[CPUSize-1]
	copy(b, r.VendorID[:])
	o.PutUint32(b[12:], r.VersionInformation)
	o.PutUint32(b[16:], r.FeatureInformation)
	o.PutUint32(b[20:], r.AMDExtendedCPUFeatures)
}

// Get reads r from the first CPUSize bytes of b.
func (r *X86CPU) Get(b []byte, o binary.ByteOrder) {
	_ = b[CPUSize-1]
	copy(r.VendorID[:], b)
	r.VersionInformation = o.Uint32(b[12:])
	r.FeatureInformation = o.Uint32(b[16:])
	r.AMDExtendedCPUFeatures = o.Uint32(b[20:])
}

// ARMCPU is Breakpad's arm_cpu_info, for ARM and ARM64.
//
//	0 uint32   cpuid
//	4 uint32   elf_hwcaps
//	8 byte[16] reserved
type ARMCPU struct {
	CPUID     uint32 // MIDR: implementer<<24 | variant<<20 | architecture<<16 | part<<4 | revision
	ELFHwcaps uint32 // AT_HWCAP (Linux); else 0
}

// Put writes the CPUSize bytes of r to b.
func (r *ARMCPU) Put(b []byte, o binary.ByteOrder) {
	_ = b[CPUSize-1]
	o.PutUint32(b[0:], r.CPUID)
	o.PutUint32(b[4:], r.ELFHwcaps)
	clear(b[8:CPUSize])
}

// Get reads r from the first CPUSize bytes of b.
func (r *ARMCPU) Get(b []byte, o binary.ByteOrder) {
	_ = b[CPUSize-1]
	r.CPUID = o.Uint32(b[0:])
	r.ELFHwcaps = o.Uint32(b[4:])
}

// OtherCPU is CPU_INFORMATION.OtherCpuInfo, for processors without a form of their own.
//
//	 0 uint64[2] ProcessorFeatures
//	16 byte[8]   reserved
type OtherCPU struct {
	ProcessorFeatures [2]uint64 // Windows: IsProcessorFeaturePresent; Linux: AT_HWCAP and AT_HWCAP2
}

// Put writes the CPUSize bytes of r to b.
func (r *OtherCPU) Put(b []byte, o binary.ByteOrder) {
	_ = b[CPUSize-1]
	o.PutUint64(b[0:], r.ProcessorFeatures[0])
	o.PutUint64(b[8:], r.ProcessorFeatures[1])
	clear(b[16:CPUSize])
}

// Get reads r from the first CPUSize bytes of b.
func (r *OtherCPU) Get(b []byte, o binary.ByteOrder) {
	_ = b[CPUSize-1]
	r.ProcessorFeatures[0] = o.Uint64(b[0:])
	r.ProcessorFeatures[1] = o.Uint64(b[8:])
}
