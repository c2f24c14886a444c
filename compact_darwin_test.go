package minidump_test

import (
	"bytes"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"minidump"
	"minidump/internal/backtrace"
	"minidump/mach"
	"minidump/stackwalk"
	"minidump/stream"
)

// TestCompactUnwind makes a C program, built by clang and lld with and without frame pointers, fault, and walks its stack by compact
// unwind information. (Without optimisation, the end of the code that lld 14 records is too low.)
func TestCompactUnwind(t *testing.T) {
	for _, flags := range []string{"-O1", "-O2", "-O2 -fomit-frame-pointer"} {
		t.Run(flags, func(t *testing.T) {
			if runtime.GOARCH == "arm64" && strings.Contains(flags, "omit") {
				t.Skip("lld 14 writes an incorrect __eh_frame, which such functions of arm64 need")
			}
			program := buildC(t, strings.Fields(flags)...)
			v := startProgram(t, program)
			if line := v.line(t); line != "ready\n" {
				t.Fatalf("%q", line)
			}
			h := handle(t, v, mach.EXC_BAD_ACCESS.Mask(), mach.EXCEPTION_DEFAULT)
			v.say(t)
			h.receive()
			var out bytes.Buffer
			if _, err := h.writer(minidump.Options{}).Dump(&out); err != nil {
				t.Fatal(err)
			}
			h.reply(mach.KERN_FAILURE)
			f, err := stream.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
			if err != nil {
				t.Fatal(err)
			}
			r, err := backtrace.Find(f, backtrace.Options{Limit: time.Minute})
			if err != nil || len(r.Threads) != 1 {
				t.Fatalf("%+v, %v", r, err)
			}
			want := strings.Fields("fault with_alloca large saves deep deep deep deep deep deep main")
			for i, frame := range r.Threads[0].Frames {
				if i == len(want) {
					break
				}
				trust := stackwalk.TrustCFI
				if i == 0 {
					trust = stackwalk.TrustContext
				}
				if frame.Function != want[i] || stackwalk.Trust(frame.Trust) != trust {
					t.Errorf("frame %d is %q by %v, want %q by %v", i, frame.Function, stackwalk.Trust(frame.Trust), want[i], trust)
				}
			}
			if n := len(r.Threads[0].Frames); n < len(want) {
				t.Errorf("%d frames, want %d", n, len(want))
			}
			if r.Signature != "fault" {
				t.Errorf("signature %q", r.Signature)
			}
		})
	}
}

// buildC builds testdata/darwincalls for this processor.
func buildC(t *testing.T, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	object, program := filepath.Join(dir, "main.o"), filepath.Join(dir, "darwincalls")
	arch := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	run(t, nil, outside(t, "clang"), append(flags, "-target", arch+"-apple-macos11", "-fno-stack-protector", "-funwind-tables", "-c",
		"-o", object, "testdata/darwincalls/main.c")...)
	run(t, nil, outside(t, "ld64.lld-14"), "-arch", arch, "-platform_version", "macos", "11.0", "11.0", "-o", program, object,
		"testdata/darwincalls/libSystem.tbd")
	return program
}
