package minidump_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"minidump"
	"minidump/context"
	"minidump/mach"
	"minidump/stream"
)

// TestDumpSelf checks that the dump is about the calling thread, and that its registers are those of a function of
// this program on the goroutine's stack.
func TestDumpSelf(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, mode := range []minidump.Mode{minidump.ModeStack, minidump.ModeIndirect, minidump.ModeFull} {
		if mode == minidump.ModeFull && emulated() {
			continue
		}
		var out bytes.Buffer
		local := [4]uint64{0x5e1f, 0x5e1f5e1f, 0x5e1f5e1f5e1f, uint64(mode)}
		res, err := minidump.DumpSelf(&out, minidump.Options{Mode: mode})
		runtime.KeepAlive(&local)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range res.SoftErrors() {
			if mode != minidump.ModeFull { // in ModeFull the threads run meanwhile, and may free memory
				t.Errorf("soft error: %v", &e)
			}
		}
		f, err := stream.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		checkSelf(t, f)
	}
}

func TestDumpSelfFile(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	path := filepath.Join(t.TempDir(), "self.dmp")
	if _, err := minidump.DumpSelfFile(path, minidump.Options{}); err != nil {
		t.Fatal(err)
	}
	checkSelf(t, openDump(t, path))
}

func checkSelf(t *testing.T, f *stream.File) {
	t.Helper()
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	exc, err := f.Exception()
	if err != nil || exc.ThreadID != uint32(mach.ThreadID()) {
		t.Fatalf("thread %#x, %v; want %#x", exc.ThreadID, err, mach.ThreadID())
	}
	rec, err := f.Context(exc.Context)
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := context.Decode(nativeArch(), rec, binary.LittleEndian)
	if err != nil {
		t.Fatal(err)
	}
	if name := runtime.FuncForPC(uintptr(cpu.PC)); name == nil || name.Name() != "minidump/internal/darwin.callCapture" {
		t.Errorf("pc %#x is in %v", cpu.PC, name)
	}
	b := memoryAt(t, f, cpu.SP, 64)
	if b == nil {
		t.Fatalf("no stack at %#x", cpu.SP)
	}
	if runtime.GOARCH == "arm64" {
		// Go's frame pointer is below SP there (cmd/internal/obj/arm64). The return address is at SP.
		fn := runtime.FuncForPC(uintptr(binary.LittleEndian.Uint64(b) - 1))
		if fn == nil || !strings.HasPrefix(fn.Name(), "minidump/internal/darwin.") {
			t.Errorf("it returns to %v", fn)
		}
		return
	}
	// The frame pointers lead to this package's functions.
	var names []string
	for fp, n := cpu.FP, 0; fp != 0 && n < 32; n++ {
		b := memoryAt(t, f, fp, 16)
		if b == nil {
			break
		}
		fn := runtime.FuncForPC(uintptr(binary.LittleEndian.Uint64(b[8:]) - 1))
		if fn == nil {
			break
		}
		names = append(names, fn.Name())
		if fn.Name() == "minidump.dumpSelf" {
			return
		}
		fp = binary.LittleEndian.Uint64(b)
	}
	t.Errorf("the stack is %q", names)
}

// TestDumpSelfAlways checks that dumps complete whatever the runtime does meanwhile.
func TestDumpSelfAlways(t *testing.T) {
	stop := make(chan bool)
	defer close(stop)
	for range 3 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = append(make([]byte, 0, 1<<10), make([]byte, 64<<10)...)
					runtime.Gosched()
				}
			}
		}()
	}
	rounds := 20
	if emulated() {
		rounds = 4
	}
	for range rounds {
		if _, err := minidump.DumpSelf(io.Discard, minidump.Options{}); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
	}
}
