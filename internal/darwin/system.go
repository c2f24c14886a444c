package darwin

import "minidump/stream"

// facts holds what sysctl reports about the machine. A value that does not exist is 0 or empty.
type facts struct {
	cpus       uint32 // hw.ncpu
	frequency  uint64 // hw.cpufrequency, Hz; Intel only
	maximum    uint64 // hw.cpufrequency_max, Hz
	family     uint32 // machdep.cpu.family; Intel only
	model      uint32 // machdep.cpu.model
	stepping   uint32 // machdep.cpu.stepping
	signature  uint32 // machdep.cpu.signature: EAX of leaf 1 of CPUID
	features   uint64 // machdep.cpu.feature_bits: EDX and, above it, ECX of that leaf
	extended   uint64 // machdep.cpu.extfeature_bits: EDX and ECX of leaf 0x80000001
	cpuFamily  uint32 // hw.cpufamily, CPUFAMILY_* of <mach/machine.h>; arm64 only
	vendor     [12]byte
	product    [32]byte // kern.osproductversion: "15.4.1"
	build      [32]byte // kern.osversion: "24E263"
	productLen int
	buildLen   int
}

// The product type of a workstation: VER_NT_WORKSTATION.
const productWorkstation = 1

// system builds the record of the SystemInfo stream. ios reports whether the system is iOS or a derivative. The architecture
// is that of the CPU context records of package context: MD_CPU_ARCHITECTURE_ARM64, not Breakpad's old value for macOS.
func (f *facts) system(arm64, ios bool) stream.SystemInfo {
	info := stream.SystemInfo{
		ProcessorArchitecture: stream.MD_CPU_ARCHITECTURE_AMD64, NumberOfProcessors: uint8(min(f.cpus, 255)),
		ProductType: productWorkstation,
		PlatformID:  stream.MD_OS_MAC_OS_X,
	}
	if ios {
		info.PlatformID = stream.MD_OS_IOS
	}
	info.MajorVersion, info.MinorVersion, info.BuildNumber = version(f.product[:f.productLen])
	if arm64 {
		info.ProcessorArchitecture = stream.MD_CPU_ARCHITECTURE_ARM64
		info.ProcessorLevel, info.ProcessorRevision = uint16(f.cpuFamily>>16), uint16(f.cpuFamily)
		return info
	}
	info.ProcessorLevel = uint16(f.family)
	info.ProcessorRevision = uint16(f.model<<8 | f.stepping&0xff)
	return info
}

// x86 builds the part of the SystemInfo record that describes an x86 processor.
func (f *facts) x86() stream.X86CPU {
	c := stream.X86CPU{VendorID: f.vendor, VersionInformation: f.signature, FeatureInformation: uint32(f.features)}
	if string(f.vendor[:]) == "AuthenticAMD" {
		c.AMDExtendedCPUFeatures = uint32(f.extended)
	}
	return c
}

// version parses up to three numbers separated by dots.
func version(b []byte) (major, minor, patch uint32) {
	var v [3]uint32
	i := 0
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			v[i] = v[i]*10 + uint32(c-'0')
		case c == '.' && i < 2:
			i++
		default:
			return v[0], v[1], v[2]
		}
	}
	return v[0], v[1], v[2]
}

// megahertz converts a frequency in Hz.
func megahertz(hz uint64) uint32 { return uint32(min(hz/1e6, 1<<32-1)) }
