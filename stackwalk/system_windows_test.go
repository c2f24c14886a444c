//go:build amd64 || arm64

package stackwalk_test

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"minidump/context"
	"minidump/stackwalk"
)

// ownMemory is the memory of this process.
type ownMemory struct{}

func (ownMemory) ReadMemory(addr uint64, p []byte) (int, error) {
	var n uintptr
	err := windows.ReadProcessMemory(windows.CurrentProcess(), uintptr(addr), &p[0], uintptr(len(p)), &n)
	return int(n), err
}

// ownProcess returns this process with its modules, which are read from memory.
func ownProcess(t *testing.T, arch context.Arch) *stackwalk.Process {
	t.Helper()
	var handles [64]windows.Handle
	var size uint32
	self := windows.CurrentProcess()
	if err := windows.EnumProcessModules(self, &handles[0], uint32(unsafe.Sizeof(handles)), &size); err != nil {
		t.Fatal(err)
	}
	p := &stackwalk.Process{Arch: arch, Order: binary.LittleEndian, Memory: ownMemory{}}
	for _, h := range handles[:min(int(size)/int(unsafe.Sizeof(handles[0])), len(handles))] {
		var info windows.ModuleInfo
		if err := windows.GetModuleInformation(self, h, &info, uint32(unsafe.Sizeof(info))); err != nil {
			t.Fatal(err)
		}
		p.Modules = append(p.Modules, stackwalk.Module{Base: uint64(info.BaseOfDll), Size: uint64(info.SizeOfImage)})
	}
	slices.SortFunc(p.Modules, func(a, b stackwalk.Module) int {
		if a.Base < b.Base {
			return -1
		}
		return 1
	})
	return p
}

// record is a CONTEXT (winnt.h), which must be aligned to 16.
type record struct {
	memory [1232 + 16]byte
	arch   context.Arch
	flags  uint32 // CONTEXT_CONTROL and CONTEXT_INTEGER
	size   int
	at     [3]int // offsets of ContextFlags, SP and PC
	call   uint64 // distance from a return address back into the call instruction, in bytes
}

func newRecord() *record {
	if runtime.GOARCH == "arm64" {
		return &record{arch: context.ARM64, flags: 0x400003, size: 912, at: [3]int{0, 256, 264}, call: 4}
	}
	return &record{arch: context.AMD64, flags: 0x100003, size: 1232, at: [3]int{48, 152, 248}, call: 1}
}

func (r *record) bytes() []byte {
	skip := -int(uintptr(unsafe.Pointer(&r.memory))) & 15
	return r.memory[skip : skip+r.size]
}

func (r *record) word(i int) uint64 { return binary.LittleEndian.Uint64(r.bytes()[r.at[i]:]) }

// frame is the program counter and stack pointer of a function.
type frame struct{ pc, sp uint64 }

// systemWalk finds the callers by Windows' own unwinder, until one is in code without unwind information.
func systemWalk(r *record) []frame {
	nt := windows.NewLazySystemDLL("ntdll.dll")
	lookUp, unwind := nt.NewProc("RtlLookupFunctionEntry"), nt.NewProc("RtlVirtualUnwind")
	var all []frame
	for len(all) < 64 {
		f := frame{r.word(2), r.word(1)}
		pc := f.pc
		if all = append(all, f); len(all) > 1 {
			pc -= r.call
		}
		var base, data, establisher uintptr
		entry, _, _ := lookUp.Call(uintptr(pc), uintptr(unsafe.Pointer(&base)), 0)
		if entry == 0 && len(all) == 1 && r.arch == context.AMD64 { // a leaf function
			b := r.bytes()
			_, _ = ownMemory{}.ReadMemory(f.sp, b[r.at[2]:][:8])
			binary.LittleEndian.PutUint64(b[r.at[1]:], f.sp+8)
			continue
		}
		if entry == 0 {
			return all
		}
		_, _, _ = unwind.Call(0, base, uintptr(pc), entry, uintptr(unsafe.Pointer(&r.bytes()[0])), uintptr(unsafe.Pointer(&data)),
			uintptr(unsafe.Pointer(&establisher)), 0)
	}
	return all
}

// TestSystemUnwinds walks a thread that sleeps in libraries of the system, and compares each frame with that of the system's own
// unwinder.
func TestSystemUnwinds(t *testing.T) {
	kernel := windows.NewLazySystemDLL("kernel32.dll")
	h, _, err := kernel.NewProc("CreateThread").Call(0, 0, kernel.NewProc("Sleep").Addr(), 600e3, 0, 0)
	if h == 0 {
		t.Fatal(err)
	}
	r := newRecord()
	p := ownProcess(t, r.arch)
	var ours []stackwalk.Frame
	var theirs []frame
	for range 100 { // until the thread sleeps
		time.Sleep(20 * time.Millisecond)
		_, _, _ = kernel.NewProc("SuspendThread").Call(h)
		binary.LittleEndian.PutUint32(r.bytes()[r.at[0]:], r.flags)
		if ok, _, err := kernel.NewProc("GetThreadContext").Call(h, uintptr(unsafe.Pointer(&r.bytes()[0]))); ok == 0 {
			t.Fatal(err)
		}
		cpu, err := context.Decode(r.arch, r.bytes(), binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs = p.Walk(cpu), systemWalk(r)
		_, _, _ = kernel.NewProc("ResumeThread").Call(h)
		if len(theirs) >= 4 {
			break
		}
	}
	if len(theirs) < 4 {
		t.Fatalf("the system finds %#x, we %d frames", theirs, len(ours))
	}
	for i, f := range theirs {
		if f.pc == 0 {
			break // after the outermost function
		}
		if i >= len(ours) || ours[i].PC != f.pc || ours[i].SP != f.sp {
			t.Errorf("frame %d is at %#x, of %d of ours", i, f, len(ours))
			continue
		}
		t.Logf("%#x, by %v", f, ours[i].Trust)
	}
}
