package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/internal/dumpfile"
	"minidump/internal/unixsocket"
)

// The protocol of the coredump socket (include/uapi/linux/coredump.h). With @@ the kernel first sends a coredump_req
// (size, size_ack, mask), expects a coredump_ack (size, spare, mask) and answers with a mark whether it accepts that.
const (
	coredumpKernel = 1 << 0 // COREDUMP_KERNEL: the kernel writes the core
	coredumpWait   = 1 << 3 // COREDUMP_WAIT: and keeps the process until the connection is closed
	coredumpSize   = 16     // COREDUMP_REQ_SIZE_VER0, COREDUMP_ACK_SIZE_VER0
	coredumpReqAck = 0      // COREDUMP_MARK_REQACK

	soPeerPIDFD = 77 // SO_PEERPIDFD of include/uapi/asm-generic/socket.h; parisc and sparc have other numbers
)

const (
	serveAtOnce = 4           // crashes being dumped; further ones wait
	serveTime   = time.Minute // for one crash, from its first byte on; half an hour in mode full

	// Limits on connected clients. The kernel sends immediately and without a break, unless it waits for memory itself.
	// A client that sends nothing for serveIdle is not the kernel, and must not prevent the dump of a crash.
	serveClients = 64
	serveIdle    = 5 * time.Second
)

// coredumpServer serves the coredump socket.
type coredumpServer struct {
	*serveFlags
	mu      sync.Mutex // for messages
	running sync.WaitGroup
	clients chan struct{}
	places  chan struct{} // acquired after the first bytes of a core have arrived
}

func (f *serveFlags) serve(path string) error {
	// A crash of this program must not make the kernel connect to it, as nobody would answer.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_DUMPABLE: %w", err)
	}
	// This program must also not end because nobody reads its messages any more.
	signal.Ignore(syscall.SIGPIPE)
	listener, err := coredumpListener(path)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	stopped := make(chan struct{})
	go func() {
		<-signals
		close(stopped)
		listener.Close()
	}()
	fmt.Fprintf(os.Stderr, "listening on %s\n", printable(path))
	if full, err := filepath.Abs(path); err == nil {
		if now, _ := readSetting(corePattern); strings.TrimLeft(now, "@") != full {
			fmt.Fprintf(os.Stderr, "the kernel will connect once core_pattern is @@%s; it is now %q\n", printable(full), now)
		}
	}
	s := &coredumpServer{serveFlags: f, clients: make(chan struct{}, serveClients), places: make(chan struct{}, serveAtOnce)}
	return s.accept(listener, stopped)
}

