package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"minidump/stream"
)

// tinyCore returns a core file of an arm64 process 4321 named "some/app" whose only thread died of SIGSEGV at 0x5150,
// with a page of stack.
func tinyCore() []byte {
	le := binary.LittleEndian
	var notes []byte
	note := func(typ uint32, desc []byte) {
		for _, v := range []uint32{5, uint32(len(desc)), typ} {
			notes = le.AppendUint32(notes, v)
		}
		notes = append(append(notes, "CORE\x00\x00\x00\x00"...), desc...)
	}
	status := make([]byte, 392) // struct elf_prstatus
	le.PutUint16(status[12:], 11)
	le.PutUint32(status[32:], 4321)
	le.PutUint64(status[112+31*8:], 0x700010) // sp
	le.PutUint64(status[112+32*8:], 0x401000) // pc
	note(1, status)
	info := make([]byte, 136) // struct elf_prpsinfo
	le.PutUint32(info[24:], 4321)
	copy(info[40:], "some/app")
	copy(info[56:], "some/app --flag ")
	note(3, info)
	siginfo := make([]byte, 128)
	le.PutUint32(siginfo, 11)
	le.PutUint32(siginfo[8:], 2)
	le.PutUint64(siginfo[16:], 0x5150)
	note(0x53494749, siginfo)

	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	b = le.AppendUint16(b, 4)   // ET_CORE
	b = le.AppendUint16(b, 183) // EM_AARCH64
	b = le.AppendUint32(b, 1)
	for _, v := range []uint64{0, 64, 0} {
		b = le.AppendUint64(b, v)
	}
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{64, 56, 2, 64, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	at := uint64(64 + 2*56)
	for _, p := range [][8]uint64{
		{4, 0, at, 0, 0, uint64(len(notes)), 0, 4},
		{1, 6, at + uint64(len(notes)), 0x700000, 0, 4096, 4096, 4096},
	} {
		b = le.AppendUint32(le.AppendUint32(b, uint32(p[0])), uint32(p[1]))
		for _, v := range p[2:] {
			b = le.AppendUint64(b, v)
		}
	}
	return append(append(b, notes...), make([]byte, 4096)...)
}

// memoryAt returns a MemoryListStream with one range.
func memoryAt(address uint64, b []byte) piece {
	return piece{stream.MemoryListStream, func(e *stream.Encoder) {
		e.U32(1)
		m := stream.MemoryDescriptor{Start: address, Memory: stream.Location{DataSize: uint32(len(b)),
			RVA: uint32(e.Offset()) + stream.MemoryDescriptorSize}}
		m.Put(e.Next(stream.MemoryDescriptorSize), e.Order())
		e.Bytes(b)
	}}
}

// threadWith returns a ThreadListStream with one thread, whose context has the bytes ctx.
func threadWith(r stream.Thread, ctx []byte) piece {
	return piece{stream.ThreadListStream, func(e *stream.Encoder) {
		e.U32(1)
		r.Context = stream.Location{DataSize: uint32(len(ctx)), RVA: uint32(e.Offset()) + stream.ThreadSize}
		r.Put(e.Next(stream.ThreadSize), e.Order())
		e.Bytes(ctx)
	}}
}

// amd64Context returns a CONTEXT of winnt.h with these registers.
func amd64Context(rip, rax, rsp uint64) []byte {
	b := make([]byte, 1232)
	le := binary.LittleEndian
	le.PutUint32(b[0x30:], 0x10000f)
	le.PutUint64(b[0x78:], rax)
	le.PutUint64(b[0x98:], rsp)
	le.PutUint64(b[0xf8:], rip)
	return b
}

// x86Context returns the CONTEXT of a 32-bit process.
func x86Context(eip, eax, esp uint32) []byte {
	b := make([]byte, 716)
	le := binary.LittleEndian
	le.PutUint32(b, 0x1003f)
	le.PutUint32(b[176:], eax)
	le.PutUint32(b[184:], eip)
	le.PutUint32(b[196:], esp)
	return b
}

// read returns what show reads from a dump.
func read(t testing.TB, b []byte) *dumpInfo {
	t.Helper()
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return readDump(f, "x.dmp")
}

// zipped returns b compressed with gzip.
func zipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// repeated is a reader of n bytes.
type repeated struct{ n int }

func (r *repeated) Read(p []byte) (int, error) {
	n := min(len(p), r.n)
	r.n -= n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// asCommand is the environment variable that makes this test binary run as the command.
const asCommand = "MINIDUMP_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		namesLimit = time.Minute // for a loaded machine
		main()
	}
	// A script's background jobs ignore SIGINT, and nohup's ignore SIGHUP. A child gets the default action of signals
	// that are caught here.
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	os.Exit(m.Run())
}

