// darwinfault prints "ready", waits for a byte on its standard input, and reads from the address 0x88.
package main

import "os"

func main() {
	os.Stdout.WriteString("ready\n")
	os.Stdin.Read(make([]byte, 1))
	middle(nil)
}

//go:noinline
func middle(p *[1 << 12]byte) { os.Exit(int(fault(p)) + 1) }

// fault makes a call, because a function without calls has no frame, and without a frame its caller is found by unwind
// tables only, which not every reader supports.
//
//go:noinline
func fault(p *[1 << 12]byte) byte {
	nothing()
	return p[0x88]
}

//go:noinline
func nothing() {}
