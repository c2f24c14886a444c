package server

import (
	stdcontext "context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/internal/dumpfile"
	"minidump/internal/unixsocket"
	"minidump/internal/victims"
)

// asClient is the environment variable that makes this test binary a client: its value is what to do, and the first
// argument is the socket.
const asClient = "MINIDUMP_TEST_CLIENT"

func TestMain(m *testing.M) {
	if how := os.Getenv(asClient); how != "" {
		if err := beClient(how, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beClient requests dumps. how is the number of dumps, or "lie" for a crash context with the pid of the parent.
func beClient(how, path string) error {
	c, err := Dial(path)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Ping(); err != nil {
		return err
	}
	if err := c.Send(3, []byte("from Go")); err != nil {
		return err
	}
	ctx, cancel := stdcontext.WithTimeout(stdcontext.Background(), 30*time.Second)
	defer cancel()
	if how == "lie" {
		b := make([]byte, 1616)
		binary.LittleEndian.PutUint32(b[968+512:], 11)
		binary.LittleEndian.PutUint32(b[1608:], uint32(os.Getppid()))
		binary.LittleEndian.PutUint32(b[1612:], uint32(os.Getppid()))
		return c.RequestDump(ctx, b)
	}
	n, err := strconv.Atoi(how)
	for range n {
		err = errors.Join(err, c.RequestDump(ctx, nil))
	}
	return err
}

// goClient starts this test binary as a client.
func (v *service) goClient(how string) *exec.Cmd {
	v.t.Helper()
	program, err := os.Executable()
	if err != nil {
		v.t.Fatal(err)
	}
	cmd := exec.Command(program, v.path)
	cmd.Env = append(os.Environ(), asClient+"="+how)
	cmd.Stderr = os.Stderr
	return cmd
}

// served checks that the server dumps a client now.
func (v *service) served() Dump {
	v.t.Helper()
	cmd := v.goClient("1")
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	d := v.next()
	if err := cmd.Wait(); err != nil {
		v.t.Errorf("the client: %v", err)
	}
	if d.Err != nil || d.Peer.PID != cmd.Process.Pid || d.Crash != nil {
		v.t.Fatalf("%+v", d)
	}
	if e, _ := exception(v.t, d.Path); e.Code != minidump.DumpRequested || int(e.ThreadID) != d.Peer.PID {
		v.t.Errorf("exception %#x of thread %d, process %d", e.Code, e.ThreadID, d.Peer.PID)
	}
	return d
}

// dial connects as a client that does not follow the protocol.
func (v *service) dial() *os.File {
	v.t.Helper()
	fd, err := unixsocket.Connect(v.path, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		v.t.Fatal(err)
	}
	_ = unix.SetNonblock(fd, true)
	f := os.NewFile(uintptr(fd), "client")
	v.t.Cleanup(func() { f.Close() })
	return f
}

// ends waits until the server has closed a connection.
func ends(t *testing.T, f *os.File) {
	t.Helper()
	f.SetReadDeadline(time.Now().Add(20 * time.Second))
	for {
		n, err := f.Read(make([]byte, 64))
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || err == nil && n == 0 {
			return
		}
		if err != nil {
			t.Errorf("the connection: %v", err)
			return
		}
	}
}

func TestGoClient(t *testing.T) {
	v := serve(t, Options{})
	d := v.served()
	v.mu.Lock()
	defer v.mu.Unlock()
	if want := fmt.Sprintf("%d 3 from Go", d.Peer.PID); !slices.Contains(v.messages, want) {
		t.Errorf("messages %q, not %q", v.messages, want)
	}
}

// TestLie checks that a client that names another process is dumped itself.
func TestLie(t *testing.T) {
	v := serve(t, Options{})
	cmd := v.goClient("lie")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := v.next()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if d.Err != nil || d.Peer.PID != cmd.Process.Pid {
		t.Fatalf("%+v", d)
	}
	f, err := os.ReadFile(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := exception(t, d.Path); int(e.ThreadID) != d.Peer.PID || e.Code != 11 {
		t.Errorf("exception %#x of thread %d of a dump of %d, %d bytes", e.Code, e.ThreadID, d.Peer.PID, len(f))
	}
}

// TestSilent checks that silent clients don't prevent dumps, and that a process has a limited number of connections.
func TestSilent(t *testing.T) {
	v := serve(t, Options{})
	var silent []*os.File
	for range maxPerProcess {
		silent = append(silent, v.dial())
	}
	one := v.dial()
	ends(t, one)
	v.waitFor(ErrFull)
	v.served()
	silent[0].Close()
	for range 500 { // its place is free again
		c, err := Dial(v.path)
		if err != nil {
			t.Fatal(err)
		}
		err = c.Ping()
		c.Close()
		if err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("no connection when another one is closed")
}

// TestFlood makes ten thousand connections, some of which stay open, while other clients are dumped. At the end the server has
// no more goroutines and descriptors than its limits allow.
func TestFlood(t *testing.T) {
	victims.SkipEmulated(t, "ten thousand connections take minutes there")
	v := serve(t, Options{})
	v.served()
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	flooded := make(chan error, 1)
	go func() {
		kept := make([]int, 100)
		for i := range kept {
			kept[i] = -1
		}
		var failed error
		for i := range 10_000 {
			fd, err := unixsocket.Connect(v.path, unix.SOCK_SEQPACKET, 0)
			if err != nil {
				failed = err
				break
			}
			if i%3 == 0 {
				_ = unix.Sendto(fd, []byte("no message"), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, nil)
			}
			old := &kept[i%len(kept)]
			if *old >= 0 {
				unix.Close(*old)
			}
			*old = fd
		}
		for _, fd := range kept {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
		flooded <- failed
	}()
	for ended := false; !ended; {
		v.served()
		select {
		case err := <-flooded:
			if ended = true; err != nil {
				t.Error(err)
			}
		default:
		}
	}
	v.served()
	const slack = 16
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		g, d := runtime.NumGoroutine(), openDescriptors(t)
		if g <= goroutines+slack && d <= descriptors+slack {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines and %d descriptors; before %d and %d", g, d, goroutines, descriptors)
		}
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestGarbage sends packets that are not messages.
func TestGarbage(t *testing.T) {
	v := serve(t, Options{})
	for _, b := range [][]byte{{}, {1}, make([]byte, 7), appendMessage(nil, kindUser, []byte("x"))[:8],
		append(appendMessage(nil, kindPing, nil), 0), make([]byte, maxPacket+1)} {
		f := v.dial()
		raw, err := f.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var sent error
		raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4*maxPacket)
			sent = unix.Sendmsg(int(fd), b, nil, nil, unix.MSG_NOSIGNAL)
		})
		if sent != nil {
			t.Logf("%d bytes: %v", len(b), sent) // a user that may not set the size of the buffer
			continue
		}
		ends(t, f)
	}
	v.waitFor(ErrProtocol)
	// A crash context of a length that no architecture has: the dump is attempted without it, but is of this process,
	// which can't stop itself.
	f := v.dial()
	if _, err := f.Write(appendMessage(nil, kindCrash, []byte("short"))); err != nil {
		t.Fatal(err)
	}
	if d := v.next(); !errors.Is(d.Err, minidump.ErrSelf) || d.Path != "" {
		t.Errorf("%+v", d)
	}
	b := make([]byte, 64)
	if n, err := f.Read(b); err != nil || string(b[:n]) != string(appendMessage(nil, kindCrashAck, nil)) {
		t.Errorf("% x, %v", b[:n], err)
	}
	// Messages that the server ignores.
	for _, kind := range []uint32{kindCrashAck, kindPong} {
		f.Write(appendMessage(nil, kind, []byte("x")))
	}
	v.served()
}

// openFiles returns how many descriptors this process has, including the one of the folder listing itself.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestDescriptors sends more descriptors than the server accepts.
func TestDescriptors(t *testing.T) {
	v := serve(t, Options{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	before := openFiles(t)
	for _, n := range []int{2, 8, 253} {
		f := v.dial()
		raw, err := f.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var fds []int
		for range n {
			fds = append(fds, int(w.Fd()))
		}
		var sent error
		raw.Control(func(fd uintptr) {
			sent = unix.Sendmsg(int(fd), make([]byte, 1616), unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
		})
		if sent != nil {
			t.Fatal(sent)
		}
		ends(t, f)
		f.Close()
	}
	w.Close()
	if n, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the pipe is still open: %d, %v", n, err)
	}
	for try := 0; openFiles(t) > before-1; try++ {
		if try == 500 {
			t.Fatalf("%d descriptors, %d before", openFiles(t), before)
		}
		time.Sleep(10 * time.Millisecond)
	}
	v.served()
}

// TestUnread checks that a client that does not read its answers is disconnected.
func TestUnread(t *testing.T) {
	v := serve(t, Options{})
	f := v.dial()
	f.SetWriteDeadline(time.Now().Add(20 * time.Second))
	ping := appendMessage(nil, kindPing, nil)
	for {
		if _, err := f.Write(ping); err != nil {
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Error(err)
			}
			break
		}
	}
	v.waitFor(unix.EAGAIN)
	v.served()
}

// TestShared checks that a client of a shared socket that sends garbage does not end the service for the others.
func TestShared(t *testing.T) {
	for _, crashpad := range []bool{false, true} {
		v := serve(t, Options{})
		server, clients := pair(t)
		end := make(chan error, 1)
		go func() {
			if crashpad {
				end <- v.ServeCrashpad(server, true)
			} else {
				end <- v.ServeBreakpad(server)
			}
		}()
		if _, err := clients.Write([]byte("garbage")); err != nil {
			t.Fatal(err)
		}
		v.waitFor(ErrProtocol)
		if crashpad {
			if _, err := clients.Write(request40(1, typeCheckCredentials)); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 64)
			if n, err := clients.Read(b); err != nil || n != 8 {
				t.Errorf("% x, %v", b[:max(n, 0)], err)
			}
		}
		clients.Close()
		if err := <-end; err != nil {
			t.Error(err)
		}
	}
}

// TestOtherUser checks that a process of another user is refused, and is dumped if Allow permits it.
func TestOtherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start a process of another user")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, allowed := range []bool{false, true} {
		o := Options{}
		if allowed {
			o.Allow = func(p Peer) bool { return p.UID == 65534 }
		}
		v := serve(t, o)
		copied := filepath.Join(v.dir, "client")
		b, err := os.ReadFile(program)
		if err == nil {
			err = os.WriteFile(copied, b, 0o755)
		}
		if err = errors.Join(err, os.Chmod(v.dir, 0o755), os.Chmod(v.path, 0o666)); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(copied, v.path)
		cmd.Env = []string{asClient + "=1"}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if !allowed {
			if err := cmd.Wait(); err == nil {
				t.Error("the client was served")
			}
			v.waitFor(ErrRefused)
			continue
		}
		d := v.next()
		if err := cmd.Wait(); err != nil || d.Err != nil || d.Peer.UID != 65534 || d.Peer.PID != cmd.Process.Pid {
			t.Errorf("%+v, %v", d, err)
		}
	}
}

// dumpFiles returns the names of the dumps in the folder.
func (v *service) dumpFiles() (names []string) {
	entries, _ := os.ReadDir(v.dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), dumpfile.Ext) {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestBounds checks the limits of the dumps of one process and of the dumps that are kept.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     Options
		ok    int // of three dumps
		files int
	}{
		{"names", Options{}, 3, 3},
		{"process", Options{PerProcess: 2}, 2, 2},
		{"keep", Options{Keep: 1}, 3, 1},
		{"disk", Options{KeepFree: 1 << 62}, 0, 0},
		{"size", Options{Dump: minidump.Options{Limit: 100}}, 0, 0},
		{"name", Options{FileName: func(Peer, string) string { return "../x.dmp" }}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := serve(t, c.o)
			cmd := v.goClient("3")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ok := 0
			for range 3 {
				if d := v.next(); d.Err == nil {
					ok++
				} else if d.Path != "" {
					t.Errorf("%s is the path of no dump: %v", d.Path, d.Err)
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			if files := v.dumpFiles(); ok != c.ok || len(files) != c.files {
				t.Errorf("%d dumps of %d, files %q of %d", ok, c.ok, files, c.files)
			}
		})
	}
}

// TestListen checks Listen at paths where something already exists.
func TestListen(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "mds-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := Listen(path); err == nil {
		t.Error("two listeners at one path")
	}
	l.socket.File.Close() // as if the server had been killed
	if l, err = Listen(path); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil {
		t.Error("a file was replaced")
	}
	name := "@minidump-test-" + strconv.Itoa(os.Getpid())
	if l, err = Listen(name); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(name); err != nil {
		t.Error(err)
	}
	l.Close()
	if _, err := Dial(name); err == nil {
		t.Error("connected to no one")
	}
}

// pass sends a packet of the size of Breakpad's over a connection, with a file, which it closes.
func pass(t *testing.T, f, file *os.File) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var sent error
	raw.Control(func(fd uintptr) {
		sent = unix.Sendmsg(int(fd), make([]byte, 1616), unix.UnixRights(int(file.Fd())), nil, unix.MSG_NOSIGNAL)
	})
	file.Close()
	if sent != nil {
		t.Fatal(sent)
	}
}

