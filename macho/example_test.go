package macho_test

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"minidump/macho"
)

// Reads the identity of a library in the memory of another task. The memory is built here: a header and two load commands at
// address 0x7000000.
func ExampleReader() {
	var mem bytes.Buffer
	for _, v := range []any{
		[]uint32{macho.MH_MAGIC_64, macho.CPU_TYPE_ARM64, 0, macho.MH_DYLIB, 2, 24 + 40, 0, 0},
		[]uint32{macho.LC_UUID, 24}, []byte("0123456789abcdef"),
		[]uint32{macho.LC_ID_DYLIB, 40, 24, 0, 0x00010203, 0x00010000}, []byte("libx.1.dylib\x00\x00\x00\x00"),
	} {
		if err := binary.Write(&mem, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	r := macho.NewReader(nil)
	if !r.OpenMemory(&macho.Bytes{B: mem.Bytes(), Addr: 0x7000000}, 0x7000000) {
		fmt.Println("no image there")
		return
	}
	fmt.Printf("%s %v %X\n", r.InstallName(), r.Image.CurrentVersion, r.Image.UUID)
	// Output: libx.1.dylib 1.2.3 30313233343536373839616263646566
}
