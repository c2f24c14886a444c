package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"minidump/mach"
	"minidump/stream"
)

// clientVariable is the environment variable that makes the test program a client: what it does, and the server's
// path.
const clientVariable = "MINIDUMP_SERVER_CLIENT"

func TestMain(m *testing.M) {
	if value, ok := os.LookupEnv(clientVariable); ok {
		kind, path, _ := strings.Cut(value, " ")
		if err := clients[kind](path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("done")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// clients are the kinds of client process.
var clients = map[string]func(path string) error{
	"ours": func(path string) error {
		c, err := Dial(path)
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		runtime.LockOSThread()
		self := mach.ThreadSelf()
		defer mach.PortDeallocate(self)
		fmt.Println("thread", uint32(mach.ThreadID()))
		return errors.Join(c.Ping(), c.Send(7, []byte("hello")), c.Send(8, nil), c.RequestDump(ctx, nil), c.Ping(),
			c.RequestDump(ctx, AppendDumpRequest(nil, self, mach.EXC_BAD_ACCESS, uint64(mach.KERN_INVALID_ADDRESS), 0x88)),
			c.RequestDump(ctx, AppendDumpRequest(nil, self, mach.EXC_BREAKPOINT, 1)))
	},
	"crate": func(path string) error { // sends the bytes that minidumper sends
		s, service, err := hello(path)
		if err != nil {
			return err
		}
		defer s.Close()
		answer, err := ask(service, mach.TaskSelf())
		if err != nil || answer != 1 {
			return fmt.Errorf("answer %d, %w", answer, err)
		}
		return nil
	},
	"silent": func(path string) error { // is not connected
		service, kr := mach.BootstrapLookUp(path)
		if kr != mach.KERN_SUCCESS {
			return kr
		}
		return expectRefusal(service, mach.TaskSelf())
	},
	"other": func(path string) error { // requests a dump of the server
		s, service, err := hello(path)
		if err != nil {
			return err
		}
		defer s.Close()
		task, kr := mach.TaskForPID(os.Getppid())
		if kr != mach.KERN_SUCCESS {
			return kr
		}
		return errors.Join(expectRefusal(service, task), expectRefusal(service, service))
	},
	"liar": func(path string) error { // claims to be another process
		s, err := net.Dial("unix", path)
		if err != nil {
			return err
		}
		defer s.Close()
		if _, err := s.Write([]byte{0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0}); err != nil {
			return err
		}
		s.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := s.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("it is believed: %w", err)
		}
		return nil
	},
	"noise": noise,
	"many": func(path string) error {
		c, err := Dial(path)
		if err != nil {
			return err
		}
		defer c.Close()
		for n := 0; ; n++ {
			if err := c.RequestDump(context.Background(), nil); err != nil {
				if n != 2 {
					return fmt.Errorf("%d dumps: %w", n, err)
				}
				return nil
			}
		}
	},
}

// hello connects as minidumper's client does.
func hello(path string) (s net.Conn, service mach.Port, err error) {
	if s, err = net.Dial("unix", path); err != nil {
		return nil, 0, err
	}
	service, kr := mach.BootstrapLookUp(path)
	if kr != mach.KERN_SUCCESS {
		return nil, 0, kr
	}
	m := binary.LittleEndian.AppendUint32([]byte{0, 0, 0, 0, 4, 0, 0, 0}, uint32(os.Getpid()))
	for _, b := range m { // a stream may deliver the message in pieces
		if _, err := s.Write([]byte{b}); err != nil {
			return nil, 0, err
		}
	}
	var answer [1]byte
	if _, err := s.Read(answer[:]); err != nil || answer[0] != 1 {
		return nil, 0, fmt.Errorf("answer %d: %w", answer[0], err)
	}
	return s, service, nil
}

// ask sends the request of crash-context's ipc.rs and returns the number in the answer.
func ask(service, task mach.Port) (uint32, error) {
	o := binary.LittleEndian
	back, kr := mach.PortAllocate(mach.MACH_PORT_RIGHT_RECEIVE)
	if kr != mach.KERN_SUCCESS {
		return 0, kr
	}
	mach.PortInsertRight(back, back, mach.MACH_MSG_TYPE_MAKE_SEND)
	self := mach.ThreadSelf()
	m := make([]byte, 100)
	o.PutUint32(m, 0x80000013)
	o.PutUint32(m[4:], 100)
	o.PutUint32(m[8:], uint32(service))
	m[24] = 4
	for i, p := range []mach.Port{task, self, self, back} {
		o.PutUint32(m[28+12*i:], uint32(p))
		m[28+12*i+10] = 19 // MACH_MSG_TYPE_COPY_SEND
	}
	o.PutUint32(m[76:], 3)
	o.PutUint32(m[80:], 1) // EXC_BAD_ACCESS
	o.PutUint64(m[84:], 2) // KERN_PROTECTION_FAILURE
	o.PutUint64(m[92:], 0x123456789abc)
	if kr := mach.Send(m, 1000); kr != mach.KERN_SUCCESS {
		return 0, kr
	}
	var in [28 + 8]byte // as long as the crate's: without room for another trailer
	if kr := mach.Receive(back, in[:], 0, 20000); kr != mach.KERN_SUCCESS {
		return 0, kr
	}
	if o.Uint32(in[4:]) != 28 || o.Uint32(in[20:]) != 0 {
		return 0, fmt.Errorf("answer %x", in)
	}
	return o.Uint32(in[24:]), nil
}

func expectRefusal(service, task mach.Port) error {
	answer, err := ask(service, task)
	if err == nil && answer != 0 {
		err = errors.New("a dump was made")
	}
	return err
}

// noise sends messages that the protocol does not have to the service and to the socket.
func noise(path string) error {
	_, service, err := hello(path)
	if err != nil {
		return err
	}
	o := binary.LittleEndian
	for size := 24; size <= 4096; size = size*3/2 + 4 {
		for _, bits := range []uint32{0x13, 0x1513} {
			m := make([]byte, size)
			o.PutUint32(m, bits)
			o.PutUint32(m[4:], uint32(size))
			o.PutUint32(m[8:], uint32(service))
			if bits > 0xff {
				o.PutUint32(m[12:], uint32(mach.ReplyPort()))
			}
			if kr := mach.Send(m, 5000); kr != mach.KERN_SUCCESS {
				return fmt.Errorf("%d bytes: %w", size, kr)
			}
		}
	}
	if err := wrongCount(service); err != nil {
		return err
	}
	for _, b := range [][]byte{{1, 2, 3}, {0, 0, 0, 0, 255, 255, 255, 255}, {0, 0, 0, 0, 8, 0, 0, 0, 1}, {2, 0, 0, 0, 9}} {
		s, err := net.Dial("unix", path)
		if err != nil {
			return err
		}
		_, _ = s.Write(b)
		s.Close()
	}
	answer, err := ask(service, mach.TaskSelf())
	if err == nil && answer != 1 {
		err = errors.New("no dump after the noise")
	}
	return err
}

// wrongCount sends a request with only one right.
func wrongCount(service mach.Port) error {
	m := make([]byte, 100)
	o := binary.LittleEndian
	o.PutUint32(m, 0x80000013)
	o.PutUint32(m[4:], 100)
	o.PutUint32(m[8:], uint32(service))
	m[24] = 1
	mach.PutPortDescriptor(m[28:], mach.TaskSelf(), mach.MACH_MSG_TYPE_COPY_SEND)
	if kr := mach.Send(m, 5000); kr != mach.KERN_SUCCESS {
		return kr
	}
	return nil
}

// served is a server for one test, and what its hooks have received.
type served struct {
	*Server
	path   string
	dumps  chan Dump
	errs   chan error
	said   chan string
	served chan error
}

func serve(t *testing.T, o Options) *served {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") // a path of t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &served{path: filepath.Join(dir, "socket"), dumps: make(chan Dump, 100), errs: make(chan error, 1000),
		said: make(chan string, 100), served: make(chan error, 1)}
	o.Dir = dir
	o.OnDump = func(d Dump) { s.dumps <- d }
	o.OnError = func(p Peer, err error) { s.errs <- err }
	o.OnMessage = func(p Peer, kind uint32, m []byte) { s.said <- fmt.Sprintf("%d %s", kind, m) }
	if s.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(s.path)
	if err != nil {
		t.Fatal(err)
	}
	go func() { s.served <- s.Serve(l) }()
	t.Cleanup(func() { s.stop(t) })
	return s
}

// stop shuts the server down.
func (s *served) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	select {
	case err := <-s.served:
		if err != nil {
			t.Error(err)
		}
		s.served <- nil
	case <-ctx.Done():
		t.Error("Serve has not ended")
	}
}

