package minidump

import "syscall"

// errnoText gives the system's words for an error number; it does not allocate for the known ones.
func errnoText(e int32) string { return syscall.Errno(e).Error() }
