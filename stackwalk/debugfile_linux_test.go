package stackwalk_test

import (
	stdelf "debug/elf"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"minidump"
	"minidump/internal/victims"
)

// TestDebugFile walks a program whose .debug_frame is compressed and in a separate file.
func TestDebugFile(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the compiler is for amd64")
	}
	objcopy := victims.Tool(t, "objcopy")
	const way = "plain alloca deep wait"
	for _, compress := range []string{"zlib", "zlib-gnu", "none"} {
		program := victims.Compile(t, "gcc", "frames.c", "-O2", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-static")
		symbols := readNames(program)
		debug := filepath.Join(t.TempDir(), "frames.debug")
		victims.Output(t, objcopy, "--only-keep-debug", "--compress-debug-sections="+compress, program, debug)
		victims.Output(t, objcopy, "--strip-all", program)
		v := victims.Start(t, program, strings.Fields(way)...)
		settle(t, v.PID)
		f := dump(t, v.PID, minidump.Options{})
		p := process(t, f)
		load := p.Load
		p.Load = func(i int) {
			load(i)
			if p.Modules[i].Name != program {
				return
			}
			file, err := stdelf.Open(debug)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { file.Close() })
			p.Modules[i].Debug = file
		}
		checkNames(t, p, walk(t, f, p), symbols, program, expected(way))
	}
}
