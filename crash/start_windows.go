package crash

import (
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"minidump/internal/windows/hook"
	"minidump/internal/windows/wer"
)

// shared is the memory that the program and the monitor share: the report of the hooks, the block of the module for Windows Error
// Reporting, then the notes.
type shared []byte

const (
	sharedBlock  = 64   // offset of the block
	sharedReport = 4096 // bytes for the hooks' report and the block
	sharedSize   = sharedReport + noteSize
)

func (s shared) report() *hook.Report { return (*hook.Report)(unsafe.Pointer(&s[0])) }

func (s shared) block() *wer.Block { return (*wer.Block)(unsafe.Pointer(&s[sharedBlock])) }

func (s shared) notes() sharedNotes { return sharedNotes(s[sharedReport:]) }

type sharedNotes []byte

// ReadAt implements io.ReaderAt. Offsets are relative to the notes, and in range.
func (s sharedNotes) ReadAt(p []byte, off int64) (int, error) { return copy(p, s[off:]), nil }

// WriteAt implements io.WriterAt.
func (s sharedNotes) WriteAt(p []byte, off int64) (int, error) { return copy(s[off:], p), nil }

// mapShared maps the shared memory. It stays mapped until the process ends.
func mapShared(mapping windows.Handle) (shared, error) {
	at, err := windows.MapViewOfFile(mapping, windows.FILE_MAP_WRITE|windows.FILE_MAP_READ, 0, 0, sharedSize)
	if err != nil {
		return nil, fmt.Errorf("map shared memory: %w", err)
	}
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&at))), sharedSize), nil
}

// link has the handles that connect the program and the monitor, which inherits them with the same values.
type link struct {
	pid     int
	mapping windows.Handle // of shared
	event   windows.Handle // an event: the hooks or the module have reported an exception
	done    windows.Handle // an event: the monitor has made the dump
	pipe    windows.Handle // reading end of the pipe for the runtime's report
	process windows.Handle // the program
}

// value returns the link as text for the monitor's environment; parse reads it.
func (l *link) value() string {
	return fmt.Sprint(l.pid, uintptr(l.mapping), uintptr(l.event), uintptr(l.done), uintptr(l.pipe), uintptr(l.process))
}

func (l *link) parse(value string) error {
	_, err := fmt.Sscan(value, &l.pid, (*uintptr)(&l.mapping), (*uintptr)(&l.event), (*uintptr)(&l.done), (*uintptr)(&l.pipe),
		(*uintptr)(&l.process))
	return err
}

// newLink creates the handles, and the end of the pipe to which the runtime writes its report.
func newLink() (l *link, w windows.Handle, err error) {
	l = &link{pid: os.Getpid()}
	sa := &windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), InheritHandle: 1}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.mapping, err = windows.CreateFileMapping(windows.InvalidHandle, sa, windows.PAGE_READWRITE, 0, sharedSize, nil); err != nil {
		return nil, 0, fmt.Errorf("create shared memory: %w", err)
	}
	const manual = 1
	if l.event, err = windows.CreateEvent(sa, manual, 0, nil); err != nil {
		return nil, 0, fmt.Errorf("create an event: %w", err)
	}
	if l.done, err = windows.CreateEvent(sa, manual, 0, nil); err != nil {
		return nil, 0, fmt.Errorf("create an event: %w", err)
	}
	self := windows.CurrentProcess()
	err = windows.DuplicateHandle(self, self, self, &l.process, 0, true, windows.DUPLICATE_SAME_ACCESS)
	if err != nil {
		return nil, 0, fmt.Errorf("duplicate the process handle: %w", err)
	}
	// The pipe holds one byte, so that the program blocks in its report until the monitor reads it.
	if err = windows.CreatePipe(&l.pipe, &w, sa, 1); err != nil {
		return nil, 0, fmt.Errorf("create a pipe: %w", err)
	}
	// The monitor must not inherit the writing end, or it would never read the end of the report.
	if err = windows.SetHandleInformation(w, windows.HANDLE_FLAG_INHERIT, 0); err != nil {
		windows.CloseHandle(w)
		return nil, 0, fmt.Errorf("keep a pipe: %w", err)
	}
	return l, w, nil
}

// close closes the handles that are open.
func (l *link) close() {
	for _, h := range []windows.Handle{l.mapping, l.event, l.done, l.pipe, l.process} {
		if h != 0 {
			windows.CloseHandle(h)
		}
	}
}

// start creates the link, starts the monitor, installs the hooks and passes the writing end of the pipe to the Go runtime. It
// returns the memory of the notes.
func start() (_ area, err error) {
	l, end, err := newLink()
	if err != nil {
		return nil, err
	}
	w := os.NewFile(uintptr(end), "crash report")
	defer w.Close()
	var c *exec.Cmd
	defer func() {
		if err != nil {
			if c != nil && c.Process != nil {
				_ = c.Process.Kill()
				_ = c.Wait()
			}
			l.close()
		}
	}()
	mem, err := mapShared(l.mapping)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c = exec.Command(program, os.Args[1:]...)
	c.Args[0] = os.Args[0]
	c.Env = append(os.Environ(), variable+"="+l.value(), "GOTRACEBACK=single")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{
		AdditionalInheritedHandles: []syscall.Handle{
			syscall.Handle(l.mapping), syscall.Handle(l.event), syscall.Handle(l.done), syscall.Handle(l.pipe), syscall.Handle(l.process),
		},
		CreationFlags: windows.CREATE_NEW_PROCESS_GROUP, // the monitor must not receive Ctrl-C
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	peer, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(c.Process.Pid))
	if err != nil {
		return nil, fmt.Errorf("open the monitor: %w", err)
	}
	if err := debug.SetCrashOutput(w, debug.CrashOptions{}); err != nil {
		windows.CloseHandle(peer)
		return nil, err
	}
	err = hook.Install(hook.Settings{
		Report: mem.report(), Event: syscall.Handle(l.event), Done: syscall.Handle(l.done), Peer: syscall.Handle(peer),
		Timeout: windows.INFINITE, FirstChance: os.Getenv(firstChance) != "",
	})
	if err != nil {
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
		windows.CloseHandle(peer)
		return nil, err
	}
	prepareModule(mem.block(), l, peer)
	windows.CloseHandle(l.pipe)
	windows.CloseHandle(l.process)
	return mem.notes(), c.Process.Release()
}

// firstChance is an environment variable for tests under Wine, which never calls the filter for faults in calls that Go code makes.
const firstChance = "MINIDUMP_CRASH_FIRST_CHANCE"
