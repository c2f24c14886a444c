package mach

// Numbers of Mach traps, which the kernel expects as negative numbers: osfmk/mach/syscall_sw.h.
const (
	trapVMAllocate      = 10
	trapVMDeallocate    = 12
	trapVMProtect       = 14
	trapPortAllocate    = 16
	trapPortDeallocate  = 18
	trapPortModRefs     = 19
	trapPortInsertRight = 21
	trapReplyPort       = 26
	trapThreadSelf      = 27
	trapTaskSelf        = 28
	trapHostSelf        = 29
	trapTaskForPID      = 45
	trapPIDForTask      = 46
)
