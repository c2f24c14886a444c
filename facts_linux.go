package minidump

import (
	"bytes"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/elf"
	"minidump/internal/sys"
	"minidump/procfs"
	"minidump/stream"
)

// facts are what does not change while the machine runs: read once, by NewWriter. Texts stay in the snapshot's byte arena.
type facts struct {
	target       target
	system       system
	bootTime     uint64 // seconds since 1970; 0: not known
	bootTimeErr  sys.Errno
	clockTick    uint64 // USER_HZ
	cpuinfo      span
	cpuinfoErr   sys.Errno
	osRelease    span
	osReleaseErr sys.Errno
}

// firstLook reads the facts of the machine and finds out what kind of program the process is.
func (l *live) firstLook(texts *bytesArena) error {
	f := &l.facts
	f.target = target{arch: l.native, order: sys.NativeOrder, pageSize: uint64(syscall.Getpagesize())}
	if f.target.android = isAndroid(); f.target.android {
		sys.ForbidOpenat2(true)
	}
	if err := l.findArch(); err != nil {
		return err
	}
	f.clockTick = 100 // USER_HZ of every architecture there is; AT_CLKTCK would say the same
	if n, _, errno := procfs.ReadPath("/proc/stat\x00", l.scratch); errno == 0 {
		f.bootTime, _ = procfs.ParseBootTime(l.scratch[:n])
	} else {
		f.bootTimeErr = errno
	}
	f.cpuinfo, f.cpuinfoErr = readPath(texts, "/proc/cpuinfo\x00")
	if f.target.android {
		f.readAndroid(texts)
	} else {
		f.readRelease(texts)
		f.readVersion(texts, nil)
	}
	hwcap, hwcap2 := l.hwcap()
	f.readProcessors(texts, l.scratch, hwcap, hwcap2)
	texts.keep()
	return nil
}

// findArch tells a 32-bit program under a 64-bit kernel: by the ELF header of the program file, where it may be read, else by
// the auxiliary vector.
func (l *live) findArch() error {
	f := &l.facts
	head := l.scratch[:elf.HeaderSize64]
	n, _, errno := l.dir.ReadFile("exe\x00", head)
	if (errno == unix.ENOENT || errno == unix.ESRCH) && l.followLiving() {
		n, _, errno = l.dir.ReadFile("exe\x00", head)
	}
	switch errno {
	case 0:
		if h, ok := elf.ParseHeader(head[:n]); ok {
			if a := context.ArchOfELF(h.Machine, h.Class == elf.Class64); a != context.ArchUnknown {
				f.target.arch = a
			}
			if f.target.arch.WordSize() > l.native.WordSize() {
				return &processError{l.pid, "is a 64-bit process and this a 32-bit program", ErrUnsupported}
			}
		}
	case unix.ESRCH, unix.ENOENT:
		// A kernel thread, or a process that is ending: the dump itself finds out which.
	default:
		b, errno := l.readSmall("auxv\x00")
		if errno != 0 || len(b) == 0 || l.native.WordSize() != 8 {
			break
		}
		if narrow := narrowArch(l.native); narrow != l.native && !procfs.ParseAuxv(b, 8, sys.NativeOrder).Complete &&
			procfs.ParseAuxv(b, 4, sys.NativeOrder).Complete {
			f.target.arch = narrow
		}
	}
	return nil
}

// maxFact bounds what is kept of a file of the machine, in bytes: it takes of the space of all dumps.
const maxFact = 16 << 20

// readPath reads a file of the machine into a, up to maxFact.
func readPath(a *bytesArena, path string) (span, sys.Errno) {
	fd, errno := sys.Open(sys.AT_FDCWD, path, unix.O_RDONLY)
	if errno != 0 {
		return span{}, errno
	}
	sp, errno := readAll(a, fd)
	if sp.len > maxFact {
		sp = a.trim(sp, maxFact)
	}
	return sp, errno
}

// systemRoot goes before the paths of the files that tell which system this is; only tests set it.
var systemRoot = ""

// isAndroid tells an Android system, also to a program that was built for Linux, by the file that its build leaves
// there. Since Android 8 programs without privileges may not read it, if they may look at it at all.
func isAndroid() bool {
	if runtime.GOOS == "android" {
		return true
	}
	fd, errno := sys.Open(sys.AT_FDCWD, systemRoot+"/system/build.prop\x00", unix.O_PATH)
	if errno == 0 {
		sys.Close(fd)
	}
	return errno == 0 || errno == unix.EACCES || errno == unix.EPERM
}

// readVersion tells which kernel this is, and behind it the fingerprint of an Android system.
func (f *facts) readVersion(texts *bytesArena, fingerprint []byte) {
	info := &f.system.info
	info.PlatformID = stream.MD_OS_LINUX
	if f.target.android {
		info.PlatformID = stream.MD_OS_ANDROID
	}
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return
	}
	info.MajorVersion, info.MinorVersion, info.BuildNumber = procfs.ParseKernelVersion(u.Release[:])
	sp, b := texts.alloc(int(unsafe.Sizeof(u)) + 1 + len(fingerprint))
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
	f.system.csd = texts.trim(sp, n)
}

// readRelease reads the file that tells which distribution this is.
func (f *facts) readRelease(texts *bytesArena) {
	for _, path := range [...]string{"/etc/lsb-release\x00", "/etc/os-release\x00", "/usr/lib/os-release\x00"} {
		if f.osRelease, f.osReleaseErr = readPath(texts, systemRoot+path); f.osReleaseErr == 0 {
			return
		}
	}
}

