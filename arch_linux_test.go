//go:build linux

package minidump

import (
	"bytes"
	stdelf "debug/elf"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/context"
	"minidump/internal/corefile/coretest"
	"minidump/internal/victims"
	"minidump/internal/vm/archtest"
	"minidump/procfs"
	"minidump/stream"

	"minidump/internal/linux"
)

// These tests dump processes of the architecture on which they run. In virtual machines (internal/vm) they run on each
// Linux architecture that has a packaged kernel. They also leave their dumps for package internal/vm/archtest, which
// reads them on the host. One more such test, TestDumpEveryArchGoCrash, is in package run.

// machineFacts are the known facts about an architecture.
type machineFacts struct {
	processor uint16 // ProcessorArchitecture
	page      int    // of Debian's kernels and, natively, of all; 0: several sizes are in use
	regsets   []uint32
}

var machines = map[string]machineFacts{
	"386":       {0, 4096, []uint32{0x202}},
	"amd64":     {9, 4096, []uint32{0x202}},
	"arm":       {5, 4096, nil}, // NT_ARM_VFP is in the context record
	"arm64":     {12, 0, []uint32{0x401, 0x405}},
	"loong64":   {0x8008, 16384, []uint32{0xa00, 0xa02}},
	"mips":      {1, 0, nil},
	"mipsle":    {1, 0, nil},
	"mips64":    {0x8004, 0, nil},
	"mips64le":  {0x8004, 0, nil},
	"mips64n32": {0x8004, 0, nil}, // programs of mips64 with 32-bit addresses
	"ppc":       {3, 0, nil},      // a ppc64 kernel runs it
	"ppc64":     {0x8002, 0, []uint32{0x100, 0x102}},
	"ppc64le":   {0x8002, 65536, []uint32{0x100, 0x102}},
	"riscv64":   {0x8006, 4096, nil}, // NT_RISCV_VECTOR where the CPU has vectors
	"s390x":     {0x8007, 4096, []uint32{0x309, 0x30a}},
}

