//go:build !ios

package crash

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/context"
	_ "minidump/goroutines" // the dumps list the goroutines
	"minidump/internal/darwin"
	"minidump/mach"
)

// monitor is the main function of the monitor. It returns the exit status. value is the program's pid.
func monitor(value string, o Options) int {
	m := &watch{o: o, notes: os.NewFile(monitorNotes, "crash annotations")}
	if _, err := fmt.Sscanf(value, "%d", &m.pid); err != nil {
		return 2
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	if err := m.link(); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		return 2
	}
	go m.handle()
	if !m.first() {
		m.mu.Lock() // a dump may still be written: the program waits only until its memory has been read
		defer m.mu.Unlock()
		if m.dumps == 0 {
			reportEnd(m.pid, endOf(m.pid, &m.began), &o)
		}
		return m.status
	}
	m.mu.Lock()
	m.reported = true
	c, err := m.capture()
	m.mu.Unlock()
	m.drain(func(string) bool { return false })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.finish(c, m.text, err)
	return m.status
}

// watch is the monitor's state.
type watch struct {
	o     Options
	pid   int
	task  mach.Port        // of the program
	port  mach.Port        // receives its exceptions
	began mach.ProcBSDInfo // state of the program at the start of the monitor
	notes *os.File
	text  []byte // of the report, at most maxText

	draining bool // the text has been removed from the socket

	mu       sync.Mutex // held while a dump is made
	reported bool       // the runtime has begun its report
	dumps    int
	status   int // of the monitor
}

// link gets the program's task.
func (m *watch) link() (err error) {
	if m.port, m.task, err = takeTask(); err != nil {
		return fmt.Errorf("get the task of process %d: %w", m.pid, err)
	}
	pid, kr := mach.PIDForTask(m.task)
	if kr != mach.KERN_SUCCESS || pid != m.pid {
		return fmt.Errorf("the task belongs to process %d, not %d (%v)", pid, m.pid, kr)
	}
	return m.began.Read(m.pid)
}

// first waits for the first write of a report, and leaves it in the socket, so that the second write blocks. It returns false
// if the program ended without a report.
func (m *watch) first() bool {
	b := make([]byte, sendBuffer)
	for {
		n, _, err := unix.Recvfrom(monitorReport, b, unix.MSG_PEEK)
		if err == unix.EINTR {
			continue
		}
		m.text = b[:max(n, 0)]
		return err == nil && n > 0
	}
}

// drain reads more of the report, until enough returns true or the report ends, which lets the program continue. The first call
// begins with the first write again.
func (m *watch) drain(enough func(text string) bool) {
	if !m.draining {
		m.draining, m.text = true, nil
	}
	b := make([]byte, 4096)
	for !enough(string(m.text)) {
		n, _, err := unix.Recvfrom(monitorReport, b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		m.text = append(m.text, b[:min(n, maxText-len(m.text))]...)
	}
}

// capture writes the dump of the program, which is blocked in its report.
func (m *watch) capture() (*captured, error) {
	dir, err := folder(m.o.Dir)
	if err != nil {
		return nil, err
	}
	c := &captured{path: newName(dir, m.pid), kind: kindOf(string(m.text))}
	if c.kind == "signal" { // the next line says which signal
		m.drain(func(text string) bool { return hasSignal(text) || len(text) > 1024 })
	}
	w, err := m.newWriter(c)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	switch {
	case c.tid == 0:
	case c.kind == "signal":
		if x := m.frameCrash(w, c.tid); x != nil {
			w.SetCrash(x)
			c.crash = true
		}
	default:
		m.panicCrash(w, c)
	}
	err = c.write(w)
	if err == nil && c.kind == "fatal error" {
		c.fatal = m.fatalText(w)
	}
	return c, err
}

// newWriter returns the Writer of a dump about the reporting thread.
func (m *watch) newWriter(c *captured) (*minidump.Writer, error) {
	c.findThread(m.writing)
	return minidump.NewTaskWriter(m.task, c.options(m.o, m.notes))
}

// finish completes a dump and counts it.
func (m *watch) finish(c *captured, text []byte, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		m.status = 1
		return
	}
	m.dumps++
	c.finish(text, &m.o)
}

// reportFD returns the program's descriptor to which the runtime writes reports; -1 if it is not known.
func (m *watch) reportFD() (fd int32) {
	b := make([]byte, 16)
	n, err := m.notes.ReadAt(b, linkAt)
	if err != nil && err != io.EOF {
		return -1
	}
	if _, err := fmt.Sscanf(string(bytes.TrimRight(b[:n], "\x00")), "%d", &fd); err != nil {
		return -1
	}
	return fd
}

