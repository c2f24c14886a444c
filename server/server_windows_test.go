package server

import (
	"bytes"
	stdcontext "context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"minidump"
	"minidump/internal/scratch"
	"minidump/internal/victims"
	"minidump/internal/windows/hook"
	"minidump/stream"
)

// asClient is the environment variable that makes this test binary a client. Its value is what the client does, and the first
// argument is the server's path.
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

// beClient requests dumps. how is the number of dumps, or a kind of false request, or a kind of crash.
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
	ctx, cancel := stdcontext.WithTimeout(stdcontext.Background(), time.Minute)
	defer cancel()
	request := minidump.CrashContext{ProcessID: os.Getpid(), ThreadID: int(windows.GetCurrentThreadId()), ExceptionCode: 0xe0001234}
	switch how {
	case "parent": // a process other than the one that sends the request
		request.ProcessID = os.Getppid()
	case "pointers": // to unreadable memory
		request.ExceptionPointers = 0x10
	case "thread": // that does not exist
		request.ThreadID = 0x7ffffffc
	case "narrow": // of a 32-bit program
		b := AppendDumpRequest(nil, request)
		return c.RequestDump(ctx, append(b[:4:4], b[8:]...))
	case "odd":
		return c.RequestDump(ctx, make([]byte, 17))
	case "code": // no pointers
	default:
		if n, err := strconv.Atoi(how); err == nil {
			for range n {
				err = errors.Join(err, c.RequestDump(ctx, nil))
			}
			return err
		}
		return crash(how, c)
	}
	return c.RequestDump(ctx, AppendDumpRequest(nil, request))
}

// crash crashes on a thread that is unknown to the Go runtime. That thread waits in the hooks while the calling one requests a dump.
func crash(how string, c *Client) error {
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return err
	}
	done, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return err
	}
	report := new(hook.Report)
	self, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(os.Getpid()))
	if err != nil {
		return err
	}
	err = hook.Install(hook.Settings{Report: report, Event: syscall.Handle(event), Done: syscall.Handle(done), Peer: syscall.Handle(self), Timeout: 60000})
	if err != nil {
		return err
	}
	victims.RunForeign(victims.FaultCode(how))
	if e, err := windows.WaitForSingleObject(event, 60000); err != nil || e != windows.WAIT_OBJECT_0 {
		return fmt.Errorf("no crash: %d, %v", e, err)
	}
	err = c.RequestDump(stdcontext.Background(), AppendDumpRequest(nil, minidump.CrashContext{
		ExceptionPointers: report.Pointers, ProcessID: os.Getpid(), ThreadID: int(report.Thread)}))
	if err != nil {
		return err
	}
	_ = windows.SetEvent(done)
	if how == "overflow" {
		return nil // Wine ends the thread, not the process
	}
	select {}
}

// service is a server and what it has reported.
type service struct {
	*Server
	t         *testing.T
	dir, path string
	dumps     chan Dump

	mu       sync.Mutex
	errs     []error
	messages []string
	gone     int
}

// places returns the paths at which the servers of a test listen: of a pipe, and of a socket if Unix domain sockets exist.
func places(t *testing.T) map[string]string {
	t.Helper()
	dir := scratch.Dir(t)
	out := map[string]string{"pipe": pipePrefix + filepath.Base(dir)}
	l, err := net.Listen("unix", filepath.Join(dir, "probe"))
	if err != nil {
		t.Logf("no socket of the Unix domain: %v", err)
		return out
	}
	l.Close()
	out["unix"] = filepath.Join(dir, "socket")
	return out
}

// serve starts a server at path, which ends with the test.
func serve(t *testing.T, path string, o Options) *service {
	t.Helper()
	v := &service{t: t, dir: scratch.Dir(t), path: path, dumps: make(chan Dump, 1000)}
	o.Dir = v.dir
	o.OnDump = func(d Dump) { v.dumps <- d }
	locked := func(f func()) { v.mu.Lock(); defer v.mu.Unlock(); f() }
	o.OnError = func(p Peer, err error) { locked(func() { v.errs = append(v.errs, err) }) }
	o.OnMessage = func(p Peer, kind uint32, message []byte) {
		locked(func() { v.messages = append(v.messages, fmt.Sprintf("%d %d %s", p.PID, kind, message)) })
	}
	o.OnDisconnect = func(Peer) { locked(func() { v.gone++ }) }
	var err error
	if v.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- v.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := stdcontext.WithTimeout(stdcontext.Background(), 20*time.Second)
		defer cancel()
		if err := v.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if c, err := Dial(path); err == nil {
			c.Close()
			t.Error("the server still listens")
		}
	})
	return v
}