// readProcessors fills in what the SystemInfo stream says of the processors.
func (f *facts) readProcessors(texts *bytesArena, scratch []byte, hwcap, hwcap2 uint64) {
	info := &f.system.info
	arch := f.target.arch
	info.ProcessorArchitecture = arch.ProcessorArchitecture()
	cpu := procfs.ParseCPUInfo(texts.bytes(f.cpuinfo))
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
		x.Put(info.CPU[:], f.target.order)
	case context.ARM, context.ARM64:
		info.ProcessorLevel = uint16(cpu.Architecture)
		info.ProcessorRevision = uint16(cpu.Variant<<8 | cpu.Revision)
		a := stream.ARMCPU{ELFHwcaps: uint32(hwcap)}
		if cpu.HaveMIDR {
			a.CPUID = cpu.MIDR()
		}
		a.Put(info.CPU[:], f.target.order)
	default:
		switch arch {
		case context.PPC64:
			info.ProcessorLevel, info.ProcessorRevision = uint16(cpu.PVR>>16), uint16(cpu.PVR)
		case context.S390X:
			info.ProcessorLevel = uint16(cpu.S390Machine)
		case context.LOONG64:
			info.ProcessorRevision = uint16(cpu.Revision)
		}
		o := stream.OtherCPU{ProcessorFeatures: [2]uint64{hwcap, hwcap2}}
		o.Put(info.CPU[:], f.target.order)
	}
}

// cpuidVersion puts family, model and stepping together as CPUID leaf 1 has them in EAX.
func cpuidVersion(family, model, stepping uint32) uint32 {
	v := stepping&15 | model&15<<4 | model>>4&15<<16
	if family < 15 {
		return v | family<<8
	}
	return v | 15<<8 | (family-15)&0xff<<20
}

// hwcap gives AT_HWCAP and AT_HWCAP2 of the process; of this program, if that may not be read, and if their bits mean the
// same in both: those of a 32-bit program are others than those of a 64-bit one on the same machine.
func (l *live) hwcap() (hwcap, hwcap2 uint64) {
	arch := l.facts.target.arch
	b, errno := l.readSmall("auxv\x00")
	if errno != 0 || len(b) == 0 {
		if arch != l.native {
			return 0, 0
		}
		n, _, errno := procfs.ReadPath("/proc/self/auxv\x00", l.scratch)
		if errno != 0 {
			return 0, 0
		}
		b = l.scratch[:n]
	}
	a := procfs.ParseAuxv(b, arch.WordSize(), sys.NativeOrder)
	return a.Hwcap, a.Hwcap2
}

// buildProps are the files in which the builds of Android's partitions leave properties, in the order in which init reads
// them: a read-only property keeps its first value. prop.default was one of its own up to Android 10.
var buildProps = []string{"/system/etc/prop.default", "/default.prop", "/system/build.prop", "/system_ext/etc/build.prop",
	"/vendor/default.prop", "/vendor/build.prop", "/odm/etc/build.prop", "/odm/build.prop", "/product/etc/build.prop",
	"/product/build.prop"}

// systemProps are the properties of a build that go into the dump. Each stands in the files under one of its names: since
// Android 12 init makes ro.build.fingerprint at start, and the files have only those of the partitions.
var systemProps = [][]string{
	{"ro.build.fingerprint", "ro.system.build.fingerprint", "ro.vendor.build.fingerprint"},
	{"ro.build.version.release", "ro.system.build.version.release"},
	{"ro.build.version.sdk", "ro.system.build.version.sdk"},
	{"ro.build.version.security_patch"},
	{"ro.build.id", "ro.system.build.id"},
	{"ro.build.type", "ro.system.build.type"},
	{"ro.build.display.id"},
	{"ro.product.manufacturer", "ro.product.system.manufacturer", "ro.product.vendor.manufacturer"},
	{"ro.product.model", "ro.product.vendor.model", "ro.product.system.model"},
	{"ro.product.cpu.abi"},
}

// readAndroid tells which Android system this is by the properties that its build left in files. There is no lsb-release:
// the lines KEY=VALUE stand in its place. It fails, softly, if none of the files may be read.
func (f *facts) readAndroid(texts *bytesArena) {
	var files [][]byte
	mark := texts.used
	for _, path := range buildProps {
		sp, errno := readPath(texts, systemRoot+path+"\x00")
		if errno == 0 {
			files = append(files, texts.bytes(sp))
		} else if f.osReleaseErr == 0 || errno != unix.ENOENT {
			f.osReleaseErr = errno // that one may not be read says more than that another is not there
		}
	}
	if len(files) > 0 {
		f.osReleaseErr = 0
	}
	var lines, fingerprint []byte
	for _, names := range systemProps {
		key, v := findProp(files, names)
		if len(v) == 0 {
			continue
		}
		lines = append(append(append(append(lines, key...), '='), v...), '\n')
		if names[0] == "ro.build.fingerprint" {
			fingerprint = append(fingerprint, v...)
		}
	}
	texts.used = mark
	f.osRelease = texts.put(lines)
	f.readVersion(texts, fingerprint)
}

// findProp looks for a property under its names, in all files for each.
func findProp(files [][]byte, names []string) (key string, value []byte) {
	for _, key := range names {
		for _, b := range files {
			if v := procfs.ParseBuildProp(b, key); len(v) > 0 {
				return key, v
			}
		}
	}
	return "", nil
}
