package stream

import "encoding/binary"

// Bits of SystemMemoryInfo.Flags: which fields are filled in besides those that every version of Windows provides.
const (
	MINIDUMP_SYSMEMINFO1_FILECACHE_TRANSITIONREPURPOSECOUNT_FLAGS                    = 0x01
	MINIDUMP_SYSMEMINFO1_BASICPERF                                                   = 0x02
	MINIDUMP_SYSMEMINFO1_PERF_CCTOTALDIRTYPAGES_CCDIRTYPAGETHRESHOLD                 = 0x04
	MINIDUMP_SYSMEMINFO1_PERF_RESIDENTAVAILABLEPAGES_SHAREDCOMMITPAGES               = 0x08
	MINIDUMP_SYSMEMINFO1_PERF_MDLPAGESALLOCATED_PFNDATABASECOMMITTEDPAGES            = 0x10
	MINIDUMP_SYSMEMINFO1_PERF_SYSTEMPAGETABLECOMMITTEDPAGES_CONTIGUOUSPAGESALLOCATED = 0x20
)

// Sizes of the two forms of a SystemMemoryInfo in bytes. The second form starts with the first.
const (
	SystemMemoryInfoSize  = 492 // MINIDUMP_SYSTEM_MEMORY_INFO_1
	SystemMemoryInfo2Size = 524 // MINIDUMP_SYSTEM_MEMORY_INFO_2
)

// SystemMemoryInfo is MINIDUMP_SYSTEM_MEMORY_INFO_2, or its shorter form with the missing fields 0: how Windows used the
// machine's memory.
//
//	  0 uint16                            Revision
//	  2 uint16                            Flags
//	  4 SystemBasicInformation            BasicInfo
//	 56 SystemFileCacheInformation        FileCacheInfo
//	116 SystemBasicPerformanceInformation BasicPerfInfo
//	148 SystemPerformanceInformation      PerfInfo
//	492 uint64[4]                         the fields that MINIDUMP_SYSTEM_PERFORMANCE_INFORMATION_2 adds
type SystemMemoryInfo struct {
	Revision      uint16 // 1
	Flags         uint16 // MINIDUMP_SYSMEMINFO1_…
	BasicInfo     SystemBasicInformation
	FileCacheInfo SystemFileCacheInformation
	BasicPerfInfo SystemBasicPerformanceInformation
	PerfInfo      SystemPerformanceInformation

	MdlPagesAllocated             uint64
	PfnDatabaseCommittedPages     uint64
	SystemPageTableCommittedPages uint64
	ContiguousPagesAllocated      uint64
}

// Put writes the SystemMemoryInfo2Size bytes of r to b. The first SystemMemoryInfoSize of them are the shorter form.
func (r *SystemMemoryInfo) Put(b []byte, o binary.ByteOrder) {
	_ = b[SystemMemoryInfo2Size-1]
	o.PutUint16(b[0:], r.Revision)
	o.PutUint16(b[2:], r.Flags)
	r.BasicInfo.Put(b[4:], o)
	r.FileCacheInfo.Put(b[56:], o)
	r.BasicPerfInfo.Put(b[116:], o)
	r.PerfInfo.Put(b[148:], o)
	o.PutUint64(b[492:], r.MdlPagesAllocated)
	o.PutUint64(b[500:], r.PfnDatabaseCommittedPages)
	o.PutUint64(b[508:], r.SystemPageTableCommittedPages)
	o.PutUint64(b[516:], r.ContiguousPagesAllocated)
}

// Get reads r from b, which has at least SystemMemoryInfoSize bytes.
func (r *SystemMemoryInfo) Get(b []byte, o binary.ByteOrder) {
	_ = b[SystemMemoryInfoSize-1]
	*r = SystemMemoryInfo{Revision: o.Uint16(b[0:]), Flags: o.Uint16(b[2:])}
	r.BasicInfo.Get(b[4:], o)
	r.FileCacheInfo.Get(b[56:], o)
	r.BasicPerfInfo.Get(b[116:], o)
	r.PerfInfo.Get(b[148:], o)
	if len(b) >= SystemMemoryInfo2Size {
		r.MdlPagesAllocated = o.Uint64(b[492:])
		r.PfnDatabaseCommittedPages = o.Uint64(b[500:])
		r.SystemPageTableCommittedPages = o.Uint64(b[508:])
		r.ContiguousPagesAllocated = o.Uint64(b[516:])
	}
}

