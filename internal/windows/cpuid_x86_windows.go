//go:build amd64 || 386

package windows

import "minidump/stream"

// cpuid executes the CPUID instruction for subleaf 0.
//
//go:noescape
func cpuid(leaf uint32) (eax, ebx, ecx, edx uint32)

// x86CPU fills c from the CPUID instruction, and reports whether the machine has this instruction.
func x86CPU(c *stream.X86CPU) bool {
	_, b, cx, d := cpuid(0)
	le.PutUint32(c.VendorID[0:], b)
	le.PutUint32(c.VendorID[4:], d)
	le.PutUint32(c.VendorID[8:], cx)
	c.VersionInformation, _, _, c.FeatureInformation = cpuid(1)
	if most, _, _, _ := cpuid(0x80000000); string(c.VendorID[:]) == "AuthenticAMD" && most >= 0x80000001 {
		_, _, _, c.AMDExtendedCPUFeatures = cpuid(0x80000001)
	}
	return true
}
