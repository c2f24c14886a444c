package insn_test

import (
	"encoding/binary"
	"fmt"

	"minidump/context"
	"minidump/context/insn"
)

// A tool shows what a faulting instruction accessed: its bytes and the CPU context record of the thread are in the dump.
func ExampleDecode() {
	gp := make([]byte, context.AMD64.GPSize())
	binary.LittleEndian.PutUint64(gp[112:], 0x1230) // rdi
	rec := make([]byte, context.AMD64.ContextSize())
	regs := context.Regsets{Arch: context.AMD64, GP: gp}
	regs.Encode(rec)

	op, ok := insn.Decode(context.AMD64, binary.LittleEndian, []byte{0x48, 0x8b, 0x47, 0x08}, 0x401234, rec)
	fmt.Println(ok, op.Text)
	fmt.Printf("%s of %d bytes at %#x\n", op.Access, op.Size, op.Address)
	// Output:
	// true mov 0x8(%rdi),%rax
	// read of 8 bytes at 0x1238
}