func (v *service) errors() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return errors.Join(v.errs...)
}

// waitFor waits until an error of the server wraps want.
func (v *service) waitFor(want error) {
	v.t.Helper()
	for range 1000 {
		if errors.Is(v.errors(), want) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	v.t.Errorf("no error %q in %v", want, v.errors())
}

// next returns the next dump.
func (v *service) next() Dump {
	v.t.Helper()
	select {
	case d := <-v.dumps:
		return d
	case <-time.After(time.Minute):
		v.t.Fatalf("no dump; errors: %v", v.errors())
		panic("not reached")
	}
}

// client runs this test binary as a client, and returns its process id, exit code and output.
func (v *service) client(how string) (pid int, code uint32, out string) {
	v.t.Helper()
	program, err := os.Executable()
	if err != nil {
		v.t.Fatal(err)
	}
	cmd := exec.Command(program, v.path)
	cmd.Env = append(os.Environ(), asClient+"="+how)
	b, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		v.t.Fatal(err)
	}
	return cmd.ProcessState.Pid(), uint32(cmd.ProcessState.ExitCode()), string(b)
}

func open(t *testing.T, path string) *stream.File {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	return f
}

// TestServeGo has Go programs request dumps without a crash.
func TestServeGo(t *testing.T) {
	for name, path := range places(t) {
		t.Run(name, func(t *testing.T) {
			v := serve(t, path, Options{PerProcess: 2})
			pid, code, out := v.client("3")
			if code != 0 {
				t.Fatalf("the client: %d %s", code, out)
			}
			for range 2 {
				d := v.next()
				if d.Err != nil || d.Peer.PID != pid || d.Peer.SID != v.user || d.Crash != nil || d.Protocol != Minidumper || d.Result.Threads < 2 {
					t.Fatalf("%+v", d)
				}
				if _, err := open(t, d.Path).Exception(); err == nil {
					t.Error("an exception without a crash")
				}
			}
			if d := v.next(); !errors.Is(d.Err, ErrFull) {
				t.Errorf("the third one: %+v", d)
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			if want := fmt.Sprintf("%d 3 from Go", pid); len(v.messages) != 1 || v.messages[0] != want {
				t.Errorf("messages %q, not %q", v.messages, want)
			}
		})
	}
}

// TestServeCrashes has Go programs crash in code that is not Go's, and wait in their hooks while they are dumped.
func TestServeCrashes(t *testing.T) {
	for name, path := range places(t) {
		v := serve(t, path, Options{})
		for how, want := range map[string]uint32{
			"load": uint32(windows.STATUS_ACCESS_VIOLATION), "ud2": uint32(windows.STATUS_ILLEGAL_INSTRUCTION),
			"divide": uint32(windows.STATUS_INTEGER_DIVIDE_BY_ZERO), "overflow": uint32(windows.STATUS_STACK_OVERFLOW),
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				victims.SkipFault(t, how)
				pid, code, out := v.client(how)
				d := v.next()
				if d.Err != nil || d.Peer.PID != pid || d.Crash == nil || uint32(d.Crash.Signo) != want || !d.Crash.HasContext {
					t.Fatalf("%+v: %s", d, out)
				}
				if how != "overflow" && code != want {
					t.Errorf("exit code %#x: %s", code, out)
				}
				e, err := open(t, d.Path).Exception()
				if err != nil || e.Code != want || e.ThreadID == 0 || e.Context.DataSize == 0 {
					t.Errorf("%+v %v", e, err)
				}
				if how == "load" && (e.NumberParameters != 2 || e.Information[1] != 0x1230) {
					t.Errorf("parameters %#x", e.Information[:e.NumberParameters])
				}
			})
		}
	}
}

