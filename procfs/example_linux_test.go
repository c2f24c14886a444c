package procfs_test

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump/procfs"
)

// Finds the mapping of an address in the memory map of a process.
func Example() {
	dir, err := procfs.Open(os.Getpid())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dir.Close()
	text := make([]byte, 1<<20)
	n, more, errno := dir.ReadFile("maps\x00", text)
	if errno != 0 || more {
		fmt.Println(more, errno)
		return
	}
	address := uint64(uintptr(unsafe.Pointer(&text[0])))
	var m procfs.Mapping
	for r := (procfs.MapsReader{Rest: text[:n]}); r.Next(&m); {
		if m.Contains(address) {
			fmt.Println("readable:", m.Perm&procfs.PermRead != 0, "of a file:", m.IsPath())
		}
	}
	// Output: readable: true of a file: false
}

// Finds the available pages of a range: only the one that has been written.
func ExamplePages() {
	page := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 16*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unix.Munmap(memory)
	unix.Madvise(memory, unix.MADV_NOHUGEPAGE)
	memory[5*page] = 1

	dir, err := procfs.Open(os.Getpid())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dir.Close()
	pages := &procfs.Pages{Runs: make([]procfs.PageRun, 64), Scratch: make([]byte, 4096)}
	if errno := dir.OpenPages(pages); errno != 0 {
		fmt.Println(errno)
		return
	}
	defer pages.Close()
	start := uint64(uintptr(unsafe.Pointer(&memory[0])))
	end := start + uint64(len(memory))
	var run procfs.PageRun
	for at := start; at < end; at = run.End {
		ok, errno := pages.Next(at, end, 0, &run)
		if !ok || errno != 0 {
			break
		}
		fmt.Println("pages", (run.Start-start)/uint64(page), "to", (run.End-start)/uint64(page))
	}
	// Output: pages 5 to 6
}

// Reports whether a read of a mapped file completes by itself or waits for a server.
func ExampleBackingOf() {
	text := []byte("30 22 0:40 / /mnt/nas rw shared:1 - nfs4 server:/export rw\n" +
		"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n")
	for _, device := range []procfs.Device{{Major: 254, Minor: 0}, {Major: 0, Minor: 40}, {Major: 0, Minor: 77}} {
		backing, kind := procfs.BackingOf(text, device.Major, device.Minor)
		fmt.Printf("%s (%s): %v\n", backing, kind, backing.Answers())
	}
	// Output:
	// local (ext4): true
	// server (nfs4): false
	// unknown (): false
}
