//go:build unix

// Gosleep is an idle Go program.
//
//	gosleep N
//
// In addition to main, N goroutines wait on a channel, 5 frames deep. It prints "ready PID".
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gosleep N")
		os.Exit(2)
	}
	n, _ := strconv.Atoi(os.Args[1])
	allowTracers()
	never := make(chan int)
	var started sync.WaitGroup
	started.Add(n)
	for range n {
		go func() {
			started.Done()
			wait(5, never)
		}()
	}
	started.Wait()
	fmt.Println("ready", os.Getpid())
	for { // not select: nothing would be runnable, which the runtime would call a deadlock
		time.Sleep(time.Hour)
	}
}

//go:noinline
func wait(depth int, c chan int) int {
	if depth > 0 {
		return wait(depth-1, c) + 1
	}
	return <-c
}