// writing returns the id of the thread that writes the report; 0 if there is none.
func (m *watch) writing() (tid int) {
	want := m.reportFD()
	if mach.TaskSuspend(m.task) != mach.KERN_SUCCESS {
		return 0
	}
	defer mach.TaskResume(m.task)
	threads, kr := mach.TaskThreads(m.task)
	if kr != mach.KERN_SUCCESS {
		return 0
	}
	defer threads.Release()
	for _, p := range threads.Ports() {
		fd, ok := mach.InWrite(p)
		if !ok || want >= 0 && fd != want {
			continue
		}
		var id mach.ThreadIdentifierInfo
		if id.Read(p) == mach.KERN_SUCCESS {
			return threadID(id.ThreadID)
		}
	}
	return 0
}

// threadID returns the id of a thread in dumps: its lower half.
func threadID(id uint64) int { return int(int32(uint32(id))) }

// frameCrash returns the Crash made from the signal in the report and the signal frame on the stack of the reporting thread, whose
// handler runs above that frame.
func (m *watch) frameCrash(w *minidump.Writer, tid int) *context.Crash {
	c := crashOf(string(m.text), tid)
	sp, ok := m.stackPointer(tid)
	if c == nil || !ok {
		return nil
	}
	mem := make([]byte, 64<<10)
	mem = mem[:w.ReadMemory(sp, mem)]
	regs, ok := darwin.SignalFrame(darwin.Arch, mem, sp)
	if !ok {
		return nil
	}
	c.SetContext(&regs)
	return c
}

// stackPointer returns the stack pointer of a thread.
func (m *watch) stackPointer(tid int) (sp uint64, ok bool) {
	if mach.TaskSuspend(m.task) != mach.KERN_SUCCESS {
		return 0, false
	}
	defer mach.TaskResume(m.task)
	threads, kr := mach.TaskThreads(m.task)
	if kr != mach.KERN_SUCCESS {
		return 0, false
	}
	defer threads.Release()
	for _, p := range threads.Ports() {
		var id mach.ThreadIdentifierInfo
		if id.Read(p) == mach.KERN_SUCCESS && threadID(id.ThreadID) == tid {
			return threadSP(p)
		}
	}
	return 0, false
}

// handle receives the exceptions of the program, and of its child processes, which inherit the port.
func (m *watch) handle() {
	var b [8192]byte
	for {
		if kr := mach.Receive(m.port, b[:], 0, mach.Forever); kr != mach.KERN_SUCCESS {
			if kr == mach.MACH_RCV_INTERRUPTED {
				continue
			}
			return
		}
		e, ok := mach.ParseException(b[:])
		if !ok || e.Protected {
			mach.Destroy(b[:])
			continue
		}
		m.exception(&e)
	}
}

// exception writes a dump if the program does not survive the exception, and answers the message.
func (m *watch) exception(e *mach.Exception) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var c *captured
	var err error
	pid, kr := mach.PIDForTask(e.Task)
	dumped := kr == mach.KERN_SUCCESS && pid == m.pid && !m.reported && isFatal(e)
	if dumped {
		c, err = m.captureException(e)
	}
	// After the answer MACH_RCV_PORT_DIED the system's own reporter gets EXC_CRASH too, after KERN_FAILURE the other
	// exceptions.
	result := mach.KERN_FAILURE
	if e.Type == mach.EXC_CRASH {
		result = mach.MACH_RCV_PORT_DIED
	}
	var reply [mach.ExceptionReplySize]byte
	mach.Send(e.Reply(reply[:], result), uint32(patience.Milliseconds()))
	for _, p := range []mach.Port{e.Task, e.Thread} {
		if p.Valid() {
			mach.PortDeallocate(p)
		}
	}
	if dumped {
		m.finish(c, nil, err)
	}
}

// isFatal reports whether an exception causes a dump: most EXC_RESOURCE exceptions are warnings.
func isFatal(e *mach.Exception) bool {
	return e.Type != mach.EXC_RESOURCE || mach.DecodeResource(e.Code).Fatal()
}

// captureException writes a dump of the program while one of its threads waits for the reply to an exception message.
func (m *watch) captureException(e *mach.Exception) (*captured, error) {
	dir, err := folder(m.o.Dir)
	if err != nil {
		return nil, err
	}
	var id mach.ThreadIdentifierInfo
	if kr := id.Read(e.Thread); kr != mach.KERN_SUCCESS {
		return nil, fmt.Errorf("thread_info of the thread that crashed: %w", kr)
	}
	c := &captured{path: newName(dir, m.pid), kind: "exception", crash: true, tid: threadID(id.ThreadID)}
	w, err := minidump.NewTaskWriter(m.task, c.options(m.o, m.notes))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	codes := []uint64{e.Code, e.Subcode}
	w.SetCrash(minidump.TaskCrash(id.ThreadID, e.Type, codes[:e.CodeCount]...))
	return c, c.write(w)
}

