package crash

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/windows"

	"minidump"
	"minidump/context"
	target "minidump/internal/windows"
)

// monitor is the main function of the monitor. It returns the exit status. value is link.value of the program.
func monitor(value string, o Options) int {
	m := &watch{o: o, seen: make(chan bool)}
	if err := m.link.parse(value); err != nil {
		return 2
	}
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	mem, err := mapShared(m.link.mapping)
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		return 2
	}
	m.mem = mem
	m.pipe = os.NewFile(uintptr(m.link.pipe), "crash report")
	how := m.wait()
	if how == ended {
		reportEnd(int(m.link.pid), endOf(m.link.process), &o)
		return 0
	}
	c, err := m.capture(how)
	_ = windows.SetEvent(m.link.done) // ends the wait of a hook or of Windows Error Reporting
	close(m.seen)
	m.drain()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		return 1
	}
	if err := c.complete(m.text); err != nil {
		fmt.Fprintln(os.Stderr, "crash: add the report to "+c.path+":", err)
	}
	if err := prune(c.path, o.Keep); err != nil {
		fmt.Fprintln(os.Stderr, "crash: remove old dumps:", err)
	}
	if o.OnDump != nil {
		o.OnDump(c.path)
	}
	return 0
}

// outcome is how the program crashed or ended.
type outcome int

const (
	ended    outcome = iota // without a report
	held                    // with a thread that waits in a hook, or with Windows Error Reporting waiting
	reported                // with the runtime's report, which has begun
	failed                  // with an exception that no handler has handled, which the debugger has received
)

// watch is the monitor's state.
type watch struct {
	o    Options
	link link
	mem  shared
	pipe *os.File
	text []byte // of the report, at most maxText

	failure *context.Crash // the exception of the outcome failed
	seen    chan bool      // closed when the dump is made, or has failed
}

// wait sleeps until the program crashes or ends.
func (m *watch) wait() outcome {
	waits := 2
	if m.o.Debugger {
		waits = 3
	}
	came := make(chan outcome, waits+1)
	if m.o.Debugger {
		go m.debug(came)
	}
	go func() {
		// Only the first byte is read. The runtime's next write then blocks, because the pipe holds no more than one write.
		b := make([]byte, 1)
		if n, _ := m.pipe.Read(b); n > 0 {
			m.text = append(m.text, b...)
			came <- reported
			return
		}
		came <- ended // the pipe's other end was closed
	}()
	go func() {
		if e, err := windows.WaitForMultipleObjects([]windows.Handle{m.link.event, m.link.process}, false, windows.INFINITE); err == nil && e == windows.WAIT_OBJECT_0 {
			came <- held
			return
		}
		came <- ended
	}()
	for range waits {
		if how := <-came; how != ended {
			return how
		}
	}
	return ended // every wait has returned it
}

// drain reads the report to its end, so that the program continues and ends.
func (m *watch) drain() { m.read(func() bool { return false }) }

// read continues to read the report until enough returns true, or to its end. After that the program blocks in its next write.
func (m *watch) read(enough func() bool) {
	b := make([]byte, 4096)
	for !enough() {
		n, err := m.pipe.Read(b)
		m.text = append(m.text, b[:min(n, maxText-len(m.text))]...)
		if err != nil || n == 0 {
			return
		}
	}
}

// capture writes the dump of the program, whose crashed thread waits meanwhile.
func (m *watch) capture(how outcome) (*captured, error) {
	dir, err := folder(m.o.Dir)
	if err != nil {
		return nil, err
	}
	c := &captured{path: newName(dir, m.link.pid), kind: "exception"}
	crash := minidump.CrashContext{ProcessID: m.link.pid}
	switch c.crash = how != reported; how {
	case held:
		c.tid, crash.ExceptionPointers = m.mem.exception()
	case failed:
		c.tid = int(m.failure.TID)
	default:
		m.begin()
		c.kind = kindOf(string(m.text))
		c.findThread(func() int { return writing(m.link.pid) })
		crash.ExceptionCode = goPanic
	}
	crash.ThreadID = c.tid
	w, err := c.newWriter(m.link.pid, m.o, m.mem.notes())
	if err != nil {
		return nil, err
	}
	defer w.Close()
	var x *context.Crash
	if how == failed {
		x = m.failure
	} else if x, err = w.ReadCrash(crash); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err) // the dump then has the thread's current registers
	}
	w.SetCrash(x)
	err = c.write(w)
	if err == nil && c.kind == "fatal error" {
		c.fatal = m.fatalText()
	}
	return c, err
}

// kindLength is the length of the longest text of kinds.
const kindLength = 10

// undecided reports whether a report that begins with text can still be of several kinds.
func undecided(text string) bool {
	for _, k := range kinds {
		if len(text) < len(k.text) && strings.HasPrefix(k.text, text) {
			return true
		}
	}
	return false
}

// begin reads the report until its kind is known. The program then blocks in its next write.
func (m *watch) begin() {
	b := make([]byte, 1)
	for len(m.text) < kindLength && undecided(string(m.text)) {
		n, err := m.pipe.Read(b)
		m.text = append(m.text, b[:n]...)
		if err != nil || n == 0 {
			return
		}
	}
}

// goPanic is the exception code of a panic without an exception: "Go" in the low bytes, in the form of a code that an application
// passes to RaiseException (bit 29).
const goPanic = 0xe0000000 | 'G'<<8 | 'o'

// writing returns the id of a thread of a process that is in NtWriteFile; 0 if there is none. ntdll.dll is at the same address in
// every process of the same width.
func writing(pid int) (tid int) {
	write := windows.NewLazySystemDLL("ntdll.dll").NewProc("NtWriteFile")
	if write.Find() != nil {
		return 0
	}
	p := new(target.Process)
	if p.Open(pid) != nil {
		return 0
	}
	defer p.Close()
	b := make([]byte, p.ContextSize())
	list, t := new(target.Threads), new(target.Thread)
	list.Begin(p)
	defer list.End()
	for last := syscall.Handle(0); ; {
		h, errno := list.Next()
		if last != 0 {
			syscall.CloseHandle(last)
		}
		if last = h; h == 0 || errno != 0 {
			return tid
		}
		if tid == 0 && t.Basic(h) == 0 && inCall(p, h, b, write.Addr()) {
			tid = int(t.ID)
		}
	}
}

// inCall reports whether a thread is in the system call stub at the address stub.
func inCall(p *target.Process, h syscall.Handle, b []byte, stub uintptr) bool {
	const stubSize = 64 // maximum, in bytes
	if _, errno := target.SuspendThread(h); errno != 0 {
		return false
	}
	defer func() { _ = target.ResumeThread(h) }()
	if errno := p.Context(h, b); errno != 0 {
		return false
	}
	pc := target.ContextPC(context.Native, b)
	return pc >= uint64(stub) && pc-uint64(stub) < stubSize
}

// causeOf returns the exception that the runtime has turned into a panic, from the text of its report; nil if there is none.
func causeOf(text string, _ int) *cause {
	l, ok := findSignal(text)
	var code uint32
	if _, err := fmt.Sscanf(l.name, "0x%x", &code); !ok || err != nil {
		return nil
	}
	c := &cause{code: code, address: l.pc}
	if code == uint32(windows.STATUS_ACCESS_VIOLATION) || code == uint32(windows.STATUS_IN_PAGE_ERROR) {
		c.params = []uint64{l.code, l.addr}
	}
	return c
}
