package crash

import (
	"os"
	"strings"
	"testing"

	"minidump"
	"minidump/context"
	"minidump/internal/victims"
	"minidump/stream"
)

// opened opens a dump of the monitor, and returns its annotations too.
func opened(t *testing.T, path string) (*stream.File, map[string]string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := stream.OpenFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	info, err := d.CrashpadInfo()
	if err != nil {
		t.Fatal(err)
	}
	notes := map[string]string{}
	for _, a := range info.Annotations {
		notes[a.Key] = a.Value
	}
	return d, notes
}

// exceptionCPU returns the exception of a dump and its registers.
func exceptionCPU(t *testing.T, d *stream.File) (*stream.Exception, *context.CPU) {
	t.Helper()
	e, err := d.Exception()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := d.Context(e.Context)
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := context.Decode(context.Native, rec, d.Order)
	if err != nil {
		t.Fatal(err)
	}
	return &e, cpu
}

// TestFaultRegisters runs programs that panic because of a fault. The registers must be those at the fault, whether or not its
// signal frame still exists, and a recovered fault must not be blamed.
func TestFaultRegisters(t *testing.T) {
	program := victims.Go(t, "goreporter")
	for _, c := range []struct{ kind, registers string }{
		{"nil", registersFault}, {"address", registersFault}, {"call", registersFault}, {"overwritten", registersUnwound}, {"stale", registersReport},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Setenv("GODEBUG", "asyncpreemptoff=1") // no other signal comes
			done, stderr := run(t, program, c.kind, "single")
			if strings.HasPrefix(done, "end") {
				t.Fatalf("no dump: %s", stderr)
			}
			d, notes := opened(t, done)
			whole := context.Native != context.PPC64 && context.Native != context.S390X
			if got := notes[KeyRegisters]; got != c.registers && (whole || got != registersUnwound) {
				t.Errorf("registers of kind %q, not %q", got, c.registers)
			}
			e, cpu := exceptionCPU(t, d)
			if c.kind == "stale" {
				if e.Code != minidump.DumpRequested {
					t.Errorf("exception %+v of a program that reports\n%s", e, notes[KeyReport])
				}
				return
			}
			line, ok := findSignal(notes[KeyReport])
			if !ok || e.Code != 11 || e.Address != line.addr || cpu.PC != line.pc {
				t.Errorf("exception %+v at %#x, the report says %+v", e, cpu.PC, line)
			}
			caller(t, d, cpu)
		})
	}
}

// caller checks the frame pointer of the faulting function, which leads to its return address: that must be the PC of some
// frame of a goroutine. The stack must be in the dump from the SP on.
func caller(t *testing.T, d *stream.File, cpu *context.CPU) {
	t.Helper()
	b := make([]byte, 8)
	if n, _ := d.ReadMemory(cpu.SP, b); n != len(b) {
		t.Errorf("the stack at %#x is not in the dump", cpu.SP)
	}
	if context.Native != context.AMD64 && context.Native != context.ARM64 {
		return
	}
	if n, _ := d.ReadMemory(cpu.FP+8, b); n != len(b) {
		t.Fatalf("the frame pointer %#x is not in a stack", cpu.FP)
	}
	l, err := d.Goroutines()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range l.Goroutines {
		for _, f := range g.Frames {
			if f.PC == d.Order.Uint64(b) {
				return
			}
		}
	}
	t.Errorf("the frame pointer %#x leads to %#x, which no frame has", cpu.FP, d.Order.Uint64(b))
}
