package minidump_test

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"minidump"
	"minidump/internal/corefile/coretest"
	"minidump/stream"
)

// coreOf returns the core file of a small program that died of SIGSEGV on an arm64 machine.
func coreOf() []byte { return coretest.Sample(coretest.ArchNamed("arm64")).Bytes() }

// A core file of any Linux machine is converted to a dump, on any Unix or Windows.
func ExampleOpenCore() {
	core := coreOf() // or an *os.File, see OpenCoreFile
	w, err := minidump.OpenCore(bytes.NewReader(core), int64(len(core)), minidump.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	var dump bytes.Buffer
	if _, err := w.Dump(&dump); err != nil {
		log.Fatal(err)
	}
	d, err := stream.Open(bytes.NewReader(dump.Bytes()), int64(dump.Len()))
	if err != nil {
		log.Fatal(err)
	}
	e, err := d.Exception()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("signal", e.Code)
	// Output: signal 11
}

// A program that the kernel starts for each crash, by a core_pattern such as |/usr/bin/catcher %P, gets the core on
// standard input and the process's id as an argument. Here a core is in the pipe and there is no process to read.
func ExampleOpenCorePipe() {
	stdin, kernel, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		kernel.Write(coreOf())
		kernel.Close()
	}()
	pid := 0 // strconv.Atoi(os.Args[1])
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)

	w, err := minidump.OpenCorePipe(stdin, pid, dir, minidump.Options{Limit: 1 << 20})
	if err != nil {
		log.Fatal(err)
	}
	res, err := w.DumpFile(filepath.Join(dir, "crash.dmp"))
	if err != nil {
		log.Fatal(err)
	}
	w.Close()
	stdin.Close() // only now: this lets the kernel end the process
	fmt.Println("threads:", res.Threads)
	// Output: threads: 2
}