// coredumpListener returns the service manager's socket, or a new one.
func coredumpListener(path string) (l *unixsocket.Listener, err error) {
	file, err := unixsocket.Passed(path)
	switch {
	case err != nil:
	case file != nil:
		l = &unixsocket.Listener{File: file}
	default:
		if err := unixsocket.RemoveStale(path, unix.SOCK_STREAM); err != nil {
			return nil, err
		}
		l, err = unixsocket.Listen(path, unix.SOCK_STREAM, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

// accept serves connections, a limited number at a time, until stopped is closed.
func (s *coredumpServer) accept(listener *unixsocket.Listener, stopped <-chan struct{}) error {
	for {
		s.clients <- struct{}{}
		conn, err := listener.Accept()
		if err != nil {
			select {
			case <-stopped:
				s.finish()
				return nil
			default:
			}
			<-s.clients
			if errors.Is(err, os.ErrClosed) {
				return err
			}
			s.message("accept: %v", err)
			time.Sleep(100 * time.Millisecond) // out of descriptors, perhaps
			continue
		}
		s.running.Add(1)
		go func() {
			defer s.running.Done()
			defer func() { <-s.clients }()
			defer conn.Close()
			if err := s.handle(conn); err != nil {
				s.message("%s", oneLine(strings.TrimPrefix(err.Error(), "minidump: ")))
			}
		}()
	}
}

// finish waits a limited time for the dumps in progress.
func (s *coredumpServer) finish() {
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
	}
}

func (s *coredumpServer) message(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(os.Stderr, "minidump: "+format+"\n", args...)
}

// handle dumps the process at the other end of conn.
func (s *coredumpServer) handle(conn *os.File) error {
	most := serveTime
	if s.options.Mode == minidump.ModeFull {
		most *= 30
	}
	client := &client{File: conn}
	pid, pidfd, err := peer(conn)
	if err != nil {
		return fmt.Errorf("identify the client: %w", err)
	}
	if pidfd >= 0 {
		defer unix.Close(pidfd)
	}
	r, err := negotiate(client)
	if err == io.EOF { // a check whether this server runs
		return nil
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	first := make([]byte, 4)
	if _, err := io.ReadFull(r, first); err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	r = io.MultiReader(bytes.NewReader(first), r)
	s.places <- struct{}{}
	defer func() { <-s.places }()
	client.until = time.Now().Add(most)
	writer, err := minidump.OpenCorePipe(r, pid, s.output, s.options)
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	defer writer.Close()
	// If the process has ended, its pid may be another process's by now.
	if pidfd >= 0 && unix.PidfdSendSignal(pidfd, 0, nil, 0) == unix.ESRCH {
		return fmt.Errorf("process %d was gone before it could be dumped", pid)
	}
	if err := s.save(writer, pid); err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	return nil
}

// save writes the dump of process pid, and reports it.
func (s *coredumpServer) save(writer *minidump.Writer, pid int) error {
	_, name := writer.Process()
	file := dumpfile.Name(name, pid)
	path := joinFolder(s.output, file)
	folder := cmp.Or(s.output, ".")
	if err := s.keep.Make(folder); err != nil {
		return err
	}
	result, err := writer.DumpFile(path)
	if err != nil {
		return err
	}
	soft := result.SoftErrors()
	pruned := s.keep.Prune(folder, file)
	s.running.Go(func() { s.report(path, pid, &result, soft) }) // the process need not wait for the look-up of names
	return errors.Join(s.incomplete(&result, soft), pruned)
}

// report prints what was written.
func (s *coredumpServer) report(path string, pid int, r *minidump.Result, soft []minidump.SoftError) {
	frames := s.backtrace(path, pid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.json {
		_ = reportJSON(os.Stdout, path, r, soft, frames) // its reader may be gone
		return
	}
	reportText(os.Stderr, path, r, soft)
	reportFrames(os.Stderr, frames)
}

// client is a connection that must not be silent for long.
type client struct {
	*os.File
	until time.Time // deadline for all that it sends; zero: no limit yet
}

// Read waits at most serveIdle, and not beyond until.
func (c *client) Read(p []byte) (int, error) {
	idle := time.Now().Add(serveIdle)
	if !c.until.IsZero() && c.until.Before(idle) {
		idle = c.until
	}
	if err := c.SetDeadline(idle); err != nil {
		return 0, err
	}
	return c.File.Read(p)
}

// peer returns the pid of the process that has connected, and a pidfd, which never refers to another process (Linux
// 6.5); -1 if the kernel has none.
func peer(conn *os.File) (pid, pidfd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, -1, err
	}
	pidfd = -1
	var inner error
	err = raw.Control(func(fd uintptr) {
		if n, e := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, soPeerPIDFD); e == nil {
			pidfd = n
			if pid, e = pidOf(pidfd); e == nil {
				return
			}
		}
		var cred *unix.Ucred
		if cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); inner == nil {
			pid = int(cred.Pid)
		}
	})
	return pid, pidfd, errors.Join(err, inner)
}

// pidOf reads the pid of a pidfd's process from fdinfo (proc_pid_fdinfo(5)).
func pidOf(pidfd int) (int, error) {
	b, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(pidfd))
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(b, []byte("\nPid:\t"))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	return parseID(string(line))
}

// negotiate answers the kernel's request, if there is one, and returns the reader of the core.
func negotiate(conn io.ReadWriter) (io.Reader, error) {
	order := binary.NativeEndian
	head := make([]byte, coredumpSize)
	if _, err := io.ReadFull(conn, head[:4]); err != nil {
		return nil, err
	}
	if string(head[:4]) == "\x7fELF" { // core_pattern has one @
		return io.MultiReader(bytes.NewReader(head[:4]), conn), nil
	}
	const most = 4096
	size := order.Uint32(head)
	if size < coredumpSize || size > most {
		return nil, fmt.Errorf("received neither a core nor a request: % x", head[:4])
	}
	if _, err := io.ReadFull(conn, head[4:]); err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, conn, int64(size)-coredumpSize); err != nil {
		return nil, err
	}
	sizeAck, mask := order.Uint32(head[4:]), order.Uint64(head[8:])
	if sizeAck < coredumpSize || mask&coredumpKernel == 0 {
		return nil, fmt.Errorf("the kernel's request is not supported: mask %#x, acknowledgement of %d bytes", mask, sizeAck)
	}
	ack := make([]byte, coredumpSize)
	order.PutUint32(ack, coredumpSize)
	order.PutUint64(ack[8:], mask&(coredumpKernel|coredumpWait))
	if _, err := conn.Write(ack); err != nil {
		return nil, err
	}
	mark := make([]byte, 4)
	if _, err := io.ReadFull(conn, mark); err != nil {
		return nil, err
	}
	if m := order.Uint32(mark); m != coredumpReqAck {
		return nil, fmt.Errorf("the kernel rejected the acknowledgement: mark %d", m)
	}
	return conn, nil
}
