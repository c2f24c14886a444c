package server

import (
	"bytes"
	stdcontext "context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/context"
	_ "minidump/context/insn"
	"minidump/internal/victims"
	"minidump/stream"
)

// service is a server and what it has reported.
type service struct {
	*Server
	t     *testing.T
	dir   string
	path  string // of its socket
	dumps chan Dump

	mu       sync.Mutex
	errs     []error
	messages []string
	gone     int
}

// serve starts a server that ends with the test.
func serve(t *testing.T, o Options) *service {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "mds-") // the path of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	v := &service{t: t, dir: dir, path: filepath.Join(dir, "socket"), dumps: make(chan Dump, 1000)}
	o.Dir, o.Dump.StopTimeout = dir, 20*time.Second
	o.OnDump = func(d Dump) { v.dumps <- d }
	o.OnError = func(p Peer, err error) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.errs = append(v.errs, err)
	}
	o.OnMessage = func(p Peer, kind uint32, message []byte) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.messages = append(v.messages, fmt.Sprintf("%d %d %s", p.PID, kind, message))
	}
	o.OnDisconnect = func(Peer) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.gone++
	}
	if v.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(v.path)
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
		if _, err := os.Lstat(v.path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	})
	return v
}

// next returns the next dump.
func (v *service) next() Dump {
	v.t.Helper()
	select {
	case d := <-v.dumps:
		return d
	case <-time.After(30 * time.Second):
		v.t.Fatalf("no dump; errors: %v", v.errors())
		panic("not reached")
	}
}

func (v *service) errors() []error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]error(nil), v.errs...)
}

// waitFor waits until an error of the server wraps want.
func (v *service) waitFor(want error) {
	v.t.Helper()
	for range 1000 {
		if errors.Is(errors.Join(v.errors()...), want) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	v.t.Errorf("no error %q in %v", want, v.errors())
}

// pair returns a socket pair: the server's end and the clients'.
func pair(t *testing.T) (server, clients *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil { // as the programs that make such a pair do
		t.Fatal(err)
	}
	server, clients = os.NewFile(uintptr(fds[0]), "server"), os.NewFile(uintptr(fds[1]), "clients")
	t.Cleanup(func() { server.Close(); clients.Close() })
	return server, clients
}

// exception reads the exception stream of a dump.
func exception(t *testing.T, path string) (e stream.Exception, record []byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("%s has mode %v", path, info.Mode())
	}
	d, err := stream.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	if e, err = d.Exception(); err != nil {
		t.Fatal(err)
	}
	record = make([]byte, e.Context.DataSize)
	if _, err := f.ReadAt(record, int64(e.Context.RVA)); err != nil {
		t.Fatal(err)
	}
	return e, record
}

// crashes are the crashes of crashclient.c, with their exceptions.
var crashes = []struct {
	how     string
	code    uint32
	address uint64
	reason  string // of minidump-stackwalk
}{
	{"segv", context.SIGSEGV, 0x45, "SIGSEGV / SEGV_MAPERR"},
	{"abort", context.SIGABRT, 0, "SIGABRT / SI_TKILL"},
	{"fpe", context.SIGFPE, 0, "SIGFPE / SI_TKILL"},
	{"request", minidump.DumpRequested, 0, ""},
}

// servePair serves one end of a socket pair by a protocol, and returns the clients' end and a channel for the server's
// result.
func (v *service) servePair(protocol string) (clients *os.File, end <-chan error) {
	server, clients := pair(v.t)
	served := make(chan error, 1)
	go func() {
		if protocol == "breakpad" {
			served <- v.ServeBreakpad(server)
		} else {
			served <- v.ServeCrashpad(server, protocol == "crashpad-shared")
		}
	}()
	return clients, served
}

