//go:build linux

package linux

import (
	"bytes"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/elf"
	"minidump/internal/errtext"
	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/stream"

	"minidump/internal/arena"
	"minidump/internal/snapshot"
)

// facts do not change while the machine runs. They are read once; their texts are in the snapshot's byte arena.
type facts struct {
	target       snapshot.Target
	system       snapshot.System
	bootTime     uint64 // seconds since 1970; 0: not known
	bootTimeErr  sys.Errno
	clockTick    uint64 // USER_HZ
	cpuinfo      arena.Span
	cpuinfoErr   sys.Errno
	osRelease    arena.Span
	osReleaseErr sys.Errno
}

// FirstLook reads the facts about the machine and determines the architecture of the process. Texts are kept in s for
// all dumps. It returns ErrUnsupported for a 64-bit process in a 32-bit program.
func (p *Reader) FirstLook(s *snapshot.Snapshot) error {
	texts := &s.Bytes
	f := &p.facts
	f.target = snapshot.Target{Arch: p.native, Order: sys.NativeOrder, PageSize: uint64(syscall.Getpagesize())}
	if f.target.Android = IsAndroid(); f.target.Android {
		sys.ForbidOpenat2(true)
	}
	if err := p.findArch(); err != nil {
		return err
	}
	f.clockTick = 100 // USER_HZ of every architecture that exists; AT_CLKTCK has the same value
	if n, _, errno := procfs.ReadPath("/proc/stat\x00", p.scratch.bytes); errno == 0 {
		f.bootTime, _ = procfs.ParseBootTime(p.scratch.bytes[:n])
	} else {
		f.bootTimeErr = errno
	}
	f.cpuinfo, f.cpuinfoErr = readPath(texts, "/proc/cpuinfo\x00")
	if f.target.Android {
		f.readAndroid(texts)
	} else {
		f.readRelease(texts)
		f.readVersion(texts, nil)
	}
	hwcap, hwcap2 := p.hwcap()
	f.readProcessors(texts, p.scratch.bytes, hwcap, hwcap2)
	texts.Keep()
	return nil
}

// recordFacts copies the facts about the machine to the snapshot.
func (p *Reader) recordFacts(s *snapshot.Snapshot) {
	f := &p.facts
	s.Raw[snapshot.RawCPUInfo], s.Raw[snapshot.RawLSBRelease] = f.cpuinfo, f.osRelease
	if f.cpuinfoErr != 0 {
		s.Soft(snapshot.OpCPUInfo, int32(f.cpuinfoErr), 0, 0)
	}
	if f.osReleaseErr != 0 {
		s.Soft(snapshot.OpOSRelease, int32(f.osReleaseErr), 0, 0)
	}
	if f.bootTime == 0 {
		s.Soft(snapshot.OpSystem, int32(f.bootTimeErr), 0, 0)
	}
}

// findArch determines, from the auxiliary vector, whether the process is a 32-bit program under a 64-bit kernel. If the header
// of the program file says otherwise it has precedence, provided that its file system answers by itself: only the header
// distinguishes programs of n32 from those of o32 on mips64.
func (p *Reader) findArch() error {
	f := &p.facts
	b, errno := p.readSmall("auxv\x00")
	if (errno != 0 || len(b) == 0) && p.followLiving() {
		b, errno = p.readSmall("auxv\x00")
	}
	if errno == unix.ESRCH || errno == unix.ENOENT {
		return nil // the process is ending: the dump itself will find that out
	}
	native := p.native.WordSize()
	if errno == 0 && native == 8 {
		// A complete vector is no proof: two 32-bit words of 0 end a vector of either word size.
		if procfs.ParseAuxv(b, 8, sys.NativeOrder).Phent == elf.ProgSize64 {
			return nil
		}
		narrow := p.native.Compat()
		if narrow != context.ArchUnknown && procfs.ParseAuxv(b, 4, sys.NativeOrder).Phent == elf.ProgSize32 {
			f.target.Arch = narrow
		}
	}
	if !p.exeAnswers() {
		return nil
	}
	head := p.scratch.bytes[:elf.HeaderSize64]
	n, _, errno := p.dir.ReadFile("exe\x00", head)
	if h, ok := elf.ParseHeader(head[:n]); ok && errno == 0 {
		if a := context.ArchOfELF(h.Machine, h.Class == elf.Class64 || h.IsN32()); a != context.ArchUnknown {
			f.target.Arch = a
			f.target.ILP32 = h.Class == elf.Class32 && a.WordSize() == 8
		}
		if f.target.Arch.WordSize() > native {
			return errtext.Wrap(snapshot.ErrUnsupported, "minidump: pid ", p.pid, " is a 64-bit process, which a 32-bit program can't dump")
		}
	}
	return nil
}

// exeAnswers reports whether the program file is on a file system that answers by itself. It accesses no server.
func (p *Reader) exeAnswers() bool {
	st := &p.scratch.statx
	errno := sys.Statx(p.dir.Fd(), "exe\x00", unix.AT_NO_AUTOMOUNT|unix.AT_STATX_DONT_SYNC, unix.STATX_INO, st)
	if errno != 0 {
		return false
	}
	kind := p.mem.askBacking(uint64(st.Dev_major)<<32 | uint64(st.Dev_minor))
	return kind == backingDisk || kind == backingMemory
}

// maxFact is the maximum number of bytes kept of one file about the machine: they occupy space of all dumps.
const maxFact = 16 << 20

