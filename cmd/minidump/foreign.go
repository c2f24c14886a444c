package main

import (
	"fmt"
	"strconv"

	"minidump/stream"
)

// Offset of LastErrorValue in the TEB of a 64-bit and of a 32-bit process, from the public symbols of ntdll (in
// winternl.h the field is reserved).
const (
	tebLastError64 = 0x68
	tebLastError32 = 0x34
)

// lastError returns what GetLastError would have returned in the thread, or nil if the dump does not have that memory.
func (d *dumpInfo) lastError(f *stream.File, teb uint64) *uint32 {
	if teb == 0 || d.System == nil || uint32(d.System.PlatformID) != stream.MD_OS_WIN32_NT {
		return nil
	}
	at := uint64(tebLastError64)
	if d.narrow {
		at = tebLastError32
	}
	var b [4]byte
	if d.memory(f, teb+at, b[:]) < len(b) {
		return nil
	}
	v := f.Order.Uint32(b[:])
	return &v
}

// lastErrors are the names of the commonest errors of winerror.h.
var lastErrors = map[uint32]string{
	0: "ERROR_SUCCESS", 1: "ERROR_INVALID_FUNCTION", 2: "ERROR_FILE_NOT_FOUND", 3: "ERROR_PATH_NOT_FOUND",
	5: "ERROR_ACCESS_DENIED", 6: "ERROR_INVALID_HANDLE", 8: "ERROR_NOT_ENOUGH_MEMORY", 18: "ERROR_NO_MORE_FILES",
	32: "ERROR_SHARING_VIOLATION", 87: "ERROR_INVALID_PARAMETER", 109: "ERROR_BROKEN_PIPE",
	122: "ERROR_INSUFFICIENT_BUFFER", 126: "ERROR_MOD_NOT_FOUND", 127: "ERROR_PROC_NOT_FOUND",
	183: "ERROR_ALREADY_EXISTS", 203: "ERROR_ENVVAR_NOT_FOUND", 234: "ERROR_MORE_DATA", 258: "WAIT_TIMEOUT",
	487: "ERROR_INVALID_ADDRESS", 997: "ERROR_IO_PENDING", 998: "ERROR_NOACCESS", 1400: "ERROR_INVALID_WINDOW_HANDLE",
	1455: "ERROR_COMMITMENT_LIMIT", 1812: "ERROR_RESOURCE_DATA_NOT_FOUND", 14007: "ERROR_SXS_KEY_NOT_FOUND",
}

// lastErrorText returns "5 (ERROR_ACCESS_DENIED)" for 5.
func lastErrorText(v uint32) string {
	if name := lastErrors[v]; name != "" {
		return fmt.Sprintf("%d (%s)", v, name)
	}
	return strconv.FormatUint(uint64(v), 10)
}