// crashed returns the dump of a client. The client must exit without an error. end must deliver a nil error from the
// server, unless end is nil because the server also serves others.
func (v *service) crashed(cmd *exec.Cmd, end <-chan error) Dump {
	v.t.Helper()
	d := v.next()
	if err := cmd.Wait(); err != nil {
		v.t.Errorf("the client: %v", err)
	}
	if end != nil {
		if err := <-end; err != nil {
			v.t.Errorf("serve: %v", err)
		}
	}
	return d
}

// TestCrashes crashes real programs with each protocol for C programs, in the main thread and in another one.
func TestCrashes(t *testing.T) {
	program := victims.C(t, "crashclient.c", "-pthread")
	for _, protocol := range []string{"breakpad", "breakpad to the socket", "crashpad", "crashpad-shared"} {
		for _, c := range crashes {
			for _, thread := range []string{"", "thread"} {
				t.Run(strings.Join([]string{protocol, c.how, thread}, " "), func(t *testing.T) {
					v := serve(t, Options{})
					name, isSocket := strings.CutSuffix(protocol, " to the socket")
					cmd := exec.Command(program, name, "3", c.how)
					if thread != "" {
						cmd.Args = append(cmd.Args, thread)
					}
					var end <-chan error
					if isSocket {
						cmd.Args[2] = v.path
					} else {
						var clients *os.File
						clients, end = v.servePair(name)
						cmd.ExtraFiles = []*os.File{clients}
						defer clients.Close()
					}
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					for _, f := range cmd.ExtraFiles {
						f.Close()
					}
					d := v.crashed(cmd, end)
					checkCrash(t, d, cmd.Process.Pid, thread != "", c.code, c.address)
					if c.reason != "" {
						checkStackwalk(t, d.Path, c.reason, c.how == "segv")
					}
					if errs := v.errors(); len(errs) > 0 {
						t.Errorf("errors: %v", errs)
					}
				})
			}
		}
	}
}

