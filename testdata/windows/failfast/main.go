// Failfast DIR MODULE: prints its process id, waits for a line, and fails fast by int 29h. Its monitor, which package crash starts,
// prints the path of the dump, or "end" if there is none.
package main

import (
	"bufio"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"minidump/crash"
)

func main() {
	err := crash.Start(crash.Options{Dir: os.Args[1], WERModule: os.Args[2],
		OnDump: func(path string) { fmt.Println(path) }, OnEnd: func(crash.End) { fmt.Println("end") }})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(os.Getpid())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	at, err := windows.VirtualAlloc(0, 4096, windows.MEM_COMMIT|windows.MEM_RESERVE, windows.PAGE_EXECUTE_READWRITE)
	if err != nil {
		panic(err)
	}
	code := []byte{0xb9, 7, 0, 0, 0, 0xcd, 0x29, 0xc3} // mov ecx, FAST_FAIL_FATAL_APP_EXIT; int 29h; ret
	copy(unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&at))), len(code)), code)
	_, _, _ = syscall.SyscallN(at)
}
