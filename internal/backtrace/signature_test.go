package backtrace

import (
	"testing"

	"minidump/stream"
)

func TestSignature(t *testing.T) {
	module := func(i uint32) (string, uint64, bool) { return `C:\x\app.exe`, 0x400000, i == 0 }
	for _, c := range []struct {
		functions []string
		want      string
	}{
		{nil, ""},
		{[]string{"crash_here", "main"}, "crash_here"},
		{[]string{"__pthread_kill_implementation", "__GI_raise", "__GI_abort", "checked(int)", "main"}, "checked"},
		{[]string{"__memcpy_avx_unaligned_erms", "copy_all", "main"}, "__memcpy_avx_unaligned_erms | copy_all"},
		{[]string{"__GI_raise", "__GI_abort", "__libc_message", "malloc_printerr", "_int_free", "__libc_free", "drop", "main"},
			"_int_free | __libc_free | drop"},
		{[]string{"__GI_abort", "__gnu_cxx::__verbose_terminate_handler()", "std::terminate()", "__cxa_throw", "app::parse<int>(std::string const&)"},
			"app::parse"},
		{[]string{"rust_begin_unwind", "core::panicking::panic_fmt", "app::work::{{closure}}", "main"}, "app::work"},
		{[]string{"runtime.raise.abi0", "runtime.dieFromSignal", "runtime.gopanic", "main.(*T).work.func1", "main.main"}, "main.(*T).work"},
		{[]string{"runtime.systemstack_switch", "runtime.fatal", "internal/runtime/maps.fatal", "runtime.mapassign_fast64", "main.do.func3"},
			"runtime.mapassign_fast64 | main.do"},
		{[]string{"sync.fatal", "internal/sync.(*Mutex).unlockSlow", "internal/sync.(*Mutex).Unlock", "sync.(*Mutex).Unlock", "main.do"},
			"internal/sync.(*Mutex).unlockSlow | internal/sync.(*Mutex).Unlock | sync.(*Mutex).Unlock | main.do"},
		{[]string{"", "main"}, "app.exe@0x1234"},
		{[]string{"(anonymous namespace)::f(char*)"}, "_::f"},
		{[]string{"f.constprop.0"}, "f"},
		{[]string{"raise"}, "raise"},
	} {
		var frames []stream.NamedFrame
		for _, name := range c.functions {
			frames = append(frames, stream.NamedFrame{FrameRecord: stream.FrameRecord{PC: 0x401234}, Function: name})
		}
		if got := Signature(frames, module); got != c.want {
			t.Errorf("%q: %q, want %q", c.functions, got, c.want)
		}
	}
	lost := []stream.NamedFrame{{FrameRecord: stream.FrameRecord{PC: 0x45, Module: stream.GoNone}}}
	if got := Signature(lost, module); got != "@0x45" {
		t.Error(got)
	}
}
