package procfs

import (
	"bytes"
	"runtime"
)

// CPUInfo is what /proc/cpuinfo states about the machine. The text is different on every architecture (show_cpuinfo or c_show in
// the kernel's arch directories); a field that an architecture lacks is 0 or nil. If CPUs differ (big and little cores), the
// identity is that of the first one listed.
//
// Slices point into the parsed bytes.
type CPUInfo struct {
	Count     int      // CPUs that are online
	Vendor    [12]byte // x86: as CPUID returns it; s390x: "IBM/S390"; padded with zeros
	ModelName []byte   // the common name: "AMD EPYC", "ARMv7 Processor rev 4 (v7l)", "MIPS 24Kc V7.4 ...", "POWER9 ..."

	// x86. HaveX86 reports whether family, model and stepping were all present (some kernels print "unknown").
	Family   uint32
	Model    uint32
	Stepping uint32
	HaveX86  bool

	// ARM and ARM64: the parts of the main id register (MIDR). HaveMIDR reports whether implementer and part were present.
	Implementer  uint32 // 8 bits; 0x41 is Arm
	Variant      uint32 // 4 bits
	Part         uint32 // 12 bits
	Revision     uint32 // 4 bits; LoongArch: "CPU Revision"
	Architecture uint32 // 8 for ARMv8, 7 for ARMv7, ...
	HaveMIDR     bool

	PVR uint32 // PowerPC: processor version register

	// RISC-V: the identity registers, and the isa text.
	MVendorID uint64
	MArchID   uint64
	MImpID    uint64
	ISA       []byte

	// s390x: the first CPU's version, identification and machine type (0x2964 is a z13).
	S390Version uint32
	S390Ident   uint32
	S390Machine uint32

	// Features are bits derived from the words of the text.
	//
	//	386, amd64          CPUID leaf 1: EDX in the low 32 bits, ECX in the high
	//	arm, arm64          AT_HWCAP
	//	loong64, s390x      AT_HWCAP
	//	mips*               AT_HWCAP, as far as the text names its bits
	//	riscv64             AT_HWCAP: bit 0 is extension "a", bit 25 "z"
	//	ppc64*              none: the text has no list
	Features uint64

	// Features2 has further bits: x86, CPUID leaf 0x80000001 with EDX low and ECX high (without the bits in EDX that repeat leaf
	// 1); arm and arm64, AT_HWCAP2.
	Features2 uint64
}

// MIDR returns the main id register of ARM as the CPU has it. The text does not contain the architecture field (bits 16 to 19);
// it is 0xf in every CPU that the text describes this way.
func (c *CPUInfo) MIDR() uint32 {
	return c.Implementer&0xff<<24 | c.Variant&0xf<<20 | 0xf<<16 | c.Part&0xfff<<4 | c.Revision&0xf
}

// ParseCPUInfo reads the text of /proc/cpuinfo on a machine of this program's architecture. It is not for the hot path: it makes
// some ten thousand short comparisons, and allocates.
func ParseCPUInfo(b []byte) CPUInfo {
	// cpuLines is inlined: the code and the feature names of the other architectures are not linked.
	kind, line := cpuLines(runtime.GOARCH)
	return parseCPUInfo(b, kind, line)
}

// cpuLines returns how to parse the lines on machines of the architecture arch, a GOARCH.
func cpuLines(arch string) (cpuKind, func(p *cpuParser, key, v []byte)) {
	switch arch {
	case "386", "amd64":
		return cpuOther, (*cpuParser).x86
	case "arm":
		return cpuARM, (*cpuParser).arm
	case "arm64":
		return cpuARM64, (*cpuParser).arm
	case "mips", "mipsle", "mips64", "mips64le":
		return cpuOther, (*cpuParser).mips
	case "ppc64", "ppc64le":
		return cpuOther, (*cpuParser).ppc
	case "riscv64":
		return cpuOther, (*cpuParser).riscv
	case "s390x":
		return cpuOther, (*cpuParser).s390
	case "loong64":
		return cpuOther, (*cpuParser).loong
	}
	return cpuOther, nil
}

