package minidump_test

import (
	"bytes"
	"debug/macho"
	"encoding/binary"
	"encoding/hex"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"minidump"
	"minidump/context"
	"minidump/stream"
)

func TestDumpTask(t *testing.T) {
	v := startVictim(t, "idle")
	w, err := minidump.NewWriter(v.pid, minidump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	checkTask(t, w, v.pid)
}

// TestDumpOwnTask dumps the test's own process.
func TestDumpOwnTask(t *testing.T) {
	defer otherThreads(2)()
	w, err := minidump.NewWriter(os.Getpid(), minidump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	checkTask(t, w, os.Getpid())
}

func checkTask(t *testing.T, w *minidump.Writer, pid int) {
	t.Helper()
	var out bytes.Buffer
	res, err := w.Dump(&out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range res.SoftErrors() {
		t.Errorf("soft error: %v", e)
	}
	f, err := stream.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	arch := map[string]uint16{"amd64": stream.MD_CPU_ARCHITECTURE_AMD64,
		"arm64": stream.MD_CPU_ARCHITECTURE_ARM64}[runtime.GOARCH]
	sys, build, err := f.SystemInfo()
	if err != nil || sys.PlatformID != stream.MD_OS_MAC_OS_X || sys.ProcessorArchitecture != arch ||
		sys.MajorVersion == 0 || build == "" ||
		sys.NumberOfProcessors == 0 {
		t.Errorf("system: %+v %q, %v", sys, build, err)
	}
	misc, err := f.MiscInfo()
	if err != nil || int(misc.ProcessID) != pid || time.Since(time.Unix(int64(misc.ProcessCreateTime),
		0)).Abs() > time.Hour {
		t.Errorf("misc: %+v, %v", misc, err)
	}
	if runtime.GOARCH == "amd64" && (misc.Flags1&stream.MINIDUMP_MISC1_PROCESSOR_POWER_INFO == 0 ||
		misc.ProcessorMaxMHz < 100 || misc.ProcessorMaxMHz > 100000) {
		t.Errorf("processor of %d MHz", misc.ProcessorMaxMHz)
	}

	exe, _ := os.Executable()
	mods, err := f.Modules()
	if err != nil || len(mods) < 3 {
		t.Fatalf("%d modules, %v", len(mods), err)
	}
	if mods[0].Name != exe || mods[len(mods)-1].Name != "/usr/lib/dyld" {
		t.Errorf("the first module is %s, the last %s", mods[0].Name, mods[len(mods)-1].Name)
	}
	if id := stream.DebugID(mods[0].CodeView, binary.LittleEndian); id != uuidOf(t, exe)+"0" {
		t.Errorf("debug id %s, LC_UUID %s", id, uuidOf(t, exe))
	}
	system := false
	for _, m := range mods {
		if m.Name == "/usr/lib/libSystem.B.dylib" {
			system = m.VersionInfo.FileVersionMS != 0
		}
	}
	if !system {
		t.Error("no libSystem with a version")
	}

	ths, err := f.Threads()
	if err != nil || len(ths) < 2 {
		t.Fatalf("%d threads, %v", len(ths), err)
	}
	for _, th := range ths {
		rec, err := f.Context(th.Context)
		if err != nil {
			t.Errorf("thread %d: %v", th.ThreadID, err)
			continue
		}
		cpu, err := context.Decode(nativeArch(), rec, binary.LittleEndian)
		if err != nil {
			t.Errorf("thread %d: %v", th.ThreadID, err)
			continue
		}
		if !slices.ContainsFunc(mods, func(m stream.ModuleInfo) bool {
			return m.BaseOfImage <= cpu.PC && cpu.PC < m.BaseOfImage+uint64(m.SizeOfImage)
		}) {
			t.Errorf("thread %d: pc %#x is in no module", th.ThreadID, cpu.PC)
		}
		if st := th.Stack; st.Start > cpu.SP || cpu.SP >= st.Start+uint64(st.Memory.DataSize) {
			t.Errorf("thread %d: sp %#x, stack %#x of %d bytes", th.ThreadID, cpu.SP, st.Start, st.Memory.DataSize)
		}
	}
	exc, err := f.Exception()
	if err != nil || exc.Code != 0x43507378 || exc.ThreadID != ths[0].ThreadID {
		t.Errorf("exception %+v, %v", exc, err)
	}
	regions, err := f.MemoryInfo()
	if err != nil || !slices.ContainsFunc(regions, func(r stream.MemoryInfo) bool {
		return r.BaseAddress <= mods[0].BaseOfImage && mods[0].BaseOfImage < r.BaseAddress+r.RegionSize &&
			r.Protect == stream.PAGE_EXECUTE_READ
	}) {
		t.Errorf("%d regions, none is the main program's text; %v", len(regions), err)
	}
	handles, err := f.Handles()
	if err != nil || !slices.ContainsFunc(handles, func(h stream.HandleInfo) bool {
		return h.TypeName != "" &&
			h.Handle <= 2
	}) {
		t.Errorf("handles %+v, %v", handles, err)
	}
	if b, err := f.BreakpadInfo(); err != nil || b.RequestingThreadID != ths[0].ThreadID {
		t.Errorf("breakpad info %+v, %v", b, err)
	}
	checkCrashInfo(t, f, out.Bytes())
}

// checkCrashInfo checks the crash texts of the images. Each image of the loader of internal/macos has one.
func checkCrashInfo(t *testing.T, f *stream.File, file []byte) {
	t.Helper()
	o := binary.LittleEndian
	b, err := f.Stream(stream.MozMacosCrashInfo)
	if err != nil || len(b) < 172 || o.Uint32(b) != uint32(stream.MozMacosCrashInfo) || o.Uint32(b[8:]) != 40 {
		t.Fatalf("crash info of %d bytes, %v", len(b), err)
	}
	var all []string
	for i := range o.Uint32(b[4:]) {
		size, rva := o.Uint32(b[12+8*i:]), o.Uint32(b[16+8*i:])
		r := file[rva : rva+size]
		if o.Uint64(r) != uint64(stream.MozMacosCrashInfo) || o.Uint64(r[8:]) != 5 {
			t.Errorf("record %x", r[:16])
		}
		all = append(all, string(r[40:]))
	}
	for _, want := range []string{"/usr/lib/libSystem.B.dylib\x00no error in machorun\x00\x00\x00second message\x00",
		"/usr/lib/dyld\x00dyld config: none\x00\x00\x00\x00"} {
		if !slices.Contains(all, want) {
			t.Errorf("crash info %q, want %q", all, want)
		}
	}
	if b, err = f.Stream(stream.MozMacosBootargs); err != nil || len(b) < 12 {
		t.Fatal(err)
	}
	if s, err := f.String(o.Uint64(b[4:])); err != nil || s != "-v amfi=0x80" {
		t.Errorf("boot arguments %q, %v", s, err)
	}
}

// uuidOf returns the LC_UUID of a Mach-O file.
func uuidOf(t *testing.T, path string) string {
	t.Helper()
	f, err := macho.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, l := range f.Loads {
		if b := l.Raw(); binary.LittleEndian.Uint32(b) == 0x1b {
			return strings.ToUpper(hex.EncodeToString(b[8:24]))
		}
	}
	t.Fatal("no LC_UUID")
	return ""
}
