package victims

import (
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// faults maps each architecture to machine code that crashes, by the kind of crash:
//
//	load      reads address 0x1230
//	ud2       executes an undefined instruction
//	int3      executes a breakpoint
//	overflow  pushes until the stack is full
//	divide    divides by zero, which raises no exception on arm64
//	int29     __fastfail(FAST_FAIL_FATAL_APP_EXIT)
var faults = map[string]map[string][]byte{
	"386": {
		"load": {0xa1, 0x30, 0x12, 0, 0, 0xc3}, // mov eax, [0x1230]
		"ud2":  {0x0f, 0x0b}, "int3": {0xcc, 0xc3},
		"overflow": {0x50, 0xeb, 0xfd},                   // push eax; jmp to it
		"divide":   {0x31, 0xc9, 0xf7, 0xf1},             // xor ecx, ecx; div ecx
		"int29":    {0xb9, 7, 0, 0, 0, 0xcd, 0x29, 0xc3}, // mov ecx, 7; int 29h
	},
	"amd64": {
		"load": {0x8b, 0x04, 0x25, 0x30, 0x12, 0, 0, 0xc3},
		"ud2":  {0x0f, 0x0b}, "int3": {0xcc, 0xc3},
		"overflow": {0x50, 0xeb, 0xfd},
		"divide":   {0x31, 0xc9, 0xf7, 0xf1},
		"int29":    {0xb9, 7, 0, 0, 0, 0xcd, 0x29, 0xc3},
	},
	"arm64": {
		"load":     {0x00, 0x46, 0x82, 0xd2, 0x00, 0x00, 0x40, 0xb9, 0xc0, 0x03, 0x5f, 0xd6}, // mov x0, 0x1230; ldr w0, [x0]; ret
		"ud2":      {0, 0, 0, 0},
		"int3":     {0x00, 0x00, 0x3e, 0xd4, 0xc0, 0x03, 0x5f, 0xd6}, // brk 0xf000; ret
		"overflow": {0xe0, 0x0f, 0x1f, 0xf8, 0xff, 0xff, 0xff, 0x17}, // str x0, [sp, -16]!; b to it
		"int29":    {0xe0, 0x00, 0x80, 0x52, 0x60, 0x00, 0x3e, 0xd4}, // mov w0, 7; brk 0xf003
	},
}

// SkipFault skips the test if this architecture has no fault of the kind how.
func SkipFault(t testing.TB, how string) {
	t.Helper()
	if faults[runtime.GOARCH][how] == nil {
		t.Skipf("%s has no fault %q", runtime.GOARCH, how)
	}
}

// FaultCode returns the address of machine code that crashes. how is load, ud2, int3, overflow, divide or int29.
func FaultCode(how string) uintptr {
	code := faults[runtime.GOARCH][how]
	if code == nil {
		panic("no fault " + how)
	}
	at, err := windows.VirtualAlloc(0, 4096, windows.MEM_COMMIT|windows.MEM_RESERVE, windows.PAGE_EXECUTE_READWRITE)
	if err != nil {
		panic(err)
	}
	copy(unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&at))), len(code)), code)
	return at
}

// RunForeign starts code on a thread that Go did not create, and returns a handle of the thread.
func RunForeign(code uintptr) windows.Handle {
	h, _, err := windows.NewLazySystemDLL("kernel32.dll").NewProc("CreateThread").Call(0, 0, code, 0, 0, 0)
	if h == 0 {
		panic(err)
	}
	return windows.Handle(h)
}