func parseCPUInfo(b []byte, kind cpuKind, line func(p *cpuParser, key, v []byte)) CPUInfo {
	p := cpuParser{kind: kind}
	for len(b) > 0 {
		var text []byte
		text, b = nextLine(b)
		colon := bytes.IndexByte(text, ':')
		if colon < 0 {
			continue
		}
		// Kernels write tabs, blanks or nothing on either side of the colon.
		key, v := trimBlanks(text[:colon]), trimBlanks(text[colon+1:])
		if string(key) == "processor" {
			p.processor(v)
		} else if line != nil {
			line(&p, key, v)
		}
	}
	c := &p.info
	c.HaveX86 = p.seen&(seenFamily|seenModel|seenStepping) == seenFamily|seenModel|seenStepping
	c.HaveMIDR = p.seen&(seenImplementer|seenPart) == seenImplementer|seenPart
	if c.Count == 0 {
		c.Count = p.summaryCount
	}
	if p.kind == cpuARM {
		if c.Count == 0 && c.ModelName != nil {
			c.Count = 1 // an old kernel for one CPU, which it does not number
		}
		if v := platformVersion(c.ModelName); v != 0 {
			c.Architecture = v
		}
	}
	return p.info
}

// cpuKind distinguishes the two architectures whose lines have the same names but different meanings.
type cpuKind uint8

const (
	cpuOther cpuKind = iota
	cpuARM
	cpuARM64
)

// cpuParser records which keys were seen: the first line of each counts.
type cpuParser struct {
	info         CPUInfo
	kind         cpuKind
	seen         uint32
	summaryCount int // of s390x's "# processors"
}

const (
	seenVendor = 1 << iota
	seenModelName
	seenFamily
	seenModel
	seenStepping
	seenImplementer
	seenVariant
	seenPart
	seenRevision
	seenArchitecture
	seenFeatures
	seenPVR
	seenMVendorID
	seenMArchID
	seenMImpID
	seenISA
	seenS390
)

// first reports whether key occurs for the first time, and records it.
func (p *cpuParser) first(key uint32) bool {
	was := p.seen & key
	p.seen |= key
	return was == 0
}

// processor counts the lines "processor : N". An old kernel with a single ARM CPU writes "Processor : NAME" (with a capital)
// instead, which arm parses.
func (p *cpuParser) processor(v []byte) {
	if _, next := decimalAt(v, 0); next > 0 && next == len(v) {
		if p.info.Count < maxCPU {
			p.info.Count++
		}
		return
	}
	if p.kind == cpuARM || p.kind == cpuARM64 {
		p.modelName(v)
	}
}

func (p *cpuParser) modelName(v []byte) {
	if len(v) > 0 && p.first(seenModelName) {
		p.info.ModelName = v[:len(v):len(v)]
	}
}

func (p *cpuParser) vendor(v []byte) {
	if len(v) > 0 && p.first(seenVendor) {
		copy(p.info.Vendor[:], v)
	}
}

// number stores v in dst, if all of v is a number and the key is new.
func (p *cpuParser) number(key uint32, v []byte, dst *uint32) {
	n, ok := cpuNumber(v)
	if ok && n <= 1<<32-1 && p.first(key) {
		*dst = uint32(n)
	}
}

func (p *cpuParser) number64(key uint32, v []byte, dst *uint64) {
	if n, ok := cpuNumber(v); ok && p.first(key) {
		*dst = n
	}
}

// cpuNumber parses a value that is entirely a number: hexadecimal after 0x, else decimal.
func cpuNumber(v []byte) (n uint64, ok bool) {
	if hasPrefix(v, "0x") || hasPrefix(v, "0X") {
		n, next := hexAt(v, 2)
		return n, next == len(v) && next > 2
	}
	n, next := decimalAt(v, 0)
	return n, next == len(v) && next > 0
}

