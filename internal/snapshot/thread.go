package snapshot

import "minidump/internal/arena"

// Thread is one thread. A thread without registers is also listed, with its name.
type Thread struct {
	TID     int32
	State   ThreadState
	HasRegs bool // the dump has a CPU context record for it
	HasSP   bool // SP and PC are known, from registers or from /proc

	ContextDropped bool // its record was dropped for the size limit

	PC, SP    uint64
	Teb       uint64     // address of the thread's own data: the TEB on Windows, otherwise the thread pointer; 0: not known
	GP, FP    arena.Span // raw register sets: general and floating-point
	FPType    uint32     // the note type of FP
	Vector    arena.Span // the other register sets that the context record contains: context.Regsets.Extra
	Debug     arena.Span // 8 debug registers, 64 bytes in host byte order
	Context   arena.Span // finished CPU context record, from a crash or from a system that provides one; empty: build one from the raw registers
	Extra     arena.Span // additional register sets, for RegisterSetsStream
	Name      arena.Span
	StackLo   uint64 // the part of the stack in the dump is [StackLo, StackHi); both 0: none
	StackHi   uint64
	StackKeep uint64 // bytes that CutStacks keeps
	Other     [maxOther]OtherStack
	Blocked   uint64     // blocked signals, bit 0 for signal 1; of the blamed thread only
	window    arena.Span // the part of the stack that followSignals searched; empty: unknown
	windowLo  uint64     // its address
	unused    uint64     // bytes at its start that are absent
	Go        [3]Range   // the bounds of the stacks that the Go runtime allocated for it: of the goroutine, the runtime, signals
	GoSP      uint64     // the SP at which its goroutine continues when the thread leaves the other two; 0: it is on the goroutine's stack, or not known

	// Windows only; else 0.
	SuspendCount  uint32
	PriorityClass uint32
	Priority      uint32
}

// ThreadState is the outcome of stopping a thread.
type ThreadState uint8

// The states of threads.
const (
	ThreadListed      ThreadState = iota // only its id is known
	ThreadStopped                        // its registers were read
	ThreadNoRegisters                    // it could not be stopped, or its registers could not be read
	ThreadGone                           // it has ended
)

// blamedThread returns the thread that the dump is about, or nil.
func (s *Snapshot) blamedThread() *Thread {
	ths := s.Threads.All()
	for i := range ths {
		if ths[i].TID == s.Proc.Blamed {
			return &ths[i]
		}
	}
	return nil
}