// TestCrashpadInfo crashes clients with a CrashpadInfo, and checks that its contents are in the dump, as far as the
// client allows.
func TestCrashpadInfo(t *testing.T) {
	program := victims.C(t, "crashclient.c", "-pthread")
	version := stream.AnnotationObjectInfo{Name: "version", Type: stream.AnnotationTypeString, Value: []byte("1.2.3")}
	number := stream.AnnotationObjectInfo{Name: "number", Type: 0x8001, Value: []byte{7, 0, 9}}
	product, last := stream.Annotation{Key: "product", Value: "a client"}, stream.Annotation{Key: "last", Value: "of all"}
	for _, c := range []struct {
		kind    string
		simple  []stream.Annotation
		objects []stream.AnnotationObjectInfo
		memory  bool
		refused bool
	}{
		{"all", []stream.Annotation{product, last}, []stream.AnnotationObjectInfo{version, number}, true, false},
		{"sanitized", []stream.Annotation{product}, []stream.AnnotationObjectInfo{version}, false, false},
		{"own", []stream.Annotation{product}, []stream.AnnotationObjectInfo{version}, false, false},
		{"foreign", nil, nil, false, true},
		{"disabled", nil, nil, false, true},
	} {
		t.Run(c.kind, func(t *testing.T) {
			v := serve(t, Options{Dump: minidump.Options{Annotations: []minidump.Annotation{{Key: "product", Value: "server"}}}})
			clients, end := v.servePair("crashpad")
			cmd := exec.Command(program, "crashpad", "3", "segv")
			cmd.Env = append(os.Environ(), "CRASHPAD_INFO="+c.kind)
			cmd.ExtraFiles = []*os.File{clients}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			clients.Close()
			if c.refused {
				if d := v.next(); !errors.Is(d.Err, ErrRefused) || d.Path != "" {
					t.Errorf("%q, %v", d.Path, d.Err)
				}
				cmd.Wait()
				<-end
				return
			}
			d := v.crashed(cmd, end)
			checkCrash(t, d, cmd.Process.Pid, false, context.SIGSEGV, 0x45)
			b, err := os.ReadFile(d.Path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			info, err := f.CrashpadInfo()
			if err != nil || len(info.Modules) != 1 || len(info.Annotations) != 1 {
				t.Fatalf("%+v, %v", info, err)
			}
			m := info.Modules[0]
			if !reflect.DeepEqual(m.Simple, c.simple) || !reflect.DeepEqual(m.Objects, c.objects) {
				t.Errorf("annotations %v, %v", m.Simple, m.Objects)
			}
			modules, err := f.Modules()
			if err != nil || filepath.Base(modules[m.ModuleIndex].Name) != "crashclient" {
				t.Errorf("they are of module %d, %v", m.ModuleIndex, err)
			}
			user, _ := f.Stream(0x12345678)
			if bytes.Contains(b, []byte("extra memory of this client")) != c.memory ||
				(string(user) == "a stream of this client\x00") != c.memory {
				t.Errorf("stream %q", user)
			}
			for _, p := range stream.Problems(f) {
				t.Error(p)
			}
		})
	}
}

// TestNamespace crashes clients in their own pid namespace, where their ids differ.
func TestNamespace(t *testing.T) {
	program := victims.C(t, "crashclient.c", "-pthread")
	for _, protocol := range []string{"breakpad", "crashpad", "crashpad-shared"} {
		for _, thread := range []string{"", "thread"} {
			t.Run(protocol+" "+thread, func(t *testing.T) {
				v := serve(t, Options{})
				clients, end := v.servePair(protocol)
				cmd := exec.Command(program, protocol, "3", "segv")
				if thread != "" {
					cmd.Args = append(cmd.Args, thread)
				}
				cmd.ExtraFiles = []*os.File{clients}
				cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
				if err := cmd.Start(); err != nil {
					t.Skipf("a pid namespace: %v", err)
				}
				clients.Close()
				d := v.crashed(cmd, end)
				checkCrash(t, d, cmd.Process.Pid, thread != "", context.SIGSEGV, 0x45)
			})
		}
	}
}

// TestYama checks that the server asks a Crashpad client for permission to trace it.
func TestYama(t *testing.T) {
	program := victims.C(t, "crashclient.c", "-pthread")
	old := ptraceScope
	ptraceScope = filepath.Join(t.TempDir(), "ptrace_scope")
	defer func() { ptraceScope = old }()
	if err := os.WriteFile(ptraceScope, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := serve(t, Options{})
	server, clients := pair(t)
	end := make(chan error, 1)
	go func() { end <- v.ServeCrashpad(server, false) }()
	cmd := exec.Command(program, "crashpad", "3", "segv")
	cmd.ExtraFiles = []*os.File{clients}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	clients.Close()
	d := v.next()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the client: %v", err)
	}
	if err := <-end; err != nil {
		t.Errorf("serve: %v", err)
	}
	checkCrash(t, d, cmd.Process.Pid, false, context.SIGSEGV, 0x45)
}

// checkCrash checks that a dump is of the process pid and its crash.
func checkCrash(t *testing.T, d Dump, pid int, thread bool, code uint32, address uint64) {
	t.Helper()
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	if d.Peer.PID != pid || d.Crash == nil || !d.Crash.HasContext || d.Result.Stopped != d.Result.Threads {
		t.Errorf("dump of %+v, with registers %v, %d of %d threads stopped", d.Peer, d.Crash != nil && d.Crash.HasContext, d.Result.Stopped,
			d.Result.Threads)
	}
	if want := "crashclient." + strconv.Itoa(pid) + "."; !strings.HasPrefix(filepath.Base(d.Path), want) || filepath.Ext(d.Path) != ".dmp" {
		t.Errorf("path %s, not %s…", d.Path, want)
	}
	e, record := exception(t, d.Path)
	if e.Code != code || address != 0 && e.Address != address || (int(e.ThreadID) != pid) != thread {
		t.Errorf("exception %#x at %#x of thread %d, process %d", e.Code, e.Address, e.ThreadID, pid)
	}
	if !bytes.Equal(record, d.Crash.Record()) {
		t.Error("the registers in the dump are not those of the crash")
	}
}

// checkStackwalk checks what minidump-stackwalk reads in a dump.
func checkStackwalk(t *testing.T, path, reason string, writes bool) {
	t.Helper()
	var r struct {
		Crash struct {
			Type    string `json:"type"`
			Address string `json:"address"`
		} `json:"crash_info"`
		Thread struct {
			Frames []struct {
				Module string `json:"module"`
				Trust  string `json:"trust"`
			} `json:"frames"`
		} `json:"crashing_thread"`
	}
	out := victims.Output(t, victims.Tool(t, "minidump-stackwalk"), "--json", path)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r.Crash.Type, reason) || len(r.Thread.Frames) == 0 {
		t.Fatalf("minidump-stackwalk: %+v", r)
	}
	if f := r.Thread.Frames[0]; writes && (f.Module != "crashclient" || f.Trust != "context" || !strings.HasSuffix(r.Crash.Address, "45")) {
		t.Errorf("minidump-stackwalk: at %s in %+v", r.Crash.Address, f)
	}
}