// SystemBasicInformationSize is the size of a SystemBasicInformation in bytes.
const SystemBasicInformationSize = 52

// SystemBasicInformation is MINIDUMP_SYSTEM_BASIC_INFORMATION.
//
//	 0 uint32 TimerResolution
//	 4 uint32 PageSize
//	 8 uint32 NumberOfPhysicalPages
//	12 uint32 LowestPhysicalPageNumber
//	16 uint32 HighestPhysicalPageNumber
//	20 uint32 AllocationGranularity
//	24 uint64 MinimumUserModeAddress
//	32 uint64 MaximumUserModeAddress
//	40 uint64 ActiveProcessorsAffinityMask
//	48 uint32 NumberOfProcessors
type SystemBasicInformation struct {
	TimerResolution              uint32 // units of 100 ns
	PageSize                     uint32 // bytes
	NumberOfPhysicalPages        uint32
	LowestPhysicalPageNumber     uint32
	HighestPhysicalPageNumber    uint32
	AllocationGranularity        uint32 // bytes
	MinimumUserModeAddress       uint64
	MaximumUserModeAddress       uint64
	ActiveProcessorsAffinityMask uint64 // a bit for each processor
	NumberOfProcessors           uint32
}

// Put writes the SystemBasicInformationSize bytes of r to b.
func (r *SystemBasicInformation) Put(b []byte, o binary.ByteOrder) {
	_ = b[SystemBasicInformationSize-1]
	o.PutUint32(b[0:], r.TimerResolution)
	o.PutUint32(b[4:], r.PageSize)
	o.PutUint32(b[8:], r.NumberOfPhysicalPages)
	o.PutUint32(b[12:], r.LowestPhysicalPageNumber)
	o.PutUint32(b[16:], r.HighestPhysicalPageNumber)
	o.PutUint32(b[20:], r.AllocationGranularity)
	o.PutUint64(b[24:], r.MinimumUserModeAddress)
	o.PutUint64(b[32:], r.MaximumUserModeAddress)
	o.PutUint64(b[40:], r.ActiveProcessorsAffinityMask)
	o.PutUint32(b[48:], r.NumberOfProcessors)
}

// Get reads r from the first SystemBasicInformationSize bytes of b.
func (r *SystemBasicInformation) Get(b []byte, o binary.ByteOrder) {
	_ = b[SystemBasicInformationSize-1]
	r.TimerResolution = o.Uint32(b[0:])
	r.PageSize = o.Uint32(b[4:])
	r.NumberOfPhysicalPages = o.Uint32(b[8:])
	r.LowestPhysicalPageNumber = o.Uint32(b[12:])
	r.HighestPhysicalPageNumber = o.Uint32(b[16:])
	r.AllocationGranularity = o.Uint32(b[20:])
	r.MinimumUserModeAddress = o.Uint64(b[24:])
	r.MaximumUserModeAddress = o.Uint64(b[32:])
	r.ActiveProcessorsAffinityMask = o.Uint64(b[40:])
	r.NumberOfProcessors = o.Uint32(b[48:])
}

// SystemFileCacheInformationSize is the size of a SystemFileCacheInformation in bytes.
const SystemFileCacheInformationSize = 60