// client runs a client until it ends.
func (s *served) client(t *testing.T, kind string) (pid int, out string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe)
	c.Env = append(os.Environ(), clientVariable+"="+kind+" "+s.path)
	b, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", kind, err, b)
	}
	return c.Process.Pid, string(b)
}

// dump returns the next dump and its exception.
func (s *served) dump(t *testing.T) (Dump, stream.Exception) {
	t.Helper()
	d := <-s.dumps
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	b, err := os.ReadFile(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Error(p)
	}
	e, err := f.Exception()
	if err != nil {
		t.Fatal(err)
	}
	return d, e
}

func TestClient(t *testing.T) {
	s := serve(t, Options{})
	pid, out := s.client(t, "ours")
	var thread uint32
	if _, err := fmt.Sscanf(out, "thread %d", &thread); err != nil {
		t.Fatal(out)
	}
	for _, want := range []struct {
		code    uint32
		address uint64
	}{{0x43507378, 0}, {1, 0x88}, {6, 0}} {
		d, e := s.dump(t)
		if d.Peer.PID != pid || int(d.Peer.UID) != os.Getuid() || d.Protocol != Minidumper || !strings.HasPrefix(d.Name, "server.test"[:8]) {
			t.Errorf("%+v", d)
		}
		if e.Code != want.code || want.address != 0 && e.Address != want.address || e.ThreadID != thread {
			t.Errorf("exception %+v of thread %d", e, thread)
		}
	}
	if a, b := <-s.said, <-s.said; a != "7 hello" || b != "8 " {
		t.Errorf("%q, %q", a, b)
	}
}

