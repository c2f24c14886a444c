package stackwalk_test

import (
	stdelf "debug/elf"
	"fmt"
	"log"
	"os"

	"minidump/stackwalk"
	"minidump/stream"
)

// Print the frames of all threads of a minidump, with the files of this machine.
func Example() {
	file, err := os.Open("testdata/arm64.dmp")
	if err != nil {
		log.Fatal(err)
	}
	f, err := stream.OpenFile(file)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	p, err := stackwalk.FromFile(f)
	if err != nil {
		log.Fatal(err)
	}
	p.Load = func(i int) {
		if image, err := stdelf.Open(p.Modules[i].Name); err == nil {
			p.Modules[i].Image = image // of the same build, as its build id would show
		}
	}
	threads, _ := f.Threads()
	for i := range threads {
		cpu, err := stackwalk.ThreadCPU(f, &threads[i])
		if err != nil {
			log.Fatal(err)
		}
		for _, frame := range p.Walk(cpu) {
			fmt.Printf("%#x by %v\n", frame.PC, frame.Trust)
		}
	}
	// Output:
	// 0x400724 by context
	// 0x4007e8 by link register
}
