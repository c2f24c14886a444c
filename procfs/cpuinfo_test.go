package procfs

import (
	"reflect"
	"strings"
	"testing"
)

const (
	cpuinfoAMD = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n" +
		"stepping\t: 1\nmicrocode\t: 0x1000065\nflags\t\t: fpu vme sse2 ht syscall nx lm pni avx hypervisor lahf_lm mwaitx avx512f\n" +
		"power management:\n\nprocessor\t: 1\nvendor_id\t: Other\ncpu family\t: 1\nmodel\t\t: 1\nmodel name\t: x\n" +
		"stepping\t: 9\nflags\t\t: mmx\n"
	cpuinfoARM = "Processor\t: ARMv7 Processor rev 4 (v7l)\nprocessor\t: 0\nBogoMIPS\t: 38.40\n\nprocessor\t: 1\nBogoMIPS\t: 38.40\n\n" +
		"Features\t: swp half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt lpae aes crc32 \n" +
		"CPU implementer\t: 0x41\nCPU architecture: 7\nCPU variant\t: 0x2\nCPU part\t: 0xc0f\nCPU revision\t: 4\n\nHardware\t: x\n"
	cpuinfoARMv6 = "processor\t: 0\nmodel name\t: ARMv6-compatible processor rev 7 (v6l)\nFeatures\t: half thumb fastmult vfp edsp java tls \n" +
		"CPU implementer\t: 0x41\nCPU architecture: 7\nCPU variant\t: 0x0\nCPU part\t: 0xb76\nCPU revision\t: 7\n"
	cpuinfoARMv5 = "Processor\t: ARM926EJ-S rev 5 (v5l)\nFeatures\t: swp half thumb fastmult edsp java\nCPU implementer\t: 0x41\n" +
		"CPU architecture: 5TEJ\nCPU variant\t: 0x0\nCPU part\t: 0x926\nCPU revision\t: 5\n"
	cpuinfoARM64 = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics cpuid pacg sve2 bti ebf16\n" +
		"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n" +
		"processor\t: 1\nFeatures\t: fp\nCPU implementer\t: 0x42\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0x001\nCPU revision\t: 0\n"
	cpuinfoMIPS = "system type\t\t: MIPS Malta\nmachine\t\t\t: mti,malta\nprocessor\t\t: 0\ncpu model\t\t: MIPS 24Kc V0.0  FPU V0.0\n" +
		"isa\t\t\t: mips1 mips2 mips32r1 mips32r2\nASEs implemented\t: mips16 dsp mt\n"
	cpuinfoPPC = "processor\t: 0\ncpu\t\t: POWER9 (architected), altivec supported\nclock\t\t: 1000.000000MHz\n" +
		"revision\t: 2.1 (pvr 004e 1201)\n\nprocessor\t: 1\ncpu\t\t: x\nrevision\t: 2.1 (pvr 0001 0001)\n\ntimebase\t: 512000000\n"
	cpuinfoRISCV = "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdch_zicbom_zicsr\nmmu\t\t: sv57\nuarch\t\t: sifive,u74-mc\n" +
		"mvendorid\t: 0x489\nmarchid\t\t: 0x8000000000000007\nmimpid\t\t: 0x20181004\n"
	cpuinfoS390 = "vendor_id       : IBM/S390\n# processors    : 2\nbogomips per cpu: 3033.00\nmax thread id   : 0\n" +
		"features\t: esan3 zarch stfle msa ldisp eimm dfp edat etf3eh highgprs te vx sie \n" +
		"processor 0: version = FF,  identification = 0133E8,  machine = 2964\n" +
		"processor 1: version = 00,  identification = 0133E9,  machine = 2965\n\ncpu number      : 0\ncpu MHz dynamic : 5000\n"
	cpuinfoLoong = "system type\t\t: generic-loongson-machine\n\nprocessor\t\t: 0\npackage\t\t\t: 0\nCPU Family\t\t: Loongson-64bit\n" +
		"Model Name\t\t: Loongson-3A5000\nCPU Revision\t\t: 0x10\nFeatures\t\t: cpucfg lam ual fpu lsx lasx crc32\n"
)

