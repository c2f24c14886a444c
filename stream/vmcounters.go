package stream

import "encoding/binary"

// Bits of ProcessVMCounters.Flags: which fields are filled in.
const (
	MINIDUMP_PROCESS_VM_COUNTERS             = 0x01
	MINIDUMP_PROCESS_VM_COUNTERS_VIRTUALSIZE = 0x02
	MINIDUMP_PROCESS_VM_COUNTERS_EX          = 0x04
	MINIDUMP_PROCESS_VM_COUNTERS_EX2         = 0x08
	MINIDUMP_PROCESS_VM_COUNTERS_JOB         = 0x10
)

// Sizes of the two forms of a ProcessVMCounters in bytes. Revision states which form a stream has.
const (
	ProcessVMCounters1Size = 80
	ProcessVMCountersSize  = 152
)

// ProcessVMCounters is MINIDUMP_PROCESS_VM_COUNTERS_2: how Windows accounted for the memory of the process, in bytes. The form of
// Revision 1 has no Flags, and has PrivateUsage directly after PeakPagefileUsage; its other fields are 0.
//
//	  0 uint16 Revision
//	  2 uint16 Flags
//	  4 uint32 PageFaultCount
//	  8 uint64 PeakWorkingSetSize
//	 16 uint64 WorkingSetSize
//	 24 uint64 QuotaPeakPagedPoolUsage
//	 32 uint64 QuotaPagedPoolUsage
//	 40 uint64 QuotaPeakNonPagedPoolUsage
//	 48 uint64 QuotaNonPagedPoolUsage
//	 56 uint64 PagefileUsage
//	 64 uint64 PeakPagefileUsage
//	 72 uint64 PeakVirtualSize
//	 80 uint64 VirtualSize
//	 88 uint64 PrivateUsage
//	 96 uint64 PrivateWorkingSetSize
//	104 uint64 SharedCommitUsage
//	112 uint64 JobSharedCommitUsage
//	120 uint64 JobPrivateCommitUsage
//	128 uint64 JobPeakPrivateCommitUsage
//	136 uint64 JobPrivateCommitLimit
//	144 uint64 JobTotalCommitLimit
type ProcessVMCounters struct {
	Revision       uint16 // 2; 1 is only read
	Flags          uint16 // MINIDUMP_PROCESS_VM_COUNTERS…
	PageFaultCount uint32

	PeakWorkingSetSize         uint64
	WorkingSetSize             uint64
	QuotaPeakPagedPoolUsage    uint64
	QuotaPagedPoolUsage        uint64
	QuotaPeakNonPagedPoolUsage uint64
	QuotaNonPagedPoolUsage     uint64
	PagefileUsage              uint64
	PeakPagefileUsage          uint64

	PeakVirtualSize           uint64 // MINIDUMP_PROCESS_VM_COUNTERS_VIRTUALSIZE
	VirtualSize               uint64 // MINIDUMP_PROCESS_VM_COUNTERS_VIRTUALSIZE
	PrivateUsage              uint64 // MINIDUMP_PROCESS_VM_COUNTERS_EX
	PrivateWorkingSetSize     uint64 // MINIDUMP_PROCESS_VM_COUNTERS_EX2
	SharedCommitUsage         uint64 // MINIDUMP_PROCESS_VM_COUNTERS_EX2
	JobSharedCommitUsage      uint64 // MINIDUMP_PROCESS_VM_COUNTERS_JOB
	JobPrivateCommitUsage     uint64 // MINIDUMP_PROCESS_VM_COUNTERS_JOB
	JobPeakPrivateCommitUsage uint64 // MINIDUMP_PROCESS_VM_COUNTERS_JOB
	JobPrivateCommitLimit     uint64 // MINIDUMP_PROCESS_VM_COUNTERS_JOB
	JobTotalCommitLimit       uint64 // MINIDUMP_PROCESS_VM_COUNTERS_JOB
}

// Put writes the ProcessVMCountersSize bytes of r, in the form of Revision 2, to b.
func (r *ProcessVMCounters) Put(b []byte, o binary.ByteOrder) {
	_ = b[ProcessVMCountersSize-1]
	o.PutUint16(b[0:], r.Revision)
	o.PutUint16(b[2:], r.Flags)
	o.PutUint32(b[4:], r.PageFaultCount)
	for i, counter := range r.counters() {
		o.PutUint64(b[8+8*i:], *counter)
	}
}

// Get reads r from b, which has at least ProcessVMCounters1Size bytes. It reads the form of Revision 1, unless b has a later
// Revision and at least ProcessVMCountersSize bytes.
func (r *ProcessVMCounters) Get(b []byte, o binary.ByteOrder) {
	_ = b[ProcessVMCounters1Size-1]
	*r = ProcessVMCounters{Revision: o.Uint16(b[0:]), PageFaultCount: o.Uint32(b[4:])}
	counters := r.counters()
	if r.Revision < 2 || len(b) < ProcessVMCountersSize {
		for i, counter := range counters[:8] {
			*counter = o.Uint64(b[8+8*i:])
		}
		r.PrivateUsage = o.Uint64(b[72:])
		return
	}
	r.Flags = o.Uint16(b[2:])
	for i, counter := range counters {
		*counter = o.Uint64(b[8+8*i:])
	}
}

// counters returns the 64-bit fields of r in the order of the form of Revision 2.
func (r *ProcessVMCounters) counters() [18]*uint64 {
	return [...]*uint64{
		&r.PeakWorkingSetSize, &r.WorkingSetSize, &r.QuotaPeakPagedPoolUsage, &r.QuotaPagedPoolUsage,
		&r.QuotaPeakNonPagedPoolUsage, &r.QuotaNonPagedPoolUsage, &r.PagefileUsage, &r.PeakPagefileUsage,
		&r.PeakVirtualSize, &r.VirtualSize, &r.PrivateUsage, &r.PrivateWorkingSetSize, &r.SharedCommitUsage,
		&r.JobSharedCommitUsage, &r.JobPrivateCommitUsage, &r.JobPeakPrivateCommitUsage, &r.JobPrivateCommitLimit,
		&r.JobTotalCommitLimit,
	}
}

// ProcessVMCounters returns the ProcessVMCountersStream.
func (f *File) ProcessVMCounters() (ProcessVMCounters, error) {
	var r ProcessVMCounters
	b, err := f.fixed(ProcessVMCountersStream, ProcessVMCounters1Size)
	if err == nil {
		r.Get(b, f.Order)
	}
	return r, err
}
