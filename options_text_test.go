package minidump

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"minidump/context"
)

func TestOptionsString(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "mode stack; stacks up to 32 KiB, the blamed thread's up to 256 KiB; 100ms to stop all threads"},
		{Options{
			Thread: 12, Crash: &context.Crash{Arch: context.AMD64, Signo: 11}, Mode: ModeIndirect, Limit: 1 << 20, StackLimit: 1536,
			SanitizeStacks: true, Omit: OmitEnviron | OmitHandles, RegisterSets: true, SkipUnreferencedStacks: true, PrincipalAddress: 0x1000,
			AppMemory: []AppMemory{{Address: 1, Size: 2}, {Address: 3, Size: 4}}, Annotations: []Annotation{{"token", "secret"}},
			UserStreams: make([]UserStream, 2), UserModules: make([]UserModule, 1), StopTimeout: 2 * time.Second,
		}, "mode indirect; thread 12; crash by SIGSEGV; at most 1 MiB; stacks up to 1.5 KiB, the blamed thread's up to 256 KiB; " +
			"stacks sanitized; without environ,handles; with register sets; only stacks that refer to the module at 0x1000; " +
			"2 ranges of application memory; 1 annotation; 2 user streams; 1 user module; 2s to stop all threads"},
	} {
		got := fmt.Sprint(c.o)
		if got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		if strings.Contains(fmt.Sprintf("%+v", c.o), "secret") {
			t.Errorf("it prints an annotation")
		}
	}
}

func TestResultString(t *testing.T) {
	r := Result{Size: 55000, Pause: 450 * time.Microsecond, Total: 1100 * time.Microsecond, Threads: 4, Modules: 1, Ranges: 5, Memory: 2048, Soft: 1}
	want := "54 KiB, 4 threads, 1 module, 5 memory ranges of 2 KiB; stopped for 450µs, 1.1ms in all; 1 piece missing"
	if got := fmt.Sprint(r); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r.Pause, r.Soft = 0, 0
	if want, got := "54 KiB, 4 threads, 1 module, 5 memory ranges of 2 KiB; 1.1ms", r.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOmitString(t *testing.T) {
	for o, want := range map[Omit]string{0: "nothing", OmitCmdline: "cmdline", 7: "environ,cmdline,handles", 0x41: "environ,Omit(64)"} {
		if o.String() != want {
			t.Errorf("%d: %s, want %s", uint8(o), o, want)
		}
	}
	for m, want := range map[Mode]string{ModeStack: "stack", ModeFull: "full", 9: "Mode(9)"} {
		if m.String() != want {
			t.Errorf("%d: %s, want %s", uint8(m), m, want)
		}
	}
}