// x86 parses a line of show_cpuinfo in arch/x86/kernel/cpu/proc.c.
func (p *cpuParser) x86(key, v []byte) {
	switch string(key) {
	case "vendor_id":
		p.vendor(v)
	case "model name":
		p.modelName(v)
	case "cpu family":
		p.number(seenFamily, v, &p.info.Family)
	case "model":
		p.number(seenModel, v, &p.info.Model)
	case "stepping":
		p.number(seenStepping, v, &p.info.Stepping)
	case "flags":
		if p.first(seenFeatures) {
			p.info.Features = featureBits(v, x86EDX[:]) | featureBits(v, x86ECX[:])<<32
			p.info.Features2 = featureBits(v, x86ExtEDX[:]) | featureBits(v, x86ExtECX[:])<<32
		}
	}
}

// arm parses a line of c_show in arch/arm/kernel/setup.c and arch/arm64/kernel/cpuinfo.c.
func (p *cpuParser) arm(key, v []byte) {
	switch string(key) {
	case "model name", "Processor":
		p.modelName(v)
	case "CPU implementer":
		p.number(seenImplementer, v, &p.info.Implementer)
	case "CPU variant":
		p.number(seenVariant, v, &p.info.Variant)
	case "CPU part":
		p.number(seenPart, v, &p.info.Part)
	case "CPU revision":
		p.number(seenRevision, v, &p.info.Revision)
	case "CPU architecture":
		if string(v) == "AArch64" && p.first(seenArchitecture) {
			p.info.Architecture = 8
			return
		}
		// "7", "8", but also "5TE" and "6TEJ".
		if n, next := decimalAt(v, 0); next > 0 && n <= 255 && p.first(seenArchitecture) {
			p.info.Architecture = uint32(n)
		}
	case "Features":
		if !p.first(seenFeatures) {
			return
		}
		if p.kind == cpuARM64 {
			p.info.Features = featureBits(v, arm64Hwcap[:])
			p.info.Features2 = featureBits(v, arm64Hwcap2[:])
		} else {
			p.info.Features = featureBits(v, armHwcap[:])
			p.info.Features2 = featureBits(v, armHwcap2[:])
		}
	}
}

// platformVersion returns N of "(vNl)" in the name of an ARM CPU. Kernels for ARMv6 state the version there, while "CPU
// architecture" is 7 for an ARMv6 CPU with the memory management of ARMv7.
func platformVersion(name []byte) uint32 {
	i := bytes.LastIndexByte(name, '(')
	if i < 0 || !hasPrefix(name[i:], "(v") {
		return 0
	}
	n, next := decimalAt(name, i+2)
	if next == i+2 || n > 255 {
		return 0
	}
	return uint32(n)
}

// mips parses a line of show_cpuinfo in arch/mips/kernel/proc.c.
func (p *cpuParser) mips(key, v []byte) {
	switch string(key) {
	case "cpu model":
		p.modelName(v)
	case "ASEs implemented":
		if p.first(seenFeatures) {
			p.info.Features |= featureBits(v, mipsHwcap[:])
		}
	case "isa":
		if p.first(seenISA) {
			p.info.ISA = v[:len(v):len(v)]
			if hasWord(v, "mips32r6") || hasWord(v, "mips64r6") {
				p.info.Features |= 1 // HWCAP_MIPS_R6
			}
		}
	}
}

// ppc parses a line of show_cpuinfo in arch/powerpc/kernel/setup-common.c.
func (p *cpuParser) ppc(key, v []byte) {
	switch string(key) {
	case "cpu":
		p.modelName(v)
	case "revision":
		// "2.1 (pvr 004e 1201)"
		i := bytes.IndexByte(v, '(')
		if i < 0 || !hasPrefix(v[i:], "(pvr ") {
			return
		}
		i += len("(pvr ")
		high, j := hexAt(v, i)
		if j == i || j >= len(v) || v[j] != ' ' {
			return
		}
		low, k := hexAt(v, j+1)
		if k > j+1 && high <= 0xffff && low <= 0xffff && p.first(seenPVR) {
			p.info.PVR = uint32(high<<16 | low)
		}
	}
}

