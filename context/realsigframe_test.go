package context

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// handlersSource faults at 0x1230, and with an argument "nested…" again in the handler at 0x2340. Then it writes to standard
// output what a debugger would see in the last handler: its stack pointer, program counter and stack pointer of each fault, and
// two pieces of memory, each preceded by its address and length: the alternate stack, and the main stack from the handler or the
// first fault on.
const handlersSource = `
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
static volatile uintptr_t want[4];
static int depth, most = 1, on_alt;
static char *top;
static _Alignas(64) char alt[65536];
#ifdef __x86_64__
#define FAULT(i, addr) __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %0; mov %%rsp, %1; 1: movl $1, (%2)" \
  : "=m"(want[2*i]), "=m"(want[2*i+1]) : "r"((uintptr_t)addr) : "rax", "memory")
#else
#define FAULT(i, addr) __asm__ volatile("movl $1f, %%eax; movl %%eax, %0; movl %%esp, %1; 1: movl $1, (%2)" \
  : "=m"(want[2*i]), "=m"(want[2*i+1]) : "r"((uintptr_t)addr) : "eax", "memory")
#endif
static void put(const void *p, size_t n) {
  while (n > 0) { ssize_t k = write(1, p, n); if (k <= 0) _exit(3); p = (const char *)p + k; n -= k; }
}
static void put64(uint64_t v) { put(&v, 8); }
static void piece(char *from, char *to) { put64((uintptr_t)from); put64(to - from); put(from, to - from); }
__attribute__((noinline)) static void handle(void) {
  char here;
  if (++depth < most) FAULT(1, 0x2340);
  put64((uintptr_t)&here);
  for (int i = 0; i < 4; i++) put64(want[i]);
  piece(alt, alt + sizeof alt);
  piece(on_alt ? (char *)want[1] : &here, top);
  _exit(0);
}
static void plain(int s) { handle(); }
static void full(int s, siginfo_t *i, void *c) { handle(); }
int main(int argc, char **argv) {
  struct sigaction sa = {0};
  top = (char *)argv;
  sa.sa_flags = SA_NODEFER;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "alt")) { stack_t s = {.ss_sp = alt, .ss_size = sizeof alt}; sigaltstack(&s, 0); sa.sa_flags |= SA_ONSTACK; on_alt = 1; }
    if (!strcmp(argv[i], "siginfo")) sa.sa_flags |= SA_SIGINFO;
    if (!strcmp(argv[i], "nested")) most = 2;
  }
  if (sa.sa_flags & SA_SIGINFO) sa.sa_sigaction = full; else sa.sa_handler = plain;
  sigaction(SIGSEGV, &sa, 0);
  FAULT(0, 0x1230);
  return 1;
}
`

// TestRealSignalFrames finds the frames that a kernel made for real handlers: on an alternate stack and on the main one,
// nested, with and without SA_SIGINFO, of 64-bit and 32-bit programs.
func TestRealSignalFrames(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the test programs are of linux/amd64 and linux/386")
	}
	for arch, compiler := range map[Arch]string{AMD64: "gcc", X86: "i686-linux-gnu-gcc"} {
		t.Run(arch.String(), func(t *testing.T) {
			gcc, err := exec.LookPath(compiler)
			if err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			dir := t.TempDir()
			src, exe := filepath.Join(dir, "handlers.c"), filepath.Join(dir, "handlers")
			if err := os.WriteFile(src, []byte(handlersSource), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(gcc, "-O1", "-static", "-no-pie", "-fno-pie", "-o", exe, src).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, args := range [][]string{{"alt", "siginfo"}, {"siginfo"}, {"alt", "siginfo", "nested"}, {"siginfo", "nested"},
				{"alt"}, {}, {"alt", "nested"}, {"nested"}} {
				out, err := exec.Command(exe, args...).Output()
				if err != nil {
					t.Errorf("%v: %v", args, err)
					continue
				}
				checkRealFrames(t, arch, args, out)
			}
		})
	}
}

func checkRealFrames(t *testing.T, arch Arch, args []string, out []byte) {
	t.Helper()
	le := binary.LittleEndian
	next := func() uint64 {
		v := le.Uint64(out)
		out = out[8:]
		return v
	}
	piece := func() (uint64, []byte) {
		addr, n := next(), next()
		b := out[:n]
		out = out[n:]
		return addr, b
	}
	has := func(word string) bool {
		for _, a := range args {
			if a == word {
				return true
			}
		}
		return false
	}
	sp := next()
	want := [2][2]uint64{{next(), next()}, {next(), next()}} // the first fault, the one in the handler
	alt, altMem := piece()
	mainAddr, mainMem := piece()
	addr, mem := mainAddr, mainMem
	if has("alt") {
		addr, mem = alt, altMem
	}
	faults := 1
	if has("nested") {
		faults = 2
	}
	var frames [8]SignalFrame
	n := SignalFrames(arch, le, mem, addr, sp, frames[:])
	if n != faults {
		t.Errorf("%v: %d frames, not %d: %+v", args, n, faults, frames[:n])
		return
	}
	siginfo := has("siginfo")
	signo := int32(SIGSEGV)
	if !siginfo && arch == AMD64 {
		signo = 0
	}
	for i, f := range frames[:n] {
		w, fault := want[n-1-i], [2]uint64{0x1230, 0x2340}[n-1-i]
		if f.PC != w[0] || f.SP != w[1] || f.Signo != signo || siginfo != (f.Siginfo != 0) {
			t.Errorf("%v: frame %d: %+v, want pc %#x sp %#x", args, i, f, w[0], w[1])
		}
		if (siginfo || arch == AMD64) && has("alt") && (f.StackAddr != alt || f.StackSize != uint64(len(altMem)) || !f.OnAltStack) {
			t.Errorf("%v: frame %d: alternate stack %+v, want %#x", args, i, f, alt)
		}
		if last := i == n-1; (siginfo || arch == AMD64) && f.Same() != !(has("alt") && last) {
			t.Errorf("%v: frame %d: on the interrupted stack: %v", args, i, f.Same())
		}
		var c Crash
		if !c.ReadFrame(&f, mem, addr, 1, 2) || c.PC != w[0] || c.SP != w[1] || c.TrapAddress != fault || c.TrapNo != 14 {
			t.Errorf("%v: frame %d: crash at pc %#x sp %#x, trap %d at %#x", args, i, c.PC, c.SP, c.TrapNo, c.TrapAddress)
		}
		if c.Signo != signo || siginfo != (c.Access == AccessWrite) || !siginfo && !c.FromTrap() {
			t.Errorf("%v: frame %d: signal %d, %s", args, i, c.Signo, c.Access)
		}
		if c.Address != fault || c.Signo != SIGSEGV || c.NumParams != 2 || c.Access != AccessWrite || c.Code != 1 {
			t.Errorf("%v: frame %d: %s of %#x", args, i, c.Access, c.Address)
		}
		if flags := get32(false, c.Context[arch.info().flagsAt:]); flags&0x8 == 0 {
			t.Errorf("%v: frame %d: no floating-point registers, flags %#x", args, i, flags)
		}
	}
	// A crash without anything reported by the hardware.
	if c := (Crash{Arch: arch}); c.FromTrap() || c.Signo != 0 {
		t.Errorf("a trap without number is signal %d", c.Signo)
	}
	// The stack that was interrupted first has no frame above the fault.
	if has("alt") {
		if n := SignalFrames(arch, le, mainMem, mainAddr, want[0][1], frames[:]); n != 0 {
			t.Errorf("%v: frames on the interrupted stack: %+v", args, frames[:n])
		}
	}
}
