package mach

// Flavors of proc_pidinfo and proc_pidfdinfo: bsd/sys/proc_info.h.
const (
	PROC_PIDLISTFDS         = 1
	PROC_PIDTBSDINFO        = 3
	PROC_PIDTASKINFO        = 4
	PROC_PIDFDVNODEPATHINFO = 2
	PROC_PIDFDSOCKETINFO    = 3
	PROC_PIDFDPSEMINFO      = 4
	PROC_PIDFDPSHMINFO      = 5
)

// Kinds of descriptors: bsd/sys/proc_info.h.
const (
	PROX_FDTYPE_ATALK     = 0
	PROX_FDTYPE_VNODE     = 1
	PROX_FDTYPE_SOCKET    = 2
	PROX_FDTYPE_PSHM      = 3
	PROX_FDTYPE_PSEM      = 4
	PROX_FDTYPE_KQUEUE    = 5
	PROX_FDTYPE_PIPE      = 6
	PROX_FDTYPE_FSEVENTS  = 7
	PROX_FDTYPE_NETPOLICY = 9
	PROX_FDTYPE_CHANNEL   = 10
	PROX_FDTYPE_NEXUS     = 11
)

// MAXPATHLEN is the size of a path in structures of XNU, its NUL included: bsd/sys/param.h.
const MAXPATHLEN = 1024

// ProcBSDInfo is proc_bsdinfo of bsd/sys/proc_info.h, 136 bytes.
type ProcBSDInfo struct {
	Flags     uint32
	Status    uint32
	XStatus   uint32
	PID       uint32
	PPID      uint32
	UID       uint32
	GID       uint32
	RUID      uint32
	RGID      uint32
	SVUID     uint32
	SVGID     uint32
	_         uint32
	comm      [16]byte
	name      [32]byte
	NFiles    uint32
	PGID      uint32
	PJobC     uint32
	TDev      uint32
	TPGID     uint32
	Nice      int32
	StartSec  uint64 // since 1970
	StartUSec uint64
}

// SZOMB in Status means that the process has ended: bsd/sys/proc.h. XStatus is then the status that wait would return.
const SZOMB = 5

// Comm returns the first 16 bytes of the file name of the program. The result is a slice of i.
func (i *ProcBSDInfo) Comm() []byte { return untilNUL(i.comm[:]) }

// Name returns the name that the process has registered, up to 32 bytes, which may be empty. The result is a slice of i.
func (i *ProcBSDInfo) Name() []byte { return untilNUL(i.name[:]) }

// ProcTaskInfo is proc_taskinfo of bsd/sys/proc_info.h, 96 bytes.
type ProcTaskInfo struct {
	VirtualSize      uint64 // bytes
	ResidentSize     uint64
	TotalUser        uint64 // nanoseconds
	TotalSystem      uint64
	ThreadsUser      uint64
	ThreadsSystem    uint64
	Policy           int32
	Faults           int32
	Pageins          int32
	CowFaults        int32
	MessagesSent     int32
	MessagesReceived int32
	SyscallsMach     int32
	SyscallsUnix     int32
	CSw              int32
	ThreadNum        int32
	NumRunning       int32
	Priority         int32
}

// ProcFDInfo is proc_fdinfo of bsd/sys/proc_info.h, 8 bytes.
type ProcFDInfo struct {
	FD   int32
	Type uint32 // PROX_FDTYPE_*
}

// VnodeFDInfoWithPath is vnode_fdinfowithpath of bsd/sys/proc_info.h, 1200 bytes.
type VnodeFDInfoWithPath struct {
	OpenFlags  uint32
	Status     uint32
	FileOffset int64
	FileType   int32
	GuardFlags uint32
	Dev        uint32
	Mode       uint16 // the type and permission bits of st_mode
	NLink      uint16
	Ino        uint64
	UID        uint32
	GID        uint32
	_          [8]int64 // times
	Size       int64    // bytes
	_          [10]uint32
	VType      int32 // enum vtype of bsd/sys/vnode.h
	_          int32
	_          [2]int32 // fsid
	path       [MAXPATHLEN]byte
}

// Path returns the last MAXPATHLEN - 1 bytes, at most, of the path of the file. The result is a slice of i.
func (i *VnodeFDInfoWithPath) Path() []byte { return untilNUL(i.path[:]) }

// SocketFDInfo is socket_fdinfo of bsd/sys/proc_info.h, 792 bytes.
type SocketFDInfo struct {
	_           [176]byte
	SockType    int32 // SOCK_*
	Protocol    int32 // IPPROTO_*
	Family      int32 // AF_*
	_           [68]byte
	Kind        int32 // SOCKINFO_*
	_           uint32
	ForeignPort [4]byte // of SOCKINFO_IN and SOCKINFO_TCP: the first two bytes, in network order
	LocalPort   [4]byte
	_           [16]byte
	VFlag       uint8 // INI_IPV4, INI_IPV6
	_           [7]byte
	Foreign     [16]byte // an IPv6 address, or 12 zero bytes and an IPv4 address
	Local       [16]byte
	_           [464]byte
}

// Protocols in SocketFDInfo: bsd/sys/proc_info.h.
const (
	SOCKINFO_GENERIC = 0
	SOCKINFO_IN      = 1
	SOCKINFO_TCP     = 2
	SOCKINFO_UN      = 3
	INI_IPV4         = 1
	INI_IPV6         = 2
)

// HostBasicInfo is host_basic_info of osfmk/mach/host_info.h, 48 bytes, packed.
type HostBasicInfo struct {
	MaxCPUs        int32
	AvailCPUs      int32
	MemorySize     uint32
	CPUType        int32
	CPUSubtype     int32
	CPUThreadType  int32
	PhysicalCPU    int32
	PhysicalCPUMax int32
	LogicalCPU     int32
	LogicalCPUMax  int32
	maxMem         pair
}

// HOST_BASIC_INFO is the flavor of host_info for HostBasicInfo: osfmk/mach/host_info.h.
const HOST_BASIC_INFO = 1

// MaxMem returns the size of the machine's memory in bytes.
func (i *HostBasicInfo) MaxMem() uint64 { return i.maxMem.value() }
