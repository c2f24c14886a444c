package unixsocket

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// folder returns a folder with a short name: the path of a socket has at most 107 bytes.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "mdt-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// answers reports whether a server listens at a socket.
func answers(path string) bool {
	fd, err := Connect(path, syscall.SOCK_STREAM, syscall.SOCK_NONBLOCK)
	if err == nil {
		syscall.Close(fd)
	}
	return err == nil || err == syscall.EAGAIN
}

func TestListener(t *testing.T) {
	path := filepath.Join(folder(t), "socket")
	if answers(path) {
		t.Error("a socket that is not there answers")
	}
	l, err := Listen(path, syscall.SOCK_STREAM, nil)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode of the socket: %v, %v", info, err)
	}
	if !answers(path) {
		t.Error("it does not answer")
	}
	(must(t, l.Accept)).Close()
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server := must(t, l.Accept)
	defer server.Close()
	client.Write([]byte("ping"))
	b := make([]byte, 4)
	if _, err := io.ReadFull(server, b); err != nil || string(b) != "ping" {
		t.Errorf("read %q, %v", b, err)
	}
	server.SetDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := server.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read past the deadline: %v", err)
	}
	client.(*net.UnixConn).CloseWrite()
	server.SetDeadline(time.Time{})
	if _, err := server.Read(b); err != io.EOF {
		t.Errorf("a read at the end: %v", err)
	}
	if _, err := Listen(path, syscall.SOCK_STREAM, nil); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second socket there: %v", err)
	}
	time.AfterFunc(20*time.Millisecond, func() { l.Close() })
	if _, err := l.Accept(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Accept when closed: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

func must(t *testing.T, accept func() (*os.File, error)) *os.File {
	t.Helper()
	f, err := accept()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestRemoveStale removes what a server that is gone has left, and nothing else: not the socket of a running server, of
// either type, nor a file.
func TestRemoveStale(t *testing.T) {
	path := filepath.Join(folder(t), "socket")
	if err := RemoveStale(path, syscall.SOCK_STREAM); err != nil {
		t.Errorf("nothing is there: %v", err)
	}
	if err := RemoveStale("@minidump-test", syscall.SOCK_STREAM); err != nil {
		t.Errorf("an abstract name: %v", err)
	}
	for _, kind := range []int{syscall.SOCK_STREAM, syscall.SOCK_SEQPACKET} {
		l, err := Listen(path, kind, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, as := range []int{syscall.SOCK_STREAM, syscall.SOCK_SEQPACKET} {
			if err := RemoveStale(path, as); err == nil || !strings.Contains(err.Error(), "another running server") {
				t.Errorf("type %d as %d, of a server that runs: %v", kind, as, err)
			}
		}
		if _, err := os.Lstat(path); err != nil {
			t.Fatal(err)
		}
		l.File.Close() // as if it had been killed
		if err := RemoveStale(path, kind); err != nil {
			t.Errorf("type %d, of a server that is gone: %v", kind, err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("type %d is left: %v", kind, err)
		}
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RemoveStale(path, syscall.SOCK_STREAM); err == nil {
		t.Error("a file counts as a socket")
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("a file: %v", err)
	}
}
