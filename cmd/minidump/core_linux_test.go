package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump/internal/victims"
)

// TestCoreStream dumps a core on standard input, from a file or through a pipe.
func TestCoreStream(t *testing.T) {
	dir := t.TempDir()
	core := filepath.Join(dir, "core")
	if err := os.WriteFile(core, streamCore(), 0600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "core", core, "-o", "a.dmp").want(t, 0, "wrote a.dmp")
	want, err := os.ReadFile(filepath.Join(dir, "a.dmp"))
	if err != nil {
		t.Fatal(err)
	}
	same := func(name string) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(got) != len(want) {
			t.Errorf("%s: %d bytes, of the file %d: %v", name, len(got), len(want), err)
		}
		if d := shown(t, filepath.Join(dir, name)); d.Threads[0].ID != 4321 || d.Threads[0].SP != 0x7800 {
			t.Errorf("%s: %+v", name, d.Threads)
		}
	}
	file, err := os.Open(core)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	runWith(t, command(t, dir, "core", "-", "-o", "b.dmp"), file).want(t, 0, "wrote b.dmp")
	same("b.dmp")
	pipe := func() io.Reader { return io.MultiReader(strings.NewReader(string(streamCore()))) }
	runWith(t, command(t, dir, "core", "-o", "c.dmp", "-"), pipe()).want(t, 0, "wrote c.dmp")
	same("c.dmp")
	runWith(t, command(t, dir, "core", "-o", "new", "--mode=full", "-"), pipe()).want(t, 0, "wrote new")
	if err := os.Mkdir(filepath.Join(dir, "d"), 0755); err != nil {
		t.Fatal(err)
	}
	runWith(t, command(t, dir, "core", "-o", "d/", "-"), pipe()).want(t, 0, "wrote d/process.4321.dmp")
	runWith(t, command(t, dir, "core", "-o", "d", "-"), pipe()).want(t, 1, "write d: it is a folder")
	same("d/process.4321.dmp")
	config := filepath.Join(dir, "config")
	os.WriteFile(config, []byte("# a comment\n\n--output="+dir+"/e.dmp\r\n--annotation=key=a value\n"), 0600)
	runWith(t, command(t, dir, "core", "--config", config, "-"), pipe()).want(t, 0, "wrote "+dir+"/e.dmp")
	if d := shown(t, filepath.Join(dir, "e.dmp")); !strings.Contains(fmt.Sprint(d), "a value") {
		t.Errorf("%+v", d)
	}
	o := runWith(t, command(t, dir, "core", "--log=log", "-o", "f.dmp", "-"), pipe())
	if log, _ := os.ReadFile(filepath.Join(dir, "log")); o.status != 0 || o.err != "" || !strings.Contains(string(log), "wrote f.dmp") {
		t.Errorf("%+v, log %q", o, log)
	}
	o = runWith(t, command(t, dir, "core", "--log=log", "-o", "g.dmp", "-"), strings.NewReader("nonsense"))
	if log, _ := os.ReadFile(filepath.Join(dir, "log")); o.status != 1 || o.err != "" || !strings.Contains(string(log), "not an ELF core file") {
		t.Errorf("%+v, log %q", o, log)
	}
	for _, name := range files(t, dir) {
		if strings.HasPrefix(name, ".") || name == "g.dmp" {
			t.Errorf("%s is left", name)
		}
	}
	os.WriteFile(config, []byte("core\n"), 0600)
	for _, c := range []struct{ args, message string }{
		{"core --config config -", "is not a flag"},
		{"core --config none -", "no such file"},
		{"core --pid 5 core", "FILE must be -"},
		{"core --pid x -", "is not an id"},
		{"core --install --uninstall", "can't be used together"},
		{"core --install core", "take no FILE"},
		{"serve", "no SOCKET given"},
		{"serve a b", "expected one SOCKET, got"},
		{"serve --coredump --any-user x", "can't be used with --coredump"},
		{"serve --breakpad-fd 3 x", "SOCKET can't be used with --breakpad-fd"},
		{"serve --breakpad-fd 1", "is not a descriptor"},
		{"crashpad-handler --initial-client-fd=3", "--database is missing"},
		{"crashpad-handler --database=x", "is required"},
		{"serve --coredump", "no SOCKET given"},
		{"serve --coredump -o none x", "none is not a folder"},
	} {
		run(t, dir, strings.Fields(c.args)...).want(t, 2, c.message)
	}
}

