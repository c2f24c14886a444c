package context_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"minidump/context"
	"minidump/context/insn"
)

// crasherSource faults in one of several ways and writes the arguments of its signal handler to standard output: siginfo_t,
// ucontext_t, 512 bytes of floating-point state. The expected values, from its own registers, follow.
const crasherSource = `
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>
static void h(int s, siginfo_t *si, void *v) {
  ucontext_t *uc = v;
  struct { siginfo_t si; char uc[304]; char fp[512]; uint64_t rip, rsp, rdi; } o;
  memcpy(&o.si, si, sizeof o.si);
  memcpy(o.uc, uc, sizeof o.uc);
  memcpy(o.fp, uc->uc_mcontext.fpregs, sizeof o.fp);
  o.rip = uc->uc_mcontext.gregs[REG_RIP];
  o.rsp = uc->uc_mcontext.gregs[REG_RSP];
  o.rdi = uc->uc_mcontext.gregs[REG_RDI];
  write(1, &o, sizeof o);
  write(1, (void *)(o.rip < 0x1000 ? (uint64_t)h : o.rip), 16);
  _exit(0);
}
int main(int argc, char **argv) {
  struct sigaction sa = {0};
  sa.sa_sigaction = h;
  sa.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &sa, 0);
  sigaction(SIGBUS, &sa, 0);
  sigaction(SIGABRT, &sa, 0);
  sigaction(SIGTRAP, &sa, 0);
  double one = 1.5;
  switch (atoi(argv[1])) {
  case 0: __asm__ volatile("movsd %0, %%xmm3; movq $0x1230, %%rdi; movq 8(%%rdi), %%rax" :: "m"(one) : "rdi", "rax", "xmm3"); break;
  case 1: __asm__ volatile("movq $0x1230, %%rdi; movl %%eax, (%%rdi)" ::: "rdi"); break;
  case 2: __asm__ volatile("movabsq $0x4141414141414141, %%rdi; movq %%rax, 2(%%rdi)" ::: "rdi"); break;
  case 3: __asm__ volatile("movabsq $0x4141414141414141, %%rdi; call *%%rdi" ::: "rdi"); break;
  case 4: __asm__ volatile("movq $0x10, %%rdi; call *%%rdi" ::: "rdi"); break;
  case 5: abort();
  case 6: __asm__ volatile("movq $0x1230, %%rdi; pushq (%%rdi)" ::: "rdi"); break;
  case 7: __asm__ volatile("hlt"); break;
  case 8: __asm__ volatile("movq %%rsp, %%rdi; andq $-16, %%rdi; movaps %%xmm0, -120(%%rdi)" ::: "rdi"); break;
  }
  return 1;
}
`

// TestRealFrame reads what a real kernel passes to a real signal handler.
func TestRealFrame(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the test program is of linux/amd64")
	}
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no C compiler")
		}
		t.Skip("no C compiler")
	}
	const (
		unknown = context.AccessUnknown
		read    = context.AccessRead
		write   = context.AccessWrite
		execute = context.AccessExecute
	)
	dir := t.TempDir()
	src, exe := filepath.Join(dir, "crasher.c"), filepath.Join(dir, "crasher")
	if err := os.WriteFile(src, []byte(crasherSource), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-O1", "-o", exe, src).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, w := range []struct {
		way    int
		name   string
		sig    int32
		code   string
		addr   uint64
		has    bool
		access context.Access
		text   string
	}{
		{0, "load", context.SIGSEGV, "SEGV_MAPERR", 0x1238, true, read, "mov 0x8(%rdi),%rax"},
		{1, "store", context.SIGSEGV, "SEGV_MAPERR", 0x1230, true, write, "mov %eax,(%rdi)"},
		{2, "store to a non-canonical address", context.SIGSEGV, "SI_KERNEL", 0x4141414141414143, true, write, "mov %rax,0x2(%rdi)"},
		{3, "call of a non-canonical address", context.SIGSEGV, "SI_KERNEL", 0x4141414141414141, true, execute, "call *%rdi"},
		{4, "call of nothing", context.SIGSEGV, "SEGV_MAPERR", 0x10, true, execute, ""},
		{5, "abort", context.SIGABRT, "SI_TKILL", 0, false, unknown, ""},
		{6, "push of an operand that is not there", context.SIGSEGV, "SEGV_MAPERR", 0x1230, true, read, "pushq (%rdi)"},
		{7, "privileged", context.SIGSEGV, "SI_KERNEL", 0, false, unknown, ""},
		{8, "misaligned", context.SIGSEGV, "SI_KERNEL", 1, true, write, "movaps %xmm0,-0x78(%rdi)"},
	} {
		out, err := exec.Command(exe, fmt.Sprint(w.way)).Output()
		if err != nil || len(out) != 128+304+512+24+16 {
			t.Errorf("%s: %d bytes, %v", w.name, len(out), err)
			continue
		}
		c, err := context.CrashFromLinux(context.AMD64, binary.LittleEndian, 1, 2, out[:128], out[128:432], out[432:944])
		if err != nil {
			t.Errorf("%s: %v", w.name, err)
			continue
		}
		le := binary.LittleEndian
		rip, rsp, rdi := le.Uint64(out[944:]), le.Uint64(out[952:]), le.Uint64(out[960:])
		code := out[968:]
		c.Refine(code)
		if w.way == 8 {
			w.addr = rdi - 120
		}
		if c.PC != rip || c.SP != rsp || c.Signo != w.sig || context.CodeName(c.Signo, c.Code) != w.code ||
			c.Address != w.addr || c.HasAddress != w.has || c.Access != w.access {
			t.Errorf("%s: %s %s at %#x %v %s, pc %#x sp %#x", w.name, context.SignalName(c.Signo),
				context.CodeName(c.Signo, c.Code), c.Address, c.HasAddress, c.Access, c.PC, c.SP)
		}
		cpu, err := context.Decode(context.AMD64, c.Record(), c.Order())
		if err != nil || cpu.Registers[7] != (context.Register{"rdi", rdi}) || cpu.Registers[18].Value != 0x33 {
			t.Errorf("%s: %v %+v", w.name, err, cpu)
		}
		if w.way == 0 && le.Uint64(c.Context[256+160+16*3:]) != 0x3ff8000000000000 {
			t.Errorf("xmm3 is %#x", le.Uint64(c.Context[256+160+16*3:]))
		}
		if w.text != "" {
			op, ok := insn.Decode(context.AMD64, le, code, c.PC, c.Record())
			if !ok || op.Text != w.text || op.Address != w.addr || op.Access != w.access {
				t.Errorf("%s: %+v", w.name, op)
			}
		}
		if w.way == 5 && c.SenderPID == 0 {
			t.Error("abort: no sender")
		}
	}
}
