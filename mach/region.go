package mach

// Protection of memory: osfmk/mach/vm_prot.h.
const (
	VM_PROT_READ    = 1
	VM_PROT_WRITE   = 2
	VM_PROT_EXECUTE = 4
)

// How a region is shared: osfmk/mach/vm_region.h.
const (
	SM_COW             = 1
	SM_PRIVATE         = 2
	SM_EMPTY           = 3
	SM_SHARED          = 4
	SM_TRUESHARED      = 5
	SM_PRIVATE_ALIASED = 6
	SM_SHARED_ALIASED  = 7
	SM_LARGE_PAGE      = 8
)

// What a region is used for, as stated by its owner: osfmk/mach/vm_statistics.h.
const (
	VM_MEMORY_STACK = 30
	VM_MEMORY_GUARD = 31
	VM_MEMORY_DYLIB = 33
	VM_MEMORY_DYLD  = 60
)

// VMRegionSubmapInfo64 is vm_region_submap_info_64 of osfmk/mach/vm_region.h, 76 bytes, packed.
type VMRegionSubmapInfo64 struct {
	Protection            int32 // VM_PROT_*
	MaxProtection         int32
	Inheritance           uint32
	offset                pair
	UserTag               uint32 // VM_MEMORY_*
	PagesResident         uint32
	PagesSharedNowPrivate uint32
	PagesSwappedOut       uint32
	PagesDirtied          uint32
	RefCount              uint32
	ShadowDepth           uint16
	ExternalPager         uint8 // 1: a file or another pager provides its pages
	ShareMode             uint8 // SM_*
	IsSubmap              int32 // 1: the region is a map of its own, one level deeper
	Behavior              int32
	ObjectID              uint32
	UserWiredCount        uint16
	_                     uint16
	PagesReusable         uint32
	objectIDFull          pair
}

// Offset returns the offset in its object at which the region starts, in bytes.
func (i *VMRegionSubmapInfo64) Offset() uint64 { return i.offset.value() }