// TestCoreInstallInContainer checks that --install fails in a container, where the setting is the host's.
func TestCoreInstallInContainer(t *testing.T) {
	victims.CorePattern(t, false) // in case it is changed nevertheless
	before, err := readSetting(corePattern)
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, t.TempDir(), "core", "--install")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	runWith(t, cmd, nil).want(t, 1, "this is a container: its process ids are not those of the machine; use --force")
	cmd = command(t, t.TempDir(), "core", "--install")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}}
	if o := runWith(t, cmd, nil); o.status != 1 || !strings.Contains(o.err, "this is a container") {
		t.Errorf("%+v", o)
	}
	if after, err := readSetting(corePattern); after != before {
		t.Errorf("core_pattern is %q: %v", after, err)
	}
}

// TestCoreInstallAsUser checks that for an ordinary user the error reports that root is required, and does not mention containers.
func TestCoreInstallAsUser(t *testing.T) {
	for _, flag := range []string{"--install", "--uninstall"} {
		runWith(t, asNobody(t, "core", flag), nil).want(t, 1, "minidump: "+flag+" requires root: it sets "+corePattern+"\n")
	}
}

func TestCorePattern(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		exe, output     string
		given           []string
		pattern, config string
	}{
		{"/usr/bin/minidump", dir, nil, "|/usr/bin/minidump core --pid=%P --thread=%I -o " + dir + "/%e-%P.dmp -", ""},
		{"/usr/bin/minidump", dir + "/%p.x", []string{"--limit=1M"},
			"|/usr/bin/minidump core --pid=%P --thread=%I --limit=1M -o " + dir + "/%p.x -", ""},
		{"/usr/bin/minidump", dir, []string{"--annotation=a=b c", "--log=/x%y"},
			"|/usr/bin/minidump core --config=/etc/minidump/core.conf --pid=%P --thread=%I -",
			"--annotation=a=b c\n--log=/x%y\n--output=" + dir + "/\n"},
		{"/usr/b in/minidump", dir, nil, "", "contains a space"},
		{"/usr/bin/" + strings.Repeat("x", 100), dir, nil, "", "too long"},
		{"/usr/bin/minidump", "-", nil, "", "without a standard output"},
		{"/usr/bin/minidump", dir, []string{"--annotation=a=" + strings.Repeat("\n", 100)}, "", "line break"},
	} {
		f := coreFlags{given: c.given}
		f.output = c.output
		pattern, config, err := f.pattern(c.exe)
		if err != nil {
			if pattern != "" || c.pattern != "" || !strings.Contains(err.Error(), c.config) {
				t.Errorf("%q: %q, %v", c.exe, pattern, err)
			}
			continue
		}
		if len(dir) < 50 && pattern != c.pattern || !strings.HasSuffix(config, c.config) {
			t.Errorf("%q: %q and %q, want %q and %q", c.exe, pattern, config, c.pattern, c.config)
		}
		if len(pattern) > maxPattern {
			t.Errorf("%q is too long", pattern)
		}
	}
}