// TestStuck checks that no descriptors are accepted while earlier ones can't be closed, and that their senders
// continue.
func TestStuck(t *testing.T) {
	v := serve(t, Options{})
	clientFiles.stuck.Store(maxStuck)
	defer clientFiles.stuck.Store(0)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f := v.dial()
	pass(t, f, w)
	if n, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the pipe: %d, %v", n, err)
	}
	ends(t, f)
	v.waitFor(ErrProtocol)
	v.served()
}

// TestForeignFiles passes descriptors that are not pipes.
func TestForeignFiles(t *testing.T) {
	v := serve(t, Options{})
	a, b := pair(t)
	f := v.dial()
	pass(t, f, a)
	if d := v.next(); !errors.Is(d.Err, minidump.ErrSelf) || d.Protocol != Breakpad {
		t.Errorf("%+v", d)
	}
	if n, err := b.Read(make([]byte, 1)); err != io.EOF || n != 0 { // the last end of the other socket is closed
		t.Errorf("the socket: %d, %v", n, err)
	}
}

// TestShutdown shuts down a server with a silent client and one that is being dumped, which gets its answer.
func TestShutdown(t *testing.T) {
	hold := make(chan struct{})
	dir, err := os.MkdirTemp("/tmp", "mds-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	reached := make(chan struct{})
	s, err := New(Options{Dir: dir, OnDump: func(Dump) { close(reached); <-hold }})
	if err != nil {
		t.Fatal(err)
	}
	v := &service{Server: s, t: t, path: filepath.Join(dir, "s")}
	l, err := Listen(v.path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	silent := v.dial()
	cmd := v.goClient("1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-reached
	short, cancel := stdcontext.WithTimeout(stdcontext.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(short); !errors.Is(err, stdcontext.DeadlineExceeded) {
		t.Errorf("a shutdown during a dump: %v", err)
	}
	ends(t, silent)
	close(hold)
	if err := s.Shutdown(stdcontext.Background()); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the client that was dumped: %v", err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := s.Serve(l); !errors.Is(err, ErrClosed) {
		t.Errorf("Serve afterwards: %v", err)
	}
}