// outcome is the result of a run of the command.
type outcome struct {
	out, err string
	status   int
}

func command(t testing.TB, dir string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	cmd.Dir = dir
	return cmd
}

// run runs the command in dir.
func run(t testing.TB, dir string, args ...string) outcome {
	t.Helper()
	return runWith(t, command(t, dir, args...), nil)
}

func runWith(t testing.TB, cmd *exec.Cmd, stdin io.Reader) outcome {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &errOut
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{out.String(), errOut.String(), cmd.ProcessState.ExitCode()}
}

// want fails the test unless the run ended with status, and its messages contain text.
func (o outcome) want(t *testing.T, status int, text string) {
	t.Helper()
	if o.status != status || !strings.Contains(o.err, text) {
		t.Errorf("status %d, messages %q; want %d and %q\noutput %q", o.status, o.err, status, text, o.out)
	}
}

// piece is a stream of a handmade dump.
type piece struct {
	t    stream.Type
	data func(e *stream.Encoder)
}

// handmade returns a dump with these streams.
func handmade(t testing.TB, order binary.ByteOrder, pieces ...piece) []byte {
	t.Helper()
	var file bytes.Buffer
	e := stream.NewEncoder(nil)
	dirs := make([]stream.Directory, len(pieces))
	// The first pass determines where the streams are.
	for range 2 {
		file.Reset()
		e.Reset(&file, order)
		h := stream.Header{Signature: stream.Signature, Version: stream.Version, NumberOfStreams: uint32(len(pieces)),
			StreamDirectoryRVA: stream.HeaderSize, TimeDateStamp: 1700000000}
		h.Put(e.Next(stream.HeaderSize), order)
		for i := range dirs {
			dirs[i].Put(e.Next(stream.DirectorySize), order)
		}
		for i, p := range pieces {
			start := e.Offset()
			p.data(e)
			dirs[i] = stream.Directory{Type: p.t, Location: stream.Location{DataSize: uint32(e.Offset() - start),
				RVA: uint32(start)}}
		}
		if err := e.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

func system(cpu uint16, os uint32) piece {
	return piece{stream.SystemInfoStream, func(e *stream.Encoder) {
		s := stream.SystemInfo{ProcessorArchitecture: cpu, PlatformID: os, MajorVersion: 10, NumberOfProcessors: 4}
		s.Put(e.Next(stream.SystemInfoSize), e.Order())
	}}
}

func exception(x stream.Exception) piece {
	return piece{stream.ExceptionStream, func(e *stream.Encoder) { x.Put(e.Next(stream.ExceptionSize), e.Order()) }}
}

func text(t stream.Type, s string) piece {
	return piece{t, func(e *stream.Encoder) { e.Bytes([]byte(s)) }}
}

// module returns a list of one module, whose name follows the list.
func module(m stream.Module, name string) piece {
	return piece{stream.ModuleListStream, func(e *stream.Encoder) {
		e.U32(1)
		m.NameRVA = uint32(e.Offset()) + stream.ModuleSize
		m.Put(e.Next(stream.ModuleSize), e.Order())
		e.String([]byte(name))
	}}
}

func showText(t testing.TB, b []byte, o textOptions) string {
	t.Helper()
	f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	printText(&out, readDump(f, "x.dmp"), o)
	return out.String()
}

// tool returns the path of a program that a test needs, and skips the test without it.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// fed runs a program of the system with input, and returns what it printed.
func fed(t *testing.T, input string, argv ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