// parseCPUInfoOf is ParseCPUInfo for a machine of any architecture arch, a GOARCH.
func parseCPUInfoOf(b []byte, arch string) CPUInfo {
	kind, line := cpuLines(arch)
	return parseCPUInfo(b, kind, line)
}

func TestParseCPUInfo(t *testing.T) {
	vendor := func(s string) (v [12]byte) {
		copy(v[:], s)
		return v
	}
	tests := []struct {
		name, arch, text string
		want             CPUInfo
	}{
		{"amd64", "amd64", cpuinfoAMD, CPUInfo{
			Count: 2, Vendor: vendor("AuthenticAMD"), ModelName: []byte("AMD EPYC"), Family: 26, Model: 2, Stepping: 1, HaveX86: true,
			Features:  1<<0 | 1<<1 | 1<<26 | 1<<28 | 1<<(32+0) | 1<<(32+28) | 1<<(32+31),
			Features2: 1<<11 | 1<<20 | 1<<29 | 1<<(32+0) | 1<<(32+29),
		}},
		{"arm", "arm", cpuinfoARM, CPUInfo{
			Count: 2, ModelName: []byte("ARMv7 Processor rev 4 (v7l)"), Implementer: 0x41, Variant: 2, Part: 0xc0f, Revision: 4,
			Architecture: 7, HaveMIDR: true,
			Features:  1<<0 | 1<<1 | 1<<2 | 1<<4 | 1<<6 | 1<<7 | 1<<12 | 1<<13 | 1<<15 | 1<<16 | 1<<17 | 1<<18 | 1<<20,
			Features2: 1<<0 | 1<<4,
		}},
		{"armv6", "arm", cpuinfoARMv6, CPUInfo{
			Count: 1, ModelName: []byte("ARMv6-compatible processor rev 7 (v6l)"), Implementer: 0x41, Part: 0xb76, Revision: 7,
			Architecture: 6, HaveMIDR: true, Features: 1<<1 | 1<<2 | 1<<4 | 1<<6 | 1<<7 | 1<<8 | 1<<15,
		}},
		{"armv5", "arm", cpuinfoARMv5, CPUInfo{
			Count: 1, ModelName: []byte("ARM926EJ-S rev 5 (v5l)"), Implementer: 0x41, Part: 0x926, Revision: 5,
			Architecture: 5, HaveMIDR: true, Features: 1<<0 | 1<<1 | 1<<2 | 1<<4 | 1<<7 | 1<<8,
		}},
		{"arm64", "arm64", cpuinfoARM64, CPUInfo{
			Count: 2, Implementer: 0x41, Variant: 1, Part: 0xd0c, Revision: 1, Architecture: 8, HaveMIDR: true,
			Features: 0x1ff | 1<<11 | 1<<31, Features2: 1<<1 | 1<<17 | 1<<32,
		}},
		{"mips", "mipsle", cpuinfoMIPS, CPUInfo{
			Count: 1, ModelName: []byte("MIPS 24Kc V0.0  FPU V0.0"), ISA: []byte("mips1 mips2 mips32r1 mips32r2"), Features: 1<<3 | 1<<7,
		}},
		{"mips r6", "mips64", "isa : mips64r1 mips64r6\nASEs implemented : msa\n", CPUInfo{
			ISA: []byte("mips64r1 mips64r6"), Features: 1<<0 | 1<<1,
		}},
		{"ppc", "ppc64le", cpuinfoPPC, CPUInfo{
			Count: 2, ModelName: []byte("POWER9 (architected), altivec supported"), PVR: 0x004e1201,
		}},
		{"riscv", "riscv64", cpuinfoRISCV, CPUInfo{
			Count: 1, ModelName: []byte("sifive,u74-mc"), ISA: []byte("rv64imafdch_zicbom_zicsr"), MVendorID: 0x489,
			MArchID: 0x8000000000000007, MImpID: 0x20181004,
			Features: 1<<('i'-'a') | 1<<('m'-'a') | 1<<0 | 1<<('f'-'a') | 1<<('d'-'a') | 1<<('c'-'a') | 1<<('h'-'a'),
		}},
		{"s390x", "s390x", cpuinfoS390, CPUInfo{
			Count: 2, Vendor: vendor("IBM/S390"), S390Version: 0xff, S390Ident: 0x133e8, S390Machine: 0x2964,
			Features: 0xfff | 1<<22,
		}},
		{"loong64", "loong64", cpuinfoLoong, CPUInfo{
			Count: 1, ModelName: []byte("Loongson-3A5000"), Revision: 0x10, Features: 0x7f,
		}},
		{"no blanks around the colon", "arm64", "CPU implementer:0x41\nCPU part:0xd03\nCPU revision:4\n", CPUInfo{
			Implementer: 0x41, Part: 0xd03, Revision: 4, HaveMIDR: true,
		}},
		{"unknown numbers", "386", "processor : 0\ncpu family : 5\nmodel : unknown\nstepping : unknown\nvendor_id : unknown\n", CPUInfo{
			Count: 1, Family: 5, Vendor: vendor("unknown"),
		}},
		{"hostile", "arm64", "CPU implementer : 0x\nCPU part : 0x100000000\nCPU variant : -1\nCPU revision : 4x\nCPU architecture : x\n:\n::\nprocessor\nprocessor : x y\n",
			CPUInfo{ModelName: []byte("x y")}},
		{"another architecture", "sparc64", "processor : 0\ncpu family : 5\nCPU part : 5\n", CPUInfo{Count: 1}},
		{"nothing", "amd64", "", CPUInfo{}},
		{"pvr", "ppc64", "revision : 2.1 (pvr 004e)\nrevision : (pvr \nrevision : (pvr 10000 1)\nrevision : x\n", CPUInfo{}},
	}
	for _, test := range tests {
		got := parseCPUInfoOf([]byte(test.text), test.arch)
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", test.name, got, test.want)
		}
	}
	arm := parseCPUInfoOf([]byte(cpuinfoARM), "arm")
	if got := arm.MIDR(); got != 0x412fc0f4 {
		t.Errorf("MIDR %#x", got)
	}
}

