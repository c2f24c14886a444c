package darwin

import (
	"minidump/context"
	"minidump/mach"
	"minidump/macho"
)

const (
	// Arch is the architecture of the dumped tasks: the dumper's own.
	Arch    = context.ARM64
	gpSize  = arm64GPSize
	fpSize  = arm64FPSize
	cpuType = macho.CPU_TYPE_ARM64
	isARM64 = true
)

// registers holds the register states of one thread.
type registers struct {
	gp mach.ARMThreadState64
	fp mach.ARMNeonState64
}

func (r *registers) readGP(thread mach.Port) mach.KernReturn {
	kr := r.gp.Read(thread)
	r.gp.Strip()
	return kr
}

func (r *registers) readFP(thread mach.Port) mach.KernReturn { return r.fp.Read(thread) }

func (r *registers) pc() uint64 { return r.gp.PC }
func (r *registers) sp() uint64 { return r.gp.SP }

// putGP writes the integer registers to b, of gpSize bytes. Go keeps the address of its g in one of them.
func (r *registers) putGP(b []byte, tsd uint64) { putARM64(b, &r.gp) }

func (r *registers) putFP(b []byte) { putNeon(b, &r.fp) }

// finish does nothing: callCapture recorded the program counter.
func (r *registers) finish(*memory, []byte) {}