// SystemFileCacheInformation is MINIDUMP_SYSTEM_FILECACHE_INFORMATION.
//
//	 0 uint64 CurrentSize
//	 8 uint64 PeakSize
//	16 uint32 PageFaultCount
//	20 uint64 MinimumWorkingSet
//	28 uint64 MaximumWorkingSet
//	36 uint64 CurrentSizeIncludingTransitionInPages
//	44 uint64 PeakSizeIncludingTransitionInPages
//	52 uint32 TransitionRePurposeCount
//	56 uint32 Flags
type SystemFileCacheInformation struct {
	CurrentSize                           uint64 // bytes
	PeakSize                              uint64 // bytes
	PageFaultCount                        uint32
	MinimumWorkingSet                     uint64
	MaximumWorkingSet                     uint64
	CurrentSizeIncludingTransitionInPages uint64
	PeakSizeIncludingTransitionInPages    uint64
	TransitionRePurposeCount              uint32
	Flags                                 uint32
}

// Put writes the SystemFileCacheInformationSize bytes of r to b.
func (r *SystemFileCacheInformation) Put(b []byte, o binary.ByteOrder) {
	_ = b[SystemFileCacheInformationSize-1]
	o.PutUint64(b[0:], r.CurrentSize)
	o.PutUint64(b[8:], r.PeakSize)
	o.PutUint32(b[16:], r.PageFaultCount)
	o.PutUint64(b[20:], r.MinimumWorkingSet)
	o.PutUint64(b[28:], r.MaximumWorkingSet)
	o.PutUint64(b[36:], r.CurrentSizeIncludingTransitionInPages)
	o.PutUint64(b[44:], r.PeakSizeIncludingTransitionInPages)
	o.PutUint32(b[52:], r.TransitionRePurposeCount)
	o.PutUint32(b[56:], r.Flags)
}

// Get reads r from the first SystemFileCacheInformationSize bytes of b.
func (r *SystemFileCacheInformation) Get(b []byte, o binary.ByteOrder) {
	_ = b[SystemFileCacheInformationSize-1]
	r.CurrentSize = o.Uint64(b[0:])
	r.PeakSize = o.Uint64(b[8:])
	r.PageFaultCount = o.Uint32(b[16:])
	r.MinimumWorkingSet = o.Uint64(b[20:])
	r.MaximumWorkingSet = o.Uint64(b[28:])
	r.CurrentSizeIncludingTransitionInPages = o.Uint64(b[36:])
	r.PeakSizeIncludingTransitionInPages = o.Uint64(b[44:])
	r.TransitionRePurposeCount = o.Uint32(b[52:])
	r.Flags = o.Uint32(b[56:])
}

// SystemBasicPerformanceInformationSize is the size of a SystemBasicPerformanceInformation in bytes.
const SystemBasicPerformanceInformationSize = 32

// SystemBasicPerformanceInformation is MINIDUMP_SYSTEM_BASIC_PERFORMANCE_INFORMATION, filled in if Flags has
// MINIDUMP_SYSMEMINFO1_BASICPERF.
//
//	 0 uint64 AvailablePages
//	 8 uint64 CommittedPages
//	16 uint64 CommitLimit
//	24 uint64 PeakCommitment
type SystemBasicPerformanceInformation struct {
	AvailablePages uint64
	CommittedPages uint64
	CommitLimit    uint64 // pages
	PeakCommitment uint64 // pages
}

// Put writes the SystemBasicPerformanceInformationSize bytes of r to b.
func (r *SystemBasicPerformanceInformation) Put(b []byte, o binary.ByteOrder) {
	_ = b[SystemBasicPerformanceInformationSize-1]
	o.PutUint64(b[0:], r.AvailablePages)
	o.PutUint64(b[8:], r.CommittedPages)
	o.PutUint64(b[16:], r.CommitLimit)
	o.PutUint64(b[24:], r.PeakCommitment)
}

// Get reads r from the first SystemBasicPerformanceInformationSize bytes of b.
func (r *SystemBasicPerformanceInformation) Get(b []byte, o binary.ByteOrder) {
	_ = b[SystemBasicPerformanceInformationSize-1]
	r.AvailablePages = o.Uint64(b[0:])
	r.CommittedPages = o.Uint64(b[8:])
	r.CommitLimit = o.Uint64(b[16:])
	r.PeakCommitment = o.Uint64(b[24:])
}

// SystemPerformanceInformationSize is the size of a SystemPerformanceInformation in bytes.
const SystemPerformanceInformationSize = 344

