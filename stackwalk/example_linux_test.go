package stackwalk_test

import (
	"bytes"
	stdelf "debug/elf"
	"fmt"
	"log"
	"os/exec"
	"time"

	"minidump"
	"minidump/stackwalk"
	"minidump/stream"
)

// Walk the stacks in a dump, with the files of this machine.
func Example() {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		log.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	time.Sleep(200 * time.Millisecond)
	f := dumpOf(cmd.Process.Pid)

	p, err := stackwalk.FromFile(f)
	if err != nil {
		log.Fatal(err)
	}
	p.Load = func(i int) {
		if image, err := stdelf.Open(p.Modules[i].Name); err == nil {
			p.Modules[i].Image = image // of the same build, which its build id would show
		}
	}
	threads, err := f.Threads()
	if err != nil {
		log.Fatal(err)
	}
	for i := range threads {
		cpu, err := stackwalk.ThreadCPU(f, &threads[i])
		if err != nil {
			log.Fatal(err)
		}
		frames := p.Walk(cpu)
		for _, frame := range frames { // given the address, package symbol returns the function's name
			log.Printf("%#x %v", frame.Lookup(), frame.Trust)
		}
		fmt.Println("innermost by", frames[0].Trust, "and there are others:", len(frames) > 1)
	}
	// Output: innermost by context and there are others: true
}

func dumpOf(pid int) *stream.File {
	w, err := minidump.NewWriter(pid, minidump.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	var b bytes.Buffer
	if _, err := w.Dump(&b); err != nil {
		log.Fatal(err)
	}
	f, err := stream.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		log.Fatal(err)
	}
	return f
}
