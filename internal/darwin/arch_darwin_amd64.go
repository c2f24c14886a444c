package darwin

import (
	"minidump/context"
	"minidump/mach"
	"minidump/macho"
)

const (
	// Arch is the architecture of the dumped tasks: the dumper's own.
	Arch    = context.AMD64
	gpSize  = amd64GPSize
	fpSize  = amd64FPSize
	cpuType = macho.CPU_TYPE_X86_64
	isARM64 = false
)

// registers holds the register states of one thread.
type registers struct {
	gp mach.X86ThreadState64
	fp mach.X86FloatState64
}

func (r *registers) readGP(thread mach.Port) mach.KernReturn { return r.gp.Read(thread) }
func (r *registers) readFP(thread mach.Port) mach.KernReturn { return r.fp.Read(thread) }

func (r *registers) pc() uint64 { return r.gp.RIP }
func (r *registers) sp() uint64 { return r.gp.RSP }

// putGP writes the integer registers to b, of gpSize bytes. tsd is the address of the thread's thread-specific data, in which
// Go for Darwin keeps the address of its g at 0x30. Package context looks for g below the segment base of FS, as on Linux.
func (r *registers) putGP(b []byte, tsd uint64) {
	putAMD64(b, &r.gp)
	if tsd != 0 {
		order.PutUint64(b[amd64FSBase:], tsd+goTLS+8)
	}
}

func (r *registers) putFP(b []byte) { copy(b, r.fp.FXSave[:]) }

// finish adds the return address of the call of captureOwn: the word that the call pushed.
func (r *registers) finish(m *memory, scratch []byte) {
	if m.Read(r.gp.RSP-8, scratch[:8]) == 8 {
		r.gp.RIP = order.Uint64(scratch)
	}
}

const (
	amd64FSBase = 8 * 21 // fs_base of user_regs_struct
	goTLS       = 0x30   // runtime/sys_darwin_amd64.s of Go
)
