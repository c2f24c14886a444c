package procfs

// The words of /proc/cpuinfo by bit number. For x86 they are those of the kernel's cpufeatures.h, which differ from the names in
// the processor manuals ("pni" is SSE3). For the others they are the names of the AT_HWCAP bits of asm/hwcap.h, in the order of
// hwcap_str.

// x86EDX is CPUID leaf 1, EDX.
var x86EDX = [32]string{
	"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", "", "sep", "mtrr", "pge", "mca", "cmov",
	"pat", "pse36", "pn", "clflush", "", "dts", "acpi", "mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm", "ia64", "pbe",
}

// x86ECX is CPUID leaf 1, ECX.
var x86ECX = [32]string{
	"pni", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx", "smx", "est", "tm2", "ssse3", "cid", "sdbg", "fma",
	"cx16", "xtpr", "pdcm", "", "pcid", "dca", "sse4_1", "sse4_2", "x2apic", "movbe", "popcnt", "tsc_deadline_timer",
	"aes", "xsave", "osxsave", "avx", "f16c", "rdrand", "hypervisor",
}

// x86ExtEDX is CPUID leaf 0x80000001, EDX.
var x86ExtEDX = [32]string{
	11: "syscall", 19: "mp", 20: "nx", 22: "mmxext", 25: "fxsr_opt", 26: "pdpe1gb", 27: "rdtscp", 29: "lm",
	30: "3dnowext", 31: "3dnow",
}

// x86ExtECX is CPUID leaf 0x80000001, ECX.
var x86ExtECX = [32]string{
	"lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy", "abm", "sse4a", "misalignsse", "3dnowprefetch", "osvw",
	"ibs", "xop", "skinit", "wdt", "", "lwp", "fma4", "tce", "", "nodeid_msr", "", "tbm", "topoext", "perfctr_core",
	"perfctr_nb", "", "bpext", "ptsc", "perfctr_llc", "mwaitx",
}

var armHwcap = [...]string{
	"swp", "half", "thumb", "26bit", "fastmult", "fpa", "vfp", "edsp", "java", "iwmmxt", "crunch", "thumbee", "neon",
	"vfpv3", "vfpv3d16", "tls", "vfpv4", "idiva", "idivt", "vfpd32", "lpae", "evtstrm", "fphp", "asimdhp", "asimddp",
	"asimdfhm", "asimdbf16", "i8mm",
}

var armHwcap2 = [...]string{"aes", "pmull", "sha1", "sha2", "crc32", "sb", "ssbs"}

var arm64Hwcap = [32]string{
	"fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32", "atomics", "fphp", "asimdhp", "cpuid",
	"asimdrdm", "jscvt", "fcma", "lrcpc", "dcpop", "sha3", "sm3", "sm4", "asimddp", "sha512", "sve", "asimdfhm", "dit",
	"uscat", "ilrcpc", "flagm", "ssbs", "sb", "paca", "pacg",
}

var arm64Hwcap2 = [...]string{
	"dcpodp", "sve2", "sveaes", "svepmull", "svebitperm", "svesha3", "svesm4", "flagm2", "frint", "svei8mm", "svef32mm",
	"svef64mm", "svebf16", "i8mm", "bf16", "dgh", "rng", "bti", "mte", "ecv", "afp", "rpres", "mte3", "sme", "smei16i64",
	"smef64f64", "smei8i32", "smef16f32", "smeb16f32", "smef32f32", "smefa64", "wfxt", "ebf16", "sveebf16", "cssc",
	"rprfm", "sve2p1", "sme2", "sme2p1", "smei16i32", "smebi32i32", "smeb16b16", "smef16f16", "mops", "hbc", "sveb16b16",
	"lrcpc3",
}

// mipsHwcap has no name for bit 0, release 6, which is in the isa line.
var mipsHwcap = [...]string{
	1: "msa", 3: "mips16", 4: "mdmx", 5: "mips3d", 6: "smartmips", 7: "dsp", 8: "dsp2", 9: "dsp3", 10: "mips16e2",
	11: "loongson-mmi", 12: "loongson-ext", 13: "loongson-ext2",
}

var s390Hwcap = [...]string{
	"esan3", "zarch", "stfle", "msa", "ldisp", "eimm", "dfp", "edat", "etf3eh", "highgprs", "te", "vx", "vxd", "vxe",
	"gs", "vxe2", "vxp", "sort", "dflt", "vxp2", "nnpa", "pcimio", "sie",
}

var loongHwcap = [...]string{
	"cpucfg", "lam", "ual", "fpu", "lsx", "lasx", "crc32", "complex", "crypto", "lvz", "lbt_x86", "lbt_arm", "lbt_mips",
	"ptw", "lspw",
}
