package darwin

import (
	"encoding/binary"

	"minidump/context"
	"minidump/mach"
)

// Layout of ucontext64 (bsd/sys/_types/_ucontext64.h of XNU), which the kernel puts on the stack of a signal handler: int onstack,
// the mask, the stack (base, size, flags), the link, the size of the machine context at 40, its address at 48. The machine context
// (_STRUCT_MCONTEXT64 in bsd/{i386,arm}/_mcontext.h) is the exception state of 16 bytes, the thread state, and the floating-point
// state, which has one of several sizes.
const (
	ucontextSize     = 56
	ucontextLink     = 32
	ucontextContext  = 40
	mcontextState    = 16
	maxMachineState  = 8192                    // bytes: about 2,700 are used with AVX-512
	amd64Floats      = mcontextState + 168 + 8 // of the FXSAVE area in x86_float_state64_t
	arm64Floats      = mcontextState + 272     // arm_neon_state64_t
	amd64FloatsKept  = 416                     // bytes of FXSAVE that XNU fills
	signalStackAlign = 8
)

// SignalFrame looks for a signal frame in mem, which is memory at address base: the end of a stack, from the stack pointer of a
// function that the handler called. It returns the registers that the thread had when the signal arrived. ok is false if there is no
// frame. The memory is not trusted.
func SignalFrame(arch context.Arch, mem []byte, base uint64) (r context.Regsets, ok bool) {
	least := uint64(amd64Floats + amd64FloatsKept)
	if arch == context.ARM64 {
		least = arm64Floats + 32*16 + 8
	}
	for at := 0; at+ucontextSize <= len(mem); at += signalStackAlign {
		u := mem[at:]
		if order.Uint32(u) > 1 || order.Uint64(u[ucontextLink:]) != 0 {
			continue
		}
		size, place := order.Uint64(u[ucontextContext:]), order.Uint64(u[ucontextContext+8:])-base
		if size < least || size > maxMachineState || place > uint64(len(mem)) || uint64(len(mem))-place < size || place%signalStackAlign != 0 {
			continue
		}
		if r, ok = machineContext(arch, mem[place:][:size]); ok {
			return r, true
		}
	}
	return r, false
}

// machineContext decodes a machine context.
func machineContext(arch context.Arch, m []byte) (r context.Regsets, ok bool) {
	r = context.Regsets{Arch: arch, Order: order}
	switch arch {
	case context.AMD64:
		var s mach.X86ThreadState64
		if _, err := binary.Decode(m[mcontextState:], order, &s); err != nil || s.RSP == 0 || s.RFLAGS&2 == 0 { // bit 1 is always set
			return r, false
		}
		r.GP, r.FP = make([]byte, amd64GPSize), make([]byte, amd64FPSize)
		putAMD64(r.GP, &s)
		copy(r.FP, m[amd64Floats:][:amd64FloatsKept])
	case context.ARM64:
		var s mach.ARMThreadState64
		if _, err := binary.Decode(m[mcontextState:], order, &s); err != nil || s.SP == 0 {
			return r, false
		}
		s.Strip()
		r.GP, r.FP = make([]byte, arm64GPSize), make([]byte, arm64FPSize)
		putARM64(r.GP, &s)
		copy(r.FP[:520], m[arm64Floats:])
	default:
		return r, false
	}
	return r, true
}
