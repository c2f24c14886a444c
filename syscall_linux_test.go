package minidump

import (
	"encoding/binary"
	"math"
	"os"
	"reflect"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"minidump/internal/sys"

	"golang.org/x/sys/unix"
)

func TestRawSyscall6(t *testing.T) {
	if r, e := rawSyscall6(unix.SYS_GETPID, 0, 0, 0, 0, 0, 0); int(r) != os.Getpid() || e != 0 {
		t.Errorf("getpid: %d, %d", r, e)
	}
	if r, e := rawSyscall6(unix.SYS_CLOSE, ^uintptr(0), 0, 0, 0, 0, 0); r != ^uintptr(0) || syscall.Errno(e) != unix.EBADF {
		t.Errorf("close(-1): %#x, %v", r, syscall.Errno(e))
	}
	// process_vm_readv has six arguments: the fifth is the number of remote ranges, and a sixth that is not 0 is an
	// error.
	type buffers struct {
		to, from      [64]byte
		local, remote [2]unix.RemoteIovec
	}
	b := new(buffers)
	copy(b.from[:], "six arguments, two ranges")
	b.local[0] = unix.RemoteIovec{Base: uintptr(unsafe.Pointer(&b.to)), Len: 64}
	b.remote[0] = unix.RemoteIovec{Base: uintptr(unsafe.Pointer(&b.from[4])), Len: 9}
	b.remote[1] = unix.RemoteIovec{Base: uintptr(unsafe.Pointer(&b.from[0])), Len: 3}
	readv := func(flags uintptr) (uintptr, syscall.Errno) {
		r, e := rawSyscall6(unix.SYS_PROCESS_VM_READV, uintptr(os.Getpid()), uintptr(unsafe.Pointer(&b.local)), 1,
			uintptr(unsafe.Pointer(&b.remote)), 2, flags)
		return r, syscall.Errno(e)
	}
	r, e := readv(0)
	if e == unix.ENOSYS {
		t.Skip("this kernel has no process_vm_readv")
	}
	if r != 12 || e != 0 || string(b.to[:12]) != "argumentssix" {
		t.Errorf("process_vm_readv: %d, %v, %q", r, e, b.to[:])
	}
	if r, e = readv(1); r != ^uintptr(0) || e != unix.EINVAL {
		t.Errorf("process_vm_readv with flags: %#x, %v", r, e)
	}
	runtime.KeepAlive(b)
}

