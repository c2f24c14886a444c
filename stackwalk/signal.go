package stackwalk

import (
	"bytes"
	"strings"

	"minidump/context"
)

// trampolines lists the first instructions of the code to which a signal handler returns, by architecture: the system calls
// sigreturn and rt_sigreturn as made by glibc, musl, the Go runtime and the kernel, in the byte order of instructions.
var trampolines = map[context.Arch][]string{
	context.AMD64: {"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", "\xb8\x0f\x00\x00\x00\x0f\x05"},
	context.X86:   {"\xb8\xad\x00\x00\x00\xcd\x80", "\x58\xb8\x77\x00\x00\x00\xcd\x80"},
	context.ARM64: {"\x68\x11\x80\xd2\x01\x00\x00\xd4"},
	context.ARM: {"\xad\x70\xa0\xe3\x00\x00\x00\xef", "\xad\x70\xa0\xe3\xad\x00\x90\xef", "\xad\x27\x00\xdf",
		"\x77\x70\xa0\xe3\x00\x00\x00\xef", "\x77\x70\xa0\xe3\x77\x00\x90\xef", "\x77\x27\x00\xdf"},
	context.RISCV64: {"\x93\x08\xb0\x08\x73\x00\x00\x00"},
	context.S390X:   {"\x0a\xad", "\x0a\x77"},
	// These are big-endian; ordered swaps their bytes.
	context.PPC64:   {"\x38\x21\x00\x80\x38\x00\x00\xac\x44\x00\x00\x02"},
	context.PPC:     {"\x38\x00\x00\xac\x44\x00\x00\x02", "\x38\x00\x00\x77\x44\x00\x00\x02"},
	context.MIPS:    {"\x24\x02\x10\x61\x00\x00\x00\x0c", "\x24\x02\x10\x17\x00\x00\x00\x0c"},
	context.MIPS64:  {"\x24\x02\x14\x5b\x00\x00\x00\x0c", "\x24\x02\x18\x43\x00\x00\x00\x0c"},
	context.LOONG64: {"\x0b\x2c\x82\x03\x00\x00\x2b\x00"},
}

const (
	// maxToUcontext is the maximum number of bytes between SP at the trampoline and struct ucontext or struct sigcontext: the
	// save area of s390x, siginfo_t, and a few words.
	maxToUcontext = 512

	// maxFrameBytes is how much memory from SP on is searched for the frame. Most of a frame is vector registers.
	maxFrameBytes = 80 << 10
)

// toUcontext is the distance of struct ucontext from SP at the trampoline on architectures where it is always the same.
var toUcontext = map[context.Arch]uint64{context.AMD64: 0, context.ARM64: 128, context.RISCV64: 128, context.LOONG64: 128}

// bySignal finds the registers of the code that a signal interrupted, if s is where a signal handler returns to.
func (p *Process) bySignal(s, next *state) outcome {
	// If the code of the C library is not available, the frame itself is proof, provided that only one place is possible. Most
	// dumps lack the vDSO and the page that some kernels have for this code.
	known, at := p.atTrampoline(s.regs.pc())
	_, fixed := toUcontext[p.Arch]
	if known && !at || !known && (s.exact || !fixed) && p.moduleAt(s.regs.pc()) >= 0 && !p.inVDSO(s.regs.pc()) {
		return failed
	}
	s.trampoline = at
	cpu := p.signalFrame(s.regs.sp())
	if cpu == nil {
		return failed
	}
	s.trampoline = true
	next.regs = p.facts.start(cpu)
	next.signal, next.exact, next.unsure, next.guess = true, true, false, false
	return found
}

// signalFrame returns the registers in the signal frame to which a handler has returned, or nil if there is none at sp.
func (p *Process) signalFrame(sp uint64) *context.CPU {
	from := sp
	if p.facts.lr == none { // the return address was the first word of the frame
		from -= uint64(p.facts.word)
	}
	const before = 64 // ReadFrame requires memory below a struct sigcontext, as in a struct ucontext
	mem := make([]byte, maxFrameBytes)
	mem = mem[:p.read(from-before, mem)]
	var f context.SignalFrame
	if !context.FindSignalFrame(p.Arch, p.order(), mem, from-before, from, &f) || f.Ucontext-from > maxToUcontext {
		return nil
	}
	if at, fixed := toUcontext[p.Arch]; fixed && f.Ucontext-sp != at {
		return nil
	}
	var c context.Crash
	if !c.ReadFrame(&f, mem, from-before, 0, 0) {
		return nil
	}
	cpu, err := context.Decode(p.Arch, c.Record(), p.order())
	if err != nil {
		return nil
	}
	addFloats(cpu, c.Record(), p.order())
	return cpu
}

// atTrampoline reports whether pc is at a trampoline. known is false if the code there is not available.
func (p *Process) atTrampoline(pc uint64) (known, at bool) {
	var b [16]byte
	n := p.read(pc, b[:])
	if n == 0 {
		return false, false
	}
	for _, code := range trampolines[p.Arch] {
		if c := p.ordered(code); n >= len(c) && bytes.Equal(b[:len(c)], c) {
			return true, true
		}
	}
	return true, false
}

// ordered returns code in the byte order of the process. The words of PowerPC and MIPS code are big-endian.
func (p *Process) ordered(code string) []byte {
	b := []byte(code)
	switch p.Arch {
	case context.PPC, context.PPC64, context.MIPS, context.MIPS64:
		for i := 0; i+4 <= len(b); i += 4 {
			p.order().PutUint32(b[i:], uint32(code[i])<<24|uint32(code[i+1])<<16|uint32(code[i+2])<<8|uint32(code[i+3]))
		}
	}
	return b
}

// inVDSO reports whether addr is in the code that the kernel maps into every process.
func (p *Process) inVDSO(addr uint64) bool {
	m := p.moduleAt(addr)
	if m < 0 {
		return false
	}
	name := p.Modules[m].Name
	return strings.HasPrefix(name, "linux-gate.so") || strings.HasPrefix(name, "linux-vdso") || name == "[vdso]"
}

// byVDSO finds the caller of a system call of a 32-bit x86 process, if the code of the vDSO is not available:
// __kernel_vsyscall has pushed ecx, edx and ebp (arch/x86/entry/vdso/vdso32/system_call.S).
func (p *Process) byVDSO(s, next *state) outcome {
	if p.Arch != context.X86 || !s.exact || !p.inVDSO(s.regs.pc()) {
		return failed
	}
	var words [4]uint64
	for i := range words {
		var ok bool
		if words[i], ok = p.word(s.regs.sp() + uint64(4*i)); !ok {
			return failed
		}
	}
	const ebp = 5
	next.regs.put(ebp, words[0])
	p.setPC(next, words[3])
	next.regs.put(p.facts.sp, s.regs.sp()+16)
	return found
}