// TestServeRequests has clients send false requests. Each must be answered.
func TestServeRequests(t *testing.T) {
	v := serve(t, places(t)["pipe"], Options{})
	for how, want := range map[string]struct {
		refused bool
		code    uint32
	}{"parent": {true, 0}, "pointers": {false, 0xe0001234}, "code": {false, 0xe0001234}, "narrow": {false, 0xe0001234}, "thread": {false, 0xe0001234}, "odd": {}} {
		t.Run(how, func(t *testing.T) {
			if _, code, out := v.client(how); code != 0 {
				t.Errorf("the client: %d %s", code, out)
			}
			d := v.next()
			if want.refused {
				if !errors.Is(d.Err, ErrRefused) {
					t.Errorf("%+v", d)
				}
				return
			}
			if d.Err != nil {
				t.Fatal(d.Err)
			}
			e, err := open(t, d.Path).Exception()
			if want.code == 0 {
				if err == nil {
					t.Errorf("%+v", e)
				}
				return
			}
			if err != nil || e.Code != want.code {
				t.Errorf("%+v %v", e, err)
			}
		})
	}
}

// raw connects without a Client.
func (v *service) raw() link {
	v.t.Helper()
	c, err := Dial(v.path)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { c.Close() })
	return c.conn.link
}

// TestServeHostile has clients that violate the protocol. None may end the server, or keep it from serving others.
func TestServeHostile(t *testing.T) {
	for name, path := range places(t) {
		t.Run(name, func(t *testing.T) {
			v := serve(t, path, Options{})
			o := binary.LittleEndian
			for _, b := range [][]byte{
				o.AppendUint32(o.AppendUint32(nil, kindCrash), 1<<32-1), // an invalid size
				o.AppendUint32(o.AppendUint32(nil, kindUser), maxPacket),
			} {
				l := v.raw()
				l.Write(b)
				v.waitFor(ErrProtocol)
				if n, err := l.Read(make([]byte, 8)); n != 0 || err == nil {
					t.Errorf("% x: %d bytes, %v: not disconnected", b, n, err)
				}
			}
			for _, b := range []string{"", "\x00", "\x00\x00\x00\x00\x10\x00\x00\x00abc", strings.Repeat("\x03\x00\x00\x00\x00\x00\x00\x00", 100)} {
				l := v.raw()
				io.WriteString(l, b) // and disconnects
				l.Close()
			}
			// A client that sends pings and does not read the answers, until there is no room for them.
			l := v.raw()
			l.SetWriteDeadline(time.Now().Add(30 * time.Second))
			var err error
			for range 200 {
				if _, err = l.Write([]byte(strings.Repeat("\x02\x00\x00\x00\x00\x00\x00\x00", 1000))); err != nil {
					break
				}
			}
			if err == nil {
				t.Error("200,000 pings, and no answer read")
			}
			if _, code, out := v.client("1"); code != 0 || v.next().Err != nil {
				t.Errorf("the next client: %d %s", code, out)
			}
		})
	}
}

// TestServeLimits checks the limits on connections.
func TestServeLimits(t *testing.T) {
	v := serve(t, places(t)["pipe"], Options{})
	for range maxPerProcess {
		c, err := Dial(v.path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Ping(); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Dial(v.path)
	if err == nil {
		if err = c.Ping(); err == nil {
			t.Error("one connection too many")
		}
		c.Close()
	}
	v.waitFor(ErrFull)
	refuses := serve(t, v.path+"2", Options{Allow: func(Peer) bool { return false }})
	if c, err := Dial(refuses.path); err == nil {
		if err := c.Ping(); err == nil {
			t.Error("a client that may not connect")
		}
		c.Close()
	}
	refuses.waitFor(ErrRefused)
}

// TestListen checks what Listen does with a path that exists.
func TestListen(t *testing.T) {
	for name, path := range places(t) {
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := Listen(path); err == nil {
			l.Close()
			t.Errorf("%s: two servers", name)
		}
		l.Close()
		if l, err = ListenAnyUser(path); err != nil {
			t.Errorf("%s: a second time: %v", name, err)
			continue
		}
		c, err := Dial(path)
		if err != nil {
			t.Errorf("%s: of any user: %v", name, err)
		} else {
			c.Close()
		}
		l.Close()
		if err := (&service{}).failing(l); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: Serve at a listener that is closed: %v", name, err)
		}
	}
	file := filepath.Join(scratch.Dir(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(file); err == nil {
		l.Close()
		t.Error("a file was replaced")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func (*service) failing(l *Listener) error {
	s, err := New(Options{Dir: os.TempDir()})
	if err != nil {
		return err
	}
	return s.Serve(l)
}
