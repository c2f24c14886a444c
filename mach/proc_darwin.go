package mach

import (
	"errors"
	"syscall"
	"unsafe"
)

// ErrProc is the error of the functions of libproc: there is no such process or descriptor, or the caller lacks permission.
// libproc returns 0 on failure, and package syscall does not return errno for that.
var ErrProc = errors.New("no such process or descriptor, or no permission")

// pidinfo calls proc_pidinfo, which returns the number of bytes that it wrote; 0 is an error.
func pidinfo(pid, flavor int, p unsafe.Pointer, size uintptr) (int, error) {
	return pidinfoArg(pid, flavor, 0, p, size)
}

func pidinfoArg(pid, flavor int, arg uintptr, p unsafe.Pointer, size uintptr) (int, error) {
	r, _, _ := call6(libc_proc_pidinfo_addr, uintptr(pid), uintptr(flavor), arg, uintptr(p), size, 0)
	return written(r)
}

func pidfdinfo(pid, fd, flavor int, p unsafe.Pointer, size uintptr) (int, error) {
	r, _, _ := call6(libc_proc_pidfdinfo_addr, uintptr(pid), uintptr(fd), uintptr(flavor), uintptr(p), size, 0)
	return written(r)
}

func written(r uintptr) (int, error) {
	if n := int(int32(r)); n > 0 {
		return n, nil
	}
	return 0, ErrProc
}

// all returns an error unless n, the number of bytes filled, is size.
func all(n int, err error, size uintptr) error {
	if err == nil && uintptr(n) < size {
		return ErrProc
	}
	return err
}

// Read fills i for process pid.
func (i *ProcBSDInfo) Read(pid int) error {
	const size = unsafe.Sizeof(*i)
	n, err := pidinfo(pid, PROC_PIDTBSDINFO, unsafe.Pointer(i), size)
	return all(n, err, size)
}

// ReadEnded fills i for process pid, even if it has ended and its parent has not waited for it yet (argument 1 of proc_pidinfo in
// bsd/kern/proc_info.c).
func (i *ProcBSDInfo) ReadEnded(pid int) error {
	const size = unsafe.Sizeof(*i)
	n, err := pidinfoArg(pid, PROC_PIDTBSDINFO, 1, unsafe.Pointer(i), size)
	return all(n, err, size)
}

// Read fills i for process pid.
func (i *ProcTaskInfo) Read(pid int) error {
	const size = unsafe.Sizeof(*i)
	n, err := pidinfo(pid, PROC_PIDTASKINFO, unsafe.Pointer(i), size)
	return all(n, err, size)
}

// ProcListFDs fills list with the open descriptors of process pid and returns their number, which is at most len(list).
func ProcListFDs(pid int, list []ProcFDInfo) (int, error) {
	if len(list) == 0 {
		return 0, nil
	}
	n, err := pidinfo(pid, PROC_PIDLISTFDS, unsafe.Pointer(&list[0]), uintptr(len(list))*unsafe.Sizeof(list[0]))
	if err != nil {
		return 0, err
	}
	return min(n/int(unsafe.Sizeof(list[0])), len(list)), nil
}

// Read fills i for descriptor fd of process pid, which must be of type PROX_FDTYPE_VNODE.
func (i *VnodeFDInfoWithPath) Read(pid, fd int) error {
	const size = unsafe.Sizeof(*i)
	n, err := pidfdinfo(pid, fd, PROC_PIDFDVNODEPATHINFO, unsafe.Pointer(i), size)
	return all(n, err, size)
}

// Read fills i for descriptor fd of process pid, which must be of type PROX_FDTYPE_SOCKET.
func (i *SocketFDInfo) Read(pid, fd int) error {
	const size = unsafe.Sizeof(*i)
	n, err := pidfdinfo(pid, fd, PROC_PIDFDSOCKETINFO, unsafe.Pointer(i), size)
	return all(n, err, size)
}

// ProcPIDPath writes the path of the program of process pid into path and returns its length. path needs room for
// 4 * MAXPATHLEN bytes.
func ProcPIDPath(pid int, path []byte) (int, error) {
	if len(path) == 0 {
		return 0, syscall.EINVAL
	}
	r, _, _ := call6(libc_proc_pidpath_addr, uintptr(pid), uintptr(unsafe.Pointer(&path[0])), uintptr(len(path)), 0, 0, 0)
	n, err := written(r)
	return min(n, len(path)), err
}

// SysctlByName reads the value of name into value and returns its length.
func SysctlByName(name string, value []byte) (int, error) {
	var b [64]byte
	if len(name) >= len(b) || len(value) == 0 {
		return 0, syscall.EINVAL
	}
	copy(b[:], name)
	n := uintptr(len(value))
	r, _, err := call6(libc_sysctlbyname_addr, uintptr(unsafe.Pointer(&b)), uintptr(unsafe.Pointer(&value[0])),
		uintptr(unsafe.Pointer(&n)), 0, 0, 0)
	return sysctlResult(r, n, value, err)
}

// Sysctl reads the value of the name, given as at most 12 numbers (CTL_MAXNAME), into value and returns its length.
func Sysctl(name []int32, value []byte) (int, error) {
	if len(name) == 0 || len(value) == 0 {
		return 0, syscall.EINVAL
	}
	n := uintptr(len(value))
	r, _, err := call6(libc_sysctl_addr, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)),
		uintptr(unsafe.Pointer(&value[0])),
		uintptr(unsafe.Pointer(&n)), 0, 0)
	return sysctlResult(r, n, value, err)
}

func sysctlResult(r, n uintptr, value []byte, err syscall.Errno) (int, error) {
	if int32(r) == -1 {
		return 0, err
	}
	return min(int(n), len(value)), nil
}

// Numbers of sysctl: bsd/sys/sysctl.h.
const (
	CTL_KERN       = 1
	KERN_PROCARGS2 = 49 // of a process: the count of arguments (int32), the path of the program, NULs, arguments, environment
)

// ThreadID returns the id of the calling thread, as in [ThreadIdentifierInfo].
func ThreadID() uint64 {
	var id uint64
	call6(libc_pthread_threadid_np_addr, 0, uintptr(unsafe.Pointer(&id)), 0, 0, 0, 0)
	return id
}
