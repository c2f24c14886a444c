package mach_test

import (
	"fmt"

	"minidump/mach"
)

// Decodes the code of EXC_CRASH of a program that ended by a bad access: signal 11, for the exception EXC_BAD_ACCESS with code 1.
func ExampleDecodeCrash() {
	c, ok := mach.DecodeCrash(0xb100001)
	fmt.Println(c.Type, c.Code, c.Signal, ok)
	// Output: EXC_BAD_ACCESS 1 11 true
}

func ExampleKernReturn_String() {
	fmt.Println(mach.KernReturn(5), mach.MACH_RCV_PORT_DIED)
	// Output: KERN_FAILURE MACH_RCV_PORT_DIED
}