func TestSyscallsGoThroughTheStub(t *testing.T) {
	if sys.Getpid() != os.Getpid() {
		t.Error("getpid through the gate")
	}
	n := testing.AllocsPerRun(100, func() { sys.Getpid() })
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// registers are the sizes of the register sets and the offsets of registers in NT_PRSTATUS, in bytes; g is the
// register that contains Go's g, -1 if none does.
var registers = map[string]struct{ gp, fp, pc, sp, g int }{
	"386":      {68, 108, 48, 60, -1},
	"amd64":    {216, 512, 128, 152, 8},
	"arm":      {72, 0, 60, 52, 40},
	"arm64":    {272, 528, 256, 248, 224},
	"loong64":  {360, 272, 264, 24, 176},
	"mips":     {180, 264, 160, 24 + 4*29, 24 + 4*30},
	"mipsle":   {180, 264, 160, 24 + 4*29, 24 + 4*30},
	"mips64":   {360, 264, 272, 8 * 29, 8 * 30},
	"mips64le": {360, 264, 272, 8 * 29, 8 * 30},
	"ppc64":    {384, 264, 256, 8, 8 * 30},
	"ppc64le":  {384, 264, 256, 8, 8 * 30},
	"riscv64":  {256, 264, 0, 16, 8 * 27},
	"s390x":    {216, 136, 8, 16 + 8*15, 16 + 8*13},
}

func word(b []byte, at int) uintptr {
	if unsafe.Sizeof(uintptr(0)) == 4 {
		return uintptr(binary.NativeEndian.Uint32(b[at:]))
	}
	return uintptr(binary.NativeEndian.Uint64(b[at:]))
}

// aligned returns n bytes of 0xa5 that begin on a 16-byte boundary.
func aligned(n int) []byte {
	b := make([]byte, n+16)
	b = b[-uintptr(unsafe.Pointer(&b[0]))&15:][:n]
	for i := range b {
		b[i] = 0xa5
	}
	return b
}

// factor is a variable so that the compiler can't compute the product.
var factor = 1.2345678

// captured is what captureHere records besides the registers.
type captured struct {
	ngp, nfp int
	near     uintptr // address of a local variable
	product  float64
	g        uintptr
	lo, hi   uintptr // stack bounds, the first two words of a g
}

// captureHere reads g immediately, without a call: the stack may move in any call.
//
//go:noinline
func captureHere(gp, fp []byte, c *captured) {
	gAt := registers[runtime.GOARCH].g
	var local [4]uintptr
	local[len(gp)&3] = 1
	p := factor * 3.75
	c.ngp, c.nfp = CaptureRegisters(gp, fp)
	c.product = p
	c.near = uintptr(unsafe.Pointer(&local))
	if gAt >= 0 {
		c.g = *(*uintptr)(unsafe.Pointer(&gp[gAt]))
		bounds := *(**[2]uintptr)(unsafe.Pointer(&c.g))
		c.lo, c.hi = bounds[0], bounds[1]
	}
}

func TestCaptureRegisters(t *testing.T) {
	at := registers[runtime.GOARCH]
	gp, fp := aligned(400), aligned(600)
	c := new(captured)
	captureHere(gp, fp, c)
	ngp, nfp := c.ngp, c.nfp
	if ngp != at.gp || nfp != at.fp {
		t.Fatalf("%d and %d bytes, want %d and %d", ngp, nfp, at.gp, at.fp)
	}
	for _, b := range gp[ngp:] {
		if b != 0xa5 {
			t.Fatal("wrote past the general registers")
		}
	}
	for _, b := range fp[nfp:] {
		if b != 0xa5 {
			t.Fatal("wrote past the floating point registers")
		}
	}

	pc, sp := word(gp, at.pc), word(gp, at.sp)
	// Compare entries: the name may be that of an inlined function.
	if f := runtime.FuncForPC(pc); f == nil || f.Entry() != reflect.ValueOf(captureHere).Pointer() {
		t.Errorf("the program counter %#x is not in captureHere, but in %v", pc, f.Name())
	}
	if c.near < sp || c.near-sp > 1024 {
		t.Errorf("stack pointer %#x, a local variable at %#x", sp, c.near)
	}

	if nfp != 0 {
		found := false
		bits := math.Float64bits(c.product)
		for i := 0; i+8 <= nfp; i += 8 {
			found = found || binary.NativeEndian.Uint64(fp[i:]) == bits
		}
		if !found && runtime.GOARCH != "386" { // Go for 386 computes in SSE registers
			t.Errorf("no floating point register holds %v: %x", c.product, fp[:nfp])
		}
	}

	if at.g < 0 {
		return
	}
	if sp < c.lo || sp >= c.hi || c.hi-c.lo > 1<<30 {
		t.Errorf("g %#x: stack %#x to %#x, stack pointer %#x", c.g, c.lo, c.hi, sp)
	}
	if g := word(gp, at.g); g != c.g {
		t.Errorf("g %#x and %#x", g, c.g)
	}
	other := make(chan *captured)
	go func() {
		c := new(captured)
		captureHere(aligned(400), nil, c)
		other <- c
	}()
	if o := <-other; o.g == c.g || o.g == 0 {
		t.Errorf("two goroutines have g %#x", o.g)
	}
}

// peek reads a word at an address that is not a Go pointer.
//
//go:noinline
func peek(addr uintptr) uintptr {
	return **(**uintptr)(unsafe.Pointer(&addr))
}

func TestCaptureRegistersShort(t *testing.T) {
	at := registers[runtime.GOARCH]
	gp, fp := aligned(at.gp), aligned(at.fp)
	if ngp, nfp := CaptureRegisters(gp, fp); ngp != at.gp || nfp != at.fp {
		t.Errorf("%d and %d bytes", ngp, nfp)
	}
	gp, fp = aligned(at.gp-1), aligned(max(at.fp-1, 0))
	if ngp, nfp := CaptureRegisters(gp, fp); ngp != 0 || nfp != 0 || gp[0] != 0xa5 || len(fp) > 0 && fp[0] != 0xa5 {
		t.Errorf("%d and %d bytes though there is no room", ngp, nfp)
	}
	if ngp, nfp := CaptureRegisters(nil, nil); ngp != 0 || nfp != 0 {
		t.Errorf("%d and %d bytes into nothing", ngp, nfp)
	}
	if runtime.GOARCH == "amd64" {
		if ngp, nfp := CaptureRegisters(aligned(216), aligned(513)[1:]); ngp != 216 || nfp != 0 {
			t.Errorf("%d and %d bytes with FXSAVE off its boundary", ngp, nfp)
		}
	}
	gp, fp = aligned(400), aligned(600)
	if n := testing.AllocsPerRun(100, func() { CaptureRegisters(gp, fp) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCaptureRegistersX86(t *testing.T) {
	gp, fp := aligned(400), aligned(600)
	CaptureRegisters(gp, fp)
	user := 0 // in cs and ss the low two bits are the privilege level
	switch runtime.GOARCH {
	case "amd64":
		if fs, g := word(gp, 168), word(gp, 8); peek(fs-8) != g {
			t.Errorf("fs_base %#x: Go keeps its g below it, found %#x, want %#x", fs, peek(fs-8), g)
		}
		if fcw, mxcsr := binary.LittleEndian.Uint16(fp), binary.LittleEndian.Uint32(fp[24:]); fcw != 0x37f || mxcsr&^0x3f != 0x1f80 {
			t.Errorf("control words %#x %#x", fcw, mxcsr)
		}
		user = int(gp[136]&gp[160]) & 3
		if flags := word(gp, 144); flags&2 == 0 || flags&0x200 == 0 {
			t.Errorf("eflags %#x", flags)
		}
	case "386":
		if cwd := binary.LittleEndian.Uint16(fp); cwd&0x3f != 0x3f {
			t.Errorf("x87 control word %#x", cwd)
		}
		user = int(gp[52]&gp[64]) & 3
		if flags := word(gp, 56); flags&2 == 0 || flags&0x200 == 0 {
			t.Errorf("eflags %#x", flags)
		}
	default:
		t.Skip("not an x86")
	}
	if user != 3 {
		t.Error("cs or ss is not a user segment")
	}
}