func TestCrate(t *testing.T) {
	s := serve(t, Options{})
	pid, _ := s.client(t, "crate")
	d, e := s.dump(t)
	if d.Peer.PID != pid || e.Code != uint32(mach.EXC_BAD_ACCESS) || e.Flags != 2 || e.Address != 0x123456789abc || d.Result.Threads < 2 {
		t.Errorf("%+v %+v", d, e)
	}
}

func TestRefused(t *testing.T) {
	s := serve(t, Options{})
	for kind, want := range map[string]error{"silent": ErrRefused, "other": ErrRefused, "liar": ErrProtocol} {
		s.client(t, kind)
		var err error
		if kind == "liar" {
			err = <-s.errs
		} else {
			d := <-s.dumps
			err = d.Err
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", kind, err)
		}
		for len(s.dumps) > 0 {
			if d := <-s.dumps; d.Err == nil {
				t.Errorf("%s: %+v", kind, d)
			}
		}
	}
}

func TestNoise(t *testing.T) {
	s := serve(t, Options{})
	rights := countRights(t)
	for range 3 {
		s.client(t, "noise")
		if d := <-s.dumps; d.Err != nil {
			t.Error(d.Err)
		}
	}
	for len(s.errs) > 0 {
		if err := <-s.errs; !errors.Is(err, ErrProtocol) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	}
	for end := time.Now().Add(5 * time.Second); countRights(t) > rights && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond) // the rights of the last message are released after its answer
	}
	if now := countRights(t); now > rights {
		t.Errorf("%d rights, %d before", now, rights)
	}
}

