package context_test

import (
	"encoding/binary"
	"fmt"

	"minidump/context"
)

// A dumper has the siginfo_t of a thread that died and its general registers (NT_PRSTATUS, made up here), and derives the reason
// and the CPU context record for a minidump.
func ExampleCrash() {
	siginfo := make([]byte, 128)
	binary.LittleEndian.PutUint32(siginfo, context.SIGSEGV)
	binary.LittleEndian.PutUint32(siginfo[8:], 1)       // si_code
	binary.LittleEndian.PutUint64(siginfo[16:], 0x1230) // si_addr
	gp := make([]byte, context.AMD64.GPSize())
	binary.LittleEndian.PutUint64(gp[128:], 0x401234) // rip

	c, err := context.CrashFromSiginfo(context.AMD64, binary.LittleEndian, 100, 101, siginfo)
	if err != nil {
		fmt.Println(err)
		return
	}
	c.SetContext(&context.Regsets{Arch: context.AMD64, Order: binary.LittleEndian, GP: gp})
	fmt.Printf("%s / %s at %#x\n", context.SignalName(c.Signo), context.CodeName(c.Signo, c.Code), c.Address)

	cpu, err := context.Decode(c.Arch, c.Record(), c.Order())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("a record of %d bytes, pc %#x\n", len(c.Record()), cpu.PC)
	// Output:
	// SIGSEGV / SEGV_MAPERR at 0x1230
	// a record of 1232 bytes, pc 0x401234
}

// The registers of a thread that another debugger traces can't be read, but /proc states its program counter and stack pointer.
func ExampleEncodeControl() {
	rec := make([]byte, context.MaxContextSize)
	n := context.EncodeControl(rec, context.ARM64, binary.LittleEndian, 0x401234, 0x7ffd1230)
	cpu, err := context.Decode(context.ARM64, rec[:n], binary.LittleEndian)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("flags %#x, pc %#x, sp %#x\n", cpu.Flags, cpu.PC, cpu.SP)
	// Output: flags 0x400001, pc 0x401234, sp 0x7ffd1230
}