func TestParseCPUList(t *testing.T) {
	tests := []struct {
		text  string
		count int
		ok    bool
	}{
		{"0\n", 1, true},
		{"0-3\n", 4, true},
		{"0-3,5", 5, true},
		{"1,3,5-7,65535\n", 6, true},
		{"0-65535", 65536, true},
		{"", 0, false},
		{"\n", 0, false},
		{"0-", 0, false},
		{"-3", 0, false},
		{"3-0", 0, false},
		{"0,,1", 0, false},
		{"0,1,", 0, false},
		{"0-3,3", 0, false},
		{"0-4294967295", 0, false},
		{"65536", 0, false},
		{"0-3:1/2", 0, false},
		{"99999999999999999999", 0, false},
		{"x", 0, false},
	}
	for _, test := range tests {
		if count, ok := ParseCPUList([]byte(test.text)); count != test.count || ok != test.ok {
			t.Errorf("ParseCPUList(%q) = %d, %v", test.text, count, ok)
		}
	}
}

func FuzzCPUInfo(f *testing.F) {
	for _, text := range []string{cpuinfoAMD, cpuinfoARM, cpuinfoARM64, cpuinfoMIPS, cpuinfoPPC, cpuinfoRISCV, cpuinfoS390, cpuinfoLoong} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		ParseCPUList(text)
		for _, arch := range []string{"amd64", "arm", "arm64", "mips", "ppc64", "riscv64", "s390x", "loong64", "x"} {
			c := parseCPUInfoOf(text, arch)
			if c.Count < 0 || c.Count > maxCPU || c.Count > 1 && strings.Count(string(text), "processor") == 0 {
				t.Fatalf("%s, %q: %+v", arch, text, c)
			}
		}
	})
}
