package stackwalk_test

import (
	"bufio"
	stdelf "debug/elf"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"minidump/context"
	"minidump/internal/victims"
	"minidump/stackwalk"
)

// stub is a connection to the emulator's debugger stub. It is the Memory of the program that runs there.
type stub struct {
	conn net.Conn
	r    *bufio.Reader
}

// ask sends a packet of gdb's remote protocol and returns the answer.
func (s *stub) ask(packet string) (string, error) {
	sum := byte(0)
	for i := range len(packet) {
		sum += packet[i]
	}
	s.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(s.conn, "$%s#%02x", packet, sum); err != nil {
		return "", err
	}
	if _, err := s.r.ReadString('$'); err != nil {
		return "", err
	}
	answer, err := s.r.ReadString('#')
	if err != nil {
		return "", err
	}
	s.r.Discard(2)
	_, err = s.conn.Write([]byte("+"))
	return strings.TrimSuffix(answer, "#"), err
}

func (s *stub) ReadMemory(addr uint64, p []byte) (int, error) {
	const most = 1024
	answer, err := s.ask(fmt.Sprintf("m%x,%x", addr, min(len(p), most)))
	if err != nil || strings.HasPrefix(answer, "E") {
		return 0, err
	}
	b, err := hex.DecodeString(answer)
	return copy(p, b), err
}

// TestRISCV64 walks a program of riscv64, for which the emulator writes no core.
func TestRISCV64(t *testing.T) {
	victims.SkipEmulated(t, "it is an emulator itself")
	qemu := victims.Tool(t, "qemu-riscv64-static")
	for _, flags := range []string{"-O0", "-O2", "-O2 -fno-asynchronous-unwind-tables -fno-unwind-tables"} {
		program := victims.Compile(t, "riscv64-linux-gnu-gcc", "frames.c", append(strings.Fields(flags), "-static")...)
		for _, way := range emulatedWays {
			t.Run(flags+" "+way, func(t *testing.T) { testStub(t, qemu, program, way) })
		}
	}
}

func testStub(t *testing.T, qemu, program, way string) {
	socket := filepath.Join(t.TempDir(), "gdb")
	cmd := exec.Command(qemu, append([]string{"-g", socket, program}, strings.Fields(way)...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	s := dial(t, socket)
	defer s.conn.Close()
	stops := 1 + strings.Count(way, "fault") + strings.Count(way, "info") // the stub also reports signals that have handlers
	for i := range stops {
		packet := "c"
		if i > 0 {
			packet = "C0b"
		}
		if answer, err := s.ask(packet); err != nil || !strings.HasPrefix(answer, "T") {
			t.Fatalf("%q %v", answer, err)
		}
	}
	image, err := stdelf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	p := &stackwalk.Process{Arch: context.RISCV64, Memory: s,
		Modules: []stackwalk.Module{{Name: program, Base: 0x10000, Size: 0x400000, Image: image}}}
	frames := p.Walk(s.cpu(t))
	got, want := own(p, frames, readNames(program), program), expected(way)
	if !slices.Equal(got, want) {
		t.Errorf("functions\n%s\nwant\n%s\n%s", strings.Join(got, " "), strings.Join(want, " "), describe(p, frames))
	}
}

func dial(t *testing.T, socket string) *stub {
	t.Helper()
	for range 600 {
		if conn, err := net.Dial("unix", socket); err == nil {
			return &stub{conn, bufio.NewReader(conn)}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the emulator does not listen")
	return nil
}

// cpu returns the registers: x0 to x31 and pc.
func (s *stub) cpu(t *testing.T) *context.CPU {
	t.Helper()
	answer, err := s.ask("g")
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(answer)
	if err != nil || len(b) < 33*8 {
		t.Fatalf("%q %v", answer, err)
	}
	gp := slices.Concat(b[32*8:33*8], b[8:32*8]) // pc comes first in the kernel's set
	rec := make([]byte, context.MaxContextSize)
	regs := context.Regsets{Arch: context.RISCV64, Order: binary.LittleEndian, GP: gp}
	cpu, err := context.Decode(context.RISCV64, rec[:regs.Encode(rec)], binary.LittleEndian)
	if err != nil {
		t.Fatal(err)
	}
	return cpu
}
