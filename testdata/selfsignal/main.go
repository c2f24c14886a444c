//go:build linux && amd64

// selfsignal N makes N dumps of itself in a handler of SIGUSR2, which it installs without the Go runtime's knowledge, while it
// collects garbage and allocates.
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"minidump"
	"minidump/stream"
)

// handler returns the address of the handler; restorer returns the address of the code through which a signal returns.
func handler() uintptr
func restorer() uintptr

var (
	writer *minidump.SelfWriter
	fd     int
	done   uint32
	errno  syscall.Errno
)

// onSignal runs on the alternate signal stack of any thread.
//
//go:nosplit
//go:norace
func onSignal() {
	errno = writer.DumpFD(fd)
	done = 1
}

var keep [][]byte

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	if writer, err = minidump.NewSelfWriter(minidump.Options{}); err != nil {
		panic(err)
	}
	if fd, err = unix.MemfdCreate("dump", 0); err != nil {
		panic(err)
	}
	// struct kernel_sigaction of amd64, with SA_SIGINFO, SA_ONSTACK and SA_RESTORER (asm/signal.h).
	action := struct{ handler, flags, restorer, mask uintptr }{handler(), 4 | 0x08000000 | 0x04000000, restorer(), ^uintptr(0)}
	if _, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGUSR2), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0); e != 0 {
		panic(e)
	}
	for range 2 {
		go func() {
			for {
				runtime.GC()
			}
		}()
		go func() {
			for {
				keep = append(keep[max(0, len(keep)-10):], make([]byte, 100<<10))
			}
		}()
	}
	good := 0
	for range n {
		_ = unix.Ftruncate(fd, 0)
		_, _ = unix.Seek(fd, 0, 0)
		done = 0
		_ = unix.Kill(os.Getpid(), unix.SIGUSR2)
		for volatile(&done) == 0 {
			time.Sleep(time.Millisecond)
		}
		res := writer.Result()
		b := make([]byte, res.Size)
		_, _ = unix.Pread(fd, b, 0)
		f, err := stream.Open(bytes.NewReader(b), int64(len(b)))
		if errno != 0 || err != nil || len(stream.Problems(f)) > 0 {
			fmt.Println(errno, err)
			continue
		}
		if threads, err := f.Threads(); err == nil && len(threads) == res.Threads && res.Threads > 1 {
			good++
		}
	}
	fmt.Println(good, "of", n)
}

//go:noinline
func volatile(p *uint32) uint32 { return *p }