// SystemPerformanceInformation is MINIDUMP_SYSTEM_PERFORMANCE_INFORMATION: counters since the machine started. The 32-bit fields,
// ULONG in the header, have the order of its struct.
//
//	  0 uint64     IdleProcessTime
//	  8 uint64     IoReadTransferCount
//	 16 uint64     IoWriteTransferCount
//	 24 uint64     IoOtherTransferCount
//	 32 uint32[70] IoReadOperationCount … SystemCalls
//	312 uint64     CcTotalDirtyPages
//	320 uint64     CcDirtyPageThreshold
//	328 int64      ResidentAvailablePages
//	336 uint64     SharedCommittedPages
type SystemPerformanceInformation struct {
	IdleProcessTime      uint64 // units of 100 ns
	IoReadTransferCount  uint64 // bytes
	IoWriteTransferCount uint64 // bytes
	IoOtherTransferCount uint64 // bytes

	IoReadOperationCount, IoWriteOperationCount, IoOtherOperationCount, AvailablePages, CommittedPages,
	CommitLimit, PeakCommitment, PageFaultCount, CopyOnWriteCount, TransitionCount, CacheTransitionCount,
	DemandZeroCount, PageReadCount, PageReadIoCount, CacheReadCount, CacheIoCount, DirtyPagesWriteCount,
	DirtyWriteIoCount, MappedPagesWriteCount, MappedWriteIoCount, PagedPoolPages, NonPagedPoolPages,
	PagedPoolAllocs, PagedPoolFrees, NonPagedPoolAllocs, NonPagedPoolFrees, FreeSystemPtes, ResidentSystemCodePage,
	TotalSystemDriverPages, TotalSystemCodePages, NonPagedPoolLookasideHits, PagedPoolLookasideHits,
	AvailablePagedPoolPages, ResidentSystemCachePage, ResidentPagedPoolPage, ResidentSystemDriverPage,
	CcFastReadNoWait, CcFastReadWait, CcFastReadResourceMiss, CcFastReadNotPossible, CcFastMdlReadNoWait,
	CcFastMdlReadWait, CcFastMdlReadResourceMiss, CcFastMdlReadNotPossible, CcMapDataNoWait, CcMapDataWait,
	CcMapDataNoWaitMiss, CcMapDataWaitMiss, CcPinMappedDataCount, CcPinReadNoWait, CcPinReadWait,
	CcPinReadNoWaitMiss, CcPinReadWaitMiss, CcCopyReadNoWait, CcCopyReadWait, CcCopyReadNoWaitMiss,
	CcCopyReadWaitMiss, CcMdlReadNoWait, CcMdlReadWait, CcMdlReadNoWaitMiss, CcMdlReadWaitMiss, CcReadAheadIos,
	CcLazyWriteIos, CcLazyWritePages, CcDataFlushes, CcDataPages, ContextSwitches, FirstLevelTbFills,
	SecondLevelTbFills, SystemCalls uint32

	CcTotalDirtyPages      uint64
	CcDirtyPageThreshold   uint64
	ResidentAvailablePages int64
	SharedCommittedPages   uint64
}

