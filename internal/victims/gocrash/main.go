//go:build unix

// Gocrash is a Go program that ends in a given way.
//
//	gocrash [--wait] KIND
//
//	KIND       what happens
//	nil        nil dereference in main: exit status 2, with GOTRACEBACK=crash SIGABRT
//	goroutine  the same in a goroutine
//	recovered  nil dereference a thousand times, recovered each time: "recovered 1000", exit status 0
//	panic      panic with a value: exit status 2
//	exit       os.Exit(3)
//	exit2      os.Exit(2), which is also the status of a panic
//	yield2     the same after a time in which the thread was mostly in the scheduler, on the runtime's own stack
//	leave      the same on a thread other than that of main
//
// It prints "ready PID" first; with --wait it then waits for a byte on standard input.
package main

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

type node struct {
	next  *node
	value int
}

func main() {
	args := os.Args[1:]
	wait := len(args) > 0 && args[0] == "--wait"
	if wait {
		args = args[1:]
	}
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "usage: gocrash [--wait] nil|goroutine|recovered|panic|exit|exit2|yield2|leave")
		os.Exit(4)
	}
	allowTracers()
	fmt.Println("ready", os.Getpid())
	if wait {
		if n, _ := os.Stdin.Read(make([]byte, 1)); n != 1 {
			os.Exit(4)
		}
	}
	switch args[0] {
	case "nil":
		level1(3)
	case "goroutine":
		done := make(chan int)
		go func() { done <- level1(3) }()
		<-done
	case "recovered":
		n := 0
		for range 1000 {
			n += recovered()
		}
		fmt.Println("recovered", n)
	case "panic":
		panic("gocrash")
	case "exit":
		os.Exit(3)
	case "exit2":
		os.Exit(2)
	case "yield2":
		for start := time.Now(); time.Since(start) < 50*time.Millisecond; {
			runtime.Gosched()
		}
		os.Exit(2)
	case "leave":
		runtime.LockOSThread()
		go func() {
			runtime.LockOSThread()
			os.Exit(3)
		}()
		select {}
	default:
		os.Exit(4)
	}
}

func recovered() (n int) {
	defer func() {
		if recover() != nil {
			n = 1
		}
	}()
	return level1(3)
}

//go:noinline
func level3(n *node) int { return n.next.next.value + 1 }

//go:noinline
func level2(n *node, factor int) int { return level3(n)*factor ^ 7 }

//go:noinline
func level1(value int) int {
	last := &node{value: 4}
	return level2(&node{next: last, value: value}, value) + last.value
}