// TestMinidumper crashes clients of both versions of the crate minidumper, with all the signals that crash-handler
// handles.
func TestMinidumper(t *testing.T) {
	if context.Native != context.AMD64 {
		t.Skip("the client uses amd64 instructions")
	}
	for _, program := range []string{"minidumper-client-0-10", "minidumper-client-0-11"} {
		program := victims.Tool(t, program)
		for _, c := range []struct {
			how     string
			code    uint32
			address uint64 // 0: any
			reason  string // of minidump-stackwalk
		}{
			{"segv", context.SIGSEGV, 0x45, "SIGSEGV / SEGV_MAPERR"},
			{"abort", context.SIGABRT, 0, "SIGABRT / SI_TKILL"},
			{"stack", context.SIGSEGV, 0, "SIGSEGV / SEGV_"},
			{"illegal", context.SIGILL, 0, "SIGILL / ILL_ILLOPN"},
			{"trap", context.SIGTRAP, 0, "SIGTRAP"},
			{"fpe", context.SIGFPE, 0, "SIGFPE / FPE_INTDIV"},
			{"bus", context.SIGBUS, 0, "SIGBUS / BUS_ADRERR"},
			{"noncanonical", context.SIGSEGV, 0xdead0000beef0000, "SIGSEGV"},
			{"request", context.SIGSEGV, 0, "SIGSEGV"},
		} {
			for _, thread := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s %v", filepath.Base(program), c.how, thread), func(t *testing.T) {
					v := serve(t, Options{})
					cmd := exec.Command(program, v.path, c.how)
					if thread {
						cmd.Args = append(cmd.Args, "thread")
					}
					var out strings.Builder
					cmd.Stdout = &out
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					d := v.next()
					_ = cmd.Wait() // killed by a signal, or the client's status after a signal that it has handled
					if out.String() != "answered: true\n" {
						t.Errorf("the client printed %q", &out)
					}
					if d.Err != nil || d.Protocol != Minidumper || d.Peer.PID != cmd.Process.Pid || d.Crash == nil {
						t.Fatalf("%+v", d)
					}
					e, record := exception(t, d.Path)
					if e.Code != c.code || c.address != 0 && e.Address != c.address || (int(e.ThreadID) != d.Peer.PID) != thread ||
						!bytes.Equal(record, d.Crash.Record()) {
						t.Errorf("exception %#x at %#x of thread %d, process %d", e.Code, e.Address, e.ThreadID, d.Peer.PID)
					}
					checkStackwalk(t, d.Path, c.reason, false)
					v.mu.Lock()
					defer v.mu.Unlock()
					want := fmt.Sprintf("%d 7 hello,%d 0 ", d.Peer.PID, d.Peer.PID)
					if got := strings.Join(v.messages, ","); got != want || len(v.errs) > 0 {
						t.Errorf("messages %q, not %q; errors %v", got, want, v.errs)
					}
				})
			}
		}
	}
}