// readMemoryCounters reads Windows' counters for the memory of the process and of the machine.
func (d *dumpInfo) readMemoryCounters(f *stream.File) {
	if r, err := f.ProcessVMCounters(); err == nil {
		v := &vmCounters{PageFaults: r.PageFaultCount, WorkingSet: r.WorkingSetSize, PeakWorkingSet: r.PeakWorkingSetSize,
			PagedPool: r.QuotaPagedPoolUsage, PeakPagedPool: r.QuotaPeakPagedPoolUsage,
			NonPagedPool: r.QuotaNonPagedPoolUsage, PeakNonPagedPool: r.QuotaPeakNonPagedPoolUsage,
			Pagefile: r.PagefileUsage, PeakPagefile: r.PeakPagefileUsage}
		flag := func(bit uint16, to **uint64, from *uint64) {
			if r.Flags&bit != 0 {
				*to = from
			}
		}
		flag(stream.MINIDUMP_PROCESS_VM_COUNTERS_VIRTUALSIZE, &v.VirtualSize, &r.VirtualSize)
		flag(stream.MINIDUMP_PROCESS_VM_COUNTERS_VIRTUALSIZE, &v.PeakVirtualSize, &r.PeakVirtualSize)
		flag(stream.MINIDUMP_PROCESS_VM_COUNTERS_EX, &v.Private, &r.PrivateUsage)
		flag(stream.MINIDUMP_PROCESS_VM_COUNTERS_EX2, &v.PrivateWorkingSet, &r.PrivateWorkingSetSize)
		flag(stream.MINIDUMP_PROCESS_VM_COUNTERS_EX2, &v.SharedCommit, &r.SharedCommitUsage)
		flag(stream.MINIDUMP_PROCESS_VM_COUNTERS_JOB, &v.JobSharedCommit, &r.JobSharedCommitUsage)
		flag(stream.MINIDUMP_PROCESS_VM_COUNTERS_JOB, &v.JobPrivateCommit, &r.JobPrivateCommitUsage)
		flag(stream.MINIDUMP_PROCESS_VM_COUNTERS_JOB, &v.JobPeakPrivateCommit, &r.JobPeakPrivateCommitUsage)
		flag(stream.MINIDUMP_PROCESS_VM_COUNTERS_JOB, &v.JobPrivateCommitLimit, &r.JobPrivateCommitLimit)
		flag(stream.MINIDUMP_PROCESS_VM_COUNTERS_JOB, &v.JobTotalCommitLimit, &r.JobTotalCommitLimit)
		if r.Revision < 2 {
			v.Private = &r.PrivateUsage
		}
		d.VM = v
	}
	if r, err := f.SystemMemoryInfo(); err == nil {
		b, p := &r.BasicInfo, &r.PerfInfo
		d.SystemMemory = &systemMemory{PageSize: b.PageSize, Granularity: b.AllocationGranularity,
			Physical: b.NumberOfPhysicalPages, Available: uint64(p.AvailablePages), Committed: uint64(p.CommittedPages),
			CommitLimit: uint64(p.CommitLimit), PeakCommitted: uint64(p.PeakCommitment), PagedPool: p.PagedPoolPages,
			NonPagedPool: p.NonPagedPoolPages, PageFaults: p.PageFaultCount, ContextSwitches: p.ContextSwitches,
			SystemCalls: p.SystemCalls, FileCache: r.FileCacheInfo.CurrentSize, PeakFileCache: r.FileCacheInfo.PeakSize,
			MinAddress: hex(b.MinimumUserModeAddress), MaxAddress: hex(b.MaximumUserModeAddress),
			Processors: b.NumberOfProcessors, Affinity: hex(b.ActiveProcessorsAffinityMask)}
		if r.Flags&stream.MINIDUMP_SYSMEMINFO1_BASICPERF != 0 { // the same numbers in 64 bits
			m := &r.BasicPerfInfo
			d.SystemMemory.Available, d.SystemMemory.Committed = m.AvailablePages, m.CommittedPages
			d.SystemMemory.CommitLimit, d.SystemMemory.PeakCommitted = m.CommitLimit, m.PeakCommitment
		}
	}
}

// numbered returns the name of v in names, or v itself if it has none.
func numbered(v uint32, names ...string) string {
	if uint64(v) < uint64(len(names)) {
		return names[v]
	}
	return strconv.FormatUint(uint64(v), 10)
}

// readWindows reads the other streams that only Windows writers write.
func (d *dumpInfo) readWindows(f *stream.File) {
	if a, err := f.Assertion(); err == nil {
		d.Assertion = &assertion{a.Expression, a.Function, a.File, a.Line,
			numbered(a.Type, "", "invalid parameter", "pure virtual call")}
	}
	comment, _ := f.Comment()
	d.Comment = d.text(comment)
	tokens, _ := f.Tokens()
	for i := range tokens {
		d.Tokens = append(d.Tokens, newToken(&tokens[i]))
	}
	tables, _ := f.FunctionTables()
	for i := range tables {
		t := &tables[i]
		d.Functions = append(d.Functions, functions{d.hex(t.MinimumAddress), d.hex(t.MaximumAddress), d.hex(t.BaseAddress),
			t.EntryCount})
	}
	operations, _ := f.HandleOperations()
	for i := range operations {
		o := &operations[i]
		op := handleOp{Handle: hex(o.Handle), Process: o.ProcessID, Thread: o.ThreadID,
			Op: numbered(o.OperationType, "unused", "open", "close", "bad reference"), Stack: []*place{}}
		for _, address := range o.ReturnAddresses[:min(o.Depth, stream.AVRF_MAX_TRACES)] {
			op.Stack = append(op.Stack, d.at(address))
		}
		d.HandleOps = append(d.HandleOps, op)
	}
}

// readMacos reads the streams that only macOS writers write.
func (d *dumpInfo) readMacos(f *stream.File) {
	list, _ := f.MacosCrashInfo()
	for i := range list {
		r := &list[i]
		d.CrashInfo = append(d.CrashInfo, macCrashInfo{r.Version, d.text(r.ModulePath), d.text(r.Message),
			d.text(r.SignatureString), d.text(r.Backtrace), d.text(r.Message2), r.Thread, r.DialogMode, r.AbortCause})
	}
	args, _ := f.MacosBootargs()
	d.BootArgs = d.text(args)
}
