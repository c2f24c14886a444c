package loadertest

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSockets tests what package net needs, above all kqueue on descriptors.
func TestSockets(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for network, address := range map[string]string{"unix": filepath.Join(dir, "a"), "tcp": "127.0.0.1:0"} {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					io.Copy(c, c)
					c.Close()
				}()
			}
		}()
		c, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		sent := strings.Repeat("0123456789", 50000) // more than fits into the buffers
		go func() {
			io.WriteString(c, sent)
			c.(interface{ CloseWrite() error }).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || string(got) != sent {
			t.Errorf("%s: %d bytes came back, %v", network, len(got), err)
		}
		if a := c.RemoteAddr().String(); a != l.Addr().String() {
			t.Errorf("%s: connected to %s, not %s", network, a, l.Addr())
		}
		if network == "unix" {
			raw, err := c.(*net.UnixConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			raw.Control(func(fd uintptr) {
				const solLocal, localPeerPID = 0, 2
				if pid, err := syscall.GetsockoptInt(int(fd), solLocal, localPeerPID); err != nil || pid != os.Getpid() {
					t.Errorf("LOCAL_PEERPID: %d, %v", pid, err)
				}
			})
		}
		c.SetReadDeadline(time.Now().Add(-time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || !err.(net.Error).Timeout() {
			t.Errorf("%s: read after the deadline: %v", network, err)
		}
		c.Close()
	}
	if _, err := net.Dial("unix", filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("dial of nothing: %v", err)
	}
}

// TestPassDescriptor sends a file over a socket.
func TestPassDescriptor(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[0])
	defer syscall.Close(fds[1])
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := syscall.Sendmsg(fds[0], []byte("x"), syscall.UnixRights(int(w.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var b [1]byte
	oob := make([]byte, 64)
	n, oobn, _, _, err := syscall.Recvmsg(fds[1], b[:], oob, 0)
	if err != nil || n != 1 {
		t.Fatal(n, err)
	}
	m, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(m) != 1 {
		t.Fatal(m, err)
	}
	got, err := syscall.ParseUnixRights(&m[0])
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	syscall.Write(got[0], []byte("through"))
	syscall.Close(got[0])
	if text, err := io.ReadAll(r); string(text) != "through" {
		t.Errorf("%q, %v", text, err)
	}
}
