//go:build unix

// Gocrowd is a Go program with a large heap and busy goroutines.
//
//	gocrowd MB THREADS
//
// It has MB mebibytes of touched heap, and THREADS-1 goroutines that never yield by themselves, each 20 frames deep;
// GOMAXPROCS is THREADS. It prints "ready PID".
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

var heap [][]byte

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gocrowd MB THREADS")
		os.Exit(2)
	}
	mb, _ := strconv.Atoi(os.Args[1])
	threads, _ := strconv.Atoi(os.Args[2])
	allowTracers()
	runtime.GOMAXPROCS(threads)
	for range mb {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		heap = append(heap, block)
	}
	for range threads - 1 {
		go work(20)
	}
	time.Sleep(300 * time.Millisecond) // until each goroutine has a thread
	fmt.Println("ready", os.Getpid())
	for { // not select: with THREADS 1 nothing would be runnable, which the runtime would call a deadlock
		time.Sleep(time.Hour)
	}
}

//go:noinline
func work(depth int) int {
	if depth > 0 {
		return work(depth-1) + 1
	}
	for n := 0; ; n++ {
		if n < 0 {
			return n
		}
	}
}
