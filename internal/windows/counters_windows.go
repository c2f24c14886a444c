package windows

import (
	"syscall"
	"unsafe"

	"minidump/stream"
)

// vmCounters is VM_COUNTERS_EX2 (phnt's ntpsapi.h).
type vmCounters struct {
	peakVirtualSize, virtualSize             uintptr
	pageFaults                               uint32
	peakWorkingSet, workingSet               uintptr
	quotaPeakPagedPool, quotaPagedPool       uintptr
	quotaPeakNonPagedPool, quotaNonPagedPool uintptr
	pagefile, peakPagefile                   uintptr
	private                                  uintptr // VM_COUNTERS ends before this field
	privateWorkingSet                        uintptr // VM_COUNTERS_EX ends before this field
	sharedCommit                             uint64
}

// VMCounters writes MINIDUMP_PROCESS_VM_COUNTERS_2, the record of ProcessVmCountersStream, to b, which must have
// stream.ProcessVMCountersSize bytes.
func (p *Process) VMCounters(b []byte) syscall.Errno {
	const (
		counters    = 0x1 // MINIDUMP_PROCESS_VM_COUNTERS
		virtualSize = 0x2 // MINIDUMP_PROCESS_VM_COUNTERS_VIRTUALSIZE
		ex          = 0x4 // MINIDUMP_PROCESS_VM_COUNTERS_EX
		ex2         = 0x8 // MINIDUMP_PROCESS_VM_COUNTERS_EX2
	)
	var (
		c     vmCounters
		errno syscall.Errno
		flags = uint16(counters | virtualSize)
	)
	for _, form := range [...]struct {
		size  uintptr
		flags uint16
	}{{unsafe.Sizeof(c), ex | ex2}, {unsafe.Offsetof(c.privateWorkingSet), ex}, {unsafe.Offsetof(c.private), 0}} {
		if errno = p.query(processVMCounters, unsafe.Pointer(&c), form.size); errno == 0 {
			flags |= form.flags
			break
		}
	}
	if errno != 0 {
		return errno
	}
	clear(b[:stream.ProcessVMCountersSize])
	le.PutUint16(b, 2) // Revision
	le.PutUint16(b[2:], flags)
	le.PutUint32(b[4:], c.pageFaults)
	for i, v := range [...]uint64{
		uint64(c.peakWorkingSet), uint64(c.workingSet), uint64(c.quotaPeakPagedPool), uint64(c.quotaPagedPool),
		uint64(c.quotaPeakNonPagedPool), uint64(c.quotaNonPagedPool), uint64(c.pagefile), uint64(c.peakPagefile),
		uint64(c.peakVirtualSize), uint64(c.virtualSize), uint64(c.private), uint64(c.privateWorkingSet), c.sharedCommit,
	} {
		le.PutUint64(b[8+8*i:], v)
	}
	return 0
}

// Classes of NtQuerySystemInformation (winternl.h; phnt's ntexapi.h).
const (
	systemBasic       = 0
	systemPerformance = 2
	systemFileCache   = 21
)

// systemBasicInformation is SYSTEM_BASIC_INFORMATION (phnt's ntexapi.h).
type systemBasicInformation struct {
	reserved                                           uint32
	timerResolution, pageSize                          uint32
	physicalPages, lowestPhysical, highestPhysical     uint32
	granularity                                        uint32
	minimumUserMode, maximumUserMode, activeProcessors uintptr
	processors                                         uint8
}

// systemFileCacheInformation is SYSTEM_FILECACHE_INFORMATION (phnt's ntexapi.h).
type systemFileCacheInformation struct {
	size, peakSize             uintptr
	pageFaults                 uint32
	minimum, maximum           uintptr
	transition, peakTransition uintptr
	rePurpose, flags           uint32
}

// Sizes of SYSTEM_PERFORMANCE_INFORMATION (phnt's ntexapi.h) in bytes: since Windows 10, before Windows 10, and before
// Windows 8. A minidump has its fields at the same offsets.
const (
	performanceSize     = 344
	performanceDirty    = 328
	performanceSizeOnce = 312
)

// SystemMemoryInfo writes MINIDUMP_SYSTEM_MEMORY_INFO_1, the record of SystemMemoryInfoStream, to b, which must have
// stream.SystemMemoryInfoSize bytes in memory that does not move.
func SystemMemoryInfo(b []byte) syscall.Errno {
	const (
		rePurpose = 0x1 // MINIDUMP_SYSMEMINFO1_FILECACHE_TRANSITIONREPURPOSECOUNT_FLAGS
		dirty     = 0x4 // MINIDUMP_SYSMEMINFO1_PERF_CCTOTALDIRTYPAGES_CCDIRTYPAGETHRESHOLD
		resident  = 0x8 // MINIDUMP_SYSMEMINFO1_PERF_RESIDENTAVAILABLEPAGES_SHAREDCOMMITPAGES
	)
	var (
		basic systemBasicInformation
		cache systemFileCacheInformation
		flags uint16
	)
	if errno := querySystem(systemBasic, unsafe.Pointer(&basic), unsafe.Sizeof(basic)); errno != 0 {
		return errno
	}
	clear(b[:stream.SystemMemoryInfoSize])
	le.PutUint16(b, 1) // Revision
	// MINIDUMP_SYSTEM_BASIC_INFORMATION
	for i, v := range [...]uint32{basic.timerResolution, basic.pageSize, basic.physicalPages, basic.lowestPhysical, basic.highestPhysical, basic.granularity} {
		le.PutUint32(b[4+4*i:], v)
	}
	for i, v := range [...]uintptr{basic.minimumUserMode, basic.maximumUserMode, basic.activeProcessors} {
		le.PutUint64(b[28+8*i:], uint64(v))
	}
	le.PutUint32(b[52:], uint32(basic.processors))
	// MINIDUMP_SYSTEM_FILECACHE_INFORMATION
	if querySystem(systemFileCache, unsafe.Pointer(&cache), unsafe.Sizeof(cache)) == 0 {
		flags |= rePurpose
		le.PutUint64(b[56:], uint64(cache.size))
		le.PutUint64(b[64:], uint64(cache.peakSize))
		le.PutUint32(b[72:], cache.pageFaults)
		for i, v := range [...]uintptr{cache.minimum, cache.maximum, cache.transition, cache.peakTransition} {
			le.PutUint64(b[76+8*i:], uint64(v))
		}
		le.PutUint32(b[108:], cache.rePurpose)
		le.PutUint32(b[112:], cache.flags)
	}
	// MINIDUMP_SYSTEM_BASIC_PERFORMANCE_INFORMATION at 116 stays 0: its four 64-bit numbers repeat 32-bit ones of the next record.
	perf := b[148:stream.SystemMemoryInfoSize]
	for _, form := range [...]struct {
		size  uintptr
		flags uint16
	}{{performanceSize, dirty | resident}, {performanceDirty, dirty}, {performanceSizeOnce, 0}} {
		if querySystem(systemPerformance, unsafe.Pointer(&perf[0]), form.size) == 0 {
			flags |= form.flags
			break
		}
	}
	le.PutUint16(b[2:], flags)
	return 0
}

func querySystem(class uintptr, info unsafe.Pointer, size uintptr) syscall.Errno {
	var n uint32
	r, _, _ := syscall.SyscallN(ntQuerySystemInformation, class, uintptr(info), size, uintptr(unsafe.Pointer(&n)))
	return errnoOf(r)
}