// archDump dumps a process once, and also returns the bytes of the dump.
func archDump(t testing.TB, pid int, o Options) (*stream.File, []byte) {
	t.Helper()
	w, err := NewWriter(pid, patient(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	var b bytes.Buffer
	r, err := w.Dump(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.SoftErrors() {
		t.Errorf("soft error: %v", &e)
	}
	f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stream.Problems(f) {
		t.Errorf("problem: %s", p)
	}
	return f, b.Bytes()
}

// dumped is a process whose dump is checked.
type dumped struct {
	pid     int
	goarch  string
	program string // its file
	threads int    // number of threads; 0: not known
}

// check compares a dump with the kernel's facts, the program's file and the auxiliary vector.
func (d *dumped) check(t testing.TB, f *stream.File) {
	t.Helper()
	if f.Order != hostOrder() {
		t.Errorf("the file's byte order is %v", f.Order)
	}
	d.checkThreads(t, f)
	d.checkModules(t, f)
	d.checkSystem(t, f)

	auxv, err := f.Stream(stream.LinuxAuxv)
	if want := readText(t, fmt.Sprintf("/proc/%d/auxv", d.pid)); err != nil || string(auxv) != want {
		t.Errorf("auxiliary vector % x, want % x: %v", auxv, want, err)
	}
	misc, err := f.MiscInfo()
	if err != nil || int(misc.ProcessID) != d.pid || misc.ProcessCreateTime == 0 {
		t.Errorf("misc info %+v: %v", misc, err)
	}
}

func (d *dumped) checkThreads(t testing.TB, f *stream.File) {
	t.Helper()
	threads, err := f.Threads()
	if err != nil || len(threads) == 0 || d.threads != 0 && len(threads) != d.threads {
		t.Fatalf("%d threads, want %d: %v", len(threads), d.threads, err)
	}
	names, err := f.ThreadNames()
	if err != nil {
		t.Error(err)
	}
	comm := commNames(t, d.pid)
	mods, err := f.Modules()
	if err != nil {
		t.Fatal(err)
	}
	regions, err := f.MemoryInfo()
	if err != nil {
		t.Fatal(err)
	}
	regs := coretest.CPUs(t, f)
	e, err := f.Exception()
	if err != nil {
		t.Error(err)
	}
	for _, th := range threads {
		if want, ok := comm[int(th.ThreadID)]; ok && names[th.ThreadID] != want {
			t.Errorf("thread %d is named %q, want %q", th.ThreadID, names[th.ThreadID], want)
		}
		c := regs[th.ThreadID]
		if c == nil {
			t.Errorf("thread %d has no registers", th.ThreadID)
			continue
		}
		if end := th.Stack.Start + uint64(th.Stack.Memory.DataSize); c.SP < th.Stack.Start || c.SP >= end {
			t.Errorf("thread %d: SP %#x is not in its stack %#x-%#x", th.ThreadID, c.SP, th.Stack.Start, end)
		}
		if th.ThreadID == e.ThreadID && c.PC == 0 {
			continue // the thread crashed there
		}
		inModule := slices.ContainsFunc(mods, func(m stream.ModuleInfo) bool {
			return m.BaseOfImage <= c.PC && c.PC < m.BaseOfImage+uint64(m.SizeOfImage)
		})
		executable := slices.ContainsFunc(regions, func(r stream.MemoryInfo) bool {
			return r.BaseAddress <= c.PC && c.PC < r.BaseAddress+r.RegionSize && r.Protect&(stream.PAGE_EXECUTE|
				stream.PAGE_EXECUTE_READ|stream.PAGE_EXECUTE_READWRITE|stream.PAGE_EXECUTE_WRITECOPY) != 0
		})
		if !inModule || !executable {
			t.Errorf("thread %d: PC %#x: in a module %v, executable %v", th.ThreadID, c.PC, inModule, executable)
		}
	}
}

func (d *dumped) checkModules(t testing.TB, f *stream.File) {
	t.Helper()
	mods, err := f.Modules()
	if err != nil || len(mods) == 0 {
		t.Fatalf("%d modules: %v", len(mods), err)
	}
	want := fileBuildID(t, d.program)
	if m := mods[0]; m.Name != d.program || want == "" || m.BuildID != want {
		t.Errorf("first module %s, build id %s, want %s, %s", m.Name, m.BuildID, d.program, want)
	}
	page := uint64(os.Getpagesize())
	if p := machines[runtime.GOARCH].page; p != 0 && uint64(p) != page {
		t.Errorf("pages of %d bytes, want %d", page, p)
	}
	for _, m := range mods {
		if m.BaseOfImage%page != 0 || uint64(m.SizeOfImage)%page != 0 {
			t.Errorf("module %s at %#x, size %#x: not of pages of %#x", m.Name, m.BaseOfImage, m.SizeOfImage, page)
		}
	}
	regions, _ := f.MemoryInfo()
	for _, r := range regions {
		if r.BaseAddress%page != 0 || r.RegionSize%page != 0 {
			t.Errorf("region at %#x, size %#x: not of pages of %#x", r.BaseAddress, r.RegionSize, page)
		}
	}
}

// checkSystem compares the system information with /proc/cpuinfo and the process's auxiliary vector.
func (d *dumped) checkSystem(t testing.TB, f *stream.File) {
	t.Helper()
	info, csd, err := f.SystemInfo()
	if err != nil {
		t.Fatal(err)
	}
	if want := machines[d.goarch].processor; info.ProcessorArchitecture != want {
		t.Errorf("processor architecture %#x, want %#x", info.ProcessorArchitecture, want)
	}
	var u unix.Utsname
	unix.Uname(&u)
	release := unix.ByteSliceToString(u.Release[:])
	platform := stream.MD_OS_LINUX
	if linux.IsAndroid() {
		platform = stream.MD_OS_ANDROID
	}
	if info.PlatformID != uint32(platform) || !strings.HasPrefix(release, fmt.Sprintf("%d.%d.", info.MajorVersion, info.MinorVersion)) ||
		!strings.Contains(csd, release) || !strings.Contains(csd, " "+unix.ByteSliceToString(u.Machine[:])) {
		t.Errorf("platform %#x, version %d.%d, %q", info.PlatformID, info.MajorVersion, info.MinorVersion, csd)
	}
	n, ok := procfs.ParseCPUList([]byte(readText(t, "/sys/devices/system/cpu/present")))
	if !ok || int(info.NumberOfProcessors) != min(n, 255) {
		t.Errorf("%d processors, want %d", info.NumberOfProcessors, n)
	}

	vector, _ := f.Stream(stream.LinuxAuxv)
	word := context.ArchOfProcessor(info.ProcessorArchitecture).WordSize()
	if d.goarch == "mips64n32" {
		word = 4
	}
	auxv := procfs.ParseAuxv(vector, word, hostOrder())
	line := func(key string) string { // the value of the first line of cpuinfo with that key
		for _, l := range strings.Split(readText(t, "/proc/cpuinfo"), "\n") {
			if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == key {
				return strings.TrimSpace(v)
			}
		}
		return ""
	}
	number := func(key string) (v uint32) {
		fmt.Sscan(line(key), &v)
		return v
	}
	switch d.goarch {
	case "386", "amd64":
		var c stream.X86CPU
		c.Get(info.CPU[:], f.Order)
		if vendor := string(c.VendorID[:]); vendor != line("vendor_id") || c.FeatureInformation&1 == 0 || c.FeatureInformation&(1<<25) == 0 {
			t.Errorf("vendor %q, features %#x", vendor, c.FeatureInformation) // an FPU and SSE
		}
		if family, model := number("cpu family"), number("model"); uint32(info.ProcessorLevel) != family ||
			uint32(info.ProcessorRevision>>8) != model || c.VersionInformation>>4&15 != model&15 {
			t.Errorf("level %d, revision %#x, version %#x: family %d, model %d", info.ProcessorLevel, info.ProcessorRevision,
				c.VersionInformation, family, model)
		}
	case "arm", "arm64":
		var c stream.ARMCPU
		c.Get(info.CPU[:], f.Order)
		if c.CPUID>>24 != number("CPU implementer") || c.CPUID>>4&0xfff != number("CPU part") || c.CPUID&15 != number("CPU revision") ||
			c.CPUID>>20&15 != number("CPU variant") || c.CPUID>>16&15 != 15 {
			t.Errorf("CPU id %#x", c.CPUID)
		}
		if uint64(c.ELFHwcaps) != auxv.Hwcap&0xffffffff || c.ELFHwcaps == 0 {
			t.Errorf("hwcaps %#x, want %#x", c.ELFHwcaps, auxv.Hwcap)
		}
		if want := map[string]uint16{"arm": 7, "arm64": 8}[runtime.GOARCH]; info.ProcessorLevel != want {
			t.Errorf("level %d, want %d", info.ProcessorLevel, want)
		}
	default:
		var c stream.OtherCPU
		c.Get(info.CPU[:], f.Order)
		if c.ProcessorFeatures[0] != auxv.Hwcap || c.ProcessorFeatures[1] != auxv.Hwcap2 {
			t.Errorf("features %#x, want %#x %#x", c.ProcessorFeatures, auxv.Hwcap, auxv.Hwcap2)
		}
		if c.ProcessorFeatures[0] == 0 {
			t.Error("no features")
		}
		switch d.goarch {
		case "ppc", "ppc64", "ppc64le":
			if info.ProcessorLevel != 0x4e { // PVR of a POWER9
				t.Errorf("level %#x, %s", info.ProcessorLevel, line("cpu"))
			}
		case "s390x":
			if !strings.Contains(line("processor 0"), fmt.Sprintf("machine = %04X", info.ProcessorLevel)) || info.ProcessorLevel == 0 {
				t.Errorf("level %#x, %s", info.ProcessorLevel, line("processor 0"))
			}
		}
	}
}

// TestDumpEveryArchIdle dumps an idle C program in each mode.
func TestDumpEveryArchIdle(t *testing.T) {
	path := victims.C(t, "victim.c")
	v := victims.Start(t, path, "idle", "6")
	d := dumped{v.PID, runtime.GOARCH, path, 6}
	victims.WaitThreads(t, v.PID, 'S') // otherwise the sizes differ by what the threads do as they start
	sizes := map[Mode]int{}
	for mode, name := range []string{ModeStack: "stack", ModeIndirect: "indirect", ModeFull: "full"} {
		mode := Mode(mode)
		t.Run(name, func(t *testing.T) {
			f, b := archDump(t, v.PID, Options{Mode: mode})
			d.check(t, f)
			sizes[mode] = len(b)
			archtest.Leave(t, "idle-"+name, b, archtest.Note{PID: v.PID, Blamed: v.PID, Threads: 6})
			if mode == ModeFull {
				checkText(t, f, path)
			}
		})
	}
	if sizes[ModeStack] >= sizes[ModeIndirect] || sizes[ModeIndirect] >= sizes[ModeFull] {
		t.Errorf("sizes by mode: %v", sizes)
	}
}

// checkText compares the program's code in the dump with its file.
func checkText(t testing.TB, f *stream.File, path string) {
	t.Helper()
	x, err := stdelf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	mods, _ := f.Modules()
	bias := mods[0].BaseOfImage
	for _, p := range x.Progs {
		if p.Type == stdelf.PT_LOAD {
			bias -= p.Vaddr &^ uint64(os.Getpagesize()-1)
			break
		}
	}
	text := x.Section(".text")
	want, err := text.Data()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if n, err := f.ReadMemory(text.Addr+bias, got); err != nil || n != len(got) || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of code of %d, the same %v: %v", n, len(got), bytes.Equal(got, want), err)
	}
}

// functionOf returns the name of the program's function at pc.
func functionOf(t testing.TB, f *stream.File, path string, pc uint64) string {
	t.Helper()
	x, err := stdelf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	mods, _ := f.Modules()
	bias := mods[0].BaseOfImage
	for _, p := range x.Progs {
		if p.Type == stdelf.PT_LOAD {
			bias -= p.Vaddr &^ uint64(os.Getpagesize()-1)
			break
		}
	}
	symbols, err := x.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		value := s.Value
		switch x.Machine {
		case stdelf.EM_ARM:
			value &^= 1 // Thumb
		case stdelf.EM_PPC64: // ELFv1 ABI (big-endian): the symbol is a descriptor, which begins with the function's address
			if opd := x.Section(".opd"); opd != nil && opd.Addr <= value && value < opd.Addr+opd.Size {
				descriptor := make([]byte, 8)
				if _, err := opd.ReadAt(descriptor, int64(value-opd.Addr)); err != nil {
					t.Fatal(err)
				}
				value = x.ByteOrder.Uint64(descriptor)
			}
		}
		if stdelf.ST_TYPE(s.Info) == stdelf.STT_FUNC && value <= pc-bias && pc-bias < value+s.Size {
			return s.Name
		}
	}
	return ""
}

type crashOfC struct {
	kind     string
	function string // "": outside the program
	narrow   uint64 // the address of the fault, on machines with words of 4 bytes
	wide     uint64
	access   context.Access
}

// crashesOfC are the crashes of crasher.c, with what is known about them on every architecture.
var crashesOfC = []crashOfC{
	{"null", "level3", 4, 8, context.AccessRead},
	{"wild", "level3", 0x00badba0, 0x100badbad0, context.AccessWrite},
	{"noncanonical", "level3", 0xfffffff0, 0x8000badbadbadba0, context.AccessRead},
	{"exec", "", 0, 0, context.AccessExecute},
}

// checkCrashes crashes a C program in several ways, and checks that the dump has the exception and the registers that
// the signal handler received.
func checkCrashes(t *testing.T, path string, arch context.Arch, goarch string) {
	for _, c := range crashesOfC {
		t.Run(c.kind, func(t *testing.T) {
			v, files, tid := startCrasher(t, path, "--in", "thread", "--threads", "2", c.kind)
			crash := crashOf(t, arch, v.PID, tid, files)
			address := c.wide
			if arch.WordSize() == 4 {
				address = c.narrow
			}
			if c.kind == "exec" && goarch == "ppc64" {
				// By the ELFv1 ABI a function's address is the address of a descriptor, which the caller reads.
				c.function, c.access = "level3", context.AccessRead
			}
			if arch == context.ARM64 {
				address = address << 8 >> 8 // the kernel removes the tag from the address that it reports
			}
			if code := memoryOf(t, v.PID, crash.PC, 16); len(code) > 0 {
				crash.Refine(code)
			}
			f, b := archDump(t, v.PID, Options{Crash: crash})
			d := dumped{v.PID, goarch, path, 4}
			d.check(t, f)
			e, err := f.Exception()
			if err != nil || e.ThreadID != uint32(tid) {
				t.Fatalf("thread %d, want %d: %v", e.ThreadID, tid, err)
			}
			if syscall.Signal(e.Code) != syscall.SIGSEGV && (c.kind != "noncanonical" || syscall.Signal(e.Code) != syscall.SIGBUS) {
				t.Errorf("signal %d", e.Code)
			}
			if e.Address != address {
				t.Errorf("address %#x, want %#x", e.Address, address)
			}
			want := map[context.Access]uint64{context.AccessRead: 0, context.AccessWrite: 1, context.AccessExecute: 8}[c.access]
			if e.NumberParameters != 2 || e.Information[0] != want || e.Information[1] != address {
				t.Errorf("parameters %#x, want %#x, %#x", e.Information[:e.NumberParameters], want, address)
			}
			regs := coretest.CPUs(t, f)[uint32(tid)]
			if regs == nil || regs.PC != crash.PC || regs.SP != crash.SP {
				t.Fatalf("registers %+v, want PC %#x, SP %#x", regs, crash.PC, crash.SP)
			}
			if got := functionOf(t, f, path, regs.PC); got != c.function {
				t.Errorf("crashed in %q, want %q (PC %#x)", got, c.function, regs.PC)
			}
			// The dump has the memory of the instruction.
			if c.function != "" {
				code := make([]byte, 16)
				if n, err := f.ReadMemory(regs.PC, code); err != nil || !bytes.Equal(code, memoryOf(t, v.PID, regs.PC, 16)) {
					t.Errorf("%d bytes of code: %v", n, err)
				}
			}
			note := archtest.Note{GOARCH: goarch, PID: v.PID, Blamed: int(tid), Threads: 4, Signal: int(e.Code), Address: address, File: path}
			if note.Functions = []string{"level3", "level2", "level1", "crash_thread"}; c.kind == "exec" {
				note.Functions = nil // after a call through a null pointer, a reader finds no frame on some machines
			}
			archtest.Leave(t, goarch+"-crash-"+c.kind, b, note)
		})
	}
}

// crashOf is linuxCrash for a process of another word size.
func crashOf(t testing.TB, arch context.Arch, pid int, tid int32, files string) *context.Crash {
	t.Helper()
	read := func(suffix string) []byte {
		b, err := os.ReadFile(files + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return b
	}
	c, err := context.CrashFromLinux(arch, hostOrder(), int32(pid), tid, read(".siginfo"), read(".ucontext"), read(".fpregs"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestDumpEveryArchCrash dumps crashed C programs.
func TestDumpEveryArchCrash(t *testing.T) {
	checkCrashes(t, victims.C(t, "crasher.c"), context.Native, runtime.GOARCH)
}

// TestDumpEveryArchGo dumps an idle Go program, whose threads run on stacks inside the Go heap.
func TestDumpEveryArchGo(t *testing.T) {
	path := victims.Go(t, "gosleep")
	v := victims.Start(t, path, "20")
	d := dumped{v.PID, runtime.GOARCH, path, 0}
	f, b := archDump(t, v.PID, Options{StackLimit: 1 << 20, CrashStackLimit: 1 << 20})
	for range 10 { // a thread that is just starting has no g yet
		if len(largeGoStacks(f, v.PID)) == 0 {
			break
		}
		f, b = archDump(t, v.PID, Options{StackLimit: 1 << 20, CrashStackLimit: 1 << 20})
	}
	d.check(t, f)
	checkGoStacks(t, f, v.PID, context.ArchOfProcessor(machines[runtime.GOARCH].processor))
	threads, _ := f.Threads()
	archtest.Leave(t, "go-idle", b, archtest.Note{PID: v.PID, Blamed: v.PID, Threads: len(threads)})

	f, b = archDump(t, v.PID, Options{Mode: ModeFull})
	d.check(t, f)
	checkText(t, f, path)
	if len(b) < 1<<20 {
		t.Errorf("all memory takes %d bytes", len(b))
	}
}

// checkGoStacks checks that no thread except the main one, which began on the kernel's stack, has more stack than the
// 16 KiB of a g0: a goroutine's stack is smaller. Without the bounds in the g, the stack in the dump would extend to
// the end of a mapping of the heap.
func checkGoStacks(t *testing.T, f *stream.File, pid int, arch context.Arch) {
	if arch == context.X86 {
		return // g can't be found from the registers
	}
	threads, _ := f.Threads()
	if len(threads) < 2 {
		t.Errorf("%d threads", len(threads))
	}
	for _, th := range largeGoStacks(f, pid) {
		t.Errorf("thread %d has a stack of %d bytes", th.ThreadID, th.Stack.Memory.DataSize)
	}
}

// largeGoStacks returns the threads, except the main one, whose stack is larger than that of a g0.
func largeGoStacks(f *stream.File, pid int) (list []stream.Thread) {
	threads, _ := f.Threads()
	for _, th := range threads {
		if int(th.ThreadID) != pid && th.Stack.Memory.DataSize > 16<<10 {
			list = append(list, th)
		}
	}
	return list
}

// TestDumpEveryArchRegisterSets reads every register set that the kernel has of a thread, and expects all of them in
// the dump except those that the context record contains entirely. The victim must not run meanwhile, or its registers
// change.
func TestDumpEveryArchRegisterSets(t *testing.T) {
	path := victims.Go(t, "gosleep")
	v := victims.Start(t, path, "2")
	victims.StandStill(t, v.PID)
	f, b := archDump(t, v.PID, Options{RegisterSets: true})
	sets, err := f.RegisterSets()
	if want := machines[runtime.GOARCH].regsets; err != nil && len(want) > 0 {
		t.Fatal(err)
	}
	threads, _ := f.Threads()
	archtest.Leave(t, "regsets", b, archtest.Note{PID: v.PID, Blamed: v.PID, Threads: len(threads)})
	have := map[uint32][]byte{} // of the main thread
	seen := map[uint32]int{}
	for _, s := range sets {
		data, err := f.Context(s.Data)
		if err != nil {
			t.Fatal(err)
		}
		seen[s.NoteType]++
		if int(s.ThreadID) == v.PID {
			have[s.NoteType] = data
		}
	}
	for note, n := range seen {
		if n != len(threads) {
			t.Errorf("%d of %d threads have register set %#x", n, len(threads), note)
		}
	}
	for _, note := range machines[runtime.GOARCH].regsets {
		if len(have[note]) == 0 {
			t.Errorf("no register set %#x", note)
		}
	}
	inRecord := []uint32{context.NT_PRSTATUS, context.NT_PRFPREG, context.Native.FPRegset(), 0x407, 0x408} // and arm64's secret keys
	kernel := kernelRegsets(t, v.PID)
	for note, want := range kernel {
		if slices.Contains(inRecord, note) {
			continue
		}
		if note == 0x308 { // NT_S390_TDB exists after some interrupts of the thread and not after others
			continue
		}
		got := have[note]
		if len(got) != len(want) {
			t.Errorf("register set %#x: %d bytes, the kernel has %d", note, len(got), len(want))
		} else if !bytes.Equal(got, want) && note != 0x306 { // the kernel changes NT_S390_LAST_BREAK
			t.Errorf("register set %#x: % x, want % x", note, got, want)
		}
	}
	t.Logf("register sets of the kernel: %#x", keys(kernel))
}

func keys(m map[uint32][]byte) (k []uint32) {
	for note := range m {
		k = append(k, note)
	}
	slices.Sort(k)
	return k
}

// kernelRegsets reads all register sets that the kernel has of a thread, except those larger than 128 KiB.
func kernelRegsets(t testing.TB, pid int) map[uint32][]byte {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.PtraceSeize(pid); err != nil {
		t.Fatal(err)
	}
	defer unix.PtraceDetach(pid)
	if err := unix.PtraceInterrupt(pid); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != unix.EINTR {
			if err != nil || !status.Stopped() {
				t.Fatalf("%v: %v", status, err)
			}
			break
		}
	}
	sets := map[uint32][]byte{}
	buf := make([]byte, 128<<10)
	vector := new(unix.Iovec)
	for note := uint32(1); note < 0x1000; note++ {
		vector.Base = &buf[0]
		vector.SetLen(len(buf))
		_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGSET, uintptr(pid), uintptr(note), uintptr(unsafe.Pointer(vector)), 0, 0)
		if errno == 0 && vector.Len > 0 {
			sets[note] = bytes.Clone(buf[:vector.Len])
		}
	}
	if len(sets) < 2 {
		t.Fatalf("the kernel has %d register sets", len(sets))
	}
	return sets
}

// TestDumpEveryArchNarrow dumps 32-bit programs with a 64-bit writer. In a virtual machine the programs are in the
// folder MINIDUMP_VICTIMS_NARROW.
func TestDumpEveryArchNarrow(t *testing.T) {
	goarch := victims.NarrowArch(t)
	arch := context.Native.Compat()
	t.Run("idle", func(t *testing.T) {
		path := victims.Narrow(t, "victim")
		v := victims.Start(t, path, "idle", "6")
		d := dumped{v.PID, goarch, path, 6}
		for mode, name := range map[Mode]string{ModeStack: "stack", ModeIndirect: "indirect", ModeFull: "full"} {
			f, b := archDump(t, v.PID, Options{Mode: mode, RegisterSets: true})
			d.check(t, f)
			archtest.Leave(t, goarch+"-idle-"+name, b, archtest.Note{GOARCH: goarch, PID: v.PID, Blamed: v.PID, Threads: 6})
		}
	})
	t.Run("crash", func(t *testing.T) { checkCrashes(t, victims.Narrow(t, "crasher"), arch, goarch) })
	t.Run("go", func(t *testing.T) {
		path := victims.Narrow(t, "gosleep")
		v := victims.Start(t, path, "20")
		d := dumped{v.PID, goarch, path, 0}
		f, b := archDump(t, v.PID, Options{StackLimit: 1 << 20, CrashStackLimit: 1 << 20})
		d.check(t, f)
		checkGoStacks(t, f, v.PID, arch)
		threads, _ := f.Threads()
		archtest.Leave(t, goarch+"-go-idle", b, archtest.Note{GOARCH: goarch, PID: v.PID, Blamed: v.PID, Threads: len(threads)})
	})
}

// TestDumpEveryArchN32 dumps a program of the n32 ABI of mips64, which has 64-bit registers and 32-bit addresses.
func TestDumpEveryArchN32(t *testing.T) {
	path := victims.N32(t, "victim.c")
	v := victims.Start(t, path, "idle", "6")
	d := dumped{v.PID, "mips64n32", path, 6}
	for mode, name := range map[Mode]string{ModeStack: "stack", ModeIndirect: "indirect", ModeFull: "full"} {
		f, b := archDump(t, v.PID, Options{Mode: mode, RegisterSets: true})
		d.check(t, f)
		archtest.Leave(t, "mips64n32-idle-"+name, b, archtest.Note{GOARCH: "mips64n32", PID: v.PID, Blamed: v.PID, Threads: 6})
	}
}

// TestDumpEveryArchCore makes dumps of core files of this kernel, and leaves the core files for the host, which does the
// same.
func TestDumpEveryArchCore(t *testing.T) {
	for _, c := range []struct {
		name    string
		arch    context.Arch
		goarch  string
		program func(t *testing.T) string
	}{
		{"own", context.Native, runtime.GOARCH, func(t *testing.T) string { return victims.C(t, "crasher.c") }},
		{"narrow", context.Native.Compat(), victims.NarrowArches[runtime.GOARCH],
			func(t *testing.T) string { return victims.Narrow(t, "crasher") }},
		{"n32", context.MIPS64, "mips64n32", func(t *testing.T) string { return victims.N32(t, "crasher.c") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := c.program(t)
			core, pid := kernelCore(t, path, "--wait", "--in", "thread", "--threads", "1", "wild")
			_, f, _ := coreDump(t, core, Options{})
			info, _, err := f.SystemInfo()
			if err != nil || context.ArchOfProcessor(info.ProcessorArchitecture) != c.arch {
				t.Errorf("processor %#x, want %v: %v", info.ProcessorArchitecture, c.arch, err)
			}
			crash := crashesOfC[slices.IndexFunc(crashesOfC, func(k crashOfC) bool { return k.kind == "wild" })]
			address := crash.wide
			if c.arch.WordSize() == 4 || c.name == "n32" {
				address = crash.narrow
			}
			if c.arch == context.ARM64 {
				address = address << 8 >> 8
			}
			e, err := f.Exception()
			if err != nil || syscall.Signal(e.Code) != syscall.SIGSEGV || e.Address != address {
				t.Errorf("exception %+v, want address %#x: %v", e, address, err)
			}
			regs := coretest.CPUs(t, f)[e.ThreadID]
			if regs == nil {
				t.Fatal("the crashed thread has no registers")
			}
			if got := functionOf(t, f, path, regs.PC); got != crash.function {
				t.Errorf("crashed in %q, want %q (PC %#x)", got, crash.function, regs.PC)
			}
			mods, err := f.Modules()
			if want := coredBuildID(t, path); err != nil || len(mods) == 0 || mods[0].Name != path || mods[0].BuildID != want {
				t.Errorf("modules %+v, want %s with build id %s: %v", mods, path, want, err)
			}
			note := archtest.Note{GOARCH: c.goarch, PID: pid, Blamed: int(e.ThreadID), Threads: 3, Signal: int(e.Code), Address: address,
				Functions: []string{"level3", "level2", "level1", "crash_thread"}, File: path}
			archtest.LeaveCore(t, c.goarch+"-core", core, note)
		})
	}
}

// coredBuildID returns the build id of a program if a core file of this kernel contains it, otherwise "". The kernel writes
// only the first page of code, and in mips64 programs the note follows the section .MIPS.options, which is longer than a
// page.
func coredBuildID(t *testing.T, path string) string {
	t.Helper()
	f, err := stdelf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s := f.Section(".note.gnu.build-id"); s != nil && s.Offset+s.Size > uint64(os.Getpagesize()) {
		return ""
	}
	return fileBuildID(t, path)
}
