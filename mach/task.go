package mach

// Flavors of task_info: osfmk/mach/task_info.h.
const (
	TASK_THREAD_TIMES_INFO = 3
	TASK_AUDIT_TOKEN       = 15
	TASK_DYLD_INFO         = 17
	MACH_TASK_BASIC_INFO   = 20
)

// Formats of dyld's list of images: osfmk/mach/task_info.h.
const (
	TASK_DYLD_ALL_IMAGE_INFO_32 = 0
	TASK_DYLD_ALL_IMAGE_INFO_64 = 1
)

// A TimeValue is time_value_t of osfmk/mach/time_value.h.
type TimeValue struct {
	Seconds      int32
	Microseconds int32
}

// Micros returns t in microseconds.
func (t TimeValue) Micros() int64 { return int64(t.Seconds)*1e6 + int64(t.Microseconds) }

// pair is a 64-bit integer that its header aligns to 4 bytes.
type pair [2]uint32

func (p pair) value() uint64 { return uint64(p[0]) | uint64(p[1])<<32 }

// TaskDyldInfo states where dyld keeps the list of a task's images: task_dyld_info, 20 bytes, packed.
type TaskDyldInfo struct {
	addr, size pair
	Format     int32 // TASK_DYLD_ALL_IMAGE_INFO_64
}

// AllImageInfoAddr returns the address of dyld_all_image_infos in the task, 0 before dyld has run.
func (i *TaskDyldInfo) AllImageInfoAddr() uint64 { return i.addr.value() }

// AllImageInfoSize returns the number of bytes at AllImageInfoAddr.
func (i *TaskDyldInfo) AllImageInfoSize() uint64 { return i.size.value() }

// MachTaskBasicInfo is mach_task_basic_info, 48 bytes. The times are those of threads that have ended.
type MachTaskBasicInfo struct {
	VirtualSize     uint64 // bytes
	ResidentSize    uint64
	ResidentSizeMax uint64
	UserTime        TimeValue
	SystemTime      TimeValue
	Policy          int32
	SuspendCount    int32
}

// TaskThreadTimesInfo is task_thread_times_info, 16 bytes: the times of the live threads.
type TaskThreadTimesInfo struct {
	UserTime   TimeValue
	SystemTime TimeValue
}

// An AuditToken identifies a process to other processes: audit_token_t of bsd/bsm/audit.h, 32 bytes.
type AuditToken [8]uint32

// PID returns the process of the token: its sixth number, as in audit_token_to_pid of libbsm.
func (t *AuditToken) PID() int { return int(int32(t[5])) }
