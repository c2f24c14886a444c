package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump/internal/unixsocket"
)

// socketFolder returns a folder with a short path: the path of a socket has at most 107 bytes.
func socketFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "mdt-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// answers reports whether somebody listens at a socket.
func answers(path string) bool {
	fd, err := unixsocket.Connect(path, syscall.SOCK_STREAM, syscall.SOCK_NONBLOCK)
	if err == nil {
		syscall.Close(fd)
	}
	return err == nil || err == syscall.EAGAIN
}

// passed returns the command serve as a service manager starts it with a socket: LISTEN_PID is the command's own pid.
func passed(t *testing.T, socket *os.File, dir string, args ...string) *exec.Cmd {
	cmd := command(t, dir, append([]string{"serve", "--coredump", "-o", dir}, args...)...)
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.ExtraFiles = []*os.File{socket}
	return cmd
}

// TestServePassedSocket checks that a socket of the service manager is served, including connections made before the
// server ran, and is not removed, so that no crash is lost while the server restarts.
func TestServePassedSocket(t *testing.T) {
	dir := socketFolder(t)
	path := filepath.Join(dir, "socket")
	l, err := unixsocket.Listen(path, syscall.SOCK_STREAM, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	early, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	early.Write(streamCore())
	early.(*net.UnixConn).CloseWrite()

	cmd := passed(t, l.File, dir, path)
	var messages strings.Builder
	cmd.Stderr = &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	early.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, early); err != nil { // the server hangs up when it is done
		t.Error(err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &messages)
	}
	if found := files(t, dir); !slices.ContainsFunc(found, func(n string) bool { return strings.HasSuffix(n, ".dmp") }) {
		t.Errorf("no dump: %q\n%s", found, &messages)
	}
	if !answers(path) {
		t.Error("the socket is gone")
	}
}

func TestServeWrongPassedSocket(t *testing.T) {
	dir := socketFolder(t)
	l, err := unixsocket.Listen(filepath.Join(dir, "socket"), syscall.SOCK_STREAM, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	runWith(t, passed(t, l.File, dir, filepath.Join(dir, "other")), nil).want(t, 1, "not at "+filepath.Join(dir, "other"))
	file, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	runWith(t, passed(t, file, dir, filepath.Join(dir, "socket")), nil).want(t, 1, "other than a listening socket")
}

// TestServeSilentClients checks that clients that connect and send nothing, or stop sending, don't prevent the dump of
// a crash.
func TestServeSilentClients(t *testing.T) {
	dir := socketFolder(t)
	path := filepath.Join(dir, "socket")
	cmd := command(t, dir, "serve", "--coredump", "-o", dir, path)
	var messages strings.Builder
	cmd.Stderr = &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	for until := time.Now().Add(10 * time.Second); !answers(path) && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
	core := streamCore()
	for i := range 2*serveAtOnce + 3 {
		silent, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		silent.Write(core[:i%4]) // too short
	}
	time.Sleep(100 * time.Millisecond) // the silent clients are accepted first
	start := time.Now()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	conn.Write(core)
	conn.(*net.UnixConn).CloseWrite()
	if _, err := io.Copy(io.Discard, conn); err != nil { // the server hangs up when it is done
		t.Error(err)
	}
	if took := time.Since(start); took > serveIdle/2 {
		t.Errorf("the dump came after %v", took)
	}
	if found := files(t, dir); !slices.ContainsFunc(found, func(n string) bool { return strings.HasSuffix(n, ".dmp") }) {
		t.Errorf("no dump: %q", found)
	}
	// A client that has begun to send does not keep its place longer than that either.
	for range serveAtOnce {
		silent, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		silent.Write(core[:100])
	}
	time.Sleep(100 * time.Millisecond)
	start = time.Now()
	if conn, err = net.Dial("unix", path); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	conn.Write(core)
	conn.(*net.UnixConn).CloseWrite()
	if _, err := io.Copy(io.Discard, conn); err != nil || time.Since(start) > 2*serveIdle {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &messages)
	}
}
