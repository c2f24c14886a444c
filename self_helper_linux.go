package minidump

import (
	"encoding/binary"
	"io"
	"math"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/internal/errtext"
	"minidump/internal/snapshot"
	"minidump/internal/sys"
)

// A helper is this program, started again to make a dump: of its parent, or of a process that it makes a copy of. Dumping the
// parent this way requires no copy of the parent, and works when the parent's Go runtime can't run in a forked child.

// helperVariable is the environment variable of a helper that contains the pid of its parent.
const helperVariable = "MINIDUMP_SELF"

// The helper's descriptors besides the standard ones: the dump, the request (as encodeRequest makes it, up to the
// end) and the record (a forkRecord; a keeper sends a copyNote before it).
const (
	helperOut = 3 + iota
	helperRequest
	helperRecord
)

// selfHelper dumps this process with a helper.
type selfHelper struct{ o Options }

func (h *selfHelper) dump(dst io.Writer) (Result, error) {
	return dumpBySpool(h, h.o.Mode == ModeFull, dst)
}

// toFile writes one dump to an open file.
func (h *selfHelper) toFile(fd int) (Result, error) {
	start := time.Now()
	p, err := startHelper(fd, "minidump-self", false)
	if err != nil {
		return Result{}, errtext.Wrap(snapshot.AlsoError(errNoChild, err), "minidump: start /proc/self/exe")
	}
	defer p.close()
	if yamaAsks() {
		_ = unix.Prctl(unix.PR_SET_PTRACER, uintptr(p.pid), 0, 0, 0)
	}
	err = p.send(encodeRequest(0, &h.o))
	r := new(forkRecord)
	if err == nil {
		err = p.receive(r)
	}
	if err != nil {
		_ = unix.Kill(p.pid, unix.SIGKILL)
	}
	status := p.wait()
	if err != nil {
		return Result{}, errtext.Wrap(err, "minidump: dump this process from a helper process")
	}
	if err = r.problem(status); err != nil {
		return Result{}, err
	}
	return r.result(time.Since(start)), nil
}

// helperProcess is a running helper: its pid, and the parent's ends of its pipes.
type helperProcess struct{ pid, request, record int }

