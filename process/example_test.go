package process_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"minidump/process"
)

// Read a text from a process, here from this program itself.
func Example() {
	text := []byte("kept for others\x00")

	p, err := process.Open(os.Getpid())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	got, err := p.String(uint64(uintptr(unsafe.Pointer(&text[0]))), 100)
	fmt.Println(got, err)
	runtime.KeepAlive(text)
	// Output: kept for others <nil>
}

func ExampleProcess_FindModule() {
	p, err := process.Open(os.Getpid())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	program, err := os.Executable()
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := p.FindModule(program[lastSeparator(program)+1:])
	if err != nil {
		fmt.Println(err)
		return
	}
	magic := make([]byte, 4)
	n, err := p.Read(m.Base, magic)
	fmt.Println(n, err)

	_, err = p.FindModule("no-such-library.so")
	fmt.Println(errors.Is(err, process.ErrNoModule))
	// Output:
	// 4 <nil>
	// true
}

func lastSeparator(path string) int {
	for i := len(path) - 1; i >= 0; i-- {
		if os.IsPathSeparator(path[i]) {
			return i
		}
	}
	return -1
}
