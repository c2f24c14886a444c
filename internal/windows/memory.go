package windows

// Values of Region.State (winnt.h).
const (
	MEM_COMMIT  = 0x1000
	MEM_RESERVE = 0x2000
	MEM_FREE    = 0x10000
)

// Values of Region.Type (winnt.h).
const (
	MEM_PRIVATE = 0x20000
	MEM_MAPPED  = 0x40000
	MEM_IMAGE   = 0x1000000
)

// Values of Region.Protect (winnt.h): one of the first eight, optionally combined with the others.
const (
	PAGE_NOACCESS          = 0x01
	PAGE_READONLY          = 0x02
	PAGE_READWRITE         = 0x04
	PAGE_WRITECOPY         = 0x08
	PAGE_EXECUTE           = 0x10
	PAGE_EXECUTE_READ      = 0x20
	PAGE_EXECUTE_READWRITE = 0x40
	PAGE_EXECUTE_WRITECOPY = 0x80
	PAGE_GUARD             = 0x100
	PAGE_NOCACHE           = 0x200
	PAGE_WRITECOMBINE      = 0x400
)

// Region is MEMORY_BASIC_INFORMATION: a range of pages with the same attributes.
type Region struct {
	Base              uint64
	AllocationBase    uint64 // start of the allocation that contains the region; 0 if free
	Size              uint64 // bytes
	AllocationProtect uint32 // the protection with which the allocation was made
	State             uint32 // MEM_COMMIT, MEM_RESERVE or MEM_FREE
	Protect           uint32 // 0 unless committed
	Type              uint32 // MEM_PRIVATE, MEM_MAPPED or MEM_IMAGE; 0 if free
}

// End returns the address after the region.
func (r *Region) End() uint64 { return r.Base + r.Size }

// Readable reports whether the region can be read without a fault and without a side effect. Reading a guard page removes
// its guard, and the stack that it guards could no longer grow. Device memory is mapped uncached or write-combined, and
// reading it can have any side effect.
func (r *Region) Readable() bool {
	const readable = PAGE_READONLY | PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY
	return r.State == MEM_COMMIT && r.Protect&readable != 0 && r.Protect&PAGE_GUARD == 0 &&
		(r.Protect&(PAGE_NOCACHE|PAGE_WRITECOMBINE) == 0 || r.Type == MEM_IMAGE)
}

// Writable reports whether the process can write to the region.
func (r *Region) Writable() bool {
	return r.State == MEM_COMMIT && r.Protect&(PAGE_READWRITE|PAGE_WRITECOPY|PAGE_EXECUTE_READWRITE|PAGE_EXECUTE_WRITECOPY) != 0
}

// Executable reports whether the process can execute code in the region.
func (r *Region) Executable() bool {
	return r.State == MEM_COMMIT && r.Protect&(PAGE_EXECUTE|PAGE_EXECUTE_READ|PAGE_EXECUTE_READWRITE|PAGE_EXECUTE_WRITECOPY) != 0
}
