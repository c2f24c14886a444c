package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
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
)

// The protocol of the coredump socket (include/uapi/linux/coredump.h). With @@ the kernel first sends a coredump_req (size,
// size_ack, mask), wants a coredump_ack (size, spare, mask) and says by a mark whether it takes that.
const (
	coredumpKernel = 1 << 0 // COREDUMP_KERNEL: the kernel writes the core
	coredumpWait   = 1 << 3 // COREDUMP_WAIT: and keeps the process until we hang up
	coredumpSize   = 16     // COREDUMP_REQ_SIZE_VER0, COREDUMP_ACK_SIZE_VER0
	coredumpReqAck = 0      // COREDUMP_MARK_REQACK

	soPeerPIDFD = 77 // SO_PEERPIDFD of include/uapi/asm-generic/socket.h; parisc and sparc have other numbers
)

const (
	serveAtOnce = 4           // crashes; further ones wait
	serveTime   = time.Minute // for one, from its first byte on; half an hour in mode full
)

// server serves the coredump socket.
type server struct {
	*serveFlags
	mu      sync.Mutex // for messages
	running sync.WaitGroup
	places  chan struct{}
}

func (f *serveFlags) serve(path string) error {
	// A crash of this program itself must not make the kernel connect to it: nobody would answer.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_DUMPABLE: %w", err)
	}
	// Nor shall it end because nobody reads its messages any more.
	signal.Ignore(syscall.SIGPIPE)
	if err := removeStale(path); err != nil {
		return err
	}
	old := syscall.Umask(0177) // the socket is its owner's only
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(old)
	if err != nil {
		return fmt.Errorf("listen at %s: %w", path, bare(err))
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	stopped := make(chan struct{})
	go func() {
		<-signals
		close(stopped)
		listener.Close() // which removes the socket
	}()
	fmt.Fprintf(os.Stderr, "listening at %s\n", printable(path))
	if full, err := filepath.Abs(path); err == nil {
		if now, _ := readSetting(corePattern); strings.TrimLeft(now, "@") != full {
			fmt.Fprintf(os.Stderr, "the kernel comes here once core_pattern is @@%s; it is %q\n", printable(full), now)
		}
	}
	s := &server{serveFlags: f, places: make(chan struct{}, serveAtOnce)}
	for {
		s.places <- struct{}{}
		conn, err := listener.AcceptUnix()
		if err != nil {
			select {
			case <-stopped:
				s.finish()
				return nil
			default:
			}
			<-s.places
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			s.message("accept: %v", err)
			time.Sleep(100 * time.Millisecond) // out of descriptors, perhaps
			continue
		}
		s.running.Add(1)
		go func() {
			defer s.running.Done()
			defer func() { <-s.places }()
			defer conn.Close()
			if err := s.handle(conn); err != nil {
				s.message("%s", oneLine(strings.TrimPrefix(err.Error(), "minidump: ")))
			}
		}()
	}
}

// finish waits for the dumps that are being made, for a while.
func (s *server) finish() {
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

func (s *server) message(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(os.Stderr, "minidump: "+format+"\n", args...)
}

// removeStale removes the socket of a server that is gone.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSocket == 0:
		return fmt.Errorf("%s is there already and is no socket", path)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return fmt.Errorf("%s is another server's that runs", path)
	}
	return os.Remove(path)
}

// handle dumps the process at the other end of conn.
func (s *server) handle(conn *net.UnixConn) error {
	most := serveTime
	if s.options.Mode == minidump.ModeFull {
		most *= 30
	}
	conn.SetDeadline(time.Now().Add(most))
	pid, pidfd, err := peer(conn)
	if err != nil {
		return fmt.Errorf("who connects: %w", err)
	}
	if pidfd >= 0 {
		defer unix.Close(pidfd)
	}
	r, err := negotiate(conn)
	if err == io.EOF { // somebody looked whether this server runs
		return nil
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	writer, err := minidump.OpenCorePipe(r, pid, s.output, s.options)
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	defer writer.Close()
	// Its number was not another's by the time that it was looked up.
	if pidfd >= 0 && unix.PidfdSendSignal(pidfd, 0, nil, 0) == unix.ESRCH {
		return fmt.Errorf("process %d has gone before it was dumped", pid)
	}
	_, name := writer.Process()
	path := joinFolder(s.output, dumpName(name, pid))
	result, err := writer.DumpFile(path)
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	soft := result.SoftErrors()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.json {
		return reportJSON(os.Stdout, path, &result, soft)
	}
	reportText(os.Stderr, path, &result, soft)
	return nil
}

// peer finds the process that has connected: by a descriptor of it, which means no other process ever (Linux 6.5), and its
// number. pidfd is -1 without one.
func peer(conn *net.UnixConn) (pid, pidfd int, err error) {
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

// pidOf reads the number of a pidfd's process out of fdinfo (proc_pid_fdinfo(5)).
func pidOf(pidfd int) (int, error) {
	b, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(pidfd))
	if err != nil {
		return 0, err
	}
	_, after, _ := bytes.Cut(b, []byte("\nPid:\t"))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	return parseID(string(line))
}

// negotiate answers the kernel's request, if there is one, and returns what the core is to be read from.
func negotiate(conn *net.UnixConn) (io.Reader, error) {
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
		return nil, fmt.Errorf("neither a core nor a request for one came: % x", head[:4])
	}
	if _, err := io.ReadFull(conn, head[4:]); err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, conn, int64(size)-coredumpSize); err != nil {
		return nil, err
	}
	sizeAck, mask := order.Uint32(head[4:]), order.Uint64(head[8:])
	if sizeAck < coredumpSize || mask&coredumpKernel == 0 {
		return nil, fmt.Errorf("the kernel offers %#x, with an answer of %d bytes", mask, sizeAck)
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
		return nil, fmt.Errorf("the kernel does not take the answer: mark %d", m)
	}
	return conn, nil
}
