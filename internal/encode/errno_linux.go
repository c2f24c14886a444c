package encode

import "syscall"

// errnoText returns the system's text for an error number. It does not allocate for known numbers.
func errnoText(e int32) string { return syscall.Errno(e).Error() }
