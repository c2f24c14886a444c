package server

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/context"
)

// crashpadPatience is how long a client may take to answer a question. Crashpad's own clients answer immediately.
const crashpadPatience = 5 * time.Second

// crashpadShared dumps the sender of p. Its thread waits for SIGCONT, at most 5 seconds.
func (s *Server) crashpadShared(c *conn, p *packet, r crashpadRequest) {
	q := crashpadDump(p.sender, p.pidfd, r)
	_ = s.dump(c, q)
	resume(p.sender.PID, p.pidfd, q.tid)
}

// crashpadSingle dumps the sender of p, the only client of the connection, and answers with a message.
func (s *Server) crashpadSingle(c *conn, p *packet, r crashpadRequest) error {
	answer := uint32(typeCrashDumpComplete)
	err := s.askToTrace(c, p.sender)
	if err == nil {
		err = s.place(func() error { return s.dump(c, crashpadDump(p.sender, p.pidfd, r)) })
	} else {
		s.report(p.sender, err)
	}
	if err != nil {
		answer = typeCrashDumpFailed
	}
	return c.send(crashpadAnswer(answer, 0), nil)
}

// ptraceScope is the file with Yama's setting. Tests change it.
var ptraceScope = "/proc/sys/kernel/yama/ptrace_scope"

// askToTrace asks the client to permit this process to trace it (PR_SET_PTRACER), if Yama requires that. A client that
// has another protection, or does not give permission, is not refused: the kernel decides.
func (s *Server) askToTrace(c *conn, sender Peer) error {
	if b, err := os.ReadFile(ptraceScope); err != nil || strings.TrimSpace(string(b)) != "1" {
		return nil
	}
	if err := c.send(crashpadAnswer(typeSetPtracer, os.Getpid()), nil); err != nil {
		return err
	}
	_ = c.file.SetReadDeadline(time.Now().Add(crashpadPatience))
	defer func() {
		_ = c.file.SetReadDeadline(time.Time{})
		if s.isClosing() {
			c.wake()
		}
	}()
	p, err := c.receive()
	if err != nil {
		return fmt.Errorf("receive the answer about PR_SET_PTRACER: %w", err)
	}
	defer p.close()
	if len(p.data) != 4 || p.sender.PID != sender.PID {
		return fmt.Errorf("%w: the answer about PR_SET_PTRACER has %d bytes", ErrProtocol, len(p.data))
	}
	return nil
}

// DumpCrashpad dumps the process pid, which has started this process as crashpad_handler when it crashed, and which
// waits for this process to end (--trace-parent-with-exception). information is the address of its
// ExceptionInformation, and sanitization the address of its SanitizationInformation or 0. DumpCrashpad calls OnDump as
// the other methods do.
func (s *Server) DumpCrashpad(pid int, information, sanitization uint64) error {
	var st unix.Stat_t
	if err := unix.Stat("/proc/"+strconv.Itoa(pid), &st); err != nil {
		return fmt.Errorf("server: process %d: %w", pid, err)
	}
	if !s.add(func() { s.running.Add(1) }) {
		return ErrClosed
	}
	defer s.running.Done()
	q := crashpadDump(Peer{PID: pid, UID: st.Uid, GID: st.Gid}, -1, crashpadRequest{Information: information, Sanitization: sanitization})
	return s.place(func() error { return s.dump(&conn{dumps: map[int]int{}}, q) })
}

// crashpadDump returns the request for a dump of a process with ExceptionInformation at an address.
func crashpadDump(sender Peer, pidfd int, r crashpadRequest) *request {
	q := &request{protocol: Crashpad, sender: sender, pidfd: pidfd}
	q.read = func(w *minidump.Writer, o *minidump.Options) (crash *context.Crash, wrong, refused error) {
		arch := archOf(sender.PID)
		crash, wrong = crashpadCrash(w, arch, sender.PID, r.Information)
		c := &crashpadClient{pid: sender.PID, wide: arch.WordSize() == 8, from: w.ReadMemory}
		refused = c.apply(o)
		if r.Sanitization == 0 || refused != nil {
			return crash, wrong, refused
		}
		limits, ok := c.sanitize(r.Sanitization, o)
		if !ok {
			wrong = errors.Join(wrong, fmt.Errorf("%w: SanitizationInformation at %#x cannot be read", ErrProtocol, r.Sanitization))
		}
		if limits.module != 0 && (crash == nil || !c.refersTo(limits.module, crash.PC, crash.SP)) {
			refused = fmt.Errorf("%w: the crashing thread does not refer to the module at %#x, as SanitizationInformation requires",
				ErrRefused, limits.module)
		}
		return crash, wrong, refused
	}
	return q
}

// crashpadCrash reads the ExceptionInformation of a client at an address; nil if the address is 0.
func crashpadCrash(w *minidump.Writer, arch context.Arch, pid int, at uint64) (*context.Crash, error) {
	if at == 0 {
		return nil, nil
	}
	b := make([]byte, exceptionInformationSize)
	e, ok := parseInformation(b[:w.ReadMemory(at, b)])
	if !ok {
		return nil, fmt.Errorf("%w: ExceptionInformation at %#x cannot be read", ErrProtocol, at)
	}
	siginfo, ucontext := make([]byte, siginfoSize), make([]byte, maxUcontext)
	siginfo = siginfo[:w.ReadMemory(e.Siginfo, siginfo)]
	ucontext = ucontext[:w.ReadMemory(e.Ucontext, ucontext)]
	return context.CrashFromLinux(arch, order, int32(pid), e.TID, siginfo, ucontext, floats(w, arch, ucontext))
}

const (
	siginfoSize = 128     // SI_MAX_SIZE
	maxUcontext = 8 << 10 // arm64's has 4560 bytes, ppc64's some 4 KiB with the vector registers after it
	fxsaveSize  = 512
)

// floats reads the floating-point state that uc_mcontext.fpstate of amd64 and x86 points to. It returns nil on other
// architectures, and if the state cannot be read.
func floats(w *minidump.Writer, a context.Arch, ucontext []byte) []byte {
	var at uint64
	size := fxsaveSize
	switch {
	case a == context.AMD64 && len(ucontext) >= 40+24*8: // 23 gregs after 40 bytes, then the pointer
		at = order.Uint64(ucontext[40+23*8:])
	case a == context.X86 && len(ucontext) >= 20+20*4: // 19 gregs after 20 bytes, then the pointer
		at, size = uint64(order.Uint32(ucontext[20+19*4:])), 112+fxsaveSize
	}
	if at == 0 {
		return nil
	}
	b := make([]byte, size)
	if w.ReadMemory(at, b) < size {
		return nil
	}
	return b
}

// resume ends the wait of a client that shares its connection (kDumpDoneSignal): of the thread tid, or of all threads
// if tid is 0.
func resume(pid, pidfd, tid int) {
	if pidfd >= 0 && unix.PidfdSendSignal(pidfd, 0, nil, 0) != nil {
		return // the process has ended, and its pid may be another process's
	}
	if tid != 0 {
		_ = unix.Tgkill(pid, tid, unix.SIGCONT)
		return
	}
	for _, t := range threadsOf(pid) {
		_ = unix.Tgkill(pid, t, unix.SIGCONT)
	}
}