// riscv parses a line of c_show in arch/riscv/kernel/cpu.c.
func (p *cpuParser) riscv(key, v []byte) {
	switch string(key) {
	case "uarch":
		p.modelName(v)
	case "mvendorid":
		p.number64(seenMVendorID, v, &p.info.MVendorID)
	case "marchid":
		p.number64(seenMArchID, v, &p.info.MArchID)
	case "mimpid":
		p.number64(seenMImpID, v, &p.info.MImpID)
	case "isa":
		if !p.first(seenISA) {
			return
		}
		p.info.ISA = v[:len(v):len(v)]
		if !hasPrefix(v, "rv32") && !hasPrefix(v, "rv64") {
			return
		}
		// Single letters up to the first extension with a longer name.
		for _, c := range v[4:] {
			if c < 'a' || c > 'y' || c == 's' || c == 'x' {
				break
			}
			p.info.Features |= 1 << (c - 'a')
		}
	}
}

// s390 parses a line of show_cpu_summary in arch/s390/kernel/processor.c.
func (p *cpuParser) s390(key, v []byte) {
	switch string(key) {
	case "vendor_id":
		p.vendor(v)
		return
	case "# processors":
		if n, ok := cpuNumber(v); ok && n <= maxCPU {
			p.summaryCount = int(n)
		}
		return
	case "features":
		if p.first(seenFeatures) {
			p.info.Features = featureBits(v, s390Hwcap[:])
		}
		return
	}
	// "processor 0: version = FF,  identification = 0133E8,  machine = 2964"
	if !hasPrefix(key, "processor ") {
		return
	}
	if p.info.Count < maxCPU {
		p.info.Count++
	}
	if p.first(seenS390) {
		p.info.S390Version = s390Field(v, "version = ")
		p.info.S390Ident = s390Field(v, "identification = ")
		p.info.S390Machine = s390Field(v, "machine = ")
	}
}

func s390Field(v []byte, name string) uint32 {
	for i := range v {
		if hasPrefix(v[i:], name) {
			n, _ := hexAt(v, i+len(name))
			return uint32(n)
		}
	}
	return 0
}

// loong parses a line of show_cpuinfo in arch/loongarch/kernel/proc.c.
func (p *cpuParser) loong(key, v []byte) {
	switch string(key) {
	case "Model Name":
		p.modelName(v)
	case "CPU Revision":
		p.number(seenRevision, v, &p.info.Revision)
	case "Features":
		if p.first(seenFeatures) {
			p.info.Features = featureBits(v, loongHwcap[:])
		}
	}
}

// featureBits returns the bits of the words of v; names lists the words by bit number ("" for none).
//
//go:noinline
func featureBits(v []byte, names []string) (bits uint64) {
	for len(v) > 0 {
		n := 0
		for n < len(v) && v[n] != ' ' && v[n] != '\t' {
			n++
		}
		if n > 0 {
			for bit, name := range names {
				if string(v[:n]) == name {
					bits |= 1 << bit
					break
				}
			}
		}
		v = v[min(n+1, len(v)):]
	}
	return bits
}

func hasWord(v []byte, word string) bool {
	names := [1]string{word}
	return featureBits(v, names[:]) != 0
}

// maxCPU bounds the numbers in a CPU list; Linux is built for at most 8192 CPUs.
const maxCPU = 1 << 16

// ParseCPUList counts the CPUs of a list such as "0-3,5" (/sys/devices/system/cpu/present and possible, in the kernel's bitmap
// list format). It is not ok if the text is malformed, empty, not ascending, or has a number of 65,536 or more.
func ParseCPUList(b []byte) (count int, ok bool) {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	b = trimBlanks(b)
	lowest := uint64(0)
	for i := 0; ; i++ {
		first, next := decimalAt(b, i)
		if next == i || first < lowest || first >= maxCPU {
			return 0, false
		}
		last := first
		i = next
		if i < len(b) && b[i] == '-' {
			last, next = decimalAt(b, i+1)
			if next == i+1 || last < first || last >= maxCPU {
				return 0, false
			}
			i = next
		}
		count += int(last - first + 1)
		lowest = last + 1
		if i == len(b) {
			return count, true
		}
		if b[i] != ',' {
			return 0, false
		}
	}
}
