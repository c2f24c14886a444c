//go:build !ios

package crash

import (
	"minidump"
	"minidump/context"
	"minidump/internal/arena"
	"minidump/internal/darwin"
	"minidump/internal/goruntime"
	"minidump/internal/snapshot"
)

// panicCrash finds the fault that caused the program's panic, if one did, and those of its registers that unwinding finds: c is
// then about that fault. The thread c.tid is blocked in the report.
func (m *watch) panicCrash(w *minidump.Writer, c *captured) {
	var space arena.Arena
	if space.Reserve(goruntime.FaultSpace) != nil {
		return
	}
	defer space.Release()
	sp, ok := m.stackPointer(c.tid)
	if !ok {
		return
	}
	image, ok := darwin.ProgramImage(m.task)
	if !ok {
		return
	}
	mem := taskMemory{w}
	p := new(goruntime.Program)
	if p.Find(mem, &space, &image) != nil {
		return
	}
	space.Used = 0
	var f goruntime.Fault
	switch p.FindFault(&f, mem, &space, int32(c.tid), sp) {
	case goruntime.NoFault:
		c.noFault = true
	case goruntime.FaultFound:
		x := signalCrash(signalName(uint64(f.Signo)), f.Code, f.Address, c.tid)
		if x == nil {
			return
		}
		n := context.EncodeCall(x.Context[:], x.Arch, nativeOrder(), f.PC, f.SP, f.FP, f.LR)
		x.PC, x.SP, x.ContextLen, x.HasContext = f.PC, f.SP, uint32(n), n > 0
		w.SetCrash(x)
		c.crash, c.registers = true, registersUnwound
	}
}

// taskMemory is the memory of the program.
type taskMemory struct{ w *minidump.Writer }

// Read implements snapshot.Memory.
func (m taskMemory) Read(addr uint64, p []byte) int { return m.w.ReadMemory(addr, p) }

// ReadV implements snapshot.Memory.
func (m taskMemory) ReadV(reqs []snapshot.ReadRequest) {
	for i := range reqs {
		reqs[i].Got = m.Read(reqs[i].Addr, reqs[i].Dst)
	}
}

// There implements snapshot.Memory.
func (m taskMemory) There(lo, hi, _ uint64) (from, to uint64, ok bool) { return lo, hi, lo < hi }

// Expired implements snapshot.Memory.
func (m taskMemory) Expired() error { return nil }