// signalNumbers are the signals of Darwin that Go's runtime reports.
var signalNumbers = map[string]uint64{"SIGQUIT": 3, "SIGILL": 4, "SIGTRAP": 5, "SIGABRT": 6, "SIGEMT": 7, "SIGFPE": 8, "SIGBUS": 10,
	"SIGSEGV": 11, "SIGSYS": 12, "SIGSTKFLT": 16}

// siUser are the codes of a signal sent by a process: 0 in Go's runtime, and SI_USER of bsd/sys/signal.h.
var siUser = map[uint64]bool{0: true, 0x10001: true}

// hasSignal reports whether the report of a signal has the line with its code.
func hasSignal(text string) bool {
	_, line, ok := strings.Cut(text, " sigcode=")
	return ok && strings.Contains(line, "\n")
}

// findFatalSignal parses the first two lines of the report of a signal that Go does not convert to a panic: "SIGSEGV:
// segmentation violation\nPC=0x47d2c9 m=0 sigcode=1 addr=0x0\n" (fatalsignal of runtime/signal_unix.go).
func findFatalSignal(text string) (l signalLine, ok bool) {
	head, rest, ok := strings.Cut(text, "\n")
	line, _, ended := strings.Cut(rest, "\n")
	l.name, _, _ = strings.Cut(head, ":")
	if !ok || !ended {
		return l, false
	}
	if n, _ := fmt.Sscanf(line, "PC=%v m=%d sigcode=%d addr=%v", &l.pc, new(int), &l.code, &l.addr); n < 3 {
		return l, false
	}
	return l, true
}

// unknownAddress is the address that Go's runtime for darwin/amd64 sets for a SIGSEGV that XNU reports as sent by a process:
// the processor reports no address for an access to a non-canonical one (fixsigcode of runtime/signal_darwin_amd64.go).
// XNU's exception for that is EXC_BAD_ACCESS with EXC_I386_GPFLT.
const (
	unknownAddress    = 0xb01dfacedebac1e
	generalProtection = 13
)

// crashOf returns a Crash, without registers, for the signal in a report; nil if the report has no signal.
func crashOf(text string, tid int) *context.Crash {
	l, ok := findSignal(text)
	if !ok {
		l, ok = findFatalSignal(text)
	}
	if !ok {
		return nil
	}
	return signalCrash(l.name, l.code, l.addr, tid)
}

// signalName returns the name of a signal, "" if it is not one of signalNumbers.
func signalName(number uint64) string {
	for name, n := range signalNumbers {
		if n == number {
			return name
		}
	}
	return ""
}

// signalCrash returns a Crash for a signal: the exception that XNU converts to this signal (ux_exception of
// bsd/uxkern/ux_exception.c). It returns nil if no signal in Go's reports has the name.
func signalCrash(name string, code, addr uint64, tid int) *context.Crash {
	number := signalNumbers[name]
	if number == 0 {
		return nil
	}
	thread := uint64(uint32(tid))
	if !siUser[code] {
		switch name {
		case "SIGSEGV":
			if addr == unknownAddress {
				return minidump.TaskCrash(thread, mach.EXC_BAD_ACCESS, generalProtection)
			}
			return minidump.TaskCrash(thread, mach.EXC_BAD_ACCESS, uint64(mach.KERN_INVALID_ADDRESS), addr)
		case "SIGBUS":
			return minidump.TaskCrash(thread, mach.EXC_BAD_ACCESS, uint64(mach.KERN_PROTECTION_FAILURE), addr)
		case "SIGILL":
			return minidump.TaskCrash(thread, mach.EXC_BAD_INSTRUCTION, 1, 0)
		case "SIGFPE":
			return minidump.TaskCrash(thread, mach.EXC_ARITHMETIC, 1, 0)
		case "SIGTRAP":
			return minidump.TaskCrash(thread, mach.EXC_BREAKPOINT, 1, 0)
		}
	}
	if name == "SIGABRT" {
		return minidump.TaskCrash(thread, mach.EXC_SOFTWARE, mach.EXC_UNIX_ABORT, number)
	}
	return minidump.TaskCrash(thread, mach.EXC_SOFTWARE, mach.EXC_SOFT_SIGNAL, number)
}

// causeOf returns the signal in a report for the exception stream; nil if the report has none.
func causeOf(text string, tid int) *cause {
	c := crashOf(text, tid)
	if c == nil {
		return nil
	}
	return &cause{code: uint32(c.Signo), flags: uint32(c.Code), address: c.Address, params: c.Params[:c.NumParams]}
}