// readPath reads a file of the machine into a, up to maxFact bytes.
func readPath(a *arena.Bytes, path string) (arena.Span, sys.Errno) {
	fd, errno := sys.Open(sys.AT_FDCWD, path, unix.O_RDONLY)
	if errno != 0 {
		return arena.Span{}, errno
	}
	sp, errno := readAll(a, fd)
	if sp.Len > maxFact {
		sp = a.Trim(sp, maxFact)
	}
	return sp, errno
}

// readVersion sets the version of the kernel, and the CSD string: uname, followed by the fingerprint of an Android
// system.
func (f *facts) readVersion(texts *arena.Bytes, fingerprint []byte) {
	info := &f.system.Info
	info.PlatformID = stream.MD_OS_LINUX
	if f.target.Android {
		info.PlatformID = stream.MD_OS_ANDROID
	}
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return
	}
	info.MajorVersion, info.MinorVersion, info.BuildNumber = procfs.ParseKernelVersion(u.Release[:])
	sp, b := texts.Alloc(int(unsafe.Sizeof(u)) + 1 + len(fingerprint))
	if b == nil {
		return
	}
	n := 0
	for _, text := range [...][]byte{u.Sysname[:], u.Release[:], u.Version[:], u.Machine[:], fingerprint} {
		if end := bytes.IndexByte(text, 0); end >= 0 {
			text = text[:end]
		}
		if n > 0 && len(text) > 0 {
			b[n] = ' '
			n++
		}
		n += copy(b[n:], text)
	}
	f.system.CSD = texts.Trim(sp, n)
}

// readRelease reads the file that identifies the distribution.
func (f *facts) readRelease(texts *arena.Bytes) {
	for _, path := range [...]string{"/etc/lsb-release\x00", "/etc/os-release\x00", "/usr/lib/os-release\x00"} {
		if f.osRelease, f.osReleaseErr = readPath(texts, SystemRoot+path); f.osReleaseErr == 0 {
			return
		}
	}
}

// readProcessors sets the fields of the SystemInfo stream about the processors.
func (f *facts) readProcessors(texts *arena.Bytes, scratch []byte, hwcap, hwcap2 uint64) {
	info := &f.system.Info
	arch := f.target.Arch
	info.ProcessorArchitecture = arch.ProcessorArchitecture()
	cpu := procfs.ParseCPUInfo(texts.Get(f.cpuinfo))
	n := cpu.Count
	if size, _, errno := procfs.ReadPath("/sys/devices/system/cpu/present\x00", scratch); errno == 0 {
		if present, ok := procfs.ParseCPUList(scratch[:size]); ok && present > n {
			n = present
		}
	}
	if n == 0 {
		n = runtime.NumCPU()
	}
	info.NumberOfProcessors = uint8(min(n, 255))
	switch arch {
	case context.X86, context.AMD64:
		info.ProcessorLevel = uint16(cpu.Family)
		info.ProcessorRevision = uint16(cpu.Model<<8 | cpu.Stepping&0xff)
		x := stream.X86CPU{VendorID: cpu.Vendor, FeatureInformation: uint32(cpu.Features)}
		x.VersionInformation = cpuidVersion(cpu.Family, cpu.Model, cpu.Stepping)
		if string(cpu.Vendor[:]) == "AuthenticAMD" {
			x.AMDExtendedCPUFeatures = uint32(cpu.Features2)
		}
		x.Put(info.CPU[:], f.target.Order)
	case context.ARM, context.ARM64:
		info.ProcessorLevel = uint16(cpu.Architecture)
		info.ProcessorRevision = uint16(cpu.Variant<<8 | cpu.Revision)
		a := stream.ARMCPU{ELFHwcaps: uint32(hwcap)}
		if cpu.HaveMIDR {
			a.CPUID = cpu.MIDR()
		}
		a.Put(info.CPU[:], f.target.Order)
	default:
		switch arch {
		case context.PPC, context.PPC64:
			info.ProcessorLevel, info.ProcessorRevision = uint16(cpu.PVR>>16), uint16(cpu.PVR)
		case context.S390X:
			info.ProcessorLevel = uint16(cpu.S390Machine)
		case context.LOONG64:
			info.ProcessorRevision = uint16(cpu.Revision)
		}
		o := stream.OtherCPU{ProcessorFeatures: [2]uint64{hwcap, hwcap2}}
		o.Put(info.CPU[:], f.target.Order)
	}
}

// cpuidVersion encodes family, model and stepping as CPUID leaf 1 returns them in EAX.
func cpuidVersion(family, model, stepping uint32) uint32 {
	v := stepping&15 | model&15<<4 | model>>4&15<<16
	if family < 15 {
		return v | family<<8
	}
	return v | 15<<8 | (family-15)&0xff<<20
}

// hwcap returns AT_HWCAP and AT_HWCAP2 of the process. If its vector cannot be read, it returns those of this
// program, unless that has another architecture: 32-bit and 64-bit programs on one machine use different bits.
func (p *Reader) hwcap() (hwcap, hwcap2 uint64) {
	arch, word := p.facts.target.Arch, p.facts.target.WordSize()
	b, errno := p.readSmall("auxv\x00")
	if errno != 0 || len(b) == 0 {
		if arch != p.native || word != arch.WordSize() {
			return 0, 0
		}
		n, _, errno := procfs.ReadPath("/proc/self/auxv\x00", p.scratch.bytes)
		if errno != 0 {
			return 0, 0
		}
		b = p.scratch.bytes[:n]
	}
	a := procfs.ParseAuxv(b, word, sys.NativeOrder)
	return a.Hwcap, a.Hwcap2
}