// counters returns the 32-bit fields of r in the record's order.
func (r *SystemPerformanceInformation) counters() [70]*uint32 {
	return [...]*uint32{
		&r.IoReadOperationCount, &r.IoWriteOperationCount, &r.IoOtherOperationCount, &r.AvailablePages,
		&r.CommittedPages, &r.CommitLimit, &r.PeakCommitment, &r.PageFaultCount, &r.CopyOnWriteCount,
		&r.TransitionCount, &r.CacheTransitionCount, &r.DemandZeroCount, &r.PageReadCount, &r.PageReadIoCount,
		&r.CacheReadCount, &r.CacheIoCount, &r.DirtyPagesWriteCount, &r.DirtyWriteIoCount,
		&r.MappedPagesWriteCount, &r.MappedWriteIoCount, &r.PagedPoolPages, &r.NonPagedPoolPages,
		&r.PagedPoolAllocs, &r.PagedPoolFrees, &r.NonPagedPoolAllocs, &r.NonPagedPoolFrees, &r.FreeSystemPtes,
		&r.ResidentSystemCodePage, &r.TotalSystemDriverPages, &r.TotalSystemCodePages,
		&r.NonPagedPoolLookasideHits, &r.PagedPoolLookasideHits, &r.AvailablePagedPoolPages,
		&r.ResidentSystemCachePage, &r.ResidentPagedPoolPage, &r.ResidentSystemDriverPage, &r.CcFastReadNoWait,
		&r.CcFastReadWait, &r.CcFastReadResourceMiss, &r.CcFastReadNotPossible, &r.CcFastMdlReadNoWait,
		&r.CcFastMdlReadWait, &r.CcFastMdlReadResourceMiss, &r.CcFastMdlReadNotPossible, &r.CcMapDataNoWait,
		&r.CcMapDataWait, &r.CcMapDataNoWaitMiss, &r.CcMapDataWaitMiss, &r.CcPinMappedDataCount,
		&r.CcPinReadNoWait, &r.CcPinReadWait, &r.CcPinReadNoWaitMiss, &r.CcPinReadWaitMiss, &r.CcCopyReadNoWait,
		&r.CcCopyReadWait, &r.CcCopyReadNoWaitMiss, &r.CcCopyReadWaitMiss, &r.CcMdlReadNoWait, &r.CcMdlReadWait,
		&r.CcMdlReadNoWaitMiss, &r.CcMdlReadWaitMiss, &r.CcReadAheadIos, &r.CcLazyWriteIos, &r.CcLazyWritePages,
		&r.CcDataFlushes, &r.CcDataPages, &r.ContextSwitches, &r.FirstLevelTbFills, &r.SecondLevelTbFills,
		&r.SystemCalls,
	}
}

// Put writes the SystemPerformanceInformationSize bytes of r to b.
func (r *SystemPerformanceInformation) Put(b []byte, o binary.ByteOrder) {
	_ = b[SystemPerformanceInformationSize-1]
	o.PutUint64(b[0:], r.IdleProcessTime)
	o.PutUint64(b[8:], r.IoReadTransferCount)
	o.PutUint64(b[16:], r.IoWriteTransferCount)
	o.PutUint64(b[24:], r.IoOtherTransferCount)
	for i, counter := range r.counters() {
		o.PutUint32(b[32+4*i:], *counter)
	}
	o.PutUint64(b[312:], r.CcTotalDirtyPages)
	o.PutUint64(b[320:], r.CcDirtyPageThreshold)
	o.PutUint64(b[328:], uint64(r.ResidentAvailablePages))
	o.PutUint64(b[336:], r.SharedCommittedPages)
}

// Get reads r from the first SystemPerformanceInformationSize bytes of b.
func (r *SystemPerformanceInformation) Get(b []byte, o binary.ByteOrder) {
	_ = b[SystemPerformanceInformationSize-1]
	r.IdleProcessTime = o.Uint64(b[0:])
	r.IoReadTransferCount = o.Uint64(b[8:])
	r.IoWriteTransferCount = o.Uint64(b[16:])
	r.IoOtherTransferCount = o.Uint64(b[24:])
	for i, counter := range r.counters() {
		*counter = o.Uint32(b[32+4*i:])
	}
	r.CcTotalDirtyPages = o.Uint64(b[312:])
	r.CcDirtyPageThreshold = o.Uint64(b[320:])
	r.ResidentAvailablePages = int64(o.Uint64(b[328:]))
	r.SharedCommittedPages = o.Uint64(b[336:])
}

// SystemMemoryInfo returns the SystemMemoryInfoStream.
func (f *File) SystemMemoryInfo() (SystemMemoryInfo, error) {
	var r SystemMemoryInfo
	b, err := f.fixed(SystemMemoryInfoStream, SystemMemoryInfoSize)
	if err == nil {
		r.Get(b, f.Order)
	}
	return r, err
}
