package process

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// targetVariable is the environment variable that makes the test program the process that tests read.
const targetVariable = "PROCESS_TEST_TARGET"

const secretText = "a text that the other process keeps"

func init() {
	if os.Getenv(targetVariable) == "" {
		return
	}
	secret := []byte(secretText + "\x00")
	fmt.Println(address(&secret[0]), codeAddress())
	in := bufio.NewReader(os.Stdin)
	line, _ := in.ReadString('\n')
	if path, ok := strings.CutPrefix(strings.TrimSpace(line), "exec "); ok {
		os.Unsetenv(targetVariable)
		replace(path)
	}
	runtime.KeepAlive(secret)
	os.Exit(0)
}

func address(b *byte) uint64 { return uint64(uintptr(unsafe.Pointer(b))) }

// codeAddress returns the address of a function of this program.
func codeAddress() uint64 { return uint64(reflect.ValueOf(codeAddress).Pointer()) }

// other is another process that runs the test program.
type other struct {
	pid          int
	secret, code uint64
	in           io.WriteCloser
	cmd          *exec.Cmd
}

func startOther(t testing.TB) *other {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := &other{cmd: exec.Command(exe, "-test.run=^$")}
	o.cmd.Env = append(os.Environ(), targetVariable+"=1")
	if o.in, err = o.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.end() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &o.secret, &o.code); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	o.pid = o.cmd.Process.Pid
	return o
}

// end ends the process, and waits for that.
func (o *other) end() {
	o.in.Close()
	o.cmd.Wait()
}

// opened opens a process, and closes it when the test ends.
func opened(t testing.TB, pid int) *Process {
	t.Helper()
	p, err := Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// found returns the module of FindModule, and fails the test if there is none.
func found(t testing.TB, p *Process, name string) *Module {
	t.Helper()
	m, err := p.FindModule(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
