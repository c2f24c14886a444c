package mach

// Flavors of thread_info: osfmk/mach/thread_info.h.
const (
	THREAD_BASIC_INFO      = 3
	THREAD_IDENTIFIER_INFO = 4
	THREAD_EXTENDED_INFO   = 5
)

// States of a thread: osfmk/mach/thread_info.h.
const (
	TH_STATE_RUNNING         = 1
	TH_STATE_STOPPED         = 2
	TH_STATE_WAITING         = 3
	TH_STATE_UNINTERRUPTIBLE = 4
	TH_STATE_HALTED          = 5
)

// ThreadBasicInfo is thread_basic_info, 40 bytes.
type ThreadBasicInfo struct {
	UserTime     TimeValue
	SystemTime   TimeValue
	CPUUsage     int32
	Policy       int32
	RunState     int32 // TH_STATE_*
	Flags        int32
	SuspendCount int32
	SleepTime    int32 // seconds
}

// ThreadIdentifierInfo is thread_identifier_info, 24 bytes.
type ThreadIdentifierInfo struct {
	ThreadID      uint64 // unique since the system started
	ThreadHandle  uint64 // the address of the thread's own area, as in the thread pointer; 0 before it is set
	DispatchQAddr uint64
}

// ThreadExtendedInfo is thread_extended_info, 112 bytes.
type ThreadExtendedInfo struct {
	UserTime    uint64 // nanoseconds
	SystemTime  uint64
	CPUUsage    int32
	Policy      int32
	RunState    int32 // TH_STATE_*
	Flags       int32
	SleepTime   int32
	CurPri      int32
	Priority    int32
	MaxPriority int32
	name        [64]byte
}

// Name returns the name of the thread set by pthread_setname_np, which may be empty. The result is a slice of i.
func (i *ThreadExtendedInfo) Name() []byte { return untilNUL(i.name[:]) }

// untilNUL returns the part of b before its first NUL, or all of it.
func untilNUL(b []byte) []byte {
	for n, c := range b {
		if c == 0 {
			return b[:n]
		}
	}
	return b
}
