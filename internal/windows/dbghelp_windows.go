package windows

import (
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"minidump/internal/errtext"
)

// MiniDumpWriteDump of dbghelp.dll.
var miniDumpWriteDump uintptr

var loadDbghelp = sync.OnceValue(func() error {
	return loadSystem("dbghelp.dll", []entry{{&miniDumpWriteDump, "MiniDumpWriteDump", false}})
})

// ClientException is the exception of a crashed process, as the address of EXCEPTION_POINTERS.
type ClientException struct {
	Pointers uint64 // 0: there was no exception
	Thread   uint32
	Own      bool // Pointers is an address in the calling process, not in the dumped one
}

// UserStream is a stream that the system's writer adds to a dump.
type UserStream struct {
	Type uint32
	Data []byte // pinned by WriteDump until the dump is written
}

// miniDumpExceptionInformation is MINIDUMP_EXCEPTION_INFORMATION, and miniDumpUserStream MINIDUMP_USER_STREAM
// (minidumpapiset.h). Both are packed to 4 bytes, so a pointer is an array of 4-byte words.
type (
	miniDumpExceptionInformation struct {
		thread   uint32
		pointers [nativeWord / 4]uint32
		client   int32
	}
	miniDumpUserStream struct {
		typ, size uint32
		data      [nativeWord / 4]uint32
	}
	miniDumpUserStreams struct {
		count uint32
		array [nativeWord / 4]uint32
	}
)

// words splits an address into 4-byte words, the low one first.
func words(addr uint64) (w [nativeWord / 4]uint32) {
	for i := range w {
		w[i] = uint32(addr >> (32 * i))
	}
	return w
}

// WriteDump makes dbghelp.dll write a dump of the process to file. flags are MINIDUMP_TYPE. The error is of little use:
// GetLastError is an HRESULT on Windows, and meaningless under Wine.
func (p *Process) WriteDump(file syscall.Handle, flags uint32, exception *ClientException, streams []UserStream) error {
	if err := loadDbghelp(); err != nil {
		return err
	}
	var (
		info *miniDumpExceptionInformation
		user *miniDumpUserStreams
	)
	// Wine's dbghelp.dll and older ones of Windows dereference null exception pointers.
	if exception != nil && exception.Pointers != 0 {
		info = &miniDumpExceptionInformation{thread: exception.Thread, pointers: words(exception.Pointers), client: 1}
		if exception.Own {
			info.client = 0
		}
	}
	if len(streams) > 0 {
		// dbghelp.dll dereferences addresses that the garbage collector does not see.
		var pin runtime.Pinner
		list := make([]miniDumpUserStream, len(streams))
		for i, s := range streams {
			list[i] = miniDumpUserStream{typ: s.Type, size: uint32(len(s.Data))}
			if len(s.Data) > 0 {
				pin.Pin(&s.Data[0])
				list[i].data = words(uint64(uintptr(unsafe.Pointer(&s.Data[0]))))
			}
		}
		user = &miniDumpUserStreams{count: uint32(len(list)), array: words(uint64(uintptr(unsafe.Pointer(&list[0]))))}
		pin.Pin(&list[0])
		defer pin.Unpin()
	}
	r, _, errno := syscall.SyscallN(miniDumpWriteDump, uintptr(p.Handle), uintptr(p.PID), uintptr(file), uintptr(flags),
		uintptr(unsafe.Pointer(info)), uintptr(unsafe.Pointer(user)), 0)
	if r&0xff == 0 {
		return errtext.Wrap(failed(0, errno), "MiniDumpWriteDump of pid ", p.PID)
	}
	return nil
}
