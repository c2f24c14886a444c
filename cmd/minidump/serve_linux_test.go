package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minidump/internal/victims"
	"minidump/server"
)

// socketPair returns a pair of sockets as crash clients make it, with SO_PASSCRED set.
func socketPair(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
}

// startWith starts a command that inherits a file as descriptor 3, and closes it here.
func startWith(t *testing.T, cmd *exec.Cmd, f *os.File) {
	t.Helper()
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	t.Cleanup(func() { cmd.Process.Kill() })
}

// TestServeClients crashes a Breakpad client that connects to the socket, and ends the server by a signal.
func TestServeClients(t *testing.T) {
	program := victims.C(t, "crashclient.c", "-pthread")
	dir := socketFolder(t)
	socket := filepath.Join(dir, "socket")
	cmd := command(t, dir, "serve", "--json", "--keep=1", "-o", dir, socket)
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	for range 1000 {
		if c, err := server.Dial(socket); err == nil {
			c.Close()
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	var last int
	for range 2 {
		client := exec.Command(program, "breakpad", socket, "segv", "thread")
		if err := client.Run(); err != nil {
			t.Errorf("the client: %v", err)
		}
		last = client.Process.Pid
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &messages)
	}
	got := files(t, dir)
	if want := "crashclient." + strconv.Itoa(last) + "."; len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Fatalf("files %q, not %q… alone\n%s", got, want, &messages)
	}
	if n := strings.Count(out.String(), `"threads":2`); n != 2 {
		t.Errorf("%d reports in %s", n, &out)
	}
	if d := shown(t, filepath.Join(dir, got[0])); d.Reason == nil || !strings.Contains(fmt.Sprintf("%+v", *d.Reason), "SEGV_MAPERR") {
		t.Errorf("%+v", d.Reason)
	}
}

// TestServeBreakpadPair crashes a client on a socket pair; the server ends with the client.
func TestServeBreakpadPair(t *testing.T) {
	program := victims.C(t, "crashclient.c", "-pthread")
	dir := t.TempDir()
	ours, theirs := socketPair(t)
	serve := command(t, dir, "serve", "--breakpad-fd", "3")
	var messages bytes.Buffer
	serve.Stderr = &messages
	startWith(t, serve, ours)
	client := exec.Command(program, "breakpad", "3", "abort")
	startWith(t, client, theirs)
	if err := client.Wait(); err != nil {
		t.Errorf("the client: %v", err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &messages)
	}
	got, want := files(t, dir), "crashclient."+strconv.Itoa(client.Process.Pid)+"."
	if len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("files %q, not %q\n%s", got, want, &messages)
	}
}

// TestCrashpadHandler runs the handler of crashing clients: by the subcommand and by the handler's name, for one client
// and for several.
func TestCrashpadHandler(t *testing.T) {
	program := victims.C(t, "crashclient.c", "-pthread")
	for _, protocol := range []string{"crashpad", "crashpad-shared"} {
		for _, byName := range []bool{false, true} {
			dir := t.TempDir()
			ours, theirs := socketPair(t)
			cmd := command(t, dir, "crashpad-handler", "--database=db", "--metrics-dir", "m", "--url=http://x", "--annotation=ver=1.2",
				"--frobnicate=7", "--initial-client-fd=3")
			if protocol == "crashpad-shared" {
				cmd.Args = append(cmd.Args, "--shared-client-connection")
			}
			if byName {
				cmd.Args = append([]string{"/opt/x/crashpad_handler"}, cmd.Args[2:]...)
			}
			var messages bytes.Buffer
			cmd.Stderr = &messages
			startWith(t, cmd, ours)
			client := exec.Command(program, protocol, "3", "segv")
			startWith(t, client, theirs)
			if err := client.Wait(); err != nil {
				t.Errorf("the client: %v", err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v\n%s", err, &messages)
			}
			if !strings.Contains(messages.String(), "--frobnicate is ignored") || strings.Contains(messages.String(), "metrics") {
				t.Errorf("messages %s", &messages)
			}
			checkDatabase(t, filepath.Join(dir, "db"))
		}
	}
}

// TestCrashpadStartedAtCrash checks a client that starts the handler when it crashes.
func TestCrashpadStartedAtCrash(t *testing.T) {
	program := victims.C(t, "crashclient.c", "-pthread")
	for _, kind := range []string{"all", "sanitized"} {
		dir := t.TempDir()
		handler := filepath.Join(dir, "crashpad_handler")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(self, handler); err != nil {
			t.Fatal(err)
		}
		client := exec.Command(program, "crashpad-start", "-", "segv", "thread")
		client.Dir = dir
		client.Env = append(os.Environ(), asCommand+"=1", "HANDLER="+handler, "CRASHPAD_INFO="+kind)
		if out, err := client.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		db := filepath.Join(dir, "db")
		checkDatabase(t, db)
		d := shown(t, filepath.Join(db, "pending", files(t, filepath.Join(db, "pending"))[0]))
		if len(d.ModuleAnnotations) != 1 || len(d.ModuleAnnotations[0].Objects) != map[string]int{"all": 2, "sanitized": 1}[kind] {
			t.Errorf("%s: %+v", kind, d.ModuleAnnotations)
		}
	}
}

// checkDatabase checks that a database has one report.
func checkDatabase(t *testing.T, dir string) {
	t.Helper()
	found := files(t, filepath.Join(dir, "pending"))
	if len(found) != 2 || !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.dmp$`).MatchString(found[0]) ||
		found[1] != strings.TrimSuffix(found[0], ".dmp")+".meta" {
		t.Fatalf("reports %q", found)
	}
	o := binary.NativeEndian
	meta, err := os.ReadFile(filepath.Join(dir, "pending", found[1]))
	if err != nil || len(meta) != 32 || o.Uint32(meta) != 1 || time.Since(time.Unix(int64(o.Uint64(meta[16:])), 0)).Abs() > time.Hour {
		t.Errorf("metadata % x, %v", meta, err)
	}
	settings, err := os.ReadFile(filepath.Join(dir, "settings.dat"))
	if err != nil || len(settings) != 40 || o.Uint32(settings) != 0x43506473 || o.Uint32(settings[4:]) != 1 {
		t.Errorf("settings % x, %v", settings, err)
	}
	d := shown(t, filepath.Join(dir, "pending", found[0]))
	if d.Reason == nil || !strings.Contains(fmt.Sprintf("%+v", *d.Reason), "SEGV_MAPERR") || !slices.Contains(d.Annotations, annotation{Key: "ver", Value: "1.2"}) {
		t.Errorf("%+v %v", d.Reason, d.Annotations)
	}
}

func TestKnownFlags(t *testing.T) {
	s, _ := crashpadFlagSet()
	got := s.known([]string{"--database", "d", "--url", "u", "--nothing", "--no-rate-limit", "--database=e", "stray", "--mode", "full", "--",
		"--monitor-self-argument=--x", "--help", "--initial-client-fd"})
	want := []string{"--database", "d", "--database=e", "--mode", "full", "--help", "--initial-client-fd"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}