// TestServeProtocol connects a client that sends what the kernel does but is not crashing: the dump is made from the
// stream alone.
func TestServeProtocol(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("the sample is little-endian")
	}
	dir := t.TempDir()
	short, err := os.MkdirTemp("/tmp", "mdt-") // the path of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	socket := filepath.Join(short, "socket")
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "serve", "--coredump", "file").want(t, 1, "is not a socket")
	cmd := command(t, dir, "serve", "--coredump", "--json", "-o", dir, socket)
	var messages strings.Builder
	cmd.Stderr = &messages
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	dial := func() net.Conn {
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			conn, err := net.Dial("unix", socket)
			if err == nil {
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				return conn
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	o := binary.NativeEndian
	request := func(size, ack uint32, mask uint64) []byte {
		b := make([]byte, max(16, size))
		o.PutUint32(b, size)
		o.PutUint32(b[4:], ack)
		o.PutUint64(b[8:], mask)
		return b
	}
	// Requests that the kernel would not send cause a message, and the server continues.
	for _, bad := range [][]byte{{}, []byte("hello"), request(15, 16, 15), request(4097, 16, 15), request(16, 8, 15),
		request(16, 16, 2|4|8), request(16, 16, 15)[:9]} {
		conn := dial()
		conn.Write(bad)
		conn.(*net.UnixConn).CloseWrite()
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	refused := dial()
	refused.Write(request(16, 16, 15))
	io.ReadFull(refused, make([]byte, 16))
	refused.Write([]byte{4, 0, 0, 0})
	io.Copy(io.Discard, refused)
	refused.Close()

	path := filepath.Join(dir, "process.4321.dmp")
	for _, size := range []uint32{0, 16, 24} {
		os.Remove(path)
		conn := dial()
		if size > 0 {
			conn.Write(request(size, 16, 15))
			ack := make([]byte, 16)
			if _, err := io.ReadFull(conn, ack); err != nil || o.Uint32(ack) != 16 || o.Uint64(ack[8:]) != 1|8 {
				t.Fatalf("answer % x: %v", ack, err)
			}
			conn.Write(make([]byte, 4))
		}
		conn.Write(streamCore())
		conn.(*net.UnixConn).CloseWrite()
		if n, err := io.Copy(io.Discard, conn); n != 0 { // the server hangs up when it is done
			t.Errorf("%d bytes came: %v", n, err)
		}
		conn.Close()
		found := files(t, dir)
		i := slices.IndexFunc(found, func(n string) bool { return strings.HasSuffix(n, ".dmp") })
		if i < 0 {
			t.Fatalf("files %q\n%s", found, &messages)
		}
		if d := shown(t, filepath.Join(dir, found[i])); d.Threads[0].ID != 4321 {
			t.Errorf("%+v", d.Threads)
		}
		os.Remove(filepath.Join(dir, found[i]))
	}
	cmd.Process.Signal(syscall.SIGTERM)
	told, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &messages)
	}
	if n := strings.Count(string(told), "\"threads\":1"); n != 3 {
		t.Errorf("told %q", told)
	}
	for _, want := range []string{"neither a core nor a request", "mark 4", "not supported: mask 0xe", "unexpected EOF"} {
		if !strings.Contains(messages.String(), want) {
			t.Errorf("no %q in %s", want, &messages)
		}
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket is left")
	}
}

// TestServeWithoutReader checks that the server continues when nobody reads its messages any more: while core_pattern
// names it, no crash may be lost.
func TestServeWithoutReader(t *testing.T) {
	short, err := os.MkdirTemp("/tmp", "mdt-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	socket := filepath.Join(short, "socket")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, short, "serve", "--coredump", "--json", "-o", short, socket)
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	w.Close()
	// The server has reported that it listens.
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	for i := range 3 {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		conn.Write([]byte("hello"))
		conn.(*net.UnixConn).CloseWrite()
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestWriteWhole checks that a setting that can't be saved leaves no file.
func TestWriteWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "etc", "saved")
	for _, text := range []string{"first", "2nd"} {
		if err := writeWhole(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); string(b) != text {
			t.Errorf("%q: %v", b, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "folder", "x"), 0700); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(filepath.Join(dir, "folder"), []byte("text")); err == nil {
		t.Error("a folder was replaced")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