// countRights returns the number of port names of this task, from the next free name: the loader of internal/macos allocates
// the lowest.
func countRights(t *testing.T) int {
	t.Helper()
	p := mach.ReplyPort()
	defer mach.PortModRefs(p, mach.MACH_PORT_RIGHT_RECEIVE, -1)
	return int(p >> 8)
}

func TestPerProcess(t *testing.T) {
	s := serve(t, Options{PerProcess: 2})
	s.client(t, "many")
	for range 2 {
		s.dump(t)
	}
	if d := <-s.dumps; !errors.Is(d.Err, ErrFull) {
		t.Error(d.Err)
	}
}

func TestAllow(t *testing.T) {
	s := serve(t, Options{Allow: func(p Peer) bool { return p.PID == os.Getpid() }})
	c, err := Dial(s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	exe, _ := os.Executable()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), clientVariable+"=ours "+s.path)
	if b, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("another process may connect: %s", b)
	}
	// The server also dumps its own process.
	if err := c.RequestDump(context.Background(), nil); err != nil {
		t.Error(err)
	}
	s.dump(t)
}

// TestShutdown checks that after Shutdown the server is gone and a new one can be made at the same path.
func TestShutdown(t *testing.T) {
	s := serve(t, Options{})
	c, err := Dial(s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := Listen(s.path); err == nil {
		t.Error("two servers at one path")
	}
	s.stop(t)
	if err := c.Ping(); err == nil {
		t.Error("an answer after the end")
	}
	for range 2 {
		l, err := Listen(s.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Dial(s.path); err == nil {
		t.Error("a connection to nobody")
	}
}

func FuzzRequest(f *testing.F) {
	var m [requestSize]byte
	r := request{Task: 1, Thread: 2, Handler: 3, Answer: 4, Crashed: true, Exception: mach.EXC_BAD_ACCESS, Codes: []uint64{1, 2}}
	r.put(&m, 5)
	f.Add(m[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		r, ok := parseRequest(b)
		if ok && (len(r.Codes) < 1 || len(r.Codes) > 2) {
			t.Errorf("%+v", r)
		}
		var c request
		_ = c.parseDumpRequest(b)
	})
}

// TestRequest encodes requests into messages and decodes them.
func TestRequest(t *testing.T) {
	for _, r := range []request{
		{Task: 1, Thread: 2, Handler: 3, Answer: 4},
		{Task: 1, Thread: 2, Handler: 3, Answer: 4, Crashed: true, Exception: mach.EXC_GUARD, Codes: []uint64{1 << 63, 2}},
		{Task: 1, Thread: 2, Handler: 3, Answer: 4, Crashed: true, Exception: mach.EXC_BREAKPOINT, Codes: []uint64{7}},
	} {
		var m [requestSize]byte
		r.put(&m, 5)
		got, ok := parseRequest(m[:])
		if !ok || got.Task != 1 || got.Thread != 2 || got.Handler != 3 || got.Answer != 4 || got.Crashed != r.Crashed || got.Exception != r.Exception ||
			r.Crashed && !slices.Equal(got.Codes, r.Codes) {
			t.Errorf("%+v, put as %+v", got, r)
		}
		for _, change := range []func([]byte){
			func(b []byte) { b[24] = 3 },
			func(b []byte) { b[3] = 0 },     // not complex
			func(b []byte) { b[4] = 99 },    // size
			func(b []byte) { b[20] = 1 },    // id
			func(b []byte) { b[28+11] = 1 }, // a descriptor of memory
		} {
			c := m
			change(c[:])
			if _, ok := parseRequest(c[:]); ok {
				t.Errorf("a request that is none: %x", c)
			}
		}
	}
}