// startHelper starts a helper whose argv[0] is name; if apart, in a session of its own.
func startHelper(out int, name string, apart bool) (*helperProcess, error) {
	var request, record [2]int
	if err := unix.Pipe2(request[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	defer unix.Close(request[0])
	if err := unix.Pipe2(record[:], unix.O_CLOEXEC); err != nil {
		unix.Close(request[1])
		return nil, err
	}
	defer unix.Close(record[1])
	env := append(syscall.Environ(), helperVariable+"="+strconv.Itoa(unix.Getpid()))
	pid, err := syscall.ForkExec("/proc/self/exe", []string{name}, &syscall.ProcAttr{
		Env:   env,
		Sys:   &syscall.SysProcAttr{Setsid: apart},
		Files: []uintptr{0, 1, 2, uintptr(out), uintptr(request[0]), uintptr(record[1])},
	})
	if err != nil {
		unix.Close(request[1])
		unix.Close(record[0])
		return nil, err
	}
	return &helperProcess{pid, request[1], record[0]}, nil
}

func (p *helperProcess) close() {
	if p.request >= 0 {
		unix.Close(p.request)
	}
	unix.Close(p.record)
}

// send writes the request and closes its pipe. If the helper has died, send returns an error, without a SIGPIPE: the
// Go runtime ignores that signal for descriptors other than 1 and 2.
func (p *helperProcess) send(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(p.request, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	unix.Close(p.request)
	p.request = -1
	return nil
}

// receive reads the record. If the helper has died, r stays empty.
func (p *helperProcess) receive(r *forkRecord) error {
	b := unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r))
	n, err := readFull(p.record, b)
	if err == nil && n < len(b) {
		*r = forkRecord{}
	}
	return err
}

func (p *helperProcess) wait() (status unix.WaitStatus) {
	for {
		if _, err := unix.Wait4(p.pid, &status, 0, nil); err != unix.EINTR {
			return status
		}
	}
}

// readFull reads until b is full or the file ends.
func readFull(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		k, err := unix.Read(fd, b[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		if k == 0 {
			break
		}
		n += k
	}
	return n, nil
}

// init is the main function of a helper. Any other process makes only one system call here, which is cheaper than
// searching the environment: the kernel names a process after the last element of the executed path, which is "exe"
// for /proc/self/exe.
func init() {
	var name [16]byte
	if err := unix.Prctl(unix.PR_GET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0); err != nil || string(name[:4]) != "exe\x00" {
		return
	}
	value, ok := syscall.Getenv(helperVariable)
	if !ok {
		return
	}
	// A caller must not make a program that has more rights than itself (setuid, capabilities) dump a process for it.
	if unix.Getuid() != unix.Geteuid() || unix.Getgid() != unix.Getegid() || secureExec() {
		unix.Exit(2)
	}
	parent, err := strconv.Atoi(value)
	if err != nil || parent != unix.Getppid() {
		unix.Exit(2)
	}
	unix.Exit(help(parent))
}

// secureExec reports whether this program runs with rights that its caller does not have (AT_SECURE of getauxval(3)).
func secureExec() bool {
	const atSecure = 23
	auxv, err := unix.Auxv()
	if err != nil {
		return true
	}
	for _, entry := range auxv {
		if entry[0] == atSecure {
			return entry[1] != 0
		}
	}
	return false
}

// help makes the dump that the parent requests.
func help(parent int) (status int) {
	r := new(forkRecord)
	pid, o, err := receiveRequest()
	switch {
	case err != nil:
	case pid == 0:
		err = helpDump(parent, o, r)
	default:
		err = keepDump(pid, o, r)
	}
	if r.state = forkDone; err != nil {
		r.state = forkFailed
		r.fail(err)
		if pid != 0 {
			r.textLen = int32(copy(r.text[:], err.Error()))
		}
	}
	return sendRecord(unsafe.Slice((*byte)(unsafe.Pointer(r)), unsafe.Sizeof(*r)))
}

// sendRecord writes b to the parent's pipe.
func sendRecord(b []byte) (status int) {
	for len(b) > 0 {
		n, errno := sys.Write(helperRecord, b)
		if errno != 0 {
			return 1
		}
		b = b[n:]
	}
	return 0
}

// encodeRequest returns a request for a dump of a copy of the process pid, or of the parent if pid is 0.
func encodeRequest(pid int, o *Options) []byte {
	return append(binary.AppendUvarint(nil, uint64(pid)), encodeOptions(o)...)
}

func receiveRequest() (pid int, o *Options, err error) {
	var request []byte
	for {
		b := make([]byte, 32<<10)
		n, err := readFull(helperRequest, b)
		if err != nil {
			return 0, nil, err
		}
		if n == 0 {
			break
		}
		if request = append(request, b[:n]...); len(request) > math.MaxInt32 {
			return 0, nil, unix.EFBIG
		}
	}
	v, n := binary.Uvarint(request)
	if n <= 0 || v > math.MaxInt32 {
		return 0, nil, unix.EBADMSG
	}
	o, ok := decodeOptions(request[n:])
	if !ok {
		return 0, nil, unix.EBADMSG
	}
	return int(v), o, nil
}

func helpDump(pid int, o *Options, r *forkRecord) error {
	w, err := NewWriter(pid, *o)
	if err != nil {
		return err
	}
	out := &childOutput{fd: helperOut, deadline: newDeadline(childDeadline + w.snap.Want.StopTimeout)}
	out.deadline.arm()
	res, err := w.Dump(out)
	out.deadline.disarm()
	r.set(w, &res, err)
	return err
}
