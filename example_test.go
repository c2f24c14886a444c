//go:build linux

package minidump_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"minidump"
	"minidump/context"
	"minidump/stream"
)

// victim starts a program to be dumped.
func victim() (pid int, stop func()) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	return cmd.Process.Pid, func() { cmd.Process.Kill(); cmd.Wait() }
}

// Dump another process to a file, which is written completely or not at all.
func ExampleNewWriter() {
	pid, stop := victim()
	defer stop()
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)

	w, err := minidump.NewWriter(pid, minidump.Options{Limit: 1 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	res, err := w.DumpFile(filepath.Join(dir, "sleep.dmp"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("threads:", res.Threads, "within the limit:", res.Size <= 1<<20)
	for _, e := range res.SoftErrors() {
		log.Printf("missing: %v", &e)
	}
	// Output: threads: 1 within the limit: true
}

// A signal handler of the crashed process has passed on its siginfo_t and ucontext_t. The dump then describes the
// crash, with the registers at the fault.
func ExampleWriter_Dump_crashContext() {
	pid, stop := victim()
	defer stop()

	siginfo := make([]byte, 128)  // from the handler's second argument
	ucontext := make([]byte, 936) // from its third
	siginfo[0] = 11               // SIGSEGV
	siginfo[8] = 1                // SEGV_MAPERR
	siginfo[16] = 0x10            // si_addr
	crash, err := context.CrashFromLinux(context.AMD64, binary.LittleEndian, int32(pid), int32(pid), siginfo, ucontext, nil)
	if err != nil {
		log.Fatal(err)
	}
	w, err := minidump.NewWriter(pid, minidump.Options{Crash: crash})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	f, _ := os.CreateTemp("", "crash-*.dmp")
	defer os.Remove(f.Name())
	if _, err := w.Dump(f); err != nil {
		log.Fatal(err)
	}
	d, err := stream.OpenFile(f)
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	e, _ := d.Exception()
	fmt.Printf("signal %d, code %d, address %#x\n", e.Code, e.Flags, e.Address)
	// Output: signal 11, code 1, address 0x10
}

// Application memory, annotations and a stream of the application are added to the dump.
func ExampleOptions() {
	pid, stop := victim()
	defer stop()
	w, err := minidump.NewWriter(pid, minidump.Options{
		Mode:           minidump.ModeIndirect,
		SanitizeStacks: true,
		Omit:           minidump.OmitEnviron | minidump.OmitCmdline,
		Annotations:    []minidump.Annotation{{Key: "version", Value: "1.4.2"}},
		UserStreams:    []minidump.UserStream{{Type: 0x10001, Data: []byte("last words")}},
		AppMemory:      []minidump.AppMemory{{Address: 0x1000, Size: 16}}, // not mapped: a soft error
	})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	res, err := w.Dump(&discard{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("missing pieces:", res.Soft)
	// Output: missing pieces: 1
}

// Errors that a program may want to distinguish are values for errors.Is.
func ExampleWriter_Dump_errors() {
	_, err := minidump.NewWriter(1<<22+1, minidump.Options{})
	fmt.Println(errors.Is(err, minidump.ErrNoProcess))
	// Output: true
}

type discard struct{}

func (*discard) Write(p []byte) (int, error) { return len(p), nil }
