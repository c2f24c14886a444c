//go:build linux

// Golinker maps shared objects as Android's linker does, without running any of their code, so they may be for another architecture.
//
//	golinker ITEM...
//
// The items are mapped next to each other, in the given order. An ITEM is one of
//
//	lib,FILE,OFFSET     the shared object at OFFSET of FILE: address space reserved without access, the segments mapped
//	                    over it, anonymous memory named .bss after them, PT_GNU_RELRO made read-only
//	memfd,NAME,FILE     the same from a memfd of that name with the contents of FILE
//	data,FILE,OFFSET    16 pages of FILE for reading
//	code,NAME           16 executable pages of a memfd of that name that is not an ELF file, like a compiler's output
//	copy,NAME,FILE      anonymous memory called NAME with the contents of FILE
//
// It prints "ready PID", then a line "BASE END BIAS" for each item, in hexadecimal: the start and end of the item, and
// for a shared object the number to add to its addresses.
package main

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

var (
	page     = uint64(os.Getpagesize())
	dataSize = 16 * page
)

func down(a uint64) uint64 { return a &^ (page - 1) }

func up(a uint64) uint64 { return down(a + page - 1) }

// item is one of the arguments.
type item struct {
	kind, name string
	file       *os.File
	offset     uint64
	object     *elf.File
	size       uint64 // address space, in whole pages
	low        uint64 // of a shared object: the first page of its link-time addresses
}

func main() {
	unix.Prctl(unix.PR_SET_PTRACER, unix.PR_SET_PTRACER_ANY, 0, 0, 0)
	var items []item
	var size uint64
	for _, arg := range os.Args[1:] {
		it, err := open(arg)
		check(err)
		items = append(items, it)
		size += it.size
	}
	// Objects for 32-bit processors are mapped below 4 GB, as in a 32-bit process.
	var where unsafe.Pointer
	for _, it := range items {
		if it.object != nil && it.object.Class == elf.ELFCLASS32 {
			where = address(0x50000000)
		}
	}
	start, err := unix.MmapPtr(-1, 0, where, uintptr(size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	check(err)
	at := uint64(uintptr(start))
	var lines []string
	for i := range items {
		it := &items[i]
		check(it.mapAt(at))
		if it.kind == "memfd" {
			// Every linker reads the headers where it has mapped them. A file that exists only in memory can only be read
			// through these pages, except by root.
			atomic.LoadUint32((*uint32)(address(at)))
		}
		lines = append(lines, fmt.Sprintf("%x %x %x", at, at+it.size, at-it.low))
		at += it.size
	}
	fmt.Println("ready", os.Getpid())
	for _, l := range lines {
		fmt.Println(l)
	}
	for {
		time.Sleep(time.Hour)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "golinker:", err)
		os.Exit(1)
	}
}

func open(arg string) (it item, err error) {
	f := append(strings.Split(arg, ","), "", "")
	it.kind, it.size = f[0], dataSize
	switch it.kind {
	case "lib", "data":
		if it.offset, err = strconv.ParseUint(f[2], 10, 63); err == nil {
			it.file, err = os.Open(f[1])
		}
	case "memfd":
		it.file, err = inMemory(f[1], f[2])
	case "code":
		it.file, err = inMemory(f[1], "")
		if err == nil {
			err = it.file.Truncate(int64(dataSize))
		}
	case "copy":
		it.name = f[1]
		it.file, err = os.Open(f[2])
	default:
		err = fmt.Errorf("%q: no such item", arg)
	}
	if err != nil || it.kind != "lib" && it.kind != "memfd" {
		return it, err
	}
	if it.object, err = elf.NewFile(io.NewSectionReader(it.file, int64(it.offset), 1<<40)); err != nil {
		return it, err
	}
	var high uint64
	it.low = ^uint64(0)
	for _, p := range it.object.Progs {
		if p.Type == elf.PT_LOAD {
			it.low, high = min(it.low, down(p.Vaddr)), max(high, up(p.Vaddr+p.Memsz))
		}
	}
	it.size = high - it.low
	return it, nil
}

// inMemory creates a memfd with the contents of a file.
func inMemory(name, path string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if path == "" {
		return f, nil
	}
	b, err := os.ReadFile(path)
	if err == nil {
		_, err = f.Write(b)
	}
	return f, err
}

// place maps n bytes of the file, or anonymous memory if fd is -1, over reserved memory.
func place(at, n uint64, fd int, off uint64, prot int) error {
	flags := unix.MAP_PRIVATE | unix.MAP_FIXED
	if fd < 0 {
		flags |= unix.MAP_ANON
	}
	_, err := unix.MmapPtr(fd, int64(off), address(at), uintptr(n), prot, flags)
	return err
}

// address converts an address outside of the Go heap to a pointer.
func address(at uint64) unsafe.Pointer {
	a := uintptr(at)
	return *(*unsafe.Pointer)(unsafe.Pointer(&a))
}

// call names anonymous memory if the kernel supports that (PR_SET_VMA_ANON_NAME).
func call(at, n uint64, name string) {
	text, _ := unix.BytePtrFromString(name)
	unix.Prctl(unix.PR_SET_VMA, unix.PR_SET_VMA_ANON_NAME, uintptr(at), uintptr(n), uintptr(unsafe.Pointer(text)))
}

func (it *item) mapAt(at uint64) error {
	switch it.kind {
	case "data":
		return place(at, dataSize, int(it.file.Fd()), it.offset, unix.PROT_READ)
	case "code":
		return place(at, dataSize, int(it.file.Fd()), 0, unix.PROT_READ|unix.PROT_EXEC)
	case "copy":
		if err := place(at, it.size, -1, 0, unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return err
		}
		call(at, it.size, it.name)
		_, err := it.file.Read(unsafe.Slice((*byte)(address(at)), it.size))
		return err
	}
	bias := at - it.low
	for _, p := range it.object.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		prot := 0
		if p.Flags&elf.PF_R != 0 {
			prot |= unix.PROT_READ
		}
		if p.Flags&elf.PF_W != 0 {
			prot |= unix.PROT_WRITE
		}
		if p.Flags&elf.PF_X != 0 {
			prot |= unix.PROT_EXEC
		}
		start, fileEnd, end := p.Vaddr+bias, p.Vaddr+bias+p.Filesz, up(p.Vaddr+bias+p.Memsz)
		if p.Filesz > 0 {
			first := down(p.Off)
			if err := place(down(start), p.Off+p.Filesz-first, int(it.file.Fd()), it.offset+first, prot); err != nil {
				return err
			}
		}
		if p.Flags&elf.PF_W != 0 && fileEnd&(page-1) != 0 {
			clear(unsafe.Slice((*byte)(address(fileEnd)), up(fileEnd)-fileEnd))
		}
		if bss := up(fileEnd); end > bss {
			if err := place(bss, end-bss, -1, 0, prot); err != nil {
				return err
			}
			call(bss, end-bss, ".bss")
		}
	}
	for _, p := range it.object.Progs {
		if p.Type == elf.PT_GNU_RELRO {
			lo, hi := down(p.Vaddr+bias), up(p.Vaddr+bias+p.Memsz)
			_, _, errno := unix.Syscall(unix.SYS_MPROTECT, uintptr(lo), uintptr(hi-lo), unix.PROT_READ)
			if errno != 0 {
				return errno
			}
		}
	}
	return it.file.Close()
}
